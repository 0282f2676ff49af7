"""Evidence: predictions, metrics, paired statistics, leaks, calibration, and the verdict over them."""

"""One Prefect task a stage: caching, the MLflow run, artifacts. Thin: the work is done in transfer/."""

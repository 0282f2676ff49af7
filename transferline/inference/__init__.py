"""Tuned models on texts: predictions for a test, scoring of files, forgetting, serving."""

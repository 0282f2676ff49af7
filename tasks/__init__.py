"""Prefect tasks, one per stage: caching, MLflow run, artifacts. The computation itself lies in the eleven rooms."""

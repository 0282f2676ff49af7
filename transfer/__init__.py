"""The science of transferline: domains, tasks, methods, the training loop and the evidence.

Nothing in here imports prefect, mlflow or dvc: it runs on a bare machine with torch and transformers.
"""

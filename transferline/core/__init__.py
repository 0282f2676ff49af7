"""Errors, settings, stages and their keys, checkpoints, runtime, and cost accounting."""

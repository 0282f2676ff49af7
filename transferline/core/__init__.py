"""Errors, settings, stages and their keys, checkpoints, runtime, and what a stage costs."""

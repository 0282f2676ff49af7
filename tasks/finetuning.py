"""Fine-tuning on the labelled target, and the controls, as cached tasks."""

from __future__ import annotations

from transferline.tasks.support.caching import stage_task

tune = stage_task("tune", "Fine-tune a model on the target.")
control = stage_task("control", "Build a control without transfer.")

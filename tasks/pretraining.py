"""Base models and self-supervised adaptation, as cached tasks."""

from __future__ import annotations

from transferline.tasks.support.caching import stage_task

collect_base = stage_task("collect base", "Copy a pretrained model into the store.")
select = stage_task("select", "Select the texts that are most similar to the target's.")
adapt = stage_task("adapt", "Adapt a model to a domain on raw text.")

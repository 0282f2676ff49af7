"""Base models and self-supervised adaptation, as cached tasks."""

from __future__ import annotations

from transferline.tasks.support.caching import stage_task

collect_base = stage_task("collect base", "Bring a pretrained model into the store.")
select = stage_task("select", "Choose the text that is most like the task's own.")
adapt = stage_task("adapt", "Adapt a model to a domain on its raw text.")

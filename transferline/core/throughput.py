"""How fast a training run goes, and when it is time to report and to save."""

from __future__ import annotations

import time

REPORT_EVERY = 1.0  # seconds


class Clock:
    """Speed, and when to report and to save."""

    def __init__(self, save_every: float) -> None:
        self.start = self.reported = time.monotonic()
        # the first state is saved early: a run that is killed again and again, each time soon, still moves on
        self.saved = self.start - save_every * 2 / 3
        self.save_every, self.tokens, self.steps = save_every, 0, 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    @property
    def steps_per_second(self) -> float:
        return self.steps / max(self.seconds, 1e-9)

    def figures(self) -> dict[str, float]:
        """Tokens seen by this process, and how many a second."""
        return {"tokens": float(self.tokens), "tokens_per_second": self.tokens / max(self.seconds, 1e-9)}

    def count(self, tokens: int) -> None:
        self.tokens += tokens
        self.steps += 1

    def wants_report(self) -> bool:
        now = time.monotonic()
        due = now - self.reported >= REPORT_EVERY
        self.reported = now if due else self.reported
        return due

    def wants_save(self) -> bool:
        now = time.monotonic()
        due = now - self.saved >= self.save_every
        self.saved = now if due else self.saved
        return due

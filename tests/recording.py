"""Stand-ins that record how they are called."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


class Recorder:
    """A function that records its arguments and returns what it is told to."""

    def __init__(self, returns: Any = None) -> None:
        self.returns, self.calls = returns, []  # type: ignore[var-annotated]

    def __call__(self, *args: Any, **named: Any) -> Any:
        self.calls.append((args, named))
        return self.returns(*args, **named) if isinstance(self.returns, Callable) else self.returns  # type: ignore[arg-type]

    @property
    def only(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of the one call."""
        assert len(self.calls) == 1, self.calls
        return self.calls[0]


def record(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, returns: Any = None) -> Recorder:
    """Replace a function of a module by a recorder for the length of a test."""
    recorder = Recorder(returns)
    monkeypatch.setattr(module, name, recorder)
    return recorder

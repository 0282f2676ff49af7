"""A stage on a worker: the final state is waited for, a worker that never comes is not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.states import Completed, Crashed, Pending, Running, Scheduled, State

from transferline.core.errors import InputError
from transferline.tasks.support import worker_runs


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[State[Any]]], list[State[Any]]]:
    """Let the server answer with these states, one after another, the last one for ever. Returns the states that are set."""

    def let(states: list[State[Any]]) -> list[State[Any]]:
        left, given = list(states), list[State[Any]]()

        class Client:
            def read_flow_run(self, _: str) -> SimpleNamespace:
                return SimpleNamespace(state=left.pop(0) if len(left) > 1 else left[0])

            def set_flow_run_state(self, _: str, state: State[Any], force: bool) -> None:
                given.append(state)

        @contextmanager
        def client(sync_client: bool) -> Any:
            yield Client()

        monkeypatch.setattr(worker_runs, "get_client", client)
        monkeypatch.setattr(worker_runs, "run_deployment", lambda *_, **__: SimpleNamespace(id="run"))
        monkeypatch.setattr(worker_runs, "POLL", 0.01)
        return given

    return let


def test_the_final_state_is_returned(answers: Callable[[list[State[Any]]], list[State[Any]]]) -> None:
    for end in (Completed(), Crashed(message="gone")):
        assert not answers([Scheduled(), Pending(), Running(), end])
        assert worker_runs.run_on_worker("stage/gpu", {}, "tune").type == end.type


def test_a_run_that_no_worker_takes_is_cancelled(
    answers: Callable[[list[State[Any]]], list[State[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERLINE_WAIT_HOURS", "0.00002")
    given = answers([Scheduled()])
    with pytest.raises(InputError, match="tune on stage/gpu: no worker took it"):
        worker_runs.run_on_worker("stage/gpu", {}, "tune")
    assert [state.type.value for state in given] == ["CANCELLED"]


def test_a_stage_that_runs_longer_than_the_limit_is_waited_for(
    answers: Callable[[list[State[Any]]], list[State[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERLINE_WAIT_HOURS", "0.00001")
    answers([Running()] * 20 + [Completed()])
    assert worker_runs.run_on_worker("stage/gpu", {}, "tune").is_completed()

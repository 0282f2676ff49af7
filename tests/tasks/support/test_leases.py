"""Leases: one holder at a time, on one disk by a lock file, between machines by the server."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import prefect.client.orchestration
import prefect.concurrency.sync
import pytest

from tests.recording import Recorder
from transferline.core.errors import InputError
from transferline.tasks.support.leases import LEASE, bucket, exclusive


@pytest.fixture
def server(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server's limits and slots, recorded."""

    class Server:
        upsert_global_concurrency_limit_by_name = Recorder()
        held: Any = Recorder()

    kept = Server()

    @contextmanager
    def client(**_: Any) -> Any:
        yield kept

    @contextmanager
    def concurrency(*args: Any, **named: Any) -> Any:
        kept.held(*args, **named)
        yield

    monkeypatch.setattr(prefect.client.orchestration, "get_client", client)
    monkeypatch.setattr(prefect.concurrency.sync, "concurrency", concurrency)
    return kept


def test_one_holder_at_a_time(bare: Path) -> None:
    inside, most = [0], [0]

    def work() -> None:
        with exclusive("a"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_another_name_is_another_lease(bare: Path) -> None:
    with exclusive("a"), exclusive("b"):
        assert {path.name for path in (bare / "store" / ".locks").iterdir()} >= {"a.lock", "b.lock"}


@pytest.mark.parametrize(
    ("store", "url", "everywhere", "asked"),
    [
        ("", "http://server/api", False, False),  # one disk: the lock file is enough
        ("", "http://server/api", True, True),
        ("s3://bucket/line", "http://server/api", False, True),
        ("s3://bucket/line", "", True, False),  # there is no server to ask
    ],
)
def test_the_server_is_asked_where_machines_share_no_disk(
    store: str, url: str, everywhere: bool, asked: bool, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERLINE_STORE", store)
    monkeypatch.setenv("PREFECT_API_URL", url)
    server.held.calls.clear()
    with exclusive("build-ab", everywhere):
        pass
    assert bool(server.held.calls) == asked
    if asked:
        (limit,), options = server.held.only
        assert limit == "transferline-build-ab"
        assert (options["occupy"], options["lease_duration"]) == (1, LEASE)
        assert not options["raise_on_lease_renewal_failure"]  # a lost lease ends no run


def test_there_are_few_names_for_many_keys() -> None:
    keys = [f"tune-{number:08x}" for number in range(5000)]
    assert len({bucket(key) for key in keys}) == 256
    assert bucket("tune-00ab") == bucket("adapt-77ab") == "build-ab"


def test_a_wait_is_announced_and_has_a_limit(
    server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []

    @contextmanager
    def taken(*_: Any, timeout_seconds: float, **__: Any) -> Any:
        waits.append(timeout_seconds)
        raise TimeoutError
        yield

    monkeypatch.setattr(prefect.concurrency.sync, "concurrency", taken)
    monkeypatch.setenv("PREFECT_API_URL", "http://server/api")
    monkeypatch.setenv("TRANSFERLINE_WAIT_HOURS", "2")
    message = "the lease 'transferline-model': is still held by another run after 2 hours"
    with pytest.raises(InputError, match=message), exclusive("model", everywhere=True):
        pytest.fail("the lease was not given")
    assert waits == [30.0, 7200.0]
    said = capsys.readouterr()
    assert "for the lease 'transferline-model', held by another run" in said.out + said.err

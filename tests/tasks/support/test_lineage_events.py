"""OpenLineage events: what a run read and made, sent to a server of the test, which is an ordinary HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from transferline.recipes.chain import Pin
from transferline.tasks.registering import Registration
from transferline.tasks.support.lineage_events import lineage_events


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
        yield events
        server.shutdown()


def data(folder: Path) -> dict[str, Pin]:
    return {role: Pin(folder / f"{role}.jsonl", f"md5-of-{role}") for role in ("train", "test")}


def test_a_run_tells_its_data_at_the_start_and_its_versions_at_the_end(bare: Path, received) -> None:
    with lineage_events("retrain reviews", data(bare)) as product:
        assert [event["eventType"] for event in received] == ["START"]
        product.registration = Registration("reviews", {"challenger": "3", "control": "4"})
    start, end = received
    assert end["eventType"] == "COMPLETE"
    assert start["run"]["runId"] == end["run"]["runId"]
    assert {one["facets"]["version"]["datasetVersion"] for one in start["inputs"]} == {"md5-of-train", "md5-of-test"}
    assert [one["facets"]["version"]["datasetVersion"] for one in end["outputs"]] == ["3", "4"]
    assert {one["name"] for one in end["outputs"]} == {"models:/reviews"}


def test_a_run_that_fails_says_so_and_still_fails(bare: Path, received) -> None:
    with pytest.raises(ValueError, match="bad rows"), lineage_events("retrain reviews", data(bare)):
        raise ValueError("bad rows")
    assert [event["eventType"] for event in received] == ["START", "FAIL"]
    assert received[-1]["run"]["facets"]["errorMessage"]["message"] == "ValueError: bad rows"
    assert received[-1]["outputs"] == []


def test_a_server_that_is_away_stops_no_run(bare: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    transport = {"type": "http", "url": "http://127.0.0.1:9", "retry": {"total": 0}}
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT", json.dumps(transport))
    with lineage_events("retrain reviews", data(bare)) as product:
        product.registration = Registration("reviews", {})
    assert "OpenLineage got no event" in capsys.readouterr().err


def test_nothing_is_sent_where_nothing_is_set(bare: Path, received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENLINEAGE_URL")
    with lineage_events("retrain reviews", data(bare)):
        pass
    assert received == []

"""A served model under load: `python -m benchmarks.load MODEL [--minutes 10] [--clients 32]`, in a project with a registered MODEL.

Starts `transferline serve-model MODEL` and lets the clients ask without a pause, each with one to eight texts. Every twentieth
request is wrong and must be refused with status 400. Prints latencies, throughput and the server's memory. The exit code is 1 if
an answer was wrong, if the 99th percentile of the latency is more than 5 times the median, or if memory grew by more than a tenth
after the first minute.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import psutil

from tests.operations.service import free_port
from transferline.core.project import root
from transferline.data.prepared_files import read_jsonl

MOST_SPREAD, MOST_GROWTH, WRONG_EVERY, START = 5.0, 1.1, 20, 120.0


@dataclass
class Seen:
    """What the clients saw: seconds of each sound request, and answers that were not as they must be."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    bad: list[str] = field(default_factory=list)
    texts: int = 0


def request(rows: list[list[str | None]]) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["text"], "data": rows}}).encode()


def ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def client(port: int, texts: list[str], until: float, seed: int, seen: Seen) -> None:
    rng = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    number = 0
    while time.monotonic() < until:
        number += 1
        wrong = number % WRONG_EVERY == 0
        rows: list[list[str | None]] = (
            [[None]] if wrong else [[text] for text in rng.choices(texts, k=rng.randint(1, 8))]
        )
        body = request(rows)
        start = time.monotonic()
        try:
            status, answer = ask(connection, body)
        except OSError as error:
            seen.bad.append(f"no answer: {error}")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            continue
        if wrong and status == 400:
            seen.refused += 1
        elif not wrong and status == 200 and len(json.loads(answer)["predictions"]) == len(rows):
            seen.seconds.append(time.monotonic() - start)
            seen.texts += len(rows)
        else:
            seen.bad.append(f"status {status}: {answer[:200]!r}")


def wait_for_start(server: subprocess.Popen[bytes], port: int, texts: list[str]) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            status, answer = ask(connection, request([[texts[0]]]))
        except OSError:
            time.sleep(0.5)
            continue
        if status != 200:
            sys.exit(f"the first request was answered with {status}: {answer[:500]!r}")
        return
    sys.exit("the server did not start")


def load(server: subprocess.Popen[bytes], port: int, texts: list[str], minutes: float, clients: int) -> int:
    """Let the clients ask, and print what they saw. Returns the exit code."""
    wait_for_start(server, port, texts)
    seen, process, memory = Seen(), psutil.Process(server.pid), []
    until = time.monotonic() + 60 * minutes
    threads = [threading.Thread(target=client, args=(port, texts, until, seed, seen)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.append(process.memory_info().rss / 2**20)
        time.sleep(1)
    settled = memory[min(60, len(memory) // 3)]
    p50, p99 = (statistics.quantiles(seen.seconds, n=100)[at] for at in (49, 98))
    print(
        f"{len(seen.seconds):,} requests, {seen.texts:,} texts ({seen.texts / minutes / 60:.0f} a second), {clients} clients"
    )
    print(f"{seen.refused} wrong requests refused, {len(seen.bad)} wrong answers (goal 0)")
    print(f"p50 {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms: {p99 / p50:.1f} times (goal {MOST_SPREAD:g})")
    print(
        f"memory {settled:.0f} MB, at the end {memory[-1]:.0f} MB: {memory[-1] / settled:.2f} times (goal {MOST_GROWTH:g})"
    )
    for line in seen.bad[:5]:
        print(f"  {line}")
    return int(bool(seen.bad) or p99 > MOST_SPREAD * p50 or memory[-1] > MOST_GROWTH * settled)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=32)
    given = parser.parse_args()
    target = given.model.partition("@")[0]
    [test] = (root() / "data" / "prepared").glob(f"*/{target}/test.jsonl")
    texts, port = [row["text"] for row in read_jsonl(test)], free_port()
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "transferline", "serve-model", given.model, "--port", str(port)]
    )
    try:
        return load(server, port, texts, given.minutes, given.clients)
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    sys.exit(main())

"""An address on which no server can listen is one error that names the option."""

from __future__ import annotations

import socket

import pytest

from transferline.core.errors import InputError
from transferline.tasks.support.bind_addresses import check_free, in_url
from transferline.tasks.support.services import addresses


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_taken_port_is_noticed_on_both_protocols(host: str, family: int, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        taken = socket.socket(family)
        taken.bind((host, 0))
    except OSError:
        pytest.skip(f"this machine has no {host}")
    port = taken.getsockname()[1]
    taken.listen()
    with taken, pytest.raises(InputError, match=r"something listens there already, MLflow cannot.*--mlflow-port"):
        check_free(host, port, "MLflow")
    check_free(host, port, "MLflow")


@pytest.mark.parametrize("port", [0, -1, 65536, 10**9])
def test_impossible_ports_are_refused(port: int) -> None:
    with pytest.raises(InputError, match=rf"--prefect-port: {port} is not a port"):
        check_free("127.0.0.1", port, "Prefect")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, "300.1.1.1", "bad..name"])
def test_an_unknown_host_is_refused(host: str) -> None:
    with pytest.raises(InputError, match=r"--host: .* is not known"):
        check_free(host, 4200, "Prefect")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match="is not an address of this machine"):
        check_free("192.0.2.1", 4200, "Prefect")  # reserved for documentation (RFC 5737)


def test_two_servers_need_two_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(InputError, match="is Prefect's port too"):
        addresses("127.0.0.1", port, port)


def test_ipv6_addresses_stand_in_brackets() -> None:
    assert in_url("::1") == "[::1]"
    assert in_url("localhost") == "localhost"

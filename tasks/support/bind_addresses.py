"""Addresses on which servers are started: checked before anything starts, with one line for each mistake."""

from __future__ import annotations

import errno
import socket

from transferline.core.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def in_url(host: str) -> str:
    """A host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def check_free(host: str, port: int, server: str, option: str | None = None) -> None:
    """Raise InputError unless `server` can listen on this address of this machine. `option` is that of the port."""
    option = option or f"--{server.lower()}-port"
    if not 1 <= port <= 65535:
        raise InputError(option, f"{port} is not a port", "Choose a number from 1 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        mend = "Use 127.0.0.1, ::1, or an address of this machine"
        raise InputError("--host", f"{host!r} is not known ({error})", mend) from error
    with socket.socket(family, kind, protocol) as probe:
        # as servers do: a port in TIME_WAIT after a restart is not taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise _refusal(error, host, port, server, option) from error


def _refusal(error: OSError, host: str, port: int, server: str, option: str) -> InputError:
    if error.errno == errno.EADDRINUSE:
        mend = f"Use that server (set its address in the environment), or choose {option}"
        return InputError(f"{in_url(host)}:{port}", f"something listens there already, {server} cannot start", mend)
    if error.errno == errno.EACCES:
        return InputError(option, f"port {port} needs root's rights", "Choose a number above 1023")
    return InputError(
        "--host", f"{host!r} is not an address of this machine ({error.strerror})", "Use 127.0.0.1 or ::1"
    )

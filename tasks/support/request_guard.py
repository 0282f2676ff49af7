"""Limits and plain errors around an HTTP application, as ASGI middleware.

MLflow's scoring server reads a request of any size, answers some wrong requests with status 500, and sends its stack traces to the
client. Behind this guard a wrong request gets a status between 400 and 499 with its reason, and no answer holds a stack trace.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

JSON = "application/json"
_log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is answered here: a status and its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class RequestGuard:
    """An ASGI application that passes sound requests of at most `largest` bytes on to `app`."""

    def __init__(self, app: App, largest: int) -> None:
        self.app, self.largest = app, largest

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            body = await self._body(receive)
            if scope["method"] == "POST":
                headers = {name.lower(): value for name, value in scope["headers"]}
                check_body(body, headers.get(b"content-type", b"").decode("latin-1"))
            await self.app(scope, _replayed(body, receive), answer)
        except Refused as refused:
            await _send_error(send, refused.status, refused.reason)
        except Exception:  # the client learns that it failed, and the log learns why
            _log.exception("a request failed")
            if answer.passed:
                raise
            await _send_error(send, 500, "the server failed; its log has the cause")

    async def _body(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self.largest:
                raise Refused(413, f"the request has more than {self.largest:,} bytes: send fewer rows at once")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return bytes(body)


def check_body(body: bytes, content_type: str) -> None:
    """Raise Refused unless a body is a JSON object. (MLflow cannot read CSV where a signature leaves types open, as ours do.)"""
    kind = content_type.split(";")[0].strip().lower()
    if kind != JSON:
        raise Refused(415, f"the content type is {content_type!r}: send {JSON}")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(400, f"the request is not UTF-8 ({error})") from error
    if not text.strip():
        raise Refused(400, "the request is empty")
    try:
        if not isinstance(json.loads(text), dict):
            raise Refused(400, "the request is no JSON object")
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the request is not JSON ({error})") from error


class _Answer:
    """Passes an answer on. The body of an error is kept back, and sent without its stack trace."""

    def __init__(self, send: Send) -> None:
        self._send, self._error, self._body = send, 0, b""
        self.passed = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._error = message["status"]
        elif not self._error:
            self.passed = True
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await _send_error(self._send, self._error, reason_of(self._body, self._error))


def reason_of(body: bytes, status: int) -> str:
    """The reason that an error's body gives: the message of a JSON answer, or a text below status 500."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if isinstance(told, dict):
        message = str(told.get("message") or told.get("detail") or "")
        # MLflow puts the rows before a model's own message, and a note on its releases behind its own
        return (message.partition("\nError: ")[2] or message).partition(" IMPORTANT: ")[0]
    return body.decode("utf-8", "replace") if status < 500 else "the server failed; its log has the cause"


def _replayed(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _send_error(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"status": status, "message": reason}).encode()
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

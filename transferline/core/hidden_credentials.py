"""Keep the passwords in addresses out of logs, tracebacks and warnings of this process, also those of other libraries."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Any

from transferline.core.uris import without_credentials

_installed = False


def hide_credentials() -> None:
    """Install the filters once: log records, uncaught exceptions of every thread, and warnings."""
    global _installed
    if _installed:
        return
    _installed = True
    make = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *args, **named: _clean(make(*args, **named)))
    sys.excepthook = _print_exception
    threading.excepthook = lambda given: _print_exception(given.exc_type, given.exc_value, given.exc_traceback)
    show = warnings.formatwarning
    warnings.formatwarning = lambda *args, **named: without_credentials(show(*args, **named))


def _clean(record: logging.LogRecord) -> logging.LogRecord:
    if record.exc_info and record.exc_info[0] is not None:
        # formatters print this text instead of the traceback itself
        record.exc_text = without_credentials("".join(traceback.format_exception(*record.exc_info))).rstrip("\n")
    try:
        message = record.getMessage()
    except (TypeError, ValueError):  # wrong arguments: logging itself reports them
        return record
    cleaned = without_credentials(message)
    if cleaned != message:
        record.msg, record.args = cleaned, ()
    return record


def _print_exception(kind: type[BaseException], error: Any, trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):
        return
    print(without_credentials("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)

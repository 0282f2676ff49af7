"""A password in an address reaches neither a log, nor a traceback, nor a warning."""

from __future__ import annotations

import subprocess
import sys

import pytest

WORD = "canary-word"
HIDE = "from transferline.core.hidden_credentials import hide_credentials; hide_credentials(); "
URI = f"postgresql://ada:{WORD}@db.example.org/mlflow"
WAYS = {
    "a log record": f"import logging; logging.warning('connecting to %s', '{URI}')",
    "a logged exception": (
        "import logging\ntry:\n    raise OSError('" + URI + "')\nexcept OSError:\n    logging.exception('it failed')"
    ),
    "an uncaught exception": f"raise RuntimeError('no answer from {URI}')",
    "a chained one": f"try:\n    raise OSError('{URI}')\nexcept OSError as error:\n    raise RuntimeError('{URI}') from error",
    "a thread's exception": (
        f"import threading\ndef fail():\n    raise OSError('{URI}')\nt = threading.Thread(target=fail); t.start(); t.join()"
    ),
    "a warning": f"import warnings; warnings.warn('old driver in {URI}')",
    "a log with wrong arguments": f"import logging; logging.raiseExceptions = False; logging.warning('%d', '{URI}')",
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_shown_without_the_password(way: str) -> None:
    lines = HIDE + "\n" + WAYS[way].replace("; t.start(); t.join()", "\nt.start()\nt.join()")
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert WORD not in "\n".join(line for line in output.splitlines() if line.strip() not in lines)
    assert "db.example.org" in output or "wrong arguments" in way

"""One stage in a process of its own, with a device of its own: python -m transferline.tasks.support.child REQUEST.json

Its standard input is a pipe from the run that wants the stage: when that run dies, however it dies, the pipe ends and so
does this process. What it has saved stays. An error is left beside the request, for the run to raise as its own.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

from transferline.core.errors import InputError
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.checkpoint_building import build_checkpoint
from transferline.tasks.support.orphans import end_with_the_run


def main(request_file: Path) -> int:
    """Build the request of a file; 0 done, 1 failed, 2 bad input."""
    end_with_the_run()
    request = Request.from_json(json.loads(request_file.read_text(encoding="utf-8")))
    told = request_file.with_suffix(".error")
    try:
        build_checkpoint(request)
    except InputError as error:
        told.write_text(json.dumps([error.where, error.what, error.mend]), encoding="utf-8")
        return 2
    except Exception as error:  # noqa: BLE001 - whatever it was, the run raises it; nothing is swallowed
        traceback.print_exc()
        told.write_text(json.dumps(f"{type(error).__name__}: {error}"), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""Build one stage in a child process with its own device: python -m transferline.tasks.support.child REQUEST.json

Standard input is a pipe from the parent run. When the parent dies, even by SIGKILL, the pipe closes and this process ends.
Saved training states are kept. An error is written beside the request, and the parent raises it.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
from pathlib import Path

from transferline.core.errors import InputError
from transferline.core.leaving import LEFT, Leaving, leave
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.checkpoint_building import build_checkpoint
from transferline.tasks.support.orphans import end_with_the_run


def main(request_file: Path) -> int:
    """Build the request in a file. Returns the exit code: 0 done, 1 failed, 2 bad input, 4 told to end."""
    end_with_the_run()
    signal.signal(signal.SIGTERM, lambda *_: leave())  # the training saves its state at its next step
    request = Request.from_json(json.loads(request_file.read_text(encoding="utf-8")))
    error_file = request_file.with_suffix(".error")
    try:
        build_checkpoint(request)
    except Leaving as told:
        print(told, file=sys.stderr)
        return LEFT
    except InputError as error:
        error_file.write_text(json.dumps([error.where, error.what, error.mend]), encoding="utf-8")
        return 2
    except Exception as error:  # noqa: BLE001 - the parent raises it; nothing is swallowed
        traceback.print_exc()
        error_file.write_text(json.dumps(f"{type(error).__name__}: {error}"), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

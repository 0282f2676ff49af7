"""Failures that are nobody's mistake, as one line: the disk, a server, a database. Others keep their traceback."""

from __future__ import annotations

from collections.abc import Iterator

from transferline.core.uris import without_credentials

_KEPT = "Finished stages are kept. Run again when it is mended."
_DISK = "Finished stages are kept. `transferline gc` lists checkpoints that can be deleted. Then run again."


def told(error: BaseException) -> str | None:
    """One line for a failure of the surroundings, or None for an exception that needs its traceback."""
    for one in _chain(error):
        line = _line(one)
        if line is not None:
            return without_credentials(line)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, then those that it wraps: Prefect, MLflow and SQLAlchemy wrap the cause in exceptions of their own."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _line(error: BaseException) -> str | None:
    text, kind = _first_line(error), type(error)
    module = kind.__module__.split(".")[0]
    if "No space left on device" in str(error):
        return f"the disk is full ({text}). {_DISK}"
    if isinstance(error, PermissionError) or "Read-only file system" in str(error):
        return f"a file cannot be written or read ({text}). Correct its permissions. {_KEPT}"
    if module == "sqlite3" and kind.__name__ in ("DatabaseError", "OperationalError"):
        return f"a database cannot be used ({text}). Restore it from a backup, or check its permissions. {_KEPT}"
    if module in ("psycopg2", "asyncpg") or (
        module == "sqlalchemy" and kind.__name__ in ("OperationalError", "DatabaseError")
    ):
        return f"the database cannot be used ({text}). Check its address, its login and that it runs. {_KEPT}"
    if module in ("httpx", "httpcore") and "Connect" in kind.__name__:
        return f"the Prefect server cannot be reached ({text}). Check PREFECT_API_URL. {_KEPT}"
    if kind.__name__ == "PrefectHTTPStatusError":
        return f"the Prefect server refused a request ({text}). Check its version and your login. {_KEPT}"
    if kind.__name__ == "MlflowException" and ("API request to" in str(error) or "Max retries" in str(error)):
        return f"the MLflow server cannot be reached ({text}). Check MLFLOW_TRACKING_URI. {_KEPT}"
    if kind.__name__ in ("RestException", "MlflowException") and any(code in str(error) for code in ("401", "403")):
        return f"the MLflow server refused a request ({text}). Check your login. {_KEPT}"
    return None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]

"""Environment variables: read, checked and documented in one place.

`settings()` reads the environment as it is at the time of the call. `python -m transferline.core.settings` writes the tables of
docs/reference.md from the fields below. Switches of other libraries are set in core/environment.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from transferline.core.errors import InputError, closest

PREFIX = "TRANSFERLINE_"
PASSED_ON = (PREFIX, "MLFLOW_", "PREFECT_", "HF_", "TRANSFORMERS_", "AWS_", "DVC_", "OMP_NUM_THREADS")
"""Prefixes of the variables that a process on another machine receives."""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"
START, END = "<!-- settings: written by `python -m transferline.core.settings` -->", "<!-- end of settings -->"

Placement = Literal["local", "workers", "ray"]


@dataclass(frozen=True)
class About:
    """Documentation of one variable. `default` describes a default that is computed; `internal` marks one that users never set."""

    values: str
    meaning: str
    default: str = ""
    internal: bool = False


def _switch(value: object) -> object:
    """Accept only the four documented spellings, in any case. pydantic alone would accept `on`, `y` and more."""
    known = {"1": True, "true": True, "0": False, "false": False}
    return known.get(value.lower(), value) if isinstance(value, str) else value


def _devices(value: str) -> str:
    if not all(name.strip() for name in value.split(",")):
        raise ValueError("an empty name")
    return value


Switch = Annotated[bool, Field(strict=True), BeforeValidator(_switch)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text: TypeAlias = str | None
Folder: TypeAlias = Path | None
SWITCH = "1, true, 0 or false"
COUNT = "a whole number, 1 or more"
DEVICES = "a number of devices, or their names with commas between"
MLFLOW_DATABASE = "mlruns/mlflow.db"
COMPILE = (
    "Compile layers for training with `torch.compile`: minutes at first, for long trainings on a GPU; slower on a CPU."
)
KEEP_MEMORY = "Keep the memory that training frees; 0 returns it to the system, at a third of the speed on a CPU."


def variable(field: str) -> str:
    """Name of the environment variable of a field: `patience` is TRANSFERLINE_PATIENCE, `mlflow_...` is MLFLOW_..."""
    theirs = field.startswith(("prefect_", "mlflow_", "cuda_", "omp_", "dvc_"))
    return field.upper() if theirs else PREFIX + field.upper()


class Settings(BaseModel):
    """Every variable that transferline reads. A field is unset (its default) where the variable is missing or empty."""

    model_config = ConfigDict(frozen=True, alias_generator=variable)

    root: Annotated[Folder, About("a folder", "Folder of the project.", "the nearest with params.yaml")] = None
    store: Annotated[
        Text,
        About(
            "a folder or a URI",
            "Where checkpoints are kept; machines that share no disk need a URI.",
            "data/checkpoints",
        ),
    ] = None
    downloads: Annotated[Folder, About("a folder", "Where downloaded wheels are kept.", "data/downloads")] = None
    offline: Annotated[Switch, About(SWITCH, "Never contact the Hugging Face Hub.")] = False
    placement: Annotated[Placement, About("local, workers or ray", "Where GPU stages are computed.")] = "local"
    gpu_slots: Annotated[
        Text,
        BeforeValidator(_devices),
        About(DEVICES, "Devices that stages may use; `0+1` gives one stage two.", "CUDA_VISIBLE_DEVICES, else all"),
    ] = None
    slots: Annotated[
        Folder,
        About(
            "a folder",
            "Lock files that reserve this machine's devices; never on a shared disk.",
            "in the temporary folder",
        ),
    ] = None
    processes: Annotated[
        Count | None, About(COUNT, "Processes that train one model together, each on its share of every batch.", "1")
    ] = None
    sharded: Annotated[
        Switch, About(SWITCH, "Split the weights, gradients and moments of every layer over those processes.")
    ] = False
    compile: Annotated[Switch, About(SWITCH, COMPILE)] = False
    keep_memory: Annotated[Switch, About(SWITCH, KEEP_MEMORY)] = True
    gpus_per_stage: Annotated[
        Number,
        Field(gt=0),
        About("a number above 0", "GPUs that a stage requests from Ray; with 0.5 two stages share one."),
    ] = 1.0
    ray_address: Annotated[
        Text, About("an address", "A running Ray cluster, such as ray://head:10001.", "one is started here")
    ] = None
    most_starts: Annotated[Count, About(COUNT, "How often a run or stage that keeps dying is started.")] = 3
    patience: Annotated[
        Number, Field(ge=0), About("a number, 0 or more", "Seconds that registry look-ups wait for a tracking server.")
    ] = 900.0
    approval_hours: Annotated[
        Number, Field(gt=0), About("a number above 0", "Hours that a run waits for approval before it fails.")
    ] = 72.0
    command_hours: Annotated[
        Number, Field(gt=0), About("a number above 0", "Hours that a program such as DVC, git or pip may run.")
    ] = 12.0
    wait_hours: Annotated[
        Number, Field(gt=0), About("a number above 0", "Hours that a run waits for a lock, a device or a worker.")
    ] = 48.0
    sign_with: Annotated[
        Folder, About("a file", "Private key (PEM, elliptic curve) that signs every registered version.", "no signing")
    ] = None
    verify_with: Annotated[
        Folder, About("a file", "Public key; a version that it does not verify is not read.", "no verification")
    ] = None

    prefect_api_url: Annotated[
        Text, About("a URL", "A running Prefect server; `serve` then starts none.", "a temporary server")
    ] = None
    prefect_api_auth_string: Annotated[
        Text, About("user:password", "Password sent to the Prefect server.", "PREFECT_SERVER_API_AUTH_STRING")
    ] = None
    prefect_server_api_auth_string: Annotated[
        Text, About("user:password", "Password that the Prefect server of `serve` asks for.", "none")
    ] = None
    prefect_worker_query_seconds: Annotated[
        str, About("a number", "Seconds after which the workers of `serve` ask again for new runs.")
    ] = "3"
    mlflow_tracking_uri: Annotated[
        Text, About("a URI", "MLflow's server or database; `serve` starts no server if this is one.", MLFLOW_DATABASE)
    ] = None
    mlflow_backend_store_uri: Annotated[
        Text, About("a URI", "Database of the MLflow server of `serve`.", MLFLOW_DATABASE)
    ] = None
    mlflow_artifacts_destination: Annotated[
        Text, About("a folder or a URI", "Where that server keeps artifacts.", "mlruns/artifacts")
    ] = None
    mlflow_auth_config_path: Annotated[
        Text, About("a file", "Password settings of that server, which then asks for passwords.", "no passwords")
    ] = None
    cuda_visible_devices: Annotated[
        Text, About("names with commas between", "Devices that CUDA may use; empty means none.", "all devices")
    ] = None
    omp_num_threads: Annotated[
        Text,
        About(COUNT, "Threads of a process that trains on a CPU.", "all cores, or fewer if a trial is clearly faster"),
    ] = None

    parent: Annotated[
        Text,
        About("a process id", "The run that started this process; it is ended when that run is dead.", "none", True),
    ] = None
    dvc_stage: Annotated[
        Text,
        About(
            "a name", "The stage that `dvc repro` runs; set by DVC. It names the entry of params.yaml.", "none", True
        ),
    ] = None
    tended: Annotated[Switch, About(SWITCH, "A running `serve` restarts crashed runs.", internal=True)] = False


# variables whose empty value is a value of its own: no device is visible
_MAY_BE_EMPTY = (variable("cuda_visible_devices"),)
_NAMES = {variable(field): field for field in Settings.model_fields}
_ABOUT = {
    field: next(one for one in info.metadata if isinstance(one, About)) for field, info in Settings.model_fields.items()
}


def settings() -> Settings:
    """The settings of the environment as it is now. Raises InputError on the first variable with a wrong value."""
    found = {name: value.strip() for name in _NAMES if (value := os.environ.get(name)) is not None}
    try:
        return Settings.model_validate({name: v for name, v in found.items() if v or name in _MAY_BE_EMPTY})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        values = _ABOUT[_NAMES[name]].values
        raise InputError(name, f"{found[name]!r} is not {values}", f"Set it to {values}, or unset it") from error


def unknown() -> list[str]:
    """One warning for each TRANSFERLINE_ variable that does not exist, with the most similar name that does."""
    known = {name.removeprefix(PREFIX): name for name in _NAMES if name.startswith(PREFIX)}
    warnings = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in _NAMES:
            close = closest(name.removeprefix(PREFIX), known)
            hint = f"did you mean {known[close]}?" if close else "docs/reference.md lists the variables"
            warnings.append(f"{name} is set, but there is no such setting; {hint}")
    return warnings


def inherited(**changes: object) -> dict[str, str]:
    """The environment for a process started here: this one's, this interpreter's folder first on PATH, and changed fields."""
    folders = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": folders, **_written(changes)}


def passed_on(**changes: object) -> dict[str, str]:
    """Variables for a process on another machine, with some fields changed (see PASSED_ON)."""
    return {**{name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}, **_written(changes)}


def given(*fields: str) -> dict[str, str]:
    """Variables of some fields, as they are set. Fields that are not set are left out."""
    return {name: os.environ[name] for name in map(variable, fields) if name in os.environ}


def _written(changes: Mapping[str, object]) -> dict[str, str]:
    assert changes.keys() <= Settings.model_fields.keys(), changes
    return {variable(field): str(int(v)) if isinstance(v, bool) else str(v) for field, v in changes.items()}


def tables() -> str:
    """The documentation of all variables in Markdown: those for users, then those that transferline sets itself."""
    head = ["| variable | values | default | meaning |", "|---|---|---|---|"]
    rows: dict[bool, list[str]] = {False: [], True: []}
    for field, about in _ABOUT.items():
        default = about.default or _shown(Settings.model_fields[field].default)
        rows[about.internal].append(f"| {variable(field)} | {about.values} | {default} | {about.meaning} |")
    return "\n".join([*head, *rows[False], "", "Set by transferline itself, never by users:", "", *head, *rows[True]])


def _shown(default: Any) -> str:
    return f"{default:g}" if isinstance(default, int | float) else str(default)


def page_with_tables(page: str) -> str:
    """A page with the text between its two markers replaced by the tables of today."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

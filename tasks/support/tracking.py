"""MLflow tracking: one parent run per retrain, one child run per stage that was built (not reused).

Only MlflowClient is used, never the fluent API with its global active run: stages in several threads would write into each
other's runs. Metrics are sent in batches, because one request takes tens of milliseconds.
"""

from __future__ import annotations

import getpass
import logging
import time
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transferline.core.environment import restored
from transferline.core.project import root
from transferline.core.settings import settings, variable
from transferline.core.stage import Progress
from transferline.core.uris import without_credentials
from transferline.tasks.support import outbox
from transferline.tasks.support.locks import held
from transferline.tasks.support.mlflow_database import make_tables
from transferline.tasks.support.progress import notice
from transferline.tasks.support.provenance import commit
from transferline.tasks.support.run_owners import Heartbeat, close_dead_runs, owner_tags
from transferline.tasks.support.scope import scoped

FLUSH_EVERY = 10.0  # seconds between two batches of a stage's metrics
_client: Any = None


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the project's own sqlite database."""
    return settings().mlflow_tracking_uri or f"sqlite:///{root() / 'mlruns' / 'mlflow.db'}"


def has_runs() -> bool:
    """Whether anything can have been tracked: a server is declared, or the project has a database."""
    return not tracking_uri().startswith("sqlite:///") or Path(tracking_uri().removeprefix("sqlite:///")).exists()


def client() -> Any:
    """The MLflow client of this process. The first call creates the tables of the embedded database if necessary."""
    global _client
    uri = tracking_uri()
    if _client is None or _client.tracking_uri != uri:
        import mlflow

        for name in ("mlflow", "alembic"):  # their INFO lines about migrations and licences would hide ours
            logging.getLogger(name).setLevel(logging.ERROR)
        (root() / "mlruns").mkdir(exist_ok=True)
        with restored(
            variable("mlflow_tracking_uri")
        ):  # MLflow writes it; left there it would look like the user's own
            mlflow.set_tracking_uri(uri)
        if uri.startswith("http"):  # a server keeps its own tables, and may be away just now
            _client = mlflow.MlflowClient(uri)
            return _client
        with held("mlflow-schema"):  # concurrent migrations of an empty database fail
            make_tables(uri)
            _client = mlflow.MlflowClient(uri)
            _client.search_experiments(max_results=1)
    return _client


def experiment(name: str) -> str:
    """The id of an experiment, created if missing. With the embedded database, artifacts lie under mlruns/artifacts."""
    with held("mlflow-experiment"):
        found = client().get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        local = tracking_uri().startswith("sqlite")
        place = (root() / "mlruns" / "artifacts").as_uri() if local else None
        # marks the experiment as model training; which page the UI opens first remains a setting of the browser
        tags = {"mlflow.experimentKind": "custom_model_development"}
        return client().create_experiment(name, artifact_location=place, tags=tags)


class _Run:
    """An MLflow run as a context manager. It ends as FINISHED, FAILED or KILLED. All its entries go through the outbox."""

    def __init__(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> None:
        process = {
            **owner_tags(),
            "mlflow.user": getpass.getuser(),
            "mlflow.source.name": "transferline",
        }
        self.experiment_id = experiment_id
        self._run_id = outbox.create(client(), experiment_id, name, {**tags, **process})
        self._heartbeat = Heartbeat(self._beat)

    @property
    def run_id(self) -> str:
        """The server's id, or a provisional id while the server is unreachable."""
        return outbox.real_id(self._run_id)

    def _beat(self, tags: Mapping[str, str]) -> None:
        try:
            for name, value in tags.items():
                client().set_tag(self.run_id, name, value)
        except Exception as error:
            if not outbox.is_away(error):
                raise  # a heartbeat that the server missed is not sent later

    def _send(self, do: str, **what: Any) -> None:
        outbox.send(client(), {"do": do, "run": self._run_id, **what})

    def log(self, metrics: Mapping[str, float], step: int = 0, parameters: Mapping[str, str] | None = None) -> None:
        """Log metrics at a step, and parameters, in one request."""
        now = int(1000 * time.time())
        points = [[name, float(value), now, step] for name, value in metrics.items()]
        named = {name: str(value)[:6000] for name, value in (parameters or {}).items()}  # MLflow's limit of a parameter
        self._send("batch", metrics=points, parameters=named)

    def tag(self, tags: Mapping[str, str]) -> None:
        self._send("tags", tags=dict(tags))

    def figure(self, figure: Any, name: str) -> None:
        path = self._keep(name)
        figure.savefig(path)
        self._send("file", path=str(path), to=str(Path(name).parent))

    def text(self, text: str, name: str) -> None:
        path = self._keep(name)
        path.write_text(text, encoding="utf-8")
        self._send("file", path=str(path), to=None)

    def dataset(self, name: str, md5: str, path: Path, role: str) -> None:
        """Log a data set as an input of the run, with its md5 in DVC as the digest."""
        import mlflow.data.pandas_dataset
        import pandas as pd

        head = pd.read_json(path, lines=True, nrows=50)  # enough for MLflow's schema; the digest identifies the file
        with warnings.catch_warnings():  # MLflow warns that a local path matches two equivalent kinds of source
            warnings.simplefilter("ignore")
            described = mlflow.data.pandas_dataset.from_pandas(head, source=str(path), name=name, digest=f"dvc-{md5}")
            entity = dict(described._to_mlflow_entity())
        self._send("dataset", dataset=entity, tags={"mlflow.data.context": role, "dvc.md5": md5})

    def end(self, status: str) -> None:
        self._heartbeat.stop()
        self._send("end", status=status, time=int(1000 * time.time()))

    def _keep(self, name: str) -> Path:
        """Path in the outbox for a file until it is sent."""
        place = outbox.folder() / "files" / uuid.uuid4().hex
        place.mkdir(parents=True)
        return place / Path(name).name

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is not None:
            self.tag({"transferline.error": without_credentials(f"{type(error).__name__}: {error}")[:5000]})
        killed = kind is not None and not issubclass(kind, Exception)  # KeyboardInterrupt or SystemExit
        self.end("KILLED" if killed else "FAILED" if error is not None else "FINISHED")


class TransferRun(_Run):
    """The parent run of one retrain."""

    kind = "retrain"

    def __init__(self, target: str, recipe: str, seeds: int, title: str) -> None:
        where = outbox.patiently(lambda: experiment(scoped(target)), "the run")
        outbox.drain(client())  # entries that earlier runs could not send
        outbox.patiently(lambda: close_dead_runs(client()), "the run")
        tags = {"transferline.target": target, "transferline.recipe": recipe, "mlflow.source.git.commit": commit()}
        super().__init__(where, title, {**tags, "transferline.kind": self.kind})
        self.log({}, 0, {"target": target, "recipe": recipe, "seeds": str(seeds)})

    def __enter__(self) -> TransferRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        super().__exit__(kind, error, trace)
        if outbox.drain(client(), wait=error is None):
            close_dead_runs(client())  # of stages whose process was killed
        else:
            notice("waiting", "yellow", "logs are kept in the store's .outbox; the next run sends them")


class ComparisonRun(TransferRun):
    """The parent run of one comparison."""

    kind = "compare"

    def __init__(self, target: str, comparison: str, seeds: int) -> None:
        super().__init__(target, f"comparison {comparison}", seeds, f"{target} compare {comparison}")

    def __enter__(self) -> ComparisonRun:
        return self

    def file(self, path: Path, to: str | None = None) -> None:
        """Log a file as an artifact of the run."""
        kept = self._keep(path.name)
        kept.write_bytes(path.read_bytes())
        self._send("file", path=str(kept), to=to)


class StageRun(_Run):
    """The child run of one stage. Buffers its metrics and plots its loss curve."""

    def __init__(
        self, parent: str, experiment_id: str, title: str, parameters: Mapping[str, str], data: Mapping[str, Path]
    ) -> None:
        super().__init__(experiment_id, title, {"mlflow.parentRunId": parent, "transferline.kind": "stage"})
        self.title, self.rows, self.sent, self.flushed = title, list[dict[str, float]](), 0, time.monotonic()
        self.log({}, 0, parameters)
        for role, path in data.items():
            if f"data.{role}" in parameters:
                self.dataset(f"{path.parent.name}-{role}", parameters[f"data.{role}"], path, role)

    def __enter__(self) -> StageRun:
        return self

    def report(self, progress: Progress) -> None:
        """Buffer the metrics of a progress report. They are sent with the next batch."""
        self.rows.append({"step": progress.done, **progress.metrics})
        if time.monotonic() - self.flushed >= FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Send all buffered metrics in one batch."""
        now = int(1000 * time.time())
        points = [
            [name, float(value), now, int(row["step"])]
            for row in self.rows[self.sent :]
            for name, value in row.items()
            if name != "step"
        ]
        if points:
            self._send("batch", metrics=points, parameters={})
        self.sent, self.flushed = len(self.rows), time.monotonic()

    def finish(self, summary: Mapping[str, float], spent: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Send remaining metrics, the summary, the cost (`spent`), the tags, and the loss curve if the stage has a loss."""
        from transferline.evaluation.run_figures import loss_curve

        self.flush()
        cost = {f"cost/{name}": value for name, value in spent.items()}
        self.log({**{f"final/{name}": value for name, value in summary.items()}, **cost})
        self.tag(tags)
        if any("loss" in row for row in self.rows):
            self.figure(loss_curve(self.rows, self.title), "figures/loss.png")

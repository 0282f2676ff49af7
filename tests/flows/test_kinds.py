"""Every kind of target from training to serving: verdict, registration, restore from the registry, MLflow serving."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bases import write_tiny
from tests.kinds import QUICK, SPECS, write_rows
from tests.project import declare, environment, make_project
from transferline.core.checkpoint import intact

KINDS = [kind for kind in SPECS if kind != "single-label"]  # tested in test_retrain.py
SENTENCE = "the film was lovely and clever with a warm ending"
TUNE = {"method": "full", **QUICK, "epochs": 8}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Path:
    """A project with one target of each kind, each retrained once."""
    project = make_project(tmp_path_factory.mktemp("kinds") / "project")
    write_rows(project / "rows.jsonl")
    write_tiny("llama", project / "writer")
    common = {
        "domain": "rows",
        "data": "rows.jsonl",
        "split": {"test": 0.3, "validation": 0.2},
        "margin": 0.5,
        "proof": "margin",
    }
    recipe = {"generation": "writing"}
    declare(
        project,
        default_target="pairs",
        domains={},
        targets={kind: {**common, **SPECS[kind], "recipe": recipe.get(kind, "full")} for kind in KINDS},
        bases={"tiny": {"method": "folder", "path": "tiny"}, "writer": {"method": "folder", "path": "writer"}},
        recipes={
            "full": {"base": "tiny", "tune": TUNE},
            "writing": {"base": "writer", "tune": {**TUNE, "method": "lora", "pooling": "first"}},
            "masked-writing": {"base": "writer", "adapt": [{"method": "masked"}], "tune": {**TUNE, "pooling": "first"}},
        },
    )
    command = [sys.executable, "-P", "-m", "transferline", "run", "--all"]
    here = environment(project, PREFECT_API_URL=prefect_api)
    done = subprocess.run(command, cwd=project, env=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def inside(line: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(line))
    monkeypatch.chdir(line)
    return line


def version(kind: str) -> Any:
    from transferline.tasks.support.tracking import client

    return client().get_model_version_by_alias(kind, "challenger")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_judged_registered_and_served(kind: str, inside: Path) -> None:
    import mlflow
    import pandas as pd

    from transferline.data.declarations import METRICS_OF

    found = version(kind)
    run = mlflow.get_run(found.run_id)
    task: Any = SPECS[kind].get("task", "single-label")
    for metric in METRICS_OF[task]:
        values = [run.data.metrics[f"test/challenger/{metric}{end}"] for end in ("/low", "", "/high")]
        assert values == sorted(values)
    columns = {"text": [SENTENCE, "dull"]} | ({"pair": ["a bright plot", "cold"]} if kind == "pairs" else {})
    answer = mlflow.pyfunc.load_model(f"models:/{kind}@challenger").predict(pd.DataFrame(columns))
    assert len(answer) == 2
    if kind == "tokens":
        assert len(answer["prediction"][0].split()) == len(SENTENCE.split())
    if kind == "regression":  # labels lie between 50 and 90: outputs must be in the same units
        assert 40 < answer["prediction"][0] < 110


SLOWER = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("tokens", "regression")]


@pytest.mark.parametrize("kind", ["multi-label", *SLOWER, "generation"])
def test_recipes_are_compared_on_every_kind(kind: str, inside: Path, prefect_api: str) -> None:
    from transferline.flows.compare import compare

    recipe = "writing" if kind == "generation" else "full"
    outcome = compare(kind, recipes=[recipe], budgets=[0.5] if kind in ("multi-label", "tokens") else None)
    assert outcome["ship"] in ("", recipe, "frozen-probe")
    html = Path(outcome["report"]).read_text(encoding="utf-8")
    assert html.count("<svg") >= 3
    assert "majority (control)" in html


@pytest.mark.parametrize("kind", ["pairs", "generation"])
def test_a_version_served_with_our_code_comes_back_byte_for_byte(kind: str, inside: Path) -> None:
    from transferline.core.project import store
    from transferline.tasks.registering import bring_back

    found = version(kind)
    shutil.rmtree(store() / found.tags["transferline.key"])
    key = bring_back(found)
    assert intact(store() / key)


def test_a_served_model_needs_nothing_of_this_project(inside: Path, tmp_path: Path) -> None:
    """A version is served in a process that cannot import this project: the logged code is enough."""
    import mlflow

    folder = mlflow.artifacts.download_artifacts(version("tokens").source, dst_path=str(tmp_path))
    script = f"""
import sys
from pathlib import Path
sys.path = [p for p in sys.path if p not in ("", ".") and not (Path(p) / "transferline" / "core").is_dir()]
sys.meta_path = [f for f in sys.meta_path if "editable" not in str(f).lower()]
import pandas as pd, mlflow
model = mlflow.pyfunc.load_model({folder!r})
print(model.predict(pd.DataFrame({{"text": [{SENTENCE!r}]}}))["prediction"][0])
import transferline
assert {str(tmp_path)!r} in transferline.__file__, transferline.__file__
"""
    bare = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(SENTENCE.split())


def test_a_base_that_cannot_do_what_the_recipe_asks_is_refused_by_plan(inside: Path) -> None:
    command = [sys.executable, "-P", "-m", "transferline", "plan", "generation", "masked-writing"]
    done = subprocess.run(command, cwd=inside, env=environment(inside), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "asks for masked LM, which a base of the family 'llama' (decoder) cannot do" in done.stderr
    assert "causal LM" in done.stderr


@pytest.mark.slow
def test_texts_are_labelled_by_every_kind_of_model(inside: Path) -> None:
    (inside / "new.csv").write_text(f"text,pair\n{SENTENCE},a dull plot\n", encoding="utf-8")
    for kind in KINDS:
        words = ["predict", kind, "new.csv", "--version", "challenger", "--output", f"{kind}.jsonl"]
        words += ["--pair", "pair"] if kind == "pairs" else []
        command = [sys.executable, "-P", "-m", "transferline", *words]
        done = subprocess.run(command, cwd=inside, env=environment(inside), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (inside / f"{kind}.jsonl").read_text().strip()

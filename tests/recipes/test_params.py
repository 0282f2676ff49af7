from __future__ import annotations

from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.recipes.params import load_params

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_the_shipped_file_is_right() -> None:
    params = load_params(SHIPPED)
    assert params.default_target in params.targets


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("default_target: film-sentiment", "default_target: nothing", "default_target.*'nothing' is not declared"),
        ("metric: accuracy", "metric: luck", "targets.film-sentiment"),
        ("margin: 0.01", "margn: 0.01", "targets.film-sentiment.margn"),
        ("base: minilm", "base: maxilm", "recipes.*base.*'maxilm' is not declared"),
        ("method: masked", "method: magic", "recipes.default.adapt.0"),
        ("sha256: d4", "sha256: xx", "sources.movie-reviews"),
        ("domains:", "domains: [", "not YAML"),
        ("\npairs:\n", "\npears:\n", "pairs: Field required"),
        ("{source: tweets/tweet-tone,", "{source: tweets/nobody,", "pairs.tweets-for-goods.source.*is not declared"),
        ("{source: tweets/tweet-tone,", "{source: tweet-tone,", "pairs.tweets-for-goods.source.*pattern"),
        (
            "source_tasks: [other]",
            "source_tasks: [nobody]",
            "recipes.pooled-probe.*source_tasks: 'nobody' is not declared",
        ),
        ("  news-topics:", "  news; rm -rf x:", r"targets.*'news; rm -rf x' is not a valid name"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_params(edited(tmp_path, old, new))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="film-sentiment"):
        load_params(SHIPPED).target("flim-sentiment")


def test_no_file_says_where_to_stand(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Run from the project's folder"):
        load_params(tmp_path / "params.yaml")

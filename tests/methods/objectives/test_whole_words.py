"""Laws of masking whole words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.kinds import within
from transferline.core.problem import IGNORED_LABEL

Base = Callable[[str], Path]


class TestWholeWords:
    def test_all_pieces_of_a_chosen_word_are_predicted_and_fifteen_percent_of_words_are_chosen(self) -> None:
        from transferline.methods.objectives.masked import mask

        starts = np.arange(1000) < 500  # tokens from 500 on continue a word
        special = np.array([0, 1, 2])
        rng = np.random.default_rng(0)
        words = chosen = 0
        for i in range(300):
            block = np.concatenate(
                [[1], np.where(rng.random(62) < 0.4, rng.integers(500, 1000, 62), rng.integers(3, 500, 62)), [2]]
            )
            block[1] = 5
            _, [labels] = mask(
                block[None], [(0, 0, i)], 0.15, mask_id=3, vocabulary=np.arange(3, 1000), special=special, starts=starts
            )
            word = np.cumsum(starts[block] | np.isin(block, special))
            for number in np.unique(word[1:-1]):
                inside = labels[word == number] != IGNORED_LABEL
                assert inside.all() or not inside.any()
                words, chosen = words + 1, chosen + int(inside[0])
            assert (labels[[0, -1]] == IGNORED_LABEL).all()
        assert within(chosen, words, 0.15)

    def test_the_three_marks_of_a_words_beginning(self, tiny: Path, bases: Base) -> None:
        from transferline.methods.objectives.masked import word_starts

        class Fake:
            def __init__(self, tokens: list[str]) -> None:
                self.tokens = tokens

            def __len__(self) -> int:
                return len(self.tokens)

            def convert_ids_to_tokens(self, ids: range) -> list[str]:
                return [self.tokens[i] for i in ids]

        assert word_starts(Fake(["a", "##b"])).tolist() == [True, False]
        assert word_starts(Fake(["\u2581a", "b"])).tolist() == [True, False]
        assert word_starts(Fake(["\u0120a", "b"])).tolist() == [True, False]
        assert word_starts(Fake(["a", "b"])).tolist() == [True, True]

"""Overlap of generated texts with their references: chrF, BLEU and ROUGE-L.

chrF and BLEU of a test are those of its corpus, as sacreBLEU reports them: counts are summed over the texts before the score is
computed. Scores lie between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import regex

from transferline.core.scripts import UNSPACED

ORDERS = 6  # longest character n-gram (Popovic, "chrF", 2015)
_BETA = 2  # recall counts twice as much as precision (Popovic, "chrF deconstructed", 2016)
_WORD_ORDERS = 4  # longest word n-gram (Papineni et al., "BLEU", 2002)

# In scripts without spaces, a word is one character with its marks.
_WORD = regex.compile(rf"{UNSPACED}\p{{M}}*|(?:(?!{UNSPACED})[\p{{L}}\p{{N}}\p{{M}}])+")


def chrf_counts(predicted: Iterable[object], labels: Iterable[object]) -> np.ndarray:
    """(n, 18): for each order of character n-grams, their number in the prediction, in the label, and in both."""
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    rows = []
    for text, label in zip(predicted, labels, strict=True):
        sides = (extract_all_char_ngrams(str(side), ORDERS) for side in (text, label))
        rows.append([n for one, other in zip(*sides, strict=True) for n in _counts(one, other)])
    return np.array(rows, dtype=float).reshape(-1, 3 * ORDERS)


def _counts(predicted: dict, label: dict) -> tuple[int, int, int]:
    # as in sacreBLEU, a prediction's n-grams do not count where the label is too short to have any
    both = sum(min(count, label.get(ngram, 0)) for ngram, count in predicted.items())
    return sum(predicted.values()) if label else 0, sum(label.values()), both


def chrf(counts: np.ndarray) -> np.ndarray:
    """(n,): chrF of rows of counts (n, 18). Orders that either side lacks are left out. As sacreBLEU's `CHRF`."""
    predicted, labels, both = np.moveaxis(counts.reshape(-1, ORDERS, 3), -1, 0)
    present = (predicted > 0) & (labels > 0)
    orders = np.maximum(present.sum(axis=1), 1)
    precision = np.where(present, both / np.maximum(predicted, 1), 0).sum(axis=1) / orders
    recall = np.where(present, both / np.maximum(labels, 1), 0).sum(axis=1) / orders
    total = _BETA**2 * precision + recall
    return np.where(total > 0, (1 + _BETA**2) * precision * recall / np.where(total > 0, total, 1), 0.0)


def bleu_counts(predicted: Iterable[object], labels: Iterable[object]) -> np.ndarray:
    """(n, 10): right word n-grams and all, for orders 1 to 4, then the number of words in the prediction and in the label.

    sacreBLEU's tokenizer 13a splits the words. It does not split scripts without spaces: use chrF for those.
    """
    from sacrebleu.metrics import BLEU

    scorer = BLEU()
    pairs = zip(predicted, labels, strict=True)
    found = [scorer.corpus_score([str(text)], [[str(label)]]) for text, label in pairs]
    return np.array([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in found], dtype=float).reshape(
        -1, 10
    )


def bleu(counts: np.ndarray) -> np.ndarray:
    """(n,): BLEU of rows of counts (n, 10). An order without a right n-gram is smoothed exponentially, as in sacreBLEU's `BLEU`."""
    right, every = counts[:, :_WORD_ORDERS], counts[:, _WORD_ORDERS : 2 * _WORD_ORDERS]
    length, wanted = counts[:, -2], counts[:, -1]
    smoothed = 0.5 ** np.cumsum(right == 0, axis=1)
    precision = np.where(right == 0, smoothed, right) / np.maximum(every, 1)
    defined = (every > 0).all(axis=1) & (right > 0).any(axis=1)  # a prediction shorter than four words has no BLEU
    brevity = np.exp(np.minimum(0, 1 - wanted / np.maximum(length, 1)))
    return np.where(defined, brevity * np.exp(np.log(precision).mean(axis=1)), 0.0)


def rouge_l(predicted: Iterable[object], labels: Iterable[object]) -> np.ndarray:
    """(n,): ROUGE-L F of each text (Lin, "ROUGE", 2004), as the package rouge-score computes it on words of ASCII letters."""
    pairs = zip(predicted, labels, strict=True)
    return np.array([_rouge_l(words(str(text)), words(str(label))) for text, label in pairs])


def words(text: str) -> list[str]:
    """Lower-case words of any script. A text without letters and digits is split into its characters."""
    return _WORD.findall(text.lower()) or [character for character in text if not character.isspace()]


def _rouge_l(predicted: Sequence[str], label: Sequence[str]) -> float:
    if not predicted and not label:
        return 1.0  # both texts are empty, so they are equal
    return 2 * _longest_common(predicted, label) / (len(predicted) + len(label))


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    best = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for j, match in enumerate(other):
            diagonal, best[j + 1] = best[j + 1], diagonal + 1 if word == match else max(best[j + 1], best[j])
    return best[-1]

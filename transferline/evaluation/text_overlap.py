"""How much two texts overlap: chrF and ROUGE-L of each pair."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def chrf(predicted: Iterable[object], labels: Iterable[object]) -> np.ndarray:
    """(n,): character n-gram F of each text, 0 to 1. Popovic (2015), computed by torchmetrics."""
    from torchmetrics.functional.text import chrf_score

    outputs, references = [str(text) or " " for text in predicted], [[str(text)] for text in labels]
    _, each = chrf_score(outputs, references, n_word_order=0, return_sentence_level_score=True)
    return each.numpy().astype(float).reshape(-1)


def rouge_l(predicted: Iterable[object], labels: Iterable[object]) -> np.ndarray:
    """(n,): ROUGE-L F of each text, 0 to 1. Lin (2004), computed by torchmetrics."""
    from torchmetrics.functional.text import rouge_score

    pairs = zip(predicted, labels, strict=True)
    return np.array([float(rouge_score(str(p), str(r), rouge_keys="rougeL")["rougeL_fmeasure"]) for p, r in pairs])

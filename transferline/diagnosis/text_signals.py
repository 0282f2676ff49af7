"""What reading a target's texts says: how surprised a language model is, and what words alone tell of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transferline.core.problem import TargetKind
from transferline.core.runtime import Runtime
from transferline.data.blocks import pack, stream_of, tokenise
from transferline.data.feature_matrix import sparse
from transferline.diagnosis.layer_probes import folds_of
from transferline.methods.objectives.causal import CausalLearner
from transferline.methods.objectives.masked import MaskedLearner
from transferline.methods.objectives.objective import mean_loss
from transferline.methods.parameter.linear import fit_linear, score_linear
from transferline.models.families import family_of
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model

BLOCK = 64
BLOCKS = 32  # blocks that are read: enough for two digits of a loss


def perplexity_of(folder: Path, texts: Sequence[str], runtime: Runtime) -> float | None:
    """Perplexity of a base on texts. None if it has no language model, or no pretrained head for one."""
    family, tokenizer = family_of(folder), load_tokenizer(folder)
    if family.can("causal LM"):
        model, _ = load_model("AutoModelForCausalLM", folder, 0)
        blocks = stream_of(tokenise(tokenizer, list(texts)), BLOCK, tokenizer.eos_token_id)[:BLOCKS]
        model.to(runtime.device)
        return float(np.exp(mean_loss(CausalLearner(model, blocks), blocks))) if len(blocks) else None
    if not family.can("masked LM") or tokenizer.mask_token_id is None:
        return None
    model, new = load_model("AutoModelForMaskedLM", folder, 0)
    if new:
        return None
    pair = tokenizer.cls_token_id, tokenizer.sep_token_id
    blocks = pack(tokenise(tokenizer, list(texts)), BLOCK, *pair)[:BLOCKS]
    model.to(runtime.device)
    learner = MaskedLearner(model, tokenizer, blocks, probability=0.15, seed=0, new=new, head_warmup=0.0)
    return float(np.exp(mean_loss(learner, blocks))) if len(blocks) else None


def words_score(kind: TargetKind, texts: Sequence[str], y_true: np.ndarray, width: int | None = None) -> float:
    """What TF-IDF (of rows with `width` columns: the columns) and a linear model score, by the folds of the probes."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    scores = []
    for train, test in folds_of(kind, y_true):
        words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
        sides = [[texts[i] for i in part] for part in (train, test)]
        learnt, held = (
            (words.fit_transform(sides[0]), words.transform(sides[1]))
            if width is None
            else (sparse(side, width) for side in sides)
        )
        model = fit_linear(kind, 10.0, learnt, y_true[train])
        scores.append(score_linear(kind, model, held, y_true[test]))
    return float(np.mean(scores))

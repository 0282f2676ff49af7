"""New tokens in a model and its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def add_tokens(model: Any, tokenizer: Any, new: Sequence[str], seed: int | None = None) -> None:
    """Give new tokens a row in the embeddings (and in the output layer that is tied to them).

    A row starts as the mean of the pieces into which the old `tokenizer` cuts its word; with a `seed`, as a random old row.
    """
    import torch

    old = model.get_input_embeddings().weight.detach().clone()
    pieces = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in new]
    first = len(tokenizer)
    model.resize_token_embeddings(max(len(old), first + len(new)), mean_resizing=False)
    generator = torch.Generator().manual_seed(seed or 0)
    with torch.no_grad():
        for weight in {id(w): w for w in _tables(model)}.values():
            for i, ids in enumerate(pieces):
                if seed is not None:
                    weight[first + i] = weight[int(torch.randint(len(old), (1,), generator=generator))]
                elif ids:
                    weight[first + i] = weight[ids].mean(dim=0)


def _tables(model: Any) -> list[Any]:
    """The input embeddings, and the output layer where it is as long."""
    tables = [model.get_input_embeddings().weight]
    out = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return tables if out is None else [*tables, out.weight]


def start_every_text_with(tokenizer: Any, names: Sequence[str]) -> Any:
    """The tokenizer with some of its tokens set before whatever it reads."""
    from tokenizers.processors import Sequence as InTurn
    from tokenizers.processors import TemplateProcessing

    backend = tokenizer.backend_tokenizer
    before = " ".join(names)
    ids = [(name, tokenizer.convert_tokens_to_ids(name)) for name in names]
    template = TemplateProcessing(single=f"{before} $A:0", pair=f"{before} $A:0 $B:1", special_tokens=ids)
    backend.post_processor = InTurn([backend.post_processor, template]) if backend.post_processor else template
    return tokenizer

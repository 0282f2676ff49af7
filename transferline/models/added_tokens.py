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
    """The tokenizer with some of its tokens set before whatever it reads, a text or a pair of texts."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    first = [f"{name}:0" for name in names]
    one, two = _template(tokenizer, ("a",)), _template(tokenizer, ("a", "a"))
    used = [*names, *(part.rsplit(":", 1)[0] for part in (*one, *two) if not part.startswith("$"))]
    ids = [(name, tokenizer.convert_tokens_to_ids(name)) for name in dict.fromkeys(used)]
    backend = tokenizer.backend_tokenizer
    backend.post_processor = TemplateProcessing(single=[*first, *one], pair=[*first, *two], special_tokens=ids)
    # a tokenizer of the family's own class would set the family's own frame again when it is loaded
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        truncation_side=tokenizer.truncation_side,
        model_input_names=tokenizer.model_input_names,
        additional_special_tokens=list(names),
        **{role: str(token) for role, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
    )


def _template(tokenizer: Any, texts: tuple[str, ...]) -> list[str]:
    """What a tokenizer sets around a text or a pair, in the language of templates: `[CLS]:0 $A:0 [SEP]:0`."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer(*texts, return_token_type_ids=True)
    ids, types = whole["input_ids"], whole["token_type_ids"]
    template, sides, place = [], iter("AB"), 0
    while place < len(ids):
        if ids[place : place + len(bare)] == bare:
            template.append(f"${next(sides)}:{types[place]}")
            place += len(bare)
        else:
            template.append(f"{tokenizer.convert_ids_to_tokens(ids[place])}:{types[place]}")
            place += 1
    return template

"""Add tokens to a model and its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def add_tokens(model: Any, tokenizer: Any, new: Sequence[str], seed: int | None = None) -> None:
    """Add one row per new token to the embeddings, and to the output layer where it has one row per token.

    `tokenizer` is the tokenizer before the tokens are added. A new row is the mean embedding of the pieces into which `tokenizer`
    splits the word. With a `seed` it is a copy of a random old row instead. Changes `model` in place.
    """
    import torch

    # a copy: resizing may replace the table
    old = model.get_input_embeddings().weight.detach().clone()
    pieces = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in new]
    first = len(tokenizer)
    # some models have more rows than their tokenizer has tokens: the spare rows are used first, and the table never shrinks
    model.resize_token_embeddings(max(len(old), first + len(new)), mean_resizing=False)
    generator = torch.Generator().manual_seed(seed or 0)
    with torch.no_grad():
        # by identity: a tied table is written once
        for weight in {id(w): w for w in _token_tables(model)}.values():
            for i, ids in enumerate(pieces):
                if seed is not None:
                    weight[first + i] = weight[int(torch.randint(len(old), (1,), generator=generator))]
                elif ids:
                    weight[first + i] = weight[ids].mean(dim=0)


def _token_tables(model: Any) -> list[Any]:
    """Weights with one row per token: the input embeddings and, where the model has one, the output layer."""
    tables = [model.get_input_embeddings().weight]
    out = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return tables if out is None else [*tables, out.weight]


def start_every_text_with(tokenizer: Any, names: Sequence[str]) -> Any:
    """Return a tokenizer that puts the tokens `names` before every text and every pair of texts.

    Changes the post-processor of `tokenizer` as well, because both share one backend.
    """
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    first = [f"{name}:0" for name in names]
    one, two = _template(tokenizer, ("a",)), _template(tokenizer, ("a", "a"))
    used = [*names, *(part.rsplit(":", 1)[0] for part in (*one, *two) if not part.startswith("$"))]
    ids = [(name, tokenizer.convert_tokens_to_ids(name)) for name in dict.fromkeys(used)]
    backend = tokenizer.backend_tokenizer
    # one template with everything: two templates in a post-processor `Sequence` are not implemented in tokenizers
    backend.post_processor = TemplateProcessing(single=[*first, *one], pair=[*first, *two], special_tokens=ids)
    # A family's own class rebuilds its default special tokens when it is loaded, in spite of tokenizer.json.
    # The plain class keeps the post-processor.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        truncation_side=tokenizer.truncation_side,
        model_input_names=tokenizer.model_input_names,
        additional_special_tokens=list(names),
        **{role: str(token) for role, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
    )


def _template(tokenizer: Any, texts: tuple[str, ...]) -> list[str]:
    """The special tokens around a text or a pair of texts, as a template of tokenizers: `[CLS]:0 $A:0 [SEP]:0`.

    Every text in `texts` must be "a": the template is read off an encoding, by finding the ids of "a" in it.
    """
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    encoded = tokenizer(*texts, return_token_type_ids=True)
    ids, types = encoded["input_ids"], encoded["token_type_ids"]
    template, sides, position = [], iter("AB"), 0
    while position < len(ids):
        if ids[position : position + len(bare)] == bare:
            template.append(f"${next(sides)}:{types[position]}")
            position += len(bare)
        else:
            template.append(f"{tokenizer.convert_ids_to_tokens(ids[position])}:{types[position]}")
            position += 1
    return template

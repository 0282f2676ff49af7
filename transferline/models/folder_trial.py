"""Try a fetched model folder before anything is built on it: its tokenizer on some texts, its weights against its config.

python -P -m transferline.models.folder_trial TOKENIZER.json encodes the texts. It is a process of its own, because a tokenizer's
rules may use any memory and time, and may end the interpreter.
"""

from __future__ import annotations

import json
import resource
import string
import sys
from pathlib import Path
from typing import Any

from transferline.core.commands import run_command
from transferline.core.errors import InputError
from transferline.models.weights import load_config, stored_shapes

SECONDS, MEMORY = 60, 4 * 2**30  # of the processor, and bytes; the largest tokenizers in use take some seconds and 1 GB
MOST_TOKENS = 10  # tokens that one byte of text may become; byte-level tokenizers give one
LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers")
_TEXTS = (
    string.printable,
    "a" * 2000 + "!",
    " " * 500 + "\n" * 500,
    "Ein Satz, une phrase, одно предложение, 一句话, جملة واحدة, ประโยคหนึ่ง, 🙂",
)
_MEND = "Fetch or save the model again"


def try_tokenizer(folder: Path) -> None:
    """Encode some texts with tokenizer.json, if there is one. Raises InputError if that fails or takes a minute or 4 GB."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    command = [sys.executable, "-P", "-m", "transferline.models.folder_trial", str(path.resolve())]
    done = run_command(command, f"trying {path}", hours=0.25)
    if done.code:
        said = (done.err.strip().splitlines() or [f"its process ended with {done.code}"])[-1][:300]
        raise InputError(path, f"is no tokenizer that can encode a text ({said})", _MEND)


def check_fit(folder: Path) -> None:
    """Raise InputError where config.json describes other shapes or more layers than the weights have. Reads no weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    stored = stored_shapes(folder)
    layers = max((config[name] for name in LAYERS if isinstance(config.get(name), int)), default=0)
    if layers > len(stored):
        what = f"asks for {layers} layers, and the weights are {len(stored)} tensors"
        raise InputError(folder / "config.json", what, _MEND)
    expected, prefix = _expected_shapes(folder)
    for name, shape in stored.items():
        for candidate in (name, name.removeprefix(prefix), prefix + name):
            if expected.get(candidate, shape) != shape:
                what = f"the tensor {name!r} has the shape {shape}, and config.json asks for {expected[candidate]}"
                raise InputError(folder, what, "Save the model and its config together again")


def _expected_shapes(folder: Path) -> tuple[dict[str, list[int]], str]:
    """Shapes by name in the encoder that config.json describes, and the prefix of these names in a model with a head."""
    import torch
    from transformers import AutoModel

    try:
        with torch.device("meta"):  # no memory is taken
            model = AutoModel.from_config(load_config(folder))
    except Exception as error:  # an impossible config raises many kinds of errors: each is one line
        said = " ".join(str(error).split())[:300]
        raise InputError(folder / "config.json", f"describes no model that can be made ({said})", _MEND) from error
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    return shapes, f"{model.base_model_prefix}."


def main(path: str) -> int:
    """Encode the texts with a tokenizer. Errors end the process with their text on standard error."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    from tokenizers import Tokenizer

    try:
        tokenizer: Any = Tokenizer.from_file(path)
        for text in _TEXTS:
            tokens, size = len(tokenizer.encode(text).ids), len(text.encode())
            if tokens > 100 + MOST_TOKENS * size:
                raise ValueError(f"{size} bytes of text become {tokens:,} tokens")
    except BaseException as error:  # noqa: BLE001 - a panic of the tokenizer's own code is no Exception
        print(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

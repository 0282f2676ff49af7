"""Recurrent language models: AWD-LSTM and an ELMo-style biLM.

AWD-LSTM: Merity, Keskar & Socher, "Regularizing and Optimizing LSTM Language Models" (2018), sections 2 and 4. LSTM layers with
DropConnect on the hidden-to-hidden weights, one dropout mask for a whole sequence, dropout of whole words from the embeddings, and
embeddings tied to the softmax. ULMFiT (Howard & Ruder 2018) fine-tunes this model.

biLM: Peters et al., "Deep contextualized word representations" (2018), section 3.1. A forward and a backward LSTM that share the
embeddings and the softmax. The input is the tokenizer's word pieces instead of a character CNN.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

# Merity et al. 2018, section 5: input, embedding and weight dropout, before the factor `dropout`
LOCKED, WORDS, WEIGHTS = 0.25, 0.1, 0.5


class RecurrentConfig(PreTrainedConfig):
    """Sizes, and `dropout`: a factor on all dropouts of the paper (ULMFiT, section 4.1, scales them together)."""

    vocab_size: int = 1000
    hidden_size: int = 128
    inner_size: int = 256
    num_hidden_layers: int = 3
    dropout: float = 0.4
    pooling: str = "own"
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | None = None


class AwdLstmConfig(RecurrentConfig):
    """`hidden_size` is the size of the embeddings and of the last layer, `inner_size` that of the layers between."""

    model_type = "transferline-awd-lstm"


class BiLmConfig(RecurrentConfig):
    """`hidden_size` is the size of both directions together."""

    model_type = "transferline-bilm"
    num_hidden_layers: int = 2


class Layer(torch.nn.Module):
    """LSTM layer with DropConnect on the hidden-to-hidden weights: (batch, tokens, wide) -> (batch, tokens, out)."""

    def __init__(self, wide: int, out: int, dropped: float) -> None:
        super().__init__()
        self.weight_ih = torch.nn.Parameter(torch.empty(4 * out, wide))
        self.weight_hh = torch.nn.Parameter(torch.empty(4 * out, out))
        self.bias_ih = torch.nn.Parameter(torch.empty(4 * out))
        self.bias_hh = torch.nn.Parameter(torch.empty(4 * out))
        self.dropped, self.out = dropped, out

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        start = hidden.new_zeros(1, len(hidden), self.out)
        # one mask over the weights for all steps, so that the fused LSTM can be used (Merity et al. 2018, section 2)
        recurrent = torch.nn.functional.dropout(self.weight_hh, self.dropped, self.training).to(hidden.dtype)
        biases = [self.bias_ih.to(hidden.dtype), self.bias_hh.to(hidden.dtype)]
        weights = [self.weight_ih.to(hidden.dtype), recurrent, *biases]
        lstm: Any = torch.lstm
        # has biases, one layer, no dropout between layers, training, one direction, batch first
        return lstm(hidden, (start, start), weights, True, 1, 0.0, self.training, False, True)[0]


def started(module: torch.nn.Module) -> bool:
    """Initialise a module if it is an embedding or one of our LSTM layers, and return whether it was.

    `transformers.initialization` leaves parameters alone that were loaded from a folder.
    """
    if isinstance(module, torch.nn.Embedding):
        # 0.1 at 400 units, as published, with the same norm at any width: small tied embeddings start on a long plateau
        edge = 2 * module.embedding_dim**-0.5
        init.uniform_(module.weight, -edge, edge)
    elif isinstance(module, Layer):
        # each gate by Glorot & Bengio (2010), so that the input still has an effect at the top of a stack
        for weight in (module.weight_ih, module.weight_hh):
            edge = (6 / (module.out + weight.shape[1])) ** 0.5
            init.uniform_(weight, -edge, edge)
        for bias in (module.bias_ih, module.bias_hh):
            init.zeros_(bias)
    else:
        return False
    return True


def locked(hidden: torch.Tensor, share: float, training: bool) -> torch.Tensor:
    """Variational dropout: one mask for all tokens of a sequence."""
    if not training or share == 0:
        return hidden
    mask = torch.nn.functional.dropout(hidden.new_ones(len(hidden), 1, hidden.shape[2]), share, True)
    return hidden * mask


def reverse(hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Reverse the tokens of each text and leave its padding in place, (batch, tokens, ...). Applied twice it changes nothing."""
    if mask is None:
        return hidden.flip(1)
    positions = torch.arange(hidden.shape[1], device=hidden.device).expand(len(hidden), -1)
    last = mask.sum(dim=1, keepdim=True) - 1
    order = torch.where(mask.bool(), last - positions, positions)
    return hidden.gather(1, order.unsqueeze(-1).expand_as(hidden))


class RecurrentModel(PreTrainedModel):
    """Embeddings and a stack of LSTM layers. Subclasses define the layers and their directions."""

    config_class: Any = RecurrentConfig
    base_model_prefix = "recurrent"

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.embedding = torch.nn.Embedding(config.vocab_size, self.wide(), padding_idx=config.pad_token_id)
        self.stack()
        self.post_init()

    def wide(self) -> int:
        """Width of the embeddings."""
        return self.config.hidden_size

    def stack(self) -> None:
        """Create the layers."""
        raise NotImplementedError(type(self).__name__)  # abstract

    def _init_weights(self, module: torch.nn.Module) -> None:
        if not started(module):
            super()._init_weights(module)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.embedding

    def set_input_embeddings(self, value: Any) -> None:
        self.embedding = value

    def embedded(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Embeddings, (batch, tokens, width), with dropout: of words from a whole batch, and of units from a whole text."""
        table, factor = self.embedding.weight, self.config.dropout
        if self.training and factor > 0:
            table = table * torch.nn.functional.dropout(table.new_ones(len(table), 1), WORDS * factor, True)
        vectors = torch.nn.functional.embedding(input_ids, table)
        return locked(vectors, LOCKED * factor, self.training)

    def widths(self) -> list[int]:
        """Input width of each layer, and the output width of the last. Both ends are equal because the softmax is tied."""
        config = self.config
        return [config.hidden_size, *[config.inner_size] * (config.num_hidden_layers - 1), config.hidden_size]


class AwdLstmModel(RecurrentModel):
    """Forward LSTM layers. `hidden_states` are the embeddings and the output of each layer."""

    config_class = AwdLstmConfig

    def stack(self) -> None:
        widths, dropped = self.widths(), WEIGHTS * self.config.dropout
        self.layers = torch.nn.ModuleList(Layer(a, b, dropped) for a, b in pairwise(widths))

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **_: Any) -> BaseModelOutput:
        hidden = self.embedded(input_ids)
        states = [hidden]
        for layer in self.layers:
            hidden = locked(layer(hidden), LOCKED * self.config.dropout, self.training)
            states.append(hidden)
        return BaseModelOutput(last_hidden_state=hidden, hidden_states=tuple(states))


class Both(torch.nn.Module):
    """One layer of a biLM: an LSTM for each direction, without a connection between them."""

    def __init__(self, wide: int, dropped: float) -> None:
        super().__init__()
        self.ahead, self.back = Layer(wide, wide, dropped), Layer(wide, wide, dropped)

    def forward(self, ahead: torch.Tensor, back: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.ahead(ahead), self.back(back)


class BiLmModel(RecurrentModel):
    """Separate forward and backward stacks. A hidden state concatenates both; the first one holds the embeddings twice."""

    config_class = BiLmConfig

    def wide(self) -> int:
        return self.config.hidden_size // 2

    def stack(self) -> None:
        wide, dropped = self.wide(), WEIGHTS * self.config.dropout
        self.layers = torch.nn.ModuleList(Both(wide, dropped) for _ in range(self.config.num_hidden_layers))

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **_: Any) -> BaseModelOutput:
        ahead = self.embedded(input_ids)
        back = reverse(ahead, attention_mask)
        states = [torch.cat([ahead, ahead], dim=-1)]
        for layer in self.layers:
            steps = layer(ahead, back)
            ahead, back = (
                side + locked(step, LOCKED * self.config.dropout, self.training)  # residual, as in ELMo
                for side, step in zip((ahead, back), steps, strict=True)
            )
            states.append(torch.cat([ahead, reverse(back, attention_mask)], dim=-1))
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=tuple(states))

"""The same classifier for prediction alone: no more of the encoder than its first token, and weights rounded once.

The classifiers of BERT, RoBERTa, ELECTRA, DistilBERT and their kin read the first token of the last layer. There only
the keys and values of the other tokens matter: queries, feed-forward and norms are computed for the first token alone,
which leaves a sixth of a layer's products. In a lower precision autocast rounds every weight in every forward pass;
here that is done once.
"""

import copy
import itertools
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from ftcls.model.encoder_layers import LayerNames, layer_names, layers


def trimmed(model: PreTrainedModel, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A model with the logits of ``model``, other than by rounding; ``model`` itself where nothing can be left out.

    The two share their weights; where ``dtype`` is a lower one, the encoder's are copied in it, and later changes of
    ``model`` do not reach them. Residuals and norms stay float32. The result is for evaluation mode: its layers have no
    dropout, and the hidden states that it returns are those of the first token.

    Args:
        model: a sequence classifier with float32 weights, on its device.
        dtype: what the layers' products are computed in.
    """
    names = layer_names(model)
    if names is None:
        return model
    stack = list(layers(model, names))
    heads = getattr(model.config, names.heads)
    less = [
        _Layer(layer, names, heads=heads, dtype=dtype, first_only=number == len(stack))
        for number, layer in enumerate(stack, start=1)
    ]
    # What the memo holds is not copied but taken from there: the weights are shared, the layers are others.
    kept = {id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())}
    replaced: dict[int, Any] = {id(old): new for old, new in zip(stack, less, strict=True)}
    return copy.deepcopy(model, {**kept, **replaced})


class _Layer(nn.Module):
    """One layer of the encoder, in evaluation mode."""

    def __init__(
        self, layer: nn.Module, names: LayerNames, *, heads: int, dtype: torch.dtype, first_only: bool
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dtype = dtype
        self.first_only = first_only
        self.query, self.key, self.value, self.mix, self.widen, self.narrow = (
            _rounded(layer.get_submodule(name), dtype) for name in names.linear
        )
        self.mix_norm, self.narrow_norm = (layer.get_submodule(name) for name in names.norms)
        self.activation = layer.get_submodule(names.activation)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any
    ) -> torch.Tensor:
        """Hidden states [b, t, d] to those of the next layer, [b, t, d] or [b, 1, d].

        Args:
            hidden_states: float32.
            attention_mask: [b, 1, t, t] or [b, 1, 1, t] as scaled dot product attention takes it; None: all tokens.
        """
        rounded = hidden_states.to(self.dtype)
        keys, values = self._by_head(self.key(rounded)), self._by_head(self.value(rounded))
        if self.first_only:
            hidden_states, rounded = hidden_states[:, :1], rounded[:, :1]
            attention_mask = None if attention_mask is None else attention_mask[:, :, :1]
        queries = self._by_head(self.query(rounded))
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=attention_mask)
        hidden_states = self.mix_norm(self.mix(mixed.transpose(1, 2).flatten(2)) + hidden_states)
        wide = self.activation(self.widen(hidden_states.to(self.dtype)))
        result: torch.Tensor = self.narrow_norm(self.narrow(wide) + hidden_states)
        return result

    def _by_head(self, states: torch.Tensor) -> torch.Tensor:
        """[b, t, d] to [b, heads, t, d / heads]."""
        return states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)


def _rounded(linear: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The layer itself in float32, else a copy."""
    return linear if dtype == torch.float32 else copy.deepcopy(linear).to(dtype)

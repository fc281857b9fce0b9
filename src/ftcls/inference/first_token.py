"""The same classifier for prediction alone: no more of the encoder than its first token, and weights rounded once.

The classifiers of BERT, RoBERTa, ELECTRA, DistilBERT and their kin read the first token of the last layer. There only
the keys and values of the other tokens matter: queries, feed-forward and norms are computed for the first token alone,
which leaves a sixth of a layer's products. In a lower precision autocast rounds every weight in every forward pass;
here that is done once.
"""

import copy
import itertools
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel


@dataclass(frozen=True)
class _Names:
    """Where an architecture keeps the parts of a layer that normalizes behind attention and behind feed-forward."""

    layers: str
    heads: str
    """A key of the configuration."""
    query: str
    key: str
    value: str
    mix: str
    mix_norm: str
    widen: str
    activation: str
    narrow: str
    narrow_norm: str

    @property
    def linear(self) -> tuple[str, ...]:
        """The matrix products."""
        return (self.query, self.key, self.value, self.mix, self.widen, self.narrow)

    @property
    def norms(self) -> tuple[str, ...]:
        """The layer norms."""
        return (self.mix_norm, self.narrow_norm)


_BERT = _Names(
    layers="encoder.layer",
    heads="num_attention_heads",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    mix="attention.output.dense",
    mix_norm="attention.output.LayerNorm",
    widen="intermediate.dense",
    activation="intermediate.intermediate_act_fn",
    narrow="output.dense",
    narrow_norm="output.LayerNorm",
)
_DISTILBERT = _Names(
    layers="transformer.layer",
    heads="n_heads",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    mix="attention.out_lin",
    mix_norm="sa_layer_norm",
    widen="ffn.lin1",
    activation="ffn.activation",
    narrow="ffn.lin2",
    narrow_norm="output_layer_norm",
)
ARCHITECTURES: Final = {
    "BertForSequenceClassification": _BERT,
    "CamembertForSequenceClassification": _BERT,
    "DistilBertForSequenceClassification": _DISTILBERT,
    "ElectraForSequenceClassification": _BERT,
    "RobertaForSequenceClassification": _BERT,
    "XLMRobertaForSequenceClassification": _BERT,
}
"""Classes of transformers whose head reads the first token alone, and whose layers are all alike."""


def trimmed(model: PreTrainedModel, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A model with the logits of ``model``, other than by rounding; ``model`` itself where nothing can be left out.

    The two share their weights; where ``dtype`` is a lower one, the encoder's are copied in it, and later changes of
    ``model`` do not reach them. Residuals and norms stay float32. The result is for evaluation mode: its layers have no
    dropout, and the hidden states that it returns are those of the first token.

    Args:
        model: a sequence classifier with float32 weights, on its device.
        dtype: what the layers' products are computed in.
    """
    names = _names(model)
    if names is None:
        return model
    layers = list(_layers(model, names))
    heads = getattr(model.config, names.heads)
    less = [
        _Layer(layer, names, heads=heads, dtype=dtype, first_only=number == len(layers))
        for number, layer in enumerate(layers, start=1)
    ]
    # What the memo holds is not copied but taken from there: the weights are shared, the layers are others.
    kept = {id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())}
    replaced: dict[int, Any] = {id(old): new for old, new in zip(layers, less, strict=True)}
    return copy.deepcopy(model, {**kept, **replaced})


def _names(model: PreTrainedModel) -> _Names | None:
    """The names of the model's parts; None for a model that is not built as these are, in any part of it."""
    kind = type(model)
    if not kind.__module__.startswith("transformers.models.") or kind.__name__ not in ARCHITECTURES:
        return None
    config = model.config
    if getattr(config, "is_decoder", False) or config._attn_implementation != "sdpa":
        return None
    names = ARCHITECTURES[kind.__name__]
    for layer in _layers(model, names):
        plain = [type(layer.get_submodule(name)) is nn.Linear for name in names.linear]
        norms = [type(layer.get_submodule(name)) is nn.LayerNorm for name in names.norms]
        if not all(plain + norms):  # an adapter beside the weights, or weights of a few bits
            return None
    return names


def _layers(model: PreTrainedModel, names: _Names) -> nn.ModuleList:
    layers: nn.ModuleList = model.base_model.get_submodule(names.layers)
    return layers


class _Layer(nn.Module):
    """One layer of the encoder, in evaluation mode."""

    def __init__(self, layer: nn.Module, names: _Names, *, heads: int, dtype: torch.dtype, first_only: bool) -> None:
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

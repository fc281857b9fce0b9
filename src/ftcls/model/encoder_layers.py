"""How the encoders of BERT and its kin are built: where each part of a layer stands, for those that read its weights.

Their classifiers read the first token of the last layer, and their layers are all alike: attention, then a feed-forward
part, a residual and a layer norm behind each.
"""

from dataclasses import dataclass
from typing import Final

from torch import nn
from transformers import PreTrainedModel


@dataclass(frozen=True)
class LayerNames:
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
    attention_dropout: str
    mix_dropout: str | None
    """None: there is none."""
    narrow_dropout: str

    @property
    def linear(self) -> tuple[str, ...]:
        """The matrix products."""
        return (self.query, self.key, self.value, self.mix, self.widen, self.narrow)

    @property
    def norms(self) -> tuple[str, ...]:
        """The layer norms."""
        return (self.mix_norm, self.narrow_norm)


BERT: Final = LayerNames(
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
    attention_dropout="attention.self.dropout",
    mix_dropout="attention.output.dropout",
    narrow_dropout="output.dropout",
)
DISTILBERT: Final = LayerNames(
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
    attention_dropout="attention.dropout",
    mix_dropout=None,
    narrow_dropout="ffn.dropout",
)
ARCHITECTURES: Final = {
    "BertForSequenceClassification": BERT,
    "CamembertForSequenceClassification": BERT,
    "DistilBertForSequenceClassification": DISTILBERT,
    "ElectraForSequenceClassification": BERT,
    "RobertaForSequenceClassification": BERT,
    "XLMRobertaForSequenceClassification": BERT,
}
"""Classes of transformers whose head reads the first token alone, and whose layers are all alike."""


def difference(model: PreTrainedModel) -> str | None:
    """In what a model is not built as these are, the first thing found, for a message; None: it is one of them."""
    kind = type(model)
    if not kind.__module__.startswith("transformers.models.") or kind.__name__ not in ARCHITECTURES:
        return f"{kind.__name__} is none of the encoders that are known"
    config = model.config
    if getattr(config, "is_decoder", False):
        return "the encoder is set up as a decoder"
    if config._attn_implementation != "sdpa":
        return f"model.attention is {config._attn_implementation}"
    names = ARCHITECTURES[kind.__name__]
    for layer in layers(model, names):
        plain = [type(layer.get_submodule(name)) is nn.Linear for name in names.linear]
        norms = [type(layer.get_submodule(name)) is nn.LayerNorm for name in names.norms]
        if not all(plain + norms):
            return "an adapter stands beside the weights, or they are of a few bits"
    return None


def layer_names(model: PreTrainedModel) -> LayerNames:
    """The names of the parts of a model in which there is no `difference`."""
    return ARCHITECTURES[type(model).__name__]


def layers(model: PreTrainedModel, names: LayerNames) -> nn.ModuleList:
    """The list of the encoder's layers, from the first to the last."""
    found: nn.ModuleList = model.base_model.get_submodule(names.layers)
    return found

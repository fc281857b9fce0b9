"""A classifier on BERT's pattern that computes no padding, and of its last layer no more than its head reads.

The tokens of all texts of a batch go through linear layers, norms and activations end to end; attention is computed in
groups of texts of like length (`ftcls.model.packing`), or by FlashAttention on a GPU that has it. The classifiers of
BERT, RoBERTa, ELECTRA, DistilBERT and their kin read the first token of the last layer. There only the keys and values
of the other tokens matter: queries, feed-forward and norms are computed for the first token alone, which leaves a sixth
of a layer's products.

Logits and gradients are those of the plain model, other than by rounding. It is a way to compute, not another model:
the weights are those of the plain one, which is what is saved.
"""

import copy
import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from ftcls.environment.figures_as_text import significant
from ftcls.model import flash_attention, packing
from ftcls.model.dropout import Attention, Dropout, DropoutBits
from ftcls.model.encoder_layers import LayerNames, layer_names, layers
from ftcls.model.packing import Layout, PackedTexts
from ftcls.model.padding import Batch

TOLERANCE: Final = 1e-4
"""Largest difference of logits and of the whole gradient from those of the plain model, relative, in float32. Rounding
makes 1e-6 of it, a part that is computed otherwise 1e-3 and more."""


class PackedClassifier(nn.Module):
    """Takes a padded batch as the plain model does, and gives the same logits."""

    def __init__(self, plain: PreTrainedModel, *, dtype: torch.dtype, rounded: bool = False, seed: int = 0) -> None:
        """Build it around the weights of a plain model.

        Args:
            plain: a sequence classifier in which there is no `difference`, on its device, with float32 weights.
            dtype: what the matrix products are computed in; residuals and norms stay float32.
            rounded: whether the layers' weights are copied in that type: rounded once and not in every pass, for a
                model whose weights do not change any more.
            seed: of the dropout on a CPU.
        """
        super().__init__()
        self.dtype = dtype
        self.bits = DropoutBits(seed)
        self.model = _with_packed_layers(plain, dtype if rounded else torch.float32, self.bits)
        self.padding_idx = plain.base_model.embeddings.position_embeddings.padding_idx
        self.by_starts = flash_attention.available(plain.device, dtype, self._head_width(plain))

    @staticmethod
    def _head_width(plain: PreTrainedModel) -> int:
        config = plain.config
        return int(config.hidden_size // getattr(config, layer_names(plain).heads))

    @property
    def config(self) -> PretrainedConfig:
        """The plain model's."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        found: torch.device = self.model.device
        return found

    def start_step(self, step: int) -> None:
        """Draw the dropout of this optimizer step from now on."""
        self.bits.start(step)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(self.bits.number(step))

    def forward(
        self,
        input_ids: Tensor | NDArray[np.int64],
        attention_mask: Tensor | NDArray[np.int64],
        token_type_ids: Tensor | NDArray[np.int64] | None = None,
    ) -> SequenceClassifierOutput:
        """Logits of b texts, [b, k].

        The batch is laid out on the CPU: where it is of arrays, nobody has to wait for a GPU to hand it back.

        Args:
            input_ids: [b, t].
            attention_mask: [b, t], 1 for tokens and 0 for padding.
            token_type_ids: [b, t], of pairs of texts; None: all tokens are of one type.
        """
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        batch = {name: _array(each) for name, each in given.items() if each is not None}
        texts = PackedTexts.of(batch, self.padding_idx)
        found = self.logits(
            packing.to_device(texts.ids, self.device),
            packing.to_device(texts.positions, self.device),
            None if texts.types is None else packing.to_device(texts.types, self.device),
            Layout.of(texts.lengths, self.device, by_starts=self.by_starts),
        )
        return SequenceClassifierOutput(logits=found[packing.to_device(texts.rank, self.device)])

    def logits(self, ids: Tensor, positions: Tensor, types: Tensor | None, layout: Layout) -> Tensor:
        """Logits of the b texts of a layout, [b, k]; the other arguments are those of `PackedTexts`, on the device."""
        typed = {} if types is None else {"token_type_ids": types[None]}
        with torch.autocast(ids.device.type, self.dtype, enabled=self.dtype != torch.float32):
            found: Tensor = self.model(input_ids=ids[None], position_ids=positions[None], layout=layout, **typed).logits
        return found


def differs(plain: PreTrainedModel, batch: Batch) -> str | None:
    """In what packed logits or gradients differ from those of the plain model, for a message; None: in nothing.

    Both are computed in float32 without dropout; the model stays as it is.

    Args:
        plain: a sequence classifier in which there is no `difference`.
        batch: what it takes of a few short texts.
    """
    inputs = {name: torch.from_numpy(array).to(plain.device) for name, array in batch.items()}
    training = plain.training
    packed = PackedClassifier(plain, dtype=torch.float32)
    trained = [parameter for parameter in plain.parameters() if parameter.requires_grad]
    try:
        expected = _logits_and_gradients(plain.eval(), trained, inputs)
        found = _logits_and_gradients(packed.eval(), trained, inputs)
    finally:
        plain.train(training)
    for name, ours, theirs in zip(("logits", "gradients"), found, expected, strict=True):
        distance = _relative_distance(ours, theirs)
        if not distance <= TOLERANCE:  # NaN is not
            return f"its {name} differ from those of the padded model by {significant(distance, 2)}, relative"
    return None


def _logits_and_gradients(
    model: nn.Module, trained: list[nn.Parameter], inputs: dict[str, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    logits = model(**inputs).logits
    towards = torch.linspace(-1, 1, logits.numel(), device=logits.device).view_as(logits)
    found = torch.autograd.grad((logits * towards).sum(), trained, materialize_grads=True) if trained else ()
    return [logits.detach()], list(found)


def _relative_distance(found: list[Tensor], expected: list[Tensor]) -> float:
    distance = sum(float((a - b).square().sum()) for a, b in zip(found, expected, strict=True))
    return float((distance / max(sum(float(b.square().sum()) for b in expected), 1e-30)) ** 0.5)


def _with_packed_layers(plain: PreTrainedModel, dtype: torch.dtype, bits: DropoutBits) -> PreTrainedModel:
    """The model with other layers and another dropout; all weights that are not to be rounded are shared."""
    names = layer_names(plain)
    stack = list(layers(plain, names))
    heads = getattr(plain.config, names.heads)
    packed = [
        _Layer(layer, names, heads=heads, dtype=dtype, first_only=number == len(stack), bits=bits)
        for number, layer in enumerate(stack, start=1)
    ]
    dropouts = {id(module): Dropout(module.p, bits) for module in plain.modules() if type(module) is nn.Dropout}
    # What the memo holds is not copied but taken from there.
    shared = {id(tensor): tensor for tensor in itertools.chain(plain.parameters(), plain.buffers())}
    replaced: dict[int, Any] = {id(old): new for old, new in zip(stack, packed, strict=True)}
    return copy.deepcopy(plain, {**shared, **dropouts, **replaced})


class _Layer(nn.Module):
    """One layer of the encoder."""

    def __init__(
        self,
        layer: nn.Module,
        names: LayerNames,
        *,
        heads: int,
        dtype: torch.dtype,
        first_only: bool,
        bits: DropoutBits,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.first_only = first_only
        self.query, self.key, self.value, self.mix, self.widen, self.narrow = (
            _rounded(layer.get_submodule(name), dtype) for name in names.linear
        )
        self.mix_norm, self.narrow_norm = (layer.get_submodule(name) for name in names.norms)
        self.activation = layer.get_submodule(names.activation)
        self.attention = Attention(_rate(layer, names.attention_dropout), bits)
        self.mix_dropout = Dropout(_rate(layer, names.mix_dropout), bits)
        self.narrow_dropout = Dropout(_rate(layer, names.narrow_dropout), bits)

    def forward(self, hidden_states: Tensor, *_: Any, layout: Layout, **__: Any) -> Tensor:
        """Hidden states [1, T, d] to those of the next layer, [1, T, d]; of the first tokens alone, [b, 1, d]."""
        states = hidden_states[0]
        rounded = _cast(states)
        if self.first_only:
            keys, values = self.key(rounded), self.value(rounded)
            states, rounded = states[layout.first], rounded[layout.first]
            queries = self.query(rounded)
        elif layout.starts is not None:  # a GPU is quicker with one product in place of three, a CPU is not
            queries, keys, values = _together((self.query, self.key, self.value), rounded)
        else:
            queries, keys, values = self.query(rounded), self.key(rounded), self.value(rounded)
        mixed = self._mixed(queries, keys, values, layout)
        states = self.mix_norm(self.mix_dropout(self.mix(mixed)) + states)
        wide = self.activation(self.widen(_cast(states)))
        result: Tensor = self.narrow_norm(self.narrow_dropout(self.narrow(wide)) + states)
        return result[:, None] if self.first_only else result[None]

    def _mixed(self, queries: Tensor, keys: Tensor, values: Tensor, layout: Layout) -> Tensor:
        """What attention makes of the values [T, d] for each query, [T or b, d]."""
        if layout.starts is not None:
            rate = self.attention.rate if self.training else 0.0
            q, k, v = (each.view(len(each), self.heads, -1) for each in (queries, keys, values))
            return flash_attention.attention(q, k, v, layout, rate=rate, first_only=self.first_only).flatten(1)
        parts = []
        for group in layout.groups:
            pair = (self._by_head(group.padded(states[group.tokens]), group.size) for states in (keys, values))
            if self.first_only:
                mixed = self.attention(self._by_head(queries[group.texts], group.size), *pair, group.absent)
                parts.append(mixed.flatten(1))
            else:
                padded = self._by_head(group.padded(queries[group.tokens]), group.size)
                mixed = self.attention(padded, *pair, group.absent).transpose(1, 2)
                parts.append(group.unpadded(mixed.reshape(-1, queries.shape[1])))
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _by_head(self, states: Tensor, texts: int) -> Tensor:
        """[texts * t, d] to [texts, heads, t, d / heads]."""
        return states.view(texts, -1, self.heads, states.shape[1] // self.heads).transpose(1, 2)


def _array(given: Tensor | NDArray[np.int64]) -> NDArray[np.int64]:
    return given.cpu().numpy() if isinstance(given, Tensor) else given


def _rate(layer: nn.Module, name: str | None) -> float:
    dropout: Any = None if name is None else layer.get_submodule(name)
    return 0.0 if dropout is None else float(dropout.p)


def _together(linears: Sequence[nn.Module], states: Tensor) -> tuple[Tensor, ...]:
    """What several layers of one width make of states [T, d], by one product."""
    weight = torch.cat([each.weight for each in linears])  # type: ignore[misc]
    bias = None if linears[0].bias is None else torch.cat([each.bias for each in linears])  # type: ignore[misc]
    return functional.linear(states, weight, bias).chunk(len(linears), dim=-1)


def _cast(states: Tensor) -> Tensor:
    """What the next products take under autocast: rounded once for all of them, and not for each."""
    kind = states.device.type
    return states.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else states


def _rounded(linear: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The layer itself in float32, else a copy."""
    return linear if dtype == torch.float32 else copy.deepcopy(linear).to(dtype)

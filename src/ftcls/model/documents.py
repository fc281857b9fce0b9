"""A classifier of long texts: each window goes through the model by itself, and all of them become one answer.

What is pooled is the vector that the head reads of each window: the input of the first linear layer that takes one
vector for a text, such as BERT's pooler on the state of ``[CLS]``. All that is behind it is computed once for each
document. Where logits are pooled, the whole model is computed for each window.

The windows of some documents are one forward pass as long as they fit into the token budget. Else they go through the
model in several, and of each but the last nothing is kept but the vectors: the backward pass computes it again
(Chen et al. 2016), one at a time, with the same dropout. So memory does not grow with the length of a document but by
its token ids and a vector for each window, and loss and gradients are those of all windows at once, other than by
rounding.

The weights are those of a plain classifier. Plain transformers would read the beginning of a text with them and answer
otherwise, so they are saved under a name of their own (`VARIANT`), under which it does not find them.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from ftcls.errors import ConfigError
from ftcls.model import batching, packing
from ftcls.model.checkpoint import WINDOWED
from ftcls.model.dropout import DropoutBits
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.packing import Layout, PackedTexts
from ftcls.model.padding import Batch
from ftcls.model.tokenize import encode
from ftcls.model.windows import COUNTS, Pool, Windows

WEIGHTS: Final = "window_weights"
"""The name of the layer that weighs windows, d to 1."""
TEXTS: Final = ("A word.", "Some more words than the other one has.")
"""Two texts that no model takes for the same."""
TOLERANCE: Final = 1e-3
"""Largest difference of logits that is rounding, as a share of the largest; of a model that reads something else beside
the vector the first digit differs."""

_Change = Callable[[Tensor], Tensor]
_VECTORS: ContextVar[_Change | None] = ContextVar("what is done to the vectors that a head reads", default=None)
"""Of this thread alone: several may compute with the same weights."""


class DocumentClassifier(nn.Module):
    """Takes a batch of windows, and gives the logits of the documents that they are of."""

    def __init__(self, model: PreTrainedModel | PackedClassifier, pool: Pool, *, token_budget: int) -> None:
        """Build it around a model to which `attach` was done.

        Args:
            model: a classifier, on its device; it may be one that computes no padding.
            pool: how windows become one answer.
            token_budget: most tokens in one forward pass, padding included where there is some.
        """
        super().__init__()
        self.model = model
        self.pool = pool
        self.token_budget = token_budget

    @property
    def plain(self) -> PreTrainedModel:
        """The classifier of transformers, an adapter's layers in it."""
        return self.model.model if isinstance(self.model, PackedClassifier) else _inside(self.model)

    def forward(self, **batch: NDArray[np.int64]) -> SequenceClassifierOutput:
        """Logits of n documents, [n, k].

        Args:
            batch: of `Encoded.pad`: ``input_ids`` and ``attention_mask`` of all windows, [w, t], and how many of them
                each document has, [n]; without that each is a document of its own.
        """
        parts, places, counts = self._planned(batch)
        rest, last = parts[:-1], parts[-1]
        if self.pool == "logits_mean":
            found = [self._again(part, self._logits) for part in rest] + [self._logits(last)]
            return SequenceClassifierOutput(logits=_pooled(torch.cat(found)[places].float(), counts, _mean))
        known = [self._again(part, self._vectors) for part in rest]

        def join(vectors: Tensor) -> Tensor:
            every = torch.cat([*known, vectors.float()])[places]
            return _pooled(every, counts, self._pooling()).to(vectors.dtype)

        return SequenceClassifierOutput(logits=self._logits(last, join))

    def vectors(self, **batch: NDArray[np.int64]) -> Tensor:
        """What the head reads of n documents, float32 [n, d]; of a batch as for `forward`, and pooled but as logits."""
        parts, places, counts = self._planned(batch)
        found = [*(self._again(part, self._vectors) for part in parts[:-1]), self._vectors(parts[-1])]
        return _pooled(torch.cat(found)[places], counts, self._pooling())

    def _planned(self, batch: Batch) -> tuple[list[Batch], Tensor, list[int]]:
        """The passes of a batch, where each of its windows is in these, and the number of windows of each document."""
        windows = {name: array for name, array in batch.items() if name != COUNTS}
        lengths = windows["attention_mask"].sum(axis=1)
        parts = batching.plan(
            np.arange(len(lengths)),
            lengths,
            token_budget=self.token_budget,
            padded=not isinstance(self.model, PackedClassifier),
        )
        order = np.concatenate([part.rows for part in parts])
        counts = batch[COUNTS].tolist() if COUNTS in batch else [1] * len(lengths)
        places = packing.to_device(np.argsort(order), self.plain.device)
        return [_rows(windows, part.rows) for part in parts], places, counts

    def _again(self, inputs: Batch, compute: Callable[[Batch], Tensor]) -> Tensor:
        """What a pass gives; where gradients are wanted, nothing else of it is kept, and it is computed again."""
        if not torch.is_grad_enabled():
            return compute(inputs)
        bits = self.model.bits if isinstance(self.model, PackedClassifier) else None
        place = None if bits is None else bits.place
        found: Tensor = checkpoint(
            lambda _: compute(inputs),
            # By the device of what it is given it knows whose random numbers are to be drawn again.
            torch.zeros((), device=self.plain.device),
            use_reentrant=False,
            context_fn=lambda: (contextlib.nullcontext(), _from(bits, place)),
        )
        return found

    def _vectors(self, inputs: Batch) -> Tensor:
        """What the head reads of w windows, float32 [w, d]."""
        kept: list[Tensor] = []

        def keep(vectors: Tensor) -> Tensor:
            kept.append(vectors)
            return vectors

        self._logits(inputs, keep)
        return kept[0].float()

    def _logits(self, inputs: Batch, change: _Change | None = None) -> Tensor:
        """Logits of w windows, [w, k]; of what a change of the vectors makes of them, if there is one."""
        if not isinstance(self.model, PackedClassifier):
            with _changing(change):
                found: Tensor = self.model(
                    **{name: torch.from_numpy(array).to(self.model.device) for name, array in inputs.items()}
                ).logits
            return found
        packed = self.model
        texts = PackedTexts.of(inputs, packed.padding_idx)
        rank = packing.to_device(texts.rank, packed.device)
        arranged = None if change is None else (lambda vectors: change(vectors[rank]))
        with _changing(arranged):
            found = packed.logits(
                packing.to_device(texts.ids, packed.device),
                packing.to_device(texts.positions, packed.device),
                None if texts.types is None else packing.to_device(texts.types, packed.device),
                Layout.of(texts.lengths, packed.device, by_starts=packed.by_starts),
            )
        return found[rank] if change is None else found

    def _pooling(self) -> _Change:
        if self.pool == "attention":
            return lambda vectors: _weighed(vectors, self.plain.get_submodule(WEIGHTS))
        return _mean if self.pool == "mean" else _largest


def attach(
    model: PreTrainedModel, windows: Windows, tokenizer: PreTrainedTokenizerBase, *, checkpoint: str
) -> tuple[str, ...]:
    """Make a classifier ready to be built into a `DocumentClassifier`.

    What it says of a text stays the same, and so do its weights. Once an adapter was put into it, it is to be made
    ready again: the layer that was listened to may now be a part of another one.

    Args:
        model: on its device; with an adapter in it too.
        windows: that it reads.
        tokenizer: of the model.
        checkpoint: for the message.

    Returns:
        The names of new parameters: of the weighing of windows (attention), which starts as their mean.

    Raises:
        ConfigError: its head does not read one vector of a text, and nothing else.
    """
    if windows.pool == "logits_mean":
        return ()
    layer = listen(model, tokenizer, longest=windows.size)
    if layer is None:
        raise ConfigError(
            f"model.windows.pool: {windows.pool}: the head of {checkpoint} ({type(model).__name__}) does not read one "
            "vector for a text; write logits_mean, which takes any classifier"
        )
    if windows.pool != "attention" or hasattr(_inside(model), WEIGHTS):
        return ()
    weighs = add_weights(model, int(layer.in_features))
    return tuple(f"{WEIGHTS}.{part}" for part, _ in weighs.named_parameters())


def add_weights(model: PreTrainedModel, width: int) -> nn.Linear:
    """Give a model the layer that weighs windows by vectors [d], here of one width d, as their mean."""
    weighs = nn.Linear(width, 1, device=model.device)
    nn.init.zeros_(weighs.weight)
    nn.init.zeros_(weighs.bias)
    model.add_module(WEIGHTS, weighs)
    return weighs


def listen(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, longest: int) -> nn.Linear | None:
    """Have what the head of a classifier reads handed over to a `DocumentClassifier` around it.

    Args:
        model: on its device.
        tokenizer: of the model.
        longest: tokens of a text.

    Returns:
        The first layer of the head; None: it does not read one vector of a text, and nothing else.
    """
    two = encode(TEXTS, tokenizer, max_length=longest, truncation="head", cached=False)
    name = _reads(model, two.pad(np.arange(len(two)), model.config.pad_token_id))
    if name is None:
        return None
    layer: nn.Linear = model.get_submodule(name)
    layer.register_forward_pre_hook(_before_head)
    return layer


def load_weights(model: PreTrainedModel, folder: Path) -> bool:
    """Read how windows are weighed from the weights in a folder; whether there was something of the kind."""
    path, layer = folder / WINDOWED, model.get_submodule(WEIGHTS)
    wanted = [f"{WEIGHTS}.{part}" for part, _ in layer.named_parameters()]
    if not path.is_file():
        return False
    with safe_open(path, framework="pt") as stored:
        if not set(wanted) <= set(stored.keys()):
            return False
        with torch.no_grad():
            for name in wanted:
                parameter = model.get_parameter(name)
                parameter.copy_(stored.get_tensor(name).to(parameter))
    return True


def _inside(model: PreTrainedModel) -> PreTrainedModel:
    """The classifier that PEFT's model is around."""
    found: PreTrainedModel = model.get_base_model() if hasattr(model, "get_base_model") else model
    return found


def _before_head(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    change = _VECTORS.get()
    if change is None:
        return None
    _VECTORS.set(None)  # the layer inside an adapter's listens too
    return (change(given[0]), *given[1:])


@contextlib.contextmanager
def _changing(change: _Change | None) -> Iterator[None]:
    token = _VECTORS.set(change)
    try:
        yield
    finally:
        _VECTORS.reset(token)


@contextlib.contextmanager
def _from(bits: DropoutBits | None, place: Any) -> Iterator[None]:
    """Draw dropout from an earlier place on, and go on afterwards where it was."""
    if bits is None:
        yield
        return
    now = bits.place
    bits.go_to(place)
    try:
        yield
    finally:
        bits.go_to(now)


def _reads(model: PreTrainedModel, example: Batch) -> str | None:
    """The first linear layer that takes one vector of each text, if all that the head reads goes through it.

    It does if exchanging the vectors of two texts exchanges their logits.
    """
    linear = _linear_layers(model)
    met: list[str] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def before(_: nn.Module, given: tuple[Any, ...]) -> None:
            if given and given[0].ndim == 2 and len(given[0]) == len(example["input_ids"]):
                met.append(name)

        return before

    expected = _tried(model, example, {module: note(name) for name, module in linear.items()})
    if not met:
        return None
    exchanged = _tried(model, example, {linear[met[0]]: lambda _, given: (given[0].flip(0), *given[1:])})
    allowed = TOLERANCE * float(expected.abs().max())
    return met[0] if float((exchanged.flip(0) - expected).abs().max()) <= allowed else None


def _linear_layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    """The linear layers by their names; one that an adapter updates together with the update."""
    found: dict[str, nn.Module] = {}
    updated: list[str] = []
    for name, module in model.named_modules():  # each before what is in it
        if any(name.startswith(f"{outer}.") for outer in updated):
            continue
        if hasattr(module, "base_layer"):
            updated.append(name)
        if isinstance(module, nn.Linear) or hasattr(module, "base_layer"):
            found[name] = module
    return found


def _tried(model: PreTrainedModel, example: Batch, before: dict[nn.Module, Any]) -> Tensor:
    """Logits of the example, with something done before some layers; the model stays in the mode that it is in."""
    training = model.training
    handles = [module.register_forward_pre_hook(each) for module, each in before.items()]
    try:
        with torch.no_grad():
            inputs = {name: torch.from_numpy(array).to(model.device) for name, array in example.items()}
            found: Tensor = model.eval()(**inputs).logits
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return found.float()


def _rows(inputs: Batch, rows: NDArray[np.int64]) -> Batch:
    """Some windows of a batch, without the padding that none of them needs."""
    chosen = {name: array[rows] for name, array in inputs.items()}
    needed = chosen["attention_mask"].any(axis=0)
    return {name: np.ascontiguousarray(array[:, needed]) for name, array in chosen.items()}


def _pooled(rows: Tensor, counts: list[int], pool: _Change) -> Tensor:
    """Rows of windows [w, d] to those of their documents [n, d]."""
    if len(rows) == len(counts):
        return rows
    with torch.autocast(rows.device.type, enabled=False):
        return torch.stack([pool(part) if len(part) > 1 else part[0] for part in torch.split(rows, counts)])


def _mean(rows: Tensor) -> Tensor:
    return rows.mean(0)


def _largest(rows: Tensor) -> Tensor:
    return rows.amax(0)


def _weighed(rows: Tensor, layer: nn.Module) -> Tensor:
    return (torch.softmax(layer(rows), dim=0) * rows).sum(0)

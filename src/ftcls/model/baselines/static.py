"""A static student: one vector for each token, their mean, and a small network on it; no attention, no position.

Its vectors start as what the teacher's encoder says of each token by itself, reduced by principal components and
weighted down where a token is frequent, as in model2vec (https://github.com/MinishLab/model2vec; its weights are those
of Arora et al. 2017). Then everything is trained on the teacher's probabilities (Hinton et al. 2015,
https://arxiv.org/abs/1503.02531).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

from ftcls.errors import DataError
from ftcls.model.baselines import store
from ftcls.scoring.decision import Task

KIND: Final = "static"
TOKENIZER: Final = "tokenizer.json"
_ARRAYS: Final = ("vectors", "hidden", "hidden_bias", "output", "output_bias")
_CHUNK: Final = 4_096
"""Texts whose tokens are held at once."""

WIDTH: Final = 256
"""Dimensions of a token's vector, as in model2vec."""
_HIDDEN: Final = 512
_BATCH: Final = 64
_RATE: Final = 1e-3
_EPOCHS: Final = 50
_PATIENCE: Final = 4
_SIF: Final = 1e-3
"""The a of the weight a / (a + p) of a token that makes up a share p of the texts (Arora et al. 2017)."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids of n texts, end to end."""

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    """[n] where each text begins; one without tokens is empty."""

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and starts of some texts, as `torch.nn.functional.embedding_bag` takes them."""
        ends = np.append(self.starts[1:], len(self.ids))
        pieces = [self.ids[self.starts[row] : ends[row]] for row in rows]
        starts = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])[:-1]]).astype(np.int64)
        return torch.from_numpy(np.concatenate(pieces)), torch.from_numpy(starts)


@dataclass(frozen=True, eq=False)
class StaticModel:
    """A static student of k labels with v tokens."""

    task: Task
    tokenizer: Tokenizer
    vectors: NDArray[np.float16]
    """[v, d]"""
    hidden: NDArray[np.float32]
    """[h, d]"""
    hidden_bias: NDArray[np.float32]
    output: NDArray[np.float32]
    """[k, h]"""
    output_bias: NDArray[np.float32]

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities [n, k] of n cleaned texts, which are read whole."""
        found = [
            self._logits(tokens_of(self.tokenizer, texts[start : start + _CHUNK]))
            for start in range(0, len(texts), _CHUNK)
        ]
        logits = torch.cat(found).double() if found else torch.zeros((0, len(self.output_bias)), dtype=torch.float64)
        said = logits.sigmoid() if self.task == "multilabel" else logits.softmax(-1)
        return np.asarray(said.numpy(), dtype=np.float64)

    @torch.inference_mode()
    def _logits(self, tokens: Tokens) -> torch.Tensor:
        # The vectors of the tokens that occur alone are made float32: the table is large, and a text is short.
        occurring, places = np.unique(tokens.ids, return_inverse=True)
        table = torch.from_numpy(self.vectors[occurring].astype(np.float32))
        if not len(occurring):
            table = torch.zeros((1, self.vectors.shape[1]))
        mean = functional.embedding_bag(
            torch.from_numpy(places.astype(np.int64)), table, torch.from_numpy(tokens.starts), mode="mean"
        )
        inner = functional.linear(mean, torch.from_numpy(self.hidden), torch.from_numpy(self.hidden_bias)).relu()
        return functional.linear(inner, torch.from_numpy(self.output), torch.from_numpy(self.output_bias))

    def save(self, folder: Path, settings: dict[str, Any]) -> None:
        """Write it to a folder, with what else is to be known of it."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        store.save(folder, KIND, {**settings, "task": self.task}, arrays)
        self.tokenizer.save(str(folder / TOKENIZER))

    @classmethod
    def load(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        """Read what `save` wrote.

        Raises:
            DataError: it is not there, or is damaged.
        """
        settings, arrays = store.load(folder, KIND, _ARRAYS, {"task": str})
        v, d = arrays["vectors"].shape if arrays["vectors"].ndim == 2 else (0, 0)
        h, k = arrays["hidden_bias"].size, len(settings["labels"])
        shapes = {"vectors": (v, d), "hidden": (h, d), "hidden_bias": (h,), "output": (k, h), "output_bias": (k,)}
        store.expect(folder, arrays, shapes)
        try:
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # noqa: BLE001 - tokenizers raises nothing narrower
            raise DataError(f"{folder / TOKENIZER}: cannot be read ({error}); distil anew") from None
        if tokenizer.get_vocab_size() > len(arrays["vectors"]):
            raise DataError(f"{folder / TOKENIZER}: has more tokens than {store.ARRAYS} has vectors; distil anew")
        return cls(task=settings["task"], tokenizer=tokenizer, **arrays), settings


def tokens_of(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    """Token ids of texts, without special tokens and uncut."""
    bodies = [each.ids for each in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
    lengths = np.fromiter(map(len, bodies), dtype=np.int64, count=len(bodies))
    ids = np.fromiter((each for body in bodies for each in body), dtype=np.int64, count=int(lengths.sum()))
    return Tokens(ids, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])[: len(bodies)])


def first_vectors(said: NDArray[np.float32], tokens: Tokens) -> NDArray[np.float32]:
    """Where the vectors [v, d] begin: principal components of what an encoder says of each token, weighted.

    Args:
        said: [v, e] of each token by itself.
        tokens: of the training texts, for how frequent each is.
    """
    centred = said - said.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    reduced = centred @ directions[:, ::-1][:, : min(WIDTH, said.shape[1])]
    shares = np.bincount(tokens.ids, minlength=len(said)) / max(len(tokens.ids), 1)
    weighted = reduced * (_SIF / (_SIF + shares))[:, None]
    # Of length 1 on average over the tokens, whatever the encoder's scale is.
    return np.asarray(weighted / np.linalg.norm(reduced, axis=1).mean(), dtype=np.float32)


class _Student(nn.Module):
    """The student while it is trained."""

    def __init__(self, vectors: NDArray[np.float32], k: int) -> None:
        super().__init__()
        count, width = vectors.shape
        self.vectors = nn.EmbeddingBag(count, width, mode="mean", _weight=torch.from_numpy(vectors))
        self.hidden = nn.Linear(vectors.shape[1], _HIDDEN)
        self.output = nn.Linear(_HIDDEN, k)

    def forward(self, ids: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        inner: torch.Tensor = self.hidden(self.vectors(ids, starts)).relu()
        logits: torch.Tensor = self.output(inner)
        return logits


def learn(
    tokenizer: Tokenizer,
    vectors: NDArray[np.float32],
    tokens: Tokens,
    said: NDArray[np.float64],
    unseen: tuple[Tokens, NDArray[np.float64]],
    *,
    task: Task,
    seed: int,
) -> StaticModel:
    """Train a student until the loss on texts that it does not learn no longer falls.

    Args:
        tokenizer: of the tokens.
        vectors: [v, d] that it starts from.
        tokens: of n texts.
        said: [n, k] the teacher's probabilities for them.
        unseen: tokens and targets of the validation texts, [m, k]: of 0 and 1.
        task: binary, multiclass or multilabel.
        seed: draws the network's first weights and the order of the texts.
    """
    loss = functional.binary_cross_entropy_with_logits if task == "multilabel" else functional.cross_entropy
    targets, gold = torch.from_numpy(said.astype(np.float32)), torch.from_numpy(unseen[1].astype(np.float32))
    order = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = _Student(vectors, said.shape[1])
    optimizer = torch.optim.AdamW(student.parameters(), lr=_RATE, weight_decay=0.0)
    best, lowest, since = copy.deepcopy(student.state_dict()), float("inf"), 0
    for _ in range(_EPOCHS):
        rows = order.permutation(len(tokens))
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            optimizer.zero_grad()
            wrong: Any = loss(student(*tokens.take(some)), targets[torch.from_numpy(some)])
            wrong.backward()
            optimizer.step()
        with torch.inference_mode():
            reached = float(loss(student(*unseen[0].take(np.arange(len(unseen[0])))), gold))
        if reached < lowest:
            best, lowest, since = copy.deepcopy(student.state_dict()), reached, 0
        elif (since := since + 1) == _PATIENCE:
            break
    arrays = {name: value.numpy() for name, value in best.items()}
    return StaticModel(
        task=task,
        tokenizer=tokenizer,
        vectors=arrays["vectors.weight"].astype(np.float16),
        hidden=arrays["hidden.weight"],
        hidden_bias=arrays["hidden.bias"],
        output=arrays["output.weight"],
        output_bias=arrays["output.bias"],
    )

"""Vectors of texts: what an encoder makes of them, pooled as its checkpoint declares, or as a classifier reads it."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from ftcls.environment.devices import DTYPES, Precision
from ftcls.inference import halving
from ftcls.model import batching
from ftcls.model.documents import DocumentClassifier
from ftcls.model.padding import Batch
from ftcls.model.pooling import Kind
from ftcls.model.tokenize import Encoded
from ftcls.model.windows import COUNTS, Pool


def embed(
    model: PreTrainedModel,
    encoded: Encoded,
    kind: Kind,
    *,
    pad_id: int,
    token_budget: int,
    precision: Precision = "fp32",
) -> NDArray[np.float32]:
    """Vectors of n texts, float32 [n, d], in input order; of texts that are read in windows the mean of theirs.

    Args:
        model: a model without a head, on its device.
        encoded: n texts.
        kind: mean of the tokens, the first one (``cls``, and ``attention``, which nobody has trained) or the last.
        pad_id: what the tokenizer pads with.
        token_budget: most tokens, padding included, in one forward pass.
        precision: of the matrix products.
    """

    def forward(part: NDArray[np.int64]) -> torch.Tensor:
        batch = encoded.pad(part, pad_id)
        counts = batch.pop(COUNTS, None)
        if counts is None:
            return of_rows(batch)
        windows = batching.plan(
            np.arange(int(counts.sum())), batch["attention_mask"].sum(axis=1), token_budget=token_budget
        )
        each = torch.cat([of_rows({name: array[some.rows] for name, array in batch.items()}) for some in windows])
        order = np.argsort(np.concatenate([some.rows for some in windows]))
        return torch.stack([rows.mean(0) for rows in torch.split(each[order], counts.tolist())])

    def of_rows(batch: Batch) -> torch.Tensor:
        inputs = {name: torch.from_numpy(each).to(model.device) for name, each in batch.items()}
        states = model(**inputs).last_hidden_state
        return _pooled(states.float(), inputs["attention_mask"], kind).cpu()

    return _in_order(model, encoded, forward, token_budget=token_budget, precision=precision)


def of_layer(
    model: PreTrainedModel,
    layer: nn.Linear,
    encoded: Encoded,
    *,
    pad_id: int,
    token_budget: int,
    precision: Precision = "fp32",
) -> NDArray[np.float32]:
    """What a layer of a classifier reads of n texts, float32 [n, d], in input order.

    Args:
        model: on its device.
        layer: of the model; it reads one vector of each text.
        encoded: n texts.
        pad_id: what the tokenizer pads with.
        token_budget: most tokens, padding included, in one forward pass.
        precision: of the matrix products.
    """
    pool: Pool = "mean" if encoded.windows is None else encoded.windows.pool
    documents = DocumentClassifier(model, pool, token_budget=token_budget)
    kept: list[torch.Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, given: kept.append(given[0]))

    def forward(part: NDArray[np.int64]) -> torch.Tensor:
        kept.clear()
        documents(**encoded.pad(part, pad_id))
        return kept[-1].float().cpu()  # of texts in several passes the last one, which joins them

    try:
        return _in_order(model, encoded, forward, token_budget=token_budget, precision=precision)
    finally:
        handle.remove()


def _in_order(
    model: PreTrainedModel,
    encoded: Encoded,
    forward: Callable[[NDArray[np.int64]], torch.Tensor],
    *,
    token_budget: int,
    precision: Precision,
) -> NDArray[np.float32]:
    """What a forward pass gives for some rows [m], [m, d], of all texts [n, d]."""
    rows: list[NDArray[np.int64]] = []
    found: list[torch.Tensor] = []
    model.eval()
    with torch.inference_mode(), torch.autocast(model.device.type, DTYPES[precision], enabled=precision != "fp32"):
        for batch in batching.plan(np.arange(len(encoded)), encoded.lengths, token_budget=token_budget):
            for part, vectors_of_part in halving.through(forward, batch.rows, encoded.lengths):
                rows.append(part)
                found.append(vectors_of_part)
    vectors = torch.cat(found).numpy()
    order = np.concatenate(rows)
    result = np.empty_like(vectors)
    result[order] = vectors
    return result


def _pooled(states: torch.Tensor, mask: torch.Tensor, kind: Kind) -> torch.Tensor:
    if kind == "mean":
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
    # Padding may stand on either side.
    places = torch.arange(mask.shape[1], device=mask.device)
    at = (mask * (places + 1)).argmax(1) if kind == "last" else mask.argmax(1)
    return states[torch.arange(len(states), device=states.device), at]

"""A batch that is too large for the memory, in halves."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ftcls.environment import memory
from ftcls.errors import TrainingError


def through(
    forward: Callable[[NDArray[np.int64]], Any], rows: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Any]]:
    """What a forward pass gives for some rows; where it runs out of memory, for both halves of them, each by itself.

    Args:
        forward: takes rows, int64 [b].
        rows: int64 [b], one or more.
        lengths: [n] tokens of every text.

    Raises:
        TrainingError: one text alone is too much.
    """

    def alone(row: NDArray[np.int64]) -> TrainingError:
        return TrainingError(
            f"out of memory with a single text of {int(lengths[row[0]]):,} tokens. Free some, use a device with "
            "more, or train with a smaller model.max_length or model.checkpoint"
        )

    yield from memory.in_halves(forward, rows, free=_free, alone=alone)


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

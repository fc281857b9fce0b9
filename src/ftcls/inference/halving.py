"""A batch that is too large for the memory, in halves."""

import gc
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ftcls.environment import memory
from ftcls.errors import TrainingError

log = logging.getLogger(__name__)


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
    waiting = [rows]
    while waiting:
        part = waiting.pop()
        try:
            found = forward(part)
        except Exception as error:
            if not memory.ran_out(error):
                raise
            found = None
        # Outside the except block: the exception holds the frames that hold the tensors.
        if found is not None:
            yield part, found
            continue
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(part) == 1:
            raise TrainingError(
                f"out of memory with a single text of {int(lengths[part[0]]):,} tokens. Free some, use a device with "
                "more, or train with a smaller model.max_length or model.checkpoint"
            )
        log.warning("out of memory with %d texts at once; they are taken in halves", len(part))
        middle = len(part) // 2
        waiting += [part[middle:], part[:middle]]

"""Memory that has run out: recognized whatever library meets it, and less asked for."""

import gc
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from ftcls.errors import TrainingError

T = TypeVar("T")

log = logging.getLogger(__name__)

_PYTORCH: Final = "OutOfMemoryError"
"""Name of its class, which is not imported here."""
_WORDINGS: Final = re.compile(
    # PyTorch on a CPU, on Linux and on Windows; on CUDA, on MPS, in cuBLAS and cuDNN.
    r"can't allocate memory|not enough memory|out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
    # The system; C++; onnxruntime, whose arena names what it has; NumPy and scikit-learn; Arrow.
    r"|cannot allocate memory|bad[ _]?alloc|failed to allocate memory|smaller than requested bytes"
    r"|unable to allocate|(malloc|realloc) of size \d+ failed",
    re.IGNORECASE,
)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no more memory, of the machine or of a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == _PYTORCH:
        return True
    kind = isinstance(error, RuntimeError | OSError) or type(error).__module__.partition(".")[0] == "onnxruntime"
    return kind and _WORDINGS.search(str(error)) is not None


def smaller(attempt: Callable[[int], T], most: int, *, least: int, what: str) -> T:
    """What an attempt with some size gives; where memory runs out, with half of it, and so on.

    Args:
        attempt: takes the size.
        most: the first size.
        least: below which nothing is tried.
        what: is done, for the line that says with how much less, and for the error: ``the baseline learns rows``.

    Raises:
        TrainingError: it is too much with the least size too.
    """
    size = most
    while True:
        try:
            return attempt(size)
        except Exception as error:
            if not ran_out(error):
                raise
            if size // 2 < least:
                raise TrainingError(
                    f"out of memory: {what}, {size:,} at once, and fewer make no sense. Free some, or take fewer rows "
                    "(data.subset)"
                ) from None
        # Outside the except block: the exception holds the frames that hold the arrays.
        gc.collect()
        log.warning("out of memory: %s, %d and not %d", what, size // 2, most)
        size //= 2


def in_halves(
    attempt: Callable[[Any], T],
    rows: Any,
    *,
    free: Callable[[], object] = gc.collect,
    alone: Callable[[Any], Exception | None] = lambda row: None,
) -> Iterator[tuple[Any, T]]:
    """What an attempt gives for some rows, in their order; where memory runs out, for both halves, each by itself.

    Args:
        attempt: takes rows.
        rows: what can be cut in slices, one or more.
        free: what gives back memory between two attempts.
        alone: the error where one row alone is too much; None: that of the attempt.
    """
    waiting = [rows]
    while waiting:
        part = waiting.pop()
        try:
            found = attempt(part)
        except Exception as error:
            if not ran_out(error):
                raise
            if len(part) == 1:
                raise (alone(part) or error) from None
        else:
            yield part, found
            continue
        free()
        log.warning("out of memory with %d texts at once; they are taken in halves", len(part))
        middle = len(part) // 2
        waiting += [part[middle:], part[:middle]]

"""Memory that has run out: recognized whatever library meets it."""

import re
from typing import Final

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

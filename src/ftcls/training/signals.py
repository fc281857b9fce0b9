"""SIGINT and SIGTERM: the first asks for a stop after the step, the second stops at once."""

import logging
import signal
from types import FrameType, TracebackType
from typing import Self

import torch
from torch import distributed

log = logging.getLogger(__name__)


class StopRequest:
    """Within the ``with`` block a first signal only sets a flag; all processes of a run then stop at the same step."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        log.warning("%s: the step is finished and saved, then the run stops; once more stops at once", self.signal.name)

    def agreed(self, device: torch.device) -> bool:
        """Whether any process was asked to stop. Ctrl-C reaches them at different steps, so they ask each other."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return self.signal is not None
        flag = torch.tensor(float(self.signal is not None), device=device)
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
        return bool(flag.item())

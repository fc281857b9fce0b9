"""SIGINT, SIGTERM, SIGHUP, SIGUSR1: the first asks for a stop after the step; SIGINT or SIGTERM again stops at once."""

import logging
import signal

import torch
from torch import distributed

from ftcls.environment.signals import Caught

log = logging.getLogger(__name__)


class StopRequest(Caught):
    """Within the ``with`` block a first signal only sets a flag; all processes of a run then stop at the same step."""

    def __init__(self) -> None:
        super().__init__()
        self.signal: signal.Signals | None = None

    def received(self, caught: signal.Signals) -> None:
        """Note the first; the second is a Ctrl-C."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = caught
        log.warning("%s: the step is finished and saved, then the run stops; once more stops at once", caught.name)

    def agreed(self, device: torch.device) -> bool:
        """Whether any process was asked to stop. Ctrl-C reaches them at different steps, so they ask each other."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return self.signal is not None
        flag = torch.tensor(float(self.signal is not None), device=device)
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
        return bool(flag.item())

"""Signals that ask a process to end, kept from ending one that has something to finish."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Final, Self

INSISTING: Final = (signal.SIGINT, signal.SIGTERM)
"""A second one of these means: at once."""
WARNING: Final = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGUSR1")  # the terminal is gone; SLURM's --signal, some time before the limit
    if hasattr(signal, name)
)
"""These come more than once, or with a SIGTERM behind them that means the same."""
PARENT: Final = "FTCLS_DIES_WITH"
"""Environment variable that a sweep gives its trials: the process that they shall not outlive."""


class Caught:
    """Within the ``with`` block SIGINT, SIGTERM, SIGHUP and SIGUSR1 do nothing but call `received`.

    It is called for the first, and then for every SIGINT and SIGTERM that follows one of these two. A SIGHUP or SIGUSR1
    that the process ignores (``nohup``) stays ignored.

    Only in the main thread, which alone may say what a signal does: work in another one is stopped with its process.
    """

    def __init__(self) -> None:
        self._before: dict[int, object] = {}
        self._told = self._insisted = False

    def __enter__(self) -> Self:
        here = threading.current_thread() is threading.main_thread()
        for number in (*INSISTING, *heeded()) if here else ():
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def received(self, caught: signal.Signals) -> None:
        """What is done with one; called between two instructions of whatever runs."""
        raise NotImplementedError

    def _handle(self, number: int, frame: FrameType | None) -> None:
        insisting = number in INSISTING
        known = self._told and not (insisting and self._insisted)
        self._told, self._insisted = True, self._insisted or insisting
        if known:
            return
        self.received(signal.Signals(number))


def heeded() -> list[signal.Signals]:
    """SIGHUP and SIGUSR1, where they are not ignored."""
    return [number for number in WARNING if signal.getsignal(number) != signal.SIG_IGN]

"""SIGINT and SIGTERM, kept from ending a process that has something to finish."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Final, Self

PARENT: Final = "FTCLS_DIES_WITH"
"""Environment variable that a sweep gives its trials: the process that they shall not outlive."""


class Caught:
    """Within the ``with`` block SIGINT and SIGTERM do nothing but call `received`.

    Only in the main thread, which alone may say what a signal does: work in another one is stopped with its process.
    """

    def __init__(self) -> None:
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        here = threading.current_thread() is threading.main_thread()
        for number in (signal.SIGINT, signal.SIGTERM) if here else ():
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
        self.received(signal.Signals(number))

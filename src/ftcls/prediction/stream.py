"""Lines of a stream as they arrive, so that what is there can be labelled while more is awaited."""

import codecs
import os
import queue
import threading
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

_BLOCK: Final = 65_536
"""Bytes that are read at once, if so many are there."""
_BLOCKS: Final = 16
"""Blocks that are read ahead: what a fast stream takes of the memory."""


class Stream(Protocol):
    """What rows are read from: a text stream, or `Live`."""

    def readline(self) -> str:
        """The next line with its end, or nothing at the end."""

    def __iter__(self) -> Iterator[str]:
        """The lines that are left."""


class Live:
    r"""The lines of an open file descriptor, in UTF-8; a broken byte becomes U+FFFD. Lines end at ``\n``.

    A thread waits for the bytes. It reads the descriptor itself and not a Python stream, whose lock it would still hold
    when the interpreter ends.
    """

    def __init__(self, descriptor: int) -> None:
        self._blocks: queue.Queue[bytes] = queue.Queue(_BLOCKS)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._lines: deque[str] = deque()
        self._rest = ""
        self._ended = False
        threading.Thread(target=self._read, args=(descriptor,), daemon=True).start()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not self._lines:
            if self._ended:
                raise StopIteration
            self._take(self._blocks.get())
        return self._lines.popleft()

    def readline(self) -> str:
        """The next line with its end, or nothing at the end."""
        return next(self, "")

    def pauses(self, seconds: float) -> bool:
        """Whether no line is there, nor arrives within a time."""
        while not self._lines and not self._ended:
            try:
                self._take(self._blocks.get(timeout=seconds))
            except queue.Empty:
                return True
        return False

    def _read(self, descriptor: int) -> None:
        block = b"more"
        while block:
            try:
                block = os.read(descriptor, _BLOCK)
            except OSError:  # a terminal that was closed
                block = b""
            self._blocks.put(block)

    def _take(self, block: bytes) -> None:
        self._ended = not block
        text = self._rest + self._decoder.decode(block, final=self._ended)
        *lines, self._rest = text.split("\n")
        self._lines.extend(f"{line}\n" for line in lines)
        if self._ended and self._rest:
            self._lines.append(self._rest)

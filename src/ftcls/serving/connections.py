"""Connections of the server: how many there are, and how long each may be silent."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST: Final = 512
"""Connections at once: half of the files that a process may open where nobody set more."""
HEAD_SECONDS: Final = 10.0
"""How long the head of a request may take, from the connection or the last answer on."""
IDLE_SECONDS: Final = 5
"""How long a connection may wait for the next request."""
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\nconnection: close\r\n"
    b"content-length: 42\r\n\r\n"
    b'{"detail":"too many connections are open"}'
)


class Connection(H11Protocol):
    """HTTP/1.1 on one connection that is closed where no request comes, comes slowly, or nobody takes the answer.

    Where there are `MOST` already, the one that has waited longest for a request makes room.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._unsent = 0

    @property
    def waiting(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, in place of another if there are too many."""
        super().connection_made(transport)
        self._start()
        if len(self.connections) <= MOST:
            return
        silent = (each for each in self.connections if isinstance(each, Connection) and each.waiting)
        longest = min(silent, key=lambda each: each._since)
        if longest is self:  # all others have a request
            transport.write(_BUSY)
            transport.close()
        else:
            longest._drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the client to take the answer."""
        super().on_response_complete()
        self._start()

    def _start(self) -> None:
        self._since = self.loop.time()
        self._again()

    def _again(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._silent)

    def _silent(self) -> None:
        if 0 < self.transport.get_write_buffer_size() < self._unsent:
            self._again()  # a long answer on a slow line
        elif self.waiting:
            self._drop()

    def _drop(self) -> None:
        self.connections.discard(self)  # what is lost is told a moment later
        self.transport.abort()

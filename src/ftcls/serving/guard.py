"""What the server takes, and from whom: everything that is refused before a route sees it."""

import asyncio
import contextlib
import hmac
import ipaddress
import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN: Final = ("/", "/health", "/ready")
"""Paths that need no token: they hold nothing of the model but its name. The page asks for the token itself."""
SMALL_BODY: Final = 65_536
"""Bytes of a body that is taken however much is held already, so that large ones do not stop small ones."""
_HELD: Final = 16
"""Bodies of all requests together have at most so many times the bytes of the largest one."""
_NAME: Final = re.compile(r"\[?(.*?)\]?(:\d+)?", re.DOTALL)
"""What ``Host`` holds: a name or an address, IPv6 in brackets, perhaps a port."""


@dataclass(frozen=True)
class Limits:
    """How much of each thing is taken."""

    characters: int
    """Of one text."""
    texts: int
    """Of one request."""
    rows: int
    """Of one CSV."""
    body_bytes: int
    waiting: int
    """Texts that wait for the model; more are answered with 503."""
    together: int
    """Texts that go through the model together."""
    delay: float
    """Seconds that the first text of a batch waits for others."""
    timeout: float
    """Seconds that a request may take to arrive, and to be answered."""


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Refused(Exception):
    """A request that no route sees."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Guard:
    """Checks host, token and size of a request, reads its body within a time, and keeps answers from being misused."""

    def __init__(self, app: App, *, limits: Limits, token: str | None, local: bool) -> None:
        """Wrap an app.

        Args:
            app: what answers.
            limits: how much is taken.
            token: what ``Authorization: Bearer`` must say; None: nothing.
            local: whether the server listens on loopback only; other names in ``Host`` are then refused, so that no
                page of the web can reach it by pointing its own name to 127.0.0.1.
        """
        self.app = app
        self.limits = limits
        self.token = token
        self.local = local
        self.taken = 0
        """Requests whose body arrived whole."""
        self.answered = 0
        """Those whose answer was handed over whole; of the others the client hung up before."""
        self.held = 0
        """Bytes of the bodies of all requests that are not answered yet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        body = bytearray()
        try:
            await self._answer(scope, receive, send, body)
        finally:
            self.held -= len(body)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, body: bytearray) -> None:
        whole = False

        async def sending(message: Message) -> None:
            nonlocal whole
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            await send(message)
            last = "more_body" not in message or not message["more_body"]
            whole = whole or (message["type"] == "http.response.body" and last)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check(scope["path"], headers)
            await self._receive(receive, body)
        except Refused as refused:
            answer = JSONResponse({"detail": refused.detail}, refused.status, refused.headers)
            await answer(scope, receive, sending)
            return
        except ClientGone:
            return
        self.taken += 1
        gone = asyncio.ensure_future(_hung_up(receive))
        work = asyncio.ensure_future(self.app(scope, _replay(body, gone), sending))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not whole:
                work.cancel()  # nobody waits for the answer; its texts leave the queue
            with contextlib.suppress(asyncio.CancelledError):
                await work
        finally:
            self.answered += whole
            gone.cancel()
            work.cancel()

    def _check(self, path: str, headers: dict[str, str]) -> None:
        host = headers["host"] if "host" in headers else ""
        if self.local and not is_loopback(_name(host)):
            raise Refused(400, f"Host: {host[:100]!r} is not a name of this machine's loopback")
        if self.token is not None and path not in OPEN:
            given = headers["authorization"] if "authorization" in headers else ""
            if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
                raise Refused(401, "send the server's token: Authorization: Bearer ...", www_authenticate="Bearer")
        length = headers["content-length"] if "content-length" in headers else "0"
        if length.isascii() and length.isdigit() and int(length[-19:]) > self.limits.body_bytes:
            raise self._too_large()

    async def _receive(self, receive: Receive, body: bytearray) -> None:
        """Fill the body with what arrives."""
        try:
            async with asyncio.timeout(self.limits.timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    part = message["body"] if "body" in message else b""
                    if len(body) + len(part) > self.limits.body_bytes:
                        raise self._too_large()
                    body += part
                    self.held += len(part)
                    if len(body) > SMALL_BODY and self.held > _HELD * self.limits.body_bytes:
                        raise Refused(503, "too many large requests are waiting; try again in 5 s", retry_after="5")
                    if "more_body" not in message or not message["more_body"]:
                        return
        except TimeoutError:
            seconds = math.ceil(self.limits.timeout)
            raise Refused(408, f"the body did not arrive within {seconds} s", connection="close") from None

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is larger than {self.limits.body_bytes:,} bytes; send less at once")


def _name(host: str) -> str:
    found = _NAME.fullmatch(host)
    return found[1] if found else ""


def _replay(body: bytearray, gone: "asyncio.Task[None]") -> Receive:
    """The messages of a request whose body has been read."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        for message in messages:
            return message
        await asyncio.wait((gone,))
        return {"type": "http.disconnect"}

    return receive


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class ClientGone(Exception):
    """The client hung up before its request was whole."""

"""The server at its socket: silent and slow connections, how many there may be, and how it ends."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
import uvicorn

from ftcls.data.texts import PLAIN
from ftcls.serving import connections, server
from ftcls.serving.app import Service, create
from ftcls.serving.batches import SMALL, Batcher, Overloaded
from ftcls.serving.guard import Guard
from ftcls.serving.server import describe
from text_length_classifier import LIMITS, Lengths

ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.contextmanager
def served(classifier, limits=LIMITS):
    routes = create(Service(classifier, limits, describe(classifier, "nowhere", limits, PLAIN), PLAIN))
    app = Guard(routes, limits=limits, token=None, local=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_config=None, http=connections.Connection, timeout_graceful_shutdown=2)
        running = server._Server(config, routes.state.batcher)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        running.place, running.dialed = listening.getsockname(), []
        try:
            yield running
        finally:
            running.should_exit = True
            thread.join(20)
            alive = thread.is_alive()
            for each in running.dialed:
                each.close()
            assert not alive


def dial(running):
    running.dialed.append(socket.create_connection(running.place, timeout=10))
    return running.dialed[-1]


def read(connection):
    """Everything until the other side closes; nothing where it is cut off."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            found += part
    return found


def answered(connection):
    """Whether the server says that it is well, head and body."""
    connection.sendall(ASK)
    found = b""
    while not found.endswith(b'{"status":"ok"}') and (part := connection.recv(65_536)):
        found += part
    return found.startswith(b"HTTP/1.1 200") and found.endswith(b'{"status":"ok"}')


def post(texts):
    body = json.dumps({"texts": texts}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


def test_a_connection_that_says_nothing_or_too_slowly_is_closed(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with served(Lengths()) as running:
        silent, slow, used = dial(running), dial(running), dial(running)
        assert answered(used)
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in ASK[:-2]:  # each byte in time, the whole not
                slow.sendall(bytes([byte]))
                time.sleep(0.02)
        assert read(slow) == read(silent) == read(used) == b""
        assert time.monotonic() - begun < 5
        assert answered(dial(running))


def test_a_thousand_silent_connections_keep_nobody_out(monkeypatch):
    monkeypatch.setattr(connections, "MOST", 8)
    with served(Lengths()) as running:
        silent = [dial(running) for _ in range(40)]
        assert answered(dial(running))
        assert len(running.server_state.connections) <= 8
        assert read(silent[0]) == b""


def test_where_all_connections_have_a_request_another_is_told_so(monkeypatch):
    monkeypatch.setattr(connections, "MOST", 2)
    classifier = Lengths()
    with served(classifier) as running:
        classifier.may_go.clear()
        busy = [dial(running) for _ in range(2)]
        for each in busy:
            each.sendall(post(["a"]))
        time.sleep(0.2)
        head, _, body = read(dial(running)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert f"content-length: {len(body)}".encode() in head
        assert json.loads(body) == {"detail": "too many connections are open"}
        classifier.may_go.set()
        assert [each.recv(100)[:12] for each in busy] == [b"HTTP/1.1 200"] * 2


def test_a_client_that_never_takes_its_answer_is_dropped(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    limits = replace(LIMITS, texts=100_000, characters=10, body_bytes=10**7, waiting=10**6, together=10**6)
    with served(Lengths(), limits) as running, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(running.place)
        slow.sendall(post(["a"] * 60_000))
        deadline = time.monotonic() + 15
        while running.server_state.total_requests == 0 or running.server_state.connections:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_stop_ends_what_would_take_too_long_with_an_answer(monkeypatch):
    monkeypatch.setattr(server, "_STOP_SECONDS", 0.3)
    classifier = Lengths()
    try:
        with served(classifier) as running:
            classifier.may_go.clear()  # a batch that nothing can call back
            asking = dial(running)
            asking.sendall(post(["a"]))
            time.sleep(0.2)
            begun = time.monotonic()
            running.should_exit = True
            found = read(asking)
        assert time.monotonic() - begun < 3
        assert running.batcher.busy
        assert found.startswith(b"HTTP/1.1 503")
        assert b"the server is stopping; try again in 1 s" in found
    finally:
        classifier.may_go.set()


def test_large_bodies_together_are_bounded_and_small_ones_still_taken():
    # Below the limit for one body each, above that for all.
    limits = replace(LIMITS, body_bytes=100_000)
    with served(Lengths(), limits) as running:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99000\r\n\r\n"
        large = [dial(running) for _ in range(20)]
        for each in large:
            each.sendall(head + b" " * 98_000)
        time.sleep(0.3)
        refused = [each for each in large if _said(each).startswith(b"HTTP/1.1 503")]
        assert 2 <= len(refused) <= 6
        asking = dial(running)
        asking.sendall(post(["a"]))
        assert asking.recv(1_000).startswith(b"HTTP/1.1 200")


def _said(connection):
    connection.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        return connection.recv(1_000)
    return b""


def test_small_requests_wait_for_no_large_one():
    class Slow(Lengths):
        def classify(self, texts):
            time.sleep(0.02 * len(texts))
            return super().classify(texts)

    async def ask():
        batcher = Batcher(Slow(), waiting=1_000, together=64, delay=0.001)
        batcher.start()
        large = asyncio.create_task(batcher.submit(["x" * 200] * 200))
        await asyncio.sleep(0.05)
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            await batcher.submit(["a"])
            seconds.append(time.perf_counter() - begun)
        assert not large.done()
        batcher.give_up()
        with pytest.raises(Overloaded, match="the server is stopping"):
            await large
        with pytest.raises(Overloaded, match="the server is stopping"):
            await batcher.submit(["a"], patient=True)
        await batcher.stop()
        return seconds

    assert max(asyncio.run(ask())) < 0.5  # the large one takes 4 s


def test_large_requests_fill_no_place_of_small_ones():
    async def ask():
        classifier = Lengths(settings=type("S", (), {"max_length": 10_000, "positive_label": None})())
        batcher = Batcher(classifier, waiting=20, together=4, delay=0)
        batcher.start()
        classifier.may_go.clear()
        large = [asyncio.create_task(batcher.submit(["x" * 1_000] * 10)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded, match="too many texts"):
            await batcher.submit(["x" * 4 * SMALL] * 10)
        assert not batcher.full
        small = asyncio.create_task(batcher.submit(["a"] * 5))
        await asyncio.sleep(0)
        classifier.may_go.set()
        assert len(await small) == 5
        await asyncio.gather(*large)
        await batcher.stop()

    asyncio.run(ask())


def test_requests_take_turns_by_tokens():
    class Slow(Lengths):
        def classify(self, texts):
            order.append([text[0] for text in texts])
            time.sleep(0.06)  # a batch should be as small as it may
            return [self.one(text) for text in texts]

    order = []

    async def ask():
        batcher = Batcher(Slow(), waiting=1_000, together=64, delay=0.001)
        batcher.small._budget = 40
        batcher.start()
        found = await asyncio.gather(batcher.submit(["l" * 48] * 12), batcher.submit(["s"] * 3))
        await batcher.stop()
        return found

    found = asyncio.run(ask())
    assert [len(each) for each in found] == [12, 3]
    assert "s" in order[0]
    assert order[0].count("l") < 12

"""`ftcls serve` beside clients that mean no good: is a small client answered in time, and does the server end in time?

    python verify/serving.py [RUN] [--short]

The server runs in a process of its own, beside the clients, on this machine; without RUN it serves a small run that is
trained first. A small client asks for one short text at a time: alone, beside one client that sends the largest
requests that are allowed, beside four of them, and beside a thousand connections that say nothing and a hundred that
send a byte a second. Then the server gets SIGTERM while four of the largest requests are worked on. Exit code 1 where
the p99 of the small client beside one large one is more than `TIMES` that of alone, where it is not answered beside the
silent ones, or where the server does not end within ten seconds with exit code 0.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np

import small_run
from ftcls.pipeline import train

TIMES = 5.0
END_SECONDS = 10.0


class Server:
    """`ftcls serve` in a process of its own."""

    def __init__(self, run: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ftcls", "serve", run, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise SystemExit(self.process.stderr.read())

    def stop(self) -> tuple[float, int]:
        """Seconds until it has ended after SIGTERM, and the exit code."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=120)
        return time.monotonic() - begun, self.process.returncode


def client(url: str) -> httpx.AsyncClient:
    """Connections to the server."""
    return httpx.AsyncClient(base_url=url, timeout=120, trust_env=False)


async def small(url: str, requests: int) -> list[float]:
    """Milliseconds of each request of a client that asks for one short text at a time."""
    found = []
    async with client(url) as http:
        for number in range(requests):
            begun = time.perf_counter()
            answer = await http.post("/predict", json={"text": f"a warm and clever film, number {number}"})
            answer.raise_for_status()
            found.append((time.perf_counter() - begun) * 1_000)
            await asyncio.sleep(0.01)
    return found


def largest(limits: dict[str, int]) -> bytes:
    """The largest request that is allowed."""
    characters = min(limits["characters"], limits["body_bytes"] // limits["texts"] - 10)
    return json.dumps({"texts": [("a warm and clever film " * (characters // 23))] * limits["texts"]}).encode()


async def ask_large(url: str, body: bytes, statuses: list[int]) -> None:
    """Send the largest request again and again."""
    async with client(url) as http:
        while True:
            answer = await http.post("/predict", content=body, headers={"Content-Type": "application/json"})
            statuses.append(answer.status_code)


@contextlib.asynccontextmanager
async def beside(url: str, body: bytes, clients: int) -> object:
    """So many clients that send the largest request."""
    statuses: list[int] = []
    tasks = [asyncio.create_task(ask_large(url, body, statuses)) for _ in range(clients)]
    await asyncio.sleep(0.5)
    yield statuses
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def fairness(server: Server, requests: int) -> bool:
    """Whether the small client is answered in time beside large ones."""
    async with client(server.url) as http:
        body = largest((await http.get("/model")).json()["limits"])
    await small(server.url, 20)
    alone = np.percentile(await small(server.url, requests), (50, 99))
    print(f"small client alone: p50 {alone[0]:.0f} ms, p99 {alone[1]:.0f} ms")
    good = True
    for clients in (1, 4):
        async with beside(server.url, body, clients):
            found = np.percentile(await small(server.url, requests), (50, 99))
        times = found[1] / alone[1]
        good &= clients > 1 or times <= TIMES
        print(
            f"beside {clients} with requests of {len(body) / 1e6:.1f} MB: p50 {found[0]:.0f} ms, p99 {found[1]:.0f} ms,"
            f" {times:.1f} times that of alone"
        )
    return good


async def silence(server: Server, connections: int) -> bool:
    """Whether the small client is answered beside connections that say nothing or too little."""
    place = re.fullmatch(r"http://(.*):(\d+)", server.url)
    with contextlib.ExitStack() as stack:
        silent = []
        for _ in range(connections):
            made = socket.create_connection((place[1], int(place[2])), timeout=30)
            silent.append(stack.enter_context(made))
        slow = silent[: connections // 10]
        begun, failed = time.monotonic(), 0
        while time.monotonic() - begun < 15:
            for each in slow:
                with contextlib.suppress(OSError):
                    each.sendall(b"G")
            try:
                await small(server.url, 10)
            except httpx.HTTPError as error:
                print("  not answered:", type(error).__name__)
                failed += 1
            await asyncio.sleep(0.5)
        left = sum(not _closed(each) for each in silent)
    print(f"{connections:,} silent connections: {left} are left after 15 s, {failed} times a request was not answered")
    return left == 0 and failed == 0


def _closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


async def end(server: Server) -> bool:
    """Whether it ends in time while large requests are worked on."""
    async with client(server.url) as http:
        body = largest((await http.get("/model")).json()["limits"])
    async with beside(server.url, body, 4):
        await asyncio.sleep(1)
        took, code = await asyncio.to_thread(server.stop)
    print(f"SIGTERM beside 4 of the largest requests: ended after {took:.1f} s with exit code {code}")
    return took <= END_SECONDS and code == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default=None)
    parser.add_argument("--short", action="store_true", help="fewer requests and connections")
    given = parser.parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4_096), most))
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("FTCLS_CACHE", f"{name}/cache")
        run = given.run or str(train.train(small_run.experiment(Path(name)), output=Path(name) / "run").files.path)
        server = Server(run)
        try:
            good = [
                asyncio.run(fairness(server, 60 if given.short else 500)),
                asyncio.run(silence(server, 200 if given.short else 1_000)),
                asyncio.run(end(server)),
            ]
        finally:
            server.process.kill()
    print("all in time" if all(good) else "NOT in time")
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())

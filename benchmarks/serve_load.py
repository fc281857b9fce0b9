"""`ftcls serve` under load: latency, throughput, overload, a stop in the middle of it, memory.

    python benchmarks/serve_load.py runs/imdb
    python benchmarks/serve_load.py runs/imdb --clients 64 --seconds 60
    python benchmarks/serve_load.py runs/imdb --requests 50000

The server runs in a process of its own, on this machine, beside the clients. Texts are generated, of 1 to 200 words, a
few of them in one request now and then. First one client asks, one request at a time, then all clients at once; then a
server with a short queue is overloaded; then one is sent SIGTERM while all clients ask: every request that it took must
be answered. Memory is the server's resident size. With --requests all clients together send so many requests of one
short text, and memory is all that is looked at.
"""

import argparse
import asyncio
import collections
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import httpx
import numpy as np
import psutil


@dataclass
class Found:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    """Latency of each answered request."""
    texts: int = 0
    """Labelled."""
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)

    def line(self, lasted: float) -> str:
        """One line of the table."""
        p50, p99 = np.percentile(self.seconds or [float("nan")], (50, 99)) * 1000
        statuses = ", ".join(f"{status} {count:,}" for status, count in sorted(self.statuses.items()))
        return f"{self.texts / lasted:8.1f} texts/s  p50 {p50:7.0f} ms  p99 {p99:7.0f} ms   {statuses}"


class Server:
    """`ftcls serve` in a process of its own."""

    def __init__(self, run: str, *options: str) -> None:
        command = [sys.executable, "-m", "ftcls", "serve", run, "--port", "0", *options]
        self.process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise SystemExit(self.process.stderr.read())

    def memory(self) -> float:
        """Megabytes."""
        return self.process.memory_info().rss / 1024**2

    def stop(self) -> tuple[int, str]:
        """Exit code, and the last line it wrote."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """Exit code, and the last line it wrote."""
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said.strip().splitlines()[-1]


def some_texts(draw: random.Random) -> list[str]:
    """One text, or a few; most are short."""
    words = ["film", "plot", "dull", "warm", "the", "a", "never", "again", "second", "half", "music", "and", "of", "is"]
    count = draw.choice([1, 1, 1, 1, 1, 1, 4, 16])
    return [" ".join(draw.choices(words, k=min(200, int(draw.expovariate(1 / 25)) + 1))) for _ in range(count)]


async def client(http: httpx.AsyncClient, number: int, until: float, found: Found) -> None:
    """Ask until the time is over."""
    draw = random.Random(number)
    while time.perf_counter() < until:
        texts = some_texts(draw)
        begun = time.perf_counter()
        try:
            answer = await http.post("/predict", json={"texts": texts})
        except httpx.TransportError as error:
            found.statuses[type(error).__name__] += 1
            await asyncio.sleep(0.05)
            continue
        found.statuses[str(answer.status_code)] += 1
        if answer.status_code == 200:
            found.seconds.append(time.perf_counter() - begun)
            found.texts += len(texts)
            if len(answer.json()["predictions"]) != len(texts):
                raise SystemExit("an answer has another number of predictions than the request had texts")
        elif answer.status_code == 503:
            await asyncio.sleep(0.2)  # as long as a test can wait of what Retry-After says


async def load(url: str, clients: int, seconds: float) -> tuple[Found, float]:
    """All clients at once for some seconds, each on a connection of its own."""
    found = Found()
    async with session(url, clients) as http:
        begun = time.perf_counter()
        await asyncio.gather(*(client(http, n, begun + seconds, found) for n in range(clients)))
        return found, time.perf_counter() - begun


def session(url: str, clients: int) -> httpx.AsyncClient:
    """Connections to the server."""
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    return httpx.AsyncClient(base_url=url, timeout=120, trust_env=False, verify=False, limits=limits)


async def asked(url: str, clients: int, requests: int) -> collections.Counter[int]:
    """Send so many requests of one short text; their statuses."""
    statuses: collections.Counter[int] = collections.Counter()
    numbers = iter(range(requests))

    async def ask(http: httpx.AsyncClient) -> None:
        for number in numbers:
            answer = await http.post("/predict", json={"text": f"a warm and clever film, number {number}"})
            statuses[answer.status_code] += 1

    async with session(url, clients) as http:
        await asyncio.gather(*(ask(http) for _ in range(clients)))
    return statuses


def steady(run: str, clients: int, requests: int) -> None:
    """Print the server's memory after each tenth of the requests."""
    server = Server(run)
    begun, statuses, memory = time.perf_counter(), collections.Counter(), [server.memory()]
    for _ in range(10):
        statuses += asyncio.run(asked(server.url, clients, requests // 10))
        memory.append(server.memory())
    print(f"{dict(statuses)} in {time.perf_counter() - begun:.0f} s")
    print(f"memory: {memory[0]:,.0f} MB before, then {', '.join(f'{each:,.0f}' for each in memory[1:])} MB")
    print("stopped:", *server.stop())


async def stopped_in_the_middle(server: Server, clients: int, seconds: float) -> Found:
    """SIGTERM after half of the time."""
    asking = asyncio.create_task(load(server.url, clients, seconds))
    await asyncio.sleep(seconds / 2)
    server.process.send_signal(signal.SIGTERM)
    found, _ = await asking
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--requests", type=int, help="only this: memory over so many requests")
    options = parser.parse_args()
    if options.requests is not None:
        steady(options.run, options.clients, options.requests)
        return

    server = Server(options.run)
    print(f"one request at a time  {Found.line(*asyncio.run(load(server.url, 1, options.seconds / 4)))}")
    before = server.memory()
    memory = []
    for _ in range(4):
        found, lasted = asyncio.run(load(server.url, options.clients, options.seconds / 4))
        memory.append(server.memory())
        print(f"{options.clients:3} clients            {found.line(lasted)}", flush=True)
    print(f"memory: {before:,.0f} MB before, then {', '.join(f'{each:,.0f}' for each in memory)} MB")
    print("stopped:", *server.stop())

    server = Server(options.run, "--queue", "32")
    found, lasted = asyncio.run(load(server.url, options.clients, options.seconds / 4))
    print(f"a queue of 32 texts    {found.line(lasted)}")
    print("stopped:", *server.stop())

    server = Server(options.run)
    found = asyncio.run(stopped_in_the_middle(server, options.clients, min(10.0, options.seconds)))
    code, said = server.ended()
    taken, answered = map(int, re.findall(r"(\d+) requests taken, (\d+) answered", said)[0])
    received = sum(count for status, count in found.statuses.items() if status.isdigit())
    print(f"SIGTERM under load: exit code {code}; {taken:,} taken, {answered:,} answered, {received:,} received")
    print("lost: none" if taken == answered == received else "lost: SOME")


if __name__ == "__main__":
    main()

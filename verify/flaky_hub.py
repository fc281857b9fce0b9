"""A Hub that fails in every way that a network has: is the file had at last, or refused in one message?

    python verify/flaky_hub.py [--short]

A Hub on the loopback (`tests/support/fake_hub.py`) has a small checkpoint. Its answers are spoilt: the connection is
reset, the content cut off, 429, 500, 502 and 503 said, bytes sent slowly or not at all, other bytes of the same length
sent, HTML in place of JSON, a length that is not kept. Each is tried once (the library may try again), a few times, and
for ever, on each file, by a process of its own that labels a text. Then `download.fetch` of a data set's archive from a
server that does the same. Exit code 1 where a traceback or exit code 1 is shown, a spoilt file was used, a message does
not name the Hub or the checkpoint, or a case took more than `SECONDS`.
"""

import argparse
import contextlib
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.pop("HF_HUB_OFFLINE", None)  # before it is read; the Hub here is on the loopback
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from transformers import AutoModelForSequenceClassification, BertConfig

import fake_hub
from ftcls.data.readers import download
from ftcls.environment import cache
from ftcls.errors import DataError, FtclsError
from ftcls.model import loading

SECONDS = 120.0
NAME = "me/it"
FOR_EVER = 10**6


def reset(handler: Any, content: bytes, headers: dict[str, str]) -> None:
    """Hang up at once."""
    handler.connection.close()
    handler.close_connection = True


def cut(handler: Any, content: bytes, headers: dict[str, str]) -> None:
    """Half of what was promised."""
    begin(handler, _status(handler), len(content), headers)
    handler.wfile.write(content[: len(content) // 2])
    handler.close_connection = True


def other(handler: Any, content: bytes, headers: dict[str, str]) -> None:
    """As many bytes, and one of them another."""
    begin(handler, _status(handler), len(content), headers)
    handler.wfile.write(content[:-1] + bytes([content[-1] ^ 1]) if content else b"")


def slow(handler: Any, content: bytes, headers: dict[str, str]) -> None:
    """All of it, in drops."""
    begin(handler, _status(handler), len(content), headers)
    for start in range(0, len(content), max(1, len(content) // 10)):
        handler.wfile.write(content[start : start + max(1, len(content) // 10)])
        handler.wfile.flush()
        time.sleep(0.1)


def html(handler: Any, content: bytes, headers: dict[str, str]) -> None:
    """The page of a proxy that wants a password."""
    page = b"<html><body>Log in</body></html>"
    begin(handler, 200, len(page), {**headers, "Content-Type": "text/html"})
    handler.wfile.write(page)


def says(status: int) -> Callable[[Any, bytes, dict[str, str]], None]:
    """An error of a server."""

    def answer(handler: Any, content: bytes, headers: dict[str, str]) -> None:
        begin(handler, status, 2, {"Retry-After": "1"} if status == 429 else {})
        handler.wfile.write(b"{}")

    answer.__name__ = str(status)
    return answer


def _status(handler: Any) -> int:
    return 206 if "Range" in handler.headers and isinstance(handler, Archive) else 200


def begin(handler: Any, status: int, length: int, headers: dict[str, str]) -> None:
    """Status and headers."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


SPOILS = (reset, cut, other, slow, html, says(429), says(500), says(502), says(503))


class Answers(fake_hub._Answers):
    """Those of the Hub, spoilt for some files so many times."""

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        """Send, or spoil; large files have the digest of their content, as on the Hub."""
        if "/resolve/" in self.path and status == 200 and self.path.partition("?")[0].endswith(".safetensors"):
            digest = f'"{hashlib.sha256(content).hexdigest()}"'
            headers = {**headers, "ETag": digest, "X-Linked-Etag": digest, "X-Linked-Size": str(len(content))}
        spoil, name, times = self.server.spoil
        if (
            self.command == "GET"
            and "/resolve/" in self.path
            and self.path.partition("?")[0].endswith(name)
            and times > 0
        ):
            self.server.spoil = (spoil, name, times - 1)
            with contextlib.suppress(OSError):
                spoil(self, content, headers)
            return
        super().send(status, content, headers)


def outcome(hub: fake_hub.FakeHub, home: Path, expected: str) -> str:
    """What labelling a text by the checkpoint of the Hub comes to."""
    shutil.rmtree(home, ignore_errors=True)
    environment = hub.environment(home) | {"HF_TOKEN": fake_hub.TOKEN, "FTCLS_CACHE": str(home / "ftcls")}
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ftcls", "predict", NAME, "--text", "one two", "--quiet"],
            env=environment, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"late: more than {SECONDS:g} s"
    if "Traceback" in done.stderr or done.returncode not in (0, 4):
        return f"traceback: exit code {done.returncode}, {done.stderr.strip()[-300:]}"
    if done.returncode == 0:
        return "had" if done.stdout == expected else f"silent: {done.stdout!r} and not {expected!r}"
    if NAME not in done.stderr and hub.endpoint not in done.stderr:
        return f"nameless: {done.stderr.strip()[-300:]}"
    return f"refused after {time.monotonic() - begun:.0f} s" if time.monotonic() - begun > 60 else "refused"


def checkpoint(hub: fake_hub.FakeHub, folder: Path) -> None:
    """Put a small classifier on the Hub."""
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=["one two three"])
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(tokenizer), **small)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    hub.files[NAME] = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    hub.private[NAME] = False


def of_the_hub(home: Path, *, short: bool) -> Counter[str]:
    """Spoil each file of a checkpoint."""
    counts: Counter[str] = Counter()
    with fake_hub.serving() as hub:
        hub.RequestHandlerClass = Answers
        hub.spoil = (reset, "nothing", 0)
        checkpoint(hub, home / "model")
        environment = hub.environment(home / "hf") | {"HF_TOKEN": fake_hub.TOKEN}
        good = subprocess.run(
            [sys.executable, "-m", "ftcls", "predict", NAME, "--text", "one two", "--quiet"],
            env=environment, capture_output=True, text=True, timeout=SECONDS, check=True,
        )  # fmt: skip
        names = ("model.safetensors",) if short else ("config.json", "tokenizer.json", "model.safetensors")
        for name in names:
            for spoil in SPOILS[:3] if short else SPOILS:
                for times in (1,) if short else (1, 3, FOR_EVER):
                    if spoil is slow and times > 1:
                        continue
                    hub.spoil = (spoil, name, times)
                    found = outcome(hub, home / "hf", good.stdout)
                    counts[found.partition(":")[0].partition(" after")[0]] += 1
                    often = "for ever" if times == FOR_EVER else f"{times} times"
                    print(f"{name:18} {spoil.__name__:6} {often:9} {found}", flush=True)
    return counts


class Archive(http.server.BaseHTTPRequestHandler):
    """A server with one file, which it spoils and takes up where it was asked to."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        """It is there."""
        begin(self, 200, 0, {})

    def do_GET(self) -> None:
        """The file, or what is left of it."""
        content = self.server.content
        start = int((self.headers.get("Range") or "bytes=0-").split("=")[1].rstrip("-"))
        spoil, times = self.server.spoil
        if times > 0:
            self.server.spoil = (spoil, times - 1)
            with contextlib.suppress(OSError):
                spoil(self, content[start:], {})
            return
        begin(self, 206 if start else 200, len(content) - start, {})
        self.wfile.write(content[start:])


@contextlib.contextmanager
def archive(content: bytes) -> Iterator[Any]:
    """Serve a file."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive) as server:
        server.content, server.spoil = content, (reset, 0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def of_archives() -> Counter[str]:
    """Spoil the download of a data set."""
    counts: Counter[str] = Counter()
    content = os.urandom(300_000)

    def check(path: Path) -> None:
        if path.read_bytes() != content:
            raise DataError(f"{path}: another digest")

    with archive(content) as server:
        address = f"http://127.0.0.1:{server.server_port}/archive.tar.gz"
        for spoil in SPOILS:
            for times in (1, 2, FOR_EVER):
                if spoil is slow and times > 1:
                    continue
                server.spoil = (spoil, times)
                name = f"{spoil.__name__}-{times}.tar.gz"
                try:
                    found = (
                        "had" if download.fetch([address], name=name, check=check, remedy="...").is_file() else "lost"
                    )
                except FtclsError as error:
                    found = "refused" if address in str(error) else f"nameless: {error}"
                except Exception as error:  # noqa: BLE001  anything else is a finding
                    found = f"traceback: {type(error).__name__}: {error}"
                kept = cache.folder("downloads") / name
                if kept.exists() and kept.read_bytes() != content:
                    found = "silent: a spoilt file is in the cache"
                server.spoil = (spoil, 0)
                if found == "refused":  # the next command takes it up
                    again = download.fetch([address], name=name, check=check, remedy="...")
                    found = "refused" if again.read_bytes() == content else "silent: another file"
                counts[found.partition(":")[0]] += 1
                often = "for ever" if times == FOR_EVER else f"{times} times"
                print(f"{'an archive':18} {spoil.__name__:6} {often:9} {found}", flush=True)
    return counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Spoil, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="downloads of archives, and three failures of weights")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        before = os.environ.get("FTCLS_CACHE")
        os.environ["FTCLS_CACHE"] = f"{name}/cache"
        try:
            total = of_archives() + of_the_hub(Path(name), short=given.short)
        finally:
            os.environ.pop("FTCLS_CACHE") if before is None else os.environ.update(FTCLS_CACHE=before)
    print(f"{total.total()} failures:", ", ".join(f"{total[kind]} {kind}" for kind in KINDS))
    return int(any(total[kind] for kind in total if kind not in KINDS[:2]))


KINDS = ("had", "refused", "silent", "traceback", "nameless", "late")


if __name__ == "__main__":
    sys.exit(main())

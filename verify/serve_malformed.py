"""More than 200 malformed requests to `ftcls serve`, over sockets: is each answered with a 4xx, and does it live on?

    python verify/serve_malformed.py runs/imdb

The server runs in a process of its own on loopback. Each request has a connection of its own and is sent as bytes, so
that what is broken stays broken: JSON of wrong types, bad UTF-8, deep nesting, null characters, paths that lead
elsewhere, methods, content types, bodies that are too large or never end, and what is no HTTP at all.
"""

import argparse
import collections
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil

Request = tuple[str, bytes]
"""What is wrong, and the bytes."""

JSON = {"Content-Type": "application/json"}
MEGABYTE = 1024**2


def http(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """The bytes of a request."""
    fields = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def bodies() -> Iterator[Request]:
    """JSON that is none, or of the wrong shape."""
    wrong = [None, True, 0, 1.5, [], {}, [[]], [None], [1], {"a": 1}, "a\0b", "\ud800", "x" * 100_001]
    for key in ("text", "texts", "Text"):
        for value in wrong:
            if (key, value) != ("texts", []):
                yield f"{key}: {value!r:.20}", json.dumps({key: value}).encode()
    for value in wrong:
        yield f"texts of {value!r:.20}", json.dumps({"texts": [value]}).encode()
        if not isinstance(value, dict):
            yield f"the body {value!r:.20}", json.dumps(value).encode()
    for extra in ("texts", "top", "__proto__"):
        yield f"{extra} beside text", json.dumps({"text": "a", extra: 1}).encode()
    yield "257 texts", json.dumps({"texts": ["a"] * 257}).encode()
    yield from {
        "nothing": b"",
        "a brace": b"{",
        "half a word": b"nul",
        "NaN": b"NaN",
        "bad UTF-8": b'{"text": "\xff"}',
        "a surrogate in UTF-8": b'{"text": "\xed\xa0\x80"}',
        "UTF-16": '{"text": "a"}'.encode("utf-16")[:-1],
        "null bytes": b'{"text": "\0\0"}',
        "only null bytes": b"\0" * 100,
        "a form": b"text=a",
        "XML": b"<text>a</text>",
        "single quotes": b"{'text': 'a'}",
        "a number of 100,000 digits": b'{"text": ' + b"9" * 100_000 + b"}",
        "a key twice, one wrong": b'{"text": "a", "text": 1}',
    }.items()
    for depth in (100, 10_000, 1_000_000):
        for opening in (b"[", b'{"text":', b'{"texts":['):
            yield f"{opening.decode()} {depth} deep", opening * min(depth, 9 * MEGABYTE // len(opening))
        yield f"closed lists {depth} deep", b'{"texts": ' + b"[" * depth + b"]" * depth + b"}"
    yield "11 MB", b'{"text": "' + b"x" * (11 * MEGABYTE) + b'"}'


def over_http() -> Iterator[Request]:
    """Requests that are HTTP, to the right address."""
    for name, body in bodies():
        for path in ("/predict", "/words"):
            yield f"{path}: {name}", http("POST", path, body, JSON)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/csv"):
        yield f"/predict as {kind}", http("POST", "/predict", b'{"text": "a"}', {"Content-Type": kind})
    for kind in ("text/plain", "application/json", "multipart/form-data; boundary=x", ""):
        yield f"/predict/file as {kind}", http("POST", "/predict/file", b"text\na\n", {"Content-Type": kind})
    for name, body in {
        "nothing": b"",
        "bad UTF-8": b"text\n\xff\n",
        "null bytes": b"text\na\0b\n",
        "another column": b"body\na\n",
        "a column twice": b"text,text\na,b\n",
        "a quote that never closes": b'text\n"' + b"a\n" * 100_000,
        "too many rows": b"text\n" + b"a\n" * 20_001,
        "a long text": b"text\n" + b"a" * 100_001,
        "nothing that can be read": b"text,b\n" + b"a\n" * 10,
    }.items():
        yield f"/predict/file: {name}", http("POST", "/predict/file", body, {"Content-Type": "text/csv"})


def elsewhere() -> Iterator[Request]:
    """Requests that are HTTP, to addresses and by methods that are not there."""
    tricks = [
        "/../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/predict/../../x",
    ]
    tricks += ["/predict%00", "/%00", "/.git/config", "/page.py", "/static/../app.py", "/predict/file/..%5c..%5cx"]
    tricks += ["/predict/", "/Predict", "/predict;x", "/\\..\\..", "/file:///etc/passwd", "/%ff", "/" + "a" * 5_000]
    tricks += ["/docs", "/redoc", "/admin", "/model/..", "/health/../model"]
    for path in tricks:
        yield f"GET {path:.40}", http("GET", path)
    for path in ("/predict", "/words", "/predict/file"):
        for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
            yield f"{method} {path}", http(method, path)
    for path in ("/", "/health", "/ready", "/model", "/openapi.json"):
        for method in ("POST", "PUT", "DELETE"):
            yield f"{method} {path}", http(method, path)
    for host in ("evil.example", "", "localhost.evil.example", "10.0.0.1:80", "a" * 1_000):
        yield f"Host: {host:.40}", http("GET", "/model", headers={"Host": host})


def below_http() -> Iterator[Request]:
    """Requests that are no HTTP, or break its rules."""
    start = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    yield "a word", b"hello\r\n\r\n"
    yield "bytes", bytes(range(128, 256)) + b"\r\n\r\n"
    yield "null bytes", b"\0" * 100 + b"\r\n\r\n"
    yield "the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100 + b"\r\n\r\n"
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "no version", b"GET /\r\n\r\n"
    yield "no path", b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield "a space in the path", b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield "a null in the path", b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield "no Host", b"GET /model HTTP/1.1\r\n\r\n"
    yield "two Hosts", b"GET /model HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    yield "a header without a colon", start + b"broken\r\n\r\n"
    yield "a header with a null", start + b"X: a\0b\r\n\r\n"
    yield "a header of 100,000 characters", start + b"X: " + b"a" * 100_000 + b"\r\n\r\n"
    yield "10,000 headers", start + b"X: a\r\n" * 10_000 + b"\r\n"
    for length in ("-1", "x", "1e3", "0x10", "1, 2", "9" * 30):
        yield f"Content-Length: {length}", start + f"Content-Length: {length}\r\n\r\n".encode() + b'{"text": "a"}'
    yield "two lengths", start + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
    yield "an unknown coding", start + b"Transfer-Encoding: gzip\r\n\r\n{}"
    yield "a chunk without a size", start + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (MEGABYTE, b"x" * MEGABYTE)
    yield "11 MB in chunks", start + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 11 + b"0\r\n\r\n"
    yield "a body that never ends", start + b"Content-Length: 100\r\n\r\n{"
    yield "another page's request", start + b"Origin: http://evil.example\r\nContent-Length: 2\r\n\r\n{}"


def status(port: int, request: bytes) -> str:
    """The status that a request is answered with, or what happened instead."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent, and answered
            connection.sendall(request)
        try:
            head = connection.recv(64)
        except (TimeoutError, ConnectionResetError) as error:
            return type(error).__name__
    return head.split()[1].decode() if head.startswith(b"HTTP/1.1 ") else f"{head[:20]!r}"


def main() -> int:
    """Send and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    options = parser.parse_args()
    command = [sys.executable, "-m", "ftcls", "serve", options.run, "--port", "0", "--timeout", "5"]
    server = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    if not url:
        raise SystemExit(server.stderr.read())
    port = int(url.rpartition(":")[2])
    before = server.memory_info().rss / MEGABYTE
    found = {name: status(port, request) for name, request in (*over_http(), *elsewhere(), *below_http())}
    after = server.memory_info().rss / MEGABYTE
    good = status(port, http("POST", "/predict", b'{"text": "a warm and clever film"}', JSON))
    server.send_signal(signal.SIGTERM)
    said = server.communicate(timeout=60)[1].strip().splitlines()
    counts = collections.Counter(found.values())
    print(f"{len(found)} malformed requests: {', '.join(f'{code} {n}' for code, n in sorted(counts.items()))}")
    for name, code in found.items():
        if not (code.isdigit() and 400 <= int(code) < 500):
            print(f"NOT a 4xx: {name}: {code}")
    print(f"memory: {before:,.0f} MB before, {after:,.0f} MB after; a good request then: {good}")
    print(f"exit code {server.returncode}; its log has {len(said)} lines, the last: {said[-1]}")
    return 0 if good == "200" and all(code.startswith("4") for code in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())

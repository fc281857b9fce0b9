import hashlib
import http.server
import logging
import threading
import time

import huggingface_hub.constants
import pytest

from ftcls.data.readers import download
from ftcls.environment import cache
from ftcls.errors import DataError, UnavailableError

CONTENT = bytes(range(256)) * 2_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Site:
    """A server of one file that can stop short, damage, refuse, or ignore ranges; it remembers what was asked."""

    def __init__(self):
        self.content = CONTENT
        self.stops = []
        """Bytes after which the next answers break off."""
        self.ranges = True
        self.status = None
        self.asked = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(200)
                self.end_headers()

            def do_GET(self):
                site.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/file.bin"

    def answer(self, handler):
        wanted = handler.headers["Range"]
        self.asked.append(wanted)
        if self.status is not None:
            return handler.send_error(self.status)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        if start >= len(self.content):
            return handler.send_error(416)
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.stops.pop(0)] if self.stops else body)
        return None


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    one = Site()
    with one.server as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield one
        server.shutdown()
        thread.join()


def check(path):
    if hashlib.sha256(path.read_bytes()).hexdigest() != DIGEST:
        raise DataError("the sum is another one")


def fetch(*addresses):
    return download.fetch(addresses, name="file.bin", check=check, remedy="Set data.path to a copy.")


def left():
    return sorted(path.name for path in cache.folder("downloads").iterdir() if path.suffix != ".lock")


def test_a_file_is_announced_with_its_size_and_fetched_once(site, caplog):
    with caplog.at_level(logging.INFO, logger="ftcls"):
        path = fetch(site.address)
    assert path.read_bytes() == CONTENT
    assert f"downloading {site.address} (0.5 MB)" in caplog.text
    assert fetch(site.address) == path
    assert site.asked == [None]
    assert left() == ["file.bin"]


def test_a_transfer_that_breaks_off_is_taken_up_where_it_stopped(site):
    site.stops = [100_000, 50_000]
    assert fetch(site.address).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_the_next_command_goes_on_where_the_last_one_gave_up(site):
    site.stops = [1_000] * download.ATTEMPTS
    with pytest.raises(
        UnavailableError, match=r"broke off after 0\.0 MB .*the same command again goes on from there\nSet"
    ):
        fetch(site.address)
    assert left() == ["file.bin.part"]
    assert fetch(site.address).read_bytes() == CONTENT
    assert site.asked[-1] == "bytes=3000-"
    assert left() == ["file.bin"]


def test_a_server_that_does_not_resume_starts_anew(site):
    site.stops, site.ranges = [100_000], False
    assert fetch(site.address).read_bytes() == CONTENT


def test_damaged_bytes_are_one_clear_error_and_leave_nothing(site):
    site.content = CONTENT[:-1] + b"?"
    with pytest.raises(
        UnavailableError, match=r"file\.bin cannot be downloaded:\n  http.*: gives something else: the sum"
    ):
        fetch(site.address)
    assert left() == []


@pytest.mark.parametrize("before", [b"of another file", bytes(len(CONTENT) + 5)])
def test_what_an_earlier_transfer_left_is_thrown_away_where_it_does_not_fit(site, before):
    (cache.folder("downloads") / "file.bin.part").write_bytes(before)
    assert fetch(site.address).read_bytes() == CONTENT


def test_the_second_address_is_asked_when_the_first_does_not_have_it(site):
    missing = Site()
    missing.status = 404
    with missing.server as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert fetch(missing.address, site.address).read_bytes() == CONTENT
        site.status = 503
        (cache.folder("downloads") / "file.bin").unlink()
        with pytest.raises(UnavailableError, match=r"answers 404 .*\n.*answers 503 .*\nSet data\.path to a copy\."):
            fetch(missing.address, site.address)
        server.shutdown()
        thread.join()
    assert left() == []


def test_two_addresses_that_are_silent_are_known_within_five_seconds(site, black_hole):
    start = time.perf_counter()
    with pytest.raises(UnavailableError, match=r"no answer within 2 seconds\n.*no answer within 2 seconds"):
        fetch(black_hole, black_hole)
    assert time.perf_counter() - start < 5


def test_two_that_want_the_file_at_once_fetch_it_once(site):
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch(site.address))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert site.asked == [None]


def test_offline_nothing_is_asked_and_the_cache_still_serves(site, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UnavailableError, match=r"file\.bin is not in .*downloads, and offline nothing is downloaded\.\nSet"
    ):
        fetch(site.address)
    (cache.folder("downloads") / "file.bin").write_bytes(CONTENT)
    assert fetch(site.address).read_bytes() == CONTENT
    assert site.asked == []

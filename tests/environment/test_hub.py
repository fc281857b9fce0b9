import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time

import httpx2
import huggingface_hub.constants
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ftcls.environment import hub_access
from ftcls.errors import UnavailableError
from ftcls.model import hub_digests


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """A proxy of the machine that runs the tests must not answer for the loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_the_hub_that_says_nothing_is_given_up_within_five_seconds(black_hole, tmp_path):
    program = """
import time
from ftcls.config.schema import Data
from ftcls.data.read import read
from ftcls.errors import UnavailableError
start = time.perf_counter()
try:
    read(Data(source="ag_news"), seed=0)
except UnavailableError as error:
    print(error)
    print(time.perf_counter() - start)
"""
    environment = os.environ | {"HF_ENDPOINT": black_hole, "HF_HOME": str(tmp_path), "FTCLS_CACHE": str(tmp_path)}
    environment.pop("HF_HUB_OFFLINE")
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    *message, seconds = done.stdout.splitlines()
    assert float(seconds) < 5
    assert f"fancyzhx/ag_news cannot be had: the Hub ({black_hole}) cannot be reached" in message[0]
    assert all(way in message[1] for way in ("data.path", "HF_ENDPOINT", "--offline"))


def test_silence_and_refusal_are_no_answer(black_hole):
    start = time.perf_counter()
    assert not hub_access.answers(black_hole, 0.3)
    assert time.perf_counter() - start < 2
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert not hub_access.answers(f"http://127.0.0.1:{closed.getsockname()[1]}", 0.3)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_http_answer_is_an_answer(status):
    class Answering(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert hub_access.answers(f"http://127.0.0.1:{server.server_port}", hub_access.PATIENCE)
        server.shutdown()
        thread.join()


def test_offline_by_word_asks_nobody(monkeypatch):
    monkeypatch.setattr(hub_access, "answers", lambda address, patience: pytest.fail("asked"))
    hub_access.connect.cache_clear()
    assert hub_access.connect() is False


def response(status, url):
    return httpx2.Response(status, request=httpx2.Request("GET", url))


def refused(kind, status, message):
    return kind(message, response=response(status, "https://huggingface.co/a/b/resolve/main/config.json"))


GATED = """403 Client Error.

Cannot access gated repo for url https://huggingface.co/meta-llama/Llama-3.2-1B/resolve/main/config.json.
Access to model meta-llama/Llama-3.2-1B is restricted and you are not in the authorized list."""


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (
            refused(GatedRepoError, 403, GATED),
            "licence at https://huggingface.co/meta-llama/Llama-3.2-1B, then run: hf auth login",
        ),
        (refused(RepositoryNotFoundError, 404, "404"), "nothing of this name"),
        (refused(RevisionNotFoundError, 404, "404"), "not this revision"),
        (refused(RemoteEntryNotFoundError, 404, "no model.safetensors"), "not a file it needs (no model.safetensors)"),
    ],
)
def test_what_the_hub_refuses_is_told_apart(cause, said, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    message = str(hub_access.unavailable("the model a/b", remedy="write a local folder", cause=cause))
    assert message.startswith("the model a/b cannot be had: ")
    assert said in message
    assert message.endswith("\nWrite a local folder.")


@pytest.mark.parametrize(
    "cause",
    [
        LocalEntryNotFoundError("no such file in the cache"),
        ConnectionError("no route"),
        httpx2.ConnectTimeout("timed out"),
        TimeoutError("timed out"),
    ],
)
def test_a_hub_out_of_reach_names_the_ways_out(cause, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    message = str(hub_access.unavailable("the model a/b", remedy="write a local folder", cause=cause))
    assert "cannot be reached, and no copy is in the cache" in message
    assert all(way in message for way in ("Write a local folder", "HF_ENDPOINT", "--offline"))


def test_the_cause_is_found_under_what_transformers_wraps_around_it(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    wrapped = OSError("You are trying to access a gated repo.")
    wrapped.__cause__ = refused(GatedRepoError, 403, GATED)
    assert "it is gated" in str(hub_access.unavailable("the model a/b", remedy="choose another", cause=wrapped))


def test_anything_else_is_told_in_its_own_words(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    message = str(
        hub_access.unavailable("the model a/b", remedy="choose another", cause=ValueError("\nodd config\nmore"))
    )
    assert message == "the model a/b cannot be had: odd config\nChoose another."


@pytest.mark.skipif(os.name == "nt", reason="the Hub's cache has links only where everybody may make them")
def test_weights_that_are_not_what_the_hub_has_are_named_and_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path / "cache"))
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "commit"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    digest = hashlib.sha256(b"weights").hexdigest()
    (blobs / digest).write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to(blobs / digest)
    small = hashlib.sha1(b"blob 2\0{}").hexdigest()  # as git names it
    (blobs / small).write_bytes(b"{}")
    (snapshot / "config.json").symlink_to(blobs / small)
    (blobs / "weak-1").write_bytes(b"[]")  # a mirror that gives names of its own
    (snapshot / "vocab.json").symlink_to(blobs / "weak-1")
    hub_digests.check(snapshot, "me/it")
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("it was read again"))
    hub_digests.check(snapshot, "me/it")
    monkeypatch.undo()
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path / "cache"))
    (blobs / digest).write_bytes(b"weighte")
    os.utime(blobs / digest, ns=(1, 1))
    with pytest.raises(UnavailableError, match=f"me/it: model.safetensors was damaged .* on the Hub {digest}"):
        hub_digests.check(snapshot, "me/it")
    assert sorted(path.name for path in snapshot.iterdir()) == ["config.json", "vocab.json"]
    assert not (blobs / digest).exists()
    (blobs / small).write_bytes(b"[]")
    os.utime(blobs / small, ns=(1, 1))
    with pytest.raises(UnavailableError, match=r"me/it: config\.json was damaged on its way"):
        hub_digests.check(snapshot, "me/it")
    hub_digests.check(tmp_path / "none", "me/it")

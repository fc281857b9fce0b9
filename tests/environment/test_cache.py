import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ftcls.environment import cache


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(text, size=0):
    def build(folder):
        (folder / "text.txt").write_text(text + "x" * size)

    return build


def entries(kind="things"):
    return sorted(path.name for path in cache.folder(kind).iterdir() if path.is_dir())


def test_the_folder_is_that_of_the_environment(tmp_path, monkeypatch, home):
    assert cache.folder("encoded") == home / "encoded"
    monkeypatch.delenv("FTCLS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder("encoded") == tmp_path / "xdg" / "ftcls" / "encoded"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "me")
    assert cache.folder("encoded") == tmp_path / "me" / ".cache" / "ftcls" / "encoded"
    assert cache.folder("encoded").is_dir()


def test_an_entry_is_built_once():
    first = cache.entry("things", "key", write("once"))
    again = cache.entry("things", "key", lambda folder: pytest.fail("built again"))
    assert first == again
    assert (again / "text.txt").read_text() == "once"


def test_other_keys_and_kinds_are_other_entries():
    paths = {cache.entry(kind, key, write(kind + key)) for kind in ("one", "two") for key in ("a", "b")}
    assert len(paths) == 4
    assert {(path / "text.txt").read_text() for path in paths} == {"onea", "oneb", "twoa", "twob"}


def test_a_build_that_fails_leaves_nothing_and_the_next_one_builds():
    def fails(folder):
        (folder / "half.txt").write_text("half")
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        cache.entry("things", "key", fails)
    assert entries() == []
    assert sorted(p.name for p in cache.entry("things", "key", write("whole")).iterdir()) == [
        "manifest.json",
        "text.txt",
    ]


def test_an_entry_that_was_being_built_when_its_process_died_is_not_seen():
    program = """
import os
from ftcls.environment import cache
def dies(folder):
    (folder / "text.txt").write_text("half")
    os._exit(9)
cache.entry("things", "key", dies)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 9
    assert not (cache.folder("things") / "key").exists()
    assert (cache.entry("things", "key", write("whole")) / "text.txt").read_text() == "whole"


HARM = {
    "deleted": lambda entry: (entry / "text.txt").unlink(),
    "changed": lambda entry: (entry / "text.txt").write_text("wholf"),
    "without a manifest": lambda entry: (entry / "manifest.json").unlink(),
    "a file": lambda entry: (shutil.rmtree(entry), entry.write_text("")),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_entry_is_built_again_with_a_line(caplog, harm):
    harm(cache.entry("things", "key", write("whole")))
    assert (cache.entry("things", "key", write("whole")) / "text.txt").read_text() == "whole"
    assert caplog.text.count("; this entry of the cache is built again") == 1
    cache.entry("things", "key", lambda folder: pytest.fail("built again"))


def test_a_cache_on_a_full_disk_stops_nothing(home, caplog):
    def full(folder):
        if home in folder.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        (folder / "text.txt").write_text("elsewhere")

    assert (cache.entry("things", "key", full) / "text.txt").read_text() == "elsewhere"
    assert "no cache is kept ([Errno 28] No space left on device)" in caplog.text
    assert entries() == []


def test_what_a_killed_process_left_is_swept_by_the_next(home):
    program = """
import os
from ftcls.environment import cache
cache.entry("things", "key", lambda folder: os._exit(9))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 9
    assert len(list((home / "things").glob(".key-*"))) == 1
    cache.entry("things", "another", write("whole"))
    assert not list((home / "things").glob(".*"))


def test_of_many_that_want_the_same_entry_one_builds():
    built, found, start = [], [], threading.Barrier(8)

    def build(folder):
        built.append(folder)
        time.sleep(0.05)
        (folder / "text.txt").write_text("whole")

    def want():
        start.wait()
        found.append((cache.entry("things", "key", build) / "text.txt").read_text())

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert found == ["whole"] * 8


def made_at(key, seconds, size=100):
    path = cache.entry("things", key, write("", size=size))
    os.utime(path, (seconds, seconds))


def test_pruning_takes_what_was_not_used_for_longest():
    for number, key in enumerate("abcd"):
        made_at(key, 1_000 + number)
    cache.prune("things", 250)
    assert entries() == ["c", "d"]


def test_using_an_entry_keeps_it_from_being_pruned():
    for number, key in enumerate("abc"):
        made_at(key, 1_000 + number)
    cache.entry("things", "a", write("never"))
    cache.prune("things", 250)
    assert entries() == ["a", "c"]


def test_pruning_under_the_limit_takes_nothing():
    made_at("a", 1_000)
    cache.prune("things", 100)
    assert entries() == ["a"]
    cache.prune("nothing here", 0)


@pytest.mark.parametrize("variable", ["FTCLS_CACHE", "XDG_CACHE_HOME", "HOME"])
def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch, caplog, variable):
    (tmp_path / "file").write_text("in the way")
    for name in ("FTCLS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "file" / "below"))
    found = cache.entry("things", "a", write("kept for now"))
    assert (found / "text.txt").read_text() == "kept for now"
    assert cache.entry("things", "a", write("not built again")) == found
    assert caplog.text.count("no cache is kept") == 1
    assert "FTCLS_CACHE names a folder for it" in caplog.text

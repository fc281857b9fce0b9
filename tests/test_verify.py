"""The short forms of the audits in verify/."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from ftcls.errors import FtclsError

VERIFY = Path(__file__).resolve().parent.parent / "verify"


@pytest.fixture
def audit(monkeypatch):
    monkeypatch.syspath_prepend(str(VERIFY))
    return importlib.import_module


@pytest.mark.slow
def test_no_damage_is_silent(audit, capsys):
    assert audit("damage").main(["--short", "--flips", "40"]) == 0
    said = capsys.readouterr().out
    assert "0 silent, 0 traceback" in said
    assert "40 single bits of a predictions file: 0 unnoticed" in said


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and fork")
def test_what_was_killed_ends_as_if_nothing_had_happened():
    # In a process of its own: this one has threads, which a fork would leave behind.
    done = subprocess.run(
        [sys.executable, str(VERIFY / "kills.py"), "--short"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 differences" in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_nothing_escapes_from_a_reader(audit, capsys, tmp_path):
    assert audit("fuzz").main(["--short", "--output", str(tmp_path)]) == 0
    assert "0 escaped, 0 late, 0 long message" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_nothing_that_is_handed_over_runs_or_writes():
    done = subprocess.run(
        [sys.executable, str(VERIFY / "hostile.py"), "--short"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 not held" in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_a_hub_that_fails_is_refused_or_has_its_files():
    done = subprocess.run(
        [sys.executable, str(VERIFY / "flaky_hub.py"), "--short"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 silent, 0 traceback, 0 nameless, 0 late" in done.stdout.splitlines()[-1]


def test_the_fuzzer_sees_what_escapes_hangs_or_talks(audit, tmp_path):
    fuzz = audit("fuzz")

    def outcome(read):
        return fuzz.outcome(fuzz.Target("a", "a", (b"",), read), tmp_path, seconds=0.2)[0]

    def hang(path):
        while True:
            pass

    def escape(path):
        raise KeyError("a")

    assert outcome(lambda path: None) == "read"
    assert outcome(escape) == "escaped"
    assert outcome(hang) == "late"
    talkative = type("Long", (FtclsError,), {})("")
    talkative.args = ("x" * 5_000,)

    def say(path):
        raise talkative

    assert outcome(say) == "long message"


def test_every_audit_stands_in_the_table():
    text = (VERIFY / "README.md").read_text(encoding="utf-8")
    scripts = [path.name for path in VERIFY.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")]
    assert len(scripts) >= 2
    assert [name for name in scripts if f"python verify/{name}" not in text] == []

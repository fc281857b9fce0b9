"""The short forms of the audits in verify/."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_every_audit_stands_in_the_table():
    text = (VERIFY / "README.md").read_text(encoding="utf-8")
    scripts = [path.name for path in VERIFY.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")]
    assert len(scripts) >= 2
    assert [name for name in scripts if f"python verify/{name}" not in text] == []

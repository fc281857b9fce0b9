"""The short forms of the audits in verify/."""

import importlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import processes
from ftcls.errors import FtclsError

VERIFY = Path(__file__).resolve().parent.parent.parent / "verify"


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
def test_what_was_killed_ends_as_if_nothing_had_happened(tmp_path):
    # In a process of its own: this one has threads, which a fork would leave behind.
    done = processes.run("--short", cwd=tmp_path, script=VERIFY / "kills.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 differences" in done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_nothing_escapes_from_a_reader(tmp_path):
    run = processes.run("--short", "--output", tmp_path, cwd=tmp_path, script=VERIFY / "fuzz.py")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1].endswith("0 escaped, 0 died, 0 late, 0 long message")
    assert run.stdout.splitlines()[-1] == (tmp_path / "totals.txt").read_text().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_fuzzer_that_is_stopped_says_what_it_has_done(tmp_path):
    options = ("--seconds", "600", "--only", "table.csv", "--output", tmp_path)
    run = processes.Command(options, cwd=tmp_path, out=tmp_path / "out.txt", script=VERIFY / "fuzz.py")
    while not (tmp_path / "totals.txt").exists() and run.poll() is None:  # it is written at the start too
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    run.wait(60)
    assert "interrupted" in run.stdout
    assert " cases: " in run.stdout.splitlines()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_case_that_ends_its_process_or_hangs_in_other_code_is_counted(tmp_path):
    # In a process of its own: this one has threads, which a fork would leave behind.
    script = tmp_path / "audit.py"
    script.write_text(
        "import os, signal, sys, time\n"
        f"sys.path.insert(0, {str(VERIFY)!r})\n"
        "from pathlib import Path\n"
        "import fuzz\n"
        "fuzz.GRACE = 0.2\n"
        "def hang(path):\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n"
        "    time.sleep(60)\n"
        "targets = [\n"
        "    fuzz.Target('ends', 'a', (b'x',), lambda path: os._exit(3)),\n"
        "    fuzz.Target('dies', 'a', (b'x',), lambda path: os.kill(os.getpid(), signal.SIGSEGV)),\n"
        "    fuzz.Target('hangs', 'a', (b'x',), hang, seconds=0.2),\n"
        "    fuzz.Target('escapes', 'a', (b'xyz',), lambda path: 1 / 0),\n"
        "    fuzz.Target('reads', 'a', (b'x',), lambda path: path.read_bytes()),\n"
        "]\n"
        "home = Path(sys.argv[1])\n"
        "found = fuzz.run_all(targets, seconds=2, cases=None, seed=0, kept=home / 'kept', folder=home / 'case')\n"
        "counts = {name: set(each) for name, each in found.counts.items()}\n"
        "assert counts == {'ends': {'died'}, 'dies': {'died'}, 'hangs': {'late'}, 'escapes': {'escaped'},\n"
        "                  'reads': {'read'}}, counts\n"
        "assert (home / 'kept' / 'ends-1-a').is_file()\n"
        "assert [*(home / 'kept').glob('escapes-*-a')]\n"
    )
    done = processes.run(tmp_path, cwd=tmp_path, script=script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exit code 3" in done.stdout
    assert "exit code -11" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_nothing_that_is_handed_over_runs_or_writes(tmp_path):
    done = processes.run("--short", cwd=tmp_path, script=VERIFY / "hostile.py")
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

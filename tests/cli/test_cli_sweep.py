"""`ftcls sweep` as it is typed, with real trainings."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ftcls.cli.app import run as ftcls
from ftcls.runs import history
from ftcls.runs.directory import RunDir
from sweeping import GRID, write

BASE = """\
name: base
data: {source: files, path: rows.csv, task: binary}
model: {checkpoint: "scratch:bert", max_length: 16}
training: {max_steps: 240, batch_size: 4, save_strategy: steps, save_steps: 120, eval_strategy: steps, eval_steps: 120,
  logging_steps: 1, learning_rate: 1e-3, device: cpu, precision: fp32}
"""
TEXT = """\
name: killed
base: base.yaml
axes: {seed: [1, 2]}
"""


def command(*arguments):
    return [sys.executable, "-m", "ftcls", "sweep", *arguments]


def test_the_commands_of_all_trials_are_printed_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, GRID)
    assert ftcls(["sweep", "sweeping.yaml", "--print"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("ftcls train base.yaml training.learning_rate=1e-5 data.subset.train=800 ")
    assert lines[0].endswith(" --resume")
    assert ftcls(["sweep", "sweeping.yaml", "--print", "--json", "--smoke", "--offline"]) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert trials[7]["command"][-3:] == ["--resume", "--smoke", "--offline"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.yaml", "sweeping.yaml"]


def test_the_shipped_sweeps_are_listed(capsys):
    assert ftcls(["config", "list", "--json"]) == 0
    sweeps = {each["name"]: each for each in json.loads(capsys.readouterr().out)["sweeps"]}
    assert sweeps["ag_news-grid"]["search"] == "grid over learning_rate, batch_size, seed"


def steps(run):
    return [line["step"] for line in history.read(run.history)]


def last(run):
    return max(steps(run), default=0)  # a resumed run writes the file anew


def wait_for(condition):
    until = time.monotonic() + 600  # a busy machine takes minutes to import torch
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="signals, and a kernel that tells of a parent's death")
def test_a_sweep_that_is_killed_interrupted_and_loses_a_trial_ends_with_every_trial_done_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"word{n % 7} word{n % 5},{'ab'[n % 2]}\n" for n in range(200))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows)
    write(tmp_path, TEXT, BASE)
    folder = tmp_path / "out"
    arguments = ["sweeping.yaml", "--output", "out", "--quiet", "--jobs"]

    def runs():
        return [RunDir(path) for path in sorted((folder / "trials").glob("*-1-*"))]

    # The sweep is killed: its trial is told, saves and ends.
    with subprocess.Popen(command(*arguments, "1")) as sweep:
        wait_for(lambda: runs() and last(runs()[0]) > 8)
        sweep.send_signal(signal.SIGKILL)
    first = runs()[0]
    wait_for(lambda: not (first.path / ".lock").exists())
    saved = max(int(path.name.removeprefix("step-")) for path in first.checkpoints.glob("step-*"))
    assert saved == last(first)

    # The next call goes on from there; Ctrl-C ends it with a checkpoint.
    with subprocess.Popen(command(*arguments, "1"), stderr=subprocess.PIPE, text=True) as sweep:
        wait_for(lambda: last(first) > saved + 2)
        sweep.send_signal(signal.SIGINT)
        assert "the same command goes on where it was: ftcls sweep sweeping.yaml" in sweep.communicate()[1]
    assert sweep.returncode == 130
    assert f"step {saved}" in first.log.read_text()

    stopped = last(first)

    # A trial is killed: the other one runs, and the exit code says so.
    with subprocess.Popen(command(*arguments, "2"), stderr=subprocess.PIPE, text=True) as sweep:
        wait_for(lambda: last(first) > stopped + 2)
        os.kill(trial_of(sweep.pid, "seed=1"), signal.SIGKILL)
        assert "1 of 2 trials failed:\n  seed-1-" in sweep.communicate()[1]
    assert sweep.returncode == 5

    done = subprocess.run(command(*arguments, "2", "--json"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in json.loads(done.stdout)["results"]["trials"]] == ["done", "done"]
    assert len(list((folder / "trials").iterdir())) == 2
    for path in (folder / "trials").iterdir():
        assert steps(RunDir(path)) == list(range(1, 241))


def trial_of(parent, setting):
    """The process of a trial, by a word of its command."""
    found = subprocess.run(
        ["ps", "--ppid", str(parent), "-o", "pid=,args="], capture_output=True, text=True, check=True
    )
    return next(int(line.split()[0]) for line in found.stdout.splitlines() if setting in line.split())

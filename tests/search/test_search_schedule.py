"""The loop of a sweep, on trials that take no time, and on processes."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock

from ftcls.errors import ConfigError
from ftcls.search import sweep as sweeping
from ftcls.search.executors import Ended, Job, Processes, environment, gpus
from ftcls.search.watch import Lines, board, latest
from sweeping import Instant, begin, finish, planned

ONE = "name: x\nbase: base.yaml\naxes: {seed: [1]}\n"


def test_a_second_call_starts_nothing_that_is_done(tmp_path):
    plan = planned(tmp_path)
    first = Instant(plan.trials, slots=3)
    outcome = sweeping.run(plan, first)
    assert first.started == [trial.name for trial in plan.trials]
    assert (outcome.failed, outcome.interrupted) == ({}, False)
    second = Instant(plan.trials)
    assert sweeping.run(plan, second).results == outcome.results
    assert second.started == []


def test_failed_trials_do_not_stop_the_others_and_are_tried_again_by_the_next_call(tmp_path):
    plan = planned(tmp_path)
    bad = plan.trials[1].name
    outcome = sweeping.run(plan, Instant(plan.trials, codes={bad: 5}))
    assert outcome.failed == {bad: 5}
    assert [row.state for row in outcome.results.trials].count("done") == len(plan.trials) - 1
    again = Instant(plan.trials)
    assert sweeping.run(plan, again).failed == {}
    assert again.started == [bad]


def test_a_trial_that_ends_with_0_but_without_a_report_has_failed(tmp_path):
    plan = planned(tmp_path, ONE)

    class Empty(Instant):
        def wait(self, seconds):
            over, self._running = self._running, []
            return [Ended(name, 0) for name in over]

    assert list(sweeping.run(plan, Empty(plan.trials)).failed.values()) == [0]


def test_a_changed_base_is_noticed_after_the_trial(tmp_path):
    plan = planned(tmp_path, ONE)

    class Other(Instant):
        def wait(self, seconds):
            found = super().wait(seconds)
            plan.trials[0].run.config.write_text(
                plan.trials[0].config.replace("weight_decay: 0.0", "weight_decay: 1.0")
            )
            return found

    assert list(sweeping.run(plan, Other(plan.trials)).failed.values()) == [2]


def test_no_trial_starts_after_the_hours(tmp_path):
    plan = planned(tmp_path, ONE.replace("[1]", "[1, 2]") + "search: {hours: 1e-15}\n")
    executor = Instant(plan.trials)
    outcome = sweeping.run(plan, executor)
    assert executor.started == []
    assert [row.state for row in outcome.results.trials] == ["open", "open"]


def test_what_an_earlier_call_left_behind_is_waited_for_not_started_again(tmp_path):
    plan = planned(tmp_path, ONE)
    trial = plan.trials[0]
    begin(trial)
    lock = FileLock(trial.run.path / ".lock", thread_local=False)
    lock.acquire()

    def end():
        time.sleep(0.3)
        finish(trial)
        lock.release()

    threading.Thread(target=end).start()
    executor = Instant(plan.trials)
    outcome = sweeping.run(plan, executor)
    assert executor.started == []
    assert outcome.results.trials[0].state == "done"


def test_what_was_left_behind_and_stopped_is_continued(tmp_path):
    plan = planned(tmp_path, ONE)
    trial = plan.trials[0]
    begin(trial)
    lock = FileLock(trial.run.path / ".lock", thread_local=False)
    lock.acquire()
    threading.Timer(0.2, lock.release).start()
    executor = Instant(plan.trials)
    sweeping.run(plan, executor)
    assert executor.started == [trial.name]


def test_two_sweeps_do_not_share_a_folder(tmp_path):
    plan = planned(tmp_path, ONE)
    plan.folder.mkdir()
    (plan.folder / "sweep.yaml").write_text("")
    with FileLock(plan.folder / ".lock"), pytest.raises(ConfigError, match="another sweep is running in it"):
        sweeping.run(plan, Instant(plan.trials))


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    plan = planned(tmp_path, ONE)
    plan.folder.mkdir()
    (plan.folder / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="exists, and is no sweep"):
        sweeping.run(plan, Instant(plan.trials))


def test_progress_is_told_in_lines_and_in_a_table(tmp_path, caplog):
    plan = planned(tmp_path, ONE)
    lines = Lines(1)
    shown = []

    def changed(progress):
        lines.changed(progress)
        shown.append(board(plan.name, plan.total, plan.space.metric, progress, lines.began))

    name = plan.trials[0].name
    with caplog.at_level("INFO", "ftcls"):
        sweeping.run(plan, Instant(plan.trials, codes={name: -9}), changed=changed)
    assert caplog.records[0].getMessage() == f"{name}: started"
    assert f"[1/1] {name}: failed (exit code -9)" in caplog.text
    assert "1 failed" in shown[-1].renderables[0].plain


def test_the_newest_figures_come_from_the_end_of_the_history(tmp_path):
    trial = planned(tmp_path, ONE).trials[0]
    assert latest(trial.run, "accuracy") == {}
    trial.run.path.mkdir(parents=True)
    padding = "".join(f'{{"step": {step}, "loss": 1.0, "filler": "{"x" * 50}"}}\n' for step in range(400))
    trial.run.history.write_text(padding + '{"step": 400, "eval_accuracy": 0.5}\n{"step": 401, "loss": 0.2')
    assert latest(trial.run, "accuracy") == {"step": 400, "loss": 1.0, "metric": 0.5}


def job(folder, name, program):
    return Job(name, [sys.executable, "-c", program], folder / "logs" / f"{name}.txt")


def collected(executor, count):
    found = []
    until = time.monotonic() + 30
    while len(found) < count and time.monotonic() < until:
        found += executor.wait(1)
    return {ended.name: ended.code for ended in found}


def test_processes_end_with_their_codes_and_leave_what_they_printed(tmp_path):
    executor = Processes(2)
    executor.start(job(tmp_path, "good", "print('hello')"))
    executor.start(job(tmp_path, "bad", "import sys; sys.exit('oh no')"))
    assert collected(executor, 2) == {"good": 0, "bad": 1}
    assert (tmp_path / "logs" / "good.txt").read_text().strip() == "hello"
    assert (tmp_path / "logs" / "bad.txt").read_text().strip() == "oh no"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_is_asked_to_stop_and_then_ended(tmp_path):
    executor = Processes(2)
    ready = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); print('ready', flush=True); time.sleep(60)"
    executor.start(job(tmp_path, "polite", ready.format("lambda *a: sys.exit(130)")))
    executor.start(job(tmp_path, "deaf", ready.format("signal.SIG_IGN")))
    until = time.monotonic() + 30
    logs = [tmp_path / "logs" / f"{name}.txt" for name in ("polite", "deaf")]
    while not all(log.read_text() for log in logs) and time.monotonic() < until:
        time.sleep(0.02)
    executor.stop("polite")
    executor.stop("deaf")
    assert collected(executor, 1) == {"polite": 130}
    executor.stop("deaf", at_once=True)
    assert collected(executor, 1) == {"deaf": -9}
    executor.stop("nobody")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_trial_is_told_once_when_its_sweep_is_killed():
    child = (
        "import signal, sys, time; from ftcls.cli.app import end_with_parent;"
        "signal.signal(signal.SIGTERM, lambda *a: print('told', flush=True));"
        "end_with_parent(); print('ready', flush=True); time.sleep(1); time.sleep(1)"
    )
    parent = (
        "import os, subprocess, sys, threading, time; from ftcls.environment.signals import PARENT;"
        "threading.Thread(target=time.sleep, args=(60,)).start();"
        "subprocess.Popen([sys.executable, '-c', sys.argv[1]], env=os.environ | {PARENT: str(os.getpid())});"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        assert process.stdout.read() == "told\n"


def test_every_slot_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert gpus({"CUDA_VISIBLE_DEVICES": "2, 5"}) == ["2", "5"]
    assert gpus({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert [environment(slot, 3, ["2", "5"])["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["2", "5", "2"]
    assert "CUDA_VISIBLE_DEVICES" not in environment(0, 1, [])
    assert int(environment(0, 2, [])["OMP_NUM_THREADS"]) == max(1, os.cpu_count() // 2)


def test_the_driver_is_asked_for_gpus_where_the_environment_says_nothing(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert gpus({}) == ["0", "1"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert gpus({}) == []

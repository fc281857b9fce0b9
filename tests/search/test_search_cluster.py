"""Trials on a Ray cluster: one of this machine with two workers."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ftcls.cli.sweep import spelled_out
from ftcls.errors import ConfigError, UnavailableError
from ftcls.search import sweep as sweeping
from ftcls.search.executors import Job, Processes
from sweeping import write

ray = pytest.importorskip("ray", reason="needs the extra ray")

from ftcls.search.cluster import Cluster, Share  # noqa: E402 - imports Ray

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals"),
    # Of Ray's own processes and sockets, which it leaves to the end of this one.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
]

BASE = """\
name: base
data: {source: files, path: rows.csv, task: binary}
model: {checkpoint: "scratch:bert", max_length: 16}
training: {max_steps: 4, batch_size: 4, eval_strategy: steps, eval_steps: 2, device: cpu, precision: fp32}
"""
TEXT = """\
name: small
base: base.yaml
axes:
  training.learning_rate: [1e-3, 1e-2]
  seed: [1]
"""


@pytest.fixture(scope="module", autouse=True)
def two_workers():
    """A cluster of this machine with two CPUs, whatever the machine has."""
    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def job(folder, name, program):
    log = folder / "logs" / f"{name}.txt"
    return Job(name, ["python", "-c", program], log)


def ended(executor, count):
    found = {}
    until = time.monotonic() + 120
    while len(found) < count and time.monotonic() < until:
        found |= {each.name: each.code for each in executor.wait(1)}
    return found


def test_there_is_room_for_as_many_trials_as_the_nodes_hold():
    assert Share(2, 0).fits({"CPU": 5.0}) == 2
    assert Share(1, 0.1).fits({"CPU": 64.0, "GPU": 1.0}) == 10
    assert Share(1, 1).fits({"CPU": 64.0}) == 0
    assert Cluster().slots == 2
    assert Cluster(cpus=2).slots == 1
    assert Cluster(cpus=0.5, jobs=3).slots == 3


def test_a_trial_that_no_node_has_room_for_is_refused():
    with pytest.raises(UnavailableError, match=r"no node of the cluster has 1 CPUs and 1 GPUs.*nodes with 2 CPUs"):
        Cluster(gpus=1)


def test_jobs_end_with_their_codes_and_leave_what_they_printed(tmp_path):
    executor = Cluster()
    executor.start(job(tmp_path, "good", "import os; print(os.getcwd(), os.environ['CUDA_VISIBLE_DEVICES'] == '')"))
    executor.start(job(tmp_path, "bad", "import sys; sys.exit('oh no')"))
    assert ended(executor, 2) == {"good": 0, "bad": 1}
    assert (tmp_path / "logs" / "good.txt").read_text().split() == [str(Path.cwd()), "True"]
    assert (tmp_path / "logs" / "bad.txt").read_text().strip() == "oh no"
    assert executor.wait(0) == []


def test_a_job_is_asked_to_stop_and_then_ended(tmp_path):
    executor = Cluster(jobs=3)
    ready = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); print('ready', flush=True); time.sleep(60)"
    executor.start(job(tmp_path, "polite", ready.format("lambda *a: sys.exit(130)")))
    executor.start(job(tmp_path, "deaf", ready.format("signal.SIG_IGN")))
    logs = [tmp_path / "logs" / f"{name}.txt" for name in ("polite", "deaf")]
    until = time.monotonic() + 120
    while not all(log.is_file() and log.read_text() for log in logs) and time.monotonic() < until:
        time.sleep(0.05)
    executor.start(job(tmp_path, "waiting", "print('never')"))
    executor.stop("waiting")
    assert ended(executor, 1) == {"waiting": 130}
    executor.stop("polite")
    executor.stop("deaf")
    assert ended(executor, 1) == {"polite": 130}
    executor.stop("deaf", at_once=True)
    assert ended(executor, 1) == {"deaf": -9}
    executor.stop("nobody")


def test_a_job_whose_place_is_lost_counts_as_killed(tmp_path, caplog):
    executor = Cluster()
    executor.start(job(tmp_path, "lost", "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"))
    assert ended(executor, 1) == {"lost": -9}
    assert "lost: its place on the cluster was lost" in caplog.text


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path, caplog):
    executor = Cluster()
    away = job(tmp_path / "only here", "away", "print('never')")
    executor.start(away)
    assert ended(executor, 1) == {"away": 4}
    assert f"does not see {tmp_path / 'only here'}" in caplog.text


def test_an_address_of_the_client_is_refused(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConfigError, match=r"ray://head:10001: is an address for Ray's client"):
        Cluster("ray://head:10001")


def test_the_address_may_be_left_out():
    assert spelled_out(["x.yaml", "--ray", "--json"]) == ["x.yaml", "--ray=", "--json"]
    assert spelled_out(["--ray", "x.yaml"]) == ["--ray=", "x.yaml"]
    assert spelled_out(["--ray", "10.0.0.1:6379", "x.yaml"]) == ["--ray=10.0.0.1:6379", "x.yaml"]
    assert spelled_out(["--ray", "auto"]) == ["--ray=auto"]
    assert spelled_out(["--ray=head:6379", "x:1"]) == ["--ray=head:6379", "x:1"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_trial_ends_when_its_sweep_is_killed(tmp_path):
    trial = (
        "import os, time; from ftcls.cli.app import end_with_parent; end_with_parent();"
        "print(os.getpid(), flush=True); time.sleep(300)"
    )
    driver = (
        "import pathlib, sys, time; from ftcls.search.cluster import Cluster; from ftcls.search.executors import Job;"
        "Cluster(sys.argv[1]).start(Job('trial', ['python', '-c', sys.argv[2]], pathlib.Path(sys.argv[3])));"
        "time.sleep(300)"
    )
    log = tmp_path / "logs" / "trial.txt"
    address = ray.get_runtime_context().gcs_address
    until = time.monotonic() + 120
    with subprocess.Popen([sys.executable, "-c", driver, address, trial, str(log)]) as process:
        while not (log.is_file() and log.read_text().endswith("\n")) and time.monotonic() < until:
            time.sleep(0.05)
        process.kill()
    number = Path(f"/proc/{log.read_text().strip()}")
    while number.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not number.exists()


def table(outcome):
    """What does not change from one call to the next."""
    return [(row.trial, row.state, row.metrics, row.intervals, row.steps) for row in outcome.results.trials]


@pytest.mark.slow
def test_two_workers_give_the_same_table_as_two_processes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums of floats depend on the number of threads
    rows = "".join(f"word{n % 7} word{n % 5},{'ab'[n % 2]}\n" for n in range(200))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows)
    file = write(tmp_path, TEXT, BASE)
    alone = sweeping.run(sweeping.plan(file, output=tmp_path / "processes"), Processes(2))
    spread = sweeping.run(sweeping.plan(file, output=tmp_path / "ray"), Cluster())
    assert [row.state for row in spread.results.trials] == ["done", "done"]
    assert table(spread) == table(alone)

"""What a sweep costs beside its trials: 200 queued trials whose objective is to copy a finished run's report.

    python benchmarks/sweep_overhead.py RUN [--trials 200]

Prints the time per trial that the sweep itself takes (processes started, waited for and settled; the processes' own
time is in it, a `cp` each), the time to read all reports and write results and page, and its memory on the way.
"""

import argparse
import dataclasses
import resource
import tempfile
import time
from pathlib import Path

import psutil

from ftcls.environment.files import write_text
from ftcls.runs.directory import RunDir
from ftcls.search import sweep as sweeping
from ftcls.search.executors import Job, Processes
from ftcls.search.schedule import Listed, Progress, StopRequest, run
from ftcls.search.watch import Lines, board


class Copies(Processes):
    """Processes that copy a report in place of training."""

    def __init__(self, trials: list[sweeping.Trial], report: Path, slots: int) -> None:
        super().__init__(slots)
        self._trials = {trial.name: trial for trial in trials}
        self._report = report

    def start(self, job: Job) -> None:
        """Start a copy."""
        trial = self._trials[job.name]
        write_text(trial.run.config, trial.config)
        super().start(dataclasses.replace(job, command=["cp", str(self._report), str(trial.run.report)]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    process = psutil.Process()
    memory: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = list(range(1, arguments.trials + 1))
        text = f"name: overhead\nbase: quickstart\naxes:\n  seed: [1]\n  training.batch_size: {seeds}\n"
        write_text(folder / "overhead.yaml", text)
        began, cpu = time.perf_counter(), _cpu()
        plan = sweeping.plan(folder / "overhead.yaml", output=folder / "out")
        planned = list(plan.trials or ())
        _print("planned and checked", began, cpu, len(planned))
        executor = Copies(planned, RunDir(arguments.run).report.absolute(), arguments.jobs)
        lines = Lines(len(planned))

        def changed(progress: Progress) -> None:
            lines.changed(progress)
            board(plan, progress, lines.began)
            memory.append(process.memory_info().rss)

        began, cpu = time.perf_counter(), _cpu()
        queue = Listed(planned)
        with StopRequest() as stop:
            progress = run(queue, executor, logs=folder / "logs", hours=None, stop=stop, changed=changed)
        _print("scheduled", began, cpu, len(planned))
        tenth = len(memory) // 10
        print(f"memory {memory[tenth] / 1e6:.1f} MB after a tenth of them, {memory[-1] / 1e6:.1f} MB at the end")
        began, cpu = time.perf_counter(), _cpu()
        sweeping.gather(plan, queue, progress)
        _print("gathered and drawn", began, cpu, len(planned))


def _cpu() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _print(what: str, began: float, cpu: float, count: int) -> None:
    wall = (time.perf_counter() - began) / count
    print(f"{what}: {wall * 1e3:.1f} ms a trial, {(_cpu() - cpu) / count * 1e3:.1f} ms of it on a processor")


if __name__ == "__main__":
    main()

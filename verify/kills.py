"""Kills at random moments: is what comes of the next call the same as if nothing had happened?

    python verify/kills.py [--kills 200] [--seed 0] [--short]

Training is killed (SIGKILL) up to three times, at moments by chance, with steps of evaluation, saving and logging by
chance, and continued until it is done. Its history has to be that of the undisturbed training to the byte, its report
and predictions too but for times, its own path and `resumed`. Evaluation, report, prediction, export and a download of
an archive are killed and called again; so is a sweep, each of whose trials has to be that of the undisturbed
one. Nothing may be left beside what an undisturbed call leaves. Exit code 1 where it is otherwise. Needs fork;
libraries are loaded once, and the moments spread over the work itself.
"""

import argparse
import functools
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

import flaky_hub
import small_run
from ftcls.data.readers import download
from ftcls.errors import DataError
from ftcls.exporting.export import export
from ftcls.pipeline import evaluate, train
from ftcls.prediction.predict import predict
from ftcls.reporting import run_page
from ftcls.runs import maintenance
from ftcls.runs.directory import RunDir
from ftcls.search import sweep as sweeping

MOST = 3
"""Kills of one training."""
TIMES = ("seconds", "started", "finished", "examples_per_second", "tokens_per_second", "peak_memory_bytes", "estimate",
         "speed", "texts_per_second", "resumed", "command", "git_commit")  # fmt: skip
"""Keys of a report that differ between two equal runs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, continue, compare; print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="two kills of a training")
    given = parser.parse_args(arguments)
    chance = random.Random(given.seed)
    kills, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["FTCLS_CACHE"] = str(home / "cache")
        while kills < (2 if given.short else given.kills * 2 // 3):
            found, problems = training(home, chance)
            kills, wrong = kills + found, wrong + problems
            print(f"so far {kills} kills, {len(wrong)} differences", flush=True)  # of a call that is stopped
        print(f"training: {kills} kills, {len(wrong)} differences")
        rest = {
            "sweep": sweeps,
            "download": downloads,
            **{command: functools.partial(others, command) for command in COMMANDS},
        }
        for name, kind in {} if given.short else rest.items():
            found, problems = kind(home, chance, -(-(given.kills - given.kills * 2 // 3) // len(rest)))
            print(f"{name}: {found} kills, {len(problems)} differences", flush=True)
            kills, wrong = kills + found, wrong + problems
    for problem in wrong:
        print(f"  {problem}")
    print(f"{kills} kills, {len(wrong)} differences")
    return int(bool(wrong))


def training(home: Path, chance: random.Random) -> tuple[int, list[str]]:
    """One schedule by chance, undisturbed and killed; how often, and what differs."""
    steps = {each: chance.randint(2, 7) for each in ("eval_steps", "save_steps", "logging_steps")}
    one, two = home / "one", home / "two"
    for folder in (one, two):
        shutil.rmtree(folder, ignore_errors=True)

    def run(folder: Path) -> None:
        train.train(small_run.experiment(home / "data", **steps), output=folder, resume=True)

    took, code = called(lambda: run(one))
    problems = [] if code == 0 else [f"{steps}: undisturbed it ends with {code}"]
    kills = 0
    while True:
        moment = chance.uniform(0, took) if kills < MOST else None
        _, code = called(lambda: run(two), kill_after=moment)
        if code != -signal.SIGKILL:
            break
        kills += 1
    if code != 0:
        return kills, [*problems, f"{steps}: continued after {kills} kills it ends with {code}"]
    return kills, [*problems, *(f"{steps}: {each}" for each in differences(RunDir(one), RunDir(two)))]


def differences(one: RunDir, two: RunDir) -> list[str]:
    """Where two runs are not the same."""
    found = []
    if one.history.read_bytes() != two.history.read_bytes():
        found.append("history.jsonl differs")
    first, second = (plain(json.loads(run.report.read_text(encoding="utf-8"))) for run in (one, two))
    found += [f"report.json differs in {key}" for key in first if first[key] != second[key]]
    for path in sorted(one.predictions.iterdir()):
        if path.read_bytes() != (two.predictions / path.name).read_bytes():
            found.append(f"{path.name} differs")
    names = [{str(path.relative_to(run.path)) for path in run.path.rglob("*")} for run in (one, two)]
    found += [f"left behind: {name}" for name in sorted(names[1] - names[0])]
    return found + list(maintenance.verify(two.path).damages)


def plain(value: Any) -> Any:
    """A report without what differs between equal runs."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in TIMES}
    return [plain(each) for each in value] if isinstance(value, list) else value


def evaluated(run: Path, place: Path) -> None:
    """The rows of the run again."""
    evaluate.evaluate(run, output=place / "eval.json")


def drawn(run: Path, place: Path) -> None:
    """The page."""
    run_page.report(run, output=place / "page.html")


def predicted(run: Path, place: Path) -> None:
    """A file of texts."""
    predict(run, run.parent / "data" / "films.csv", output=place / "said.csv", prefix="predicted_", resume=True)


def exported(run: Path, place: Path) -> None:
    """Plain weights."""
    if not (place / "export").exists():
        export(run, to="torch", output=place / "export")


COMMANDS: dict[str, Callable[[Path, Path], None]] = {
    "evaluate": evaluated,
    "report": drawn,
    "predict": predicted,
    "export": exported,
}


def others(command: str, home: Path, chance: random.Random, most: int) -> tuple[int, list[str]]:
    """A command on the last run, undisturbed and killed."""
    run, one, two = home / "one", home / "undisturbed", home / "killed"
    kills, problems = again(functools.partial(COMMANDS[command], run), one, two, chance, most)
    return kills, [f"{command}: {each}" for each in (*problems, *unlike(one, two), *maintenance.verify(run).damages)]


def downloads(home: Path, chance: random.Random, most: int) -> tuple[int, list[str]]:
    """The archive of a data set, from a server that sends it in drops."""
    content = random.Random(0).randbytes(4_000_000)
    digest = hashlib.sha256(content).digest()

    def check(path: Path) -> None:
        if hashlib.sha256(path.read_bytes()).digest() != digest:
            raise DataError(f"{path.name}: not the archive")

    def fetch(place: Path) -> None:
        os.environ["FTCLS_CACHE"] = str(place)
        download.fetch([address], name="archive.tar", check=check, remedy="none")

    one, two = home / "undisturbed", home / "killed"
    with flaky_hub.archive(content) as server:
        server.spoil = (flaky_hub.slow, flaky_hub.FOR_EVER)
        address = f"http://127.0.0.1:{server.server_address[1]}/archive.tar"
        kills, problems = again(fetch, one, two, chance, most)
    return kills, [f"download: {each}" for each in (*problems, *unlike(one, two))]


def sweeps(home: Path, chance: random.Random, most: int) -> tuple[int, list[str]]:
    """Two trials of the small run; their processes are told of the end of the sweep, save and end."""
    steps = {"eval_steps": 4, "save_steps": 2, "logging_steps": 3}
    base, file = home / "base.yaml", home / "sweep.yaml"
    base.write_text(yaml.safe_dump(small_run.experiment(home / "data", **steps).model_dump(mode="json")))
    file.write_text("name: two\nbase: base.yaml\naxes: {seed: [1, 2]}\n")
    one, two = home / "undisturbed", home / "killed"

    def sweep(place: Path) -> None:
        outcome = sweeping.sweep(file, output=place / "sweep", jobs=2, offline=True)
        sys.exit(bool(outcome.failed or outcome.interrupted))

    kills, problems = again(sweep, one, two, chance, most)
    trials = [sorted((folder / "sweep" / "trials").iterdir()) for folder in (one, two)]
    if [path.name for path in trials[0]] != [path.name for path in trials[1]]:
        return kills, [*problems, f"sweep: trials {trials}"]
    problems += [each for pair in zip(*trials, strict=True) for each in differences(*map(RunDir, pair))]
    return kills, [f"sweep: {each}" for each in problems]


def again(
    action: Callable[[Path], None], one: Path, two: Path, chance: random.Random, most: int
) -> tuple[int, list[str]]:
    """Call it for a folder, undisturbed, and for another, killed so often and then called once more."""
    for folder in (one, two):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    took, code = called(lambda: action(one))
    problems = [] if code == 0 else [f"undisturbed it ends with {code}"]
    kills = 0
    for _ in range(4 * most):
        if kills == most:
            break
        _, code = called(lambda: action(two), kill_after=chance.uniform(0, took))
        kills += code == -signal.SIGKILL
        if code == 0:
            shutil.rmtree(two)
            two.mkdir()
    _, code = called(lambda: action(two))
    return kills, problems if code == 0 else [*problems, f"called again it ends with {code}"]


def unlike(one: Path, two: Path) -> list[str]:
    """Where two folders are not the same; what names the folder itself may differ."""
    first, second = ({p.relative_to(f): p for p in f.rglob("*") if p.is_file()} for f in (one, two))
    found = [f"left behind, or missing: {name}" for name in sorted(map(str, first.keys() ^ second.keys()))]
    for name in sorted(first.keys() & second.keys()):
        here, there = (
            path.read_bytes().replace(str(f).encode(), b"") for path, f in ((first[name], one), (second[name], two))
        )
        if here != there:
            found.append(f"{name} differs")
    return found


def called(action: Callable[[], None], kill_after: float | None = None) -> tuple[float, int | None]:
    """Seconds and exit code of a call in a process of its own; below 0 the signal that ended it."""
    process = multiprocessing.get_context("fork").Process(target=_quiet, args=(action,))
    began = time.monotonic()
    process.start()
    process.join(kill_after)
    if process.is_alive():
        process.kill()
        process.join()
    return time.monotonic() - began, process.exitcode


def _quiet(action: Callable[[], None]) -> None:
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        action()


if __name__ == "__main__":
    sys.exit(main())

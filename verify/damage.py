"""Every file of a checkpoint, a model, a run, an export and a cache, harmed in nine ways: is each damage named?

    python verify/damage.py [--short] [--output FOLDER]

A damage is named where the command that reads the file ends with a message of ftcls that has its name, or goes on and
says the name (an older checkpoint, an entry of the cache that is built again). It is silent where the command goes on
without a word, and a traceback where anything else is raised. A damage to a checkpoint that has an older one beside it
must end in the older one. Then single bits of a predictions file. Exit code 1 where one is silent, a traceback, or
without the older checkpoint.
"""

import argparse
import contextlib
import io
import logging
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import small_run
from ftcls.environment import cache, devices
from ftcls.errors import DataError, FtclsError
from ftcls.exporting.export import export
from ftcls.inference.classifier import Classifier
from ftcls.inference.simple_classifier import load_classifier
from ftcls.model.tokenize import encode
from ftcls.pipeline import evaluate, train
from ftcls.reporting import run_page
from ftcls.runs import maintenance, predictions
from ftcls.runs.directory import RunDir
from ftcls.training.resume import beginning

Action = Callable[[], str | None]
"""Uses a file; what it gives is wrong in itself, or None."""


def delete(path: Path, other: Path) -> None:
    """No file."""
    path.unlink()


def empty(path: Path, other: Path) -> None:
    """A file of no bytes."""
    path.write_bytes(b"")


def truncate(path: Path, other: Path) -> None:
    """Two thirds of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def flip(path: Path, other: Path) -> None:
    """One bit."""
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)


def append(path: Path, other: Path) -> None:
    """A byte behind it."""
    path.write_bytes(path.read_bytes() + b"\n")


def zero(path: Path, other: Path) -> None:
    """A block of zeros within it."""
    content = path.read_bytes()
    start, end = len(content) // 3, max(len(content) // 3 + 1, len(content) // 2)
    path.write_bytes((content[:start] + bytes(end - start) + content[end:])[: len(content)])


def swap(path: Path, other: Path) -> None:
    """The content of a file beside it, which has its own instead."""
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def folder(path: Path, other: Path) -> None:
    """A folder in its place."""
    path.unlink()
    path.mkdir()


def garbage(path: Path, other: Path) -> None:
    """As many bytes by chance."""
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


HARM = (delete, empty, truncate, flip, append, zero, swap, folder, garbage)


@dataclass(frozen=True)
class Place:
    """Files that are harmed, and what reads them."""

    name: str
    files: tuple[Path, ...]
    action: Callable[[Path], Action]
    """For one file."""


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + "\n"


@contextlib.contextmanager
def listening() -> Iterator[_Said]:
    """What ftcls logs meanwhile."""
    logger, handler = logging.getLogger("ftcls"), _Said()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield handler
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def kept(paths: Sequence[Path]) -> Iterator[None]:
    """Put files back as they were."""
    before = {path: path.read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            if path.is_dir():
                shutil.rmtree(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def outcome(harmed: Sequence[Path], action: Action) -> str:
    """``named``, where a harmed file is, or what is wrong."""
    names = {path.name for path in harmed}
    with listening() as said, contextlib.redirect_stderr(io.StringIO()):
        try:
            wrong = action()
        except FtclsError as error:
            return "named" if any(name in str(error) for name in names) else f"silent: {error}"
        except Exception as error:  # noqa: BLE001  anything else is a finding
            return f"traceback: {type(error).__name__}: {error}"
    if wrong is not None:
        return f"silent: {wrong}"
    return "named" if any(name in said.text for name in names) else "silent: it went on without a word"


def resumed(run: RunDir, expected: int | None) -> Callable[[Path], Action]:
    """Where a resume begins; at the step that is expected, where one is."""

    def use() -> str | None:
        found = beginning(run, resume=True, budget=1024, machine=devices.choose("cpu", "fp32"))
        return None if expected in (None, found.step) else f"began after step {found.step}, not {expected}"

    return lambda _: use


def loaded(place: Path | str) -> Callable[[Path], Action]:
    """A classifier is loaded."""

    def use() -> None:
        load_classifier(place, device="cpu")

    return lambda _: use


def read_back(run: RunDir) -> Callable[[Path], Action]:
    """The command that reads a file of a run, and `ftcls runs verify`."""

    def use(path: Path) -> Action:
        def both() -> str | None:
            found = maintenance.verify(run.path)
            if not (found.damages or found.unlisted):
                return "runs verify finds nothing"
            reader = _reader(run, path)
            if reader is None:
                raise DataError("\n".join(found.damages))  # as `ftcls runs verify` does
            reader()
            return None

        return both

    return use


def _reader(run: RunDir, path: Path) -> Callable[[], object] | None:
    """What reads a file of a run; None: people alone."""
    if path in (run.config, run.data):
        return lambda: evaluate.evaluate(run.path)
    if path.parent == run.predictions:
        return lambda: predictions.read(path)
    if run.models in path.parents:
        return lambda: load_classifier(f"{run.path}:{path.parent.name}", device="cpu")
    if path in (run.report, run.history) or path.name == "manifest.json":
        return lambda: run_page.report(run.path)
    return None


def encoded(run: RunDir) -> tuple[Path, Callable[[Path], Action]]:
    """An entry of the cache, and the token ids that are read from it again."""
    tokenizer = Classifier.from_pretrained(run.path, device="cpu").tokenizer
    texts = [f"{word} film" for word in ["fine", "nice", "warm", "clever", "awful"]]

    def ids() -> np.ndarray:
        return np.array(encode(texts, tokenizer, max_length=16, truncation="head", cached=True).ids)

    before = set(cache.folder("encoded").iterdir())
    expected = ids()
    entry = next(path for path in set(cache.folder("encoded").iterdir()) - before if path.is_dir())
    return entry, lambda _: lambda: None if np.array_equal(ids(), expected) else "other token ids"


def places(home: Path) -> Iterator[Place]:
    """A run with its checkpoints, an export of it, and an entry of the cache."""
    run = train.train(small_run.experiment(home), output=home / "run").files
    export(run.path, to="torch", output=home / "export")
    newest, older = run.checkpoints / "step-12", run.checkpoints / "step-8"
    yield Place("checkpoint", _files(newest), resumed(run, 8))
    yield Place("best", _files(run.best), resumed(run, None))
    shutil.move(older, home / "aside")
    yield Place("only checkpoint", _files(newest), resumed(run, None))
    shutil.move(home / "aside", older)
    yield Place("model", _files(run.model), loaded(run.path))
    own = [path for path in _files(run.path) if not {run.model, run.checkpoints, run.evals} & set(path.parents)]
    yield Place("run", tuple(path for path in own if path != run.log), read_back(run))
    read = [path for path in _files(home / "export") if path.name not in ("README.md", "config.yaml")]
    yield Place("export", tuple(read), loaded(home / "export"))
    entry, use = encoded(run)
    yield Place("cache", _files(entry), use)


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def audit(place: Place, *, short: bool) -> Counter[str]:
    """Harm each file in each way; in short each file in one way."""
    counts: Counter[str] = Counter()
    for number, path in enumerate(place.files):
        other = place.files[number - 1] if len(place.files) > 1 else path
        for harm in (HARM[number % len(HARM)],) if short else HARM:
            beside = [path, *place.files] if place.name != "run" else [path, other]
            with kept(sorted(set(beside))):
                before = path.read_bytes()
                harm(path, other)
                if path.is_file() and path.read_bytes() == before:
                    counts["no damage"] += 1
                    continue
                harmed = (path, other) if harm is swap else (path,)
                found = outcome(harmed, place.action(path))
            counts[found.partition(":")[0]] += 1
            if found != "named":
                print(f"  {place.name}: {path.name}, {harm.__name__}: {found}")
    return counts


def bits(path: Path, many: int) -> int:
    """How many of so many flipped bits of a predictions file are noticed by reading it."""
    content, chance, noticed = path.read_bytes(), random.Random(5), 0
    for _ in range(many):
        place = chance.randrange(len(content) * 8)
        harmed = bytearray(content)
        harmed[place // 8] ^= 1 << place % 8
        path.write_bytes(harmed)
        try:
            predictions.read(path)
        except FtclsError:
            noticed += 1
    path.write_bytes(content)
    return noticed


def main(arguments: Sequence[str] | None = None) -> int:
    """Harm, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one kind of damage for each file")
    parser.add_argument("--flips", type=int, default=1_000, help="single bits of a predictions file")
    given = parser.parse_args(arguments)
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ["FTCLS_CACHE"] = str(home / "cache")
        for place in places(home):
            counts = audit(place, short=given.short)
            total += counts
            print(
                f"{place.name:16} {len(place.files):3} files", *(f"{counts[each]:5} {each}" for each in sorted(counts))
            )
        noticed = bits(home / "run" / "predictions" / "test.parquet", given.flips)
    print(f"{sum(total.values()) - total['no damage']} damages:", ", ".join(f"{total[e]} {e}" for e in KINDS))
    print(f"{given.flips} single bits of a predictions file: {given.flips - noticed} unnoticed")
    return int(total["silent"] + total["traceback"] > 0 or noticed < given.flips)


KINDS = ("named", "silent", "traceback")

if __name__ == "__main__":
    sys.exit(main())

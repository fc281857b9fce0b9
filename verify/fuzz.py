"""Every reader, the YAML loader and all files beside weights, fed with what was changed by chance.

    python verify/fuzz.py [--seconds 600] [--seed 0] [--only NAME] [--short]

A case takes a good input of a reader, changes it (bits, cuts, copies, words that have a meaning in the format, values
of JSON replaced, nesting, digits) and reads it. It may be read, or refused with an `FtclsError`. Every reader gets the
same time. Prints how many cases each had; exit code 1 where anything else was raised, a case took longer than `LIMIT`,
or a message is longer than its class allows. What went wrong is kept in --output, a file for each.
"""

import argparse
import contextlib
import gzip
import io
import json
import logging
import os
import random
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import small_run
from ftcls.config import load as configs
from ftcls.config import sweep as sweeps
from ftcls.config.schema import Data
from ftcls.data import read as corpora
from ftcls.data.readers import archives, reuters21578
from ftcls.data.tables.read import read_table
from ftcls.environment import manifest
from ftcls.errors import FtclsError
from ftcls.exporting.export import export
from ftcls.inference import reload_check
from ftcls.model import adapters, limits, settings
from ftcls.model.baselines import store
from ftcls.model.baselines.linear import LinearModel
from ftcls.pipeline import train
from ftcls.pipeline.starter_config import Machine, from_file
from ftcls.prediction.files import Wanted, predict_files
from ftcls.reporting import trainer_state
from ftcls.runs import data_record, export_record, history, predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring import decision

LIMIT = 10.0
"""Seconds of a case."""
WORDS = [
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\r", b"\r\n", b"\n", b"\t", b'"', b"'", b"\\"),
    *(
        b",",
        b";",
        b"|",
        b":",
        b"- ",
        b"#",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!python/object:os.system ",
        b"? ",
        b"%",
        b"{",
        b"}",
    ),
    *(b"[", b"]", b"[" * 200, b'{"a":' * 200, b"[]", b"{}", b"null", b"NaN", b"Infinity", b"-0", b"1e999", b"true"),
    *(
        b"9" * 400,
        b"9" * 5_000,
        b"0x10",
        b"010",
        b"2026-01-01",
        b"\\ud800",
        b"\\u0000",
        b"\xe2\x80\xae",
        b"\xf0\x9f\x98\x80",
    ),
    *(
        b"<REUTERS ",
        b"</REUTERS>",
        b"<TOPICS><D>",
        b"</D>",
        b"<TITLE>",
        b"<BODY>",
        b"&#99999999;",
        b"&lt;",
        b'""',
        b" ",
    ),
    *(
        b"../../x",
        b"/etc/passwd",
        b"package:os/..",
        b"a" * 3_000,
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"sep=;\n",
        b"text",
        b"label",
    ),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 0.5, 1e308, 10**30, "", "a", "text", "\0", "\ud800", "../x", [], {}, [[]], [None]),
    *({"a": 1}, [1, "a"], "x" * 5_000, ["label"] * 50, {"text": "text"}, "1e-5", "nan", 2**63, -(2**63), ["a", "a"]),
]


@dataclass(frozen=True)
class Target:
    """A reader, and good inputs of it."""

    name: str
    file: str
    """Name of the file that is read."""
    seeds: tuple[bytes, ...]
    read: Callable[[Path], object]
    kind: str = "bytes"
    """bytes, json or packed: how it may be changed as well."""


class Late(BaseException):
    """A case that takes too long."""


@dataclass(frozen=True)
class _Labels:
    """A classifier that costs nothing."""

    labels: tuple[str, ...] = ("bad", "good")
    task: str = "binary"

    def classify(self, texts: Sequence[str]) -> list[Any]:
        return [_Said(("bad",), {"bad": 0.75, "good": 0.25}) for _ in texts]

    def fingerprint(self) -> str:
        return "labels"


@dataclass(frozen=True)
class _Said:
    labels: tuple[str, ...]
    probabilities: dict[str, float]


# --- what is read


CSV = b'text,label,split\n"a fine, warm film",good,train\ndull,bad,test\n"""quoted"" text",good,train\n' * 4
TSV = b"text\tlabel\na fine film\tgood\ndull and cold\tbad\n" * 4
JSONL = b'{"text": "a fine film", "label": "good"}\n{"text": "dull", "label": "bad", "n": [1, 0]}\n' * 4
JSON = json.dumps([{"text": "a fine film", "label": "good"}, {"text": "dull", "label": ["bad"]}] * 4).encode()
YAML = b"""name: mine
seed: 3
data:
  source: files
  path: {train: train.csv, test: test.csv}
  text: [title, body]
  label: {columns: [toxic, insult]}
  task: multilabel
  split: {validation: 0.1, stratify: true}
  clean: [html_breaks, spaces]
model: {checkpoint: scratch:bert, max_length: 64}
training: {num_train_epochs: 2, batch_size: 8, learning_rate: 2e-5, weight_decay: 0.01}
loss: {class_weights: {a: 1.5, b: 2}}
decision: {thresholds: tuned}
"""
SWEEP = b"""name: grid
base: base.yaml
search: {method: random, metric: f1_macro, trials: 4}
axes:
  training.learning_rate: {low: 1e-6, high: 1e-4, log: true}
  size:
    - {data.subset.train: 800, training.eval_steps: 10}
    - {data.subset.train: 1600, training.eval_steps: 20}
  seed: [1, 2]
"""
SGML = b"""<!DOCTYPE lewis SYSTEM "lewis.dtd">
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" CGISPLIT="TRAINING-SET" OLDID="5544" NEWID="1">
<DATE>26-FEB-1987</DATE><TOPICS><D>cocoa</D><D>acq</D></TOPICS>
<TEXT>&#2;<TITLE>BAHIA COCOA &lt;REVIEW></TITLE><BODY>Showers continued. Reuter &#3;</BODY></TEXT>
</REUTERS>
<REUTERS TOPICS="NO" LEWISSPLIT="TEST" NEWID="2"><TOPICS></TOPICS><TEXT TYPE="BRIEF"><TITLE>B</TITLE></TEXT></REUTERS>
"""


def parquet() -> bytes:
    """A small table."""
    file = io.BytesIO()
    table = pa.table(
        {"text": ["a fine film", "dull", None], "label": ["good", "bad", "good"], "n": [[1, 0], [0], None]}
    )
    pq.write_table(table, file)
    return file.getvalue()


def archive() -> bytes:
    """A packed archive with a table."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as made:
        for name in ("data/train.csv", "data/test.csv"):
            member = tarfile.TarInfo(name)
            member.size = len(CSV)
            made.addfile(member, io.BytesIO(CSV))
    return file.getvalue()


def predicted(suffix: str) -> Callable[[Path], object]:
    """Label a file as `ftcls predict` does."""

    def read(path: Path) -> object:
        output = path.with_name(f"out.{suffix}")
        try:
            return predict_files(_Labels(), [path], output, Wanted(prefix="new_"))
        finally:
            for left in path.parent.glob("out.*"):
                left.unlink()

    return read


def corpus(path: Path) -> object:
    """Read a file as `ftcls train` does."""
    return corpora.read(Data(source="files", path=str(path), text="text", label="label", task="multiclass"), seed=1)


def tables() -> Iterator[Target]:
    """Tables of every kind, read for training, for a first config and for prediction."""
    texts = {"csv": CSV, "tsv": TSV, "jsonl": JSONL, "json": JSON}
    for suffix, seed in texts.items():
        kind = "json" if suffix in ("json", "jsonl") else "bytes"
        yield Target(f"table.{suffix}", f"a.{suffix}", (seed,), read_table, kind)
        yield Target(f"corpus.{suffix}", f"a.{suffix}", (seed,), corpus, kind)
        yield Target(
            f"predict.{suffix}", f"a.{suffix}", (seed,), predicted("csv" if suffix == "tsv" else "jsonl"), kind
        )
        yield Target(f"packed.{suffix}", f"a.{suffix}.gz", (gzip.compress(seed),), read_table, "packed")
    yield Target("config from csv", "a.csv", (CSV,), first_config)
    yield Target("predict.txt", "a.txt", (b"a fine film\n\ndull\n",), predicted("csv"))
    yield Target("table.parquet", "a.parquet", (parquet(),), read_table)
    yield Target("predict.parquet", "a.parquet", (parquet(),), predicted("parquet"))
    yield Target("archive", "a.tar.gz", (archive(),), lambda path: list(archives.members(path, bool)), "packed")
    yield Target(
        "reuters", "reut2-000.sgm", (SGML,), lambda path: list(reuters21578._stories(path.name, path.read_bytes()))
    )


def first_config(path: Path) -> object:
    """What `ftcls config init --data` writes."""
    return from_file(path, label=["label"], text=None, machine=Machine("cpu", "cpu"), output=None)


def yaml() -> Iterator[Target]:
    """Configs, sweeps and overrides."""
    yield Target("config", "a.yaml", (YAML,), lambda path: configs.load(path))
    yield Target("sweep", "sweep.yaml", (SWEEP,), read_sweep)
    yield Target("override", "a.txt", (b"training.learning_rate=2e-5", b"data={source: imdb}", b"seed=1"), override)


def override(path: Path) -> object:
    """A config with a setting of the command line."""
    return configs.load("quickstart", [path.read_bytes().decode("utf-8", "replace")])


def read_sweep(path: Path) -> object:
    """A sweep beside its base."""
    (path.parent / "base.yaml").write_bytes(YAML)
    return sweeps.read(path)


def sidecars(run: RunDir) -> Iterator[Target]:
    """Whatever lies beside weights and in a run; without manifests, which would find every change."""
    labels = ("bad", "good")
    seeds = {path.name: path.read_bytes() for path in (*run.model.iterdir(), *run.path.iterdir()) if path.is_file()}
    beside = {
        settings.FILE: lambda path: settings.load(path.parent),
        decision.FILE: lambda path: decision.load(path, labels),
        reload_check.FILE: lambda path: reload_check.load(path.parent),
        limits.CONFIG: lambda path: limits.check_config(path, "checkpoint"),
        "report.json": lambda path: report_schema.read_report(RunDir(path.parent)),
        "history.jsonl": lambda path: history.read(path),
        "data.json": lambda path: data_record.read(RunDir(path.parent)),
        "config.yaml": lambda path: configs.load(path),
        manifest.FILE: lambda path: manifest.read(path.parent),
    }
    export(run.path, to="torch", output=run.path.parent / "export")
    seeds["export.json"] = (run.path.parent / "export" / "export.json").read_bytes()
    probe = {"schema_version": 1, "input_ids": [[2, 5, 3]], "logits": [[0.25, -0.5]], "tolerance": 1e-4}
    seeds[reload_check.FILE] = json.dumps(probe).encode()
    for name, read in beside.items():
        yield Target(name, name, (seeds[name],), read, "bytes" if name.endswith("yaml") else "json")
    adapter = {"schema_version": 1, "checkpoint": "a/b", "revision": None, "quantization": "none", "compute": "fp32"}
    yield Target(
        "adapter",
        adapters.FILE,
        (json.dumps(adapter).encode(),),
        lambda path: adapters.read_origin(path.parent),
        "json",
    )
    index = json.dumps({"metadata": {}, "weight_map": {"a.weight": "model-1.safetensors"}}).encode()
    name = "model.safetensors.index.json"
    yield Target("index", name, (index,), lambda path: limits.check_files(path.parent, "checkpoint"), "json")
    state = {"log_history": [{"step": 1, "loss": 0.5, "epoch": 0.1}, {"step": 2, "eval_loss": 0.4}], "max_steps": 2}
    yield Target(
        "trainer state",
        "trainer_state.json",
        (json.dumps(state).encode(),),
        lambda path: trainer_state.read(path),
        "json",
    )
    yield Target("export", "export.json", (seeds["export.json"],), lambda path: export_record.read(path.parent), "json")
    rows = run.predictions / "test.parquet"
    yield Target("predictions", rows.name, (rows.read_bytes(),), lambda path: predictions.read(path))
    folder = run.models / "tfidf"
    for path in sorted(folder.iterdir()):
        if path.name in (store.SETTINGS, store.ARRAYS):
            kind = "json" if path.suffix == ".json" else "bytes"
            yield Target(
                f"tfidf {path.name}", path.name, (path.read_bytes(),), beside_others(folder, LinearModel.load), kind
            )


def beside_others(folder: Path, load: Callable[[Path], object]) -> Callable[[Path], object]:
    """Read a changed file among the others of its folder."""

    def read(path: Path) -> object:
        for other in folder.iterdir():
            if other.name not in (path.name, manifest.FILE):
                shutil.copy(other, path.parent / other.name)
        return load(path.parent)

    return read


# --- how it is changed


def changed(target: Target, chance: random.Random) -> bytes:
    """An input that was good."""
    content = chance.choice(target.seeds)
    if target.kind == "json" and chance.random() < 0.5:
        content = other_values(content, chance)
        if chance.random() < 0.7:
            return content
    if target.kind == "packed" and chance.random() < 0.5:
        return gzip.compress(edited(gzip.decompress(content), chance), 1)
    return edited(content, chance)


def edited(content: bytes, chance: random.Random) -> bytes:
    """A few edits of bytes."""
    for _ in range(chance.choice([1, 1, 1, 2, 4, 16])):
        content = chance.choice(EDITS)(content, chance)
    return content[:200_000]


def _flip(content: bytes, chance: random.Random) -> bytes:
    if not content:
        return content
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def _drop(content: bytes, chance: random.Random) -> bytes:
    start = chance.randint(0, len(content))
    return content[:start] + content[start + chance.randint(1, 20) :]


def _copy(content: bytes, chance: random.Random) -> bytes:
    start, place = chance.randint(0, len(content)), chance.randint(0, len(content))
    return (
        content[:place]
        + content[start : start + chance.randint(1, 60)] * chance.choice([1, 1, 3, 100])
        + content[place:]
    )


def _word(content: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(content))
    return content[:place] + chance.choice(WORDS) + content[place + chance.choice([0, 0, 1, 5]) :]


def _line(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one] + chance.choice([b"", b",", b"\t", b" "])
    return b"\n".join(lines)


def _chance(content: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(content))
    return content[:place] + chance.randbytes(chance.randint(1, 30)) + content[place:]


EDITS = (_flip, _flip, _cut, _drop, _copy, _word, _word, _word, _line, _chance)


def other_values(content: bytes, chance: random.Random) -> bytes:
    """JSON with other values, in one or more places; of lines in one of them."""
    lines = content.split(b"\n") if b"}\n{" in content else [content]
    index = chance.randrange(len(lines))
    try:
        value = json.loads(lines[index])
    except ValueError:
        return content
    for _ in range(chance.choice([1, 1, 2, 5])):
        value = _replaced(value, chance)
    lines[index] = json.dumps(value).encode()
    return b"\n".join(lines)


def _replaced(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        what = chance.random()
        if what < 0.15:
            return {name: each for name, each in value.items() if name != key}
        if what < 0.25:
            return {**value, chance.choice(["", "x", "schema_version", key + "x"]): chance.choice(VALUES)}
        return {**value, key: _replaced(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(min(len(value), 50))
        return [*value[:place], _replaced(value[place], chance), *value[place + chance.choice([0, 1, 1]) :]]
    return chance.choice(VALUES)


# --- whether it holds


def outcome(target: Target, path: Path, seconds: float = LIMIT) -> tuple[str, str]:
    """``read`` or ``refused``, or what is wrong, and where."""
    begun = time.perf_counter()
    try:
        with limited(seconds):
            target.read(path)
        return ("read", "") if time.perf_counter() - begun < seconds else ("late", "")
    except FtclsError as error:
        if len(str(error)) > type(error).longest:
            return "long message", f"{type(error).__name__} of {len(str(error)):,} characters"
        return ("refused", "") if time.perf_counter() - begun < seconds else ("late", "")
    except Late:
        return "late", ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        frames = [each for each in traceback.extract_tb(error.__traceback__) if "ftcls" in each.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return "escaped", f"{type(error).__name__} at {where}: {str(error)[:100]!r}"


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Stop after some time, where the system can."""

    def late(number: int, frame: object) -> None:
        raise Late

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_all(targets: Sequence[Target], *, seconds: float, seed: int, kept: Path, folder: Path) -> Counter[str]:
    """Give every target the same time; print and keep what goes wrong."""
    chance = random.Random(seed)
    spent = dict.fromkeys((each.name for each in targets), 0.0)
    counts: dict[str, Counter[str]] = {each.name: Counter() for each in targets}
    seen: set[tuple[str, str]] = set()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        target = min(targets, key=lambda each: spent[each.name])
        begun = time.perf_counter()
        for _ in range(20):
            place = folder / "case"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            path = place / target.file
            path.write_bytes(changed(target, chance))
            found, where = outcome(target, path)
            counts[target.name][found] += 1
            if found not in ("read", "refused") and (target.name, where.partition(":")[0] + where[:40]) not in seen:
                seen.add((target.name, where.partition(":")[0] + where[:40]))
                kept.mkdir(parents=True, exist_ok=True)
                name = f"{target.name.replace(' ', '-')}-{len(seen)}-{target.file}"
                path.is_file() and shutil.copy(path, kept / name)
                print(f"  {target.name}: {found} {where} ({kept / name})", flush=True)
        spent[target.name] += time.perf_counter() - begun
    total: Counter[str] = Counter()
    for name, each in counts.items():
        total += each
        print(f"{name:24} {each.total():8,} cases", *(f"{each[what]:7,} {what}" for what in sorted(each)))
    return total


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing is logged meanwhile."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def main(arguments: Sequence[str] | None = None) -> int:
    """Change, read, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--short", action="store_true", help="ten seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers with this in their name")
    parser.add_argument("--output", type=Path, default=None, help="where cases are kept that went wrong")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, silence():
        home = Path(name)
        os.environ.setdefault("FTCLS_CACHE", str(home / "cache"))
        with contextlib.redirect_stderr(io.StringIO()):
            run = train.train(small_run.experiment(home), output=home / "run").files
        targets = [each for each in (*tables(), *yaml(), *sidecars(run)) if given.only in each.name]
        kept = given.output or Path(tempfile.gettempdir()) / "ftcls-fuzz"
        total = run_all(targets, seconds=10 if given.short else given.seconds, seed=given.seed, kept=kept, folder=home)
    wrong = [what for what in ("escaped", "late", "long message") if total[what]]
    print(f"{total.total():,} cases:", ", ".join(f"{total[what]:,} {what}" for what in (*KINDS,)))
    return int(bool(wrong))


KINDS = ("read", "refused", "escaped", "late", "long message")


if __name__ == "__main__":
    sys.exit(main())

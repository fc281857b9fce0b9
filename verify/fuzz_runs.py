"""What `fuzz` reads of a run: files beside weights, simple models, checkpoints that are continued, the cache."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import small_run
from ftcls.config import load as configs
from ftcls.data.checks import leaks
from ftcls.environment import cache, manifest
from ftcls.exporting.export import export
from ftcls.inference import reload_check
from ftcls.inference.simple_classifier import load_classifier
from ftcls.model import adapters, limits, loading, settings, tokenize
from ftcls.pipeline import distill, train
from ftcls.pipeline import evaluate as evaluation
from ftcls.reporting import trainer_state
from ftcls.runs import data_record, distillation, export_record, history, predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring import decision
from ftcls.training import checkpoints
from fuzz_targets import Target

CONTINUED = "step-8"
"""The checkpoint that a training goes on from."""


def made(home: Path) -> RunDir:
    """A run with every simple model, a student, an evaluation and an export."""
    run = train.train(
        configs.load(small_run.experiment(home), ["report.ladder=[tfidf, frozen, stack]"]), output=home / "run"
    ).files
    train.train(small_run.experiment(home), output=home / "short", overrides=["report.ladder=[]"])
    distill.distill(run.path)
    evaluation.evaluate(run.path, output=home / "eval.json")
    export(run.path, to="torch", output=home / "export")
    return run


def of_a_run(home: Path) -> Iterator[Target]:
    """Every target that `made` gives."""
    run = RunDir(home / "run")
    yield from sidecars(run)
    yield from models(run)
    yield from checkpoint_state(run)
    yield from cached(home)


def models(run: RunDir) -> Iterator[Target]:
    """A model, and each simple one, with one file of it changed: loaded, and asked for a label."""
    plain = run.path.parent / "plain"
    shutil.copytree(run.path, plain)
    for path in [*plain.rglob(manifest.FILE)]:
        path.unlink()
    for folder, suffix in (
        (plain / "model", ""),
        *((each, f":{each.name}") for each in sorted((plain / "models").iterdir())),
    ):
        for path in sorted(folder.iterdir()):
            if path.suffix in (".json", ".safetensors") and path.name != distillation.FILE:
                kind = "json" if path.suffix == ".json" else "bytes"
                yield Target(
                    f"{folder.name} {path.name}",
                    path.name,
                    (path.read_bytes(),),
                    _asked(f"{plain}{suffix}", path),
                    kind,
                    seconds=30,
                )


def _asked(place: str, original: Path) -> Callable[[Path], object]:
    """Load a classifier with one of its files changed."""

    def read(path: Path) -> object:
        with _instead(original, path):
            return load_classifier(place, device="cpu").classify(["a fine film", "dull"])

    return read


@contextlib.contextmanager
def _instead(original: Path, changed: Path) -> Iterator[None]:
    """A file that takes the place of another for a while."""
    before = original.read_bytes()
    try:
        original.unlink()
        shutil.copy(changed, original)
        yield
    finally:
        original.unlink(missing_ok=True)
        original.write_bytes(before)


def checkpoint_state(run: RunDir) -> Iterator[Target]:
    """A training that goes on from a checkpoint with one of its files changed, and listed as it is now."""
    started = run.path.parent / "started"
    shutil.copytree(
        run.path.parent / "short",
        started,
        ignore=shutil.ignore_patterns("model", "models", "plots", "predictions", "evals", "report.*", "step-12"),
    )
    (started / manifest.FILE).unlink()
    folder = started / "checkpoints" / CONTINUED
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".jsonl", ".pt", ".pth") and path.name != manifest.FILE:
            kind = "json" if path.suffix.startswith(".json") else "zip" if path.read_bytes()[:2] == b"PK" else "bytes"
            yield Target(
                f"continue {path.name}", path.name, (path.read_bytes(),), _continued(started, path), kind, seconds=120
            )
    stored = json.dumps(dict(manifest.read(folder).about)).encode()
    yield Target("progress", "about.json", (stored,), _progress(folder), "json")


def _progress(folder: Path) -> Callable[[Path], object]:
    """What a manifest keeps beside the files, written as ftcls writes it."""

    def read(path: Path) -> object:
        try:
            about = json.loads(path.read_bytes())
            if not isinstance(about, dict):
                return None
            step = path.parent / "step-8"
            step.mkdir()
            manifest.write(step, about)
        except (ValueError, TypeError, RecursionError):  # no manifest can hold that
            return None
        return checkpoints.start(path.parent)

    return read


def _continued(started: Path, original: Path) -> Callable[[Path], object]:
    """Continue a training."""
    name = original.relative_to(started)

    def read(path: Path) -> object:
        place = path.parent / "run"
        shutil.copytree(started, place)
        shutil.copy(path, place / name)
        manifest.renew((place / name).parent, [name.name])
        return train.train(configs.load(place / "config.yaml"), output=place, resume=True)

    return read


def cached(home: Path) -> Iterator[Target]:
    """An entry of the cache with one file changed: what comes of it is what was kept, or made anew."""
    tokenizer = loading.load_tokenizer(str(home / "run" / "model"), train_texts=())
    texts = ["a fine and warm film", "dull and cold", "a poor film"]

    def encode() -> Sequence[Any]:
        found = tokenize.encode(texts, tokenizer, max_length=16, truncation="head")
        return found.ids, found.offsets, found.full_lengths

    def group() -> Sequence[Any]:
        return (leaks.groups(texts),)

    for kind, make in (("encoded", encode), ("near", group)):
        before = {path.name for path in cache.folder(kind).iterdir()}
        wanted = make()
        (entry,) = [path for path in cache.folder(kind).iterdir() if path.is_dir() and path.name not in before]
        for path in sorted(entry.iterdir()):
            seed, how = (path.read_bytes(),), "json" if path.suffix == ".json" else "bytes"
            yield Target(f"cache {path.name}", path.name, seed, _made_again(entry, path.name, make, wanted), how)
            if path.name != manifest.FILE:
                yield Target(
                    f"cache listed {path.name}", path.name, seed, _made_again(entry, path.name, make, None), how
                )


def _made_again(
    entry: Path, name: str, make: Callable[[], Sequence[Any]], wanted: Sequence[Any] | None
) -> Callable[[Path], object]:
    """Use an entry with a changed file; without ``wanted`` it is listed as it is now, as another version would."""
    whole = {path.name: path.read_bytes() for path in entry.iterdir()}

    def read(path: Path) -> object:
        entry.mkdir(exist_ok=True)
        for file, content in whole.items():
            (entry / file).write_bytes(content)
        shutil.copy(path, entry / name)
        if wanted is None:
            manifest.renew(entry, [name])
        found = make()
        if wanted is not None and not all(map(np.array_equal, found, wanted)):
            raise AssertionError("a damaged entry of the cache was used")
        return found

    return read


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
        distillation.FILE: lambda path: distillation.read(path.parent),
        "eval.json": lambda path: report_schema.read_evaluation(path),
    }
    seeds[distillation.FILE] = (run.models / "static" / distillation.FILE).read_bytes()
    seeds["eval.json"] = (run.path.parent / "eval.json").read_bytes()
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

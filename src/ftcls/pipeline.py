"""The order of things: data, encode, model, train, infer, score, report. No other file knows it."""

import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ftcls import account, baseline, devices, predictions, results, session
from ftcls.classifier import Classifier
from ftcls.config.load import load
from ftcls.config.schema import Data, Experiment, Split, SplitPaths, Subset
from ftcls.data.read import read
from ftcls.errors import DataError
from ftcls.model import factory
from ftcls.prepare import prepare
from ftcls.rundir import RunDir
from ftcls.training.checkpoints import MANIFEST
from ftcls.training.fit import Validation, fit

log = logging.getLogger(__name__)


def train(
    experiment: Experiment,
    *,
    output: Path | None = None,
    resume: bool = False,
    command: str = "",
    announce: Callable[[Path], None] = lambda path: None,
) -> RunDir:
    """Run one experiment from its data to its report.

    Args:
        experiment: the resolved config.
        output: the run directory; None: ``runs/<name>``, or ``<name>-2`` and so on where it is taken.
        resume: continue that run from its newest checkpoint; start where there is none.
        command: what the user typed, for the report.
        announce: called with the run directory as soon as it exists.

    Raises:
        FtclsError: see `ftcls.errors`.
    """
    started = datetime.now(UTC)
    section, seed = experiment.training, experiment.seed
    devices.quiet()
    machine = devices.choose(section.device, section.precision)
    if not machine.main:
        logging.getLogger("ftcls").setLevel(logging.WARNING)  # one process speaks for all
    log.info("%s, %s: %s", machine.name, machine.precision, machine.reason)
    with session.opened(experiment, machine, output=output, resume=resume, announce=announce) as run:
        if run.done:
            log.info("%s is done", run.path)
            return run
        corpus = read(experiment.data, seed=seed)
        prepared = prepare(corpus, experiment.model, clean=experiment.data.clean)
        built = factory.load_model(
            experiment.model.checkpoint, prepared.config, attention=experiment.model.attention, seed=seed
        )
        fitted = fit(
            built.model,
            prepared.encoded["train"],
            Validation(prepared.encoded["validation"], corpus.labels, corpus.task, corpus.positive),
            training=section,
            loss=experiment.loss,
            best_metric=experiment.metrics.best,
            trackers=experiment.report.trackers,
            seed=seed,
            machine=machine,
            run=run,
            companions=prepared.save,
            resume=resume,
        )
        session.part(machine)
        if not machine.main:
            return run
        shutil.copytree(run.best, run.model, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
        trained = _classifier(run.model, experiment)
        simple = baseline.fit(corpus, seed=seed)
        found = {
            "validation": trained.predictions(corpus.splits["validation"], prepared.encoded["validation"]),
            "test": trained.predictions(corpus.splits["test"], prepared.encoded["test"]),
        }
        for name, rows in {**found, "test-baseline": simple.predictions}.items():
            predictions.write(run.predictions / f"{name}.parquet", rows)
        report = account.report(
            experiment,
            run,
            corpus,
            prepared,
            machine=machine,
            fitted=fitted,
            trained=trained,
            new_parameters=built.new_parameters,
            scores={
                name: results.scores(rows, seed=seed, thresholds=trained.decision.thresholds)
                for name, rows in found.items()
            },
            baseline=account.against(simple, found["test"], seed=seed),
            command=command,
            started=started,
        )
        results.write_report(run, report)
    return run


def evaluate(
    run: Path,
    *,
    split: str = "test",
    data: Path | None = None,
    checkpoint: str | None = None,
    output: Path | None = None,
) -> results.Evaluation:
    """Score a run again: on one of its splits, or on other data; the result also goes to the run's ``evals/``.

    Args:
        run: the run directory.
        split: train, validation or test.
        data: another copy of the data set, or a file with the same columns, taken whole.
        checkpoint: ``best`` or ``step-N``; None: the model of the run.
        output: where else to write the result.

    Raises:
        DataError: no run, no such split or checkpoint, or labels that the model does not know.
    """
    place = RunDir(Path(run).absolute())
    if not place.config.is_file():
        raise DataError(f"{run}: not a run, it has no config.yaml; name a directory that `ftcls train` wrote")
    experiment = load(place.config)
    model = place.model if checkpoint is None else place.checkpoints / checkpoint
    if not (model / "config.json").is_file():
        there = sorted(p.name for p in place.checkpoints.glob("[!.]*"))
        raise DataError(f"{model}: no model there; --checkpoint takes {', '.join(there) or 'nothing: there is none'}")
    trained = _classifier(model, experiment)
    section = experiment.data if data is None else _elsewhere(experiment.data, data, trained)
    corpus = read(section, seed=experiment.seed)
    if corpus.labels != trained.labels:
        raise DataError(f"{run}: the data has the labels {corpus.labels}, the model {trained.labels}")
    if split not in corpus.splits:
        raise DataError(f"--split {split}: there are {', '.join(corpus.splits)}")
    rows = corpus.splits[split]  # type: ignore[index]
    said = trained.predictions(rows, trained.encode(rows.texts, rows.targets, cached=True))
    name = corpus.source if data is None else data.stem
    found = account.evaluation(trained, corpus, said, model=model.name, name=name, split=split, seed=experiment.seed)
    for path in filter(None, (place.evals / f"{name}-{split}.json", output)):
        results.write_evaluation(path, found)
    return found


def _classifier(model: Path, experiment: Experiment) -> Classifier:
    section = experiment.training
    return Classifier.load(
        model, device=section.device, token_budget=section.token_budget, max_rows=section.eval_batch_size
    )


def _elsewhere(section: Data, data: Path, trained: Classifier) -> Data:
    """The data section for another copy of the set, or for one file of one's own taken whole."""
    if not data.exists():
        raise DataError(f"--data {data}: no such file or folder")
    if data.is_dir() and section.source != "files":
        return section.model_copy(update={"path": str(data), "subset": Subset()})
    place = str(data)
    return section.model_copy(
        update={
            "source": "files",
            "path": SplitPaths(train=place, validation=place, test=place),
            "task": trained.task,
            "labels": trained.labels,
            "split": Split(),  # nothing is pooled and cut anew: the file is taken whole
            "subset": Subset(),
        }
    )

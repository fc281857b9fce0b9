"""Scoring what is there: a run again, on one of its splits or on other data, or any checkpoint."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ftcls.config.load import Config, load
from ftcls.config.rule import task_of
from ftcls.config.schema import Experiment
from ftcls.data.corpus import Corpus, Split
from ftcls.data.read import assemble, read
from ftcls.environment import devices, manifest
from ftcls.errors import ConfigError, DataError
from ftcls.inference.base_classifier import BaseClassifier, Thresholds
from ftcls.inference.simple_classifier import load_classifier as load_any
from ftcls.model import own_code
from ftcls.pipeline import build_report, cross_validation, extra_metrics, label_alignment, out_of_fold, own_functions
from ftcls.pipeline.own_data import Table, file_of
from ftcls.pipeline.own_functions import Metric, OwnFunctions, with_functions
from ftcls.pipeline.same_data import refuse_other_data
from ftcls.runs import directory, report_schema
from ftcls.runs.directory import RunDir
from ftcls.runs.references import reference
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.without_leaks import WithoutLeaks

log = logging.getLogger(__name__)


def evaluate(
    run: str | os.PathLike[str],
    *,
    split: str | None = None,
    data: Table | None = None,
    checkpoint: str | None = None,
    output: str | os.PathLike[str] | None = None,
    config: Config | None = None,
    labels: Sequence[str] | None = None,
    thresholds: Thresholds = (),
    precision: str = "auto",
    allow_code: bool = False,
    metrics: Mapping[str, Metric] | None = None,
) -> report_schema.Evaluation:
    """Score a run again, on one of its splits or on other data; or any checkpoint on the data of a config.

    For a run the result also goes to its ``evals/``; beside other checkpoints nothing is written.

    Args:
        run: the run directory, or a simple model of it, ``RUN:tfidf``; with ``config`` also a local or Hub checkpoint.
        split: train, validation or test; None: test. Of a cross-validation None is ``out_of_fold``: each fold's model.
        data: a DataFrame, a Dataset or a file with the same columns, taken whole, or another copy of the data set.
        checkpoint: ``best`` or ``step-N`` of a run; None: the model of the run.
        output: where else to write the result.
        config: gives data and cleaning in place of the run's own config.
        labels: the model's label names in its order, where its own are not those of the data.
        thresholds: in place of the model's own: one for all labels, one for some, or texts such as ``LABEL=0.3``.
        precision: the arithmetic: auto, that of the run, so that its figures are repeated; fp32, bf16 or fp16.
        allow_code: whether the modules and functions of the metrics may run, and code that came with the checkpoint.
        metrics: more metrics by name, see `ftcls.train`; those that a run was trained with are handed over again.

    Raises:
        ConfigError: modules that are not allowed to run, or thresholds that are none.
        DataError: no run, no such split or checkpoint, or labels that are not those of the data.
    """
    model, wanted = os.fspath(run), reference(os.fspath(run))
    place = RunDir(Path(wanted.path).absolute())
    is_run = _check(place, model, config=config, checkpoint=checkpoint, labels=labels)
    experiment, functions = with_functions(_experiment(place, config), None, metrics)
    _check_code(experiment, functions, model, allow_code=allow_code)
    functions = own_functions.loaded(experiment, functions, trains=False)
    weights: Path | str = model if wanted.name or not is_run else _weights(place, checkpoint)
    trained = label_alignment.renamed(
        load_classifier(weights, experiment, _precision(place, experiment, precision, own=is_run and config is None)),
        None if labels is None else tuple(labels),
    )
    corpus = _scored_on(experiment, data, trained)
    # Only of a run on its own data is it known what the model was trained on.
    own = config is None and data is None
    folds = own and checkpoint is None and cross_validation.is_whole(experiment)
    if own:
        refuse_other_data(place, corpus)
    split = _split(split, corpus, folds=folds)
    aligned, corpus = label_alignment.align(model, trained, corpus, experiment.model)
    trained = aligned.with_thresholds(thresholds)
    if folds and split == report_schema.OUT_OF_FOLD:
        said = _out_of_fold(place, wanted.name, experiment, corpus.splits["train"], precision, thresholds)
    else:
        said = trained.predictions_of(corpus.splits[split])  # type: ignore[index]
    name = corpus.source if data is None else Path(data).stem if isinstance(data, str | os.PathLike) else "dataframe"
    found = build_report.evaluation(
        trained,
        corpus,
        said,
        model=wanted.name or (weights.name if isinstance(weights, Path) else weights),
        name=name,
        split=split,
        seed=experiment.seed,
        extra=extra_metrics.score(own_functions.extra(experiment, functions, corpus), said),
        metrics_without_leaks=_without_leaks(corpus, split, said, experiment.seed) if own else None,
    )
    stem = f"{name}-{split}" if wanted.name is None else f"{name}-{split}-{wanted.name}"
    _write(found, *([place.evals / f"{stem}.json"] if is_run else []), *([] if output is None else [Path(output)]))
    return found


def _write(found: report_schema.Evaluation, *files: Path) -> None:
    for file in files:
        report_schema.write_evaluation(file, found)


def _split(asked: str | None, corpus: Corpus, *, folds: bool) -> str:
    """The split to score.

    Raises:
        DataError: there is none of that name.
    """
    there = [*corpus.splits, *[report_schema.OUT_OF_FOLD] * folds]
    split = asked or (report_schema.OUT_OF_FOLD if folds else "test")
    if split not in there:
        raise DataError(f"--split {split}: there are {', '.join(there)}")
    return split


def _without_leaks(corpus: Corpus, split: str, said: Predictions, seed: int) -> WithoutLeaks | None:
    """The scores of the rows whose text is in no earlier split, or in no other fold."""
    if split == report_schema.OUT_OF_FOLD:
        return out_of_fold.scored_without_leaks(said, corpus.splits["train"], seed=seed)
    return build_report.without_leaks(corpus, split, said, seed=seed)  # type: ignore[arg-type]


def _out_of_fold(
    run: RunDir, name: str | None, experiment: Experiment, rows: Split, precision: str, thresholds: Thresholds
) -> Predictions:
    """What the models of the folds, or the simple ones of that name, say of their own folds."""
    if rows.folds is None:
        raise TypeError("rows of a cross-validation have folds")
    said = []
    for number in np.unique(rows.folds).tolist():
        fold = run.fold(number)
        weights = _weights(fold, None) if name is None else f"{fold.path}:{name}"
        trained = load_classifier(weights, experiment, _precision(fold, experiment, precision, own=True))
        said.append(trained.with_thresholds(thresholds).predictions_of(rows.take(np.flatnonzero(rows.folds == number))))
    return out_of_fold.pooled(said, rows)


def _check_code(experiment: Experiment, functions: OwnFunctions, model: str, *, allow_code: bool) -> None:
    extra_metrics.check_allowed(experiment.metrics.evaluate, allow_code=allow_code)
    own_functions.check_allowed(experiment, functions, allow_code=allow_code, trains=False)
    own_code.check_given(model, wanted=experiment.model.allow_code, given=allow_code)


def _experiment(run: RunDir, config: Config | None) -> Experiment:
    if config is not None:
        return load(config)
    manifest.check_part(run.config)
    return load(run.config)


def _check(
    place: RunDir, model: str, *, config: Config | None, checkpoint: str | None, labels: Sequence[str] | None
) -> bool:
    """Refuse what does not go together; whether it is a run."""
    is_run = place.config.is_file()
    if labels is not None and config is None:
        raise ConfigError("--labels: goes with --config; a run knows its labels")
    if checkpoint is not None and not is_run:
        raise ConfigError(f"--checkpoint {checkpoint}: belongs to a run, and {model} is none")
    if checkpoint is not None and (name := reference(model).name) is not None:
        raise ConfigError(f"--checkpoint {checkpoint}: is one of the training, and {model} is the simple model {name}")
    if config is None and not is_run:
        raise DataError(
            f"{model}: not a run, it has no config.yaml.{directory.nearest(model)} Name a directory that `ftcls "
            "train` wrote, or say with --config FILE which data this checkpoint is to be scored on"
        )
    return is_run


def _scored_on(experiment: Experiment, data: Table | None, trained: BaseClassifier) -> Corpus:
    """The corpus of the config, or other data by its columns and cleaning."""
    section = experiment.data
    if data is None:
        return read(section, seed=experiment.seed)
    known = section.labels if label_alignment.bare(trained.labels) else trained.labels
    with tempfile.TemporaryDirectory() as folder:
        # A path stays as it was typed: messages name it so.
        file = Path(data if isinstance(data, str | os.PathLike) else file_of(data, section, Path(folder), "dataframe"))
        section = label_alignment.elsewhere(section, file, task=task_of(section) or trained.task, labels=known)
        if not label_alignment.is_whole(section):
            return read(section, seed=experiment.seed)
        corpus = assemble(section, seed=experiment.seed)
        log.info("%s: %s examples", file, f"{len(corpus.splits['test']):,}")  # not one number for each split
        return corpus


def _weights(run: RunDir, checkpoint: str | None) -> Path:
    place = run.checkpoints / checkpoint if checkpoint else run.model
    if not checkpoint and (run.path / "config.json").is_file():
        place = run.path  # an export: the config of its run beside the weights
    if not (place / "config.json").is_file():
        manifest.check_part(place / "config.json")
        manifest.check_part(place)
        there = sorted(p.name for p in run.checkpoints.glob("[!.]*"))
        raise DataError(f"{place}: no model there; --checkpoint takes {', '.join(there) or 'nothing: there is none'}")
    return place


def load_classifier(model: Path | str, experiment: Experiment, precision: str = "fp32") -> BaseClassifier:
    """A saved model, or a simple one of a run, as the config's training section says that it is to be run."""
    section = experiment.training
    return load_any(
        model,
        device=section.device,
        precision=precision,
        token_budget=section.token_budget,
        max_rows=section.eval_batch_size,
        allow_code=experiment.model.allow_code,  # it was looked at whether --allow-code is given
    )


def _precision(run: RunDir, experiment: Experiment, wanted: str, *, own: bool) -> str:
    """What to compute in: for `auto` that of the run, where this device has it too or the run's config asks for it."""
    if wanted != "auto":
        return wanted
    agreement = report_schema.read_report(run).precision_agreement if own and run.done else None
    if agreement is None:  # scored in float32, or no run that is finished
        return "fp32"
    section = experiment.training
    if section.precision != agreement.precision:
        device = devices.choose(section.device, "fp32").device
        if not devices.computes(device, agreement.precision):
            log.info("the run was scored in %s, which this %s has not: float32", agreement.precision, device)
            return "fp32"
    return agreement.precision

"""Scoring what is there: a run again, on one of its splits or on other data, or any checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from ftcls.config.load import load
from ftcls.config.rules import task_of
from ftcls.config.schema import Experiment
from ftcls.data.read import read
from ftcls.errors import DataError
from ftcls.inference.classifier import Classifier
from ftcls.pipeline import build_report, extra_metrics, label_alignment
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir


def evaluate(
    model: Path | str,
    *,
    split: str = "test",
    data: Path | None = None,
    checkpoint: str | None = None,
    output: Path | None = None,
    config: Experiment | None = None,
    labels: tuple[str, ...] | None = None,
    thresholds: Sequence[str] = (),
    allow_code: bool = False,
) -> report_schema.Evaluation:
    """Score a run again, on one of its splits or on other data; or any checkpoint on the data of a config.

    For a run the result also goes to its ``evals/``; beside other checkpoints nothing is written.

    Args:
        model: the run directory; with ``config`` also a local or Hub checkpoint.
        split: train, validation or test.
        data: another copy of the data set, or a file with the same columns, taken whole.
        checkpoint: ``best`` or ``step-N`` of a run; None: the model of the run.
        output: where else to write the result.
        config: gives data and cleaning in place of the run's own config.
        labels: the model's label names in its order, where its own are not those of the data.
        thresholds: in place of the model's own, ``0.3`` for all labels or ``LABEL=0.3`` for one.
        allow_code: whether the modules of metrics.evaluate may run.

    Raises:
        ConfigError: modules that are not allowed to run, or thresholds that are none.
        DataError: no run, no such split or checkpoint, or labels that are not those of the data.
    """
    run = RunDir(Path(model).absolute())
    is_run = run.config.is_file()
    if config is None and not is_run:
        raise DataError(
            f"{model}: not a run, it has no config.yaml. Name a directory that `ftcls train` wrote, or say with "
            "--config FILE which data this checkpoint is to be scored on"
        )
    experiment = config or load(run.config)
    extra_metrics.check_allowed(experiment.metrics.evaluate, allow_code=allow_code)
    place = _weights(run, checkpoint) if is_run else str(model)
    trained = label_alignment.renamed(load_classifier(place, experiment), labels)
    section = experiment.data
    if data is not None:
        known = section.labels if label_alignment.bare(trained.labels) else trained.labels
        section = label_alignment.elsewhere(section, data, task=task_of(section) or trained.task, labels=known)
    corpus = read(section, seed=experiment.seed)
    if split not in corpus.splits:
        raise DataError(f"--split {split}: there are {', '.join(corpus.splits)}")
    trained, corpus = label_alignment.align(str(model), trained, corpus, experiment.model)
    trained = trained.with_thresholds(thresholds)
    rows = corpus.splits[split]  # type: ignore[index]
    said = trained.predictions(rows, trained.encode(rows.texts, rows.targets, cached=True))
    name = corpus.source if data is None else data.stem
    # Only of a run on its own data is it known what the model was trained on.
    own = config is None and data is None
    found = build_report.evaluation(
        trained,
        corpus,
        said,
        model=place.name if isinstance(place, Path) else place,
        name=name,
        split=split,
        seed=experiment.seed,
        extra=extra_metrics.score(extra_metrics.load(experiment.metrics.evaluate, corpus), said),
        metrics_without_leaks=build_report.without_leaks(corpus, split, said, seed=experiment.seed) if own else None,  # type: ignore[arg-type]
    )
    for path in filter(None, (run.evals / f"{name}-{split}.json" if is_run else None, output)):
        report_schema.write_evaluation(path, found)
    return found


def _weights(run: RunDir, checkpoint: str | None) -> Path:
    place = run.checkpoints / checkpoint if checkpoint else run.model
    if not checkpoint and (run.path / "config.json").is_file():
        place = run.path  # an export: the config of its run beside the weights
    if not (place / "config.json").is_file():
        there = sorted(p.name for p in run.checkpoints.glob("[!.]*"))
        raise DataError(f"{place}: no model there; --checkpoint takes {', '.join(there) or 'nothing: there is none'}")
    return place


def load_classifier(model: Path | str, experiment: Experiment) -> Classifier:
    """A saved model as the config's training section says that it is to be run."""
    section = experiment.training
    return Classifier.load(
        model, device=section.device, token_budget=section.token_budget, max_rows=section.eval_batch_size
    )

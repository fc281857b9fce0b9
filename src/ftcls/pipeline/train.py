"""Training a run: data, encode, model, train, infer, score, report."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftcls.config.durations import seconds_of
from ftcls.config.load import Config, Overrides, dump, load
from ftcls.config.schema import Experiment
from ftcls.data.read import read
from ftcls.environment import devices, manifest, progress
from ftcls.environment.progress import Phase
from ftcls.errors import ConfigError
from ftcls.model import own_code
from ftcls.model.baselines import linear
from ftcls.model.loading import most_tokens
from ftcls.model.tokenize import unknown_tokens
from ftcls.pipeline import (
    build_report,
    cross_validation,
    data_checks,
    dry_run,
    explain_mistakes,
    extra_metrics,
    own_functions,
    session,
)
from ftcls.pipeline.cross_validation import cross_validate
from ftcls.pipeline.estimate import Forecast, forecast
from ftcls.pipeline.fit_model import build_model, fit_model
from ftcls.pipeline.ladder import ladder
from ftcls.pipeline.learning_curve import learning_curve
from ftcls.pipeline.own_data import Data, with_data
from ftcls.pipeline.own_file import config_beside
from ftcls.pipeline.own_functions import Metric, OwnFunctions, with_functions
from ftcls.pipeline.prepare import Prepared
from ftcls.pipeline.run import Run
from ftcls.pipeline.run_facts import facts
from ftcls.pipeline.same_data import same_data
from ftcls.pipeline.teacher import compare, teach
from ftcls.pipeline.time_budget import within
from ftcls.pipeline.trained_run import SCORED, Call, SimpleModels, TrainedRun, fit_simple_models, score
from ftcls.pipeline.training_plan import plan
from ftcls.reporting import run_page, run_tables
from ftcls.runs import distillation, mistake_words, predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import Report
from ftcls.scoring.next_steps import next_steps
from ftcls.search.trials import Options
from ftcls.training.losses import Objective

log = logging.getLogger(__name__)


def train(
    config: Config,
    *,
    overrides: Overrides = (),
    data: Data | None = None,
    output: str | os.PathLike[str] | None = None,
    smoke: bool = False,
    resume: bool = False,
    allow_code: bool = False,
    command: str = "",
    announce: Callable[[Path], None] = lambda path: None,
    label: str | Sequence[str] | None = None,
    text: str | None = None,
    budget: str | float | None = None,
    started: float | None = None,
    jobs: int | None = None,
    objective: Objective | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> Run:
    """Train, score and report: one config in, one run directory out.

    Args:
        config: a file, the name of a shipped config, its sections as nested mappings, or an experiment; with `label`
            a data file, beside which a config is written.
        overrides: put over it: ``{"training.learning_rate": 5e-5}``, or ``key.path=value``.
        data: a DataFrame, a `datasets.Dataset` or a file in place of the config's data, or one for each split, also as
            a `datasets.DatasetDict` or a `Corpus`; what is in memory is kept as Parquet files beside the run, which
            the run's config names.
        output: the run directory; None: ``runs/<name>``, or ``<name>-2`` and so on where it is taken.
        smoke: the same pipeline on a generated miniature, with a small untrained model: under a minute.
        resume: continue that run from its newest checkpoint; start where there is none.
        allow_code: whether the modules of metrics.evaluate and the functions that the config names may run, and with
            model.allow_code the checkpoint's code.
        command: what the user typed, for the report.
        announce: called with the run directory as soon as it exists.
        label: of a data file: the label column, or a column of 0 and 1 for each label.
        text: of a data file: the text column; None: the likeliest.
        budget: seconds, or ``10m``: as many steps of the schedule as fit into that time; None: all of them.
        started: when that time began, by `time.monotonic`; None: now.
        jobs: of a cross-validation (data.split.folds), trainings at a time; None: one for each GPU, else one.
        objective: a loss in place of the config's: a function of the logits, float32 [b, k], and the targets (index of
            the class, int64 [b]; multilabel: 0 and 1, float32 [b, k]) that gives the loss of each text, [b].
        metrics: more metrics by name: functions of the gold and the predicted labels (their indices [n]; multilabel: 0
            and 1 [n, k]), that may take the probabilities [n, k] and the names of the labels too.

    Raises:
        FtclsError: see `ftcls.errors`.
    """
    _check(label=label, text=text, budget=budget, begun=smoke or resume)
    if label is not None and isinstance(config, str | os.PathLike):
        config = _beside(os.fspath(config), label, text, budget, overrides)
    begun = time.monotonic() if started is None else started
    place = None if output is None else Path(output)
    home = session.HOME if place is None else place.absolute().parent
    experiment, functions = with_functions(with_data(load(config, overrides), data, home), objective, metrics)
    cross_validation.check(experiment, jobs=jobs, timed=budget is not None)
    if smoke:
        experiment = dry_run.smoke(experiment, overrides)
    elif budget is not None:
        experiment = within(experiment, seconds_of(budget), started=begun)
    model = experiment.model
    own_code.check_given(model.checkpoint, wanted=model.allow_code, given=allow_code)
    with own_code.permission(model.checkpoint, given=model.allow_code):
        run = _train(
            experiment,
            Call(command, smoke=smoke, started=datetime.now(UTC)),
            output=place,
            resume=resume,
            allow_code=allow_code,
            announce=announce,
            jobs=jobs,
            functions=functions,
        )
    return Run(run.path)


def _check(*, label: Any, text: str | None, budget: Any, begun: bool) -> None:
    """Refuse what does not go together."""
    if text is not None and label is None:
        raise ConfigError(f"text={text!r}: goes with label, for a data file; a config has data.text")
    if budget is not None and begun:
        raise ConfigError(
            "--budget: its steps are chosen when a run begins; leave it out of --smoke, and continue a run with its "
            "own config: ftcls train RUN/config.yaml --output RUN --resume"
        )


def _beside(
    data: str, label: str | Sequence[str], text: str | None, budget: str | float | None, overrides: Overrides
) -> Path:
    """The config beside a data file, which is written; the log says what was guessed."""
    columns = (label,) if isinstance(label, str) else tuple(label)
    path, notes = config_beside(data, label=columns, text=text, budget=budget, overrides=overrides)
    for note in notes:
        log.info("%s", note)
    return path


def _train(
    experiment: Experiment,
    call: Call,
    *,
    output: Path | None,
    resume: bool,
    allow_code: bool,
    announce: Callable[[Path], None],
    jobs: int | None,
    functions: OwnFunctions,
) -> RunDir:
    extra_metrics.check_allowed(experiment.metrics.evaluate, allow_code=allow_code)
    own_functions.check_allowed(experiment, functions, allow_code=allow_code, trains=True)
    devices.quiet()
    machine = devices.choose(experiment.training.device, experiment.training.precision)
    dry_run.check_installed(experiment, machine)
    cross_validation.check_launcher(experiment, machine)
    if not machine.main:
        logging.getLogger("ftcls").setLevel(logging.WARNING)  # one process speaks for all
    log.info("%s, %s: %s", machine.name, machine.precision, machine.reason)
    with (
        session.opened(experiment, machine, output=output, resume=resume, announce=announce) as run,
        progress.phases() as phase,
    ):
        if run.done:
            log.info("%s is done", run.path)
            return run
        own_code.extend(run.path)  # what is saved is loaded again
        functions = own_functions.loaded(experiment, functions, trains=True)
        corpus = read(experiment.data, seed=experiment.seed)
        same_data(run, corpus, main=machine.main)
        extra = own_functions.extra(experiment, functions, corpus)
        planned = plan(experiment, corpus, machine, functions.objective)
        expected = forecast(planned.experiment, planned.inputs, machine)
        if machine.main:
            manifest.write_listed(run.config, dump(planned.experiment))
            _announce(expected)
            _warn_of_unknown_tokens(planned.prepared)
        if cross_validation.is_whole(experiment):
            trained, report = cross_validate(
                planned,
                run,
                call,
                forecast=expected,
                extra=extra,
                jobs=jobs,
                options=Options(allow_code=allow_code),
                resume=resume,
                phase=phase,
            )
            _write(trained, report, phase)
            return run
        built = build_model(planned)
        planned, teacher = teach(planned.padded(built.padding_side))
        fitted = fit_model(built, planned, run=run, resume=resume)
        session.part(machine)
        if machine.main:
            phase("scoring", " and ".join(f"{len(corpus.splits[name]):,} {name}" for name in SCORED) + " examples")
            trained = score(planned, run, call, forecast=expected, built=built, fit=fitted, extra=extra)
            if teacher is not None:
                distillation.write(compare(trained, teacher), run.path)
            _write(trained, _report(trained, phase), phase)
    return run


def _report(trained: TrainedRun, phase: Phase) -> Report:
    """Everything that is to be said of a run, the simple models beside it included; their files are written."""
    plan, train = trained.plan, trained.plan.corpus.splits["train"]
    phase("baseline", f"{linear.NAME} on {len(train):,} train examples")
    simple = fit_simple_models(plan)
    _write_predictions(trained, simple)
    phase("checks", "labels, repeats, leaks and odd texts of the data")
    about = build_report.data(plan.corpus, plan.prepared, seed=plan.experiment.seed)
    phase("intervals", "of every score, and the differences from the simple models")
    report = build_report.report(trained, simple, about)
    phase("ladder", ", ".join(plan.experiment.report.ladder) or "none")
    rungs, vectors = ladder(trained, simple, report)
    phase("learning curve", "simple models of a quarter and of half of the training rows")
    curve = learning_curve(plan, simple, vectors, seconds=report.training.seconds)
    report = replace(report, ladder=rungs, learning_curve=curve)
    if trained.call.smoke:
        return report
    known = facts(report, plan.experiment, longest=most_tokens(plan.prepared.config))
    return replace(report, next_steps=next_steps(known))


def _write_predictions(trained: TrainedRun, simple: SimpleModels) -> None:
    folder = trained.run.predictions
    for name, found in trained.predictions.items():
        encoded = trained.plan.prepared.encoded[name]
        predictions.write(
            folder / f"{name}.parquet",
            found,
            texts=trained.plan.corpus.splits[name].texts,
            lengths=encoded.full_lengths,
            truncated=encoded.truncated,
        )
    predictions.write(folder / "test-baseline.parquet", simple.tfidf.predictions)
    predictions.write(folder / "test-majority.parquet", simple.majority.predictions)


def _write(trained: TrainedRun, report: Report, phase: Phase) -> None:
    """The page and the report; a run with a report is done."""
    run = trained.run
    words = report.cross_validation is None  # the final model has learnt the rows that the folds got wrong
    phase("plots", "the words of the worst mistakes, and the page" if words else "the page")
    if words:
        _weigh_words(trained)
    _draw(run, report)
    report_schema.write_report(run, report)
    log.debug("results\n%s", run_tables.as_text(report, run=run.path))  # the terminal gets them in colour


def _announce(expected: Forecast) -> None:
    for line in expected.lines():
        log.log(logging.INFO if expected.fits else logging.WARNING, "%s", line)


def _warn_of_unknown_tokens(prepared: Prepared) -> None:
    """Said before the training; the report has it among its findings."""
    train = prepared.encoded["train"]
    share = unknown_tokens(train, prepared.tokenizer).sum() / train.kept.sum()
    if share >= data_checks.UNKNOWN_WARNING:
        log.warning(
            "%.0f %% of the tokens of train are unknown to the checkpoint's tokenizer: the model reads one mark for "
            "all of them. Another script or language than it was trained on?",
            100 * share,
        )


def _weigh_words(trained: TrainedRun) -> None:
    test, texts = trained.predictions["test"], trained.plan.corpus.splits["test"].texts
    work = explain_mistakes.allowance(sum(map(len, trained.predictions.values())))
    words = explain_mistakes.weigh(trained.classifier, test, texts, most=explain_mistakes.USUAL, work=work)
    mistake_words.write(trained.run, words)


def _draw(run: RunDir, report: report_schema.Report) -> None:
    try:
        run_page.write(run, report)
    except Exception as error:  # a drawing that fails must not take hours of training with it
        log.warning("%s cannot be drawn: %s; `ftcls report %s` tries again", run.page, error, run.path)
        log.debug("the drawing failed here", exc_info=True)

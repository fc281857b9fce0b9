"""Training a run: data, encode, model, train, infer, score, report."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ftcls.config.durations import seconds_of
from ftcls.config.load import Config, Overrides, dump, load
from ftcls.config.schema import Experiment
from ftcls.data.corpus import SplitName
from ftcls.data.read import read
from ftcls.environment import devices, manifest, progress
from ftcls.errors import ConfigError
from ftcls.inference import latency, precision_check
from ftcls.inference.classifier import Classifier
from ftcls.model.baselines import linear
from ftcls.model.tokenize import unknown_tokens
from ftcls.pipeline import build_report, data_checks, dry_run, explain_mistakes, extra_metrics, session, tune_decision
from ftcls.pipeline.estimate import Forecast, forecast
from ftcls.pipeline.fit_model import best_model, build_model, fit_model
from ftcls.pipeline.ladder import Setting, ladder
from ftcls.pipeline.own_data import Data, with_data
from ftcls.pipeline.own_file import config_beside
from ftcls.pipeline.prepare import Prepared, prepare
from ftcls.pipeline.run import Run
from ftcls.pipeline.run_facts import facts
from ftcls.pipeline.same_data import same_data
from ftcls.pipeline.schedule import with_schedule
from ftcls.pipeline.time_budget import within
from ftcls.reporting import run_page, run_tables
from ftcls.runs import mistake_words, predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring import decision
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.next_steps import next_steps

log = logging.getLogger(__name__)

SCORED: Final[tuple[SplitName, ...]] = ("validation", "test")


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
) -> Run:
    """Train, score and report: one config in, one run directory out.

    Args:
        config: a file, the name of a shipped config, its sections as nested mappings, or an experiment; with `label`
            a data file, beside which a config is written.
        overrides: put over it: ``{"training.learning_rate": 5e-5}``, or ``key.path=value``.
        data: a DataFrame or a file in place of the config's data, or one for each split; a DataFrame is kept as a
            Parquet file beside the run, which the run's config names.
        output: the run directory; None: ``runs/<name>``, or ``<name>-2`` and so on where it is taken.
        smoke: the same pipeline on a generated miniature, with a small untrained model: under a minute.
        resume: continue that run from its newest checkpoint; start where there is none.
        allow_code: whether the modules of metrics.evaluate may run.
        command: what the user typed, for the report.
        announce: called with the run directory as soon as it exists.
        label: of a data file: the label column, or a column of 0 and 1 for each label.
        text: of a data file: the text column; None: the likeliest.
        budget: seconds, or ``10m``: as many steps of the schedule as fit into that time; None: all of them.
        started: when that time began, by `time.monotonic`; None: now.

    Raises:
        FtclsError: see `ftcls.errors`.
    """
    if text is not None and label is None:
        raise ConfigError(f"text={text!r}: goes with label, for a data file; a config has data.text")
    if budget is not None and (smoke or resume):
        raise ConfigError(
            "--budget: its steps are chosen when a run begins; leave it out of --smoke, and continue a run with its "
            "own config: ftcls train RUN/config.yaml --output RUN --resume"
        )
    if label is not None and isinstance(config, str | os.PathLike):
        columns = (label,) if isinstance(label, str) else tuple(label)
        config, notes = config_beside(os.fspath(config), label=columns, text=text)
        for note in notes:
            log.info("%s", note)
    begun = time.monotonic() if started is None else started
    place = None if output is None else Path(output)
    home = session.HOME if place is None else place.absolute().parent
    experiment = with_data(load(config, overrides), data, home)
    if smoke:
        experiment = dry_run.smoke(experiment, overrides)
    elif budget is not None:
        seconds = seconds_of(budget) if isinstance(budget, str) else float(budget)
        experiment = within(experiment, seconds, started=begun)
    run = _train(
        experiment,
        output=place,
        smoke=smoke,
        resume=resume,
        command=command,
        allow_code=allow_code,
        announce=announce,
    )
    return Run(run.path)


def _train(
    experiment: Experiment,
    *,
    output: Path | None,
    smoke: bool,
    resume: bool,
    command: str,
    allow_code: bool,
    announce: Callable[[Path], None],
) -> RunDir:
    started = datetime.now(UTC)
    section, seed = experiment.training, experiment.seed
    extra_metrics.check_allowed(experiment.metrics.evaluate, allow_code=allow_code)
    devices.quiet()
    machine = devices.choose(section.device, section.precision)
    dry_run.check_installed(experiment, machine)
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
        corpus = read(experiment.data, seed=seed)
        same_data(run, corpus, main=machine.main)
        extra = extra_metrics.load(experiment.metrics.evaluate, corpus)
        prepared = prepare(
            corpus,
            experiment.model,
            clean=experiment.data.clean,
            quantized=experiment.adapter.quantization != "none",
        )
        experiment = with_schedule(experiment, corpus, prepared)
        expected = forecast(experiment, prepared, machine)
        if machine.main:
            manifest.write_listed(run.config, dump(experiment))
            _announce(expected)
            _warn_of_unknown_tokens(prepared)
        built = build_model(experiment, corpus, prepared, machine)
        prepared = prepared.padded(built.padding_side)
        fitted = fit_model(built, experiment, corpus, prepared, machine=machine, run=run, resume=resume)
        session.part(machine)
        if not machine.main:
            return run
        phase("scoring", " and ".join(f"{len(prepared.encoded[name]):,} {name}" for name in SCORED) + " examples")
        undecided = best_model(experiment, machine=machine, run=run)
        scoring = time.perf_counter()
        logits = {name: undecided.logits(prepared.encoded[name]) for name in SCORED}
        scoring = time.perf_counter() - scoring
        tuned = tune_decision.tune(undecided, logits["validation"], corpus.splits["validation"], experiment.decision)
        decision.save(tuned.decision, corpus.labels, run.model / decision.FILE)
        manifest.renew(run.model, [decision.FILE])
        trained = replace(undecided, decision=tuned.decision)
        agreement = precision_check.agreement(trained, prepared.encoded["validation"])
        found = {name: trained.decided(corpus.splits[name], logits[name]) for name in SCORED}
        phase("baseline", f"{linear.NAME} on {len(corpus.splits['train']):,} train examples")
        (model, simple), constant = linear.fit(corpus, seed=seed), linear.majority(corpus)
        for name, rows in found.items():
            encoded = prepared.encoded[name]
            predictions.write(
                run.predictions / f"{name}.parquet",
                rows,
                texts=corpus.splits[name].texts,
                lengths=encoded.full_lengths,
                truncated=encoded.truncated,
            )
        for kind, simplest in (("baseline", simple), ("majority", constant)):
            predictions.write(run.predictions / f"test-{kind}.parquet", simplest.predictions)
        phase("checks", "labels, repeats, leaks and odd texts of the data")
        about = build_report.data(corpus, prepared, seed=seed)
        phase("intervals", "of every score, and the differences from the simple models")
        report = build_report.report(
            experiment,
            run,
            corpus,
            prepared,
            about,
            smoke=smoke,
            machine=machine,
            expected=expected,
            fitted=fitted,
            trained=trained,
            size=built.size,
            adapter=build_report.adapter(experiment.adapter, built.adapted, undecided),
            new_parameters=built.new_parameters,
            revision=built.revision,
            digest=built.digest,
            scores={
                name: report_schema.scores(
                    rows,
                    seed=seed,
                    thresholds=trained.decision.thresholds,
                    extra=extra_metrics.score(extra, rows),
                )
                for name, rows in found.items()
            },
            baseline=build_report.against(simple, found["test"], metric=experiment.metrics.best, seed=seed),
            metrics_without_leaks=build_report.without_leaks(corpus, "test", found["test"], seed=seed),
            majority=build_report.against(constant, found["test"], metric=experiment.metrics.best, seed=seed),
            decided=tune_decision.compare(
                tuned,
                found,
                {name: undecided.decided(corpus.splits[name], logits[name]) for name in SCORED},
                seed=seed,
            ),
            test=found["test"],
            precision_agreement=agreement,
            speed=latency.measure(trained, corpus.splits["validation"].texts),
            command=command,
            started=started,
        )
        phase("ladder", ", ".join(experiment.report.ladder) or "none")
        rungs = ladder(
            Setting(experiment, corpus, prepared, machine, run, found["test"]),
            report,
            classifier=trained,
            validation=found["validation"],
            model=model,
            scoring_seconds=scoring,
        )
        report = replace(report, ladder=rungs)
        if not smoke:
            report = replace(report, next_steps=next_steps(facts(report, experiment)))
        phase("plots", "the words of the worst mistakes, and the page")
        _weigh_words(run, trained, found["test"], corpus.splits["test"].texts, scored=sum(map(len, found.values())))
        _draw(run, report)
        report_schema.write_report(run, report)
        log.debug("results\n%s", run_tables.as_text(report, run=run.path))  # the terminal gets them in colour
    return run


def _announce(expected: Forecast) -> None:
    for line in expected.lines():
        log.log(logging.INFO if expected.fits else logging.WARNING, "%s", line)


def _warn_of_unknown_tokens(prepared: Prepared) -> None:
    """Said before the training; the report has it among its findings."""
    train = prepared.encoded["train"]
    share = unknown_tokens(train, prepared.tokenizer).sum() / train.lengths.sum()
    if share >= data_checks.UNKNOWN_WARNING:
        log.warning(
            "%.0f %% of the tokens of train are unknown to the checkpoint's tokenizer: the model reads one mark for "
            "all of them. Another script or language than it was trained on?",
            100 * share,
        )


def _weigh_words(run: RunDir, trained: Classifier, test: Predictions, texts: Sequence[str], *, scored: int) -> None:
    work = explain_mistakes.allowance(scored)
    mistake_words.write(run, explain_mistakes.weigh(trained, test, texts, most=explain_mistakes.USUAL, work=work))


def _draw(run: RunDir, report: report_schema.Report) -> None:
    try:
        run_page.write(run, report)
    except Exception as error:  # a drawing that fails must not take hours of training with it
        log.warning("%s cannot be drawn: %s; `ftcls report %s` tries again", run.page, error, run.path)
        log.debug("the drawing failed here", exc_info=True)

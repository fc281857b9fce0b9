"""Training a run: data, encode, model, train, infer, score, report."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from transformers import PreTrainedModel

from ftcls.config.schema import Experiment
from ftcls.data.corpus import SplitName
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.environment.devices import Machine
from ftcls.errors import DataError, TrainingError, UnavailableError
from ftcls.inference import latency, reload_check
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, loading, pooling, quantization
from ftcls.model.adapters import Adapted
from ftcls.model.baselines import linear
from ftcls.model.classifiable import Classifiable
from ftcls.model.output_bias import start_at
from ftcls.pipeline import build_report, dry_run, extra_metrics, session, tune_decision
from ftcls.pipeline.estimate import Forecast, forecast
from ftcls.pipeline.evaluate import load_classifier
from ftcls.pipeline.prepare import Prepared, prepare
from ftcls.reporting import run_page
from ftcls.runs import predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring import decision
from ftcls.training import parameter_groups
from ftcls.training.checkpoints import MANIFEST
from ftcls.training.fit import Validation, first_answer, fit

log = logging.getLogger(__name__)

SCORED: Final[tuple[SplitName, ...]] = ("validation", "test")


def train(
    experiment: Experiment,
    *,
    output: Path | None = None,
    resume: bool = False,
    command: str = "",
    allow_code: bool = False,
    announce: Callable[[Path], None] = lambda path: None,
) -> RunDir:
    """Run one experiment from its data to its report.

    Args:
        experiment: the resolved config.
        output: the run directory; None: ``runs/<name>``, or ``<name>-2`` and so on where it is taken.
        resume: continue that run from its newest checkpoint; start where there is none.
        command: what the user typed, for the report.
        allow_code: whether the modules of metrics.evaluate may run.
        announce: called with the run directory as soon as it exists.

    Raises:
        FtclsError: see `ftcls.errors`.
    """
    started = datetime.now(UTC)
    section, seed = experiment.training, experiment.seed
    extra_metrics.check_allowed(experiment.metrics.evaluate, allow_code=allow_code)
    devices.quiet()
    machine = devices.choose(section.device, section.precision)
    dry_run.check_installed(experiment, machine)
    if not machine.main:
        logging.getLogger("ftcls").setLevel(logging.WARNING)  # one process speaks for all
    log.info("%s, %s: %s", machine.name, machine.precision, machine.reason)
    with session.opened(experiment, machine, output=output, resume=resume, announce=announce) as run:
        if run.done:
            log.info("%s is done", run.path)
            return run
        corpus = read(experiment.data, seed=seed)
        extra = extra_metrics.load(experiment.metrics.evaluate, corpus)
        prepared = prepare(
            corpus,
            experiment.model,
            clean=experiment.data.clean,
            quantized=experiment.adapter.quantization != "none",
        )
        expected = forecast(experiment, prepared, machine)
        if machine.main:
            _announce(expected)
        built = loading.load_model(
            experiment.model.checkpoint,
            prepared.config,
            attention=experiment.model.attention,
            seed=seed,
            quantization=experiment.adapter.quantization,
            compute=machine.precision,
            device=machine.device,
            shards=machine.processes if machine.sharded else 1,
        )
        built = pooling.start(built, prepared.pooling)
        log.info("pooling    %s: %s", prepared.pooling.kind, prepared.pooling.reason)
        if corpus.task == "multilabel":
            start_at(built, first_answer(section, experiment.loss, corpus.splits["train"].targets, corpus.labels))
        adapted = _adapted(built, experiment, machine)
        model = built.model if adapted is None else adapted.model
        if section.freeze is not None:
            parameter_groups.freeze(model, section.freeze)
        size = adapters.count(model)
        fitted = fit(
            model,
            prepared.tokenizer,
            prepared.encoded["train"],
            Validation(prepared.encoded["validation"], corpus.labels, corpus.task, corpus.positive),
            training=section,
            loss=experiment.loss,
            best_metric=experiment.metrics.best,
            trackers=experiment.report.trackers,
            seed=seed,
            machine=machine,
            run=run,
            save_weights=loading.save if adapted is None else adapted.save,
            companions=prepared.save if adapted is None else partial(_with_probe, prepared, model),
            resume=resume,
        )
        session.part(machine)
        if not machine.main:
            return run
        _keep(run, machine, merge=experiment.adapter.merge)
        undecided = _reloaded(run, experiment)
        logits = {name: undecided.logits(prepared.encoded[name]) for name in SCORED}
        tuned = tune_decision.tune(undecided, logits["validation"], corpus.splits["validation"], experiment.decision)
        decision.save(tuned.decision, corpus.labels, run.model / decision.FILE)
        trained = replace(undecided, decision=tuned.decision)
        found = {name: trained.decided(corpus.splits[name], logits[name]) for name in SCORED}
        simple, constant = linear.fit(corpus, seed=seed), linear.majority(corpus)
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
        report = build_report.report(
            experiment,
            run,
            corpus,
            prepared,
            machine=machine,
            expected=expected,
            fitted=fitted,
            trained=trained,
            size=size,
            adapter=build_report.adapter(experiment.adapter, adapted, undecided),
            new_parameters=built.new_parameters,
            scores={
                name: report_schema.scores(
                    rows,
                    seed=seed,
                    thresholds=trained.decision.thresholds,
                    extra=extra_metrics.score(extra, rows),
                )
                for name, rows in found.items()
            },
            baseline=build_report.against(simple, found["test"], seed=seed),
            metrics_without_leaks=build_report.without_leaks(corpus, "test", found["test"], seed=seed),
            majority=build_report.against(constant, found["test"], seed=seed),
            decided=tune_decision.compare(
                tuned,
                found,
                {name: undecided.decided(corpus.splits[name], logits[name]) for name in SCORED},
                seed=seed,
            ),
            test=found["test"],
            speed=latency.measure(trained, corpus.splits["validation"].texts),
            command=command,
            started=started,
        )
        _draw(run, report)
        report_schema.write_report(run, report)
    return run


def _announce(expected: Forecast) -> None:
    for line in expected.lines():
        log.log(logging.INFO if expected.fits else logging.WARNING, "%s", line)


def _adapted(built: Classifiable, experiment: Experiment, machine: Machine) -> Adapted | None:
    section, checkpoint = experiment.adapter, experiment.model.checkpoint
    if section.kind == "none":
        return None
    return adapters.add(built, section, checkpoint=checkpoint, compute=machine.precision, seed=experiment.seed)


def _with_probe(prepared: Prepared, model: PreTrainedModel, folder: Path) -> None:
    """What stands beside an adapter: all that stands beside weights, and the means to tell that it is loaded back."""
    prepared.save(folder)
    tolerance = reload_check.TOLERANCE_QUANTIZED if quantization.is_quantized(model) else reload_check.TOLERANCE
    reload_check.save(reload_check.take(model, prepared.encoded["validation"], tolerance=tolerance), folder)


def _keep(run: RunDir, machine: Machine, *, merge: bool) -> None:
    """Make the best weights the model of the run."""
    left_out = (MANIFEST, *(adapters.FILES if merge else ()))
    shutil.copytree(run.best, run.model, ignore=shutil.ignore_patterns(*left_out), dirs_exist_ok=True)
    if merge:
        loading.save(loading.load_merged(run.best, device=machine.device), run.model)


def _reloaded(run: RunDir, experiment: Experiment) -> Classifier:
    """The model of the run as it was saved, read from disk: what is not what was trained must not be scored."""
    try:
        return load_classifier(run.model, experiment)
    except (UnavailableError, DataError) as error:
        raise TrainingError(f"the model that was saved does not load back: {error}") from error


def _draw(run: RunDir, report: report_schema.Report) -> None:
    try:
        run_page.write(run, report)
    except Exception as error:  # a drawing that fails must not take hours of training with it
        log.warning("%s cannot be drawn: %s; `ftcls report %s` tries again", run.page, error, run.path)
        log.debug("the drawing failed here", exc_info=True)

"""A classifier trained on rows that are at hand, without a run: no test split, no baselines, no report."""

from dataclasses import replace
from pathlib import Path

from ftcls.config.load import dump
from ftcls.config.schema import Experiment
from ftcls.data.corpus import Corpus
from ftcls.environment import devices
from ftcls.inference.classifier import Classifier
from ftcls.pipeline import dry_run, tune_decision
from ftcls.pipeline.fit_model import best_model, build_model, fit_model
from ftcls.pipeline.prepare import prepare
from ftcls.pipeline.schedule import with_schedule
from ftcls.runs import directory


def fit_classifier(experiment: Experiment, corpus: Corpus, folder: Path) -> Classifier:
    """Train on the corpus and decide on its validation split, as `train` does.

    Args:
        experiment: says everything but where the rows come from.
        corpus: train and validation.
        folder: for checkpoints; may be deleted afterwards.

    Raises:
        FtclsError: see `ftcls.errors`.
    """
    section = experiment.training
    devices.quiet()
    machine = devices.choose(section.device, section.precision)
    dry_run.check_installed(experiment, machine)
    run = directory.create(dump(experiment), name=experiment.name, output=folder)
    prepared = prepare(
        corpus, experiment.model, clean=experiment.data.clean, quantized=experiment.adapter.quantization != "none"
    )
    experiment = with_schedule(experiment, corpus, prepared)
    built = build_model(experiment, corpus, prepared, machine)
    prepared = prepared.padded(built.padding_side)
    fit_model(built, experiment, corpus, prepared, machine=machine, run=run, resume=False)
    best = best_model(experiment, machine=machine, run=run)
    logits = best.logits(prepared.encoded["validation"])
    tuned = tune_decision.tune(best, logits, corpus.splits["validation"], experiment.decision)
    return replace(best, decision=tuned.decision, source="")

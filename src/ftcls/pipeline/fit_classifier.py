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
from ftcls.pipeline.training_plan import plan
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
    planned = plan(experiment, corpus, machine)
    built = build_model(planned)
    planned = planned.padded(built.padding_side)
    fit_model(built, planned, run=run, resume=False)
    best = best_model(planned.experiment, machine=machine, run=run)
    logits = best.logits(planned.prepared.encoded["validation"])
    tuned = tune_decision.tune(best, logits, corpus.splits["validation"], experiment.decision)
    return replace(best, decision=tuned.decision, source="")

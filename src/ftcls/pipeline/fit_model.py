"""The model of a training: built for its data, fitted, and read back from where it was saved."""

import logging
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from transformers import PreTrainedModel

from ftcls.config.schema import Experiment
from ftcls.environment import manifest
from ftcls.environment.devices import Machine
from ftcls.errors import DataError, TrainingError, UnavailableError
from ftcls.inference import padding_check, reload_check
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, documents, loading, padding, pooling, quantization
from ftcls.model import checkpoint as origin
from ftcls.model.adapters import Adapted
from ftcls.model.classifiable import Classifiable
from ftcls.model.output_bias import start_at
from ftcls.model.windows import Windows
from ftcls.pipeline import contrastive_start
from ftcls.pipeline.prepare import Prepared
from ftcls.pipeline.training_plan import TrainingPlan
from ftcls.runs.directory import RunDir
from ftcls.training import objective_check, parameter_groups
from ftcls.training.fit import Fit, first_answer, fit
from ftcls.training.validation import Validation

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Built:
    """A model ready to be trained."""

    model: PreTrainedModel
    adapted: Adapted | None
    """Its adapter; None where all weights are trained."""
    size: tuple[int, int]
    """Parameters, and those of them that are trained."""
    new_parameters: tuple[str, ...]
    """Those that the checkpoint does not have."""
    padding_side: padding.Side
    """Where it does not read the padding of a batch."""
    revision: str | None
    """The commit of its checkpoint on the Hub."""
    digest: str | None
    """Of its checkpoint's weights in a folder."""


def build_model(plan: TrainingPlan) -> Built:
    """Load the checkpoint with a head for the corpus, add the adapter, and freeze what is not trained.

    Raises:
        FtclsError: the checkpoint cannot be had, it reads padding, or the config does not fit it.
    """
    experiment, corpus, prepared, machine = plan.experiment, plan.corpus, plan.prepared, plan.machine
    section, checkpoint = experiment.training, experiment.model.source
    origin.check(checkpoint)
    built = loading.load_model(
        checkpoint,
        prepared.config,
        attention=experiment.model.attention,
        seed=experiment.seed,
        quantization=experiment.adapter.quantization,
        compute=machine.precision,
        device=machine.device,
        shards=machine.processes if machine.sharded else 1,
    )
    built = pooling.start(built, prepared.pooling, times=1.0 if experiment.contrastive is None else pooling.ALONE)
    side = prepared.tokenizer.padding_side
    # A forward pass before training leaves the weights of a sharded model gathered; it is checked when it is read back.
    if not (machine.sharded or quantization.is_quantized(built.model)):
        side = padding_check.side(
            padding_check.of_model(built.model),
            prepared.tokenizer,
            max_length=prepared.settings.max_length,
            expected=side,
            checkpoint=f"model.checkpoint: {checkpoint}",
        )
    log.info("pooling    %s: %s", prepared.pooling.kind, prepared.pooling.reason)
    if prepared.settings.windows is not None:
        built = _with_windows(built, prepared.settings.windows, prepared, checkpoint)
    if experiment.contrastive is not None:
        contrastive_start.listen(built.model, prepared, checkpoint=checkpoint)
    learnt = corpus.learnt("train")
    if plan.objective is not None:
        name = f"loss.function: {experiment.loss.function}"
        objective_check.check(plan.objective, learnt, len(corpus.labels), name=name)
    elif corpus.task == "multilabel":
        start_at(built, first_answer(section, experiment.loss, learnt, corpus.labels, corpus.splits["train"].shares))
    adapted = None
    if experiment.adapter.kind != "none":
        adapted = adapters.add(
            built, experiment.adapter, checkpoint=checkpoint, compute=machine.precision, seed=experiment.seed
        )
        if prepared.settings.windows is not None:
            documents.attach(adapted.model, prepared.settings.windows, prepared.tokenizer, checkpoint=checkpoint)
    model = built.model if adapted is None else adapted.model
    if section.freeze is not None:
        parameter_groups.freeze(model, section.freeze)
    return Built(
        model,
        adapted,
        adapters.count(model),
        built.new_parameters,
        side,
        revision=origin.commit(checkpoint),
        digest=origin.digest(checkpoint),
    )


def _with_windows(built: Classifiable, windows: Windows, prepared: Prepared, checkpoint: str) -> Classifiable:
    """The model with what joins windows, which it may have learnt before."""
    new = documents.attach(built.model, windows, prepared.tokenizer, checkpoint=checkpoint)
    place = None if checkpoint.startswith(origin.SCRATCH) else origin.resolve(checkpoint)
    known = bool(new) and isinstance(place, Path) and documents.load_weights(built.model, place)
    return replace(built, new_parameters=(*built.new_parameters, *(() if known else new)))


def fit_model(built: Built, plan: TrainingPlan, *, run: RunDir, resume: bool) -> Fit:
    """Train on the train split, on pairs of its texts first where the config says so.

    The weights that are best on validation are left in ``run.best``.

    Raises:
        TrainingError: see `fit`.
        Interrupted: SIGINT or SIGTERM; a checkpoint was written.
    """
    experiment, corpus, prepared, adapted = plan.experiment, plan.corpus, plan.prepared, built.adapted
    if experiment.contrastive is not None:
        contrastive_start.start(built.model, plan, experiment.contrastive, run=run, resume=resume)
    return fit(
        built.model,
        prepared.tokenizer,
        plan.training,
        corpus.splits["train"].targets,
        Validation(prepared.encoded.get("validation"), corpus.labels, corpus.task, corpus.positive),
        training=experiment.training,
        loss=experiment.loss,
        function=plan.objective,
        best_metric=experiment.metrics.best,
        trackers=experiment.report.trackers,
        seed=experiment.seed,
        machine=plan.machine,
        run=run,
        save_weights=partial(
            loading.save if adapted is None else adapted.save, windowed=prepared.settings.windows is not None
        ),
        companions=prepared.save if adapted is None else partial(_with_probe, prepared, built.model),
        resume=resume,
    )


def best_model(experiment: Experiment, *, machine: Machine, run: RunDir) -> Classifier:
    """Make the best weights the model of the run, and read it from disk: what is not that must not be scored.

    Raises:
        DataError: the best weights are damaged.
        TrainingError: what was saved does not load back.
    """
    manifest.check(run.best)
    merge, section = experiment.adapter.merge, experiment.training
    left_out = (manifest.FILE, *(adapters.FILES if merge else ()))
    shutil.rmtree(run.model, ignore_errors=True)
    shutil.copytree(run.best, run.model, ignore=shutil.ignore_patterns(*left_out))
    if merge:
        windowed = experiment.model.windows is not None
        loading.save(loading.load_merged(run.best, device=machine.device), run.model, windowed=windowed)
    manifest.write(run.model)
    try:
        return Classifier.from_pretrained(
            run.model,
            device=section.device,
            precision=machine.precision,
            token_budget=section.token_budget,
            max_rows=section.eval_batch_size,
        )
    except (UnavailableError, DataError) as error:
        raise TrainingError(f"the model that was saved does not load back: {error}") from error


def _with_probe(prepared: Prepared, model: PreTrainedModel, folder: Path) -> None:
    """What stands beside an adapter: all that stands beside weights, and the means to tell that it is loaded back."""
    prepared.save(folder)
    tolerance = reload_check.TOLERANCE_QUANTIZED if quantization.is_quantized(model) else reload_check.TOLERANCE
    reload_check.save(reload_check.take(model, prepared.probe, tolerance=tolerance), folder)

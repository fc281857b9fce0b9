"""A start for few labels: the encoder learns from pairs of texts, a regression on its vectors is the output layer."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import nn
from transformers import PreTrainedModel

from ftcls.config.contrastive_schema import LABEL, Contrastive
from ftcls.config.train_command import resume_command
from ftcls.data.clean import clean
from ftcls.environment import json_files
from ftcls.environment.figures_as_text import number, significant
from ftcls.environment.files import write_json
from ftcls.errors import ConfigError, DataError, Interrupted
from ftcls.inference.embedding import of_layer
from ftcls.model import documents
from ftcls.model.baselines import logistic
from ftcls.model.output_layer import output_layer, set_output
from ftcls.model.tokenize import Encoded
from ftcls.pipeline.prepare import Prepared, encode_texts
from ftcls.pipeline.training_plan import TrainingPlan
from ftcls.runs import training_section
from ftcls.runs.directory import RunDir
from ftcls.training import checkpoints
from ftcls.training.contrastive import Contrasted, count_steps, learn_pairs
from ftcls.training.fit import peak_rate, recompute_activations, token_budget
from ftcls.training.text_pairs import TextPairs

log = logging.getLogger(__name__)

_RECORD: Final[TypeAdapter[training_section.Contrastive]] = TypeAdapter(training_section.Contrastive)
_WORD: Final = re.compile(r"[^\W\d_]{2}")
_NUMBERED: Final = re.compile(r"(label|class|category|cluster|topic|group)?[\W_]*\d*", re.IGNORECASE)
"""Names that say no more than a number does."""


@dataclass(frozen=True, eq=False)
class _Lesson:
    """The training texts, and the names of labels behind them."""

    encoded: Encoded
    pairs: TextPairs
    targets: NDArray[np.int64] | NDArray[np.float32]
    """What the regression learns of them, [n] or [n, k]."""
    names: int
    """Texts that are names of labels."""


def listen(model: PreTrainedModel, prepared: Prepared, *, checkpoint: str) -> None:
    """Make a classifier ready for it, before an adapter is put into it.

    Raises:
        ConfigError: its head does not read one vector of a text.
    """
    heard = (
        prepared.settings.windows is not None  # then it is listened to already
        or documents.listen(model, prepared.tokenizer, longest=prepared.settings.max_length) is not None
    )
    if not heard or output_layer(model) is None:
        raise ConfigError(
            f"contrastive: the head of {checkpoint} ({type(model).__name__}) does not read one vector of a text, as "
            "that of a decoder; name an encoder (model.checkpoint), or remove the section"
        )


def start(model: PreTrainedModel, plan: TrainingPlan, section: Contrastive, *, run: RunDir, resume: bool) -> None:
    """Train the encoder on pairs and set the output layer; where a training goes on nothing is to be done.

    The stage itself cannot be continued: interrupted, it is repeated from its seed, which gives the same weights.

    Raises:
        DataError: no two texts share a label, or none differ in it; no label's name is a word.
        FtclsError: see `learn_pairs`.
    """
    if resume and checkpoints.start(run.checkpoints).checkpoint is not None:
        return
    experiment, machine = plan.experiment, plan.machine
    lesson = _lesson(plan, section)
    total = count_steps(section, lesson.pairs)
    log.info("%-10s %d steps of %d texts, all pairs of them", "pairs", total, section.batch_size)
    if experiment.training.activation_checkpointing:
        recompute_activations(model)
    try:
        found = learn_pairs(
            model,
            lesson.encoded,
            lesson.pairs,
            section,
            learning_rate=peak_rate(experiment.training),
            token_budget=token_budget(experiment.training, machine),
            machine=machine,
            seed=experiment.seed,
            recomputes=experiment.training.activation_checkpointing,
        )
    except Interrupted as stopped:
        raise Interrupted(
            f"{stopped}, which are repeated from their seed. Continue with\n  {resume_command(run.config, run.path)}"
        ) from None
    strength = _set_output(model, plan, lesson)
    log.info(
        "%-10s loss %s, at first %s; the output layer is a logistic regression on the vectors, C %s",
        *("pairs", number(found.last_loss), number(found.first_loss), significant(strength)),
    )
    if machine.main:
        write_json(run.contrastive, _RECORD.dump_python(_record(lesson, found, strength), mode="json"))


def record(run: RunDir) -> training_section.Contrastive | None:
    """What was written of the stage; None where there was none.

    Raises:
        DataError: it is damaged.
    """
    found: training_section.Contrastive | None = None
    if run.contrastive.is_file():
        found = json_files.read(run.contrastive, _RECORD)
    return found


def _record(lesson: _Lesson, found: Contrasted, strength: float) -> training_section.Contrastive:
    return training_section.Contrastive(
        texts=len(lesson.encoded),
        label_names=lesson.names,
        steps=found.steps,
        pairs=found.pairs,
        pairs_of_one_label=found.pairs_of_one_label,
        first_loss=found.first_loss,
        last_loss=found.last_loss,
        strength=strength,
        seconds=found.seconds,
    )


def _lesson(plan: TrainingPlan, section: Contrastive) -> _Lesson:
    corpus, prepared = plan.corpus, plan.prepared
    train, learnt = corpus.splits["train"], corpus.learnt("train")
    given = _given(train.targets, len(corpus.labels))
    encoded, weights, places = prepared.encoded["train"], train.shares, np.zeros(0, dtype=np.int64)
    if section.label_names is not None:
        places, texts = label_texts(corpus.labels, section.label_names, plan.experiment.data.clean)
        encoded = encode_texts([*train.texts, *texts], prepared.tokenizer, prepared.settings)
        of_names = np.eye(len(corpus.labels), dtype=learnt.dtype)[places] if learnt.ndim == 2 else places
        learnt = np.concatenate([learnt, of_names])
        given = np.concatenate([given, np.eye(len(corpus.labels), dtype=np.bool_)[places]])
        weights = None if weights is None else np.concatenate([weights, np.ones(len(places))])
    pairs = TextPairs(given, ordinal=corpus.task == "ordinal", weights=weights)
    near, far = pairs.kinds
    if not (near and far):
        what = "no two training texts share a label" if not near else "all training texts share a label"
        raise DataError(f"contrastive: {what}: there is nothing to learn from pairs; remove the section, or add rows")
    return _Lesson(encoded, pairs, learnt, len(places))


def _given(targets: NDArray[np.int64] | NDArray[np.float32], k: int) -> NDArray[np.bool_]:
    """Which labels each row has, [n, k]."""
    return targets > 0 if targets.ndim == 2 else targets[:, None] == np.arange(k)


def label_texts(labels: Sequence[str], template: str, steps: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """The labels whose names are words, by their places, and the text of each.

    Args:
        labels: k names.
        template: with the place of a name in it.
        steps: of the cleaning of texts.

    Raises:
        DataError: no name is a word.
    """
    places = [i for i, name in enumerate(labels) if _WORD.search(name) and not _NUMBERED.fullmatch(name)]
    if not places:
        raise DataError(
            f"contrastive.label_names: the labels are {', '.join(labels[:5])}: no words, which say nothing of a text; "
            "remove the line"
        )
    names = [" ".join(labels[place].replace("_", " ").split()) for place in places]
    return np.array(places, dtype=np.int64), clean([template.replace(LABEL, name) for name in names], steps)


def _set_output(model: PreTrainedModel, plan: TrainingPlan, lesson: _Lesson) -> float:
    """Make the output layer a logistic regression on what it reads; its strength."""
    corpus, prepared = plan.corpus, plan.prepared
    layer = output_layer(model)
    if layer is None:
        raise TypeError("the model was not made ready")
    validation = prepared.encoded.get("validation")
    learnt = _vectors(model, layer, lesson.encoded, plan)
    unseen = None if validation is None else (_vectors(model, layer, validation, plan), corpus.learnt("validation"))
    weight, bias, strength = logistic.linear_layer(
        learnt,
        lesson.targets,
        unseen,
        task=corpus.task,
        k=len(corpus.labels),
        seed=plan.experiment.seed,
        weights=(lesson.pairs.weights, None if validation is None else corpus.splits["validation"].shares),
    )
    set_output(layer, weight, bias)
    return strength


def _vectors(model: PreTrainedModel, layer: nn.Linear, encoded: Encoded, plan: TrainingPlan) -> NDArray[np.float32]:
    return of_layer(
        model,
        layer,
        encoded,
        pad_id=int(plan.prepared.config.pad_token_id),
        token_budget=token_budget(plan.experiment.training, plan.machine),
        precision=plan.machine.precision,
    )

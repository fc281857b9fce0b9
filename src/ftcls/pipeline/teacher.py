"""A run's model as a teacher: a student learns its probabilities.

Knowledge distillation (Hinton et al. 2015): a large model's probabilities say more of a text than its label does, and
can be had for texts that nobody has labelled.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import ftcls
from ftcls.config.schema import Experiment
from ftcls.errors import ConfigError
from ftcls.inference.base_classifier import BaseClassifier
from ftcls.inference.simple_classifier import load_classifier
from ftcls.pipeline.trained_run import TrainedRun
from ftcls.pipeline.training_plan import TrainingPlan
from ftcls.runs.distillation import Distillation
from ftcls.scoring import metrics
from ftcls.scoring.differences import COMPARED, differences, same_labels
from ftcls.scoring.intervals import intervals
from ftcls.scoring.metrics import Predictions

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Lesson:
    """Texts, and what a teacher says of them."""

    texts: Sequence[str]
    """n cleaned texts, those of the training split first."""
    probabilities: NDArray[np.float64]
    """[n, k]"""
    unlabelled: int
    """Texts that are none of the training split."""
    seconds: float
    """That the teacher took."""


def ask(teacher: BaseClassifier, train: Sequence[str], unlabelled: Sequence[str]) -> Lesson:
    """What a teacher says of the texts of a training split, and of cleaned ones that are none of it."""
    started = time.perf_counter()
    texts = [*train, *unlabelled]
    said = teacher.say(teacher.cleaned(texts)).probabilities
    return Lesson(texts, said, len(unlabelled), time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class Teacher:
    """The teacher of a training, and what it said."""

    classifier: BaseClassifier
    lesson: Lesson


def teach(plan: TrainingPlan) -> tuple[TrainingPlan, Teacher | None]:
    """The plan with the teacher's probabilities as what is to be learnt; the same, and None, where there is no teacher.

    A text with a label learns a mean of both, by ``distillation.weight``.

    Raises:
        ConfigError: the teacher gives other labels, or is for another task.
        FtclsError: it cannot be had.
    """
    section, training, corpus = plan.experiment.distillation, plan.experiment.training, plan.corpus
    if section.teacher is None or plan.lesson is None:
        return plan, None
    classifier = load_classifier(section.teacher, device=training.device, precision=plan.machine.precision)
    if classifier.task != corpus.task or set(classifier.labels) != set(corpus.labels):
        raise ConfigError(
            f"distillation.teacher: {section.teacher}: is a {classifier.task} model of {', '.join(classifier.labels)}, "
            f"and the data is {corpus.task} with {', '.join(corpus.labels)}; a teacher knows the same labels"
        )
    train = corpus.splits["train"]
    lesson = ask(classifier, train.texts, plan.unlabelled)
    columns = [classifier.labels.index(label) for label in corpus.labels]
    targets = lesson.probabilities[:, columns].astype(np.float32)
    k = len(corpus.labels)
    known = corpus.learnt("train")
    gold = known if known.ndim == 2 else np.eye(k, dtype=np.float32)[known.astype(np.int64)]
    targets[: len(train)] = section.weight * targets[: len(train)] + (1 - section.weight) * gold
    log.info(
        "teacher    %s: %s texts, %s of them without labels",
        *(section.teacher, f"{len(lesson.texts):,}", f"{lesson.unlabelled:,}"),
    )
    weights = None if train.shares is None else np.append(train.shares, np.ones(lesson.unlabelled))
    learnt = replace(plan.lesson, targets=targets, weights=weights)
    return replace(plan, lesson=learnt), Teacher(classifier, lesson)


def compare(trained: TrainedRun, teacher: Teacher) -> Distillation:
    """How a student that is a run stands to its teacher on the test split."""
    experiment = trained.plan.experiment
    scored = sum(map(len, trained.predictions.values()))
    return record(
        trained.predictions["test"],
        teacher.classifier.predictions_of(trained.plan.corpus.splits["test"]),
        teacher.lesson,
        experiment,
        run=str(experiment.distillation.teacher),
        name=experiment.name,
        seconds=trained.fit.progress.seconds,
        texts_per_second=scored / trained.scoring_seconds if trained.scoring_seconds else None,
        size_bytes=sum(each.stat().st_size for each in trained.run.model.rglob("*") if each.is_file()),
    )


def record(
    student: Predictions,
    teacher: Predictions,
    lesson: Lesson,
    experiment: Experiment,
    *,
    run: str,
    name: str,
    seconds: float,
    texts_per_second: float | None,
    size_bytes: int,
) -> Distillation:
    """What is kept of a student: its scores on the test split, and the paired differences from its teacher's.

    Args:
        student: its predictions of the test split.
        teacher: the teacher's.
        lesson: what was learnt.
        experiment: of the student; its chosen metric is compared first.
        run: the teacher's run.
        name: of the student.
        seconds: that the student took to learn.
        texts_per_second: of the student.
        size_bytes: of the student.
    """
    return Distillation(
        run=run,
        name=name,
        texts=len(lesson.texts),
        unlabelled=lesson.unlabelled,
        metrics=metrics.score(student),
        intervals=intervals(student, seed=experiment.seed),
        difference=differences(student, teacher, metrics=(experiment.metrics.best, *COMPARED), seed=experiment.seed),
        same_labels=same_labels(student.predicted, teacher.predicted),
        seconds=lesson.seconds + seconds,
        texts_per_second=texts_per_second,
        teacher_texts_per_second=len(lesson.texts) / lesson.seconds if lesson.seconds else None,
        size_bytes=size_bytes,
        ftcls_version=ftcls.__version__,
    )

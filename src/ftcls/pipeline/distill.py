"""A student of a run: small and quick, trained on what the run's model says of texts, with gold labels or without."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ftcls.config import distillation_schema, schema
from ftcls.config.load import Overrides, load
from ftcls.config.loss_schema import Loss
from ftcls.config.schema import Experiment
from ftcls.data.columns import text_of
from ftcls.data.corpus import Corpus, Split
from ftcls.data.read import read
from ftcls.data.tables.frames import Texts
from ftcls.environment import manifest, progress
from ftcls.errors import ConfigError, DataError, UnavailableError
from ftcls.inference.classifier import Classifier
from ftcls.inference.embedding import embed
from ftcls.inference.simple_classifier import load_classifier
from ftcls.model import pooling
from ftcls.model.baselines import static
from ftcls.model.baselines.static import StaticModel
from ftcls.model.template import special_tokens
from ftcls.model.tokenize import Encoded
from ftcls.pipeline import tune_decision
from ftcls.pipeline.cross_validation import is_whole
from ftcls.pipeline.same_data import refuse_other_data
from ftcls.pipeline.teacher import Lesson, ask, record
from ftcls.pipeline.train import train as train_run
from ftcls.pipeline.unlabelled import unlabelled
from ftcls.runs import directory, distillation, predictions
from ftcls.runs.directory import RunDir
from ftcls.runs.distillation import Distillation
from ftcls.runs.references import reference
from ftcls.scoring import decision

_MEASURED: Final = 2_000
"""Most test texts that the student's speed is measured on."""


def distill(
    run: str | os.PathLike[str],
    *,
    to: str = static.KIND,
    texts: str | os.PathLike[str] | Texts | None = None,
    overrides: Overrides = (),
    output: str | os.PathLike[str] | None = None,
    command: str = "",
    announce: Callable[[Path], None] = lambda path: None,
) -> Distillation:
    """Train a student on the probabilities that a run's model gives to its training texts, and to others.

    A static student lies in ``models/static`` of the run and is taken by every command as ``RUN:static``. A checkpoint
    becomes a run of its own, whose config is that of the run with another checkpoint and a teacher. Beside either
    stands a distillation.json, with its scores on the test split and the paired difference from its teacher.

    Args:
        run: the run directory.
        to: ``static``: a vector for each token, their mean, and a small network on it; else a checkpoint.
        texts: more texts, which need no labels: a file (a text in each line, or a table with the run's text columns),
            or, for a static student, a list.
        overrides: of a checkpoint: put over the config of its run.
        output: of a checkpoint: its run directory; None: beside the run.
        command: what the user typed, for the report of a checkpoint's run.
        announce: called with the run directory of a checkpoint as soon as it exists.

    Raises:
        ConfigError: a simple model, which has nothing to distil, a cross-validation, or a static student of pairs.
        DataError: no finished run, other data than it was trained on, or no texts in the file.
        UnavailableError: the tokenizer has no fast form, which the student needs.
    """
    typed = os.fspath(run)
    place = RunDir(Path(typed).absolute())
    if reference(typed).name is not None:
        raise ConfigError(f"{typed}: a simple model is quick already; distil the run itself")
    if not place.done:
        raise DataError(f"{typed}: not a finished run.{directory.nearest(typed)} Name one that `ftcls train` wrote")
    experiment = load(place.config)
    _refuse_cross_validation(typed, experiment)
    if to != static.KIND:
        return _run(place, experiment, to, texts, overrides, output=output, command=command, announce=announce)
    if overrides or output is not None:
        raise ConfigError("--output, and keys of the config, are for --to CHECKPOINT; a static student lies in its run")
    if text_of(experiment.data).pairs:
        raise ConfigError(
            f"{typed}: reads pairs of texts, and a static student takes the mean of all tokens: it could not tell one "
            "text of a pair from the other. Distil into a smaller checkpoint, with --to CHECKPOINT"
        )
    with progress.phases() as phase:
        phase("teacher", "reads the data")
        corpus = read(experiment.data, seed=experiment.seed)
        refuse_other_data(place, corpus)
        section = experiment.training
        teacher = Classifier.from_pretrained(
            place.path, device=section.device, precision="auto", token_budget=section.token_budget
        )
        backend = _backend(teacher)
        # A text that is there twice teaches nothing new, and is not to be asked about again.
        train = list(dict.fromkeys(corpus.splits["train"].texts))
        known = set(train)
        found = [] if texts is None else teacher.cleaned(unlabelled(texts, experiment.data))
        more = [text for text in dict.fromkeys(found) if text not in known]
        phase("teacher", f"{len(train) + len(more):,} texts")
        lesson = ask(teacher, train, more)
        phase("student", f"{len(lesson.texts):,} texts")
        started = time.perf_counter()
        student = _student(teacher, backend, lesson, corpus, seed=experiment.seed)
        seconds = time.perf_counter() - started
        phase("scores", "of the test split, and the difference from the teacher")
        return _kept(place, experiment, corpus, student, lesson, seconds)


def _refuse_cross_validation(typed: str, experiment: Experiment) -> None:
    if is_whole(experiment):
        raise ConfigError(
            f"{typed}: a cross-validation, whose final model has learnt every row that a student could be tested on; "
            f"distil the run of a fold, {typed}/folds/1"
        )


def _run(
    teacher: RunDir,
    experiment: Experiment,
    checkpoint: str,
    texts: str | os.PathLike[str] | Texts | None,
    overrides: Overrides,
    *,
    output: str | os.PathLike[str] | None,
    command: str,
    announce: Callable[[Path], None],
) -> Distillation:
    """A run of another checkpoint, with the teacher's data and what suits it otherwise."""
    if texts is not None and not isinstance(texts, str | os.PathLike):
        raise ConfigError(f"texts: for --to {checkpoint} they are a file, which the config of its run can name")
    open_keys = ("num_train_epochs", "max_steps", "learning_rate", "head_learning_rate", "freeze", "sampling")
    student = experiment.model_copy(
        update={
            "name": f"{experiment.name}-student",
            "model": schema.Model(
                checkpoint=checkpoint,
                max_length=experiment.model.max_length,
                truncation=experiment.model.truncation,
                windows=experiment.model.windows,
                pair_truncation=experiment.model.pair_truncation,
            ),
            "adapter": schema.Adapter(),
            "loss": Loss(),
            "contrastive": None,  # what texts have in common the teacher says
            "distillation": distillation_schema.Distillation(
                teacher=str(teacher.path), texts=None if texts is None else str(Path(texts).absolute())
            ),
            "training": experiment.training.model_copy(update=dict.fromkeys(open_keys)),
        }
    )
    made = train_run(load(student, overrides), output=output, command=command, announce=announce)
    return distillation.read(made.path)


def _backend(teacher: Classifier) -> Tokenizer:
    found = getattr(teacher.tokenizer, "backend_tokenizer", None)
    if not isinstance(found, Tokenizer):
        raise UnavailableError(
            f"{teacher.source}: its tokenizer, {type(teacher.tokenizer).__name__}, is written in Python; a static "
            "student needs one of the tokenizers library"
        )
    copy = Tokenizer.from_str(found.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True  # what somebody wrote is text
    return copy


def _student(teacher: Classifier, backend: Tokenizer, lesson: Lesson, corpus: Corpus, *, seed: int) -> StaticModel:
    validation = corpus.splits["validation"]
    tokens = static.tokens_of(backend, lesson.texts)
    return static.learn(
        backend,
        static.first_vectors(_each_token(teacher, backend), tokens),
        tokens,
        lesson.probabilities,
        (static.tokens_of(backend, validation.texts), _one_hot(validation, len(corpus.labels))),
        task=corpus.task,
        seed=seed,
    )


def _each_token(teacher: Classifier, backend: Tokenizer) -> NDArray[np.float32]:
    """What the teacher's encoder says of every token by itself, [v, e]."""
    before, after = special_tokens(teacher.tokenizer)
    count = backend.get_vocab_size()
    width = len(before) + 1 + len(after)
    ids = np.empty((count, width), dtype=np.int32)
    ids[:, : len(before)], ids[:, len(before)], ids[:, len(before) + 1 :] = before, np.arange(count), after
    encoded = Encoded(
        ids=ids.ravel(),
        offsets=np.arange(count + 1, dtype=np.int64) * width,
        full_lengths=np.full(count, width, dtype=np.int32),
        padding_side=teacher.tokenizer.padding_side,
    )
    model = teacher.model
    return embed(
        getattr(model, model.base_model_prefix),
        encoded,
        pooling.of_vectors(teacher.source, model.config),
        pad_id=int(teacher.tokenizer.pad_token_id),
        token_budget=teacher.token_budget,
    )


def _one_hot(split: Split, k: int) -> NDArray[np.float64]:
    """The gold labels [n, k] of 0 and 1."""
    targets = split.targets
    return np.asarray(targets if targets.ndim == 2 else targets[:, None] == np.arange(k), dtype=np.float64)


def _kept(
    place: RunDir, experiment: Experiment, corpus: Corpus, student: StaticModel, lesson: Lesson, seconds: float
) -> Distillation:
    """Save the student, score it and say how it stands to its teacher."""
    test, folder = corpus.splits["test"], place.models / static.KIND
    how = tune_decision.of_probabilities(
        student.probabilities(corpus.splits["validation"].texts),
        corpus.splits["validation"],
        corpus,
        experiment.decision,
    )
    student.save(folder, {"labels": list(corpus.labels)})
    decision.save(how, corpus.labels, folder / decision.FILE)
    _listed(place, folder)
    # What is scored is what was saved.
    found = load_classifier(f"{place.path}:{static.KIND}").predictions_of(test)
    stored = place.predictions / f"test-{static.KIND}.parquet"
    predictions.write(stored, found)
    teacher = predictions.read(place.predictions / "test.parquet")
    result = record(
        found,
        teacher,
        lesson,
        experiment,
        run=experiment.name,
        name=static.KIND,
        seconds=seconds,
        texts_per_second=_speed(student, test.texts[:_MEASURED]),
        size_bytes=sum(each.stat().st_size for each in folder.iterdir()),
    )
    distillation.write(result, folder)
    _listed(place, folder, stored)
    return result


def _listed(run: RunDir, folder: Path, *others: Path) -> None:
    """List the files of a student, and others, in the manifest of its run."""
    manifest.renew(run.path, [each.relative_to(run.path).as_posix() for each in (*folder.iterdir(), *others)])


def _speed(student: StaticModel, texts: Sequence[str]) -> float | None:
    started = time.perf_counter()
    student.probabilities(texts)
    seconds = time.perf_counter() - started
    return len(texts) / seconds if seconds else None

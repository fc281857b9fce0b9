"""What is known of a finished run, as `scoring.next_steps` takes it: from its report and its config."""

from typing import Final

import numpy as np

from ftcls.config.recipe import SMALL, recommended
from ftcls.config.schema import Experiment
from ftcls.runs.report_schema import Report
from ftcls.scoring.differences import verdict
from ftcls.scoring.next_steps import Evaluation, Facts, Settings, Usual
from ftcls.training.fit import peak_rate


def facts(report: Report, experiment: Experiment, *, longest: int | None = None) -> Facts:
    """The facts of a run with a diagnosis.

    Args:
        report: of the run.
        experiment: its config.
        longest: text that the checkpoint has positions for, in tokens; None: it does not say.
    """
    training, metric, train = report.training, report.training.best.metric, report.data.splits["train"]
    difference = None if report.baseline is None else report.baseline.difference.get(metric)
    diagnosis = report.diagnosis
    rate = None if diagnosis is None else diagnosis.learning_rate
    return Facts(
        task=report.data.task,
        metric=metric,
        verdict="unknown" if diagnosis is None else diagnosis.verdict,
        from_step=None if diagnosis is None else diagnosis.from_step,
        evaluations=tuple(
            Evaluation(int(each["step"]), each.get(metric)) for each in training.evaluations if each["step"] is not None
        ),
        best_step=training.best.step,
        steps=training.steps,
        epochs=training.epochs,
        stopped_early=training.stopped_early,
        last_rate=None if rate is None or rate.peak <= 0 else rate.last / rate.peak,
        baseline=None if difference is None else verdict(difference),
        validation=report.intervals["validation"][metric],
        test=report.intervals["test"][metric],
        validation_rows=report.data.splits["validation"].examples,
        # Where one of them came with the data set, pooling is what is left to try.
        pooled=experiment.data.split.pooled
        or experiment.data.split.folds is not None
        or len({report.data.splits[name].origin for name in _HELD_OUT}) == 1,
        label_counts=train.label_counts,
        never_given=never_given(report),
        rows=train.examples,
        truncated=train.truncated,
        tokens=_readable(train.tokens.p95, longest),
        settings=settings(experiment, epochs=training.epochs, max_length=report.model.max_length),
        usual=usual(train.examples, report),
    )


def _readable(tokens: int, longest: int | None) -> int:
    """As much of so long a text as the checkpoint reads; a longer max_length would change nothing."""
    return tokens if longest is None else min(tokens, longest - longest % _TOKENS)


_TOKENS: Final = 16
"""A max_length is proposed in steps of these."""
_HELD_OUT: Final = ("validation", "test")


def never_given(report: Report) -> tuple[str, ...]:
    """The labels that validation rows have and that the model gave to none of them."""
    scores, confusion = report.per_label["validation"], np.array(report.confusion["validation"])
    given = confusion[:, :, 1].sum(axis=1) if confusion.ndim == 3 else confusion.sum(axis=0)
    return tuple(
        label for label, count in zip(report.data.labels, given, strict=True) if scores[label].support and not count
    )


def settings(experiment: Experiment, *, epochs: float, max_length: int) -> Settings:
    """The keys that a next step may change; so many epochs were made."""
    training, loss, decision = experiment.training, experiment.loss, experiment.decision
    return Settings(
        num_train_epochs=training.num_train_epochs or epochs,
        max_steps=training.max_steps,
        learning_rate=peak_rate(training),
        head_learning_rate=training.head_learning_rate,
        warmup_steps=training.warmup_steps,
        lr_scheduler_type=training.lr_scheduler_type,
        eval_strategy=training.eval_strategy,
        max_length=max_length,
        truncation=experiment.model.truncation,
        thresholds=decision.thresholds,
        temperature=decision.temperature,
        weighted=loss.kind in ("focal", "asymmetric", "distribution_balanced")
        or bool(loss.class_weights or loss.pos_weight or loss.logit_adjustment or training.sampling),
        # `rest` makes test of what training leaves.
        subset=experiment.data.subset.train is not None and experiment.data.split.test != "rest",
        adapter=experiment.adapter.kind != "none",
    )


def usual(rows: int, report: Report) -> Usual:
    """The schedule of `ftcls config init`."""
    recipe = recommended(
        rows,
        task=report.data.task,
        small=report.model.parameters <= SMALL,
        adapter=report.model.adapter is not None,
    )
    head = recipe.head_learning_rate
    return Usual(recipe.num_train_epochs, float(recipe.learning_rate), None if head is None else float(head))

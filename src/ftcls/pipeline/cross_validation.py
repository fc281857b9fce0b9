"""A cross-validation: the folds, what they say of all rows together, and one model of all rows."""

import logging
from dataclasses import replace
from typing import Final

import numpy as np

from ftcls.config.schema import Experiment
from ftcls.data.corpus import SplitName
from ftcls.environment.devices import Machine
from ftcls.environment.progress import Phase
from ftcls.errors import ConfigError
from ftcls.model.baselines.linear import MAJORITY, NAME, Baseline
from ftcls.pipeline import build_report, extra_metrics, out_of_fold, tune_decision
from ftcls.pipeline.cross_ladder import cross_ladder
from ftcls.pipeline.estimate import Forecast
from ftcls.pipeline.extra_metrics import ExtraMetric
from ftcls.pipeline.fit_model import build_model, fit_model
from ftcls.pipeline.fold_runs import train_folds
from ftcls.pipeline.out_of_fold import OutOfFold
from ftcls.pipeline.trained_run import Call, TrainedRun, score
from ftcls.pipeline.training_plan import TrainingPlan
from ftcls.runs import folds_section, predictions, report_schema, training_section
from ftcls.runs.directory import RunDir
from ftcls.runs.learning_curve_section import LearningCurve
from ftcls.runs.report_schema import OUT_OF_FOLD, Report, Scores
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.tuning import Tuned
from ftcls.search.trials import Options

log = logging.getLogger(__name__)
_TEST: Final[SplitName] = "test"


def is_whole(experiment: Experiment) -> bool:
    """Whether an experiment is a cross-validation, and not one of its folds."""
    return experiment.data.split.folds is not None and experiment.data.split.fold is None


def check(experiment: Experiment, *, jobs: int | None, timed: bool) -> None:
    """See that a cross-validation can be made as it is asked for.

    Args:
        experiment: any; one that is no cross-validation takes no ``jobs``.
        jobs: trainings at a time.
        timed: whether there is a time budget.

    Raises:
        ConfigError: it cannot, or ``jobs`` are asked for and there is none.
    """
    if not is_whole(experiment):
        if jobs is not None:
            raise ConfigError("--jobs: folds are trained side by side, and there are none; add data.split.folds=5")
        return
    folds = experiment.data.split.folds
    if timed:
        raise ConfigError(
            f"--budget: times one training, and data.split.folds: {folds} makes {(folds or 0) + 1}; write "
            "training.max_steps, or leave out one of the two"
        )


def check_launcher(experiment: Experiment, machine: Machine) -> None:
    """See that a cross-validation was not launched by torchrun.

    Raises:
        ConfigError: it was.
    """
    if is_whole(experiment) and machine.processes > 1:
        raise ConfigError(
            "data.split.folds: each fold is a process of its own, so torchrun cannot launch them together; run without "
            "it, or train each fold by itself with data.split.fold=1 and so on"
        )


def cross_validate(
    plan: TrainingPlan,
    run: RunDir,
    call: Call,
    *,
    forecast: Forecast,
    extra: tuple[ExtraMetric, ...],
    jobs: int | None,
    options: Options,
    resume: bool,
    phase: Phase,
) -> tuple[TrainedRun, Report]:
    """Train the folds and the final model, write the predictions, and report; the page and report.json come after it.

    Args:
        plan: of all rows, as the split ``train``, and a test split where the data has one.
        run: of the cross-validation.
        call: how it came about.
        forecast: of one training.
        extra: metrics beside those of ftcls.
        jobs: trainings at a time; None: one for each GPU, else one.
        options: what is said to every training.
        resume: whether the final training goes on from its newest checkpoint.
        phase: says what is done now.

    Raises:
        FtclsError: see `train_folds` and `fit_model`.
    """
    rows = plan.corpus.splits["train"]
    log.info("%-10s %d, each in a process of its own; then one model of all %s rows", "folds", _count(plan), len(rows))
    train_folds(run, _count(plan), jobs=jobs, options=options)
    found = out_of_fold.gather(run, rows)
    steps = _median_steps(found)
    phase("all rows", f"{steps:,} steps on {len(rows):,} examples: the median of the folds' best steps")
    final = replace(plan, experiment=_final(plan.experiment, steps))
    built = build_model(final)
    final = final.padded(built.padding_side)
    fitted = fit_model(built, final, run=run, resume=resume)
    phase("scoring", f"thresholds and temperature on {len(rows):,} out-of-fold rows")
    tuned = tune_decision.tune(plan.corpus, found.logits, rows, plan.experiment.decision)
    trained = score(final, run, call, forecast=forecast, built=built, fit=fitted, extra=extra, tuned=tuned)
    encoded = final.prepared.encoded["train"]
    out_of_fold.write(run.predictions, found, rows, lengths=encoded.full_lengths, truncated=encoded.truncated)
    if _TEST in trained.predictions:
        test = final.prepared.encoded[_TEST]
        predictions.write(
            run.predictions / f"{_TEST}.parquet",
            trained.predictions[_TEST],
            texts=plan.corpus.splits[_TEST].texts,
            lengths=test.full_lengths,
            truncated=test.truncated,
        )
    return trained, _report(found, trained, tuned, phase)


def _count(plan: TrainingPlan) -> int:
    return plan.experiment.data.split.folds or 0


def _median_steps(found: OutOfFold) -> int:
    """The median of the best steps; of an even number the higher of the two in the middle."""
    best = [report.training.best.step for report in found.reports]
    return int(np.quantile(best, 0.5, method="higher"))


def _final(experiment: Experiment, steps: int) -> Experiment:
    """The training on all rows: so many steps, and nothing to choose on."""
    training = experiment.training.model_copy(
        update={
            "num_train_epochs": None,
            "max_steps": steps,
            "eval_strategy": "no",
            "eval_steps": None,
            "early_stopping_patience": None,
        }
    )
    return experiment.model_copy(update={"training": training})


def _report(found: OutOfFold, trained: TrainedRun, tuned: Tuned, phase: Phase) -> Report:
    """The whole of report.json."""
    plan = trained.plan
    corpus, seed, best = plan.corpus, plan.experiment.seed, plan.experiment.metrics.best
    rows, encoded = corpus.splits["train"], plan.prepared.encoded["train"]
    phase("checks", "labels by the models of the folds, repeats, leaks and odd texts of the data")
    about = build_report.data(corpus, plan.prepared, seed=seed, judged=out_of_fold.judged(found))
    splits = {**about.splits, OUT_OF_FOLD: replace(about.splits["train"], origin=rows.origin)}
    phase("intervals", "of every score, over rows and folds, and the differences from the simple models")
    said: dict[str, Predictions] = {OUT_OF_FOLD: found.own}
    said.update(trained.predictions.items())
    scores = {name: _scores(each, trained) for name, each in said.items()}
    simple = {
        name: build_report.against(
            Baseline(title, found.simple[name], _seconds(found, rung)),
            found.own,
            metric=best,
            seed=seed,
            split=OUT_OF_FOLD,
        )
        for name, title, rung in (("baseline", NAME, "baseline"), ("majority", MAJORITY, "majority"))
    }
    training = build_report.training(trained)
    report = Report(
        status="done",
        run=build_report.run(trained),
        environment=build_report.environment(plan.machine),
        data=replace(about, splits=splits),
        model=build_report.model(trained),
        training=replace(training, best=training_section.Best(training.steps, best, None)),
        metrics={name: each.metrics for name, each in scores.items()},
        intervals={name: each.intervals for name, each in scores.items()},
        per_label={name: each.per_label for name, each in scores.items()},
        confusion={name: each.confusion for name, each in scores.items()},
        label_intervals={name: each.label_intervals for name, each in scores.items()},
        baseline=simple["baseline"],
        majority=simple["majority"],
        speed=trained.speed,
        precision_agreement=trained.precision_agreement,
        slices=build_report.length_slices(found.own, encoded),
        decision=tune_decision.as_chosen(tuned, corpus.labels),
        metrics_without_leaks=out_of_fold.scored_without_leaks(found.own, rows, seed=seed),
        cross_validation=_section(found, trained, scores[OUT_OF_FOLD]),
        metrics_unweighted=report_schema.unweighted(scores),
        soft_scores=report_schema.soft(scores),
        learning_curve=LearningCurve(best, 0, omitted="every row of a cross-validation is learnt and scored"),
    )
    phase("ladder", ", ".join(plan.experiment.report.ladder) or "none")
    return replace(report, ladder=cross_ladder(found, trained, report))


def _scores(said: Predictions, trained: TrainedRun) -> Scores:
    """Scores of predictions; the thresholds that are shown are those of the final model."""
    return report_schema.scores(
        said,
        seed=trained.plan.experiment.seed,
        thresholds=trained.classifier.decision.thresholds,
        extra=extra_metrics.score(trained.extra, said),
    )


def _seconds(found: OutOfFold, rung: str) -> float:
    """Of a simple model in one fold, on average."""
    each = [getattr(report, rung) for report in found.reports]
    return float(np.mean([one.seconds for one in each if one is not None]))


def _section(found: OutOfFold, trained: TrainedRun, scores: Scores) -> folds_section.CrossValidation:
    folds = tuple(
        folds_section.Fold(
            fold=number,
            examples=report.data.splits["test"].examples,
            train_examples=report.data.splits["train"].examples,
            validation_examples=report.data.splits["validation"].examples,
            best_step=report.training.best.step,
            steps=report.training.steps,
            seconds=report.training.seconds,
            stopped_early=report.training.stopped_early,
            metrics=report.metrics["test"],
        )
        for number, report in enumerate(found.reports, 1)
    )
    return folds_section.CrossValidation(
        folds=folds,
        spread=spread(folds),
        widening=scores.widening,
        final_examples=len(trained.plan.corpus.splits["train"]),
        final_steps=trained.fit.steps,
    )


def spread(folds: tuple[folds_section.Fold, ...]) -> dict[str, folds_section.Spread]:
    """Mean, standard deviation and ends of each metric over the folds, where all of them have it."""
    found = {}
    for name in folds[0].metrics:
        values = [value for value in (each.metrics.get(name) for each in folds) if value is not None]
        if len(values) == len(folds):
            found[name] = folds_section.Spread(
                mean=float(np.mean(values)),
                standard_deviation=float(np.std(values, ddof=1)),
                min=min(values),
                max=max(values),
            )
    return found

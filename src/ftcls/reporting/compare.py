"""Models side by side on the same test rows: scores, cost, and whether the differences are real."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.config.load import load
from ftcls.errors import ConfigError, DataError
from ftcls.reporting import compare_page
from ftcls.reporting.comparison import Comparison, Contender, Pair
from ftcls.runs import distillation, report_schema
from ftcls.runs import predictions as prediction_files
from ftcls.runs.directory import RunDir
from ftcls.runs.references import reference
from ftcls.scoring import metrics
from ftcls.scoring.differences import SURE, Difference, difference_of, least_p_value, units_apart
from ftcls.scoring.folds import extra_of_difference, extra_of_means, widening
from ftcls.scoring.intervals import resampled, score_of
from ftcls.scoring.likeness import refuse_unlike
from ftcls.scoring.metrics import Predictions, higher_is_better, in_range
from ftcls.scoring.significance import holm, mcnemar, over_seeds
from ftcls.scoring.wilson import Interval

_FILES: Final = {"tfidf": "baseline", "majority": "majority", "frozen": "frozen", "stack": "stack", "static": "static"}
"""Where the predictions of the simple models of a run stand."""


@dataclass(frozen=True)
class _Run:
    """One run, or the simple model beside it."""

    place: str
    name: str
    seed: int
    settings: tuple[Any, ...]
    """What runs of one group have in common."""
    report: report_schema.Report
    simple: report_schema.BaselineScores | None
    said: Predictions


def compare(
    runs: Sequence[str | os.PathLike[str]],
    *,
    split: str | None = None,
    metric: str | None = None,
    output: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare models on the same rows: scores with intervals, cost, and whether the differences are real.

    Runs that differ only in their seed count as one model, whose interval is over rows and seeds.

    Args:
        runs: run directories; ``RUN:tfidf`` (or ``RUN:baseline``), ``RUN:frozen``, ``RUN:stack`` and ``RUN:majority``
            are the simple models of a run, on test or out of fold.
        split: validation, test, or ``out_of_fold`` of cross-validations; None: what the first run is judged by.
        metric: what is tested; None: metrics.best of the first run.
        output: a folder for JSON, Markdown, an HTML page and a plot.
        seed: of the bootstrap.

    Returns:
        The models, best first, and every pair of them.

    Raises:
        ConfigError: fewer than two contenders, the same one twice, or no such metric.
        DataError: a run that is not finished, or runs whose rows differ; says how.
    """
    found = _compared([os.fspath(run) for run in runs], split=split, metric=metric, seed=seed)
    if output is not None:
        compare_page.write(found, Path(output))
    return found


def _compared(places: Sequence[str], *, split: str | None, metric: str | None, seed: int) -> Comparison:
    if len(set(places)) < len(places):
        twice = next(place for place in places if list(places).count(place) > 1)
        raise ConfigError(f"{twice}: named twice; compare each run once")
    split = split or report_schema.read_report(RunDir(Path(reference(places[0]).path).absolute())).held_out
    runs = [_read(place, split) for place in places]
    for other in runs[1:]:
        try:
            refuse_unlike(runs[0].said, other.said)
        except DataError as error:
            raise DataError(f"{runs[0].place} and {other.place}: {error}{_seeds_cut(runs[0], other)}") from error
    chosen = metric or runs[0].report.training.best.metric
    if chosen not in metrics.names(runs[0].said.task):
        raise ConfigError(f"--metric {chosen}: one of {', '.join(metrics.names(runs[0].said.task))}")
    groups = _grouped(runs)
    if len(groups) < 2:
        raise ConfigError(
            "compare needs two: name another run, or RUN:baseline for the simple model beside a run "
            "(runs that differ only in their seed count as one)"
        )
    draws = {run.place: resampled(run.said, chosen, seed=seed) for run in runs}
    scores = {run.place: score_of(run.said, chosen) for run in runs}
    names = _names(groups)
    contenders = [
        _contender(name, group, split, chosen, draws, scores, seed) for name, group in zip(names, groups, strict=True)
    ]
    sign = -1 if higher_is_better(chosen) else 1
    order = sorted(range(len(groups)), key=lambda i: sign * float(np.mean([scores[r.place] for r in groups[i]])))
    pairs = [
        _pair(names[i], groups[i], names[j], groups[j], chosen, draws, scores, seed)
        for i, j in itertools.combinations(order, 2)
    ]
    clusters = runs[0].said.clusters
    return Comparison(
        metric=chosen,
        split=split,
        rows=len(runs[0].said),
        clusters=None if clusters is None else len(np.unique(clusters)),
        contenders=tuple(contenders[i] for i in order),
        pairs=_corrected(pairs, chosen),
        reference=_baseline(runs, split),
    )


def _read(place: str, split: str) -> _Run:
    found = reference(place)
    run = RunDir(Path(found.path).absolute())
    report = report_schema.read_report(run)
    experiment = load(run.config)
    settings = experiment.model_dump(exclude={"seed", "name", "report"})
    if found.name is None and split not in report.metrics:
        there = ", ".join(report.metrics)
        raise DataError(
            f"{place}: has no scores of {split}, it has those of {there}; a cross-validation is compared with another "
            "of the same rows, and any other run on --split test"
        )
    if found.name is None:
        said = prediction_files.read(run.predictions / f"{split}.parquet")
        return _Run(place, report.run.name, report.run.seed, ("run", repr(settings)), report, None, said)
    scores = _distilled(run) if found.name == "static" else _simple(report, found.name)
    if scores is None or split not in scores.metrics:
        raise DataError(
            f"{place}: simple models are kept for the test split of newer runs only, or out of fold; --split {split}"
        )
    said = prediction_files.read(run.predictions / f"{split}-{_FILES[found.name]}.parquet")
    # The simple models of two runs are never one group: each stands for itself.
    return _Run(place, scores.name, report.run.seed, ("simple", place), report, scores, said)


def _distilled(run: RunDir) -> report_schema.BaselineScores:
    found = distillation.read(run.models / "static")
    return report_schema.BaselineScores(
        name="static student",
        metrics={"test": found.metrics},
        intervals={"test": found.intervals},
        seconds=found.seconds,
        difference={},
    )


def _simple(report: report_schema.Report, name: str) -> report_schema.BaselineScores | None:
    if name in ("tfidf", "majority"):
        return report.baseline if name == "tfidf" else report.majority
    rung = next((each for each in report.ladder if each.name == name and each.omitted is None), None)
    if rung is None:
        return None
    return report_schema.BaselineScores(rung.title, rung.metrics, rung.intervals, rung.seconds or 0.0, rung.difference)


def _seeds_cut(first: _Run, second: _Run) -> str:
    """Where only the seed differs, it has cut or drawn other rows."""
    if first.settings != second.settings or first.seed == second.seed:
        return ""
    return (
        " They differ in their seed alone, which also cuts and draws the rows: give the data set a test split of its "
        "own, or keep one seed for data by files that are cut before."
    )


def _grouped(runs: Sequence[_Run]) -> list[list[_Run]]:
    groups: dict[tuple[Any, ...], list[_Run]] = {}
    for run in runs:
        groups.setdefault(run.settings, []).append(run)
    return list(groups.values())


def _names(groups: Sequence[Sequence[_Run]]) -> list[str]:
    """The name of each group; where names are not told apart, with the folder of its first run, then with its path."""
    firsts = [group[0] for group in groups]
    names = [run.name for run in firsts]
    names = [_in_folder(run, name) if names.count(name) > 1 else name for run, name in zip(firsts, names, strict=True)]
    names = [run.place if names.count(name) > 1 else name for run, name in zip(firsts, names, strict=True)]
    return [name if len(group) == 1 else f"{name} x {len(group)}" for name, group in zip(names, groups, strict=True)]


def _in_folder(run: _Run, name: str) -> str:
    folder = Path(reference(run.place).path).absolute().name
    return folder if run.simple is None else f"{name} ({folder})"


def _baseline(runs: Sequence[_Run], split: str) -> Contender | None:
    """The linear baseline of the first run that has one, unless it is a contender."""
    if any(reference(run.place).name == "tfidf" for run in runs):
        return None
    with_one = next(
        (run for run in runs if run.report.baseline is not None and split in run.report.baseline.metrics), None
    )
    if with_one is None or with_one.report.baseline is None:
        return None
    simple = with_one.report.baseline
    run = replace(with_one, place=f"{reference(with_one.place).path}:tfidf", name=simple.name, simple=simple)
    return _contender(simple.name, [run], split, "", {}, {}, 0)


def _contender(
    name: str,
    group: Sequence[_Run],
    split: str,
    metric: str,
    draws: dict[str, NDArray[np.float64]],
    scores: dict[str, float],
    seed: int,
) -> Contender:
    first, several = group[0], len(group) > 1
    found = [_metrics(run, split) for run in group]
    means = {key: _mean([values[key] for values in found]) for key in found[0]}
    spread: dict[str, tuple[float, float, float]] = {}
    if several:
        bounds: dict[str, Interval | None] = dict.fromkeys(means)
        mean_draws = np.mean([draws[run.place] for run in group], axis=0)
        mean_draws = _with_trainings(mean_draws, [group], metric, seed)
        estimate = over_seeds([(1, [scores[run.place] for run in group])], mean_draws)
        bounds[metric] = in_range(metric, estimate.interval)
        for key in means:
            values = [value for value in (each[key] for each in found) if value is not None]
            if len(values) == len(group):
                spread[key] = (float(np.std(values, ddof=1)), min(values), max(values))
    elif first.simple is not None:
        bounds = first.simple.intervals[split]
    else:
        bounds = first.report.intervals[split]
    trained = [run.report for run in group if run.simple is None]
    speeds = [report.speed for report in trained if report.speed is not None]
    peaks = [report.training.peak_memory_bytes for report in trained]
    seconds = [run.simple.seconds if run.simple else run.report.training.seconds for run in group]
    return Contender(
        name=name,
        runs=tuple(run.place for run in group),
        seeds=tuple(run.seed for run in group),
        parameters=trained[0].model.parameters if trained else None,
        size_bytes=trained[0].model.size_bytes if trained else None,
        training_seconds=_mean(seconds),
        examples_per_second=_mean([report.training.examples_per_second for report in trained]),
        peak_memory_bytes=max((peak for peak in peaks if peak is not None), default=None),
        latency_p50_ms=_mean([speed.latency_ms.p50 for speed in speeds]),
        latency_p95_ms=_mean([speed.latency_ms.p95 for speed in speeds]),
        metrics=means,
        intervals=dict(bounds),
        texts_per_second=_mean([_speed(run) for run in group]),
        spread=spread,
    )


def _speed(run: _Run) -> float | None:
    """Texts a second of a run's own model or of a simple one, as its ladder has it."""
    name = reference(run.place).name or "fine_tuned"
    return next((rung.texts_per_second for rung in run.report.ladder if rung.name == name), None)


def _metrics(run: _Run, split: str) -> report_schema.Metrics:
    return run.report.metrics[split] if run.simple is None else run.simple.metrics[split]


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there and len(there) == len(values) else None


def _pair(
    one: str,
    first: Sequence[_Run],
    other: str,
    second: Sequence[_Run],
    metric: str,
    draws: dict[str, NDArray[np.float64]],
    scores: dict[str, float],
    seed: int,
) -> Pair:
    said = first[0].said
    clusters = None if said.clusters is None else len(np.unique(said.clusters))
    sums = [np.mean([draws[run.place] for run in group], axis=0) for group in (first, second)]
    values = [[scores[run.place] for run in group] for group in (first, second)]
    units = units_apart([run.said for run in first], [run.said for run in second], metric)
    if len(first) == len(second) == 1:
        found = difference_of(
            sums[0] - sums[1],
            metric=metric,
            value=values[0][0] - values[1][0],
            rows=len(said),
            clusters=clusters,
            units=units,
            extra=extra_of_difference(said, second[0].said, metric, seed=seed),
        )
        # It takes rows for independent ones, which those of a fold or a cluster are not; and it knows no weights.
        plain = said.folds is None and said.clusters is None and said.weights is None
        right = mcnemar(said.right, second[0].said.right) if plain else None
    else:
        drawn = _with_trainings(sums[0] - sums[1], [first, second], metric, seed)
        estimate = over_seeds([(1, values[0]), (-1, values[1])], drawn)
        p_value = max(estimate.p_value, least_p_value(units))
        found = Difference(metric, estimate.value, estimate.interval, p_value, len(said), clusters)
        right = None
    return Pair(one, other, found, found.p_value, right, None, verdict="")


def _with_trainings(
    draws: NDArray[np.float64], groups: Sequence[Sequence[_Run]], metric: str, seed: int
) -> NDArray[np.float64]:
    """Draws [d] over the rows, spread until they have what the folds' trainings add to their variance too."""
    extra = extra_of_means([[run.said for run in group] for group in groups], metric, seed=seed)
    middle = float(np.nanmean(draws))
    return middle + (draws - middle) * widening(float(np.nanvar(draws)), extra) if extra else draws


def _corrected(pairs: Sequence[Pair], metric: str) -> tuple[Pair, ...]:
    """With p-values corrected for the number of pairs, and the verdict that follows."""
    corrected = holm([pair.difference.p_value for pair in pairs])
    tested = [pair.mcnemar for pair in pairs if pair.mcnemar is not None]
    of_rows = iter(holm([test.p_value for test in tested]))
    found = []
    for pair, p in zip(pairs, corrected, strict=True):
        if p >= SURE:
            verdict = f"no difference between {pair.first} and {pair.second} that these rows can show"
        else:
            better = (pair.difference.value > 0) == higher_is_better(metric)
            winner, loser = (pair.first, pair.second) if better else (pair.second, pair.first)
            verdict = f"{winner} is better than {loser}"
        found.append(
            Pair(
                pair.first,
                pair.second,
                pair.difference,
                p,
                pair.mcnemar,
                None if pair.mcnemar is None else next(of_rows),
                verdict,
            )
        )
    return tuple(found)

"""The report of a run as one HTML page, from its report.json, history.jsonl and predictions alone.

No model, no torch: every figure can be drawn again wherever the run directory lies.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftcls.data.texts import MARK, parts
from ftcls.environment import manifest
from ftcls.environment.figures_as_text import number, signed
from ftcls.environment.files import write_text
from ftcls.reporting import (
    commands,
    contrastive_line,
    error_analysis,
    findings,
    gallery,
    html_page,
    more_rows,
    page_data,
    plot_points,
    plots,
    rungs,
    sources,
)
from ftcls.reporting.error_analysis import Mistake
from ftcls.reporting.outcome import METRICS, VERDICTS, outcome
from ftcls.reporting.recompute import disagreements
from ftcls.runs import history, mistake_words, report_schema
from ftcls.runs import predictions as prediction_files
from ftcls.runs.directory import RunDir
from ftcls.runs.mistake_words import MistakeWords, Weighed
from ftcls.runs.predictions import Rows
from ftcls.runs.report_schema import Report
from ftcls.scoring import slices
from ftcls.scoring.calibration import reliability
from ftcls.scoring.metrics import Predictions

_MISTAKES = 20
"""Mistakes that stand on the page for who has no script."""
_PAIRS = 20
_CELLS = 12
"""Most labels whose confusion matrix is a table of numbers without a script."""
_CUT = 280
"""Characters of a text that are shown at once."""
_LONGEST = 20_000
"""Characters of a text that are kept in the page at all."""
_SLIGHT = 0.05
"""Share of the strongest word below which one is not marked."""
_WORDS = 5
"""Words named for and against."""
_SCRIPTS = ("page.js", "page_rows.js", "page_confusion.js", "page_curves.js")


@dataclass(frozen=True)
class Page:
    """What was written."""

    path: Path
    plots: tuple[str, ...]
    """Names of the plots in plots/, each as .png and .svg."""
    disagreements: tuple[str, ...]
    """Where the predictions give another figure than report.json."""


@dataclass(frozen=True)
class Piece:
    """A part of a text, and what it does for a label."""

    text: str
    kind: str
    """for, against, or empty."""
    share: float
    """Of the weight of the part that matters most."""
    weight: float


@dataclass(frozen=True)
class Explained:
    """A mistake, and which of its words mattered."""

    row: int
    label: str
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    pieces: tuple[Piece, ...]
    strongest: tuple[str, ...]
    """The words that speak most for and against the label, in words."""
    windows: tuple[str, ...] = ()
    """What each window says of the label by itself, in words; none where a text is read as one."""


@dataclass(frozen=True)
class Example:
    """A mistake with its text."""

    mistake: Mistake
    head: str | None
    """The beginning of the text, or all of it; None where the predictions file has no texts."""
    text: str | None
    """All of it, where the head is only the beginning."""


def report(run: str | os.PathLike[str], *, output: str | os.PathLike[str] | None = None) -> Page:
    """Draw the plots and the page of a finished run anew.

    Args:
        run: the run directory.
        output: where to write the page; None: ``report.html`` in the run.

    Raises:
        DataError: no finished run, or its predictions are missing or damaged.
    """
    place = RunDir(Path(run).absolute())
    written = write(place, report_schema.read_report(place), output=None if output is None else Path(output))
    drawn = [f"{place.plots.name}/{name}.{kind}" for name in written.plots for kind in ("png", "svg")]
    manifest.renew(place.path, [place.page.name, *drawn])
    return written


def write(run: RunDir, found: Report, *, output: Path | None = None) -> Page:
    """Write the plots and the page of a run whose report is at hand.

    Raises:
        DataError: the predictions are missing or damaged.
    """
    predictions = {split: prediction_files.read(run.predictions / f"{split}.parquet") for split in found.metrics}
    rows = {split: prediction_files.read_rows(run.predictions / f"{split}.parquet") for split in predictions}
    test = predictions[found.held_out]
    problems = tuple(line for split, each in predictions.items() for line in disagreements(found, split, each))
    figures = gallery.figures(found, history.read(run.history), test, rows[found.held_out])
    drawn = plots.save({name: drawing.figure for name, drawing in figures.items()}, run.plots)
    images = {
        name: {
            "svg": plots.inline(name, document),
            "description": figures[name].description,
            "points": [[p.left, p.top, p.words] for p in plot_points.points(figures[name].figure, figures[name].names)],
        }
        for name, document in drawn.items()
    }
    path = output or run.page
    context = _context(run, found, predictions, rows, problems) | {"plots": images}
    write_text(path, _TEMPLATES.get_template("page.html").render(context))
    return Page(path, tuple(figures), problems)


def _context(
    run: RunDir,
    found: Report,
    predictions: Mapping[str, Predictions],
    texts: Mapping[str, Rows],
    problems: Sequence[str],
) -> dict[str, Any]:
    """What the template fills in, its plots left out."""
    metric = found.training.best.metric
    document = report_schema.document(found)
    test, rows = predictions[found.held_out], texts[found.held_out]
    content = _content(run, found, predictions, texts)
    words = mistake_words.read(run)
    pairs = error_analysis.pairs(test, most=_PAIRS)
    calibration = reliability(test.probabilities, test.gold, test.task, test.weights)
    lengths = () if rows.lengths is None else slices.by_length(test, rows.lengths)
    truncation = () if rows.truncated is None else slices.by_truncation(test, rows.truncated)
    return {
        "report": document,
        "held_out": found.held_out,
        "held": found.held_out_words,
        "metric": metric,
        "meaning": METRICS[metric] if metric in METRICS else "",
        "score": found.metrics[found.held_out][metric],
        "interval": found.intervals[found.held_out][metric],
        "outcome": outcome(found),
        "bars": rungs.bars(found),
        "verdict": _verdict(found),
        "findings": findings.findings(
            found,
            pairs=pairs,
            calibration=calibration,
            lengths=lengths,
            truncation=truncation,
            candidates=sum(1 for row in content["candidates"]["rows"] if row[-1] == page_data.THIS_MODEL),
        ),
        "steps": _steps(found, run.path),
        "use": _use(run, found),
        "label_intervals": (document.get("label_intervals") or {}).get(found.held_out),
        "without_leaks": document.get("metrics_without_leaks"),
        "unweighted": (found.metrics_unweighted or {}).get(found.held_out),
        "notes": problems,
        "warnings": [check for check in found.data.checks if check.severity == "warning"],
        "checked": [check for check in found.data.checks if check.severity != "warning"],
        "confusion": document["confusion"][found.held_out],
        "cells": found.data.task != "multilabel" and len(test.labels) <= _CELLS,
        "silent": found.data.task == "multilabel" and not test.predicted.any(),
        "pairs": pairs,
        "reliability": calibration,
        "explained": _explained(words, test, rows),
        "words": words,
        "more_rows": more_rows.sentence(found),
        "contrastive": contrastive_line.sentence(found),
        "lists": [each for each in _lists(test, rows) if each["examples"]],
        "lengths": lengths,
        "truncation": truncation,
        "config": run.config.read_text(encoding="utf-8") if run.config.is_file() else None,
        "kept": {name: content[name] for name in ("total", "mistakes", "keptMistakes", "longest", "file")}
        | {"rows": len(content["rows"]["row"])},
        "candidates": content["candidates"]["rows"],
        "content": page_data.packed(content | {"run": run.path.name, "place": commands.place(run.path)}),
        **html_page.parts(style=html_page.file("page.css"), script="\n".join(map(html_page.file, _SCRIPTS))),
    }


def _steps(found: Report, run: Path) -> list[dict[str, str | None]]:
    """What to try next, each with the command that does it."""
    lines = commands.train_again(run, [step.keys for step in found.next_steps])
    return [{"sentence": step.sentence, "command": line} for step, line in zip(found.next_steps, lines, strict=True)]


def _content(
    run: RunDir, found: Report, predictions: Mapping[str, Predictions], rows: Mapping[str, Rows]
) -> dict[str, Any]:
    """What the page's script looks things up in."""
    thresholds = found.decision.thresholds if found.decision is not None else None
    noise = next((check for check in found.data.checks if check.name == "label_noise"), None)
    return page_data.content(
        predictions,
        rows,
        split=found.held_out,
        files={name: sources.file(run, found, name) for name in found.data.splits},
        thresholds=None if thresholds is None else [thresholds[label] for label in found.data.labels],
        elsewhere=[
            (split, row)
            for split, numbers in (noise.rows if noise is not None else {}).items()
            if split not in predictions
            for row in numbers
        ],
    )


def _verdict(found: Report) -> dict[str, Any] | None:
    """The paired difference from the baseline in the chosen metric, in words too; None where there is no verdict."""
    said = outcome(found)
    if said.verdict is None or said.difference is None:
        return None
    one = said.difference
    units = f"{one.rows:,} rows" if one.clusters is None else f"{one.clusters:,} clusters"
    return {"difference": one, "kind": said.verdict, "words": VERDICTS[said.verdict][0], "units": units}


def _lists(test: Predictions, rows: Rows) -> list[dict[str, Any]]:
    return [
        {
            "title": "Most confident mistakes",
            "lead": "Wrong answers, the surest first. Look for wrong gold labels and for what the model latches on to.",
            "examples": [_example(each, rows) for each in error_analysis.surest_mistakes(test, most=_MISTAKES)],
        },
        {
            "title": "Most surely missed",
            "lead": "Gold labels that were not given, the least probable first. Look for wrong gold labels here too.",
            "examples": [_example(each, rows) for each in error_analysis.surest_misses(test, most=_MISTAKES)],
        },
        {
            "title": "Highest loss",
            "lead": "The rows whose gold labels the model found least probable, right or wrong.",
            "examples": [_example(each, rows) for each in error_analysis.costliest(test, most=_MISTAKES)],
        },
    ]


def _use(run: RunDir, found: Report) -> commands.Use:
    several, windows = found.data.task == "multilabel", found.model.windows is not None
    return commands.use(run.path, several=several, text=found.data.text, windows=windows)


def _explained(words: MistakeWords | None, test: Predictions, rows: Rows) -> list[Explained]:
    """The words of the worst mistakes, where they were weighed for these predictions."""
    if words is None or rows.texts is None or any(test.rows[each.index] != each.row for each in words.mistakes):
        return []
    return [
        Explained(
            each.row,
            each.label,
            error_analysis.names(test, test.gold, each.index),
            error_analysis.names(test, test.predicted, each.index),
            tuple(_pieces(each, rows.texts[each.index])),
            tuple(_strongest(each, rows.texts[each.index])),
            tuple(_windows(each)),
        )
        for each in words.mistakes
    ]


def _pieces(weighed: Weighed, text: str) -> Iterator[Piece]:
    most = max((abs(part.weight) for part in weighed.parts), default=1.0) or 1.0
    for place, side in enumerate(parts(text)):
        end = 0
        if place:
            yield Piece(MARK, "", 0.0, 0.0)
        for part in (each for each in weighed.parts if each.text == place):
            share = abs(part.weight) / most
            kind = "" if share < _SLIGHT else "for" if part.weight > 0 else "against"
            yield Piece(side[end : part.start], "", 0.0, 0.0)
            yield Piece(side[part.start : part.end], kind, share, part.weight)
            end = part.end
        yield Piece(side[end:], "", 0.0, 0.0)


def _strongest(weighed: Weighed, text: str) -> Iterator[str]:
    for sign, words in ((1, "for"), (-1, "against")):
        found = sorted((each for each in weighed.parts if sign * each.weight > 0), key=lambda each: -sign * each.weight)
        if found:
            sides = parts(text)
            named = ", ".join(f"“{sides[e.text][e.start : e.end]}” {signed(e.weight, 2)}" for e in found[:_WORDS])
            yield f"{words} {weighed.label}: {named}"


def _windows(weighed: Weighed) -> Iterator[str]:
    for place, each in enumerate(weighed.windows, start=1):
        where = f"window {place}" if each.start is None else f"characters {each.start:,} to {each.end:,}"
        yield f"{where} {number(each.probability, 3)}"


def _example(mistake: Mistake, rows: Rows) -> Example:
    if rows.texts is None:
        return Example(mistake, None, None)
    text = rows.texts[mistake.index]
    if len(text) <= _CUT:
        return Example(mistake, text, None)
    return Example(mistake, text[:_CUT].rsplit(maxsplit=1)[0] + " …", text[:_LONGEST])


_TEMPLATES = html_page.templates(Path(__file__).parent)

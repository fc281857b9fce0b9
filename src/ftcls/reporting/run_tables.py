"""What a person sees at the end of `ftcls train` and `ftcls eval`: plain text that reads well at 80 columns.

Colours only underline what the words say already, so a log file loses nothing.
"""

import io
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.data.corpus import Check
from ftcls.environment import disk
from ftcls.environment.figures_as_text import duration, interval, number, p_equals, signed, signed_interval
from ftcls.errors import on_one_line
from ftcls.reporting import beside_scores, commands, contrastive_line, label_tables, more_rows
from ftcls.reporting.fold_table import folds
from ftcls.reporting.outcome import VERDICTS, outcome
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import BaselineScores, Evaluation, Intervals, Metrics, Report
from ftcls.scoring.diagnosis import Spike
from ftcls.scoring.differences import Difference, verdict
from ftcls.scoring.metrics import names as metric_names

_NAME_WIDTH = 17
_CHECKPOINT_WIDTH = 36
_EXAMPLES = 2
_EXAMPLE_WIDTH = 60
_ADVICE_WIDTH = 78
_FILE_WIDTH = 120
_SPIKES = 5
"""Most gradient-norm spikes named."""


def summary(report: Report, *, run: Path | None = None, verbose: bool) -> RenderableType:
    """The end of a training run on one screen: what it comes to in a sentence, the ladder, what to do next.

    Args:
        report: of the run.
        run: where it lies; None: without the lines to type.
        verbose: with every table.
    """
    model, where = _tail(report.model.checkpoint), report.environment
    title = Text(f"{report.run.name}", style="bold")
    title.append(f"  {model} on {where.device} in {where.precision}, {duration(report.run.seconds)}", style="not bold")
    ladder = _ladder(report)
    warnings = [check for check in report.data.checks if check.severity == "warning"]
    parts: list[RenderableType] = [title, *_sentence(report), *_asked_for(report), Text(), *folds(report), *ladder]
    if verbose:
        parts += [*_tables(report), *(line for check in warnings for line in (Text(), _warning(check)))]
    else:
        beside = [] if ladder else [*_headline(report, tested=False), Text()]
        said = [*_pairs(report), *_diagnosis(report), *more_rows.lines(report)]
        parts += [*beside, *said, *(_short_warning(check) for check in warnings)]
    if run is not None:
        parts += [*_next_steps(report, run), Text(), *_use(report, run)]
    return Group(*parts)


def _tables(report: Report) -> list[RenderableType]:
    """Every figure, for who asks for it."""
    return [
        *_headline(report, tested=True),
        Text(),
        _metrics(report.metrics, report.intervals, report.baseline, chosen=report.training.best.metric),
        *_notes(report.metrics[report.held_out], report.data.positive_label),
        *label_tables.unseen(report.per_label[report.held_out]),
        *beside_scores.weights(report),
        *beside_scores.soft_labels(report),
        *_decision(report),
        *beside_scores.without_leaks(report.metrics_without_leaks, report.held_out_words, report.training.best.metric),
        Text(),
        *label_tables.labels(
            report.per_label[report.held_out],
            (report.label_intervals or {}).get(report.held_out),
            report.held_out_words,
        ),
        Text(),
        *_training(report),
        *_pairs(report),
        *more_rows.lines(report),
    ]


def _sentence(report: Report) -> list[Text]:
    """What the run comes to: the chosen metric on the held-out rows, and whether that beats the baseline."""
    found = outcome(report)
    style = "yellow" if report.run.smoke else VERDICTS[found.verdict][1] if found.verdict else ""
    return [Text(line, style=style) for line in textwrap.wrap(found.sentence, _ADVICE_WIDTH)]


def _asked_for(report: Report) -> list[Text]:
    """The numbers of `metrics.evaluate` on the held-out rows: who asks for a metric wants to see it."""
    known = metric_names(report.data.task)
    beside = [f"{name} {number(value)}" for name, value in report.metrics[report.held_out].items() if name not in known]
    return [*map(Text, textwrap.wrap(f"Also {', '.join(beside)}.", _ADVICE_WIDTH))] if beside else []


def as_text(report: Report, *, run: Path) -> str:
    """The summary without colours, as it goes to a file."""
    file = io.StringIO()
    Console(file=file, width=_FILE_WIDTH, color_system=None).print(summary(report, run=run, verbose=True), crop=False)
    return file.getvalue()


def what_to_try(report: Report, run: Path) -> Group:
    """What to try next, as it ends the summary; empty where a run has nothing to mend."""
    return Group(*_next_steps(report, run))


def _next_steps(report: Report, run: Path) -> list[Text]:
    if not report.next_steps:
        return []
    lines = [Text(), Text("What to try next, the most promising first", style="bold")]
    commands_of = commands.train_again(run, [step.keys for step in report.next_steps])
    for place, (step, command) in enumerate(zip(report.next_steps, commands_of, strict=True), 1):
        lines += map(
            Text,
            textwrap.wrap(step.sentence, _ADVICE_WIDTH, initial_indent=f"{place}. ", subsequent_indent="   "),
        )
        if command is not None:
            lines.append(_whole(f"   {command}"))
    return lines


def _use(report: Report, run: Path) -> list[Text]:
    """Where the page lies, and the line that uses the model."""
    line = commands.predict(run, report.data.text)
    return [_whole(f"page     {commands.place(RunDir(run).page)}"), _whole(f"predict  {line}")]


def _whole(text: str) -> Text:
    """A line that is not broken, so that it can be copied."""
    return Text(text, no_wrap=True, overflow="ignore")


def evaluation(evaluation: Evaluation) -> RenderableType:
    """The end of an evaluation."""
    data = evaluation.data
    title = Text(f"{data.name} {data.split}", style="bold")
    title.append(f"  {data.examples:,} examples, scored with {evaluation.model}", style="not bold")
    return Group(
        title,
        Text(),
        _metrics({data.split: evaluation.metrics}, {data.split: evaluation.intervals}, None, chosen=""),
        *_notes(evaluation.metrics, data.positive_label),
        *label_tables.unseen(evaluation.per_label),
        *beside_scores.weights_of_evaluation(evaluation),
        *beside_scores.soft_labels_of_evaluation(evaluation),
        *beside_scores.without_leaks(evaluation.metrics_without_leaks, data.split, "f1_macro"),
        Text(),
        *label_tables.labels(evaluation.per_label, evaluation.label_intervals, data.split),
    )


def _headline(report: Report, *, tested: bool) -> list[Text]:
    """The chosen metric on the held-out rows, the baseline's under it, and, if asked, whether they differ."""
    metric = report.training.best.metric
    rows = report.data.splits[report.held_out].examples
    lines = [
        (
            _tail(report.model.checkpoint),
            report.metrics[report.held_out][metric],
            report.intervals[report.held_out][metric],
        )
    ]
    difference = None
    if report.baseline is not None:
        baseline = report.baseline
        lines.append(
            (baseline.name, baseline.metrics[report.held_out][metric], baseline.intervals[report.held_out][metric])
        )
        # A verdict in another metric would be one about another question, and of a smoke run there is none.
        difference = None if report.run.smoke else baseline.difference.get(metric)
    width = max(len(name) for name, _, _ in lines)
    texts = [Text(f"{metric} on the {rows:,} {report.held_out_words} examples, with its 95 % interval")]
    for index, (name, value, bounds) in enumerate(lines):
        line = Text(f"  {name:{width}}   ")
        line.append(number(value), style="" if index else "bold")
        texts.append(line.append(f"  {interval(bounds)}"))
    if difference is not None and tested:
        texts += _difference(difference, f"  {'difference':{width}}")
    return texts


def _ladder(report: Report) -> list[RenderableType]:
    """Simpler models on the same rows and the mixture of all, with what each costs."""
    if len(report.ladder) < 2:
        return []
    metric = report.training.best.metric
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("from the simplest", no_wrap=True)
    table.add_column(metric, justify="right", no_wrap=True)
    table.add_column("95 %", justify="right", no_wrap=True, style="dim")
    table.add_column("made in", justify="right", no_wrap=True)
    table.add_column("texts/s", justify="right", no_wrap=True)
    for rung in report.ladder:
        if rung.omitted is None:
            table.add_row(
                rung.title,
                number(rung.metrics[report.held_out][metric]),
                interval(rung.intervals[report.held_out][metric]),
                "-" if rung.seconds is None else duration(rung.seconds),
                "-" if rung.texts_per_second is None else f"{rung.texts_per_second:,.0f}",
                style="bold" if rung.name == "fine_tuned" else "",
            )
    left_out = [Text(f"no {each.title}: {each.omitted}", style="dim") for each in report.ladder if each.omitted]
    mixture = [
        Text(f"RUN:stack, the mixture, is better than its best part on {report.decided_on} rows.")
        for each in report.ladder
        if each.better
    ]
    return [table, *left_out, *mixture, Text()]


def _difference(difference: Difference, name: str) -> list[Text]:
    units = "rows" if difference.clusters is None else "clusters"
    count = difference.rows if difference.clusters is None else difference.clusters
    figures = Text(
        f"{name}  {signed(difference.value)}  {signed_interval(difference.interval)}, {p_equals(difference.p_value)}"
    )
    words, style = VERDICTS[verdict(difference)]
    said = Text(f"  {words}", style=style).append(f" (paired bootstrap, {count:,} {units})", style="default")
    return [figures, said]


def _metrics(
    metrics: Mapping[str, Metrics],
    intervals: Mapping[str, Intervals],
    baseline: BaselineScores | None,
    *,
    chosen: str,
) -> Table:
    names = list(next(iter(metrics.values())))
    again = _same_as_accuracy(names)
    names = [name for name in names if name != again or name == chosen]
    # The long names of multilabel metrics, two splits and a baseline just fit 80 columns with one space between.
    gap = 1 if max(map(len, names)) > _NAME_WIDTH else 2
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    table.add_column("metric", no_wrap=True)
    for split in metrics:
        table.add_column(split, justify="right", no_wrap=True)
        table.add_column("95 %", justify="right", no_wrap=True, style="dim")
    if baseline is not None:
        table.add_column("baseline", justify="right", no_wrap=True)
    for name in names:
        cells = [Text(name)]
        for split, values in metrics.items():
            cells += [Text(number(values[name])), Text(interval(intervals[split][name]))]
        if baseline is not None:
            cells.append(Text(number(next(iter(baseline.metrics.values())).get(name))))
        table.add_row(*cells)
    return table


def _same_as_accuracy(names: Collection[str]) -> str:
    """The metric that is the accuracy by definition: of several labels in a row that of whole sets, of one micro-F1."""
    return "subset_accuracy" if "subset_accuracy" in names else "f1_micro"


def _notes(metrics: Metrics, positive: str | None) -> list[Text]:
    notes = [f"{_same_as_accuracy(metrics)} is the accuracy here, by definition"]
    if positive is not None:
        notes.append(f"precision, recall, f1, roc_auc and average_precision are about {_line(positive)!r}")
    if any(value is None for value in metrics.values()):
        notes.append("-: undefined, the gold labels of these rows are all alike")
    return [Text(note, style="dim") for note in notes]


def _decision(report: Report) -> list[Text]:
    """What tuning on validation changed, beside what the default would give."""
    decided, plain = report.decision, report.metrics_at_default
    if decided is None or plain is None:
        return []
    lines = [Text(), Text("Decision, tuned on validation", style="bold")]
    for name, difference in (decided.difference or {}).items():
        lines.append(
            Text(
                f"  {name:<9} {number(plain[report.held_out][name])} at one half, "
                f"{number(report.metrics[report.held_out][name])} at the tuned thresholds: {signed(difference.value)}"
            )
        )
        sure = f"{signed_interval(difference.interval)}, {p_equals(difference.p_value)}"
        lines.append(Text(f"  {'':<9} {sure}", style="dim"))
    if decided.temperature != 1:
        shift = f", shift {signed(decided.shift)}" if decided.shift else ""
        lines.append(Text(f"  temperature {number(decided.temperature)}{shift}"))
    if decided.calibration_error is not None:
        error = decided.calibration_error
        text = f"  expected calibration error {number(error.before)}, {number(error.after)} after"
        lines.append(Text(text if decided.temperature != 1 else text.partition(",")[0]))
    if decided.shared:
        lines.append(Text(f"  {len(decided.shared)} labels with few validation rows have the threshold that suits all"))
    if decided.unreachable:
        names = textwrap.shorten(", ".join(map(_line, decided.unreachable)), _EXAMPLE_WIDTH, placeholder=" ...")
        lines.append(Text(f"  not precise enough at any threshold: {names}", style="yellow"))
    return lines


def _training(report: Report) -> list[Text]:
    training = report.training
    rate = f"{training.examples_per_second:,.1f} examples/s, {training.tokens_per_second:,.0f} tokens/s"
    lines = [
        f"{training.steps:,} steps, {training.epochs:.3g} epochs in {duration(training.seconds)}: {rate}",
        _chosen(report)
        + (", stopped early" if training.stopped_early else "")
        + (", resumed" if training.resumed else ""),
    ]
    if training.peak_memory_bytes is not None:
        said = training.estimate.peak_memory_bytes if training.estimate else None
        lines.append(
            f"peak memory {disk.size(training.peak_memory_bytes)}" + (f", estimated {disk.size(said)}" if said else "")
        )
    if report.diagnosis is not None and not report.run.smoke:
        spikes = textwrap.wrap(_spikes(report.diagnosis.spikes), _ADVICE_WIDTH)
        return [*map(Text, lines), *_diagnosis(report), *map(Text, spikes)]
    return [Text(line) for line in lines]


def _chosen(report: Report) -> str:
    best = report.training.best
    if report.cross_validation is not None:
        return "of all rows, for the median of the folds' best steps"
    return f"best step {best.step:,}: {best.metric} {number(best.value)} on validation"


def _pairs(report: Report) -> list[Text]:
    found = contrastive_line.sentence(report)
    return [] if found is None else [Text(line) for line in textwrap.wrap(found, _ADVICE_WIDTH)]


def _diagnosis(report: Report) -> list[Text]:
    """Whether the training was too long or too short."""
    if report.diagnosis is None or report.run.smoke:
        return []
    return [Text(line) for line in textwrap.wrap(report.diagnosis.sentence, _ADVICE_WIDTH)]


def _spikes(found: Sequence[Spike]) -> str:
    """Nothing where there are none."""
    if not found:
        return ""
    named = ", ".join(f"{spike.step:,} ({spike.norm:.2f})" for spike in found[:_SPIKES])
    more = f" and {len(found) - _SPIKES} more" if len(found) > _SPIKES else ""
    return f"gradient-norm spikes at step {named}{more}"


def _short_warning(check: Check) -> Text:
    return Text("warning ", style="yellow").append(f"{check.name}: {check.count:,}, see the page", style="default")


def _warning(check: Check) -> Text:
    text = Text("warning ", style="yellow")
    text.append(f"{check.name}: {check.count:,}", style="default")
    for example in check.examples[:_EXAMPLES]:
        text.append(f"\n  {textwrap.shorten(_line(example), _EXAMPLE_WIDTH, placeholder=' ...')}", style="dim")
    advice = textwrap.fill(check.advice, _ADVICE_WIDTH, initial_indent="  ", subsequent_indent="  ")
    return text.append(f"\n{advice}", style="default")


def _line(text: str) -> str:
    """On one line and without what steers a terminal, whatever the data holds."""
    return on_one_line(" ".join(text.split()))


def _tail(checkpoint: str) -> str:
    """The end of a long path, which says more than its beginning."""
    return checkpoint if len(checkpoint) <= _CHECKPOINT_WIDTH else f"...{checkpoint[3 - _CHECKPOINT_WIDTH :]}"

"""What a person sees of `ftcls data`: plain text that reads well at 80 columns."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.data.corpus import Check
from ftcls.environment.figures_as_text import number
from ftcls.errors import on_one_line

if TYPE_CHECKING:
    from ftcls.data.summary import Leaking, Overview, Profile, Shared, SplitProfile

_WIDTH = 78
_COUNTS = 5
"""Most numbers of labels in a row that have a column of their own."""
_LABELS = 30
"""Most labels shown one by one."""
_LABEL_WIDTH = 24
_BAR = 20
_EXAMPLES = 3


def profile(found: "Profile") -> RenderableType:
    """Splits, lengths, labels, equal texts, findings."""
    title = Text(found.name, style="bold")
    title.append(f"  {found.source}: {found.task}, {len(found.labels)} labels", style="not bold")
    parts: list[RenderableType] = [title, Text(), _splits(found.used.splits), Text(), *_lengths(found), Text()]
    parts += [
        *_labels(found),
        Text(),
        *_weights(found),
        *_groups(found),
        *_votes(found),
        *_texts(found.used, "Equal texts"),
    ]
    if found.given.splits.keys() != found.used.splits.keys():
        parts += [Text(), *_texts(found.given, "The same rows in the splits of the source")]
    parts += [Text(), *_leaks(found.leaks)]
    for check in found.checks:
        parts += [Text(), _check(check)]
    return Group(*parts)


def _table(*columns: str) -> Table:
    """The first column is a name, the others are figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        justify = "right" if index else "left"
        table.add_column(column, justify=justify, no_wrap=True, overflow="ellipsis", max_width=_LABEL_WIDTH)  # type: ignore[arg-type]
    return table


def _splits(splits: "Mapping[str, SplitProfile]") -> Table:
    counts = sorted({count for split in splits.values() for count in split.labels_per_row})
    shown = [] if counts == [1] else counts[:_COUNTS]
    more = len(counts) > _COUNTS
    columns = [*(f"{count} label" if count == 1 else f"{count}" for count in shown), *(["more"] if more else [])]
    table = _table("split", "examples", "empty", *columns)
    table.add_column("", no_wrap=True)
    for name, split in splits.items():
        rows = split.labels_per_row
        cells = [split.examples, split.empty, *(rows[count] if count in rows else 0 for count in shown)]
        if more:
            cells.append(sum(n for count, n in rows.items() if count not in shown))
        table.add_row(name, *(f"{cell:,}" for cell in cells), "" if split.origin == name else split.origin)
    return table


def _lengths(found: "Profile") -> Iterator[RenderableType]:
    what = f"tokens of {found.checkpoint}" if found.unit == "tokens" else "words (the tokenizer cannot be had)"
    yield Text(f"Length in {what}", style="bold", overflow="fold")
    table = _table("split", "p50", "p95", "p99", "max", f"over {found.max_length}", "share")
    for name, split in found.used.splits.items():
        lengths = (split.lengths.p50, split.lengths.p95, split.lengths.p99, split.lengths.max, split.truncated)
        table.add_row(name, *(f"{cell:,}" for cell in lengths), f"{split.truncated / split.examples:.1%}")
    yield table
    if found.unit == "words":
        yield Text("A text has more tokens than words: more of them are cut than stands here.", style="yellow")


def _labels(found: "Profile") -> Iterator[RenderableType]:
    splits = found.used.splits
    train = splits["train"].label_counts
    names = sorted(found.labels, key=lambda label: -train[label])
    left_out = len(names) - _LABELS
    if left_out > 0:
        names = [*names[: _LABELS // 2], *names[-_LABELS // 2 :]]
    note = f", the {_LABELS // 2} most and the {_LABELS // 2} least frequent of {len(train)}" if left_out > 0 else ""
    yield Text(f"Rows by label{note}", style="bold")
    table = _table("label", *splits)
    table.add_column("share of train", no_wrap=True)
    for name in names:
        share = train[name] / splits["train"].examples
        bar = "#" * round(_BAR * share)
        positive = " (positive)" if name == found.positive_label else ""
        counts = (f"{split.label_counts[name]:,}" for split in splits.values())
        table.add_row(Text(on_one_line(" ".join(name.split())) + positive), *counts, f"{share:6.1%} {bar}")
    yield table


def _weights(found: "Profile") -> Iterator[RenderableType]:
    if found.weight is None:
        return
    yield Text(f"Rows count by {found.weight}", style="bold")
    table = _table("split", "examples", "lowest", "highest", "as many of equal weight")
    for name, split in found.used.splits.items():
        weights = split.weights
        cells = ("all the same", "", "") if weights is None else (f"{weights.min:g}", f"{weights.max:g}")
        equal = [] if weights is None else [f"{weights.effective_rows:,.0f}"]
        table.add_row(name, f"{split.examples:,}", *cells, *equal)
    yield table
    yield Text()


def _groups(found: "Profile") -> Iterator[RenderableType]:
    splits = {name: split for name, split in found.used.splits.items() if split.groups is not None}
    if not splits:
        return
    column = "" if found.group is None else f", by column {on_one_line(found.group)}"
    yield Text(f"Groups of rows that stay together{column}", style="bold")
    table = _table("split", "examples", "groups", "examples each")
    for name, split in splits.items():
        groups = split.groups or 1
        table.add_row(name, f"{split.examples:,}", f"{groups:,}", f"{split.examples / groups:.1f}")
    yield table
    yield Text()


def _votes(found: "Profile") -> Iterator[RenderableType]:
    splits = {name: split.votes for name, split in found.used.splits.items() if split.votes is not None}
    if not splits:
        return
    yield Text("Votes of annotators, and how far they agree", style="bold")
    table = _table("split", "examples", "votes", "one vote", "ties", "Krippendorff's alpha")
    for name, votes in splits.items():
        count = sum(each * rows for each, rows in votes.votes_per_row.items())
        single = votes.votes_per_row[1] if 1 in votes.votes_per_row else 0
        alpha = number(votes.alpha, 3)
        table.add_row(name, *(f"{each:,}" for each in (votes.rows, count, single, votes.ties)), alpha)
    yield table
    yield Text()


def _texts(overview: "Overview", title: str) -> Iterator[RenderableType]:
    yield Text(title, style="bold")
    table = _table("split", "examples", "repeats", "with other labels")
    for name, split in overview.splits.items():
        cells = (split.examples, split.duplicates, split.duplicates_with_other_labels)
        table.add_row(name, *(f"{cell:,}" for cell in cells))
    yield table
    if not overview.shared:
        yield Text("no text is in two splits")
    for shared in overview.shared:
        yield _shared(shared)


def _shared(shared: "Shared") -> Text:
    texts = "1 text is" if shared.texts == 1 else f"{shared.texts:,} texts are"
    text = Text(f"{texts} in {shared.first} and in {shared.second} ({shared.rows:,} of its rows)", style="yellow")
    return text.append(f", {shared.with_other_labels:,} with other labels" if shared.with_other_labels else "")


def _leaks(found: "Mapping[str, Leaking]") -> Iterator[RenderableType]:
    yield Text("Rows whose text is in an earlier split", style="bold")
    table = _table("split", "examples", "equal", "nearly equal", "share")
    for name, split in found.items():
        share = (split.equal + split.near) / split.examples
        table.add_row(name, f"{split.examples:,}", f"{split.equal:,}", f"{split.near:,}", f"{share:.1%}")
    yield table


def _check(check: Check) -> Text:
    style = "yellow" if check.severity == "warning" else "default"
    text = Text(f"{check.severity} ", style=style)
    text.append(f"{check.name}: {check.count:,}", style="default")
    for example in check.examples[:_EXAMPLES]:
        text.append(f"\n  {textwrap.shorten(' '.join(example.split()), _WIDTH - 2, placeholder=' ...')}", style="dim")
    return text.append(f"\n{textwrap.fill(check.advice, _WIDTH, initial_indent='  ', subsequent_indent='  ')}")

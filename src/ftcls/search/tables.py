"""A sweep's results for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.search.results import Results, Score, ranked


def summary(found: Results, *, most: int) -> RenderableType:
    """The best settings with their scores, in 80 columns where names allow."""
    order = ranked(found)
    several = any(len(cell.seeds) > 1 for cell in order)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    axes = list(order[0].choices) if order else []
    for axis in axes:
        table.add_column(axis.split(".")[-1], overflow="fold", max_width=30)
    for head in ["seeds"] * several + ["validation", "test", "95 %"]:
        table.add_column(head, justify="right", no_wrap=True)
    for cell in order[:most]:
        validation, test = (cell.scores[split][found.metric] for split in ("validation", "test"))
        seeds = [str(len(cell.seeds))] * several
        table.add_row(*map(Text, cell.choices.values()), *seeds, value(validation), value(test), interval(test))
    states = [row.state for row in found.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    lines: list[RenderableType] = [Text(f"{found.sweep}: {found.metric}, {counts}", style="bold"), Text(), table]
    if len(order) > most:
        lines.append(Text(f"and {len(order) - most} more settings in results.csv", style="dim"))
    return Group(*lines, Text())


def value(score: Score) -> str:
    """A score with four digits."""
    return "-" if score.value is None else f"{score.value:.4f}"


def interval(score: Score) -> str:
    """Its interval."""
    return "-" if score.interval is None else f"{score.interval[0]:.4f}-{score.interval[1]:.4f}"

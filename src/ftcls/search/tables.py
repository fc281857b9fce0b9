"""A sweep's results for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.environment.figures_as_text import interval, number, setting
from ftcls.search.results import Results, ranked


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
        choices = [Text(setting(label)) for label in cell.choices.values()]
        table.add_row(*choices, *seeds, number(validation.value), number(test.value), interval(test.interval))
    states = [row.state for row in found.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    lines: list[RenderableType] = [Text(f"{found.sweep}: {found.metric}, {counts}", style="bold"), Text(), table]
    if several and len({len(cell.seeds) for cell in order}) > 1:
        lines.append(Text("settings that lack seeds stand behind the others, and are not chosen from", style="dim"))
    if len(order) > most:
        lines.append(Text(f"and {len(order) - most} more settings in results.csv", style="dim"))
    return Group(*lines, Text())

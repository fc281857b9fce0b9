"""Which share of the rows of each group got each label, with intervals."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ftcls.environment.files import write_text
from ftcls.errors import DataError
from ftcls.prediction import csv_table
from ftcls.scoring.wilson import wilson

MOST_GROUPS: Final = 10_000
"""More groups than that are no groups but an id, and would not fit into memory for ever."""
NO_LABEL: Final = ""
"""Stands for rows without a label: none applied, or the model abstained."""


@dataclass(frozen=True)
class Share:
    """How many rows of a group got a label."""

    column: str
    group: str
    label: str
    """`NO_LABEL` for rows without one."""
    count: int
    rows: int
    """Of the group, those that could be read."""
    share: float
    low: float
    high: float
    """Wilson's 95 % interval of the share, as if the rows were drawn at random and their labels were right."""


@dataclass
class Tally:
    """What is counted while rows go by; `document` and `restored` carry it over an interruption."""

    labels: tuple[str, ...]
    by: tuple[str, ...] = ()
    """The columns whose values are groups."""
    counts: Counter[str] = field(default_factory=Counter)
    """Rows of each label."""
    without: int = 0
    """Rows that were read and got no label."""
    empty: int = 0
    bad: int = 0
    problems: list[str] = field(default_factory=list)
    """The first bad rows."""
    groups: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    """Rows by column, group and label; under `ROWS` those of the group."""

    def add(self, row: Mapping[str, Any], labels: Sequence[str]) -> None:
        """Count one row with its labels.

        Raises:
            DataError: a column has more than `MOST_GROUPS` different values.
        """
        self.counts.update(labels)
        self.without += not labels
        for column in self.by:
            groups = self.groups.setdefault(column, {})
            value = row.get(column)
            group = "" if value is None else str(value)
            if group not in groups:
                if len(groups) == MOST_GROUPS:
                    raise DataError(
                        f"--by {column}: more than {MOST_GROUPS:,} different values; name a column that groups rows"
                    )
                groups[group] = Counter()
            groups[group].update([*(labels or [NO_LABEL]), _ROWS])

    def document(self) -> dict[str, Any]:
        """All counts, as JSON holds them."""
        return {
            "counts": dict(self.counts),
            "without": self.without,
            "empty": self.empty,
            "bad": self.bad,
            "problems": list(self.problems),
            "groups": {
                column: {group: dict(counts) for group, counts in groups.items()}
                for column, groups in self.groups.items()
            },
        }

    def restore(self, document: Mapping[str, Any]) -> None:
        """Go on from the counts of `document`."""
        self.counts = Counter(document["counts"])
        self.without, self.empty, self.bad = document["without"], document["empty"], document["bad"]
        self.problems = list(document["problems"])
        self.groups = {
            column: {group: Counter(counts) for group, counts in groups.items()}
            for column, groups in document["groups"].items()
        }

    def shares(self) -> list[Share]:
        """The share of every label, and of no label where that occurs, in every group."""
        found = []
        for column in self.by:
            groups = self.groups[column] if column in self.groups else {}
            labels = [*self.labels, *([NO_LABEL] if any(NO_LABEL in each for each in groups.values()) else [])]
            for group in in_order(groups):
                rows = groups[group][_ROWS]
                found += [_share(column, group, label, groups[group][label], rows) for label in labels]
        return found


# No label can be that: names with a NUL are refused by every format that labels are read from.
_ROWS: Final = "\0rows"


def _share(column: str, group: str, label: str, count: int, rows: int) -> Share:
    low, high = wilson(count / rows, rows)
    return Share(column, group, label, count, rows, count / rows, low, high)


def in_order(groups: Iterable[str]) -> list[str]:
    """Groups as a person would sort them: by number where all are numbers, else as texts (dates as 2026-01-31 too)."""
    found = list(groups)
    try:
        return sorted(found, key=float)
    except ValueError:
        return sorted(found)


def write(shares: Sequence[Share], path: Path, *, safe_cells: bool = False) -> None:
    """Write shares as a CSV, whole or not at all."""
    file = io.StringIO()
    table = csv_table.writer(file)
    table = csv_table.Safe(table) if safe_cells else table
    table.writerow(["column", "group", "label", "count", "rows", "share", "low", "high"])
    table.writerows(
        [s.column, s.group, s.label, s.count, s.rows, f"{s.share:.6f}", f"{s.low:.6f}", f"{s.high:.6f}"] for s in shares
    )
    write_text(path, file.getvalue())

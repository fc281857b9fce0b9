"""What report.json says of the data of a run."""

from dataclasses import dataclass

from ftcls.data.corpus import Check
from ftcls.data.summary import Votes, Weights
from ftcls.data.texts import TextColumns
from ftcls.scoring.decision import Task


@dataclass(frozen=True)
class TokenLengths:
    """Tokens per text, special tokens included, before truncation."""

    p50: int
    p95: int
    max: int


@dataclass(frozen=True)
class Split:
    """One split."""

    examples: int
    label_counts: dict[str, int]
    tokens: TokenLengths
    truncated: int
    """Texts that were longer than model.max_length."""
    origin: str
    """Where its rows come from, such as ``test`` or ``cut from train``."""
    weights: Weights | None = None
    """How much its rows count; None: all the same."""
    votes: Votes | None = None
    """Its annotators; None: nobody voted."""
    groups: int | None = None
    """How many groups its rows are of, which intervals draw whole; None: rows are independent."""


@dataclass(frozen=True)
class Data:
    """The data as it was used."""

    source: str
    fingerprint: str
    task: Task
    labels: tuple[str, ...]
    positive_label: str | None
    splits: dict[str, Split]
    checks: tuple[Check, ...]
    versions: dict[str, str]
    text: TextColumns | None = None
    """The columns that a text was made of, or the first and the second text of a pair; None: of an older run."""
    weight: str | None = None
    """The column of the rows' weights; None: all count the same."""
    group: str | None = None
    """The column of what rows belong to; None: there is none."""
    soft: bool = False
    """Whether models learnt how probable labels are, or their shares of the votes, in place of labels."""

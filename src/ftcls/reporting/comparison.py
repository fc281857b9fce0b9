"""What a comparison of models says."""

from dataclasses import dataclass

from ftcls.scoring.differences import Difference
from ftcls.scoring.significance import McNemar
from ftcls.scoring.wilson import Interval


@dataclass(frozen=True)
class Contender:
    """One row: a run, runs that differ in their seed alone, or the simple model beside a run."""

    name: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    parameters: int | None
    size_bytes: int | None
    training_seconds: float | None
    """Mean over the seeds, like the other costs."""
    examples_per_second: float | None
    peak_memory_bytes: int | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    metrics: dict[str, float | None]
    """Mean over the seeds."""
    intervals: dict[str, Interval | None]
    """95 %, over rows; of several seeds over rows and seeds, for the compared metric alone."""
    texts_per_second: float | None
    """Scoring the validation and test rows, many at a time; what all models of a ladder have."""
    spread: dict[str, tuple[float, float, float]]
    """Of several seeds: standard deviation, lowest and highest of each metric."""


@dataclass(frozen=True)
class Pair:
    """Two contenders on the same rows."""

    first: str
    second: str
    difference: Difference
    """First minus second; of several seeds over rows and seeds."""
    corrected_p_value: float
    """Holm's, over all pairs."""
    mcnemar: McNemar | None
    """On rows that are right (several labels: right in all of them); None where a side has several seeds."""
    mcnemar_corrected_p_value: float | None
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Everything that is said about some contenders."""

    metric: str
    split: str
    rows: int
    clusters: int | None
    contenders: tuple[Contender, ...]
    """Best first."""
    pairs: tuple[Pair, ...]
    reference: Contender | None = None
    """The linear baseline of the first run, where it is no contender: shown beside them, not tested."""
    schema_version: int = 1

"""What report.json says of how fast a model answers, and of its arithmetic."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one text."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Speed:
    """How fast the trained model answers, one text at a time, tokenizing included, in the precision of the run."""

    latency_ms: Latency
    texts: int
    device: str
    threads: int


@dataclass(frozen=True)
class PrecisionAgreement:
    """How far the arithmetic that a run is scored in is from float32, on validation texts computed in both."""

    precision: str
    """bf16 or fp16."""
    texts: int
    same_labels: float
    """Share of the texts that float32 gives the same labels."""
    largest_difference: float
    """Of a probability."""

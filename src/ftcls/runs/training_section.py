"""The section ``training`` of report.json."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Best:
    """The evaluation that was best."""

    step: int
    metric: str
    value: float | None


@dataclass(frozen=True)
class LowestLoss:
    """The lowest logged training loss."""

    value: float | None
    step: int


@dataclass(frozen=True)
class Losses:
    """The training loss, as logged."""

    first: float | None
    last: float | None
    min: LowestLoss


@dataclass(frozen=True)
class Estimate:
    """What was said before the weights were loaded; None where it could not be told."""

    peak_memory_bytes: int | None
    seconds: float | None
    """Of all planned steps, as `Training.seconds` counts them."""


@dataclass(frozen=True)
class Contrastive:
    """What the encoder learnt of pairs of texts, before the steps that `Training` counts."""

    texts: int
    """Label names counted in."""
    label_names: int
    """Labels whose names were texts too."""
    steps: int
    pairs: int
    """Compared, over all steps."""
    pairs_of_one_label: int
    """Of these, those that share a label."""
    first_loss: float
    """Mean over the first pass of the texts."""
    last_loss: float
    """Mean over the last pass."""
    strength: float
    """Inverse strength C of the regularization of the regression that the output layer started as."""
    seconds: float


@dataclass(frozen=True)
class Training:
    """How training went."""

    epochs: float
    steps: int
    micro_batches: int
    batch_size: int
    token_budget: int
    best: Best
    loss: Losses
    evaluations: tuple[dict[str, float | None], ...]
    """step, epoch, loss and every metric of the validation split."""
    seconds: float
    examples_per_second: float
    tokens_per_second: float
    peak_memory_bytes: int | None
    stopped_early: bool
    resumed: bool
    estimate: Estimate | None = None
    contrastive: Contrastive | None = None
    """None: the encoder started as its checkpoint."""

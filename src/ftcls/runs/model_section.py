"""What report.json says of the model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Adapter:
    """The updates that were trained in place of all weights."""

    kind: str
    r: int
    alpha: int
    dropout: float
    target_modules: tuple[str, ...]
    """Last part of the names of the layers that were updated."""
    heads: tuple[str, ...]
    """Modules that were trained in full."""
    rslora: bool
    dora: bool
    merged: bool
    """Whether model/ is a plain checkpoint."""
    reload_difference: float | None
    """Largest difference between the logits of model/, read back from disk, and those of the model that was saved."""


@dataclass(frozen=True)
class Pooling:
    """How one vector was made of a text's tokens."""

    kind: str
    """cls, mean, attention or last."""
    reason: str


@dataclass(frozen=True)
class Windows:
    """How texts that are longer than a window are read."""

    size: int
    """Tokens of a window."""
    stride: int
    """Tokens that it shares with the one before it."""
    pool: str
    """mean, max, attention or logits_mean."""


@dataclass(frozen=True)
class Model:
    """The model as it was trained."""

    checkpoint: str
    architecture: str
    parameters: int
    trainable_parameters: int
    size_bytes: int
    adapter: Adapter | None
    """None: all weights were trained."""
    quantization: str | None
    max_length: int
    new_parameters: tuple[str, ...]
    """Weights that the checkpoint did not hold, or that start anew."""
    pooling: Pooling | None = None
    """None: a run of an earlier version."""
    own_code: bool = False
    """Whether Python code that came with the checkpoint ran, and is kept with the model."""
    revision: str | None = None
    """The commit of a checkpoint that came from the Hub."""
    digest: str | None = None
    """The sha256 of the weights of a checkpoint in a folder or a package; of several files that of their sums."""
    windows: Windows | None = None
    """None: a text is read as one."""

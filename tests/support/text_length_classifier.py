"""A classifier for the server's tests: it says how long a text is."""

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

from ftcls.scoring.decision import Decision
from ftcls.serving.guard import Limits

TOKEN = "a token of sixteen characters"


LIMITS = Limits(
    characters=1_000, texts=8, rows=50, body_bytes=20_000, waiting=150, together=4, delay=0.001, timeout=5.0
)


@dataclass(frozen=True)
class Prediction:
    labels: tuple[str, ...]
    probabilities: dict[str, float]
    tokens: int
    truncated: bool


@dataclass(eq=False)
class Lengths:
    """Says "long" of texts with more than five characters; notes its batches, and waits where it is told to."""

    labels: tuple[str, ...] = ("short", "long")
    task: str = "binary"
    precision: str = "fp32"
    decision: Decision = field(default_factory=lambda: Decision(None, 1.0))
    settings: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(positive_label="long", max_length=12, truncation="head", windows=None)
    )
    batches: list[int] = field(default_factory=list)
    may_go: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.may_go.set()

    def for_another_thread(self):
        return self

    def fingerprint(self):
        return "lengths"

    def classify(self, texts):
        self.may_go.wait(10)
        self.batches.append(len(texts))
        if "fail" in texts:
            raise RuntimeError("a bug")
        return [self.one(text) for text in texts]

    def one(self, text):
        share = min(len(text) / 10, 1.0)
        found = dict(zip(self.labels, (1 - share, share), strict=True))
        return Prediction((self.labels[int(len(text) > 5)],), found, len(text), len(text) > 12)

"""How long a trained model takes for one text, tokenizing included."""

import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from ftcls.inference.classifier import Classifier
from ftcls.runs.speed_section import Latency, Speed

TEXTS: Final = 50
WARM_UP: Final = 5


def measure(trained: Classifier, texts: Sequence[str]) -> Speed | None:
    """Milliseconds per text, one text at a time, over up to 50 of these after five to warm up; None without texts."""
    chosen = texts[: TEXTS + WARM_UP]
    if not chosen:
        return None
    seconds = []
    for text in chosen:
        started = time.perf_counter()
        trained.predict_proba([text])
        seconds.append(time.perf_counter() - started)
    counted = seconds[WARM_UP:] or seconds
    p50, p95 = (float(value) * 1000 for value in np.percentile(counted, (50, 95)))
    return Speed(Latency(p50, p95), texts=len(counted), device=trained.backend.device, threads=torch.get_num_threads())

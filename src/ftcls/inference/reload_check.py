"""A few texts and their logits, kept beside an adapter: whoever loads it sees whether it is the model that was saved.

An adapter is worth nothing without the very weights that it was trained on, and those lie elsewhere: a head that came
back at random, another revision of the base or a layer that was missed give a model that runs and answers nonsense.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ftcls.environment import json_files
from ftcls.environment.figures_as_text import significant
from ftcls.environment.files import write_json
from ftcls.errors import DataError, UnavailableError
from ftcls.inference import forward
from ftcls.model.padding import Side
from ftcls.model.tokenize import Encoded
from ftcls.model.windows import Windows

FILE: Final = "probe.json"
ROWS: Final = 4
WINDOWS: Final = 3
"""Of a text that is read in windows, as many as make its answer depend on how they are joined."""
# Of the largest logit. Reloading in float32 changes the sixth digit; a lost head or another base the first.
TOLERANCE: Final = 1e-3
# Quantized layers compute in bfloat16, which devices round in different orders; int8 ones quantize their inputs too.
TOLERANCE_QUANTIZED: Final = 0.05


@dataclass(frozen=True)
class Probe:
    """Token ids of some texts, and the logits that the model gave for them when it was saved."""

    input_ids: tuple[tuple[int, ...], ...]
    logits: tuple[tuple[float, ...], ...]
    """[rows][k], float32."""
    tolerance: float = TOLERANCE
    """Largest difference that is the same model, as a share of the largest logit or of 1."""
    padding_side: Side = "right"


def take(model: PreTrainedModel, encoded: Encoded, *, tolerance: float = TOLERANCE) -> Probe:
    """Logits of a few of the texts, in the weights' own arithmetic even while training runs under autocast."""
    rows = np.unique(np.linspace(0, len(encoded) - 1, ROWS).astype(np.int64))
    windows = encoded.windows
    most = None if windows is None else WINDOWS * windows.size
    texts = [encoded.row(int(row))[:most] for row in rows]
    return Probe(
        input_ids=tuple(tuple(map(int, ids)) for ids in texts),
        logits=tuple(tuple(map(float, row)) for row in _logits(model, texts, encoded.padding_side, windows)),
        padding_side=encoded.padding_side,
        tolerance=tolerance,
    )


def difference(model: PreTrainedModel, probe: Probe, windows: Windows | None = None) -> float:
    """The largest absolute difference between the model's logits and those of the probe; see `check`."""
    texts = [np.array(ids, dtype=np.int32) for ids in probe.input_ids]
    found = _logits(model, texts, probe.padding_side, windows)
    return float(np.abs(found - np.array(probe.logits)).max())


def check(model: PreTrainedModel, folder: Path, windows: Windows | None = None) -> float | None:
    """How far a model that was just loaded is from what was saved; None where nothing was kept to tell.

    Args:
        model: on its device; if it reads windows, `documents.attach` was done to it.
        folder: that it was loaded from.
        windows: that it reads.

    Raises:
        UnavailableError: it is another model.
        DataError: the file is not what `save` writes.
    """
    probe = load(folder)
    if probe is None:
        return None
    found = difference(model, probe, windows)
    largest = max(1.0, float(np.abs(probe.logits).max()))
    if not found <= probe.tolerance * largest:  # so that NaN is a difference
        away, allowed = significant(found, 3), significant(probe.tolerance * largest, 3)
        raise UnavailableError(
            f"{folder}: loaded back, it gives logits up to {away} away from those it was saved with (allowed: "
            f"{allowed}). The weights it was trained on have changed or are not the ones that "
            "were found; train with adapter.merge=true to keep them together"
        )
    return found


def save(probe: Probe, folder: Path) -> None:
    """Write it beside the weights."""
    write_json(folder / FILE, {"schema_version": 1, **asdict(probe)})


def load(folder: Path) -> Probe | None:
    """Read what `save` wrote; None where there is none.

    Raises:
        DataError: the file is not what `save` writes.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        stored = json_files.value(path)
        del stored["schema_version"]
        stored["tolerance"] = float(stored["tolerance"])
        texts, logits = (tuple(map(tuple, stored.pop(name))) for name in ("input_ids", "logits"))
        return Probe(texts, logits, **stored)
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise DataError(f"{path}: not written by this version of ftcls: {error}") from error


def _logits(
    model: PreTrainedModel, texts: list[NDArray[np.int32]], side: Side, windows: Windows | None
) -> NDArray[np.float32]:
    """Logits of token ids as they are; in windows without special tokens of their own, which are pooled like others."""
    lengths = np.array([len(ids) for ids in texts], dtype=np.int64)
    encoded = Encoded(
        ids=np.concatenate(texts),
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        full_lengths=lengths.astype(np.int32),
        padding_side=side,
        windows=windows,
    )
    with _unwrapped(model):
        return forward.logits(model, encoded, token_budget=int(lengths.max()) * len(texts), alone=True)


@contextlib.contextmanager
def _unwrapped(model: PreTrainedModel) -> Iterator[None]:
    """Without the autocast that accelerate puts around ``forward`` of the model it trains."""
    patched = model.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if patched is not None:
            model.__dict__["forward"] = patched

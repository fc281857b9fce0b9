"""What ftcls does with the checkpoints that people name, small and untrained: one row of a table each.

    python verify/checkpoints.py [NAME ...] [--short] [--markdown]

Each is trained for six steps, stopped at the fifth and continued, asked for a text alone and beside others, loaded by
plain transformers and written as an ONNX graph. A checkpoint may be refused, with a reason. Exit code 1 where a
training that was continued has other weights, probabilities depend on what is beside a text or on who computes them, or
anything is raised that is no `FtclsError`. `--markdown` prints the table of docs/checkpoints.md.
"""

import argparse
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from unittest.mock import patch

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import ftcls
import small_run
from ftcls.config.load import load
from ftcls.config.schema import Experiment
from ftcls.environment import devices
from ftcls.errors import FtclsError
from ftcls.inference.classifier import Classifier
from ftcls.training.trainer import Trainer
from small_checkpoints import ARCHITECTURES, Architecture

SHORT: Final = ("mpnet", "longformer", "canine", "byt5", "bart", "gpt_neox", "fnet", "lfm2")
TOLERANCE: Final = 1e-5
"""Between two probabilities of one text; float32 rounds to 1e-7."""
TEXTS: Final = ["fine warm film", "a dull one, and weak " * 3, "", "😀", "poor"]


@dataclass(frozen=True)
class Row:
    """What was seen of one checkpoint."""

    architecture: str
    refused: str | None = None
    """Why it is not trained."""
    steps: Literal["packed", "padded"] | None = None
    padding: Literal["left", "right"] | None = None
    pooling: str | None = None
    resumed: float | None = None
    """Largest difference of a weight between the training that was stopped and the one that was not."""
    alone: float | None = None
    """Largest difference of a probability between a text alone and beside others."""
    plain: float | None = None
    """Largest difference of a probability from that of plain transformers."""
    onnx: float | None = None
    """Largest difference of a logit; None: the graph was refused."""
    onnx_refused: str | None = None
    fault: str | None = None
    """What was raised and is no message to a user."""

    @property
    def wrong(self) -> bool:
        """Whether something is as it must not be."""
        differences = (self.resumed or 0, (self.alone or 0) - TOLERANCE, (self.plain or 0) - TOLERANCE)
        return self.fault is not None or max(differences) > 0

    def markdown(self) -> str:
        """The row of the table."""
        if self.refused is not None:
            return f"| {self.architecture} | refused: {self.refused} | | | | | |"
        graph = f"no: {self.onnx_refused}" if self.onnx is None else "yes"
        cells = (
            self.architecture,
            "yes",
            "same bytes" if self.resumed == 0 else f"{self.resumed:.1g}",
            self.steps,
            self.pooling,
            self.padding,
            graph,
        )
        return f"| {' | '.join(str(cell) for cell in cells)} |"


HEAD: Final = "| architecture | trained | resumed | steps | pooling | padding | ONNX |\n|" + " --- |" * 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Try each and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ARCHITECTURES))
    parser.add_argument("--short", action="store_true", help=", ".join(SHORT))
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args(arguments)
    names = given.names or (SHORT if given.short else tuple(ARCHITECTURES))
    if unknown := [name for name in names if name not in ARCHITECTURES]:
        parser.error(f"no such architecture: {', '.join(unknown)}")
    if given.markdown:
        print(HEAD)
    found = []
    for name in names:
        found.append(row(ARCHITECTURES[name]))
        print(found[-1].markdown() if given.markdown else found[-1], flush=True)
    wrong = [each.architecture for each in found if each.wrong]
    print(f"{len(found)} architectures, {sum(each.refused is not None for each in found)} refused, {len(wrong)} wrong"
          + (f": {', '.join(wrong)}" if wrong else ""), file=sys.stderr)  # fmt: skip
    return int(bool(wrong))


def row(architecture: Architecture, *, exported: bool = True) -> Row:
    """Everything that is tried with one architecture, with the ONNX graph or without."""
    devices.quiet()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about architectures that few use
        home = Path(name)
        with patch.dict(os.environ, {"FTCLS_CACHE": str(home / "cache")}):
            try:
                return _row(architecture, _experiment(home, architecture), home, exported=exported)
            except FtclsError as error:
                return Row(architecture.name, refused=_reason(error, home))
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                return Row(architecture.name, fault=f"{type(error).__name__}: {error}"[:500])


def _experiment(home: Path, architecture: Architecture) -> Experiment:
    small = small_run.experiment(home / "data")
    architecture.save(home / "checkpoint", TEXTS)
    keys = {
        "model.checkpoint": str(home / "checkpoint"),
        "model.max_length": 24,
        "training.max_steps": 6,
        "training.eval_steps": 2,
        "training.save_steps": 2,
        "report.ladder": [],
    }
    return load(small, keys)


def _row(architecture: Architecture, experiment: Experiment, home: Path, *, exported: bool) -> Row:
    with _log() as lines:
        run = ftcls.train(experiment, output=home / "whole")
    steps = next(line.split()[1].rstrip(":") for line in lines if line.startswith("steps "))
    weights = _weights(run.files.model)
    classifier = Classifier.from_pretrained(run.path)
    together = classifier.predict_proba(TEXTS)
    alone = np.concatenate([classifier.predict_proba([text]) for text in TEXTS])
    graph, refused = _graph(run.path, home) if exported else (None, None)
    return Row(
        architecture.name,
        steps=steps,  # type: ignore[arg-type]
        padding=classifier.tokenizer.padding_side,
        pooling=None if run.report.model.pooling is None else run.report.model.pooling.kind,
        resumed=_difference(weights, _continued(experiment, home)),
        alone=float(np.abs(together - alone).max()),
        plain=float(np.nanmax(np.abs(together - _plain(run.files.model, experiment)))),
        onnx=graph,
        onnx_refused=refused,
    )


class _Stopped(Exception):
    """Ends a training from inside, as a crash would."""


def _continued(experiment: Experiment, home: Path) -> dict[str, torch.Tensor]:
    """The weights of a training that stopped at its fifth step."""
    step = Trainer.training_step
    begun = 0

    def stop(self: Trainer, *given: Any, **named: Any) -> torch.Tensor:
        nonlocal begun
        begun += 1
        if begun == 5:
            raise _Stopped
        return step(self, *given, **named)

    place = home / "continued"
    with patch.object(Trainer, "training_step", stop), suppress(_Stopped):
        ftcls.train(experiment, output=place)
    return _weights(ftcls.train(experiment, output=place, resume=True).files.model)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def _difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    if one.keys() != other.keys():
        return float("inf")
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in one)


def _plain(folder: Path, experiment: Experiment) -> np.ndarray[Any, Any]:
    """Probabilities as transformers alone computes them, text by text; NaN where it cannot."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    found = []
    for text in TEXTS:
        inputs = tokenizer(text, truncation=True, max_length=experiment.model.max_length, return_tensors="pt")
        try:
            with torch.inference_mode():
                logits = model(**inputs).logits.double()
        except (IndexError, RuntimeError):  # CANINE, Funnel and decoders cannot compute an empty text
            found.append(np.full((1, model.config.num_labels), np.nan))
        else:
            found.append(torch.softmax(logits, dim=-1).numpy())
    return np.concatenate(found)


def _graph(run: Path, home: Path) -> tuple[float | None, str | None]:
    try:
        return ftcls.export(run, to="onnx", output=home / "onnx").agreement.max_logit_difference, None
    except FtclsError as error:
        return None, _reason(error, home)


def _reason(error: FtclsError, home: Path) -> str:
    """A message without the folder it is about."""
    first = str(error).replace(f"{home}/", "").splitlines()[0]
    return first.replace("|", "\\|")


@contextmanager
def _log() -> Iterator[list[str]]:
    """What ftcls says about how it trains."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("ftcls")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


if __name__ == "__main__":
    sys.exit(main())

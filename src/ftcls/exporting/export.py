"""A run for other places: an ONNX graph or plain weights, done only when it says what the run says."""

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import ftcls
from ftcls.config.load import load
from ftcls.data.tables import frames
from ftcls.data.tables.frames import Texts
from ftcls.data.texts import Pair, TextColumns
from ftcls.environment import manifest
from ftcls.environment.figures_as_text import number, significant
from ftcls.environment.files import making, write_text
from ftcls.errors import ConfigError, DataError, ExportError, shortened
from ftcls.inference import onnx_runtime
from ftcls.inference.classifier import Classifier
from ftcls.model.template import pair_template
from ftcls.reporting import export_card
from ftcls.runs import directory, export_record, predictions
from ftcls.runs.directory import RunDir
from ftcls.runs.export_record import Agreement, Export, Format, Precision
from ftcls.runs.references import reference
from ftcls.runs.report_schema import OUT_OF_FOLD
from ftcls.scoring.apply import apply
from ftcls.scoring.differences import COMPARED
from ftcls.scoring.metrics import Predictions

log = logging.getLogger(__name__)

CARD: Final = "README.md"
TOLERANCES: Final[dict[Precision, float]] = {"fp32": 1e-4, "int8": 0.02}
"""Unless another one is asked for."""
SEED: Final = 0
"""Of the paired bootstrap: the same two models on the same texts are given the same interval, whatever the run's."""
PACKAGES: Final[dict[Format, tuple[str, ...]]] = {
    "onnx": ("torch", "transformers", "onnx", "onnxscript", "onnxruntime"),
    "torch": ("torch", "transformers", "safetensors"),
}


@dataclass(frozen=True, eq=False)
class _Texts:
    """What run and export are compared on."""

    texts: list[str]
    gold: Predictions | None
    """The run's predictions with their gold labels, of these rows; None where the texts have no labels."""
    source: str


def export(
    run: str | os.PathLike[str],
    *,
    to: Format,
    output: str | os.PathLike[str],
    precision: Precision = "fp32",
    tolerance: float | None = None,
    rows: int = 2_000,
    texts: str | os.PathLike[str] | Texts | None = None,
    allow_code: bool = False,
) -> Export:
    """Write a model as an ONNX graph or as plain weights, load it back and compare the two on the same texts.

    Layers of four or eight bits are written as numbers of float32, and it is these that the export has to agree with.
    The folder holds the weights, the tokenizer, the configuration with the label names, cleaning and cutting, the
    decision, the config of a run and what was measured (export.json, README.md).

    Args:
        run: the run directory; with ``texts`` also a model folder or a Hub checkpoint.
        to: ``onnx``, or ``torch``: safetensors that plain transformers loads, adapters merged.
        output: the folder, which appears only when all is done.
        precision: of the weights in the graph.
        tolerance: fp32: largest difference of a logit, and no other most probable label; int8: largest loss of
            metrics.best, of f1_macro where that is ``loss``; without gold labels share of texts with other labels.
            None: a ten-thousandth, two hundredths.
        rows: most texts to compare on.
        texts: to compare on, or a file with one per line, the texts of a pair with a tab between them; None: the run's
            validation texts.
        allow_code: whether code that the model was trained with (model.allow_code) may run; it goes with the weights.

    Raises:
        ConfigError: the output exists, int8 without onnx, a graph that has no weights to write again, or a model that
            reads windows.
        DataError: no run, or no texts.
        UnavailableError: the extra is not installed, the checkpoint cannot be had, or the architecture cannot be
            written.
        ExportError: the export differs from the run by more than the tolerance; nothing is left of it.
    """
    if precision == "int8" and to != "onnx":
        raise ConfigError(f"--precision int8: goes with --to onnx, not with --to {to}")
    if (name := reference(str(run)).name) is not None:
        raise ConfigError(f"{run}: simple models need no export; models/{name} of the run is all of it")
    place = RunDir(Path(run).absolute())
    is_run = place.config.is_file() and place.model.is_dir()
    if not is_run and texts is None:
        raise DataError(
            f"{run}: not a run with a model and validation texts to compare the export on.{directory.nearest(run)} "
            "Name a directory that `ftcls train` wrote, or with --texts FILE (one text per line) any model folder or "
            "Hub checkpoint"
        )
    if to == "onnx":
        for name in ("onnx", "onnxscript", "onnxruntime"):  # before the weights are loaded
            onnx_runtime.extra(name)
    manifest.check_part(place.config)
    experiment = load(place.config) if is_run else None
    tolerance = TOLERANCES[precision] if tolerance is None else tolerance
    with making(Path(output)) as folder:
        trained = Classifier.from_pretrained(
            os.fspath(run), device="cpu", dequantize=True, allow_code=allow_code
        )  # no other engine has these layers
        _refuse_windows(trained, os.fspath(run))
        columns = trained.settings.text
        shown = _validation(place, rows) if texts is None else _given(texts, rows, columns)
        FORMATS[to](trained, folder, precision)
        trained.save_companions(folder)
        if is_run:
            shutil.copyfile(place.config, folder / place.config.name)  # says on which data it is scored
        manifest.write(folder)
        again = Classifier.from_pretrained(folder, device="cpu", allow_code=allow_code)
        # A loss in int8 is judged in points of a score, whatever the run was chosen by.
        judged = "f1_macro" if experiment is None or experiment.metrics.best == "loss" else experiment.metrics.best
        found = Export(
            run=os.fspath(run) if experiment is None else experiment.name,
            format=to,
            precision=precision,
            task=trained.task,
            labels=trained.labels,
            files=_weights(folder),
            agreement=_compared(trained, again, shown, metrics=(judged, *COMPARED)),
            metric=judged,
            tolerance=tolerance,
            packages={name: metadata.version(name) for name in PACKAGES[to]},
            ftcls_version=ftcls.__version__,
            reload_difference=trained.reload_difference,
        )
        refuse(found, Path(output))
        export_record.write(found, folder)
        card = export_card.markdown(
            found,
            max_length=trained.settings.max_length,
            clean=trained.settings.clean,
            pairs=columns is not None and columns.pairs,
        )
        write_text(folder / CARD, card)
        manifest.renew(folder, [export_record.FILE])
    return found


def _refuse_windows(trained: Classifier, run: str) -> None:
    """Whatever reads one sequence would read the first window of a text, and answer otherwise.

    Raises:
        ConfigError: the model reads windows.
    """
    if trained.settings.windows is not None:
        raise ConfigError(
            f"{run}: reads longer texts in windows (model.windows), which neither an ONNX graph nor plain transformers "
            "cuts and puts together: they would answer by the first window alone. Use `ftcls serve`, `ftcls predict` "
            "or ftcls.Classifier with the run itself, or train without windows"
        )


def refuse(found: Export, output: Path) -> None:
    """Do nothing where an export agrees with its run.

    Raises:
        ExportError: it does not; says by how much.
    """
    seen, tolerance = found.agreement, found.tolerance
    where = f"on {seen.texts} texts"
    if found.precision == "int8":
        loss = seen.loss(found.metric)
        if loss <= tolerance:
            return
        what = (
            f"{found.metric} is {number(loss)} lower" if seen.metrics else f"{loss:.2%} of the texts get other labels"
        )
        raise ExportError(
            f"{output}: not written: in int8 {what} {where}, and --tolerance allows {significant(tolerance)}. Export "
            "with --precision fp32, or allow the loss with --tolerance"
        )
    if not seen.max_logit_difference <= tolerance or seen.same_argmax < 1:  # not: a NaN agrees with nothing
        distance = significant(seen.max_logit_difference, 2)
        versions = ", ".join(f"{name} {version}" for name, version in found.packages.items())
        others = round((1 - seen.same_argmax) * seen.texts)
        raise ExportError(
            f"{output}: not written: its logits differ from the run's by up to {distance} {where} "
            f"(--tolerance allows {significant(tolerance)}), and {others} of them get another most probable label. "
            f"Report it with the versions of {versions}"
        )


def _onnx(trained: Classifier, folder: Path, precision: Precision) -> None:
    graph = folder / onnx_runtime.FILE
    typed = _typed(trained)
    if precision == "fp32":
        onnx_runtime.write(trained.model, graph, typed=typed)
        return
    whole = folder / "fp32"
    whole.mkdir()
    onnx_runtime.write(trained.model, whole / onnx_runtime.FILE, typed=typed)
    onnx_runtime.quantize(whole / onnx_runtime.FILE, graph)
    shutil.rmtree(whole)


def _typed(trained: Classifier) -> bool:
    """Whether the model reads pairs of texts whose tokens have types."""
    columns = trained.settings.text
    return columns is not None and columns.pairs and pair_template(trained.tokenizer).types is not None


def _torch(trained: Classifier, folder: Path, precision: Precision) -> None:
    trained.model.save_pretrained(folder)


FORMATS: Final = {"onnx": _onnx, "torch": _torch}


def _weights(folder: Path) -> dict[str, int]:
    suffixes = (".onnx", ".data", ".safetensors")
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.suffix in suffixes}


def _given(texts: str | os.PathLike[str] | Texts, rows: int, columns: TextColumns | None) -> _Texts:
    if not isinstance(texts, str | os.PathLike):
        return _Texts(_spread(frames.texts_of(texts, columns), rows), None, "texts")
    found = _lines(Path(texts), rows)
    if columns is None or not columns.pairs:
        return found
    pairs = [line.split("\t") for line in found.texts]
    odd = next((index for index, pair in enumerate(pairs) if len(pair) != 2), None)
    if odd is not None:
        raise DataError(
            f"--texts {texts}: {shortened(found.texts[odd])}: the model reads pairs of texts; write the two of each on "
            "one line, with a tab between them"
        )
    return replace(found, texts=[Pair(*pair) for pair in pairs])


def _lines(texts: Path, rows: int) -> _Texts:
    try:
        lines = texts.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--texts {texts}: cannot be read as UTF-8 text: {error}") from error
    if not lines:
        raise DataError(f"--texts {texts}: is empty; write one text per line")
    return _Texts(_spread(lines, rows), None, texts.name)


def _validation(run: RunDir, rows: int) -> _Texts:
    path, source = run.predictions / "validation.parquet", "validation"
    if not path.is_file() and (run.predictions / f"{OUT_OF_FOLD}.parquet").is_file():
        path, source = run.predictions / f"{OUT_OF_FOLD}.parquet", "train"  # a cross-validation has no other rows
    if not path.is_file() or (stored := predictions.read_rows(path).texts) is None:
        raise DataError(f"{path}: has no texts to compare the export on; name a file of them with --texts FILE")
    chosen = np.zeros(len(stored), dtype=bool)
    chosen[_spread(range(len(stored)), rows)] = True
    kept = [text for text, take in zip(stored, chosen, strict=True) if take]
    return _Texts(kept, predictions.read(path).take(chosen), source)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the items, at even distances."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).astype(int))]


def _compared(trained: Classifier, again: Classifier, shown: _Texts, *, metrics: Sequence[str]) -> Agreement:
    # The run's texts are clean already; those of a file are not.
    encoded = trained.encode(shown.texts if shown.gold else trained.cleaned(shown.texts))
    before, after = trained.logits(encoded), again.logits(encoded)
    if not np.isfinite(after).all():
        raise ExportError("the exported model's logits are not finite; nothing was written. Try --to torch")
    return export_record.measure(
        before,
        after,
        (_said(trained, before, shown.gold), _said(again, after, shown.gold)),
        source=shown.source,
        labelled=shown.gold is not None,
        metrics=tuple(dict.fromkeys(metrics)),
        seed=SEED,
    )


def _said(classifier: Classifier, logits: NDArray[np.float32], gold: Predictions | None) -> Predictions:
    found = apply(
        classifier.decision,
        logits,
        gold=np.zeros(logits.shape if classifier.task == "multilabel" else len(logits), dtype=np.int64),
        task=classifier.task,
        labels=classifier.labels,
        positive=classifier.positive,
    )
    if gold is None:
        return found
    return replace(found, gold=gold.gold, rows=gold.rows, clusters=gold.clusters)

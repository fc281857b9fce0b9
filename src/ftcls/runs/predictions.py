"""predictions/*.parquet: what a model said about every row, from which every figure can be computed again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ftcls.data.texts import Pair, are_pairs, parts
from ftcls.environment import limits, manifest
from ftcls.environment.files import replacing
from ftcls.errors import DataError
from ftcls.scoring.decision import Task
from ftcls.scoring.metrics import Predictions

_SECOND: Final = "second_text"
"""The column of the second text of a pair."""
_ABOUT_ROWS: Final = ("text", _SECOND, "tokens", "truncated")


@dataclass(frozen=True, eq=False)
class Rows:
    """What a predictions file says about its n rows beside the predictions; None where it does not say it."""

    texts: list[str] | None
    """n texts, or pairs of them, as they were cleaned for the model."""
    lengths: NDArray[np.int32] | None
    """[n] tokens of each text, special tokens included, before truncation."""
    truncated: NDArray[np.bool_] | None
    """[n] whether the model saw only part of the text."""


def write(
    path: Path,
    predictions: Predictions,
    *,
    texts: Sequence[str] | None = None,
    lengths: NDArray[np.integer[Any]] | None = None,
    truncated: NDArray[np.bool_] | None = None,
) -> None:
    """Write predictions as Parquet, whole or not at all; the same predictions give the same bytes.

    Columns: row, gold and predicted (label names; lists of them for multilabel), cluster, fold and weight if any,
    ``probability:<label>`` for every label, and text, tokens and truncated where they are given (see `Rows`); of a pair
    of texts the second one is ``second_text``. Task, label order and positive label stand in the schema's metadata.

    Raises:
        ValueError: texts, lengths or truncated are not one for each row.
    """
    columns: dict[str, Any] = {
        "row": pa.array(predictions.rows, pa.int64()),
        "gold": _names(predictions, predictions.gold),
        "predicted": _names(predictions, predictions.predicted),
    }
    columns |= _of_rows(predictions)
    for index, label in enumerate(predictions.labels):
        columns[f"probability:{label}"] = pa.array(predictions.probabilities[:, index], pa.float64())
    about_rows = {"text": texts, "tokens": lengths, "truncated": truncated}
    for name, values in about_rows.items():
        if values is not None and len(values) != len(predictions):
            raise ValueError(f"{name}: {len(values)} values for {len(predictions)} rows")
    if texts is not None:
        sides = [("text", 0), (_SECOND, 1)] if are_pairs(texts) else [("text", 0)]
        for name, side in sides:
            given = (whole_characters(parts(text)[side]) for text in texts)
            columns[name] = pa.array(given, pa.string(), size=len(texts))
    if lengths is not None:
        columns["tokens"] = pa.array(lengths, pa.int32())
    if truncated is not None:
        columns["truncated"] = pa.array(truncated, pa.bool_())
    positive = predictions.positive
    about = {
        "schema_version": 1,
        "task": predictions.task,
        "labels": list(predictions.labels),
        "positive_label": None if positive is None else predictions.labels[positive],
    }
    table = pa.table(columns).replace_schema_metadata({"ftcls": json.dumps(about, ensure_ascii=False)})
    with replacing(path) as staged:
        pq.write_table(table, staged, compression="zstd")
    manifest.renew_part(path)


def read(path: Path) -> Predictions:
    """Read what `write` wrote, equal to the last bit.

    Raises:
        DataError: the file is missing or was not written by ftcls.
    """
    table, about = _opened(path, without=_ABOUT_ROWS)
    try:
        return _predictions(table, about)
    except (KeyError, ValueError, TypeError, IndexError, pa.ArrowException) as error:
        raise _no_predictions(path, error) from error


def _predictions(table: Any, about: Any) -> Predictions:
    task, labels, positive = about["task"], tuple(about["labels"]), about["positive_label"]
    soft = [table[f"soft:{label}"].to_numpy() for label in labels if f"soft:{label}" in table.column_names]
    probabilities = np.stack([table[f"probability:{label}"].to_numpy() for label in labels], axis=1)
    return Predictions(
        task=task,
        labels=labels,
        gold=_targets(table["gold"], labels, task),
        predicted=_targets(table["predicted"], labels, task),
        probabilities=probabilities,
        rows=table["row"].to_numpy(),
        clusters=table["cluster"].to_numpy() if "cluster" in table.column_names else None,
        positive=None if positive is None else labels.index(positive),
        folds=table["fold"].to_numpy() if "fold" in table.column_names else None,
        weights=table["weight"].to_numpy() if "weight" in table.column_names else None,
        soft=np.stack(soft, axis=1) if soft else None,
    )


def read_rows(path: Path) -> Rows:
    """Read what a predictions file says about its rows, without the predictions.

    Raises:
        DataError: the file is missing or was not written by ftcls.
    """
    table, _ = _opened(path, only=_ABOUT_ROWS)
    there = set(table.column_names)
    return Rows(
        texts=_texts(table),
        lengths=table["tokens"].to_numpy() if "tokens" in there else None,
        truncated=table["truncated"].to_numpy() if "truncated" in there else None,
    )


def _texts(table: Any) -> list[str] | None:
    if "text" not in table.column_names:
        return None
    first = table["text"].to_pylist()
    if _SECOND not in table.column_names:
        return list(first)
    return [Pair(*both) for both in zip(first, table[_SECOND].to_pylist(), strict=True)]


def _opened(path: Path, *, only: Sequence[str] | None = None, without: Sequence[str] = ()) -> tuple[Any, Any]:
    """Some columns of a predictions file, and what its metadata says about them."""
    manifest.check_part(path)
    try:
        schema = pq.read_schema(path)
        about = limits.json_value(schema.metadata[b"ftcls"])
        # Texts are the bulk of a file, and scores do without them.
        wanted = [n for n in schema.names if n not in without and (only is None or n in only)]
        return pq.read_table(path, columns=wanted), about
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise _no_predictions(path, error) from error


def _no_predictions(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: not a predictions file of ftcls ({type(error).__name__}). Name a file in predictions/ of a run."
    )


def whole_characters(text: str) -> str:
    """The text with U+FFFD for every lone surrogate, which UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _of_rows(predictions: Predictions) -> dict[str, Any]:
    numbers = {"cluster": predictions.clusters, "fold": predictions.folds}
    columns = {name: pa.array(values, pa.int64()) for name, values in numbers.items() if values is not None}
    if predictions.weights is not None:
        columns["weight"] = pa.array(predictions.weights, pa.float64())
    for index, label in enumerate(predictions.labels if predictions.soft is not None else ()):
        columns[f"soft:{label}"] = pa.array(predictions.soft[:, index], pa.float32())  # type: ignore[index]
    return columns


def _names(predictions: Predictions, targets: NDArray[Any]) -> Any:
    labels = pa.array(predictions.labels, pa.string())
    if predictions.task != "multilabel":
        return labels.take(pa.array(targets))
    given = targets.astype(bool)
    offsets = np.append(0, given.sum(axis=1).cumsum())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), labels.take(pa.array(np.nonzero(given)[1])))


def _targets(column: Any, labels: tuple[str, ...], task: Task) -> NDArray[Any]:
    if task != "multilabel":
        return _indices(column.combine_chunks(), labels)
    lists = column.combine_chunks()
    given = np.zeros((len(lists), len(labels)), dtype=bool)
    given[np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy()), _indices(lists.flatten(), labels)] = True
    return given


def _indices(names: Any, labels: tuple[str, ...]) -> NDArray[np.int64]:
    encoded = names.dictionary_encode()
    places = np.array([labels.index(name) for name in encoded.dictionary.to_pylist()], dtype=np.int64)
    indices: NDArray[np.int64] = places[encoded.indices.to_numpy()]
    return indices

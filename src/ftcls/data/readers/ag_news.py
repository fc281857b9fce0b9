"""AG's News (Zhang, Zhao and LeCun 2015): four classes of news, from the Hub or from the original CSV files."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ftcls.data.corpus import SplitName
from ftcls.data.raw import BadRows, Raw, RawSplit
from ftcls.data.readers import archives, hub

HUB_ID = "fancyzhx/ag_news"
REVISION = "eb185aade064a813bc0b7f42de02595523103ca4"
"""The Hub revision that ftcls was written for."""
LABELS = ("World", "Sports", "Business", "Sci/Tech")
_SPLITS: tuple[SplitName, ...] = ("train", "test")


def read(*, path: str | None, revision: str | None) -> Raw:
    """AG News, text = title, a space, description; the same rows from either place.

    Args:
        path: a folder with ``train.csv`` and ``test.csv`` (``.gz`` as well), or ``ag_news_csv.tgz``; None: the Hub.
        revision: the Hub revision; None: `REVISION`.

    Raises:
        DataError: the path holds no such files.
        UnavailableError: the Hub cannot be reached and no copy of it is here.
    """
    if path is None:
        return _from_hub(REVISION if revision is None else revision)
    found = archives.files(Path(path), [f"{name}.csv" for name in _SPLITS], of="AG News's files", inside="ag_news_csv")
    return Raw("multiclass", {name: _from_csv(*found[f"{name}.csv"]) for name in _SPLITS}, LABELS)


def _from_hub(revision: str) -> Raw:
    remedy = "set data.path to a folder that holds the original train.csv and test.csv"
    found, commit = hub.load(HUB_ID, revision=revision, remedy=remedy)
    splits: dict[SplitName, RawSplit] = {}
    for name in _SPLITS:
        rows = found[name]
        numbers = (str(label + 1) for label in rows["label"])  # the Hub counts the classes from 0, the files from 1
        splits[name] = _split(
            f"{HUB_ID} {name}, row ", zip(range(1, len(rows) + 1), numbers, rows["text"], strict=True)
        )
    return Raw("multiclass", splits, LABELS, versions={HUB_ID: commit})


def _from_csv(place: str, content: bytes) -> RawSplit:
    return _split(f"{place}:", _records(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")))


def _records(file: Iterable[str]) -> Iterator[tuple[int, str, str | None]]:
    """Line number from 1, class, and the text; None where the row has not three fields."""
    reader = csv.reader(file)
    line = 1
    for row in reader:
        yield line, row[0] if row else "", " ".join(row[1:]) if len(row) == 3 else None
        line = reader.line_num + 1


def _split(place: str, records: Iterable[tuple[int, str, str | None]]) -> RawSplit:
    names = {str(number): name for number, name in enumerate(LABELS, start=1)}
    texts: list[str] = []
    labels: list[tuple[str, ...] | str | None] = []
    rows: list[int] = []
    lines: list[int] = []
    bad = BadRows()
    row = -1
    for row, (line, number, text) in enumerate(records):
        if text is None:
            bad.add(f"{place}{line}", "not the three fields class, title, description")
        elif number not in names:
            bad.add(f"{place}{line}", f"class {number!r} is not one of 1, 2, 3, 4")
        else:
            texts.append(text)
            labels.append(names[number])
            rows.append(row)
            lines.append(line)
    return RawSplit(texts, labels, np.array(rows, np.int64), row + 1, lambda index: f"{place}{lines[index]}", bad)

"""GoEmotions, simplified (Demszky et al. 2020): Reddit comments with any number of 27 emotions and neutral.

Both forms are read by the rules of CSV with tabs, as the Hub's copy was made: quotes around a text are no part of it.
The authors' masks (``[NAME]``, ``[RELIGION]``) stay.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from ftcls.data.corpus import SplitName
from ftcls.data.labels import listed
from ftcls.data.raw import BadRows, Raw, RawSplit
from ftcls.data.readers import archives, hub
from ftcls.environment import limits
from ftcls.errors import ConfigError

HUB_ID: Final = "google-research-datasets/go_emotions"
HUB_CONFIG: Final = "simplified"
REVISION: Final = "add492243ff905527e67aeb8b80c082af02207c3"
"""The Hub revision that ftcls was written for."""
FILES: Final[Mapping[SplitName, str]] = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
LABELS: Final = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief",
    "joy", "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness",
    "surprise", "neutral",
)  # fmt: skip
"""In the order of the numbers in the files."""

_POSITIVE = (
    "admiration", "amusement", "approval", "caring", "desire", "excitement", "gratitude", "joy", "love",
    "optimism", "pride", "relief",
)  # fmt: skip
_NEGATIVE = (
    "anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment", "fear", "grief",
    "nervousness", "remorse", "sadness",
)  # fmt: skip
GROUPS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "ekman": {
        "anger": ("anger", "annoyance", "disapproval"),
        "disgust": ("disgust",),
        "fear": ("fear", "nervousness"),
        "joy": _POSITIVE,
        "sadness": ("disappointment", "embarrassment", "grief", "remorse", "sadness"),
        "surprise": ("confusion", "curiosity", "realization", "surprise"),
        "neutral": ("neutral",),
    },
    "sentiment": {
        "positive": _POSITIVE,
        "negative": _NEGATIVE,
        "ambiguous": ("confusion", "curiosity", "realization", "surprise"),
        "neutral": ("neutral",),
    },
}
"""The authors' groupings (ekman_mapping.json, sentiment_dict.json), which leave neutral to itself."""

_Record = tuple[str, str, Sequence[int | str]]
"""Where it is, the text, and the numbers of its labels: as they stand there if they are none; empty if the row has not
three fields."""


def read(
    *,
    path: str | None,
    revision: str | None,
    grouping: str | None,
    single_label: bool,
    labels: Sequence[str] | None,
) -> Raw:
    """The splits train, validation (the authors' dev) and test; the same rows from either place.

    Args:
        path: a folder with ``train.tsv``, ``dev.tsv`` and ``test.tsv`` (``.gz`` as well), or an archive of it; None:
            the Hub.
        revision: the Hub revision; None: `REVISION`.
        grouping: ``ekman`` or ``sentiment``, whose groups are then the labels; None: the 28.
        single_label: only the rows with exactly one label, of all labels after the grouping; a multiclass task.
        labels: some of the labels. Rows lose all others; with ``single_label``, rows with another one are left out.

    Raises:
        ConfigError: one of ``labels`` is none.
        DataError: the path holds no such files, or a damaged archive.
        UnavailableError: the Hub cannot be reached and no copy of it is here.
    """
    groups = GROUPS[grouping] if grouping else {name: (name,) for name in LABELS}
    chosen = tuple(groups) if labels is None else tuple(labels)
    _check(chosen, tuple(groups))
    group = {LABELS.index(name): to for to, names in groups.items() for name in names}
    records, versions = _from_hub(revision or REVISION) if path is None else (_from_files(Path(path)), {})
    splits = {name: _split(rows, group, chosen, single_label=single_label) for name, rows in records.items()}
    return Raw("multiclass" if single_label else "multilabel", splits, chosen, versions=versions)


def _check(chosen: Sequence[str], known: Sequence[str]) -> None:
    for name in chosen:
        if name not in known:
            near = limits.nearest(name, known)
            hint = f", did you mean {near!r}?" if near else ";"
            raise ConfigError(f"data.labels: {name!r} is no label{hint} The labels are {listed(known)}")


def _from_hub(revision: str) -> tuple[dict[SplitName, Iterator[_Record]], dict[str, str]]:
    remedy = "set data.path to a folder that holds the original train.tsv, dev.tsv and test.tsv"
    found, commit = hub.load(HUB_ID, config=HUB_CONFIG, revision=revision, remedy=remedy)
    return {name: _hub_records(name, found[name]["text"][:], found[name]["labels"][:]) for name in FILES}, {
        HUB_ID: commit
    }


def _hub_records(name: str, texts: Sequence[str], labels: Sequence[Sequence[int]]) -> Iterator[_Record]:
    for number, (text, some) in enumerate(zip(texts, labels, strict=True), start=1):
        yield f"{HUB_ID} {name}, row {number}", text, some


def _from_files(path: Path) -> dict[SplitName, Iterator[_Record]]:
    found = archives.files(path, tuple(FILES.values()), of="GoEmotions' train.tsv, dev.tsv and test.tsv", inside="data")
    return {name: _file_records(*found[file]) for name, file in FILES.items()}


def _file_records(place: str, content: bytes) -> Iterator[_Record]:
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline=""), delimiter="\t")
    line = 1
    for row in reader:
        fields = row[1].split(",") if len(row) == 3 else []
        numbers = [int(field) if field.isdecimal() else field for field in fields]
        yield f"{place}:{line}", row[0] if row else "", numbers
        line = reader.line_num + 1


def _split(
    records: Iterable[_Record], group: Mapping[int, str], chosen: Sequence[str], *, single_label: bool
) -> RawSplit:
    texts: list[str] = []
    labels: list[tuple[str, ...] | str | None] = []
    rows: list[int] = []
    places: list[str] = []
    bad = BadRows()
    wanted = frozenset(chosen)
    row = -1
    for row, (place, text, numbers) in enumerate(records):
        unknown = [str(number) for number in numbers if number not in group]
        if unknown or not numbers:
            bad.add(place, _reason(unknown))
            continue
        # Two emotions of one group are one label.
        names = tuple(dict.fromkeys(group[int(number)] for number in numbers))
        if single_label and (len(names) != 1 or names[0] not in wanted):
            continue
        texts.append(text)
        labels.append(names[0] if single_label else tuple(name for name in names if name in wanted))
        rows.append(row)
        places.append(place)
    return RawSplit(texts, labels, np.array(rows, np.int64), row + 1, places.__getitem__, bad)


def _reason(unknown: Sequence[str]) -> str:
    if unknown:
        return f"label {unknown[0]!r} is not one of 0 to {len(LABELS) - 1}"
    return "not the three fields text, labels, id"

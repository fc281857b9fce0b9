"""The Large Movie Review Dataset (Maas et al. 2011): 50,000 reviews, negative or positive, half of them for testing.

Rows are numbered as on the Hub: all negative ones, then all positive ones, each in the order of the authors' archive,
which goes by blocks of 128 numbers and backwards inside a block (127, 126, ... 0, 255, ...). The number is the first
one in a file's name, so a copy that is packed in any other order gives the same rows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from ftcls.data.corpus import SplitName
from ftcls.data.raw import BadRows, Raw, RawSplit
from ftcls.data.readers import archives as original
from ftcls.data.readers import hub
from ftcls.errors import DataError

HUB_ID: Final = "stanfordnlp/imdb"
REVISION: Final = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
"""The Hub revision that ftcls was written for."""
LABELS: Final = ("neg", "pos")
ARCHIVE: Final = "aclImdb_v1*.tar.gz"
_BLOCK: Final = 128
_SPLITS: Final[tuple[SplitName, ...]] = ("train", "test")
_FILE = re.compile(r"(?:^|/)(train|test)/(neg|pos)/(\d+)_\d+\.txt$")


class _Review(NamedTuple):
    number: int
    place: str
    content: bytes


def read(*, path: str | None, revision: str | None) -> Raw:
    """IMDb's labelled reviews, as they are; the unlabelled ones are not read.

    Args:
        path: the folder ``aclImdb`` or one that holds it, the archive ``aclImdb_v1.tar.gz`` or a folder that holds it;
            None: the Hub.
        revision: the Hub revision; None: `REVISION`.

    Raises:
        DataError: one of the four folders has no review, or the archive is damaged.
        UnavailableError: the Hub cannot be reached and no copy of it is here.
    """
    if path is None:
        return _from_hub(REVISION if revision is None else revision)
    return _from_files(Path(path))


def _from_hub(revision: str) -> Raw:
    found, commit = hub.load(
        HUB_ID, revision=revision, remedy="set data.path to the original aclImdb folder or archive"
    )
    names = dict(enumerate(LABELS))
    splits: dict[SplitName, RawSplit] = {}
    for name in _SPLITS:
        rows = found[name]
        places = [f"{HUB_ID} {name}, row {number}" for number in range(1, len(rows) + 1)]
        splits[name] = _split(places, [names.get(label) for label in rows["label"]], rows["text"][:])
    return Raw("binary", splits, LABELS, versions={HUB_ID: commit})


def _from_files(path: Path) -> Raw:
    reviews: dict[tuple[str, str], list[_Review]] = {(split, label): [] for split in _SPLITS for label in LABELS}
    for name, content in _contents(path):
        found = _FILE.search(name)
        if found:
            reviews[found[1], found[2]].append(_Review(int(found[3]), name, content))
    for folder, some in reviews.items():
        if not some:
            raise DataError(
                f"data.path: {path}: no review in {'/'.join(folder)}; aclImdb has the folders "
                f"{', '.join(map('/'.join, reviews))}, with files such as 127_4.txt"
            )
    return Raw("binary", {name: _from_reviews(reviews, name) for name in _SPLITS}, LABELS)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each review of a folder, of an archive, or of the archive in a folder."""
    if not original.is_folder(path, of="IMDb's reviews"):
        return original.members(path, _is_review)
    home = path / "aclImdb"
    archives = sorted(path.glob(ARCHIVE))
    if archives and not home.is_dir():
        return original.members(archives[-1], _is_review)
    files = (home if home.is_dir() else path).glob("t*/[np]*/*.txt")
    return ((file.as_posix(), file.read_bytes()) for file in files)


def _is_review(name: str) -> bool:
    return _FILE.search(name) is not None


def _from_reviews(reviews: Mapping[tuple[str, str], list[_Review]], split: SplitName) -> RawSplit:
    places: list[str] = []
    labels: list[str | None] = []
    texts: list[str | None] = []
    for label in LABELS:
        for review in sorted(reviews[split, label], key=lambda one: (one.number // _BLOCK, -one.number)):
            places.append(review.place)
            labels.append(label)
            texts.append(_decoded(review.content))
    return _split(places, labels, texts)


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _split(places: Sequence[str], labels: Sequence[str | None], texts: Sequence[str | None]) -> RawSplit:
    bad = BadRows()
    for place, text in zip(places, texts, strict=True):
        if text is None:
            bad.add(place, "not UTF-8")
    kept = [index for index, text in enumerate(texts) if text is not None]
    return RawSplit(
        texts=[text for text in texts if text is not None],
        labels=[labels[index] for index in kept],
        rows=np.array(kept, dtype=np.int64),
        size=len(texts),
        place=lambda index: places[kept[index]],
        bad=bad,
    )

"""Reuters-21578 (Lewis 1997): newswire stories of 1987 under any number of topics, in the ModApte split.

ModApte (Apte, Damerau and Weiss 1994) trains on the stories that are marked TRAIN and TOPICS="YES" and tests on those
marked TEST and TOPICS="YES"; the rest is never read. TOPICS="YES" does not mean that a story has a topic: 1,828 and 280
of them have none. A row's number counts the stories of its split in the order of the files, from 0.

The Hub's copy is a Python script, which `datasets` no longer runs; the original archive is downloaded instead.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ftcls.data.corpus import SplitName
from ftcls.data.labels import listed, natural
from ftcls.data.raw import Raw, RawSplit
from ftcls.data.readers import archives, download
from ftcls.environment import limits
from ftcls.errors import ConfigError, DataError

ADDRESSES: Final = (
    "https://kdd.ics.uci.edu/databases/reuters21578/reuters21578.tar.gz",
    "http://www.daviddlewis.com/resources/testcollections/reuters21578/reuters21578.tar.gz",
)
FILE: Final = "reuters21578.tar.gz"
FILES: Final = tuple(f"reut2-{number:03}.sgm" for number in range(22))
SHA256: Final = (
    "9ff9bb40624ef992a03f62aace12e697dca1087abfd9b4d06aa787a6ad3e0687",
    "1528e7e82d110d88d0234eb9619eadb7f9fd805711971df05975b92277dfdf4d",
    "99f18068d0518952987dedd78c622e5c2a584e357d264d3754696c815f3e6628",
    "78a3a8d7e04bc9d42c4614d5d5c60a4293dbe3f708df6fb5a71d9ef31f4b3fa3",
    "726342c19a65873330b412378cd6a3f0d512035f5223146ddd60930c62eb6ff0",
    "d09de619b6dd2d047d5124681f6df90550abaf592020d1c1ce338ae9b91522e7",
    "b5535c0d66b01f4976f84621a4a795afbc00d2c4bd0a1b7ae426df6630fb361d",
    "aa706007ec84a03537a3921ca976d60e11b3f99e4b9e9b2d5c81dd384d2c2062",
    "a3994583694a00b7c744097c1d7eabfcf90f2e6650cc21663e46828035a336cb",
    "29995f606dd1a9bdf907eacc9d879846c716860d9d9141676979474aaea39c7d",
    "996df6008089bd09fa5b28a4d2eb0ee5f7b9d4601cde566fed3926ac82960fa3",
    "d3a2782015247d9c2bffb8926267827fdd449c70d619435ef01a25a1c56a53ca",
    "da31035d483851f2aebce5b66d779e5e2c0ac9dcfe098596c6d544e81c5604ab",
    "8f7700bc0455fac3fcc12377ced4807b7df8aba1f21ecad059b9cc2b1cf0b8be",
    "ef936bd3e0f36cf722afa9a6957563549775af32e9e28b4f539c8737ceda83ab",
    "6d3bcec73eff871b8a5403588af814c4e50a0de6bc25707480522ab836f74026",
    "be2f03a185fff70131f3b4fdbd6229b7ee2be077eba9691eaa597c8cfbda8812",
    "f370e610b4b1342e41a98e0c426a08541044bd1d7e539674f32372a6060b73b5",
    "a5f971bf25448e915781962309e669359a35fbcaf3017a806eca0590897f209a",
    "d3b07097fba2633d130b4914aceba671645985248943ce9e39c289315339dffb",
    "f6ad1b724125c202566c63b35ea0b5ee23881f8b7ed47a32829d5af05d8e860d",
    "3f5196d32869723c9042aa5756805b4e90360f1f45ea17f4594fa0e2b3630b18",
)
"""Of each SGML file: the archive has been packed more than once, and copies with edits are about."""
MOST_FREQUENT: Final = 10
_REMEDY: Final = "Set data.path to the original archive or a folder with its reut2-*.sgm files."

# Several roots, no declaration: not XML. Parsers of HTML lose the BODY, which they take for the page's.
# Elements are found by their marks, one after the other: a pattern would look for each end as far as the file goes.
_ATTRIBUTE = re.compile(r'(?<!\w)(\w++)="([^"]*+)"')
_REFERENCE = re.compile(r"&(?:#(\d{1,4})|(amp|lt|gt));")
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">"}

_MODAPTE: Final[Mapping[tuple[str, str], SplitName]] = {("TRAIN", "YES"): "train", ("TEST", "YES"): "test"}


@dataclass(frozen=True)
class _Element:
    """``<TAG attributes>content</TAG>``."""

    start: int
    attributes: str
    content: str


@dataclass(frozen=True)
class _Story:
    text: str
    topics: tuple[str, ...]
    place: str


def read(*, path: str | None, topics: str | Sequence[str], without_topics: str) -> Raw:
    """The ModApte split; a text is title, line break, body, or for stories without these all of it.

    Args:
        path: a folder with the SGML files, or the archive; None: the original archive is downloaded.
        topics: ``all`` that occur in train or test, ``R90`` that occur in both, ``R10``, the most frequent ones of
            train, or names.
        without_topics: ``keep`` the stories that have none of these, or ``drop`` them.

    Raises:
        ConfigError: a name is no topic.
        DataError: a file is missing or damaged.
        UnavailableError: the archive cannot be downloaded.
    """
    place = download.fetch(ADDRESSES, name=FILE, check=_published, remedy=_REMEDY) if path is None else Path(path)
    stories: dict[SplitName, list[_Story]] = {"train": [], "test": []}
    for file, content in _sgml(place).values():
        for split, story in _stories(file, content):
            stories[split].append(story)
    names = _chosen(topics, stories)
    splits = {split: _split(some, names, without_topics) for split, some in stories.items()}
    return Raw("multilabel", splits, names)


def _sgml(path: Path) -> dict[str, tuple[str, bytes]]:
    archive = path / FILE
    place = archive if archive.is_file() and not (path / FILES[0]).is_file() else path
    return archives.files(place, FILES, of="Reuters-21578's reut2-000.sgm to reut2-021.sgm", inside="reuters21578")


def _published(archive: Path) -> None:
    found = _sgml(archive)
    for name, digest in zip(FILES, SHA256, strict=True):
        if hashlib.sha256(found[name][1]).hexdigest() != digest:
            raise DataError(f"its {name} is not the published one")


def _stories(file: str, content: bytes) -> Iterator[tuple[SplitName, _Story]]:
    # One byte of the collection, in reut2-017.sgm, is not UTF-8; as Latin-1 it is a letter.
    source = content.decode("latin-1")
    found = list(_elements(source, "REUTERS"))
    opened = source.count("<REUTERS ")
    if not found or opened != len(found):
        raise DataError(f"{file}: damaged, it has {opened} stories that begin and {len(found)} that are whole")
    for story in found:
        attributes = dict(_ATTRIBUTE.findall(story.attributes))
        topics, text = _first(story.content, "TOPICS"), _first(story.content, "TEXT")
        if topics is None or text is None or not {"LEWISSPLIT", "TOPICS", "NEWID"} <= attributes.keys():
            line = source.count("\n", 0, story.start) + 1
            raise DataError(f"{file}:{line}: damaged, a story without its TOPICS, TEXT or attributes")
        split = _MODAPTE.get((attributes["LEWISSPLIT"], attributes["TOPICS"]))
        if split is not None:
            # Two stories carry a topic twice.
            names = tuple(dict.fromkeys(_decoded(each.content) for each in _elements(topics, "D")))
            yield split, _Story(_text(text), names, f"{file}, NEWID {attributes['NEWID']}")


def _elements(source: str, tag: str) -> Iterator[_Element]:
    """The elements of a tag, none of which is inside another."""
    place = 0
    while (start := source.find(f"<{tag}", place)) >= 0:
        inside = start + len(tag) + 1
        if source[inside : inside + 1] not in (" ", "\n", "\r", "\t", ">"):  # another tag that begins alike
            place = inside
            continue
        opened = source.find(">", inside)
        end = source.find(f"</{tag}>", opened)
        if opened < 0 or end < 0:
            return
        yield _Element(start, source[inside:opened], source[opened + 1 : end])
        place = end + len(tag) + 3


def _first(source: str, tag: str) -> str | None:
    found = next(_elements(source, tag), None)
    return None if found is None else found.content


def _text(content: str) -> str:
    parts = [part for part in (_first(content, "TITLE"), _first(content, "BODY")) if part is not None]
    # A story without tags (TYPE="UNPROC") is all text. What a BRIEF has beside its title is "Blah blah blah.".
    return _decoded("\n".join(parts) if parts else content)


def _decoded(text: str) -> str:
    """Its references as characters, control characters too: whether these go is a matter of cleaning."""
    return _REFERENCE.sub(lambda found: chr(int(found[1])) if found[1] else _NAMED[found[2]], text)


def _all(train: Counter[str], test: Counter[str]) -> tuple[str, ...]:
    return natural({*train, *test})


def _r90(train: Counter[str], test: Counter[str]) -> tuple[str, ...]:
    return natural(train.keys() & test.keys())


def _r10(train: Counter[str], test: Counter[str]) -> tuple[str, ...]:
    ranked = sorted(train, key=lambda name: (-train[name], name))
    return natural(ranked[:MOST_FREQUENT])


_SETS: Final[dict[str, Callable[[Counter[str], Counter[str]], tuple[str, ...]]]] = {
    "all": _all,
    "R90": _r90,
    "R10": _r10,
}


def _chosen(topics: str | Sequence[str], stories: Mapping[SplitName, Sequence[_Story]]) -> tuple[str, ...]:
    train, test = (Counter(name for story in stories[split] for name in story.topics) for split in ("train", "test"))
    if isinstance(topics, str):
        return _SETS[topics](train, test)
    there = _all(train, test)
    for name in topics:
        if name not in there:
            near = limits.nearest(name, there)
            hint = f", did you mean {near!r}?" if near else ";"
            raise ConfigError(
                f"data.topics: {name!r} is no topic of the ModApte split{hint} The topics: {listed(there)}"
            )
    return tuple(topics)


def _split(stories: Sequence[_Story], names: Sequence[str], without_topics: str) -> RawSplit:
    wanted = set(names)
    labels = [tuple(name for name in story.topics if name in wanted) for story in stories]
    kept = [index for index, some in enumerate(labels) if some or without_topics == "keep"]
    return RawSplit(
        texts=[stories[index].text for index in kept],
        labels=[labels[index] for index in kept],
        rows=np.array(kept, dtype=np.int64),
        size=len(stories),
        place=lambda index: stories[kept[index]].place,
    )

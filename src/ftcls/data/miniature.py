"""Small generated data sets in the original format of the real ones, for smoke runs and tests.

The real reader parses them, so that a smoke run walks the same path as a real one. Every word is ours; the texts mean
nothing, but a model can learn them. ``docstrings`` needs none (it is on every machine, and small), ``files`` has none
(the files are the user's own): for these a smoke run takes a few rows of the real data.
"""

import csv
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftcls.data import ag_news

_SEED = 20041
_ROWS = {"train": 240, "test": 120}


@dataclass(frozen=True)
class _Topic:
    """Words of one class."""

    who: tuple[str, ...]
    does: tuple[str, ...]
    what: tuple[str, ...]
    where: tuple[str, ...]


_TOPICS = (
    _Topic(
        ("The foreign minister", "A peace envoy", "Border guards", "The new parliament", "Aid workers"),
        ("condemned", "agreed to", "postponed", "voted on", "walked out of"),
        (
            "the cease-fire talks",
            "a disputed election",
            "the refugee treaty",
            "an embassy inquiry",
            "the coup tribunal",
        ),
        ("in the northern province", "after the earthquake", "near the frontier", "in the divided capital"),
    ),
    _Topic(
        ("The home side", "A rookie pitcher", "The veteran striker", "Their goalkeeper", "The top seed"),
        ("won", "lost", "dominated", "limped out of", "turned around"),
        ("the cup semifinal", "a five-set match", "the season opener", "the relay heat", "an overtime thriller"),
        ("before a sold-out stadium", "by two goals", "in extra innings", "despite a sore hamstring"),
    ),
    _Topic(
        ("The retailer", "A regional bank", "Shareholders", "The oil producer", "An airline"),
        ("reported", "cut its forecast for", "approved", "settled", "raised"),
        ("quarterly profit", "a hostile takeover bid", "the dividend", "its pension debt", "a bond sale"),
        ("as crude prices climbed", "beating analysts", "in early trading", "ahead of the rate decision"),
    ),
    _Topic(
        ("Engineers", "A chip designer", "The space probe", "Researchers", "An open-source browser"),
        ("unveiled", "patched", "photographed", "decoded", "released"),
        ("a faster processor", "the security flaw", "an icy moon", "a wireless protocol", "the desktop software"),
        ("for handheld computers", "in the laboratory", "over broadband", "with a new telescope"),
    ),
)
"""In the order of `ag_news.LABELS`."""

# What the real files are full of: an '&' lost to a space, lone backslashes, escaped markup, quotes.
_QUIRKS = (
    "{who} #39;s spokesman said little more.",
    "It was, one said,  quot;a long week. quot;",
    "The cost: \\${number} million.",
    "Details were\\scarce.",
    "&lt;b&gt;...&lt;/b&gt;",
    'A reporter called it "remarkable".',
    "Figures of R amp;D were not given. ",
    "",
)


def write(source: str, folder: Path) -> Path:
    """Write the miniature of a data set into a folder, which is made; the same bytes every time.

    Args:
        source: a key of `MINIATURES`.
        folder: where to; it becomes what ``data.path`` names.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    MINIATURES[source](folder)
    return folder


def _ag_news(folder: Path) -> None:
    # Only `random()`'s stream is the same in every Python.
    draw = random.Random(_SEED).random
    rows: dict[tuple[str, str], int] = {}
    while len(rows) < sum(_ROWS.values()):
        number = len(rows) % len(_TOPICS)
        rows.setdefault(_article(_TOPICS[number], draw), number + 1)
    articles = [(number, *article) for article, number in rows.items()]
    (folder / "classes.txt").write_text(
        "".join(f"{label}\n" for label in ag_news.LABELS), encoding="utf-8", newline="\n"
    )
    start = 0
    for split, count in _ROWS.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(articles[start : start + count])
        start += count


def _article(topic: _Topic, draw: Callable[[], float]) -> tuple[str, str]:
    def one(words: Sequence[str]) -> str:
        return words[int(draw() * len(words))]

    who, what = one(topic.who), one(topic.what)
    quirk = one(_QUIRKS).format(who=who, number=int(draw() * 900) + 100)
    title = f"{who} {one(topic.does)} {what} (Newswire)"
    return title, f"NEWSWIRE - {who} {one(topic.does)} {what} {one(topic.where)}. {quirk}"


MINIATURES: dict[str, Callable[[Path], None]] = {"ag_news": _ag_news}
"""What can be written, by source."""

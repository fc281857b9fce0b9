"""A small AG News: four topics of news that never happened."""

import csv
from dataclasses import dataclass
from pathlib import Path

from ftcls.data.miniature.draw import Draw
from ftcls.data.readers import ag_news

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


def write(folder: Path) -> None:
    """Write train.csv, test.csv and classes.txt."""
    draw = Draw(_SEED)
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


def _article(topic: _Topic, draw: Draw) -> tuple[str, str]:
    who, what = draw.one(topic.who), draw.one(topic.what)
    quirk = draw.one(_QUIRKS).format(who=who, number=draw.below(900) + 100)
    title = f"{who} {draw.one(topic.does)} {what} (Newswire)"
    return title, f"NEWSWIRE - {who} {draw.one(topic.does)} {what} {draw.one(topic.where)}. {quirk}"

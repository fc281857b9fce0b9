"""A small Reuters-21578: 22 SGML files with stories of a year that never was."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ftcls.data.miniature.draw import Draw
from ftcls.data.readers.reuters21578 import FILES

_SEED: Final = 1987
_TOPICS: Final = (
    "acq alum barley bop carcass castor-oil cocoa coconut coconut-oil coffee copper copra-cake corn cotton "
    "cotton-oil cpi cpu crude dfl dlr dmk earn fuel gas gnp gold grain groundnut groundnut-oil heat hog housing "
    "income instal-debt interest ipi iron-steel jet jobs l-cattle lead lei lin-oil livestock lumber meal-feed "
    "money-fx money-supply naphtha nat-gas nickel nkr nzdlr oat oilseed orange palladium palm-oil palmkernel "
    "pet-chem platinum potato propane rand rape-oil rapeseed reserves retail rice rubber rye ship silver "
    "sorghum soy-meal soy-oil soybean strategic-metal sugar sun-meal sun-oil sunseed tea tin trade veg-oil "
    "wheat wpi yen zinc"
)
"""The topics of R90."""
_FREQUENT: Final = {
    "earn": 24, "acq": 20, "money-fx": 12, "grain": 10, "crude": 10, "trade": 9, "interest": 8, "wheat": 6, "ship": 6,
    "corn": 5,
}  # fmt: skip
"""Stories of the ten most frequent topics; of any other `_RARE`."""
_RARE: Final = 3
_BESIDE: Final = {"wheat": "grain", "corn": "grain", "barley": "grain", "gas": "fuel", "soybean": "oilseed"}
"""What a topic's stories are about as well."""
_ABOUT: Final = {
    "earn": "net profit per share",
    "acq": "takeover of a stake in",
    "money-fx": "currency intervention by the central bank in",
    "crude": "crude oil barrels from",
    "trade": "trade deficit and tariffs of",
    "interest": "prime lending rate of",
    "ship": "vessels waiting in the port of",
}
_PLACE: Final = ("Westmark", "Port Alder", "the Lower Reach", "New Brome", "Tarn")
_NAME: Final = ("Alder &lt;ALDR>", "Quarrystone Inc &lt;QRS.N>", "R&amp;T Haulage", "the Brome ministry", "Tarn Co-op")
_SAYS: Final = ("rose", "fell", "were unchanged", "were revised", "remain under review")
_WITHOUT_TOPIC: Final = {"TRAIN": 24, "TEST": 6}
_TEST_EVERY: Final = 3


@dataclass(frozen=True)
class _Story:
    split: str
    """LEWISSPLIT."""
    marked: str
    """The attribute TOPICS."""
    topics: tuple[str, ...]
    text: str
    """The element TEXT."""


def write(folder: Path) -> None:
    """Write reut2-000.sgm to reut2-021.sgm."""
    draw = Draw(_SEED)
    stories = _stories(draw)
    share = -(-len(stories) // len(FILES))
    for number, name in enumerate(FILES):
        first = number * share
        some = enumerate(stories[first : first + share], start=first + 1)
        content = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n' + "".join(_sgml(index, story) for index, story in some)
        # In Latin-1, as the one byte of the original that is not UTF-8 has to be read.
        (folder / name).write_text(content, encoding="latin-1", newline="\n")


def _stories(draw: Draw) -> list[_Story]:
    stories = [_about((), "YES", split, draw) for split, count in _WITHOUT_TOPIC.items() for _ in range(count)]
    for topic in _TOPICS.split():
        topics = (topic, _BESIDE[topic]) if topic in _BESIDE else (topic,)
        count = _FREQUENT[topic] if topic in _FREQUENT else _RARE
        for index in range(count):
            split = "TEST" if index % _TEST_EVERY == 0 else "TRAIN"
            # One topic stands twice in a story, as in two of the original.
            twice = (*topics, topic) if topic == "sugar" else topics
            stories.append(_about(twice, "YES", split, draw))
    # What ModApte leaves out, with and without topics.
    unused = (("TRAIN", "NO"), ("TEST", "NO"), ("TRAIN", "BYPASS"), ("NOT-USED", "YES"))
    stories += [_about(("earn",) if index % 2 else (), *unused[index % 4][::-1], draw) for index in range(24)]
    return _shuffled(stories, draw)


def _shuffled(stories: list[_Story], draw: Draw) -> list[_Story]:
    left = list(stories)
    return [left.pop(draw.below(len(left))) for _ in stories]


def _about(topics: tuple[str, ...], marked: str, split: str, draw: Draw) -> _Story:
    subjects = [_ABOUT[topic] if topic in _ABOUT else f"{topic.replace('-', ' ')} supplies of" for topic in topics]
    subject = " and ".join(dict.fromkeys(subjects)) or "chess players of"
    place = draw.one(_PLACE)
    title = f"{subject} {place} {draw.one(_SAYS)}".upper()
    body = (
        f"The {subject} {place} {draw.one(_SAYS)},\n{draw.one(_NAME)} said.\n    A spokesman for M\xfcller Freight "
        f"named {draw.below(900) + 100} of them.\n {draw.one(('Reuter', 'REUTER'))}\n&#3;"
    )
    kind = draw.below(8)
    if kind == 0:
        return _Story(
            split,
            marked,
            topics,
            f'<TEXT TYPE="BRIEF">&#2;\n******<TITLE>{title}</TITLE>Blah blah blah.\n&#3;\n\n</TEXT>',
        )
    if kind == 1:
        return _Story(split, marked, topics, f'<TEXT TYPE="UNPROC">&#2;\n{title}\n{body}\n\n</TEXT>')
    dateline = f"<DATELINE>    {place.upper()}, March {draw.below(28) + 1} - </DATELINE>"
    return _Story(split, marked, topics, f"<TEXT>&#2;\n<TITLE>{title}</TITLE>\n{dateline}<BODY>{body}</BODY></TEXT>")


def _sgml(number: int, story: _Story) -> str:
    cgi = "TRAINING-SET" if story.split != "NOT-USED" else "PUBLISHED-TESTSET"
    return (
        f'<REUTERS TOPICS="{story.marked}" LEWISSPLIT="{story.split}" CGISPLIT="{cgi}" OLDID="{number + 5543}" '
        f'NEWID="{number}">\n<TOPICS>{"".join(f"<D>{topic}</D>" for topic in story.topics)}</TOPICS>\n'
        f"<PLACES></PLACES>\n<UNKNOWN> \n&#5;&#5;&#5;C T\n&#22;&#22;&#1;f{number:04}&#31;reute</UNKNOWN>\n"
        f"{story.text}\n</REUTERS>\n"
    )

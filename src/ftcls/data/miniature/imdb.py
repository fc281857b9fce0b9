"""A small aclImdb: reviews of films that were never made."""

from pathlib import Path
from typing import Final

from ftcls.data.miniature.draw import Draw

_SEED: Final = 2011
_ROWS: Final = {"train": 96, "test": 48}
"""Reviews of each label."""
_STARS: Final = {"neg": (1, 2, 3, 4), "pos": (7, 8, 9, 10)}
_STEP: Final = 3
"""Between two numbers of files: some lie beyond the first block of 128."""

_SUBJECT: Final = (
    "The plot", "The leading lady", "The camera work", "Every second line", "The final scene", "The score",
    "The villain", "The pacing", "The dubbing", "The script",
)  # fmt: skip
_VERDICT: Final = {
    "neg": (
        "is a tedious mess", "bored me to tears", "never makes any sense", "feels cheap and lazy", "falls utterly flat",
        "was painful to sit through", "is wasted here", "insults the viewer",
    ),
    "pos": (
        "is a quiet triumph", "moved me deeply", "never puts a foot wrong", "feels fresh and honest",
        "is a sheer delight", "was a joy to follow", "shines throughout", "rewards the viewer",
    ),
}  # fmt: skip
_CLOSING: Final = {
    "neg": ("Avoid it.", "I want my two hours back.", "Awful.", "What a letdown."),
    "pos": ("See it twice.", "I cannot praise it enough.", "Superb.", "What a find."),
}
_FILM: Final = ("Harbour of Glass", "The Ninth Postman", "Salt & Cinders", "A Moth in Winter", "Return to Quarry Lane")
# Breaks in more than half of the reviews; Windows-1252 left in the C1 range; an entity here and there.
_JOINT: Final = (" ", "<br /><br />", ".<br /><br />", " \x96 ", "\x85 ", " ", "<br />", " &amp; ")
_LONG: Final = 40
"""One review in so many is longer than any model reads."""


def write(folder: Path) -> None:
    """Write aclImdb/{train,test}/{neg,pos}/NUMBER_STARS.txt."""
    draw = Draw(_SEED)
    seen: dict[str, str] = {}
    for split, count in _ROWS.items():
        for label in _VERDICT:
            home = folder / "aclImdb" / split / label
            home.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                text = _review(label, draw, sentences=120 if index % _LONG == 1 else 2 + draw.below(4))
                if index == 0:  # as in the original, a few reviews are in both splits
                    text = seen.setdefault(label, text)
                name = f"{index * _STEP}_{draw.one(_STARS[label])}.txt"
                (home / name).write_text(text, encoding="utf-8", newline="")


def _review(label: str, draw: Draw, *, sentences: int) -> str:
    said = [f"{draw.one(_SUBJECT)} of {draw.one(_FILM)} {draw.one(_VERDICT[label])}" for _ in range(sentences)]
    return "".join(f"{sentence}{draw.one(_JOINT)}" for sentence in said) + draw.one(_CLOSING[label])

"""Lines to type, as the terminal and the page show them."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ftcls.config.train_command import train_command
from ftcls.data.texts import TextColumns
from ftcls.environment.typed_lines import line
from ftcls.scoring.next_steps import Value

_NUMBERED: Final = re.compile(r"(.+)-([2-9]|[1-9]\d)")
"""A run that took the next number, its name being taken; in ``imdb-2000`` the number is part of the name."""

PAIR: Final = '{"text": "One text.", "text_pair": "Its pair."}'
"""A pair of texts as the pipelines of transformers take it."""


def train_again(run: Path, tries: Sequence[Mapping[str, Value]]) -> list[str | None]:
    """Train the config of a run with other keys, each time into a run of its own beside it; without keys nothing."""
    free = _beside(run)
    config = Path(place(run / "config.yaml"))
    return [train_command(config, keys, output=Path(place(next(free)))) if keys else None for keys in tries]


def predict(run: Path, text: TextColumns | None) -> str:
    """Label a text, or a pair of texts, with a run; what a text is made of is as its report has it."""
    both = '--text "..." --second "..."' if _are_pairs(text) else '--text "..."'
    return f"{line(['ftcls', 'predict', place(run)])} {both}"


@dataclass(frozen=True)
class Use:
    """How to use the model of a run, to copy."""

    line: str
    python: str
    transformers: str | None
    """None: it cannot load it."""


def use(run: Path, *, several: bool, text: TextColumns | None, windows: bool) -> Use:
    """Label texts with a run: on the command line, in Python, and with plain transformers.

    Args:
        run: the run directory.
        several: whether a text may have several labels.
        text: what a text is made of, as its report has it.
        windows: whether long texts are read in windows, which plain transformers does not.
    """
    folder, model = place(run), place(run / "model")
    top = ", top_k=None" if several else ""
    one, plain = ('("One text.", "Its pair.")', PAIR) if _are_pairs(text) else ('"A text."', '"A text."')
    return Use(
        line=predict(run, text),
        python="import ftcls\n\n"
        f"classifier = ftcls.Classifier.from_pretrained({folder!r})\n"
        f"classifier.classify([{one}])",
        transformers=None
        if windows
        else "from transformers import pipeline\n\n"
        f'classify = pipeline("text-classification", model={model!r}{top})\n'
        f"classify({plain}, truncation=True)",
    )


def _are_pairs(text: TextColumns | None) -> bool:
    return text is not None and text.pairs


def place(path: Path) -> str:
    """A path as one types it here: from the working directory if it lies below, else whole."""
    absolute, here = path.absolute(), Path.cwd()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()


def _beside(run: Path) -> Iterator[Path]:
    """The free names after that of a run: of ``news`` ``news-2``, ``news-3``."""
    numbered = _NUMBERED.fullmatch(run.name)
    name, number = (numbered[1], int(numbered[2])) if numbered else (run.name, 1)
    numbers = itertools.count(number + 1)
    return (path for each in numbers if not (path := run.with_name(f"{name}-{each}")).exists())

"""Small generated data sets in the original format of the real ones, for smoke runs and tests.

The real reader parses them, so that a smoke run walks the same path as a real one. Every word is ours; the texts mean
nothing, but a model can learn them. ``docstrings`` needs none (it is on every machine, and small), ``files`` and
``hub`` have none (their rows are the user's own): for these a smoke run takes a few rows of the real data.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ftcls.data.miniature import ag_news, go_emotions, imdb, reuters21578

MINIATURES: Final[dict[str, Callable[[Path], None]]] = {
    "imdb": imdb.write,
    "reuters21578": reuters21578.write,
    "ag_news": ag_news.write,
    "go_emotions": go_emotions.write,
}
"""What can be written, by source."""


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

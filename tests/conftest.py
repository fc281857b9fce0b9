"""What every test shares: no Hub, no cache but its own, and the original data sets where they are."""

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Read when huggingface_hub and tokenizers are imported, hence before any test module is.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# How long one example takes says something of the machine and what else it does, nothing of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this session alone: no test finds what another session left, or leaves anything behind."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCLS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module", autouse=True)
def settled_heap() -> None:
    """What is alive is not looked through again for garbage: among all that the libraries hold that takes a second or
    two, and the Trainer does it before every training.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Plots of a run are made and not drawn, which takes two fifths of a small training; not for tests of plots."""
    with pytest.MonkeyPatch.context() as patch:
        nothing = '<svg viewBox="0 0 1 1"></svg>'
        patch.setattr("ftcls.reporting.plots.save", lambda figures, folder: dict.fromkeys(figures, nothing))
        yield


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the original data sets (ag_news, imdb ...); the test is skipped where there is none."""
    given = os.environ.get("FTCLS_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no original data sets at {folder}; FTCLS_DATA can name their folder")
    return folder


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An endpoint that takes every connection and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whatever asks for the original data sets is marked ``real_data``, so that ``-m`` can leave it out.

    Where several workers share the files, those with slow tests come first: a worker that gets one at the end works on
    while the others have nothing left to do.
    """
    for item in items:
        if "data_folder" in getattr(item, "fixturenames", ()):
            item.add_marker("real_data")
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)

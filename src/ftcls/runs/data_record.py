"""The data of a run, written down before its first step: another corpus must not stand in for it later."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from ftcls.data.corpus import Corpus, SplitName, fingerprint
from ftcls.environment import json_files, manifest
from ftcls.environment.files import json_text
from ftcls.errors import DataError
from ftcls.runs.directory import RunDir

_SCHEMA_VERSION: Final = 1
_SHOWN: Final = 5


@dataclass(frozen=True)
class SplitRecord:
    """One split."""

    rows: int
    sha256: str
    """Of its labels, texts and row numbers; see `corpus.fingerprint`."""


@dataclass(frozen=True)
class DataRecord:
    """What a corpus is known by."""

    fingerprint: str
    labels: tuple[str, ...]
    splits: Mapping[SplitName, SplitRecord]
    versions: Mapping[str, str]
    """What the texts depend on besides the files: library versions, Hub revision."""


def of(corpus: Corpus) -> DataRecord:
    """The record of a corpus."""
    return DataRecord(
        fingerprint=fingerprint(corpus),
        labels=corpus.labels,
        splits={
            name: SplitRecord(len(split), fingerprint(replace(corpus, splits={name: split})))
            for name, split in corpus.splits.items()
        },
        versions=dict(corpus.versions),
    )


def write(run: RunDir, record: DataRecord) -> None:
    """Keep a record in the run directory."""
    manifest.write_listed(run.data, json_text({"schema_version": _SCHEMA_VERSION, **asdict(record)}))


def read(run: RunDir) -> DataRecord | None:
    """The record of a run; None where an earlier version of ftcls trained it.

    Raises:
        DataError: it cannot be read.
    """
    manifest.check_part(run.data)
    if not run.data.is_file():
        return None
    try:
        stored = json_files.value(run.data)
        if stored["schema_version"] != _SCHEMA_VERSION:
            raise ValueError(f"schema version {stored['schema_version']}")
        return DataRecord(
            fingerprint=stored["fingerprint"],
            labels=tuple(stored["labels"]),
            splits={name: SplitRecord(**each) for name, each in stored["splits"].items()},
            versions=stored["versions"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{run.data}: cannot be read ({error})") from None


def differences(before: DataRecord, now: DataRecord) -> list[str]:
    """What has changed between two records, in words; empty where they are of the same corpus."""
    if before.fingerprint == now.fingerprint:
        return []
    found = []
    if before.labels != now.labels:
        gone, new = [x for x in before.labels if x not in now.labels], [x for x in now.labels if x not in before.labels]
        found += [f"labels gone: {_listed(gone)}"] if gone else []
        found += [f"labels new: {_listed(new)}"] if new else []
        found += [] if gone or new else ["the order of the labels"]
    for name in {**before.splits, **now.splits}:
        old = before.splits[name].rows if name in before.splits else 0
        rows = now.splits[name].rows if name in now.splits else 0
        if old != rows:
            found.append(f"{name}: {old:,} rows then, {rows:,} now")
        elif name in now.splits and before.splits[name].sha256 != now.splits[name].sha256:
            found.append(f"{name}: {rows:,} rows as before, but not the same ones")
    versions = sorted(name for name in {**before.versions, **now.versions} if _differs(name, before, now))
    return [*found, *([f"versions of {', '.join(versions)}"] if versions else [])]


def _differs(name: str, before: DataRecord, now: DataRecord) -> bool:
    both = name in before.versions and name in now.versions
    return not both or before.versions[name] != now.versions[name]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"

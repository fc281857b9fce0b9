"""Which library does this docstring come from? Real English that is already on the machine, for the quickstart.

Five libraries that ftcls needs anyway are read, never imported. A file is wholly in one split, since the docstrings of
a file resemble each other: a random split by row would flatter every model by about ten points of accuracy.
"""

import ast
import contextlib
import gc
import hashlib
import importlib.util
import inspect
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from ftcls.data.corpus import Check, SplitName
from ftcls.data.raw import Raw, RawSplit
from ftcls.environment import cache, json_files
from ftcls.errors import UnavailableError

log = logging.getLogger(__name__)

LABELS = ("numpy", "pandas", "torch", "sklearn", "transformers")
_DISTRIBUTIONS = dict(zip(LABELS, ("numpy", "pandas", "torch", "scikit-learn", "transformers"), strict=True))
CAPS: dict[SplitName, int] = {"test": 200, "validation": 80, "train": 600}
"""Most rows per library and split; files fill the splits in this order."""
_VERSION = 1  # of this file's rules; raise it when a text or a split would come out otherwise

_LEFT_OUT = frozenset({"tests", "testing", "_vendor", "_external", "externals"})
_WORDS = range(6, 81)
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")  # where statements hold statements

_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_ROLE = re.compile(r":[a-zA-Z][\w:+.-]*:(?=`)")
_RST_LINK = re.compile(r"`([^`<]*?)\s*<[^`>]*>`_{0,2}")
_MARKDOWN_LINK = re.compile(r"\[([^\]]*)\]\([^)\s]*\)")
_URL = re.compile(r"(?:https?://|www\.)\S+")
_BRACKETS = re.compile(r"[`()\[\]{}<>]+|~(?=\w)")
_NAMES = r"(?:numpy|pandas|pytorch|torch|sklearn|scikit|scipy|hugging\s?face|transformers)"
_NAME = re.compile(_NAMES, re.IGNORECASE)
_LIBRARY = re.compile(rf"[\w./-]*{_NAMES}(?:[\w/-]|\.(?=\w))*", re.IGNORECASE)
_SHORT_NAME = re.compile(r"\b(?:np|pd|hf)\b", re.IGNORECASE)
_NOT_WORD = re.compile(r"[^\w\s]+")


@dataclass(frozen=True)
class _Row:
    text: str
    library: str
    path: str
    """Inside site-packages, with forward slashes."""
    line: int


def read() -> Raw:
    """The docstring corpus of the libraries as they are installed: at most 600, 80 and 200 rows of each.

    Raises:
        UnavailableError: one of the libraries is not installed.
    """
    versions = _versions()
    key = hashlib.sha256(json.dumps([_VERSION, sys.version_info[:2], versions, _roots()]).encode()).hexdigest()[:32]
    found = cache.read("docstrings", key, _build, lambda entry: json_files.value(entry / "rows.json"))
    splits: dict[SplitName, RawSplit] = {
        name: _split([_Row(**row) for row in found["splits"][name]]) for name in ("train", "validation", "test")
    }
    return Raw("multiclass", splits, labels=LABELS, checks=_checks(found["unparsable"]), versions=versions)


def _versions() -> dict[str, str]:
    missing = [name for name in LABELS if importlib.util.find_spec(name) is None]
    if missing:
        names = " ".join(_DISTRIBUTIONS[name] for name in missing)
        raise UnavailableError(
            f"data.source: docstrings reads {', '.join(LABELS)}; not installed: {', '.join(missing)}. "
            f"Run: pip install {names}"
        )
    return {name: metadata.version(distribution) for name, distribution in _DISTRIBUTIONS.items()}


def _roots() -> dict[str, str]:
    roots = {}
    for name in LABELS:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise UnavailableError(f"{name}: installed without Python sources. Run: pip install {_DISTRIBUTIONS[name]}")
        roots[name] = str(Path(spec.origin).parent)
    return roots


def _split(rows: list[_Row]) -> RawSplit:
    return RawSplit(
        texts=[row.text for row in rows],
        labels=[row.library for row in rows],
        rows=np.arange(len(rows)),
        size=len(rows),
        place=lambda index: f"{rows[index].path}:{rows[index].line}",
        groups=[row.path for row in rows],
    )


def _checks(unparsable: Sequence[str]) -> tuple[Check, ...]:
    if not unparsable:
        return ()
    advice = "Python source files that this Python cannot parse were left out."
    return (Check("unparsable_files", "info", len(unparsable), tuple(unparsable[:3]), advice),)


def _build(folder: Path) -> None:
    log.info("reading the docstrings of %s: half a minute, once", ", ".join(LABELS))
    rows: list[_Row] = []
    unparsable: list[str] = []
    with _no_garbage_collection():
        for library, root in _roots().items():
            for path in _sources(Path(root)):
                inside = path.relative_to(Path(root).parent).as_posix()
                try:
                    tree = _parse(path.read_bytes())
                except (SyntaxError, ValueError, RecursionError):
                    unparsable.append(inside)
                    continue
                rows.extend(_rows(tree, library, inside))
    splits = _by_file(_distinct(rows))
    found = {"splits": {name: [asdict(row) for row in rows] for name, rows in splits.items()}, "unparsable": unparsable}
    (folder / "rows.json").write_text(json.dumps(found), encoding="utf-8")


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Syntax trees have no cycles; looking for some among their nodes took more than half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _sources(root: Path) -> list[Path]:
    def kept(path: Path) -> bool:
        parts = path.relative_to(root).parts
        return not any(part in _LEFT_OUT or part.startswith(("conftest", "test_")) for part in parts)

    return sorted(path for path in root.rglob("*.py") if kept(path))


def _parse(source: bytes) -> ast.Module:
    with warnings.catch_warnings():  # other people's invalid escapes
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _rows(tree: ast.Module, library: str, path: str) -> Iterator[_Row]:
    for node in _public(tree):
        docstring = ast.get_docstring(node, clean=False)
        if docstring is not None:
            text = prepare(docstring)
            if len(text.split()) in _WORDS:
                yield _Row(text, library, path, node.lineno)


def _public(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Functions and classes without a leading underscore in any part of the name, in the order of the file."""
    for block in _BLOCKS:
        for child in getattr(node, block, ()):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                if child.name.startswith("_"):
                    continue
                yield child
            yield from _public(child)


def prepare(docstring: str) -> str:
    """The first paragraph of a docstring in plain words, with every name of a library replaced by ``library``."""
    text = _BLANK_LINE.split(inspect.cleandoc(docstring), maxsplit=1)[0]
    text = _ROLE.sub("", text)
    text = _MARKDOWN_LINK.sub(r"\1", _RST_LINK.sub(r"\1", text))
    text = _BRACKETS.sub(" ", _URL.sub(" ", text))
    if _NAME.search(text):  # most texts have none, and the search for whole words is slow
        text = _LIBRARY.sub("library", text)
    return " ".join(_SHORT_NAME.sub("library", text).split())


def _distinct(rows: Sequence[_Row]) -> list[_Row]:
    """Without texts that two libraries have; of equal ones in one library the first by path."""
    key = {row.text: " ".join(_NOT_WORD.sub("", row.text.lower()).split()) for row in rows}
    owners: dict[str, set[str]] = {}
    for row in rows:
        owners.setdefault(key[row.text], set()).add(row.library)
    first: dict[str, _Row] = {}
    for row in sorted(rows, key=lambda row: (row.path, row.line)):
        if len(owners[key[row.text]]) == 1:
            first.setdefault(key[row.text], row)
    return list(first.values())


def _by_file(rows: Sequence[_Row]) -> dict[SplitName, list[_Row]]:
    """Whole files, by hash, into test until it has its rows, then validation, the rest into train; capped by hash."""
    files: dict[str, dict[str, list[_Row]]] = {library: {} for library in LABELS}
    for row in rows:
        files[row.library].setdefault(row.path, []).append(row)
    splits: dict[SplitName, list[_Row]] = {name: [] for name in CAPS}
    for of_library in files.values():
        filled: dict[SplitName, list[_Row]] = {name: [] for name in CAPS}
        for path in sorted(of_library, key=_hash):
            name = _open(filled)
            filled[name].extend(of_library[path])
        for name, found in filled.items():
            splits[name].extend(sorted(found, key=lambda row: _hash(row.text))[: CAPS[name]])
    return {name: sorted(found, key=lambda row: _hash(row.text)) for name, found in splits.items()}


def _open(filled: dict[SplitName, list[_Row]]) -> SplitName:
    if len(filled["test"]) < CAPS["test"]:
        return "test"
    return "validation" if len(filled["validation"]) < CAPS["validation"] else "train"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

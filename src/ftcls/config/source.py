"""YAML text to plain values, with the place of every key.

PyYAML reads YAML 1.1: ``2e-5`` is text there, ``no`` is False, ``010`` is 8, and of two equal keys the last one wins
in silence. Here the values are those of the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema),
equal keys are an error, mapping keys are text as it is written, and dates stay text.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ftcls.environment import limits
from ftcls.errors import ConfigError, quoted, shortened

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_NO_CONFIG = "; that is no config"
_LINE = 200
"""Characters of a line that an error quotes."""
_CORE = (
    ("null", re.compile(r"null|Null|NULL|~|", re.ASCII), ["n", "N", "~", ""]),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE", re.ASCII), list("tTfF")),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII), list("-+0123456789")),
    (
        "float",
        re.compile(
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII
        ),
        list("-+.0123456789"),
    ),
)
_BASES = {"0o": 8, "0x": 16}


class _Loader(yaml.SafeLoader):
    """Composes nodes whose tags are those of YAML 1.2, as many and as deep as a config may have."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape
    values = depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node and those inside it."""
        self.values += 1
        self.depth += 1
        if self.values > limits.YAML_VALUES:
            raise self._refused(f"more than {limits.YAML_VALUES:,} values{_NO_CONFIG}")
        if self.depth > limits.YAML_DEPTH:
            raise self._refused(f"nested more than {limits.YAML_DEPTH} deep{_NO_CONFIG}")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refused(self, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would take for something other than text."""


for _kind, _pattern, _first in _CORE:
    _whole = re.compile(f"(?:{_pattern.pattern})$", re.ASCII)
    _Loader.add_implicit_resolver(_TAG + _kind, _whole, _first)
    _Dumper.add_implicit_resolver(_TAG + _kind, _whole, _first)


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar(_TAG + "float", number(value))


_Dumper.add_representer(float, _represent_float)


@dataclass(frozen=True)
class Place:
    """Where a value was written: a line of a file, or an override of the command line."""

    origin: str
    """The file as the user named it, ``command line``, or where in Python."""
    line: int = 0
    """Line from 1; the number of the override from 1 outside a file."""
    column: int = 0
    """Column from 1; 0 outside a file."""
    text: str = ""
    """The whole line, or the whole override."""
    folder: Path = field(default_factory=Path)
    """What a relative path written here is relative to."""

    @property
    def is_override(self) -> bool:
        """Whether it was written on the command line, or in Python."""
        return self.column == 0

    @property
    def order(self) -> tuple[bool, int, int]:
        """Sort key: the file from top to bottom, then the overrides from left to right."""
        return self.is_override, self.line, self.column


@dataclass(frozen=True)
class Source:
    """One YAML document: its value, and the place of every key and list item."""

    value: Any
    places: Mapping[KeyPath, Place]
    raw: Mapping[KeyPath, str]
    """Unquoted scalars as they are written: a label called ``010`` or ``true`` is text to its owner."""


def parse(text: str, place: Place) -> Source:
    """Read one YAML document.

    Args:
        text: the document.
        place: names the origin in errors; for an override all values stand at this one place.

    Raises:
        ConfigError: not YAML, or equal keys in one mapping, with line and column.
    """
    if len(text) > limits.YAML_BYTES:
        raise ConfigError(
            message(place, "", f"has {len(text):,} characters; a config has at most {limits.YAML_BYTES:,}")
        )
    lines = text.splitlines()

    def at(mark: Any) -> Place:
        if place.is_override:
            return place
        line = lines[mark.line] if mark.line < len(lines) else ""
        return Place(place.origin, mark.line + 1, mark.column + 1, line, place.folder)

    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_syntax_message(error, at(error.problem_mark or error.context_mark))) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        where = place if place.is_override else Place(place.origin, line, 1, lines[line - 1] if lines else "")
        raise ConfigError(
            message(where, "", f"character U+{ord(text[error.position]):04X} is not allowed in YAML; delete it")
        ) from None
    builder = _Builder(at)
    builder.places[()] = place
    value = None if node is None else builder.build(node, ())
    return Source(value, builder.places, builder.raw)


def given(value: Any, place: Place) -> Source:
    """Python values as a document: what JSON has stays, and so do paths, tuples and NumPy's numbers in its words.

    Args:
        value: a value, or mappings of them.
        place: names the origin in errors; keys inside a mapping are appended to its text.

    Raises:
        ConfigError: a value that a config cannot hold.
    """
    places: dict[KeyPath, Place] = {}

    def plain(value: Any, path: KeyPath) -> Any:
        places[path] = place if not path else replace(place, text=": ".join(filter(None, (place.text, dotted(path)))))
        if isinstance(value, Mapping):
            return {str(key): plain(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        number = value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value
        if number is None or isinstance(number, bool | int | float | str):
            return number
        raise ConfigError(message(places[path], "", f"a config holds no {type(value).__name__}; give a plain value"))

    return Source(plain(value, ()), places, {})


def read(path: Path, shown: str) -> Source:
    """Read a YAML file.

    Args:
        path: the file.
        shown: its name in errors.

    Raises:
        ConfigError: the file cannot be read, is not UTF-8 or not YAML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limits.YAML_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    if len(content) > limits.YAML_BYTES:
        raise ConfigError(f"{shown}: is larger than {limits.YAML_BYTES:,} bytes; that is no config")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{shown}:{line}: not UTF-8 text (byte 0x{content[error.start]:02X}); save it as UTF-8"
        ) from None
    return parse(text, Place(shown, line=1, column=1, folder=path.absolute().parent))


def message(place: Place, key: str, what: str) -> str:
    """One error as the user sees it: place, key, what is wrong, and the line itself where it is in a file."""
    if place.is_override:
        return ": ".join(part for part in (place.origin, shortened(place.text or key, _LINE), what) if part)
    subject = f"{shortened(key, _LINE)}: " if key else ""
    line = shortened(place.text.strip(), _LINE)
    return f"{place.origin}:{place.line}:{place.column}: {subject}{what}" + (f"\n    {line}" if line else "")


def dotted(path: KeyPath) -> str:
    """``data.labels[2]`` for ``("data", "labels", 2)``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def dump(value: Any) -> str:
    """A plain value as YAML in block style; reads back as an equal value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def flow(value: Any) -> str:
    """A plain value as YAML on one line, as one would write it by hand."""
    text = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"), default_flow_style=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def number(value: float) -> str:
    """A float as one would write it: ``2e-5``, not ``2e-05``."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[repr(value)]
    return re.sub(r"e([-+])0+", r"e\1", repr(value))


def _syntax_message(error: yaml.MarkedYAMLError, place: Place) -> str:
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        problem = "a tab cannot indent YAML or start a value; use spaces"
    elif problem == "mapping values are not allowed here":
        problem = "a key cannot stand here; check the indentation, and put quotes around text that contains ': '"
    elif problem.endswith(_NO_CONFIG):
        pass
    elif "expected a single document" in f"{error.context} {problem}":
        problem = "a second document begins here; a config is one document"
    else:
        problem = f"not valid YAML: {shortened(problem, _LINE)}" + (
            f" ({shortened(error.context)})" if error.context else ""
        )
    return message(place, "", problem)


class _Builder:
    """Turns nodes into values and notes where each was written."""

    def __init__(self, at: Any) -> None:
        self.at = at
        self.places: dict[KeyPath, Place] = {}
        self.raw: dict[KeyPath, str] = {}
        self._open: set[int] = set()
        self._built = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        if path not in self.places or not path:
            self.places[path] = self.at(node.start_mark)
        self._built += 1
        if self._built > limits.YAML_VALUES:
            raise self._error(node, path, f"more than {limits.YAML_VALUES:,} values; that is no config")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            raise self._error(node, path, "an alias inside its own anchor never ends")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return dict(self._pairs(node, path))
            self._known(node, path, "seq")
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _pairs(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        self._known(node, path, "map")
        first: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, path, "a key must be text; close the bracket or quote it")
            key = key_node.value
            if key in first:
                line = self.at(first[key].start_mark).line
                raise self._error(key_node, (*path, key), f"written twice, first on line {line}; keep one of them")
            first[key] = key_node
            self.places[(*path, key)] = self.at(key_node.start_mark)
            yield key, self.build(value_node, (*path, key))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if node.style is None and kind != "str":
            self.raw[path] = text
        try:
            if kind == "str":
                return text
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
            if kind == "int":
                return int(text[2:], _BASES[text[:2]]) if text[:2] in _BASES else int(text)
            if kind == "float":
                return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
        except (ValueError, KeyError):
            raise self._error(node, path, f"{quoted(text)} is not a {kind}") from None
        raise self._error(node, path, f"the tag {shortened(node.tag)} is not allowed; write a plain value")

    def _known(self, node: yaml.Node, path: KeyPath, kind: str) -> None:
        if node.tag != _TAG + kind:
            raise self._error(node, path, f"the tag {shortened(node.tag)} is not allowed; write a plain value")

    def _error(self, node: yaml.Node, path: KeyPath, what: str) -> ConfigError:
        return ConfigError(message(self.at(node.start_mark), dotted(path), what))

"""What is wrong with a value, said once per key in the words of the schema.

Pydantic decides whether a value is allowed; its own messages name no neighbouring keys and list one error per member of
a union, so the sentences are made here from the same annotations.
"""

import json
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ftcls.config.schema import Experiment
from ftcls.config.section import Section
from ftcls.config.source import KeyPath, flow
from ftcls.environment import limits

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_BOUNDS = (("gt", "above"), ("ge", "of at least"), ("lt", "below"), ("le", "of at most"))


@dataclass(frozen=True)
class Problem:
    """One thing to change in a config."""

    path: KeyPath
    text: str
    missing: bool = False
    """Whether the key is required and was not written."""


def problems(value: Any, section: type[Section] = Experiment, path: KeyPath = ()) -> Iterator[Problem]:
    """Everything that the schema refuses in a plain value; nothing if pydantic takes it."""
    if not isinstance(value, Mapping):
        keys = ", ".join(section.model_fields)
        yield Problem(path, f"found {found(value)}, expected {'keys' if not path else 'a section with keys'}: {keys}")
        return
    hints = fields(section)
    for key, item in value.items():
        if key in hints:
            yield from _in_value(hints[key], item, (*path, key), section.model_fields[key])
        else:
            yield Problem((*path, key), _unknown(key, item, hints, path))
    meant = {nearest(key, hints) for key in value if key not in hints}
    for key, field in section.model_fields.items():
        if field.is_required() and key not in value and key not in meant:
            text = f"required, and missing: {_lower_first(field.description)}"
            yield Problem((*path, key), text, missing=True)


def fields(section: type[Section]) -> dict[str, Any]:
    """Field name to annotation, constraints included, in the order of the schema."""
    hints = get_type_hints(section, include_extras=True)
    return {name: hints[name] for name in section.model_fields}


def members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, flattened; the annotation itself if it is none."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(leaf for member in get_args(annotation) for leaf in members(member))
    return (annotation,)


def words(annotation: Any) -> str:
    """What an annotation allows, in words: ``a number above 0 and below 1``."""
    parts = [_member_words(member) for member in members(annotation)]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, if any is close."""
    plain = {candidate.lower().replace("-", "_"): candidate for candidate in names}
    close = limits.nearest(name.lower().replace("-", "_"), plain)
    return None if close is None else plain[close]


def found(value: Any) -> str:
    """A value as an error quotes it."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 60 else f"the text {value[:57]!r}..."
    text = flow(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def section_of(annotation: Any) -> type[Section] | None:
    """The section class that a field holds, if it holds exactly one."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def belongs(key: str) -> tuple[str, ...] | None:
    """The one section in which a key is known, if there is exactly one."""
    homes = [path for path, names in _homes(Experiment, ()) if key in names]
    return homes[0] if len(homes) == 1 else None


def _homes(section: type[Section], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    hints = fields(section)
    yield path, frozenset(hints)
    for key, annotation in hints.items():
        inner = section_of(annotation)
        if inner:
            yield from _homes(inner, (*path, key))


def _unknown(key: str, value: Any, known: Iterable[str], path: KeyPath) -> str:
    if key == "<<":
        return "merge keys are not part of YAML 1.2; write the keys out"
    close = nearest(key, known)
    home = belongs(key)
    if home is not None and home != path and close is None:
        return f"unknown key here; write {line((*home, key), value)}"
    if close:
        return f"unknown key, did you mean '{close}'?"
    return f"unknown key; allowed here: {', '.join(known)}"


def line(path: Iterable[str], value: Any) -> str:
    """A setting as one line of YAML: ``training: {batch_size: 16}``."""
    top, *inner = path
    for key in reversed(inner):
        value = {key: value}
    return f"{top}: {flow(value)}"


def _in_value(annotation: Any, value: Any, path: KeyPath, field: FieldInfo | None = None) -> Iterator[Problem]:
    inner = section_of(annotation)
    if inner:
        yield from problems(value, inner, path)
        return
    if _allowed(annotation, value):
        return
    before = False
    for problem in _in_parts(annotation, value, path):
        before = True
        yield problem
    if not before:
        yield Problem(path, _refused(annotation, value, field))


def _in_parts(annotation: Any, value: Any, path: KeyPath) -> Iterator[Problem]:
    """Problems inside a list or mapping that is of an allowed kind."""
    options = [_bare(member) for member in members(annotation)]
    if isinstance(value, Mapping):
        closest = _closest(value, [option for option in options if section_of(option)])
        if closest is not None:
            yield from problems(value, closest, path)
    parts: list[tuple[str | int, Any]] = []
    if isinstance(value, Mapping):
        parts = [(key, get_args(option)[1]) for option in options if get_origin(option) is dict for key in value]
    elif isinstance(value, list):
        lists = [option for option in options if get_origin(option) is tuple]
        parts = [(index, get_args(option)[0]) for option in lists for index in range(len(value))]
    for key, inner in parts:
        yield from _in_value(inner, value[key], (*path, key))


def _closest(value: Mapping[str, Any], sections: list[type[Section]]) -> type[Section] | None:
    """The member of a union that a mapping was meant to be: the only one, or the one that shares most keys."""
    shared = {section: sum(nearest(key, section.model_fields) is not None for key in value) for section in sections}
    same = {section: len(set(value) & set(section.model_fields)) for section in sections}
    closest = max(sections, key=lambda section: (shared[section], same[section]), default=None)
    return closest if closest is not None and (len(sections) == 1 or shared[closest]) else None


def _allowed(annotation: Any, value: Any) -> bool:
    try:
        TypeAdapter(annotation, config=_STRICT).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def _refused(annotation: Any, value: Any, field: FieldInfo | None) -> str:
    options = members(annotation)
    choices = [choice for option in options for choice in _choices(option)]
    kinds = {_bare(option) for option in options}
    if isinstance(value, str) and choices:
        close = nearest(value, choices)
        hint = f", did you mean {close!r}?" if close else ";"
        return f"{value!r} is not allowed{hint} Allowed: {words(annotation)}".replace("; Allowed", "; allowed")
    if isinstance(value, str) and field is not None and _constraint(options[0], "pattern"):
        return f"{value!r} is not allowed; expected {_lower_first(field.description)}"
    text = f"found {found(value)}, expected {words(annotation)}"
    if isinstance(value, str) and str not in kinds and any(get_origin(kind) is tuple for kind in kinds):
        return f"{text}; write [{flow(value)}]"
    if isinstance(value, str) and kinds & {int, float} and str not in kinds and _is_number(value):
        return f"{text}; remove the quotes"
    if isinstance(value, int | float) and str in kinds and not kinds & {int, float}:
        return f"{text}; put it in quotes: '{flow(value)}'"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _choices(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _constraint(annotation: Any, name: str) -> Any:
    """The value of one constraint of an Annotated type, or None."""
    if get_origin(annotation) is not Annotated:
        return None
    for mark in get_args(annotation)[1:]:
        for item in mark.metadata if isinstance(mark, FieldInfo) else (mark,):
            if getattr(item, name, None) is not None:
                return getattr(item, name)
    return None


def _member_words(annotation: Any) -> str:
    bare = _bare(annotation)
    if bare is type(None):
        return "null"
    if bare in (int, float):
        noun = "a whole number" if bare is int else "a number"
        bounds = [
            f"{text} {flow(limit)}" for key, text in _BOUNDS if (limit := _constraint(annotation, key)) is not None
        ]
        return " ".join([noun, " and ".join(bounds)]).strip()
    least = _constraint(annotation, "min_length")
    return _other_words(bare, f", {least} or more" if least else "")


def _other_words(bare: Any, at_least: str) -> str:
    inner = section_of(bare)
    if inner:
        return "{" + ", ".join(f"{key}: {words(hint)}" for key, hint in fields(inner).items()) + "}"
    if get_origin(bare) is Literal:
        return ", ".join(get_args(bare))
    if get_origin(bare) is tuple:
        return f"a list of {_item_words(get_args(bare)[0])}{at_least}"
    if get_origin(bare) is dict:
        return f"{{name: {words(get_args(bare)[1])}}}"
    return {str: "text", bool: "true or false", Any: "any value"}[bare]


def _item_words(annotation: Any) -> str:
    text = words(annotation)
    return f"these: {text}" if get_origin(_bare(annotation)) is Literal else text


def _lower_first(text: str | None) -> str:
    plain = (text or "").rstrip(".")
    return plain[:1].lower() + plain[1:] if plain[1:2].islower() else plain

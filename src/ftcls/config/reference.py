"""The config in other words: the JSON schema for editors, the reference of every key, a config in one line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from ftcls.config.explain import fields, members, section_of, words
from ftcls.config.rule import task_of
from ftcls.config.rules import METRICS
from ftcls.config.schema import Experiment
from ftcls.config.section import Section
from ftcls.config.source import flow
from ftcls.config.sweep import Range, Sweep


def schema_text() -> str:
    """The JSON schema of a config as it is committed at configs/schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Experiment.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def description(path: Path) -> str:
    """The first sentence of a config's header that is not its schema or its command."""
    header: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        header.append(line.removeprefix("#").strip())
    text = " ".join(line for line in header if line and not line.startswith(("yaml-language-server", "ftcls ")))
    ends = [end for mark in (". ", "? ") if (end := text.find(mark)) > 0]
    return (text[: min(ends) + 1].rstrip(".:") if ends else text.rstrip(".")) or path.stem


def task(experiment: Experiment) -> str:
    """The task of an experiment; a config that was loaded has one."""
    return str(task_of(experiment.data))


def keys_markdown() -> str:
    """Every key with its default, what is allowed, and what it means, as Markdown."""
    parts = list(_section(Experiment, ()))
    names = "\n".join(f"- {name}: {', '.join(f'`{metric}`' for metric in METRICS[name])}" for name in METRICS)
    return "\n".join([*parts, "### Names for `metrics.best`", "", names, ""])


def sweep_markdown() -> str:
    """Every key of a sweep file, likewise."""
    return "\n".join([*_section(Sweep, (), "### The top level of a sweep"), *_section(Range, ("axes", "KEY"))])


def _section(section: type[Section], path: tuple[str, ...], title: str = "### The top level") -> Iterator[str]:
    yield f"### `{'.'.join(path)}`" if path else title
    yield ""
    yield "| key | default | allowed | meaning |"
    yield "| --- | --- | --- | --- |"
    inner: list[tuple[type[Section], tuple[str, ...]]] = []
    for key, annotation in fields(section).items():
        field = section.model_fields[key]
        below, optional = section_of(annotation), _optional(annotation)
        if found := below or optional:
            inner.append((found, (*path, key)))
            allowed = f"a section: see `{'.'.join((*path, key))}` below" + ("" if below else "; or null")
        else:
            allowed = words(annotation)
        yield f"| `{key}` | {_default(field, below)} | {_cell(allowed)} | {_cell(field.description or '')} |"
    yield ""
    for below, where in inner:
        yield from _section(below, where)


def _optional(annotation: Any) -> type[Section] | None:
    """The section that may be null."""
    sections = [found for each in members(annotation) if (found := section_of(each)) is not None]
    return sections[0] if len(sections) == 1 and set(members(annotation)) == {*sections, type(None)} else None


def _default(field: FieldInfo, below: type[Section] | None) -> str:
    if field.is_required():
        return "required"
    if below:
        return "its defaults"
    value = field.default
    return f"`{flow(list(value) if isinstance(value, tuple) else value)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")  # a cell is one line

"""docs/api.md, made from the docstrings of what `import ftcls` offers: ``python scripts/api_page.py``."""

import functools
import importlib
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ftcls

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"

_HEAD = """\
# Python API

Made from the docstrings by `python scripts/api_page.py`; a test fails when it is stale. [Python](python.md) shows how
the pieces go together.

"""

MEMBERS = {
    "Classifier": (
        *("from_pretrained", "predict", "predict_proba", "classify", "with_thresholds"),
        *("save_pretrained", "push_to_hub"),
    ),
    "TextClassifier": ("fit", "predict", "predict_proba"),
}
"""Of classes whose other members the rest of ftcls uses: those that are meant for everybody."""
MADE_BY_OTHERS = ("Classifier", "FtclsError")
"""Classes that nobody calls by themselves."""
MEMBER_KINDS = (types.FunctionType, classmethod, property, functools.cached_property)
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")


def markdown() -> str:
    """The whole page."""
    named = {name: getattr(ftcls, name) for name in ftcls.__all__ if name != "__version__"}
    functions = {name: found for name, found in named.items() if not inspect.isclass(found)}
    errors = {name: found for name, found in named.items() if inspect.isclass(found) and issubclass(found, Exception)}
    classes = {name: found for name, found in named.items() if name not in functions and name not in errors}
    classes["sklearn.TextClassifier"] = importlib.import_module("ftcls.sklearn").TextClassifier
    parts = [_HEAD, "## Functions\n\n"]
    parts += [_entry("###", f"ftcls.{name}", found, found) for name, found in functions.items()]
    parts.append("## Classes\n\n")
    parts += [part for name, found in classes.items() for part in _class(name, found)]
    parts.append("## Errors\n\nEach has the [exit code](exit-codes.md) of its kind; `FtclsError` catches all.\n\n")
    parts += [f"- `ftcls.{name}`: {_inline(_doc(found))}\n" for name, found in errors.items()]
    return "".join(parts)


def _class(name: str, found: type) -> Iterator[str]:
    yield _entry("###", f"ftcls.{name}", found, None if name in MADE_BY_OTHERS else found)
    for member in MEMBERS[found.__name__] if found.__name__ in MEMBERS else _public(found):
        inner = inspect.getattr_static(found, member)
        bare = inner.__func__ if isinstance(inner, classmethod) else inner
        call = bare if isinstance(bare, types.FunctionType) else None
        yield _entry("####", f"{found.__name__}.{member}", bare, call)


def _public(found: type) -> list[str]:
    """Methods and properties of a class, without values that a field starts with."""
    return [name for name, each in vars(found).items() if not name.startswith("_") and isinstance(each, MEMBER_KINDS)]


def _entry(level: str, name: str, documented: Any, called: Any) -> str:
    call = "" if called is None else f"```python\n{name.rpartition('.')[2]}{_signature(called)}\n```\n\n"
    return f"{level} `{name}`\n\n{call}{_body(_doc(documented))}\n"


def _doc(found: Any) -> str:
    text = inspect.getdoc(found)
    if not text:
        raise SystemExit(f"{found}: no docstring")
    return text


def _signature(found: Any) -> str:
    """Names and defaults; what each takes is said by its docstring."""
    written, star = [], False
    for each in inspect.signature(found).parameters.values():
        if each.name in ("self", "cls"):
            continue
        if each.kind is each.KEYWORD_ONLY and not star:
            written.append("*")
        star = star or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        prefix = {each.VAR_KEYWORD: "**", each.VAR_POSITIONAL: "*"}.get(each.kind, "")
        written.append(f"{prefix}{each.name}{_default(each)}")
    line = ", ".join(written)
    return f"({line})" if len(line) < 90 else "(\n" + "".join(f"    {part},\n" for part in written) + ")"


def _default(parameter: inspect.Parameter) -> str:
    value = parameter.default
    if value is parameter.empty:
        return ""
    if isinstance(value, str):
        return f'="{value}"'
    return f"={value!r}" if value is None or isinstance(value, bool | int | float | tuple) else "=..."


def _body(doc: str) -> str:
    """A docstring in the Google style as Markdown."""
    made, section = [], ""
    for block in re.split(r"\n\s*\n", doc):
        title, _, rest = block.partition("\n")
        if title.rstrip(":") in SECTIONS and title.endswith(":"):
            section = title.rstrip(":")
            items = _items(rest)
            made.append(f"**{section}**\n\n" + "\n".join(items) if items else f"**{section}**\n\n{_inline(rest)}")
        else:
            made.append(_inline(block))
    return "\n\n".join(made) + "\n"


def _items(text: str) -> list[str]:
    """The names of a section with what is said of each."""
    lines = inspect.cleandoc(text).splitlines()
    items: list[list[str]] = []
    for line in lines:
        found = re.match(r"([\w*.]+): (.*)", line)
        if found:
            items.append([found[1], found[2]])
        elif items and line.startswith(" "):
            items[-1][1] += f" {line.strip()}"
        else:
            return []
    return [f"- `{name}`: {_inline(said)}" for name, said in items]


def _inline(text: str) -> str:
    """One paragraph; the marks of reStructuredText as those of Markdown."""
    return " ".join(text.split()).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
    print(PAGE)

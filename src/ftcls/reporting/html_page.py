"""HTML pages: their templates, and what a page may do: run its own script and style, and load nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ftcls.errors import printable

_NOTHING = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


def templates(folder: Path) -> jinja2.Environment:
    """The templates in a folder; what they are filled with is escaped, control and invisible characters too."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _visible(value: Any) -> Any:
    is_html = hasattr(value, "__html__")  # what a template calls safe
    return printable(value) if isinstance(value, str) and not is_html else value


def policy(*, style: str, scripts: Sequence[str] = (), drawings: bool = True, **more: str) -> str:
    """A Content-Security-Policy (https://www.w3.org/TR/CSP3/).

    Whatever else comes into the page, out of a label, a text or a config, is no script that runs.

    Args:
        style: what stands in the page's style element, to the last character.
        scripts: the same for each script.
        drawings: whether plots are in it, whose elements have styles of their own; these load and run nothing.
        more: other directives, with an underscore for each hyphen.
    """
    allowed = {
        "style-src": _hash(style),
        **({"style-src-attr": "'unsafe-inline'"} if drawings else {}),
        "script-src": " ".join(map(_hash, scripts)) or "'none'",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return "; ".join([_NOTHING, *(f"{name} {value}" for name, value in allowed.items())])


def parts(*, style: str, script: str | None = None) -> Mapping[str, str]:
    """Style, script and policy as the templates of pages that open from disk take them."""
    texts = {"style": f"\n{style}\n"} | ({} if script is None else {"script": f"\n{script}\n"})
    return texts | {"policy": policy(style=texts["style"], scripts=[texts["script"]] if script is not None else [])}


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

"""HTML pages: their templates, and what a page may do: run its own script and style, and load nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jinja2

from ftcls.environment.figures_as_text import (
    duration,
    interval,
    number,
    p_equals,
    p_value,
    signed,
    signed_interval,
)
from ftcls.errors import printable

SHADES: Final = 20
"""Steps of a shaded cell or a bar."""
_HERE: Final = Path(__file__).parent
_NOTHING = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


def templates(folder: Path) -> jinja2.Environment:
    """The templates in a folder, and the macros of all pages.

    What they are filled with is escaped, control and invisible characters too. Filters write figures as everywhere.
    """
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= _FILTERS
    return found


def file(name: str) -> str:
    """A style sheet or a script of the pages, as text."""
    return (_HERE / name).read_text(encoding="utf-8")


def _cell(value: Any) -> str:
    """A value of a table whose keys are not known here."""
    if isinstance(value, list):
        return interval(value) if len(value) == 2 else ", ".join(map(_cell, value))
    if isinstance(value, float) or value is None:
        return number(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _shade(share: float) -> str:
    """The class of a cell that is shaded by a share: a style of its own would need leave from the page's policy."""
    return f"s{round(SHADES * min(max(share, 0.0), 1.0))}"


_FILTERS: Final = {
    "number": number, "interval": interval, "signed": signed, "signed_interval": signed_interval, "p_value": p_value,
    "p_equals": p_equals, "cell": _cell, "duration": duration, "shade": _shade,
}  # fmt: skip


def _visible(value: Any) -> Any:
    is_html = hasattr(value, "__html__")  # what a template calls safe
    return printable(value) if isinstance(value, str) and not is_html else value


def policy(*, style: str, scripts: Sequence[str] = (), **more: str) -> str:
    """A Content-Security-Policy (https://www.w3.org/TR/CSP3/).

    Whatever else comes into the page, out of a label, a text or a config, is no script that runs.

    Args:
        style: what stands in the page's style element, to the last character.
        scripts: the same for each script.
        more: other directives, with an underscore for each hyphen.
    """
    allowed = {
        "style-src": _hash(style),
        "script-src": " ".join(map(_hash, scripts)) or "'none'",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return "; ".join([_NOTHING, *(f"{name} {value}" for name, value in allowed.items())])


def parts(*, style: str, script: str | None = None) -> Mapping[str, str]:
    """Style, with a class for each step of a shade, script and policy as the pages that open from disk take them."""
    shades = "".join(f".s{step}{{--share:{step / SHADES:.3g}}}" for step in range(SHADES + 1))
    texts = {"style": f"\n{style}\n{shades}\n"} | ({} if script is None else {"script": f"\n{script}\n"})
    return texts | {"policy": policy(style=texts["style"], scripts=[texts["script"]] if script is not None else [])}


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

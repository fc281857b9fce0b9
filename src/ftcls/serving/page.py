"""The page: one HTML document without anything from elsewhere, and the policy that keeps it so."""

import base64
import hashlib
from pathlib import Path

import jinja2

from ftcls.reporting import run_page as report_page
from ftcls.serving.schema import Model

_HERE = Path(__file__).parent
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(model: Model) -> tuple[str, str]:
    """The page of a model, and its Content-Security-Policy: its own script and style by their hash, nothing else."""
    looks = Path(report_page.__file__).with_name("page.css").read_text(encoding="utf-8")
    style = f"\n{looks}\n{(_HERE / 'page.css').read_text(encoding='utf-8')}\n"
    script = f"\n{(_HERE / 'page.js').read_text(encoding='utf-8')}\n"
    html = _TEMPLATES.get_template("page.html").render(name=model.name, style=style, script=script)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

"""The page: one HTML document without anything from elsewhere, and the policy that keeps it so."""

from pathlib import Path

from ftcls.reporting import html_page
from ftcls.reporting import run_page as report_page
from ftcls.serving.schema import Model

_HERE = Path(__file__).parent
_TEMPLATES = html_page.templates(_HERE)


def render(model: Model) -> tuple[str, str]:
    """The page of a model, and its Content-Security-Policy: its own script and style by their hash, nothing else."""
    looks = Path(report_page.__file__).with_name("page.css").read_text(encoding="utf-8")
    style = f"\n{looks}\n{(_HERE / 'page.css').read_text(encoding='utf-8')}\n"
    script = f"\n{(_HERE / 'page.js').read_text(encoding='utf-8')}\n"
    html = _TEMPLATES.get_template("page.html").render(name=model.name, style=style, script=script)
    more = {"connect_src": "'self'", "frame_ancestors": "'none'"}
    return html, html_page.policy(style=style, scripts=[script], **more)

"""What a label, a text or a name may do on a page or in a Markdown table: nothing but stand there."""

import asyncio
import base64
import hashlib
import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import synthetic
from ftcls.config.schema import Experiment
from ftcls.reporting import compare_page, html_page, model_card
from ftcls.reporting.compare import compare
from ftcls.reporting.markdown import plain, table
from ftcls.search import page as sweep_page
from ftcls.search import sweep as sweeping
from ftcls.serving import page as serve_page
from made_reports import made, make, read
from sweeping import Instant, finish, planned

ROOT = Path(__file__).resolve().parent.parent.parent
STEERING = "\x1b[31mred\x07 \u202egnp\u200b.exe"
ESCAPED = "\\x1b[31mred\\x07 \\u202egnp\\u200b.exe"
EVIL = "<script>document.title='run'</script><img src=x onerror=document.title='run'>"


class Scripts(HTMLParser):
    """The texts of the script and style elements of a page, its policy, and attributes that would run."""

    def __init__(self, source):
        super().__init__()
        self.texts, self.policy, self.handlers, self._inside = [], None, [], False
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.handlers += [name for name in attributes if name.startswith("on")]
        self._inside = tag in ("script", "style") and attributes.get("type") != "text/plain"
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]

    def handle_data(self, data):
        if self._inside:
            self.texts.append(data)

    def handle_endtag(self, tag):
        self._inside = False


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Each page that opens from disk, as text."""
    folder = tmp_path_factory.mktemp("pages")
    labels = (STEERING, EVIL, "plain")
    comparison = compare([made(folder, name="a"), made(folder, name="b", checkpoint=EVIL)])
    compare_page.write(comparison, folder / "out")
    plan = planned(folder / "sweep")
    for trial in plan.trials:
        finish(trial)
    swept = sweeping.run(plan, Instant(plan.trials))
    return {
        "report": read(make(folder, "multiclass", labels=labels)),
        "compare": (folder / "out" / "compare.html").read_text(encoding="utf-8"),
        "sweep": (swept.folder / sweep_page.FILE).read_text(encoding="utf-8"),
    }


@pytest.mark.parametrize("name", ["report", "compare", "sweep"])
def test_a_page_runs_its_own_script_and_style_alone(pages, name):
    found = Scripts(pages[name])
    directives = dict(each.split(maxsplit=1) for each in found.policy.split("; "))
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in found.texts}
    allowed = {*directives["script-src"].split(), *directives["style-src"].split()}
    assert hashes == allowed - {"'none'"}
    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == "'none'"
    assert not any("unsafe" in value for value in directives.values())
    assert found.handlers == []


def test_a_policy_names_styles_and_scripts_alone():
    assert "unsafe" not in html_page.policy(style="a", scripts=["b"])
    assert "script-src 'none'" in html_page.policy(style="a")
    assert serve_page.html_page is html_page


def test_what_steers_or_hides_text_is_shown_escaped_on_a_page(pages):
    assert ESCAPED in pages["report"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e]", "".join(pages.values()))


def test_markdown_shows_a_name_as_it_is():
    assert plain(STEERING) == "\\\\x1b\\[31mred\\\\x07 \\\\u202egnp\\\\u200b.exe"
    assert plain("[a](javascript:b)") == "\\[a\\](javascript:b)"
    assert plain("a|b\nc") == "a\\|b c"
    assert plain("<b> & &lt; `x` *y*") == "&lt;b> & &amp;lt; \\`x\\` \\*y\\*"
    assert plain("f1_macro at 95 %") == "f1_macro at 95 %"
    assert table(["a", "b"], [["1", "|"]]) == "| a | b |\n| --- | --- |\n| 1 | \\| |"


def test_a_card_holds_labels_as_text():
    report, _ = synthetic.report("multiclass", labels=(STEERING, EVIL, "[a](b)"))
    config = {"name": "x", "data": {"source": "ag_news"}, "model": {"checkpoint": "scratch:bert"}}
    text = model_card.page(
        report,
        Experiment.model_validate(config),
        repository="me/it",
        base=None,
        examples=[model_card.Example(EVIL, f"{EVIL}|{STEERING}", 0.5)],
    )
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\[a\\](b)" in text


@pytest.mark.slow
def test_nothing_injected_runs_in_a_browser(pages, tmp_path):
    spec = importlib.util.spec_from_file_location("serve_page", ROOT / "scripts" / "serve_page.py")
    browsing = importlib.util.module_from_spec(spec)
    sys.modules["serve_page"] = browsing  # dataclasses look their module up
    spec.loader.exec_module(browsing)
    if browsing.browser() is None:
        pytest.skip("needs Chromium")

    async def title(path):
        async with browsing.opened(browsing.browser(), path.as_uri()) as page:
            await page.until("document.readyState === 'complete'")
            await asyncio.sleep(0.3)
            refused = [each for each in page.console if "Content Security Policy" in each]
            return await page.value("document.title"), len(refused)

    for name, source in pages.items():
        # As if a hole in the escaping had let it through.
        (tmp_path / f"{name}.html").write_text(source.replace("</header>", f"{EVIL}</header>", 1), encoding="utf-8")
        (tmp_path / f"{name}-own.html").write_text(source, encoding="utf-8")
        evil, refused = asyncio.run(title(tmp_path / f"{name}.html"))
        assert evil != "run"
        assert refused >= 2
        assert asyncio.run(title(tmp_path / f"{name}-own.html"))[1] == 0
    bare = re.sub("<meta http-equiv[^>]*>", "", pages["report"]).replace("</header>", f"{EVIL}</header>", 1)
    (tmp_path / "bare.html").write_text(bare, encoding="utf-8")
    assert asyncio.run(title(tmp_path / "bare.html"))[0] == "run"  # without the policy it would have

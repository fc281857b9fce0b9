"""What the page of a run carries: which rows, in what order labels stand, what each threshold would give."""

import base64
import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

import synthetic
from ftcls.reporting import page_data
from ftcls.runs.predictions import Rows
from ftcls.scoring import decision


def rows_of(n, length):
    return Rows(texts=["x" * length] * n, lengths=None, truncated=None)


def content(task, **options):
    made = {name: synthetic.predictions(task, 60, seed=seed) for seed, name in enumerate(("validation", "test"))}
    rows = {name: Rows([f"text {i}" for i in range(60)], None, None) for name in made}
    files = {"train": "train.csv", "validation": "dev.csv", "test": "test.csv"}
    return made, page_data.content(made, rows, split="test", files=files, thresholds=None, **options)


def test_all_rows_are_kept_where_they_fit():
    made = synthetic.predictions("multiclass", 200)
    kept = page_data.choose(made, rows_of(200, 50))
    assert kept.rows.tolist() == list(range(200))
    assert kept.kept_mistakes == kept.mistakes == (made.gold != made.predicted).sum()


def test_what_does_not_fit_leaves_the_costliest_mistakes_and_rows_by_chance(monkeypatch):
    monkeypatch.setattr(page_data, "_BUDGET", 10_000)
    made = synthetic.predictions("multiclass", 200)
    kept = page_data.choose(made, rows_of(200, 40))  # a hundred characters a row
    assert len(kept.rows) == 100
    wrong = np.flatnonzero(made.gold != made.predicted)
    assert len(wrong) > 50
    losses = -np.log(made.probabilities[wrong, made.gold[wrong]])
    costliest = wrong[np.argsort(-losses, kind="stable")][:50]
    assert set(costliest.tolist()) <= set(kept.rows.tolist())
    assert kept.kept_mistakes == np.isin(kept.rows, wrong).sum() == min(100, len(wrong))
    assert page_data.choose(made, rows_of(200, 40)).rows.tolist() == kept.rows.tolist()


def test_labels_that_are_taken_for_each_other_stand_side_by_side():
    counts = np.diag([50] * 6)
    counts[0, 4] = counts[4, 0] = 30
    counts[1, 5] = counts[5, 1] = 30
    order = page_data.clustered(counts)
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(4)) == abs(order.index(1) - order.index(5)) == 1


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_counts_at_a_threshold_are_those_of_the_decision(task):
    made, found = content(task)
    curves = found["curves"]
    for name, each in made.items():
        for value in (0.003, 0.25, 0.5, 0.993):
            at = page_data.GRID.index(value)
            if task == "binary":
                given = decision.predict(each.probabilities, task, decision.operating_point(value, 1))[:, None] == 1
                gold = each.gold[:, None] == 1
            else:
                given = decision.predict(each.probabilities, task, (value,) * 5)
                gold = each.gold
            assert [counts[at] for counts in curves["splits"][name]["given"]] == given.sum(axis=0).tolist()
            assert [counts[at] for counts in curves["splits"][name]["hits"]] == (given & gold).sum(axis=0).tolist()
        now = each.predicted[:, None] == 1 if task == "binary" else each.predicted
        assert [counts[-1] for counts in curves["splits"][name]["given"]] == now.sum(axis=0).tolist()


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_where_rows_have_weights_ratios_at_a_threshold_are_the_weighted_ones(task):
    made = synthetic.predictions(task, 120)
    plain = page_data.curves({"test": made}, None)["splits"]["test"]
    rows = np.random.default_rng(0).choice([0.25, 1.0, 5.0], 120)
    made = replace(made, weights=rows)
    found = page_data.curves({"test": made}, None)["splits"]["test"]
    assert {key: found[key] for key in plain} == plain  # rows are counted as ever
    assert "weighed" not in plain
    each = found["weighed"]
    for place, label in enumerate([1] if task == "binary" else range(len(made.labels))):
        gold = made.gold[:, label] if task == "multilabel" else made.gold == label
        given = made.probabilities[:, label] >= 0.37
        hits, at = each["hits"][place], page_data.GRID.index(0.37)
        precision = precision_score(gold, given, sample_weight=rows, zero_division=0)
        assert hits[at] / each["given"][place][at] == pytest.approx(precision)
        assert hits[at] / each["gold"][place] == pytest.approx(recall_score(gold, given, sample_weight=rows))


def test_bins_of_reliability_know_the_weight_of_their_rows():
    made = synthetic.predictions("binary", 120)
    rows = np.random.default_rng(0).choice([0.25, 1.0, 5.0], 120)
    (bins,) = page_data._reliability(replace(made, weights=rows))
    assert sum(weight for *_, weight in bins) == pytest.approx(rows.sum())
    true = sum(observed * weight for _, observed, _, weight in bins) / rows.sum()
    assert true == pytest.approx(np.average(made.gold == 1, weights=rows), abs=1e-4)


def test_of_several_labels_what_was_missed_without_another_is_counted():
    made, found = content("multilabel")
    gold, given = made["test"].gold, made["test"].predicted
    alone = (gold & ~given) & ~(given & ~gold).any(axis=1, keepdims=True)
    assert found["matrix"]["nothingInstead"] == alone.sum(axis=0).tolist()
    assert sum(found["matrix"]["nothingInstead"]) > 0


def test_relabel_candidates_are_ranked_and_say_where_they_stand():
    made, found = content("multiclass", elsewhere=[("train", 7)])
    *rows, last = found["candidates"]["rows"]
    assert last[:3] == ["train", 7, "train.csv"]
    assert len(rows) > 3
    assert [row[5] for row in rows] == sorted(row[5] for row in rows)
    for split, row, file, gold, rather, confidence, text, by in rows:
        assert file == {"validation": "dev.csv", "test": "test.csv"}[split]
        assert gold == made[split].labels[made[split].gold[row]] != rather
        assert confidence == round(made[split].probabilities[row, made[split].gold[row]], 4)
        assert (text, by) == (f"text {row}", page_data.THIS_MODEL)


def test_what_is_packed_comes_back_and_is_the_same_every_time():
    made = {"text": "</script><b>\u2028 emoji 😀", "values": [1, 0.5, None]}
    packed = page_data.packed(made)
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == made
    assert packed == page_data.packed(made)
    assert "<" not in packed


def test_a_row_without_a_label_is_an_empty_list():
    made = synthetic.predictions("multilabel", 20)
    empty = replace(made, gold=np.zeros_like(made.gold))
    rows = {"test": Rows(None, None, None)}
    found = page_data.content({"test": empty}, rows, split="test", files={"test": "t"}, thresholds=None)
    assert found["rows"]["gold"] == [[]] * 20
    assert found["rows"]["text"] is None

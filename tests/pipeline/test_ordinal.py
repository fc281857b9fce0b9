"""Ordered classes: their scores, the loss that knows the order, a run from numbers of stars to its page."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, mean_absolute_error
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import ftcls
from ftcls.config.load import load
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline.starter_config import Machine, from_file
from ftcls.scoring import decision, intervals, metrics
from ftcls.scoring.differences import paired_difference
from ftcls.training import losses

STARS = ("1", "2", "3", "4", "5")


def predictions(gold, predicted, k=5):
    gold, predicted = (np.asarray(each, dtype=np.int64) for each in (gold, predicted))
    return metrics.Predictions(
        task="ordinal",
        labels=tuple(str(n + 1) for n in range(k)),
        gold=gold,
        predicted=predicted,
        probabilities=np.eye(k)[predicted] * 0.6 + 0.4 / k,
        rows=np.arange(len(gold)),
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40))
def test_the_scores_are_those_of_scikit_learn(pairs):
    gold, predicted = map(list, zip(*pairs, strict=True))
    found = metrics.score(predictions(gold, predicted))
    assert found["mean_absolute_error"] == pytest.approx(mean_absolute_error(gold, predicted))
    assert found["accuracy_within_one"] == pytest.approx(np.mean(np.abs(np.subtract(gold, predicted)) <= 1))
    if len({*gold, *predicted}) == 1:
        assert found["quadratic_weighted_kappa"] is None
    else:
        expected = cohen_kappa_score(gold, predicted, weights="quadratic", labels=range(5))
        assert found["quadratic_weighted_kappa"] == pytest.approx(expected)


def test_every_score_has_an_interval_around_it():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 5, 300)
    predicted = np.clip(gold + rng.integers(-1, 2, 300), 0, 4)
    found, score = intervals.intervals(predictions(gold, predicted)), metrics.score(predictions(gold, predicted))
    assert set(found) == set(score) == set(metrics.names("ordinal"))
    for name, (low, high) in found.items():
        assert low <= score[name] <= high, name
    assert found["accuracy_within_one"][1] == 1
    assert found["accuracy_within_one"][0] < 1  # no miss among 300 rows is no proof that there is none
    difference = paired_difference(
        predictions(gold, predicted), predictions(gold, rng.integers(0, 5, 300)), metric="quadratic_weighted_kappa"
    )
    assert difference.p_value < 0.01


@pytest.mark.parametrize(
    ("name", "expected"),
    [("quadratic_weighted_kappa", (-0.2, 1.0)), ("mean_absolute_error", (0.0, 1.3)), ("accuracy", (0.0, 1.0))],
)
def test_an_interval_is_cut_to_what_a_score_can_be(name, expected):
    assert metrics.in_range(name, (-0.2, 1.3)) == expected


def test_the_label_is_the_median_of_the_order():
    found = decision.predict(
        np.array([[0.4, 0.1, 0.1, 0.1, 0.3], [0.5, 0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0], [0.2] * 5]),
        "ordinal",
        None,
    )
    assert found.tolist() == [1, 0, 4, 2]
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), 50)
    steps = np.abs(np.arange(5)[:, None] - np.arange(5))
    expected = probabilities @ steps  # of every answer, on average over what may be true
    chosen = decision.predict(probabilities, "ordinal", None)
    np.testing.assert_allclose(expected[np.arange(50), chosen], expected.min(axis=1))


def emd(logits, target):
    objective = losses.build(
        "squared_emd",
        multilabel=False,
        gamma=2.0,
        gamma_positive=0.0,
        gamma_negative=0.0,
        margin=0.0,
        negative_scale=1.0,
        label_smoothing=0.0,
        class_weights=None,
        pos_weight=None,
        adjustment=None,
    )
    return objective(torch.tensor([logits]), torch.tensor([target]))


def test_the_loss_is_cross_entropy_and_the_squared_distance_of_the_distributions():
    logits = torch.tensor([0.3, -1.0, 0.5, 2.0, 0.0])
    p = logits.softmax(-1)
    goal = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    distance = ((p.cumsum(-1) - goal.cumsum(-1)) ** 2).sum()
    assert emd(logits.tolist(), 1).item() == pytest.approx((-p[1].log() + distance).item(), rel=1e-5)


def test_a_miss_by_one_costs_less_than_a_miss_by_three():
    near, far = ([0.0, 5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0, 0.0])
    assert emd(near, 0) < emd(far, 0)
    plain = torch.nn.functional.cross_entropy
    assert plain(torch.tensor([near]), torch.tensor([0])) == plain(torch.tensor([far]), torch.tensor([0]))


def reviews(count, seed=0):
    """Texts with as many good words as they have stars above one."""
    rng = np.random.default_rng(seed)
    stars = rng.integers(1, 6, count)
    texts = [
        " ".join(rng.permutation(["good"] * (n - 1) + ["bad"] * (5 - n) + [f"word{i % 30}"]))
        for i, n in enumerate(stars)
    ]
    return pd.DataFrame({"text": texts, "stars": stars})


CONFIG = {
    "name": "stars",
    "data": {"source": "files", "path": "rows.csv", "label": "stars", "task": "ordinal"},
    "model": {"checkpoint": "scratch:bert", "max_length": 16},
    "training": {"max_steps": 60, "batch_size": 16, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
    "metrics": {"best": "quadratic_weighted_kappa"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return ftcls.train(CONFIG, data=reviews(240), output=tmp_path_factory.mktemp("ordinal") / "run")


def test_a_run_has_the_scores_of_the_order_with_their_intervals(run):
    test = run.metrics["test"]
    assert test["quadratic_weighted_kappa"] > 0.3
    assert {"mean_absolute_error", "accuracy_within_one"} <= set(run.intervals["test"])
    assert run.report.training.best.metric == "quadratic_weighted_kappa"
    assert run.report.data.labels == STARS
    assert "quadratic_weighted_kappa" in run.report.baseline.difference
    page = run.files.page.read_text()
    assert "a miss by two steps counts as four by one" in page
    assert "c-slider" not in page.split("<script")[0]  # no threshold to move
    again = ftcls.evaluate(run.path)
    assert again.metrics["mean_absolute_error"] == test["mean_absolute_error"]


def test_plain_transformers_gives_the_same_probabilities(run):
    texts = list(reviews(10, seed=1)["text"])
    model = AutoModelForSequenceClassification.from_pretrained(run.files.model)
    inputs = AutoTokenizer.from_pretrained(run.files.model)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits.softmax(-1).numpy()
    np.testing.assert_allclose(run.classifier(device="cpu").predict_proba(texts), expected, atol=1e-6)
    assert list(model.config.id2label.values()) == list(STARS)


def test_words_need_an_order_and_numbers_have_one(tmp_path):
    frame = pd.DataFrame({"text": [f"text {n}" for n in range(60)], "label": ["low", "mid", "high"] * 20})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    config = {**CONFIG, "data": {"source": "files", "path": str(tmp_path / "rows.csv"), "task": "ordinal"}}
    with pytest.raises(DataError, match=r"ordinal needs labels in order, and .* are no numbers; write them from"):
        ftcls.inspect_data(config)
    config["data"]["labels"] = ["low", "mid", "high"]
    assert ftcls.inspect_data(config).labels == ("low", "mid", "high")
    frame["label"] = ["2", "10", "1"] * 20
    frame.to_csv(tmp_path / "rows.csv", index=False)
    del config["data"]["labels"]
    assert ftcls.inspect_data(config).labels == ("1", "2", "10")


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([1, 2, 3, 4, 5], "ordinal"),
        ([1, 3, 5], "ordinal"),
        ([1, 2, 3, 7, 9, 10], "ordinal"),
        ([1, 5], "binary"),
        ([0, 1, 2, 3, 4, 5], "multiclass"),
        ([1, 2, 3, 4], "multiclass"),
        (["1", "2", "5", "none"], "multiclass"),
    ],
)
def test_init_proposes_an_order_for_numbers_from_1_to_5_or_10(tmp_path, values, task):
    frame = pd.DataFrame({"text": [f"a text {n}" for n in range(84)], "stars": (values * 84)[:84]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    made = from_file(tmp_path / "rows.csv", label=["stars"], text=None, machine=Machine("cpu", "a CPU"))
    (tmp_path / "rows.yaml").write_text(made.text)
    experiment = load(tmp_path / "rows.yaml")
    assert experiment.data.task == task
    assert experiment.metrics.best == ("quadratic_weighted_kappa" if task == "ordinal" else "f1_macro")
    assert any("taken for an order" in note for note in made.notes) == (task == "ordinal")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"loss": {"kind": "squared_emd"}, "data": {**CONFIG["data"], "task": "multiclass"}}, "is for labels in order"),
        ({"decision": {"thresholds": "tuned"}}, "ordinal has no threshold, write fixed"),
        ({"loss": {"kind": "asymmetric"}}, "asymmetric is for multilabel tasks, and this one is ordinal"),
    ],
)
def test_what_has_no_meaning_for_an_order_is_refused(keys, message):
    metrics = {"best": "f1_macro"} if "data" in keys else CONFIG["metrics"]
    with pytest.raises(ConfigError, match=message):
        load({**CONFIG, **keys, "metrics": metrics})


def test_the_loss_goes_by_the_task_unless_it_is_named():
    assert load(CONFIG).loss.kind_for("ordinal") == "squared_emd"
    assert load(CONFIG).loss.kind_for("multiclass") == "cross_entropy"
    assert load(CONFIG, ["loss.kind=cross_entropy"]).loss.kind_for("ordinal") == "cross_entropy"

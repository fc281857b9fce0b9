import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from ftcls.scoring import metrics
from ftcls.scoring.metrics import Predictions


def made(task, n, k, *, seed=0, rate=0.2, occurring=None, digits=None):
    """Predictions by chance, gold labels among the first `occurring` labels, probabilities rounded to get ties."""
    rng = np.random.default_rng(seed)
    labels = tuple(f"label {index}" for index in range(k))
    if task == "multilabel":
        gold = rng.random((n, k)) < rate
        gold[:, k if occurring is None else occurring :] = False
        probabilities = rng.beta(0.6, 1, size=(n, k)) * 0.7 + gold * 0.3
        probabilities = probabilities if digits is None else probabilities.round(digits)
        return Predictions(task, labels, gold, probabilities >= 0.5, probabilities, np.arange(n))
    gold = rng.integers(0, k if occurring is None else occurring, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), gold] += 1
    logits = logits if digits is None else logits.round(digits)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    positive = 1 if task == "binary" else None
    return Predictions(task, labels, gold, probabilities.argmax(axis=1), probabilities, np.arange(n), positive=positive)


def by_scikit_learn(predictions):
    """The same figures from scikit-learn."""
    gold, predicted, probabilities = predictions.gold, predictions.predicted, predictions.probabilities
    k = len(predictions.labels)
    found = {"accuracy": reference.accuracy_score(gold, predicted)}
    for average in ("macro", "micro", "weighted"):
        scores = reference.precision_recall_fscore_support(
            gold, predicted, labels=range(k), average=average, zero_division=0
        )
        found[f"f1_{average}"] = scores[2]
        if average == "macro":
            found |= {"precision_macro": scores[0], "recall_macro": scores[1]}
    if predictions.task == "multilabel":
        found["loss"] = np.mean([reference.log_loss(gold[:, j], probabilities[:, j], labels=[0, 1]) for j in range(k)])
        found["f1_samples"] = reference.f1_score(gold, predicted, average="samples", zero_division=0)
        found["subset_accuracy"] = found["accuracy"]
        found["hamming_loss"] = reference.hamming_loss(gold, predicted)
        for average in ("micro", "macro"):
            name = f"average_precision_{average}"
            found[name] = reference.average_precision_score(gold, probabilities, average=average)
        return found
    found["loss"] = reference.log_loss(gold, probabilities, labels=range(k))
    if predictions.task == "binary":
        chosen = {"labels": [predictions.positive], "average": "macro", "zero_division": 0}
        for name in ("precision", "recall", "f1"):
            found[name] = getattr(reference, f"{name}_score")(gold, predicted, **chosen)
        positives, scores = gold == predictions.positive, probabilities[:, predictions.positive]
        both = 0 < positives.sum() < len(positives)
        found["roc_auc"] = reference.roc_auc_score(positives, scores) if both else None
        found["average_precision"] = reference.average_precision_score(positives, scores) if positives.any() else None
    return found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore:.*single label:UserWarning")
@pytest.mark.filterwarnings("ignore:No positive class found")
@pytest.mark.parametrize(
    "predictions",
    [
        made("binary", 500, 2),
        made("binary", 500, 2, digits=0),
        made("binary", 40, 2, occurring=1),
        made("binary", 1, 2),
        made("multiclass", 700, 5),
        made("multiclass", 300, 9, occurring=4),
        made("multiclass", 30, 3, occurring=1),
        made("multiclass", 1, 4),
        made("multiclass", 250, 100),
        made("multilabel", 600, 6),
        made("multilabel", 600, 6, digits=1),
        made("multilabel", 200, 8, occurring=3),
        made("multilabel", 1, 4, rate=0.9),
        made("multilabel", 300, 100, rate=0.03),
    ],
    ids=lambda made: f"{made.task}-{len(made)}-{len(made.labels)}",
)
def test_every_metric_equals_scikit_learns(predictions):
    found, expected = metrics.score(predictions), by_scikit_learn(predictions)
    assert tuple(found) == metrics.names(predictions.task)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, abs=1e-12, rel=1e-12)), name


def test_the_other_label_can_be_the_positive_one():
    base = made("binary", 300, 2)
    swapped = Predictions(base.task, base.labels, base.gold, base.predicted, base.probabilities, base.rows, positive=0)
    found, expected = metrics.score(swapped), by_scikit_learn(swapped)
    assert found["recall"] == pytest.approx(expected["recall"], abs=1e-12)
    assert found["average_precision"] == pytest.approx(expected["average_precision"], abs=1e-12)
    assert found["recall"] != metrics.score(base)["recall"]


def test_areas_without_two_classes_are_none_and_nothing_else_is():
    found = metrics.score(made("binary", 20, 2, occurring=1))
    assert [name for name, value in found.items() if value is None] == ["roc_auc", "average_precision"]
    nothing = metrics.score(made("multilabel", 20, 3, occurring=0))
    assert [name for name, value in nothing.items() if value is None] == [
        "average_precision_micro",
        "average_precision_macro",
    ]


def test_one_label_alone_scores_one():
    alone = Predictions("multiclass", ("only",), np.zeros(3, int), np.zeros(3, int), np.ones((3, 1)), np.arange(3))
    found = metrics.score(alone)
    assert found["accuracy"] == found["f1_macro"] == 1
    assert found["loss"] == pytest.approx(0, abs=1e-15)


def test_a_probability_of_zero_for_the_gold_label_costs_a_finite_loss():
    sure = Predictions("multiclass", ("a", "b"), np.array([0]), np.array([1]), np.array([[0.0, 1.0]]), np.arange(1))
    assert metrics.score(sure)["loss"] == pytest.approx(-np.log(np.finfo(float).eps))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_label_scores_equal_scikit_learns(task):
    predictions = made(task, 300, 7, occurring=5)
    thresholds = (0.5,) * 7 if task == "multilabel" else None
    found = metrics.per_label(predictions, thresholds)
    expected = reference.precision_recall_fscore_support(
        predictions.gold, predictions.predicted, labels=range(7), zero_division=0
    )
    assert list(found) == list(predictions.labels)
    for index, scores in enumerate(found.values()):
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx(
            [each[index] for each in expected[:3]], abs=1e-12
        )
        assert scores.support == expected[3][index]
        assert scores.threshold == (0.5 if task == "multilabel" else None)
        gold = predictions.gold[:, index] if task == "multilabel" else predictions.gold == index
        if index < 5:
            area = reference.average_precision_score(gold, predictions.probabilities[:, index])
            assert scores.average_precision == pytest.approx(area, abs=1e-12)
        else:
            assert scores.average_precision is None


def test_confusion_has_gold_in_rows_and_predicted_in_columns():
    predictions = made("multiclass", 300, 5, occurring=4)
    expected = reference.confusion_matrix(predictions.gold, predictions.predicted, labels=range(5))
    np.testing.assert_array_equal(metrics.confusion(predictions), expected)


def test_confusion_of_multilabel_is_two_by_two_for_each_label():
    predictions = made("multilabel", 300, 5, occurring=4)
    expected = reference.multilabel_confusion_matrix(predictions.gold, predictions.predicted)
    np.testing.assert_array_equal(metrics.confusion(predictions), expected)


def test_gold_may_be_the_float_targets_of_the_corpus():
    base = made("multilabel", 100, 4)
    floats = Predictions(
        base.task, base.labels, base.gold.astype(np.float32), base.predicted, base.probabilities, base.rows
    )
    assert metrics.score(floats) == metrics.score(base)
    assert metrics.per_label(floats) == metrics.per_label(base)
    np.testing.assert_array_equal(metrics.confusion(floats), metrics.confusion(base))


def test_lower_is_better_only_for_losses():
    every = {name for task in ("binary", "multiclass", "multilabel") for name in metrics.names(task)}
    assert {name for name in every if not metrics.higher_is_better(name)} == {"loss", "hamming_loss"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold": np.zeros(3, int)}, r"gold: shape \(3,\), not \(2,\), for 2 rows and 2 labels"),
        ({"probabilities": np.zeros((2, 3))}, r"probabilities: shape \(2, 3\), not \(2, 2\)"),
        ({"clusters": np.zeros(1, int)}, r"clusters: shape \(1,\)"),
        ({"positive": 1}, "positive: the label index for a binary task, None for any other"),
        ({"task": "binary"}, "positive: the label index for a binary task, None for any other"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(change, message):
    fields = {
        "task": "multiclass",
        "labels": ("a", "b"),
        "gold": np.zeros(2, int),
        "predicted": np.zeros(2, int),
        "probabilities": np.zeros((2, 2)),
        "rows": np.arange(2),
    }
    with pytest.raises(ValueError, match=message):
        Predictions(**fields | change)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="no rows to score"):
        Predictions("multiclass", ("a",), np.zeros(0, int), np.zeros(0, int), np.zeros((0, 1)), np.zeros(0, int))


def test_scoring_never_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for task, k in (("binary", 2), ("multiclass", 4), ("multilabel", 4)):
            metrics.score(made(task, 5, k, occurring=1))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_config_knows_the_metrics_that_there_are(task):
    """The config must not import NumPy to check a name, so it has a list of its own."""
    from ftcls.config import rules

    assert tuple(rules.METRICS[task]) == metrics.names(task)


def test_an_interval_stays_within_what_a_metric_can_be():
    assert metrics.in_range("f1_macro", (-0.1, 1.2)) == (0.0, 1.0)
    assert metrics.in_range("loss", (-0.1, 1.2)) == (0.0, 1.2)
    assert metrics.in_range("accuracy", (0.3, 0.4)) == (0.3, 0.4)

"""What a paired difference says, and in which metrics it is taken."""

from dataclasses import replace

import numpy as np
import pytest

import synthetic
from ftcls.scoring.differences import differences, verdict
from ftcls.scoring.intervals import Difference, paired_difference


@pytest.mark.parametrize(
    ("metric", "value", "p_value", "said"),
    [
        ("f1_micro", 0.02, 0.04, "better"),
        ("f1_micro", -0.02, 0.04, "worse"),
        ("f1_micro", -0.02, 0.05, "open"),
        ("loss", -0.02, 0.04, "better"),
        ("hamming_loss", 0.02, 0.04, "worse"),
    ],
)
def test_a_verdict_goes_by_the_metric_and_its_p_value(metric, value, p_value, said):
    assert verdict(Difference(metric, value, (0.0, 0.0), p_value, rows=10, clusters=None)) == said


def test_differences_are_the_paired_ones_each_metric_once():
    first, second = (synthetic.predictions("multilabel", seed=1, skill=skill) for skill in (1.5, 0.8))
    found = differences(first, second, metrics=("f1_micro", "accuracy", "f1_micro"), seed=3)
    assert list(found) == ["f1_micro", "accuracy"]
    assert found["f1_micro"] == paired_difference(first, second, metric="f1_micro", seed=3)


def test_a_metric_without_a_value_on_these_rows_has_no_difference():
    made = synthetic.predictions("binary")
    alike = replace(made, gold=np.ones_like(made.gold))
    assert list(differences(alike, alike, metrics=("roc_auc", "accuracy"), seed=0)) == ["accuracy"]

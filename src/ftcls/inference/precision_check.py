"""How far the arithmetic that a run is scored in is from float32: the same texts in both."""

from dataclasses import replace
from typing import Final

import numpy as np

from ftcls.inference.classifier import Classifier
from ftcls.inference.forward import Torch
from ftcls.model.tokenize import Encoded
from ftcls.runs.speed_section import PrecisionAgreement
from ftcls.scoring import decision
from ftcls.scoring.differences import same_labels

TEXTS: Final = 500
"""Most texts that are computed twice."""


def agreement(classifier: Classifier, encoded: Encoded) -> PrecisionAgreement | None:
    """What float32 says of the first texts; None where that is what the classifier computes in.

    Args:
        classifier: with the decision that it predicts by.
        encoded: texts that it did not learn.
    """
    if classifier.precision == "fp32" or not len(encoded):
        return None
    some = encoded.head(TEXTS)
    exact = replace(classifier, backend=Torch(classifier.model))
    found, expected = (
        decision.probabilities(each.logits(some), each.task, each.decision.temperature, each.decision.shift)
        for each in (classifier, exact)
    )
    labels, expected_labels = (classifier.decided_labels(each) for each in (found, expected))
    return PrecisionAgreement(
        precision=classifier.precision,
        texts=len(some),
        same_labels=same_labels(labels, expected_labels),
        largest_difference=float(np.abs(found - expected).max()),
    )

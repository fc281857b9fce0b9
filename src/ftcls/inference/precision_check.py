"""How far the arithmetic that a run is scored in is from float32: the same texts in both."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.inference.classifier import Classifier
from ftcls.inference.forward import Torch
from ftcls.model.tokenize import Encoded
from ftcls.runs.speed_section import PrecisionAgreement
from ftcls.scoring import decision
from ftcls.scoring.differences import same_labels

TEXTS: Final = 500
"""Most texts that are computed in float32 too."""
_FEWEST: Final = 50
_SHARE: Final = 0.05
"""Of the texts that a run scores: each takes two to three times as long in float32."""


def agreement(
    classifier: Classifier, encoded: Encoded, *, logits: NDArray[np.floating[Any]] | None, scored: int
) -> PrecisionAgreement | None:
    """What float32 says of the first texts; None where that is what the classifier computes in.

    Args:
        classifier: with the decision that it predicts by.
        encoded: n texts that it did not learn.
        logits: [n, k] that it gave them; None: they were not computed.
        scored: texts of the run that are scored; a twentieth of them is computed again, from 50 to `TEXTS`.
    """
    if classifier.precision == "fp32" or not len(encoded):
        return None
    some = encoded.head(min(TEXTS, max(_FEWEST, round(_SHARE * scored))))
    exact = replace(classifier, backend=Torch(classifier.model))
    given, how = classifier.logits(some) if logits is None else logits[: len(some)], classifier.decision
    found, expected = (
        decision.probabilities(each, classifier.task, how.temperature, how.shift)
        for each in (given, exact.logits(some))
    )
    labels, expected_labels = (classifier.decided_labels(each) for each in (found, expected))
    return PrecisionAgreement(
        precision=classifier.precision,
        texts=len(some),
        same_labels=same_labels(labels, expected_labels),
        largest_difference=float(np.abs(found - expected).max()),
    )

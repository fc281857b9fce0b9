"""Weighing the words of the worst mistakes: each is left out in turn, so a mistake costs as many texts as it has words.

Beside a training the work is bounded by the rows that are scored anyway; `ftcls report RUN --words N` weighs more.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Final

from ftcls.data.texts import of_parts, parts
from ftcls.inference.base_classifier import BaseClassifier
from ftcls.inference.classifier import Classifier
from ftcls.reporting import error_analysis
from ftcls.reporting.error_analysis import Mistake
from ftcls.runs.mistake_words import MistakeWords, Weighed, Window
from ftcls.scoring import occlusion
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.occlusion import Span

log = logging.getLogger(__name__)

USUAL: Final = 10
"""Mistakes beside a training."""
_SHARE: Final = 0.1
_LEAST: Final = 300
"""Beside a training, texts are weighed up to this share of the scored rows, or this many, but never more than those."""


def allowance(scored: int) -> int:
    """How many texts the words of mistakes may cost beside a training that scores so many rows."""
    return min(scored, max(_LEAST, int(_SHARE * scored)))


def weigh(
    classifier: BaseClassifier, predictions: Predictions, texts: Sequence[str], *, most: int, work: int | None = None
) -> MistakeWords:
    """Weigh the words of the mistakes of the highest loss.

    Args:
        classifier: that made the mistakes.
        predictions: its, of n rows.
        texts: of these rows, clean.
        most: mistakes at most.
        work: texts that may go through the model, mistakes that are too long are passed over; None: any number.
    """
    begun = time.perf_counter()
    found, spent = [], 0
    for mistake in error_analysis.costliest_mistakes(predictions, most=most):
        spans = occlusion.spans(parts(texts[mistake.index]))
        if not spans or (work is not None and spent + len(spans) + 1 > work):
            continue
        spent += len(spans) + 1
        found.append(_weighed(classifier, mistake, texts[mistake.index], spans))
    seconds = time.perf_counter() - begun
    log.debug("words of %d mistakes: %d texts in %.1f s", len(found), spent, seconds)
    return MistakeWords(tuple(found), spent, seconds)


def _weighed(classifier: BaseClassifier, mistake: Mistake, text: str, spans: Sequence[Span]) -> Weighed:
    label = mistake.worst or mistake.predicted[0]
    place = classifier.labels.index(label)
    texts = [text, *map(of_parts, occlusion.without(parts(text), spans))]
    whole, *left_out = classifier.predict_proba(texts)[:, place].tolist()
    return Weighed(
        mistake.row,
        mistake.index,
        label,
        tuple(occlusion.weighed(spans, whole, left_out)),
        tuple(_windows(classifier, text, label)),
    )


def _windows(classifier: BaseClassifier, text: str, label: str) -> Iterator[Window]:
    """What each window of a text says of a label; of a text that is one window, or read as one, nothing new."""
    if isinstance(classifier, Classifier) and classifier.settings.windows is not None:
        (found,) = classifier.windows_of([text])
        if len(found) > 1:
            yield from (Window(each.start, each.end, each.probabilities[label]) for each in found)

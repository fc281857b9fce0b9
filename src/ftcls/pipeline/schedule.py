"""The schedule of a run where its config leaves it open: from the training rows and the size of the model."""

import logging

from ftcls.config import recipe
from ftcls.config.schema import Experiment
from ftcls.data.corpus import Corpus
from ftcls.environment.figures_as_text import significant
from ftcls.model.pretrained import count_parameters
from ftcls.pipeline.prepare import Prepared

log = logging.getLogger(__name__)


def with_schedule(experiment: Experiment, corpus: Corpus, prepared: Prepared, *, rows: int) -> Experiment:
    """The experiment with every key of its schedule, for so many training rows; the log says what was chosen.

    Raises:
        UnavailableError: the checkpoint's configuration describes no classifier.
    """
    parameters = count_parameters(prepared.config)
    whole = recipe.complete(experiment, rows=rows, task=corpus.task, parameters=parameters)
    before, after = experiment.training.model_dump(), whole.training.model_dump()
    chosen = [f"{key}: {significant(value)}" for key, value in after.items() if value != before[key]]
    if chosen:
        log.info("schedule   %s; for %s training rows", ", ".join(chosen), f"{rows:,}")
    return whole

"""`ftcls.report`: the page of a run drawn again, with the words of its worst mistakes where they are asked for."""

import os
from pathlib import Path

from ftcls.errors import ConfigError, DataError
from ftcls.reporting import run_page
from ftcls.reporting.run_page import Page
from ftcls.runs import mistake_words, predictions
from ftcls.runs.directory import RunDir
from ftcls.runs.references import reference


def report(
    run: str | os.PathLike[str], *, output: str | os.PathLike[str] | None = None, words: int | None = None
) -> Page:
    """Draw the plots and the page of a finished run anew.

    No model is loaded, unless words are asked for.

    Args:
        run: the run directory.
        output: where to write the page; None: ``report.html`` in the run.
        words: of how many of the worst mistakes the words are weighed, each at the cost of as many texts as it has
            words; None: those that the run has.

    Raises:
        ConfigError: a simple model, whose scores are on the page of its run.
        DataError: no finished run, its predictions are missing or damaged, or they have no texts to weigh.
        UnavailableError: words are asked for, and the model cannot be loaded.
    """
    if reference(os.fspath(run)).name is not None:
        raise ConfigError(f"{os.fspath(run)}: a simple model has no page; name the run, whose page has its scores")
    if words is not None:
        place = RunDir(Path(run).absolute())
        file = place.predictions / "test.parquet"
        found, texts = predictions.read(file), predictions.read_rows(file).texts
        if texts is None:
            raise DataError(f"{file}: has no texts whose words could be weighed; an earlier version wrote it")
        from ftcls.inference.classifier import Classifier
        from ftcls.pipeline.explain_mistakes import weigh

        mistake_words.write(place, weigh(Classifier.from_pretrained(place.path), found, texts, most=words))
    return run_page.report(run, output=output)

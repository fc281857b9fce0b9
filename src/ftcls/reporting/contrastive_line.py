"""What an encoder learnt of pairs of texts before the classifier was trained, in one sentence."""

from ftcls.environment.figures_as_text import duration, number
from ftcls.runs.report_schema import Report


def sentence(report: Report) -> str | None:
    """What the stage did; None where there was none."""
    found = report.training.contrastive
    if found is None:
        return None
    names = f" and {found.label_names} label names" if found.label_names else ""
    return (
        f"The encoder learnt from pairs of {found.texts - found.label_names:,} texts{names} first: {found.steps:,} "
        f"steps in {duration(found.seconds)}, loss {number(found.first_loss)} to {number(found.last_loss)}."
    )

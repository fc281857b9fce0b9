"""The part of the schema about a teacher."""

from typing import Annotated

from pydantic import Field

from ftcls.config.section import Section


class Distillation(Section):
    """Learning what the model of another run says of texts, beside their labels."""

    teacher: str | None = None
    """A finished run with the same labels, or a simple model of one (`RUN:stack`); null: the labels alone."""
    texts: str | None = None
    """A file with more texts, without labels: one in each line, or a table with the columns of data.text."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The teacher's share in what a text with a label is to become; the rest is the label. A text without a label has
    the teacher's word alone."""

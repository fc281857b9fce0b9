"""The columns that a config's data section names: of the texts, and of the labels."""

from ftcls.config import schema
from ftcls.data.readers.label_columns import Indicators, Label, Several
from ftcls.data.texts import TextColumns


def text_of(data: schema.Data) -> TextColumns:
    """The text columns of a data section."""
    match data.text:
        case schema.TextPair(first=first, second=second):
            return TextColumns(_names(first), _names(second), data.columns)
        case names:
            return TextColumns(_names(names), beside=data.columns)


def _names(columns: str | tuple[str, ...]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else columns


def label_of(data: schema.Data) -> Label:
    """The label column, or columns, of a data section."""
    match data.label:
        case schema.SeparatedLabels(column=column, separator=separator):
            return Several(column, separator)
        case schema.LabelColumns(columns=columns):
            return Indicators(columns)
        case column:
            return column

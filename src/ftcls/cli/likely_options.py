"""Options that people type from habit, answered with the line that does what they mean."""

from collections.abc import Mapping, Sequence
from typing import Final

from ftcls.errors import ConfigError

KEYS: Final[Mapping[str, str]] = {
    "--epochs": "training.num_train_epochs",
    "--num-epochs": "training.num_train_epochs",
    "--num-train-epochs": "training.num_train_epochs",
    "--max-steps": "training.max_steps",
    "--steps": "training.max_steps",
    "--lr": "training.learning_rate",
    "--learning-rate": "training.learning_rate",
    "--batch-size": "training.batch_size",
    "--bs": "training.batch_size",
    "--weight-decay": "training.weight_decay",
    "--warmup-steps": "training.warmup_steps",
    "--patience": "training.early_stopping_patience",
    "--device": "training.device",
    "--precision": "training.precision",
    "--model": "model.checkpoint",
    "--model-name": "model.checkpoint",
    "--model-name-or-path": "model.checkpoint",
    "--checkpoint": "model.checkpoint",
    "--max-length": "model.max_length",
    "--max-seq-length": "model.max_length",
    "--seed": "seed",
    "--name": "name",
    "--data": "data.path",
    "--task": "data.task",
}
"""Options that are a key of the config; an underscore in one is a hyphen."""
SETTINGS: Final[Mapping[str, str]] = {
    "--fp16": "training.precision=fp16",
    "--bf16": "training.precision=bf16",
    "--lora": "adapter.kind=lora",
    "--cpu": "training.device=cpu",
}
"""Options without a value, and the setting that they mean."""
OPTIONS: Final[Mapping[str, str]] = {
    "--output-dir": "--output",
    "--out": "--output",
    "--text-column": "--text",
    "--label-column": "--label",
    "--labels": "--label",
}
"""Options that are called otherwise."""


def refuse(arguments: Sequence[str]) -> None:
    """Answer options that `train` does not have.

    Args:
        arguments: of ``ftcls``, as they were typed.

    Raises:
        ConfigError: there are some; it has the line to type.
    """
    if "train" not in arguments[:2]:
        return
    strange, line = "", ["ftcls"]
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        known = option.lower().replace("_", "-")
        if known in SETTINGS:
            line.append(SETTINGS[known])
        elif known in KEYS or (known in OPTIONS and option not in OPTIONS.values()):
            value = value if equals else rest.pop(0) if rest and not rest[0].startswith("--") else "VALUE"
            line += [f"{KEYS[known]}={value}"] if known in KEYS else [OPTIONS[known], value]
        else:
            line.append(word)
            continue
        strange = strange or option
    if strange:
        from ftcls.environment.typed_lines import line as typed

        raise ConfigError(
            f"{strange}: train has no such option; settings are written KEY=VALUE, as in a config. Type\n"
            f"  {typed(line)}"
        )

"""Which weights are trained, and at which learning rate: frozen layers, rates by layer, a rate of the head."""

from collections.abc import Collection
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from ftcls.errors import ConfigError


def layers(model: PreTrainedModel, *, key: str) -> list[str]:
    """Full names of the layers of a classifier, from the first to the last.

    They are the one list of modules in the pretrained part that is as long as the configuration says. ALBERT has none:
    all of its layers are one and the same.

    Raises:
        ConfigError: there is no such list, or more than one; ``key`` is what asked for it.
    """
    count = getattr(model.config, "num_hidden_layers", None)
    stacks = [
        name
        for name, module in getattr(model, model.base_model_prefix).named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count
    ]
    if len(stacks) != 1 or getattr(model.config, "num_hidden_groups", count) != count:
        raise ConfigError(
            f"{key}: {type(model).__name__} has no list of {count} layers of its own that could be told apart; remove "
            "the line"
        )
    return [f"{model.base_model_prefix}.{stacks[0]}.{i}" for i in range(int(count or 0))]


def embeddings(model: PreTrainedModel, stack: list[str]) -> set[str]:
    """Names of the parameters that stand before the layers: of every part of the pretrained model with an embedding.

    Where such a part holds the layers too (DeBERTa's encoder has the embeddings of relative positions), only the
    embedding itself is meant.
    """
    prefix = model.base_model_prefix
    found: set[str] = set()
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and not any(name.startswith(f"{layer}.") for layer in stack):
            part = ".".join(name.split(".")[:2])  # the child of the pretrained part: bert.embeddings, transformer.wte
            whole = part if not stack[0].startswith(f"{part}.") else name
            found |= {each for each, _ in model.named_parameters() if each.startswith(f"{whole}.")}
    return {name for name in found if name.startswith(f"{prefix}.")}


def freeze(model: PreTrainedModel, first: int) -> None:
    """Keep the embeddings and the first layers as they are; 0: the embeddings alone.

    Raises:
        ConfigError: the layers cannot be told, or are fewer.
    """
    stack = layers(model, key="training.freeze")
    if first > len(stack):
        raise ConfigError(
            f"training.freeze: {first}: {type(model).__name__} has {len(stack)} layers; write at most that"
        )
    kept = embeddings(model, stack)
    for name, parameter in model.named_parameters():
        if name in kept or any(name.startswith(f"{layer}.") for layer in stack[:first]):
            parameter.requires_grad_(False)


def is_head(model: PreTrainedModel, name: str) -> bool:
    """Whether a parameter belongs to the head; with an adapter: to what is trained in full."""
    if hasattr(model, "peft_config"):
        return ".modules_to_save." in name
    return not name.startswith(f"{model.base_model_prefix}.")


def groups(
    model: PreTrainedModel,
    decayed: Collection[str],
    *,
    learning_rate: float,
    weight_decay: float,
    layer_decay: float,
    head_learning_rate: float | None,
) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer, the one with ``learning_rate`` first.

    The last layer, and what stands after the layers, is trained at ``learning_rate``; every layer below at
    ``layer_decay`` times the rate of the one above it, the embeddings at that of one more (Clark et al. 2020, table 7;
    Howard and Ruder 2018, section 3.2).

    Args:
        model: a classifier; only parameters with a gradient are taken.
        decayed: names of the parameters that weight decay applies to.
        learning_rate: of the last layer.
        weight_decay: of these parameters.
        layer_decay: from one layer to the one below, in (0, 1].
        head_learning_rate: of the head; None: ``learning_rate``.

    Raises:
        ConfigError: rates by layer, and the layers cannot be told.
    """
    stack = layers(model, key="training.layer_decay") if layer_decay != 1 else []
    first = embeddings(model, stack) if stack else set()

    def rate(name: str) -> float:
        if is_head(model, name):
            return learning_rate if head_learning_rate is None else head_learning_rate
        if name in first:
            return learning_rate * layer_decay ** len(stack)
        depth = next((i for i, layer in enumerate(stack) if name.startswith(f"{layer}.")), len(stack) - 1)
        return learning_rate * layer_decay ** (len(stack) - 1 - depth) if stack else learning_rate

    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            chosen = (rate(name), weight_decay if name in decayed else 0.0)
            members.setdefault(chosen, []).append(parameter)
    # The first group's rate is the one that is logged.
    order = sorted(members, key=lambda chosen: (chosen[0] != learning_rate, -chosen[0], -chosen[1]))
    return [{"params": members[chosen], "lr": chosen[0], "weight_decay": chosen[1]} for chosen in order]

"""Checkpoints to sequence classifiers: float32 weights, label names, a pad token, and every new parameter named."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from ftcls import hub
from ftcls.data.corpus import Task
from ftcls.errors import ConfigError, UnavailableError
from ftcls.model import adapters, scratch
from ftcls.model.checkpoint import SCRATCH, resolve
from ftcls.model.classifiable import Classifiable

log = logging.getLogger(__name__)

# Without model.max_length: what encoders were trained with; decoders with 128k positions are not what a text needs.
LONGEST = 512


def load_tokenizer(checkpoint: str, *, train_texts: Sequence[str]) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer, with a pad token and padding on the right; from scratch: learnt from ``train_texts``.

    Raises:
        UnavailableError: the checkpoint cannot be had.
    """
    if checkpoint.startswith(SCRATCH):
        return scratch.train_tokenizer(train_texts)
    tokenizer = _pretrained(AutoTokenizer, checkpoint)
    if tokenizer.pad_token_id is None:
        # Decoders have none. The end token is safe on the right, where the mask hides it.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = "right"
    return tokenizer


def load_config(
    checkpoint: str, tokenizer: PreTrainedTokenizerBase, *, labels: Sequence[str], task: Task
) -> PretrainedConfig:
    """The model's configuration, with the task, the label names and the pad token in it.

    Raises:
        UnavailableError: the checkpoint cannot be had.
    """
    if checkpoint.startswith(SCRATCH):
        config = scratch.config(checkpoint.removeprefix(SCRATCH), tokenizer)
    else:
        config = _pretrained(AutoConfig, checkpoint)
    config.problem_type = "multi_label_classification" if task == "multilabel" else "single_label_classification"
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    config.pad_token_id = tokenizer.pad_token_id
    if getattr(config, "use_cache", None):
        config.use_cache = False  # keys and values of a text that is read once
    return config


def longest(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, wanted: int | None) -> int:
    """The max_length in force: what was asked for, as far as the checkpoint's positions and tokenizer go."""
    limits = [LONGEST if wanted is None else wanted]
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        # RoBERTa and its kin number positions from pad_token_id + 1.
        offset = config.pad_token_id + 1 if config.model_type in {"roberta", "xlm-roberta", "camembert"} else 0
        limits.append(positions - offset)
    if wanted is None and tokenizer.model_max_length < 10**6:  # 1e30 stands for "not known"
        limits.append(tokenizer.model_max_length)
    if wanted is not None and min(limits) < wanted:
        log.warning("model.max_length: %d is more than the checkpoint takes; %d is used", wanted, min(limits))
    return min(limits)


def load_model(checkpoint: str, config: PretrainedConfig, *, attention: str | None, seed: int) -> Classifiable:
    """A sequence classifier with float32 weights.

    Weights that do not fit (a head with another number of labels) and weights that are missing start at random and are
    named in the result.

    Raises:
        ConfigError: the checkpoint is an adapter.
        UnavailableError: the checkpoint cannot be had.
    """
    set_seed(seed)  # new parameters are drawn from it
    options: dict[str, Any] = {} if attention is None else {"attn_implementation": attention}
    if checkpoint.startswith(SCRATCH):
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32, **options)
        return Classifiable(model, tuple(name for name, _ in model.named_parameters()), from_scratch=True)
    if adapters.is_adapter(resolve(checkpoint)):
        raise ConfigError(
            f"model.checkpoint: {checkpoint}: is an adapter without the weights it belongs to. Train it with "
            "adapter.merge=true to have a whole checkpoint to start from, or name its base"
        )
    model, info = _pretrained(
        AutoModelForSequenceClassification,
        checkpoint,
        config=config,
        dtype=torch.float32,  # else a bf16 checkpoint trains in pure bf16
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **options,
    )
    mismatched = {entry[0] if isinstance(entry, tuple) else entry for entry in info["mismatched_keys"]}
    new = tuple(sorted(set(info["missing_keys"]) | mismatched))
    if new:
        log.info("new parameters, not in %s: %s", checkpoint, ", ".join(new))
    return Classifiable(model, new)


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write weights and configuration."""
    model.save_pretrained(folder)


def load_trained(checkpoint: str) -> PreTrainedModel:
    """A classifier that is complete: its head is in the checkpoint. Of an adapter: with its updates in the weights.

    Raises:
        UnavailableError: it cannot be had, or parts of it are missing.
        DataError: an adapter that ftcls did not write.
    """
    place = resolve(checkpoint)
    if isinstance(place, Path) and adapters.is_adapter(place):
        return _adapted(place)
    model, info = _pretrained(
        AutoModelForSequenceClassification, checkpoint, dtype=torch.float32, output_loading_info=True
    )
    if info["missing_keys"]:
        raise UnavailableError(
            f"{checkpoint}: not a trained classifier, it lacks {', '.join(sorted(info['missing_keys']))}. "
            "Name a run, its model/ folder or a checkpoint with a classification head."
        )
    return model


def _adapted(folder: Path) -> PreTrainedModel:
    """The model of a stored adapter; its heads are in the adapter, so none is missed in the base."""
    adapters.check_installed()
    origin = adapters.read_origin(folder)
    base = _pretrained(
        AutoModelForSequenceClassification,
        str(folder / adapters.BASE) if origin.checkpoint is None else origin.checkpoint,
        config=_pretrained(AutoConfig, str(folder)),
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        **({} if origin.revision is None else {"revision": origin.revision}),
    )
    return adapters.attach(base, folder)


def _pretrained(kind: Any, checkpoint: str, **options: Any) -> Any:
    place = resolve(checkpoint)
    if isinstance(place, Path):
        try:
            return kind.from_pretrained(place, **options)
        except (OSError, ValueError, SafetensorError) as error:  # the last: weights that were cut short
            raise UnavailableError(
                f"model.checkpoint: {place}: not a checkpoint that transformers can load: {error}"
            ) from error
    hub.connect()
    try:
        return kind.from_pretrained(place, **options)
    except (OSError, ValueError, SafetensorError) as error:
        raise hub.unavailable(
            f"the checkpoint {place}",
            remedy="write a local folder or package:NAME/FOLDER as model.checkpoint",
            cause=error,
        ) from error

"""Checkpoints to sequence classifiers: float32 weights, label names, a pad token, and every new parameter named."""

import logging
import tempfile
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Final

import torch
from accelerate.utils import set_seed  # that of transformers brings its Trainer's modules, and PEFT
from safetensors.torch import save_model
from torch import nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ftcls.data.corpus import Task
from ftcls.errors import ConfigError, UnavailableError, quoted
from ftcls.model import adapters, padding, scratch, sharding
from ftcls.model import quantization as quantized
from ftcls.model.checkpoint import SCRATCH, VARIANT, resolve
from ftcls.model.classifiable import Classifiable
from ftcls.model.pretrained import pretrained, without_weights
from ftcls.model.warm_start import follow_names

log = logging.getLogger(__name__)

# Without model.max_length: what encoders were trained with; decoders with 128k positions are not what a text needs.
LONGEST = 512
TYPES: Final = "token_type_ids"


def load_tokenizer(checkpoint: str, *, train_texts: Sequence[str]) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer, with a pad token and padding on the right; from scratch: learnt from ``train_texts``.

    Raises:
        UnavailableError: the checkpoint cannot be had.
    """
    if checkpoint.startswith(SCRATCH):
        return _texts_are_text(scratch.train_tokenizer(train_texts))
    tokenizer = _texts_are_text(pretrained(AutoTokenizer, checkpoint))
    if isinstance(tokenizer.model_max_length, bool) or not isinstance(tokenizer.model_max_length, int | float):
        raise UnavailableError(
            f"{checkpoint}: its tokenizer_config.json says model_max_length: {quoted(tokenizer.model_max_length)}, "
            "which is no number of tokens"
        )
    if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
        # Without its files transformers makes a tokenizer of special tokens alone: every word would be unknown to it.
        raise UnavailableError(
            f"{checkpoint}: no tokenizer there: it has special tokens and not one word. Put tokenizer.json (or "
            "vocab.txt) of the same model into the folder, or name the checkpoint that has it"
        )
    if tokenizer.pad_token_id is None:
        # Decoders have none. The end token is safe on the right, where the mask hides it.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    padding.use(tokenizer, "right")
    return tokenizer


def _texts_are_text(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A ``[SEP]`` or ``</s>`` that somebody wrote is text: as a token it would end the text, or cut it in two.

    Stays with the tokenizer when it is saved, so that plain transformers reads texts likewise.
    """
    tokenizer.split_special_tokens = tokenizer.init_kwargs["split_special_tokens"] = True
    return tokenizer


def settle_token_types(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Have a tokenizer give no token types to a model that takes none, or knows one type alone.

    Stays with the tokenizer when it is saved: plain transformers would stop at such a pair of texts.
    """
    names = [name for name in tokenizer.model_input_names if name != TYPES]
    kind = type(config)
    known = kind in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    taken = not known or TYPES in signature(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[kind].forward).parameters
    if TYPES in tokenizer.model_input_names and not (taken and getattr(config, "type_vocab_size", 2) > 1):
        tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names


def load_config(
    checkpoint: str, tokenizer: PreTrainedTokenizerBase, *, labels: Sequence[str], task: Task
) -> PretrainedConfig:
    """The model's configuration, with the task, the label names and the pad token in it.

    Raises:
        UnavailableError: the checkpoint cannot be had, or the tokenizer is not its own.
    """
    if checkpoint.startswith(SCRATCH):
        config = scratch.config(checkpoint.removeprefix(SCRATCH), tokenizer)
    else:
        config = pretrained(AutoConfig, checkpoint)
    check_vocabulary(tokenizer, config, checkpoint)
    config.problem_type = "multi_label_classification" if task == "multilabel" else "single_label_classification"
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    config.pad_token_id = tokenizer.pad_token_id
    if getattr(config, "use_cache", None):
        config.use_cache = False  # keys and values of a text that is read once
    return config


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, checkpoint: str) -> None:
    """See that the model has a row for every token; it may have more.

    Raises:
        UnavailableError: it has fewer.
    """
    rows = getattr(config.get_text_config(), "vocab_size", None)
    highest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if isinstance(rows, int) and highest[1] >= rows:
        raise UnavailableError(
            f"{checkpoint}: its tokenizer numbers {highest[1] + 1:,} tokens (the last is {highest[0]!r}), and the "
            f"model's embedding has {rows:,} rows: they are not of the same model. Take the tokenizer files of the "
            "checkpoint that the weights come from"
        )


def label_names(config: PretrainedConfig, checkpoint: str) -> tuple[str, ...]:
    """The names of a classifier's k outputs, in their order.

    Raises:
        UnavailableError: its configuration does not number them from 0, or one name stands twice.
    """
    names = tuple(str(config.id2label[i]) for i in range(config.num_labels) if i in config.id2label)
    if len(set(names)) != config.num_labels:
        raise UnavailableError(
            f"{checkpoint}: its config.json names no label for each output: id2label must have the keys 0 to "
            f"{config.num_labels - 1} and as many different names"
        )
    return names


def longest(
    config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, wanted: int | None, *, key: str = "model.max_length"
) -> int:
    """The max_length in force, or another key's: what was asked for, as far as positions and tokenizer go."""
    limits = [LONGEST if wanted is None else wanted]
    if (most := most_tokens(config)) is not None:
        limits.append(most)
    if wanted is None and tokenizer.model_max_length < 10**6:  # 1e30 stands for "not known"
        limits.append(tokenizer.model_max_length)
    if wanted is not None and min(limits) < wanted:
        log.warning("%s: %d is more than the checkpoint takes; %d is used", key, wanted, min(limits))
    return min(limits)


def most_tokens(config: PretrainedConfig) -> int | None:
    """Most tokens of a text that a checkpoint has positions for; None: it does not say."""
    positions = getattr(config, "max_position_embeddings", None)
    return _positions(config, positions) if isinstance(positions, int) and positions > 0 else None


def _positions(config: PretrainedConfig, count: int) -> int:
    """How many of its positions a text can have: RoBERTa, MPNet, Longformer and kin number them from the pad id + 1.

    Such a table has a row for padding, which its embedding names: that is looked at, and no list of models.
    """
    model = without_weights(config)
    tables = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and "position" in name and module.num_embeddings == count
    ]
    return count - max((table.padding_idx + 1 for table in tables if table.padding_idx is not None), default=0)


def load_model(
    checkpoint: str,
    config: PretrainedConfig,
    *,
    attention: str | None,
    seed: int,
    quantization: quantized.Kind = "none",
    compute: str = "fp32",
    device: str = "cpu",
    shards: int = 1,
) -> Classifiable:
    """A sequence classifier with float32 weights, those of its layers quantized where that is asked for.

    Weights of the head that do not fit (another number of labels) and weights that are missing start at random and are
    named in the result.

    Args:
        checkpoint: as a config names it.
        config: from `load_config`.
        attention: the implementation; None: what the model chooses.
        seed: new parameters are drawn from it.
        quantization: nf4 or int8 for frozen layers under an adapter.
        compute: fp32, bf16 or fp16, what quantized layers compute in.
        device: where quantized layers are put.
        shards: processes that hold the model together; all of them call this.

    Raises:
        ConfigError: the checkpoint is an adapter.
        UnavailableError: the checkpoint cannot be had, or its configuration is not that of its weights.
    """
    set_seed(seed)
    options: dict[str, Any] = {} if attention is None else {"attn_implementation": attention}
    if checkpoint.startswith(SCRATCH):
        model = AutoModelForSequenceClassification.from_config(
            config, dtype=torch.float32, trust_remote_code=False, **options
        )
        every = tuple(name for name, _ in model.named_parameters())
        chosen = quantized.options(config, quantization, compute=compute, device=device)
        chosen |= sharding.options(config, shards)
        return Classifiable(_reread(model, chosen) if chosen else model, every, untrained=model)
    if adapters.is_adapter(resolve(checkpoint)):
        raise ConfigError(
            f"model.checkpoint: {checkpoint}: is an adapter without the weights it belongs to. Train it with "
            "adapter.merge=true to have a whole checkpoint to start from, or name its base"
        )
    model, info = pretrained(
        AutoModelForSequenceClassification,
        checkpoint,
        config=config,
        dtype=torch.float32,  # else a bf16 checkpoint trains in pure bf16
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **options,
        **quantized.options(config, quantization, compute=compute, device=device),
        **sharding.options(config, shards),
    )
    quantized.keep_layout(model)
    mismatched = {entry[0] if isinstance(entry, tuple) else entry for entry in info["mismatched_keys"]}
    inside = sorted(name for name in mismatched if name.startswith(f"{model.base_model_prefix}."))
    if inside:
        raise UnavailableError(
            f"model.checkpoint: {checkpoint}: its config.json does not fit its weights: {', '.join(inside[:3])} "
            f"{'has' if len(inside) == 1 else 'have'} another shape there. Take both from the same checkpoint"
        )
    fresh = set(info["missing_keys"]) | mismatched
    known = label_names(pretrained(AutoConfig, checkpoint), checkpoint)
    fresh.update(follow_names(model, dict(enumerate(known)), fresh=fresh, checkpoint=checkpoint))
    new = tuple(sorted(fresh))
    if new:
        log.info("new parameters, not in %s: %s", checkpoint, ", ".join(new))
    return Classifiable(model, new)


def _reread(model: PreTrainedModel, options: dict[str, Any]) -> PreTrainedModel:
    """A model as it is when it is loaded in another way: weights are quantized only on their way in."""
    with tempfile.TemporaryDirectory() as folder:
        # Every process has its own folder, and of several processes save_pretrained writes in the first alone.
        model.config.save_pretrained(folder)
        save_model(model, str(Path(folder) / "model.safetensors"), metadata={"format": "pt"})
        again: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, **options
        )
    quantized.keep_layout(again)
    return again


def save(model: PreTrainedModel, folder: Path, *, windowed: bool = False) -> None:
    """Write weights and configuration; those of a classifier that reads windows where plain transformers has none."""
    model.save_pretrained(folder, **({"variant": VARIANT} if windowed else {}))


def load_trained(checkpoint: str, *, device: str = "cpu", dequantize: bool = False) -> PreTrainedModel:
    """A classifier that is complete: its head is in the checkpoint.

    Of an adapter: with the updates added to the weights; where these are quantized, with the updates beside them, or
    with ``dequantize`` as `load_merged` gives it.

    Raises:
        UnavailableError: it cannot be had, or parts of it are missing.
        DataError: an adapter that ftcls did not write.
    """
    place = resolve(checkpoint)
    if isinstance(place, Path) and adapters.is_adapter(place):
        if dequantize:
            return load_merged(place, device=device).to(device)
        base = _base(place, device=device)
        model = adapters.attach(base, place, merge=not quantized.is_quantized(base))
        return model if quantized.is_quantized(base) else model.to(device)
    model, info = pretrained(
        AutoModelForSequenceClassification, checkpoint, dtype=torch.float32, output_loading_info=True
    )
    if info["missing_keys"]:
        raise UnavailableError(
            f"{checkpoint}: not a trained classifier, it lacks {', '.join(sorted(info['missing_keys']))}. "
            "Name a run, its model/ folder or a checkpoint with a classification head."
        )
    return model.to(device)


def load_encoder(checkpoint: str) -> PreTrainedModel:
    """A pretrained model without a head, float32.

    Raises:
        UnavailableError: the checkpoint cannot be had.
    """
    found: PreTrainedModel = pretrained(AutoModel, checkpoint, dtype=torch.float32)
    return found


def load_merged(folder: Path, *, device: str = "cpu") -> PreTrainedModel:
    """The classifier of a stored adapter as a plain float32 model.

    Where the adapter was trained on quantized weights it is added to just these, as numbers of float32.
    """
    plain = _base(folder, device="cpu", quantize=False)
    if adapters.read_origin(folder).quantization != "none":
        quantized.restore(_base(folder, device=device), plain)
    return adapters.attach(plain, folder, merge=True)


def _base(folder: Path, *, device: str, quantize: bool = True) -> PreTrainedModel:
    """The frozen weights of a stored adapter; its heads are in the adapter, so none is missed here."""
    adapters.check_installed()
    origin = adapters.read_origin(folder)
    config = pretrained(AutoConfig, str(folder))
    options = {} if origin.revision is None else {"revision": origin.revision}
    if quantize and origin.quantization != "none":
        quantized.check_available(f"{folder}: its base is {origin.quantization}, which", device)
        options |= quantized.options(config, origin.quantization, compute=origin.compute, device=device)
    base: PreTrainedModel = pretrained(
        AutoModelForSequenceClassification,
        str(folder / adapters.BASE) if origin.checkpoint is None else origin.checkpoint,
        config=config,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        **options,
    )
    quantized.keep_layout(base)
    return base

"""What transformers makes of a checkpoint's files: nothing of it is trusted, and whatever fails is one message."""

import importlib.util
import pickle
import re
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils import cached_file

from ftcls.environment import hub_access, memory
from ftcls.errors import UnavailableError
from ftcls.model import hub_digests, limits, own_code, settings
from ftcls.model.checkpoint import VARIANT, WINDOWED, on_hub, resolve

# What transformers, tokenizers and safetensors raise over files that are damaged or were made to be: none of them
# checks types before it computes with them.
_BROKEN: Final = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError),
    *(ValueError, SafetensorError, StrictDataclassError, pickle.UnpicklingError),
)
_SENTENCEPIECE: Final = ("sentencepiece", "google.protobuf")
"""Modules of the extra."""
_CODE: Final = (
    "is code from elsewhere, and ftcls runs none; remove the key from its config.json, or take another checkpoint"
)


def pretrained(kind: Any, checkpoint: str, **options: Any) -> Any:
    """What ``kind.from_pretrained`` gives: a tokenizer, a configuration or a model.

    Args:
        kind: AutoTokenizer, AutoConfig or AutoModelForSequenceClassification.
        checkpoint: as a config names it.
        options: for ``from_pretrained``.

    Raises:
        UnavailableError: it cannot be had, cannot be read, wants code of its own or more than `limits` allows.
        RuntimeError, MemoryError: the memory is too small for it.
    """
    place = resolve(checkpoint)
    if isinstance(place, str):
        hub_access.connect()
    try:
        return _read(kind, place, **options)
    except Exception as error:
        # The last is tokenizers', which raises nothing narrower.
        if memory.ran_out(error) or not (isinstance(error, _BROKEN) or type(error) is Exception):
            raise
        raise _unavailable(place, error) from error


def without_weights(config: PretrainedConfig, checkpoint: str = "") -> PreTrainedModel:
    """The classifier that a configuration describes, on the meta device: names, shapes and layers, no numbers.

    Raises:
        UnavailableError: it describes none.
    """
    place = checkpoint or config.name_or_path
    if not own_code.of_config(config) and type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise UnavailableError(
            f"model.checkpoint: {place}: transformers has no classifier of its architecture, {config.model_type}; take "
            "a checkpoint of one that it has, such as BERT, DeBERTa, ModernBERT, Llama or Qwen3"
        )
    try:
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForSequenceClassification.from_config(
                config, trust_remote_code=own_code.of_config(config)
            )
    except _BROKEN as error:
        raise _unavailable(Path(place), error) from error
    return model


def count_parameters(config: PretrainedConfig, checkpoint: str = "") -> int:
    """Parameters of the classifier that a configuration describes, without making it.

    Raises:
        UnavailableError: it describes none.
    """
    return sum(parameter.numel() for parameter in without_weights(config, checkpoint).parameters())


def _unavailable(place: Path | str, error: Exception) -> UnavailableError:
    if _wants_its_own_code(error):
        return UnavailableError(
            f"model.checkpoint: {place}: not a checkpoint that transformers can load: its architecture is none of "
            f"transformers' own: {own_code.REFUSED}"
        )
    if isinstance(place, Path) or not isinstance(error, (OSError, ValueError)) or _reason(error) != str(error):
        return UnavailableError(
            f"model.checkpoint: {place}: not a checkpoint that transformers can load: {_reason(error)}"
        )
    return hub_access.unavailable(
        f"the checkpoint {place}",
        remedy="write a local folder or package:NAME/FOLDER as model.checkpoint",
        cause=error,
    )


def _read(kind: Any, place: Path | str, **options: Any) -> Any:
    """What ``from_pretrained`` gives, without a line of code that came with the checkpoint where nobody allowed it.

    Without trust_remote_code transformers asks on standard input whether such code may run.
    """
    may_run = own_code.may_run(on_hub(place)[0] if isinstance(place, str) else place)
    if isinstance(place, str):
        place, pinned = on_hub(place)
        options |= {} if pinned is None else {"revision": pinned}
    revision = {name: options[name] for name in ("revision",) if name in options}
    if kind is AutoTokenizer:
        _check_config(place, **revision)  # which transformers reads for a tokenizer too
        return kind.from_pretrained(place, trust_remote_code=may_run, **options)
    if "config" not in options:
        options["config"] = _config(place, **revision)
    if kind is AutoConfig:
        return options["config"]
    if isinstance(place, Path):
        options |= {"variant": VARIANT} if (place / WINDOWED).is_file() else {}
        limits.check_files(place, str(place))
        limits.check_parameters(count_parameters(options["config"], str(place)), place, str(place))
    found = kind.from_pretrained(place, trust_remote_code=may_run, **options)
    if isinstance(place, str):  # its weights are in the cache now
        hub_digests.check(Path(str(cached_file(place, limits.CONFIG, **revision))).parent, place)
    return found


def _config(place: Path | str, **revision: str) -> PretrainedConfig:
    """The configuration. The attention that it names may be a kernel on the Hub, which is code too."""
    _check_config(place, **revision)
    # Just fetched, if it is on the Hub, which is not asked again.
    config: PretrainedConfig = AutoConfig.from_pretrained(
        place, trust_remote_code=own_code.may_run(place), local_files_only=True, **revision
    )
    attention = getattr(config, "_attn_implementation_internal", None)
    names = attention.values() if isinstance(attention, dict) else [attention]
    kernels = [name for name in names if isinstance(name, str) and "/" in name]
    if kernels:
        raise ValueError(f"its configuration asks for the attention kernel {kernels[0]}, which {_CODE}")
    return config


def _check_config(place: Path | str, **revision: str) -> None:
    found = place / limits.CONFIG if isinstance(place, Path) else cached_file(place, limits.CONFIG, **revision)
    file = Path(str(found))
    if file.is_file():
        limits.check_config(file, str(place))
        if own_code.may_run(place):
            own_code.check(file.parent, place)
        elif (file.parent / settings.FILE).is_file() and own_code.kept(file.parent):
            # Trained with its code. Without it transformers may have an architecture of the same name, another one.
            raise UnavailableError(f"{place}: {own_code.REFUSED}")


def _reason(error: Exception) -> str:
    """What to say of it; transformers asks for tiktoken where a SentencePiece model cannot be read."""
    if isinstance(error, pickle.UnpicklingError):
        return (
            "its weights are a pickle that holds more than numbers, which could run code when it is read; take a "
            "checkpoint with model.safetensors"
        )
    text = str(error) or type(error).__name__
    if not re.search("tiktoken|sentencepiece|protobuf", text, re.IGNORECASE):
        return text
    missing = [name for name in _SENTENCEPIECE if not _installed(name)]
    if not missing:
        return f"its tokenizer file is none that SentencePiece or tiktoken can read; fetch it again ({text})"
    return (
        f"its tokenizer is a SentencePiece model, and {' and '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not installed; run\n"
        '  pip install -c constraints.txt "ftcls[sentencepiece]"'
    )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _wants_its_own_code(error: Exception) -> bool:
    return "trust_remote_code" in str(error)

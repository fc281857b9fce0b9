"""LoRA adapters: which layers they update, which modules are trained in full beside them, how they are kept.

PEFT's own defaults are unsafe for classifiers: they leave a new pooler frozen at random and know only heads that are
called ``score`` or ``classifier``. Here the heads are read off the model, and every module that the checkpoint did not
bring is trained in full with them. PEFT is imported where an adapter is met: it takes seconds and is an extra.
"""

import contextlib
import copy
import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from accelerate.utils import set_seed
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ftcls.config.schema import Adapter
from ftcls.environment import json_files
from ftcls.environment.files import write_json
from ftcls.errors import ConfigError, DataError, UnavailableError
from ftcls.model import documents
from ftcls.model import quantization as quantized
from ftcls.model.checkpoint import PACKAGE, VARIANT, commit, on_hub, resolve
from ftcls.model.classifiable import Classifiable

FILE: Final = "adapter.json"
"""What ftcls must know beside PEFT's own files: where the frozen weights come from."""
BASE: Final = "base"
"""Folder beside an adapter that holds the frozen weights themselves, where they exist nowhere else."""
WEIGHTS: Final = "adapter_model.safetensors"
WINDOWED: Final = f"adapter_model.{VARIANT}.safetensors"
"""The weights of one whose classifier reads windows: PEFT knows of none, and finds no weights."""
_CONFIG: Final = "adapter_config.json"
FILES: Final = (FILE, WEIGHTS, WINDOWED, _CONFIG, BASE)
"""Everything that makes a folder an adapter."""
_NAME: Final = "default"

# The attention's query and value projections, as Hu et al. 2021 (section 7.1) found best for a given number of
# parameters; where a model computes query, key and value by one layer, that one.
TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "albert": ("query", "value"),
    "bert": ("query", "value"),
    "bloom": ("query_key_value",),
    "camembert": ("query", "value"),
    "deberta": ("in_proj",),
    "deberta-v2": ("query_proj", "value_proj"),
    "distilbert": ("q_lin", "v_lin"),
    "electra": ("query", "value"),
    "gemma": ("q_proj", "v_proj"),
    "gemma2": ("q_proj", "v_proj"),
    "gemma3_text": ("q_proj", "v_proj"),
    "gpt2": ("c_attn",),
    "gpt_neox": ("query_key_value",),
    "llama": ("q_proj", "v_proj"),
    "mistral": ("q_proj", "v_proj"),
    "modernbert": ("Wqkv",),
    "modernbert-decoder": ("q_proj", "v_proj"),
    "opt": ("q_proj", "v_proj"),
    "phi": ("q_proj", "v_proj"),
    "phi3": ("qkv_proj",),
    "qwen2": ("q_proj", "v_proj"),
    "qwen3": ("q_proj", "v_proj"),
    "roberta": ("query", "value"),
    "xlm-roberta": ("query", "value"),
}
ALL_LINEAR: Final = "all-linear"


@dataclass(frozen=True)
class Origin:
    """Where the frozen weights of an adapter come from."""

    checkpoint: str | None
    """As a config names it; None: they lie in the folder `BASE` beside the adapter."""
    revision: str | None = None
    """The commit on the Hub that they were loaded from."""
    quantization: quantized.Kind = "none"
    compute: str = "fp32"
    """What quantized weights compute in: fp32, bf16 or fp16."""


_ORIGIN: Final = TypeAdapter(Origin)


@dataclass(frozen=True, eq=False)
class Adapted:
    """A classifier with an adapter in it, ready to train."""

    model: PreTrainedModel
    """PEFT's wrapper; it answers for the model inside."""
    heads: tuple[str, ...]
    """Modules that are trained in full."""
    targets: tuple[str, ...]
    """Ends of the names of the layers that are updated."""
    origin: Origin
    untrained: PreTrainedModel | None
    """The frozen weights, where nothing but this object holds them."""

    def save(self, model: PreTrainedModel, folder: Path, *, windowed: bool = False) -> None:
        """Write adapter, heads and the whole model's configuration; ``windowed``: it reads windows."""
        from peft import get_peft_model_state_dict

        # PEFT's save_pretrained asks the Hub about the vocabulary and leaves a model card in every checkpoint.
        state = get_peft_model_state_dict(model, save_embedding_layers=False)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(weights, folder / (WINDOWED if windowed else WEIGHTS), metadata={"format": "pt"})
        peft_config = model.peft_config[_NAME]
        replace(peft_config, inference_mode=True).save_pretrained(str(folder))
        config = copy.deepcopy(model.config)
        config.architectures = [type(model.get_base_model()).__name__]
        if self.origin.quantization != "none":
            del config.quantization_config  # with it, transformers takes the base for weights stored in four bits
        config.save_pretrained(folder)
        write_json(folder / FILE, {"schema_version": 1, **asdict(self.origin)})
        if self.untrained is not None:
            self.untrained.save_pretrained(folder / BASE)


def check_installed() -> None:
    """See that adapters can be made here.

    Raises:
        UnavailableError: PEFT is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise UnavailableError(
            "adapter.kind: lora needs peft, which is not installed; run\n"
            '  pip install -c constraints.txt "ftcls[adapters]"'
        )


def heads(model: PreTrainedModel) -> tuple[str, ...]:
    """The parts of a classifier that are no part of the pretrained model: children beside it that have parameters."""
    return tuple(
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    )


def trained_in_full(model: PreTrainedModel, new_parameters: Sequence[str]) -> tuple[str, ...]:
    """The heads, and the modules whose weights the checkpoint did not bring.

    A model that is new altogether has nothing that is more in need of training than the rest: its heads alone.
    """
    found = list(heads(model))
    if len(new_parameters) < len(list(model.named_parameters())):
        for name in new_parameters:
            module = name.rpartition(".")[0]
            if module and not any(module == head or module.startswith(f"{head}.") for head in found):
                found.append(module)
    return tuple(found)


def linear_layers(model: PreTrainedModel, outside: Sequence[str] = ()) -> tuple[str, ...]:
    """Full names of the linear layers that are in none of the modules ``outside``."""
    return tuple(
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and not any(name == each or name.startswith(f"{each}.") for each in outside)
    )


def targets(
    model: PreTrainedModel, wanted: str | Sequence[str] | None, *, outside: Sequence[str] = ()
) -> tuple[str, ...]:
    """Ends of the names of the layers to update, outside of the modules that are trained in full anyway.

    Raises:
        ConfigError: a name that no linear layer's name ends with.
    """
    layers = linear_layers(model, outside)
    names = TARGETS.get(model.config.model_type) if wanted is None else wanted
    if names is None or names == ALL_LINEAR:
        return tuple(dict.fromkeys(layers))
    missing = [name for name in names if not any(layer == name or layer.endswith(f".{name}") for layer in layers)]
    if missing:
        there = sorted({layer.rpartition(".")[2] for layer in layers})
        raise ConfigError(
            f"adapter.target_modules: {', '.join(missing)}: {type(model).__name__} has no such linear layer outside "
            f"its head; it has {', '.join(there)}. Write some of these, all-linear, or null for the usual ones"
        )
    return tuple(names)


def wrap(
    model: PreTrainedModel, section: Adapter, *, new_parameters: Sequence[str], seed: int
) -> tuple[PreTrainedModel, tuple[str, ...], tuple[str, ...]]:
    """Freeze a classifier and put trainable updates into its layers; its heads stay trainable in full.

    Args:
        model: a classifier, on any device, the meta device too; it is changed.
        section: rank, scale, layers.
        new_parameters: names of the parameters that the checkpoint did not bring.
        seed: the updates' first factor is drawn from it; the second is zero, so that training starts at the checkpoint.

    Returns:
        PEFT's model, the modules trained in full, the ends of the names of the layers updated.

    Raises:
        ConfigError: layers that are not there.
        UnavailableError: PEFT is not installed.
    """
    check_installed()
    from peft import LoraConfig, TaskType, get_peft_model

    full = trained_in_full(model, new_parameters)
    chosen = targets(model, section.target_modules, outside=full)
    transposed = _transposed(model, chosen)
    set_seed(seed)
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=section.r,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=list(chosen),
        modules_to_save=list(full),
        use_rslora=section.rslora,
        use_dora=section.dora,
        fan_in_fan_out=transposed,  # else PEFT warns of GPT-2's layers, which keep their weights the other way round
    )
    with _known_warnings():
        wrapped = get_peft_model(model, config)
    wrapped.peft_config[_NAME].modules_to_save = list(full)  # PEFT added the names that it knows
    return wrapped, full, tuple(sorted({name.rpartition(".")[2] for name in chosen}))


def add(built: Classifiable, section: Adapter, *, checkpoint: str, compute: str = "fp32", seed: int) -> Adapted:
    """Put an adapter into a classifier that was just loaded; see `wrap`. ``compute`` is what it was quantized for."""
    # Saved with every checkpoint of the adapter, so it must not be what the adapter is put into.
    untrained = copy.deepcopy(built.untrained) if built.untrained is built.model else built.untrained
    model, full, ends = wrap(built.model, section, new_parameters=built.new_parameters, seed=seed)
    place = BASE if untrained else on_hub(found)[0] if isinstance(found := resolve(checkpoint), str) else str(found)
    origin = Origin(
        checkpoint=None if untrained else checkpoint if checkpoint.startswith(PACKAGE) else place,
        revision=None if untrained else commit(checkpoint),
        quantization=section.quantization,
        compute=compute,
    )
    # For those who load the adapter with PEFT alone.
    model.peft_config[_NAME].base_model_name_or_path = place
    model.peft_config[_NAME].revision = origin.revision
    return Adapted(model, heads=full, targets=ends, origin=origin, untrained=untrained)


def _transposed(model: PreTrainedModel, chosen: Sequence[str]) -> bool:
    modules = dict(model.named_modules())
    hit = [modules[name] for name in modules if any(name == end or name.endswith(f".{end}") for end in chosen)]
    return bool(hit) and all(isinstance(module, Conv1D) for module in hit)


def is_adapter(folder: Path | str) -> bool:
    """Whether a folder holds an adapter and not a whole model."""
    return isinstance(folder, Path) and (folder / _CONFIG).is_file()


def read_origin(folder: Path) -> Origin:
    """Where the frozen weights of a stored adapter come from.

    Raises:
        DataError: the file is not there, or not what `Adapted.save` writes.
    """
    path = folder / FILE
    try:
        stored = json_files.value(path)
        stored.pop("schema_version")
        origin = _ORIGIN.validate_python(asdict(Origin(**stored)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: not written by this version of ftcls ({error}); an adapter made elsewhere has to be merged into "
            "its base by PEFT's merge_and_unload first"
        ) from error
    named = origin.checkpoint or ""
    parts = named.replace("\\", "/").split("/")
    if ".." in parts or named.startswith(("//", "\\\\", "~")):
        raise DataError(
            f"{path}: names its base {named[:80]!r}: ftcls writes a Hub id, package:NAME/FOLDER or a whole "
            "path there, and follows no other"
        )
    return origin


def attach(base: PreTrainedModel, folder: Path, *, merge: bool) -> PreTrainedModel:
    """The classifier with a stored adapter: with ``merge`` added to its weights, so that it is a plain model again.

    Raises:
        UnavailableError: PEFT is not installed, or the adapter does not fit the base.
    """
    check_installed()
    from peft import PeftConfig, PeftModelForSequenceClassification

    try:
        # PeftModel.from_pretrained would look for the weights under one name alone.
        weights = _weights(folder)
        if (weighs := weights.get(f"base_model.model.{documents.WEIGHTS}.weight")) is not None:
            documents.add_weights(base, weighs.shape[1])
        with _known_warnings():
            wrapped = PeftModelForSequenceClassification(base, PeftConfig.from_pretrained(str(folder)))
            _set_weights(wrapped, weights)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:  # KeyError: a module is not in it
        raise UnavailableError(f"{folder}: the adapter cannot be put on {base.name_or_path}: {error}") from error
    return wrapped.merge_and_unload() if merge else wrapped


def load_weights(model: PreTrainedModel, folder: Path) -> None:
    """Read the weights of a stored adapter into a model that has it.

    Raises:
        KeyError: some are missing.
        OSError, RuntimeError, SafetensorError: the file cannot be read, or is of another model.
    """
    _set_weights(model, _weights(folder))


def _weights(folder: Path) -> dict[str, Tensor]:
    path = folder / WINDOWED
    found: dict[str, Tensor] = load_file(path if path.is_file() else folder / WEIGHTS)
    return found


def _set_weights(model: PreTrainedModel, weights: dict[str, Tensor]) -> None:
    from peft import set_peft_model_state_dict

    lost = [name for name in set_peft_model_state_dict(model, weights).missing_keys if "lora_" in name]
    if lost:  # PEFT would warn of it
        raise KeyError(lost[0])


def architecture(model: PreTrainedModel) -> str:
    """The class of a model, or of the model that an adapter is in."""
    return type(model.get_base_model() if hasattr(model, "peft_config") else model).__name__


@contextlib.contextmanager
def _known_warnings() -> Iterator[None]:
    """PEFT 0.21 asks transformers 5.23 for a flag by its old name, and sets by itself what it then warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to", category=UserWarning)
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        yield


def parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that the model computes with: PEFT keeps a frozen copy of every module that is trained in full."""
    return ((name, each) for name, each in model.named_parameters() if ".original_module." not in name)


def plain_name(name: str) -> str:
    """The name of a module that is trained in full beside an adapter, as it is in the model that the adapter is in."""
    return name.removeprefix("base_model.model.").replace(f".modules_to_save.{_NAME}", "")


def count(model: nn.Module) -> tuple[int, int]:
    """Parameters, and how many of them are trained."""
    sizes = [(quantized.numel(each), each.requires_grad) for _, each in parameters(model)]
    return sum(n for n, _ in sizes), sum(n for n, trains in sizes if trains)

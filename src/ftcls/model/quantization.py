"""Frozen weights in four or eight bits (bitsandbytes), under an adapter that is trained in float32 (QLoRA).

Only the linear layers of the layer stacks are quantized: heads, poolers and projections outside of them stay as they
are, since those may be trained. bitsandbytes is imported where it is asked for: it takes seconds and is an extra.
"""

import importlib.util
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BitsAndBytesConfig, PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ftcls.environment.devices import DTYPES
from ftcls.errors import ConfigError, UnavailableError
from ftcls.model.pretrained import without_weights

Kind = Literal["none", "nf4", "int8"]
DEVICES: Final = ("cpu", "cuda")
BYTES: Final = {"nf4": 0.5 + 1 / 64 + 4 / (64 * 256), "int8": 1.0}
"""Of one weight. Four bits: 64 of them share a scale of eight bits, 256 scales one of float32. Eight bits: the scale
that a row shares is not worth counting."""


def check_available(key: str, device: str) -> None:
    """See that bitsandbytes can be used here, for the config's ``key``.

    Raises:
        UnavailableError: it is not installed.
        ConfigError: it has nothing for this device.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UnavailableError(
            f"{key} needs bitsandbytes, which is not installed; run\n"
            '  pip install -c constraints.txt "ftcls[quantization]"'
        )
    if device not in DEVICES:
        raise ConfigError(f"{key}: bitsandbytes has nothing for {device}; write training.device: cpu, or leave it out")


def options(config: PretrainedConfig, kind: Kind, *, compute: str, device: str) -> dict[str, Any]:
    """What ``from_pretrained`` is given so that the layers are quantized while they are loaded.

    Args:
        config: the model's.
        kind: nf4 with double quantization (Dettmers et al. 2023), or int8 (LLM.int8, Dettmers et al. 2022).
        compute: fp32, bf16 or fp16, the arithmetic of the products with dequantized weights.
        device: cpu or cuda; quantized weights are placed once.
    """
    if kind == "none":
        return {}
    chosen: dict[str, Any] = {"llm_int8_skip_modules": outside_of_layers(config)}
    if kind == "nf4":
        chosen |= {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": DTYPES[compute],
        }
    else:
        chosen |= {"load_in_8bit": True}
    place = torch.cuda.current_device() if device == "cuda" else device
    return {"quantization_config": BitsAndBytesConfig(**chosen), "device_map": {"": place}}


def outside_of_layers(config: PretrainedConfig) -> list[str]:
    """Names of the linear layers that belong to no stack of layers."""
    model = without_weights(config)
    return [name for name, within in _linear_layers(model).items() if not within]


def _linear_layers(model: PreTrainedModel) -> dict[str, bool]:
    """Names of all linear layers, and whether they belong to a stack of layers."""
    stacks = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    return {
        name: any(name.startswith(f"{stack}.") for stack in stacks)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }


class Outline(nn.Linear):
    """A quantized layer without its numbers: the types that go in and out, and what is kept for the backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        """What bitsandbytes does: its own arithmetic, whatever the autocast, and back to the type that came in."""
        bias = None if self.bias is None else self.bias.to(self.weight.dtype)
        with torch.autocast(x.device.type, enabled=False):
            return functional.linear(x.to(self.weight.dtype), self.weight, bias).to(x.dtype)


def outline(model: PreTrainedModel, *, compute: str) -> None:
    """Put `Outline` in place of every layer that would be quantized, in a model on the meta device."""
    for name, within in _linear_layers(model).items():
        if within:
            parent, _, own = name.rpartition(".")
            layer: Any = model.get_submodule(name)
            inputs, outputs = layer.weight.shape if isinstance(layer, Conv1D) else reversed(layer.weight.shape)
            made = Outline(inputs, outputs, bias=layer.bias is not None, device="meta", dtype=DTYPES[compute])
            setattr(model.get_submodule(parent), own, made)


def stored_bytes(model: nn.Module, kind: Kind) -> int:
    """Bytes of a model's weights, where `Outline` stands for layers of this kind and all others are float32."""
    small = {id(each.weight) for each in model.modules() if isinstance(each, Outline)}
    return int(sum(each.numel() * (BYTES[kind] if id(each) in small else 4) for each in model.parameters()))


def is_quantized(model: nn.Module) -> bool:
    """Whether some layers of the model are."""
    return bool(getattr(model, "is_quantized", False))


def keep_layout(model: PreTrainedModel) -> None:
    """Keep bitsandbytes 0.50 from packing weights anew for inference on CPUs with bfloat16.

    It does so in the first evaluation, and the training step that follows fails.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def restore(quantized: PreTrainedModel, plain: PreTrainedModel) -> None:
    """Give a model the very weights that its quantized twin computes with.

    Transformers' own ``dequantize`` leaves GPT-2's layers the wrong way round.
    """
    import bitsandbytes as bnb

    for name, module in quantized.named_modules():
        if isinstance(module, bnb.nn.Linear4bit):
            weight = bnb.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
        elif isinstance(module, bnb.nn.Linear8bitLt):
            scale = module.weight.SCB if module.state.SCB is None else module.state.SCB  # where it lies after a pass
            weight = bnb.functional.int8_vectorwise_dequant(module.weight.data, scale)
        else:
            continue
        target = plain.get_submodule(name)
        with torch.no_grad():
            target.weight.copy_(weight.T if isinstance(target, Conv1D) else weight)


def numel(parameter: nn.Parameter) -> int:
    """Numbers that a parameter stands for; two of four bits share a byte."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(torch.Size(state.shape).numel())

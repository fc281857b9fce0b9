"""Which device and which arithmetic a run uses, and why."""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psutil
import torch
from transformers.utils import logging as transformers_logging

from ftcls.errors import ConfigError

log = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Tokens of one padded forward pass. CPU: a working set that stays in the caches; GPU: enough to keep it busy.
TOKEN_BUDGETS = {"cpu": 2_048, "cuda": 32_768, "mps": 8_192}

# Tokens of padding that one more forward and backward pass is worth. CPU: measured with MiniLM in bf16 on two cores, a
# step of 16 texts takes 1/1.6 (docstrings, 21 tokens) and 1/1.8 (AG News, 53 tokens) of the time of one padded batch;
# 64 to 300 differ by a tenth. GPU: launching the kernels of a pass takes as long as an H200 needs for 15,000 tokens
# (BERT-base, 40 ms) or more (MiniLM).
PASS_COSTS = {"cpu": 200, "cuda": 16_384, "mps": 1_024}

# The share of the speed of one large matrix product that training reaches, from and to: what is usual, with MiniLM .30
# to .45 on two cores that others used too; benchmarks/memory_estimate.py prints both times.
EFFICIENCY: Final = {"cpu": (0.3, 0.6), "cuda": (0.2, 0.5), "mps": (0.15, 0.45)}

# How many compiled products of bf16 matrices the CPU libraries keep, one for each shape of the operands. Token-budget
# batches have hundreds of shapes: by the libraries' own 1,024, training MiniLM held 1.7 GB more after 160 passes of
# 2,048 tokens and went on growing. With these it does not grow, and takes no longer.
KEPT_PRODUCTS: Final = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "32", "LRU_CACHE_CAPACITY": "16"}

# The names under which this process was given its one CUDA device: counted again, it is number 0 of 1.
_given: set[str] = set()

# Whether the launcher asked for FSDP2.
_fsdp = False


@dataclass(frozen=True)
class Machine:
    """What one process of a run computes on."""

    device: Literal["cpu", "cuda", "mps"]
    precision: Precision
    reason: str
    """Why this precision."""
    rank: int
    processes: int
    sharded: bool = False
    """Whether the processes hold one model together (FSDP2) and not one each."""

    @property
    def main(self) -> bool:
        """Whether this process writes the run directory."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """The device's own name."""
        return torch.cuda.get_device_name() if self.device == "cuda" else self.device


def choose(device: str, precision: str) -> Machine:
    """Settle device and precision.

    Without torchrun exactly one device is used. ``cuda:N`` becomes the only one this process sees, because the Trainer
    would otherwise spread over all of them.

    Raises:
        ConfigError: the device is not there, or cannot compute in that precision; a launcher that asks for FSDP 1;
            variables of a launcher for several processes, without its address.
    """
    for name, number in KEPT_PRODUCTS.items():
        os.environ.setdefault(name, number)  # read by the first product of the process
    _drop_leftovers()
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    kind = _device(device, processes)
    chosen, reason = _precision(kind, precision)
    return Machine(kind, chosen, reason, rank, processes, sharded=processes > 1 and _sharded())


LAUNCHER: Final = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID")
"""Variables from which accelerate takes it that a launcher started this process among others."""


def _drop_leftovers() -> None:
    """Forget variables of a launcher that did not start this process: a notebook, a shell or a scheduler left them.

    Raises:
        ConfigError: they speak of several processes, which nobody can reach without MASTER_ADDR.
    """
    if "MASTER_ADDR" in os.environ:
        return
    left = [name for name in ("WORLD_SIZE", *LAUNCHER) if name in os.environ]
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            f"the environment has WORLD_SIZE={os.environ['WORLD_SIZE']} and no MASTER_ADDR: no launcher started this "
            f"process. Run: unset {' '.join(left)}; or start it with torchrun or accelerate launch"
        )
    for name in left:
        log.info("%s=%s is left over from a launcher and ignored", name, os.environ.pop(name))


def _sharded() -> bool:
    """Whether the launcher asks for FSDP2, as `accelerate launch` says it.

    From there on accelerate is kept from it: it would shard once more what is sharded while it is loaded.
    """
    global _fsdp
    if os.environ.pop("ACCELERATE_USE_FSDP", "false").lower() == "true":
        if os.environ.get("FSDP_VERSION", "2") != "2":
            raise ConfigError(
                "the launch file asks for FSDP 1; write fsdp_version: 2 in it, as configs/launch/fsdp2.yaml does"
            )
        _fsdp = True
    return _fsdp


def _device(wanted: str, processes: int) -> Literal["cpu", "cuda", "mps"]:
    if wanted in _given and processes == 1:
        return "cuda"
    cards = torch.cuda.device_count()
    if wanted.startswith("cuda") or (wanted == "auto" and cards):
        number = int(wanted.partition(":")[2] or 0)
        if number >= cards:
            raise ConfigError(
                f"training.device: {wanted}: CUDA devices here: {cards}, counted from 0; write one of them, auto or cpu"
            )
        if processes == 1:
            if cards > 1 and wanted == "auto":
                log.info(
                    "%d CUDA devices, one is used; for all: torchrun --nproc-per-node %d -m ftcls train ...",
                    cards,
                    cards,
                )
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
            os.environ["CUDA_VISIBLE_DEVICES"] = visible[number] if visible != [""] else str(number)
            _given.add(wanted)
        return "cuda"
    if wanted == "mps" or (wanted == "auto" and torch.backends.mps.is_available()):
        if not torch.backends.mps.is_available():
            raise ConfigError("training.device: mps: this machine has none; write auto or cpu")
        return "mps"
    return "cpu"


def _precision(device: str, wanted: str) -> tuple[Precision, str]:
    has_bf16, has_fp16, what = _abilities(device)
    if wanted == "auto":
        if has_bf16:
            return "bf16", f"{what} computes bf16 in hardware"
        if has_fp16:
            return "fp16", f"{what} computes fp16 in hardware and not bf16; the loss is scaled"
        return "fp32", f"{what} computes neither bf16 nor fp16 in hardware"
    if wanted == "fp16" and not has_fp16 and device != "cuda":
        raise ConfigError(f"training.precision: fp16: needs a CUDA device, this is {what}; write auto, bf16 or fp32")
    if wanted == "bf16" and not has_bf16:
        if device != "cpu":
            raise ConfigError(f"training.precision: bf16: {what} has none; write auto or fp16")
        return "bf16", f"asked for; {what} emulates it, slowly"
    return wanted, "asked for"  # type: ignore[return-value]


def computes(device: str, precision: str) -> bool:
    """Whether a device (cpu, cuda or mps) has a precision in hardware."""
    has_bf16, has_fp16, _ = _abilities(device)
    return precision == "fp32" or (has_bf16 if precision == "bf16" else has_fp16)


def _abilities(device: str) -> tuple[bool, bool, str]:
    """Whether bf16 and fp16 are computed in hardware, and a name for the device."""
    if device == "cuda":
        major, minor = torch.cuda.get_device_capability()
        # Asked of the hardware: PyTorch's own answer counts emulation as support.
        return torch.cuda.is_bf16_supported(including_emulation=False), major >= 7, f"CUDA capability {major}.{minor}"
    if device == "mps":
        return False, False, "Metal"
    return _cpu_bf16(), False, "this CPU"


def _cpu_bf16() -> bool:
    # PyTorch has no public question for this. Arm is left at float32 until somebody has measured it there.
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def free_bytes(machine: Machine) -> int:
    """Bytes that this process may hold at its highest point: of the GPU, or with what it holds now of the memory."""
    if machine.device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    held = psutil.Process().memory_info().rss
    return held + min(int(psutil.virtual_memory().available), _free_in_container(Path("/sys/fs/cgroup")))


def _free_in_container(group: Path) -> int:
    """What a container's limit leaves (cgroup v2); where there is none, more than any machine has."""
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:
        return 2**62
    # Cached files count as used until the memory is wanted.
    return 2**62 if limit == "max" else max(0, int(limit) - used + int(stat["inactive_file"]))


def speed(machine: Machine, width: int) -> float:
    """Floating-point operations a second in a product such as a layer of this width computes for many tokens."""
    kind = DTYPES[machine.precision]
    left = torch.ones(2_048 if machine.device == "cpu" else 8_192, width, dtype=kind, device=machine.device)
    right = torch.ones(width, 4 * width, dtype=kind, device=machine.device)
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        product = left @ right
        float(product[0, 0])  # waits for a GPU
        seconds.append(time.perf_counter() - began)
    return 2.0 * left.numel() * right.shape[1] / min(seconds)


def quiet() -> None:
    """Keep the libraries' own bars and advice off the terminal: progress and results are ftcls's to print."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()

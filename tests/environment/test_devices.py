import logging
import os

import pytest
import torch

from ftcls.environment import devices
from ftcls.environment.devices import KEPT_PRODUCTS, choose
from ftcls.errors import ConfigError


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine without any device but its processor; returns what changes that."""
    for name in ("WORLD_SIZE", "MASTER_ADDR", *devices.LAUNCHER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is put back afterwards
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(devices, "_given", set())

    def has(*, cards=0, capability=(8, 0), bf16=True, mps=False, cpu_bf16=False):
        def counted():
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            return cards if visible is None else len(visible.split(","))

        monkeypatch.setattr(torch.cuda, "device_count", counted)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16 or including_emulation)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(devices, "_cpu_bf16", lambda: cpu_bf16)

    has()
    return has


def visible():
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_auto_takes_cuda_then_metal_then_the_processor(machine):
    assert choose("auto", "fp32").device == "cpu"
    machine(mps=True)
    assert choose("auto", "fp32").device == "mps"
    machine(mps=True, cards=1)
    assert choose("auto", "fp32").device == "cuda"


def test_the_processor_is_used_where_it_is_asked_for(machine):
    machine(cards=2, mps=True)
    assert choose("cpu", "fp32").device == "cpu"
    assert visible() is None


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "cuda:1"])
def test_cuda_without_cuda_says_what_to_write(wanted):
    with pytest.raises(ConfigError, match=rf"training.device: {wanted}: CUDA devices here: 0.*auto or cpu"):
        choose(wanted, "auto")


def test_a_cuda_device_out_of_range_says_how_many_there_are(machine):
    machine(cards=2)
    with pytest.raises(ConfigError, match=r"cuda:2: CUDA devices here: 2, counted from 0"):
        choose("cuda:2", "auto")
    assert visible() is None


def test_metal_without_metal_says_what_to_write():
    with pytest.raises(ConfigError, match=r"training.device: mps: this machine has none; write auto or cpu"):
        choose("mps", "auto")


@pytest.mark.parametrize(("wanted", "number"), [("auto", "0"), ("cuda", "0"), ("cuda:0", "0"), ("cuda:2", "2")])
def test_one_device_is_all_that_the_process_sees(machine, wanted, number):
    machine(cards=3)
    choose(wanted, "auto")
    assert visible() == number


def test_numbers_count_the_devices_that_were_visible_before(machine, monkeypatch):
    machine(cards=8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8932f937,7")
    choose("cuda:1", "auto")
    assert visible() == "GPU-8932f937"


@pytest.mark.parametrize("wanted", ["auto", "cuda", "cuda:1", "cuda:2"])
def test_a_device_can_be_asked_for_again_when_it_has_become_the_only_one(machine, wanted):
    machine(cards=3)
    choose(wanted, "auto")
    before = visible()
    assert choose(wanted, "fp32").device == "cuda"  # the trained model is loaded onto it
    assert visible() == before


def test_several_devices_are_named_with_the_command_that_uses_them(machine, caplog):
    machine(cards=4)
    with caplog.at_level(logging.INFO, logger="ftcls"):
        choose("auto", "auto")
    assert "4 CUDA devices, one is used; for all: torchrun --nproc-per-node 4 -m ftcls train" in caplog.text


def test_under_torchrun_every_process_sees_all_devices_and_knows_its_rank(machine, monkeypatch):
    machine(cards=2)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    found = choose("auto", "auto")
    assert (found.device, found.rank, found.processes, found.main) == ("cuda", 1, 2, False)
    assert visible() is None


@pytest.mark.parametrize(
    "left",
    [
        {"LOCAL_RANK": "0"},
        {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"},
        {"PMI_SIZE": "4", "PMI_RANK": "0"},
        {"RANK": "3"},
    ],
)
def test_what_a_launcher_left_behind_is_ignored(machine, monkeypatch, caplog, left):
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    caplog.set_level("INFO", logger="ftcls")
    found = choose("auto", "auto")
    assert (found.rank, found.processes, found.main) == (0, 1, True)
    assert not set(left) & os.environ.keys()
    assert all(f"{name}={value} is left over" in caplog.text for name, value in left.items())


def test_several_processes_without_an_address_are_refused_before_anything_starts(machine, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"WORLD_SIZE=4 and no MASTER_ADDR.*unset WORLD_SIZE RANK LOCAL_RANK"):
        choose("auto", "auto")


def test_one_process_of_a_real_launcher_is_left_alone(machine, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    choose("auto", "auto")
    assert os.environ["LOCAL_RANK"] == "0"


@pytest.mark.parametrize("name", KEPT_PRODUCTS)
def test_few_compiled_products_are_kept_unless_the_environment_says_otherwise(monkeypatch, name):
    monkeypatch.setenv(name, "500")
    choose("cpu", "bf16")
    assert os.environ[name] == "500"
    monkeypatch.delenv(name)
    choose("cpu", "bf16")
    assert os.environ[name] == KEPT_PRODUCTS[name]


def test_one_process_alone_is_the_main_one():
    found = choose("cpu", "fp32")
    assert (found.rank, found.processes, found.main, found.name) == (0, 1, True, "cpu")


@pytest.mark.parametrize(
    ("has", "device", "precision", "reason"),
    [
        ({"cards": 1}, "cuda", "bf16", "CUDA capability 8.0 computes bf16 in hardware"),
        (
            {"cards": 1, "capability": (7, 5), "bf16": False},
            "cuda",
            "fp16",
            "CUDA capability 7.5 computes fp16 in hardware and not bf16; the loss is scaled",
        ),
        (
            {"cards": 1, "capability": (6, 1), "bf16": False},
            "cuda",
            "fp32",
            "CUDA capability 6.1 computes neither bf16 nor fp16 in hardware",
        ),
        ({"cpu_bf16": True}, "cpu", "bf16", "this CPU computes bf16 in hardware"),
        ({}, "cpu", "fp32", "this CPU computes neither bf16 nor fp16 in hardware"),
        ({"mps": True}, "mps", "fp32", "Metal computes neither bf16 nor fp16 in hardware"),
    ],
)
def test_the_precision_follows_the_hardware_and_says_why(machine, has, device, precision, reason):
    machine(**has)
    found = choose("auto", "auto")
    assert (found.device, found.precision, found.reason) == (device, precision, reason)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_precision_that_was_asked_for_is_used(machine, precision):
    machine(cpu_bf16=True)
    found = choose("cpu", precision)
    assert (found.precision, found.reason) == (precision, "asked for")


def test_bf16_on_a_processor_without_it_is_emulated_and_says_so():
    found = choose("cpu", "bf16")
    assert (found.precision, found.reason) == ("bf16", "asked for; this CPU emulates it, slowly")


def test_bf16_on_a_device_without_it_is_refused(machine):
    machine(cards=1, capability=(7, 5), bf16=False)
    with pytest.raises(
        ConfigError, match=r"training.precision: bf16: CUDA capability 7.5 has none; write auto or fp16"
    ):
        choose("cuda", "bf16")
    machine(mps=True)
    with pytest.raises(ConfigError, match=r"training.precision: bf16: Metal has none"):
        choose("mps", "bf16")


def test_fp16_needs_cuda(machine):
    with pytest.raises(ConfigError, match=r"training.precision: fp16: needs a CUDA device, this is this CPU"):
        choose("cpu", "fp16")
    machine(cards=1, capability=(6, 1), bf16=False)
    assert choose("cuda", "fp16").precision == "fp16"


def test_the_processor_of_this_machine_answers_whether_it_has_bf16(monkeypatch):
    monkeypatch.undo()
    assert devices._cpu_bf16() in (True, False)


@pytest.mark.parametrize(("avx", "amx"), [(False, False), (True, False), (False, True)])
def test_either_instruction_set_is_bf16_in_hardware(monkeypatch, avx, amx):
    monkeypatch.undo()
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert devices._cpu_bf16() is (avx or amx)

"""The launch files: accelerate understands them, and ftcls what accelerate makes of them."""

import os
import re
from pathlib import Path

import pytest
import yaml
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from ftcls.config.load import load
from ftcls.environment import devices
from ftcls.errors import ConfigError
from ftcls.pipeline import dry_run

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FILES = sorted((REPOSITORY / "configs" / "launch").glob("*.yaml"))
NAMES = [path.stem for path in FILES]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Puts back what accelerate and ftcls change."""
    before = dict(os.environ)
    monkeypatch.setattr(devices, "_fsdp", False)
    yield
    os.environ.clear()
    os.environ.update(before)


def launched(path):
    """What the processes of `accelerate launch --config_file PATH -m ftcls ...` find in their environment."""
    parser = launch_command_parser()
    given = parser.parse_args(["--config_file", str(path), "-m", "ftcls", "train", "ag_news"])
    given, _, _ = _validate_launch_command(given)
    return prepare_multi_gpu_env(given)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_accelerate_reads_a_launch_file(path, monkeypatch):
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = launched(path)
    assert found["ACCELERATE_MIXED_PRECISION"] == "no"  # the config of the run says what it is
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", str(given["num_processes"]))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    for name in ("ACCELERATE_USE_FSDP", "FSDP_VERSION"):
        if name in found:
            monkeypatch.setenv(name, found[name])
    machine = devices.choose("cpu", "fp32")
    assert (machine.rank, machine.processes) == (1, given["num_processes"])
    assert machine.sharded == (path.stem == "fsdp2")
    assert "ACCELERATE_USE_FSDP" not in os.environ  # else accelerate would shard what is sharded
    assert devices.choose("cpu", "fp32").sharded == machine.sharded


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_launch_file_begins_with_its_command_and_is_explained(path):
    header = path.read_text(encoding="utf-8").partition("compute_environment")[0]
    assert f"accelerate launch --config_file configs/launch/{path.name}" in header
    explained = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
    assert re.search(rf"\bconfigs/launch/{re.escape(path.name)}\b", explained)


def test_fsdp_1_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "1")
    with pytest.raises(ConfigError, match=r"asks for FSDP 1; write fsdp_version: 2"):
        devices.choose("cpu", "fp32")


def test_one_process_shards_nothing(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert not devices.choose("cpu", "fp32").sharded


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("adapter.kind=lora", r"adapter\.kind: lora: FSDP2 shards full fine-tuning alone"),
        ("training.optim=adamw_bnb_8bit", r"training\.optim: adamw_bnb_8bit: has no states that FSDP2"),
        ("model.windows.size=16", r"model\.windows: FSDP2 has all processes gather the weights"),
    ],
)
def test_what_cannot_be_sharded_is_refused(key, message):
    machine = devices.Machine("cpu", "fp32", "asked for", rank=0, processes=2, sharded=True)
    with pytest.raises(ConfigError, match=message):
        dry_run.check_installed(load("ag_news", [key]), machine)

"""The launch files: accelerate understands them, and ftcls what accelerate makes of them."""

import os
import re
from pathlib import Path

import pytest
import yaml
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from ftcls import devices

REPOSITORY = Path(__file__).resolve().parent.parent
FILES = sorted((REPOSITORY / "configs" / "launch").glob("*.yaml"))
NAMES = [path.stem for path in FILES]


@pytest.fixture(autouse=True)
def environment():
    """Puts back what accelerate changes."""
    before = dict(os.environ)
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
    machine = devices.choose("cpu", "fp32")
    assert (machine.rank, machine.processes) == (1, given["num_processes"])


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_launch_file_begins_with_its_command_and_is_explained(path):
    header = path.read_text(encoding="utf-8").partition("compute_environment")[0]
    assert f"accelerate launch --config_file configs/launch/{path.name}" in header
    explained = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
    assert re.search(rf"\bconfigs/launch/{re.escape(path.name)}\b", explained)

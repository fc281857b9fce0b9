"""What `ftcls doctor` finds, on this machine and on machines that are broken in one way."""

import importlib.metadata
import io
import json
from dataclasses import replace

import psutil
import pytest
from rich.console import Console

from ftcls.cli.app import run
from ftcls.environment import doctor
from ftcls.reporting import doctor_tables


@pytest.fixture(scope="module")
def found():
    return doctor.doctor()


def shown(health):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(doctor_tables.health(health))
    return console.export_text()


def without(monkeypatch, name, version=None):
    """As if this distribution were not installed, or in another version."""
    real = importlib.metadata.version

    def ask(asked):
        if asked != name:
            return real(asked)
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", ask)


def test_every_needed_library_is_named_with_version_and_range(found):
    packages = {package.name: package for package in found.packages}
    assert {"torch", "transformers", "datasets", "pyyaml"} <= set(packages)
    assert packages["torch"].version == importlib.metadata.version("torch")
    assert packages["torch"].range.startswith(">=")
    assert all(package.suits for package in found.packages)
    assert not {"pytest", "wandb"} & set(packages), "an extra is no need"


def test_the_cpu_is_a_device_and_the_precision_has_a_reason(found):
    assert found.devices[0].name == "cpu"
    assert found.devices[0].memory_bytes == psutil.virtual_memory().total
    assert found.choice is not None
    assert found.choice.reason


def test_an_offline_hub_is_not_called_broken(found):
    assert (found.hub.offline, found.hub.reachable) == (True, False)
    assert "not asked (offline)" in shown(found)
    assert found.advice == ()


def test_a_hub_that_does_not_answer_comes_with_the_ways_out(monkeypatch):
    silent = doctor.Hub("https://hub.example", reachable=False, offline=False, token=False)
    monkeypatch.setattr(doctor, "_hub", lambda: silent)
    health = doctor.doctor()
    assert "https://hub.example does not answer" in health.advice[0]
    assert health.problems == ()


def test_a_token_is_known_and_never_shown(monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    for arguments in (["doctor"], ["doctor", "--json"]):
        assert run(arguments) == 0
        captured = capsys.readouterr()
        assert "secret" not in captured.out + captured.err
    assert json.loads(captured.out)["hub"]["token"] is True


@pytest.mark.parametrize(("version", "words"), [("1.0.0", "1.0.0 is outside"), (None, "is not installed")])
def test_a_library_outside_its_range_is_a_problem_with_the_line_that_mends_it(monkeypatch, capsys, version, words):
    without(monkeypatch, "transformers", version)
    assert run(["doctor"]) == 4
    captured = capsys.readouterr()
    assert f"transformers {words}" in captured.err
    assert 'pip install "transformers>=' in captured.err
    assert "package" in captured.out


def test_json_carries_the_problems_and_the_exit_code(monkeypatch, capsys):
    without(monkeypatch, "pyarrow", "1.0")
    assert run(["doctor", "--json"]) == 4
    assert "pyarrow 1.0 is outside" in json.loads(capsys.readouterr().out)["problems"][0]


def test_a_torch_that_cannot_be_imported_is_a_finding_and_no_crash(monkeypatch):
    def broken():
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "_machine", broken)
    health = doctor.doctor()
    assert "libtorch_cpu.so" in health.problems[0]
    assert health.choice is None
    assert "libtorch_cpu.so" in shown(health)


def test_an_extra_that_is_missing_comes_with_its_pip_line(monkeypatch):
    without(monkeypatch, "tensorboard")
    extras = {extra.name: extra for extra in doctor.doctor().extras}
    assert extras["tensorboard"].missing == ("tensorboard",)
    assert extras["tensorboard"].install == 'pip install -c constraints.txt "ftcls[tensorboard]"'
    assert "dev" not in extras


def test_the_caches_have_their_size(monkeypatch, tmp_path):
    (tmp_path / "encoded" / "a").mkdir(parents=True)
    (tmp_path / "encoded" / "a" / "ids.npy").write_bytes(b"x" * 1234)
    (tmp_path / "link").symlink_to(tmp_path / "encoded" / "a" / "ids.npy")
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path))
    places = {place.name: place for place in doctor.doctor().places}
    assert (places["ftcls cache"].path, places["ftcls cache"].bytes) == (str(tmp_path), 1234)
    assert all(place.writable and place.free_bytes > 0 for place in places.values())


def test_a_folder_that_cannot_be_written_stops_training_and_little_disk_does_not(monkeypatch):
    place = doctor.Place("ftcls cache", "cache", 0, 10**12, writable=False)
    monkeypatch.setattr(
        doctor, "_places", lambda: [place, replace(place, name="runs", free_bytes=10**9, writable=True)]
    )
    health = doctor.doctor()
    assert health.problems == ("cache cannot be written; name another folder in FTCLS_CACHE",)
    assert "1.0 GB are free" in health.advice[0]


def test_the_report_fits_eighty_columns(found):
    assert max(map(len, shown(found).splitlines())) <= 80
    assert "ready to train" in shown(found)

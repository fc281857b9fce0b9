"""The programs beside the package start, and each stands in the table of its folder."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmarks", "studies", "verify")
PROGRAMS = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)


def test_every_folder_has_programs():
    assert {path.parent.name for path in PROGRAMS} == set(FOLDERS)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_says_what_it_takes(program, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(program.parent))
    monkeypatch.setattr(sys, "argv", [str(program), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(program), run_name="__main__")
    assert not ended.value.code
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_table_has_every_program(folder):
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    assert [
        str(path.name) for path in PROGRAMS if path.parent.name == folder and f"{folder}/{path.name}" not in text
    ] == []

"""Standard streams that are closed or full, and what a label could do to a terminal."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from ftcls.cli import console
from ftcls.environment.files import write_text

FULL = Path("/dev/full")
CALL = "import sys; from ftcls.cli import app; sys.argv = ['ftcls', *sys.argv[1:]]; app.main()"


def shell(arguments, streams):
    return subprocess.run(
        ["sh", "-c", f'"$0" -c "{CALL}" {arguments} {streams}', sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_one_message(unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = shell("--version", ">/dev/full")
    assert done.returncode == 4
    assert done.stderr == "standard output cannot be written: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes them")
def test_closed_streams_are_no_failure():
    assert shell("--version", "<&- >&- 2>&-").returncode == 0
    assert shell("config check nope.yaml", "<&- >&- 2>&-").returncode == 2


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_standard_error_keeps_the_exit_code():
    assert shell("config check nope.yaml", "2>/dev/full").returncode == 2


def test_a_label_in_a_table_cannot_steer_the_terminal(capsys):
    table = Table("label")
    table.add_row(Text("good\x1b[31m\u202ebad"))
    console.show(table)
    shown = capsys.readouterr().out
    assert "good\\x1b[31" in shown  # its width was taken before
    assert "\x1b" not in shown


def test_a_label_in_a_line_stays_one_line(capsys):
    console.say("a\nb\x1b]0;c\x07")
    assert capsys.readouterr().out == "a\\nb\\x1b]0;c\\x07\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_outputs_obey_the_umask_and_a_replaced_file_keeps_its_mode(tmp_path):
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "a")
        (tmp_path / "own").write_text("a")
        (tmp_path / "own").chmod(0o600)
        write_text(tmp_path / "own", "b")
    finally:
        os.umask(mask)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "own")]
    assert modes == [0o640, 0o600]


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_goes_on_pointing_to_what_is_written(tmp_path):
    (tmp_path / "real").write_text("a")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "b")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "b"

import json
import math
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ftcls.environment import manifest
from ftcls.environment.files import replacing, write_json, write_text
from ftcls.errors import ConfigError
from ftcls.runs import directory
from ftcls.runs.directory import RunDir, create

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")


def test_a_run_is_made_with_its_config_inside(tmp_path):
    run = create("name: news\n", name="news", output=None, home=tmp_path / "runs")
    assert run.path == tmp_path / "runs" / "news"
    assert run.config.read_text() == "name: news\n"
    assert sorted(path.name for path in run.path.iterdir()) == ["config.yaml", "manifest.json"]
    assert list(manifest.read(run.path).files) == ["config.yaml"]
    assert not run.done


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    target = tmp_path / "report.json"
    program = "import sys, os\nfrom pathlib import Path\nfrom ftcls.environment.files import replacing\n"
    program += f"with replacing(Path({str(target)!r})): os._exit(9)\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    elsewhere = tmp_path / ".report.json-another.machine-1-abc"
    elsewhere.write_text("")
    assert len(list(tmp_path.iterdir())) == 2
    with replacing(target) as first:
        write_json(target, {})
        assert first.exists()
        first.write_text("{}")
    assert sorted(tmp_path.iterdir()) == [elsewhere, target]
    os.utime(elsewhere, (0, 0))
    write_json(target, {})
    assert list(tmp_path.iterdir()) == [target]


def test_a_taken_name_is_numbered_from_two(tmp_path):
    names = [create("", name="news", output=None, home=tmp_path).path.name for _ in range(4)]
    assert names == ["news", "news-2", "news-3", "news-4"]


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("runs/reviws", " Did you mean runs/reviews?"),
        ("reviews", " Did you mean runs/reviews?"),
        ("run/reviews", " Did you mean runs/reviews?"),
        ("other/news-3", " Did you mean other/news-2?"),
        ("other/reviews", " Did you mean runs/reviews?"),
        ("runs/reviews", ""),
        ("runs/quite-another", ""),
        ("runs/notes", ""),
    ],
)
def test_a_mistyped_run_is_answered_with_the_nearest(tmp_path, monkeypatch, typed, hint):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/reviews", "runs/imdb", "other/news-2"):
        create("", name="x", output=tmp_path / name)
    (tmp_path / "runs" / "notes-1").mkdir()  # no run
    assert directory.nearest(typed) == hint
    assert directory.nearest(tmp_path / typed) == hint


def test_without_any_run_there_is_no_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert directory.nearest("runs/news") == ""


def test_a_gap_in_the_numbers_is_filled_and_files_count_as_taken(tmp_path):
    (tmp_path / "news").write_text("a file")
    (tmp_path / "news-3").mkdir()
    assert [create("", name="news", output=None, home=tmp_path).path.name for _ in range(2)] == ["news-2", "news-4"]


def test_runs_started_at_once_get_a_directory_each(tmp_path):
    start, found = threading.Barrier(12), []

    def claim(number):
        start.wait()
        found.append((number, create(str(number), name="news", output=None, home=tmp_path)))

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {run.path.name for _, run in found} == {"news", *(f"news-{i}" for i in range(2, 13))}
    assert all(run.config.read_text() == str(number) for number, run in found)


def test_an_output_that_holds_something_is_refused_and_left_alone(tmp_path):
    output = tmp_path / "mine"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"mine: exists and is not empty.*another --output, or add --resume"):
        create("", name="news", output=output)
    assert [path.name for path in output.iterdir()] == ["notes.txt"]


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="mine: is a file; --output names the run directory"):
        create("", name="news", output=tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("before", ["missing", "empty"])
def test_an_output_that_is_missing_or_empty_is_the_run_itself(tmp_path, before, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "deep" / "mine"
    if before == "empty":
        output.mkdir(parents=True)
    run = create("x: 1\n", name="news", output=output.relative_to(tmp_path))
    assert run.path == output
    assert run.config.read_text() == "x: 1\n"
    assert not (tmp_path / "runs").exists()


def test_a_run_is_done_when_its_report_is_there(tmp_path):
    run = RunDir(tmp_path)
    assert not run.done
    run.report.write_text("{}")
    assert run.done


def test_the_places_of_a_run_are_those_of_the_readme(tmp_path):
    run = RunDir(tmp_path)
    places = (
        ("config", "config.yaml"),
        ("log", "log.txt"),
        ("history", "history.jsonl"),
        ("checkpoints", "checkpoints"),
        ("best", "checkpoints/best"),
        ("model", "model"),
        ("predictions", "predictions"),
        ("evals", "evals"),
        ("report", "report.json"),
    )
    for name, place in places:
        assert getattr(run, name) == tmp_path / place


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")
    with replacing(path) as staged:
        staged.write_text("new")
        assert path.read_text() == "old"
        assert staged.parent == path.parent  # another file system could not rename it
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("old", ["old", None])
def test_an_error_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path, old):
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)

    def breaks_off():
        with replacing(path) as staged:
            staged.write_text("half")
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        breaks_off()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == ({} if old is None else {"file.txt": old})


@posix_only
def test_what_is_written_can_be_read_by_others(tmp_path):
    write_text(tmp_path / "file.txt", "text")
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o644


def test_text_is_utf8_with_plain_line_ends(tmp_path):
    write_text(tmp_path / "file.txt", "ä 😀\n")
    assert (tmp_path / "file.txt").read_bytes() == "ä 😀\n".encode()


def test_json_is_readable_and_ends_with_a_line_end(tmp_path):
    write_json(tmp_path / "a.json", {"label": "ä, b", "value": [1, None]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"label": "ä, b", "value": [1, None]}
    assert "ä" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_no_number_and_keeps_the_old_file(tmp_path, number):
    path = tmp_path / "a.json"
    write_json(path, {"loss": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": number})
    assert json.loads(path.read_text()) == {"loss": 1.0}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_runs_lie_in_runs_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = directory.create("", name="news", output=None)
    assert run.path == tmp_path / "runs" / "news"
    assert run.path.is_absolute()


@posix_only
def test_a_device_or_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for special in (tmp_path / "pipe", Path(os.devnull), tmp_path):
        with pytest.raises(ConfigError, match="is not a file that could be replaced"):
            write_text(special, "text")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe"]


@posix_only
def test_a_link_goes_on_pointing_to_what_was_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file.txt")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file.txt").read_text() == "text"

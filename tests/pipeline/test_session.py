import logging
import os
import shutil
import subprocess
import sys
import threading

import pytest

from ftcls.config.load import dump
from ftcls.config.schema import Data, Experiment, Model, Training
from ftcls.environment.devices import Machine
from ftcls.errors import ConfigError, DataError, Interrupted, TrainingError, UnavailableError
from ftcls.pipeline import session
from ftcls.runs import directory
from ftcls.runs.directory import RunDir

ALONE = Machine("cpu", "fp32", "asked for", rank=0, processes=1)


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def experiment(**training):
    return Experiment(
        name="news",
        data=Data(source="docstrings"),
        model=Model(checkpoint="scratch:bert"),
        training=Training(**training),
    )


def opened(given=None, *, output=None, resume=False, announce=lambda path: None, machine=ALONE):
    return session.opened(given or experiment(), machine, output=output, resume=resume, announce=announce)


def fails(error, *, before=lambda run: None, **options):
    """A session in which something goes wrong; its run directory."""
    with opened(**options) as run:
        before(run)
        raise error


def one_checkpoint(run):
    (run.checkpoints / "step-1").mkdir(parents=True)


def test_the_directory_is_announced_and_holds_config_and_log(working_directory):
    announced = []
    with opened(announce=announced.append) as run:
        logging.getLogger("ftcls.anything").warning("something to know")
    assert announced == [run.path] == [working_directory / "runs" / "news"]
    assert run.config.read_text(encoding="utf-8") == dump(experiment())
    assert "WARNING ftcls.anything: something to know" in run.log.read_text(encoding="utf-8")
    assert sorted(path.name for path in run.path.iterdir()) == ["config.yaml", "log.txt", "manifest.json"]


def test_a_log_that_cannot_be_written_does_not_stop_the_run(caplog):
    with opened() as run:
        handler = next(each for each in logging.getLogger("ftcls").handlers if isinstance(each, logging.FileHandler))
        handler.stream.close()
        logging.getLogger("ftcls.anything").warning("not in the file")
        logging.getLogger("ftcls.anything").warning("nor this")
        handler.stream = None
    assert run.config.is_file()
    assert caplog.text.count("cannot be written (I/O operation on closed file.); the run goes on without it") == 1


def test_what_is_logged_after_the_session_is_not_in_its_log():
    with opened() as run:
        pass
    logging.getLogger("ftcls").warning("too late")
    assert "too late" not in run.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [ConfigError, DataError, UnavailableError])
def test_a_failure_that_a_correction_mends_leaves_no_directory(working_directory, kind):
    with pytest.raises(kind, match="planted"):
        fails(kind("planted"))
    assert list((working_directory / "runs").iterdir()) == []


@pytest.mark.parametrize("kind", [ConfigError, DataError, UnavailableError])
def test_the_same_failure_after_a_checkpoint_keeps_it(kind):
    with pytest.raises(kind, match="planted"):
        fails(kind("planted"), before=one_checkpoint)
    assert (RunDir(session.HOME / "news").checkpoints / "step-1").is_dir()


def test_the_same_failure_in_a_resumed_run_keeps_it():
    with opened() as run:
        pass
    with pytest.raises(DataError, match="planted"):
        fails(DataError("planted"), resume=True)
    assert run.config.is_file()


@pytest.mark.parametrize(
    "error", [TrainingError("not finite"), Interrupted("stopped"), KeyboardInterrupt(), ValueError("a bug")]
)
def test_any_other_failure_keeps_the_directory_and_frees_it(error):
    with pytest.raises(type(error), match=str(error) or None):
        fails(error)
    run = RunDir(session.HOME / "news")
    assert run.config.is_file()
    assert not (run.path / ".lock").exists()
    with opened(resume=True):
        pass


def test_the_log_has_the_message_of_a_failed_training():
    with pytest.raises(TrainingError, match="not finite"):
        fails(TrainingError("the loss is not finite"))
    text = RunDir(session.HOME / "news").log.read_text(encoding="utf-8")
    assert "the loss is not finite" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("level", [logging.WARNING, logging.DEBUG])
def test_the_log_has_the_traceback_of_a_bug_and_the_terminal_has_not(level, caplog):
    with caplog.at_level(level, logger="ftcls"), pytest.raises(ZeroDivisionError, match="planted") as caught:
        fails(ZeroDivisionError("planted"))
    log = RunDir(session.HOME / "news").log
    text = log.read_text(encoding="utf-8")
    assert text.count("Traceback (most recent call last)") == 1
    assert "ZeroDivisionError: planted" in text
    assert caught.value.__notes__ == [f"The traceback is in {log.absolute()}"]
    assert "Traceback" not in caplog.text


def test_a_run_is_resumed_where_it_is():
    with opened() as first:
        one_checkpoint(first)
    with opened(resume=True) as second:
        assert second == first
    with opened() as third:
        assert third.path.name == "news-2"


def test_without_an_output_the_newest_run_of_the_name_is_resumed(working_directory):
    for number in range(3):
        with opened() as run:
            os.utime(run.config, (1_000 + number, 1_000 + number))
    (working_directory / "runs" / "news-extra").mkdir()
    (working_directory / "runs" / "newsroom-9").mkdir()
    with opened(resume=True) as run:
        assert run.path.name == "news-3"


def test_a_deleted_run_does_not_hide_the_newest(working_directory):
    for number in range(3):
        directory.create(dump(experiment()), name="news", output=None)
        os.utime(RunDir(sorted((working_directory / "runs").iterdir())[-1]).config, (number, number))
    shutil.rmtree(working_directory / "runs" / "news")
    with opened(resume=True) as run:
        assert run.path.name == "news-3"
    with opened() as filled:
        assert filled.path.name == "news"
    with opened(resume=True) as run:
        assert run.path.name == "news"


def test_resume_begins_where_there_is_nothing_yet(working_directory):
    with opened(resume=True) as run:
        assert run.path == working_directory / "runs" / "news"
    with opened(resume=True, output=working_directory / "other") as run:
        assert run.config.is_file()


def test_a_resume_with_another_config_names_the_keys_that_differ():
    with opened(experiment(batch_size=8, learning_rate=2e-5)) as run:
        before = run.config.read_bytes()
    with pytest.raises(ConfigError, match="cannot be resumed with another config") as caught:
        fails(AssertionError(), given=experiment(batch_size=4, learning_rate=1e-3), resume=True)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert "  training.batch_size: 8 in the run, 4 now\n" in message
    assert "  training.learning_rate: 2e-5 in the run, 1e-3 now\n" in message
    assert message.count(" in the run, ") == 2
    assert f"ftcls train {run.config} --output" in message
    assert run.config.read_bytes() == before


def test_a_config_that_was_damaged_is_not_resumed():
    with opened() as run:
        pass
    run.config.write_text(run.config.read_text(encoding="utf-8").replace("name: news", "name: newt"), encoding="utf-8")
    with pytest.raises(DataError, match=r"config\.yaml: is damaged.*\n.*--accept config\.yaml"):
        fails(AssertionError(), resume=True)


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"photos: not a run, it has no config\.yaml"):
        fails(AssertionError(), output=tmp_path / "photos", resume=True)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.png"]


def test_a_run_that_exists_is_not_trained_over():
    with opened() as run:
        pass
    with pytest.raises(ConfigError, match=r"exists and is not empty.*add --resume"):
        fails(AssertionError(), output=run.path)


def test_two_cannot_train_in_one_run():
    caught = []

    def second():
        try:
            fails(AssertionError("both are in"), resume=True)
        except ConfigError as error:
            caught.append(str(error))

    with opened() as run:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=30)
        assert run.config.is_file()
    assert caught == [f"{run.path}: another process is training in it"]
    with opened(resume=True):
        pass  # and when the first is done, another may


def test_of_several_processes_only_the_first_announces_locks_and_logs(monkeypatch, tmp_path):
    run = directory.create(dump(experiment()), name="news", output=tmp_path / "run")
    monkeypatch.setattr(session, "PartialState", lambda **options: None)
    monkeypatch.setattr(session, "_agreed", lambda make, machine: (True, run))
    second = Machine("cpu", "fp32", "asked for", rank=1, processes=2)
    with pytest.raises(DataError, match="planted"):
        fails(DataError("planted"), machine=second, announce=lambda path: pytest.fail("announced"))
    assert sorted(path.name for path in run.path.iterdir()) == ["config.yaml", "manifest.json"]


def test_the_error_of_the_first_process_is_that_of_all(monkeypatch):
    shared = []

    def broadcast(outcome, src):
        shared.append(outcome[0]) if outcome[0] is not None else outcome.__setitem__(0, shared[0])

    def make():
        raise ConfigError("the directory is taken")

    monkeypatch.setattr(session.distributed, "broadcast_object_list", broadcast)
    for rank in (0, 1):
        machine = Machine("cpu", "fp32", "asked for", rank=rank, processes=2)
        with pytest.raises(ConfigError, match="the directory is taken"):
            session._agreed(make, machine)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun with gloo is tested on POSIX")
def test_two_processes_of_torchrun_end_with_one_report(tmp_path):
    command = ["ftcls", "train", "ag_news", "--smoke", "training.device=cpu", "--output", str(tmp_path / "run")]
    found = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert (lines[0], lines[-1]) == (str(tmp_path / "run"), str(tmp_path / "run"))
    assert lines.count(str(tmp_path / "run")) == 2
    assert RunDir(tmp_path / "run").done

import errno
import shutil

import pytest
import torch
from safetensors import SafetensorError
from transformers import TrainerCallback

import fitting
from ftcls.cli import app
from ftcls.environment import disk, files
from ftcls.errors import TrainingError, UnavailableError
from ftcls.training.trainer import Trainer

# As each of them said it on a full file system of one megabyte.
WORDINGS = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EROFS, "Read-only file system"),
    OSError("1000000 requested and 131056 written"),
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
]
STEPS = {"max_steps": 8, "save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}


@pytest.mark.parametrize("error", WORDINGS, ids=lambda error: f"{type(error).__name__}-{str(error)[:20]}")
def test_every_librarys_own_wording_is_known(error):
    assert disk.full(error) is not None


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2"), OSError(errno.ENOENT, "No such file"), ValueError()])
def test_what_is_something_else_stays_that(error):
    assert disk.full(error) is None


def test_a_size_is_written_for_people():
    assert [disk.size(number) for number in (400, 2_100_000, 840_400_000, 1_320_000_000)] == [
        "0.4 kB",
        "2.1 MB",
        "840 MB",
        "1.3 GB",
    ]


class FullAt(TrainerCallback):
    """The disk is full while the checkpoint of a step is written."""

    def __init__(self, monkeypatch, step, error):
        self.patch, self.step, self.error = monkeypatch, step, error

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            self.patch.setattr(Trainer, "_save_optimizer_and_scheduler", self.fail)

    def fail(self, *arguments):
        raise self.error


@pytest.mark.parametrize("error", [WORDINGS[0], WORDINGS[4]], ids=["python", "torch"])
def test_a_full_disk_ends_with_the_last_good_checkpoint_and_can_be_continued(tmp_path, monkeypatch, error):
    with monkeypatch.context() as patch, pytest.raises(TrainingError, match="cannot be written: No space") as caught:
        fitting.run(tmp_path, training=STEPS, callbacks=(FullAt(patch, 6, error),))
    message = str(caught.value)
    assert f"The last good checkpoint is {tmp_path / 'checkpoints' / 'step-4'}" in message
    assert "It takes " in message
    assert " are free there" in message
    assert f"ftcls train {tmp_path / 'config.yaml'} --output {tmp_path} --resume" in message
    assert caught.value.exit_code == 5
    assert not list((tmp_path / "checkpoints").glob(".*"))
    fitting.run(tmp_path, training=STEPS, resume=True)
    undisturbed = tmp_path / "undisturbed"
    fitting.run(undisturbed, training=STEPS)
    expected, found = fitting.weights(undisturbed), fitting.weights(tmp_path)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_disk_without_room_is_refused_before_the_first_step(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(
        UnavailableError, match=r"MB are needed for 3 checkpoints.*and 1\.0 MB are free there"
    ) as caught:
        fitting.run(tmp_path, training={**STEPS, "save_total_limit": 2})
    assert caught.value.exit_code == 4
    assert "training.save_total_limit: 1" in str(caught.value)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EROFS, "Read-only file system", "runs"), "runs: cannot be written: Read-only file system"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot be written: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "runs: Permission denied. Give this user"),
    ],
)
def test_a_place_that_cannot_be_written_is_no_bug(monkeypatch, capsys, error, said):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(app, "app", fail)
    assert app.run(["train", "quickstart"]) == 4
    found = capsys.readouterr().err
    assert said in found
    assert "bug" not in found
    assert "Traceback" not in found


@pytest.mark.parametrize("made", [files.replacing, files.making, files.naming])
def test_a_full_disk_names_what_was_to_be_written_and_not_where_one_stands(tmp_path, made):
    with pytest.raises(OSError, match="No space") as caught, made(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "out")
    with pytest.raises(RuntimeError, match="PytorchStreamWriter") as caught, made(tmp_path / "out"):
        raise RuntimeError("PytorchStreamWriter failed writing file data/1")
    assert caught.value.filename == str(tmp_path / "out")
    with pytest.raises(FileNotFoundError) as caught, made(tmp_path / "out"):
        (tmp_path / "other").read_text()
    assert caught.value.filename == str(tmp_path / "other")


def test_a_file_under_the_name_that_it_is_written_with_first_is_named_as_itself(tmp_path):
    with pytest.raises(OSError, match="Read-only") as caught, files.replacing(tmp_path / "out") as staged:
        raise OSError(errno.EROFS, "Read-only file system", str(staged))
    assert caught.value.filename == str(tmp_path / "out")

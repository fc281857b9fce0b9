import shutil

import pytest
from filelock import FileLock

import made_runs
from ftcls.cli.app import run as command
from ftcls.environment import manifest
from ftcls.errors import ConfigError, DataError
from ftcls.inference.classifier import Classifier
from ftcls.runs import maintenance
from ftcls.runs.directory import RunDir


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with a model and manifests, without a report."""
    run = made_runs.make(tmp_path_factory.mktemp("runs") / "news")
    manifest.write(run.model)
    manifest.write(run.path)
    return run


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "runs" / "news")
    return RunDir(tmp_path / "runs" / "news")


def checkpoint(run, name, content="weights"):
    folder = run.checkpoints / name
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text(content)
    manifest.write(folder)
    return folder


def test_a_whole_run_is_ok(run, capsys):
    checkpoint(run, "step-4")
    found = maintenance.verify(run.path)
    assert (found.damages, found.unlisted) == ((), ())
    assert command(["runs", "verify", str(run.path)]) == 0
    assert f"news: ok, {found.files} files" in capsys.readouterr().out


def test_what_is_damaged_is_named_and_the_exit_code_is_3(run, capsys):
    folder = checkpoint(run, "step-4")
    (folder / "model.safetensors").write_text("heights")
    (run.model / "tokenizer.json").unlink()
    checkpoint(run, "step-8")
    (run.checkpoints / "step-8" / "manifest.json").unlink()
    assert command(["runs", "verify", str(run.path)]) == 3
    said = capsys.readouterr().err
    assert "step-4/model.safetensors: is damaged" in said
    assert "model/tokenizer.json: is missing" in said
    assert "step-8/manifest.json: is missing" in said


def test_a_model_that_is_damaged_is_not_loaded(run):
    (run.model / "model.safetensors").write_bytes((run.model / "model.safetensors").read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"model\.safetensors: is damaged: .* bytes, and .* were written"):
        Classifier.from_pretrained(run.path, device="cpu")


def test_the_configuration_of_a_model_may_be_gone_and_is_named(run):
    (run.model / "config.json").unlink()
    with pytest.raises(DataError, match=r"model/config\.json: is missing"):
        Classifier.from_pretrained(run.path, device="cpu")
    shutil.rmtree(run.model)
    with pytest.raises(DataError, match=r"model/manifest\.json: is missing"):
        Classifier.from_pretrained(run.path, device="cpu")


def test_a_threshold_that_was_changed_on_purpose_is_accepted(run):
    decision = run.model / "decision.json"
    decision.write_text(decision.read_text().replace('"temperature": 1.0', '"temperature": 2.0'))
    with pytest.raises(DataError, match=r"--accept decision\.json"):
        Classifier.from_pretrained(run.path, device="cpu")
    assert command(["runs", "verify", str(run.path), "--accept", "model/decision.json"]) == 0
    assert Classifier.from_pretrained(run.path, device="cpu").decision.temperature == 2.0
    decision.write_text(decision.read_text().replace("2.0", "3.0"))
    maintenance.accept(run.model, ["decision.json"])  # by the folder that the message names
    assert maintenance.verify(run.path).damages == ()


def test_a_name_that_no_manifest_lists_is_not_accepted(run):
    with pytest.raises(ConfigError, match=r"--accept model/nothing\.json: no manifest of .* lists it"):
        maintenance.accept(run.path, ["model/nothing.json"])


def test_what_an_earlier_version_wrote_is_not_compared_and_a_line_says_so(run, capsys):
    (run.path / "manifest.json").unlink()
    (run.model / "manifest.json").unlink()
    assert command(["runs", "verify", str(run.path)]) == 0
    assert capsys.readouterr().out.count("has no manifest.json (an earlier version wrote it), not compared") == 2


def test_there_is_nothing_to_verify_where_there_is_no_folder(run):
    with pytest.raises(DataError, match=r"no such folder\. Did you mean .*news\?"):
        maintenance.verify(run.path.with_name("newz"))


def test_prune_says_what_would_go_and_deletes_it_with_yes(run, capsys):
    for step in (4, 8, 12):
        checkpoint(run, f"step-{step}")
    (run.checkpoints / "step-12" / "model.safetensors").write_text("damaged")
    checkpoint(run, "best")
    (run.checkpoints / ".step-16.tmp").mkdir()
    there = {path for path in run.path.rglob("*") if path.is_file()}
    assert command(["runs", "prune", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert [line.rpartition("/")[2] for line in said.splitlines()[:-1]] == ["step-4", ".step-16.tmp"]
    assert said.endswith("would be deleted; add --yes to do it\n")
    assert {path for path in run.path.rglob("*") if path.is_file()} == there
    assert command(["runs", "prune", str(run.path), "--yes"]) == 0
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["best", "step-12", "step-8"]


def test_a_run_that_is_being_trained_is_left_alone(run, capsys):
    checkpoint(run, "step-4")
    checkpoint(run, "step-8")
    with FileLock(run.path / ".lock"):
        assert command(["runs", "prune", str(run.path), "--yes"]) == 0
    assert "a process is training in it, left alone" in capsys.readouterr().out
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-4", "step-8"]


def test_runs_are_listed_with_what_became_of_them(run, capsys):
    checkpoint(run, "step-4")
    checkpoint(run, "step-12")
    found = maintenance.runs(run.path.parent)
    assert [(each.path, each.state, each.step) for each in found] == [(run.path, "unfinished", 12)]
    assert found[0].bytes == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    run.report.write_text("{}")
    assert maintenance.runs(run.path.parent)[0].state == "damaged"
    assert command(["runs", "list", str(run.path.parent)]) == 0
    assert "damaged" in capsys.readouterr().out
    with pytest.raises(DataError, match="no such folder"):
        maintenance.runs(run.path / "nothing")

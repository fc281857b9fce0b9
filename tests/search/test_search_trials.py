"""A trial is a command and a folder."""

import re
import shlex
from dataclasses import replace

import pytest
from filelock import FileLock

from ftcls.cli.app import run as ftcls
from ftcls.config.load import dump, load
from ftcls.config.recipe import complete
from ftcls.errors import ConfigError
from ftcls.search import trials
from sweeping import BASE, GRID, finish, planned, write


def test_a_trials_command_makes_its_config(tmp_path):
    text = GRID + "  data.path: [here]\n  data.labels: [[010, true, 'a, b', Sports]]\n"
    for trial in planned(tmp_path, text).trials:
        config, *overrides = trial.command[2 : trial.command.index("--output")]
        assert dump(load(config, overrides)) == trial.config
        assert "010" in load(config, overrides).data.labels


def test_what_is_printed_is_what_a_shell_reads(tmp_path, capsys):
    text = GRID + "  data.labels: [['it''s', 'a \"b\"', World]]\n"
    path = write(tmp_path, text)
    assert ftcls(["sweep", str(path), "--print"]) == 0
    words = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    for trial, said in zip(planned(tmp_path, text).trials, words, strict=True):
        end = trial.command.index("--output")
        assert said[3:end] == list(trial.command[3:end])
        assert said[-1] == "--resume"


def test_beside_smoke_a_trial_leaves_out_what_smoke_sets_aside(tmp_path):
    for trial in planned(tmp_path, options=trials.Options(smoke=True)).trials:
        settings = [word.partition("=")[0] for word in trial.command[3 : trial.command.index("--output")]]
        assert settings == ["training.learning_rate", "training.num_train_epochs", "seed"]


def test_another_config_has_another_folder(tmp_path):
    before = {trial.name for trial in planned(tmp_path).trials}
    path = write(tmp_path, GRID, BASE + "training: {weight_decay: 0.1}\n")
    after = {trial.name for trial in trials_of(path, tmp_path)}
    assert not before & after
    assert {name[:-9] for name in before} == {name[:-9] for name in after}
    smoke = {trial.name for trial in planned(tmp_path, options=trials.Options(smoke=True)).trials}
    assert not before & smoke


def trials_of(path, folder):
    from ftcls.search import sweep as sweeping

    return sweeping.plan(path, output=folder / "out").trials


def test_combinations_of_the_same_config_are_one_trial(tmp_path):
    text = "name: x\nbase: base.yaml\naxes:\n  training.learning_rate: [1e-5, 0.00001]\n  seed: [1]\n"
    with pytest.raises(ConfigError, match="is listed twice"):
        planned(tmp_path, text)
    free = "  a: [{seed: 1}, {seed: 2}]\n  b:\n    one: {loss.gamma: 2.0}\n    two: {training.max_grad_norm: 1.0}\n"
    assert len(planned(tmp_path, f"name: x\nbase: base.yaml\naxes:\n{free}").trials) == 2


def test_a_combination_that_is_no_config_is_named(tmp_path):
    axes = "  training.eval_strategy: [epoch, 'no']\n  training.early_stopping_patience: [null, 3]\n"
    message = r"(?s)early_stopping_patience: needs evaluations.*with training.eval_strategy: no, .*patience: 3"
    with pytest.raises(ConfigError, match=message):
        planned(tmp_path, f"name: x\nbase: base.yaml\naxes:\n{axes}")


def test_names_fit_a_file_system(tmp_path):
    axes = f"  data.labels: [[{', '.join(f'label {n}' for n in range(3))}], ['a/b', '{'x' * 300}']]\n"
    for trial in planned(tmp_path, f"name: x\nbase: base.yaml\naxes:\n{axes}").trials:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,100}-[0-9a-f]{8}", trial.name)


def test_a_run_of_another_config_is_never_taken_for_the_trials(tmp_path):
    trial = planned(tmp_path).trials[0]
    assert not trial.done
    finish(trial)
    assert trial.done
    # An older version wrote fewer keys: the values are the same.
    trial.run.config.write_text("\n".join(line for line in trial.config.splitlines() if "max_grad_norm" not in line))
    assert trial.done
    changed = replace(trial, config=trial.config.replace("weight_decay: 0.0", "weight_decay: 0.5"))
    with pytest.raises(ConfigError, match="was trained with another config than this sweep's"):
        _ = changed.done


def test_a_trial_is_busy_while_somebody_holds_its_lock(tmp_path):
    trial = planned(tmp_path).trials[0]
    assert not trial.busy
    trial.run.path.mkdir(parents=True)
    with FileLock(trial.run.path / ".lock"):
        assert trial.busy
    assert not trial.busy


def test_what_is_left_of_a_folder_that_was_being_made_is_cleared(tmp_path):
    trial = planned(tmp_path).trials[0]
    trial.run.path.mkdir(parents=True)
    (trial.run.path / ".config.yaml-abc").touch()
    (trial.run.path / "notes.txt").touch()
    trial.clear()
    assert [path.name for path in trial.run.path.iterdir()] == ["notes.txt"]


def test_a_schedule_that_the_run_chose_itself_is_that_of_the_trial(tmp_path):
    text = "name: open\nbase: base.yaml\naxes:\n  seed: [1, 2]\n"
    trial = planned(tmp_path, text).trials[0]
    experiment = load(trial.command[2], trial.command[3 : trial.command.index("--output")])
    assert experiment.training.learning_rate is None
    finish(trial)
    whole = complete(experiment, rows=2000, task="multiclass", parameters=10**9)
    trial.run.config.write_text(dump(whole))
    assert whole.training.learning_rate is not None
    assert trial.done
    other = whole.model_copy(update={"training": whole.training.model_copy(update={"weight_decay": 0.5})})
    trial.run.config.write_text(dump(other))
    with pytest.raises(ConfigError, match="was trained with another config than this sweep's"):
        _ = trial.done


def test_a_rate_that_the_trial_names_is_compared(tmp_path):
    trial = planned(tmp_path).trials[0]
    finish(trial)
    trial.run.config.write_text(trial.config.replace("learning_rate: 1e-5", "learning_rate: 0.5"))
    assert "learning_rate: 0.5" in trial.run.config.read_text()
    with pytest.raises(ConfigError, match="was trained with another config than this sweep's"):
        _ = trial.done

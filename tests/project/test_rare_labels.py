"""studies/rare_labels.py: its commands are what the protocol says, and its tables what the predictions say."""

import importlib.util
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from ftcls.config.load import load
from ftcls.errors import DataError
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.significance import Estimate

ROOT = Path(__file__).resolve().parent.parent.parent
FREQUENCY = np.array([3, 8, 60, 500, 700])


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("rare_labels", ROOT / "studies" / "rare_labels.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["rare_labels"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def arguments(**changes):
    return Namespace(**{"data": Path("data"), "output": Path("runs"), "smoke": False} | changes)


def every_run(script, **changes):
    return [run for name in script.DATA_SETS for run in script.planned(name, arguments(**changes))]


def config(run):
    train, name, *words = run.words
    assert train == "train"
    return load(name, words[: words.index("--output")])


def said(*, k=5, n=600, seed, strength, threshold=0.5):
    """Predictions of rare and frequent labels; the gold labels are the same for every seed."""
    gold = np.random.default_rng(0).random((n, k)) < np.array([0.02, 0.03, 0.1, 0.3, 0.4])[:k]
    noise = np.random.default_rng(seed).normal(size=(n, k))
    probabilities = 1 / (1 + np.exp(-(noise + strength * gold - 3)))
    return Predictions(
        task="multilabel",
        labels=tuple("abcde"[:k]),
        gold=gold,
        predicted=probabilities >= threshold,
        probabilities=probabilities,
        rows=np.arange(n),
    )


@pytest.fixture(scope="module")
def found(script):
    """All methods alike but one, which is far better; tuned thresholds are lower."""
    strengths = dict.fromkeys(script.METHODS, 3.0) | {"focal loss": 6.0}
    tuned = {
        method: [said(seed=10 + seed, strength=strength, threshold=0.3) for seed in script.SEEDS]
        for method, strength in strengths.items()
    }
    return script.lines(tuned, FREQUENCY)


def test_every_run_is_a_config_that_differs_from_plain_by_its_method_and_seed_alone(script):
    runs = every_run(script)
    assert len(runs) == len({run.path for run in runs}) == 2 * 6 * 3
    plain = {(run.data, run.seed): config(run) for run in runs if run.method == "plain"}
    for run in runs:
        experiment, same = config(run), plain[run.data, run.seed]
        training = {"sampling": same.training.sampling, "augmentation": same.training.augmentation}
        undone = {"loss": same.loss, "training": experiment.training.model_copy(update=training)}
        assert experiment.model_copy(update=undone) == same
        assert (experiment == same) == (run.method == "plain")
        assert experiment.seed == run.seed


def test_the_commands_have_the_settings_of_the_protocol(script):
    page = (ROOT / "docs" / "rare-labels.md").read_text(encoding="utf-8")
    runs = every_run(script)
    for rows in ("1,800", "2,400", "1,500"):
        assert f"{rows} of" in page
    assert "2e-4 for Reuters-21578 and 1e-4 for GoEmotions" in page
    sizes = {run.data: config(run).data for run in runs}
    assert (sizes["reuters21578"].topics, sizes["reuters21578"].subset.train) == ("R90", 1_800)
    assert (sizes["go_emotions"].subset.train, sizes["go_emotions"].subset.validation) == (2_400, 1_500)
    for run in runs:
        experiment = config(run)
        assert experiment.data.subset.test is None
        assert experiment.training.eval_strategy == "no"
        assert experiment.decision.thresholds == "tuned"
        assert experiment.training.batch_size == 16
        assert experiment.training.learning_rate == {"reuters21578": 2e-4, "go_emotions": 1e-4}[run.data]
        assert run.method in page
    for setting in ("loss.pos_weight: square_root", "`gamma: 2`", "`margin: 0.05`", "word_dropout: 0.1"):
        assert setting in page


def test_smoke_goes_to_every_command(script):
    assert all(run.words[-1] == "--smoke" for run in every_run(script, smoke=True))
    assert all("--smoke" not in run.words for run in every_run(script))
    # Beside it what a smoke run would set aside is an error.
    said = " ".join(word for run in every_run(script, smoke=True) for word in run.words)
    assert "data.path" not in said
    assert "checkpoint" not in said


def test_an_unknown_data_set_lists_the_known_ones(script):
    with pytest.raises(SystemExit, match="reuters: choose from reuters21578, go_emotions"):
        list(script.planned("reuters", arguments()))


def test_each_family_is_held_against_its_own_plain_runs(script, found):
    arms = [(line.arm.method, line.arm.thresholds) for line in found]
    others = [method for method in script.METHODS if method != "plain"]
    assert arms[:2] == [("plain", "one half"), ("plain", "tuned")]
    assert arms[2:] == [(method, kind) for kind in ("one half", "tuned") for method in others]
    assert found[0].difference is None
    plain = {line.arm.thresholds: line.scores[0].value for line in found[:2]}
    for line in found[2:]:
        against = plain[line.arm.thresholds]
        assert line.difference.value == pytest.approx(line.scores[0].value - against)
    assert found[1].difference.value == pytest.approx(plain["tuned"] - plain["one half"])


def test_the_scores_are_means_over_the_seeds_and_of_the_labels_of_a_bucket(script, found):
    line = next(each for each in found if (each.arm.method, each.arm.thresholds) == ("focal loss", "one half"))
    runs = [said(seed=10 + seed, strength=6.0) for seed in script.SEEDS]
    expected = np.mean([f1_score(run.gold, run.predicted, average=None, zero_division=0) for run in runs], axis=0)
    assert line.scores[0].value == pytest.approx(expected.mean())
    assert [bucket[0].value for bucket in line.buckets] == pytest.approx(
        [expected[:2].mean(), expected[2], expected[3:].mean()]
    )


def test_what_is_far_better_helps_and_what_is_the_same_is_not_shown_to(script, found):
    verdicts = {(line.arm.method, line.arm.thresholds): script.verdict(line) for line in found}
    assert verdicts["plain", "one half"] == "-"
    assert verdicts["focal loss", "one half"] == verdicts["focal loss", "tuned"] == "helps"
    assert verdicts["augmentation", "one half"] == verdicts["augmentation", "tuned"] == "not shown"


def test_the_p_values_are_corrected_for_the_tests_of_the_family(found):
    focal = [line for line in found if line.arm.method == "focal loss"]
    for line, tests in zip(focal, (6, 5), strict=True):
        others = [each.difference.p_value for each in found[1:7]] if tests == 6 else [1.0]
        rank = sum(p < line.difference.p_value for p in others)
        assert line.corrected == pytest.approx(min(1.0, (tests - rank) * line.difference.p_value))


def test_a_difference_that_is_sure_and_below_zero_hurts(script, found):
    worse = replace(found[2], difference=Estimate(-0.1, (-0.2, -0.05), 0.001), corrected=0.006)
    assert script.verdict(worse) == "hurts"


def test_the_tables_have_a_line_for_every_arm_and_the_labels_of_every_bucket(script, found):
    written = list(script.tables(found, FREQUENCY))
    assert [line.count("|") for line in written if line.startswith("| focal loss |")] == [9, 9, 6, 6]
    head = next(line for line in written if "labels" in line)
    assert head.endswith("| 0 to 10 rows: 2 labels | 11 to 100 rows: 1 labels | 101 or more rows: 2 labels |")
    assert len(written) == 2 * (2 + 12) + 2


def test_a_bucket_without_labels_is_a_dash(script):
    tuned = {method: [said(k=2, seed=seed, strength=3.0) for seed in (1, 2)] for method in script.METHODS}
    written = list(script.tables(script.lines(tuned, np.array([4, 5])), np.array([4, 5])))
    assert written[-2].endswith("| - | - |")


def test_runs_of_other_rows_are_refused(script):
    tuned = {method: [said(seed=1, strength=3.0)] for method in script.METHODS}
    tuned["augmentation"] = [said(seed=1, strength=3.0, n=399)]
    with pytest.raises(DataError, match="predictions are for different rows"):
        script.lines(tuned, FREQUENCY)


def test_after_a_failure_no_run_is_begun_and_its_exit_code_is_returned(script, tmp_path, monkeypatch, capsys):
    begun = []

    def failing(line, stdout, **_):
        begun.append(line)
        stdout.write("configs/x.yaml: broken")
        return Namespace(returncode=0 if len(begun) < 2 else 3)

    monkeypatch.setattr(script.subprocess, "run", failing)
    assert script.train(every_run(script), jobs=1, logs=tmp_path) == 3
    assert len(begun) == 2
    shown = capsys.readouterr().err
    assert "1/36 reuters21578/plain-1: exit code 0" in shown
    assert "exit code 3" in shown
    assert "configs/x.yaml: broken" in shown

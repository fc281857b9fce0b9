"""`ftcls eval` of a run, and of checkpoints that ftcls did not write, on the data of a config."""

import json
import shutil
from pathlib import Path

import pytest

import ftcls
from ftcls.cli.app import run

RUNS = (
    "training: {max_steps: 4, batch_size: 16, learning_rate: 1e-3, eval_strategy: 'no', device: cpu, precision: fp32}\n"
)
ROWS = [("a lovely, warm and clever film", "pos"), ("dull and cold and far too long", "neg")]


def written(path, rows):
    lines = [f'"{text} {number}",{label}' for number, (text, label) in enumerate(rows)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a config, its data and one finished run."""
    folder = tmp_path_factory.mktemp("home")
    written(folder / "all.csv", ROWS * 60)
    data = "data: {source: files, path: all.csv, task: binary, clean: [lower_case]}\n"
    config = folder / "mine.yaml"
    config.write_text(f"name: mine\n{data}model: {{checkpoint: 'scratch:bert', max_length: 16}}\n{RUNS}")
    assert run(["train", str(config), "--output", str(folder / "run"), "--quiet"]) == 0
    return folder


@pytest.fixture
def foreign(home, tmp_path):
    """Make a checkpoint that ftcls did not write: the run's weights under other label names."""

    def make(labels, **more):
        folder = tmp_path / "foreign"
        shutil.copytree(home / "run" / "model", folder)
        for name in ("ftcls.json", "manifest.json"):
            (folder / name).unlink()
        (folder / "decision.json").unlink(missing_ok=True)
        config = json.loads((folder / "config.json").read_text())
        config |= {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
            **more,
        }
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


def evaluated(capsys, *arguments):
    assert run(["eval", *map(str, arguments), "--json", "--quiet"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refused(capsys, code, *arguments):
    assert run(["eval", *map(str, arguments), "--quiet"]) == code
    return capsys.readouterr().err


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_gives_the_figures_of_its_report(home, capsys):
    report = json.loads((home / "run" / "report.json").read_text())
    capsys.readouterr()
    found = evaluated(capsys, home / "run")
    assert found["metrics"] == report["metrics"]["test"]
    assert found["intervals"] == report["intervals"]["test"]
    assert json.loads((home / "run" / "evals" / "files-test.json").read_text()) == found


def test_a_foreign_checkpoint_with_the_same_weights_gives_the_same_figures(home, foreign, capsys):
    folder = foreign(["neg", "pos"])
    before = everything(folder)
    found = evaluated(capsys, folder, "--config", home / "mine.yaml", "--output", home / "out.json")
    assert found["metrics"] == json.loads((home / "run" / "report.json").read_text())["metrics"]["test"]
    assert json.loads((home / "out.json").read_text()) == found
    assert everything(folder) == before, "nothing is written beside a foreign checkpoint"


def test_labels_in_another_order_are_matched_by_name(home, foreign, capsys):
    own = evaluated(capsys, home / "run")
    found = evaluated(capsys, foreign(["pos", "neg"]), "--config", home / "mine.yaml")
    assert found["data"]["labels"] == ["pos", "neg"]
    assert found["data"]["positive_label"] == "pos"
    # The outputs have changed places, so that every row gets the other label.
    assert found["metrics"]["accuracy"] == pytest.approx(1 - own["metrics"]["accuracy"])
    assert found["per_label"]["pos"]["support"] == own["per_label"]["pos"]["support"]


def test_numbered_labels_need_to_be_named_and_the_message_shows_how(home, foreign, capsys):
    folder = foreign(["LABEL_0", "LABEL_1"])
    error = refused(capsys, 3, folder, "--config", home / "mine.yaml")
    assert "--labels neg,pos" in error
    assert "if LABEL_0 means 'neg'" in error
    found = evaluated(capsys, folder, "--config", home / "mine.yaml", "--labels", "neg,pos")
    assert found["metrics"] == evaluated(capsys, home / "run")["metrics"]


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        (["NEGATIVE", "POSITIVE"], None, "They must be the same: name the model's labels"),
        (["neg", "pos"], "good,bad", "its labels are good, bad, those of files are neg, pos"),
        (["neg", "pos"], "neg,pos,neutral", "3 different names, and the model has 2 labels"),
        (["neg", "pos"], "neg,neg", "1 different names"),
    ],
)
def test_labels_that_do_not_match_are_exit_code_3(home, foreign, capsys, labels, given, message):
    more = [] if given is None else ["--labels", given]
    assert message in refused(capsys, 3, foreign(labels), "--config", home / "mine.yaml", *more)


def test_a_model_of_several_labels_is_not_scored_on_single_ones(home, foreign, capsys):
    folder = foreign(["neg", "pos"], problem_type="multi_label_classification")
    assert "trained for multi_label_classification" in refused(capsys, 3, folder, "--config", home / "mine.yaml")


def test_a_file_of_ones_own_is_scored_whole(home, foreign, tmp_path, capsys):
    written(tmp_path / "own.csv", ROWS * 7)
    found = evaluated(capsys, home / "run", "--data", tmp_path / "own.csv")
    assert (found["data"]["name"], found["data"]["examples"]) == ("own", 14)
    assert (home / "run" / "evals" / "own-test.json").is_file()
    folder = foreign(["LABEL_0", "LABEL_1"])
    arguments = ("--config", home / "mine.yaml", "--data", tmp_path / "own.csv")
    assert "--labels neg,pos" in refused(capsys, 3, folder, *arguments)
    assert evaluated(capsys, folder, *arguments, "--labels", "neg,pos")["metrics"] == found["metrics"]


def test_a_file_with_one_label_only_can_be_scored(home, tmp_path, capsys):
    written(tmp_path / "one.csv", ROWS[:1] * 5)
    found = evaluated(capsys, home / "run", "--data", tmp_path / "one.csv")
    assert found["data"]["examples"] == 5
    assert found["metrics"]["roc_auc"] is None


def test_a_label_that_differs_in_its_case_alone_is_named(home, tmp_path, capsys):
    written(tmp_path / "odd.csv", [*ROWS, ("neither", "Pos")])
    said = refused(capsys, 3, home / "run", "--data", tmp_path / "odd.csv")
    assert "label 'Pos' is not one of 'neg', 'pos'; 'pos' is, and labels are told apart by their case" in said


def test_a_file_that_is_taken_whole_is_counted_once(home, tmp_path, caplog):
    written(tmp_path / "own.csv", [*ROWS, ("fine", "pos")])
    with caplog.at_level("INFO", logger="ftcls"):
        assert ftcls.evaluate(home / "run", data=tmp_path / "own.csv").data.examples == len(ROWS) + 1
    said = [record.getMessage() for record in caplog.records if "examples" in record.getMessage()]
    assert said == [f"{tmp_path / 'own.csv'}: {len(ROWS) + 1} examples"]


def test_a_file_with_an_unknown_label_names_the_row(home, tmp_path, capsys):
    written(tmp_path / "odd.csv", [*ROWS, ("neither", "meh")])
    assert "odd.csv:4: label 'meh' is not one of 'neg', 'pos'" in refused(
        capsys, 3, home / "run", "--data", tmp_path / "odd.csv"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 3, "nothing: not a run"),
        (["rum"], 3, "rum: not a run, it has no config.yaml. Did you mean run? Name a directory"),
        (["run", "--labels", "a,b"], 2, "--labels: goes with --config"),
        (["run", "--split", "dev"], 3, "--split dev: there are"),
        (["run", "--checkpoint", "step-99"], 3, "--checkpoint takes"),
        (["run/model", "--config", "mine.yaml", "--checkpoint", "best"], 2, "belongs to a run"),
        (["run:tfidf", "--checkpoint", "best"], 2, "best: is one of the training, and run:tfidf is the simple model"),
        (["run", "--data", "gone.csv"], 3, "--data gone.csv: no such file"),
        (["nobody/nothing", "--config", "mine.yaml"], 4, "nobody/nothing"),
    ],
)
def test_eval_says_what_is_wrong(home, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(home)
    assert message in refused(capsys, code, *arguments)


def test_a_label_with_a_comma_can_be_named(home, foreign, tmp_path, capsys):
    rows = [(text, {"pos": '"good, fine"', "neg": "bad"}[label]) for text, label in ROWS]
    written(tmp_path / "all.csv", rows * 30)
    config = Path(shutil.copy(home / "mine.yaml", tmp_path))
    folder = foreign(["LABEL_0", "LABEL_1"])
    assert """--labels 'bad,"good, fine"'""" in refused(capsys, 3, folder, "--config", config)
    found = evaluated(capsys, folder, "--config", config, "--labels", 'bad,"good, fine"')
    assert found["data"]["labels"] == ["bad", "good, fine"]


@pytest.fixture
def copied(home, tmp_path):
    """A run of its own, with checkpoints, whose data file may change."""
    shutil.copy(home / "all.csv", tmp_path)
    text = (home / "mine.yaml").read_text().replace("max_steps: 4", "max_steps: 4, save_strategy: steps, save_steps: 2")
    (tmp_path / "mine.yaml").write_text(text)
    assert run(["train", str(tmp_path / "mine.yaml"), "--output", str(tmp_path / "run"), "--quiet"]) == 0
    return tmp_path


@pytest.mark.parametrize("known_by", ["data.json", "report.json"])
def test_a_run_is_not_scored_on_a_file_that_has_changed(copied, capsys, known_by):
    if known_by == "report.json":
        for name in ("data.json", "manifest.json"):  # as runs were written before either
            (copied / "run" / name).unlink()
    written(copied / "all.csv", ROWS * 70)
    message = refused(capsys, 3, copied / "run")
    assert "its data has changed since it was trained, so rows of its training may now be test rows" in message
    assert ("train: 96 rows then, 112 now" in message) == (known_by == "data.json")
    assert f"--config {copied / 'run' / 'config.yaml'}" in message
    evaluated(capsys, copied / "run", "--data", copied / "all.csv")
    evaluated(capsys, copied / "run", "--config", copied / "run" / "config.yaml")


def test_a_training_does_not_go_on_with_other_data(copied, capsys):
    (copied / "run" / "report.json").unlink()
    resume = ["train", str(copied / "mine.yaml"), "--output", str(copied / "run"), "--resume", "--quiet"]
    before = (copied / "all.csv").read_text()
    (copied / "all.csv").write_text(before.replace("dull", "slow"))
    assert run(resume) == 2
    message = capsys.readouterr().err
    assert "cannot be resumed, its data has changed since:" in message
    assert "test: 12 rows as before, but not the same ones" in message
    (copied / "all.csv").write_text(before.replace(",neg\n", ",bad\n"))
    assert run(resume) == 2
    assert "labels gone: 'neg'\n  labels new: 'bad'" in capsys.readouterr().err
    (copied / "all.csv").write_text(before)
    assert run(resume) == 0

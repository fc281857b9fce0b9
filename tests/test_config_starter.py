import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftcls.config.load import load
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline import starter_config
from ftcls.pipeline.starter_config import Machine, from_file, like, seconds, spoken

CPU = Machine("cpu", "2 CPU cores", 50e9)
GPU = Machine("cuda", "H200", 50e12)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(data, *label, text=None, machine=CPU, output=None):
    """The starter for a data file, and the experiment that its text loads to."""
    found = from_file(Path(data), label=label, text=text, machine=machine, output=output)
    place = output or Path("made.yaml")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(found.text, encoding="utf-8")
    return found, load(place)


def test_a_csv_becomes_a_whole_config_that_loads(here):
    Path("reviews.csv").write_text("id,stars,body\n1,5,A good book about trains.\n2,1,Dull\n3,4,I liked it\n")
    found, experiment = made("reviews.csv", "stars")
    assert experiment.name == "reviews"
    assert experiment.data.path == str(here / "reviews.csv")
    assert (experiment.data.text, experiment.data.label, experiment.data.task) == ("body", "stars", "multiclass")
    assert any("text column: body, guessed" in note for note in found.notes)
    assert "guessed: the one with the longest texts" in found.text
    assert any("an estimate" in note for note in found.notes)
    assert "GFLOP" not in found.text  # of the machine, and not of the config
    assert "3 labels: 5, 1, 4" in found.text


def test_a_named_text_column_is_not_called_a_guess(here):
    Path("r.csv").write_text("stars,body,note\n5,short,a much longer note\n1,also,another long note\n")
    found, experiment = made("r.csv", "stars", text="body")
    assert experiment.data.text == "body"
    assert not any("guessed" in note for note in found.notes)
    assert "guessed: the one" not in found.text


def test_two_label_values_are_binary_and_say_how_to_choose_the_positive_one(here):
    Path("r.csv").write_text("label,text\nyes,some text\nno,more text\n")
    found, experiment = made("r.csv", "label")
    assert experiment.data.task == "binary"
    assert "# positive_label: NAME" in found.text


def test_few_rows_get_many_epochs_and_many_rows_few(here):
    for rows, epochs, batch in ((50, 10, 16), (2_000, 5, 16), (20_000, 3, 32)):
        Path("r.csv").write_text("label,text\n" + "".join(f"{i % 3},some text {i}\n" for i in range(rows)))
        training = made("r.csv", "label")[1].training
        assert (training.num_train_epochs, training.batch_size) == (epochs, batch)
        assert (training.learning_rate, training.head_learning_rate, training.warmup_steps) == (1e-4, 1e-3, 0.1)
        assert training.early_stopping_patience == (3 if epochs > 3 else None)


def test_several_labels_get_thresholds_of_their_own_and_more_epochs(here):
    Path("t.csv").write_text("tags,text\n" + "".join(f"a|b,hello {i}\nb,bye {i}\n" for i in range(4_000)))
    experiment = made("t.csv", "tags")[1]
    assert experiment.decision.thresholds == "tuned"
    assert experiment.training.num_train_epochs == 4


def test_a_base_size_encoder_is_trained_at_a_lower_rate(here):
    Path("r.csv").write_text("label,text\nyes,some text\nno,more text\n")
    training = made("r.csv", "label", machine=GPU)[1].training
    assert (training.learning_rate, training.head_learning_rate) == (2e-5, None)


def test_a_separator_a_list_and_several_columns_are_multilabel(here):
    Path("t.csv").write_text("tags,text\na|b,hello world\nb,good bye\n")
    assert made("t.csv", "tags")[1].data.label.separator == "|"
    Path("t.jsonl").write_text('{"tags": ["a", "b"], "text": "hello"}\n{"tags": [], "text": "bye"}\n')
    _, experiment = made("t.jsonl", "tags")
    assert (experiment.data.label.column, experiment.data.label.separator) == ("tags", None)
    Path("c.csv").write_text("text,toxic,insult\nhello there,0,1\nbye,1,0\n")
    _, experiment = made("c.csv", "toxic", "insult")
    assert experiment.data.label.columns == ("toxic", "insult")
    assert experiment.data.task == "multilabel"
    assert experiment.metrics.best == "f1_micro"


def test_parquet_and_names_that_yaml_would_misread_are_written_so_that_they_load(here):
    table = pa.table({"no": ["a", "b", "c"], "text: x": ["one", "two", "three"]})
    pq.write_table(table, "odd name (1).parquet")
    _, experiment = made("odd name (1).parquet", "no")
    assert (experiment.data.text, experiment.data.label, experiment.name) == ("text: x", "no", "odd-name-1")


def test_labels_with_line_breaks_and_a_hundred_labels_stay_in_their_comment(here):
    rows = [{"label": f"name\n{i}: x", "text": f"text {i}"} for i in range(100)] * 3
    Path("m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, experiment = made("m.jsonl", "label")
    assert experiment.data.task == "multiclass"
    assert "100 labels: name 0: x" in found.text
    assert "and 80 more" in found.text


def test_the_path_is_relative_to_where_the_config_stands(here):
    Path("data").mkdir()
    Path("data/r.csv").write_text("label,text\na,some text\nb,more text\n")
    found, experiment = made("data/r.csv", "label", output=Path("configs/mine.yaml"))
    assert "path: ../data/r.csv" in found.text
    assert experiment.data.path == str(here / "data" / "r.csv")


def test_a_gpu_gets_a_larger_checkpoint_than_a_cpu(here, monkeypatch):
    Path("r.csv").write_text("label,text\na,some text\nb,more text\n")
    assert made("r.csv", "label", machine=GPU)[1].model.checkpoint == "bert-base-uncased"
    monkeypatch.setattr(starter_config.importlib.util, "find_spec", lambda name: None)
    assert made("r.csv", "label")[1].model.checkpoint == "sentence-transformers/all-MiniLM-L6-v2"


def test_long_texts_are_cut_at_512_tokens(here):
    Path("r.csv").write_text(f"label,text\na,{'word ' * 10_000}\nb,{'word ' * 9_000}\nc,short\n")
    assert made("r.csv", "label")[1].model.max_length == 512


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        ("label,text\na,x\na,y\n", "label", r"r\.csv: column 'label' has one label only \(a\)"),
        ("label,text\na,x\nb,y\n", "lable", r"no column 'lable', did you mean 'label'\?"),
        ("label\na\nb\n", "label", r"r\.csv: no column with text beside the label"),
        (
            "id,text\n" + "".join(f"{i},x\n" for i in range(200)),
            "id",
            r"200 different values in 200 rows; that is no label",
        ),
        ("", "label", r"r\.csv: is empty"),
    ],
)
def test_a_file_that_cannot_be_classified_is_one_error(here, content, label, message):
    Path("r.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        from_file(Path("r.csv"), label=[label], text=None, machine=CPU)


def test_a_copy_of_a_shipped_config_loads_and_leaves_the_schema_line_behind(here):
    Path("mine.yaml").write_text(like("ag_news"), encoding="utf-8")
    assert load("mine.yaml") == load("ag_news")
    assert "yaml-language-server" not in like("ag_news")
    with pytest.raises(ConfigError, match="agnews: no such file; did you mean ag_news"):
        like("agnews")


def test_an_estimate_is_arithmetic_over_the_measured_rate():
    assert seconds(10_000_000, 1_000_000, 2, 1e12) == pytest.approx(6 * 1e7 * 1e6 * 2 / 0.35e12)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (0.1, "about 1 second"),
        (45, "about 45 seconds"),
        (150, "about 2.5 minutes"),
        (3000, "about 50 minutes"),
        (7200, "about 2.0 hours"),
    ],
)
def test_durations_are_said_in_words(duration, words):
    assert spoken(duration) == words

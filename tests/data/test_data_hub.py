import datasets
import pytest

from ftcls.config.schema import Data
from ftcls.data.read import read
from ftcls.data.readers import ag_news, hub
from ftcls.data.texts import Pair
from ftcls.errors import ConfigError, DataError, UnavailableError


@pytest.fixture
def on_hub(tmp_path, monkeypatch):
    """Puts splits of rows on a Hub of our own, in Parquet as there; what was asked for is remembered."""
    asked = []

    def put(features, **splits):
        files = {}
        for name, rows in splits.items():
            columns = {column: [row[index] for row in rows] for index, column in enumerate(features)}
            files[name] = str(tmp_path / f"{name}.parquet")
            datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(files[name])

        def load_dataset(*name, revision):
            asked.append((*name, revision))
            return datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "hub"))

        monkeypatch.setattr(hub, "load_dataset", load_dataset)
        return asked

    return put


TEXT = datasets.Value("string")
CLASSES = datasets.ClassLabel(names=["ham", "spam"])


def corpus(**keys):
    return read(Data.model_validate({"source": "hub", "dataset": "someone/mail", "task": "multiclass"} | keys), seed=1)


def mails(n):
    return [(f"mail {index}", index % 2) for index in range(n)]


def test_classes_of_the_hub_are_the_labels_in_its_order(on_hub):
    asked = on_hub({"body": TEXT, "kind": CLASSES}, train=mails(20), valid=mails(6), test=mails(4))
    whole = corpus(text="body", label="kind", config="plain", revision="main", task="binary")
    assert (whole.task, whole.labels, whole.positive_label) == ("binary", ("ham", "spam"), "spam")
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 20, "validation": 6, "test": 4}
    assert whole.splits["test"].targets.tolist() == [0, 1, 0, 1]
    assert asked == [("someone/mail", "plain", "main")]
    assert whole.versions == {"someone/mail": "main"}


def test_one_split_alone_is_cut_and_several_text_columns_are_joined(on_hub):
    rows = [(f"title {i}", f"body {i}" if i else None, str(i % 3)) for i in range(30)]
    asked = on_hub({"title": TEXT, "body": TEXT, "label": TEXT}, train=rows)
    whole = corpus(text=["title", "body"])
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 24, "validation": 3, "test": 3}
    texts = {row: text for split in whole.splits.values() for row, text in zip(split.rows, split.texts, strict=True)}
    assert (texts[0], texts[5]) == ("title 0", "title 5 body 5")
    assert asked == [("someone/mail", None)]


def test_two_columns_are_a_pair_where_that_is_asked_for(on_hub):
    rows = [(f"premise {i}", f"hypothesis {i}" if i else None, i % 2) for i in range(30)]
    on_hub({"premise": TEXT, "hypothesis": TEXT, "label": CLASSES}, train=rows)
    whole = corpus(text={"first": "premise", "second": "hypothesis"}, on_bad_row="drop")
    texts = {row: text for split in whole.splits.values() for row, text in zip(split.rows, split.texts, strict=True)}
    assert texts[5] == Pair("premise 5", "hypothesis 5")
    assert 0 not in texts


def test_splits_are_taken_by_the_names_given(on_hub):
    on_hub({"text": TEXT, "label": CLASSES}, training=mails(20), holdout=mails(6), unsupervised=mails(2))
    with pytest.raises(
        DataError, match=r"someone/mail has no split 'train', it has training, holdout, unsupervised; wri"
    ):
        corpus()
    whole = corpus(splits={"train": "training", "test": "holdout"})
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 18, "validation": 2, "test": 6}
    with pytest.raises(DataError, match=r"data\.splits: someone/mail has no split 'heldout'; it has training, holdout"):
        corpus(splits={"train": "training", "test": "heldout"})


def test_lists_of_classes_are_multilabel(on_hub):
    rows = [(f"mail {index}", [[0], [0, 1], []][index % 3]) for index in range(30)]
    on_hub({"text": TEXT, "labels": datasets.List(CLASSES)}, train=rows, test=rows[:3])
    whole = corpus(label="labels", task="multilabel")
    assert whole.labels == ("ham", "spam")
    assert whole.splits["test"].targets.tolist() == [[1, 0], [1, 1], [0, 0]]


def test_a_column_of_zeros_and_ones_for_each_label(on_hub):
    number = datasets.Value("int8")
    rows = [(f"mail {index}", index % 2, 1) for index in range(30)]
    on_hub({"text": TEXT, "toxic": number, "insult": number}, train=rows, test=rows[:2])
    whole = corpus(label={"columns": ["toxic", "insult"]}, task="multilabel")
    assert whole.labels == ("toxic", "insult")
    assert whole.splits["test"].targets.tolist() == [[0, 1], [1, 1]]


def test_a_withheld_label_and_a_number_that_is_no_class_are_bad_rows(on_hub, monkeypatch):
    rows = [*mails(20), ("withheld", -1)]
    on_hub({"text": TEXT, "label": CLASSES}, train=rows)
    with pytest.raises(DataError, match=r"1 row cannot be used:\n  someone.mail train, row 21: no label\n"):
        corpus()
    # ClassLabel takes -1, and through Parquet any other number, in silence.
    on_hub({"text": TEXT, "label": datasets.Value("int64")}, train=[*mails(20), ("odd", 99)])
    load_parquet = hub.load_dataset

    def load_dataset(*name, revision):
        found = load_parquet(*name, revision=revision)
        for split in found.values():
            split.info.features["label"] = CLASSES
        return found

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    with pytest.raises(DataError, match=r"train, row 21: label '99' is not one of 'ham', 'spam'"):
        corpus()
    assert sum(map(len, corpus(on_bad_row="drop").splits.values())) == 20


def test_a_missing_column_is_answered_with_the_nearest(on_hub):
    on_hub({"body": TEXT, "label": CLASSES}, train=mails(20))
    with pytest.raises(DataError, match=r"someone.mail train: no column 'bodi', did you mean 'body'\? The columns are"):
        corpus(text="bodi")


def test_another_revision_in_the_cache_is_not_passed_off_as_the_one_asked_for():
    class Cached:
        cache_files = ({"filename": f"/cache/fancyzhx___ag_news/default/0.0.0/{'a' * 40}/ag_news-train.arrow"},)

    found = {"train": Cached()}
    with pytest.raises(UnavailableError, match=f"the cache holds {'a' * 40}"):
        hub._commit("fancyzhx/ag_news", found, ag_news.REVISION)
    assert hub._commit("fancyzhx/ag_news", found, "main") == "a" * 40
    assert hub._commit("fancyzhx/ag_news", found, None) == "a" * 40


@pytest.mark.parametrize(
    "cause",
    [
        RuntimeError("Dataset scripts are no longer supported, but found mail.py"),
        datasets.exceptions.DatasetNotFoundError("Dataset 'someone/mail' doesn't exist on the Hub"),
        ValueError("BuilderConfig 'odd' not found. Available: ['plain']"),
    ],
)
def test_what_the_hub_does_not_have_is_one_message_with_the_way_out(monkeypatch, cause):
    def load_dataset(*name, revision):
        raise cause

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    with pytest.raises(UnavailableError, match=r"the data set someone/mail cannot be had: .*\nSave its rows as CSV"):
        corpus()


def test_offline_the_ways_out_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(
        UnavailableError, match=r"someone/mail cannot be had.*\n.*data\.source to files.*HF_ENDPOINT.*--off"
    ):
        corpus()


def test_the_id_and_the_task_are_required():
    with pytest.raises(ConfigError, match=r"data\.dataset: source hub needs it"):
        read(Data(source="hub", task="binary"), seed=1)
    with pytest.raises(ConfigError, match=r"data\.task: source hub needs it"):
        read(Data(source="hub", dataset="someone/mail"), seed=1)

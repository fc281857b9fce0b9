import json
import subprocess
import sys
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

import synthetic
from ftcls.errors import DataError
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema, training_section
from ftcls.runs.directory import RunDir
from ftcls.scoring import metrics

TASKS = ["binary", "multiclass", "multilabel"]


def as_json(report):
    return json.loads(json.dumps(report_schema.document(report), allow_nan=False))


@pytest.mark.parametrize("task", TASKS)
def test_a_report_is_read_back_equal(tmp_path, task):
    report, _ = synthetic.report(task)
    report_schema.write_report(RunDir(tmp_path), report)
    assert report_schema.read_report(RunDir(tmp_path)) == report


@pytest.mark.parametrize("task", TASKS)
def test_a_report_keeps_to_the_schema_in_the_package(task):
    document = as_json(synthetic.report(task)[0])
    jsonschema.validate(document, json.loads(report_schema.SCHEMA.read_text(encoding="utf-8")))
    assert report_schema.validate(document) == []


def test_the_schema_in_the_package_is_fresh():
    assert json.loads(report_schema.SCHEMA.read_text(encoding="utf-8")) == json.loads(
        json.dumps(report_schema.schema())
    ), "write it anew: python -m ftcls.runs.report_schema"


def test_the_report_has_every_key_that_readers_rely_on():
    document = as_json(synthetic.report("multilabel")[0])
    keys = {
        "run": "name command config_sha256 seed started finished seconds ftcls_version git_commit",
        "environment": "python platform device device_count precision packages",
        "data": "source fingerprint task labels positive_label splits checks",
        "model": ("checkpoint architecture parameters trainable_parameters size_bytes adapter quantization max_length"),
        "training": (
            "epochs steps batch_size token_budget best loss evaluations examples_per_second tokens_per_second "
            "peak_memory_bytes stopped_early resumed contrastive"
        ),
        "baseline": "name metrics intervals seconds",
        "majority": "name metrics intervals seconds difference",
    }
    rest = (
        "schema_version status metrics intervals per_label confusion decision metrics_at_default diagnosis slices "
        "label_intervals metrics_without_leaks speed ladder next_steps precision_agreement cross_validation "
        "metrics_unweighted soft_scores learning_curve"
    )
    assert set(keys) | set(rest.split()) == set(document)
    for section, names in keys.items():
        assert set(names.split()) <= set(document[section]), section
    assert set(document["data"]["splits"]["test"]) >= {"examples", "label_counts", "tokens", "truncated"}
    assert set(document["data"]["checks"][0]) == {"name", "severity", "count", "examples", "advice", "rows"}
    assert set(document["training"]["best"]) == {"step", "metric", "value"}
    assert set(document["training"]["loss"]) == {"first", "last", "min"}
    assert list(document["metrics"]) == list(document["intervals"]) == ["validation", "test"]
    assert tuple(document["metrics"]["test"]) == metrics.names("multilabel")
    label = {"precision", "recall", "f1", "support", "average_precision", "threshold"}
    assert set(document["per_label"]["test"]["earn"]) == label
    assert set(document["label_intervals"]["test"]["earn"]) == label - {"support", "threshold"}
    assert np.shape(document["confusion"]["test"]) == (5, 2, 2)
    assert document["schema_version"] == 1


def test_numbers_that_are_not_finite_become_null(tmp_path):
    report, _ = synthetic.report("binary", with_baseline=False)
    losses = training_section.Losses(
        first=float("inf"), last=float("nan"), min=training_section.LowestLoss(value=0.1, step=3)
    )
    changed = replace(report, training=replace(report.training, loss=losses))
    report_schema.write_report(RunDir(tmp_path), changed)
    assert as_json(changed)["training"]["loss"] == {"first": None, "last": None, "min": {"value": 0.1, "step": 3}}
    assert report_schema.read_report(RunDir(tmp_path)).training.loss.first is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda document: document.pop("status"), "status: Field required"),
        (lambda document: document["training"].update(steps="many"), "training.steps: Input should be a valid integer"),
        (lambda document: document.update(schema_version=2), "schema_version: Input should be 1"),
        (lambda document: document["metrics"].update(test={"loss": "low"}), "metrics.test.loss: Input should be"),
        (lambda document: document["run"].update(started="yesterday"), "run.started: Input should be"),
    ],
)
def test_what_is_wrong_with_a_report_is_said_by_key(tmp_path, change, problem):
    document = as_json(synthetic.report("binary")[0])
    change(document)
    found = report_schema.validate(document)
    assert len(found) == 1
    assert found[0].startswith(problem)
    (tmp_path / "report.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=rf"report\.json: {problem}"):
        report_schema.read_report(RunDir(tmp_path))


@pytest.mark.parametrize("key", ["schema_version", "decision", "slices"])
def test_a_key_that_is_null_must_still_be_there(key):
    document = as_json(synthetic.report("binary")[0])
    del document[key]
    assert report_schema.validate(document) == [f"{key}: Field required"]
    with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
        jsonschema.validate(document, report_schema.schema())


def test_keys_of_a_later_version_are_no_problem(tmp_path):
    document = as_json(synthetic.report("binary")[0]) | {"weather": "fair"}
    assert report_schema.validate(document) == []
    (tmp_path / "report.json").write_text(json.dumps(document))
    assert report_schema.read_report(RunDir(tmp_path)).status == "done"


@pytest.mark.parametrize("text", ["", "{", '{"seconds": NaN}'])
def test_a_report_that_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(DataError, match=r"report\.json: not JSON"):
        report_schema.read_report(RunDir(tmp_path))


def test_a_run_without_a_report_is_not_finished(tmp_path):
    with pytest.raises(DataError, match=r"no report\.json, so this is no run or it is not finished"):
        report_schema.read_report(RunDir(tmp_path))


def test_an_evaluation_is_read_back_equal(tmp_path):
    evaluation = synthetic.evaluation(synthetic.predictions("multiclass"))
    path = tmp_path / "evals" / "ag_news-test.json"
    report_schema.write_evaluation(path, evaluation)
    assert report_schema.read_evaluation(path) == evaluation
    keys = {"schema_version", "data", "metrics", "intervals", "per_label", "label_intervals", "confusion"}
    assert keys <= set(json.loads(path.read_text(encoding="utf-8")))


def test_a_missing_evaluation_is_an_error_of_the_data(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: cannot be read: No such file"):
        report_schema.read_evaluation(tmp_path / "none.json")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("clustered", [False, True])
def test_predictions_are_read_back_equal_to_the_last_bit(tmp_path, task, clustered):
    clusters = np.arange(200) // 7 if clustered else None
    written = synthetic.predictions(task, clusters=clusters)
    path = tmp_path / "predictions" / "test.parquet"
    prediction_files.write(path, written)
    found = prediction_files.read(path)
    assert (found.task, found.labels, found.positive) == (written.task, written.labels, written.positive)
    for name in ("gold", "predicted", "probabilities", "rows", "clusters"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))
    assert metrics.score(found) == metrics.score(written)


def test_the_same_predictions_give_the_same_bytes(tmp_path):
    for name in ("one.parquet", "two.parquet"):
        prediction_files.write(tmp_path / name, synthetic.predictions("multilabel"))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_predictions_hold_names_and_a_column_for_each_label(tmp_path):
    import pandas

    prediction_files.write(tmp_path / "p.parquet", synthetic.predictions("multiclass"))
    frame = pandas.read_parquet(tmp_path / "p.parquet")
    names = synthetic.LABELS["multiclass"]
    assert list(frame.columns) == ["row", "gold", "predicted", *(f"probability:{name}" for name in names)]
    assert set(frame["gold"]) == set(names)
    assert frame["probability:World"].dtype == np.float64


def test_rows_without_any_label_stay_so(tmp_path):
    base = synthetic.predictions("multilabel", 4)
    nothing = replace(base, gold=np.zeros((4, 5), bool), predicted=np.zeros((4, 5), bool))
    prediction_files.write(tmp_path / "p.parquet", nothing)
    assert not prediction_files.read(tmp_path / "p.parquet").predicted.any()


def test_a_label_called_like_a_column_does_no_harm(tmp_path):
    base = synthetic.predictions("binary", labels=("row", "gold"))
    prediction_files.write(tmp_path / "p.parquet", base)
    assert prediction_files.read(tmp_path / "p.parquet").labels == ("row", "gold")


@pytest.mark.parametrize("content", [None, b"", b"no parquet"])
def test_a_file_that_holds_no_predictions_is_refused(tmp_path, content):
    path = tmp_path / "p.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"p\.parquet: not a predictions file of ftcls"):
        prediction_files.read(path)


def test_a_parquet_file_of_others_is_refused(tmp_path):
    import pandas

    pandas.DataFrame({"row": [1]}).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(DataError, match="not a predictions file of ftcls"):
        prediction_files.read(tmp_path / "p.parquet")


def test_reading_results_needs_no_training_library():
    code = (
        "import sys, ftcls.runs.report_schema, ftcls.reporting.run_tables; "
        "sys.exit(', '.join({'torch', 'transformers', 'datasets', 'sklearn'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_texts_lengths_and_truncation_stand_beside_the_predictions(tmp_path):
    made = synthetic.predictions("multilabel", 3)
    texts = ["", "two\nlines 😀", "half a pair \ud83d"]
    about = {"texts": texts, "lengths": np.array([2, 5, 900]), "truncated": np.array([False, False, True])}
    for name in ("one.parquet", "two.parquet"):
        prediction_files.write(tmp_path / name, made, **about)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    found = prediction_files.read_rows(tmp_path / "one.parquet")
    assert found.texts == ["", "two\nlines 😀", "half a pair \ufffd"]
    assert found.lengths.tolist() == [2, 5, 900]
    assert found.truncated.tolist() == [False, False, True]
    np.testing.assert_array_equal(prediction_files.read(tmp_path / "one.parquet").probabilities, made.probabilities)


def test_a_file_without_texts_says_so(tmp_path):
    prediction_files.write(tmp_path / "p.parquet", synthetic.predictions("binary"))
    found = prediction_files.read_rows(tmp_path / "p.parquet")
    assert (found.texts, found.lengths, found.truncated) == (None, None, None)


def test_texts_of_other_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="text: 1 values for 3 rows"):
        prediction_files.write(tmp_path / "p.parquet", synthetic.predictions("binary", 3), texts=["one"])
    assert not (tmp_path / "p.parquet").exists()

"""What the server shows of a run, and what people say back: examples, the page of the run, feedback."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
from starlette.testclient import TestClient

import synthetic
from ftcls.data.texts import PLAIN
from ftcls.errors import UnavailableError
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir
from ftcls.serving import feedback as feedback_file
from ftcls.serving.app import Service, create
from ftcls.serving.examples import MOST, examples
from ftcls.serving.feedback import Feedback
from ftcls.serving.guard import Guard
from ftcls.serving.server import describe
from text_length_classifier import LIMITS, TOKEN, Lengths


@pytest.fixture
def run(tmp_path):
    """A finished run of three labels, with texts of 30 to 130 characters and some too long or short to show."""
    found = RunDir(tmp_path / "run")
    report, made = synthetic.report("multiclass", labels=("a", "b", "c"))
    for name, rows in made.items():
        texts = [f"{'x' * (30 + i % 100)} {i}" if i % 7 else "short" * (1 + 200 * (i % 2)) for i in range(len(rows))]
        prediction_files.write(found.predictions / f"{name}.parquet", rows, texts=texts)
    report_schema.write_report(found, report)
    return found


def client_of(*, run=None, feedback=None, token=None, classifier=None):
    classifier = classifier or Lengths()
    flags = {"examples": run is not None, "report": run is not None, "feedback": feedback is not None}
    model = describe(classifier, "nowhere", LIMITS, PLAIN).model_copy(update=flags)
    service = Service(classifier, LIMITS, model, PLAIN, run=run, feedback=feedback)
    app = Guard(create(service), limits=LIMITS, token=token, local=token is None)
    return TestClient(app, base_url="http://localhost")


def test_examples_are_right_answers_of_each_label_and_one_that_is_doubted(run):
    found = examples(run)
    test = prediction_files.read(run.predictions / "test.parquet")
    texts = prediction_files.read_rows(run.predictions / "test.parquet").texts
    places = [texts.index(text) for text in found]
    assert 3 < len(found) <= MOST
    assert all(20 <= len(text) <= 300 for text in found)
    assert {test.labels[test.gold[place]] for place in places[:3]} == {"a", "b", "c"}
    assert all(test.gold[place] == test.predicted[place] for place in places[:3])
    shown = np.array([20 <= len(text) <= 300 for text in texts])
    assert test.probabilities[places[-1]].max() == test.probabilities[shown].max(axis=1).min()


def test_examples_and_the_page_of_the_run_are_answered_and_only_with_the_token(run):
    run.page.write_text("<title>the page</title>")
    with client_of(run=run, token=TOKEN) as client:
        assert client.get("/examples").status_code == client.get("/report").status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        texts = [each["text"] for each in client.get("/examples", headers=headers).json()["examples"]]
        assert texts == examples(run)
        page = client.get("/report", headers=headers)
        assert page.text == "<title>the page</title>"
        assert page.headers["Content-Security-Policy"] == "frame-ancestors 'none'"


def test_a_server_without_a_run_has_neither(tmp_path):
    with client_of() as client:
        for path in ("/examples", "/report"):
            assert client.get(path).status_code == 404
        assert client.post("/feedback", json={}).status_code == 404
    assert examples(RunDir(tmp_path)) == []


def test_feedback_is_kept_as_rows_that_can_be_trained_on(tmp_path):
    file = tmp_path / "said.jsonl"
    with client_of(feedback=Feedback(file)) as client:
        for labels in (["short"], ["long"], None):
            said = {"text": 'héllo\n"you"', "predicted": ["short"], "labels": labels}
            assert client.post("/feedback", json=said).status_code == 204
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(line["label"], line["predicted"], line["right"]) for line in lines] == [
        ("short", "short", True),
        ("long", "short", False),
        (None, "short", False),
    ]
    assert {line["text"] for line in lines} == {'héllo\n"you"'}


def test_feedback_of_several_labels_is_a_list(tmp_path):
    file = tmp_path / "said.jsonl"
    with client_of(feedback=Feedback(file), classifier=Lengths(task="multilabel")) as client:
        for labels in ([], ["long", "short"]):
            said = {"text": "hello", "predicted": ["short", "long"], "labels": labels}
            assert client.post("/feedback", json=said).status_code == 204
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(line["label"], line["right"]) for line in lines] == [([], False), (["long", "short"], True)]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"labels": ["nothing"]}, 422, "'nothing' is none of the model's"),
        ({"labels": ["short", "long"]}, 422, "labels: one, or null where it is another"),
        ({"predicted": []}, 422, "labels: one, or null where it is another"),
        ({"text": "x" * 1_001}, 422, "at most 1,000 are taken"),
        ({"more": 1}, 422, "Extra inputs are not permitted"),
    ],
)
def test_feedback_that_is_none_is_refused_and_not_kept(tmp_path, change, status, said):
    file = tmp_path / "said.jsonl"
    with client_of(feedback=Feedback(file)) as client:
        body = {"text": "hello", "predicted": ["short"], "labels": ["long"]} | change
        answer = client.post("/feedback", json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
    assert file.read_text() == ""


def test_a_file_of_feedback_does_not_grow_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(feedback_file, "_LARGEST", 200)
    with client_of(feedback=Feedback(tmp_path / "said.jsonl")) as client:
        body = {"text": "hello", "predicted": ["short"], "labels": ["long"]}
        statuses = [client.post("/feedback", json=body).status_code for _ in range(4)]
    assert statuses[0] == 204
    assert statuses[-1] == 503


def test_a_file_that_cannot_be_written_is_an_error_at_once(tmp_path):
    with pytest.raises(UnavailableError, match=r"--feedback .*; name a file that can be written"):
        Feedback(Path(tmp_path) / "none" / "said.jsonl")

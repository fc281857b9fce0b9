"""Runs written for onnxruntime and plain transformers: what they say, and what is refused."""

import json
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification

import made_runs
from ftcls.cli.app import run
from ftcls.data.texts import PLAIN
from ftcls.environment.figures_as_text import signed_with_interval
from ftcls.errors import ConfigError, DataError, ExportError, UnavailableError
from ftcls.exporting.export import export, refuse
from ftcls.inference import onnx_runtime
from ftcls.inference.classifier import Classifier
from ftcls.runs import export_record
from ftcls.scoring.decision import Decision

for needed in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(needed, reason="the onnx extra is not installed")

PLACES = ["README.md", "config.json", "config.yaml", "decision.json", "export.json", "ftcls.json"]
DAILY = ("bert", "modernbert", "llama")
"""An encoder that is packed, one that is not, and a decoder."""
DECIDED = Decision(thresholds=(0.3, 0.6, 0.45), temperature=1.7)


def exported_by(place, folder, **options):
    return export(place.path, output=folder, **{"to": "onnx", "tolerance": 1e-4, "rows": 2_000, **options})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with three labels at tuned thresholds, on data of its own."""
    folder = tmp_path_factory.mktemp("made")
    rows = [f"{text},{'joy' if i % 2 else 'anger|fear'}" for i, text in enumerate(made_runs.texts()[:-2])]
    (folder / "all.csv").write_text("\n".join(["text,label", *rows, ""]))
    data = {
        "source": "files",
        "path": str(folder / "all.csv"),
        "task": "multilabel",
        "label": {"column": "label", "separator": "|"},
        "labels": made_runs.LABELS["multilabel"],
    }
    return made_runs.make(
        folder / "run", task="multilabel", decided=DECIDED, clean=("html_breaks", "lower_case"), data=data
    )


@pytest.fixture(scope="module")
def graph(made, tmp_path_factory):
    """The same as ONNX."""
    folder = tmp_path_factory.mktemp("graph") / "onnx"
    return folder, exported_by(made, folder)


@pytest.mark.parametrize(
    "architecture",
    [
        *DAILY,
        *(pytest.param(name, marks=pytest.mark.weekly) for name in made_runs.ARCHITECTURES if name not in DAILY),
    ],
)
def test_a_graph_gives_the_logits_of_the_run(tmp_path, architecture):
    place = made_runs.make(tmp_path / "run", architecture=architecture)
    found = exported_by(place, tmp_path / "onnx")
    assert found.agreement.max_logit_difference < 1e-5
    assert found.agreement.same_argmax == 1
    before, after = (Classifier.from_pretrained(each, device="cpu") for each in (place.path, tmp_path / "onnx"))
    texts = made_runs.texts(25, seed=7)  # others than those of the export, in batches of other shapes
    encoded = before.encode(texts)
    logits = before.logits(encoded)
    assert np.std(logits, axis=0).min() > 1e-3  # else any order would do
    for budget in (1, 90, 10_000):
        np.testing.assert_allclose(replace(after, token_budget=budget).logits(encoded), logits, atol=1e-5)
    assert after.predict_proba([]).shape == (0, 3)


def test_an_export_is_whole(made, graph):
    folder, found = graph
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*PLACES, "manifest.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"]
    )
    assert export_record.read(folder) == found
    assert found.labels == made_runs.LABELS["multilabel"]
    assert found.files == {"model.onnx": (folder / "model.onnx").stat().st_size}
    assert [each.metric for each in found.agreement.metrics] == ["f1_macro", "accuracy"]
    assert all(each.rows == 60 for each in found.agreement.metrics)
    again = Classifier.from_pretrained(folder)
    assert (again.decision, again.settings) == (DECIDED, Classifier.from_pretrained(made.path).settings)


def test_numbers_of_texts_and_tokens_are_free_in_the_graph(graph):
    onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")
    written = onnx.load(str(graph[0] / "model.onnx"))
    assert {each.domain: each.version for each in written.opset_import}[""] == onnx_runtime.OPSET
    shapes = {each.name: [d.dim_param for d in each.type.tensor_type.shape.dim] for each in written.graph.input}
    assert shapes == {"input_ids": ["batch", "sequence"], "attention_mask": ["batch", "sequence"]}


def test_predict_takes_an_export_as_it_takes_a_run(made, graph, capsys):
    said = []
    for place in (made.path, graph[0]):
        words = ["--text", "WORD3<br />word4", "--text", "", "--precision", "fp32", "--json", "--quiet"]
        assert run(["predict", str(place), *words]) == 0
        said.append(json.loads(capsys.readouterr().out)["predictions"])
    for before, after in zip(*said, strict=True):
        assert before["labels"] == after["labels"]
        assert before["probabilities"] == pytest.approx(after["probabilities"], abs=1e-6)


def test_eval_takes_an_export_as_it_takes_a_run(made, graph, capsys):
    found = []
    for place in (made.path, graph[0]):
        assert run(["eval", str(place), "--json", "--quiet"]) == 0, capsys.readouterr().err
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["metrics"] == pytest.approx(found[1]["metrics"], abs=1e-6)
    assert found[0]["confusion"] == found[1]["confusion"]
    assert json.loads((graph[0] / "evals" / "files-test.json").read_text()) == found[1]


def test_serve_takes_an_export_as_it_takes_a_run(made, graph):
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from starlette.testclient import TestClient

    from ftcls.serving import app, guard, server

    bounds = guard.Limits(
        characters=99, texts=9, rows=9, body_bytes=999, waiting=9, together=9, delay=0.001, timeout=60.0
    )
    models, said = [], []
    for place in (made.path, graph[0]):
        classifier = Classifier.from_pretrained(place, device="cpu")
        about = server.describe(classifier, str(place), bounds, PLAIN)
        with TestClient(app.create(app.Service(classifier, bounds, about, PLAIN))) as client:
            models.append(client.get("/model").json())
            said.append(client.post("/predict", json={"texts": ["WORD3 word4", ""]}).json()["predictions"])
    assert [each.pop("name") for each in models] == [made.path.name, graph[0].name]
    assert models[0] == models[1]
    for before, after in zip(*said, strict=True):
        assert before["labels"] == after["labels"]
        assert before["probabilities"] == pytest.approx(after["probabilities"], abs=1e-6)


def test_int8_is_smaller_and_says_what_it_costs(made, graph, tmp_path):
    found = exported_by(made, tmp_path / "int8", precision="int8", tolerance=1.0)
    assert found.files["model.onnx"] < 0.8 * graph[1].files["model.onnx"]
    assert found.agreement.max_logit_difference > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8"]
    card = (tmp_path / "int8" / "README.md").read_text()
    change = found.agreement.metrics[0]
    figures = signed_with_interval(change.value, change.interval)
    assert f"| change of f1_macro (95 % interval) | {figures}" in card
    assert "loses more than 1 of f1_macro is refused" in card


def test_weights_too_large_for_one_file_lie_beside_the_graph(made, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_runtime, "LARGEST", 1_000)
    found = exported_by(made, tmp_path / "large")
    assert set(found.files) == {"model.onnx", "model.onnx.data"}
    quantized = exported_by(made, tmp_path / "int8", precision="int8", tolerance=1.0)
    assert set(quantized.files) == {"model.onnx", "model.onnx.data"}
    assert quantized.agreement.same_labels > 0.5


def test_plain_weights_load_in_plain_transformers(made, tmp_path):
    from transformers import pipeline

    found = exported_by(made, tmp_path / "torch", to="torch")
    assert list(found.files) == ["model.safetensors"]
    assert found.agreement.max_logit_difference == 0
    assert not list((tmp_path / "torch").glob("*.bin"))
    classify = pipeline("text-classification", model=str(tmp_path / "torch"), top_k=None)
    plain = {each["label"]: each["score"] for each in classify(["word3 word4"])[0]}
    undecided = replace(Classifier.from_pretrained(made.path), decision=Decision((0.5,) * 3, 1.0))
    assert plain == pytest.approx(undecided.classify(["word3 word4"])[0].probabilities, abs=1e-6)


def test_the_cards_own_lines_run(graph, monkeypatch, capsys):
    monkeypatch.chdir(graph[0])
    card = (graph[0] / "README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    exec(program.replace("A text.", "word5 word6 word7"), {})
    probabilities = Classifier.from_pretrained(graph[0]).classify(["word5 word6 word7"])[0].probabilities
    assert capsys.readouterr().out.strip() == max(probabilities, key=probabilities.get)
    assert "texts cleaned first by html_breaks, lower_case; cut at 48 tokens" in card


def test_other_texts_are_cleaned_and_compared_without_scores(made, tmp_path):
    (tmp_path / "texts.txt").write_text("WORD3 word4\n\nword9\n", encoding="utf-8")
    found = exported_by(made, tmp_path / "onnx", texts=tmp_path / "texts.txt").agreement
    assert (found.texts, found.source, found.metrics) == (3, "texts.txt", ())
    assert "3 texts of texts.txt" in (tmp_path / "onnx" / "README.md").read_text()


def test_of_many_texts_some_are_taken_from_all_over(made, tmp_path):
    assert exported_by(made, tmp_path / "torch", to="torch", rows=7).agreement.texts == 7


# --- what is refused


def test_a_graph_that_says_something_else_leaves_nothing_behind(made, tmp_path, monkeypatch, capsys):
    honest = onnx_runtime.write

    def other(model, path, **options):
        model.classifier.bias.data[0] += 3
        honest(model, path, **options)
        model.classifier.bias.data[0] -= 3

    monkeypatch.setattr(onnx_runtime, "write", other)
    assert run(["export", str(made.path), "--to", "onnx", "--output", str(tmp_path / "onnx"), "--quiet"]) == 5
    message = capsys.readouterr().err
    assert re.search(r"not written: its logits differ from the run's by up to 3 on 60 texts", message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("precision", "changed", "tolerance", "said"),
    [
        ("fp32", {"max_logit_difference": 2e-4}, 1e-4, "by up to 2e-4 on 60 texts"),
        ("fp32", {"max_logit_difference": float("nan")}, 1e-4, "by up to nan"),
        ("fp32", {"same_argmax": 59 / 60}, 1e-4, "1 of them get another most probable label"),
        ("int8", {}, 0.02, "f1_macro is .0300 lower"),
        ("int8", {"metrics": (), "same_labels": 0.9}, 0.02, "10.00% of the texts get other labels"),
    ],
)
def test_above_the_tolerance_nothing_is_called_done(graph, tmp_path, precision, changed, tolerance, said):
    seen = graph[1].agreement
    lower = replace(seen.metrics[0], value=-0.03)
    found = replace(
        graph[1],
        precision=precision,
        tolerance=tolerance,
        agreement=replace(seen, **{"metrics": (lower,), "max_logit_difference": 1e-7, **changed}),
    )
    with pytest.raises(ExportError, match=re.escape(said)):
        refuse(found, tmp_path)
    allowed = replace(found, tolerance=0.5, agreement=replace(found.agreement, max_logit_difference=0, same_argmax=1))
    refuse(allowed, tmp_path)


def test_a_better_int8_is_not_refused(graph, tmp_path):
    seen = graph[1].agreement
    better = replace(seen, metrics=(replace(seen.metrics[0], value=0.03),))
    refuse(replace(graph[1], precision="int8", tolerance=0.0, agreement=better), tmp_path)


def test_a_folder_with_something_in_it_is_not_touched(made, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists and is not an empty folder; name another"):
        exported_by(made, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_int8_belongs_to_onnx(made, tmp_path):
    with pytest.raises(ConfigError, match="--precision int8: goes with --to onnx, not with --to torch"):
        exported_by(made, tmp_path / "torch", to="torch", precision="int8")


def test_an_export_is_not_exported_again(graph, tmp_path):
    with pytest.raises(DataError, match=r"not a run with a model and validation texts .* or with --texts FILE"):
        export(graph[0], to="torch", output=tmp_path / "again", tolerance=1e-4, rows=10)
    (tmp_path / "texts.txt").write_text("word3")
    with pytest.raises(ConfigError, match="is an exported graph without weights for PyTorch"):
        export(graph[0], to="torch", output=tmp_path / "a", tolerance=1e-4, rows=9, texts=tmp_path / "texts.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt"]


def test_a_model_folder_is_exported_on_texts_that_are_named(made, tmp_path):
    (tmp_path / "texts.txt").write_text("WORD3 word4\nword9\n", encoding="utf-8")
    command = ["export", str(made.model), "--to", "torch", "--texts", str(tmp_path / "texts.txt"), "--quiet"]
    assert run([*command, "--output", str(tmp_path / "torch")]) == 0
    assert not (tmp_path / "torch" / "config.yaml").exists()
    before, after = (Classifier.from_pretrained(place) for place in (made.path, tmp_path / "torch"))
    assert (before.decision, before.settings) == (after.decision, after.settings)
    assert export_record.read(tmp_path / "torch").run == str(made.model)


@pytest.mark.parametrize(("to", "quantization"), [("onnx", "none"), ("torch", "nf4"), ("onnx", "int8")])
def test_an_adapter_is_exported_whole(tmp_path, to, quantization):
    pytest.importorskip("peft", reason="needs the adapters extra")
    if quantization != "none":
        pytest.importorskip("bitsandbytes", reason="needs the quantization extra")
    place = made_runs.adapt(made_runs.make(tmp_path / "run"), quantization)
    before = Classifier.from_pretrained(place.path, device="cpu").predict_proba(made_runs.texts())
    found = exported_by(place, tmp_path / to, to=to)
    assert found.reload_difference < (1e-5 if quantization == "none" else 0.05)
    assert "largest difference on its probe" in (tmp_path / to / "README.md").read_text()
    assert not any(word in path.name for path in (tmp_path / to).iterdir() for word in ("adapter", "probe"))
    shutil.rmtree(tmp_path / "base")  # nothing of it is needed any more
    after = Classifier.from_pretrained(tmp_path / to, device="cpu").predict_proba(made_runs.texts())
    np.testing.assert_allclose(before, after, atol=1e-5 if quantization == "none" else 0.05)
    if to == "torch":
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / to)
        assert not hasattr(model, "peft_config")
        assert not hasattr(model.config, "quantization_config")


def test_a_run_without_validation_texts_asks_for_some(tmp_path):
    place = made_runs.make(tmp_path / "run")
    (place.predictions / "validation.parquet").unlink()
    with pytest.raises(DataError, match="has no texts to compare the export on; name a file of them with --texts FILE"):
        exported_by(place, tmp_path / "onnx")


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\xff\xfe\xff", "cannot be read as UTF-8")])
def test_texts_that_are_none_are_one_message(made, tmp_path, content, said):
    (tmp_path / "texts.txt").write_bytes(content)
    with pytest.raises(DataError, match=said):
        exported_by(made, tmp_path / "onnx", texts=tmp_path / "texts.txt")


def test_a_missing_extra_is_named_with_its_line(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UnavailableError, match=r'onnxscript is not installed; run\n  pip install .*"ftcls\[onnx\]"'):
        exported_by(made, tmp_path / "onnx")


def test_a_damaged_graph_is_one_message(graph, tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in set(graph[0].glob("*.json")) - {graph[0] / "manifest.json"}:  # which would notice it first
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.onnx").write_bytes((graph[0] / "model.onnx").read_bytes()[:5_000])
    with pytest.raises(UnavailableError, match=r"model\.onnx: cannot be run"):
        Classifier.from_pretrained(folder)


def test_an_architecture_that_cannot_be_traced_is_one_message(made, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("\nFailed to export\nmore")

    monkeypatch.setattr(onnx_runtime.torch.onnx, "export", fails)
    with pytest.raises(UnavailableError, match=r"BertForSequenceClassification: PyTorch cannot write .*Failed to exp"):
        exported_by(made, tmp_path / "onnx")

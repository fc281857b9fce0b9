"""A run that reads windows, from its config to what is done with it: and nobody gets another answer in silence."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    TrainerCallback,
    pipeline,
)

import fitting
import ftcls
from ftcls.cli.app import run as command
from ftcls.config.load import load
from ftcls.environment import devices
from ftcls.errors import ConfigError, Interrupted, UnavailableError
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, documents
from ftcls.model.checkpoint import WINDOWED
from ftcls.pipeline import explain_mistakes, time_budget
from ftcls.reporting import run_page
from ftcls.runs import mistake_words, predictions

pytestmark = pytest.mark.usefixtures("undrawn")

SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
FILLER = [f"w{number}" for number in range(40)]
SIDES = {"left": [f"l{number}" for number in range(5)], "right": [f"r{number}" for number in range(5)]}
SIZES = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
WORDS = 60
"""Of a text; a window has sixteen, and cutting there leaves out the answer."""


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


def vocabulary():
    return {token: i for i, token in enumerate([*SPECIAL.values(), *FILLER, *SIDES["left"], *SIDES["right"]])}


def save_checkpoint(folder, config):
    """A small untrained encoder with a token for each word."""
    backend = Tokenizer(models.WordLevel(vocabulary(), unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    config = BertConfig(vocab_size=len(vocabulary()), pad_token_id=0, initializer_range=0.2, **SIZES)
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint"), config)


def rows(count, *, words=WORDS, place=0.7, width=12):
    """Texts whose label stands in a few words at one place."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        label = str(rng.choice(list(SIDES)))
        text = rng.choice(FILLER, words)
        start = int(words * place)
        text[start : start + width] = rng.choice(SIDES[label], width)
        found.append({"text": " ".join(text), "label": label})
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows(160)))
    return str(path)


def config(checkpoint, data, *, windows=None, **changes):
    return {
        "name": "windows",
        "data": {"source": "files", "path": data, "task": "binary"},
        "model": {
            "checkpoint": checkpoint,
            "windows": {"size": 18, "stride": 4, "pool": "attention"} if windows is None else windows,
        },
        "training": {
            "max_steps": 32,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "token_budget": 60,  # less than a document: its windows are several passes
            "device": "cpu",
            "precision": "fp32",
            "eval_strategy": "steps",
            "eval_steps": 16,
            "save_strategy": "steps",
            "save_steps": 16,
        },
        "report": {"ladder": []},
        **changes,
    }


@pytest.fixture(scope="module")
def trained(checkpoint, data, tmp_path_factory):
    return ftcls.train(config(checkpoint, data), output=tmp_path_factory.mktemp("runs") / "windows")


def test_the_run_learns_what_stands_behind_the_first_window(trained):
    assert trained.report.metrics["test"]["accuracy"] > 0.85
    assert trained.report.model.windows.size == 18
    assert trained.report.model.max_length == 65_536
    assert {split.truncated for split in trained.report.data.splits.values()} == {0}
    assert f"{documents.WEIGHTS}.weight" in trained.report.model.new_parameters
    page = (trained.path / "report.html").read_text()
    assert "in windows of 18 that share 4, joined by attention" in page
    assert "Not to be loaded there" in page


def test_what_is_read_back_says_what_was_scored(trained):
    stored = predictions.read(trained.path / "predictions" / "test.parquet")
    texts = predictions.read_rows(trained.path / "predictions" / "test.parquet").texts
    classifier = Classifier.from_pretrained(trained.path, device="cpu")
    np.testing.assert_allclose(classifier.predict_proba(list(texts)), stored.probabilities, atol=1e-6)
    one = classifier.classify([texts[0]])[0]
    assert (one.tokens, one.truncated) == (WORDS + 2, False)
    weigh = classifier.model.get_submodule(documents.WEIGHTS).weight.detach()
    assert float(weigh.abs().max()) > 0.01


@pytest.mark.parametrize(
    "load",
    [
        AutoModelForSequenceClassification.from_pretrained,
        BertForSequenceClassification.from_pretrained,
        AutoModel.from_pretrained,
        lambda place: pipeline("text-classification", model=str(place)),
    ],
)
@pytest.mark.parametrize("place", ["model", "checkpoints/best", "checkpoints/step-32"])
def test_plain_transformers_refuses_the_weights_wherever_they_lie(trained, load, place):
    with pytest.raises((OSError, ValueError), match=r"no file named model\.safetensors"):
        load(trained.path / place)


def test_a_folder_put_together_from_two_models_is_refused(trained, checkpoint, tmp_path):
    classifier = Classifier.from_pretrained(trained.path, device="cpu")
    classifier.save_pretrained(tmp_path / "whole")
    again = Classifier.from_pretrained(tmp_path / "whole", device="cpu")
    texts = [row["text"] for row in rows(5)]
    np.testing.assert_allclose(again.predict_proba(texts), classifier.predict_proba(texts), atol=1e-6)

    (tmp_path / "whole" / "manifest.json").unlink()
    (tmp_path / "whole" / WINDOWED).rename(tmp_path / "whole" / "model.safetensors")
    with pytest.raises(UnavailableError, match="do not belong together"):
        Classifier.from_pretrained(tmp_path / "whole", device="cpu")


class _Terminate(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 18:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_a_resumed_run_is_the_undisturbed_one(trained, checkpoint, data, tmp_path):
    with fitting.extra_callbacks((_Terminate(),)), pytest.raises(Interrupted):
        ftcls.train(config(checkpoint, data), output=tmp_path / "run")
    again = ftcls.train(config(checkpoint, data), output=tmp_path / "run", resume=True)
    assert again.report.training.resumed
    first, second = (
        Classifier.from_pretrained(each.path, device="cpu").model.state_dict() for each in (trained, again)
    )
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name


LORA = {"kind": "lora", "r": 4, "target_modules": "all-linear"}


@pytest.fixture(scope="module")
def adapted(checkpoint, data, tmp_path_factory):
    pytest.importorskip("peft", reason="needs the adapters extra")
    return ftcls.train(config(checkpoint, data, adapter=LORA), output=tmp_path_factory.mktemp("runs") / "lora")


def said_again(run, place="model"):
    """The largest difference of what a stored model says of the test texts from what the run kept of them."""
    path = run.path / "predictions" / "test.parquet"
    classifier = Classifier.from_pretrained(run.path / place, device="cpu")
    said = classifier.predict_proba(list(predictions.read_rows(path).texts))
    return np.abs(said - predictions.read(path).probabilities).max()


def test_an_adapter_learns_what_stands_behind_the_first_window(adapted):
    assert adapted.report.metrics["test"]["accuracy"] > 0.85
    assert adapted.report.model.adapter.heads == ("classifier", documents.WEIGHTS)
    assert adapted.report.model.adapter.reload_difference < 1e-5
    assert ftcls.evaluate(adapted.path).metrics == pytest.approx(adapted.report.metrics["test"], abs=1e-6)


def test_an_adapter_that_is_read_back_says_what_was_scored(adapted):
    best = f"checkpoints/step-{adapted.report.training.best.step}"
    assert [said_again(adapted, place) < 1e-6 for place in ("model", "checkpoints/best", best)] == [True] * 3
    weigh = Classifier.from_pretrained(adapted.path, device="cpu").model.get_submodule(documents.WEIGHTS)
    assert float(weigh.weight.detach().abs().max()) > 0.01


def with_peft(place):
    from peft import AutoPeftModelForSequenceClassification

    return AutoPeftModelForSequenceClassification.from_pretrained(str(place))


def with_peft_around_the_base(place):
    from peft import PeftConfig, PeftModel

    base = PeftConfig.from_pretrained(str(place)).base_model_name_or_path
    return PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(base), str(place))


@pytest.mark.parametrize(
    "load",
    [
        AutoModelForSequenceClassification.from_pretrained,
        lambda place: pipeline("text-classification", model=str(place)),
        with_peft,
        with_peft_around_the_base,
    ],
)
@pytest.mark.parametrize("place", ["model", "checkpoints/best", "checkpoints/step-32"])
def test_plain_peft_refuses_the_adapter_wherever_it_lies(adapted, load, place):
    with adapters._known_warnings(), pytest.raises((OSError, ValueError)):
        load(adapted.path / place)


@pytest.mark.slow
def test_an_adapter_that_is_resumed_is_the_undisturbed_one(adapted, checkpoint, data, tmp_path):
    with fitting.extra_callbacks((_Terminate(),)), pytest.raises(Interrupted):
        ftcls.train(config(checkpoint, data, adapter=LORA), output=tmp_path / "run")
    again = ftcls.train(config(checkpoint, data, adapter=LORA), output=tmp_path / "run", resume=True)
    assert again.report.training.resumed
    for place in ("model", "checkpoints/step-32"):
        first, second = (load_file(run.path / place / adapters.WINDOWED) for run in (adapted, again))
        assert first.keys() == second.keys()
        for name, weight in first.items():
            assert torch.equal(weight, second[name]), name


@pytest.mark.slow
def test_a_merged_adapter_is_a_model_like_any_that_reads_windows(adapted, checkpoint, data, tmp_path):
    merged = ftcls.train(config(checkpoint, data, adapter={**LORA, "merge": True}), output=tmp_path / "merged")
    there = {path.name for path in (merged.path / "model").iterdir()}
    assert WINDOWED in there
    assert not there & {*adapters.FILES, "model.safetensors"}
    assert said_again(merged) < 1e-6
    assert merged.report.metrics["test"]["loss"] == pytest.approx(adapted.report.metrics["test"]["loss"], rel=1e-4)


def test_an_adapter_is_pushed_as_a_whole_model(adapted, tmp_path):
    ftcls.push(adapted.path, "somebody/windows", dry_run=True, output=tmp_path / "hub")
    there = {path.name for path in (tmp_path / "hub").iterdir()}
    assert WINDOWED in there
    assert not there & {*adapters.FILES, "model.safetensors"}
    texts = [row["text"] for row in rows(3)]
    np.testing.assert_allclose(
        Classifier.from_pretrained(tmp_path / "hub", device="cpu").predict_proba(texts),
        Classifier.from_pretrained(adapted.path, device="cpu").predict_proba(texts),
        atol=1e-6,
    )


@pytest.mark.slow
def test_an_adapter_on_layers_of_four_bits_reads_windows(checkpoint, data, tmp_path):
    pytest.importorskip("peft", reason="needs the adapters extra")
    pytest.importorskip("bitsandbytes", reason="needs the quantization extra")
    few = {**config(checkpoint, data)["training"], "max_steps": 2, "eval_steps": 2, "save_steps": 2}
    asked = config(checkpoint, data, adapter={**LORA, "quantization": "nf4"}, training=few)
    assert said_again(ftcls.train(asked, output=tmp_path / "run")) < 1e-5


def test_an_adapter_that_comes_back_with_other_weights_of_windows_is_noticed(adapted, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(adapted.path / "model", copy, ignore=shutil.ignore_patterns("manifest.json"))
    weights = load_file(copy / adapters.WINDOWED)
    weights[f"base_model.model.{documents.WEIGHTS}.weight"] *= -5
    save_file(weights, copy / adapters.WINDOWED, metadata={"format": "pt"})
    with pytest.raises(UnavailableError, match="gives logits up to"):
        Classifier.from_pretrained(copy, device="cpu")


@pytest.mark.slow
def test_what_was_learnt_of_windows_is_where_another_training_starts(trained, data, tmp_path):
    still = {"max_steps": 1, "learning_rate": 1e-12, "device": "cpu", "precision": "fp32"}
    on = ftcls.train(config(str(trained.path), data, training=still), output=tmp_path / "on")
    assert on.report.model.new_parameters == ()
    assert on.report.metrics["test"] == pytest.approx(trained.report.metrics["test"], abs=1e-4)
    plain = config(str(trained.path), data, training=still)
    plain["model"]["windows"] = None
    without = ftcls.train(plain, output=tmp_path / "without")
    assert without.report.model.windows is None
    AutoModelForSequenceClassification.from_pretrained(without.path / "model")


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_an_export_is_refused_with_the_reason(trained, tmp_path, kind):
    pytest.importorskip("onnxscript")
    with pytest.raises(ConfigError, match=r"reads longer texts in windows .* would answer by the first window alone"):
        ftcls.export(trained.path, to=kind, output=tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_card_on_the_hub_says_that_plain_transformers_does_not_load_it(trained, tmp_path):
    ftcls.push(trained.path, "somebody/windows", dry_run=True, output=tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "windows of 18 tokens, which share 4, joined by attention" in card
    assert "from transformers import pipeline" not in card
    assert "library_name: ftcls" in card
    texts = [row["text"] for row in rows(3)]
    np.testing.assert_allclose(
        Classifier.from_pretrained(tmp_path / "hub", device="cpu").predict_proba(texts),
        Classifier.from_pretrained(trained.path, device="cpu").predict_proba(texts),
        atol=1e-6,
    )


@pytest.mark.slow
def test_texts_beyond_max_length_are_cut_and_counted(checkpoint, data, tmp_path):
    short = config(checkpoint, data)
    short["model"] |= {"max_length": 30, "truncation": "head"}
    short["training"] |= {"max_steps": 2}
    found = ftcls.train(short, output=tmp_path / "run").report
    assert found.data.splits["train"].truncated == found.data.splits["train"].examples
    assert found.model.max_length == 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.windows.stride": 18}, "18 tokens of 18 are shared"),
        ({"model.max_length": 18}, "18 is not less than max_length, 18"),
        ({"data.text": {"first": "text", "second": "label"}}, "are for single texts"),
        ({"model.windows.stride": 17}, "have nothing new to read; write a stride of at most 15"),
    ],
)
def test_what_does_not_go_with_windows_is_refused_before_training(checkpoint, data, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        ftcls.train(config(checkpoint, data), overrides=changes, output=tmp_path / "run")


@pytest.mark.slow
def test_a_smoke_run_reads_windows(checkpoint, data, tmp_path):
    found = ftcls.train(config(checkpoint, data), smoke=True, output=tmp_path / "run").report
    assert (found.model.windows.size, found.model.max_length) == (32, 64)


def test_a_plan_knows_what_windows_cost(checkpoint, data, capsys, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config(checkpoint, data)))
    assert command(["train", str(path), "--dry-run"]) == 0
    assert "not estimated" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_long_encoder_reads_as_much_as_the_config_says(tmp_path, data, caplog):
    settings = ModernBertConfig(
        vocab_size=len(vocabulary()),
        max_position_embeddings=8_192,
        pad_token_id=0,
        cls_token_id=2,
        sep_token_id=3,
        **SIZES,
    )
    place = save_checkpoint(tmp_path / "modernbert", settings)
    long = tmp_path / "long.jsonl"
    long.write_text("".join(f"{json.dumps(row)}\n" for row in rows(40, words=900)))
    few = {"max_steps": 1, "device": "cpu", "precision": "fp32"}
    asked = config(place, str(long), training=few)
    asked["model"] = {"checkpoint": place, "max_length": 1_000}
    found = ftcls.train(asked, output=tmp_path / "asked").report
    assert (found.model.max_length, found.data.splits["train"].truncated) == (1_000, 0)
    assert "texts are cut" not in caplog.text

    silent = {**asked, "model": {"checkpoint": place}}
    found = ftcls.train(silent, output=tmp_path / "silent").report
    assert (found.model.max_length, found.data.splits["train"].truncated) == (512, 32)
    assert "40 texts are cut at 512 tokens, and the checkpoint reads 8,192: write model.max_length: 902" in caplog.text


def test_a_budget_of_time_is_measured_on_documents(checkpoint, data):
    machine = devices.choose("cpu", "fp32")
    _, pace = time_budget.measure(load(config(checkpoint, data)), machine)
    assert pace.step > 0


def test_a_checkpoint_of_others_reads_no_windows(checkpoint, data, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config(checkpoint, data)))
    with pytest.raises(ConfigError, match=r"only a model that ftcls trained reads windows; remove model\.windows"):
        ftcls.evaluate(checkpoint, config=path, labels=["left", "right"])


@pytest.mark.parametrize("which", ["trained", "adapted"])
def test_a_long_text_is_served(which, request):
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    from ftcls.prediction.predict import text_columns
    from ftcls.serving.app import Service, create
    from ftcls.serving.guard import Guard, Limits
    from ftcls.serving.server import describe

    run = request.getfixturevalue(which)
    classifier = Classifier.from_pretrained(run.path, device="cpu")
    limits = Limits(1_000, 10, 10, 10_000, waiting=10, together=10, delay=0.0, timeout=10.0)
    told = describe(classifier, str(run.path), limits, text_columns(classifier))
    assert told.windows == {"size": 18, "stride": 4, "pool": "attention"}
    service = Service(classifier, limits, told, text_columns(classifier))
    texts = list(predictions.read_rows(run.path / "predictions" / "test.parquet").texts[:4])
    with TestClient(Guard(create(service), limits=limits, token=None, local=True), base_url="http://localhost") as one:
        answers = one.post("/predict", json={"texts": texts}).json()["predictions"]
    said = [[answer["probabilities"][label] for label in classifier.labels] for answer in answers]
    scored = predictions.read(run.path / "predictions" / "test.parquet").probabilities[:4]
    np.testing.assert_allclose(said, scored, atol=1e-5)
    assert all(answer["tokens"] > told.windows["size"] for answer in answers)


def test_the_report_is_repeated_by_eval(trained):
    assert ftcls.evaluate(trained.path).metrics == pytest.approx(trained.report.metrics["test"], abs=1e-6)
    assert Path(trained.path / "evals").is_dir()


def test_each_window_has_an_answer_of_its_own_and_its_place_in_the_text(trained):
    classifier = Classifier.from_pretrained(trained.path, device="cpu")
    text = rows(1)[0]["text"]
    (said,) = classifier.classify([text], windows=True)
    parts = [text[each.start : each.end] for each in said.windows]
    assert [len(part.split()) for part in parts[:-1]] == [16] * (len(parts) - 1)
    assert parts[0].split() == text.split()[:16]
    assert parts[1].split()[:4] == parts[0].split()[-4:]
    for part, each in zip(parts, said.windows, strict=True):
        np.testing.assert_allclose(
            list(each.probabilities.values()), classifier.predict_proba([part])[0], atol=1e-6, err_msg=part
        )
    assert classifier.classify([text])[0].windows is None
    (empty,) = classifier.classify([""], windows=True)
    assert [(each.start, each.end) for each in empty.windows] == [(0, 0)]


def test_windows_are_those_of_what_is_left_of_a_text_that_was_cut(trained):
    classifier = Classifier.from_pretrained(trained.path, device="cpu")
    cut = replace(classifier, settings=replace(classifier.settings, max_length=22, truncation="head_tail"))
    words = rows(1)[0]["text"].split()
    (said,) = cut.classify([" ".join(words)], windows=True)
    assert said.truncated
    first, last = (" ".join(words)[each.start : each.end].split() for each in said.windows)
    assert first[:10] == words[:10]
    assert last[-4:] == words[-4:]


def test_predict_shows_windows(trained, checkpoint, tmp_path, capsys):
    text = rows(1)[0]["text"]
    assert command(["predict", str(trained.path), "--text", text, "--windows"]) == 0
    assert "window 1  characters 0 to " in capsys.readouterr().out
    assert command(["predict", str(trained.path), "--text", text, "--windows", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["predictions"]
    assert set(found["windows"][0]) == {"start", "end", "probabilities"}

    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"text": text}) + "\n")
    asked = ["predict", str(trained.path), str(source), "--windows", "--output"]
    assert command([*asked, str(tmp_path / "out.jsonl")]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["windows"] == found["windows"]
    assert ftcls.predict(trained.path, [text], windows=True)["windows"][0] == found["windows"]
    assert ftcls.predict(trained.path, source, windows=True)["windows"][0] == found["windows"]
    capsys.readouterr()
    assert command([*asked, str(tmp_path / "out.csv")]) == 2
    assert "which csv has no place for; write .jsonl" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="reads a text as one"):
        ftcls.predict(checkpoint, [text], windows=True)


def test_the_page_shows_the_windows_of_the_worst_mistakes(trained):
    wrong = Classifier.from_pretrained(trained.path, device="cpu")
    text = rows(1)[0]["text"]
    label = wrong.labels[0]
    (found,) = wrong.windows_of([text])
    shown = list(explain_mistakes._windows(wrong, text, label))
    assert [each.probability for each in shown] == [each.probabilities[label] for each in found]
    weighed = mistake_words.Weighed(0, 0, label, (), tuple(shown))
    assert next(iter(run_page._windows(weighed))).startswith("characters 0 to ")
    assert list(explain_mistakes._windows(wrong, "w1 w2", label)) == []

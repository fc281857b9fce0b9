"""Adapters: what they update, what is trained in full beside them, and that they are loaded back as they were saved."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from ftcls.config.load import load
from ftcls.config.schema import Adapter
from ftcls.environment import devices
from ftcls.errors import ConfigError, DataError, TrainingError, UnavailableError
from ftcls.inference import reload_check
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, loading, scratch
from ftcls.pipeline import dry_run, evaluate, fit_model, train

pytest.importorskip("peft", reason="needs the adapters extra")

LABELS = ("no", "yes", "a, b")
TEXTS = ["one two three", "four", "two four six eight ten twelve", "emoji 😀"]


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


@pytest.fixture(scope="module")
def headless(tmp_path_factory):
    """A BERT as it comes from pretraining, but for its pooler, which some checkpoints lack."""
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = scratch.train_tokenizer(TEXTS)
    config = scratch.config("bert", tokenizer)
    config.hidden_size, config.intermediate_size = 16, 24
    torch.manual_seed(1)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def built(folder, *, seed=0, task="multiclass"):
    tokenizer = loading.load_tokenizer(str(folder), train_texts=())
    config = loading.load_config(str(folder), tokenizer, labels=LABELS, task=task)
    return loading.load_model(str(folder), config, attention=None, seed=seed)


def adapted(folder, *, seed=0, **section):
    return adapters.add(built(folder), Adapter(kind="lora", **section), checkpoint=str(folder), seed=seed)


def trained(found):
    return {name for name, each in found.model.named_parameters() if each.requires_grad}


def shaken(found):
    """The same with updates that do something: their second factor starts at zero."""
    torch.manual_seed(5)
    with torch.no_grad():
        for _, each in found.model.named_parameters():
            if each.requires_grad:
                each.add_(torch.randn_like(each) * 0.3)
    return found


def answers(model):
    torch.manual_seed(2)
    ids = torch.randint(5, 100, (3, 7))
    with torch.inference_mode():
        return model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.numpy()


# --- what is trained


def test_a_head_and_whatever_the_checkpoint_lacks_are_trained_in_full(headless):
    found = adapted(headless)
    assert found.heads == ("classifier", "bert.pooler.dense")
    names = trained(found)
    full = {name.split(".modules_to_save.")[0] for name in names if "lora" not in name}
    assert full == {"base_model.model.classifier", "base_model.model.bert.pooler.dense"}
    assert all("query" in name or "value" in name for name in names if "lora" in name)
    assert sum("lora" in name for name in names) == 2 * 2 * 2  # two layers, query and value, two factors


def test_both_layers_of_a_head_are_found():
    config = DistilBertConfig(vocab_size=40, dim=16, hidden_dim=16, n_layers=1, n_heads=2)
    model = DistilBertForSequenceClassification(config)
    assert adapters.heads(model) == ("pre_classifier", "classifier")
    assert adapters.targets(model, None, outside=adapters.heads(model)) == ("q_lin", "v_lin")


def test_a_model_that_is_new_altogether_trains_its_head_alone():
    tokenizer = scratch.train_tokenizer(TEXTS)
    config = loading.load_config("scratch:bert", tokenizer, labels=LABELS, task="multiclass")
    made = loading.load_model("scratch:bert", config, attention=None, seed=0)
    assert adapters.trained_in_full(made.model, made.new_parameters) == ("classifier",)


def test_all_linear_leaves_the_head_out(headless):
    found = adapted(headless, target_modules="all-linear")
    assert found.targets == ("dense", "key", "query", "value")
    assert not any("lora" in name for name in trained(found) if "classifier" in name or "pooler" in name)
    assert any("intermediate.dense.lora_A" in name for name in trained(found))


def test_layers_can_be_named(headless):
    assert adapted(headless, target_modules=("key",)).targets == ("key",)
    inner = adapted(headless, target_modules=("attention.output.dense",))
    assert all("attention.output.dense" in name for name in trained(inner) if "lora" in name)


def test_a_name_that_is_not_there_lists_what_is(headless):
    with pytest.raises(
        ConfigError,
        match=r"adapter\.target_modules: q_proj: BertForSequenceClassification .* it has dense, key, query, value\.",
    ):
        adapted(headless, target_modules=("query", "q_proj"))
    with pytest.raises(ConfigError, match="target_modules: classifier: "):
        adapted(headless, target_modules=("classifier",))


def test_an_architecture_without_an_entry_gets_every_linear_layer(headless, monkeypatch):
    monkeypatch.delitem(adapters.TARGETS, "bert")
    assert adapted(headless).targets == ("dense", "key", "query", "value")


def test_training_starts_at_the_checkpoint(headless):
    np.testing.assert_array_equal(answers(adapted(headless).model), answers(built(headless).model))


def test_the_updates_depend_on_the_seed_alone(headless):
    def first(seed):
        torch.rand(3)
        return next(each for name, each in adapted(headless, seed=seed).model.named_parameters() if "lora_A" in name)

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_rank_scale_and_switches_reach_the_layers(headless):
    def layer(**section):
        model = adapted(headless, r=4, alpha=8, dropout=0.25, **section).model
        return model.base_model.model.bert.encoder.layer[0].attention.self.query

    plain = layer()
    assert plain.lora_A["default"].out_features == 4
    assert plain.scaling["default"] == 2
    assert plain.lora_dropout["default"].p == 0.25
    assert layer(rslora=True).scaling["default"] == 8 / 4**0.5
    assert "default" in layer(dora=True).lora_magnitude_vector


def test_parameters_are_counted_once(headless):
    model = built(headless).model
    whole = sum(each.numel() for each in model.parameters())
    found = adapted(headless, r=2)
    updates = 2 * 2 * (16 * 2 + 2 * 16)
    full = sum(each.numel() for each in (*model.classifier.parameters(), *model.bert.pooler.parameters()))
    assert adapters.count(found.model) == (whole + updates, updates + full)


# --- what is saved and loaded


@pytest.mark.parametrize("section", [{}, {"dora": True, "rslora": True, "target_modules": "all-linear"}])
def test_a_saved_adapter_loads_to_the_same_logits(headless, tmp_path, section):
    found = shaken(adapted(headless, **section))
    found.save(found.model, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    model = loading.load_trained(str(tmp_path))
    assert type(model).__name__ == "BertForSequenceClassification"
    assert [model.config.id2label[i] for i in range(3)] == list(LABELS)
    np.testing.assert_allclose(answers(model), answers(found.model), atol=1e-5)
    assert np.abs(answers(model) - answers(built(headless).model)).max() > 0.1


def test_plain_peft_loads_it(headless, tmp_path):
    from peft import PeftConfig, PeftModel

    found = shaken(adapted(headless))
    found.save(found.model, tmp_path)
    base = AutoModelForSequenceClassification.from_pretrained(
        PeftConfig.from_pretrained(tmp_path).base_model_name_or_path, config=AutoConfig.from_pretrained(tmp_path)
    )
    with adapters._known_warnings():
        plain = PeftModel.from_pretrained(base, tmp_path)
    np.testing.assert_allclose(answers(plain), answers(found.model), atol=1e-6)


def test_an_untrained_base_is_kept_beside_its_adapter(tmp_path):
    tokenizer = scratch.train_tokenizer(TEXTS)
    config = loading.load_config("scratch:bert", tokenizer, labels=LABELS, task="multiclass")
    made = loading.load_model("scratch:bert", config, attention=None, seed=0)
    found = shaken(adapters.add(made, Adapter(kind="lora"), checkpoint="scratch:bert", seed=0))
    (tmp_path / "here").mkdir()
    found.save(found.model, tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    np.testing.assert_allclose(answers(loading.load_trained(str(tmp_path / "there"))), answers(found.model), atol=1e-6)


def test_an_adapter_is_no_checkpoint_to_start_from(headless, tmp_path):
    found = adapted(headless)
    found.save(found.model, tmp_path)
    AutoTokenizer.from_pretrained(headless).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"is an adapter without .* adapter\.merge=true"):
        built(tmp_path)


def test_an_adapter_of_somebody_else_is_one_message(headless, tmp_path):
    found = adapted(headless)
    found.save(found.model, tmp_path)
    (tmp_path / adapters.FILE).unlink()
    with pytest.raises(DataError, match=r"adapter\.json: not written by this version of ftcls .*merge_and_unload"):
        loading.load_trained(str(tmp_path))


def test_without_peft_the_line_that_installs_it_is_named(headless, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r'needs peft.*\n  pip install -c constraints.txt "ftcls\[adapters\]"'):
        adapted(headless)


# --- a whole run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    experiment = dry_run.smoke(load("ag_news", ["adapter.kind=lora", "training.learning_rate=1e-2"]))
    return train.train(experiment, output=tmp_path_factory.mktemp("runs") / "lora").files


def report(run):
    return json.loads(run.report.read_text(encoding="utf-8"))


def test_the_report_says_what_was_trained(run):
    found = report(run)["model"]
    assert found["architecture"] == "BertForSequenceClassification"
    assert found["adapter"].pop("reload_difference") < 1e-5
    assert found["adapter"] == {
        "kind": "lora", "r": 8, "alpha": 16, "dropout": 0.05, "target_modules": ["query", "value"],
        "heads": ["classifier"], "rslora": False, "dora": False, "merged": False,
    }  # fmt: skip
    assert found["trainable_parameters"] == 2 * 2 * 2 * 8 * 128 + 129 * 4
    assert found["parameters"] > 100 * found["trainable_parameters"] / 2


def test_an_adapter_scores_as_its_report_says(run):
    again = evaluate.evaluate(run.path)
    assert again.metrics == report(run)["metrics"]["test"]
    assert evaluate.evaluate(run.path, checkpoint="best").metrics == again.metrics
    said = Classifier.from_pretrained(run.path).classify(["The striker scored twice.", ""])
    assert [sum(each.probabilities.values()) for each in said] == pytest.approx([1, 1])


def test_a_merged_run_leaves_a_plain_checkpoint(run, tmp_path):
    experiment = load(run.config, ["adapter.merge=true"])
    merged = train.train(experiment, output=tmp_path / "merged").files
    there = {path.name for path in merged.model.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "decision.json"} <= there
    assert not there & set(adapters.FILES)
    model, info = AutoModelForSequenceClassification.from_pretrained(merged.model, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert reload_check.difference(model, reload_check.load(merged.model)) < 1e-5
    assert report(merged)["model"]["adapter"]["merged"]
    assert report(merged)["metrics"]["test"]["loss"] == pytest.approx(report(run)["metrics"]["test"]["loss"], rel=1e-5)


def test_a_base_that_changed_is_noticed(run, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(run.model, copy, ignore=shutil.ignore_patterns("manifest.json"))  # which would notice it first
    weights = load_file(copy / "base" / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"] *= 1.5
    save_file(weights, copy / "base" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnavailableError, match=r"gives logits up to .* The weights it was trained on have changed"):
        Classifier.from_pretrained(copy)


def lost(weights):
    return {name: tensor for name, tensor in weights.items() if "classifier" not in name}


def at_random(weights):
    return {name: torch.randn_like(tensor) if "classifier" in name else tensor for name, tensor in weights.items()}


@pytest.mark.parametrize(("harm", "message"), [(lost, "cannot be put on"), (at_random, "gives logits up to")])
def test_a_run_whose_adapter_comes_back_with_another_head_has_failed(run, tmp_path, monkeypatch, harm, message):
    from_pretrained = Classifier.from_pretrained

    def losing(place, **options):
        save_file(harm(load_file(place / adapters.WEIGHTS)), place / adapters.WEIGHTS)
        (place / "manifest.json").unlink()  # which would notice it first
        return from_pretrained(place, **options)

    monkeypatch.setattr(fit_model.Classifier, "from_pretrained", losing)
    with pytest.raises(TrainingError, match=f"the model that was saved does not load back: .*{message}"):
        train.train(load(run.config), output=tmp_path / "lost")
    assert not (tmp_path / "lost" / "report.json").exists()

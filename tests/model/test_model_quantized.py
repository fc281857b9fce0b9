"""Frozen layers in four and eight bits on this CPU: what is quantized, trained, loaded back and merged."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, GPT2Config, GPT2Model

from ftcls.config.load import load
from ftcls.config.schema import Adapter
from ftcls.environment import devices
from ftcls.errors import ConfigError, UnavailableError
from ftcls.exporting.export import export
from ftcls.inference import reload_check
from ftcls.model import adapters, loading, quantization, scratch
from ftcls.pipeline import dry_run, evaluate, train

bnb = pytest.importorskip("bitsandbytes", reason="needs the quantization extra")
pytest.importorskip("peft", reason="needs the adapters extra")

LABELS = ("no", "yes", "a, b")
TEXTS = ["one two three", "four", "two four six eight ten twelve", "emoji 😀"]
KINDS = pytest.mark.parametrize("kind", ["nf4", "int8"])


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


def loaded(kind, checkpoint="scratch:bert"):
    tokenizer = loading.load_tokenizer(checkpoint, train_texts=TEXTS)
    config = loading.load_config(checkpoint, tokenizer, labels=LABELS, task="multiclass")
    return loading.load_model(checkpoint, config, attention=None, seed=0, quantization=kind)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """Its layers keep their weights the other way round."""
    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = scratch.train_tokenizer(TEXTS)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=64, n_layer=1, n_head=2, n_positions=32, initializer_range=0.3
    )
    GPT2Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def answers(model):
    torch.manual_seed(2)
    ids = torch.randint(5, 100, (3, 7))
    with torch.inference_mode():
        return model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float().numpy()


def shaken(found):
    torch.manual_seed(5)
    with torch.no_grad():
        for _, each in found.model.named_parameters():
            if each.requires_grad:
                each.add_(torch.randn_like(each) * 0.1)
    return found


@KINDS
def test_layers_are_quantized_and_what_may_be_trained_is_not(kind):
    model = loaded(kind).model
    wanted = bnb.nn.Linear4bit if kind == "nf4" else bnb.nn.Linear8bitLt
    small = {name for name, module in model.named_modules() if isinstance(module, wanted)}
    assert {name.rpartition(".")[2] for name in small} == {"query", "key", "value", "dense"}
    assert all(name.startswith("bert.encoder.layer.") for name in small)
    assert {type(module) for module in (model.classifier, model.bert.pooler.dense)} == {torch.nn.Linear}
    assert model.classifier.weight.dtype == torch.float32


def test_four_bits_are_quantized_doubly():
    layer = loaded("nf4").model.bert.encoder.layer[0].attention.self.query
    assert layer.weight.quant_state.quant_type == "nf4"
    assert layer.weight.quant_state.nested
    assert layer.compute_dtype == torch.float32


@KINDS
@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_the_outline_of_a_model_has_its_layers_its_types_and_its_size(gpt2, kind, architecture):
    checkpoint = gpt2 if architecture == "gpt2" else "scratch:bert"
    real = loaded(kind, checkpoint).model
    with torch.device("meta"):
        outline = AutoModelForSequenceClassification.from_config(real.config, dtype=torch.float32)
    quantization.outline(outline, compute="bf16")
    small = bnb.nn.Linear4bit | bnb.nn.Linear8bitLt
    assert {name for name, module in outline.named_modules() if isinstance(module, quantization.Outline)} == {
        name for name, module in real.named_modules() if isinstance(module, small)
    }
    assert adapters.count(outline)[0] == adapters.count(real)[0]
    held = sum(each.numel() * each.element_size() for each in real.parameters())
    assert quantization.stored_bytes(outline, kind) == pytest.approx(held, rel=0.02)


@KINDS
def test_parameters_are_counted_as_numbers_and_not_as_bytes(kind):
    assert adapters.count(loaded(kind).model)[0] == adapters.count(loaded("none").model)[0]


@KINDS
@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_an_adapter_on_quantized_layers_is_loaded_back_and_merged(tmp_path, gpt2, kind, architecture):
    checkpoint = gpt2 if architecture == "gpt2" else "scratch:bert"
    section = Adapter(kind="lora", quantization=kind)
    found = shaken(adapters.add(loaded(kind, checkpoint), section, checkpoint=checkpoint, seed=0))
    found.save(found.model, tmp_path)
    again = loading.load_trained(str(tmp_path))
    np.testing.assert_allclose(answers(again), answers(found.model), atol=1e-5)

    merged = loading.load_merged(tmp_path)
    assert {parameter.dtype for parameter in merged.parameters()} == {torch.float32}
    difference = np.abs(answers(merged) - answers(found.model)).max() / np.abs(answers(found.model)).max()
    assert difference < {"nf4": 1e-4, "int8": 0.05}[kind]  # int8 rounds what enters its layers too
    if kind == "nf4":  # it is the quantized weights that it was added to, not those of the checkpoint
        plain = adapters.attach(loading._base(tmp_path, device="cpu", quantize=False), tmp_path, merge=True)
        assert np.abs(answers(plain) - answers(merged)).max() > 10 * difference


SMALL = ["adapter.kind=lora", "adapter.quantization=nf4", "training.optim=adamw_bnb_8bit"]


@pytest.mark.slow
@pytest.mark.parametrize("merge", [False, True])
def test_a_whole_run_in_four_bits(tmp_path, merge):
    experiment = dry_run.smoke(load("ag_news", [*SMALL, f"adapter.merge={str(merge).lower()}"]))
    run = train.train(experiment, output=tmp_path / "run").files
    report = json.loads(run.report.read_text(encoding="utf-8"))
    assert report["model"]["quantization"] == "nf4"
    assert report["model"]["architecture"] == "BertForSequenceClassification"
    assert report["model"]["adapter"]["reload_difference"] < (0.05 if merge else 1e-3)
    assert evaluate.evaluate(run.path).metrics == report["metrics"]["test"]
    if not merge:
        found = export(run.path, to="torch", output=tmp_path / "plain", tolerance=1e-4, rows=20)
        assert found.agreement.max_logit_difference < 1e-4
        plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "plain")
        assert not hasattr(plain.config, "quantization_config")
        assert {parameter.dtype for parameter in plain.parameters()} == {torch.float32}
    if merge:
        model = AutoModelForSequenceClassification.from_pretrained(run.model)
        assert not hasattr(model.config, "quantization_config")
        assert reload_check.difference(model, reload_check.load(run.model)) == pytest.approx(
            report["model"]["adapter"]["reload_difference"], abs=1e-5
        )


def test_paged_states_need_cuda(tmp_path):
    experiment = dry_run.smoke(load("ag_news", ["training.optim=paged_adamw_8bit", "training.device=cpu"]))
    with pytest.raises(ConfigError, match=r"training\.optim: paged_adamw_8bit: needs a CUDA device, this is cpu"):
        train.train(experiment, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_there_is_nothing_for_metal():
    with pytest.raises(ConfigError, match=r"adapter\.quantization: bitsandbytes has nothing for mps"):
        quantization.check_available("adapter.quantization", "mps")


@pytest.mark.parametrize("key", ["adapter.quantization", "training.optim"])
def test_without_bitsandbytes_the_line_that_installs_it_is_named(monkeypatch, key):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find(name))
    given = SMALL[:2] if key == "adapter.quantization" else SMALL[2:]
    experiment = load("ag_news", [*given, "training.device=cpu"])
    with pytest.raises(UnavailableError, match=rf'{key} needs bitsandbytes.*\n  pip .*"ftcls\[quantization\]"'):
        dry_run.check_installed(experiment, devices.choose("cpu", "fp32"))

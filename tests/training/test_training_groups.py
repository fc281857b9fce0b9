"""Frozen layers and learning rates of their own, under the names that architectures give their layers."""

import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification, TrainerCallback

import fitting
from ftcls.config.schema import Adapter
from ftcls.errors import ConfigError
from ftcls.training import parameter_groups

BERT = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 20}
CONFIGS = {
    "bert": ("BertConfig", BERT, "bert.encoder.layer.", {"bert.embeddings"}),
    "distilbert": (
        "DistilBertConfig",
        {"dim": 8, "hidden_dim": 8, "n_layers": 3, "n_heads": 2, "vocab_size": 20},
        "distilbert.transformer.layer.",
        {"distilbert.embeddings"},
    ),
    "gpt2": (
        "GPT2Config",
        {"n_embd": 8, "n_layer": 3, "n_head": 2, "vocab_size": 20, "bos_token_id": 0, "eos_token_id": 0},
        "transformer.h.",
        {"transformer.wte", "transformer.wpe"},
    ),
    "modernbert": ("ModernBertConfig", {**BERT, "pad_token_id": 0}, "model.layers.", {"model.embeddings"}),
    "deberta-v2": (
        "DebertaV2Config",
        {**BERT, "relative_attention": True, "position_buckets": 4},
        "deberta.encoder.layer.",
        {"deberta.embeddings", "deberta.encoder.rel_embeddings"},
    ),
    "llama": ("LlamaConfig", {**BERT, "pad_token_id": 0}, "model.layers.", {"model.embed_tokens"}),
}
architectures = pytest.mark.parametrize("name", CONFIGS)


def built(name):
    kind, settings, *_ = CONFIGS[name]
    return AutoModelForSequenceClassification.from_config(getattr(transformers, kind)(**settings))


def within(name, places):
    return any(name.startswith(f"{place}.") for place in places)


@architectures
@pytest.mark.parametrize("first", [0, 2])
def test_embeddings_and_the_first_layers_are_frozen(name, first):
    _, _, prefix, embeddings = CONFIGS[name]
    model = built(name)
    parameter_groups.freeze(model, first)
    places = embeddings | {f"{prefix}{i}" for i in range(first)}
    for each, parameter in model.named_parameters():
        assert parameter.requires_grad == (not within(each, places)), each


@architectures
def test_rates_fall_from_layer_to_layer(name):
    _, _, prefix, embeddings = CONFIGS[name]
    model = built(name)
    names = {id(parameter): each for each, parameter in model.named_parameters()}
    decayed = {each for each in names.values() if each.endswith("weight")}
    made = parameter_groups.groups(
        model, decayed, learning_rate=1.0, weight_decay=0.01, layer_decay=0.5, head_learning_rate=7.0
    )  # fmt: skip
    found = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in made for p in group["params"]}

    assert found.keys() == set(names.values())
    assert sum(len(group["params"]) for group in made) == len(found)
    for each, (rate, decay) in found.items():
        layer = next((i for i in range(3) if each.startswith(f"{prefix}{i}.")), None)
        if within(each, embeddings):
            expected = 0.125
        elif layer is not None:
            expected = (0.25, 0.5, 1.0)[layer]
        else:
            expected = 1.0 if each.startswith(f"{model.base_model_prefix}.") else 7.0
        assert (rate, decay) == (expected, 0.01 if each in decayed else 0.0), each
    assert made[0]["lr"] == 1.0  # the one that is logged


def test_more_layers_than_there_are_is_an_error():
    with pytest.raises(ConfigError, match=r"training\.freeze: 4: Bert.* has 3 layers; write at most that"):
        parameter_groups.freeze(built("bert"), 4)


def test_layers_that_cannot_be_told_apart_are_an_error():
    albert = AutoModelForSequenceClassification.from_config(transformers.AlbertConfig(**BERT, embedding_size=4))
    with pytest.raises(ConfigError, match=r"training\.freeze: AlbertForSequenceClassification has no list of 3 layers"):
        parameter_groups.freeze(albert, 1)
    with pytest.raises(ConfigError, match=r"training\.layer_decay: AlbertForSequenceClassification"):
        parameter_groups.groups(
            albert, (), learning_rate=1.0, weight_decay=0.0, layer_decay=0.5, head_learning_rate=None
        )  # fmt: skip


@pytest.mark.parametrize("adapter", [None, Adapter(kind="lora")])
def test_the_rates_reach_the_optimizer_and_follow_the_schedule(tmp_path, adapter):
    seen = []

    class Look(TrainerCallback):
        def on_step_end(self, args, state, control, optimizer=None, model=None, **kwargs):
            names = {id(parameter): name for name, parameter in model.named_parameters()}
            seen.append(
                {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
            )  # fmt: skip

    settings = {"max_steps": 4, "learning_rate": 1e-4, "head_learning_rate": 1e-3, "eval_strategy": "no"}
    settings["warmup_steps"] = 0
    fitting.run(tmp_path, training=settings, adapter=adapter, callbacks=(Look(),))
    assert len(seen) == 4
    for number, rates in enumerate(seen):
        left = 1 - (number + 1) / 4  # the schedule has moved on
        for name, rate in rates.items():
            assert rate == pytest.approx((1e-3 if "classifier" in name else 1e-4) * left), name


def test_frozen_layers_come_out_as_they_went_in(tmp_path, monkeypatch):
    load = fitting.loading.load_model
    before = {}

    def frozen(*args, **options):
        made = load(*args, **options)
        parameter_groups.freeze(made.model, 1)
        before.update({name: each.clone() for name, each in made.model.state_dict().items()})
        return made

    monkeypatch.setattr(fitting.loading, "load_model", frozen)
    fitting.run(tmp_path, training={"max_steps": 3, "eval_strategy": "no", "weight_decay": 0.1})
    after = fitting.weights(tmp_path)
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if "embeddings" in name or "layer.0." in name} <= kept
    assert "bert.encoder.layer.1.attention.self.query.weight" not in kept

import json

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    CamembertConfig,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
    T5Config,
    XLMRobertaConfig,
    XLNetConfig,
)

from ftcls.errors import ConfigError
from ftcls.model import loading, pooling
from ftcls.model.encoder_layers import ARCHITECTURES, layers

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 60}
CONFIGS = {
    "BertForSequenceClassification": BertConfig(**SIZES),
    "CamembertForSequenceClassification": CamembertConfig(**SIZES, max_position_embeddings=66),
    "DistilBertForSequenceClassification": DistilBertConfig(
        dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=60
    ),
    "ElectraForSequenceClassification": ElectraConfig(**SIZES, embedding_size=32),
    "RobertaForSequenceClassification": RobertaConfig(**SIZES, max_position_embeddings=66),
    "XLMRobertaForSequenceClassification": XLMRobertaConfig(**SIZES, max_position_embeddings=66),
}
IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 1, 1, 1]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


def encoder(folder, config, **declared):
    """A checkpoint of an encoder without a head, as sentence-transformers would have left it."""
    config.pad_token_id, config.num_labels = 1, 3
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    for parameter in model.base_model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.base_model.save_pretrained(folder)
    if declared:
        (folder / "modules.json").write_text(
            json.dumps(
                [
                    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
                    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                ]
            )
        )
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **declared}))
    return str(folder)


def built(checkpoint, wanted, *, quantized=False, **start):
    config = loading.AutoConfig.from_pretrained(checkpoint, num_labels=3)
    chosen, config = pooling.choose(wanted, checkpoint, config, quantized=quantized)
    return chosen, pooling.start(loading.load_model(checkpoint, config, attention=None, seed=1), chosen, **start)


def norm(states):
    return torch.nn.functional.layer_norm(states, states.shape[-1:], eps=1e-12)


def test_every_architecture_whose_layers_are_known_is_tried_here():
    assert CONFIGS.keys() == ARCHITECTURES.keys() == pooling.DENSE.keys()


@pytest.mark.parametrize("times", [1.0, pooling.ALONE])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_added_layer_starts_as_the_mean_of_the_tokens(tmp_path, name, times):
    checkpoint = encoder(tmp_path / "bare", CONFIGS[name])
    chosen, made = built(checkpoint, "mean", times=times)
    assert chosen.added_layer
    model = made.model.eval()
    plain = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    with torch.no_grad():
        before = plain.base_model(IDS, attention_mask=MASK).last_hidden_state
        states = model.base_model(IDS, attention_mask=MASK).last_hidden_state
        mean = (before * MASK[..., None]).sum(1) / MASK.sum(1, keepdim=True)
        assert torch.allclose(states[:, 0], norm(norm(times * mean + before[:, 0])), atol=1e-5)
        dense = model.get_submodule(pooling.DENSE[name].name)
        assert torch.allclose(dense(states[:, 0]), pooling.DENSE[name].scale * states[:, 0] + pooling.DENSE[name].shift)
    assert len(layers(model, ARCHITECTURES[name])) == 3
    fresh = {key for key, _ in model.named_parameters() if ".2." in key}
    assert fresh
    assert fresh <= set(made.new_parameters)
    assert not any(".1." in key for key in made.new_parameters)


@pytest.mark.parametrize("name", CONFIGS)
def test_plain_transformers_gives_what_was_saved(tmp_path, name):
    checkpoint = encoder(tmp_path / "bare", CONFIGS[name])
    _, made = built(checkpoint, "attention")
    loading.save(made.model, tmp_path / "saved")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        said = made.model.eval()(IDS, attention_mask=MASK).logits
        assert torch.allclose(again(IDS, attention_mask=MASK).logits, said, atol=1e-6)
        alone = again(IDS[1:, :3], attention_mask=MASK[1:, :3]).logits
        assert torch.allclose(alone, said[1:], atol=1e-5)


def test_all_of_the_added_layer_learns(tmp_path):
    _, made = built(encoder(tmp_path / "bare", CONFIGS["BertForSequenceClassification"]), "mean")
    optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1)
    made.model.eval()
    for _ in range(2):  # in the first step the keys have no gradient: the queries are zero
        optimizer.zero_grad()
        made.model(IDS, attention_mask=MASK, labels=torch.tensor([0, 2])).loss.backward()
        optimizer.step()
    added = {n: p for n, p in made.model.named_parameters() if ".layer.2." in n}
    # A bias of the keys moves all scores of a text alike, which softmax does not see.
    still = [name for name, parameter in added.items() if "key.bias" not in name and not parameter.grad.any()]
    assert still == []


def test_auto_takes_the_mean_where_a_sentence_encoder_declares_it(tmp_path):
    checkpoint = encoder(tmp_path / "bare", CONFIGS["BertForSequenceClassification"], pooling_mode_mean_tokens=True)
    chosen, made = built(checkpoint, "auto")
    assert (chosen.kind, chosen.added_layer) == ("mean", True)
    assert made.model.config.num_hidden_layers == 3


def test_auto_starts_the_pooler_anew_where_cls_is_declared_and_keeps_the_layers(tmp_path):
    checkpoint = encoder(tmp_path / "bare", CONFIGS["BertForSequenceClassification"], pooling_mode_cls_token=True)
    chosen, made = built(checkpoint, "auto")
    assert (chosen.kind, chosen.added_layer) == ("cls", False)
    assert made.model.config.num_hidden_layers == 2
    assert torch.equal(made.model.bert.pooler.dense.weight, 0.5 * torch.eye(32))
    assert "bert.pooler.dense.weight" in made.new_parameters


@pytest.mark.parametrize("declared", [{}, {"pooling_mode_max_tokens": True}, {"pooling_mode_mean_tokens": False}])
def test_auto_is_the_architectures_own_where_nothing_that_is_known_is_declared(tmp_path, declared):
    checkpoint = encoder(tmp_path / "bare", CONFIGS["BertForSequenceClassification"], **declared)
    chosen, made = built(checkpoint, "auto")
    assert (chosen.kind, chosen.added_layer, made.model.config.num_hidden_layers) == ("cls", False, 2)
    plain = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    assert torch.equal(made.model.bert.pooler.dense.weight, plain.bert.pooler.dense.weight)


@pytest.mark.parametrize(
    ("config", "own"),
    [
        (BertConfig(**SIZES), "cls"),
        (GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=60), "last"),
        (T5Config(d_model=32, num_layers=1, vocab_size=60), "last"),
        (XLNetConfig(d_model=32, n_layer=1, n_head=4, vocab_size=60), "last"),
        (MPNetConfig(**SIZES), "cls"),
        (ModernBertConfig(**SIZES, classifier_pooling="mean"), "mean"),
    ],
)
def test_the_architectures_own_pooling_is_known(config, own):
    assert pooling.choose("auto", "scratch:bert", config, quantized=False)[0].kind == own
    assert pooling.choose(own, "scratch:bert", config, quantized=False)[0].kind == own


def test_modernbert_pools_by_its_own_key():
    config = ModernBertConfig(**SIZES, classifier_pooling="cls")
    chosen, config = pooling.choose("mean", "scratch:modernbert", config, quantized=False)
    assert (config.classifier_pooling, config.num_hidden_layers, chosen.added_layer) == ("mean", 2, False)


@pytest.mark.parametrize(
    ("config", "wanted", "message"),
    [
        (GPT2Config(), "mean", "GPT2ForSequenceClassification cannot pool by mean; it takes last, or auto"),
        (MPNetConfig(), "mean", "MPNetForSequenceClassification cannot pool by mean; it takes cls, or auto"),
        (BertConfig(), "last", "cannot pool by last; it takes cls, mean, attention, or auto"),
    ],
)
def test_a_pooling_that_an_architecture_cannot_have_is_refused(config, wanted, message):
    with pytest.raises(ConfigError, match=message):
        pooling.choose(wanted, "scratch:bert", config, quantized=False)


def test_layers_in_few_bits_take_none_more(tmp_path):
    checkpoint = encoder(tmp_path / "bare", CONFIGS["BertForSequenceClassification"], pooling_mode_mean_tokens=True)
    config = loading.AutoConfig.from_pretrained(checkpoint)
    with pytest.raises(ConfigError, match=r"adapter\.quantization takes those of the checkpoint alone"):
        pooling.choose("mean", checkpoint, config, quantized=True)
    chosen, config = pooling.choose("auto", checkpoint, config, quantized=True)
    assert (chosen.kind, config.num_hidden_layers) == ("cls", 2)


def test_a_checkpoint_without_a_pooler_is_told_by_its_missing_parameters(tmp_path):
    BertForMaskedLM(CONFIGS["BertForSequenceClassification"]).save_pretrained(tmp_path / "mlm")
    _, made = built(str(tmp_path / "mlm"), "cls")
    assert "bert.pooler.dense.weight" in made.new_parameters

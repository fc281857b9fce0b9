"""Tokenizer against model, and tokenizer against texts."""

import logging

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, BertConfig, PreTrainedTokenizerFast

import ftcls
from ftcls.cli.app import run
from ftcls.environment import devices
from ftcls.errors import UnavailableError
from ftcls.inference.classifier import Classifier
from ftcls.model import loading
from ftcls.model.tokenize import encode, unknown_tokens

WORDS = ["warm", "fresh", "clever", "dull", "cold", "stale"]
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


@pytest.fixture
def checkpoint(tmp_path):
    """Makes a classifier whose tokenizer knows six words, with so many rows more than tokens."""

    def make(rows_more=0):
        vocabulary = {token: i for i, token in enumerate([*SPECIAL.values(), *WORDS])}
        backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(vocabulary) + rows_more, num_labels=2, **SIZES)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "m")
        tokenizer.save_pretrained(tmp_path / "m")
        return str(tmp_path / "m")

    return make


def loaded(place):
    tokenizer = loading.load_tokenizer(place, train_texts=())
    config = loading.load_config(place, tokenizer, labels=("a", "b"), task="binary")
    return loading.load_model(place, config, attention=None, seed=0)


def test_a_tokenizer_of_another_model_is_refused_with_both_numbers(checkpoint):
    place = checkpoint(-1)
    message = r"its tokenizer numbers 10 tokens \(the last is 'stale'\), and the model's embedding has 9 rows"
    with pytest.raises(UnavailableError, match=message):
        Classifier.from_pretrained(place, device="cpu")
    with pytest.raises(UnavailableError, match=message):
        loaded(place)


@pytest.mark.parametrize("more", [0, 6])
def test_rows_that_no_token_uses_are_none_of_our_business(checkpoint, more):
    place = checkpoint(more)
    assert Classifier.from_pretrained(place, device="cpu").predict_proba(["warm"]).shape == (1, 2)
    assert loaded(place).new_parameters == ()


def test_a_configuration_that_does_not_fit_its_weights_is_refused_and_no_embedding_drawn_anew(checkpoint):
    place = checkpoint(0)
    config = BertConfig.from_pretrained(place)
    config.vocab_size += 3
    config.save_pretrained(place)
    message = r"config.json does not fit its weights: bert.embeddings.word_embeddings.weight has another shape"
    with pytest.raises(UnavailableError, match=message):
        loaded(place)


def test_unknown_tokens_are_counted_text_by_text(checkpoint):
    tokenizer = loading.load_tokenizer(checkpoint(0), train_texts=())
    encoded = encode(["warm", "", "x y dull z", "[UNK] cold"], tokenizer, max_length=5, truncation="head", cached=False)
    assert unknown_tokens(encoded, tokenizer).tolist() == [0, 0, 2, 1]  # z is cut off
    none = encode([], tokenizer, max_length=5, truncation="head", cached=False)
    assert unknown_tokens(none, tokenizer).tolist() == []


def test_an_end_token_that_is_called_unknown_too_counts_for_nothing(checkpoint):
    tokenizer = loading.load_tokenizer(checkpoint(0), train_texts=())
    tokenizer.unk_token = "[SEP]"
    encoded = encode(["warm dull"], tokenizer, max_length=5, truncation="head", cached=False)
    assert unknown_tokens(encoded, tokenizer).tolist() == [0]


@pytest.fixture
def config(checkpoint, tmp_path):
    rows = [(f"{word} strange{i} odd{i}", "ab"[i % 2]) for i in range(20) for word in WORDS[:2]]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (tmp_path / "c.yaml").write_text(
        f"name: odd\ndata: {{source: files, path: rows.csv, task: binary}}\nmodel: {{checkpoint: '{checkpoint(0)}'}}\n"
        "training: {max_steps: 1, batch_size: 4, device: cpu, precision: fp32}\n"
    )
    return str(tmp_path / "c.yaml")


def test_data_shows_that_the_tokenizer_knows_few_of_the_tokens(config, capsys):
    assert run(["data", config]) == 0
    assert "unknown_tokens" in capsys.readouterr().out


def test_train_warns_before_it_starts_and_reports_it(config, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="ftcls"):
        found = ftcls.train(config, output=tmp_path / "run")
    lines = [record.getMessage() for record in caplog.records]
    said = next(i for i, line in enumerate(lines) if "of the tokens of train are unknown to" in line)
    assert lines[said].startswith("40 % of the tokens")  # two of five, [CLS] and [SEP] counted in
    assert said < next(i for i, line in enumerate(lines) if "new parameters" in line or "pooling" in line)
    (check,) = [check for check in found.report.data.checks if check.name == "unknown_tokens"]
    assert (check.severity, check.count) == ("warning", 40)
    np.testing.assert_equal(sum(len(rows) for rows in check.rows.values()), 40)

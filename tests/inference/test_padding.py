"""A text has the same logits alone and in a batch, on whichever side its architecture wants padding."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tokenizers import processors
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import ftcls
from ftcls.environment import devices
from ftcls.errors import UnavailableError
from ftcls.inference import padding_check, reload_check
from ftcls.inference.classifier import Classifier
from ftcls.model import loading, padding
from ftcls.model.tokenize import encode

TEXTS = ["warm", "dull cold", "table river paper garden window carton " * 4]
ROWS = pd.DataFrame(
    {"text": [f"{word} {word} {i}" for i in range(20) for word in ("warm", "dull")], "label": ["pos", "neg"] * 20}
)
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
XLNET = {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32}
FEW_STEPS = {"max_steps": 4, "batch_size": 8, "learning_rate": 1e-2, "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Makes a classifier of an architecture with weights so large that padding which is read changes the logits."""

    def make(name, **sizes):
        folder = tmp_path_factory.mktemp(name)
        tokenizer = loading.load_tokenizer("scratch:bert", train_texts=[*TEXTS, *ROWS["text"]])
        if name == "XLNet":  # its class token stands last
            special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("[SEP]", "[CLS]")]
            template = processors.TemplateProcessing(single="$A [SEP] [CLS]", special_tokens=special)
            tokenizer.backend_tokenizer.post_processor = template
        torch.manual_seed(0)
        kind = getattr(transformers, f"{name}Config")
        config = kind(
            vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, num_labels=2, initializer_range=0.3, **sizes
        )
        config.id2label = {0: "neg", 1: "pos"}
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return make


@pytest.fixture(scope="module")
def xlnet(checkpoint):
    return checkpoint("XLNet", **XLNET)


def trained(folder, place):
    ROWS.to_csv(place / "rows.csv", index=False)
    data = {"source": "files", "path": str(place / "rows.csv"), "text": "text", "label": "label", "task": "binary"}
    model = {"checkpoint": folder, "max_length": 32}
    return ftcls.train({"name": "few", "data": data, "model": model, "training": FEW_STEPS}, output=place / "run")


def alone_and_together(classifier):
    alone = np.concatenate([classifier.predict_proba([text]) for text in TEXTS])
    return alone, classifier.predict_proba(TEXTS)


def test_texts_are_filled_on_the_side_that_is_asked_for():
    texts = [np.array([5, 6, 3], dtype=np.int32), np.array([7, 8, 9, 4], dtype=np.int32)]
    ids, mask = padding.pad(texts, 1, "left").values()
    assert ids.tolist() == [[1, 5, 6, 3], [7, 8, 9, 4]]
    assert mask.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    ids, mask = padding.pad(texts, 1).values()
    assert ids.tolist() == [[5, 6, 3, 1], [7, 8, 9, 4]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def test_xlnet_is_padded_on_the_left_and_says_alone_what_it_says_in_a_batch(xlnet):
    classifier = Classifier.from_pretrained(xlnet, device="cpu")
    assert classifier.tokenizer.padding_side == "left"
    alone, together = alone_and_together(classifier)
    np.testing.assert_allclose(together, alone, atol=1e-6)
    right = dataclasses.replace(classifier.encode(TEXTS), padding_side="right")
    assert np.abs(classifier.logits(right) - classifier.logits(classifier.encode(TEXTS))).max() > 0.1


def test_xlnet_is_trained_padded_on_the_left_and_saved_so_for_plain_transformers(xlnet, tmp_path):
    run = trained(xlnet, tmp_path)
    classifier = run.classifier(device="cpu")
    alone, together = alone_and_together(classifier)
    np.testing.assert_allclose(together, alone, atol=1e-6)
    model = AutoModelForSequenceClassification.from_pretrained(run.files.model)
    tokenizer = AutoTokenizer.from_pretrained(run.files.model)
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        plain = model(**inputs).logits.softmax(-1)
    np.testing.assert_allclose(plain, together, atol=1e-5)


def test_the_other_side_is_tried_where_the_expected_one_is_read(xlnet, monkeypatch, caplog):
    monkeypatch.setattr(padding, "side", lambda config: "right")
    with caplog.at_level("INFO", logger="ftcls"):
        assert Classifier.from_pretrained(xlnet, device="cpu").tokenizer.padding_side == "left"
    assert "padding    on the left: on the right this model reads it" in caplog.text


@pytest.mark.parametrize("name", ["FNet", "ConvBert"])
def test_a_model_that_reads_padding_on_both_sides_is_refused(checkpoint, tmp_path, name):
    folder = checkpoint(name, **{k: v for k, v in SIZES.items() if name == "ConvBert" or k != "num_attention_heads"})
    message = r"what it says of a text depends on the texts beside it: .*Its architecture reads padding: take a"
    with pytest.raises(UnavailableError, match=message):
        Classifier.from_pretrained(folder, device="cpu")
    with pytest.raises(UnavailableError, match=f"model.checkpoint: .*{message}"):
        trained(folder, tmp_path)


def test_weights_that_are_not_finite_are_refused(checkpoint, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(place := checkpoint("Bert", **SIZES))
    with torch.no_grad():
        model.classifier.bias[0] = float("nan")
    model.save_pretrained(place)
    with pytest.raises(UnavailableError, match="its logits are not finite"):
        Classifier.from_pretrained(place, device="cpu")


def test_the_check_leaves_a_model_in_its_mode_and_nothing_that_training_cannot_use(checkpoint):
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint("Bert", **SIZES)).train()
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
    both = encode(TEXTS[:2], tokenizer, max_length=8, truncation="head", cached=False)
    padding_check.of_model(model)(both)
    assert model.training
    assert not any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers()))


def test_a_probe_is_read_back_with_its_side_and_one_of_an_earlier_version_without(xlnet, tmp_path):
    classifier = Classifier.from_pretrained(xlnet, device="cpu")
    probe = reload_check.take(classifier.model, classifier.encode(TEXTS))
    assert probe.padding_side == "left"
    reload_check.save(probe, tmp_path)
    assert reload_check.load(tmp_path) == probe
    assert reload_check.check(classifier.model, tmp_path) == pytest.approx(0, abs=1e-6)
    (tmp_path / reload_check.FILE).write_text(
        '{"schema_version": 1, "input_ids": [[5, 6]], "logits": [[0.5, 1.0]], "tolerance": 0.1}'
    )
    assert reload_check.load(tmp_path) == reload_check.Probe(((5, 6),), ((0.5, 1.0),), 0.1, "right")


def test_the_side_is_saved_over_the_one_that_a_tokenizer_came_with(tmp_path):
    loading.load_tokenizer("scratch:bert", train_texts=TEXTS).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tmp_path, padding_side="left").save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).padding_side == "left"
    loading.load_tokenizer(str(tmp_path), train_texts=()).save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).padding_side == "right"


def test_a_batch_has_as_many_tokens_as_every_architecture_takes():
    batch = padding.pad([np.array([5, 6], dtype=np.int32)], 1)
    assert batch["input_ids"].tolist() == [[5, 6, 1, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0]]
    left = padding.pad([np.array([5, 6], dtype=np.int32)], 1, side="left")
    assert left["input_ids"].tolist() == [[1, 1, 5, 6]]

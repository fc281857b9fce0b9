"""Tokenizers that are a SentencePiece model and nothing else, as DeBERTa-v3 comes."""

import importlib.util
import io
import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, DebertaV2Config

import ftcls
from ftcls.environment import devices
from ftcls.errors import UnavailableError
from ftcls.model import loading, pretrained

spm = pytest.importorskip("sentencepiece", reason="needs the sentencepiece extra")
pytest.importorskip("google.protobuf", reason="needs the sentencepiece extra")

WORDS = ["warm", "fresh", "lovely", "clever", "dull", "cold", "stale", "harsh", "table", "river", "paper", "window"]
SENTENCES = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(12)]
TEXTS = ["a warm, fresh river", "dull", "cold stale paper and a harsh window"]


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


@pytest.fixture(scope="module")
def deberta(tmp_path_factory):
    """A DeBERTa-v2 as pretraining leaves it, with a SentencePiece model that was trained on a few sentences."""
    folder = tmp_path_factory.mktemp("deberta")
    model = io.BytesIO()
    special = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    names = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        **special,
        **names,
    )
    (folder / "spm.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "vocab_type": "spm"}))
    torch.manual_seed(0)
    config = DebertaV2Config(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
        position_buckets=8,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
    )
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def test_it_is_trained_saved_and_loaded_with_the_same_probabilities(deberta, tmp_path):
    rows = pd.DataFrame({"text": SENTENCES * 3, "label": (["a", "b", "b"] * 12)[:36]})
    rows["text"] += [f" {word}" for word in WORDS] * 3
    rows.to_csv(tmp_path / "rows.csv", index=False)
    config = {
        "name": "deberta",
        "data": {"source": "files", "path": str(tmp_path / "rows.csv"), "task": "binary"},
        "model": {"checkpoint": str(deberta), "max_length": 32},
        "training": {"max_steps": 1, "batch_size": 8, "device": "cpu", "precision": "fp32"},
    }
    run = ftcls.train(config, output=tmp_path / "run")
    said = run.classifier(device="cpu").predict_proba(TEXTS)
    model = AutoModelForSequenceClassification.from_pretrained(run.files.model)
    tokenizer = AutoTokenizer.from_pretrained(run.files.model)
    with torch.no_grad():
        plain = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.softmax(-1)
    np.testing.assert_allclose(said, plain, atol=1e-5)
    assert (run.files.model / "tokenizer.json").is_file()


def test_its_pieces_are_those_that_sentencepiece_makes(deberta):
    processor = spm.SentencePieceProcessor(model_file=str(deberta / "spm.model"))
    tokenizer = loading.load_tokenizer(str(deberta), train_texts=())
    for text in (*SENTENCES, "warmer riverside tables"):
        assert tokenizer.tokenize(text) == processor.encode(text, out_type=str)


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        (("sentencepiece",), "sentencepiece is not installed"),
        (("google.protobuf",), "google.protobuf is not installed"),
        (("sentencepiece", "google.protobuf"), "sentencepiece and google.protobuf are not installed"),
    ],
)
def test_without_the_extra_the_message_has_the_line_that_installs_it(deberta, monkeypatch, absent, named):
    found = importlib.util.find_spec
    for name in absent:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name in absent else found(name, *_))

    class Kind:
        @staticmethod
        def from_pretrained(*_, **__):
            raise ValueError(
                "`tiktoken` is required to read a `tiktoken` file. Install it with `pip install tiktoken`."
            )

    monkeypatch.setattr(pretrained, "AutoTokenizer", Kind)  # transformers remembers what was installed at its import
    message = rf"a SentencePiece model, and {named}; run\n  pip install -c constraints.txt \"ftcls\[sentencepiece\]\"$"
    with pytest.raises(UnavailableError, match=message):
        pretrained.pretrained(Kind, str(deberta))


def test_a_damaged_model_is_not_called_a_missing_package(deberta, tmp_path):
    for name in ("config.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((deberta / name).read_bytes())
    (tmp_path / "spm.model").write_bytes(b"nothing of the kind")
    with pytest.raises(UnavailableError, match="its tokenizer file is none that SentencePiece or tiktoken can read"):
        loading.load_tokenizer(str(tmp_path), train_texts=())

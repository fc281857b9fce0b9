"""Finished runs with small untrained models of several architectures: for tests of what reads a run."""

import numpy as np
import torch
from transformers import (
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    RobertaConfig,
    T5Config,
)

from ftcls.config.load import dump
from ftcls.config.schema import Adapter, Experiment
from ftcls.inference import reload_check
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, loading, scratch, settings
from ftcls.model.tokenize import encode
from ftcls.runs import directory, predictions
from ftcls.scoring import decision
from ftcls.scoring.apply import apply

LABELS = {
    "binary": ("bad", "good"),
    "multiclass": ("World", "Sports", "Business, finance"),
    "multilabel": ("joy", "anger", "fear"),
}
WORDS = [f"word{i}" for i in range(40)]
_SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_LOCAL = {"local_attention": 8, "global_attn_every_n_layers": 2}  # so that the layers with a window see less than all
ARCHITECTURES = {
    "bert": lambda ids: BertConfig(**_SIZE, max_position_embeddings=64, **ids),
    "distilbert": lambda ids: DistilBertConfig(
        dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=64, **ids
    ),
    "roberta": lambda ids: RobertaConfig(**_SIZE, max_position_embeddings=65, **ids),
    "modernbert": lambda ids: ModernBertConfig(**_SIZE, **_LOCAL, max_position_embeddings=64, **ids),
    "llama": lambda ids: LlamaConfig(**_SIZE, num_key_value_heads=1, max_position_embeddings=64, **ids),
    "gpt2": lambda ids: GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64, **ids),
    "t5": lambda ids: T5Config(d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, **ids),
}


def texts(n=60, seed=0):
    """Texts of no to 60 words, an empty one and one of emoji among them."""
    rng = np.random.default_rng(seed)
    made = [" ".join(rng.choice(WORDS, count)) for count in rng.integers(1, 60, n - 2)]
    return [*made, "", "😀 ünïcode"]


def model_config(architecture, tokenizer):
    special = {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
    ids = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **special}
    if architecture == "modernbert":
        ids |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    if architecture == "t5":
        ids |= {"decoder_start_token_id": tokenizer.pad_token_id}
    made = ARCHITECTURES[architecture](ids)
    made.initializer_range = 0.1  # untrained models of the usual 0.02 say nearly the same of every text
    made.initializer_factor = 1.0
    return made


def make(folder, *, task="multiclass", architecture="bert", decided=None, clean=(), data=None, max_length=48):
    """A run directory with config, model and the predictions of its validation rows; no report."""
    labels, given = LABELS[task], texts()
    rng = np.random.default_rng(1)
    positive = labels[1] if task == "binary" else None
    experiment = Experiment.model_validate(
        {
            "name": "made",
            "data": {"clean": clean, **(data or {"source": "docstrings"})},
            "model": {"checkpoint": "scratch:bert"},
            "training": {"device": "cpu"},
        }
    )
    run = directory.create(dump(experiment), name="made", output=folder)
    tokenizer = scratch.train_tokenizer(given)
    tokenizer.model_max_length = max_length
    config = model_config(architecture, tokenizer)
    config.problem_type = "multi_label_classification" if task == "multilabel" else "single_label_classification"
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    config.use_cache = False
    loading.set_seed(0)
    loading.AutoModelForSequenceClassification.from_config(config).save_pretrained(run.model)
    tokenizer.save_pretrained(run.model)
    settings.save(settings.Settings(task, tuple(clean), max_length, "head", positive), run.model)
    decision.save(decided or decision.default(task, len(labels)), labels, run.model / decision.FILE)

    trained = Classifier.from_pretrained(run.path, device="cpu")
    if task == "multilabel":
        gold = rng.integers(0, 2, (len(given), len(labels))).astype(np.float32)
    else:
        gold = rng.integers(0, len(labels), len(given))
    encoded = trained.encode(trained.cleaned(given))
    said = apply(
        trained.decision,
        trained.logits(encoded),
        gold=gold,
        task=task,
        labels=labels,
        positive=trained.positive,
    )
    predictions.write(
        run.predictions / "validation.parquet",
        said,
        texts=trained.cleaned(given),
        lengths=encoded.full_lengths,
        truncated=encoded.truncated,
    )
    return run


def adapt(run, quantization="none"):
    """Make the model of a run an adapter on what was its model until now, with updates that change what it says."""
    base = run.path.parent / "base"
    run.model.rename(base)
    tokenizer = loading.load_tokenizer(str(base), train_texts=())
    stored = settings.load(base)
    labels = tuple(loading.AutoConfig.from_pretrained(base).id2label.values())
    config = loading.load_config(str(base), tokenizer, labels=labels, task=stored.task)
    built = loading.load_model(str(base), config, attention=None, seed=0, quantization=quantization)
    section = Adapter(kind="lora", quantization=quantization)
    found = adapters.add(built, section, checkpoint=str(base), seed=0)
    with torch.no_grad():
        for name, each in found.model.named_parameters():
            if each.requires_grad and "lora" in name:
                each.add_(torch.randn_like(each) * 0.1)
    run.model.mkdir()
    found.save(found.model, run.model)
    tokenizer.save_pretrained(run.model)
    settings.save(stored, run.model)
    decision.save(decision.load(base / decision.FILE, labels), labels, run.model / decision.FILE)
    encoded = encode(texts(), tokenizer, max_length=stored.max_length, truncation="head")
    tolerance = reload_check.TOLERANCE if quantization == "none" else reload_check.TOLERANCE_QUANTIZED
    reload_check.save(reload_check.take(found.model, encoded, tolerance=tolerance), run.model)
    return run

"""What to write instead of the names that people know from Hugging Face scripts.

Every name here is an error in a config, and the error is the ftcls line with the user's own value in it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# TrainingArguments' own default, for a config that gives accumulation steps without a batch size.
DEVICE_BATCH_SIZE = 8

HUB_SOURCES = {
    "ag_news": "ag_news",
    "fancyzhx/ag_news": "ag_news",
    "sh0416/ag_news": "ag_news",
    "imdb": "imdb",
    "stanfordnlp/imdb": "imdb",
    "go_emotions": "go_emotions",
    "google-research-datasets/go_emotions": "go_emotions",
    "reuters21578": "reuters21578",
    "ucirvine/reuters21578": "reuters21578",
}


@dataclass(frozen=True)
class Advice:
    """What to write instead of one name."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted ftcls key to value; empty where nothing is to be written."""
    note: str = ""
    """Why, or what happens without it."""


Translation = Callable[[Any, Mapping[str, Any]], Advice]
"""Takes the value and all Hugging Face names of the config with their values."""


def _renamed(key: str, note: str = "") -> Translation:
    return lambda value, names: Advice({key: value}, note)


def _unneeded(note: str) -> Translation:
    return lambda value, names: Advice(note=note)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _batch_size(value: Any, names: Mapping[str, Any]) -> Advice:
    batch: Any = DEVICE_BATCH_SIZE
    steps: Any = 1
    note = "examples per optimizer step over all devices, accumulation included"
    for name in ("per_device_train_batch_size", "per_gpu_train_batch_size", "training.batch_size"):
        if name in names:
            batch = names[name]
            break
    if "gradient_accumulation_steps" in names:
        steps = names["gradient_accumulation_steps"]
    if not (_is_count(batch) and _is_count(steps)):
        return Advice({"training.batch_size": 16}, note)
    return Advice({"training.batch_size": batch * steps}, f"{note}: {batch} x {steps}" if steps > 1 else note)


def _precision(kind: str) -> Translation:
    def translate(value: Any, names: Mapping[str, Any]) -> Advice:
        if value is False:
            return Advice(note=f"without it training.precision is auto, which takes {kind} only where it is right")
        return Advice({"training.precision": kind})

    return translate


def _trackers(value: Any, names: Mapping[str, Any]) -> Advice:
    asked = value if isinstance(value, list) else [value]
    kept = [name for name in asked if name in ("tensorboard", "wandb", "mlflow")]
    if asked in (["none"], [None], []):
        return Advice({"report.trackers": []}, "the default")
    return Advice({"report.trackers": kept or ["tensorboard"]})


def _early_stopping(value: Any, names: Mapping[str, Any]) -> Advice:
    if value is False:
        return Advice({"training.early_stopping_patience": None}, "the default")
    return Advice({"training.early_stopping_patience": value if _is_count(value) else 3}, "in evaluations")


def _best_metric(value: Any, names: Mapping[str, Any]) -> Advice:
    name = str(value).removeprefix("eval_")
    return Advice({"metrics.best": "f1_macro" if name == "f1" else name})


def _files(value: Any, names: Mapping[str, Any]) -> Advice:
    keys = {"train": "train_file", "validation": "validation_file", "test": "test_file"}
    paths = {split: names[key] for split, key in keys.items() if key in names}
    paths = {"train": "train.csv"} | paths
    task = "multiclass"
    return Advice(
        {"data.source": "files", "data.path": paths, "data.task": task}, "task: binary, multiclass or multilabel"
    )


def _data_set(value: Any, names: Mapping[str, Any]) -> Advice:
    if isinstance(value, str) and value in HUB_SOURCES:
        return Advice({"data.source": HUB_SOURCES[value]})
    if isinstance(value, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", value):
        return Advice({"data.source": "hub", "data.dataset": value, "data.task": "multiclass"})
    return Advice(
        {"data.source": "files", "data.path": "data.csv", "data.task": "multiclass"},
        f"ftcls has no reader of its own for {value}: save its rows as CSV, JSON lines or Parquet",
    )


def _device(value: Any, names: Mapping[str, Any]) -> Advice:
    return Advice({"training.device": "cpu" if value is not False else "auto"})


def _rows_of(split: str) -> Translation:
    return _renamed(f"data.subset.{split}", "drawn by seed, never the head of the file")


def _labels(value: Any, names: Mapping[str, Any]) -> Advice:
    listed = list(value.values()) if isinstance(value, Mapping) else value
    if isinstance(value, Mapping) and all(isinstance(index, int) for index in listed):
        listed = list(value)
    return Advice({"data.labels": listed})


def _task(value: Any, names: Mapping[str, Any]) -> Advice:
    several = value == "multi_label_classification"
    return Advice({"data.task": "multilabel" if several else "multiclass"}, "" if several else "binary for two labels")


_COUNTED = "the labels are read from the data; data.labels fixes their names and order"
_BEST = "the weights of the best step by metrics.best are always kept and reported"
_PLANNED = "batches are planned by length, so that there is little or no padding"
_TOKENIZER = "the tokenizer is the checkpoint's own"
_COMMAND = "give the folder on the command line: ftcls train CONFIG --output "

NAMES: dict[str, Translation] = {
    # data
    "dataset_name": _data_set,
    "train_file": _files,
    "validation_file": _files,
    "test_file": _files,
    "text_column_name": _renamed("data.text"),
    "text_column": _renamed("data.text"),
    "text_column_names": _renamed("data.text"),
    "label_column_name": _renamed("data.label"),
    "label_column": _renamed("data.label"),
    "label2id": _labels,
    "id2label": _labels,
    "label_list": _labels,
    "num_labels": _unneeded(_COUNTED),
    "problem_type": _task,
    "max_train_samples": _rows_of("train"),
    "max_eval_samples": _rows_of("validation"),
    "max_val_samples": _rows_of("validation"),
    "max_predict_samples": _rows_of("test"),
    "max_test_samples": _rows_of("test"),
    "do_lower_case": lambda value, names: Advice({"data.clean": ["lower_case"] if value is not False else []}),
    # model
    "model_name_or_path": _renamed("model.checkpoint"),
    "model_name": _renamed("model.checkpoint"),
    "pretrained_model_name_or_path": _renamed("model.checkpoint"),
    "model_revision": _renamed("model.revision"),
    "tokenizer_name": _unneeded(_TOKENIZER),
    "config_name": _unneeded("the model's config is the checkpoint's own"),
    "max_seq_length": _renamed("model.max_length"),
    "max_seq_len": _renamed("model.max_length"),
    "attn_implementation": _renamed("model.attention"),
    "pad_to_max_length": _unneeded(_PLANNED),
    "padding": _unneeded(_PLANNED),
    # batches
    "per_device_train_batch_size": _batch_size,
    "per_gpu_train_batch_size": _batch_size,
    "gradient_accumulation_steps": _batch_size,
    "per_device_eval_batch_size": _renamed("training.eval_batch_size"),
    "per_gpu_eval_batch_size": _renamed("training.eval_batch_size"),
    "auto_find_batch_size": _unneeded("out of memory halves the token budget and repeats the step"),
    "group_by_length": _unneeded(_PLANNED),
    "train_sampling_strategy": _unneeded(_PLANNED),
    "dataloader_num_workers": _unneeded("texts are tokenized once, before training, and kept in a cache"),
    "dataloader_drop_last": _unneeded("every example counts, those of the last step too"),
    # optimizer and schedule
    "num_epochs": _renamed("training.num_train_epochs"),
    "epochs": _renamed("training.num_train_epochs"),
    "lr": _renamed("training.learning_rate"),
    "lr_scheduler": _renamed("training.lr_scheduler_type"),
    "warmup_ratio": _renamed("training.warmup_steps", "below 1: a share of all steps"),
    "label_smoothing_factor": _renamed("loss.label_smoothing"),
    "optimizer": _renamed("training.optim"),
    # evaluation and checkpoints
    "evaluation_strategy": _renamed("training.eval_strategy"),
    "early_stopping": _early_stopping,
    "metric_for_best_model": _best_metric,
    "greater_is_better": _unneeded("known from the metric: a lower loss and hamming_loss, a higher anything else"),
    "load_best_model_at_end": _unneeded(_BEST),
    "output_dir": lambda value, names: Advice(note=f"{_COMMAND}{value}"),
    "overwrite_output_dir": _unneeded("a run never overwrites another; --resume continues one"),
    "resume_from_checkpoint": _unneeded("add --resume on the command line"),
    "do_train": _unneeded("ftcls train CONFIG trains, scores and reports"),
    "do_eval": _unneeded("ftcls train CONFIG trains, scores and reports; ftcls eval RUN scores again"),
    "do_predict": _unneeded("ftcls train CONFIG scores the test split; ftcls predict RUN FILE labels new texts"),
    # arithmetic and device
    "fp16": _precision("fp16"),
    "bf16": _precision("bf16"),
    "no_cuda": _device,
    "use_cpu": _device,
    "gradient_checkpointing": _renamed("training.activation_checkpointing", "token_budget bounds a step's memory too"),
    # adapters and quantization
    "use_peft": lambda value, names: Advice({"adapter.kind": "lora" if value is not False else "none"}),
    "use_lora": lambda value, names: Advice({"adapter.kind": "lora" if value is not False else "none"}),
    "lora_r": _renamed("adapter.r"),
    "lora_alpha": _renamed("adapter.alpha"),
    "lora_dropout": _renamed("adapter.dropout"),
    "lora_target_modules": _renamed("adapter.target_modules"),
    "use_rslora": _renamed("adapter.rslora"),
    "use_dora": _renamed("adapter.dora"),
    "load_in_4bit": lambda value, names: Advice({"adapter.quantization": "nf4" if value is not False else "none"}),
    "load_in_8bit": lambda value, names: Advice({"adapter.quantization": "int8" if value is not False else "none"}),
    "data_seed": _renamed("seed"),
    "report_to": _trackers,
    "run_name": _renamed("name"),
    "logging_dir": lambda value, names: Advice(note="logs stand in the run directory; " + _COMMAND + "DIR"),
}

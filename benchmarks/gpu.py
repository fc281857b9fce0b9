"""Training on a GPU beside the Trainer of transformers: examples a second, memory, and what share of the card is used.

    python benchmarks/gpu.py [--steps 60] [--device cuda] [--shape bert-base] [--texts imdb] [--side ftcls]

Models in the shapes of BERT-base, MiniLM, ModernBERT-base and a decoder of half a billion parameters with LoRA, with
weights drawn at random, on generated texts as long as those of AG News (some 50 tokens, at most 128) and of IMDb (some
260, at most 512). Each side trains on the same rows with the same batch:

- ftcls: its own steps (`ftcls.training.fit`), nothing set by hand;
- default: `transformers.Trainer` as it comes: every text padded to the longest allowed, float32;
- tuned: the same with dynamic padding, batches of like length and bf16.

Examples a second are of the last two thirds of the steps, wall clock, one process after the other.
"""

import argparse
import gc
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DataCollatorWithPadding,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from ftcls.config.loss_schema import Loss
from ftcls.config.schema import Training
from ftcls.environment import devices
from ftcls.model import scratch
from ftcls.model.tokenize import Encoded
from ftcls.runs.directory import RunDir
from ftcls.training import fit, trainer
from ftcls.training.validation import Validation

SHAPES = {
    "bert-base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "modernbert": {"hidden_size": 768, "num_hidden_layers": 22, "num_attention_heads": 12, "intermediate_size": 1152},
    "decoder-lora": {"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "intermediate_size": 4864},
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
    "tiny-lora": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
}
VOCABULARY = 30_522
# Median and spread of the tokens of a text (log-normal), and where texts are cut: as counted with BERT's tokenizer.
LENGTHS = {"ag_news": (50, 0.35, 128), "imdb": (230, 0.6, 512)}
BATCH = 64
SIDES = ("ftcls", "tuned", "default")


class Clock(TrainerCallback):
    """When each step ended, the device's work included."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: object, state: object, control: object, **kwargs: object) -> None:
        """Note the time."""
        if len(self.ends) in (0, args.max_steps // 3 - 1, args.max_steps - 1) and torch.cuda.is_available():  # type: ignore[attr-defined]
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())

    def rate(self, batch: int) -> float:
        """Examples a second in the last two thirds."""
        first = len(self.ends) // 3
        return batch * (len(self.ends) - first) / (self.ends[-1] - self.ends[first - 1])


def rows(kind: str, count: int) -> tuple[Encoded, int]:
    """Random token ids in texts of these lengths, and the longest allowed."""
    median, spread, longest = LENGTHS[kind]
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(median), spread, count).round(), 4, longest).astype(np.int64)
    ids = rng.integers(5, VOCABULARY, int(lengths.sum())).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    targets = rng.integers(0, 4, count)
    return Encoded(ids, offsets, lengths.astype(np.int32), targets), longest


def model(shape: str, longest: int) -> torch.nn.Module:
    """The classifier, drawn at random."""
    set_seed(0)
    size = {**SHAPES[shape], "vocab_size": VOCABULARY, "max_position_embeddings": longest, "num_labels": 4}
    if shape == "modernbert":
        config: PretrainedConfig = ModernBertConfig(**size, pad_token_id=0)
    elif shape.endswith("-lora"):  # as Qwen2 of half a billion has it
        config = Qwen2Config(**size, num_key_value_heads=2, pad_token_id=0)
    else:
        config = BertConfig(**size)
    config.problem_type = "single_label_classification"
    made = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    if not shape.endswith("-lora"):
        return made
    return get_peft_model(made, LoraConfig(task_type="SEQ_CLS", r=16, lora_alpha=32, target_modules="all-linear"))


def tokenizer() -> PreTrainedTokenizerFast:
    """Any tokenizer: it pads, and that is all."""
    return scratch.train_tokenizer(["one two three"])


def ours(shape: str, kind: str, steps: int, device: str, folder: Path) -> tuple[float, int]:
    """Examples a second and bytes of ftcls."""
    encoded, longest = rows(kind, BATCH * steps)
    section = Training(
        batch_size=BATCH, max_steps=steps, device=device, eval_strategy="no", save_strategy="no", learning_rate=2e-5
    )
    _forget()
    machine, clock, build = devices.choose(section.device, section.precision), Clock(), trainer.Trainer.__init__

    def with_clock(self: trainer.Trainer, **options: object) -> None:
        build(self, **{**options, "callbacks": [*options["callbacks"], clock]})  # type: ignore[misc]

    trainer.Trainer.__init__ = with_clock  # type: ignore[method-assign]
    few = Encoded(encoded.ids, encoded.offsets[:9], encoded.full_lengths[:8], np.arange(8) % 4)
    fit.fit(
        model(shape, longest),
        tokenizer(),
        encoded,
        encoded.targets,
        Validation(few, ("a", "b", "c", "d"), "multiclass", None),
        training=section,
        loss=Loss(),
        best_metric="loss",
        trackers=(),
        seed=0,
        machine=machine,
        run=RunDir(folder),
        save_weights=lambda trained, place: None,
        companions=lambda place: None,
        resume=False,
    )
    trainer.Trainer.__init__ = build  # type: ignore[method-assign]
    return clock.rate(BATCH), _peak()


def theirs(shape: str, kind: str, steps: int, device: str, folder: Path, *, tuned: bool) -> tuple[float, int]:
    """Examples a second and bytes of the Trainer."""
    encoded, longest = rows(kind, BATCH * steps)
    data = [
        {"input_ids": encoded.ids[a:b].tolist(), "attention_mask": [1] * int(b - a), "labels": int(target)}
        for a, b, target in zip(encoded.offsets[:-1], encoded.offsets[1:], encoded.targets, strict=True)
    ]
    longest_allowed = {} if tuned else {"padding": "max_length", "max_length": longest}
    pads = DataCollatorWithPadding(tokenizer(), **longest_allowed)
    extra = {"bf16": True, "train_sampling_strategy": "group_by_length"} if tuned else {}
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=BATCH,
        max_steps=steps,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=device == "cpu",
        learning_rate=2e-5,
        **extra,
    )
    clock = Clock()
    _forget()
    Trainer(
        model=model(shape, longest), args=arguments, train_dataset=data, data_collator=pads, callbacks=[clock]
    ).train()
    return clock.rate(BATCH), _peak()


def _forget() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def flops(shape: str, kind: str, steps: int) -> float:
    """Floating point operations an example, forward and backward: 6 a parameter and token, and attention's products.

    With LoRA the frozen weights have no gradient: 4 a parameter and token.
    """
    size = SHAPES[shape]
    encoded, _ = rows(kind, BATCH * steps)
    width, depth, wide = size["hidden_size"], size["num_hidden_layers"], size["intermediate_size"]
    plain = shape in ("bert-base", "minilm", "tiny")
    read = 4 * width**2 if not shape.endswith("-lora") else 2 * width**2 * (1 + 2 / size["num_attention_heads"])
    # Gated feed-forward parts, as ModernBERT and decoders have them, are three products.
    working = depth * (read + (2 if plain else 3) * width * wide)
    lengths = encoded.lengths.astype(np.float64)
    return float(np.mean((4 if shape.endswith("-lora") else 6) * working * lengths + 12 * depth * width * lengths**2))


def main() -> None:
    """Print a table, and the same as JSON on the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--shape", action="append", choices=tuple(SHAPES))
    parser.add_argument("--texts", action="append", choices=tuple(LENGTHS))
    parser.add_argument("--side", action="append", choices=SIDES)
    chosen = parser.parse_args()
    devices.quiet()
    found = []
    for shape in chosen.shape or ["bert-base", "minilm"]:
        for kind in chosen.texts or LENGTHS:
            sides = {
                "ftcls": lambda place, s=shape, k=kind: ours(s, k, chosen.steps, chosen.device, place),
                "tuned": lambda place, s=shape, k=kind: theirs(s, k, chosen.steps, chosen.device, place, tuned=True),
                "default": lambda place, s=shape, k=kind: theirs(s, k, chosen.steps, chosen.device, place, tuned=False),
            }
            for side, run in ((each, sides[each]) for each in chosen.side or SIDES):
                with tempfile.TemporaryDirectory() as place:
                    rate, peak = run(Path(place))
                work = rate * flops(shape, kind, chosen.steps) / 1e12
                found.append({"shape": shape, "texts": kind, "side": side, "examples_per_second": rate, "tflops": work})
                found[-1]["peak_bytes"] = peak
                print(
                    f"{shape:10} {kind:8} {side:8} {rate:9.1f} ex/s {work:7.1f} TFLOP/s {peak / 2**30:6.2f} GiB",
                    flush=True,
                )
    print(json.dumps(found))


if __name__ == "__main__":
    main()

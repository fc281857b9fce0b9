"""How near the estimate of a training's memory, and of its time, is to what is measured.

    python benchmarks/memory_estimate.py
    python benchmarks/memory_estimate.py --sizes minilm --kinds full nf4 --steps 4 --folder DIR

Every row is one `ftcls train` in a process of its own, on generated texts and with weights drawn at random in the shape
of a known model: memory and time do not ask for their values. The estimate is the one that was said before the weights
were loaded, the measured peak that of the process (of the allocator on a GPU) up to the end of training; both are read
from report.json. Times are worth something on a quiet machine alone.
"""

import argparse
import csv
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel, set_seed

from ftcls.environment import devices
from ftcls.model import scratch

SIZES = {
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1_536},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3_072},
}
WORDS = 30_522
KINDS = {
    "full": [],
    "lora": ["adapter.kind=lora"],
    "nf4": ["adapter.kind=lora", "adapter.quantization=nf4", "training.optim=adamw_bnb_8bit"],
    "int8": ["adapter.kind=lora", "adapter.quantization=int8"],
    "recomputed": ["training.activation_checkpointing=true"],
}
COLUMNS = ("size", "kind", "precision", "estimated MB", "measured MB", "off", "estimated s", "measured s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["full", "lora", "nf4"])
    parser.add_argument("--precisions", nargs="+", choices=["auto", "fp32", "bf16", "fp16"], default=["auto"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--longest", type=int, default=256, help="words of the longest text")
    parser.add_argument("--folder", type=Path, help="where checkpoints and runs stay; left out: they are removed")
    arguments = parser.parse_args()
    devices.quiet()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        texts = write_texts(folder / "texts.csv", longest=arguments.longest)
        print(*COLUMNS, sep="\t")
        for size, kind, precision in itertools.product(arguments.sizes, arguments.kinds, arguments.precisions):
            checkpoint = write_checkpoint(folder / size, SIZES[size], texts)
            given = [
                *KINDS[kind],
                f"training.precision={precision}",
                f"training.max_steps={arguments.steps}",
                f"training.batch_size={arguments.batch_size}",
            ]
            row = measured(folder, f"{size}-{kind}-{precision}", checkpoint, given)
            print(size, kind, *row, sep="\t", flush=True)


def write_texts(path: Path, *, longest: int) -> list[str]:
    """Generated texts of all lengths, in two classes."""
    draw = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in draw.integers(0, 4_000, length)) for length in draw.integers(4, longest, 400)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *((text, "ab"[i % 2]) for i, text in enumerate(texts))])
    return texts


def write_checkpoint(folder: Path, shape: dict[str, int], texts: list[str]) -> Path:
    """Weights at random, as pretraining leaves them: without a head."""
    if not (folder / "config.json").is_file():
        set_seed(0)
        tokenizer = scratch.train_tokenizer(texts)
        with torch.no_grad():
            BertModel(BertConfig(vocab_size=WORDS, **shape)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def measured(folder: Path, name: str, checkpoint: Path, given: list[str]) -> list[str]:
    """Train, and read what was said and what came."""
    config = folder / "config.yaml"
    config.write_text(
        json.dumps({
            "name": name,
            "data": {"source": "files", "path": str(folder / "texts.csv"), "task": "binary"},
            "model": {"checkpoint": str(checkpoint)},
        }),
        encoding="utf-8",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=folder) as place:
        run = Path(place) / name
        command = [sys.executable, "-m", "ftcls", "train", str(config), *given, "--output", str(run), "--offline", "-q"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name}: {done.stderr}")
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    training, said = report["training"], report["training"]["estimate"]
    peak, estimate = training["peak_memory_bytes"], said["peak_memory_bytes"]
    return [
        report["environment"]["precision"],
        *(f"{size / 1e6:,.0f}" for size in (estimate, peak)),
        f"{estimate / peak - 1:+.1%}",
        *(f"{seconds:.1f}" for seconds in (said["seconds"], training["seconds"])),
    ]


if __name__ == "__main__":
    main()

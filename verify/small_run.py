"""A small run for the audits: 150 rows, an untrained model of two layers, a few seconds."""

import os
import random
from pathlib import Path
from typing import Any

from ftcls.config.load import load
from ftcls.config.schema import Experiment

WORDS = {"bad": "awful poor dull weak", "good": "fine nice warm clever"}


def experiment(folder: Path, **training: Any) -> Experiment:
    """The config of a run whose data lies in the folder; same settings give the same bytes."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "films.csv"
    if not data.is_file():
        data.write_text("text,label\n" + "".join(_rows()), encoding="utf-8")
    settings = {"max_steps": 12, "batch_size": 16, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"}
    steps = {"eval_strategy": "steps", "eval_steps": 4, "save_strategy": "steps", "save_steps": 4, "logging_steps": 3}
    return load(
        {
            "name": "small",
            "data": {"source": "files", "path": str(data), "task": "binary"},
            "model": {"checkpoint": "scratch:bert", "max_length": 16},
            "training": {**settings, **steps, **training},
            "report": {"ladder": ["tfidf"]},
        }
    )


def _rows() -> list[str]:
    chance = random.Random(3)
    rows = []
    for number in range(150):
        label = ("bad", "good")[number % 2]
        words = " ".join(chance.choices(WORDS[label].split(), k=3))
        rows.append(f"{words} film {chance.randrange(999)},{label}\n")
    return rows

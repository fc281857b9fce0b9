"""Few labels: a config of `ftcls config init`, with a contrastive start and without, beside the simple models.

    python studies/few_labels.py --data DIR                      # AG News, IMDb, GoEmotions; 8, 16 and 64 rows a class
    python studies/few_labels.py --data DIR --only ag_news --rows 8 --seeds 11 --arm "slow: contrastive.max_steps=2000"

DIR has the folders ag_news, imdb and go_emotions. For each seed that many rows of each label are drawn from the
training split and written to a CSV with a text and a label; all that a model has, its validation rows too, is cut from
these as `ftcls config init` cuts them. It is scored on other rows of the training split: no test split is read. What
was measured is kept, one line each, in OUT (--out), and not measured again; the table at the end is of all lines there.
IMDb is cut to 128 tokens, its labels are called negative and positive; GoEmotions are Ekman's seven groups, one a row.
"""

import argparse
import csv
import json
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ftcls.config.load import load
from ftcls.config.schema import Data, Experiment
from ftcls.data.corpus import Corpus
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.model.baselines import linear, logistic
from ftcls.pipeline.fit_classifier import fit_classifier
from ftcls.pipeline.ladder import Embedding
from ftcls.pipeline.starter_config import Machine, from_file
from ftcls.pipeline.training_plan import plan
from ftcls.scoring import metrics
from ftcls.scoring.metrics import Predictions

SETS = {
    "ag_news": {"data": {"source": "ag_news"}},
    "imdb": {"data": {"source": "imdb"}, "overrides": {"model.max_length": 128}},
    "go_emotions": {"data": {"source": "go_emotions", "single_label": True, "grouping": "ekman"}},
    "docstrings": {"data": {"source": "docstrings"}},
}
REPORTED = ("ag_news", "imdb", "go_emotions")
NAMES = {"neg": "negative", "pos": "positive"}
ARMS = {
    "fine-tuned": ("contrastive=null",),
    "contrastive": ("contrastive={}",),
    # A last step that changes nothing, so that the regression is the output layer.
    "contrastive alone": (
        *("contrastive.learning_rate=1e-4", "training.learning_rate=1e-9"),
        *("training.head_learning_rate=1e-9", "training.num_train_epochs=0.01"),
    ),
    "contrastive, names": ("contrastive.label_names=This text is about {label}",),
}


def main() -> int:
    """Measure what is not in the file yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with the original data sets")
    parser.add_argument("--only", nargs="+", choices=SETS, default=REPORTED)
    parser.add_argument("--rows", nargs="+", type=int, default=[8, 16, 64], help="of each label")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--held-out", type=int, default=1_000, help="other rows, that models are scored on")
    parser.add_argument("--arm", action="append", default=[], metavar="NAME: KEY=VALUE ...", help="another config")
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    parser.add_argument("--out", type=Path, default=Path("few-labels.jsonl"))
    given = parser.parse_args()
    devices.quiet()
    logging.getLogger("ftcls").setLevel(logging.ERROR)
    arms = {name: ARMS[name] for name in given.arms}
    for each in given.arm:
        name, _, keys = each.partition(":")
        arms[name.strip()] = tuple(keys.split())
    known = {key(line) for line in lines(given.out)}
    for seed in given.seeds:
        for rows in given.rows:
            for name in given.only:
                measure(name, rows, seed, arms, known, given)
    print(table(lines(given.out)))
    return 0


def key(line: dict) -> tuple:
    """What a line was measured of."""
    return line["set"], line["rows"], line["seed"], line["model"]


def lines(path: Path) -> list[dict]:
    """All that was measured."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def measure(name: str, rows: int, seed: int, arms: dict, known: set, given: argparse.Namespace) -> None:
    """Measure what is not known of one set, number of rows and seed."""
    every = ["tfidf", "frozen", *arms]
    if all((name, rows, seed, model) in known for model in every):
        return

    def note(model: str, probabilities: np.ndarray, seconds: float) -> None:
        found = metrics.score(predictions(corpus, probabilities))
        line = {"set": name, "rows": rows, "seed": seed, "model": model, "seconds": round(seconds, 1)}
        line |= {metric: round(found[metric], 4) for metric in ("f1_macro", "accuracy")}
        with given.out.open("a") as file:
            print(json.dumps(line), file=file)
        print(json.dumps(line), file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        first = config(Path(folder), name, rows, seed, given)
        corpus = read(first.data, seed=seed)
        if not {(name, rows, seed, model) for model in ("tfidf", "frozen")} <= known:
            for model, found, seconds in simple(first, corpus):
                note(model, found, seconds)
        for place, (arm, overrides) in enumerate(arms.items()):
            if (name, rows, seed, arm) in known:
                continue
            started = time.perf_counter()
            made = fit_classifier(load(first, overrides), corpus, Path(folder) / str(place))
            seconds = time.perf_counter() - started
            note(arm, made.predict_proba(corpus.splits["test"].texts), seconds)


def config(folder: Path, name: str, rows: int, seed: int, given: argparse.Namespace) -> Experiment:
    """What `ftcls config init` writes for a file with so many rows of each label, and the rows that it is scored on."""
    section = dict(SETS[name]["data"])
    if section["source"] != "docstrings":
        section["path"] = str(given.data / section["source"])
    corpus = read(Data(**section), seed=0)
    train = corpus.splits["train"]
    order = np.random.default_rng(seed).permutation(len(train))
    chosen = np.concatenate([order[train.targets[order] == label][:rows] for label in range(len(corpus.labels))])
    others = order[~np.isin(order, chosen)][: given.held_out]
    for file, these in (("few.csv", np.sort(chosen)), ("others.csv", others)):
        with (folder / file).open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["text", "label"])
            for row in these.tolist():
                label = corpus.labels[train.targets[row]]
                writer.writerow([train.texts[row], NAMES.get(label, label)])
    made = from_file(folder / "few.csv", label=["label"], text="text", machine=Machine("cpu", "a CPU"))
    (folder / "few.yaml").write_text(made.text, encoding="utf-8")
    paths = {"train": str(folder / "few.csv"), "test": str(folder / "others.csv")}
    overrides = {"seed": seed, "data.path": paths, **SETS[name].get("overrides", {})}
    return load(folder / "few.yaml", overrides)


def simple(experiment: Experiment, corpus: Corpus) -> Iterator[tuple[str, np.ndarray, float]]:
    """The rungs of the ladder below the fine-tuned model: name, probabilities of the test rows, seconds."""
    train, validation, test = (corpus.splits[name] for name in ("train", "validation", "test"))
    k, seed = len(corpus.labels), experiment.seed
    started = time.perf_counter()
    model = linear.learn(train.texts, train.targets, task=corpus.task, k=k, seed=seed)
    yield "tfidf", model.probabilities(test.texts), time.perf_counter() - started
    started = time.perf_counter()
    machine = devices.choose(experiment.training.device, experiment.training.precision)
    embedding = Embedding(plan(experiment, corpus, machine))
    unseen = embedding.vectors("validation"), validation.targets
    found = logistic.learn(embedding.vectors("train"), train.targets, unseen, task=corpus.task, k=k, seed=seed)
    seconds = time.perf_counter() - started
    yield "frozen", found.probabilities(embedding.vectors("test")), seconds


def predictions(corpus: Corpus, probabilities: np.ndarray) -> Predictions:
    """The most probable label of each test row."""
    test = corpus.splits["test"]
    return Predictions(
        task=corpus.task,
        labels=corpus.labels,
        gold=test.targets,
        predicted=probabilities.argmax(axis=1),
        probabilities=probabilities,
        rows=test.rows,
        positive=corpus.positive,
    )


def table(found: list[dict]) -> str:
    """Mean and standard deviation of macro-F1 over the seeds, and the seconds of the training."""
    values = defaultdict(list)
    for line in found:
        values[line["set"], line["rows"], line["model"]].append((line["f1_macro"], line["seconds"]))
    models = list(dict.fromkeys(line["model"] for line in found))
    rows = [["data, rows of a label", "seeds", *models], ["---", "---:", *["---:"] * len(models)]]
    for name, count in dict.fromkeys((line["set"], line["rows"]) for line in found):
        cells = [np.array(values[name, count, model]) for model in models]
        seeds = max(map(len, cells))
        rows.append([f"{name}, {count}", str(seeds), *(cell(each) for each in cells)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(each: np.ndarray) -> str:
    """Such as `.812 ± .013 (41 s)`."""
    if not len(each):
        return ""
    spread = f" ± {each[:, 0].std(ddof=1):.3f}".replace("0.", ".") if len(each) > 1 else ""
    return f"{each[:, 0].mean():.3f}".removeprefix("0") + f"{spread} ({each[:, 1].mean():.0f} s)"


if __name__ == "__main__":
    sys.exit(main())

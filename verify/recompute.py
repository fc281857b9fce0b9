"""Compute every test figure of a run again, with scikit-learn and without ftcls.

    python verify/recompute.py runs/ag_news-bert --data ag_news/
    python verify/recompute.py runs/mine --data reviews.csv --label stars

Predicted labels and probabilities come from predictions/test.parquet. The gold labels come from the raw data that
--data names, by row number: a folder with AG News (test.csv or test.csv.gz, classes.txt), IMDb (aclImdb/, or its
.tar.gz), Reuters-21578 (reut2-*.sgm, or its .tar.gz; ModApte) or GoEmotions (test.tsv or .tsv.gz, emotions.txt) as
published, or a CSV or TSV file with a header and a label column; without --data from the gold column. Prints each
figure of report.json beside the recomputed one, and whether it lies inside its interval; exits with 1 if any two
differ by more than 1e-12, or a figure lies outside.
"""

import argparse
import csv
import gzip
import io
import json
import re
import sys
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import metrics

TOLERANCE = 1e-12

Figures = dict[str, float | None]


def main() -> int:
    """Compare and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory")
    parser.add_argument("--data", type=Path, help="the raw data: a folder as published, or one's own CSV or TSV file")
    parser.add_argument("--label", default="label", help="the label column of one's own file (default: label)")
    parser.add_argument("--separator", help="what stands between two labels of one's own multilabel file")
    options = parser.parse_args()

    report = json.loads((options.run / "report.json").read_text(encoding="utf-8"))
    frame = pd.read_parquet(options.run / "predictions" / "test.parquet")
    names = frame["gold"].tolist()
    if options.data:
        every = raw_labels(options.data, options.label, options.separator, set(report["data"]["labels"]))
        if frame["row"].max() >= len(every):
            sys.exit(f"{options.data}: {len(every)} rows, but the run scored row {frame['row'].max()}: other data")
        names = [every[row] for row in frame["row"]]
    found = recompute(report, frame, names)
    return max(compare(reported(report), found), outside(report))


def raw_labels(data: Path, label: str, separator: str | None, known: set[str]) -> list[str] | list[list[str]]:
    """The label name, or names, of every row of the raw file, in its order."""
    if data.is_dir():
        if (data / "classes.txt").is_file():
            return ag_news(data)
        if (data / "emotions.txt").is_file():
            return go_emotions(data)
        return reuters(data, known) if members(data, ".sgm") else imdb(data)
    delimiter = "\t" if ".tsv" in data.suffixes else ","
    rows = csv.DictReader(io.StringIO(read_text(data), newline=""), delimiter=delimiter)
    values = [row[label] for row in rows]
    return values if separator is None else [[part for part in value.split(separator) if part] for value in values]


def ag_news(data: Path) -> list[str]:
    """The class of every row of test.csv."""
    classes = (data / "classes.txt").read_text(encoding="utf-8").split("\n")
    path = next(path for path in (data / "test.csv", data / "test.csv.gz") if path.is_file())
    return [classes[int(row[0]) - 1].strip() for row in csv.reader(io.StringIO(read_text(path), newline=""))]


def go_emotions(data: Path) -> list[list[str]]:
    """The emotions of every row of test.tsv."""
    emotions = (data / "emotions.txt").read_text(encoding="utf-8").split()
    path = next(path for path in (data / "test.tsv", data / "test.tsv.gz") if path.is_file())
    lines = [line for line in read_text(path).split("\n") if line]
    return [[emotions[int(number)] for number in line.split("\t")[1].split(",")] for line in lines]


def imdb(data: Path) -> list[str]:
    """Neg or pos of every test review: all of neg by number, then all of pos, as on the Hub."""
    names = [re.search(r"test/(neg|pos)/(\d+)_\d+\.txt$", name) for name, _ in members(data, "")]
    return [kind for kind, _ in sorted((found[1], int(found[2])) for found in names if found)]


def reuters(data: Path, known: set[str]) -> list[list[str]]:
    """The topics, of those that the run knows, of every ModApte test document, in the order of the files."""
    documents = []
    for _, text in sorted(members(data, ".sgm")):
        for head, body in re.findall(r"<REUTERS([^>]*)>(.*?)</REUTERS>", text, flags=re.DOTALL):
            if 'LEWISSPLIT="TEST"' in head and 'TOPICS="YES"' in head:
                topics = re.findall(r"<D>(.*?)</D>", re.search(r"<TOPICS>(.*?)</TOPICS>", body, re.DOTALL)[1])
                documents.append(sorted(set(topics) & known))
    return documents


def members(data: Path, ending: str) -> list[tuple[str, str]]:
    """Name and text of every file of a folder, or of the archive in it; texts only of those with this ending."""
    archive = next(iter(sorted(data.glob("*.tar.gz"))), None)
    if archive is None:
        paths = [path for path in sorted(data.rglob("*")) if path.is_file() and path.name.endswith(ending)]
        return [(path.as_posix(), path.read_text(encoding="latin-1") if ending else "") for path in paths]
    with tarfile.open(archive) as opened:
        files = [each for each in opened if each.isfile() and each.name.endswith(ending)]
        return [(each.name, opened.extractfile(each).read().decode("latin-1") if ending else "") for each in files]


def outside(report: dict) -> int:
    """Print the figures that lie outside their intervals; whether there are any."""
    pairs = {name: (value, report["intervals"]["test"].get(name)) for name, value in report["metrics"]["test"].items()}
    for label, intervals in (report.get("label_intervals") or {}).get("test", {}).items():
        scores = report["per_label"]["test"][label]
        pairs |= {f"per_label.{label}.{name}": (scores[name], interval) for name, interval in intervals.items()}
    wrong = [
        f"{name}: {value} is outside {interval}"
        for name, (value, interval) in pairs.items()
        if interval is not None and not interval[0] - TOLERANCE <= value <= interval[1] + TOLERANCE
    ]
    print(*wrong, f"{len(pairs)} figures with intervals, {len(wrong)} of them outside.", sep="\n")
    return int(bool(wrong))


def read_text(path: Path) -> str:
    """The text of a file that may be compressed."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.decode("utf-8-sig")


def recompute(report: dict, frame: pd.DataFrame, names: list) -> Figures:
    """Every figure from gold label names, predicted labels and probabilities."""
    labels, task = report["data"]["labels"], report["data"]["task"]
    probabilities = frame[[f"probability:{label}" for label in labels]].to_numpy()
    encode = multi_hot if task == "multilabel" else indices
    gold, predicted = encode(names, labels), encode(frame["predicted"].tolist(), labels)
    found = averages(gold, predicted, len(labels))
    if task == "multilabel":
        thresholds = [report["per_label"]["test"][label]["threshold"] for label in labels]
        decided = probabilities >= np.array(thresholds)
        one_vs_rest, predicted_one_vs_rest = gold, predicted
        found |= multilabel_metrics(gold, predicted, probabilities)
        cells = metrics.multilabel_confusion_matrix(gold, predicted)
    else:
        decided = probabilities.argmax(axis=1)
        one_vs_rest, predicted_one_vs_rest = (each[:, None] == np.arange(len(labels)) for each in (gold, predicted))
        found["metrics.loss"] = metrics.log_loss(gold, probabilities, labels=range(len(labels)))
        cells = metrics.confusion_matrix(gold, predicted, labels=range(len(labels)))
    if task == "binary":
        positive = labels.index(report["data"]["positive_label"])
        found |= binary_metrics(gold == positive, predicted == positive, probabilities[:, positive])
    for index, label in enumerate(labels):
        columns = one_vs_rest[:, index], predicted_one_vs_rest[:, index], probabilities[:, index]
        found |= label_scores(f"per_label.{label}", *columns)
    found |= {f"confusion.{place}": float(count) for place, count in np.ndenumerate(cells)}
    found["rows whose predicted label the probabilities do not give"] = float(np.sum(decided != predicted))
    return found


def indices(names: list[str], labels: list[str]) -> np.ndarray:
    """The label index [n] of each name."""
    place = {label: index for index, label in enumerate(labels)}
    unknown = sorted(set(names) - set(place))
    if unknown:
        sys.exit(f"Labels that the run does not know: {', '.join(unknown)}; it has {', '.join(labels)}")
    return np.array([place[name] for name in names])


def multi_hot(names: list[list[str]], labels: list[str]) -> np.ndarray:
    """Whether each label [n, k] is among the names."""
    found = np.zeros((len(names), len(labels)), dtype=bool)
    for row, given in enumerate(names):
        found[row, indices(list(given), labels).astype(int)] = True
    return found


def averages(gold: np.ndarray, predicted: np.ndarray, k: int) -> Figures:
    """The metrics of every task but the loss."""
    found: Figures = {"metrics.accuracy": metrics.accuracy_score(gold, predicted)}
    for average in ("macro", "micro", "weighted"):
        keywords = {"labels": range(k), "average": average, "zero_division": 0}
        found[f"metrics.f1_{average}"] = metrics.f1_score(gold, predicted, **keywords)
        if average == "macro":
            found["metrics.precision_macro"] = metrics.precision_score(gold, predicted, **keywords)
            found["metrics.recall_macro"] = metrics.recall_score(gold, predicted, **keywords)
    return found


def multilabel_metrics(gold: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> Figures:
    """What multilabel tasks add."""
    columns = range(gold.shape[1])
    some = gold.any()
    return {
        "metrics.loss": np.mean([metrics.log_loss(gold[:, j], probabilities[:, j], labels=[0, 1]) for j in columns]),
        "metrics.f1_samples": metrics.f1_score(gold, predicted, average="samples", zero_division=0),
        "metrics.subset_accuracy": metrics.accuracy_score(gold, predicted),
        "metrics.hamming_loss": metrics.hamming_loss(gold, predicted),
        "metrics.average_precision_micro": area(gold, probabilities, "micro") if some else None,
        "metrics.average_precision_macro": area(gold, probabilities, "macro") if some else None,
    }


def binary_metrics(gold: np.ndarray, predicted: np.ndarray, scores: np.ndarray) -> Figures:
    """What binary tasks add, about the positive label."""
    both = 0 < gold.sum() < len(gold)
    return {
        "metrics.precision": metrics.precision_score(gold, predicted, zero_division=0),
        "metrics.recall": metrics.recall_score(gold, predicted, zero_division=0),
        "metrics.f1": metrics.f1_score(gold, predicted, zero_division=0),
        "metrics.roc_auc": metrics.roc_auc_score(gold, scores) if both else None,
        "metrics.average_precision": area(gold, scores, None) if gold.any() else None,
    }


def label_scores(name: str, gold: np.ndarray, predicted: np.ndarray, scores: np.ndarray) -> Figures:
    """The scores of one label against the rest."""
    return {
        f"{name}.precision": metrics.precision_score(gold, predicted, zero_division=0),
        f"{name}.recall": metrics.recall_score(gold, predicted, zero_division=0),
        f"{name}.f1": metrics.f1_score(gold, predicted, zero_division=0),
        f"{name}.support": float(gold.sum()),
        f"{name}.average_precision": area(gold, scores, None) if gold.any() else None,
    }


def area(gold: np.ndarray, scores: np.ndarray, average: str | None) -> float:
    """Average precision; a label without a gold row counts as 0."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No positive class found")
        return metrics.average_precision_score(gold, scores, average=average)


def reported(report: dict) -> Figures:
    """The same figures as report.json has them."""
    found: Figures = {f"metrics.{name}": value for name, value in report["metrics"]["test"].items()}
    for label, scores in report["per_label"]["test"].items():
        found |= {f"per_label.{label}.{name}": value for name, value in scores.items() if name != "threshold"}
    cells = np.array(report["confusion"]["test"])
    found |= {f"confusion.{place}": float(count) for place, count in np.ndenumerate(cells)}
    found["rows whose predicted label the probabilities do not give"] = 0.0
    return found


def compare(report: Figures, found: Figures) -> int:
    """Print each figure; of the confusion matrix only the cells that differ."""
    width = max(len(name) for name in report if not name.startswith("confusion."))
    print(f"{'figure':{width}}  {'report':>22}  {'recomputed':>22}  difference")
    wrong = 0
    for name in [*report, *(name for name in found if name not in report)]:
        pair = report.get(name, np.nan), found.get(name, np.nan)
        difference = 0.0 if pair == (None, None) else np.nan if None in pair else abs(pair[0] - pair[1])
        differs = not difference <= TOLERANCE  # NaN, a figure that only one side has, differs
        wrong += differs
        if differs or not name.startswith("confusion."):
            columns = "  ".join(f"{'undefined' if value is None else repr(float(value)):>22}" for value in pair)
            print(f"{name:{width}}  {columns}  {difference:.1e}{'  DIFFERS' if differs else ''}")
    print(f"{len(report)} figures, {wrong} of them differ by more than {TOLERANCE}.")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

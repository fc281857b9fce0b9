"""What the keys of a config must be to each other: the rules that no single field can hold."""

from collections import Counter
from collections.abc import Callable, Mapping

from ftcls.config import contrastive_rules, loss_rules, window_rules
from ftcls.config.explain import Problem, line, nearest
from ftcls.config.rule import SOURCE_TASKS, Found, Rule, changed, rule, task_of, written
from ftcls.config.schema import Experiment, LabelColumns, SeparatedLabels, SplitPaths, TextPair
from ftcls.config.section import Task
from ftcls.config.source import KeyPath, flow

# Keys that mean something for one source only.
_OWN_KEYS = {
    "dataset": "hub",
    "config": "hub",
    "splits": "hub",
    "topics": "reuters21578",
    "without_topics": "reuters21578",
    "grouping": "go_emotions",
    "single_label": "go_emotions",
}

_PAIR = {"first": "premise", "second": "hypothesis"}
"""What an error shows as a pair of texts."""

_EVERY_TASK = ("loss", "accuracy", "f1_macro", "f1_micro", "f1_weighted", "precision_macro", "recall_macro")
_MULTILABEL = (
    "f1_samples",
    "subset_accuracy",
    "hamming_loss",
    "average_precision_micro",
    "average_precision_macro",
)

# The names of report.json's metrics by task; a test holds them to those that the scoring really returns.
METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": (*_EVERY_TASK, "precision", "recall", "f1", "roc_auc", "average_precision"),
    "multiclass": _EVERY_TASK,
    "multilabel": (*_EVERY_TASK, *_MULTILABEL),
    "ordinal": (*_EVERY_TASK, "quadratic_weighted_kappa", "mean_absolute_error", "accuracy_within_one"),
}


def violations(experiment: Experiment, broken: frozenset[KeyPath] = frozenset()) -> Found:
    """Every rule that the experiment breaks, leaving out rules that read a broken key."""
    for each in RULES:
        if not any(_touches(tuple(key.split(".")), path) for key in each.reads for path in broken):
            yield from each.check(experiment)


def _touches(key: KeyPath, path: KeyPath) -> bool:
    shared = min(len(key), len(path))
    return key[:shared] == path[:shared]


def _files_need_path(experiment: Experiment) -> Found:
    if experiment.data.source == "files" and experiment.data.path is None:
        text = "files needs path; add " + line(("data", "path"), "texts.csv") + ", or train, validation and test files"
        yield Problem(("data", "source"), text)


def _own_code(experiment: Experiment) -> Found:
    if experiment.model.allow_code and experiment.adapter.kind != "none" and not experiment.adapter.merge:
        text = "an adapter would want the code of another folder later; write " + line(("adapter", "merge"), "true")
        yield Problem(("model", "allow_code"), text)


def _hub_needs_dataset(experiment: Experiment) -> Found:
    data = experiment.data
    if data.source == "hub" and data.dataset is None:
        text = f"hub needs the id of a data set; add {line(('data', 'dataset'), 'owner/name')}"
        yield Problem(("data", "source"), text)
    if data.source == "hub" and data.path is not None:
        text = "hub reads from the Hub; for files of your own write source: files, else remove the line"
        yield Problem(("data", "path"), text)


def _task_is_declared(experiment: Experiment) -> Found:
    data = experiment.data
    if data.source not in SOURCE_TASKS and data.task is None:
        text = f"{data.source} needs task, which is never guessed; add task: binary, multiclass, ordinal or multilabel"
        yield Problem(("data", "source"), text)


def _own_keys(experiment: Experiment) -> Found:
    data = experiment.data
    for key, source in _OWN_KEYS.items():
        if data.source != source and changed(data, key):
            yield Problem(("data", key), f"is for {source} and has no effect on {data.source}; remove the line")


def _columns(experiment: Experiment) -> Found:
    data = experiment.data
    told = next((name for name in data.text_columns if name in data.label_columns), None)
    if told is not None:
        yield Problem(("data", "text"), f"{told!r} is the label, and would tell the model; name the text alone")
    if data.split.column in (*data.text_columns, *data.label_columns):
        what = "label" if data.split.column in data.label_columns else "text"
        text = f"{data.split.column!r} is the {what}; name the column that says which split a row is of"
        yield Problem(("data", "split", "column"), text)
    for index, name in enumerate(data.columns):
        if name in data.columns[:index]:
            yield Problem(("data", "columns", index), f"{name!r} is listed twice; list each column once")
        if name in data.label_columns:
            yield Problem(("data", "columns", index), f"{name!r} is the label, and would tell the model; remove it")
        if name in data.text_columns:
            yield Problem(("data", "columns", index), f"{name!r} is the text already; remove it here")


def _of_row(experiment: Experiment) -> Found:
    data = experiment.data
    for key, column in (("weight", data.weight), ("group", data.group)):
        for names, what in ((data.text_columns, "text"), (data.label_columns, "label")):
            if column is not None and column in names:
                yield Problem(("data", key), f"{column!r} is the {what}; name the column that holds the {key}s")


def _pair_truncation(experiment: Experiment) -> Found:
    if changed(experiment.model, "pair_truncation") and not isinstance(experiment.data.text, TextPair):
        text = f"has no effect without a pair of texts; write {line(('data', 'text'), _PAIR)}, or remove the line"
        yield Problem(("model", "pair_truncation"), text)


def _topics(experiment: Experiment) -> Found:
    data = experiment.data
    if data.source != "reuters21578":
        return
    if data.labels is not None:
        text = f"reuters21578 takes its labels from topics; write {line(('data', 'topics'), list(data.labels))}"
        yield Problem(("data", "labels"), text)
    if not isinstance(data.topics, str):
        for name, count in Counter(data.topics).items():
            if count > 1:
                yield Problem(("data", "topics"), f"{name!r} is listed {count} times; list each topic once")


def _known_source(experiment: Experiment) -> Found:
    data = experiment.data
    if data.source not in SOURCE_TASKS:
        return
    own = task_of(data)
    if data.task not in (None, own):
        yield Problem(("data", "task"), f"{data.task} contradicts {data.source}, which is {own}; remove the line")
    for key in ("text", "columns", "label", "weight", "group"):
        if changed(data, key):
            yield Problem(("data", key), f"has no effect on {data.source}, which knows its columns; remove the line")
    if isinstance(data.path, SplitPaths):
        yield Problem(("data", "path"), f"{data.source} takes one folder or archive; a file per split is for files")
    if data.source == "docstrings" and data.path is not None:
        yield Problem(("data", "path"), "docstrings reads the installed packages and no file; remove the line")


def _revision(experiment: Experiment) -> Found:
    data = experiment.data
    if not changed(data, "revision"):
        return
    if data.source in ("reuters21578", "docstrings", "files"):
        yield Problem(("data", "revision"), f"{data.source} does not come from the Hub; remove the line")
    elif data.path is not None:
        yield Problem(("data", "revision"), "has no effect beside data.path; remove one of the two")


def _model_revision(experiment: Experiment) -> Found:
    checkpoint = experiment.model.checkpoint
    elsewhere = checkpoint.startswith(("package:", "scratch:", ".", "/", "~")) or checkpoint.count("/") > 1
    if experiment.model.revision is not None and elsewhere:
        yield Problem(("model", "revision"), f"{checkpoint} does not come from the Hub; remove the line")


def _labels(experiment: Experiment) -> Found:
    data, labels = experiment.data, experiment.data.labels
    if labels is None:
        return
    for name, count in Counter(labels).items():
        if count > 1:
            index = len(labels) - 1 - labels[::-1].index(name)
            yield Problem(("data", "labels", index), f"{name!r} is listed {count} times; list each label once")
    if task_of(data) == "binary" and len(labels) != 2:
        yield Problem(("data", "labels"), f"found {len(labels)} labels; binary has 2, for more write task: multiclass")
    if task_of(data) in ("multiclass", "ordinal") and len(labels) < 2:
        yield Problem(("data", "labels"), "found 1 label; there is nothing to tell apart")


def _positive_label(experiment: Experiment) -> Found:
    data = experiment.data
    if data.positive_label is None:
        return
    path = ("data", "positive_label")
    task = task_of(data)
    if task not in (None, "binary"):
        yield Problem(path, f"is for binary tasks, and this one is {task}; remove the line")
    elif data.labels is not None and data.positive_label not in data.labels:
        yield Problem(path, f"{data.positive_label!r} is not in data.labels; one of {flow(list(data.labels))}")


def _label_form(experiment: Experiment) -> Found:
    label, task, path = experiment.data.label, experiment.data.task, ("data", "label")
    if experiment.data.source not in ("files", "hub") or isinstance(label, str):
        return
    probable = isinstance(label, LabelColumns) and label.kind == "probabilities"
    if label.votes is None and not probable:
        if task not in (None, "multilabel"):
            yield Problem(path, f"several labels per row are task: multilabel, and this one is {task}")
        if isinstance(label, LabelColumns) and label.separator is not None:
            yield Problem(path, "separator is for the votes of annotators; add votes: soft, or remove it")
        return
    if probable and isinstance(label, LabelColumns) and (label.votes or label.separator):
        yield Problem(path, "kind: probabilities has a column for each label, votes one for each annotator; keep one")
    elif isinstance(label, SeparatedLabels) and task == "multilabel":
        text = "votes in one column are one label each, and this task is multilabel; write {columns: [...], votes: ...}"
        yield Problem(path, f"{text} with a column for each annotator")
    elif isinstance(label, LabelColumns) and label.separator is not None and task not in (None, "multilabel"):
        yield Problem(path, f"separator is for annotators who give several labels, and this task is {task}; remove it")


def _shares(experiment: Experiment) -> Found:
    split = experiment.data.split
    if split.folds is not None:
        return
    if split.test == "rest":
        if experiment.data.subset.train is None:
            text = f"rest leaves nothing while train takes every row; add {line(('data', 'subset', 'train'), 800)}"
            yield Problem(("data", "split", "test"), text)
        if split.pooled:
            yield Problem(("data", "split", "pooled"), "test: rest takes rows of every split already; remove the line")
    elif split.validation < 1 and split.test < 1 and split.validation + split.test >= 1:
        yield Problem(("data", "split", "test"), "validation and test together leave no row to train on; lower them")


def _folds(experiment: Experiment) -> Found:
    data, split = experiment.data, experiment.data.split
    if split.folds is None:
        if split.fold is not None:
            text = f"is one of several folds; add {line(('data', 'split', 'folds'), 5)}, or remove the line"
            yield Problem(("data", "split", "fold"), text)
        return
    if split.fold is not None and split.fold > split.folds:
        yield Problem(
            ("data", "split", "fold"), f"there are {split.folds} folds; write a number from 1 to {split.folds}"
        )
    if split.test == "rest":
        yield Problem(("data", "split", "test"), "rest takes its rows from the folds; remove it, or folds")
    elif changed(split, "test"):
        text = "has no effect with folds, of which each is the test split once; remove the line"
        yield Problem(("data", "split", "test"), text)
    if experiment.distillation.teacher is not None and split.fold is None:
        text = "has learnt rows of the folds that its student is tested on; train the student without data.split.folds"
        yield Problem(("distillation", "teacher"), text)
    if changed(experiment.report, "learning_curve"):
        text = "has no effect with folds, whose rows are all learnt and all scored; remove the line"
        yield Problem(("report", "learning_curve"), text)
    if changed(data.subset, "validation"):
        text = "has no effect with folds, which take the validation rows too; subset.train draws from all of them"
        yield Problem(("data", "subset", "validation"), text)


def _steps(strategy: str, steps: str) -> Callable[[Experiment], Found]:
    def check(experiment: Experiment) -> Found:
        chosen, count = getattr(experiment.training, strategy), getattr(experiment.training, steps)
        if chosen == "steps" and count is None:
            yield Problem(("training", strategy), f"steps needs {steps}; add {line(('training', steps), 100)}")
        if chosen != "steps" and count is not None:
            remedy = f"write {line(('training', strategy), 'steps')}, or {steps}: null"
            yield Problem(("training", steps), f"has no effect with {strategy} {chosen}; {remedy}")

    return check


def _patience(experiment: Experiment) -> Found:
    training = experiment.training
    if training.early_stopping_patience is not None and training.eval_strategy == "no":
        text = "needs evaluations to count; write training: {eval_strategy: epoch}, or steps with eval_steps"
        yield Problem(("training", "early_stopping_patience"), text)


def _length_of_training(experiment: Experiment) -> Found:
    training = experiment.training
    if training.max_steps is not None and written(training, "num_train_epochs"):
        yield Problem(("training", "max_steps"), "takes the place of num_train_epochs; keep one of the two")


def _best(experiment: Experiment) -> Found:
    name, task = experiment.metrics.best, task_of(experiment.data)
    names = METRICS[task] if task else tuple(dict.fromkeys(name for group in METRICS.values() for name in group))
    if name in names:
        return
    homes = [other for other, group in METRICS.items() if name in group]
    reason = f"'{name}' is for {' and '.join(homes)}, this task is {task}" if homes else f"'{name}' is no metric"
    close = nearest(name.removeprefix("eval_"), names)
    hint = f", did you mean '{close}'?" if close else "."
    yield Problem(("metrics", "best"), f"{reason}{hint} Allowed: {', '.join(names)}")


def _decision(experiment: Experiment) -> Found:
    chosen, task = experiment.decision, task_of(experiment.data)
    if chosen.thresholds == "tuned" and task in ("multiclass", "ordinal"):
        text = f"tuned is for binary and multilabel tasks; {task} has no threshold, write fixed"
        yield Problem(("decision", "thresholds"), text)
    for key in ("objective", "min_positives", "shrinkage"):
        if chosen.thresholds == "fixed" and changed(chosen, key):
            text = f"has no effect with thresholds fixed; add {line(('decision', 'thresholds'), 'tuned')}"
            yield Problem(("decision", key), text)
    drawn = task == "multilabel" and chosen.objective != "precision"
    if chosen.thresholds == "tuned" and drawn and chosen.shrinkage and changed(chosen, "min_positives"):
        text = "has no effect with shrinkage, which draws labels with few rows to the others; write shrinkage: 0 too"
        yield Problem(("decision", "min_positives"), text)
    if chosen.thresholds == "tuned" and task is not None and not drawn and changed(chosen, "shrinkage"):
        text = "is for several labels and another objective than precision; remove the line"
        yield Problem(("decision", "shrinkage"), text)
    for key, objective in (("beta", "f_beta"), ("min_precision", "precision")):
        if changed(chosen, key) and (chosen.thresholds == "fixed" or chosen.objective != objective):
            text = f"is for thresholds: tuned with objective: {objective}; write both, or remove the line"
            yield Problem(("decision", key), text)


def _adapter(experiment: Experiment) -> Found:
    section = experiment.adapter
    if section.kind != "none":
        return
    for key in type(section).model_fields:
        if key != "kind" and changed(section, key):
            text = f"has no effect without an adapter; add {line(('adapter', 'kind'), 'lora')}, or remove the line"
            yield Problem(("adapter", key), text)


def _layers_of_frozen_weights(experiment: Experiment) -> Found:
    if experiment.adapter.kind == "none":
        return
    for key in ("freeze", "layer_decay"):
        if getattr(experiment.training, key) != type(experiment.training).model_fields[key].default:
            text = f"is for full fine-tuning, and adapter.kind {experiment.adapter.kind} freezes all layers; remove it"
            yield Problem(("training", key), text)


def _augmentation(experiment: Experiment) -> Found:
    chosen = experiment.training.augmentation
    if chosen.rare and not (chosen.word_dropout or chosen.word_swap or chosen.token_masking):
        text = f"has no rate to raise; add {line(('training', 'augmentation', 'word_dropout'), 0.1)}, or remove it"
        yield Problem(("training", "augmentation", "rare"), text)


RULES: tuple[Rule, ...] = (
    rule(_files_need_path, "data.source", "data.path"),
    rule(_hub_needs_dataset, "data.source", "data.dataset", "data.path"),
    rule(_task_is_declared, "data.source", "data.task"),
    rule(_own_keys, "data.source", *(f"data.{key}" for key in _OWN_KEYS)),
    rule(_columns, "data.columns", "data.text", "data.label", "data.split.column"),
    rule(_of_row, "data.weight", "data.group", "data.text", "data.label"),
    rule(_pair_truncation, "data.text", "model.pair_truncation"),
    rule(_topics, "data.source", "data.topics", "data.labels"),
    rule(
        _known_source,
        "data.source",
        "data.task",
        "data.single_label",
        "data.text",
        "data.columns",
        "data.label",
        "data.weight",
        "data.group",
        "data.path",
    ),
    rule(_revision, "data.source", "data.revision", "data.path"),
    rule(_own_code, "model.allow_code", "adapter.kind", "adapter.merge"),
    rule(_model_revision, "model.checkpoint", "model.revision"),
    rule(_labels, "data.source", "data.task", "data.single_label", "data.labels"),
    rule(_positive_label, "data.source", "data.task", "data.single_label", "data.labels", "data.positive_label"),
    rule(_label_form, "data.source", "data.task", "data.label"),
    rule(_shares, "data.split", "data.subset.train"),
    rule(_folds, "data.split", "data.subset.validation", "distillation.teacher", "report.learning_curve"),
    rule(_steps("eval_strategy", "eval_steps"), "training.eval_strategy", "training.eval_steps"),
    rule(_steps("save_strategy", "save_steps"), "training.save_strategy", "training.save_steps"),
    rule(_patience, "training.early_stopping_patience", "training.eval_strategy"),
    rule(_length_of_training, "training.max_steps", "training.num_train_epochs"),
    rule(_best, "data.source", "data.task", "data.single_label", "metrics.best"),
    rule(_decision, "data.source", "data.task", "data.single_label", "decision"),
    rule(_augmentation, "training.augmentation"),
    rule(_adapter, "adapter"),
    rule(_layers_of_frozen_weights, "adapter.kind", "training.freeze", "training.layer_decay"),
    *contrastive_rules.RULES,
    *loss_rules.RULES,
    *window_rules.RULES,
)

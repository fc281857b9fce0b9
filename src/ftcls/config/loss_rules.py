"""What the keys of the loss, and of a teacher, must be to each other and to the labels."""

from collections.abc import Callable, Mapping

from ftcls.config.explain import Problem, line, nearest
from ftcls.config.loss_schema import Loss
from ftcls.config.rule import Found, Rule, changed, rule, task_of
from ftcls.config.schema import Experiment
from ftcls.config.source import flow


def _weights_by_name(key: str) -> Callable[[Experiment], Found]:
    def check(experiment: Experiment) -> Found:
        weights, labels = getattr(experiment.loss, key), experiment.data.labels
        if not isinstance(weights, Mapping):
            return
        if not weights:
            yield Problem(("loss", key), "is empty; name labels with their weights, or write null")
        if labels is None:
            return
        for name in weights.keys() - set(labels):
            close = nearest(name, labels)
            hint = f", did you mean '{close}'?" if close else f"; one of {flow(list(labels))}"
            yield Problem(("loss", key, name), f"is not in data.labels{hint}")

    return check


# Keys that mean something for some kinds of loss only.
_LOSS_KEYS = {
    "gamma": ("focal", "distribution_balanced"),
    "gamma_positive": ("asymmetric",),
    "gamma_negative": ("asymmetric",),
    "margin": ("asymmetric",),
    "negative_scale": ("distribution_balanced", "focal", "cross_entropy", None),
}
_NOT_BALANCED = ("class_weights", "pos_weight", "label_smoothing")


def _loss_keys(experiment: Experiment) -> Found:
    loss = experiment.loss
    for key, kinds in _LOSS_KEYS.items():
        if loss.kind not in kinds and changed(loss, key):
            text = f"has no effect with kind {loss.kind or 'cross_entropy'}; write kind: {kinds[0]}, or remove the line"
            yield Problem(("loss", key), text)
    for key in _NOT_BALANCED if loss.kind == "distribution_balanced" else ():
        if changed(loss, key):
            yield Problem(("loss", key), "has no effect with kind distribution_balanced, which has weights of its own")
    if loss.class_weights != "effective_number" and changed(loss, "beta"):
        text = f"has no effect without {line(('loss', 'class_weights'), 'effective_number')}; write that, or remove it"
        yield Problem(("loss", "beta"), text)


def _function(experiment: Experiment) -> Found:
    loss = experiment.loss
    if loss.function is None:
        return
    for key in Loss.model_fields:
        if key != "function" and changed(loss, key):
            text = "has no effect on a loss of one's own (loss.function); remove one of the two lines"
            yield Problem(("loss", key), text)
    if experiment.distillation.teacher is not None:
        text = "is for labels, and distillation.teacher gives probabilities; remove one of the two lines"
        yield Problem(("loss", "function"), text)


def _loss_of_several_labels(experiment: Experiment) -> Found:
    loss, task = experiment.loss, task_of(experiment.data)
    if loss.kind == "distribution_balanced" and experiment.data.soft_labels:
        text = "distribution_balanced weighs labels that apply, and probabilities or votes: soft leave that open"
        yield Problem(("loss", "kind"), f"{text}; write kind: focal, or votes: majority")
    if loss.kind == "squared_emd" and task not in (None, "ordinal"):
        yield Problem(("loss", "kind"), f"squared_emd is for labels in order, task: ordinal, and this one is {task}")
    if task in (None, "multilabel"):
        return
    if loss.kind in ("asymmetric", "distribution_balanced"):
        yield Problem(
            ("loss", "kind"), f"{loss.kind} is for multilabel tasks, and this one is {task}; write kind: focal"
        )
    if loss.pos_weight is not None:
        text = f"is for multilabel tasks, and this one is {task}; write {line(('loss', 'class_weights'), 'balanced')}"
        yield Problem(("loss", "pos_weight"), text)
    if changed(loss, "negative_scale"):
        yield Problem(("loss", "negative_scale"), f"is for multilabel tasks, and this one is {task}; remove the line")


def _distillation(experiment: Experiment) -> Found:
    section, loss = experiment.distillation, experiment.loss
    if section.teacher is None:
        for key in ("texts", "weight"):
            if changed(section, key):
                text = f"has no effect without a teacher; add {line(('distillation', 'teacher'), 'runs/NAME')}"
                yield Problem(("distillation", key), text)
        return
    text = "is for labels, and distillation.teacher gives probabilities; remove one of the two lines"
    for key in ("kind", "class_weights", "pos_weight", "logit_adjustment", "negative_scale"):
        if changed(loss, key):
            yield Problem(("loss", key), text)
    if experiment.training.sampling is not None:
        yield Problem(("training", "sampling"), text)
    if experiment.training.augmentation.rare:
        yield Problem(("training", "augmentation", "rare"), text)


RULES: tuple[Rule, ...] = (
    rule(_distillation, "distillation", "loss", "training.sampling", "training.augmentation"),
    rule(_weights_by_name("class_weights"), "loss.class_weights", "data.labels"),
    rule(_weights_by_name("pos_weight"), "loss.pos_weight", "data.labels"),
    rule(_function, "loss", "distillation.teacher"),
    rule(
        _loss_keys,
        *("loss.kind", "loss.beta", *(f"loss.{key}" for key in (*_LOSS_KEYS, *_NOT_BALANCED))),
    ),
    rule(
        _loss_of_several_labels,
        *("data.source", "data.task", "data.single_label", "data.label"),
        *("loss.kind", "loss.pos_weight", "loss.negative_scale"),
    ),
)

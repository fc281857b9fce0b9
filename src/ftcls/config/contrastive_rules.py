"""What the keys of contrastive learning must be to the rest of a config."""

from ftcls.config.contrastive_schema import LABEL
from ftcls.config.explain import Problem, line
from ftcls.config.rule import Found, Rule, rule
from ftcls.config.schema import Experiment, TextPair

_EXAMPLE = f"This text is about {LABEL}"


def _label_names(experiment: Experiment) -> Found:
    section = experiment.contrastive
    if section is None or section.label_names is None:
        return
    if LABEL not in section.label_names:
        text = f"has no {LABEL}, where the name of a label goes; write {line(('label_names',), _EXAMPLE)}, or null"
        yield Problem(("contrastive", "label_names"), text)
    if isinstance(experiment.data.text, TextPair):
        text = "is a text by itself, and data.text is a pair; remove the line"
        yield Problem(("contrastive", "label_names"), text)


def _one_vector(experiment: Experiment) -> Found:
    windows = experiment.model.windows
    if experiment.contrastive is not None and windows is not None and windows.pool == "logits_mean":
        text = "logits_mean makes no vector of a text, which contrastive needs; write pool: mean, or remove the section"
        yield Problem(("model", "windows", "pool"), text)


def _whole_weights(experiment: Experiment) -> Found:
    if experiment.contrastive is not None and experiment.adapter.quantization != "none":
        text = (
            f"{experiment.adapter.quantization} has no part in contrastive, which is for encoders of moderate size; "
            f"write {line(('adapter', 'quantization'), 'none')}, or remove the section"
        )
        yield Problem(("adapter", "quantization"), text)


RULES: tuple[Rule, ...] = (
    rule(_label_names, "contrastive", "data.text"),
    rule(_one_vector, "contrastive", "model.windows"),
    rule(_whole_weights, "contrastive", "adapter.quantization"),
)

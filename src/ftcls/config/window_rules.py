"""What the keys of windows must be to each other and to the rest of a config."""

from ftcls.config.explain import Problem
from ftcls.config.rule import Found, Rule, rule
from ftcls.config.schema import Experiment, TextPair


def _sizes(experiment: Experiment) -> Found:
    windows, longest = experiment.model.windows, experiment.model.max_length
    if windows is None or windows.size is None:
        return
    if windows.stride is not None and windows.stride >= windows.size:
        text = f"{windows.stride} tokens of {windows.size} are shared: nothing new is read; write a smaller number"
        yield Problem(("model", "windows", "stride"), text)
    if longest is not None and longest <= windows.size:
        text = (
            f"{windows.size} is not less than max_length, {longest}, so every text is one window; write a larger "
            "max_length (null: 65,536), or remove windows"
        )
        yield Problem(("model", "windows", "size"), text)


def _single_texts(experiment: Experiment) -> Found:
    if experiment.model.windows is not None and isinstance(experiment.data.text, TextPair):
        text = "are for single texts, and data.text is a pair, which is read as one; remove the line"
        yield Problem(("model", "windows"), text)


RULES: tuple[Rule, ...] = (
    rule(_sizes, "model.windows", "model.max_length"),
    rule(_single_texts, "model.windows", "data.text"),
)

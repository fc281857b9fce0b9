"""README.md of an export: what it is, how far it agrees with its run, how to use it without ftcls."""

from collections.abc import Sequence

from ftcls.environment.figures_as_text import signed_with_interval, significant
from ftcls.reporting import commands
from ftcls.reporting.markdown import plain
from ftcls.runs.export_record import Export
from ftcls.scoring.differences import Difference

_USE = {
    "onnx": """
```python
import onnxruntime
from transformers import AutoConfig, AutoTokenizer

folder = "."
labels = AutoConfig.from_pretrained(folder).id2label
tokenizer = AutoTokenizer.from_pretrained(folder)
session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
encoded = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="np")
inputs = {each.name: encoded[each.name].astype("int64") for each in session.get_inputs()}
logits = session.run(["logits"], inputs)[0]
print(labels[int(logits[0].argmax())])
```
""",
    "torch": """
```python
from transformers import pipeline

classify = pipeline("text-classification", model=".")
print(classify(TEXT, truncation=True))
```
""",
}
_TEXTS = ('"A text."', '["A text."]', '--text "A text."')
_PAIRS = (
    commands.PAIR,
    '["One text."], ["Its pair."]',
    '--text "One text." --second "Its pair."',
)
"""What an example reads: for the pipeline, for the tokenizer, for ``ftcls predict``."""
_WHAT = {
    ("onnx", "fp32"): "An ONNX graph in float32",
    ("onnx", "int8"): "An ONNX graph with weights in int8",
    ("torch", "fp32"): "Plain transformers weights in float32 (safetensors)",
}


def markdown(export: Export, *, max_length: int, clean: Sequence[str], pairs: bool) -> str:
    """The card, as Markdown; ``pairs``: whether the model reads pairs of texts."""
    one, many, typed = _PAIRS if pairs else _TEXTS
    use = _USE[export.format].replace("TEXTS", many).replace("TEXT", one)
    size = sum(export.files.values()) / 1e6
    weights = ", ".join(export.files)
    versions = ", ".join(f"{name} {version}" for name, version in export.packages.items())
    return "\n".join(
        [
            f"# {plain(export.run)}",
            "",
            f"{_WHAT[export.format, export.precision]} of a {export.task} text classifier with {len(export.labels)} "
            f"labels: {', '.join(map(plain, export.labels))}. Made by ftcls {export.ftcls_version} ({versions}); "
            f"{weights}: {size:,.1f} MB.",
            "",
            "## Agreement with the run",
            "",
            *_agreement(export),
            "",
            "## Use",
            "",
            "With cleaning, thresholds and temperature as in the run:",
            "",
            "```",
            f"ftcls predict . {typed}",
            "```",
            "",
            f"Without ftcls (logits only; {_by_hand(clean, max_length)}):",
            use,
        ]
    )


def _agreement(export: Export) -> list[str]:
    seen = export.agreement
    texts = (
        f"{seen.texts:,} validation texts of the run"
        if seen.metrics
        else f"{seen.texts:,} texts of {plain(seen.source)}"
    )
    lines = [
        f"Measured on {texts}:",
        "",
        "| | |",
        "| --- | --- |",
        f"| largest difference of a logit | {significant(seen.max_logit_difference, 2)} |",
        f"| same most probable label | {_share(seen.same_argmax)} |",
        f"| same labels, thresholds applied | {_share(seen.same_labels)} |",
        *(_change(each) for each in seen.metrics),
        *_adapter(export.reload_difference),
    ]
    allowed = significant(export.tolerance)
    if export.precision == "int8":
        what = export.metric if seen.metrics else "share of texts with the same labels"
        return [*lines, "", f"An export that loses more than {allowed} of {what} is refused."]
    limit = f"A logit that differs by more than {allowed}, or another most probable label, is refused."
    return [*lines, "", limit]


def _adapter(difference: float | None) -> list[str]:
    if difference is None:
        return []
    return [
        f"| adapter added to its base, in float32: largest difference on its probe | {significant(difference, 2)} |"
    ]


def _change(each: Difference) -> str:
    return f"| change of {each.metric} (95 % interval) | {signed_with_interval(each.value, each.interval)} |"


def _share(share: float) -> str:
    """Never rounded up to all."""
    return "all" if share == 1 else f"{min(share, 0.9999):.2%}"


def _by_hand(clean: Sequence[str], max_length: int) -> str:
    steps = f"texts cleaned first by {', '.join(clean)}; " if clean else ""
    return f"{steps}cut at {max_length} tokens"

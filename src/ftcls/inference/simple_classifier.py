"""The simple models of a run as classifiers: ``RUN:tfidf``, ``RUN:frozen``, ``RUN:stack`` and ``RUN:static``."""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ftcls.data.corpus import Split
from ftcls.data.texts import parts
from ftcls.environment import devices, manifest
from ftcls.environment.devices import Machine
from ftcls.errors import ConfigError, DataError, quoted
from ftcls.inference.base_classifier import Answer, BaseClassifier
from ftcls.inference.classifier import Classifier
from ftcls.inference.embedding import embed
from ftcls.model import loading, own_code, settings
from ftcls.model.baselines import linear, logistic, static, store
from ftcls.model.baselines.linear import LinearModel
from ftcls.model.baselines.logistic import LogisticModel
from ftcls.model.baselines.static import StaticModel
from ftcls.model.pooling import Kind
from ftcls.model.settings import Settings
from ftcls.model.tokenize import encode
from ftcls.runs.directory import RunDir
from ftcls.runs.references import Reference, reference
from ftcls.scoring import decision
from ftcls.scoring.decision import Decision
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.mixture import Mixture

_LADDER: Final = "report.ladder decides at training"
_MADE_BY: Final = {"static": "`ftcls distill RUN` makes it"}
"""What makes a simple model that is not there."""
FINE_TUNED: Final = "fine_tuned"
STACK: Final = "stack"
MIXTURE: Final = ("weights", "scales", "shifts")
"""The arrays of a mixture."""


class Model(Protocol):
    """Texts in, probabilities out."""

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities [n, k] of n cleaned texts."""


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """An encoder as it was pretrained, and a logistic regression on its vectors."""

    encoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    kind: Kind
    settings: Settings
    head: LogisticModel
    token_budget: int
    precision: devices.Precision = "fp32"

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities [n, k] of n cleaned texts."""
        encoded = encode(
            texts,
            self.tokenizer,
            max_length=self.settings.max_length,
            truncation=self.settings.truncation,
            pair_truncation=self.settings.pair_truncation,
            windows=self.settings.windows,
            cached=False,
        )
        pad_id = int(self.tokenizer.pad_token_id)
        vectors = embed(
            self.encoder,
            encoded,
            self.kind,
            pad_id=pad_id,
            token_budget=self.token_budget,
            precision=self.precision,
        )
        return self.head.probabilities(vectors)


@dataclass(frozen=True, eq=False)
class StackModel:
    """A mixture of models: the weighted mean of what they say, calibrated."""

    parts: tuple[Model, ...]
    mixture: Mixture

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities [n, k] of n cleaned texts."""
        return self.mixture.probabilities(np.stack([part.probabilities(texts) for part in self.parts]))


@dataclass(frozen=True, eq=False)
class _FineTuned:
    """The run's own model as a part of a mixture."""

    classifier: Classifier

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return self.classifier.say(texts).probabilities


@dataclass(frozen=True, eq=False)
class SimpleClassifier(BaseClassifier):
    """A simple model with the cleaning of its run and a decision of its own."""

    model: Model
    labels: tuple[str, ...]
    settings: Settings
    decision: Decision
    source: str
    digest: str
    """Of the model's files."""
    foreign: bool = False
    precision: str = "fp32"

    def for_another_thread(self) -> Self:
        """The same classifier with tokenizers of its own."""
        return replace(self, model=_for_another_thread(self.model))

    def say(self, texts: Sequence[str]) -> Answer:
        """Probabilities of n texts that are clean already; their lengths are in words, and none is cut."""
        words = np.array([sum(len(part.split()) for part in parts(text)) for text in texts], dtype=np.int32)
        return Answer(self.model.probabilities(texts), words, np.zeros(len(texts), dtype=bool))

    def predictions_of(self, split: Split) -> Predictions:
        """Predictions of a split, whose texts are clean."""
        found = self.model.probabilities(split.texts)
        return Predictions(
            task=self.task,
            labels=self.labels,
            gold=split.targets,
            predicted=self.decided_labels(found),
            probabilities=found,
            rows=split.rows,
            clusters=split.clusters,
            weights=split.weights,
            soft=split.soft,
            positive=self.positive,
        )

    def fingerprint(self) -> str:
        """A hash of everything that a prediction depends on."""
        return hashlib.sha256(repr((self.labels, self.settings, self.decision, self.digest)).encode()).hexdigest()


def _for_another_thread(model: Model) -> Model:
    if isinstance(model, FrozenModel):
        return replace(model, tokenizer=copy.deepcopy(model.tokenizer))
    if isinstance(model, StackModel):
        return replace(model, parts=tuple(map(_for_another_thread, model.parts)))
    if isinstance(model, _FineTuned):
        return replace(model, classifier=model.classifier.for_another_thread())
    return model  # it sets nothing while it works


def load_classifier(
    place: str | Path, *, device: str = "auto", precision: str = "fp32", allow_code: bool = False, **options: Any
) -> BaseClassifier:
    """A classifier by what a person types: ``RUN``, ``RUN:tfidf``, or whatever `Classifier.from_pretrained` takes.

    Raises:
        DataError: the run has no such model.
        FtclsError: see `Classifier.from_pretrained`.
    """
    found = reference(str(place))
    with own_code.permission(found.path, given=allow_code):
        if found.name is None:
            return Classifier.from_pretrained(place, device=device, precision=precision, **options)
        return _simple(found, devices.choose(device, precision), options)


def _simple(wanted: Reference, machine: Machine, options: dict[str, Any]) -> SimpleClassifier:
    run = RunDir(Path(wanted.path))
    if wanted.name == "majority":
        raise ConfigError(f"{wanted}: says the same of every text; it is for `ftcls compare` alone")
    folder = run.models / str(wanted.name)
    if not folder.is_dir():
        manifest.check_part(folder)
        there = ", ".join(sorted(each.name for each in run.models.glob("*"))) or "none"
        raise DataError(
            f"{wanted}: the run has no such model; it has {there} ({_MADE_BY.get(str(wanted.name), _LADDER)})"
        )
    manifest.check(run.model)
    stored = settings.load(run.model)
    if stored is None:
        raise DataError(f"{run.model}: not written by ftcls, so nothing says how texts are cleaned")
    labels = tuple(store.load_settings(folder)["labels"])
    return SimpleClassifier(
        model=_MODELS[str(wanted.name)](folder, run, stored, machine, options),
        labels=labels,
        settings=stored,
        decision=decision.load(folder / decision.FILE, labels),
        source=str(wanted),
        digest=store.digest(folder),
        precision=machine.precision,
    )


def _tfidf(folder: Path, run: RunDir, stored: Settings, machine: Machine, options: dict[str, Any]) -> LinearModel:
    return LinearModel.load(folder, pairs=stored.text is not None and stored.text.pairs)


def _static(folder: Path, run: RunDir, stored: Settings, machine: Machine, options: dict[str, Any]) -> StaticModel:
    model, _ = StaticModel.load(folder)
    return model


def _frozen(folder: Path, run: RunDir, stored: Settings, machine: Machine, options: dict[str, Any]) -> FrozenModel:
    head, about = LogisticModel.load(folder)
    return FrozenModel(
        encoder=loading.load_encoder(about["checkpoint"]).to(machine.device),
        tokenizer=loading.load_tokenizer(str(run.model), train_texts=()),
        kind=about["pooling"],
        settings=stored,
        head=head,
        token_budget=options.get("token_budget") or devices.TOKEN_BUDGETS[machine.device],
        precision=machine.precision,
    )


def _stack(folder: Path, run: RunDir, stored: Settings, machine: Machine, options: dict[str, Any]) -> StackModel:
    about, arrays = store.load(folder, STACK, MIXTURE, {"parts": list})
    parts: list[Model] = []
    p = len(about["parts"])
    shape = (len(about["labels"]), p) if arrays["weights"].ndim == 2 else (p,)
    store.expect(folder, arrays, {"weights": shape, "scales": (p,), "shifts": (p,)})
    for name in about["parts"]:
        if name not in (FINE_TUNED, linear.KIND, logistic.KIND):
            raise DataError(f"{folder / store.SETTINGS}: cannot be read ({quoted(name)} is no part); train anew")
        if name == FINE_TUNED:
            trained = Classifier.from_pretrained(
                run.path, device=machine.device, precision=machine.precision, **options
            )
            parts.append(_FineTuned(trained))
        else:
            parts.append(_MODELS[name](run.models / name, run, stored, machine, options))
    return StackModel(tuple(parts), Mixture(**{name: arrays[name] for name in MIXTURE}))


_MODELS: Final[Mapping[str, Callable[[Path, RunDir, Settings, Machine, dict[str, Any]], Model]]] = {
    linear.KIND: _tfidf,
    logistic.KIND: _frozen,
    static.KIND: _static,
    STACK: _stack,
}

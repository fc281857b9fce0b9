"""A trained model as people use it: texts in, labels and probabilities out."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

import ftcls
from ftcls.data.corpus import Split, Task
from ftcls.environment import devices, manifest, memory
from ftcls.errors import ConfigError, UnavailableError
from ftcls.inference import onnx_runtime, padding_check, reload_check, window_answers
from ftcls.inference.base_classifier import Answer, BaseClassifier, WindowAnswer
from ftcls.inference.forward import Backend, Torch
from ftcls.model import adapters, documents, hub_snapshot, loading, own_code, padding, quantization, settings
from ftcls.model import checkpoint as origin
from ftcls.model.settings import Settings
from ftcls.model.tokenize import Encoded, encode, fingerprint
from ftcls.runs import directory
from ftcls.scoring import decision
from ftcls.scoring.apply import apply
from ftcls.scoring.decision import Decision
from ftcls.scoring.metrics import Predictions


@dataclass(frozen=True, eq=False)
class Classifier(BaseClassifier):
    """Weights, tokenizer, cleaning, cutting and decision of one model."""

    backend: Backend
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    settings: Settings
    decision: Decision
    token_budget: int
    max_rows: int | None = None
    reload_difference: float | None = None
    """How far the loaded model's logits are from those it was saved with; None where none were kept."""
    foreign: bool = False
    """Whether ftcls did not write it: task, cleaning and cutting are then guessed from its configuration."""
    source: str = ""
    """What it was loaded from."""

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        precision: str = "fp32",
        token_budget: int | None = None,
        max_rows: int | None = None,
        dequantize: bool = False,
        allow_code: bool = False,
    ) -> Self:
        """Load a run, its ``model/``, one of its checkpoints, an export, or any sequence-classification checkpoint.

        A checkpoint may also be a repository of the Hub; one that ``ftcls push`` made is whole there.

        Args:
            path: what to load.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: fp32, in which plain transformers computes and `eval` repeats a report; bf16 or fp16; auto, the
                quickest that the device has in hardware. An export computes as it was written.
            token_budget: most tokens, padding included, in one forward pass; None: what suits the device.
            max_rows: most texts in one forward pass.
            dequantize: layers of four or eight bits as numbers of float32, which changes the logits by rounding.
            allow_code: whether Python code that comes with the checkpoint may run.

        Raises:
            UnavailableError: there is nothing to load, an adapter's base is not the one it was trained on, the logits
                of a text depend on those beside it, or an export wants an extra that is not installed.
            DataError: a file beside the weights is damaged.
            ConfigError: the device is not there, or it or the export cannot compute in that precision.
        """
        with own_code.permission(path, given=allow_code):
            return cls._loaded(path, device, precision, token_budget, max_rows, dequantize=dequantize)

    @classmethod
    def _loaded(
        cls,
        path: str | Path,
        device: str,
        precision: str,
        token_budget: int | None,
        max_rows: int | None,
        *,
        dequantize: bool,
    ) -> Self:
        devices.quiet()
        machine = devices.choose(device, precision)
        try:
            folder = hub_snapshot.local(str(path))
            if isinstance(folder, Path):
                # On the Hub, which has digests of its own, there is no manifest.
                manifest.check(folder, expected=Path(path).exists() and (folder / settings.FILE).is_file())
            tokenizer = loading.load_tokenizer(str(folder), train_texts=())
        except UnavailableError as error:
            if near := directory.nearest(path):
                raise UnavailableError(f"{path}: there is no such run.{near}\n{error}") from error
            raise
        if isinstance(folder, Path) and onnx_runtime.is_in(folder):
            backend = _graph(folder, machine.device, precision)
        else:
            weights = loading.load_trained(str(folder), device=machine.device, dequantize=dequantize)
            # By it decoders find the last token of a text; some write a number that is no token.
            if weights.config.pad_token_id not in tokenizer.get_vocab().values():
                weights.config.pad_token_id = tokenizer.pad_token_id
            backend = Torch(weights, machine.precision)
        loading.check_vocabulary(tokenizer, backend.config, str(path))
        loading.settle_token_types(tokenizer, backend.config)
        labels = loading.label_names(backend.config, str(path))
        stored = settings.load(folder) if isinstance(folder, Path) else None
        decided = Path(folder) / decision.FILE
        task = _task(backend.config, stored, checkpoint=str(path))
        padding.use(tokenizer, _padding_side(backend, tokenizer, checkpoint=str(path)))
        reload_difference = _made_whole(backend, stored, tokenizer, folder) if isinstance(folder, Path) else None
        return cls(
            backend=backend,
            tokenizer=tokenizer,
            labels=labels,
            settings=stored
            or Settings(task, clean=(), max_length=loading.longest(backend.config, tokenizer, None), truncation="head"),
            decision=decision.load(decided, labels) if decided.is_file() else decision.default(task, len(labels)),
            token_budget=token_budget or devices.TOKEN_BUDGETS[backend.device],
            max_rows=max_rows,
            reload_difference=reload_difference,
            foreign=stored is None,
            source=str(path),
        )

    def for_another_thread(self) -> Self:
        """The same classifier with a tokenizer of its own: one that two threads set and use at once fails."""
        return replace(self, tokenizer=copy.deepcopy(self.tokenizer))

    @property
    def model(self) -> PreTrainedModel:
        """The weights in PyTorch.

        Raises:
            ConfigError: there are none, because this is an exported graph.
        """
        return self.backend.model

    @property
    def config(self) -> PretrainedConfig:
        """The model's configuration."""
        return self.backend.config

    @property
    def precision(self) -> str:
        """The arithmetic of the matrix products."""
        return self.backend.precision

    def encode(
        self,
        texts: Sequence[str],
        targets: NDArray[np.int64] | NDArray[np.float32] | None = None,
        *,
        cached: bool = False,
    ) -> Encoded:
        """Token ids of texts that are clean already."""
        return encode(
            texts,
            self.tokenizer,
            max_length=self.settings.max_length,
            truncation=self.settings.truncation,
            pair_truncation=self.settings.pair_truncation,
            windows=self.settings.windows,
            targets=targets,
            cached=cached,
        )

    def logits(self, encoded: Encoded) -> NDArray[np.float32]:
        """Logits of n texts that were encoded by this classifier, float32 [n, k], in input order."""
        return self.backend.logits(encoded, token_budget=self.token_budget, max_rows=self.max_rows)

    def predictions(self, split: Split, encoded: Encoded) -> Predictions:
        """Predictions of a split whose texts were encoded by this classifier."""
        return self.decided(split, self.logits(encoded))

    def decided(self, split: Split, logits: NDArray[np.float32]) -> Predictions:
        """Predictions of a split from its logits, float32 [n, k]."""
        return apply(
            self.decision,
            logits,
            gold=split.targets,
            task=self.task,
            labels=self.labels,
            positive=self.positive,
            rows=split.rows,
            clusters=split.clusters,
            weights=split.weights,
            soft=split.soft,
        )

    def say(self, texts: Sequence[str]) -> Answer:
        """Probabilities of n texts that are clean already."""
        encoded = self.encode(texts)
        return Answer(self._probabilities(encoded), encoded.full_lengths, encoded.truncated)

    def windows_of(self, texts: Sequence[str]) -> list[tuple[WindowAnswer, ...]]:
        """The windows of each of n texts that are clean already, in order, with what the model says of each by itself.

        Raises:
            ConfigError: it reads no windows.
        """
        windows = self.settings.windows
        if windows is None:
            return super().windows_of(texts)
        return window_answers.answers(
            self._probabilities,
            texts,
            self.encode(texts),
            windows,
            labels=self.labels,
            settings=self.settings,
            tokenizer=self.tokenizer,
        )

    def _probabilities(self, encoded: Encoded) -> NDArray[np.float64]:
        return decision.probabilities(self.logits(encoded), self.task, self.decision.temperature, self.decision.shift)

    def predictions_of(self, split: Split) -> Predictions:
        """Predictions of a split, whose texts are clean."""
        return self.predictions(split, self.encode(split.texts, split.targets, cached=True))

    def fingerprint(self) -> str:
        """A hash of everything that a prediction depends on; see `Backend.fingerprint` for the weights."""
        rules = (self.labels, self.settings, self.decision, self.token_budget, self.max_rows)
        found = (fingerprint(self.tokenizer), self.backend.fingerprint(), rules)
        return hashlib.sha256(repr(found).encode()).hexdigest()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write it as `from_pretrained` and plain transformers load it: weights, tokenizer, cleaning, thresholds.

        Raises:
            ConfigError: it is an exported graph, which has no weights to write.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        loading.save(self.model, place, windowed=self.settings.windows is not None)
        self.save_companions(place)
        manifest.write(place)

    def save_companions(self, folder: Path) -> None:
        """Write what makes weights a whole classifier: configuration, tokenizer, cleaning, decision."""
        self.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        settings.save(self.settings, folder)
        decision.save(self.decision, self.labels, folder / decision.FILE)

    def push_to_hub(self, repository: str, **options: Any) -> Any:
        """Upload the run that it was loaded from, with a model card made from its report; see `ftcls.push`.

        Raises:
            DataError: it was not loaded from a finished run.
            UnavailableError: nobody is logged in, the Hub cannot be reached, or it refuses.
        """
        # The card is written from the run's report, in a room above this one.
        return ftcls.push(self.source, repository, **options)


def _see_that_it_answers(backend: Backend, tokenizer: PreTrainedTokenizerBase, checkpoint: str) -> None:
    """Quantized layers whose numbers are of another kind than the configuration says fail when they compute.

    Raises:
        UnavailableError: they do.
    """
    try:
        backend.logits(
            encode(["a"], tokenizer, max_length=16, truncation="head", cached=False), token_budget=16, max_rows=1
        )
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if memory.ran_out(error):
            raise
        raise UnavailableError(
            f"{checkpoint}: its quantized layers cannot compute ({type(error).__name__} {error}): its config.json "
            "describes other weights than there are"
        ) from error


def _made_whole(
    backend: Backend, stored: Settings | None, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> float | None:
    """Make a model that reads windows ready for documents; how far any is from what was saved, see `reload_check`.

    Raises:
        UnavailableError: its weights are those of such a model and its settings are not, or the other way round; or it
            is another model than was saved.
    """
    windows = None if stored is None else stored.windows
    if (windows is not None) != any((folder / name).is_file() for name in (origin.WINDOWED, adapters.WINDOWED)):
        raise UnavailableError(
            f"{folder}: {settings.FILE} and the weights do not belong together: one is of a model that reads windows, "
            "the other is not. Take the folder of one model whole"
        )
    if windows is None:
        return reload_check.check(backend.model, folder) if isinstance(backend, Torch) else None
    new = documents.attach(backend.model, windows, tokenizer, checkpoint=str(folder))
    if new and not documents.load_weights(backend.model, folder):
        raise UnavailableError(f"{folder}: {origin.WINDOWED} lacks {', '.join(new)}; take the folder whole")
    return reload_check.check(backend.model, folder, windows)


def _graph(folder: Path, device: str, precision: str) -> Backend:
    if precision not in ("fp32", "auto"):
        raise ConfigError(
            f"--precision {precision}: {folder} is an export, which computes as it was written; leave the option out"
        )
    return onnx_runtime.load(folder, device=device)


def _padding_side(backend: Backend, tokenizer: PreTrainedTokenizerBase, *, checkpoint: str) -> padding.Side:
    """That of the architecture, put to the test by a model in PyTorch; a graph was compared with one as it was made."""
    expected = padding.side(backend.config)
    if not isinstance(backend, Torch):
        return expected
    if quantization.is_quantized(backend.model):
        _see_that_it_answers(backend, tokenizer, checkpoint)
        return expected
    length = loading.longest(backend.config, tokenizer, None)
    logits = padding_check.of_model(backend.model)
    return padding_check.side(logits, tokenizer, max_length=length, expected=expected, checkpoint=checkpoint)


def _task(config: PretrainedConfig, stored: Settings | None, *, checkpoint: str) -> Task:
    """What the outputs are, as ftcls wrote it down, else as `transformers.pipeline` reads them.

    Raises:
        UnavailableError: they are no classes.
    """
    if config.problem_type == "regression":
        raise UnavailableError(
            f"{checkpoint}: it was trained for regression (problem_type in its config.json): its output is a number "
            "and no class. ftcls classifies; train a classifier from it, with model.checkpoint"
        )
    if config.num_labels == 1 and stored is not None and stored.task != "multilabel":
        raise UnavailableError(
            f"{checkpoint}: {settings.FILE} says {stored.task}, and the model has one output, which says the same of "
            f'every text; if it is the score of one label by itself, write "task": "multilabel" there'
        )
    if stored is not None:
        return stored.task
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return "multilabel"  # one output: a sigmoid
    return "binary" if config.num_labels == 2 else "multiclass"

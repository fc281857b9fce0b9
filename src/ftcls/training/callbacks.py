"""What happens between steps: when to log, evaluate, save and stop; history, progress bar and trackers."""

import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import MLflowCallback, TensorBoardCallback, WandbCallback

from ftcls.environment import progress
from ftcls.environment.figures_as_text import number
from ftcls.errors import UnavailableError
from ftcls.runs.history import History
from ftcls.training.checkpoints import TrainingProgress
from ftcls.training.stop_request import StopRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cadence:
    """When things happen, in optimizer steps."""

    total: int
    """Steps of the whole training."""
    per_epoch: int
    logging: int
    evaluation: int | None
    """Steps between evaluations; None: only after the last step."""
    saving: int | None
    """Steps between checkpoints; None: only when the run is interrupted."""

    def evaluates(self, step: int) -> bool:
        """Whether the validation split is scored after this step; always after the last one."""
        return step == self.total or (self.evaluation is not None and self._due(step, self.evaluation))

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is written after this step."""
        return self.saving is not None and (step == self.total or self._due(step, self.saving))

    def logs(self, step: int) -> bool:
        """Whether loss, learning rate and gradient norm are logged after this step."""
        return step in {1, self.total} or step % self.logging == 0

    def _due(self, step: int, every: int) -> bool:
        # Epochs are counted in steps too, so that evaluation comes before the checkpoint of the same step: a run that
        # is killed between the two does it again, and none is skipped.
        return step % every == 0


class Schedule(TrainerCallback):  # type: ignore[misc]
    """Decides after every step; the Trainer's own strategies are switched off."""

    def __init__(self, cadence: Cadence, progress: TrainingProgress, stop: StopRequest, patience: int | None) -> None:
        self.cadence = cadence
        self.progress = progress
        self.stop = stop
        self.patience = patience
        self.interrupted = False
        self._began = 0.0

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Start the clock of the step."""
        self._began = time.perf_counter()
        return control

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Choose what follows the step: log, then evaluate, then save."""
        self.progress.seconds += time.perf_counter() - self._began
        step = state.global_step
        control.should_log = self.cadence.logs(step)
        control.should_evaluate = self.cadence.evaluates(step)
        control.should_save = self.cadence.saves(step)
        if self.stop.agreed(args.device) and step < self.cadence.total:
            self.interrupted = True
            control.should_save = control.should_training_stop = True
        return control

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Stop when too many evaluations passed without a better one."""
        if self.patience is not None and self.progress.evaluations_without_better >= self.patience:
            self.progress.stopped_early = state.global_step < self.cadence.total
            control.should_training_stop = True
            # An interrupted run is saved whatever the strategy says.
            control.should_save = control.should_save or self.cadence.saving is not None
        return control


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Writes history.jsonl."""

    def __init__(self, history: History) -> None:
        self.history = history

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **_: Any
    ) -> None:
        """Take down what was logged; the Trainer's closing summary is left out."""
        if "train_runtime" not in logs and state.is_world_process_zero:
            self.history.add(state.global_step, {k: v for k, v in logs.items() if k != "total_flos"})

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The last step is over: write its line."""
        self.history.flush()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the last line."""
        self.history.flush()


class Bar(TrainerCallback):  # type: ignore[misc]
    """A live bar with loss, metric and time left on a terminal or in a notebook; plain lines elsewhere."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self._lines = progress.place() is None
        self._bar: progress.Bar | None = None
        self._open = contextlib.ExitStack()
        self._loss = self._score = ""
        self._last_line = time.monotonic()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Show the bar."""
        if state.is_world_process_zero:
            self._bar = self._open.enter_context(progress.bar("training"))
            self._move(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move the bar."""
        self._move(state)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **_: Any
    ) -> None:
        """Show loss and score; an evaluation is always worth a line."""
        if not state.is_world_process_zero:
            return
        where = f"step {state.global_step}/{state.max_steps}"
        if f"eval_{self.metric}" in logs:
            self._score = f"{self.metric} {number(logs[f'eval_{self.metric}'])}"
            log.info("%s: validation %s", where, self._score)
        elif "loss" in logs:
            self._loss = f"loss {number(logs['loss'])}"
            if self._lines and time.monotonic() - self._last_line > progress.SECONDS_BETWEEN_LINES:
                self._last_line = time.monotonic()
                log.info("%s: %s", where, self._loss)
        self._move(state)

    def close(self) -> None:
        """Take the bar away, also after an error."""
        self._open.close()
        self._bar = None

    def _move(self, state: TrainerState) -> None:
        if self._bar is not None:
            words = (f"{state.global_step}/{state.max_steps}", self._loss, self._score)
            self._bar.update(state.global_step / state.max_steps, " ".join(word for word in words if word))


class Guarded(TrainerCallback):  # type: ignore[misc]
    """A tracker that cannot stop a run: its first failure is logged and it is not called again."""

    def __init__(self, name: str, tracker: TrainerCallback) -> None:
        self.name = name
        self.tracker: TrainerCallback | None = tracker

    def _call(self, event: str, *args: Any, **kwargs: Any) -> None:
        if self.tracker is None:
            return
        try:
            getattr(self.tracker, event)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  a run of hours must survive whatever a tracker's client does
            log.warning("report.trackers: %s failed and is off for the rest of this run: %s", self.name, error)
            self.tracker = None

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """Passed on."""
        self._call("on_train_begin", *args, **kwargs)

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        """Passed on."""
        self._call("on_log", *args, **kwargs)

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        """Passed on."""
        self._call("on_train_end", *args, **kwargs)


TRACKERS = {"tensorboard": TensorBoardCallback, "wandb": WandbCallback, "mlflow": MLflowCallback}


def tracker(name: str, folder: Path) -> Guarded:
    """The callback of one tracker; TensorBoard writes into ``folder``.

    Raises:
        UnavailableError: its package is not installed.
    """
    try:
        found = TRACKERS[name]()
        found.logging_dir = str(folder)  # read by TensorBoard's alone, which would fill the checkpoints' folder
        return Guarded(name, found)
    except (ImportError, RuntimeError) as error:
        raise UnavailableError(
            f'report.trackers: {name} is not installed; run\n  pip install -c constraints.txt "ftcls[{name}]"'
        ) from error

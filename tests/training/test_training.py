import json
import logging
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState

import fitting
from ftcls.config.loss_schema import Loss
from ftcls.config.schema import Adapter, Training
from ftcls.errors import ConfigError, TrainingError, UnavailableError
from ftcls.model.windows import Windows
from ftcls.runs import history
from ftcls.runs.directory import RunDir
from ftcls.training import callbacks, checkpoints
from ftcls.training.fit import arguments, cadence
from ftcls.training.trainer import Trainer
from processes import LIBRARIES, finish, on_two, start

WHOLE = 10_000  # tokens: a step of 8 texts in one piece
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and forked processes")


def steps_of(folder):
    return [line for line in history.read(Path(folder) / "history.jsonl") if "loss" in line]


def relative(first, second):
    """Norm of the difference of two state dicts, relative to the norm of the weights."""
    difference = sum(((first[name] - second[name]).double() ** 2).sum() for name in first)
    return float((difference / sum((first[name].double() ** 2).sum() for name in first)).sqrt())


# At 1e-3 Adam turns rounding in gradients that are zero by symmetry (key biases) into steps of full size.
TEN = {"max_steps": 10, "learning_rate": 1e-4, "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no"}


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_step_in_micro_batches_is_the_step_in_one_piece(tmp_path, multilabel):
    fitting.run(tmp_path / "whole", training={**TEN, "token_budget": WHOLE}, multilabel=multilabel)
    cut = fitting.run(tmp_path / "cut", training={**TEN, "token_budget": 40}, multilabel=multilabel)

    assert cut.progress.micro_batches > 30  # ten steps, several pieces each
    for one, other in zip(steps_of(tmp_path / "whole"), steps_of(tmp_path / "cut"), strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)
    assert relative(fitting.weights(tmp_path / "whole"), fitting.weights(tmp_path / "cut")) < 1e-5


def learnt_alike(one, two):
    """Assert that two processes learnt, step by step, what one process did."""
    for alone, joined in zip(steps_of(one), steps_of(two), strict=True):
        assert joined["loss"] == pytest.approx(alone["loss"], rel=1e-5)
        assert joined["grad_norm"] == pytest.approx(alone["grad_norm"], rel=1e-5)
    for rank in (0, 1):
        assert relative(fitting.weights(one), fitting.weights(two, rank)) < 1e-5


@posix_only
def test_processes_have_the_libraries_when_they_start():
    """The server leaves out what it cannot import without a word, and each process would then import it again."""
    code = f"import sys; sys.exit(not {{*{LIBRARIES!r}}} <= {{*sys.modules}})"
    assert finish(start(exec, code)) == 0


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize(
    ("multilabel", "adapter"), [(False, None), (True, None), (False, Adapter(kind="lora", dropout=0.0))]
)
def test_two_processes_are_one(tmp_path, multilabel, adapter):
    settings = {**TEN, "token_budget": 40}
    fitting.run(tmp_path / "one", training={**TEN, "token_budget": WHOLE}, multilabel=multilabel, adapter=adapter)
    arguments = (str(tmp_path / "two"), settings, multilabel, adapter)
    assert on_two(fitting.one_of_two, fitting.trained, *arguments) == [0, 0]
    learnt_alike(tmp_path / "one", tmp_path / "two")


# In windows of 24 tokens few documents have more than one: the layer that weighs them has a gradient in one process.
@posix_only
@pytest.mark.slow
@pytest.mark.parametrize(("size", "adapter"), [(12, None), (24, None), (24, Adapter(kind="lora", dropout=0.0))])
def test_two_processes_that_read_windows_are_one(tmp_path, size, adapter):
    windows = Windows(size, 3, "attention")
    fitting.run(tmp_path / "one", training={**TEN, "token_budget": WHOLE}, adapter=adapter, windows=windows)
    arguments = (str(tmp_path / "two"), {**TEN, "token_budget": 40}, False, adapter, None, windows)
    assert on_two(fitting.one_of_two, fitting.trained, *arguments) == [0, 0]
    learnt_alike(tmp_path / "one", tmp_path / "two")


def test_the_first_loss_is_the_plain_mean_over_the_step(tmp_path):
    """Against torch's own loss on the untrained model: the stock Trainer's inflated loss would be found here."""
    seen = {}

    class Keep(TrainerCallback):
        def on_train_begin(self, args, state, control, model=None, train_dataloader=None, **kwargs):
            batches = next(iter(train_dataloader))
            rows = np.concatenate([batch.rows for batch in batches])
            _, encoded = fitting.encoded()
            padded = encoded.pad(rows, model.config.pad_token_id)
            inputs = {name: torch.from_numpy(array) for name, array in padded.items()}
            with torch.no_grad():
                logits = model(**inputs).logits
            seen["loss"] = torch.nn.functional.cross_entropy(logits, torch.from_numpy(encoded.targets[rows])).item()

    fitting.run(tmp_path, training={**TEN, "token_budget": 40}, callbacks=(Keep(),))

    assert steps_of(tmp_path)[0]["loss"] == pytest.approx(seen["loss"], rel=1e-5)


# 67 examples in steps of 8: 9 steps an epoch, evaluation after each epoch, a checkpoint every 4 steps.
THREE_EPOCHS = {
    "num_train_epochs": 3,
    "learning_rate": 1e-4,
    "save_strategy": "steps",
    "save_steps": 4,
    "token_budget": 64,
    "logging_steps": 2,
}
MOMENTS = {
    "before the first checkpoint": ("step", 3),
    "between two micro-batches": ("micro_batch", 40),
    "inside a checkpoint": ("checkpoint", 8),
    "past the end of an epoch": ("step", 11),
    "between the two renames of the best weights": ("best", 2),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert finish(start(fitting.undisturbed, str(folder), THREE_EPOCHS)) == 0
    return folder


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, undisturbed, moment):
    assert finish(start(fitting.killed, str(tmp_path), *moment, THREE_EPOCHS)) == -signal.SIGKILL
    assert finish(start(fitting.undisturbed, str(tmp_path), THREE_EPOCHS, 0.1, True)) == 0

    expected, found = fitting.weights(undisturbed), fitting.weights(tmp_path)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    best = [(folder / "checkpoints" / "best" / "model.safetensors").read_bytes() for folder in (undisturbed, tmp_path)]
    assert best[0] == best[1]
    scores = [
        [line for line in history.read(f / "history.jsonl") if "eval_loss" in line] for f in (undisturbed, tmp_path)
    ]
    assert [line["step"] for line in scores[1]] == [9, 18, 27]
    assert [line["eval_loss"] for line in scores[0]] == [line["eval_loss"] for line in scores[1]]
    assert not list((tmp_path / "checkpoints").glob(".*"))


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize("windows", [None, Windows(12, 3, "attention")], ids=["whole texts", "windows"])
def test_two_killed_processes_resume_to_the_same_bits(tmp_path, windows):
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert on_two(fitting.one_of_two, fitting.undisturbed, one, THREE_EPOCHS, 0.1, False, None, windows) == [0, 0]
    killed = on_two(fitting.one_of_two, fitting.killed, two, "step", 11, THREE_EPOCHS, None, windows)
    assert killed == [-signal.SIGKILL, -signal.SIGKILL]
    assert on_two(fitting.one_of_two, fitting.undisturbed, two, THREE_EPOCHS, 0.1, True, None, windows) == [0, 0]

    for rank in (0, 1):
        expected, found = fitting.weights(one, rank), fitting.weights(two, rank)
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert [line["step"] for line in history.read(Path(two) / "history.jsonl") if "eval_loss" in line] == [9, 18, 27]


@pytest.mark.slow
@pytest.mark.parametrize(("quantization", "optim"), [("none", "adamw_torch_fused"), ("nf4", "adamw_bnb_8bit")])
def test_a_crashed_run_with_an_adapter_resumes_to_the_same_bits(tmp_path, quantization, optim):
    pytest.importorskip("bitsandbytes", reason="needs the quantization extra")
    one, two = tmp_path / "one", tmp_path / "two"
    # From 4,096 numbers on a state is kept in 8 bits.
    settings = {"adapter": Adapter(kind="lora", r=32, quantization=quantization), "best_metric": "loss", "dropout": 0.1}
    settings["training"] = {**THREE_EPOCHS, "optim": optim}

    class Crash(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step + 1 == 11:
                raise RuntimeError("planted")

    fitting.run(one, **settings)
    with pytest.raises(RuntimeError, match="planted"):
        fitting.run(two, **settings, callbacks=(Crash(),))
    fitting.run(two, **settings, resume=True)

    expected, found = fitting.weights(one), fitting.weights(two)
    assert any("lora_B" in name and expected[name].any() for name in expected)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    state = torch.load(two / "checkpoints" / "step-24" / "optimizer.pt", weights_only=False)["state"][0]
    state = state["__bnb_optimizer_quant_state__"] if "__bnb_optimizer_quant_state__" in state else state
    assert ("state1" in state and state["state1"].dtype == torch.uint8) == (optim == "adamw_bnb_8bit")
    best = [(folder / "checkpoints" / "best" / "adapter_model.safetensors").read_bytes() for folder in (one, two)]
    assert best[0] == best[1]


RARE = {"sampling": "balanced", "augmentation": {"word_dropout": 0.2, "word_swap": 0.2, "token_masking": 0.2}}


@posix_only
@pytest.mark.slow
def test_drawn_rows_and_changed_words_are_the_same_after_a_resume(tmp_path):
    settings = {**THREE_EPOCHS, **RARE}
    assert finish(start(fitting.undisturbed, str(tmp_path / "one"), settings)) == 0
    assert finish(start(fitting.killed, str(tmp_path / "two"), "step", 15, settings)) == -signal.SIGKILL
    assert finish(start(fitting.undisturbed, str(tmp_path / "two"), settings, 0.1, True)) == 0
    expected, found = fitting.weights(tmp_path / "one"), fitting.weights(tmp_path / "two")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("multilabel", [False, True])
def test_drawn_rows_and_changed_words_do_not_depend_on_the_micro_batches(tmp_path, multilabel):
    for name, budget in (("whole", WHOLE), ("cut", 40)):
        fitting.run(tmp_path / name, training={**TEN, **RARE, "token_budget": budget}, multilabel=multilabel)
    plain = fitting.run(tmp_path / "plain", training=TEN, multilabel=multilabel)
    assert plain.steps == 10
    whole, cut, other = (steps_of(tmp_path / name) for name in ("whole", "cut", "plain"))
    assert [line["loss"] for line in cut] == pytest.approx([line["loss"] for line in whole], rel=1e-5)
    assert [line["grad_norm"] for line in cut] == pytest.approx([line["grad_norm"] for line in whole], rel=1e-4)
    assert whole[-1]["loss"] != pytest.approx(other[-1]["loss"], rel=1e-5)


@posix_only
@pytest.mark.slow
def test_a_terminated_run_saves_and_resumes_to_the_same_bits(tmp_path, undisturbed):
    assert finish(start(fitting.terminated, str(tmp_path), THREE_EPOCHS, 9)) == 0
    outcome = json.loads((tmp_path / "outcome.json").read_text())

    assert outcome["code"] == 130
    assert "after step 9 of 27" in outcome["message"]
    assert f"--output {tmp_path} --resume" in outcome["message"]
    assert finish(start(fitting.undisturbed, str(tmp_path), THREE_EPOCHS, 0.1, True)) == 0
    expected, found = fitting.weights(undisturbed), fitting.weights(tmp_path)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    evaluated = [line["step"] for line in history.read(tmp_path / "history.jsonl") if "eval_loss" in line]
    assert evaluated == [9, 18, 27]  # step 9 ends an epoch: its evaluation is neither lost nor done twice


def test_out_of_memory_halves_the_budget_and_repeats_the_step(tmp_path, monkeypatch, caplog):
    fitting.run(tmp_path / "plain", training={**TEN, "token_budget": WHOLE})
    inputs = Trainer._inputs

    def at_most_three(self, batch):
        if len(batch.rows) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory (planted)")
        return inputs(self, batch)

    monkeypatch.setattr(Trainer, "_inputs", at_most_three)
    with caplog.at_level(logging.WARNING, logger="ftcls"):
        found = fitting.run(tmp_path / "short", training={**TEN, "token_budget": WHOLE})

    assert found.token_budget < WHOLE
    assert "token budget halved to 5000" in caplog.text
    assert relative(fitting.weights(tmp_path / "plain"), fitting.weights(tmp_path / "short")) < 1e-5


def test_out_of_memory_with_a_single_text_stops_with_advice(tmp_path, monkeypatch):
    def never(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory (planted)")

    monkeypatch.setattr(Trainer, "_inputs", never)
    with pytest.raises(TrainingError, match=r"out of memory at step 1 .* smaller model.max_length"):
        fitting.run(tmp_path, training=TEN)


def test_a_loss_that_is_not_finite_stops_and_names_the_last_good_checkpoint(tmp_path, monkeypatch):
    compute = Trainer.compute_loss

    def broken(self, *args, **kwargs):
        loss = compute(self, *args, **kwargs)
        return loss * float("nan") if self.state.global_step == 5 else loss

    monkeypatch.setattr(Trainer, "compute_loss", broken)
    with pytest.raises(TrainingError, match=r"not finite at step 6 .* last good checkpoint is .*step-4"):
        fitting.run(tmp_path, training={**TEN, "save_strategy": "steps", "save_steps": 4})
    assert checkpoints.newest(tmp_path / "checkpoints").name == "step-4"


def test_a_learning_rate_that_explodes_is_found_by_the_gradient(tmp_path):
    with pytest.raises(TrainingError, match="not finite"):
        fitting.run(tmp_path, training={**TEN, "max_steps": 40, "learning_rate": 1e18, "max_grad_norm": 0})


@pytest.mark.parametrize("interrupted_after", [None, 2])
def test_patience_counts_evaluations_and_survives_a_resume(tmp_path, monkeypatch, interrupted_after):
    """The score never rises after the first evaluation, so patience 2 stops after the third."""
    monkeypatch.setattr(
        "ftcls.training.validation.Validation.score",
        lambda *args, **kwargs: {"loss": 1.0, "f1_macro": 0.5, "accuracy": 0.5},
    )
    settings = {
        **TEN, "max_steps": 20, "eval_strategy": "steps", "eval_steps": 3, "save_strategy": "steps", "save_steps": 3,
        "early_stopping_patience": 2,
    }  # fmt: skip
    if interrupted_after is not None:

        class Crash(TrainerCallback):
            def on_step_begin(self, args, state, control, **kwargs):
                if state.global_step == 3 * interrupted_after + 1:
                    raise RuntimeError("planted")

        with pytest.raises(RuntimeError, match="planted"):
            fitting.run(tmp_path, training=settings, callbacks=(Crash(),))
    found = fitting.run(tmp_path, training=settings, resume=interrupted_after is not None)

    assert found.progress.stopped_early
    assert found.steps == 9
    assert found.best.step == 3


def test_resuming_a_finished_training_trains_no_further(tmp_path):
    settings = {**TEN, "save_strategy": "epoch"}
    first = fitting.run(tmp_path, training=settings)
    before = fitting.weights(tmp_path)
    again = fitting.run(tmp_path, training=settings, resume=True)

    assert (again.steps, again.best) == (first.steps, first.best) == (10, first.best)
    stored = checkpoints.newest(tmp_path / "checkpoints")
    assert stored.name == "step-10"
    assert before.keys() == fitting.weights(tmp_path).keys()


def test_a_resume_keeps_the_smaller_budget_that_memory_forced(tmp_path, monkeypatch):
    inputs = Trainer._inputs

    def at_most_three(self, batch):
        if len(batch.rows) > 3:
            raise torch.OutOfMemoryError("planted")
        return inputs(self, batch)

    monkeypatch.setattr(Trainer, "_inputs", at_most_three)
    settings = {**TEN, "token_budget": WHOLE, "save_strategy": "steps", "save_steps": 5}
    found = fitting.run(tmp_path, training=settings)
    stored = checkpoints.read_progress(checkpoints.newest(tmp_path / "checkpoints"))

    assert stored.token_budget == found.token_budget < stored.planned_budget == WHOLE


def test_only_so_many_checkpoints_are_kept(tmp_path):
    fitting.run(tmp_path, training={**TEN, "save_strategy": "steps", "save_steps": 2, "save_total_limit": 3})
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best", "step-10", "step-6", "step-8"]


def test_a_checkpoint_without_a_manifest_does_not_exist(tmp_path):
    fitting.run(tmp_path, training={**TEN, "save_strategy": "steps", "save_steps": 5})
    folder = tmp_path / "checkpoints"
    (folder / "step-10" / "manifest.json").unlink()
    assert checkpoints.newest(folder).name == "step-5"


def test_weight_decay_leaves_biases_and_norms_alone(tmp_path):
    groups = {}

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
            names = {id(parameter): name for name, parameter in model.named_parameters()}
            for group in optimizer.param_groups:
                groups[group["weight_decay"]] = [names[id(parameter)] for parameter in group["params"]]

    fitting.run(tmp_path, training={**TEN, "weight_decay": 0.01}, callbacks=(Look(),))

    assert all(name.endswith("bias") or "LayerNorm" in name for name in groups[0.0])
    assert not any(name.endswith("bias") or "LayerNorm" in name for name in groups[0.01])


def test_the_linear_schedule_is_that_of_the_diagnosis_study(tmp_path):
    """2,000 rows, batch 16, three epochs at 2e-5: 1.952e-5 was logged at step 10 and 3.2e-7 at step 370 of 375."""
    section = Training(
        batch_size=16, num_train_epochs=3, learning_rate=2e-5, warmup_steps=0, logging_steps=10, device="cpu"
    )
    pace = cadence(section, 2_000)
    assert (pace.total, pace.per_epoch) == (375, 125)
    machine = fitting.devices.choose("cpu", "fp32")
    given = arguments(section, pace=pace, machine=machine, seed=1, run=RunDir(tmp_path))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=given.learning_rate)
    from transformers import get_scheduler

    schedule = get_scheduler(given.lr_scheduler_type, optimizer, int(given.warmup_steps), given.max_steps)
    rates = []
    for _ in range(pace.total):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[9] == pytest.approx(1.952e-5)
    assert rates[369] == pytest.approx(3.2e-7)


def test_history_has_one_line_a_step_with_training_and_validation_together(tmp_path):
    fitting.run(tmp_path, training={**TEN, "eval_strategy": "steps", "eval_steps": 5, "logging_steps": 5})
    lines = history.read(tmp_path / "history.jsonl")

    assert [line["step"] for line in lines] == [1, 5, 10]
    assert {"epoch", "loss", "learning_rate", "grad_norm", "eval_loss", "eval_f1_macro"} <= lines[1].keys()


@pytest.mark.parametrize("adapter", [None, Adapter(kind="lora")])
def test_recomputed_activations_give_the_same_weights(tmp_path, adapter):
    for name, recompute in (("kept", False), ("recomputed", True)):
        settings = {**TEN, "activation_checkpointing": recompute}
        # Without an adapter what is not recomputed is packed, and draws other dropout masks.
        fitting.run(tmp_path / name, training=settings, dropout=0.1 if adapter else 0.0, adapter=adapter)
    kept, found = fitting.weights(tmp_path / "kept"), fitting.weights(tmp_path / "recomputed")
    assert relative(kept, found) < (1e-7 if adapter else 1e-5)


def test_class_weights_and_smoothing_reach_the_loss(tmp_path):
    plain = fitting.run(tmp_path / "plain", training=TEN)
    fitting.run(
        tmp_path / "weighted", training=TEN, loss=Loss(class_weights={"a": 1.0, "b": 20.0}, label_smoothing=0.2)
    )
    assert plain.steps == 10
    first, other = (steps_of(tmp_path / name)[0]["loss"] for name in ("plain", "weighted"))
    assert first != pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize(
    ("multilabel", "settings"),
    [
        (False, {"class_weights": "effective_number", "logit_adjustment": 1.0}),
        (True, {"pos_weight": "square_root", "logit_adjustment": 1.0}),
        (True, {"kind": "asymmetric", "class_weights": "balanced"}),
    ],
)
def test_every_loss_is_the_same_whole_and_in_micro_batches(tmp_path, multilabel, settings):
    runs = {"whole": 10_000, "pieces": 40}
    for name, budget in runs.items():
        fitting.run(
            tmp_path / name,
            training={**TEN, "token_budget": budget},
            multilabel=multilabel,
            loss=Loss(**settings),
        )
    whole, pieces = (steps_of(tmp_path / name) for name in runs)
    for one, other in zip(whole, pieces, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)


def test_a_weight_for_a_name_that_is_no_label_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"loss\.class_weights: 'c': no such label in the data; it has a, b"):
        fitting.run(tmp_path, training=TEN, loss=Loss(class_weights={"a": 1.0, "c": 20.0}))


def test_tensorboard_writes_into_the_run(tmp_path):
    pytest.importorskip("tensorboard")
    fitting.run(tmp_path, training=TEN, trackers=("tensorboard",))
    assert list((tmp_path / "tensorboard").glob("events.*"))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best"]


def test_a_tracker_that_fails_is_switched_off_and_stops_nothing(tmp_path, monkeypatch, caplog):
    class Broken(TrainerCallback):
        def on_log(self, *args, **kwargs):
            raise ConnectionError("the server is gone")

    monkeypatch.setitem(callbacks.TRACKERS, "mlflow", Broken)
    with caplog.at_level(logging.WARNING, logger="ftcls"):
        assert fitting.run(tmp_path, training=TEN, trackers=("mlflow",)).steps == 10
    assert caplog.text.count("report.trackers: mlflow failed and is off for the rest of this run") == 1


def test_a_tracker_that_is_not_installed_gives_the_line_that_installs_it(tmp_path, monkeypatch):
    def missing():
        raise RuntimeError("requires wandb to be installed")

    monkeypatch.setitem(callbacks.TRACKERS, "wandb", missing)
    with pytest.raises(UnavailableError, match=r'wandb is not installed; run\n  pip install .*"ftcls\[wandb\]"'):
        fitting.run(tmp_path, training=TEN, trackers=("wandb",))


def test_a_run_that_is_interrupted_as_its_patience_ends_is_still_saved():
    pace = callbacks.Cadence(total=10, per_epoch=5, logging=1, evaluation=1, saving=None)
    progress = checkpoints.TrainingProgress.before_the_first_step()
    progress.evaluations_without_better = 2
    schedule = callbacks.Schedule(pace, progress, callbacks.StopRequest(), patience=2)
    control = TrainerControl(should_save=True)
    schedule.on_evaluate(None, TrainerState(global_step=4), control)
    assert (control.should_save, control.should_training_stop, progress.stopped_early) == (True, True, True)

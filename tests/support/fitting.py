"""A small training that tests run in processes of their own, to kill them or to join them."""

import contextlib
import json
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import TrainerCallback

from ftcls.config.loss_schema import Loss
from ftcls.config.schema import Adapter, Training
from ftcls.environment import devices
from ftcls.errors import FtclsError
from ftcls.model import adapters, documents, loading, scratch
from ftcls.model.tokenize import Encoded
from ftcls.model.windows import Windows
from ftcls.runs.directory import RunDir
from ftcls.training import checkpoints, fit, trainer
from ftcls.training.validation import Validation

EXAMPLES = 67
WORDS = [f"w{i}" for i in range(60)]


def examples(multilabel=False):
    """Texts of 2 to 30 words; the label says which half of the vocabulary prevails."""
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(WORDS, rng.integers(2, 30))) for _ in range(EXAMPLES)]
    low = np.array([np.mean([int(word[1:]) < 30 for word in text.split()]) for text in texts])
    if multilabel:
        return texts, np.stack([low > 0.5, low > 0.4, low < 0.3], axis=1).astype(np.float32)
    return texts, (low > 0.5).astype(np.int64)


def encoded(multilabel=False, of_rows=None, repeats=None):
    from ftcls.model.tokenize import encode

    texts, targets = examples(multilabel)
    tokenizer = scratch.train_tokenizer(texts)
    if repeats is not None:
        texts, targets = (
            [text for text, n in zip(texts, repeats, strict=True) for _ in range(n)],
            targets.repeat(repeats, 0),
        )
    rows = encode(texts, tokenizer, max_length=32, truncation="head", targets=targets, cached=False)
    return tokenizer, rows if of_rows is None else replace(rows, weights=of_rows * (len(of_rows) / of_rows.sum()))


def run(
    folder: Path,
    *,
    training: dict,
    dropout: float = 0.0,
    multilabel: bool = False,
    resume: bool = False,
    callbacks: tuple[TrainerCallback, ...] = (),
    loss: Loss | None = None,
    best_metric: str = "f1_macro",
    trackers: tuple[str, ...] = (),
    adapter: Adapter | None = None,
    of_rows=None,
    repeats=None,
    windows: Windows | None = None,
) -> fit.Fit:
    """One training on one thread; the final weights go to ``folder/weights-RANK.pt``.

    ``of_rows`` is how much each row counts, ``repeats`` how often each is there.
    """
    torch.set_num_threads(1)
    devices.quiet()
    labels = ("a", "b", "c") if multilabel else ("a", "b")
    task = "multilabel" if multilabel else "binary"
    tokenizer, rows = encoded(multilabel, of_rows, repeats)
    config = loading.load_config("scratch:bert", tokenizer, labels=labels, task=task)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = config.classifier_dropout = dropout
    kind = adapter.quantization if adapter else "none"
    built = loading.load_model("scratch:bert", config, attention=None, seed=3, quantization=kind)
    adapted, model = None, built.model
    if windows is not None:
        rows = replace(rows, windows=windows)
        new = documents.attach(model, windows, tokenizer, checkpoint="scratch:bert")
        built = replace(built, new_parameters=(*built.new_parameters, *new))
    if adapter is not None:
        adapted = adapters.add(built, adapter, checkpoint="scratch:bert", seed=3)
        model = adapted.model
    if windows is not None and adapted is not None:
        documents.attach(model, windows, tokenizer, checkpoint="scratch:bert")
    section = Training(**{"batch_size": 8, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32", **training})
    machine = devices.choose(section.device, section.precision)
    place = RunDir(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with extra_callbacks(callbacks):
        result = fit.fit(
            model,
            tokenizer,
            rows,
            rows.targets,
            Validation(rows, labels, task, None if multilabel else 1),
            training=section,
            loss=loss or Loss(),
            best_metric=best_metric,
            trackers=trackers,
            seed=3,
            machine=machine,
            run=place,
            save_weights=partial(loading.save if adapted is None else adapted.save, windowed=windows is not None),
            companions=lambda _: None,
            resume=resume,
        )
    torch.save(model.state_dict(), folder / f"weights-{machine.rank}.pt")
    return result


@contextlib.contextmanager
def extra_callbacks(callbacks):
    build = trainer.Trainer.__init__

    def patched(self, **kwargs):
        build(self, **{**kwargs, "callbacks": [*kwargs["callbacks"], *callbacks]})

    trainer.Trainer.__init__ = patched
    try:
        yield
    finally:
        trainer.Trainer.__init__ = build


class KillAtStep(TrainerCallback):
    """SIGKILL when a step begins."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            kill()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_inside_the_checkpoint_of(number):
    save = trainer.Trainer._save_optimizer_and_scheduler

    def half(self, place):
        save(self, place)
        if self.state.global_step == number:
            kill()

    trainer.Trainer._save_optimizer_and_scheduler = half


def kill_before_micro_batch(number):
    inputs, count = trainer.Trainer._inputs, [0]

    def counted(self, batch):
        count[0] += 1
        if count[0] == number:
            kill()
        return inputs(self, batch)

    trainer.Trainer._inputs = counted


def kill_between_the_renames_of_best(number):
    exchange, count = checkpoints._exchange, [0]

    def between(staged, path):
        count[0] += path.name == "best"
        if path.name == "best" and count[0] == number:
            if path.exists():
                path.rename(path.with_name(".best.old"))
            kill()
        exchange(staged, path)

    checkpoints._exchange = between


PLANTS = {
    "checkpoint": kill_inside_the_checkpoint_of,
    "micro_batch": kill_before_micro_batch,
    "best": kill_between_the_renames_of_best,
}


def killed(folder, moment, number, training, adapter=None, windows=None):
    """Train with dropout until the process is killed at a moment."""
    callbacks = ()
    if moment == "step":
        callbacks = (KillAtStep(number),)
    else:
        PLANTS[moment](number)
    run(
        Path(folder),
        training=training,
        dropout=0.1,
        resume=True,
        callbacks=callbacks,
        best_metric="loss",
        adapter=adapter,
        windows=windows,
    )
    raise AssertionError("the process was to be killed before the end")


def undisturbed(folder, training, dropout=0.1, resume=False, adapter=None, windows=None):
    # The loss of the very rows that it learns from falls from epoch to epoch: every evaluation is a new best one.
    more = {"adapter": adapter, "windows": windows}
    run(Path(folder), training=training, dropout=dropout, resume=resume, best_metric="loss", **more)


def one_of_two(rank, port, target, *arguments):
    """One process of a gloo pair."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    target(*arguments)
    torch.distributed.destroy_process_group()


def trained(folder, training, multilabel, adapter, of_rows=None, windows=None):
    run(Path(folder), training=training, multilabel=multilabel, adapter=adapter, of_rows=of_rows, windows=windows)


def terminated(folder, training, step):
    """SIGTERM during a step; the outcome goes to a file."""

    class Terminate(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step + 1 == step:
                os.kill(os.getpid(), signal.SIGTERM)

    try:
        run(Path(folder), training=training, dropout=0.1, callbacks=(Terminate(),), best_metric="loss")
    except FtclsError as error:
        (Path(folder) / "outcome.json").write_text(json.dumps({"code": error.exit_code, "message": str(error)}))


def weights(folder, rank=0):
    return torch.load(Path(folder) / f"weights-{rank}.pt")


def same(first: Encoded, second: Encoded) -> bool:
    return bool(np.array_equal(first.ids, second.ids) and np.array_equal(first.offsets, second.offsets))

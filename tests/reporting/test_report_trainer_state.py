"""`ftcls report trainer_state.json`: what another Trainer logged."""

import json
import os

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from ftcls.cli.app import run
from ftcls.reporting import trainer_state

SMALL = {"vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder that a plain Trainer wrote: two checkpoints, an evaluation per epoch."""
    torch.manual_seed(0)
    rows = [{"input_ids": [1 + i % 40, 2, 3], "labels": i % 2} for i in range(16)]
    folder = tmp_path_factory.mktemp("plain")
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=4,
        num_train_epochs=2,
        logging_steps=2,
        eval_strategy="epoch",
        save_strategy="epoch",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    model = BertForSequenceClassification(BertConfig(**SMALL))
    Trainer(model=model, args=arguments, train_dataset=rows, eval_dataset=rows).train()
    return folder


def test_the_losses_of_a_plain_trainer_stand_in_one_line_a_step(trained):
    state = trainer_state.read(trained / "checkpoint-8" / "trainer_state.json")
    assert [line["step"] for line in state.lines] == [2, 4, 6, 8]
    assert ["eval_loss" in line for line in state.lines] == [False, True, False, True]
    assert state.diagnosis.learning_rate.peak == pytest.approx(5e-5, rel=0.2)


def test_a_checkpoint_or_the_folder_of_several_leads_to_the_newest(trained, capsys):
    old, new = (trained / f"checkpoint-{step}" / "trainer_state.json" for step in (4, 8))
    os.utime(old, (1, 1))
    assert trainer_state.find(trained) == new
    assert trainer_state.find(old.parent) == old
    assert run(["report", str(trained)]) == 0
    shown = capsys.readouterr().out
    assert "validation loss" in shown
    assert "Learning rate:" in shown


def test_json_and_output_say_the_same(trained, tmp_path, capsys):
    assert run(["report", str(trained / "checkpoint-8"), "--json", "--output", str(tmp_path / "state.json")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((tmp_path / "state.json").read_text())
    assert document["diagnosis"]["sentence"]
    assert len(document["lines"]) == 4


def test_a_long_log_is_thinned_and_keeps_its_evaluations(tmp_path, capsys):
    log = [{"step": step, "loss": 1 / step, "grad_norm": 1.0 if step != 70 else 15.03} for step in range(10, 3751, 10)]
    log += [{"step": 1250, "eval_loss": 0.35}, {"step": 2500, "eval_loss": 0.3}, {"step": 3750, "train_loss": 0.01}]
    log.append({"step": 3700, "loss": float("nan")})
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": log}))
    assert run(["report", str(tmp_path / "trainer_state.json")]) == 0
    shown = capsys.readouterr().out
    assert " .3500" in shown
    assert "spikes at step 70 (15.03, usually 1.00)" in shown
    assert "more logged steps are not shown" in shown
    assert len(shown.splitlines()) < 45


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"log_history": []}', "nothing was logged"),
        ('{"epoch": 3}', "not a trainer_state.json of a Hugging Face Trainer"),
        ('[{"loss": 1}]', "not a trainer_state.json"),
        ('{"log_history": [{"loss": 1}]}', "not a trainer_state.json"),
        ("not json", "not a trainer_state.json"),
    ],
)
def test_other_files_are_refused(tmp_path, capsys, text, message):
    (tmp_path / "trainer_state.json").write_text(text)
    assert run(["report", str(tmp_path / "trainer_state.json")]) == 3
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert run(["report", str(tmp_path / "trainer_state.json")]) == 3
    assert "cannot be read: No such file" in capsys.readouterr().err

import csv
import json
import re
from dataclasses import asdict

import numpy as np
import pytest
import torch

from ftcls.config.load import load
from ftcls.config.schema import (
    Adapter,
    Data,
    Experiment,
    Loss,
    Metrics,
    Model,
    Report,
    RowShare,
    SplitPaths,
    Subset,
    Training,
)
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.errors import ConfigError, DataError, UnavailableError
from ftcls.model import loading
from ftcls.pipeline import dry_run


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path, rows, *, labels=("no", "yes"), words=6):
    rng = np.random.default_rng(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(rows):
            writer.writerow([f"text {i} " + " ".join(map(str, rng.integers(0, 99, words))), labels[i % len(labels)]])
    return str(path)


def experiment(folder, *, sizes=(40, 10, 12), words=6, **sections):
    data = Data(
        source="files",
        path=SplitPaths(
            train=table(folder / "train.csv", sizes[0], words=words),
            validation=table(folder / "dev.csv", sizes[1], words=words),
            test=table(folder / "test.csv", sizes[2], words=words),
        ),
        task="binary",
    )
    settings = {
        "data": data,
        "model": Model(checkpoint="scratch:bert", max_length=24),
        "training": Training(batch_size=16, num_train_epochs=3, device="cpu", precision="fp32", token_budget=512),
    }
    return Experiment(name="mine", **settings | sections)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_says_what_training_would_do_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path.parent / "cache-of-this-test"))
    given = experiment(tmp_path)
    before = files(tmp_path)
    found = dry_run.dry_run(given)

    assert files(tmp_path) == before
    assert found.examples == {"train": 40, "validation": 10, "test": 12}
    assert (found.task, found.labels) == ("binary", ("no", "yes"))
    assert (found.steps_per_epoch, found.steps, found.evaluations) == (3, 9, 3)  # 16, 16 and 8 examples
    assert (found.batch_size, found.token_budget, found.max_length) == (16, 512, 24)
    assert (found.device, found.precision, found.reason) == ("cpu", "fp32", "asked for")
    assert found.architecture == "BertForSequenceClassification"


def test_the_parameters_of_a_dry_run_are_those_of_the_model(tmp_path):
    given = experiment(tmp_path)
    corpus = read(given.data, seed=given.seed)
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=corpus.splits["train"].texts)
    config = loading.load_config("scratch:bert", tokenizer, labels=corpus.labels, task=corpus.task)
    model = loading.load_model("scratch:bert", config, attention=None, seed=0).model
    assert dry_run.dry_run(given).parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_dry_run_counts_what_is_trained(tmp_path):
    pytest.importorskip("peft", reason="needs the adapters extra")
    found = dry_run.dry_run(experiment(tmp_path, adapter=Adapter(kind="lora", r=4)))
    assert found.trainable_parameters == 2 * 2 * 2 * 4 * 128 + 2 * 129  # updates of two layers, and the head
    frozen = Training(batch_size=16, device="cpu", precision="fp32", freeze=2)
    found = dry_run.dry_run(experiment(tmp_path, training=frozen))
    assert found.trainable_parameters == 128 * 129 + 2 * 129  # the pooler, and the head


def test_a_dry_run_builds_no_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "load_model", lambda *args, **options: pytest.fail("weights were loaded"))
    state = torch.get_rng_state()
    dry_run.dry_run(experiment(tmp_path))
    assert torch.equal(torch.get_rng_state(), state)


def test_truncation_is_counted_split_by_split(tmp_path):
    short = dry_run.dry_run(experiment(tmp_path, model=Model(checkpoint="scratch:bert", max_length=512)))
    cut = dry_run.dry_run(experiment(tmp_path, model=Model(checkpoint="scratch:bert", max_length=4)))
    assert short.truncated == {"train": 0, "validation": 0, "test": 0}
    assert cut.truncated == cut.examples
    assert "longer than 4 tokens: 100.0% of train, 100.0% of validation, 100.0% of test" in cut.lines()[1]


@pytest.mark.parametrize(
    ("training", "steps", "evaluations"),
    [
        ({"max_steps": 7}, 7, 3),  # after steps 3, 6 and the last
        ({"num_train_epochs": 0.5}, 2, 1),
        ({"num_train_epochs": 3, "eval_strategy": "no"}, 9, 1),
        ({"num_train_epochs": 3, "eval_strategy": "steps", "eval_steps": 4}, 9, 3),
    ],
)
def test_steps_and_evaluations_are_those_of_the_cadence(tmp_path, training, steps, evaluations):
    section = Training(batch_size=16, device="cpu", precision="fp32", **training)
    found = dry_run.dry_run(experiment(tmp_path, training=section))
    assert (found.steps, found.evaluations) == (steps, evaluations)


def test_the_lines_for_people_name_what_matters(tmp_path):
    text = "\n".join(dry_run.dry_run(experiment(tmp_path)).lines())
    for part in (
        "mine: binary, 2 labels (no, yes)",
        "40 train, 10 validation, 12 test",
        "scratch:bert: BertForSequenceClassification",
        "9 steps of 16 examples, 3 an epoch, 3 evaluations",
        "cpu, fp32 (asked for), 512 tokens a pass",
        " at the highest point (process ",
        " of training and ",
        "nothing was written",
    ):
        assert part in text


def test_a_plan_becomes_json():
    found = dry_run.dry_run(dry_run.smoke(load("ag_news", ["training.device=cpu"])))
    assert json.loads(json.dumps(asdict(found)))["labels"] == ["World", "Sports", "Business", "Sci/Tech"]


def test_many_labels_are_not_all_listed(tmp_path):
    table(tmp_path / "many.csv", 1_000, labels=[f"l{i:02}" for i in range(100)])
    data = Data(source="files", path=str(tmp_path / "many.csv"), task="multiclass")
    found = dry_run.dry_run(experiment(tmp_path, data=data))
    assert len(found.labels) == 100
    assert found.lines()[0] == "mine: multiclass, 100 labels (l00, l01, l02, l03, l04, l05, l06, l07, ...)"


@pytest.mark.parametrize(
    ("sections", "error", "message"),
    [
        ({"model": Model(checkpoint="./missing")}, UnavailableError, "model.checkpoint: ./missing: no such folder"),
        ({"training": Training(device="cuda:7")}, ConfigError, "training.device: cuda:7"),
        ({"data": Data(source="files", path="missing.csv", task="binary")}, DataError, r"missing\.csv"),
    ],
    ids=["checkpoint", "device", "data"],
)
def test_a_dry_run_fails_as_training_would(tmp_path, monkeypatch, sections, error, message):
    monkeypatch.setattr(devices.torch.cuda, "device_count", lambda: 0)
    with pytest.raises(error, match=message):
        dry_run.dry_run(experiment(tmp_path, **sections))


def test_ag_news_in_small_is_a_miniature_that_the_real_reader_reads():
    given = load("ag_news")
    small = dry_run.smoke(given)
    corpus = read(small.data, seed=small.seed)

    assert small.name == "ag_news-bert-smoke"
    assert small.data.source == "ag_news"
    assert sorted(corpus.splits) == ["test", "train", "validation"]
    assert len(corpus.splits["train"]) < 300
    assert small.model.checkpoint == "scratch:bert"
    assert small.training.max_steps == dry_run.SMOKE_TRAINING["max_steps"]
    assert dry_run.smoke(given) == small  # the miniature is made once
    assert Experiment.model_validate(small.model_dump()) == small


def test_what_does_not_cost_time_is_kept_in_small():
    given = load("ag_news", ["metrics.best=accuracy", "model.truncation=tail", "loss.kind=focal", "seed=7"])
    small = dry_run.smoke(given)
    assert small.data.clean == given.data.clean
    assert small.data.split == given.data.split
    assert (small.metrics, small.loss, small.seed) == (Metrics(best="accuracy"), given.loss, 7)
    assert small.model.truncation == "tail"
    assert small.training.weight_decay == given.training.weight_decay


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.max_steps=40", {"max_steps": 40, "batch_size": 8, "eval_steps": 4}),
        ("training.num_train_epochs=2", {"max_steps": None, "num_train_epochs": 2.0}),
        ("training.learning_rate=5e-4", {"learning_rate": 5e-4, "max_steps": 8}),
        ("training.eval_strategy=epoch", {"eval_strategy": "epoch", "eval_steps": None, "save_steps": 4}),
        ("training.early_stopping_patience=2", {"early_stopping_patience": 2, "eval_strategy": "steps"}),
        ("training.token_budget=512", {"token_budget": 512}),
    ],
)
def test_an_override_beside_smoke_has_its_effect(override, expected):
    small = dry_run.smoke(load("ag_news", [override]), [override])
    assert {key: getattr(small.training, key) for key in expected} == expected
    assert Experiment.model_validate(small.model_dump()) == small
    key, _, _ = override.partition("=")
    assert dry_run.smoke(load("ag_news", [override]), {key: None}) == small  # as Python gives them


def test_a_length_beside_smoke_has_its_effect():
    assert dry_run.smoke(load("ag_news", ["model.max_length=32"]), ["model.max_length=32"]).model.max_length == 32
    assert dry_run.smoke(load("ag_news", ["model.max_length=32"])).model.max_length == dry_run.SMOKE_LENGTH


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model.checkpoint=roberta-base", "model.checkpoint"),
        ("data.path=here", "data.path"),
        ("data.subset.train=50", "data.subset.train"),
        ("data.subset={train: 50}", "data.subset"),
        ("training.freeze=6", "training.freeze"),
        ("report.trackers=[tensorboard]", "report.trackers"),
    ],
)
def test_an_override_that_smoke_sets_aside_is_refused(override, key):
    message = rf"--smoke: {re.escape(key)}: no effect, since a smoke run takes few rows of its own"
    with pytest.raises(ConfigError, match=message):
        dry_run.smoke(load("ag_news", [override]), [override])


def test_an_override_that_agrees_with_smoke_is_none_too_many():
    overrides = ["model.checkpoint=scratch:bert", "data.subset.test=null"]
    assert dry_run.smoke(load("ag_news", overrides), overrides).model.checkpoint == "scratch:bert"


def test_a_revision_is_left_out_in_small_and_the_ladder_stays():
    given = load("ag_news", ["model.revision=main", "report.ladder=[tfidf]"])
    small = dry_run.smoke(given, ["report.ladder=[tfidf]"])
    assert (small.model.source, small.report.ladder) == ("scratch:bert", ("tfidf",))


def test_trackers_are_left_out_in_small(tmp_path):
    assert dry_run.smoke(experiment(tmp_path, report=Report(trackers=("tensorboard",)))).report == Report()


def test_balanced_weights_stay_in_small(tmp_path):
    small = dry_run.smoke(experiment(tmp_path, loss=Loss(class_weights="balanced")))
    assert small.loss == Loss(class_weights="balanced")


def test_files_with_few_rows_keep_them_all_in_small(tmp_path):
    small = dry_run.smoke(experiment(tmp_path, sizes=(9, 4, 5)))
    assert small.data.subset == Subset()
    assert dry_run.dry_run(small).examples == {"train": 9, "validation": 4, "test": 5}


def test_files_with_many_rows_give_a_few_of_each_split_in_small(tmp_path):
    given = experiment(tmp_path, sizes=(300, 30, 200))
    given = given.model_copy(
        update={"data": given.data.model_copy(update={"subset": Subset(train=RowShare(share=0.5))})}
    )
    small = dry_run.smoke(given)
    found = dry_run.dry_run(small)
    assert found.examples == {"train": 96, "validation": 30, "test": 48}
    assert (found.steps, found.evaluations) == (8, 2)

"""Every shipped config holds what its study did, and nothing more: the table is the studies', not the files'."""

import pytest

from ftcls.config import source
from ftcls.config.load import load, shipped
from ftcls.config.source import Place

# What the studies state. R1: IMDb and Reuters, R2: AG News, R3: the grid of GoEmotions,
# R4: DistilBERT on IMDb, R5: diagnosis on IMDb.
R1 = {
    "model.checkpoint": "bert-base-uncased",
    "training.learning_rate": 2e-5,
    "training.lr_scheduler_type": "linear",
    "training.eval_strategy": "epoch",
}
R2 = {
    "data.source": "ag_news",
    "model.checkpoint": "bert-base-uncased",
    "training.num_train_epochs": 4,
    "training.batch_size": 128,  # 64, accumulated over 2
    "training.eval_batch_size": 32,
    "training.learning_rate": 2e-5,
    "training.weight_decay": 0.01,
}
R4 = {
    "data.source": "imdb",
    "data.clean": ("lower_case",),
    "data.split.pooled": True,
    "data.split.validation": 0.1,
    "data.split.test": 0.1,
    "data.split.stratify": True,
    "model.checkpoint": "distilbert-base-uncased",
    "model.max_length": 256,
    "training.num_train_epochs": 2,
    "training.batch_size": 16,
    "training.learning_rate": 2e-5,
    "training.weight_decay": 0.01,
    "training.eval_strategy": "epoch",
}
R5 = {
    "data.source": "imdb",
    "model.checkpoint": "bert-base-uncased",
    "training.num_train_epochs": 3,
    "training.batch_size": 16,
    "training.learning_rate": 2e-5,
    "training.weight_decay": 0.01,
    "training.lr_scheduler_type": "linear",
    "training.warmup_steps": 0,
    "training.eval_strategy": "epoch",
    "training.logging_steps": 10,
}
R3 = {
    "data.source": "go_emotions",
    "data.single_label": True,
    "data.subset.train.balanced": 720,  # of 800 rows
    "data.subset.validation.balanced": 80,  # a tenth of them
    "model.checkpoint": "bert-base-uncased",
    "training.num_train_epochs": 5,
    "training.batch_size": 4,
    "training.learning_rate": 1e-4,
    "training.lr_scheduler_type": "cosine",
    "training.precision": "bf16",
    "training.early_stopping_patience": 10,
    "training.optim": "adamw_bnb_8bit",
    "adapter.kind": "lora",
    "adapter.quantization": "nf4",
    "adapter.target_modules": ("query", "value"),
    "metrics.best": "accuracy",
}
STUDIES = {
    "ag_news": R2,
    "imdb": R5,
    "imdb-2000": R5 | {"data.subset.train": 2_000, "training.save_strategy": "steps", "training.save_steps": 10},
    "imdb-distilbert": R4,
    "imdb-10pct": R1
    | {
        "data.source": "imdb",
        "data.subset.train.share": 0.1,
        "training.num_train_epochs": 5,
        "training.batch_size": 4,
    },
    "go_emotions-cell": R3,
    "reuters21578": R1
    | {
        "data.source": "reuters21578",
        "data.subset.train.share": 0.2,  # of 15 to 20 %
        "training.num_train_epochs": 10,
        "training.batch_size": 8,
    },
}
# What a config sets beyond its study, and why.
BEYOND = {
    ("go_emotions-cell", "data.labels"): "the study does not name its emotions",
    ("go_emotions-cell", "data.split.test"): "the study scored on its validation rows, which chose the best step",
    ("go_emotions-cell", "data.subset.test"): "a cap on the rows that are scored",
    ("go_emotions-cell", "training.eval_strategy"): "a patience of 10 evaluations in 5 epochs means steps",
    ("go_emotions-cell", "training.eval_steps"): "not stated",
    ("ag_news", "data.clean"): "the study's special characters and spaces, after the entities they would leave behind",
    **{
        (name, "training.warmup_steps"): "not stated; the Trainer has none where nobody asks for it"
        for name in ("ag_news", "go_emotions-cell", "imdb-10pct", "imdb-distilbert", "reuters21578")
    },
    ("ag_news", "training.early_stopping_patience"): "the study stops early and does not state its patience",
    ("imdb-2000", "training.save_total_limit"): "37 checkpoints of 1.3 GB would fill a disk",
}
OURS = {
    "quickstart", "go_emotions", "go_emotions-qlora", "ag_news-lora", "ag_news-bert_large", "imdb-lora",
    "imdb-modernbert", "imdb-qlora", "reuters21578-distilbert", "reuters21578-lora",
}  # fmt: skip


def written(name):
    """The keys that a config's file sets, as dotted paths."""
    path = shipped()[name]

    def leaves(value, key=""):
        for word, inner in value.items():
            dotted = f"{key}.{word}" if key else word
            yield from leaves(inner, dotted) if isinstance(inner, dict) else [dotted]

    return set(leaves(source.parse(path.read_text(encoding="utf-8"), Place(name, 1, 1)).value))


def value_of(name, key):
    value = load(name)
    for word in key.split("."):
        value = getattr(value, word)
    return value


def test_every_shipped_config_is_a_studys_or_says_that_it_is_not():
    assert set(shipped()) == set(STUDIES) | OURS


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, study in STUDIES.items() for key in study])
def test_a_config_holds_what_its_study_states(name, key):
    assert value_of(name, key) == STUDIES[name][key]


@pytest.mark.parametrize("name", STUDIES)
def test_a_config_sets_nothing_else(name):
    beyond = {key for config, key in BEYOND if config == name}
    assert written(name) - set(STUDIES[name]) - {"name"} == beyond


def test_the_ag_news_study_removes_special_characters_and_extra_spaces():
    assert value_of("ag_news", "data.clean")[-2:] == ("special_characters", "spaces")


def test_imdb_2000_has_the_studys_375_steps():
    experiment = load("imdb-2000")
    rows, batch = experiment.data.subset.train, experiment.training.batch_size
    assert rows / batch * experiment.training.num_train_epochs == 375


def test_go_emotions_says_that_it_is_no_studys():
    assert "reproduces no study" in shipped()["go_emotions"].read_text(encoding="utf-8")

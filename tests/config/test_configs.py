"""Every shipped config is whole: it loads, says what it is, and names a schema that editors can read."""

import json
from collections import Counter

import jsonschema
import pytest

from ftcls.config import reference, source, sweep
from ftcls.config.load import dump, load, shipped
from ftcls.config.schema import Experiment
from ftcls.data.read import read
from ftcls.search import sweep as sweeping

CONFIGS = list(shipped().items())
SWEEPS = list(sweep.shipped().items())


@pytest.mark.parametrize(("name", "path"), CONFIGS)
def test_a_shipped_config_loads_and_needs_no_file_of_its_own(name, path):
    experiment = load(path)
    assert experiment.data.path is None
    assert load(name) == experiment


@pytest.mark.parametrize(("name", "path"), CONFIGS)
def test_a_shipped_config_begins_with_its_schema_and_its_command(name, path):
    first, second, *_ = path.read_text(encoding="utf-8").splitlines()
    assert first == "# yaml-language-server: $schema=schema.json"
    assert second == f"# ftcls train configs/{name}.yaml"
    assert len(reference.description(path)) > len(name)


def test_the_schema_beside_the_configs_is_fresh():
    committed = (CONFIGS[0][1].parent / "schema.json").read_text(encoding="utf-8")
    assert committed == reference.schema_text(), "run: python -m ftcls.cli.reference"


@pytest.mark.parametrize(("name", "path"), CONFIGS)
def test_the_schema_takes_what_the_loader_takes(name, path):
    schema = json.loads(reference.schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for text in (path.read_text(encoding="utf-8"), dump(load(path))):
        jsonschema.validate(source.parse(text, source.Place(name, 1, 1)).value, schema)


@pytest.mark.parametrize("more", [{"sead": 1}, {"seed": -1}, {"seed": 2**32}, {"training": {"learning_rate": "2e-5"}}])
def test_the_schema_refuses_what_the_loader_refuses(more):
    schema = json.loads(reference.schema_text())
    value = {"name": "x", "data": {"source": "docstrings"}, "model": {"checkpoint": "c"}}
    jsonschema.validate(value, schema)
    with pytest.raises(jsonschema.ValidationError, match=r"sead|minimum|maximum|2e-5"):
        jsonschema.validate(value | more, schema)


def test_every_key_has_a_meaning():
    page = reference.keys_markdown()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if row.rstrip("| ").count("|") < 4] == []
    assert "| `source` | required | imdb, reuters21578, ag_news, go_emotions, docstrings, files, hub |" in page


def test_ag_news_is_the_studys_recipe():
    experiment = load("ag_news")
    training = experiment.training
    assert (experiment.model.checkpoint, training.num_train_epochs, training.batch_size) == (
        "bert-base-uncased",
        4,
        128,
    )
    assert (training.eval_batch_size, training.learning_rate, training.weight_decay) == (32, 2e-5, 0.01)
    assert {"special_characters", "spaces"} <= set(experiment.data.clean)
    assert training.early_stopping_patience is not None


def test_the_resolved_form_of_a_config_is_an_experiment_again():
    for name, _ in CONFIGS:
        experiment = load(name)
        assert Experiment.model_validate(experiment.model_dump()) == experiment


@pytest.mark.parametrize(("name", "path"), SWEEPS)
def test_a_shipped_sweep_lists_its_trials_and_begins_with_its_command(name, path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# ftcls sweep configs/sweeps/{name}.yaml"
    assert len(reference.description(path)) > len(name)
    plan = sweeping.plan(name)
    assert plan.name == name
    assert plan.total


@pytest.fixture(scope="module")
def emotions():
    """Every trial of the study of emotions, with its config."""
    place = source.Place("trial", 1, 1)
    trials = sweeping.plan("go_emotions-grid").trials
    return [(trial, Experiment.model_validate(source.parse(trial.config, place).value)) for trial in trials]


def test_the_emotions_grid_is_the_study(emotions):
    assert len(emotions) == 4 * 3 * 5 * 3
    assert len({trial.name for trial, _ in emotions}) == len(emotions)
    modules = {}
    for _, experiment in emotions:
        adapter, training = experiment.adapter, experiment.training
        modules[experiment.model.checkpoint] = adapter.target_modules
        assert (adapter.kind, adapter.quantization) == ("lora", "nf4")
        assert (training.num_train_epochs, training.batch_size, training.learning_rate) == (5, 4, 1e-4)
        assert (training.optim, training.lr_scheduler_type, training.precision) == ("adamw_bnb_8bit", "cosine", "bf16")
        assert (training.early_stopping_patience, experiment.metrics.best) == (10, "accuracy")
    assert list(modules.values()) == [("query", "value"), ("c_attn",), *[("q_proj", "v_proj")] * 3]


def test_the_emotions_grid_draws_balanced_rows_inside_each_other(emotions, data_folder):
    def splits(labels, rows):
        experiment = next(
            each for trial, each in emotions if (trial.choices["labels"], trial.choices["rows"]) == (labels, rows)
        )
        data = experiment.data.model_copy(update={"path": str(data_folder / "go_emotions")})
        return read(data, seed=experiment.seed).splits

    for labels in ("2", "4", "8", "16"):
        taken = {}
        for rows in ("800", "1600", "2400"):
            found, count = splits(labels, rows), int(rows)
            each = count // int(labels)
            drawn = [Counter(found[name].targets.tolist()) for name in ("train", "validation")]
            assert drawn == [dict.fromkeys(range(int(labels)), share) for share in (each * 9 // 10, each // 10)]
            taken[rows] = {(name, row) for name in ("train", "validation") for row in found[name].rows.tolist()}
            assert len(found["train"]) + len(found["validation"]) == len(taken[rows]) == count
            assert 1000 < len(found["test"]) <= 4000
            assert not set(found["test"].texts) & {*found["train"].texts, *found["validation"].texts}
        assert taken["800"] < taken["1600"] < taken["2400"]

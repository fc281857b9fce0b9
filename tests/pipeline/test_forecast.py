"""What is said before the weights are loaded: memory, time, and what to change."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.errors import ConfigError
from ftcls.pipeline import dry_run, estimate
from ftcls.pipeline.prepare import prepare
from ftcls.training import step_memory

CPU = devices.Machine("cpu", "fp32", "asked for", rank=0, processes=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Makes the small experiment with other keys, and its data ready for the model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCLS_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = dry_run.smoke(load("ag_news"))
        corpus = read(made.data, seed=made.seed)
        prepared = prepare(corpus, made.model, clean=())

        def changed(*keys):
            other = load("ag_news", list(keys))
            asked = [key.partition("=")[0].removeprefix("training.") for key in keys if key.startswith("training.")]
            training = made.training.model_copy(update={name: getattr(other.training, name) for name in asked})
            return made.model_copy(update={"adapter": other.adapter, "training": training}), prepared

        yield changed


def said(small, *keys, machine=CPU):
    return estimate.forecast(*small(*keys), machine)


def test_memory_is_the_sum_of_its_parts_and_time_is_said(small):
    found = said(small)
    assert found.peak_memory_bytes == sum(asdict(found.memory).values())
    assert found.memory.weights * 2 == found.memory.optimizer  # AdamW keeps two numbers for each
    assert found.memory.step > found.memory.weights  # gradients, and what the layers leave
    assert found.seconds > 0
    assert found.evaluation_seconds > 0
    assert found.fits
    assert [line.split()[0] for line in found.lines()] == ["memory", "time"]
    json.dumps(asdict(found))


def test_what_saves_memory_is_counted(small):
    full, lora = said(small).memory, said(small, "adapter.kind=lora").memory
    assert lora.optimizer < full.optimizer / 10
    assert lora.step < full.step
    recomputed = said(small, "training.activation_checkpointing=true").memory
    assert recomputed.step < full.step
    assert said(small, "training.freeze=2").memory.step < full.step
    assert said(small, "training.optim=adamw_bnb_8bit").memory.optimizer < full.optimizer
    small_weights = said(small, "adapter.kind=lora", "adapter.quantization=nf4").memory
    assert small_weights.weights < lora.weights


def test_a_second_process_holds_the_buckets_of_the_gradients(small):
    one, two = (said(small, "training.batch_size=1", machine=replace(CPU, processes=n)).memory for n in (1, 2))
    assert two.step - one.step == one.weights


def test_what_will_not_fit_says_what_to_change_and_how_much_each_saves(small, monkeypatch):
    held = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=500_000_000))  # else it moves between two estimates
    monkeypatch.setattr(estimate.psutil, "Process", lambda: held)
    needed = said(small).peak_memory_bytes
    monkeypatch.setattr(devices, "free_bytes", lambda machine: needed - 1)
    monkeypatch.setattr(estimate, "WORTH_SAYING", 0.0)  # of so small a model the process is the most
    found = said(small)
    assert not found.fits
    assert "it will not fit" in found.lines()[0]
    assert [each.saves for each in found.savings] == sorted((each.saves for each in found.savings), reverse=True)
    assert found.savings[0].fits
    assert "and it fits" in found.lines()[2]
    for each in found.savings:  # every key can be written just so
        load("ag_news", each.line().partition(":")[0].split())
    assert {"adapter.kind", "training.activation_checkpointing"} <= {key for each in found.savings for key in each.keys}


def test_a_model_that_cannot_be_counted_is_trained_all_the_same(small, monkeypatch):
    def measure(*args, **options):
        raise RuntimeError("asks for a value")

    monkeypatch.setattr(step_memory, "measure", measure)
    found = said(small)
    assert found.memory is None
    assert found.fits
    assert found.lines() == ["memory     not estimated for this model on this device"]


def test_layers_that_are_not_there_are_found_before_the_weights_are_loaded(small):
    with pytest.raises(ConfigError, match=r"training\.freeze: 9: Bert.* has 2 layers"):
        said(small, "training.freeze=9")


def test_figures_are_no_more_exact_than_they_are():
    assert [estimate.duration(each) for each in (0.2, 61, 600, 7_200)] == ["1 s", "61 s", "10 min", "2.0 h"]

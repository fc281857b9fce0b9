"""Searches that learn from their trials."""

import json
import math
import shutil
import sys

import pytest

from ftcls.errors import ConfigError, UnavailableError
from ftcls.search import sweep as sweeping
from ftcls.search.executors import Ended
from sweeping import BASE, Instant, begin, finish, write

pytest.importorskip("optuna", reason="needs the extra search")

TPE = """\
name: learning
base: base.yaml
search: {method: tpe, trials: 12, startup_trials: 4, seed: 1}
axes:
  training.learning_rate: {low: 1e-6, high: 1e-2, log: true}
  training.batch_size: {low: 8, high: 32}
  size: [{data.subset.train: 800}, {data.subset.train: 1600}]
"""


class Trained(Instant):
    """Trials whose score is best at a learning rate of 1e-4; codes by order of start."""

    def __init__(self, plan, slots=1, codes=()):
        super().__init__([], slots)
        self._plan, self._by_order, self.rates = plan, dict(codes), []

    def wait(self, seconds):
        over, self._running = self._running, []
        found = []
        for name in over:
            code = self._by_order.get(self.started.index(name), 0)
            trial = self.queue_trial(name)
            self.rates.append(trial.values["training.learning_rate"])
            if code == 0:
                finish(trial, score=0.9 - abs(math.log10(self.rates[-1]) + 4) / 5)
            found.append(Ended(name, code))
        return found

    def queue_trial(self, name):
        return next(trial for trial, _ in self.queue.listed() if trial.name == name)


def search(plan, executor, monkeypatch):
    made = sweeping._queue

    def kept(planned):
        executor.queue = made(planned)
        return executor.queue

    with monkeypatch.context() as patch:
        patch.setattr(sweeping, "_queue", kept)
        return sweeping.run(plan, executor)


def planned(folder, text=TPE):
    return sweeping.plan(write(folder, text, BASE), output=folder / "out")


def test_a_search_goes_where_trials_were_good_and_a_second_call_has_nothing_to_do(tmp_path, monkeypatch):
    plan = planned(tmp_path, TPE.replace("trials: 12, startup_trials: 4", "trials: 30, startup_trials: 10"))
    executor = Trained(plan)
    outcome = search(plan, executor, monkeypatch)
    assert len(executor.started) == len(outcome.results.trials) == 30
    distance = [abs(math.log10(rate) + 4) for rate in executor.rates]
    assert sum(distance[20:]) < 0.8 * sum(distance[:10])
    again = Trained(plan)
    assert search(plan, again, monkeypatch).results == outcome.results
    assert again.started == []
    assert (outcome.folder / "index.html").is_file()


def test_failed_trials_stay_open_and_more_trials_go_on_with_the_study(tmp_path, monkeypatch):
    first = Trained(planned(tmp_path), codes={2: 5})
    outcome = search(planned(tmp_path), first, monkeypatch)
    assert list(outcome.failed) == [first.started[2]]
    again = Trained(planned(tmp_path))
    search(planned(tmp_path), again, monkeypatch)
    assert again.started == [first.started[2]]
    more = Trained(planned(tmp_path))
    plan = planned(tmp_path, TPE.replace("trials: 12", "trials: 14"))
    assert len(search(plan, more, monkeypatch).results.trials) == 14
    assert len(more.started) == 2
    assert not set(more.started) & set(first.started)


def test_a_trial_whose_run_was_deleted_is_trained_again(tmp_path, monkeypatch):
    text = TPE.replace("trials: 12", "trials: 2")
    first = Trained(planned(tmp_path, text))
    outcome = search(planned(tmp_path, text), first, monkeypatch)
    shutil.rmtree(outcome.folder / "trials" / first.started[1])
    again = Trained(planned(tmp_path, text))
    assert search(planned(tmp_path, text), again, monkeypatch).results == outcome.results
    assert again.started == [first.started[1]]


def test_other_axes_are_another_study(tmp_path, monkeypatch):
    search(planned(tmp_path, TPE.replace("trials: 12", "trials: 2")), Trained(planned(tmp_path)), monkeypatch)
    text = TPE.replace("trials: 12", "trials: 2").replace("high: 1e-2", "high: 1e-3")
    executor = Trained(planned(tmp_path, text))
    assert len(search(planned(tmp_path, text), executor, monkeypatch).results.trials) == 2
    assert len(executor.started) == 2


def test_a_search_ends_where_there_is_nothing_new(tmp_path, monkeypatch):
    text = "name: x\nbase: base.yaml\nsearch: {method: tpe, trials: 9}\naxes: {training.learning_rate: [1e-5, 1e-4]}\n"
    executor = Trained(planned(tmp_path, text))
    assert len(search(planned(tmp_path, text), executor, monkeypatch).results.trials) == 2


def test_the_median_pruner_stops_what_is_worse_than_the_others_and_it_stays_stopped(tmp_path, monkeypatch):
    text = (
        TPE.replace("trials: 12", "trials: 5")
        .replace("seed: 1", "seed: 1, pruner: median")
        .replace("startup_trials: 4", "startup_trials: 2")
    )

    class Watched(Trained):
        """Each trial has three evaluations, two at a time; the fourth trial is bad from the start."""

        def __init__(self, plan):
            super().__init__(plan)
            self.told, self.looks = [], {}

        def wait(self, seconds):
            name = self._running[0]
            trial, look = self.queue_trial(name), self.looks.get(name, 0)
            self.looks[name] = look + 1
            begin(trial)
            score = 0.1 if self.started.index(name) == 3 else 0.8
            lines = [{"step": 10 * step, "eval_f1_macro": score + step / 100} for step in range(1, 2 * look + 3)]
            trial.run.history.write_text("".join(json.dumps(line) + "\n" for line in lines))
            if name in self.told:
                self._running.remove(name)
                return [Ended(name, 130)]
            return super().wait(seconds) if look == 2 else []

        def stop(self, name, *, at_once=False):
            assert not at_once
            self.told.append(name)

    executor = Watched(planned(tmp_path, text))
    outcome = search(planned(tmp_path, text), executor, monkeypatch)
    assert executor.told == [executor.started[3]]
    assert {row.trial: row.state for row in outcome.results.trials}[executor.started[3]] == "pruned"
    assert (outcome.failed, len(executor.started)) == ({}, 5)
    again = Trained(planned(tmp_path, text))
    states = [row.state for row in search(planned(tmp_path, text), again, monkeypatch).results.trials]
    assert (again.started, states.count("pruned")) == ([], 1)


def test_values_that_make_no_config_end_the_search_with_what_is_wrong(tmp_path, monkeypatch):
    axes = "  training.eval_strategy: ['no']\n  training.early_stopping_patience: [null, 3]\n"
    text = f"name: x\nbase: base.yaml\nsearch: {{method: tpe, trials: 9}}\naxes:\n{axes}"
    with pytest.raises(ConfigError, match="early_stopping_patience: needs evaluations"):
        search(planned(tmp_path, text), Trained(None), monkeypatch)


def test_without_optuna_the_line_to_type_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ftcls.search.study", None)
    with pytest.raises(UnavailableError, match=r'pip install -c constraints.txt "ftcls\[search\]"'):
        sweeping.run(planned(tmp_path), Instant([]))


def test_a_search_cannot_be_listed_before(tmp_path, capsys, monkeypatch):
    from ftcls.cli.app import run as ftcls

    monkeypatch.chdir(tmp_path)
    assert ftcls(["sweep", str(write(tmp_path, TPE, BASE)), "--print"]) == 2
    assert "tpe chooses each trial by those before it" in capsys.readouterr().err
    assert planned(tmp_path).total == 12

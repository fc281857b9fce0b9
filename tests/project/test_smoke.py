"""scripts/smoke.py: every config is trained and evaluated, and a command that fails is seen."""

import runpy
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "smoke.py"
CONFIGS = sorted((SCRIPT.parents[1] / "configs").glob("*.yaml"))


@pytest.fixture
def smoke(monkeypatch):
    """Run the script with commands that note their arguments; the codes are those that they end with."""
    called = {"started": [], "forked": []}

    def main(names=(), codes=None):
        script = runpy.run_path(str(SCRIPT))

        def standing_for(kind):
            def command(arguments, log):
                called[kind].append(arguments)
                time.sleep(0.02)
                with log.open("a", encoding="utf-8") as file:
                    file.write(f"{arguments[0]} of {log.stem}\n")
                return (codes or {}).get((arguments[0], log.stem), 0)

            return command

        for kind in called:
            monkeypatch.setitem(script["smoke"].__globals__, kind, standing_for(kind))
        return script["main"](names)

    monkeypatch.syspath_prepend(SCRIPT.parents[1] / "tests" / "support")
    main.called = called
    return main


def test_every_config_is_trained_and_evaluated_and_the_first_as_a_user_does_it(smoke, capsys):
    assert smoke() == 0
    commands = [*smoke.called["started"], *smoke.called["forked"]]
    assert sorted(words[1] for words in commands if words[0] == "train") == [str(path) for path in CONFIGS]
    assert {(words[0], Path(words[-1]).name) for words in commands} == {
        (command, path.stem) for command in ("train", "eval") for path in CONFIGS
    }
    assert [words[0] for words in smoke.called["started"]] == ["train", "eval"]
    assert all("--smoke" in words and "--offline" in words for words in commands if words[0] == "train")
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed[:-1]) == sorted(f"{words[0]} of {Path(words[-1]).name}" for words in commands)
    assert printed[-1] == f"{len(CONFIGS)} configs trained and evaluated"


@pytest.mark.parametrize("failing", [("train", "ag_news"), ("eval", "imdb")])
def test_a_command_that_fails_ends_it_with_its_output(smoke, capsys, failing):
    assert smoke(["configs/ag_news.yaml", "configs/imdb.yaml"], {failing: 5}) == 1
    said = capsys.readouterr().err
    assert f"{failing[0]} of {failing[1]}" in said
    assert f"exit code 5: ftcls {failing[0]}" in said


def test_after_a_failure_no_other_config_is_begun(smoke):
    names = ["configs/ag_news.yaml", *(f"configs/{path.name}" for path in CONFIGS)]
    assert smoke(names, {("train", "ag_news"): 2}) == 1
    assert len([words for words in smoke.called["forked"] if words[0] == "train"]) < len(CONFIGS)

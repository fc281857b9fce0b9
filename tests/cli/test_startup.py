"""What a command imports: libraries that take seconds and that it has no use for stay out."""

import subprocess
import sys

import pytest

from made_runs import make

# Of each, half a second to three: peft brings bitsandbytes, and that torch's compiler.
HEAVY = (
    "peft",
    "bitsandbytes",
    "torch._inductor.lowering",
    "datasets",
    "evaluate",
    "sklearn",
    "matplotlib",
    "optuna",
    "torch",
)
RUN = "import sys; from ftcls.cli.app import run; code = run(sys.argv[1:]); print(*sys.modules, file=sys.stderr); "


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return make(tmp_path_factory.mktemp("startup") / "run").path


def loaded(*arguments):
    """The heavy libraries that are there after a command."""
    command = [sys.executable, "-c", RUN + "sys.exit(code)", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return [name for name in HEAVY if name in found.stderr.split()]


@pytest.mark.parametrize("arguments", [("--help",), ("config", "check", "quickstart"), ("config", "show", "imdb")])
def test_what_needs_no_model_loads_no_torch(arguments):
    assert loaded(*arguments) == []


def test_a_prediction_loads_torch_and_nothing_else_that_is_heavy(finished):
    assert loaded("predict", str(finished), "--text", "a good film") == ["torch"]


def test_a_first_config_loads_no_part_of_a_training(tmp_path):
    table = tmp_path / "reviews.csv"
    table.write_text("label,text\na,some text\nb,more text\nb,last text\n")
    assert loaded("config", "init", str(table), "--label", "label") == ["datasets", "torch"]


def test_a_command_looks_for_garbage_more_rarely_than_python_does():
    """With Python's own 700 the imports of a training look 1,500 times through what the libraries hold."""
    code = (
        "import gc, sys; from ftcls.cli.app import main; sys.argv = ['ftcls', '--version']\n"
        "try: main()\nfinally: print(gc.isenabled(), gc.get_threshold()[0], file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0
    assert found.stderr.split() == ["True", "50000"]

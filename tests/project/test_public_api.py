"""What `import ftcls` offers: its names, where they come from, and that it costs nothing."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ftcls
from ftcls import errors

FUNCTIONS = (
    *("compare", "distill", "doctor", "evaluate", "export", "inspect_data", "load_config"),
    *("predict", "push", "report", "serve", "sweep", "train"),
)
CLASSES = ("Classifier", "Corpus", "Run", "Split")
ERRORS = ("ConfigError", "DataError", "ExportError", "FtclsError", "Interrupted", "TrainingError", "UnavailableError")


def printed(program):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_public_names_are_these():
    assert ftcls.__all__ == sorted([*CLASSES, *ERRORS, "__version__", *FUNCTIONS])
    assert dir(ftcls) == ftcls.__all__


def test_every_public_name_is_there_and_says_what_it_is():
    for name in (*FUNCTIONS, *CLASSES, *ERRORS):
        assert inspect.getdoc(getattr(ftcls, name)), name
    assert all(callable(getattr(ftcls, name)) for name in FUNCTIONS)


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="module 'ftcls' has no attribute 'trian'"):
        ftcls.trian  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"torch", "transformers", "datasets", "sklearn", "pandas", "numpy", "rich", "pydantic"}
    assert set(printed("import sys, ftcls; ftcls.FtclsError; dir(ftcls); print(*sys.modules)")) & heavy == set()


def test_loading_a_config_and_comparing_runs_load_no_torch():
    loaded = printed(
        "import sys, ftcls; ftcls.load_config('quickstart'); ftcls.compare; ftcls.report; print(*sys.modules)"
    )
    assert {"torch", "transformers"} & set(loaded) == set()


def test_no_public_name_is_hidden_by_a_folder_of_the_same_name():
    package = Path(ftcls.__file__).parent
    there = {path.stem for path in package.iterdir() if not path.name.startswith("_")}
    assert there & set(ftcls.__all__) == set()


def test_a_name_stays_what_it_is_when_its_module_is_imported():
    # Importing ftcls.environment.doctor binds names of its parents only; ftcls.doctor stays the function.
    program = (
        "import ftcls, ftcls.environment.doctor, ftcls.search.sweep; print(ftcls.doctor.__name__, ftcls.sweep.__name__)"
    )
    assert printed(program) == ["doctor", "sweep"]


def test_editors_see_every_name_where_it_is_loaded_from():
    tree = ast.parse(Path(ftcls.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == ftcls._HOMES
    for module, name in seen.values():
        assert getattr(importlib.import_module(module), name).__module__ == module


def test_every_error_has_the_exit_code_of_its_kind_and_is_one_to_catch():
    assert set(ERRORS) == {name for name, each in vars(errors).items() if isinstance(each, type)}
    assert all(issubclass(getattr(ftcls, name), ftcls.FtclsError) for name in ERRORS)

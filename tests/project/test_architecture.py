"""The rules of the house, read off the source: who imports whom, when, and what a file may look like."""

import ast
import graphlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SOURCE = REPOSITORY / "src"
LONGEST_FILE = 400

# Imports run downwards only. Rooms of one row may import each other, but not in a circle.
ORDER = (
    ("cli", "sklearn"),
    ("pipeline", "serving"),
    ("training", "prediction", "exporting", "search"),
    ("inference", "reporting"),
    ("model", "runs"),
    ("scoring", "data"),
    ("environment", "config"),
    ("errors",),
)
HEIGHT = {room: height for height, row in enumerate(reversed(ORDER)) for room in row}
MOST_ENTRIES = 19
LONGEST_BODY = 60
# What a framework or its own nature keeps in one piece, each with the reason.
LONG_BODIES = {
    "ftcls.serving.app._answering": "FastAPI wants the routes of an application defined where it is made",
    "ftcls.exporting.export.export": "the steps of an export, one after the other",
    "ftcls.training.fit.fit": "the steps of a training, one after the other",
}

# Rooms and modules that the command line may import at its top: they load no heavy library.
LIGHT = (
    "errors",
    "config",
    "environment.cache",
    "environment.disk",
    "environment.memory",
    "environment.files",
    "environment.json_files",
    "environment.signals",
    "runs",
    "scoring",
    "data.corpus",
    "data.summary",
    "pipeline.starter_config",
)
# Modules of stages: what they need they import at their top, so that a missing library is seen at once.
STAGES = ("data", "model", "inference", "training")
HEAVY = ("torch", "transformers", "datasets", "sklearn")
AT_THE_TOP = ("torch", "transformers", "datasets")  # scikit-learn only where it is used: a prediction needs none of it

# The stages that do the work of a run. What they hand to each other is no sight of the stage: the corpus, the cleaning
# of a text that is to be predicted, the texts that somebody hands over.
WORK = ("data", "model", "training")
HANDED_ON = (
    "ftcls.data.corpus",
    "ftcls.data.clean",
    "ftcls.data.summary",
    "ftcls.data.tables.frames",
    "ftcls.data.texts",
)
KNOW_THE_ORDER = ("pipeline", "cli")

# Builders take config objects; these take arrays and keywords.
WITHOUT_CONFIG = (
    "ftcls.scoring",
    "ftcls.training.losses",
    "ftcls.model.batching",
    "ftcls.inference.forward",
    "ftcls.runs.report_schema",
)


@dataclass(frozen=True)
class Import:
    """One imported name, and whether importing the module runs it."""

    target: str
    at_import: bool
    line: int


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def layer(self) -> str:
        """Its place in the order; empty for the package itself."""
        return layer(self.name)

    def at(self, node: ast.AST) -> str:
        """File and line, as an editor opens it."""
        return f"{self.path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 1)}"


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted((SOURCE / "ftcls").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    return found


def imports(module: Module) -> Iterator[Import]:
    """Every import of a module; those of a function or of ``if TYPE_CHECKING`` do not run with it."""

    def walk(node: ast.AST, at_import: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, at_import, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                for alias in child.names:
                    submodule = f"{child.module}.{alias.name}"
                    yield Import(submodule if submodule in modules() else child.module, at_import, child.lineno)
            else:
                postponed = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
                    isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
                )
                yield from walk(child, at_import and not postponed)

    yield from walk(module.tree, True)


def inner_imports(module: Module) -> Iterator[Import]:
    return (found for found in imports(module) if found.target.split(".")[0] == "ftcls" and found.target != "ftcls")


def layer(name: str) -> str:
    """The room of a module: the first folder below the package."""
    return name.removeprefix("ftcls").removeprefix(".").split(".")[0]


def is_light(name: str) -> bool:
    """Whether a module, or the room or folder that it stands in, is one of `LIGHT`."""
    below = name.removeprefix("ftcls.")
    return any(below == each or below.startswith(f"{each}.") for each in LIGHT)


def calls(module: Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def foreign_imports(module: Module) -> Iterator[str]:
    """The top names of what comes neither from Python nor from here."""
    tops = {found.target.split(".")[0] for found in imports(module)}
    return (top for top in sorted(tops) if top not in {"ftcls", "__future__"} and top not in sys.stdlib_module_names)


def every_module(*, layers: tuple[str, ...] | None = None, without: tuple[str, ...] = ()) -> list[Module]:
    return [m for m in modules().values() if (layers is None or m.layer in layers) and m.layer not in without]


def test_every_module_has_a_place_in_the_order():
    unplaced = [m.name for m in every_module() if m.layer not in {"", "__main__", *HEIGHT}]
    assert unplaced == []


def test_imports_run_one_way():
    against = [
        f"{module.path.name}:{found.line}: {module.name} imports {found.target}"
        for module in every_module(layers=tuple(HEIGHT))
        for found in inner_imports(module)
        if layer(found.target) in HEIGHT and HEIGHT[layer(found.target)] > HEIGHT[module.layer]
    ]
    assert against == []


def test_no_import_is_part_of_a_circle():
    graph = {module.name: {found.target for found in inner_imports(module)} for module in every_module()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_layers_of_one_row_import_each_other_in_one_direction():
    graph: dict[str, set[str]] = {row: set() for row in HEIGHT}
    for module in every_module(layers=tuple(HEIGHT)):
        graph[module.layer] |= {layer(found.target) for found in inner_imports(module)} - {module.layer}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_names_are_imported_from_the_file_that_defines_them():
    packages = {m.name for m in every_module() if m.path.name == "__init__.py" and m.name != "ftcls"}
    through = [
        f"{m.name}:{i.line}: {i.target}" for m in every_module() for i in inner_imports(m) if i.target in packages
    ]
    assert through == []


def test_a_package_file_imports_nothing():
    # But for the public names of the package itself, which tests/project/test_public_api.py looks at.
    packages = [m for m in every_module() if m.path.name == "__init__.py" and m.name != "ftcls"]
    assert [m.name for m in packages if list(imports(m))] == []


def test_nothing_reaches_up_through_the_public_names_but_a_push():
    # `import ftcls` would hide an arrow; a classifier is pushed with a card that a room above it writes.
    used = {
        f"{m.name}: {node.attr}"
        for m in every_module()
        for node in ast.walk(m.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ftcls"
    }
    assert {each for each in used if not each.endswith(("__version__", "__file__"))} == {
        "ftcls.inference.classifier: push"
    }


def test_no_import_is_relative():
    relative = [
        m.at(node)
        for m in every_module()
        for node in ast.walk(m.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_only_pipeline_and_cli_see_several_stages():
    for module in every_module(without=KNOW_THE_ORDER):
        seen = {layer(found.target) for found in inner_imports(module) if found.target not in HANDED_ON}
        stages = (seen | {module.layer}) & set(WORK)
        if module.layer == "training":
            stages.discard("model")  # it trains what the model's room builds, cuts and batches
        assert len(stages) <= 1, f"{module.name} sees {sorted(stages)}: what needs both belongs into pipeline/"


def test_config_objects_stop_at_the_builders():
    reaching = [
        f"{module.name}:{found.line}"
        for module in every_module()
        if module.name.startswith(WITHOUT_CONFIG)
        for found in inner_imports(module)
        if layer(found.target) == "config"
    ]
    assert reaching == []


def test_stages_import_the_heavy_libraries_at_their_top():
    hidden = [
        f"{module.path.relative_to(REPOSITORY)}:{found.line}: {found.target}"
        for module in every_module(layers=STAGES)
        for found in imports(module)
        if found.target.split(".")[0] in AT_THE_TOP and not found.at_import
    ]
    assert hidden == []


def test_commands_import_their_stage_when_called():
    early = [
        f"{module.path.relative_to(REPOSITORY)}:{found.line}: {found.target}"
        for module in every_module(layers=("cli",))
        for found in imports(module)
        if found.at_import and (found.target.split(".")[0] in HEAVY or _is_stage(found.target))
    ]
    assert early == []


def _is_stage(target: str) -> bool:
    return target.startswith("ftcls.") and layer(target) != "cli" and not is_light(target)


def loaded_by(names: list[str]) -> set[str]:
    """The heavy libraries that a fresh interpreter holds after importing these modules."""
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split()) & set(HEAVY)


def test_the_light_modules_and_the_command_line_load_no_heavy_library():
    assert loaded_by([m.name for m in every_module() if is_light(m.name) or m.layer == "cli"]) == set()


def test_the_report_never_loads_torch():
    assert "torch" not in loaded_by([m.name for m in every_module(layers=("reporting",))])


def test_what_is_imported_is_declared():
    # What only a dependency's dependency brings can be gone with its next version.
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    brought_by = importlib.metadata.packages_distributions()
    undeclared = [
        f"{module.name}: {top}"
        for module in every_module()
        for top in foreign_imports(module)
        if top in brought_by and not declared & {canonicalize_name(name) for name in brought_by[top]}
    ]
    assert undeclared == []


def test_no_name_says_nothing():
    empty = re.compile(r"(.*_)?(utils?|helpers?|common|misc|managers?)")
    parts = {part for m in every_module() for part in m.name.split(".")}
    assert [part for part in parts if empty.fullmatch(part)] == []


def test_only_the_command_line_prints():
    printing = [
        m.at(call)
        for m in every_module(without=("cli",))
        for call in calls(m)
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]
    assert printing == []


def test_no_default_is_smuggled_in_by_get():
    # `names.get(word, word)` passes a word through; `settings.get("rate", 0.1)` is a default outside the schema.
    # The environment is not the config: what a variable means when it is not set has no other place.
    literal = ast.Constant | ast.List | ast.Tuple | ast.Dict | ast.Set
    smuggled = [
        m.at(call)
        for m in every_module()
        for call in calls(m)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "get"
        if len(call.args) == 2 and isinstance(call.args[1], literal)
        if ast.unparse(call.func.value) != "os.environ"
    ]
    assert smuggled == []


def test_everything_public_has_a_docstring():
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    silent = [m.name for m in every_module() if not ast.get_docstring(m.tree)]
    silent += [
        m.at(node)
        for m in every_module()
        for node in m.tree.body
        if isinstance(node, defined) and not node.name.startswith("_") and not ast.get_docstring(node)
        if not any(ast.unparse(each) == "overload" for each in node.decorator_list)
    ]
    assert silent == []


def test_every_file_can_be_read_in_one_sitting():
    lengths = {m.name: len(m.path.read_text(encoding="utf-8").splitlines()) for m in every_module()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_the_package_has_few_rooms():
    entries = [p.name for p in (SOURCE / "ftcls").iterdir() if p.name not in ("__pycache__", "py.typed", "configs")]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_every_function_can_be_seen_at_once():
    bodies = {
        f"{m.name}.{node.name}": node.end_lineno - node.body[0].lineno + 1
        for m in every_module()
        for node in ast.walk(m.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: lines for name, lines in bodies.items() if lines > LONGEST_BODY and name not in LONG_BODIES} == {}


def import_table() -> str:
    """The order of the rooms as CONTRIBUTING.md shows it: a room, what it imports, from the bottom up."""
    graph: dict[str, set[str]] = {room: set() for room in HEIGHT}
    for module in every_module(layers=tuple(HEIGHT)):
        graph[module.layer] |= {layer(found.target) for found in inner_imports(module)} & set(HEIGHT) - {module.layer}
    lines = ["| room | imports |", "| --- | --- |"]
    for row in reversed(ORDER):
        lines += [f"| {room} | {', '.join(sorted(graph[room], key=lambda r: (HEIGHT[r], r)))} |" for room in row]
    return "\n".join(lines)


def test_contributing_shows_the_order_of_imports_as_it_is():
    # Written anew by: python tests/project/test_architecture.py
    assert import_table() in (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_no_tracked_file_names_a_place_on_one_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files are tracked")
    # Folders that mean something on one machine only; addresses (https://...) are not paths.
    place = re.compile(rb"(?<![\w.:/$}])/(home|Users|root|work|workspace|opt|mnt|srv)/\w|\b[A-Z]:\\Users\\")
    naming = []
    for name in listed.stdout.decode().split("\0"):
        path = REPOSITORY / name
        if name and path.is_file() and path != Path(__file__).resolve():
            naming += [f"{name}: {hit.group().decode()}" for hit in place.finditer(path.read_bytes())]
    assert naming == []


if __name__ == "__main__":
    page = REPOSITORY / "CONTRIBUTING.md"
    text = page.read_text(encoding="utf-8")
    table = re.compile(r"\| room \| imports \|\n(\|.*\n)+")
    page.write_text(table.sub(lambda _: import_table() + "\n", text), encoding="utf-8")

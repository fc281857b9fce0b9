"""The package as it is published: version, types, extras, tested versions."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import ftcls

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def direct_requirements() -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != PROJECT["name"]]


def pinned_versions() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def test_the_package_has_the_version_of_its_metadata():
    assert ftcls.__version__ == PROJECT["version"]


def test_the_package_says_that_it_is_typed():
    assert (Path(ftcls.__file__).parent / "py.typed").is_file()


def test_the_changelog_has_room_for_the_next_change():
    assert "## Unreleased\n" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_named_in_the_documentation(extra):
    pages = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").glob("*.md")]
    installed_somewhere = re.compile(rf"(ftcls|\.)\[([\w,-]+,)?{extra}[,\]]")
    assert any(installed_somewhere.search(page.read_text(encoding="utf-8")) for page in pages)


@pytest.mark.parametrize("requirement", direct_requirements(), ids=lambda requirement: requirement.name)
def test_the_tested_version_of_every_direct_dependency_is_in_its_range(requirement):
    tested = pinned_versions()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(Version(tested))


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_every_dependency_of_the_core_has_an_upper_bound(line):
    assert any(part.operator in {"<", "==", "~="} for part in Requirement(line).specifier)


def test_the_tested_versions_name_no_build_and_no_place():
    # A local label (+cpu) or an address would tie the file to one kind of machine.
    unlike_a_pin = [name for name, version in pinned_versions().items() if not re.fullmatch(r"[\w.]+", version)]
    assert unlike_a_pin == []


def test_a_package_is_pinned_once():
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(pinned_versions()) == sum(not line.startswith("#") for line in lines)

"""The Dockerfile, as far as it can be held without docker: what it copies, which versions, as whom it runs."""

import json
import re
import runpy
import shlex
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def instructions():
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


def given(name):
    return [rest for word, rest in instructions() if word == name]


def test_every_version_is_that_of_the_constraints():
    installs = [line for line in given("RUN") if "pip install" in line]
    assert len(installs) == 2
    assert all("-c constraints.txt" in line for line in installs)
    assert "==" not in "".join(installs)


def test_the_python_of_the_image_is_one_that_ftcls_takes_and_one_image_by_its_digest():
    tags = [re.fullmatch(r"python:([\d.]+)-slim@(sha256:[0-9a-f]{64})( AS build)?", line) for line in given("FROM")]
    assert len({(tag[1], tag[2]) for tag in tags}) == 1  # the environment is copied from one to the other
    assert SpecifierSet(PROJECT["requires-python"]).contains(tags[0][1])


def test_what_is_copied_is_there_and_is_not_ignored():
    copied = [name for line in given("COPY") if "--from" not in line for name in shlex.split(line)[:-1]]
    assert all((REPOSITORY / name).exists() for name in copied)
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(copied)
    assert PROJECT["readme"] in copied
    assert set(PROJECT["license-files"]) <= set(copied)


def test_its_extras_are_extras():
    (extras,) = [line.split("=", 1)[1].strip('"') for line in given("ARG") if line.startswith("EXTRAS=")]
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_command_runs_as_nobody_special():
    words = [word for word, _ in instructions()]
    assert given("USER") == ["ftcls"]
    assert words.index("USER") < words.index("ENTRYPOINT")
    (command,) = json.loads(given("ENTRYPOINT")[0])
    assert command in PROJECT["scripts"]


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("/venv/bin/python /venv/bin/ftcls serve runs/imdb --host 0.0.0.0", "8000"),
        ("/sbin/docker-init -- ftcls --debug serve runs/imdb --port 9000 --quiet", "9000"),
        ("/venv/bin/python /venv/bin/ftcls serve runs/imdb --port=9000", "9000"),
        ("/venv/bin/python /venv/bin/ftcls train serve", None),
        ("bash", None),
    ],
)
def test_a_server_is_asked_for_its_health_where_it_listens(command, port):
    (check,) = [json.loads(line.partition("CMD ")[2]) for line in given("HEALTHCHECK")]
    script = REPOSITORY / "scripts" / Path(check[1]).name
    assert any(script.name in line for line in given("COPY"))
    assert runpy.run_path(str(script))["port"](command.split()) == port

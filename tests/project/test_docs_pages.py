"""The documentation: its commands exist, with their options and config keys, and its links lead somewhere."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from ftcls.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SCHEMA = json.loads((ROOT / "configs" / "schema.json").read_text(encoding="utf-8"))
KEY = re.compile(r"[a-z_]+(\.[\w-]+)*(?==)")
# What a line goes on to do with the command's output, or after it.
ENDS = {"|", "&&", "||", ">", ">>", "2>", "<", "#", "&"}


def commands(page):
    """Lines of code blocks that call ftcls, as words; continued lines as one."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|&& |-m )(?:\$ +)?(?:\w+=\S+ )*(ftcls .+)", line)
            if found and "..." not in found[1].split():
                yield found[1].strip()


def words(line):
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&<>")
    lexer.whitespace_split = True
    said = []
    for word in lexer:
        if word in ENDS:
            break
        said.append(word)
    return said[1:]


def positional(said):
    """The words that are no options, of a command that has all the options named."""
    command = typer.main.get_command(app)
    context = command.context_class(command, info_name="ftcls")
    while hasattr(command, "get_command") and said and not said[0].startswith("-"):
        name, *said = said
        found = command.get_command(context, name)
        assert found is not None, f"no command {name}"
        command, context = found, found.context_class(found, parent=context, info_name=name)
    if said[-1:] == ["--ray"]:  # which alone means a cluster of its own
        said.append("")
    values, rest, _ = command.make_parser(context).parse_args(list(said))
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            value = values.get(parameter.name)
            rest.extend(value if isinstance(value, list | tuple) else [value])
    return [word for word in rest if word is not None]


def has_key(path, schema=SCHEMA):
    """Whether a config has this key, by its JSON schema."""
    if "$ref" in schema:
        return has_key(path, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    ways = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if any(has_key(path, way) for way in ways):
        return True
    if not path:
        return True
    inside = schema.get("properties", {}).get(path[0]) or schema.get("additionalProperties")
    return isinstance(inside, dict) and has_key(path[1:], inside)


CALLS = [pytest.param(line, id=f"{page.name}: {line[:60]}") for page in PAGES for line in dict.fromkeys(commands(page))]


@pytest.mark.parametrize("line", CALLS)
def test_a_documented_command_exists_with_its_options_and_keys(line):
    for word in positional(words(line)):
        if key := KEY.match(word):
            assert has_key(key[0].split(".")), f"no key {key[0]}"


def test_commands_that_do_not_exist_are_seen():
    assert len(CALLS) > 100
    assert words('ftcls predict RUN --text "a | b" > said.csv') == ["predict", "RUN", "--text", "a | b"]
    with pytest.raises(Exception, match="No such option: --epochs"):
        positional(words("ftcls train configs/imdb.yaml --epochs 3"))
    with pytest.raises(AssertionError, match="no command tune"):
        positional(words("ftcls tune configs/imdb.yaml"))
    assert positional(words("ftcls predict RUN --threshold grief=0.1 --text x")) == ["RUN"]
    assert has_key(["training", "learning_rate"])
    assert has_key(["data", "split", "folds"])
    assert has_key(["metrics", "functions", "mine"])
    assert not has_key(["training", "learning_rat"])
    assert not has_key(["seed", "of"])


def anchors(page):
    """The headings of a page as links name them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.+)$", prose, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)) for title in titles]
    return {title.strip().lower().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), target

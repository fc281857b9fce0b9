from pathlib import Path

from ftcls.cli import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == reference.markdown(), "run: python -m ftcls.cli.reference"


def test_the_reference_page_does_not_depend_on_the_terminal(monkeypatch):
    page = reference.markdown()
    monkeypatch.setenv("COLUMNS", "40")
    assert reference.markdown() == page


def test_every_command_has_help_for_every_option_and_an_example():
    for help_text in reference.commands().split("### `")[1:]:
        name, _, text = help_text.partition("`")
        if name not in ("ftcls config", "ftcls runs"):
            assert f"Example: {name}" in text or name == "ftcls", name
        for line in text.splitlines():
            stripped = line.strip()
            if stripped.startswith("-") and stripped.endswith(("-", "FILE", "NAME", "DIR", "COLUMN")):
                raise AssertionError(f"{name}: {stripped} has no help")


def test_writing_the_reference_makes_both_files(tmp_path):
    written = reference.write(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == ["docs/reference.md", "configs/schema.json"]
    assert written[0].read_text(encoding="utf-8") == reference.markdown()

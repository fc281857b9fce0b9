import json
import logging

import pytest

from ftcls.environment import manifest
from ftcls.environment.manifest import Entry
from ftcls.errors import DataError


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "model"
    (place / "inner").mkdir(parents=True)
    (place / "weights.bin").write_bytes(bytes(range(256)) * 8)
    (place / "config.json").write_text("{}")
    (place / "empty.txt").write_text("")
    (place / "inner" / "merges.txt").write_text("a b\n")
    (place / "README.md").write_text("for people")
    (place / ".lock").write_text("")
    manifest.write(place, {"progress": {"step": 3, "value": 0.1}})
    return place


def test_a_manifest_lists_every_file_with_size_and_digest(folder):
    found = manifest.read(folder)
    assert list(found.files) == ["config.json", "empty.txt", "inner/merges.txt", "weights.bin"]
    # `xxhsum -H2` of the same bytes; that of nothing is in the specification of XXH3.
    assert found.files["empty.txt"] == Entry(0, "99aa06d3014798d86001c324468d497f")
    assert found.files["weights.bin"].bytes == 2048
    assert found.about == {"progress": {"step": 3, "value": 0.1}}
    manifest.check(folder)


DAMAGES = {
    "deleted": (lambda p: p.unlink(), "is missing"),
    "emptied": (lambda p: p.write_bytes(b""), "is damaged: 0 bytes, and 2,048 were written"),
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:-1]), "is damaged: 2,047 bytes, and 2,048 were written"),
    "longer": (lambda p: p.write_bytes(p.read_bytes() + b"x"), "is damaged: 2,049 bytes"),
    "flipped": (
        lambda p: p.write_bytes(bytes([p.read_bytes()[0] ^ 1]) + p.read_bytes()[1:]),
        "is damaged: as long as it was written, with another content",
    ),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "is a folder, and was written as a file"),
}


@pytest.mark.parametrize(("harm", "said"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_named_with_what_to_do(folder, harm, said):
    harm(folder / "weights.bin")
    with pytest.raises(DataError, match=r"ftcls runs verify .*model --accept weights\.bin") as caught:
        manifest.check(folder)
    assert str(caught.value).startswith(f"{folder / 'weights.bin'}: {said}")
    assert caught.value.exit_code == 3
    with pytest.raises(DataError, match="weights"):
        manifest.check_part(folder / "weights.bin")
    manifest.check_part(folder / "config.json")


@pytest.mark.parametrize("place", [0, 40, -2, None])
def test_a_manifest_whose_own_bytes_changed_is_not_believed(folder, place):
    path = folder / manifest.FILE
    text = path.read_bytes()
    harmed = text + b"\n" if place is None else text[:place] + bytes([text[place] ^ 1]) + text[place:][1:]
    path.write_bytes(harmed)
    with pytest.raises(DataError, match=r"manifest\.json: is damaged.*Bring back a copy, or delete it"):
        manifest.check(folder)


def test_every_single_bit_of_a_manifest_counts(folder):
    path = folder / manifest.FILE
    text = path.read_bytes()
    for place in range(0, len(text), 7):
        path.write_bytes(text[:place] + bytes([text[place] ^ (1 << place % 8)]) + text[place + 1 :])
        with pytest.raises(DataError, match="is damaged"):
            manifest.read(folder)


def test_a_folder_with_its_own_manifest_is_listed_by_that_alone(folder):
    run = folder.parent
    (run / "report.json").write_text("{}")
    (run / "evals").mkdir()
    (run / "evals" / "later.json").write_text("{}")
    manifest.write(run, without=("evals",), ahead={"last.json": b"1"})
    assert list(manifest.read(run).files) == ["last.json", "model/manifest.json", "report.json"]
    assert [str(each) for each in manifest.damages_within(run)] == [f"{run / 'last.json'}: is missing"]
    (run / "last.json").write_bytes(b"1")
    assert manifest.damages_within(run) == []
    (folder / "weights.bin").write_bytes(b"")
    assert [each.path for each in manifest.damages_within(run)] == [folder / "weights.bin"]


def test_a_manifest_that_is_gone_is_missed_by_the_one_above(folder):
    manifest.write(folder.parent)
    (folder / manifest.FILE).unlink()
    with pytest.raises(DataError, match=r"manifest\.json: is missing"):
        manifest.check(folder)


def test_all_of_a_folder_is_checked_where_it_is_a_part(folder):
    manifest.write(folder)
    (folder / "inner" / "merges.txt").unlink()
    with pytest.raises(DataError, match=r"merges\.txt: is missing"):
        manifest.check_part(folder / "inner")


def test_what_was_changed_on_purpose_is_listed_anew(folder):
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "empty.txt").unlink()
    manifest.renew(folder, ["config.json", "empty.txt"])
    manifest.check(folder)
    assert list(manifest.read(folder).files) == ["config.json", "inner/merges.txt", "weights.bin"]
    assert manifest.read(folder).about == {"progress": {"step": 3, "value": 0.1}}
    manifest.keep(folder, ["config.json"])
    assert list(manifest.read(folder).files) == ["config.json"]


def test_a_listed_file_is_written_so_that_a_kill_leaves_no_damage(folder, monkeypatch):
    def killed(path, text):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            manifest.write_listed(folder / "config.json", "[1]")
    manifest.check(folder)
    manifest.write_listed(folder / "config.json", "[1]")
    manifest.check(folder)
    assert manifest.read(folder).files["config.json"].bytes == 3


def test_the_sizes_that_an_earlier_version_kept_are_compared(folder):
    (folder / manifest.FILE).write_text(
        json.dumps({"progress": {"step": 3}, "files": {"config.json": 2, "weights.bin": 2048}}, indent=2) + "\n"
    )
    manifest.check(folder)
    (folder / "weights.bin").write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes, and 2,048 were written"):
        manifest.check(folder)


def test_a_folder_without_a_manifest_is_taken_as_it_is_and_a_line_says_so(folder, caplog):
    (folder / manifest.FILE).unlink()
    with caplog.at_level(logging.INFO, logger="ftcls"):
        manifest.check(folder, expected=False)
        assert caplog.text == ""
        manifest.check(folder)
        manifest.check(folder)
    assert caplog.text.count("has no manifest.json") == 1

import hashlib
import tarfile

import numpy as np
import pytest

from ftcls.config.schema import Data
from ftcls.data.clean import clean
from ftcls.data.corpus import fingerprint
from ftcls.data.miniature.write import write
from ftcls.data.read import read
from ftcls.data.readers import download, reuters21578
from ftcls.data.readers.reuters21578 import FILES
from ftcls.errors import ConfigError, DataError, UnavailableError


@pytest.fixture
def folder(tmp_path):
    return write("reuters21578", tmp_path / "reuters")


def story(number, text, topics="", split="TRAIN", marked="YES"):
    items = "".join(f"<D>{topic}</D>" for topic in topics.split())
    return (
        f'<REUTERS TOPICS="{marked}" LEWISSPLIT="{split}" CGISPLIT="TRAINING-SET" OLDID="1" NEWID="{number}">\n'
        f"<TOPICS>{items}</TOPICS>\n<UNKNOWN>&#5;u f BC</UNKNOWN>\n{text}\n</REUTERS>\n"
    )


@pytest.fixture
def few(tmp_path):
    """Nine stories, made by hand, in the first of 22 files; the others hold one each that is not used."""
    stories = (
        story(
            1,
            "<TEXT>&#2;\n<TITLE>A &lt;B&amp;C></TITLE>\n<DATELINE>X</DATELINE><BODY>Said.\n Reuter\n&#3;</BODY></TEXT>",
            "tea",
        )
        + story(
            2, '<TEXT TYPE="BRIEF">&#2;\n******<TITLE>ONLY A TITLE</TITLE>Blah blah blah.\n&#3;\n</TEXT>', "tea rye tea"
        )
        + story(3, '<TEXT TYPE="UNPROC">&#2;\nNo tags &amp;lt; at all\n REUTER\n&#3;\n\n</TEXT>', "")
        + story(4, "<TEXT><TITLE>T</TITLE><BODY>not used</BODY></TEXT>", "tea", marked="NO")
        + story(5, "<TEXT><TITLE>T</TITLE><BODY>not used</BODY></TEXT>", "tea", split="NOT-USED")
        + story(6, "<TEXT><TITLE>M\xfcller</TITLE><BODY>test</BODY></TEXT>", "tea zinc", split="TEST")
        + story(7, "<TEXT><TITLE>T</TITLE><BODY>test</BODY></TEXT>", "rye", split="TEST")
        + story(8, "<TEXT><TITLE>T</TITLE><BODY>test</BODY></TEXT>", "", split="TEST")
        + story(9, "<TEXT><TITLE>T</TITLE><BODY>only in train</BODY></TEXT>", "oat tea")
    )
    unused = story(0, "<TEXT><TITLE>T</TITLE></TEXT>", "gold", marked="BYPASS")
    for name in FILES:
        (tmp_path / name).write_text(stories if name == FILES[0] else unused, encoding="latin-1", newline="")
    return tmp_path


def raw(path, topics="R90", without_topics="keep"):
    return reuters21578.read(path=str(path), topics=topics, without_topics=without_topics)


def corpus(path, **keys):
    return read(Data(source="reuters21578", path=str(path), **keys), seed=1)


def archived(folder, path, names=FILES):
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.add(folder / name, arcname=name)
    return path


def test_a_text_is_title_and_body_or_all_of_a_story_without_them(few):
    splits = raw(few).splits
    assert splits["train"].texts[:3] == [
        "A <B&C>\nSaid.\n Reuter\n\x03",
        "ONLY A TITLE",
        "\x02\nNo tags &lt; at all\n REUTER\n\x03\n\n",
    ]
    assert splits["test"].texts[0] == "M\xfcller\ntest"


def test_cleaning_takes_control_characters_and_the_sign_off(few):
    texts = raw(few).splits["train"].texts[:3]
    wanted = ["A <B&C> Said.", "ONLY A TITLE", "No tags &lt; at all"]
    assert clean(texts, ["unicode", "reuter", "spaces"]) == wanted
    assert clean(texts, ["reuter", "unicode", "spaces"]) == wanted


def test_rows_count_the_stories_of_the_split_and_places_name_their_number(few):
    splits = raw(few, without_topics="drop").splits
    assert splits["train"].rows.tolist() == [0, 1, 3]
    assert splits["train"].size == 4
    assert splits["train"].place(2) == f"{few}/reut2-000.sgm, NEWID 9"
    assert splits["test"].rows.tolist() == [0, 1]


def test_a_topic_that_stands_twice_counts_once(few):
    assert raw(few).splits["train"].labels[1] == ("tea", "rye")


@pytest.mark.parametrize(
    ("topics", "names", "dropped"),
    [
        ("R90", ("rye", "tea"), (3, 2)),
        ("all", ("oat", "rye", "tea", "zinc"), (3, 2)),
        ("R10", ("oat", "rye", "tea"), (3, 2)),
        (("zinc", "oat"), ("zinc", "oat"), (1, 1)),
    ],
)
def test_topics_are_chosen_by_set_or_by_name(few, topics, names, dropped):
    found = raw(few, topics)
    assert found.labels == names
    assert [len(split.texts) for split in found.splits.values()] == [4, 3]
    without = raw(few, topics, "drop")
    assert tuple(len(split.texts) for split in without.splits.values()) == dropped
    assert all(labels for split in without.splits.values() for labels in split.labels)


def test_a_story_without_topics_is_a_row_of_zeros(few):
    train = raw(few).splits["train"]
    assert train.labels[2] == ()
    whole = corpus(few, split={"validation": 1})
    assert whole.task == "multilabel"
    assert whole.splits["test"].targets.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert whole.splits["test"].targets.dtype == np.float32


def test_topics_that_a_split_lacks_are_reported(few):
    (check,) = (
        check for check in corpus(few, topics="all", split={"validation": 1}).checks if check.name == "labels_missing"
    )
    assert "train: zinc" in check.examples


def test_a_name_that_is_no_topic_is_answered_with_the_nearest(few):
    with pytest.raises(
        ConfigError, match=r"data\.topics: 'zink' is no topic .*, did you mean 'zinc'\? The topics: 'oat'"
    ):
        corpus(few, topics=["tea", "zink"])
    with pytest.raises(ConfigError, match=r"'gold' is no topic of the ModApte split; The topics"):
        corpus(few, topics=["tea", "gold"])


def test_folder_and_archive_give_the_same_corpus(folder, tmp_path):
    archive = archived(folder, tmp_path / "reuters21578.tar.gz")
    beside = tmp_path / "beside"
    beside.mkdir()
    archived(folder, beside / "reuters21578.tar.gz", names=FILES[::-1])
    assert len({fingerprint(corpus(path)) for path in (folder, archive, beside)}) == 1


def test_missing_files_are_named(folder, tmp_path):
    archive = archived(folder, tmp_path / "a.tar.gz", names=[name for name in FILES if name != "reut2-007.sgm"])
    with pytest.raises(DataError, match=r"a\.tar\.gz: no reut2-007\.sgm in this archive"):
        corpus(archive)
    (folder / "reut2-021.sgm").unlink()
    with pytest.raises(DataError, match=r"no reut2-021\.sgm or reut2-021\.sgm\.gz in this folder"):
        corpus(folder)


def test_a_damaged_archive_and_a_damaged_file_are_refused(folder, tmp_path):
    archive = archived(folder, tmp_path / "a.tar.gz")
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        DataError, match=r"a\.tar\.gz: neither a folder nor a \.tar\.gz archive that can be read to its e"
    ):
        corpus(archive)
    file = folder / "reut2-003.sgm"
    text = file.read_text(encoding="latin-1")
    file.write_text(text[:-30], encoding="latin-1", newline="")
    with pytest.raises(
        DataError, match=r"reut2-003\.sgm: damaged, it has \d+ stories that begin and \d+ that are whole"
    ):
        corpus(folder)
    file.write_text(text.replace("<TOPICS>", "<TOPIC>", 1), encoding="latin-1", newline="")
    with pytest.raises(DataError, match=r"reut2-003\.sgm:2: damaged, a story without its TOPICS, TEXT or attributes"):
        corpus(folder)


def test_without_a_path_the_archive_is_fetched_checked_and_read(folder, tmp_path, monkeypatch):
    archive = archived(folder, tmp_path / "served.tar.gz")
    sums = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES]
    asked = []

    def fetch(addresses, *, name, check, remedy):
        asked.append((addresses, name, remedy))
        check(archive)
        return archive

    monkeypatch.setattr(download, "fetch", fetch)
    with pytest.raises(DataError, match=r"its reut2-000\.sgm is not the published one"):
        read(Data(source="reuters21578"), seed=1)
    monkeypatch.setattr(reuters21578, "SHA256", tuple(sums))
    assert fingerprint(read(Data(source="reuters21578"), seed=1)) == fingerprint(corpus(folder))
    ((addresses, name, remedy), _) = asked
    assert len(addresses) == 2
    assert all(address.endswith("/reuters21578.tar.gz") for address in addresses)
    assert name == "reuters21578.tar.gz"
    assert "data.path" in remedy


def test_offline_and_not_in_the_cache_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path))
    with pytest.raises(
        UnavailableError, match=r"reuters21578\.tar\.gz is not in .*\nSet data\.path to the original archive"
    ):
        read(Data(source="reuters21578"), seed=1)

import csv

import pytest

from ftcls.config.schema import Data
from ftcls.data.miniature.write import MINIATURES, write
from ftcls.data.read import read
from ftcls.data.readers import go_emotions, reuters21578


@pytest.mark.parametrize("source", MINIATURES)
def test_a_miniature_is_the_same_bytes_every_time(source, tmp_path):
    one = write(source, tmp_path / "one")
    two = write(source, tmp_path / "a" / "two")
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    assert names
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


@pytest.mark.parametrize("source", MINIATURES)
def test_a_miniature_has_every_label_in_train_and_in_test(source, tmp_path):
    whole = read(Data(source=source, path=str(write(source, tmp_path))), seed=1)
    lacking = [example for check in whole.checks if check.name == "labels_missing" for example in check.examples]
    assert not [example for example in lacking if not example.startswith("validation")]
    assert 90 < len(whole.splits["train"]) < 400


def test_a_small_ag_news_has_the_quirks_of_the_original(tmp_path):
    text = (write("ag_news", tmp_path) / "train.csv").read_text(encoding="utf-8")
    assert text.isascii()
    assert all(quirk in text for quirk in (" #39;", " quot;", " amp;", "\\$", "were\\scarce", "&lt;b&gt;", '""'))
    assert text.count("\n") == 240


def test_a_small_imdb_has_the_quirks_of_the_original(tmp_path):
    home = write("imdb", tmp_path) / "aclImdb"
    reviews = {path.relative_to(home).as_posix(): path.read_bytes().decode() for path in home.rglob("*.txt")}
    assert {name.rsplit("/", 1)[0] for name in reviews} == {"train/neg", "train/pos", "test/neg", "test/pos"}
    stars = {name.split("/")[1]: set() for name in reviews}
    for name in reviews:
        stars[name.split("/")[1]].add(int(name.removesuffix(".txt").rsplit("_", 1)[1]))
    assert stars == {"neg": {1, 2, 3, 4}, "pos": {7, 8, 9, 10}}
    assert sum("<br />" in text for text in reviews.values()) > len(reviews) / 2
    everything = "".join(reviews.values())
    assert all(quirk in everything for quirk in ("\x96", "\x85", "&amp;"))
    assert max(len(text.split()) for text in reviews.values()) > 600
    assert len(set(reviews.values())) == len(reviews) - 2


def test_a_small_reuters_has_the_quirks_of_the_original(tmp_path):
    folder = write("reuters21578", tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == list(reuters21578.FILES)
    text = "".join(path.read_bytes().decode("latin-1") for path in folder.iterdir())
    for quirk in (
        'TOPICS="NO" LEWISSPLIT="TRAIN"',
        'TOPICS="BYPASS"',
        'LEWISSPLIT="NOT-USED"',
        "<TOPICS></TOPICS>",
        "<D>sugar</D><D>sugar</D>",
        'TYPE="BRIEF"',
        'TYPE="UNPROC"',
        "&lt;ALDR>",
        "R&amp;T",
        "\n Reuter\n&#3;",
        "\n REUTER\n&#3;",
        "&#22;",
        "\xfc",
    ):
        assert quirk in text
    train = reuters21578.read(path=str(folder), topics="R90", without_topics="keep").splits["train"]
    assert () in train.labels
    assert any(len(names) > 1 for names in train.labels)


def test_a_small_goemotions_has_the_quirks_of_the_original(tmp_path):
    folder = write("go_emotions", tmp_path)
    text = "".join((folder / file).read_text(encoding="utf-8") for file in go_emotions.FILES.values())
    assert all(quirk in text for quirk in ('""', "[NAME]", "[RELIGION]", "\u2019", "\u2026", "\U0001f602"))
    with (folder / "train.tsv").open(encoding="utf-8", newline="") as file:
        numbers = [row[1].split(",") for row in csv.reader(file, delimiter="\t")]
    assert any(len(some) > 1 and "27" in some for some in numbers)
    assert (folder / "emotions.txt").read_text(encoding="utf-8").split("\n") == list(go_emotions.LABELS)

import gzip
import tarfile

import datasets
import numpy as np
import pytest

from ftcls.config.schema import Data
from ftcls.data.corpus import fingerprint
from ftcls.data.miniature.write import write
from ftcls.data.read import read
from ftcls.data.readers import hub, imdb
from ftcls.errors import DataError, UnavailableError


@pytest.fixture
def folder(tmp_path):
    return write("imdb", tmp_path / "imdb")


def corpus(path, **keys):
    return read(Data(source="imdb", path=str(path), **keys), seed=1)


def archived(folder, path, order=None):
    with tarfile.open(path, "w:gz") as archive:
        for file in sorted(folder.rglob("*.txt"), key=order):
            archive.add(file, arcname=file.relative_to(folder).as_posix())
    return path


def test_rows_are_numbered_as_on_the_hub_by_blocks_of_128_backwards(folder):
    train = imdb.read(path=str(folder), revision=None).splits["train"]
    numbers = [int(train.place(row).rsplit("/", 1)[1].split("_")[0]) for row in range(len(train.texts))]
    assert numbers[:3] == [126, 123, 120]
    assert numbers[42:45] == [0, 255, 252]
    assert train.labels == ["neg"] * 96 + ["pos"] * 96
    assert train.rows.tolist() == list(range(192))


def test_every_original_form_gives_the_same_corpus(folder, tmp_path):
    archive = archived(folder, tmp_path / "aclImdb_v1.tar.gz")
    other_order = archived(folder, tmp_path / "other.tgz", order=lambda file: file.name[::-1])
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "aclImdb_v1.tar.gz").write_bytes(archive.read_bytes())
    plain = tmp_path / "plain.tar"
    plain.write_bytes(gzip.decompress(archive.read_bytes()))
    places = (folder, folder / "aclImdb", archive, other_order, beside, plain)
    assert len({fingerprint(corpus(place)) for place in places}) == 1


def test_the_hub_gives_the_same_corpus_as_the_archive(folder, tmp_path, monkeypatch):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    copy = {"unsupervised": str(tmp_path / "unsupervised.parquet")}
    datasets.Dataset.from_dict({"text": ["Unlabelled."], "label": [-1]}, features=features).to_parquet(
        copy["unsupervised"]
    )
    for name, split in imdb.read(path=str(folder), revision=None).splits.items():
        columns = {"text": split.texts, "label": [imdb.LABELS.index(label) for label in split.labels]}
        copy[name] = str(tmp_path / f"{name}.parquet")
        datasets.Dataset.from_dict(columns, features=features).to_parquet(copy[name])
    asked = []

    def load_dataset(name, revision):
        asked.append((name, revision))
        return datasets.load_dataset("parquet", data_files=copy, cache_dir=str(tmp_path / "hub"))

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    from_hub = read(Data(source="imdb"), seed=1)
    assert fingerprint(from_hub) == fingerprint(corpus(folder))
    assert asked == [("stanfordnlp/imdb", imdb.REVISION)]
    assert from_hub.versions == {"stanfordnlp/imdb": imdb.REVISION}


def test_the_task_is_binary_and_pos_is_the_positive_label(folder):
    whole = corpus(folder)
    assert (whole.task, whole.labels, whole.positive_label) == ("binary", ("neg", "pos"), "pos")
    assert np.bincount(whole.splits["test"].targets).tolist() == [48, 48]


def test_pooled_the_set_is_cut_eighty_ten_ten_with_equal_texts_on_one_side(folder):
    whole = corpus(folder, split={"pooled": True})
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 230, "validation": 29, "test": 29}
    texts = [set(split.texts) for split in whole.splits.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 286
    assert sorted(np.concatenate([split.rows for split in whole.splits.values()])) == list(range(288))


@pytest.mark.parametrize("gone", ["train/pos", "test/neg"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_that_is_gone_is_named(folder, tmp_path, gone, packed):
    for file in (folder / "aclImdb" / gone).iterdir():
        file.unlink()
    (folder / "aclImdb" / gone).rmdir()
    place = archived(folder, tmp_path / "aclImdb_v1.tar.gz") if packed else folder
    with pytest.raises(DataError, match=rf"data\.path: .*: no review in {gone}; aclImdb has the folders train/neg"):
        corpus(place)


def test_an_archive_with_damaged_bytes_is_refused_wherever_the_damage_is(folder, tmp_path):
    whole = archived(folder, tmp_path / "whole.tar.gz").read_bytes()
    damaged = tmp_path / "damaged.tar.gz"
    # In the middle, the missing second half, and the checksum at the very end, which unpacking alone does not read.
    middle = whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :]
    for content in (middle, whole[: len(whole) // 2], whole[:-8] + bytes(4) + whole[-4:]):
        damaged.write_bytes(content)
        with pytest.raises(
            DataError, match=r"damaged\.tar\.gz: neither a folder nor a \.tar\.gz archive that can be rea"
        ):
            corpus(damaged)


def test_a_review_that_is_not_utf_8_is_a_bad_row(folder):
    file = next((folder / "aclImdb" / "train" / "neg").glob("126_*.txt"))
    file.write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"train/neg/126_\d\.txt: not UTF-8"):
        corpus(folder)
    dropped = corpus(folder, on_bad_row="drop")
    rows = np.concatenate([dropped.splits["train"].rows, dropped.splits["validation"].rows])
    assert sorted(rows) == list(range(1, 192))


def test_nothing_at_the_path_and_no_hub_are_answered_with_the_ways_out(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="does not exist; name the folder or the archive with IMDb's reviews"):
        corpus(tmp_path / "nowhere")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(UnavailableError, match=r"stanfordnlp/imdb cannot be had.*\n.*data\.path.*HF_ENDPOINT"):
        read(Data(source="imdb"), seed=1)

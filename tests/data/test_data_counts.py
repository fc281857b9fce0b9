"""The real data sets, counted: every figure that their authors, their Hub cards and well-known papers state."""

import csv
import gzip
import json
import re
from collections import Counter

import datasets
import numpy as np
import pytest

from ftcls.config.schema import Data
from ftcls.data import labels, split
from ftcls.data.clean import clean
from ftcls.data.corpus import fingerprint
from ftcls.data.read import READERS, read
from ftcls.data.readers import ag_news, go_emotions, hub, imdb, reuters21578

pytestmark = pytest.mark.real_data

# As they are before a test puts what was read in their place.
OWN_READERS = dict(READERS)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture(scope="session")
def raw(data_folder):
    """What each reader finds in the original copy, read once."""
    found = {}

    def of(source, **keys):
        key = (source, *sorted(keys.items()))
        if key not in found:
            found[key] = OWN_READERS[source](Data(source=source, path=str(data_folder / source), **keys))
        return found[key]

    return of


def texts(split):
    return [text.strip() for text in split.texts]


def duplicates(split):
    return len(split.texts) - len(set(texts(split)))


def by_text(split):
    found = {}
    for text, label in zip(texts(split), split.labels, strict=True):
        found.setdefault(text, set()).add(label if isinstance(label, str) else tuple(sorted(label)))
    return found


def shared(one, other):
    """Texts in both, and how many of them have other labels."""
    first, second = by_text(one), by_text(other)
    both = first.keys() & second.keys()
    return len(both), sum(first[text] != second[text] for text in both)


# --- IMDb


def test_imdb_has_its_rows_labels_and_bytes(raw):
    splits = raw("imdb").splits
    for name, size in {"train": 33_432_823, "test": 32_650_685}.items():
        assert Counter(splits[name].labels) == {"neg": 12_500, "pos": 12_500}
        # What the Hub's card says: UTF-8 bytes plus 12 a row.
        assert sum(len(text.encode()) + 12 for text in splits[name].texts) == size
        assert splits[name].bad.count == 0


def test_imdb_repeats_418_texts_none_with_two_labels(raw):
    splits = raw("imdb").splits
    assert (duplicates(splits["train"]), duplicates(splits["test"])) == (96, 199)
    assert shared(splits["train"], splits["test"]) == (123, 0)


def test_imdbs_rows_stand_as_on_the_hub(raw):
    train, test = (raw("imdb").splits[name] for name in ("train", "test"))
    # Rows that tutorials print, which begin with load_dataset's first rows and its shuffle(seed=42).
    assert [train.place(row).split("/", 1)[1] for row in (0, 1, 2, 24_999)] == [
        "train/neg/127_4.txt",
        "train/neg/126_1.txt",
        "train/neg/125_1.txt",
        "train/pos/12416_10.txt",
    ]
    shuffled = np.random.default_rng(42).permutation(25_000)
    openings = [train.texts[row].split(" ")[5:9] for row in shuffled[:3].tolist()]
    assert openings == [
        ["all", "between", "Fortier", "and"],
        ["The", "plot", "is", "very"],
        ["Blood", "Part", 'II"', "is"],
    ]
    assert test.place(0).endswith("test/neg/127_3.txt")


def test_imdbs_breaks_and_windows_characters_are_cleaned(raw):
    every = [text for split in raw("imdb").splits.values() for text in split.texts]
    assert sum("<br />" in text for text in every) == 29_200
    assert sum(CONTROL.search(text) is not None for text in every) == 1_573
    cleaned = clean(every, ["html_breaks", "unicode", "spaces"])
    assert not any("<br" in text or CONTROL.search(text) for text in cleaned)
    # U+0096 was a dash, U+0085 three dots: they are there, not gone.
    for left, meant in {"\x96": "\u2013", "\x85": "\u2026", "\x91": "\u2018"}.items():
        repaired = [after for before, after in zip(every, cleaned, strict=True) if left in before]
        assert len(repaired) > 50
        assert all(meant in after for after in repaired)


def test_imdb_pooled_is_40000_5000_5000_with_no_text_on_two_sides(raw, monkeypatch):
    monkeypatch.setitem(READERS, "imdb", lambda data: raw("imdb"))
    whole = read(Data(source="imdb", split={"pooled": True}, clean=["lower_case"]), seed=42)
    assert {name: len(split) for name, split in whole.splits.items()} == {
        "train": 40_000,
        "validation": 5_000,
        "test": 5_000,
    }
    sides = [set(split.texts) for split in whole.splits.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 50_000 - 418
    assert np.bincount(whole.splits["test"].targets).tolist() == pytest.approx([2_500, 2_500], abs=5)


# --- Reuters-21578


def test_modapte_has_9603_and_3299_stories_of_115_and_93_topics(raw):
    splits = raw("reuters21578", topics="all").splits
    assert [len(split.texts) for split in splits.values()] == [9_603, 3_299]
    seen = [{name for names in split.labels for name in names} for split in splits.values()]
    assert [len(names) for names in seen] == [115, 93]
    assert len(seen[0] & seen[1]) == 90
    assert raw("reuters21578").labels == tuple(sorted(seen[0] & seen[1]))
    assert [sum(not names for names in split.labels) for split in splits.values()] == [1_828, 280]
    assert max(len(names) for split in splits.values() for names in split.labels) == 16


def test_modapte_without_the_stories_that_have_no_topic(raw):
    def sizes(topics):
        splits = raw("reuters21578", topics=topics, without_topics="drop").splits
        return [len(split.texts) for split in splits.values()]

    assert sizes("all") == [7_775, 3_019]
    assert sizes("R90") == [7_770, 3_019]


def test_the_ten_most_frequent_topics_have_their_known_counts(raw):
    found = raw("reuters21578", topics="R10")
    train, test = (Counter(name for names in split.labels for name in names) for split in found.splits.values())
    assert {name: (train[name], test[name]) for name in found.labels} == {
        "earn": (2_877, 1_087),
        "acq": (1_650, 719),
        "money-fx": (538, 179),
        "grain": (433, 149),
        "crude": (389, 189),
        "trade": (369, 117),
        "interest": (347, 131),
        "wheat": (212, 71),
        "ship": (197, 89),
        "corn": (181, 56),
    }


def test_modapte_repeats_texts(raw):
    splits = raw("reuters21578", topics="all").splits
    assert [duplicates(split) for split in splits.values()] == [134, 16]
    assert shared(splits["train"], splits["test"]) == (4, 3)


@pytest.mark.parametrize("source", ["reuters21578", "go_emotions"])
def test_a_tenth_has_every_labels_share_to_within_a_row_and_unlabelled_rows_too(source, raw):
    targets = labels.encode(raw(source).splits["train"], raw(source).labels, task="multilabel")[1]
    part, _ = split.cut(targets, [len(targets) // 10], seed=[42, 0])
    assert len(part) == len(targets) // 10
    wanted = targets.sum(axis=0) * len(part) / len(targets)
    assert np.abs(targets[part].sum(axis=0) - wanted).max() < 1
    assert (targets[part].sum(axis=1) == 0).sum() == pytest.approx((targets.sum(axis=1) == 0).sum() / 10, abs=1)


def test_reuters_control_characters_and_sign_off_are_cleaned(raw):
    every = [text for split in raw("reuters21578").splits.values() for text in split.texts]
    assert sum(CONTROL.search(text) is not None for text in every) > 11_000
    signed = re.compile(r"\breuter[\s\x03]*$", re.IGNORECASE)
    assert sum(signed.search(text) is not None for text in every) > 10_000
    cleaned = clean(every, ["unicode", "reuter", "spaces"])
    assert not any(CONTROL.search(text) or signed.search(text) or "  " in text for text in cleaned)
    assert all(cleaned)
    # No other word is lost: what is gone is white space, control characters and the sign-off.
    words = [CONTROL.sub("", text).split() for text in every]
    lost = {word.lower() for before, after in zip(words, cleaned, strict=True) for word in before[len(after.split()) :]}
    assert lost == {"reuter"}


def test_the_one_byte_that_is_not_utf_8_is_a_letter(raw):
    found = [text for split in raw("reuters21578").splits.values() for text in split.texts if not text.isascii()]
    assert all("\xfc" in text for text in found)
    assert len(found) <= 1


# --- AG News


def test_ag_news_test_is_whole_and_the_copy_of_train_as_large_as_it_is(raw):
    splits = raw("ag_news").splits
    assert Counter(splits["test"].labels) == dict.fromkeys(ag_news.LABELS, 1_900)
    assert Counter(splits["train"].labels) == {"World": 6_563, "Sports": 6_550, "Business": 6_627, "Sci/Tech": 6_754}
    assert (duplicates(splits["train"]), duplicates(splits["test"])) == (3, 0)
    assert shared(splits["train"], splits["test"]) == (0, 0)
    assert sum(len(text.encode()) + 12 for text in splits["test"].texts) == 1_879_474


def test_ag_news_entities_backslashes_and_symbols_are_cleaned_as_its_study_had_it(raw):
    every = [text for split in raw("ag_news").splits.values() for text in split.texts]
    assert sum("\\" in text for text in every) == 3_032 + 808
    assert sum("&lt;" in text for text in every) == 1_112 + 301
    cleaned = clean(every, ["entities", "backslashes", "special_characters", "spaces"])
    broken = re.compile(r"\\|&(?:lt|gt|amp|quot);|(?:^| )(?:#39|quot|amp|lt|gt);|<b>|  |[<>{}|~^]")
    assert not [text for text in cleaned if broken.search(text)]
    assert all(cleaned)


# --- GoEmotions


def test_goemotions_has_its_rows_and_labels_per_row(raw):
    splits = raw("go_emotions").splits
    assert {name: len(split.texts) for name, split in splits.items()} == {
        "train": 43_410,
        "validation": 5_426,
        "test": 5_427,
    }
    assert {name: sorted(Counter(map(len, split.labels)).items()) for name, split in splits.items()} == {
        "train": [(1, 36_308), (2, 6_541), (3, 532), (4, 28), (5, 1)],
        "validation": [(1, 4_548), (2, 809), (3, 62), (4, 7)],
        "test": [(1, 4_590), (2, 774), (3, 61), (4, 2)],
    }
    train = Counter(name for names in splits["train"].labels for name in names)
    assert len(train) == 28
    assert train.most_common(4) == [
        ("neutral", 14_219),
        ("admiration", 4_130),
        ("approval", 2_939),
        ("gratitude", 2_662),
    ]
    assert train.most_common()[:-5:-1] == [("grief", 77), ("pride", 111), ("relief", 153), ("nervousness", 164)]
    test = Counter(name for names in splits["test"].labels for name in names)
    assert (test["relief"], test["grief"]) == (11, 6)


def test_goemotions_neutral_is_not_exclusive(raw):
    splits = raw("go_emotions").splits
    both = [sum("neutral" in names and len(names) > 1 for names in split.labels) for split in splits.values()]
    assert both == [1_396, 174, 181]


def test_goemotions_repeats_texts(raw):
    splits = raw("go_emotions").splits
    assert [duplicates(split) for split in splits.values()] == [184, 3, 6]
    assert shared(splits["train"], splits["validation"]) == (41, 15)
    assert shared(splits["train"], splits["test"]) == (32, 14)
    assert shared(splits["validation"], splits["test"]) == (10, 4)


def test_goemotions_quoting_is_undone_and_masks_stay(raw, data_folder):
    splits = raw("go_emotions").splits
    for name, quoted in {"train": 1_097, "validation": 137, "test": 149}.items():
        packed = (data_folder / "go_emotions" / f"{go_emotions.FILES[name]}.gz").read_bytes()
        lines = gzip.decompress(packed).decode().split("\n")[:-1]
        plain = [line.split("\t")[0] for line in lines]
        differing = [row for row, text in enumerate(splits[name].texts) if text != plain[row]]
        assert len(differing) == quoted
        assert all(plain[row] == '"' + splits[name].texts[row].replace('"', '""') + '"' for row in differing)
    every = [text for split in splits.values() for text in split.texts]
    masked = sum("[NAME]" in text or "[RELIGION]" in text for text in every)
    assert masked / len(every) == pytest.approx(0.14, abs=0.005)
    # Without brackets the masks are words; nothing of them is lost.
    cleaned = clean(every, ["special_characters", "spaces"])
    assert sum("NAME" in text or "RELIGION" in text for text in cleaned) >= masked
    assert not any("[" in text or "]" in text for text in cleaned)


def test_goemotions_groups_are_the_authors(data_folder):
    for grouping, file in {"ekman": "ekman_mapping.json", "sentiment": "sentiment_dict.json"}.items():
        authors = json.loads((data_folder / "go_emotions" / file).read_text(encoding="utf-8"))
        ours = {name: sorted(of) for name, of in go_emotions.GROUPS[grouping].items() if name != "neutral"}
        assert ours == {name: sorted(of) for name, of in authors.items()}
    emotions = (data_folder / "go_emotions" / "emotions.txt").read_text(encoding="utf-8").split("\n")
    assert tuple(emotions) == go_emotions.LABELS


def test_goemotions_rows_with_one_label_suffice_for_four_labels_but_not_for_sixteen(raw, data_folder):
    counts = Counter(raw("go_emotions", single_label=True).splits["train"].labels)
    assert sum(counts.values()) == 36_308
    ranked = [count for _, count in counts.most_common()]
    assert (ranked[3], ranked[15]) == (1_857, 709)
    names = [name for name, _ in counts.most_common(16)]
    rows = {}
    for total in (800, 1_600, 2_400):
        keys = {"single_label": True, "labels": names, "subset": {"train": {"balanced": total}}}
        train = read(Data(source="go_emotions", path=str(data_folder / "go_emotions"), **keys), seed=7).splits["train"]
        assert np.bincount(train.targets).tolist() == [total // 16] * 16
        rows[total] = set(train.rows.tolist())
    assert rows[800] < rows[1_600] < rows[2_400]


# --- The Hub's copies, made from the originals


CLASS = datasets.ClassLabel
FEATURES = {
    "imdb": {"label": CLASS(names=list(imdb.LABELS))},
    "ag_news": {"label": CLASS(names=list(ag_news.LABELS))},
    "go_emotions": {"labels": datasets.List(CLASS(names=list(go_emotions.LABELS)))},
}


@pytest.mark.parametrize("source", FEATURES)
def test_a_copy_as_the_hub_has_it_is_the_same_corpus(source, raw, tmp_path, monkeypatch):
    (column, feature), *_ = FEATURES[source].items()
    files = {}
    for name, found in raw(source).splits.items():
        rows = {"text": found.texts, column: [list(one) if isinstance(one, tuple) else one for one in found.labels]}
        features = datasets.Features({"text": datasets.Value("string"), column: feature})
        files[name] = str(tmp_path / f"{name}.parquet")
        datasets.Dataset.from_dict(rows, features=features).to_parquet(files[name])

    def load_dataset(*name, revision):
        return datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "hub"))

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    from_hub = read(Data(source=source), seed=3)
    monkeypatch.setitem(READERS, source, lambda data: raw(source))
    assert fingerprint(from_hub) == fingerprint(read(Data(source=source), seed=3))


def test_the_published_sums_are_those_of_the_files(data_folder):
    reuters21578._published(data_folder / "reuters21578" / reuters21578.FILE)


def test_the_rows_of_the_original_files_are_all_there(raw, data_folder):
    packed = data_folder / "ag_news" / "test.csv.gz"
    with gzip.open(packed, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    split = raw("ag_news").splits["test"]
    assert split.texts == [f"{title} {description}" for _, title, description in rows]
    assert split.labels == [ag_news.LABELS[int(number) - 1] for number, _, _ in rows]

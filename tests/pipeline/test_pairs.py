"""Pairs of texts: encoded as the tokenizer does it, learnt, and the same in every place that takes a text."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast, pipeline

import ftcls
import made_runs
from ftcls.cli.app import run as command_line
from ftcls.config.load import load
from ftcls.data.checks import near_duplicates
from ftcls.data.clean import clean
from ftcls.data.columns import text_of
from ftcls.data.corpus import Corpus, Split, fingerprint
from ftcls.data.read import read
from ftcls.data.texts import Pair, TextColumns, mapped, parts
from ftcls.errors import ConfigError, DataError
from ftcls.inference.classifier import Classifier
from ftcls.inference.simple_classifier import load_classifier
from ftcls.model import scratch
from ftcls.model.baselines import linear
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.template import pair_template
from ftcls.model.tokenize import encode
from ftcls.pipeline.starter_config import Machine, from_file
from ftcls.runs import predictions
from ftcls.training import augment
from small_encoders import built

pytestmark = pytest.mark.usefixtures("undrawn")

COLOURS = ("red", "green", "blue", "white")
WORDS = [f"word{number}" for number in range(40)]
PAIRS = [
    Pair("word1 word2", "word3"),
    Pair(" ".join(WORDS), "word1 word2 word3"),
    Pair("word1", " ".join(WORDS)),
    Pair(" ".join(WORDS), " ".join(WORDS[::-1])),
    Pair("", "word4"),
    Pair("word5 😀", ""),
]


@pytest.fixture(scope="module")
def tokenizer():
    return scratch.train_tokenizer([" ".join(WORDS)] * 2)


def rows(encoded):
    return [encoded.row(row).tolist() for row in range(len(encoded))]


def both(texts):
    return [text.first for text in texts], [text.second for text in texts]


def agreeing(count, seed=0):
    """Rows whose label is whether two texts name the same colour, half of them: either alone says nothing."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, count)
    second = np.where(rng.random(count) < 0.5, first, (first + rng.integers(1, 4, count)) % 4)
    return pd.DataFrame(
        {
            "premise": [f"a {COLOURS[i]} car {n % 60}" for n, i in enumerate(first)],
            "hypothesis": [f"a {COLOURS[i]} thing" for i in second],
            "label": np.where(first == second, "same", "other"),
        }
    )


CONFIG = {
    "name": "pairs",
    "data": {
        "source": "files",
        "path": "rows.csv",
        "text": {"first": "premise", "second": "hypothesis"},
        "task": "binary",
    },
    "model": {"checkpoint": "scratch:bert", "max_length": 32},
    "training": {"max_steps": 80, "batch_size": 16, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of some steps on 160 pairs."""
    return ftcls.train(CONFIG, data=agreeing(160), output=tmp_path_factory.mktemp("pairs") / "run")


@pytest.fixture(scope="module")
def classifier(run):
    return run.classifier(device="cpu")


# --- the type


def test_a_pair_is_equal_to_a_pair_of_the_same_texts_alone():
    assert Pair("a b", "c") == Pair("a b", "c")
    assert Pair("a || b", "c") != Pair("a", "b || c")
    assert Pair("a", "b") != "a || b"
    assert len({Pair("a", "b"), Pair("a", "b"), Pair("b", "a"), "a || b"}) == 3


def test_a_pair_keeps_its_texts_in_a_copy_and_in_another_process():
    pair = Pair("one", "two")
    for again in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair))):
        assert (again.first, again.second) == ("one", "two")


def test_cleaning_runs_on_each_text_of_a_pair():
    (found,) = clean([Pair(" <br> A ", "B  b")], ["html_breaks", "spaces", "lower_case"])
    assert parts(found) == ("a", "b b")
    assert parts(mapped("a", str.upper)) == ("A",)


def test_a_row_without_one_of_its_texts_has_no_text():
    columns = TextColumns(("a", "b"), ("c",))
    assert columns.of(["x", "y", "z"]) == Pair("x y", "z")
    assert columns.of(["x", None, ""]) == Pair("x", "")
    assert columns.of(["x", "y", None]) is None
    assert columns.of([None, None, "z"]) is None


def test_pairs_that_are_cut_elsewhere_are_other_data():
    def one(pair):
        return fingerprint(
            Corpus("files", "binary", ("a", "b"), {"train": Split([pair], np.array([0]), np.array([0]))})
        )

    assert one(Pair("a || b", "c")) != one(Pair("a", "b || c"))


# --- encoding


@pytest.mark.parametrize("max_length", [5, 6, 17, 18, 31, 400])
def test_pairs_are_what_the_tokenizer_itself_makes_of_them(tokenizer, max_length):
    found = encode(PAIRS, tokenizer, max_length=max_length, truncation="head", cached=False)
    expected = tokenizer(*both(PAIRS), truncation="longest_first", max_length=max_length, return_token_type_ids=True)
    assert rows(found) == expected["input_ids"]
    assert [found.types(row).tolist() for row in range(len(PAIRS))] == expected["token_type_ids"]
    assert found.full_lengths.tolist() == [len(ids) for ids in tokenizer(*both(PAIRS))["input_ids"]]


def test_the_second_text_alone_is_cut_where_that_is_asked_for(tokenizer):
    found = encode(PAIRS[2:3], tokenizer, max_length=20, truncation="head", pair_truncation="only_second", cached=False)
    expected = tokenizer(*both(PAIRS[2:3]), truncation="only_second", max_length=20)
    assert rows(found) == expected["input_ids"]
    whole = encode(PAIRS, tokenizer, max_length=20, truncation="head", pair_truncation="only_second", cached=False)
    first = encode([Pair(PAIRS[1].first, "")], tokenizer, max_length=400, truncation="head", cached=False)
    assert whole.first[1] == min(17, first.first[0])  # nothing is left of the second text, and the first is cut too
    assert whole.lengths.max() == 20


def test_the_end_that_is_kept_is_that_of_each_text(tokenizer):
    found = encode(PAIRS[3:4], tokenizer, max_length=21, truncation="tail", cached=False)
    bodies = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in parts(PAIRS[3])]
    assert [body.tolist() for body in found.bodies(0)] == [bodies[0][-9:], bodies[1][-9:]]
    found = encode(PAIRS[3:4], tokenizer, max_length=21, truncation="head_tail", cached=False)
    assert found.bodies(0)[0].tolist() == bodies[0][:5] + bodies[0][-4:]


def special(pair):
    """A tokenizer without token types, which puts these tokens around and between two texts."""
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<s>", "</s>", "a", "b", *WORDS])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="a"))
    backend.pre_tokenizer = Whitespace()
    if pair:
        from tokenizers.processors import RobertaProcessing

        backend.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 1))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        model_input_names=["input_ids", "attention_mask"],
    )


@pytest.mark.parametrize("pair", [True, False])
def test_a_tokenizer_without_token_types_gives_none(pair):
    tokenizer = special(pair)
    template = pair_template(tokenizer)
    assert template.types is None
    assert template.between.tolist() == ([2, 2] if pair else [])
    found = encode(PAIRS[:4], tokenizer, max_length=20, truncation="head", cached=False)
    assert rows(found) == tokenizer(*both(PAIRS[:4]), truncation="longest_first", max_length=20)["input_ids"]
    assert set(found.pad(np.arange(4), 0)) == {"input_ids", "attention_mask"}


def test_pairs_come_back_from_the_cache_as_they_were(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path / "cache"))
    options = {"max_length": 20, "truncation": "head"}
    first, again = (encode(PAIRS, tokenizer, **options) for _ in range(2))
    assert rows(again) == rows(first)
    assert [again.types(row).tolist() for row in range(6)] == [first.types(row).tolist() for row in range(6)]
    swapped = encode([Pair(text.second, text.first) for text in PAIRS], tokenizer, **options)
    assert rows(swapped) != rows(first)


def test_texts_and_pairs_are_not_mixed(tokenizer):
    with pytest.raises(TypeError, match="1 of 2 texts are pairs"):
        encode([Pair("a", "b"), "a"], tokenizer, max_length=20, truncation="head")


def test_too_few_tokens_for_a_pair_are_refused(tokenizer):
    with pytest.raises(DataError, match=r"model.max_length: 3 leaves no room for text beside 3 special tokens"):
        encode(PAIRS, tokenizer, max_length=3, truncation="head")


def test_a_word_never_moves_from_one_text_of_a_pair_to_the_other(tokenizer):
    encoded = encode(PAIRS, tokenizer, max_length=400, truncation="head", cached=False)
    change = augment.build(tokenizer, word_dropout=0.4, word_swap=0.4, token_masking=0.0, strength=None, seed=1)
    for epoch in range(20):
        bodies = change(encoded.bodies(2), epoch=epoch, row=2, copy=0)
        assert bodies[0].tolist() == encoded.bodies(2)[0].tolist()  # one word, which stays
        assert 0 < len(bodies[1]) <= len(encoded.bodies(2)[1])
    batch = encoded.changed([bodies], 0)
    assert batch["token_type_ids"].sum() == len(bodies[1]) + 1


def test_without_padding_token_types_count_as_with_it():
    model = built("BertConfig")
    with torch.no_grad():
        model.bert.embeddings.token_type_embeddings.weight.normal_()
    ids = np.random.default_rng(0).integers(3, 60, (3, 9))
    types = np.repeat([[0] * 4 + [1] * 5], 3, axis=0)
    mask = np.ones((3, 9), dtype=np.int64)
    mask[1, 6:] = mask[2, 3:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    inputs = {name: torch.from_numpy(array) for name, array in inputs.items()}
    packed = PackedClassifier(model, dtype=torch.float32).eval()
    found, expected = packed(**inputs).logits, model(**inputs).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    plain = packed(inputs["input_ids"], inputs["attention_mask"]).logits
    assert (plain - expected).abs().max() > 0.01


# --- other checkpoints


@pytest.mark.parametrize("architecture", made_runs.ARCHITECTURES)
def test_any_checkpoint_reads_pairs_as_plain_transformers_does(architecture, tmp_path):
    tokenizer = scratch.train_tokenizer(made_runs.texts())
    config = made_runs.model_config(architecture, tokenizer)
    config.use_cache = False
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "made")
    tokenizer.save_pretrained(tmp_path / "made")  # gives token types, which DistilBERT and others do not take
    classifier = Classifier.from_pretrained(tmp_path / "made", device="cpu")
    found = classifier.predict_proba([(text.first, text.second) for text in PAIRS])
    classifier.save_pretrained(tmp_path / "saved")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    reader = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert ("token_type_ids" in reader.model_input_names) == (architecture in ("bert", "roberta", "gpt2"))
    for pair, expected in zip(PAIRS, found, strict=True):
        # In lists: of single texts the tokenizer takes an empty second one for none.
        inputs = reader(
            [pair.first], [pair.second], truncation=True, max_length=classifier.settings.max_length, return_tensors="pt"
        )
        with torch.no_grad():
            logits = plain(**inputs).logits
        said = logits.sigmoid() if classifier.task == "multilabel" else logits.softmax(-1)
        np.testing.assert_allclose(said[0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "keys",
    [
        {"training.activation_checkpointing": True},
        {"training.augmentation": {"word_dropout": 0.2, "word_swap": 0.2}},
        {"adapter.kind": "lora"},
        {"model.truncation": "tail", "model.pair_truncation": "only_second", "model.max_length": 10},
    ],
    ids=["padded", "augmented", "adapter", "cut"],
)
def test_pairs_are_trained_in_every_other_way(keys, tmp_path):
    if "adapter.kind" in keys:
        pytest.importorskip("peft", reason="needs the extra adapters")
    few = {"training.max_steps": 3, "report.ladder": []}
    run = ftcls.train(CONFIG, overrides={**few, **keys}, data=agreeing(60), output=tmp_path / "run")
    assert ftcls.evaluate(run.path).metrics["loss"] == run.metrics["test"]["loss"]
    truncated = run.report.data.splits["test"].truncated
    assert (truncated > 0) == ("model.max_length" in keys)


def test_a_checkpoint_that_ftcls_did_not_write_is_scored_on_pairs(run, tmp_path):
    place = tmp_path / "foreign"
    for name in ("model", "tokenizer"):
        loaded = run.classifier(device="cpu")
        getattr(loaded, name).save_pretrained(place)
    agreeing(40, seed=4).to_csv(tmp_path / "rows.csv", index=False)
    config = {**CONFIG, "data": {**CONFIG["data"], "path": str(tmp_path / "rows.csv")}}
    whole = ftcls.evaluate(place, config=config, split="train")
    assert whole.metrics["loss"] == pytest.approx(
        ftcls.evaluate(run.path, config=config, split="train").metrics["loss"]
    )
    columns = "{first: premise, second: hypothesis}"
    labelled = ftcls.predict(str(place), tmp_path / "rows.csv", text_column=columns, prefix="predicted_")
    expected = run.classifier(device="cpu").predict(agreeing(40, seed=4))
    assert (labelled["predicted_label"] == expected).all()
    with pytest.raises(ConfigError, match=r"--text-column \{a: b\}: name the columns of a pair as"):
        ftcls.predict(str(place), tmp_path / "rows.csv", text_column="{a: b}")


# --- a run


def test_plain_transformers_gives_the_same_probabilities(run, classifier):
    texts = [(each["premise"], each["hypothesis"]) for each in agreeing(20, seed=1).to_dict("records")]
    texts.append(("the car is red " * 30, "a red thing " * 30))  # cut
    found = classifier.predict_proba(texts)
    folder = run.files.model
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder)
    inputs = tokenizer(*map(list, zip(*texts, strict=True)), padding=True, truncation=True, return_tensors="pt")
    assert "token_type_ids" in inputs
    with torch.no_grad():
        expected = model.eval()(**inputs).logits.softmax(-1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    swapped = classifier.predict_proba([(second, first) for first, second in texts])
    assert np.abs(swapped - found).max() > 0.01
    (said,) = pipeline("text-classification", model=str(folder))([{"text": texts[0][0], "text_pair": texts[0][1]}])
    assert said["score"] == pytest.approx(found[0].max(), abs=1e-6)


def test_the_run_says_that_its_texts_are_pairs(run, classifier):
    columns = TextColumns(("premise",), ("hypothesis",))
    assert classifier.settings.text == columns == run.report.data.text
    assert "--second" in run.files.page.read_text()
    frame = run.predictions()
    assert frame["text"].str.startswith("a ").all()
    assert frame["second_text"].str.endswith(" thing").all()


def test_scores_are_repeated_from_disk_and_on_a_file_of_pairs(run, tmp_path):
    again = ftcls.evaluate(run.path)
    assert again.metrics["loss"] == run.report.metrics["test"]["loss"]
    agreeing(40, seed=3).to_json(tmp_path / "more.jsonl", orient="records", lines=True)
    assert ftcls.evaluate(run.path, data=tmp_path / "more.jsonl").data.examples == 40


def test_every_way_to_hand_over_pairs_gives_the_same(run, classifier, tmp_path):
    frame = agreeing(12, seed=2).drop(columns="label")
    pairs = list(frame.itertuples(index=False, name=None))
    expected = classifier.predict_proba(pairs)
    column = "probability_same"
    assert classifier.labels[1] == "same"
    for given in (frame, frame.to_numpy(dtype=object), pd.Series(pairs), [list(pair) for pair in pairs]):
        np.testing.assert_array_equal(classifier.predict_proba(given), expected)
        np.testing.assert_allclose(ftcls.predict(run, given, precision="fp32")[column], expected[:, 1], atol=1e-12)
    frame.to_csv(tmp_path / "rows.tsv", sep="\t", index=False)
    frame.rename(columns={"premise": "a", "hypothesis": "b"}).to_json(
        tmp_path / "rows.jsonl", orient="records", lines=True
    )
    for file, names in (("rows.tsv", None), ("rows.jsonl", ["a", "b"])):
        found = ftcls.predict(run, tmp_path / file, text_column=names, precision="fp32")
        np.testing.assert_allclose(found[column], expected[:, 1], atol=1e-9)
    swapped = ftcls.predict(run, tmp_path / "rows.jsonl", text_column=["b", "a"], precision="fp32")
    assert np.abs(swapped[column] - expected[:, 1]).max() > 1e-4


@pytest.mark.parametrize("given", [["one text"], [("one", "two", "three")], [("one", 2)]])
def test_what_is_no_pair_is_refused(classifier, given):
    with pytest.raises(DataError, match=r"text 0 \(from 0\): .* is no pair of texts; write it as \(first, second\)"):
        classifier.predict(given)


def test_a_model_of_single_texts_takes_no_pair(classifier):
    import dataclasses

    single = dataclasses.replace(classifier, settings=dataclasses.replace(classifier.settings, text=TextColumns()))
    with pytest.raises(DataError, match="is no text"):
        single.predict([("one", "two")])


def test_lines_and_single_columns_are_refused_with_what_to_give(run, tmp_path):
    (tmp_path / "lines.txt").write_text("one text\n")
    with pytest.raises(DataError, match=r"the model reads pairs of texts; .* columns premise and hypothesis"):
        ftcls.predict(run, tmp_path / "lines.txt")
    with pytest.raises(ConfigError, match="name two columns"):
        ftcls.predict(run, agreeing(2), text_column="premise")
    with pytest.raises(ConfigError, match="could not tell one text of a pair from the other"):
        ftcls.distill(run.path)


def test_the_command_line_takes_both_texts(run, capsys):
    given = ["predict", str(run.path), "--text", "the car is red", "--second", "a red thing", "--json", "--quiet"]
    assert command_line(given) == 0
    (found,) = json.loads(capsys.readouterr().out)["predictions"]
    assert (found["text"], found["second"]) == ("the car is red", "a red thing")
    assert command_line(given[:4]) == 2
    assert "give the second one of each with --second TEXT" in capsys.readouterr().err


def test_an_exported_graph_reads_the_types_of_pairs(run, classifier, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    done = ftcls.export(run.path, to="onnx", output=tmp_path / "onnx")
    assert done.agreement.max_logit_difference < 1e-4
    graph = Classifier.from_pretrained(tmp_path / "onnx", device="cpu")
    pairs = [("the car is red", "a red thing"), ("the car is blue", "they saw a green thing")]
    np.testing.assert_allclose(graph.predict_proba(pairs), classifier.predict_proba(pairs), atol=1e-5)
    card = (tmp_path / "onnx" / "README.md").read_text()
    assert 'tokenizer(["One text."], ["Its pair."]' in card


def test_the_server_takes_pairs_by_their_columns_and_weighs_the_words_of_both(classifier):
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from starlette.testclient import TestClient

    from ftcls.serving import app, guard, server

    limits = guard.Limits(
        characters=99, texts=9, rows=9, body_bytes=9_999, waiting=99, together=9, delay=0.001, timeout=60.0
    )
    columns = classifier.settings.text
    about = server.describe(classifier, "nowhere", limits, columns)
    given = {"premise": "the car is red", "hypothesis": "a red thing"}
    with TestClient(app.create(app.Service(classifier, limits, about, columns))) as client:
        assert client.get("/model").json()["text_columns"] == {
            "first": ["premise"],
            "second": ["hypothesis"],
            "beside": [],
        }
        (said,) = client.post("/predict", json={"text": given}).json()["predictions"]
        expected = classifier.predict_proba([tuple(given.values())])[0]
        assert list(said["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)
        words = client.post("/words", json={"text": given}).json()
        assert words["texts"] == list(given.values())
        shown = [words["texts"][word["text"]][word["start"] : word["end"]] for word in words["words"]]
        assert shown == ["the", "car", "is", "red", "a", "red", "thing"]
        body = "premise,hypothesis\nthe car is red,a red thing\n"
        table = client.post("/predict/file", content=body, headers={"Content-Type": "text/csv"}).text
        assert float(table.splitlines()[1].split(",")[-1]) == pytest.approx(expected[1], abs=1e-6)
        refused = client.post("/predict", json={"text": "one text"})
        assert (refused.status_code, refused.json()["detail"]) == (
            422,
            "the model reads pairs of texts: give an object with premise and hypothesis",
        )
        assert "is no column of a text" in client.post("/predict", json={"text": {"premis": "a"}}).json()["detail"]
        assert "no text" in client.post("/predict", json={"text": {"premise": "a"}}).json()["detail"]


def test_the_baseline_sees_how_far_two_texts_agree(run):
    assert run.report.baseline.metrics["test"]["accuracy"] > 0.9
    rows = agreeing(200)
    targets = (rows["label"] == "same").to_numpy().astype(np.int64)
    alone = linear.learn(list(rows["premise"]), targets, task="binary", k=2, seed=0)
    unseen = agreeing(200, seed=5)
    right = alone.probabilities(list(unseen["premise"])).argmax(1) == (unseen["label"] == "same").to_numpy()
    assert right.mean() < 0.6


@pytest.mark.parametrize(("name", "stored"), [("tfidf", "baseline"), ("stack", "stack")])
def test_the_simple_models_of_pairs_are_read_and_repeat_their_figures(run, name, stored):
    rung = next(each for each in run.report.ladder if each.name == name)
    assert ftcls.evaluate(f"{run.path}:{name}").metrics == pytest.approx(rung.metrics["test"])
    kept = predictions.read(run.files.predictions / f"test-{stored}.parquet")
    pairs = [tuple(parts(text)) for text in predictions.read_rows(run.files.predictions / "test.parquet").texts]
    said = load_classifier(f"{run.path}:{name}", device="cpu").predict_proba(pairs)
    np.testing.assert_allclose(said, kept.probabilities, atol=1e-6)


def test_the_examples_of_the_server_are_pairs(run, classifier):
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from ftcls.serving import app
    from ftcls.serving.examples import examples

    found = [app._asked(text, classifier.settings.text) for text in examples(run.files)]
    assert found
    assert all(set(each) == {"premise", "hypothesis"} for each in found)


@pytest.mark.slow
def test_a_small_model_learns_what_neither_text_says_alone(tmp_path):
    training = {**CONFIG["training"], "max_steps": 600}
    config = {**CONFIG, "training": training, "report": {"ladder": []}}
    run = ftcls.train(config, data=agreeing(1_500), output=tmp_path / "run")
    assert run.metrics["test"]["accuracy"] > 0.95
    one = {**config, "data": {**CONFIG["data"], "text": "hypothesis"}}
    assert ftcls.train(one, data=agreeing(1_500), output=tmp_path / "one").metrics["test"]["accuracy"] < 0.65


# --- the data


def test_pairs_that_share_a_premise_are_no_near_duplicates():
    long = " ".join(WORDS)
    texts = [Pair(long, "a cat sleeps"), Pair(long, "two dogs run in the park"), Pair(long.upper(), "A cat sleeps.")]
    assert near_duplicates.groups(texts).tolist() == [0, 1, 0]
    assert near_duplicates.groups([Pair("a b", "c d"), Pair("c d", "a b")]).tolist() == [0, 1]


GLUE = (
    "index\tsentence1\tsentence2\tlabel\n"
    '0\tHe said "no" to it.\tHe refused.\tentailment\n'
    "1\tIt rains.\tThe sun shines.\tnot_entailment\n"
    '2\tA 5" screen\tA screen\tentailment\n'
    "3\tShe ran\tShe sat\tnot_entailment\n"
)


def test_a_file_as_glue_has_them_is_read_and_its_pair_is_proposed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rte.tsv").write_text(GLUE * 1 + GLUE.partition("\n")[2] * 3)
    made = from_file(Path("rte.tsv"), label=["label"], text=None, machine=Machine("cpu", "a CPU"))
    Path("rte.yaml").write_text(made.text)
    experiment = load("rte.yaml")
    assert text_of(experiment.data) == TextColumns(("sentence1",), ("sentence2",))
    assert any(note.startswith("text columns: sentence1 and sentence2, read together as a pair") for note in made.notes)
    texts = {text for split in read(experiment.data, seed=1).splits.values() for text in split.texts}
    assert Pair('He said "no" to it.', "He refused.") in texts
    assert all(isinstance(text, Pair) for text in texts)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (None, TextColumns(("claim",), ("evidence",))),
        ("claim,evidence", TextColumns(("claim",), ("evidence",))),
        ("{first: source, second: [claim, evidence]}", TextColumns(("source",), ("claim", "evidence"))),
        ("source,claim", TextColumns(("source", "claim"))),
        ("claim", TextColumns(("claim",))),
    ],
)
def test_init_takes_pairs_by_name_or_as_a_config_writes_them(tmp_path, typed, expected):
    rows = pd.DataFrame(
        {
            "source": [f"paper {n} of the town" for n in range(30)],
            "claim": [f"the claim {n} is made" for n in range(30)],
            "evidence": [f"some evidence {n}" for n in range(30)],
            "label": ["yes", "no", "maybe"] * 10,
        }
    )
    rows.to_csv(tmp_path / "claims.csv", index=False)
    made = from_file(tmp_path / "claims.csv", label=["label"], text=typed, machine=Machine("cpu", "a CPU"))
    (tmp_path / "made.yaml").write_text(made.text)
    assert text_of(load(tmp_path / "made.yaml").data) == expected


def test_which_text_is_cut_is_for_pairs_alone():
    config = {**CONFIG, "model": {**CONFIG["model"], "pair_truncation": "only_second"}}
    assert load(config).model.pair_truncation == "only_second"
    config["data"] = {**CONFIG["data"], "text": "premise"}
    with pytest.raises(ConfigError, match=r"model.pair_truncation: has no effect without a pair of texts"):
        load(config)


def test_the_estimator_takes_pairs():
    from ftcls.sklearn import TextClassifier

    rows = agreeing(60)
    pairs = list(zip(rows["premise"], rows["hypothesis"], strict=True))
    keys = {"training__max_steps": 2, "training__device": "cpu", "model__max_length": 24}
    fitted = TextClassifier("scratch:bert", **keys).fit(pairs, rows["label"])
    assert fitted.classifier_.settings.text.pairs
    assert fitted.predict_proba(pairs[:5]).shape == (5, 2)

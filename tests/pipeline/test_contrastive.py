"""A start for few labels: the encoder learns from pairs of texts, and a regression is the output layer."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoModelForSequenceClassification, AutoTokenizer, GPT2Config, TrainerCallback

import fitting
import ftcls
from ftcls.config.contrastive_schema import Contrastive
from ftcls.config.load import load
from ftcls.environment import devices
from ftcls.errors import ConfigError, DataError, Interrupted
from ftcls.inference.classifier import Classifier
from ftcls.inference.embedding import of_layer
from ftcls.model import documents, loading, scratch
from ftcls.model.baselines import logistic
from ftcls.model.documents import DocumentClassifier
from ftcls.model.output_layer import output_layer
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.tokenize import encode
from ftcls.pipeline import contrastive_start
from ftcls.pipeline.contrastive_start import label_texts
from ftcls.runs import predictions
from ftcls.training import contrastive
from ftcls.training.contrastive import count_steps, pair_loss
from ftcls.training.text_pairs import TextPairs
from processes import forked_trainings

pytestmark = pytest.mark.usefixtures("undrawn")

FILLER = [f"filler{number}" for number in range(20)]
TOPICS = {topic: [f"{topic}{number}" for number in range(6)] for topic in ("sport", "money", "music")}


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


def single(labels, k=3):
    return np.asarray(labels)[:, None] == np.arange(k)


# Which texts stand together


def test_a_pass_has_every_text_once_beside_another_of_its_label():
    labels = np.repeat([0, 1, 2], [10, 14, 8])
    pairs = TextPairs(single(labels))
    batches = pairs.batches(8, seed=3, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(32))
    assert [len(rows) for rows in batches] == [8, 8, 8, 8]
    for rows in batches:
        alike = pairs.alike(rows).sum(axis=1) - 1
        assert (alike >= 1).all()


def test_a_label_with_one_text_stands_alone_and_sizes_differ_by_one():
    pairs = TextPairs(single(np.repeat([0, 1, 2], [1, 9, 11])))
    batches = pairs.batches(8, seed=0, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(21))
    assert pairs.steps(8) == len(batches) == 3
    assert all(6 <= len(rows) <= 9 for rows in batches)


def test_the_order_comes_from_seed_and_pass_alone():
    pairs = TextPairs(single(np.repeat([0, 1, 2], 10)))

    def order(seed, epoch):
        return [rows.tolist() for rows in pairs.batches(8, seed=seed, epoch=epoch)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_texts_with_several_labels_stand_beside_one_that_shares_the_rarest():
    given = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    for epoch in range(5):
        (rows,) = TextPairs(given).batches(8, seed=0, epoch=epoch)
        places = {row: place for place, row in enumerate(rows.tolist())}
        assert abs(places[0] - places[1]) == 1
        assert abs(places[2] - places[3]) == 1


def test_pairs_of_one_label_count_as_much_as_pairs_of_two():
    pairs = TextPairs(single([0, 0, 0, 1, 2]))
    rows = np.arange(5)
    shares, alike = pairs.shares(rows), pairs.alike(rows)
    assert np.count_nonzero(shares) == 10
    assert shares[alike].sum() == pytest.approx(0.5)
    assert shares[~alike].sum() == pytest.approx(0.5)
    assert np.count_nonzero(shares[alike]) == 3
    np.testing.assert_array_equal(shares, np.triu(shares, 1))
    # Of one kind alone it is all of them.
    assert TextPairs(single([0, 0])).shares(np.arange(2)).sum() == pytest.approx(1.0)
    assert TextPairs(single([0])).shares(np.arange(1)).sum() == 0


def test_two_texts_without_a_label_are_no_pair():
    shares = TextPairs(np.array([[0, 0], [0, 0], [1, 0]], dtype=bool)).shares(np.arange(3))
    assert shares[0, 1] == 0
    assert shares[0, 2] == shares[1, 2] == pytest.approx(0.5)


def test_a_pair_counts_by_the_weights_of_its_texts():
    shares = TextPairs(single([0, 0, 1]), weights=np.array([1.0, 2.0, 4.0])).shares(np.arange(3))
    assert shares[0, 1] == pytest.approx(0.5)
    assert shares[1, 2] == pytest.approx(2 * shares[0, 2])


def test_labels_in_order_are_near_by_their_distance():
    rows = np.arange(4)
    near = TextPairs(single([0, 1, 2, 2]), ordinal=True).similarities(rows)
    np.testing.assert_allclose(near, [[1, 0.5, 0, 0], [0.5, 1, 0.5, 0.5], [0, 0.5, 1, 1], [0, 0.5, 1, 1]])
    plain = TextPairs(single([0, 1, 2, 2])).similarities(rows)
    np.testing.assert_array_equal(plain, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])


def test_what_there_is_to_learn_is_known_beforehand():
    assert TextPairs(single([0, 0, 1])).kinds == (True, True)
    assert TextPairs(single([0, 0, 0])).kinds == (True, False)
    assert TextPairs(single([0, 1, 2])).kinds == (False, True)
    assert TextPairs(np.array([[1, 1], [1, 0]], dtype=bool)).kinds == (True, False)


def test_the_steps_are_the_passes_up_to_the_bound():
    pairs = TextPairs(single(np.repeat([0, 1], 20)))
    assert count_steps(Contrastive(num_train_epochs=4, batch_size=16, max_steps=None), pairs) == 12
    assert count_steps(Contrastive(num_train_epochs=4, batch_size=16, max_steps=5), pairs) == 5
    found = list(contrastive._batches(pairs, Contrastive(batch_size=16), seed=1, steps=5))
    assert [rows.tolist() for rows in found] == [
        rows.tolist() for epoch in (0, 1) for rows in pairs.batches(16, seed=1, epoch=epoch)
    ][:5]


# The loss


def test_the_loss_is_that_of_sentence_transformers_on_as_many_pairs_of_one_label_as_of_two():
    torch.manual_seed(0)
    vectors = torch.randn(4, 6)
    pairs = TextPairs(single([0, 0, 1, 1], 2))
    rows = np.arange(4)
    found = pair_loss(vectors, *(torch.from_numpy(each) for each in (pairs.similarities(rows), pairs.shares(rows))))
    # CosineSimilarityLoss: the mean squared error of the cosine. Both pairs of one label come twice, four of two once.
    first, second = [0, 2, 0, 2, 0, 0, 1, 1], [1, 3, 1, 3, 2, 3, 2, 3]
    cosine = torch.nn.CosineSimilarity()(vectors[first], vectors[second])
    expected = torch.nn.MSELoss()(cosine, torch.tensor([1.0] * 4 + [0.0] * 4))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_the_loss_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])
    pairs = TextPairs(single([0, 0, 1], 2))
    rows = np.arange(3)
    found = pair_loss(vectors, *(torch.from_numpy(each) for each in (pairs.similarities(rows), pairs.shares(rows))))
    # Cosines .6 (one label), 0 and .8 (two).
    assert float(found) == pytest.approx(0.5 * 0.4**2 + 0.5 * (0 + 0.8**2) / 2)


# What a head reads


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(FILLER, count)) for count in (3, 15, 8, 30, 2, 11)]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return scratch.train_tokenizer(texts)


@pytest.fixture
def model(tokenizer):
    config = loading.load_config("scratch:bert", tokenizer, labels=("a", "b", "c"), task="multiclass")
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    made = loading.load_model("scratch:bert", config, attention=None, seed=1).model
    assert documents.listen(made, tokenizer, longest=64) is made.bert.pooler.dense
    return made


def test_the_vectors_are_what_the_head_reads_whatever_the_passes(model, tokenizer, texts):
    encoded = encode(texts, tokenizer, max_length=64, truncation="head", cached=False)
    batch = encoded.pad(np.arange(len(encoded)), model.config.pad_token_id)
    inputs = {name: torch.from_numpy(array) for name, array in batch.items()}
    expected = model.bert(**inputs).last_hidden_state[:, 0]

    def gradient(vectors):
        model.zero_grad()
        (vectors * torch.linspace(-1, 1, vectors.numel()).view_as(vectors)).sum().backward()
        return model.bert.encoder.layer[0].output.dense.weight.grad.clone()

    wanted = gradient(expected)
    for plain, budget in ((True, 10_000), (True, 40), (False, 10_000), (False, 40)):
        inside = model if plain else PackedClassifier(model, dtype=torch.float32).eval()
        model.eval()
        vectors = DocumentClassifier(inside, "mean", token_budget=budget).vectors(**batch)
        torch.testing.assert_close(vectors, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(gradient(vectors), wanted, atol=1e-4, rtol=1e-3)


def test_what_the_output_layer_reads_gives_the_logits(model, tokenizer, texts):
    encoded = encode(texts, tokenizer, max_length=64, truncation="head", cached=False)
    layer = output_layer(model)
    assert layer is model.classifier
    vectors = of_layer(model, layer, encoded, pad_id=0, token_budget=40)
    batch = encoded.pad(np.arange(len(encoded)), model.config.pad_token_id)
    logits = model(**{name: torch.from_numpy(array) for name, array in batch.items()}).logits
    found = torch.from_numpy(vectors) @ layer.weight.T + layer.bias
    torch.testing.assert_close(found, logits, atol=1e-5, rtol=1e-4)


def test_a_decoder_is_refused(tokenizer):
    settings = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, pad_token_id=0)
    gpt = AutoModelForSequenceClassification.from_config(settings)
    prepared = type("Prepared", (), {"settings": type("S", (), {"windows": None, "max_length": 32})})()
    prepared.tokenizer = tokenizer
    with pytest.raises(ConfigError, match=r"contrastive: the head of small \(GPT2.*\) does not read one vector"):
        contrastive_start.listen(gpt, prepared, checkpoint="small")


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 1, 3, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1, 1]])
def test_the_layer_says_what_the_regression_says(labels):
    rng = np.random.default_rng(0)
    labels = np.array(labels)
    vectors = (rng.normal(size=(9, 5)) + labels[:, None]).astype(np.float32) * 7
    weight, bias, strength = logistic.linear_layer(vectors, labels, None, task="multiclass", k=4, seed=0)
    assert strength == 10
    scale = np.linalg.norm(vectors, axis=1).mean()
    expected = LogisticRegression(C=10, max_iter=1000).fit(vectors / scale, labels).predict_proba(vectors / scale)
    seen = np.unique(labels)
    logits = vectors @ weight.T + bias
    exponents = np.exp(logits[:, seen] - logits[:, seen].max(axis=1, keepdims=True))
    np.testing.assert_allclose(exponents / exponents.sum(axis=1, keepdims=True), expected, atol=2e-3)
    absent = np.setdiff1d(np.arange(4), seen)
    assert (weight[absent] == 0).all()
    np.testing.assert_allclose(bias[absent], np.log(1 / (9 + 4)))


def test_the_layer_of_several_labels_has_one_regression_for_each():
    rng = np.random.default_rng(0)
    targets = (rng.random((12, 3)) < 0.5).astype(np.float32)
    targets[:, 2] = 0
    vectors = rng.normal(size=(12, 5)).astype(np.float32)
    weight, bias, _ = logistic.linear_layer(vectors, targets, None, task="multilabel", k=3, seed=0)
    scale = np.linalg.norm(vectors, axis=1).mean()
    for label in range(2):
        one = LogisticRegression(C=10, max_iter=1000).fit(vectors / scale, targets[:, label])
        np.testing.assert_allclose(
            vectors @ weight[label] + bias[label], one.decision_function(vectors / scale), atol=0.01
        )
    assert not weight[2].any()
    assert bias[2] == pytest.approx(np.log(1 / 13))


# Names of labels


def test_names_that_are_words_become_texts():
    places, found = label_texts(["World_News", "7", "LABEL_3", "B2B", "é", "über", "class 2"], "About {label}.", ())
    assert found == ["About World News.", "About über."]
    assert places.tolist() == [0, 5]
    assert label_texts(["Good"], "It is {label}", ("lower_case",))[1] == ["it is good"]


def test_numbers_are_no_names():
    with pytest.raises(DataError, match=r"contrastive\.label_names: the labels are 0, 1: no words"):
        label_texts(["0", "1"], "About {label}.", ())


# A run


def rows(count, *, seed=0, several=False):
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        topics = [list(TOPICS)[number % 3]]
        if several and number % 4 == 0:
            topics.append(list(TOPICS)[(number + 1) % 3])
        words = [*rng.choice(FILLER, 6), *(word for topic in topics for word in rng.choice(TOPICS[topic], 3))]
        text = " ".join(rng.permutation(words))
        found.append({"text": text, "second": text[:20], "label": topics if several else topics[0]})
    return found


def written(path, found):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in found))
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {
        "train": written(folder / "train.jsonl", rows(48)),
        "test": written(folder / "test.jsonl", rows(60, seed=1)),
    }


def config(data, **changes):
    found = {
        "name": "few",
        "data": {"source": "files", "path": data, "task": "multiclass", "split": {"validation": 12}},
        "model": {"checkpoint": "scratch:bert", "max_length": 32},
        "contrastive": {"num_train_epochs": 40, "learning_rate": 1e-3},
        "training": {
            "max_steps": 4,
            "batch_size": 8,
            "learning_rate": 1e-4,
            "token_budget": 256,
            "device": "cpu",
            "precision": "fp32",
            "eval_strategy": "steps",
            "eval_steps": 2,
            "save_strategy": "steps",
            "save_steps": 2,
        },
        "report": {"ladder": []},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            found[section] = {**found.get(section, {}), name: value}
        else:
            found[section] = value
    return found


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return ftcls.train(config(data), output=tmp_path_factory.mktemp("runs") / "few")


def test_what_is_learnt_from_pairs_is_there_after_four_steps(trained, data, tmp_path):
    plain = ftcls.train(config(data, contrastive=None), output=tmp_path / "plain").report
    assert plain.training.contrastive is None
    assert not (tmp_path / "plain" / "contrastive.json").exists()
    assert trained.report.metrics["test"]["accuracy"] > 0.9
    assert plain.metrics["test"]["accuracy"] < 0.7


def test_the_report_has_what_the_stage_did(trained):
    found = trained.report.training.contrastive
    assert (found.texts, found.label_names, found.steps) == (36, 0, 120)
    # Three steps of twelve texts a pass: 66 pairs each.
    assert found.pairs == 120 * 66
    assert 120 * 6 <= found.pairs_of_one_label < 120 * 40
    assert found.last_loss < 0.5 * found.first_loss
    assert found.strength in logistic.STRENGTHS
    assert found.seconds > 0


def test_plain_transformers_gives_the_same_probabilities(trained):
    stored = predictions.read(trained.path / "predictions" / "test.parquet")
    texts = list(predictions.read_rows(trained.path / "predictions" / "test.parquet").texts)
    model = AutoModelForSequenceClassification.from_pretrained(trained.path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(trained.path / "model")
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits
    np.testing.assert_allclose(torch.softmax(logits, -1).numpy(), stored.probabilities, atol=1e-5)


def weights(run):
    return Classifier.from_pretrained(run, device="cpu").model.state_dict()


def same_weights(first, second):
    one, other = weights(first), weights(second)
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_run_that_is_stopped_between_pairs_is_the_undisturbed_one(trained, data, tmp_path, monkeypatch):
    loss, count = contrastive.pair_loss, [0]

    def stopping(*arguments):
        count[0] += 1
        if count[0] == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(contrastive, "pair_loss", stopping)
        with pytest.raises(Interrupted, match=r"after step 5 of 120 on pairs of texts.*\n.*--resume"):
            ftcls.train(config(data), output=tmp_path / "run")
    again = ftcls.train(config(data), output=tmp_path / "run", resume=True)
    assert same_weights(trained.path, again.path)
    assert replace(again.report.training.contrastive, seconds=0) == replace(
        trained.report.training.contrastive, seconds=0
    )


class _Terminate(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_a_run_that_is_stopped_later_does_not_repeat_the_pairs(trained, data, tmp_path, monkeypatch):
    with fitting.extra_callbacks((_Terminate(),)), pytest.raises(Interrupted):
        ftcls.train(config(data), output=tmp_path / "run")
    monkeypatch.setattr(contrastive, "pair_loss", None)
    again = ftcls.train(config(data), output=tmp_path / "run", resume=True)
    assert again.report.training.resumed
    assert same_weights(trained.path, again.path)
    assert again.report.training.contrastive.steps == 120


@pytest.mark.slow
def test_names_of_labels_are_texts_of_theirs(data, tmp_path):
    found = ftcls.train(
        config(data, contrastive__label_names="sport0 money0 music0 {label}0"), output=tmp_path / "run"
    ).report.training.contrastive
    assert (found.texts, found.label_names) == (39, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"adapter": {"kind": "lora", "r": 4}}, id="lora"),
        pytest.param({"data__text": {"first": "text", "second": "second"}}, id="pairs"),
        pytest.param({"data__task": "ordinal", "data__labels": ["sport", "money", "music"]}, id="ordinal"),
        pytest.param({"model__windows": {"size": 12, "stride": 2, "pool": "attention"}}, id="windows"),
        pytest.param({"training__freeze": 1}, id="freeze"),
        pytest.param({"training__activation_checkpointing": True}, id="recomputed"),
        pytest.param({"model__attention": "eager"}, id="padded"),
    ],
)
def test_it_goes_with(data, tmp_path, changes):
    asked = config(data, **changes)
    if "windows" in asked["model"]:
        asked["model"]["max_length"] = 32
    found = ftcls.train(asked, output=tmp_path / "run").report
    stage = found.training.contrastive
    assert stage.last_loss < stage.first_loss
    assert found.metrics["test"]["accuracy"] > 0.5


@pytest.mark.slow
def test_it_goes_with_several_labels(tmp_path):
    place = {
        "train": written(tmp_path / "train.jsonl", rows(48, several=True)),
        "test": written(tmp_path / "test.jsonl", rows(60, seed=1, several=True)),
    }
    asked = config(place, data__task="multilabel", data__label={"column": "label"})
    asked["data"]["path"] = place
    found = ftcls.train(asked, output=tmp_path / "run").report
    assert found.training.contrastive.last_loss < found.training.contrastive.first_loss
    assert found.metrics["test"]["f1_micro"] > 0.7


@pytest.mark.slow
def test_a_cross_validation_has_it_in_every_fold(data, tmp_path):
    asked = config(data, data__split={"folds": 2}, contrastive__num_train_epochs=2, training__max_steps=2)
    with forked_trainings():
        found = ftcls.train(asked, output=tmp_path / "run").report
    assert found.training.contrastive.steps > 0
    assert (tmp_path / "run" / "folds" / "1" / "contrastive.json").is_file()


@pytest.mark.slow
def test_a_smoke_run_has_a_few_steps_of_it(data, tmp_path):
    found = ftcls.train(config(data), smoke=True, output=tmp_path / "run").report
    assert found.training.contrastive.steps == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contrastive.label_names": "about it"}, r"has no \{label\}, where the name of a label goes"),
        (
            {"data.text": {"first": "text", "second": "second"}, "contrastive.label_names": "about {label}"},
            "is a text by itself, and data.text is a pair",
        ),
        (
            {"model.windows": {"size": 12, "pool": "logits_mean"}},
            r"logits_mean makes no vector of a text, which contrastive needs; write pool: mean",
        ),
        ({"adapter.kind": "lora", "adapter.quantization": "nf4"}, "nf4 has no part in contrastive"),
    ],
)
def test_what_does_not_go_with_it_is_refused_at_once(data, changes, message):
    with pytest.raises(ConfigError, match=message):
        load(config(data), changes)


def test_a_time_budget_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match=r"--budget: times the steps of training, and contrastive has steps"):
        ftcls.train(config(data), budget=60, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("labels", "message"),
    [("aaaa", "all training texts share a label"), ("abcd", "no two training texts share a label")],
)
def test_where_there_is_nothing_to_learn_the_error_says_so(labels, message, tmp_path):
    place = written(tmp_path / "rows.jsonl", [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)])
    asked = config({"train": place, "validation": place, "test": place}, data__labels=list("abcd"))
    asked["data"].pop("split")
    with pytest.raises(DataError, match=message):
        ftcls.train(asked, output=tmp_path / "run")

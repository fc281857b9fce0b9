"""Checkpoints that classify already: which outputs are kept, in which order, and which are no classes at all."""

import numpy as np
import pytest
import torch
import transformers
from torch import distributed
from torch.distributed.tensor import distribute_tensor, init_device_mesh
from transformers import AutoModelForSequenceClassification, pipeline

from ftcls.environment import devices
from ftcls.errors import UnavailableError
from ftcls.inference.classifier import Classifier
from ftcls.model import loading, settings, sharding, warm_start
from ftcls.model.settings import Settings

TEXTS = ["one two three", "four", "two four six eight ten twelve"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
GPT2 = {"n_embd": 16, "n_layer": 1, "n_head": 2}
KINDS = {
    "Bert": (SIZES, {"classifier.weight": 0, "classifier.bias": 0}),
    "Roberta": (SIZES, {"classifier.out_proj.weight": 0, "classifier.out_proj.bias": 0}),
    "XLNet": (
        {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 24},
        {"logits_proj.weight": 0, "logits_proj.bias": 0},
    ),
    "GPT2": (GPT2, {"score.weight": 0}),
    "FunnelTransformer": (
        {"block_sizes": [1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 24, "num_decoder_layers": 1},
        {"classifier.linear_out.weight": 0, "classifier.linear_out.bias": 0},
    ),
}


@pytest.fixture(scope="module", autouse=True)
def without_bars():
    devices.quiet()


def classifier(folder, labels, *, kind="Bert", **options):
    """A classifier that knows these labels, saved with its tokenizer."""
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
    name = {"FunnelTransformer": "Funnel"}.get(kind, kind)
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(
        **{**KINDS[kind][0], **options}, vocab_size=len(tokenizer), num_labels=len(labels), initializer_range=0.3
    )
    config.id2label, config.pad_token_id = dict(enumerate(labels)), tokenizer.pad_token_id
    model = AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval()


def loaded(folder, labels):
    tokenizer = loading.load_tokenizer(str(folder), train_texts=())
    config = loading.load_config(str(folder), tokenizer, labels=labels, task="multiclass")
    return loading.load_model(str(folder), config, attention=None, seed=5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_layer_is_found_by_what_grows_with_the_labels_and_follows_their_names(tmp_path, kind):
    before = classifier(tmp_path, ("no", "yes", "maybe"), kind=kind)
    assert warm_start.output_parameters(before.config) == KINDS[kind][1]
    built = loaded(tmp_path, ("maybe", "no", "yes"))
    assert built.new_parameters == ()
    for name in KINDS[kind][1]:
        assert torch.equal(built.model.get_parameter(name), before.get_parameter(name)[[2, 0, 1]])


def test_a_layer_that_only_looks_like_an_output_layer_is_left_alone(tmp_path):
    before = classifier(tmp_path, ("a", "b"), kind="Roberta", hidden_size=2, intermediate_size=2)
    after = loaded(tmp_path, ("b", "a")).model
    assert torch.equal(after.classifier.dense.weight, before.classifier.dense.weight)
    assert torch.equal(after.classifier.out_proj.weight, before.classifier.out_proj.weight[[1, 0]])


def test_an_output_layer_is_kept_in_the_order_of_the_labels_though_another_part_is_new(tmp_path):
    before = classifier(tmp_path, ("no", "yes", "maybe"))
    state = {name: tensor for name, tensor in before.state_dict().items() if "pooler" not in name}
    before.save_pretrained(tmp_path, state_dict=state)
    built = loaded(tmp_path, ("maybe", "no", "yes"))
    assert built.new_parameters == ("bert.pooler.dense.bias", "bert.pooler.dense.weight")
    assert torch.equal(built.model.classifier.weight, before.classifier.weight[[2, 0, 1]])


def test_a_new_output_layer_is_drawn_and_without_bias(tmp_path, caplog):
    before = classifier(tmp_path, ("no", "yes", "maybe"))
    built = loaded(tmp_path, ("good", "bad", "meh"))
    assert built.new_parameters == ("classifier.bias", "classifier.weight")
    assert built.model.classifier.bias.abs().max() == 0
    assert 0.1 < built.model.classifier.weight.std() < 0.6  # initializer_range 0.3
    assert not torch.equal(built.model.classifier.weight, before.classifier.weight)
    assert "has other labels (no, yes, maybe): a new output layer is trained" in caplog.text


def test_labels_in_another_order_without_an_output_layer_to_follow_them_are_refused(tmp_path, monkeypatch):
    classifier(tmp_path, ("no", "yes", "maybe"))
    monkeypatch.setattr(warm_start, "output_parameters", lambda config: {})
    assert loaded(tmp_path, ("no", "yes", "maybe")).new_parameters == ()
    with pytest.raises(UnavailableError, match=r"no output layer of one row for each label .*Write data\.labels in"):
        loaded(tmp_path, ("maybe", "no", "yes"))


@pytest.mark.parametrize("grown", [((3, 5), (5, 5)), ((3, 3), (4, 4)), ((3,), None), ((3,), (4, 1))])
def test_what_grows_otherwise_than_by_one_row_a_label_is_no_output_layer(tmp_path, monkeypatch, grown):
    config = classifier(tmp_path, ("a", "b", "c")).config
    found = iter(grown)
    monkeypatch.setattr(warm_start, "_shapes", lambda _: {} if (shape := next(found)) is None else {"head": shape})
    assert warm_start.output_parameters(config) == {}


@pytest.fixture
def mesh(tmp_path):
    """One process as the whole of a group."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, about the file it leaves
def test_the_share_of_a_parameter_is_read_and_written_whole(mesh):
    values = torch.arange(6.0).reshape(3, 2)
    parameter = torch.nn.Parameter(distribute_tensor(values.clone(), mesh))
    assert torch.equal(sharding.whole(parameter), values)
    sharding.fill(parameter, sharding.whole(parameter)[[2, 0, 1]])
    assert torch.equal(parameter.data.full_tensor(), values[[2, 0, 1]])


@pytest.mark.parametrize("names", [{0: "a", 1: "a"}, {1: "a", 2: "b"}, {0: "a", 5: "b"}])
def test_outputs_without_a_name_each_are_refused(tmp_path, names):
    classifier(tmp_path, ("no", "yes"))
    config = loading.AutoConfig.from_pretrained(tmp_path)
    config.id2label = names
    config.save_pretrained(tmp_path)
    with pytest.raises(UnavailableError, match="id2label must have the keys 0 to 1 and as many different names"):
        Classifier.from_pretrained(tmp_path, device="cpu")


# --- one output


def test_a_regression_head_is_refused_and_may_be_trained_from(tmp_path):
    classifier(tmp_path, ("score",), problem_type="regression")
    with pytest.raises(UnavailableError, match=r"it was trained for regression .*a number and no class"):
        Classifier.from_pretrained(tmp_path, device="cpu")
    assert loaded(tmp_path, ("no", "yes")).new_parameters == ("classifier.bias", "classifier.weight")


@pytest.mark.parametrize("problem", [None, "multi_label_classification"])
def test_one_output_is_a_sigmoid_as_for_transformers(tmp_path, problem):
    classifier(tmp_path, ("relevant",), problem_type=problem)
    said = Classifier.from_pretrained(tmp_path, device="cpu")
    assert said.task == "multilabel"
    plain = [each["score"] for each in pipeline("text-classification", str(tmp_path), device="cpu")(TEXTS)]
    np.testing.assert_allclose(said.predict_proba(TEXTS)[:, 0], plain, atol=1e-6)
    assert min(plain) < 0.5 < max(plain)
    assert [labels == ("relevant",) for labels in said.predict(TEXTS)] == [score >= 0.5 for score in plain]


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_one_output_that_is_said_to_choose_among_labels_is_refused(tmp_path, task):
    classifier(tmp_path, ("relevant",))
    settings.save(Settings(task, clean=(), max_length=32, truncation="head"), tmp_path)
    with pytest.raises(UnavailableError, match=rf'ftcls.json says {task}.* write "task": "multilabel" there'):
        Classifier.from_pretrained(tmp_path, device="cpu")

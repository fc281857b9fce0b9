"""What ftcls uses of other libraries that they do not promise: one test each, so that an upgrade fails by name.

Names with an underscore are found in the source and have to stand in `PRIVATE`; what is overridden of the Trainer, and
attributes that a structure hangs on, are listed by hand.
"""

import ast
import importlib.util
import inspect
from pathlib import Path

import pytest
import torch
import transformers
from transformers import BertConfig, DistilBertConfig, Trainer, TrainingArguments

from ftcls.model import encoder_layers
from ftcls.training import trainer as own

SOURCE = Path(encoder_layers.__file__).parents[1]
PRIVATE = {
    "transformers": {
        *("_attn_implementation", "_attn_implementation_internal", "_encode_plus", "_defer_fsdp_gradient_reduction"),
        *("_save_optimizer_and_scheduler", "_save_rng_state", "_save_scaler"),
    },
    "torch": {
        *("_cdata", "_overloadpacket", "_subclasses", "_python_dispatch", "_pytree", "_softmax_backward_data"),
        *("_flash_attention_forward", "_foreach_zero_", "_is_amx_tile_supported", "_is_avx512_bf16_supported"),
    },
    "scikit-learn": {"_check_sample_weight"},
    "evaluate": {"_compute"},
    "huggingface_hub": {"_validators"},
    "optuna": {"_trial_id"},
    # Of Python itself, and public in spite of the underscore; words that are no names.
    "python": {"_exit", "_replace", "_typeshed"},
    "no name": {"_is_", "_supported", "_external", "_vendor"},
}


def _private_names(folder):
    """Names with one underscore in front that the source uses and does not define."""
    used, defined = set(), set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    defined.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                    defined.add(name)
                case ast.Attribute(attr=name):
                    used.add(name)
                case ast.ImportFrom(module=module, names=names) if module and not module.startswith("ftcls"):
                    used |= {*module.split("."), *(each.name for each in names)}
                case ast.Constant(value=str(text)) if text.isidentifier():
                    used.add(text)
    return {name for name in used - defined if name.startswith("_") and not name.startswith("__")}


def test_private_names_of_others_are_those_that_are_listed():
    assert _private_names(SOURCE) == set().union(*PRIVATE.values())


# The Trainer


OVERRIDDEN = {
    "create_optimizer": ["self", "model"],
    "get_train_dataloader": ["self"],
    "training_step": ["self", "model", "inputs", "num_items_in_batch"],
    "compute_loss": ["self", "model", "inputs", "return_outputs", "num_items_in_batch"],
    "floating_point_ops": ["self", "inputs"],
    "evaluate": ["self", "eval_dataset", "ignore_keys", "metric_key_prefix"],
    "_maybe_log_save_evaluate": ["self", "tr_loss", "grad_norm"],
    "_save_checkpoint": ["self", "model", "trial"],
    "_load_from_checkpoint": ["self", "resume_from_checkpoint", "model"],
    "_load_optimizer_and_scheduler": ["self", "checkpoint"],
    "_load_rng_state": ["self", "checkpoint"],
}


@pytest.mark.parametrize(("name", "leading"), OVERRIDDEN.items())
def test_the_trainer_still_has_what_is_overridden(name, leading):
    assert list(inspect.signature(getattr(Trainer, name)).parameters)[: len(leading)] == leading
    assert name in vars(own.Trainer)


def test_nothing_else_of_the_trainer_is_overridden_by_chance():
    """A private method of ours that the Trainer gets too would be called by it."""
    ours = {name for name in vars(own.Trainer) if not name.startswith("__")}
    assert {name for name in ours if hasattr(Trainer, name)} == set(OVERRIDDEN)


@pytest.mark.parametrize(
    ("name", "leading"),
    [
        ("_save_optimizer_and_scheduler", ["self", "output_dir"]),
        ("_save_scaler", ["self", "output_dir"]),
        ("_save_rng_state", ["self", "output_dir"]),
        ("get_optimizer_cls_and_kwargs", ["args", "model"]),
        ("get_decay_parameter_names", ["self", "model"]),
    ],
)
def test_the_trainer_still_has_what_its_checkpoints_and_optimizer_are_made_with(name, leading):
    assert list(inspect.signature(getattr(Trainer, name)).parameters)[: len(leading)] == leading


@pytest.mark.parametrize("name", ["_tr_loss", "_globalstep_last_logged"])
def test_the_trainer_keeps_the_losses_since_the_last_line_where_a_resume_puts_them(name):
    assert f"self.{name}" in inspect.getsource(Trainer)


def test_an_optimizer_that_was_chosen_before_is_the_one_that_is_made():
    assert "self.optimizer_cls_and_kwargs" in inspect.getsource(Trainer.create_optimizer)


def test_gradients_of_a_model_that_processes_share_are_held_back_within_a_context():
    held = inspect.signature(Trainer._defer_fsdp_gradient_reduction)
    assert list(held.parameters) == ["self"]
    assert "__enter__" in dir(Trainer._defer_fsdp_gradient_reduction(_Unsharded()))


class _Unsharded:
    """A trainer whose model no processes share."""

    model_wrapped = model = torch.nn.Linear(1, 1)


def test_a_fraction_of_warm_up_steps_is_a_share(tmp_path):
    given = TrainingArguments(str(tmp_path), warmup_steps=0.1, use_cpu=True, report_to="none")
    assert given.get_warmup_steps(200) == 20


# Models and tokenizers


@pytest.mark.parametrize("config", [BertConfig, DistilBertConfig])
def test_layers_stand_where_the_packed_encoder_reads_them(config):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    if config is DistilBertConfig:
        sizes = {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8}
    model = transformers.AutoModelForSequenceClassification.from_config(config(vocab_size=20, **sizes))
    assert model.config._attn_implementation == "sdpa"
    assert encoder_layers.difference(model) is None
    names = encoder_layers.layer_names(model)
    (layer,) = encoder_layers.layers(model, names)
    for name in (*names.linear, *names.norms, names.attention_dropout, names.narrow_dropout):
        layer.get_submodule(name)


def test_the_attention_that_a_configuration_asks_for_is_kept_beside_it(tmp_path):
    BertConfig(vocab_size=20).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert", "attn_implementation": "some/kernel"}')
    assert transformers.AutoConfig.from_pretrained(tmp_path)._attn_implementation_internal == "some/kernel"


def test_a_tokenizer_of_the_tokenizers_library_encodes_by_one_method():
    from transformers import TokenizersBackend

    assert "_encode_plus" in vars(TokenizersBackend)


# torch


def test_what_a_processor_computes_in_is_asked_of_torch():
    assert all(isinstance(getattr(torch.cpu, f"_is_{name}_supported")(), bool) for name in ("avx512_bf16", "amx_tile"))


def test_memory_is_forecast_by_tensors_that_hold_nothing():
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves
    from torch.utils.flop_counter import flop_registry

    assert callable(TorchDispatchMode.__torch_dispatch__)
    with FakeTensorMode(allow_non_fake_inputs=True):
        made = torch.zeros(3, 4) @ torch.zeros(4, 5)
    assert made.shape == (3, 5)
    assert isinstance(torch.zeros(2).untyped_storage()._cdata, int)
    assert torch.ops.aten.mm.default._overloadpacket in flop_registry
    assert tree_leaves({"a": [1, 2]}) == [1, 2]


def test_the_gradient_of_softmax_and_zeroing_of_many_are_operators():
    scores = torch.randn(2, 3, requires_grad=True)
    weights = scores.softmax(-1)
    weights.backward(torch.arange(6.0).reshape(2, 3))
    found = torch._softmax_backward_data(torch.arange(6.0).reshape(2, 3), weights.detach(), -1, torch.float32)
    torch.testing.assert_close(found, scores.grad)
    many = [torch.ones(2), torch.ones(3)]
    torch._foreach_zero_(many)
    assert not any(each.any() for each in many)


def test_flash_attention_takes_starts_and_a_rate_of_dropout():
    schema = torch.ops.aten._flash_attention_forward.default._schema
    assert [each.name for each in schema.arguments][:10] == [
        *("query", "key", "value", "cum_seq_q", "cum_seq_k", "max_q", "max_k"),
        *("dropout_p", "is_causal", "return_debug_mask"),
    ]


# The others


def test_scikit_learn_checks_weights():
    from sklearn.utils.validation import _check_sample_weight

    assert "ensure_non_negative" in inspect.signature(_check_sample_weight).parameters


def test_a_metric_of_evaluate_computes_by_its_own_method():
    import evaluate

    assert "_compute" in vars(evaluate.EvaluationModule)


def test_the_hub_says_which_names_of_repositories_are_none():
    from huggingface_hub.utils import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    validate_repo_id("someone/model")
    with pytest.raises(HFValidationError):
        validate_repo_id("a/b/c")


def test_connections_of_uvicorn_are_told_of_their_begin_and_their_end():
    from uvicorn.protocols.http.h11_impl import H11Protocol

    for name in ("connection_made", "connection_lost", "on_response_complete", "data_received"):
        assert callable(getattr(H11Protocol, name))
    source = inspect.getsource(H11Protocol)
    assert [name for name in ("cycle", "connections", "transport", "loop") if f"self.{name}" not in source] == []


@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="needs the extra search")
def test_a_trial_of_optuna_can_be_taken_up_by_its_number():
    import optuna

    study = optuna.create_study()
    asked = study.ask()
    (frozen,) = study.get_trials(deepcopy=False)
    optuna.trial.Trial(study, frozen._trial_id).report(0.5, 1)
    assert study.get_trials()[asked.number].intermediate_values == {1: 0.5}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's own
@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="needs the extra adapters")
def test_weights_of_an_adapter_are_named_below_the_model_they_wrap():
    import peft

    model = transformers.AutoModelForSequenceClassification.from_config(
        BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    )
    lora = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules="all-linear", modules_to_save=["classifier"])
    wrapped = peft.get_peft_model(model, lora)
    state = peft.get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    assert "base_model.model.classifier.weight" in state
    assert all(name.startswith("base_model.model.") for name in state)
    found = peft.set_peft_model_state_dict(wrapped, state)
    assert [name for name in found.missing_keys if "lora_" in name] == []


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs the extra quantization")
def test_weights_of_four_bits_keep_how_they_were_made():
    import bitsandbytes as bnb

    layer = bnb.nn.Linear4bit(64, 64, quant_type="nf4").to("cpu")
    packed = bnb.functional.quantize_4bit(torch.randn(64, 64), quant_type="nf4")
    assert hasattr(layer, "support_avx512bf16_for_cpu") or not torch.cpu._is_avx512_bf16_supported()
    assert bnb.functional.dequantize_4bit(packed[0], packed[1]).shape == (64, 64)
    assert hasattr(layer.weight, "quant_state")


def test_yaml_composes_nodes_one_by_one():
    import yaml

    assert list(inspect.signature(yaml.SafeLoader.compose_node).parameters) == ["self", "parent", "index"]

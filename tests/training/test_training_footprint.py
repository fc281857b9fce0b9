"""A step counted on tensors without numbers, against the same step with them."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from ftcls.training import step_memory


def built(*, dropout=0.1, **settings):
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, vocab_size=50, **settings
    )
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    return AutoModelForSequenceClassification.from_config(config)


def counted(model, *, passes=1, precision="fp32", shapes=((4, 16),)):
    return step_memory.measure(model, shapes=shapes, device="cpu", precision=precision, passes=passes)


def outlined(**settings):
    with torch.device("meta"):
        return built(**settings)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("passes", [1, 2])
def test_a_step_without_numbers_holds_what_a_real_one_holds(precision, dropout, passes):
    model = built(dropout=dropout).train()
    ledger = step_memory._Ledger()
    for each in (*model.parameters(), *model.buffers()):
        ledger.hold(each, counted=False)
    flops = [step_memory._pass(model, 4, 16, ledger, device="cpu", precision=precision) for _ in range(passes)]
    found = counted(outlined(dropout=dropout), passes=passes, precision=precision)
    assert found.peak == pytest.approx(ledger.peak, rel=0.05)
    assert found.flops_forward * 4 * 16 == pytest.approx(flops[0], rel=0.1)


def test_the_second_micro_batch_finds_the_gradients_of_the_first():
    one, two = counted(outlined()), counted(outlined(), passes=2)
    gradients = 4 * sum(each.numel() for each in outlined().parameters())
    assert one.peak < two.peak <= one.peak + gradients
    assert one.flops == two.flops


def test_the_widest_of_several_passes_counts():
    wide, long = (8, 16), (1, 128)
    alone = [counted(outlined(), shapes=(shape,)).peak for shape in (wide, long)]
    assert counted(outlined(), shapes=(wide, long)).peak == max(alone)


def test_counting_draws_no_numbers():
    state = torch.get_rng_state()
    counted(outlined())
    assert torch.equal(torch.get_rng_state(), state)


def test_states_in_eight_bits_are_a_quarter_but_for_embeddings_and_small_tensors():
    model = torch.nn.Sequential(torch.nn.Embedding(100, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 2))
    model[2].weight.requires_grad_(False)
    embedding, matrix, biases = 6_400, 4_096, 64 + 2
    assert step_memory.state_bytes(model, "adamw_torch") == 8 * (embedding + matrix + biases)
    assert step_memory.state_bytes(model, "adamw_bnb_8bit") == 8 * (embedding + biases) + int(
        matrix * 2 * (1 + 4 / 256)
    )

"""A new head for several labels says at first what it is told to say of every text."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from ftcls.model.classifiable import Classifiable
from ftcls.model.output_bias import start_at

FREQUENCIES = [0.15, 0.05, 0.0025, 0.9975]
LOGITS = np.log(np.array(FREQUENCIES) / (1 - np.array(FREQUENCIES)))
SMALL = {"vocab_size": 11, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}


def built(new=None):
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**SMALL, num_labels=4)).eval()
    return Classifiable(model, tuple(name for name, _ in model.named_parameters()) if new is None else new)


def test_the_first_probabilities_are_those_given():
    made = built()
    pooler = made.model.bert.pooler.dense.bias.clone()  # as wide as there are labels, and not the output
    assert start_at(made, LOGITS)
    with torch.no_grad():
        made.model.classifier.weight.zero_()
        found = torch.sigmoid(made.model(input_ids=torch.tensor([[1, 2, 3]])).logits)[0]
    assert found.tolist() == pytest.approx(FREQUENCIES, abs=1e-4)
    assert torch.equal(made.model.bert.pooler.dense.bias, pooler)


def test_a_head_that_was_trained_before_keeps_its_bias():
    made = built(new=("classifier.weight",))
    before = made.model.classifier.bias.clone()
    assert not start_at(made, LOGITS)
    assert torch.equal(made.model.classifier.bias, before)


def test_a_head_without_bias_is_left_alone():
    model = GPT2ForSequenceClassification(
        GPT2Config(vocab_size=11, n_embd=4, n_layer=1, n_head=1, num_labels=4, pad_token_id=0)
    )
    assert not start_at(Classifiable(model, ("score.weight",)), LOGITS)

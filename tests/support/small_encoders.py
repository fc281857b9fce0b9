"""Small untrained classifiers: one for each architecture that is computed without padding, and some that are not."""

import torch
import transformers
from transformers import AutoModelForSequenceClassification

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "initializer_range": 0.2,  # at the usual 0.02 an untrained model says nearly the same of every text
}
DISTILBERT = {"dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4}
OURS = {
    "BertConfig": SIZES,
    "RobertaConfig": SIZES,
    "XLMRobertaConfig": SIZES,
    "CamembertConfig": SIZES,
    "ElectraConfig": {**SIZES, "embedding_size": 16},
    "DistilBertConfig": {**SIZES, **DISTILBERT},
}
OTHERS = {
    "AlbertConfig": {**SIZES, "embedding_size": 16},
    "DebertaV2Config": SIZES,
    "GPT2Config": {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4, "pad_token_id": 1},
    "ModernBertConfig": SIZES,
}


def built(name, *, attention=None):
    """A small untrained model."""
    special = {"bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
    config = getattr(transformers, name)(**(OURS | OTHERS)[name], **special, num_labels=3)
    torch.manual_seed(0)
    options = {} if attention is None else {"attn_implementation": attention}
    model = AutoModelForSequenceClassification.from_config(config, **options)
    with torch.no_grad():
        for parameter in model.parameters():  # else no test would see a bias or a norm that was left out
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()

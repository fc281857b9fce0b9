"""Small untrained models with a tokenizer trained on the corpus: for smoke runs, tests and as a lower bound."""

from collections.abc import Sequence
from typing import Final

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import BertConfig, PretrainedConfig, PreTrainedTokenizerFast

from ftcls.data.texts import parts
from ftcls.errors import UnavailableError

SPECIAL: Final = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# Enough to read English; a tokenizer for more words would cost the embedding more than the rest of the model.
VOCABULARY: Final = 8_000
POSITIONS: Final = 512

# Two layers of 128: a step takes milliseconds on one core, and it still learns AG News to above .85.
CONFIGS: Final = {
    "bert": lambda vocab_size: BertConfig(
        vocab_size=vocab_size,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
        max_position_embeddings=POSITIONS,
    ),
}


def config(architecture: str, tokenizer: PreTrainedTokenizerFast) -> PretrainedConfig:
    """The configuration of a small model.

    Raises:
        UnavailableError: no such architecture.
    """
    if architecture not in CONFIGS:
        raise UnavailableError(f"model.checkpoint: scratch:{architecture}: choose one of {', '.join(CONFIGS)}")
    return CONFIGS[architecture](len(tokenizer))


def train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A lower-casing byte-level BPE tokenizer learnt from the texts; the same texts give the same tokenizer.

    It puts pairs of texts together as BERT does, with token types.

    Byte-level, because every text has tokens then, emoji too; and not WordPiece, whose trainer numbers the pieces in
    the order of a hash table, another one every time.
    """
    backend = Tokenizer(BPE())
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator([part for text in texts for part in parts(text)], trainer)
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(t, backend.token_to_id(t)) for t in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=POSITIONS,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **SPECIAL,
    )

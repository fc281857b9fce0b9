"""Untrained classifiers of several architectures, all of one size: what the scripts on exports compare."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from transformers import (
    BertConfig,
    DistilBertConfig,
    LlamaConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    RobertaConfig,
)


@dataclass(frozen=True)
class Size:
    """Of a transformer."""

    layers: int
    hidden: int
    heads: int
    inner: int
    """Of the feed-forward part."""

    @property
    def usual(self) -> dict[str, int]:
        """As most configurations call it."""
        return {
            "num_hidden_layers": self.layers,
            "hidden_size": self.hidden,
            "num_attention_heads": self.heads,
            "intermediate_size": self.inner,
        }

    @property
    def distilbert(self) -> dict[str, int]:
        """As DistilBERT's configuration calls it."""
        return {"n_layers": self.layers, "dim": self.hidden, "n_heads": self.heads, "hidden_dim": self.inner}


ARCHITECTURES: Final[dict[str, Callable[..., PretrainedConfig]]] = {
    "BERT": lambda size, **words: BertConfig(**size.usual, **words),
    "DistilBERT": lambda size, **words: DistilBertConfig(**size.distilbert, **words),
    "RoBERTa": lambda size, **words: RobertaConfig(**size.usual, **words),
    # A window smaller than the texts, so that its local layers see less than its global ones.
    "ModernBERT": lambda size, **words: ModernBertConfig(
        **size.usual,
        **words,
        cls_token_id=words["bos_token_id"],
        sep_token_id=words["eos_token_id"],
        local_attention=32,
        global_attn_every_n_layers=3,
    ),
    "Llama": lambda size, **words: LlamaConfig(**size.usual, **words, num_key_value_heads=size.heads // 2),
}


def configured(name: str, size: Size, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """The configuration of one of ``ARCHITECTURES`` for a tokenizer."""
    return ARCHITECTURES[name](
        size,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )

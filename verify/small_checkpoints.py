"""Small checkpoints of the architectures that people name, untrained and built offline.

They are as pretraining leaves them: weights without a head, and a tokenizer of their kind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import (
    AutoModel,
    ByT5Tokenizer,
    CanineTokenizer,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

POSITIONS: Final = 48
"""Of those that count them."""


@dataclass(frozen=True)
class Kind:
    """How the texts of a family are read."""

    tokenizer: Callable[[Sequence[str]], PreTrainedTokenizerBase]
    special: dict[str, int | None]
    """Of the configuration."""


@dataclass(frozen=True)
class Architecture:
    """One configuration, as small as it can be."""

    name: str
    """As people call it."""
    config: str
    """Class of transformers."""
    settings: dict[str, Any]
    kind: Kind
    half: bool = False
    """Whether its weights are kept in bfloat16."""

    def save(self, folder: Path, texts: Sequence[str]) -> None:
        """Write the checkpoint; its tokenizer knows the words of some texts."""
        tokenizer = self.kind.tokenizer(texts)
        vocabulary = {} if self.config == "CanineConfig" else {"vocab_size": len(tokenizer)}
        config: PretrainedConfig = getattr(transformers, self.config)(
            **vocabulary, **{**self.kind.special, **self.settings}
        )
        torch.manual_seed(0)
        model = AutoModel.from_config(config)
        (model.bfloat16() if self.half else model).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _backend(texts: Sequence[str], special: list[str]) -> Tokenizer:
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    return backend


def encoder_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Special tokens around the text; padding is number 1, as RoBERTa's."""
    backend = _backend(texts, ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"])
    backend.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)])
    names = {"cls_token": "[CLS]", "pad_token": "[PAD]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="[MASK]", **names)


def decoder_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """An end of texts, and no padding."""
    backend = _backend(texts, ["<|endoftext|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|endoftext|>", padding_side="left"
    )


def t5_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """An end behind the text; padding is number 0."""
    backend = _backend(texts, ["<pad>", "</s>", "<unk>"])
    backend.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def xlnet_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """The token that is classified stands last, so padding is on the left."""
    backend = _backend(texts, ["<cls>", "<pad>", "<sep>", "<unk>"])
    backend.post_processor = TemplateProcessing(single="$A <sep> <cls>", special_tokens=[("<sep>", 2), ("<cls>", 0)])
    names = {"cls_token": "<cls>", "pad_token": "<pad>", "sep_token": "<sep>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, padding_side="left", **names)


ENCODER: Final = Kind(encoder_tokenizer, {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1})
DECODER: Final = Kind(decoder_tokenizer, {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None})
T5: Final = Kind(t5_tokenizer, {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0})
XLNET: Final = Kind(xlnet_tokenizer, {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1})
BYTES: Final = Kind(lambda texts: ByT5Tokenizer(extra_ids=0), T5.special)
CHARACTERS: Final = Kind(lambda texts: CanineTokenizer(model_max_length=POSITIONS), {})

# At the usual .02 so small a model hardly tells texts apart.
SPREAD: Final = {"initializer_range": 0.3}
DEEP: Final = {"num_hidden_layers": 2, "num_attention_heads": 2}
BERT: Final = {**DEEP, **SPREAD, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": POSITIONS}
LLAMA: Final = {**BERT, "num_key_value_heads": 1}
GEMMA: Final = {**LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 16}
GPT2: Final = {**SPREAD, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS}
BART: Final = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": POSITIONS,
    "init_std": 0.3,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
T5_SIZE: Final = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
DISENTANGLED: Final = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
DISTILBERT: Final = {
    **SPREAD,
    "dim": 16,
    "hidden_dim": 24,
    "n_layers": 2,
    "n_heads": 2,
    "max_position_embeddings": POSITIONS,
}

ARCHITECTURES: Final = {
    "bert": Architecture("BERT", "BertConfig", BERT, ENCODER),
    "bert-bf16": Architecture("BERT, weights in bfloat16", "BertConfig", BERT, ENCODER, half=True),
    "distilbert": Architecture("DistilBERT", "DistilBertConfig", DISTILBERT, ENCODER),
    "roberta": Architecture("RoBERTa", "RobertaConfig", BERT, ENCODER),
    "xlm-roberta": Architecture("XLM-R", "XLMRobertaConfig", BERT, ENCODER),
    "camembert": Architecture("CamemBERT", "CamembertConfig", BERT, ENCODER),
    "deberta": Architecture("DeBERTa", "DebertaConfig", {**BERT, **DISENTANGLED}, ENCODER),
    "deberta-v2": Architecture(
        "DeBERTa-v2, DeBERTa-v3",
        "DebertaV2Config",
        {**BERT, **DISENTANGLED, "position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
        ENCODER,
    ),
    "electra": Architecture("ELECTRA", "ElectraConfig", {**BERT, "embedding_size": 8}, ENCODER),
    "albert": Architecture("ALBERT", "AlbertConfig", {**BERT, "embedding_size": 8}, ENCODER),
    "mpnet": Architecture("MPNet", "MPNetConfig", BERT, ENCODER),
    "modernbert": Architecture(
        "ModernBERT",
        "ModernBertConfig",
        {**BERT, "local_attention": 8, "cls_token_id": 0, "sep_token_id": 2},
        ENCODER,
    ),
    "eurobert": Architecture("EuroBERT", "EuroBertConfig", {**LLAMA, "mask_token_id": 4}, ENCODER),
    "nomic-bert": Architecture("NomicBERT", "NomicBertConfig", BERT, ENCODER),
    "xlnet": Architecture(
        "XLNet", "XLNetConfig", {**SPREAD, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24}, XLNET
    ),
    "longformer": Architecture("Longformer", "LongformerConfig", {**BERT, "attention_window": 8}, ENCODER),
    "big_bird": Architecture("BigBird", "BigBirdConfig", {**BERT, "block_size": 4, "num_random_blocks": 1}, ENCODER),
    "funnel": Architecture(
        "Funnel",
        "FunnelConfig",
        {
            **SPREAD,
            "architectures": ["FunnelModel"],
            "block_sizes": [1, 1],
            "d_model": 16,
            "n_head": 2,
            "d_head": 8,
            "d_inner": 24,
        },
        ENCODER,
    ),
    "rembert": Architecture(
        "RemBERT", "RemBertConfig", {**BERT, "input_embedding_size": 8, "output_embedding_size": 8}, ENCODER
    ),
    "roformer": Architecture("RoFormer", "RoFormerConfig", {**BERT, "embedding_size": 16}, ENCODER),
    "ernie": Architecture("ERNIE", "ErnieConfig", BERT, ENCODER),
    "data2vec-text": Architecture("Data2Vec", "Data2VecTextConfig", BERT, ENCODER),
    "megatron-bert": Architecture("Megatron-BERT", "MegatronBertConfig", BERT, ENCODER),
    "squeezebert": Architecture("SqueezeBERT", "SqueezeBertConfig", {**BERT, "embedding_size": 16}, ENCODER),
    "convbert": Architecture("ConvBERT", "ConvBertConfig", {**BERT, "embedding_size": 16}, ENCODER),
    "fnet": Architecture("FNet", "FNetConfig", BERT, ENCODER),
    "nystromformer": Architecture(
        "Nyströmformer", "NystromformerConfig", {**BERT, "num_landmarks": 8, "segment_means_seq_len": 8}, ENCODER
    ),
    "canine": Architecture("CANINE", "CanineConfig", {**BERT, "num_hash_buckets": 64}, CHARACTERS),
    "t5": Architecture("T5", "T5Config", T5_SIZE, T5),
    "mt5": Architecture("mT5", "MT5Config", T5_SIZE, T5),
    "umt5": Architecture("umT5", "UMT5Config", T5_SIZE, T5),
    "byt5": Architecture("ByT5", "T5Config", T5_SIZE, BYTES),
    "bart": Architecture("BART", "BartConfig", BART, ENCODER),
    "mbart": Architecture("mBART", "MBartConfig", BART, ENCODER),
    "modernbert-decoder": Architecture(
        "ModernBERT-decoder",
        "ModernBertDecoderConfig",
        {**BERT, "local_attention": 8, "pad_token_id": 0},  # the only one of these decoders that has to have one
        DECODER,
    ),
    "gpt2": Architecture("GPT-2", "GPT2Config", GPT2, DECODER),
    "gpt_neo": Architecture(
        "GPT-Neo",
        "GPTNeoConfig",
        {
            **SPREAD,
            "hidden_size": 16,
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 8,
            "max_position_embeddings": POSITIONS,
        },
        DECODER,
    ),
    "gptj": Architecture("GPT-J", "GPTJConfig", {**GPT2, "rotary_dim": 4}, DECODER),
    "gpt_neox": Architecture("GPT-NeoX, Pythia", "GPTNeoXConfig", BERT, DECODER),
    "opt": Architecture(
        "OPT",
        "OPTConfig",
        {
            **DEEP,
            "hidden_size": 16,
            "ffn_dim": 24,
            "word_embed_proj_dim": 16,
            "max_position_embeddings": POSITIONS,
            "init_std": 0.3,
            "pad_token_id": 1,
        },
        DECODER,
    ),
    "bloom": Architecture("BLOOM", "BloomConfig", {**SPREAD, "hidden_size": 16, "n_layer": 2, "n_head": 2}, DECODER),
    "falcon": Architecture("Falcon", "FalconConfig", {**SPREAD, **DEEP, "hidden_size": 16}, DECODER),
    "llama": Architecture("Llama, TinyLlama", "LlamaConfig", LLAMA, DECODER),
    "mistral": Architecture("Mistral", "MistralConfig", LLAMA, DECODER),
    "mixtral": Architecture(
        "Mixtral", "MixtralConfig", {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}, DECODER
    ),
    "qwen2": Architecture("Qwen2, Qwen2.5", "Qwen2Config", LLAMA, DECODER),
    "qwen3": Architecture("Qwen3", "Qwen3Config", {**LLAMA, "head_dim": 8}, DECODER),
    "gemma": Architecture("Gemma", "GemmaConfig", {**LLAMA, "head_dim": 8}, DECODER),
    "gemma2": Architecture("Gemma 2", "Gemma2Config", GEMMA, DECODER),
    "gemma3_text": Architecture("Gemma 3 (text)", "Gemma3TextConfig", GEMMA, DECODER),
    "phi": Architecture("Phi", "PhiConfig", BERT, DECODER),
    "phi3": Architecture("Phi-3, Phi-4", "Phi3Config", LLAMA, DECODER),
    "olmo2": Architecture("OLMo 2", "Olmo2Config", LLAMA, DECODER),
    "smollm3": Architecture("SmolLM3", "SmolLM3Config", LLAMA, DECODER),
    "stablelm": Architecture("StableLM", "StableLmConfig", LLAMA, DECODER),
    "starcoder2": Architecture("StarCoder2", "Starcoder2Config", LLAMA, DECODER),
    "glm4": Architecture("GLM-4", "Glm4Config", {**LLAMA, "head_dim": 8}, DECODER),
    "lfm2": Architecture("LFM2", "Lfm2Config", {**LLAMA, "full_attn_idxs": [1], "block_ff_dim": 24}, DECODER),
    "granite": Architecture("Granite", "GraniteConfig", LLAMA, DECODER),
    "mamba": Architecture(
        "Mamba", "MambaConfig", {**SPREAD, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}, DECODER
    ),
}

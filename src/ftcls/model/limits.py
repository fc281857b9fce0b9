"""What the files of a stranger's checkpoint may ask for: looked at before a byte of memory is taken for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ftcls.environment import json_files
from ftcls.errors import UnavailableError
from ftcls.model.checkpoint import WEIGHTS

CONFIG: Final = "config.json"
LARGEST_CONFIG: Final = 10_000_000
"""Bytes of a config.json. With a hundred thousand label names it has four million."""
MOST_LABELS: Final = 100_000
_LAYERS, _WIDTH, _ENTRIES = 1_000, 1_000_000, 10_000_000
# Several times what the largest published models have.
MOST: Final = {
    **dict.fromkeys(
        ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers"), _LAYERS
    ),
    **dict.fromkeys(("num_decoder_layers", "num_attention_heads", "n_head", "n_heads", "num_heads"), _LAYERS),
    **dict.fromkeys(("num_key_value_heads", "encoder_attention_heads", "decoder_attention_heads"), _LAYERS),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), _LAYERS),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "head_dim"), _WIDTH),
    **dict.fromkeys(("intermediate_size", "d_ff", "d_inner", "ffn_dim", "hidden_dim", "n_inner"), _WIDTH),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "moe_intermediate_size"), _WIDTH),
    **dict.fromkeys(("vocab_size", "n_words", "type_vocab_size", "num_hash_buckets"), _ENTRIES),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 10 * _ENTRIES),
    "num_labels": MOST_LABELS,
}
"""Largest number by key, wherever in config.json the key stands."""
_NEVER_ZERO: Final = frozenset(MOST) - {"type_vocab_size", "max_position_embeddings", "num_experts", "num_labels"}
_INDEXES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SLACK = 20_000_000
"""Parameters that a checkpoint may lack: a new head, poolers, an embedding tied to another."""
_FEWEST_BITS = 4


def check_config(path: Path, checkpoint: str) -> None:
    """See that a config.json describes a model of this world.

    Raises:
        UnavailableError: it is no JSON object, too large, or a size in it is no whole number within `MOST`.
    """
    described = _document(path, checkpoint)
    for key in ("id2label", "label2id"):
        names = described.get(key)
        if names is not None and not isinstance(names, dict):
            raise _refused(checkpoint, f"{key} is no mapping")
        if names is not None and len(names) > MOST_LABELS:
            raise _refused(checkpoint, f"{key} names {len(names):,} labels; ftcls takes {MOST_LABELS:,}")
    for key, value in _sizes(described):
        least = 1 if key in _NEVER_ZERO else 0
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= MOST[key]:
            raise _refused(checkpoint, f"{key} is {str(value)[:40]!r}; ftcls takes {least} to {MOST[key]:,}")


def check_files(folder: Path, checkpoint: str) -> None:
    """See that the list of a checkpoint's weight files names files of its folder alone.

    Raises:
        UnavailableError: it names another place, or is no such list.
    """
    for name in _INDEXES:
        if not (folder / name).is_file():
            continue
        files = _document(folder / name, checkpoint, most=100 * LARGEST_CONFIG).get("weight_map")
        if not isinstance(files, dict):
            raise UnavailableError(f"{checkpoint}: {name}: weight_map is no mapping; fetch the checkpoint again")
        for file in {str(each) for each in files.values()}:
            if file in ("", ".", "..") or "/" in file or "\\" in file:
                raise UnavailableError(
                    f"{checkpoint}: {name} names {file[:80]!r}: weights are read from the checkpoint's own folder alone"
                )


def check_parameters(parameters: int, folder: Path, checkpoint: str) -> None:
    """See that a described model is not far larger than the weights that are there.

    Raises:
        UnavailableError: it is.
    """
    files = [path for path in folder.iterdir() if path.suffix in WEIGHTS]
    at_most = sum(path.stat().st_size for path in files) * 8 // _FEWEST_BITS
    if files and parameters > at_most + _SLACK:
        raise _refused(
            checkpoint, f"it describes {parameters:,} parameters, and the weights beside it have at most {at_most:,}"
        )


def _document(path: Path, checkpoint: str, *, most: int = LARGEST_CONFIG) -> dict[str, Any]:
    try:
        found = json_files.value(path, most=most)
    except ValueError as error:
        raise UnavailableError(f"{checkpoint}: {path.name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnavailableError(f"{checkpoint}: {path.name} holds no JSON object")
    return found


def _sizes(described: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys of `MOST` with their values, those of nested configurations too."""
    rest = [described]
    while rest:
        here = rest.pop()
        for key, value in here.items():
            if isinstance(value, dict):
                rest.append(value)
            elif key in MOST and value is not None and not isinstance(value, list):
                yield key, value


def _refused(checkpoint: str, reason: str) -> UnavailableError:
    return UnavailableError(f"{checkpoint}: its {CONFIG} describes no model that can be loaded: {reason}")

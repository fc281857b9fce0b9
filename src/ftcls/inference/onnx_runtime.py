"""A classifier as an ONNX graph: written from a model in PyTorch, and run by onnxruntime.

onnx, onnxruntime and onnxscript are the extra ``onnx``; they are imported where they are used.
"""

import hashlib
import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from ftcls.errors import ConfigError, UnavailableError
from ftcls.inference import forward as inference
from ftcls.model.padding import Batch
from ftcls.model.tokenize import Encoded
from ftcls.runs import export_record

TYPES: Final = "token_type_ids"
FILE: Final = "model.onnx"
"""The graph's name in the folder of an export."""
INSTALL: Final = 'pip install -c constraints.txt "ftcls[onnx]"'
LARGEST: Final = 1_900_000_000
"""Bytes of weights in one file: above 2 GB protobuf cannot hold them, and they go beside it."""

OPSET: Final = 20
"""The version of ONNX's operators in a graph: what PyTorch 2.13 writes by itself."""

# Its relative positions, an argument of attention, cannot be traced through PyTorch's fused kernel.
EAGER: Final = ("t5",)


@dataclass(frozen=True, eq=False)
class Graph:
    """An ONNX graph in a session of onnxruntime: the other `inference.Backend`."""

    session: Any
    """An `onnxruntime.InferenceSession`."""
    config: PretrainedConfig
    device: str
    """cpu or cuda."""
    path: Path

    @property
    def precision(self) -> str:
        """fp32 or int8, by the card beside the graph.

        Raises:
            DataError: there is none.
        """
        return export_record.read(self.path.parent).precision

    @property
    def model(self) -> NoReturn:
        """There are no weights in PyTorch.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self.path}: is an exported graph without weights for PyTorch; name the run itself")

    def logits(self, encoded: Encoded, *, token_budget: int, max_rows: int | None = None) -> NDArray[np.float32]:
        """Logits of n texts, float32 [n, k], in input order; see `inference.logits`."""

        def forward(batch: Batch) -> NDArray[np.float32]:
            if TYPES in self._inputs and TYPES not in batch:  # of one text, all tokens are of the first type
                batch = {**batch, TYPES: np.zeros_like(batch["input_ids"])}
            (found,) = self.session.run(["logits"], batch)
            return np.asarray(found, dtype=np.float32)

        return inference.by_length(forward, encoded, self.config, token_budget=token_budget, max_rows=max_rows)

    @cached_property
    def _inputs(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.session.get_inputs())

    def fingerprint(self) -> str:
        """A hash of the graph's file."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def is_in(folder: Path) -> bool:
    """Whether this is the folder of an exported graph."""
    return (folder / FILE).is_file()


def load(folder: Path, *, device: str) -> Graph:
    """The graph in a folder, ready to run; on CUDA where that is asked for and onnxruntime was built for it.

    It takes as many threads as PyTorch does.

    Raises:
        UnavailableError: onnxruntime is not installed, or the file is no graph of a classifier.
    """
    onnxruntime = extra("onnxruntime")
    cuda = device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    path = folder / FILE
    providers = ["CUDAExecutionProvider"] * cuda + ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except _failures(onnxruntime) as error:
        raise UnavailableError(f"{path}: cannot be run: {error}. Take the folder of an export whole") from error
    return Graph(session, config, "cuda" if cuda else "cpu", path)


def write(model: PreTrainedModel, path: Path, *, typed: bool = False) -> None:
    """Write the graph of a sequence classifier: ``input_ids`` and ``attention_mask``, int64 [b, t], to ``logits``.

    With ``typed`` it also takes ``token_type_ids``, which tell the texts of a pair apart. Numbers of texts and tokens
    stay free. The model is in evaluation mode afterwards.

    Raises:
        UnavailableError: the extra is not installed, or the architecture cannot be traced.
    """
    for name in ("onnx", "onnxscript"):
        extra(name)
    if model.config.model_type in EAGER:
        model.set_attn_implementation("eager")
    model.eval()
    example = _example(model.config)
    if typed:
        example[TYPES] = torch.zeros_like(example["input_ids"])
        example[TYPES][:, 3:] = 1
    try:
        with _without_its_advice():
            torch.onnx.export(
                model,
                kwargs=example,
                f=path,
                input_names=list(example),
                output_names=["logits"],
                dynamic_shapes={name: {0: "batch", 1: "sequence"} for name in example},
                opset_version=OPSET,
                # The older exporter, by tracing: its logits are off by .01 to .03.
                dynamo=True,
                external_data=_bytes(model) > LARGEST,
                verbose=False,
            )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UnavailableError(
            f"{type(model).__name__}: PyTorch cannot write this architecture as ONNX ({reason}); --to torch can"
        ) from error


def quantize(source: Path, target: Path) -> None:
    """Write a graph again with the weights of its matrix products and embeddings in int8.

    Activations are quantized as they come, each tensor by its own range, so no texts are needed for calibration.

    Raises:
        UnavailableError: the extra is not installed.
    """
    onnx, quantization = extra("onnx"), extra("onnxruntime.quantization")
    size = sum(path.stat().st_size for path in source.parent.glob(f"{source.name}*"))
    graph = onnx.load(str(source))
    # The exporter's shapes, which the quantizer infers again and then takes for contradictions.
    del graph.graph.value_info[:]
    with _without_its_advice():
        quantization.quantize_dynamic(
            graph,
            str(target),
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            use_external_data_format=size > LARGEST,
        )


def extra(name: str) -> Any:
    """A module of the extra ``onnx``.

    Raises:
        UnavailableError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnavailableError(f"{name} is not installed; run\n  {INSTALL}") from error


def _example(config: PretrainedConfig) -> dict[str, torch.Tensor]:
    """Two texts, one of them padded: with a single one the exporter would take the number of texts for a constant."""
    padding = config.pad_token_id
    eos = config.eos_token_id[0] if isinstance(config.eos_token_id, list) else config.eos_token_id
    word = next(i for i in range(config.vocab_size) if i not in (padding, eos))
    last = word if eos is None else eos  # T5 reads its logits at the end token
    ids = torch.tensor([[word] * 6 + [last], [word] * 4 + [last, padding, padding]])
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
    return {"input_ids": ids.to(torch.int64), "attention_mask": mask}


def _bytes(model: PreTrainedModel) -> int:
    return sum(each.numel() * each.element_size() for each in model.parameters())


def _failures(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """What a file that is no graph raises: the exceptions of onnxruntime's C++ part are each a class of their own."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    names = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    return (OSError, ValueError, RuntimeError, *(getattr(state, name) for name in names))


@contextmanager
def _without_its_advice() -> Iterator[None]:
    """Keep what the exporter and the quantizer tell their own developers off the terminal."""
    # The two libraries' own loggers; the quantizer speaks through the root.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

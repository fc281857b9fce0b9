"""ftcls: fine-tune text classifiers from one YAML file.

Every command of ``ftcls`` is a function here. They are loaded when they are used: ``import ftcls`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from ftcls.errors import (
    ConfigError,
    DataError,
    ExportError,
    FtclsError,
    Interrupted,
    TrainingError,
    UnavailableError,
)

if TYPE_CHECKING:
    from ftcls.config.load import load as load_config
    from ftcls.data.corpus import Corpus, Split
    from ftcls.environment.doctor import doctor
    from ftcls.exporting.export import export
    from ftcls.exporting.push import push
    from ftcls.inference.classifier import Classifier
    from ftcls.pipeline.data_profile import inspect_data
    from ftcls.pipeline.distill import distill
    from ftcls.pipeline.evaluate import evaluate
    from ftcls.pipeline.report import report
    from ftcls.pipeline.run import Run
    from ftcls.pipeline.train import train
    from ftcls.prediction.predict import predict
    from ftcls.reporting.compare import compare
    from ftcls.search.sweep import sweep
    from ftcls.serving.serve import serve

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "ConfigError",
    "Corpus",
    "DataError",
    "ExportError",
    "FtclsError",
    "Interrupted",
    "Run",
    "Split",
    "TrainingError",
    "UnavailableError",
    "__version__",
    "compare",
    "distill",
    "doctor",
    "evaluate",
    "export",
    "inspect_data",
    "load_config",
    "predict",
    "push",
    "report",
    "serve",
    "sweep",
    "train",
]

_HOMES: Final = {
    "Classifier": ("ftcls.inference.classifier", "Classifier"),
    "Corpus": ("ftcls.data.corpus", "Corpus"),
    "Run": ("ftcls.pipeline.run", "Run"),
    "Split": ("ftcls.data.corpus", "Split"),
    "compare": ("ftcls.reporting.compare", "compare"),
    "distill": ("ftcls.pipeline.distill", "distill"),
    "doctor": ("ftcls.environment.doctor", "doctor"),
    "evaluate": ("ftcls.pipeline.evaluate", "evaluate"),
    "export": ("ftcls.exporting.export", "export"),
    "inspect_data": ("ftcls.pipeline.data_profile", "inspect_data"),
    "load_config": ("ftcls.config.load", "load"),
    "predict": ("ftcls.prediction.predict", "predict"),
    "push": ("ftcls.exporting.push", "push"),
    "report": ("ftcls.pipeline.report", "report"),
    "serve": ("ftcls.serving.serve", "serve"),
    "sweep": ("ftcls.search.sweep", "sweep"),
    "train": ("ftcls.pipeline.train", "train"),
}
"""The module of each name that is loaded on use, and its name there."""

if not TYPE_CHECKING:  # for a type checker a module with __getattr__ has every name there is

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, inner = _HOMES[name]
        globals()[name] = found = getattr(importlib.import_module(module), inner)
        return found


def __dir__() -> list[str]:
    return __all__

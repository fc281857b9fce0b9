"""What a training is made of before there is a model: its data as the model will read it, and a whole schedule."""

from dataclasses import dataclass, replace

from ftcls.config.schema import Experiment
from ftcls.data.corpus import Corpus
from ftcls.environment.devices import Machine
from ftcls.model import padding
from ftcls.pipeline.prepare import Prepared, prepare
from ftcls.pipeline.schedule import with_schedule


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """An experiment with nothing left open, its corpus, and the machine it runs on."""

    experiment: Experiment
    corpus: Corpus
    prepared: Prepared
    machine: Machine

    def padded(self, side: padding.Side) -> "TrainingPlan":
        """The same, its texts padded on that side."""
        return replace(self, prepared=self.prepared.padded(side))


def plan(experiment: Experiment, corpus: Corpus, machine: Machine) -> TrainingPlan:
    """Encode the corpus for the experiment's checkpoint, and settle what its config leaves open.

    Raises:
        FtclsError: see `prepare` and `with_schedule`.
    """
    prepared = prepare(
        corpus, experiment.model, clean=experiment.data.clean, quantized=experiment.adapter.quantization != "none"
    )
    return TrainingPlan(with_schedule(experiment, corpus, prepared), corpus, prepared, machine)

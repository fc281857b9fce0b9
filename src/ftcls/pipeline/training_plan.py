"""What a training is made of before there is a model: its data as the model will read it, and a whole schedule."""

from dataclasses import dataclass, replace

from ftcls.config.schema import Experiment
from ftcls.data.clean import clean
from ftcls.data.corpus import Corpus
from ftcls.environment.devices import Machine
from ftcls.model import padding
from ftcls.model.tokenize import Encoded
from ftcls.pipeline.prepare import Prepared, encode_texts, prepare
from ftcls.pipeline.schedule import with_schedule
from ftcls.pipeline.unlabelled import unlabelled
from ftcls.training.losses import Objective


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """An experiment with nothing left open, its corpus, and the machine it runs on."""

    experiment: Experiment
    corpus: Corpus
    prepared: Prepared
    machine: Machine
    unlabelled: tuple[str, ...] = ()
    """Cleaned texts that are learnt beside the train split, by what a teacher says of them."""
    lesson: Encoded | None = None
    """The texts of the train split and those without labels, for a teacher; None: there is none."""
    objective: Objective | None = None
    """A loss of one's own; None: that of the experiment."""

    @property
    def training(self) -> Encoded:
        """The texts that are learnt."""
        return self.prepared.encoded["train"] if self.lesson is None else self.lesson

    @property
    def inputs(self) -> Prepared:
        """What was prepared, with the texts that are learnt in the place of the train split."""
        return replace(self.prepared, encoded={**self.prepared.encoded, "train": self.training})

    def padded(self, side: padding.Side) -> "TrainingPlan":
        """The same, its texts padded on that side."""
        lesson = self.lesson and replace(self.lesson, padding_side=side)
        return replace(self, prepared=self.prepared.padded(side), lesson=lesson)


def plan(experiment: Experiment, corpus: Corpus, machine: Machine, objective: Objective | None = None) -> TrainingPlan:
    """Encode the corpus for the experiment's checkpoint, and settle what its config leaves open.

    Raises:
        FtclsError: see `prepare` and `with_schedule`.
    """
    prepared = prepare(
        corpus, experiment.model, clean=experiment.data.clean, quantized=experiment.adapter.quantization != "none"
    )
    section, train = experiment.distillation, corpus.splits["train"].texts
    texts: tuple[str, ...] = ()
    lesson = None
    if section.teacher is not None:
        known = set(train)
        raw = [] if section.texts is None else unlabelled(section.texts, experiment.data)
        found = clean(raw, experiment.data.clean)
        # A text that is there twice teaches nothing new.
        texts = tuple(text for text in dict.fromkeys(found) if text not in known)
        lesson = encode_texts([*train, *texts], prepared.tokenizer, prepared.settings)
    rows = len(train) + len(texts)
    return TrainingPlan(
        with_schedule(experiment, corpus, prepared, rows=rows), corpus, prepared, machine, texts, lesson, objective
    )

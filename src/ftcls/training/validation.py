"""The rows that a training chooses its best step on."""

from collections.abc import Callable
from dataclasses import dataclass

from transformers import PreTrainedModel

from ftcls.data.corpus import Task
from ftcls.inference import forward
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.tokenize import Encoded
from ftcls.scoring import decision, metrics
from ftcls.scoring.apply import apply


@dataclass(frozen=True)
class Validation:
    """What training may choose on."""

    encoded: Encoded | None
    """None: no rows to choose on; the last weights are kept."""
    labels: tuple[str, ...]
    task: Task
    positive: int | None

    def score(
        self, model: PreTrainedModel | PackedClassifier, *, token_budget: int, max_rows: int | None
    ) -> dict[str, float | None]:
        """All metrics of the task, with the model in the precision it trains in."""
        if self.encoded is None or self.encoded.targets is None:
            raise TypeError("validation needs targets")
        logits = forward.logits(model, self.encoded, token_budget=token_budget, max_rows=max_rows)
        undecided = decision.default(self.task, len(self.labels))
        return metrics.score(
            apply(
                undecided,
                logits,
                gold=self.encoded.targets,
                task=self.task,
                labels=self.labels,
                positive=self.positive,
                weights=self.encoded.weights,
                soft=self.encoded.soft,
            )
        )

    def scorer(
        self, packed: PackedClassifier | None, *, token_budget: int, max_rows: int | None
    ) -> Callable[[PreTrainedModel], dict[str, float | None]] | None:
        """What scores a model by what computes its steps; None where there are no rows."""
        if self.encoded is None:
            return None

        def scored(model: PreTrainedModel) -> dict[str, float | None]:
            if packed is None:
                return self.score(model, token_budget=token_budget, max_rows=max_rows)
            try:
                return self.score(packed, token_budget=token_budget, max_rows=max_rows)
            finally:
                packed.train()  # the Trainer knows of the model alone

        return scored

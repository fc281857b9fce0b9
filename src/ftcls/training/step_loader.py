"""The loader of training: whole optimizer steps, as a `StepSampler` plans them."""

import torch
from torch.utils.data import DataLoader, Dataset

from ftcls.model.batching import MicroBatch, StepSampler


class Plans(Dataset[MicroBatch]):
    """Hands the sampler's micro-batches through; the tokens are looked up when they are needed."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, batch: MicroBatch) -> MicroBatch:
        return batch


class StepLoader(DataLoader[MicroBatch]):
    """A loader whose epoch the Trainer can set; its items are lists of micro-batches, one list per optimizer step."""

    def __init__(self, sampler: StepSampler) -> None:
        # A generator of its own: drawing the workers' seed from the global one would tie dropout to the loader.
        super().__init__(
            Plans(len(sampler.lengths)),
            batch_sampler=sampler,
            collate_fn=list,
            generator=torch.Generator(),
        )

    def set_epoch(self, epoch: int) -> None:
        """Tell the sampler."""
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]

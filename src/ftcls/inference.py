"""The only forward pass outside the training step."""

import contextlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed
from transformers import PreTrainedModel

from ftcls import batching
from ftcls.encode import Encoded


def logits(
    model: PreTrainedModel, encoded: Encoded, *, token_budget: int, max_rows: int | None = None, alone: bool = False
) -> NDArray[np.float32]:
    """Logits of n texts, float32 [n, k], in input order.

    Texts of like length go through the model together; the order of the result is that of the input. The precision is
    the model's own: float32 unless training left it under autocast. Under torchrun every process computes its share and
    all return the whole.

    Args:
        model: a sequence classifier, on its device; it is in evaluation mode afterwards.
        encoded: n texts.
        token_budget: most tokens, padding included, in one forward pass.
        max_rows: most texts in one forward pass.
        alone: this process computes everything, whatever the others of a torchrun do.
    """
    shared = _distributed() and not alone
    rank, processes = (distributed.get_rank(), distributed.get_world_size()) if shared else (0, 1)
    batches = batching.plan(
        np.arange(len(encoded)), encoded.lengths, token_budget=token_budget, processes=processes, max_rows=max_rows
    )
    found = np.zeros((len(encoded), model.config.num_labels), dtype=np.float32)
    model.eval()
    with torch.inference_mode():
        for batch in batches[rank::processes]:
            input_ids, mask = (torch.from_numpy(a) for a in encoded.pad(batch.rows, model.config.pad_token_id))
            # .float() on the device: NumPy has no bfloat16.
            out = model(input_ids=input_ids.to(model.device), attention_mask=mask.to(model.device)).logits.float()
            found[batch.rows] = out.cpu().numpy() if batch.weight else found[batch.rows]
    if processes > 1:
        whole = torch.from_numpy(found).to(model.device)  # every row is filled by one process and zero in the others
        distributed.all_reduce(whole)
        found = whole.cpu().numpy()
    return found


def _distributed() -> bool:
    with contextlib.suppress(AttributeError):  # torch built without distributed
        return distributed.is_available() and distributed.is_initialized()
    return False

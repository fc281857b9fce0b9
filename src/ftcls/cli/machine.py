"""The machine under the command line, measured."""

import platform
import time

from ftcls.pipeline.starter_config import Machine

SIDE = 1_024
ROUNDS = 5


def measure() -> Machine:
    """The device that training would take, with the best rate of a few float32 matrix products (under a second)."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    cores = f"{torch.get_num_threads()} {platform.machine()} CPU cores"
    name = {"cpu": cores, "mps": "Apple GPU"}[device] if device != "cuda" else torch.cuda.get_device_name()
    square = torch.ones(SIDE, SIDE, device=device)
    fastest = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        (square @ square)[0, 0].item()  # .item() waits for the device
        fastest = min(fastest, time.perf_counter() - started)
    return Machine(device, name, 2 * SIDE**3 / fastest)

"""The machine under the command line, measured."""

import platform
import time

from ftcls.config.starter import Machine

SIDE = 1_024
ROUNDS = 5


def measure() -> Machine:
    """The device that training would take, with the best rate of a few float32 matrix products (well under a second)."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    names = {"cuda": torch.cuda.get_device_name, "mps": lambda: "Apple GPU", "cpu": lambda: f"{_cpus()} CPU cores"}
    square = torch.ones(SIDE, SIDE, device=device)
    fastest = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        (square @ square)[0, 0].item()  # .item() waits for the device
        fastest = min(fastest, time.perf_counter() - started)
    return Machine(device, names[device](), 2 * SIDE**3 / fastest)


def _cpus() -> str:
    import torch

    return f"{torch.get_num_threads()} {platform.machine()}"

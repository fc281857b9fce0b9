"""Where trials run: the nodes of a Ray cluster, each trial under an actor that holds its share of a node.

Every node sees the working directory and the sweep's folder under the same paths, and has ftcls installed. When the
sweep is killed, Ray ends its actors, and the trials are told by the kernel or killed with them.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import RayActorError, RayTaskError

from ftcls.environment.signals import PARENT
from ftcls.errors import ConfigError, FtclsError, Interrupted, UnavailableError
from ftcls.search.executors import Ended, Job

log = logging.getLogger(__name__)

CPUS: Final = 1.0
"""That a trial holds unless somebody says otherwise."""
LOST: Final = -9
"""Exit code of a trial whose node or actor is gone: as if it had been killed."""
_LOOK: Final = 0.2
"""Seconds between two looks at a process."""


@dataclass(frozen=True)
class Share:
    """What of a node a trial holds; parts of a GPU are shared with other trials."""

    cpus: float
    gpus: float

    def fits(self, resources: Mapping[str, float]) -> int:
        """How many of it a node with these resources holds."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus}
        # A little more than nothing: ten tenths of a GPU are a GPU.
        held = [
            int(resources[name] / each + 1e-6) if name in resources else 0 for name, each in wanted.items() if each > 0
        ]
        return min(held, default=0)


@dataclass(frozen=True)
class _Running:
    actor: Any
    result: Any
    """Becomes the exit code."""
    ready: Any
    """Becomes True when the actor has its place."""


class Cluster:
    """A Ray cluster: one that runs already, or one of this machine that ends with this process."""

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus: float = CPUS,
        gpus: float | None = None,
        jobs: int | None = None,
    ) -> None:
        """Join a cluster.

        Args:
            address: ``HOST:PORT`` of its head, or ``auto`` for the one that this machine is a node of; None: the
                cluster that RAY_ADDRESS names or that this machine is a node of, else one is started with the cores and
                GPUs of this machine, and ends with this process.
            cpus: that a trial holds.
            gpus: likewise; None: one where the cluster has any.
            jobs: most trials at a time; None: as many as the nodes hold at present, which gives a cluster that grows on
                demand no reason to grow.

        Raises:
            ConfigError: the address is one for Ray's client.
            UnavailableError: there is no such cluster, or no node of it is large enough.
        """
        _join(address)
        several = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if gpus is None:
            gpus = 1.0 if any("GPU" in resources for resources in several) else 0.0
        self._share = Share(cpus, gpus)
        self._jobs = jobs
        self._running: dict[str, _Running] = {}
        self._given_up: set[str] = set()
        self.slots = jobs or self._room()
        if not self.slots:
            raise UnavailableError(_too_small(self._share, several))

    def start(self, job: Job) -> None:
        """Ask for a place for a job."""
        actor = _Place.options(
            num_cpus=self._share.cpus, num_gpus=self._share.gpus, max_concurrency=2, max_restarts=0
        ).remote()
        here = replace(job, log=job.log.absolute())
        result = actor.run.remote(here, os.fspath(Path.cwd()), with_gpu=self._share.gpus > 0)
        self._running[job.name] = _Running(actor, result, actor.__ray_ready__.remote())

    def wait(self, seconds: float) -> list[Ended]:
        """The jobs that ended."""
        if not self._running:
            time.sleep(seconds)
            return []
        names = {running.result: name for name, running in self._running.items()}
        over, _ = ray.wait(list(names), num_returns=1, timeout=seconds)
        found = [Ended(names[result], self._code(names[result])) for result in over]
        if self._jobs is None:
            self.slots = max(1, self._room())  # nodes come and go
        return found

    def stop(self, name: str, *, at_once: bool = False) -> None:
        """Signal the process of a job; one that still waits for its place gives it up."""
        if name not in self._running:
            return
        running = self._running[name]
        placed, _ = ray.wait([running.ready], timeout=0)
        if placed:
            running.actor.stop.remote(at_once)
        else:
            self._given_up.add(name)
            ray.kill(running.actor)

    def _code(self, name: str) -> int:
        running = self._running.pop(name)
        try:
            return int(ray.get(running.result))
        except RayTaskError as error:
            if not isinstance(error.cause, FtclsError):
                raise
            log.error("%s: %s", name, error.cause)
            return error.cause.exit_code
        except RayActorError as error:
            if name in self._given_up:
                self._given_up.remove(name)
                return Interrupted.exit_code
            log.error("%s: its place on the cluster was lost: %s", name, " ".join(str(error).split())[:500])
            return LOST
        finally:
            ray.kill(running.actor)

    def _room(self) -> int:
        return sum(self._share.fits(node["Resources"]) for node in ray.nodes() if node["Alive"])


class _Process:
    """A trial on a node, seen from the actor there; one thread runs it, another one may stop it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, job: Job, folder: str, *, with_gpu: bool) -> int:
        """Run a job in a folder to its end, and return its exit code.

        Raises:
            UnavailableError: the node does not see the folders.
        """
        for place in (Path(folder), job.log.parent.parent):
            if not place.is_dir():
                raise UnavailableError(
                    f"{socket.gethostname()} does not see {place}; the working directory and the sweep's folder lie "
                    "under the same paths on every node, on a shared file system"
                )
        with self._lock:
            if self._stopped:
                return Interrupted.exit_code
            self._process = _started(job, folder, with_gpu=with_gpu)
        while True:
            try:
                return self._process.wait(_LOOK)
            except subprocess.TimeoutExpired:
                continue

    def stop(self, at_once: bool) -> None:
        """Signal the process, or keep it from starting."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill() if at_once else self._process.send_signal(signal.SIGTERM)


_Place: Final = ray.remote(_Process)


def _started(job: Job, folder: str, *, with_gpu: bool) -> subprocess.Popen[bytes]:
    # Ray has set the threads and the GPUs of its actor. Where a trial has no GPU it leaves all of them visible.
    found = {PARENT: str(os.getpid())} | ({} if with_gpu else {"CUDA_VISIBLE_DEVICES": ""})
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *job.command[1:]],  # the Python of this node
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | found,
            process_group=0 if os.name == "posix" else None,
        )


def _too_small(share: Share, nodes: Sequence[Mapping[str, float]]) -> str:
    units = {"CPU": "CPUs", "GPU": "GPUs"}
    sizes = [" and ".join(f"{node[name]:g} {unit}" for name, unit in units.items() if name in node) for node in nodes]
    return (
        f"no node of the cluster has {share.cpus:g} CPUs and {share.gpus:g} GPUs for a trial; there are nodes with "
        f"{'; '.join(sizes) or 'nothing'}. Lower --cpus-per-trial or --gpus-per-trial; where the cluster grows on "
        "demand, give --jobs"
    )


def _join(address: str | None) -> None:
    if ray.is_initialized():
        return
    if address is not None and "://" in address:
        raise ConfigError(
            f"--ray {address}: is an address for Ray's client; run the sweep on a node of the cluster, and name "
            "HOST:PORT of its head, or leave the address out"
        )
    try:
        ray.init(address, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = address or os.environ.get("RAY_ADDRESS", "this machine")
        raise UnavailableError(
            f"--ray: no Ray cluster at {where}; start one with\n  ray start --head\n"
            f"or leave the address out to run on this machine alone. Ray says: {error}"
        ) from error

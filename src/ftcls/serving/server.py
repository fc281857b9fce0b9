"""One model, one port, until it is told to stop."""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import uvicorn

from ftcls.data.texts import TextColumns
from ftcls.errors import ConfigError, UnavailableError
from ftcls.inference.base_classifier import BaseClassifier
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir
from ftcls.runs.references import Reference, reference
from ftcls.serving.app import Service, create
from ftcls.serving.batches import Batcher
from ftcls.serving.connections import IDLE_SECONDS, Connection
from ftcls.serving.feedback import Feedback
from ftcls.serving.guard import Guard, Limits, is_loopback
from ftcls.serving.schema import Model

log = logging.getLogger(__name__)

_SHORTEST_TOKEN: Final = 16
_STOP_SECONDS: Final = 8.0
"""What was accepted may take so long after SIGTERM. Container platforms send SIGKILL after ten."""
_ACCEPTED: Final = 128
"""Connections that are accepted before the first of them is looked at."""


@dataclass(frozen=True)
class Address:
    """Where to listen, and what to ask of those who call."""

    host: str
    port: int
    """0: any that is free."""
    token: str | None
    """What every request has to bring; None: nothing, on loopback only."""

    def __post_init__(self) -> None:
        if self.token is not None and (len(self.token) < _SHORTEST_TOKEN or not self.token.isascii()):
            raise ConfigError(f"FTCLS_TOKEN: must be at least {_SHORTEST_TOKEN} plain characters")
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(
                f"--host {self.host}: others can reach it; set a token for them first, in the environment variable "
                "FTCLS_TOKEN, or listen on 127.0.0.1"
            )


def run(
    classifier: BaseClassifier,
    source: str,
    address: Address,
    limits: Limits,
    *,
    text_columns: TextColumns,
    examples: bool,
    feedback: Path | None,
    announce: Callable[[str], None],
) -> None:
    """Answer requests until SIGINT or SIGTERM; what was accepted by then is answered within ten seconds.

    Args:
        classifier: what labels the texts.
        source: where it was loaded from; a run's report says its scores.
        address: where to listen.
        limits: how much is taken.
        text_columns: what a text is made of.
        examples: whether texts of the run's test split, and the page of the run, may be shown.
        feedback: a file for what people say of answers; None: it is not asked for.
        announce: called with the address of the page, once connections are taken.

    Raises:
        UnavailableError: the port is taken, or the file cannot be written.
    """
    warm = text_columns.of(["warm up"] * len(text_columns.names))
    classifier.predict([warm or ""])  # the first forward pass is slow, and an error shows here
    run = RunDir(Path(reference(source).path))
    run_shown = run if examples and run.done else None
    model = describe(classifier, source, limits, text_columns).model_copy(
        update={
            "examples": run_shown is not None and not text_columns.pairs and not text_columns.beside,
            "report": run_shown is not None and run.page.is_file(),
            "feedback": feedback is not None,
        }
    )
    service = Service(
        classifier,
        limits,
        model,
        text_columns,
        token=address.token is not None,
        run=run_shown,
        feedback=None if feedback is None else Feedback(feedback),
    )
    routes = create(service)
    app = Guard(routes, limits=limits, token=address.token, local=is_loopback(address.host))
    # It warns of each request that is none: a stranger could fill the disk with its warnings.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    with _listening(address) as listening:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # texts and callers are nobody's business
            server_header=False,
            http=Connection,
            ws="none",
            backlog=_ACCEPTED,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=int(_STOP_SECONDS) + 1,
            lifespan="on",
        )
        host = f"[{address.host}]" if ":" in address.host else address.host
        announce(f"http://{host}:{listening.getsockname()[1]}")
        # After its graceful stop uvicorn raises the signal again; that is how this server ends, not a failure.
        with contextlib.suppress(KeyboardInterrupt):
            _until_stopped(_Server(config, routes.state.batcher), listening)
    log.info("stopped: %d requests taken, %d answered", app.taken, app.answered)


class _Server(uvicorn.Server):
    """Gives up, a while after it was told to stop, what is not answered by then."""

    def __init__(self, config: uvicorn.Config, batcher: Batcher) -> None:
        super().__init__(config)
        self.batcher = batcher

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.batcher.stopping = True
        timer = asyncio.get_running_loop().call_later(_STOP_SECONDS, self.batcher.give_up)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


def _until_stopped(server: uvicorn.Server, listening: socket.socket) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        server.run(sockets=[listening])
        return
    # A notebook runs a loop in this thread already, and a thread has one.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        thread.join()
    finally:
        server.should_exit = True
        thread.join()


def describe(classifier: BaseClassifier, run: str, limits: Limits, text_columns: TextColumns) -> Model:
    """What callers may know of the model."""
    known = reference(run)
    place = RunDir(Path(known.path))
    report = report_schema.read_report(place) if place.done else None
    metrics, intervals = ({}, {}) if report is None else report_schema.scores_of(report, known.name)
    thresholds = classifier.decision.thresholds
    return Model(
        name=Path(run).name if report is None else str(Reference(report.run.name, known.name)),
        task=classifier.task,
        labels=list(classifier.labels),
        positive_label=classifier.settings.positive_label,
        thresholds=None if thresholds is None else dict(zip(classifier.labels, thresholds, strict=True)),
        temperature=classifier.decision.temperature,
        shift=classifier.decision.shift,
        text_columns={side: list(names) for side, names in asdict(text_columns).items()},
        max_length=classifier.settings.max_length,
        truncation=classifier.settings.truncation,
        windows=None if classifier.settings.windows is None else asdict(classifier.settings.windows),
        precision=classifier.precision,
        limits={
            "characters": limits.characters,
            "texts": limits.texts,
            "rows": limits.rows,
            "body_bytes": limits.body_bytes,
        },
        scores=metrics or None,
        intervals={name: None if each is None else list(each) for name, each in intervals.items()} or None,
    )


def _listening(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=_ACCEPTED)
    except (OSError, OverflowError) as error:
        raise UnavailableError(f"--host {address.host} --port {address.port}: {error}; choose another --port") from None

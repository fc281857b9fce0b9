"""`ftcls.serve`: a page and a JSON API for one model, until it is told to stop."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ftcls.errors import UnavailableError
from ftcls.inference.base_classifier import BaseClassifier, Thresholds
from ftcls.prediction.predict import loaded, text_columns

_MEGABYTE: Final = 1024**2


def serve(
    run: str | os.PathLike[str] | BaseClassifier,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    thresholds: Thresholds = (),
    precision: str = "fp32",
    allow_code: bool = False,
    max_characters: int = 100_000,
    max_texts: int = 256,
    max_rows: int = 20_000,
    max_body: int = 10,
    queue: int = 1_024,
    batch: int = 64,
    delay: int = 5,
    timeout: int = 30,
    examples: bool = True,
    feedback: str | os.PathLike[str] | None = None,
    announce: Callable[[str], None] = lambda address: None,
) -> None:
    """Answer requests until SIGINT or SIGTERM, in a notebook until the cell is interrupted.

    What was accepted by then is answered, if ten seconds are enough. Needs the extra ``serve``.

    Args:
        run: a run, an export, a model folder, a Hub checkpoint, or a classifier.
        host: the address to listen on; others than loopback want a token.
        port: 0: any that is free.
        token: what every request has to bring; None: that of the variable FTCLS_TOKEN, if it is set.
        thresholds: in place of the model's own.
        precision: the arithmetic: fp32, auto, bf16, fp16.
        allow_code: whether code that the model was trained with (model.allow_code) may run.
        max_characters: of one text; longer ones are refused.
        max_texts: of one request.
        max_rows: of one CSV.
        max_body: megabytes of one request.
        queue: texts that may wait; more are answered with 503.
        batch: texts of several requests that are labelled together.
        delay: milliseconds that a first text waits for others.
        timeout: seconds; a request that takes longer is answered with 503.
        examples: whether the page shows texts of the run's test split to try, and links to the page of the run.
        feedback: a file of JSON lines for what people say of answers on the page; None: it does not ask.
        announce: called with the address of the page, once connections are taken.

    Raises:
        ConfigError: an address that others can reach, without a token.
        UnavailableError: the extra is not installed, there is no such model, or the port is taken.
    """
    try:
        from ftcls.serving import guard, server
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f'ftcls serve: {error.name} is not installed; run\n  pip install -c constraints.txt "ftcls[serve]"'
        ) from None
    address = server.Address(host, port, token or os.environ.get("FTCLS_TOKEN") or None)
    classifier = loaded(run, thresholds=thresholds, precision=precision, allow_code=allow_code)
    server.run(
        classifier,
        classifier.source,
        address,
        guard.Limits(
            characters=max_characters,
            texts=max_texts,
            rows=max_rows,
            body_bytes=max_body * _MEGABYTE,
            waiting=queue,
            together=batch,
            delay=delay / 1_000,
            timeout=float(timeout),
        ),
        text_columns=text_columns(classifier),
        examples=examples,
        feedback=None if feedback is None else Path(feedback),
        announce=announce,
    )

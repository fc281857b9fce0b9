"""``ftcls serve``: a page and a JSON API for one model."""

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from ftcls.cli import console, options


def serve(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run directory, RUN:tfidf, a model folder or a Hub checkpoint.")
    ],
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Others than loopback want the variable FTCLS_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65_535, help="0: any that is free.")] = 8000,
    max_characters: Annotated[
        int, typer.Option("--max-characters", metavar="N", min=1, help="Of one text; longer ones are refused.")
    ] = 100_000,
    max_texts: Annotated[int, typer.Option("--max-texts", metavar="N", min=1, help="Of one request.")] = 256,
    max_rows: Annotated[int, typer.Option("--max-rows", metavar="N", min=1, help="Of one CSV.")] = 20_000,
    max_body: Annotated[int, typer.Option("--max-body", metavar="MB", min=1, help="Of one request.")] = 10,
    queue: Annotated[
        int, typer.Option("--queue", metavar="N", min=1, help="Texts that may wait; more are answered with 503.")
    ] = 1_024,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=1, help="Texts of several requests that are labelled together.")
    ] = 64,
    delay: Annotated[
        int, typer.Option("--delay", metavar="MS", min=0, help="How long a first text waits for others.")
    ] = 5,
    timeout: Annotated[
        int, typer.Option("--timeout", metavar="S", min=1, help="A request that takes longer is answered with 503.")
    ] = 30,
    examples: Annotated[
        bool, typer.Option("--examples/--no-examples", help="Test texts to try, and the page of the run, on the page.")
    ] = True,
    feedback: Annotated[
        Path | None,
        typer.Option("--feedback", metavar="FILE", help="Ask on the page whether an answer is right, and keep it."),
    ] = None,
    threshold: options.Threshold = None,
    precision: options.Precision = "fp32",
    allow_code: options.AllowOwnCode = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve a trained model: a page to try it on, and a JSON API.

    Prints the address of the page. SIGINT and SIGTERM stop it; what was accepted by then is answered, if ten seconds
    are enough. Needs the extra `serve`.

    Example: ftcls serve runs/ag_news-bert --port 8000
    """
    console.configure(quiet=quiet, offline=offline)
    with console.results_only() as stdout:
        from ftcls.serving import serve as serving

        serving.serve(
            run,
            host=host,
            port=port,
            thresholds=threshold or (),
            precision=precision,
            allow_code=allow_code,
            max_characters=max_characters,
            max_texts=max_texts,
            max_rows=max_rows,
            max_body=max_body,
            queue=queue,
            batch=batch,
            delay=delay,
            timeout=timeout,
            examples=examples,
            feedback=feedback,
            announce=lambda url: typer.echo(url, file=stdout),
        )
        _end()


def _end() -> None:
    """End now where a batch is still with the model, out of which nothing can call it: Python would wait for it."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)

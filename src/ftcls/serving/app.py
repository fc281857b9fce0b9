"""The routes: JSON in and out, and the page."""

import asyncio
import contextlib
import functools
import io
import re
from collections.abc import AsyncIterator, Awaitable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

import fastapi
from anyio import to_thread
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

import ftcls
from ftcls.data.tables.cells import Misfit, cell_of
from ftcls.data.tables.table import MissingColumn
from ftcls.data.texts import TextColumns, of_parts, parts
from ftcls.errors import ConfigError, DataError
from ftcls.inference.base_classifier import BaseClassifier, Prediction
from ftcls.prediction.files import Wanted, predict_files
from ftcls.prediction.predict import named_columns
from ftcls.runs.directory import RunDir
from ftcls.scoring import occlusion
from ftcls.serving import openapi, page, schema
from ftcls.serving.batches import Batcher, Overloaded
from ftcls.serving.examples import examples
from ftcls.serving.feedback import Feedback, Full
from ftcls.serving.guard import Limits
from ftcls.serving.schema import Answer, Answers, Examples, FeedbackRequest, Model, State, Texts, Words, WordsRequest

_PIECE: Final = 64
"""Texts of a CSV that wait for the model at once."""
_REPORT: Final = {"Referrer-Policy": "no-referrer", "Content-Security-Policy": "frame-ancestors 'none'"}
"""Headers of the run's page, which has a policy of its own inside."""
_HALF: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair."""
_FILES: Final = 4
"""CSV files that are worked on at once."""
_FILE_TIMEOUTS: Final = 20
"""A CSV may take so many times as long as another request."""


@dataclass(frozen=True)
class Service:
    """What the routes need."""

    classifier: BaseClassifier
    limits: Limits
    model: Model
    text_columns: TextColumns
    """What a text is made of; of a CSV, unless the request names others."""
    token: bool = False
    """Whether requests have to bring one; for the description alone."""
    run: RunDir | None = None
    """Whose examples and page may be shown; None: no run, or not to be shown."""
    feedback: Feedback | None = None
    """Where what people say of answers is kept."""


def create(service: Service) -> FastAPI:
    """The app of one model."""
    limits = service.limits
    batcher = Batcher(service.classifier, waiting=limits.waiting, together=limits.together, delay=limits.delay)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        await batcher.stop()

    app = FastAPI(
        title=f"ftcls: {service.model.name}",
        version=ftcls.__version__,
        docs_url=None,  # they would load scripts from elsewhere; /openapi.json describes the same
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.batcher = batcher
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Overloaded, _overloaded)
    app.include_router(_answering(service, batcher))
    app.include_router(_describing(service, batcher))
    app.include_router(_of_the_run(service))
    described = openapi.document(
        app,
        limits=limits,
        labels=service.classifier.labels,
        text_columns=service.text_columns,
        token=service.token,
    )
    app.openapi = lambda: described  # type: ignore[method-assign]
    return app


def _answering(service: Service, batcher: Batcher) -> fastapi.APIRouter:
    router = fastapi.APIRouter()
    limits = service.limits
    files = asyncio.Semaphore(_FILES)

    @router.post("/predict")
    async def predict(request: Texts) -> Answers:
        """Labels and probabilities of one text or of several."""
        if (request.text is None) == (request.texts is None):
            raise HTTPException(422, "give either text or texts")
        given = (request.texts or []) if request.text is None else [request.text]
        texts = [_text(each, service.text_columns) for each in given]
        _check_texts(texts, limits)
        found = await _in_time(batcher.submit(texts), limits.timeout, batcher)
        return Answers(predictions=[_answer(each) for each in found])

    @router.post("/words")
    async def weigh(request: WordsRequest) -> Words:
        """How each word of a text speaks for a label: what leaving it out does to the label's log odds."""
        text = _text(request.text, service.text_columns)
        _check_texts([text], limits)
        labels = service.classifier.labels
        if request.label is not None and request.label not in labels:
            raise HTTPException(422, f"label: {request.label[:100]!r} is none of the model's")
        spans = occlusion.spans(parts(text))
        texts = [text, *map(of_parts, occlusion.without(parts(text), spans))]
        whole, *left_out = await _in_time(batcher.submit(texts), limits.timeout, batcher)
        label = request.label or (whole.labels or (max(labels, key=whole.probabilities.__getitem__),))[0]
        probability = whole.probabilities[label]
        weights = occlusion.weighed(spans, probability, [each.probabilities[label] for each in left_out])
        return Words(
            label=label,
            probability=probability,
            texts=list(parts(text)),
            words=[schema.Word(**asdict(each)) for each in weights],
        )

    @router.post(
        "/predict/file",
        response_class=Response,
        responses={200: {"content": {"text/csv": {}}}},
        openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {}}}},
    )
    async def predict_file(
        request: Request, text_column: Annotated[list[str] | None, Query()] = None, safe_cells: bool = False
    ) -> Response:
        """The CSV of the body with the label and probabilities of every row beside it; rows stay in order.

        With `safe_cells` an apostrophe stands before cells that a spreadsheet would run as a formula.
        """
        text = _csv(request.headers["content-type"] if "content-type" in request.headers else "", await request.body())
        if files.locked():
            raise Overloaded(batcher.advice())
        async with files:
            wanted = Wanted(text_columns=_named(text_column, service.text_columns), safe_cells=safe_cells)
            output = io.StringIO()
            remote = _Remote(service.classifier, batcher, asyncio.get_running_loop(), limits)
            work = to_thread.run_sync(
                lambda: predict_files(remote, io.StringIO(text), output, wanted, input_kind="csv"),
                abandon_on_cancel=True,
            )
            try:
                await _in_time(work, _FILE_TIMEOUTS * limits.timeout, batcher)
            except (DataError, ConfigError) as error:
                unknown = text_column and isinstance(error, MissingColumn)
                raise HTTPException(404 if unknown else 422, _about_a_file(error)) from None
            finally:
                remote.give_up()
        return Response(output.getvalue(), media_type="text/csv; charset=utf-8")

    return router


def _describing(service: Service, batcher: Batcher) -> fastapi.APIRouter:
    router = fastapi.APIRouter()
    html, policy = page.render(service.model)

    @router.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def show() -> HTMLResponse:
        return HTMLResponse(html, headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})

    @router.get("/health")
    async def health() -> State:
        """Whether the process lives."""
        return State(status="ok")

    @router.get("/ready", responses={503: {"model": State}})
    async def ready() -> Response:
        """Whether it takes requests: 503 while it is full or stopping."""
        status = "stopping" if batcher.stopping else "full" if batcher.full else "ready"
        return JSONResponse({"status": status}, 200 if status == "ready" else 503)

    @router.get("/model")
    async def model() -> Model:
        """Labels, thresholds, limits, and the scores of the run's report."""
        return service.model

    return router


def _of_the_run(service: Service) -> fastapi.APIRouter:
    """What the page shows of the run, and what it says back."""
    router = fastapi.APIRouter()

    if service.model.examples and service.run is not None:
        shown = functools.cache(functools.partial(examples, service.run))  # read once, when somebody looks

        @router.get("/examples")
        async def try_these() -> Examples:
            """Texts of the run's test split, to try the model on."""
            found = [_asked(each, service.text_columns) for each in await to_thread.run_sync(shown)]
            return Examples(examples=[schema.Example(text=each) for each in found])

    if service.model.report and service.run is not None:
        file = service.run.page

        @router.get("/report", response_class=HTMLResponse, include_in_schema=False)
        async def report() -> FileResponse:
            # Its policy stands in the page itself.
            return FileResponse(file, media_type="text/html", headers=_REPORT)

    if (kept := service.feedback) is not None:

        @router.post("/feedback", status_code=204)
        async def say(request: FeedbackRequest) -> None:
            """Keep what somebody says of an answer: the text, what the model said, and what is right."""
            _check_feedback(request, service)
            text = {service.text_columns.first[0]: request.text} if isinstance(request.text, str) else request.text
            several = service.classifier.task == "multilabel"
            write = functools.partial(kept.add, text, predicted=request.predicted, labels=request.labels)
            try:
                await to_thread.run_sync(lambda: write(several=several))
            except Full as error:
                raise HTTPException(503, str(error)) from None

    return router


def _check_feedback(request: FeedbackRequest, service: Service) -> None:
    _check_texts([_text(request.text, service.text_columns)], service.limits)
    for labels in (request.predicted, request.labels or []):
        if unknown := [each for each in labels if each not in service.classifier.labels]:
            raise HTTPException(422, f"label: {unknown[0][:100]!r} is none of the model's")
        if len(set(labels)) < len(labels):
            raise HTTPException(422, "labels: one of them twice")
    single = service.classifier.task != "multilabel"
    if single and (len(request.predicted) != 1 or len(request.labels or [""]) != 1):
        raise HTTPException(422, "labels: one, or null where it is another")


class _Remote:
    """The classifier as a file sees it, from another thread: its texts queue with those of everybody else."""

    def __init__(
        self, classifier: BaseClassifier, batcher: Batcher, loop: asyncio.AbstractEventLoop, limits: Limits
    ) -> None:
        self.labels = classifier.labels
        self.task = classifier.task
        self.fingerprint = classifier.fingerprint
        self.batcher = batcher
        self.loop = loop
        self.limits = limits
        self.rows = 0
        self._over = False
        self._piece: Future[list[Prediction]] | None = None

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        self.rows += len(texts)
        if self.rows > self.limits.rows:
            raise DataError(f"more than {self.limits.rows:,} rows; cut the file, or use `ftcls predict`")
        longest = max((len(part) for text in texts for part in parts(text)), default=0)
        if longest > self.limits.characters:
            raise DataError(f"a text has {longest:,} characters, at most {self.limits.characters:,} are taken")
        found: list[Prediction] = []
        for start in range(0, len(texts), _PIECE):
            if self._over:
                raise CancelledError
            piece = self.batcher.submit(texts[start : start + _PIECE], patient=True)
            self._piece = asyncio.run_coroutine_threadsafe(piece, self.loop)
            found += self._piece.result()
        return found

    def give_up(self) -> None:
        """Nobody waits for the answer any more: the thread, which cannot be stopped from outside, ends by itself."""
        self._over = True
        if self._piece is not None:
            self._piece.cancel()


def _text(given: str | schema.Row, columns: TextColumns) -> str:
    """The text of a request, or its pair of texts."""
    if isinstance(given, str):
        if columns.pairs:
            raise HTTPException(422, f"the model reads pairs of texts: give an object with {columns}")
        return given
    unknown = [name for name in given if name not in columns.names]
    if unknown:
        raise HTTPException(422, f"{unknown[0][:100]!r} is no column of a text; they are {', '.join(columns.names)}")
    cells = [cell_of(given[name] if name in given else None) for name in columns.names]
    text = columns.of(cell for cell in cells if not isinstance(cell, Misfit))
    if text is None:
        raise HTTPException(422, f"no text: give an object with {columns}")
    return text


def _asked(text: str, columns: TextColumns) -> str | schema.Row:
    """A text, or a pair of texts, as a request has it."""
    return dict(zip((columns.first[0], columns.second[0]), parts(text), strict=True)) if columns.pairs else text


def _named(names: Sequence[str] | None, columns: TextColumns) -> TextColumns:
    try:
        return named_columns(names, columns)
    except ConfigError as error:
        raise HTTPException(422, _about_a_file(error)) from None


async def _in_time(work: Awaitable[Any], seconds: float, batcher: Batcher) -> Any:
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError:
        raise Overloaded(batcher.advice()) from None


def _check_texts(texts: Sequence[str], limits: Limits) -> None:
    if len(texts) > limits.texts:
        raise HTTPException(422, f"{len(texts):,} texts, at most {limits.texts:,} are taken at once")
    for number, text in enumerate(texts, start=1):
        longest = max(map(len, parts(text)))
        if longest > limits.characters:
            raise HTTPException(
                422, f"text {number} has {longest:,} characters, at most {limits.characters:,} are taken"
            )
        if "\0" in text:
            raise HTTPException(422, f"text {number} holds a null character")
        if not text.isascii() and _HALF.search(text):  # JSON can spell it, UTF-8 cannot
            raise HTTPException(422, f"text {number} holds half of a surrogate pair")


def _about_a_file(error: Exception) -> str:
    return str(error).replace("stdin", "the file").replace("--text-column", "?text_column=")


def _csv(kind: str, body: bytes) -> str:
    if kind.partition(";")[0].strip().lower() != "text/csv":
        raise HTTPException(415, "send the file as the body: curl --data-binary @FILE -H 'Content-Type: text/csv' ...")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HTTPException(422, f"not UTF-8: byte 0x{body[error.start]:02x} at {error.start:,}") from None
    if "\0" in text:
        raise HTTPException(422, "the file holds a null character; it is no CSV")
    return text


def _answer(found: Prediction) -> Answer:
    return Answer(
        labels=list(found.labels),
        probabilities=found.probabilities,
        tokens=found.tokens,
        truncated=found.truncated,
    )


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    """What is wrong, and where; never what was sent, which may be anything."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = [f"{'.'.join(str(part)[:50] for part in each['loc'])}: {each['msg']}" for each in error.errors()[:5]]
    return JSONResponse({"detail": "; ".join(found)}, 422)


async def _overloaded(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Overloaded):
        raise error
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(error.retry_after)})

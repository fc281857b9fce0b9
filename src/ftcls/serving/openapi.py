"""The API as OpenAPI, with the limits and errors of this server: FastAPI knows of routes and types alone."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ftcls.data.texts import TextColumns
from ftcls.serving.guard import OPEN, Limits

ERRORS: Final = {
    400: "The request is none, or names another host than this machine.",
    401: "The token of the server is missing.",
    404: "The file has no such column.",
    408: "The body did not arrive in time.",
    413: "More than the server takes.",
    415: "The body is of another kind.",
    422: "What the request holds cannot be labelled.",
    503: "Too much is waiting, it took too long, or the server is stopping; Retry-After says when to try again.",
}
_GET: Final = (400, 408, 413, 503)
"""What a request without a body may meet: any can bring one."""
_POST: Final = (400, 408, 413, 415, 422, 503)
_PLAIN: Final = "^[^\\u0000]*$"
"""Texts without null characters. Halves of surrogate pairs are refused too; a pattern cannot say so."""
_ROW: Final = '[^\\u0000\\r\\n",;|\\t]+'


def document(
    app: FastAPI, *, limits: Limits, labels: Sequence[str], text_columns: TextColumns, token: bool
) -> dict[str, Any]:
    """The description of an app's routes.

    Args:
        app: with its routes.
        limits: how much is taken.
        labels: of the model.
        text_columns: what a text is made of; of a CSV, unless the request names others.
        token: whether one is asked for.
    """
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = found["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):  # never sent: see `app._malformed`
        schemas.pop(name, None)
    schemas["Error"] = {
        "type": "object",
        "properties": {"detail": {"type": "string", "description": "What is wrong, in one sentence."}},
        "required": ["detail"],
    }
    _limit(schemas, limits, labels, _text(limits, text_columns))
    if token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            closed = token and path not in OPEN
            more = (*((401,) if closed else ()), *((404,) if path == "/predict/file" else ()))
            _say_errors(operation, (*(_POST if method == "post" else _GET), *more))
            if closed:
                operation["security"] = [{"token": []}]
    body = found["paths"]["/predict/file"]["post"]["requestBody"]["content"]["text/csv"]
    names = text_columns.names
    body["schema"] = _csv(names)
    body["example"] = ",".join(names) + "\n" + ",".join("a warm and clever film" for _ in names) + "\n"
    return found


def _csv(text_columns: Sequence[str]) -> dict[str, Any]:
    """A CSV that is surely taken: no schema can say which others are."""
    rows = [",".join(parts) for parts in (map(re.escape, text_columns), [_ROW] * len(text_columns))]
    return {
        "type": "string",
        "pattern": f"^{rows[0]}(\\n{rows[1]}){{0,20}}$",
        "description": "A CSV whose first line names the columns; others and quoted cells are taken too.",
    }


def _text(limits: Limits, columns: TextColumns) -> dict[str, Any]:
    """A text, or its columns; of a pair of texts these alone."""
    text = {"type": "string", "maxLength": limits.characters, "pattern": _PLAIN}
    if not columns.pairs and not columns.beside:
        return text
    # The names of columns beside the text, and what stands between two, are characters of it too.
    around = sum(len(name) + 5 for name in columns.beside)
    most = max(1, (limits.characters - around) // (len(columns.first) + len(columns.second) + len(columns.beside)) - 1)
    row = {
        "type": "object",
        "title": "The columns of a text, or of a pair of texts.",
        "properties": {name: {"type": "string", "maxLength": most, "pattern": _PLAIN} for name in columns.names},
        "required": [columns.first[0], *columns.second[:1]],
        "additionalProperties": False,
    }
    return row if columns.pairs else {"anyOf": [text, row]}


def _limit(schemas: dict[str, Any], limits: Limits, labels: Sequence[str], text: dict[str, Any]) -> None:
    several = {"type": "array", "items": text, "maxItems": limits.texts}
    either = {"text": text, "texts": several}
    made = schemas["Texts"]
    described = {name: made["properties"][name]["description"] for name in either}
    schemas["Texts"] = {
        "description": made["description"],
        "oneOf": [
            {
                "type": "object",
                "title": described[name],
                "properties": {other: either[other] if other == name else {"type": "null"} for other in either},
                "required": [name],
                "additionalProperties": False,
            }
            for name in either
        ],
    }
    if "FeedbackRequest" in schemas:
        said = schemas["FeedbackRequest"]["properties"]
        said["text"] = text
        for name in ("predicted", "labels"):
            known = {"type": "array", "items": {"enum": [*labels]}, "uniqueItems": True}
            said[name] |= {"anyOf": [known, {"type": "null"}]} if name == "labels" else known
    weighed = schemas["WordsRequest"]["properties"]
    weighed["text"] = text
    weighed["label"] = {"enum": [*labels, None], "description": weighed["label"]["description"]}


def _say_errors(operation: dict[str, Any], statuses: Sequence[int]) -> None:
    responses: dict[str, Any] = operation["responses"]
    content: Mapping[str, Any] = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses.pop("422", None)
    for status in sorted(statuses):
        if str(status) not in responses:
            responses[str(status)] = {"description": ERRORS[status], "content": content}
        if status == 503:
            seconds = {"schema": {"type": "integer"}, "description": "Seconds."}
            responses["503"]["headers"] = {"Retry-After": seconds}

"""SQL on a Databricks warehouse over the Statement Execution API 2.0: run, wait, read every chunk, type every value.

The API gives each value as text and each failure as HTTP 200; both are put right here. A statement that only reads may be sent again; every other
goes out once. One that outlives its deadline is cancelled, so that the warehouse does not work for nobody.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from lpmops.errors import (
    DeadlineError,
    ForbiddenError,
    ServiceError,
    ServiceNotFoundError,
    StatementError,
)
from lpmops.model import parse_time
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import Deadline
from lpmops.services.redact import clean
from lpmops.services.sqltext import only_reads
from lpmops.services.transport import Client

_PATH = "/api/2.0/sql/statements"
_WAITING = {"PENDING", "RUNNING"}
_FIRST_POLL, _LONGEST_POLL = 0.2, 2.0
_CHUNK_LIMIT = 1000
_ERROR_CLASS = re.compile(r"\[([A-Z][A-Z0-9_]{3,}(?:\.[A-Z0-9_]+)*)\]")
_MISSING = {"TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND", "DELTA_TABLE_NOT_FOUND"}
_FORBIDDEN = {"INSUFFICIENT_PERMISSIONS", "PERMISSION_DENIED"}
_TYPES = ((bool, "BOOLEAN"), (int, "BIGINT"), (float, "DOUBLE"), (datetime, "TIMESTAMP"), (date, "DATE"))


def run(
    client: Client, warehouse: str, statement: str, parameters: Mapping[str, Any], deadline: Deadline
) -> list[dict[str, Any]]:
    """The rows of `statement`, whose `:names` are bound to `parameters`, as values of their column types.

    Raises StatementError with Delta's error class, ForbiddenError, ServiceNotFoundError, DeadlineError (after cancelling) and what the wire raises.
    """
    body = {
        "statement": statement,
        "warehouse_id": warehouse,
        "wait_timeout": _held_back(deadline),
        "on_wait_timeout": "CONTINUE",
        "disposition": "INLINE",
        "format": "JSON_ARRAY",
        **({"parameters": [_parameter(name, value) for name, value in parameters.items()]} if parameters else {}),
    }
    send = client.read if only_reads(statement) else client.post
    answer = _finished(client, send(_PATH, body, operation="statement", deadline=deadline), deadline)
    return list(_rows(client, answer, deadline))


def _held_back(deadline: Deadline) -> str:
    """How long the server may hold its answer back: 5 to 50 s or not at all, and well before our own deadline, so that its id is known by then."""
    seconds = min(30, int(deadline.left() * 0.6))
    return f"{seconds}s" if seconds >= 5 else "0s"


def _parameter(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {"name": name}
    kind = next((word for cls, word in _TYPES if isinstance(value, cls)), "STRING")
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, datetime):
        text = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")
    else:
        text = value.isoformat() if isinstance(value, date) else str(value)
    return {"name": name, "value": text, "type": kind}


def _finished(client: Client, answer: Answer, deadline: Deadline) -> Fields:
    """The statement once it has succeeded."""
    pause = _FIRST_POLL
    while True:
        fields = answer.fields()
        state = fields.object("status").text("state")
        if state == "SUCCEEDED":
            return fields
        if state not in _WAITING:
            raise _failure(fields, answer, state)
        identifier = fields.text("statement_id")
        if pause >= deadline.left():
            _cancel(client, identifier)
            raise DeadlineError(
                f"The warehouse had not finished the statement within {deadline.seconds:g} s (it was {state.lower()}), so it was cancelled.",
                service=client.service,
                hint="A stopped warehouse takes its start time first: look at it in the workspace, then try again.",
                request_id=identifier,
            )
        time.sleep(pause)
        pause = min(_LONGEST_POLL, pause * 1.5)
        try:
            answer = client.get(f"{_PATH}/{quote(identifier, safe='')}", operation="statement", deadline=deadline)
        except ServiceError as error:
            # The statement was taken: that it can't be looked at says nothing about what it does.
            error.settled = False
            raise


def _cancel(client: Client, identifier: str) -> None:
    try:
        client.post(
            f"{_PATH}/{quote(identifier, safe='')}/cancel",
            {},
            operation="statement cancel",
            deadline=Deadline.after(1.0),
        )
    except ServiceError:
        # The deadline is what the caller must hear of; an uncancelled read only costs the warehouse.
        return


def _failure(fields: Fields, answer: Answer, state: str) -> ServiceError:
    error = fields.object("status").object("error")
    message = error.maybe_text("message") or f"the statement ended {state.lower()}"
    found = _ERROR_CLASS.search(message)
    error_class = found.group(1) if found else None
    family = (error_class or "").partition(".")[0]
    said = f"Databricks refuses the statement: {clean(message)}"
    request_id = fields.maybe_text("statement_id")
    if family in _FORBIDDEN or error.maybe_text("error_code") == "PERMISSION_DENIED":
        return ForbiddenError(
            said, service=answer.service, hint="Grant what the message names: lpmops access show", request_id=request_id
        )
    if family in _MISSING:
        return ServiceNotFoundError(
            said, service=answer.service, hint="Check databricks.table in lpmops.toml.", request_id=request_id
        )
    return StatementError(
        said,
        service=answer.service,
        error_class=error_class,
        hint="Look at the error class in the Databricks documentation.",
        request_id=request_id,
    )


def _rows(client: Client, fields: Fields, deadline: Deadline) -> Iterator[dict[str, Any]]:
    columns = fields.object("manifest").object("schema").objects("columns")
    typed = [
        (column.text("name"), _READERS.get((column.maybe_text("type_name") or "STRING").upper(), str))
        for column in columns
    ]
    chunk = fields.object("result")
    for _ in range(_CHUNK_LIMIT):
        for row in chunk.items("data_array"):
            if not isinstance(row, list) or len(row) != len(typed):
                fields.refuse("data_array", "row as wide as its columns")
            yield {name: _value(fields, name, read, text) for (name, read), text in zip(typed, row, strict=True)}
        following = chunk.maybe_text("next_chunk_internal_link")
        if not following:
            return
        chunk = client.get(following, operation="statement chunk", deadline=deadline).fields()
    fields.refuse("next_chunk_internal_link", "end")


def _value(fields: Fields, name: str, read: Callable[[str], Any], text: object) -> Any:
    if text is None:
        return None
    if not isinstance(text, str):
        return text if isinstance(text, int | float | bool) else fields.refuse(name, "text")
    try:
        return read(text)
    except (ValueError, OverflowError, InvalidOperation, RecursionError):
        fields.refuse(name, "value of its type")


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


_READERS: dict[str, Callable[[str], Any]] = {
    "BOOLEAN": _boolean,
    "BYTE": int,
    "SHORT": int,
    "INT": int,
    "LONG": int,
    "FLOAT": float,
    "DOUBLE": float,
    "DECIMAL": Decimal,
    "DATE": date.fromisoformat,
    "TIMESTAMP": parse_time,
    "TIMESTAMP_NTZ": parse_time,
    "ARRAY": json.loads,
    "MAP": json.loads,
    "STRUCT": json.loads,
}

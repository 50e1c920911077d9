"""The Statement Execution API 2.0: submit, wait, look again, cancel.

`wait_timeout` (0s or 5s to 50s, real, 10s unless given) holds the answer back; then the statement goes on (CONTINUE) or is cancelled (CANCEL).
A failed statement is HTTP 200. INLINE with JSON_ARRAY only: EXTERNAL_LINKS, ARROW_STREAM and CSV are refused by name. Results are kept for an hour of
the sandbox clock. Rules: the docstrings of databricks-sdk 0.156 `StatementExecutionAPI`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp
from sqlglot.dialects.databricks import Databricks
from sqlglot.errors import SqlglotError

from lpmops.sandbox.azure.identity import Principal
from lpmops.sandbox.azure.stamps import new_guid
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks.calls import Answer, Call, Handler, text
from lpmops.sandbox.databricks.commands import command
from lpmops.sandbox.databricks.errors import invalid, malformed, not_found, not_in_the_sandbox
from lpmops.sandbox.databricks.queries import Query, parameter_literals
from lpmops.sandbox.databricks.results import Result, encoded
from lpmops.sandbox.databricks.sqlerrors import SqlError, syntax_error, table_not_found
from lpmops.sandbox.databricks.warehouse import Warehouse
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.table import ChangeTable

log = logging.getLogger(__name__)

_KEPT_SECONDS = 3600.0
_TEXT_BYTES = 16 * 1024 * 1024
_WORKERS = 8
_OVER = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "CLOSED"})
Find = Callable[[Sequence[str]], ChangeTable]


class Statement:
    """One statement under way. Its state only moves forward."""

    def __init__(self, submitted: float) -> None:
        self.id = new_guid()
        self.submitted = submitted
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._state = "PENDING"
        self._result: Result | None = None
        self._error: SqlError | None = None
        self._interrupt: Callable[[], None] | None = None

    def begin(self) -> bool:
        """PENDING to RUNNING; False when it was cancelled first."""
        with self._lock:
            if self._state == "PENDING":
                self._state = "RUNNING"
            return self._state == "RUNNING"

    def interruptible(self, interrupt: Callable[[], None]) -> None:
        """Note how to stop it."""
        with self._lock:
            self._interrupt = interrupt
            if self._state in _OVER:
                interrupt()

    def end(self, state: str, result: Result | None = None, error: SqlError | None = None) -> None:
        """Its ending; the first one counts."""
        with self._lock:
            if self._state in _OVER:
                return
            self._state, self._result, self._error = state, result, error
            interrupt, self._interrupt = self._interrupt, None
        self.over.set()
        if state == "CANCELED" and interrupt is not None:
            interrupt()

    def document(self) -> dict[str, Any]:
        """As the API shows it."""
        with self._lock:
            state, result, error = self._state, self._result, self._error
        status: dict[str, Any] = {"state": state}
        if error is not None:
            status["error"] = {"error_code": error.code, "message": error.message}
            if error.sqlstate is not None:
                status["sql_state"] = error.sqlstate
        shown = {} if result is None else {"manifest": result.manifest(), "result": result.chunk()}
        return {"statement_id": self.id, "status": status, **shown}

    def chunk(self, index: str) -> dict[str, Any]:
        """One chunk of the result. Raises ApiError."""
        with self._lock:
            result = self._result
        if result is None:
            raise invalid(f"The statement {self.id} has no result.")
        if index != "0":
            raise invalid(f"The chunk index {index} is out of range.")
        return result.chunk()


class Statements:
    """The warehouse's statements."""

    def __init__(self, clock: Clock, warehouse: Warehouse, find: Find) -> None:
        self._clock, self._warehouse, self._find = clock, warehouse, find
        self._held: dict[str, Statement] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(_WORKERS, "statement")
        self._closing = threading.Event()

    def close(self) -> None:
        """End every statement."""
        self._closing.set()
        with self._lock:
            held = list(self._held.values())
        for statement in held:
            statement.end("CANCELED")
        self._workers.shutdown(wait=True, cancel_futures=True)

    def operations(self) -> list[tuple[str, str, Handler]]:
        """Execute, get, chunks, cancel."""
        base = "/api/2.0/sql/statements"
        return [
            ("POST", base, self._execute),
            ("GET", base + "/{id}", lambda call: Answer(self._statement(call).document())),
            (
                "GET",
                base + "/{id}/result/chunks/{index}",
                lambda call: Answer(self._statement(call).chunk(call.names["index"])),
            ),
            ("POST", base + "/{id}/cancel", self._cancel),
        ]

    def _statement(self, call: Call) -> Statement:
        with self._lock:
            held = self._held.get(call.names["id"])
        if held is None:
            raise not_found("NOT_FOUND", f"The statement {call.names['id']} was not found.")
        return held

    def _cancel(self, call: Call) -> Answer:
        self._statement(call).end("CANCELED")
        return Answer()

    def _execute(self, call: Call) -> Answer:
        body = call.body()
        wanted = text(body, "statement")
        self._warehouse.known(text(body, "warehouse_id"))
        seconds, on_timeout = _waiting(body)
        _check_format(body)
        if len(wanted.encode()) > _TEXT_BYTES:
            raise invalid("The statement text is larger than 16 MiB.")
        limits = _limit(body, "row_limit"), _limit(body, "byte_limit")
        parameters = _parameters(body)
        namespace = text(body, "catalog", ""), text(body, "schema", "")
        statement = Statement(self._clock.time())
        with self._lock:
            oldest = statement.submitted - _KEPT_SECONDS
            self._held = {
                name: one for name, one in self._held.items() if one.submitted >= oldest or not one.over.is_set()
            }
            self._held[statement.id] = statement
        self._warehouse.start()
        self._workers.submit(self._work, statement, wanted, parameters, namespace, limits, call.principal)
        if seconds and not statement.over.wait(seconds) and on_timeout == "CANCEL":
            statement.end("CANCELED")
        return Answer(statement.document())

    def _work(
        self,
        statement: Statement,
        wanted: str,
        parameters: Sequence[Mapping[str, Any]],
        namespace: tuple[str, str],
        limits: tuple[int | None, int | None],
        principal: Principal,
    ) -> None:
        while self._warehouse.state() != "RUNNING" and not statement.over.is_set():
            self._closing.wait(min(0.05, self._clock.real_seconds(0.2)))
            self._warehouse.start()
        if not statement.begin():
            return
        try:
            table = self._rows(statement, wanted, parameters, namespace, principal)
            statement.end("SUCCEEDED", encoded(table, *limits))
        except SqlError as error:
            statement.end("FAILED", error=error)
        except DeltaFeedError as error:
            statement.end("FAILED", error=SqlError("BAD_REQUEST", str(error)))
        except duckdb.InterruptException:
            statement.end("CANCELED")
        except Exception as error:
            log.exception("statement %s failed", statement.id)
            statement.end("FAILED", error=SqlError("INTERNAL_ERROR", f"[INTERNAL_ERROR] {error} SQLSTATE: XX000"))

    def _rows(
        self,
        statement: Statement,
        wanted: str,
        parameters: Sequence[Mapping[str, Any]],
        namespace: tuple[str, str],
        principal: Principal,
    ) -> pa.Table:
        try:
            tokens = Databricks().tokenize(wanted)
            if len(tokens) == 2 and tokens[0].text.upper() == "SHOW":
                # sqlglot takes all that follows SHOW as one text.
                tokens = [tokens[0], *Databricks().tokenize(tokens[1].text)]
        except SqlglotError as error:
            raise syntax_error(str(error)) from error

        def find(parts: Sequence[str]) -> ChangeTable:
            if len(parts) > 3:
                raise table_not_found(".".join(parts))
            return self._find([*namespace[: 3 - len(parts)], *parts] if len(parts) > 1 else [*namespace, *parts])

        literals: dict[str, exp.Expr] = parameter_literals(parameters)
        bound = {name: literal.name for name, literal in literals.items()}
        table = command(tokens, find, bound)
        if table is not None:
            return table
        query = Query(find, self._clock.now(), principal.name, literals)
        return query.run(wanted, statement.interruptible)


def _waiting(body: Mapping[str, Any]) -> tuple[int, str]:
    found = re.fullmatch(r"(\d{1,3})s", text(body, "wait_timeout", "10s"))
    seconds = int(found.group(1)) if found else -1
    if seconds != 0 and not 5 <= seconds <= 50:
        raise invalid("wait_timeout must be 0s or from 5s to 50s.")
    on_timeout = text(body, "on_wait_timeout", "CONTINUE")
    if on_timeout not in ("CONTINUE", "CANCEL"):
        raise invalid(f"Invalid on_wait_timeout '{on_timeout}'. It must be CONTINUE or CANCEL.")
    if seconds == 0 and on_timeout == "CANCEL":
        raise invalid("on_wait_timeout CANCEL needs a wait_timeout greater than 0s.")
    return seconds, on_timeout


def _check_format(body: Mapping[str, Any]) -> None:
    disposition, kind = text(body, "disposition", "INLINE"), text(body, "format", "JSON_ARRAY")
    if disposition not in ("INLINE", "EXTERNAL_LINKS") or kind not in ("JSON_ARRAY", "ARROW_STREAM", "CSV"):
        raise invalid(f"Invalid disposition or format: {disposition}, {kind}.")
    if disposition != "INLINE":
        raise not_in_the_sandbox("disposition EXTERNAL_LINKS")
    if kind != "JSON_ARRAY":
        raise invalid(f"The format {kind} is not supported with the disposition INLINE.")


def _limit(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,15}", str(value)) or int(value) < 1:
        raise invalid(f"Invalid value for '{name}': '{value}'.")
    return int(value)


def _parameters(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    items = body.get("parameters") or []
    if not isinstance(items, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in items
    ):
        raise malformed("Could not parse request object: Expected 'parameters' to be an array of maps with a name")
    return items

"""The Log Analytics query service: one query, or a batch of them, answered as tables.

Rows are typed as the real service types them (numbers and booleans as such, times as text), although its specification says they are all text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.calls import Answer, Call, Operation
from lpmops.sandbox.azure.errors import ApiError, log_error
from lpmops.sandbox.azure.kql_lexer import KqlError, place
from lpmops.sandbox.azure.kql_parser import parse
from lpmops.sandbox.azure.kql_run import Table, run
from lpmops.sandbox.azure.stamps import new_guid, parse_timespan

_RIGHT = "Microsoft.OperationalInsights/workspaces/query/read"
_UNVERSIONED: frozenset[str] = frozenset()


def log_operations(account: Account) -> list[Operation]:
    """Everything under /v1 that the sandbox answers."""
    routes = LogRoutes(account)
    query = "/v1/workspaces/{workspace}/query"
    return [
        Operation("POST", query, _RIGHT, _UNVERSIONED, routes.post),
        Operation("GET", query, _RIGHT, _UNVERSIONED, routes.get),
        Operation("POST", "/v1/$batch", _RIGHT, _UNVERSIONED, routes.batch),
    ]


def reshape(error: ApiError) -> ApiError:
    """The query service's own words for what the front door refuses (azure-docs/azure-monitor/logs/api/errors)."""
    code = error.body.get("error", {}).get("code", "")
    if error.status == 401:
        known = {"AuthenticationFailed": ("AuthorizationRequiredError", "Valid authentication was not provided")}
        name, message = known.get(
            code, ("InvalidTokenError", "The provided authentication is not valid for this resource")
        )
    elif error.status == 403:
        name, message = (
            "InsufficientAccessError",
            "The provided credentials have insufficient access to perform the requested operation",
        )
    elif error.status in (404, 405) and code != "PathNotFoundError":
        name, message = "PathNotFoundError", "The requested path does not exist"
    else:
        return error
    return ApiError(
        error.status, {"error": {"message": message, "code": name, "correlationId": new_guid()}}, error.headers
    )


class LogRoutes:
    """Handlers over one account's log store."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def post(self, call: Call) -> Answer:
        """A query in the body."""
        return Answer(self._answer(call.names["workspace"], call.object_body(), call.headers.get("prefer", "")))

    def get(self, call: Call) -> Answer:
        """A query in the address."""
        return Answer(self._answer(call.names["workspace"], dict(call.query), call.headers.get("prefer", "")))

    def batch(self, call: Call) -> Answer:
        """Several queries; each has its own status."""
        requests = call.object_body().get("requests")
        if not isinstance(requests, list):
            raise log_error("BadArgumentError", "The batch must have requests")  # assumed: the wording
        responses = [self._one_of_batch(each) for each in requests if isinstance(each, dict)]
        return Answer({"responses": responses})

    def _one_of_batch(self, request: Mapping[str, Any]) -> dict[str, Any]:
        headers = {str(k).lower(): str(v) for k, v in (request.get("headers") or {}).items()}
        body = request.get("body") if isinstance(request.get("body"), dict) else {}
        try:
            status, answer = 200, self._answer(str(request.get("workspace")), body or {}, headers.get("prefer", ""))
        except ApiError as error:
            status, answer = error.status, dict(error.body)
        return {"id": request.get("id"), "status": status, "headers": {}, "body": answer}

    def _answer(self, workspace: str, wished: Mapping[str, Any], prefer: str) -> dict[str, Any]:
        if not self._account.logs.subscription_of(workspace):
            body = {
                "message": "The workspace could not be found",
                "code": "PathNotFoundError",
                "correlationId": new_guid(),
            }
            raise ApiError(404, {"error": body})  # assumed: the wording
        text = wished.get("query")
        if not isinstance(text, str) or not text.strip():
            raise log_error("BadArgumentError", "The query is missing")  # assumed: the wording
        now = self._account.clock.now()
        start, end = _span(wished.get("timespan"), now)
        try:
            table = run(parse(text), self._account.logs.tables(workspace, start, end), now)
        except KqlError as error:
            raise _refusal(error, text) from error
        answer: dict[str, Any] = {"tables": [_shown(table)]}
        if "include-statistics=true" in prefer.lower():
            # assumed: only the parts that are known here
            answer["statistics"] = {
                "query": {"executionTime": 0.0, "datasetStatistics": [{"table_row_count": len(table.rows)}]}
            }
        if "include-render=true" in prefer.lower():
            answer["render"] = {"visualization": None}  # assumed
        return answer


def _span(text: Any, now: datetime) -> tuple[datetime | None, datetime | None]:
    if not text:
        return None, None
    try:
        return parse_timespan(str(text), now)
    except (ValueError, OverflowError):
        raise log_error("BadArgumentError", f"The timespan '{text}' is not valid") from None  # assumed: the wording


def _refusal(error: KqlError, text: str) -> ApiError:
    detail: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.position is not None:
        line, column = place(text, error.position)
        detail |= {"line": line, "pos": column, "token": error.token}
    said = "A recognition error occurred in the query." if error.kind == "SyntaxError" else "A semantic error occurred."
    return log_error(error.kind, said, detail)


def _shown(table: Table) -> dict[str, Any]:
    columns = [{"name": name, "type": kind} for name, kind in table.schema.items()]
    return {
        "name": table.name,
        "columns": columns,
        "rows": [[_cell(row.get(name)) for name in table.schema] for row in table.rows],
    }


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    if isinstance(value, timedelta):
        return _timespan(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value


def _timespan(value: timedelta) -> str:
    total = abs(value)
    hours, rest = divmod(total.seconds, 3600)
    minutes, secs = divmod(rest, 60)
    days = f"{total.days}." if total.days else ""
    fraction = f".{total.microseconds:06d}0" if total.microseconds else ""
    return f"{'-' if value < timedelta(0) else ''}{days}{hours:02d}:{minutes:02d}:{secs:02d}{fraction}"

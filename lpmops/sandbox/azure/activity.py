"""The activity log: who changed what, and what a resource complains of, answered as Microsoft.Insights 2015-04-01 does.

Every write that passes Resource Manager is an entry, refused ones too, and so are the errors of Stream Analytics jobs. An entry is shown `delay`
sandbox seconds after it was written (Azure takes 3 to 20 minutes). Shape: azure-docs activity-log-schema and azure-mgmt-monitor `EventData`; a filter
needs the time it starts at and knows the names that the API's reference lists. Kept in memory, the newest entries. Thread-safe.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from lpmops.sandbox.azure.calls import Answer, Call
from lpmops.sandbox.azure.diagnostic_settings import type_of
from lpmops.sandbox.azure.errors import ApiError, monitor_error
from lpmops.sandbox.azure.stamps import new_guid, parse_time
from lpmops.sandbox.clock import Clock

KEPT = 5_000
PAGE = 200
_TERM = re.compile(r"\s*([A-Za-z]+)\s+(eq|ge|le)\s+'((?:[^']|'')*)'\s*(?:and\b|$)", re.IGNORECASE)
# The names that people see (azure-docs resource-provider-operations); any other operation is shown by its id.
_WORDS = {
    "microsoft.streamanalytics/streamingjobs/start/action": "Start Stream Analytics Job",
    "microsoft.streamanalytics/streamingjobs/stop/action": "Stop Stream Analytics Job",
    "microsoft.streamanalytics/streamingjobs/write": "Write Stream Analytics Job",
    "microsoft.streamanalytics/streamingjobs/delete": "Delete Stream Analytics Job",
}
_SUB_STATUS = {
    200: ("OK", "OK (HTTP Status Code: 200)"),
    201: ("Created", "Created (HTTP Status Code: 201)"),
    202: ("Accepted", "Accepted (HTTP Status Code: 202)"),
    204: ("NoContent", "No Content (HTTP Status Code: 204)"),
    400: ("BadRequest", "Bad Request (HTTP Status Code: 400)"),
    404: ("NotFound", "Not Found (HTTP Status Code: 404)"),
    409: ("Conflict", "Conflict (HTTP Status Code: 409)"),
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry before it has its ids: what was done to which resource, by whom (empty: by the resource itself), and what came of it."""

    resource_id: str
    operation: str
    status: str
    level: str = "Informational"
    caller: str = ""
    code: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


class ActivityLog:
    """All entries of the account, by subscription."""

    def __init__(self, clock: Clock, delay: float) -> None:
        self._clock, self._delay = clock, delay
        self._lock = threading.Lock()
        self._entries: deque[tuple[float, dict[str, Any]]] = deque(maxlen=KEPT)

    def write(self, happening: Happening) -> None:
        """Note that something happened now."""
        at = self._clock.time()
        entry = _entry(happening, datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(at + self._delay, UTC))
        with self._lock:
            self._entries.append((at, entry))

    def write_call(self, call: Call, action: str, status: int, message: str = "") -> None:
        """Note a write that came through Resource Manager; reads leave no trace."""
        if call.method == "GET" or action.lower().endswith("/read"):
            return
        path = call.path.rstrip("/")
        resource = path.rpartition("/")[0] if action.lower().endswith("/action") else path
        failed = status >= 400
        word = "Failed" if failed else "Accepted" if status == 202 else "Succeeded"
        said = {"statusMessage": message} if message else {}
        self.write(
            Happening(resource, action, word, "Error" if failed else "Informational", call.principal.name, status, said)
        )

    def shown(self, subscription: str) -> list[dict[str, Any]]:
        """What a subscription's log shows now, newest first."""
        limit = self._clock.time() - self._delay
        with self._lock:
            entries = [entry for at, entry in self._entries if at <= limit]
        return [entry for entry in reversed(entries) if entry["subscriptionId"].lower() == subscription.lower()]

    def list(self, call: Call) -> Answer:
        """The handler of eventtypes/management/values."""
        terms = _terms(call.query.get("$filter", ""))
        found = [entry for entry in self.shown(call.subscription) if all(_fits(entry, term) for term in terms)]
        start = call.query.get("$skiptoken", "0")
        if not start.isdecimal():
            raise bad_request(f"The $skipToken '{start}' is not valid.")
        page = found[int(start) : int(start) + PAGE]
        wanted = {name.strip() for name in call.query.get("$select", "").split(",") if name.strip()}
        answer: dict[str, Any] = {"value": [_selected(entry, wanted) for entry in page]}
        if int(start) + PAGE < len(found):
            asked = {**call.query, "$skiptoken": str(int(start) + PAGE)}
            answer["nextLink"] = f"{call.origin}{call.path}?" + "&".join(
                f"{name}={quote(value, safe='')}" for name, value in asked.items()
            )
        return Answer(answer)


def bad_request(message: str) -> ApiError:
    """400 in Azure Monitor's shape; the wordings are assumed."""
    return monitor_error(400, "BadRequest", message)


def _entry(happening: Happening, at: datetime, shown_at: datetime) -> dict[str, Any]:
    resource = f"/{happening.resource_id.strip('/')}"
    parts = resource.strip("/").split("/")
    kind = type_of(resource)
    event_id = new_guid()
    sub = _SUB_STATUS.get(happening.code or 0, ("", ""))
    asked = "EndRequest" if happening.caller else ""
    return {
        "authorization": {"action": happening.operation, "scope": resource},
        "caller": happening.caller,
        "channels": "Operation",
        "claims": {},
        "correlationId": new_guid(),
        "description": "",
        "eventDataId": event_id,
        "eventName": {"value": asked, "localizedValue": "End request" if asked else ""},
        "category": {"value": "Administrative", "localizedValue": "Administrative"},
        "id": f"{resource}/events/{event_id}/ticks/{int(at.timestamp() * 10_000_000)}",
        "level": happening.level,
        "resourceGroupName": parts[3] if len(parts) > 3 else "",
        "resourceProviderName": {"value": kind.partition("/")[0], "localizedValue": kind.partition("/")[0]},
        "resourceId": resource,
        "resourceType": {"value": kind, "localizedValue": kind},
        "operationId": new_guid(),
        "operationName": {
            "value": happening.operation,
            "localizedValue": _WORDS.get(happening.operation.lower(), happening.operation),
        },
        "properties": dict(happening.properties),
        "status": {"value": happening.status, "localizedValue": happening.status},
        "subStatus": {"value": sub[0], "localizedValue": sub[1]},
        "eventTimestamp": _stamp(at),
        "submissionTimestamp": _stamp(shown_at),
        "subscriptionId": parts[1] if len(parts) > 1 else "",
        "tenantId": "",
    }


_Term = tuple[str, str, str]


def _terms(text: str) -> list[_Term]:
    """The parts of a filter. Raises 400 for what the API does not take."""
    found: list[_Term] = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise bad_request(f"The filter '{text}' can't be parsed at position {at}.")
        name, operator, value = match[1].lower(), match[2].lower(), match[3].replace("''", "'")
        if name not in _READ or (operator == "eq") is (name == "eventtimestamp"):
            raise bad_request(f"The filter '{match[1]} {match[2]}' is not supported.")
        if name == "eventtimestamp":
            try:
                parse_time(value)
            except ValueError:
                raise bad_request(f"The time '{value}' is not valid.") from None
        found.append((name, operator, value))
        at = match.end()
    if not any(name == "eventtimestamp" and operator == "ge" for name, operator, _ in found):
        raise bad_request("The filter must name the start time: eventTimestamp ge '...'.")
    return found


_READ: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "eventtimestamp": lambda entry: entry["eventTimestamp"],
    "resourcegroupname": lambda entry: entry["resourceGroupName"],
    "resourceuri": lambda entry: entry["resourceId"],
    "resourceprovider": lambda entry: entry["resourceProviderName"]["value"],
    "correlationid": lambda entry: entry["correlationId"],
    "status": lambda entry: entry["status"]["value"],
}


def _fits(entry: Mapping[str, Any], term: _Term) -> bool:
    name, operator, value = term
    held = str(_READ[name](entry))
    if operator == "eq":
        return held.lower() == value.lower()
    return parse_time(held) >= parse_time(value) if operator == "ge" else parse_time(held) <= parse_time(value)


def _selected(entry: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if not wanted or name in wanted}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"

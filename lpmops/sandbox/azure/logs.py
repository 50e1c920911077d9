"""Log Analytics workspaces: tables of rows that appear late.

Rows come from resources whose diagnostic settings send them here. A row is shown `delay` sandbox seconds after it was written (Azure takes 3 to 10
minutes; 60 s by default is assumed, so that a demo is not a wait). Thread-safe; the newest rows are kept, up to a limit per table.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lpmops.sandbox.azure.diagnostic_settings import type_of
from lpmops.sandbox.azure.kql_run import Row, Schema, Table
from lpmops.sandbox.clock import Clock

ROWS_KEPT = 20_000

# azure-docs: tables AzureDiagnostics and AZMSDiagnosticErrorLogs; columns the product can meet.
TABLES: dict[str, Schema] = {
    "AzureDiagnostics": {
        "TenantId": "string", "TimeGenerated": "datetime", "ResourceId": "string", "Category": "string", "ResourceGroup": "string",
        "SubscriptionId": "string", "ResourceProvider": "string", "Resource": "string", "ResourceType": "string", "OperationName": "string",
        "ResultType": "string", "CorrelationId": "string", "ResultDescription": "string", "Level": "string", "status_s": "string",
        "properties_s": "string", "SourceSystem": "string", "Type": "string", "_ResourceId": "string",
    },
    "AZMSDiagnosticErrorLogs": {
        "TenantId": "string", "TimeGenerated": "datetime", "ActivityId": "string", "ActivityName": "string", "Category": "string",
        "EntityName": "string", "EntityType": "string", "ErrorCount": "int", "ErrorMessage": "string", "NamespaceName": "string",
        "OperationResult": "string", "Provider": "string", "ResourceId": "string", "SourceSystem": "string", "Type": "string",
        "_ResourceId": "string",
    },
}  # fmt: skip


class LogStore:
    """All workspaces of the account, by customer id."""

    def __init__(self, clock: Clock, delay: float = 60.0) -> None:
        self._clock = clock
        self._delay = delay
        self._lock = threading.Lock()
        self._subscriptions: dict[str, str] = {}
        self._rows: dict[tuple[str, str], deque[Row]] = {}

    def add_workspace(self, customer_id: str, subscription: str) -> None:
        """Make a workspace known."""
        with self._lock:
            self._subscriptions[customer_id.lower()] = subscription

    def subscription_of(self, customer_id: str) -> str:
        """The subscription a workspace is in; empty when it is not known."""
        with self._lock:
            return self._subscriptions.get(customer_id.lower(), "")

    def write(
        self,
        customer_id: str,
        table: str,
        resource_id: str,
        category: str,
        fields: Mapping[str, Any],
        at: float | None = None,
    ) -> None:
        """One row about a resource; what every row has is filled in. KeyError for a table or column that is not there."""
        schema = TABLES[table]
        unknown = set(fields) - set(schema)
        if unknown:
            raise KeyError(f"{table} has no column {', '.join(sorted(unknown))}")
        moment = datetime.fromtimestamp(self._clock.time() if at is None else at, UTC)
        row = {**_common(customer_id, table, resource_id, category), "TimeGenerated": moment}
        row = {name: value for name, value in row.items() if name in schema}
        row |= {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in fields.items()}
        with self._lock:
            self._rows.setdefault((customer_id.lower(), table), deque(maxlen=ROWS_KEPT)).append(row)

    def tables(self, customer_id: str, start: datetime | None, end: datetime | None) -> dict[str, Table]:
        """What a workspace shows now, limited to a time span where one is given."""
        limit = datetime.fromtimestamp(self._clock.time() - self._delay, UTC)
        last = min(end, limit) if end else limit
        found = {}
        with self._lock:
            for name, schema in TABLES.items():
                rows = self._rows.get((customer_id.lower(), name), ())
                shown = [
                    row
                    for row in rows
                    if row["TimeGenerated"] <= last and (start is None or row["TimeGenerated"] >= start)
                ]
                found[name] = Table(schema, shown)
        return found


def _common(customer_id: str, table: str, resource_id: str, category: str) -> Row:
    parts = resource_id.strip("/").split("/")
    provider, _, kind = type_of(resource_id).partition("/")
    return {
        "TenantId": customer_id,
        "ResourceId": f"/{resource_id.strip('/')}".upper(),
        "Category": category,
        "ResourceGroup": parts[3].upper(),
        "SubscriptionId": parts[1],
        "ResourceProvider": provider.upper(),
        "Resource": parts[-1].upper(),
        "ResourceType": kind.upper(),
        "SourceSystem": "Azure",
        "Type": table,
        "_ResourceId": f"/{resource_id.strip('/')}".lower(),
    }

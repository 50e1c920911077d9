"""What a namespace refused is counted by the minute, as its diagnostic log has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub import Hub
from lpmops.sandbox.hub_errors import HubErrors


def test_each_whole_minute_with_refusals_is_one_row_told_once(tmp_path: Path) -> None:
    clock = Clock(speed=0.001, start=datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC).timestamp())
    hub = Hub(tmp_path, "tdr", 1, clock)
    told: list[tuple[Mapping[str, Any], datetime]] = []
    errors = HubErrors("evhns", hub, clock, lambda row, at: told.append((row, at)))
    hub.counters.add({"ThrottledRequests": 3})
    hub.counters.add({"ThrottledRequests": 2, "IncomingRequests": 9})
    errors.step()
    assert told == []
    clock.advance(60)
    hub.counters.add({"IncomingRequests": 9})
    errors.step()
    errors.step()
    clock.advance(60)
    errors.step()
    ((row, at),) = told
    assert (row["ErrorCount"], row["EntityName"], row["OperationResult"]) == (5, "tdr", "ServerBusy")
    assert "50002" in row["ErrorMessage"]
    assert at == datetime(2026, 11, 23, 12, 1, tzinfo=UTC)
    hub.close()

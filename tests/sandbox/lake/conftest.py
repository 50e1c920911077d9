"""A table of call records in a folder of its own, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.lake.schema import RECORD_SCHEMA
from lpmops.sandbox.lake.table import OPERATION, ChangeTable

NAME = "lpm_dev.gold.tdr_streaming"
Rows = Callable[..., pa.Table]


@pytest.fixture
def clock() -> Clock:
    return Clock(start=1_800_000_000.0)


@pytest.fixture
def table(tmp_path: Path, clock: Clock) -> ChangeTable:
    return ChangeTable.create(tmp_path / "tdr_streaming", NAME, clock)


@pytest.fixture
def rows(clock: Clock) -> Rows:
    def make(*ids: str, operation: str | None = None, **values: Any) -> pa.Table:
        common = {
            "info_companyid": "1001",
            "call_started_at": clock.now(),
            "disposition": "in_progress",
            "sipreq": {"method": "INVITE", "via": ["SIP/2.0/TLS 192.0.2.1:5061"]},
            **values,
        }
        made = pa.Table.from_pylist([{"tdr_id": one, "call_id": one, **common} for one in ids], schema=RECORD_SCHEMA)
        return (
            made if operation is None else made.append_column(OPERATION, pa.array([operation] * len(ids), pa.string()))
        )

    return make


def seen(changes: pa.Table) -> list[tuple[str, str, int]]:
    """The feed as (record, change type, version), sorted."""
    names = ("tdr_id", "_change_type", "_commit_version")
    return sorted(zip(*(changes[name].to_pylist() for name in names), strict=True))

"""How fast a replay is beside a bare read of the same change feed and a bare bulk insert, in one run. Promise: half of the two together.

All three go through the sandbox's wire. The bare read is the warehouse's statement over the versions, the bare insert TDS bulk load, one database
after the other. The replay is `lpmops replay run` as a process, from its start until the last row has landed and is proven: plan, run, hub, Stream
Analytics and proof included. The job on the cluster is the sandbox's own stand-in, and its cluster is there in a second. `--changes N` takes another
size.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from lpmops.model import parse_time
from lpmops.services import azuresql
from lpmops.services.cloud import open_environment
from lpmops.services.sqldrivers import Target, TdsDriver
from tests.replays.ground import Ground, Size, Stand, ground
from tests.replays.scripts import Trial

CHANGES, COMMITS, COMPANIES, DATABASES, RATE = 200_000, 40, 100, 25, 20_000
_DEADLINE = 300.0
_KEYS = {
    "company_id": "info_companyid", "record_id": "tdr_id", "commit_version": "_commit_version", "change_type": "_change_type",
    "commit_timestamp": "_commit_timestamp", "sent_at": "_commit_timestamp", "enqueued_at": "_commit_timestamp",
}  # fmt: skip
_SAME = (
    "call_id", "call_started_at", "call_answered_at", "call_ended_at", "disposition", "duration_seconds", "trunk", "queue", "caller_number",
    "caller_latitude", "caller_longitude", "sipreq",
)  # fmt: skip
Rows = dict[str, list[tuple[Any, ...]]]


def main(options: Sequence[str] = ()) -> None:
    """Print seconds and changes a second of each, and the ratio."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks replay")
    parser.add_argument("--changes", type=int, default=CHANGES)
    given = parser.parse_args(options)
    size = Size(given.changes, max(1, given.changes // COMMITS), COMPANIES, DATABASES, rate=5.0)
    with ground(size, Stand.SKIPPED) as made:
        trial = Trial(made, RATE)
        replay = _replay(trial)
        assert made.landed_keys() == made.source(), "the replay did not land what the source has"
        trial.begin()
        began = time.monotonic()
        rows = _read(made)
        read = _tell("bare read of the change feed", made.changes, time.monotonic() - began)
        began = time.monotonic()
        _insert(made, rows)
        insert = _tell("bare bulk insert", made.changes, time.monotonic() - began)
        assert made.count() == made.changes, "the bare insert did not land it all"
    print(f"replay against the two together   {(read + insert) / replay:5.2f}   (promise: 0.5)")


def _replay(trial: Trial) -> float:
    """A replay of everything, and what of its time went where."""
    began = time.monotonic()
    process = trial.machine.begin(*trial.words(), "-o", "jsonl")
    moments: dict[str, datetime] = {}
    assert process.stdout is not None
    for line in process.stdout:
        told = json.loads(line)
        if "op" in told:
            moments[f"{(told['step'] or 'all').partition(' ')[0]} {told['state']}"] = parse_time(told["ts"])
    assert process.wait() == 0, "the replay did not end well"
    took = _tell("replay", trial.ground.changes, time.monotonic() - began)
    parts = {
        "its run": ("send begun", "send done"),
        "what still had to land": ("send done", "all verifying"),
        "its proof": ("all verifying", "all succeeded"),
    }
    for name, (first, last) in parts.items():
        print(f"  {name:32} {(moments[last] - moments[first]).total_seconds():7.1f} s")
    return took


def _read(made: Ground) -> Rows:
    """All columns of all changes, as the warehouse gives them, in statements that its answers can hold; by landing database."""
    services = open_environment(made.environment, deadline=_DEADLINE)
    found: Rows = defaultdict(list)
    try:
        homes = {row["company_id"]: row["database_name"] for row in _routes(made, services)}
        for version in range(made.versions[0], made.versions[1] + 1):
            text = (
                f"SELECT * FROM table_changes('{made.environment.databricks.table}', {version}, {version}) "
                "WHERE _change_type <> 'update_preimage'"
            )
            for row in services.databricks.query(text):
                values = (*(row[name] for name in _KEYS.values()), *(_plain(row[name]) for name in _SAME))
                found[homes[row["info_companyid"]]].append(values)
    finally:
        services.close()
    return found


def _routes(made: Ground, services: Any) -> Iterator[dict[str, Any]]:
    yield from services.sql.rows(made.environment.sql.control_database, "route_list", ())


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _insert(made: Ground, rows: Rows) -> None:
    """Bulk load, as `bcp` does it."""
    services = open_environment(made.environment, deadline=_DEADLINE)
    try:
        token = services.credential.token(azuresql.SCOPE).token
    finally:
        services.close()
    sql = made.environment.sql
    names = (*_KEYS, *_SAME, "hub_partition", "hub_sequence")
    for database, found in rows.items():
        target = Target(sql.server, sql.port, database, token=token, trust_server_certificate=True)
        with closing(TdsDriver("a benchmark").connect(target, _DEADLINE)) as session:
            # lpmops loads nothing in bulk, so its session has no word for it; python-tds beneath it has.
            connection: Any = vars(session)["_connection"]
            with connection.cursor() as cursor:
                numbered = ((*row, 0, number) for number, row in enumerate(found))
                cursor.copy_to(data=numbered, table_or_view="tdr", schema="lpm", columns=names)


def _tell(what: str, changes: int, seconds: float) -> float:
    print(f"{what:34} {seconds:7.1f} s   {changes / seconds:9,.0f} changes a second", flush=True)
    return seconds

"""How fast a replay is beside a bare read of the same change feed and a bare bulk insert, in one run. Promise: half of the two together.

The replay is `lpmops replay run` as a process, from its start until the last row has landed and is proven. Job, hub and Stream Analytics are the
sandbox's own stand-ins, and its cluster is there in a second: what is measured is the way that lpmops takes through them, not a cluster. Read and
insert are measured twice: over the wire, as any other program has to (the warehouse's statements, ODBC's arrays of parameters), on some of the
versions; and in this process, by the sandbox's own engines with nothing between, which no program outside can do. `--changes N` is another size.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyodbc

from lpmops.model import parse_time
from lpmops.sandbox import deployment
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.environment import CONNECTIONS
from lpmops.sandbox.sql import SqlServer
from lpmops.services import azuresql
from lpmops.services.cloud import open_environment
from lpmops.services.sqldrivers import OdbcDriver, Target, find, packed_token
from tests.replays.ground import NAME, Ground, Size, Stand, ground
from tests.replays.scripts import Trial
from tests.stories.ledger import Ledger

CHANGES, COMMITS, COMPANIES, DATABASES, RATE = 200_000, 40, 100, 25, 20_000
_BATCH = 10_000
_KEYS = {
    "company_id": "info_companyid", "record_id": "tdr_id", "commit_version": "_commit_version", "change_type": "_change_type",
    "commit_timestamp": "_commit_timestamp", "sent_at": "_commit_timestamp", "enqueued_at": "_commit_timestamp",
}  # fmt: skip
_SAME = (
    "call_id", "call_started_at", "call_answered_at", "call_ended_at", "disposition", "duration_seconds", "trunk", "queue", "caller_number",
    "caller_latitude", "caller_longitude",
)  # fmt: skip
_COLUMNS = (*_KEYS, *_SAME, "sipreq", "hub_partition", "hub_sequence")
# How many versions go over the wire, and the attribute under which ODBC takes a token.
_PART, _TOKEN, _DEADLINE = 4, 1256, 300.0
Rows = dict[str, list[tuple[Any, ...]]]


def main(options: Sequence[str] = ()) -> None:
    """Print seconds and changes a second of each, and the ratios."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks replay")
    parser.add_argument("--changes", type=int, default=CHANGES)
    given = parser.parse_args(options)
    size = Size(given.changes, max(1, given.changes // COMMITS), COMPANIES, DATABASES, rate=5.0)
    with ground(size, Stand.SKIPPED) as made:
        trial = Trial(made, RATE)
        replay = _replay(trial)
        assert made.landed_keys() == made.source(), "the replay did not land what the source has"
        trial.begin()
        wire = _over_the_wire(made)
        bare = _in_this_process(made)
    print(f"replay against the two together   {replay / wire:5.2f} over the wire   (promise: 0.5)")
    print(f"                                  {replay / bare:5.2f} in one process")


def _over_the_wire(made: Ground) -> float:
    """Changes a second of a read and an insert together, by another program."""
    first = made.versions[0]
    began = time.monotonic()
    rows = _read_by_statements(made, first, first + _PART - 1)
    changes = sum(map(len, rows.values()))
    read = _tell("read over the wire", changes, time.monotonic() - began)
    began = time.monotonic()
    _insert_by_odbc(made, rows)
    insert = _tell("insert over the wire", changes, time.monotonic() - began)
    assert made.count() == changes, "the insert over the wire did not land it all"
    return 1 / (1 / read + 1 / insert)


def _in_this_process(made: Ground) -> float:
    """The same by the sandbox's own engines."""
    began = time.monotonic()
    rows = _read(made)
    read = _tell("read in this process", made.changes, time.monotonic() - began)
    with _empty_server(made) as server:
        began = time.monotonic()
        inserted = _insert(server, rows)
        insert = _tell("insert in this process", made.changes, time.monotonic() - began)
    assert inserted == made.changes, "the bare insert did not take it all"
    return 1 / (1 / read + 1 / insert)


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
    """All changes with every column, by landing database."""
    homes = _homes(made)
    found: Rows = defaultdict(list)
    for batch in made.table.change_reader(*made.versions):
        rows = pa.table(batch).filter(pc.not_equal(batch["_change_type"], "update_preimage"))
        columns = [rows[name].to_pylist() for name in (*_KEYS.values(), *_SAME)]
        requests = [json.dumps(request) for request in rows["sipreq"].to_pylist()]
        for company, request, *values in zip(rows["info_companyid"].to_pylist(), requests, *columns, strict=True):
            found[homes[company]].append((*values, request, 0, 0))
    return found


def _read_by_statements(made: Ground, first: int, last: int) -> Rows:
    """The same of some versions as the warehouse gives them, a version a statement, as its answers hold no more."""
    homes = _homes(made)
    found: Rows = defaultdict(list)
    services = open_environment(made.environment, deadline=_DEADLINE)
    try:
        for version in range(first, last + 1):
            changes = f"table_changes('{made.environment.databricks.table}', {version}, {version})"
            for row in services.databricks.query(f"SELECT * FROM {changes} WHERE _change_type <> 'update_preimage'"):
                values = (*(row[name] for name in _KEYS.values()), *(row[name] for name in _SAME))
                found[homes[row["info_companyid"]]].append((*values, json.dumps(row["sipreq"]), 0, 0))
    finally:
        services.close()
    return found


def _insert_by_odbc(made: Ground, rows: Rows) -> None:
    """Insert with arrays of parameters, the fastest way that the sandbox has over its wire."""
    services = open_environment(made.environment, deadline=_DEADLINE)
    try:
        token = services.credential.token(azuresql.SCOPE).token
    finally:
        services.close()
    driver, sql = find("odbc"), made.environment.sql
    assert isinstance(driver, OdbcDriver)
    statement = f"INSERT INTO lpm.tdr ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    for database, found in rows.items():
        target = Target(sql.server, sql.port, database, token=token, trust_server_certificate=True)
        with closing(
            pyodbc.connect(driver.connection_string(target), attrs_before={_TOKEN: packed_token(token)})
        ) as session:
            cursor = session.cursor()
            cursor.fast_executemany = True
            cursor.executemany(statement, [_without_zone(row) for row in found])
            session.commit()


def _without_zone(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in row)


def _homes(made: Ground) -> dict[str, str]:
    rows = Ledger(made.environment).rows(
        made.environment.sql.control_database, "SELECT company_id, database_name FROM lpmops.route"
    )
    return {row["company_id"]: row["database_name"] for row in rows}


@contextmanager
def _empty_server(made: Ground) -> Iterator[SqlServer]:
    """Another server with the same landing tables, empty."""
    (plan,) = (each for each in deployment.read(made.folder / "deployment.json").environments if each.name == NAME)
    with tempfile.TemporaryDirectory(prefix="lpmops-bare-") as folder:
        server = SqlServer(Path(folder), Clock(), connections=CONNECTIONS + len(plan.databases))
        for name in plan.databases:
            database = server.create_database(name)
            for statement in plan.landing_statements:
                database.execute(statement, {})
        try:
            yield server
        finally:
            server.close()


def _insert(server: SqlServer, rows: Rows) -> int:
    """Load everything in the batches that the job writes too; how many rows were added."""
    return sum(
        server.database(database).bulk_insert("lpm.tdr", _COLUMNS, found[start : start + _BATCH])
        for database, found in rows.items()
        for start in range(0, len(found), _BATCH)
    )


def _tell(what: str, changes: int, seconds: float) -> float:
    print(f"{what:34} {seconds:7.1f} s   {changes / seconds:9,.0f} changes a second", flush=True)
    return changes / seconds

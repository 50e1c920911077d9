"""How fast a replay is beside a bare read of the same change feed and a bare bulk insert, in one run. Promise: half of the two together.

The bare read takes every column of the changes from the table's files into rows, the bare insert loads them into the same landing tables of another
server, in this process, with no wire, no hub and no query between. The replay is `lpmops replay run` as a process, from its start until the last
row has landed and is proven. Job, hub and Stream Analytics are the sandbox's own stand-ins, and its cluster is there in a second: what is measured is
the way that lpmops takes through them, not a cluster. `--changes N` takes another size.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lpmops.model import parse_time
from lpmops.sandbox import deployment
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.environment import CONNECTIONS
from lpmops.sandbox.sql import SqlServer
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
        began = time.monotonic()
        rows = _read(made)
        read = _tell("bare read of the change feed", made.changes, time.monotonic() - began)
        with _empty_server(made) as server:
            began = time.monotonic()
            inserted = _insert(server, rows)
            insert = _tell("bare bulk insert", made.changes, time.monotonic() - began)
        assert inserted == made.changes, "the bare insert did not take it all"
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
    names = (*_KEYS, *_SAME, "sipreq", "hub_partition", "hub_sequence")
    return sum(
        server.database(database).bulk_insert("lpm.tdr", names, found[start : start + _BATCH])
        for database, found in rows.items()
        for start in range(0, len(found), _BATCH)
    )


def _tell(what: str, changes: int, seconds: float) -> float:
    print(f"{what:34} {seconds:7.1f} s   {changes / seconds:9,.0f} changes a second", flush=True)
    return seconds

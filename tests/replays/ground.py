"""A sandbox over a source table of any size: the ground on which replays and reconciliations are tried.

`laid` makes the sandbox's folder as an hour of life would have left it, without waiting for that hour: the table's commits stand in the past, and
how far the stream and the landing tables are with them is chosen. What then runs is the sandbox's own process and the real `lpmops`. `Ground.landed`
reads the files of the databases, so that neither lpmops nor the sandbox's SQL has a say in what is found.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.compute as pc

from lpmops import config_reader
from lpmops.cli import sandbox_client
from lpmops.cli.sandbox_setup import Wish, prepare
from lpmops.config import Environment
from lpmops.sandbox import deployment
from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.identity import TokenAuthority
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.environment import PARTITIONS, SandboxEnvironment
from lpmops.sandbox.hub_provider import Namespaces
from lpmops.sandbox.lake.checkpoint import Checkpoint, SourceOffset
from lpmops.sandbox.lake.recent import RecentFiles
from lpmops.sandbox.lake.records import CallRecords, companies_of
from lpmops.sandbox.lake.schema import IN_PROGRESS, RECORD_SCHEMA
from lpmops.sandbox.lake.table import ChangeTable
from tests.sandboxes import free_ports
from tests.stories.ledger import Ledger
from tests.stories.machine import Machine, wait_until

NAME = "prod"
# How an hour of commits is spread: the newest is old enough to be judged, the oldest younger than the files are kept.
_BEGAN, _ENDED = timedelta(minutes=50), timedelta(minutes=5)
# A namespace of 40 throughput units, so that the hub is not what is measured.
_UNITS_RATE = 16_000.0
_KEPT = {"delta.deletedFileRetentionDuration": "interval 30 days", "delta.logRetentionDuration": "interval 30 days"}
# What of a landed row comes from the record and its commit; the rest tells of its way, which differs from run to run.
_OF_THE_WAY = frozenset({"sent_at", "enqueued_at", "hub_partition", "hub_sequence", "replay_id", "landed_at"})
# Columns of a landing table by the name that a column of the change feed has, those that are called the same, and those of the way.
_NAMES = {
    "company_id": "info_companyid",
    "record_id": "tdr_id",
    "commit_version": "_commit_version",
    "change_type": "_change_type",
    "commit_timestamp": "_commit_timestamp",
}
_SAME = (
    "call_id", "call_started_at", "call_answered_at", "call_ended_at", "disposition", "duration_seconds", "trunk", "queue", "caller_number",
)  # fmt: skip
_WAY = ("sent_at", "enqueued_at", "hub_partition", "hub_sequence")
_ONE_OF_A_KEY = "company_id, record_id, commit_version, change_type"

# company, record, commit version, change type
Key = tuple[str, str, int, str]
# commit version, database, a hash of the row without what tells of its way
Row = tuple[int, str, int]


class Stand(Enum):
    """How far the changes laid have come."""

    WAITING = "the stream sends them as soon as it runs"
    SKIPPED = "the stream is past them, and none has landed"
    LANDED = "each has landed once"


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is: changes in the table, in commits of so many, of so many companies over so many databases. `rate` flows live in prod."""

    changes: int
    a_commit: int
    companies: int = 8
    databases: int = 2
    rate: float = 5.0

    @property
    def wish(self) -> Wish:
        """The same for the sandbox, on free ports."""
        return Wish(port=free_ports(), companies=self.companies, databases=self.databases, rate=self.rate)


@dataclass(frozen=True, slots=True)
class Ground:
    """A sandbox that runs, its prod, and the `versions` (first, last) that were laid, of so many `changes`, at most `largest` in a commit."""

    machine: Machine
    environment: Environment
    folder: Path
    versions: tuple[int, int]
    changes: int
    largest: int

    @property
    def table(self) -> ChangeTable:
        """Another handle on the source table."""
        return ChangeTable(_table_folder(self.folder), self.environment.databricks.table, Clock())

    @property
    def companies(self) -> list[str]:
        """The companies of the changes that were laid, the one with the most of them first."""
        return [company for company, _ in Counter(key[0] for key in self.source()).most_common()]

    def latest(self) -> int:
        """The newest version of the table, those that flow live among them."""
        return self.table.latest_version()

    def source(self, first: int | None = None, last: int | None = None) -> Counter[Key]:
        """The keys of the changes of some versions as the table's files have them; of the versions laid unless others are named."""
        begin, end = self.versions[0] if first is None else first, self.versions[1] if last is None else last
        found: Counter[Key] = Counter()
        names = ["info_companyid", "tdr_id"]
        for batch in self.table.change_reader(begin, end, names):
            sent = pa.table(batch).filter(pc.not_equal(batch["_change_type"], "update_preimage"))
            columns = (*names, "_commit_version", "_change_type")
            found.update(zip(*(sent[name].to_pylist() for name in columns), strict=True))
        return found

    def landed(self) -> Counter[Row]:
        """What landed of the versions laid, as a multiset."""
        return Counter((row[2], database, hash(row)) for database, row in self._rows("*", None, None))

    def landed_keys(self, first: int | None = None, last: int | None = None) -> Counter[Key]:
        """The same as keys."""
        rows = self._rows(_ONE_OF_A_KEY, first, last)
        return Counter(
            (str(company), str(record), int(str(version)), str(kind)) for _, (company, record, version, kind) in rows
        )

    def count(self) -> int:
        """How many rows landed of the versions laid."""
        return sum(int(row[0]) for _, row in self._rows("COUNT(*)", None, None))

    def empty(self, first: int, last: int) -> None:
        """Take all that landed of these versions out of the landing tables, as somebody with a SQL client would."""
        for database in self.environment.sql.databases:
            Ledger(self.environment).rows(
                database, f"DELETE FROM lpm.tdr WHERE commit_version BETWEEN {first} AND {last}"
            )

    def settle(self, seconds: float) -> None:
        """Wait until all that the hub holds by now is written: until something that flows live has landed from each partition since."""
        since = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
        wanted = set(range(PARTITIONS))

        def is_through() -> bool:
            text = 'SELECT DISTINCT hub_partition AS place FROM "lpm.tdr" WHERE enqueued_at > ? AND commit_version > ?'
            return {int(row[0]) for _, row in self._read(text, (since, self.versions[1]))} >= wanted

        wait_until(is_through, "what the hub held has been written", seconds)

    def _rows(self, columns: str, first: int | None, last: int | None) -> Iterator[tuple[str, Any]]:
        bounds = (self.versions[0] if first is None else first, self.versions[1] if last is None else last)
        return self._read(f'SELECT {columns} FROM "lpm.tdr" WHERE commit_version BETWEEN ? AND ?', bounds)

    def _read(self, text: str, parameters: tuple[object, ...]) -> Iterator[tuple[str, Any]]:
        """Rows of all landing tables with their database, without what tells of their way, in a column that is named."""
        for database in self.environment.sql.databases:
            (path,) = (self.folder / NAME / "sql").glob(f"*-{database}.sqlite")
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30.0)) as file:
                rows = file.execute(text, parameters)
                kept = [at for at, column in enumerate(rows.description) if column[0] not in _OF_THE_WAY]
                for row in rows:
                    yield database, tuple(row[at] for at in kept)


@contextmanager
def ground(size: Size, stand: Stand = Stand.WAITING) -> Iterator[Ground]:
    """Lay a table and run a sandbox over it; both are gone with the block."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lpmops-replays-")))
        places = {"LPMOPS_SANDBOX_DIR": str(home / "sandbox"), "LPMOPS_STATE_DIR": str(home / "state")}
        stack.enter_context(mock.patch.dict(os.environ, places))
        wish = size.wish
        versions, changes = laid(home / "sandbox", wish, size, stand)
        running, _ = sandbox_client.start(wish)
        stack.callback(sandbox_client.stop, running)
        config = running.folder / "lpmops.toml"
        environment = config_reader.read(config).environments[NAME]
        machine = Machine.at(home, config)
        yield Ground(machine, environment, running.folder, versions, changes, size.a_commit)


def laid(folder: Path, wish: Wish, size: Size, stand: Stand) -> tuple[tuple[int, int], int]:
    """Make the folder of a sandbox that was deployed an hour ago and whose table has been written since; the versions and how many changes."""
    prepare(folder, wish)
    plan = deployment.read(folder / "deployment.json")
    (mine,) = (each for each in plan.environments if each.name == NAME)
    with _hour_ago(folder, plan, replace(mine, rate=_UNITS_RATE)) as (environment, account, clock):
        environment.deploy_data()
        environment.deploy_services(account)
        environment.table.set_properties(_KEPT)
        versions, changes = _write(
            environment.table, CallRecords(wish.seed, companies_of(wish.companies, wish.seed)), clock, size
        )
        if stand is not Stand.WAITING:
            checkpoint = Checkpoint(folder / NAME / "volumes" / mine.checkpoint.removeprefix("/Volumes/"))
            checkpoint.plan(0, SourceOffset(environment.table.table_id, versions[1] + 1), int(clock.time() * 1000))
            checkpoint.commit(0)
        if stand is Stand.LANDED:
            _land(environment, versions)
    return versions, changes


@contextmanager
def _hour_ago(
    folder: Path, plan: deployment.Deployment, mine: deployment.Environment
) -> Iterator[tuple[SandboxEnvironment, Account, Clock]]:
    """One environment of a sandbox in this process, on a clock that is behind and goes on when it is told to."""
    clock = Clock(start=Clock().time() - _BEGAN.total_seconds())
    companies = companies_of(plan.companies, plan.seed)
    namespaces = Namespaces(folder / "namespaces", clock)
    authority = TokenAuthority(clock, plan.tenant_id, b"0" * 32)
    environment = SandboxEnvironment(
        mine, folder / NAME, clock, companies, plan.seed, namespaces, authority, lambda count: companies_of(count, plan.seed)
    )  # fmt: skip
    account = Account(
        clock=clock, authority=authority, folder=folder / "account", hubs=namespaces,
        runtimes=lambda key: environment.runtime(key, lambda _, __: None),
    )  # fmt: skip
    try:
        environment.join(account)
        yield environment, account, clock
    finally:
        account.close()
        environment.close()
        namespaces.close()


def _write(table: ChangeTable, source: CallRecords, clock: Clock, size: Size) -> tuple[tuple[int, int], int]:
    """Commit the changes, evenly over the time that there is; then end the calls that go on, as nobody is there to end them."""
    commits = max(2, -(-size.changes // size.a_commit))
    step = (_BEGAN - _ENDED).total_seconds() / commits
    recent = RecentFiles(table)
    none = RECORD_SCHEMA.empty_table()
    going: dict[str, pa.Table] = {}
    made, first, last = 0, 0, 0
    while made < size.changes:
        batch = source.next_changes(min(size.a_commit, size.changes - made), clock.now())
        last = recent.commit(batch.inserts, batch.updates, batch.deletes)
        first, made = first or last, made + len(batch)
        _follow(going, batch.inserts, batch.updates, batch.deletes)
        clock.advance(step)
    if going:
        last = recent.commit(none, source.close(pa.concat_tables(list(going.values())), clock.now()), none)
        made += len(going)
    return (first, last), made


def _land(environment: SandboxEnvironment, versions: tuple[int, int]) -> None:
    """Put each change into the landing table of its company; what came in the SIP request is left out."""
    now = datetime.now(UTC)
    homes = pa.array([environment.database_of(company) for company in environment.callers])
    callers = pa.array(environment.callers)
    place = 0
    for batch in environment.table.change_reader(*versions):
        rows = pa.table(batch).filter(pc.not_equal(batch["_change_type"], "update_preimage"))
        columns = [rows[name].to_pylist() for name in (*_NAMES.values(), *_SAME)]
        databases = homes.take(pc.index_in(rows["info_companyid"], callers)).to_pylist()
        landed: dict[str, list[tuple[object, ...]]] = {}
        for database, *values in zip(databases, *columns, strict=True):
            place += 1
            landed.setdefault(database, []).append((*values, now, now, 0, place))
        for database, found in landed.items():
            environment.sql.database(database).bulk_insert("lpm.tdr", (*_NAMES, *_SAME, *_WAY), found)


def _follow(going: dict[str, pa.Table], inserts: pa.Table, updates: pa.Table, deletes: pa.Table) -> None:
    """Keep the calls that have not ended, by id."""
    for rows in (inserts, updates):
        for at, (record, disposition) in enumerate(
            zip(rows["tdr_id"].to_pylist(), rows["disposition"].to_pylist(), strict=True)
        ):
            going.pop(record, None)
            if disposition == IN_PROGRESS:
                going[record] = rows.slice(at, 1)
    for record in deletes["tdr_id"].to_pylist():
        going.pop(record, None)


def _table_folder(folder: Path) -> Path:
    return folder / NAME / "lake" / "tdr_streaming"

"""A pretend cloud that outlives the process which changes it: jobs and a table in a SQLite file, the control database in the sandbox's SQL engine.

Its acts are not idempotent and each is written down, so that a test can count what was really done. `trouble` is called around every call with the
place ("before" or "after") and the verb, and may raise, kill or wait: that is how faults and kills are put exactly where they hurt. It holds no rule
of lpmops.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lpmops import resources
from lpmops.config import Config, Databricks, Environment, EventHub, Monitor, Refresh, Routing, Sql, StreamAnalytics
from lpmops.errors import (
    BadAnswerError,
    ConflictError,
    DeadlineError,
    PreconditionError,
    ServiceNotFoundError,
    StatementError,
    UnreadableChangesError,
)
from lpmops.model import (
    Commit,
    Credential,
    FeedState,
    HubState,
    JobPart,
    Kind,
    MetricPoint,
    MetricSeries,
    NamespaceState,
    PartitionState,
    Receipt,
    ReplayProgress,
    ReplayRun,
    StreamingJob,
    StreamJob,
    StreamProgress,
    StreamRun,
    TableDefinition,
    parse_time,
    to_data,
)
from lpmops.routing import job as definitions
from lpmops.routing.query import Share
from lpmops.routing.schema import control_statements, landing_statements
from lpmops.routing.source import SourceColumn
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql import Database, SqlServer
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.types import CASE_INSENSITIVE
from lpmops.services.changes import Tally
from lpmops.services.sqltext import without_comments
from lpmops.versions import Versions
from tests.actions import cloud_access
from tests.actions.arm import PRINCIPAL, Arm

TENANT = "00000000-0000-4000-8000-0000000000aa"
SENDER = "00000000-0000-4000-8000-0000000000e2"
CUSTOMER = "00000000-0000-4000-8000-000000000055"
WORKSPACE = "/subscriptions/00000000-0000-4000-8000-000000000003/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/log"
JOB = "asa-lpm-tdr-prod-01"
CONTROL = "lpm-control"
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
Trouble = Callable[[str, str], None]
# The tables of the control database that operators change, with the column that names a row.
TABLES = {"lpmops.route": "company_id", "lpmops.pause": "target", "lpmops.company_database": "database_name"}
_A_ROW = """INSERT INTO lpm.tdr (company_id, record_id, commit_version, change_type, commit_timestamp, sent_at, enqueued_at, hub_partition,
    hub_sequence, landed_at) VALUES (@company, @record, @version, 'insert', '2030-01-01', '2030-01-01', '2030-01-01', 0, @version, '2030-01-01')"""
# What is written around an act and is none.
_BESIDE = ("lock_", "freeze_", "audit_", "control_")


def environment(name: str = "prod", kind: Kind = Kind.PROD) -> Environment:
    return Environment(
        name=name,
        kind=kind,
        tenant_id=TENANT,
        subscription_id="00000000-0000-4000-8000-000000000003",
        resource_group=f"rg-lpm-tdr-{name}",
        databricks=Databricks(
            "https://dbx.example",
            "0123456789abcdef",
            "lpm.gold.tdr_streaming",
            "job",
            "/Volumes/l/o/t",
            "1003",
            sign_in="service-credential:hub",
            operators="lpm-operators",
        ),
        eventhub=EventHub(f"evhns-lpm-tdr-{name}", "tdr", senders=(f"service:{SENDER}",)),
        streamanalytics=StreamAnalytics(f"asa-lpm-tdr-{name}-", "westeurope"),
        sql=Sql("sql.example", ("lpm-01",), CONTROL, server_name=f"sql-lpm-{name}"),
        monitor=Monitor(CUSTOMER),
    )


def config(place: Environment) -> Config:
    return Config({place.name: place}, refresh=Refresh(deadline=1.0))


def by_strategy(place: Environment, strategy: str) -> Environment:
    """The same environment with another way to say where a company lands."""
    return replace(place, streamanalytics=replace(place.streamanalytics, strategy=strategy))


def quiet(place: str, verb: str) -> None:
    """No trouble."""


def never(verb: str) -> bool:
    """Every effect is there when its answer is."""
    return False


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was really done."""

    verb: str
    target: str


# A world just made, file by file, for each environment: making one anew takes longer than most of what is done in it.
_FURNISHED: dict[str, dict[Path, bytes]] = {}
_UNDER_WAY: set[Path] = set()


def _copy_furnished(folder: Path, place: Environment) -> None:
    """Put the files of a world that was just made into a folder."""
    if (key := repr(place)) not in _FURNISHED:
        with tempfile.TemporaryDirectory(prefix="lpmops-test-") as made:
            origin = Path(made)
            _UNDER_WAY.add(origin)
            Cloud(origin, place).close()
            _UNDER_WAY.remove(origin)
            files = [path for path in origin.rglob("*") if path.is_file()]
            _FURNISHED[key] = {path.relative_to(origin): path.read_bytes() for path in files}
    for name, content in _FURNISHED[key].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


class Cloud:
    """One environment's services, as the desk is given them. `ahead` sets the SQL server's clock forward, in seconds."""

    def __init__(
        self, folder: Path, place: Environment | None = None, *, trouble: Trouble = quiet, ahead: float = 0.0
    ) -> None:
        self._strategy = folder / "strategy"
        self.environment, self.trouble = place or environment(), trouble
        if place is None and self._strategy.exists():
            self.environment = by_strategy(self.environment, self._strategy.read_text(encoding="utf-8"))
        # Whose effect lands only when `land` is called, and whose answer is lost.
        self.late: Callable[[str], bool] = never
        if not (folder / "cloud.db").exists() and folder not in _UNDER_WAY:
            _copy_furnished(folder, self.environment)
        self._sql = SqlServer(folder / "sql", Clock(start=time.time() + ahead), name=self.environment.sql.server_name)
        self._file, self._local = folder / "cloud.db", threading.local()
        self._connections: list[sqlite3.Connection] = []
        self.tenant, self.workspace = TENANT, "1003"
        if not self._file.exists():
            self._furnish()

    def _furnish(self) -> None:
        self._sql.create_database(CONTROL)
        for statement in control_statements():
            self._sql.database(CONTROL).execute(statement, {})
        self._sql.create_database("lpm-01")
        for statement in landing_statements((), Routing()):
            self._sql.database("lpm-01").execute(statement, {})
        self._sql.database(CONTROL).execute(
            "INSERT INTO lpmops.route (company_id, company, database_name, changed_by) VALUES ('1001', 'Acme', 'lpm-01', 'x')",
            {},
        )
        with self._open() as db:
            db.execute("CREATE TABLE thing (name TEXT PRIMARY KEY, body TEXT)")
            db.execute("CREATE TABLE act (n INTEGER PRIMARY KEY, verb TEXT, target TEXT)")
            db.execute("CREATE TABLE late (n INTEGER PRIMARY KEY, verb TEXT, target TEXT, thing TEXT, body TEXT)")
        place = f"/subscriptions/{self.environment.subscription_id}/streamingjobs/{JOB}"
        self.put(
            JOB,
            resource_id=place,
            state="Running",
            mode="JobStartTime",
            started_at=to_data(START - timedelta(days=1)),
            last_output_at=to_data(START),
            principal=PRINCIPAL,
            location="West Europe",
            **_asked_for(self.environment),
        )
        self.put("feed", kind="off", versions=7, first=None, oldest=0, writer=2, features=[], mapping="none")
        self.put("feed", table_id="t-1", type="MANAGED", format="DELTA", columns=["tdr_id", "info_companyid"])
        self.put("stream", job_id="77", gone=False, continuous=True, paused=False, retry="ON_FAILURE", concurrent=1)
        self.put("stream", run_id=41, state="running", message="", tokens={}, table_id="t-1", version=6)
        self.put("stream", tasks=[{"task_key": "stream", "existing_cluster_id": "c-1"}], permissions={}, others=[])
        self.put("volume", files={})
        self.put("access", privileges=cloud_access.given())
        self.put("hub", retention=604_800.0, begin=0, end=500, after=400)
        self.put("workspace", **{CUSTOMER: WORKSPACE})

    @contextmanager
    def _open(self) -> Any:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = sqlite3.connect(self._file, timeout=30, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA synchronous=OFF")
            self._connections.append(db)
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        finally:
            db.execute("COMMIT")

    # The world as a test sees and changes it

    def put(self, thing: str, **values: Any) -> None:
        """Change some of a thing, as somebody with the portal open would. Of a table the values are rows by key, None for one that goes."""
        if thing in TABLES:
            for key, row in values.items():
                self._put_row(thing, key, row)
            return
        with self._open() as db:
            found = db.execute("SELECT body FROM thing WHERE name = ?", (thing,)).fetchone()
            body = {**(json.loads(found[0]) if found else {}), **values}
            db.execute("INSERT OR REPLACE INTO thing VALUES (?, ?)", (thing, json.dumps(body)))

    def _put_row(self, table: str, key: str, row: Mapping[str, Any] | None) -> None:
        values = {f"p{n}": _moment(value) for n, value in enumerate((row or {}).values())}
        names = f"({', '.join(row or {})}) VALUES ({', '.join(f'@{name}' for name in values)})"
        text = f"DELETE FROM {table} WHERE {TABLES[table]} = @key" + (f"; INSERT INTO {table} {names}" if row else "")
        self._sql.database(CONTROL).execute(text, {**values, "key": key})

    def get(self, thing: str) -> dict[str, Any]:
        """A thing as it is, or the rows of a table by key."""
        if thing in TABLES:
            (shown,) = self._sql.database(CONTROL).execute(f"SELECT * FROM {thing} ORDER BY {TABLES[thing]}", {})
            names = [column.name for column in shown.columns]
            rows = [dict(zip(names, map(to_data, map(_aware, row)), strict=True)) for row in shown.rows]
            return {str(row[TABLES[thing]]): row for row in rows}
        with self._open() as db:
            found = db.execute("SELECT body FROM thing WHERE name = ?", (thing,)).fetchone()
        return dict(json.loads(found[0])) if found else {}

    def things(self) -> dict[str, dict[str, Any]]:
        """Every thing as it is, and the tables that operators change."""
        with self._open() as db:
            found = {name: json.loads(body) for name, body in db.execute("SELECT name, body FROM thing")}
        return {**found, **{table: self.get(table) for table in TABLES}}

    def restore(self, things: Mapping[str, Mapping[str, Any]]) -> None:
        """Let the things be as they were."""
        with self._open() as db:
            db.execute("DELETE FROM thing")
            rows = [(name, json.dumps(body)) for name, body in things.items() if name not in TABLES]
            db.executemany("INSERT INTO thing VALUES (?, ?)", rows)
        for table in TABLES:
            if (now := self.get(table)) != things[table]:
                self.put(table, **{**dict.fromkeys(now), **things[table]})

    def names(self, prefix: str) -> list[str]:
        """The things whose name begins so."""
        with self._open() as db:
            rows = db.execute(
                "SELECT name FROM thing WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix)
            )
            return [str(row[0]) for row in rows]

    def remove(self, thing: str) -> None:
        """Take a thing away."""
        with self._open() as db:
            db.execute("DELETE FROM thing WHERE name = ?", (thing,))

    def note(self, verb: str, target: str) -> None:
        """Count what was done."""
        with self._open() as db:
            db.execute("INSERT INTO act (verb, target) VALUES (?, ?)", (verb, target))

    def acts(self) -> Counter[Act]:
        """What was really done, how often."""
        with self._open() as db:
            return Counter(Act(*row) for row in db.execute("SELECT verb, target FROM act"))

    def forget(self) -> None:
        """Count from here on."""
        with self._open() as db:
            db.execute("DELETE FROM act")

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Rows of the control database."""
        return [tuple(row) for row in self._sql.database(CONTROL).execute(text, {})[-1].rows]

    def postpone(self, verb: str, target: str, thing: str = "", /, **values: Any) -> None:
        """Let an effect land only when `land` is called."""
        with self._open() as db:
            values_now = (verb, target, thing, json.dumps(values))
            db.execute("INSERT INTO late (verb, target, thing, body) VALUES (?, ?, ?, ?)", values_now)

    def land(self) -> None:
        """Let every postponed effect land."""
        self.late = never
        with self._open() as db:
            rows = db.execute("SELECT verb, target, thing, body FROM late").fetchall()
            db.execute("DELETE FROM late")
        for verb, target, thing, body in rows:
            self.did(verb, target, thing, **json.loads(body))

    def did(self, verb: str, target: str, thing: str = "", /, **values: Any) -> None:
        """Do it, and count that it was done to `target`; `thing` is what changes, where that has another name."""
        if self.late(verb):
            self.postpone(verb, target, thing, **values)
            raise DeadlineError("The answer did not come.", service="test")
        self.note(verb, target)
        self.put(thing or target, **values)

    # What the desk is given

    @property
    def credential(self) -> Cloud:
        return self

    @property
    def sql(self) -> Cloud:
        return self

    @property
    def streamanalytics(self) -> Cloud:
        return self

    @property
    def databricks(self) -> Cloud:
        return self

    @property
    def eventhubs(self) -> Cloud:
        return self

    @property
    def replays(self) -> Replays:
        return Replays(self)

    @property
    def changes(self) -> Cloud:
        return self

    @property
    def monitor(self) -> Cloud:
        return self

    @property
    def resources(self) -> Arm:
        return Arm(self)

    @property
    def unity(self) -> Any:
        return cloud_access.Rooms(self).unity

    @property
    def authorization(self) -> Any:
        return cloud_access.Rooms(self).authorization

    def close(self) -> None:
        self._sql.close()
        for connection in self._connections:
            connection.close()

    def state(self) -> Credential:
        return Credential("ok", "ops@lpm.example")

    def secret(self, reference: str) -> str:
        self.trouble("before", "secret")
        return str(self.get("secrets")[reference])

    def tenant_id(self) -> str | None:
        self.trouble("before", "tenant")
        return self.tenant

    def workspace_id(self) -> str | None:
        self.trouble("before", "workspace")
        return self.workspace

    def rows(self, database: str, query_name: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        return self.run(database, query_name, resources.query(f"tsql/{query_name}.sql"), parameters)

    def run(self, database: str, query_name: str, text: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        self.trouble("before", query_name)
        text = without_comments(text)
        values = {f"p{number}": _naive(value) for number, value in enumerate(parameters)}
        try:
            results = self._sql.database(database).execute(_named(text), values)
        except SqlError as error:
            raise StatementError(str(error), service="azuresql", status=error.number) from error
        if not text.upper().startswith(("SELECT", "WITH")):
            shows = "OUTPUT" in text.upper()
            if not query_name.startswith(_BESIDE) and (not shows or any(result.rows for result in results)):
                self.note(query_name, _target(text, parameters) if parameters else database)
            self.trouble("after", query_name)
        shown = next((result for result in results if result.columns), None)
        if shown is None:
            return []
        names = [column.name for column in shown.columns]
        return [{name: _aware(value) for name, value in zip(names, row, strict=True)} for row in shown.rows]

    def execute(self, database: str, title: str, statement: str) -> None:
        verb = title if title.startswith("grant_") else "execute"
        self.trouble("before", verb)
        try:
            self.statement(database, statement)
        except SqlError as error:
            raise StatementError(str(error), service="azuresql", status=error.number) from error
        # Whom a grant is about stands last in it; what is made has the name of the title.
        self.note(verb, title if verb == "execute" else re.findall(r"\[([^]]+)\]", statement)[-1])
        self.trouble("after", verb)

    def statement(self, database: str, text: str) -> None:
        """Run one, as somebody with an editor would."""
        self._sql.database(database).execute(text, {})

    def make_database(self, name: str, collation: str = CASE_INSENSITIVE) -> None:
        """An empty database."""
        self._sql.create_database(name, collation=collation)

    def database(self, name: str) -> Database:
        """A database of the server."""
        return self._sql.database(name)

    def add_output(self, name: str) -> None:
        """A second company database, with its landing table, that the job writes and everybody knows of."""
        self.make_database(name)
        for statement in landing_statements((), Routing()):
            self._sql.database(name).execute(statement, {})
        self.statement(CONTROL, f"INSERT INTO lpmops.company_database (database_name, added_by) VALUES ('{name}', 'x')")
        made = definitions.wished(config(self.environment), self.environment, ["lpm-01", name], "asa-01")
        self.put(JOB, query=made.query, outputs=made.outputs)

    def route_by(self, strategy: str) -> None:
        """From now on lpmops.toml asks for this strategy, of whoever opens this world too, and the job is as that asks for."""
        self._strategy.write_text(strategy, encoding="utf-8")
        self.environment = by_strategy(self.environment, strategy)
        written = [name for name in self.get(JOB)["outputs"] if name.startswith("lpm-")]
        rows = self.query("SELECT company_id, database_name FROM lpmops.route WHERE state = 'active'")
        companies = {name: [company for company, database in rows if database == name] for name in written}
        share = Share(tuple(written), control=True, companies=companies if strategy == "query" else None)
        self.put(JOB, **_as_asked_for(definitions.wished(config(self.environment), self.environment, share, "asa-01")))

    def land_rows(self, name: str, *rows: tuple[str, str]) -> None:
        """A row of each (company, record) in a landing table."""
        for version, (company, record) in enumerate(rows, 1):
            # From a later day than any request of a test.
            self._sql.database(name).execute(_A_ROW, {"company": company, "record": record, "version": version})

    def landed(self, database: str) -> list[tuple[Any, ...]]:
        """The keys of the rows of a landing table."""
        text = "SELECT company_id, record_id, commit_version FROM lpm.tdr ORDER BY company_id, record_id"
        return [tuple(row) for row in self._sql.database(database).execute(text, {})[-1].rows]

    def company_arrivals(self, key: str, limit: int = 10_000) -> dict[str, float]:
        self.trouble("before", "company_arrivals")
        return {"1001": 900.0, "1007": 40.0, "1008": 30.0}

    def company_records(self, key: str, company_ids: Sequence[str], key_type: str = "string") -> dict[str, int]:
        self.trouble("before", "company_records")
        return {company_id: 5 for company_id in company_ids if company_id == "1009"}

    def test_output(self, job: str, name: str, properties: Mapping[str, Any]) -> str:
        self.trouble("before", "test_output")
        return str(self.get(JOB).get("unreachable", ""))

    def jobs(self) -> tuple[StreamingJob, ...]:
        return tuple(self.job(name) for name in self.names(self.environment.streamanalytics.job_prefix))

    def job(self, name: str) -> StreamingJob:
        self.trouble("before", "job")
        held = self.get(name)
        if not held:
            raise ServiceNotFoundError(f"no job {name}", service="streamanalytics", status=404)
        ends = {
            "Stopping": "Stopped",
            "Starting": held.get("ends", "Running"),
            "Scaling": held.get("scaling", "Running"),
        }
        if held["state"] in ends:
            # What was ordered is done by the next look.
            self.put(name, state=ends[held["state"]])
        return StreamingJob(
            name=name,
            resource_id=held.get("resource_id", f"/subscriptions/another/streamingjobs/{name}"),
            state=held["state"],
            location=held.get("location", "West Europe"),
            streaming_units=held["streaming_units"],
            last_output_at=parse_time(held["last_output_at"]) if held["last_output_at"] else None,
            started_at=parse_time(held["started_at"]) if held["started_at"] else None,
            start_mode=held["mode"],
            query=held["query"],
            inputs=tuple(_part_of(part, values) for part, values in held["inputs"].items()),
            outputs=tuple(_part_of(part, values) for part, values in held["outputs"].items()),
            compatibility_level=held["settings"].get("compatibilityLevel"),
            output_error_policy=held["settings"].get("outputErrorPolicy"),
            etag=_etag(held["settings"]),
            settings=held["settings"],
            principal_id=held.get("principal"),
            tags=held.get("tags") or {},
        )

    def _part(self, job: str, collection: str, name: str) -> dict[str, Any] | None:
        held = self.get(job)
        if collection == "transformations":
            return {"query": held["query"], "streamingUnits": held["streaming_units"]}
        return dict(held[collection]).get(name)

    def part_etag(self, job: str, collection: str, name: str) -> str | None:
        self.trouble("before", "part_etag")
        part = self._part(job, collection, name)
        return None if part is None else _etag(part)

    def put_part(
        self, job: str, collection: str, name: str, properties: Mapping[str, Any], etag: str | None
    ) -> Receipt:
        verb = f"put_{collection}"
        self.trouble("before", verb)
        self._refuse_at_work(job)
        part = self._part(job, collection, name)
        if etag != (None if part is None else _etag(part)):
            raise PreconditionError("It was changed meanwhile.", service="streamanalytics", status=412)
        if collection == "transformations":
            changed: dict[str, Any] = {"query": properties["query"], "streaming_units": properties["streamingUnits"]}
        else:
            changed = {collection: {**self.get(job)[collection], name: dict(properties)}}
        self.did(verb, job, **changed)
        self.trouble("after", verb)
        return Receipt()

    def delete_part(self, job: str, collection: str, name: str) -> Receipt:
        verb = f"delete_{collection}"
        self.trouble("before", verb)
        self._refuse_at_work(job)
        held = self.get(job)[collection]
        if name in held:
            self.did(verb, job, **{collection: {key: value for key, value in held.items() if key != name}})
        self.trouble("after", verb)
        return Receipt()

    def change(self, name: str, settings: Mapping[str, Any], etag: str | None) -> Receipt:
        self.trouble("before", "change")
        self._refuse_at_work(name)
        held = self.get(name)["settings"]
        if etag != _etag(held):
            raise PreconditionError("It was changed meanwhile.", service="streamanalytics", status=412)
        self.did("change", name, settings={**held, **settings})
        self.trouble("after", "change")
        return Receipt()

    def scale(self, name: str, units: int) -> Receipt:
        self.trouble("before", "scale")
        state = self.get(name)["state"]
        self.did("scale", name, streaming_units=float(units), state="Scaling", scaling=state)
        self.trouble("after", "scale")
        return Receipt("request-3", "https://arm.example/operations/3")

    def _refuse_at_work(self, name: str) -> None:
        if self.get(name)["state"] not in ("Stopped", "Failed", "Created"):
            raise ConflictError("The job is not in a valid state.", service="streamanalytics", status=409)

    def stop(self, name: str) -> Receipt:
        self.trouble("before", "stop")
        if self.get(name)["state"] not in ("Running", "Degraded"):
            raise ConflictError("The job is not in a valid state.", service="streamanalytics", status=409)
        self.did("stop", name, state="Stopping")
        self.trouble("after", "stop")
        return Receipt("request-1", "https://arm.example/operations/1")

    def start(self, name: str, mode: str, at: datetime | None = None) -> Receipt:
        self.trouble("before", "start")
        held = self.get(name)
        if held["state"] not in ("Stopped", "Failed", "Created"):
            raise ConflictError("The job is not in a valid state.", service="streamanalytics", status=409)
        began = {"CustomTime": to_data(at), "LastOutputEventTime": held["last_output_at"]}.get(
            mode, to_data(datetime.now(UTC))
        )
        self.did("start", name, state="Starting", mode=mode, started_at=began)
        self.trouble("after", "start")
        return Receipt("request-2", "https://arm.example/operations/2")

    def failure(self, location: str) -> str | None:
        self.trouble("before", "failure")
        return self.get(JOB).get("failure")

    def columns(self) -> tuple[SourceColumn, ...]:
        self.trouble("before", "columns")
        names = ("tdr_id", "info_companyid", "disposition", "sipreq")
        return (*(SourceColumn(name, "string") for name in names), SourceColumn("duration_seconds", "double"))

    def feed(self) -> FeedState:
        self.trouble("before", "feed")
        held = self.get("feed")
        first = held["first"]
        return FeedState(
            kind=held["kind"],
            latest_version=held["versions"],
            latest_commit_at=START,
            table_id=held["table_id"],
            oldest_version=held["oldest"],
            first_version=first,
            first_commit_at=START if first is not None else None,
            retention=604_800.0,
            writer_version=held["writer"],
            features=tuple(held["features"]),
            properties={} if held["mapping"] == "none" else {"delta.columnMapping.mode": held["mapping"]},
        )

    def definition(self) -> TableDefinition:
        self.trouble("before", "definition")
        held = self.get("feed")
        return TableDefinition(held["type"], held["format"], tuple(held["columns"]))

    def enable_feed(self) -> Receipt:
        self.trouble("before", "enable")
        version = self.get("feed")["versions"] + 1
        self.did("enable", "feed", kind="delta", versions=version, first=version, writer=4)
        self.trouble("after", "enable")
        return Receipt()

    def stream_job(self) -> StreamJob | None:
        self.trouble("before", "stream_job")
        held = self.get("stream")
        if held["gone"]:
            return None
        moves = {"stopping": "stopped", "starting": "running"}
        before = None
        if held.get("loops"):
            # A crash loop: each look finds it one step on, and no run ever works.
            before = StreamRun(held["job_id"], "job", "failed", held["message"], str(held["run_id"] - 1))
            ended = held["state"] == "starting"
            self.put("stream", state="failed" if ended else "starting", run_id=held["run_id"] + (not ended))
        elif held["state"] in moves:
            # What was ordered is done by the next look.
            self.put("stream", state=moves[held["state"]])
        elif held["continuous"] and not held["paused"] and held["state"] in ("stopped", "failed"):
            self.put("stream", state="starting", run_id=held["run_id"] + 1)
        status = "PAUSED" if held["paused"] else "UNPAUSED"
        continuity = {"pause_status": status, "task_retry_mode": held["retry"]} if held["continuous"] else {}
        state = "paused" if held["paused"] and held["state"] == "stopped" else held["state"]
        job_id = held["job_id"]
        run = StreamRun(job_id, "job", state, held["message"], str(held["run_id"]), before=before)
        return StreamJob(job_id, "job", held["continuous"], held["paused"], run, continuity)

    def progress(self) -> StreamProgress | None:
        self.trouble("before", "progress")
        held = self.get("stream")
        if held.get("garbled"):
            raise BadAnswerError("The answer of files/tdr_stream.json is no JSON.", service="databricks")
        unreadable = tuple(held.get("unreadable", ()))
        return (
            None
            if held["version"] is None
            else StreamProgress(held["version"], held["table_id"], unreadable=unreadable)
        )

    def job_settings(self, job_id: str) -> dict[str, Any]:
        self.trouble("before", "job_settings")
        held = self.get("stream")
        continuity = {"continuous": {"pause_status": "PAUSED" if held["paused"] else "UNPAUSED"}}
        return {
            "tasks": held["tasks"],
            "max_concurrent_runs": held["concurrent"],
            **(continuity if held["continuous"] else {}),
        }

    def other_jobs(self, job_id: str) -> tuple[str, ...]:
        self.trouble("before", "other_jobs")
        return tuple(self.get("stream")["others"])

    def create_job(self, settings: Mapping[str, Any]) -> Receipt:
        self.trouble("before", "create_job")
        assert settings["continuous"]["pause_status"] == "PAUSED", "it would begin before all else is in place"
        concurrent = settings["max_concurrent_runs"]
        self.did("create_job", "stream", gone=False, tasks=settings["tasks"], concurrent=concurrent, continuous=True)
        self.trouble("after", "create_job")
        return Receipt()

    def update_job(self, job_id: str, settings: Mapping[str, Any]) -> Receipt:
        self.trouble("before", "update_job")
        changed: dict[str, Any] = {"tasks": settings["tasks"], "concurrent": settings["max_concurrent_runs"]}
        if "continuous" in settings:
            changed |= {"continuous": True, "paused": True}
        self.did("update_job", "stream", **changed)
        self.trouble("after", "update_job")
        return Receipt()

    def permissions(self, job_id: str) -> dict[str, str]:
        self.trouble("before", "permissions")
        return dict(self.get("stream")["permissions"])

    def permit(self, job_id: str, group: str, level: str) -> Receipt:
        self.trouble("before", "permit")
        self.did("permit", "stream", permissions={**self.get("stream")["permissions"], group: level})
        self.trouble("after", "permit")
        return Receipt()

    def file_hash(self, path: str) -> str | None:
        self.trouble("before", "file_hash")
        found = self.get("volume")["files"].get(path)
        return None if found is None else str(found)

    def put_file(self, path: str, content: bytes) -> Receipt:
        self.trouble("before", "put_file")
        files = {**self.get("volume")["files"], path: hashlib.sha256(content).hexdigest()}
        self.did("put_file", "volume", files=files)
        self.trouble("after", "put_file")
        return Receipt()

    def set_paused(self, job_id: str, continuity: Mapping[str, Any], paused: bool) -> Receipt:
        verb = "pause_job" if paused else "continue_job"
        self.trouble("before", verb)
        assert continuity["task_retry_mode"] == "ON_FAILURE", "the rest of the settings is lost"
        self.did(verb, "stream", paused=paused)
        self.trouble("after", verb)
        return Receipt()

    def cancel_run(self, run_id: str) -> Receipt:
        self.trouble("before", "cancel_run")
        if run_id == str(self.get("stream")["run_id"]) and self.get("stream")["state"] in ("running", "starting"):
            self.did("cancel_run", "stream", state="stopping")
        self.trouble("after", "cancel_run")
        return Receipt()

    def run_job(self, job_id: str, token: str) -> Receipt:
        self.trouble("before", "run_job")
        held = self.get("stream")
        if token not in held["tokens"]:
            number = held["run_id"] + 1
            self.did("run_job", "stream", run_id=number, state="starting", tokens={**held["tokens"], token: number})
        self.trouble("after", "run_job")
        return Receipt()

    def history(self, limit: int) -> list[Commit]:
        """One commit a minute, of ten rows each; `shapes` are the versions that changed the columns."""
        self.trouble("before", "history")
        held = self.get("feed")
        versions = range(held["versions"], max(held["oldest"] - 1, held["versions"] - limit), -1)
        return [
            Commit(
                version,
                START - timedelta(minutes=held["versions"] - version),
                "RENAME COLUMN" if version in held.get("shapes", ()) else "WRITE",
                None if version in held.get("shapes", ()) else 10,
            )
            for version in versions
        ]

    def counts(self, routing: Routing, versions: Versions) -> dict[str, Tally]:
        """Of each version nine changes of one company and one of another."""
        self.trouble("before", "counts")
        if versions.first < self.get("feed").get("vacuumed", 0):
            raise UnreadableChangesError(
                str(versions), "VACUUM has removed the files of their changes", error_class="DELTA_CHANGE_DATA_FILE_NOT_FOUND",
                remains="What remains is to load the table's current rows.", divisible=False,
            )  # fmt: skip
        return {"1001": Tally(9 * len(versions), 1), "1002": Tally(len(versions), 1)}

    # Replays

    def submit(self, body: Mapping[str, Any]) -> Receipt:
        self.trouble("before", "submit_run")
        held = self.get("stream")
        submitted, token = dict(held.get("submitted", {})), body["idempotency_token"]
        if token not in submitted:
            number = 900 + len(submitted)
            fails = held.get("replays_fail", 0)
            words = list(body["tasks"][0]["spark_python_task"]["parameters"])
            made = {"run_id": number, "name": body["run_name"], "state": "starting", "fails": fails > 0, "words": words}
            self.did("submit_run", "stream", submitted={**submitted, token: made}, replays_fail=max(0, fails - 1))
            submitted = self.get("stream")["submitted"]
        self.trouble("after", "submit_run")
        return Receipt("request-9", str(submitted[token]["run_id"]))

    def submitted(self, prefix: str, since: datetime) -> Iterator[ReplayRun]:
        """Each look finds a run a step further: at work, then over, unless it is `held`."""
        assert since.tzinfo is not None
        self.trouble("before", "replay_runs")
        return iter([run for run in self._replay_runs() if run.name.startswith(prefix)])

    def active(self, prefix: str) -> list[ReplayRun]:
        self.trouble("before", "replay_runs")
        return [run for run in self._replay_runs() if run.name.startswith(prefix) and run.state == "running"]

    def _replay_runs(self) -> list[ReplayRun]:
        held = self.get("stream")
        submitted = held.get("submitted", {})
        moves = {"starting": "running", "stopping": "failed"} | ({} if held.get("held") else {"running": "over"})
        found, later = [], {}
        for token, run in submitted.items():
            state = run["state"]
            ended = state in ("done", "failed")
            words = dict(word.split("=", 1) for word in run["words"][1:])
            found.append(
                ReplayRun(
                    str(run["run_id"]),
                    run["name"],
                    state if ended else "running",
                    held.get("why_failed", "the driver died") if state == "failed" else "",
                    started_at=START - timedelta(minutes=2),
                    ended_at=START - timedelta(minutes=1) if ended else None,
                    url=f"https://adb-1.example/jobs/runs/{run['run_id']}",
                    first=int(words["--from-version"]),
                    last=int(words["--to-version"]),
                    by=run.get("by", "ops@lpm.example"),
                )
            )
            following = moves.get(state, state)
            later[token] = {
                **run,
                "state": ("failed" if run["fails"] else "done") if following == "over" else following,
            }
        if later != submitted:
            self.put("stream", submitted=later)
        return sorted(found, key=lambda run: -int(run.run_id))

    def cancel(self, run_id: str) -> Receipt:
        self.trouble("before", "cancel_replay")
        held = self.get("stream").get("submitted", {})
        for token, run in held.items():
            if str(run["run_id"]) == run_id and run["state"] in ("starting", "running"):
                self.did("cancel_replay", "stream", submitted={**held, token: {**run, "state": "stopping"}})
        self.trouble("after", "cancel_replay")
        return Receipt()

    def hub(self) -> HubState:
        self.trouble("before", "hub")
        return HubState("tdr", 1, self.get("hub")["retention"], "Active")

    def namespace(self) -> NamespaceState:
        self.trouble("before", "namespace")
        return NamespaceState("evhns-lpm-tdr-prod", "id", "Standard", 1, "Succeeded")

    def consumer_groups(self) -> list[str]:
        self.trouble("before", "consumer_groups")
        return [str(name) for name in self.get("hub").get("groups", ("$Default", "people", "asa-01"))]

    def metrics(
        self, namespace: str, resource_ids: Sequence[str], names: Sequence[str], minutes: int, aggregation: str
    ) -> list[MetricSeries]:
        """The bytes of each of the last minutes, those of one that has none yet last; an event has a thousand."""
        self.trouble("before", "metrics")
        values = [*self.get("hub").get("incoming", (600_000.0,)), None]
        found = []
        for name in names:
            size = 1_000.0 if name == "IncomingMessages" else 1.0
            points = tuple(
                MetricPoint(START + timedelta(minutes=at), None if value is None else value / size)
                for at, value in enumerate(values)
            )
            found.append(MetricSeries(resource_ids[0], name, aggregation, {}, points))
        return found

    def partitions(self) -> tuple[PartitionState, ...]:
        self.trouble("before", "partitions")
        held = self.get("hub")
        return (PartitionState("0", held["begin"], held["end"] - 1, START + timedelta(minutes=5), False),)

    def positions(self, partitions: Sequence[PartitionState], moment: datetime) -> dict[str, int]:
        """One event a second, the one of the last output being number `after` minus one."""
        held = self.get("hub")
        number = held["after"] - 1 + int((moment - START) / timedelta(seconds=1)) + (1 if moment.microsecond else 0)
        return {"0": max(held["begin"], min(number, held["end"]))}


class Replays:
    """The bounded runs of the workspace, whose progress is another than the stream's."""

    def __init__(self, cloud: Cloud) -> None:
        self.submit, self.submitted, self.active, self.cancel = (
            cloud.submit,
            cloud.submitted,
            cloud.active,
            cloud.cancel,
        )
        self._cloud = cloud

    def progress(self, replay_id: str) -> ReplayProgress | None:
        self._cloud.trouble("before", "replay_progress")
        for run in self._cloud.get("stream").get("submitted", {}).values():
            words = dict(word.split("=", 1) for word in run["words"][1:])
            if words["--replay-id"] == replay_id and run["state"] != "starting":
                versions = int(words["--to-version"]) - int(words["--from-version"]) + 1
                return ReplayProgress(run["state"], 10 * versions if run["state"] == "done" else 5)
        return None


def _part_of(name: str, values: Mapping[str, Any]) -> JobPart:
    source = values.get("datasource") or {}
    return JobPart(name, source.get("type", ""), dict(source.get("properties") or {}), properties=values)


def _asked_for(place: Environment) -> dict[str, Any]:
    """A job that is as the configuration asks for."""
    return _as_asked_for(definitions.wished(config(place), place, place.sql.databases, "asa-01"))


def _as_asked_for(made: definitions.Definition) -> dict[str, Any]:
    return {
        "query": made.query,
        "inputs": made.inputs,
        "outputs": made.outputs,
        "settings": made.settings,
        "streaming_units": float(made.streaming_units),
    }


def _etag(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _named(text: str) -> str:
    """The text with its question marks as names."""
    numbers = iter(range(text.count("?")))
    return re.sub(r"\?", lambda _: f"@p{next(numbers)}", text)


def _target(text: str, parameters: Sequence[object]) -> str:
    """What a statement is about: the company or the job it names, else what it is given last."""
    key = re.search(r"\b(?:company_id|target) = \?", text)
    return str(parameters[text[: key.start()].count("?") if key else -1])


def _naive(value: object) -> object:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def _moment(value: Any) -> Any:
    """A value as the database takes it: times are text among the things."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return _naive(parse_time(value))
    return value


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def as_kind(kind: Kind) -> Environment:
    """The same environment, meant for something else."""
    return replace(environment(), kind=kind)

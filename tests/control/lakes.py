"""A source table and landing tables as plain values, for reconciliations: what was committed, what landed where, and what can't be read."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from lpmops.config import Config, Routing
from lpmops.control.reconcile import reconcile
from lpmops.control.reconciled import Asked, CompanyResult, Reconciliation
from lpmops.errors import DatabaseUnavailableError, ServiceError, UnreadableChangesError
from lpmops.model import Commit, FeedState, StreamingJob, StreamProgress
from lpmops.services.changes import Key, Tally
from lpmops.services.cloud import EnvironmentServices
from lpmops.store.connection import Store
from lpmops.versions import Versions
from tests.control.pretend import environment

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HERE = environment("test", ("lpm-01", "lpm-02"))
CONFIG = Config({"test": HERE})

Change = tuple[str, Key]


def digest(key: Key) -> int:
    text = f"{key.record_id}|{key.version}|{key.kind}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:7], "big")


def tallies(changes: Iterator[Change]) -> dict[str, Tally]:
    found: dict[str, Tally] = {}
    for company, key in changes:
        before = found.get(company, Tally(0, 0))
        found[company] = Tally(before.changes + 1, before.digest + digest(key))
    return found


@dataclass
class Lake:
    """Services whose answers are these values. A version is committed each second from START on; `now` is ten minutes after the last."""

    source: list[Change] = field(default_factory=list)
    landed: dict[str, list[Change]] = field(default_factory=lambda: {"lpm-01": [], "lpm-02": []})
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    put_aside: set[Change] = field(default_factory=set)
    unrouted: list[tuple[str, Key, datetime]] = field(default_factory=list)
    versions: int = 20
    read_as_far_as: int = 20
    table_id: str = "table-1"
    feed_since: int = 0
    gone_before: int = 0
    shapes_change_at: int = 0
    dead: set[str] = field(default_factory=set)
    refuses: dict[str, ServiceError] = field(default_factory=dict)
    beat: datetime | None = None
    warehouse_state: str = "RUNNING"
    jobs_there: list[StreamingJob] = field(default_factory=list)
    now: datetime = START + timedelta(minutes=10)
    asked: list[Versions] = field(default_factory=list)
    asked_keys: list[tuple[str, ...]] = field(default_factory=list)

    # What stands in the tables

    def route(
        self, company: str, database: str = "lpm-01", state: str = "active", asked_at: datetime | None = None
    ) -> None:
        self.routes[company] = {
            "company_id": company, "company": f"Company {company}", "database_name": database, "also_database": None, "state": state,
            "changed_by": "x", "changed_at": START, "asked_at": asked_at, "first_row_at": None,
        }  # fmt: skip

    def commit(
        self, company: str, version: int, *records: str, landed: str | None = "lpm-01", kind: str = "insert"
    ) -> None:
        """Records that were written in a version; `landed` is the database they came to, None for nowhere."""
        for record in records:
            self.source.append((company, Key(record, version, kind)))
            if landed is not None:
                self.land(company, version, record, database=landed, kind=kind)

    def land(self, company: str, version: int, record: str, database: str = "lpm-01", kind: str = "insert") -> None:
        self.landed[database].append((company, Key(record, version, kind)))

    # The services

    @property
    def databricks(self) -> Lake:
        return self

    @property
    def changes(self) -> Lake:
        return self

    @property
    def sql(self) -> Lake:
        return self

    @property
    def streamanalytics(self) -> SimpleNamespace:
        return SimpleNamespace(jobs=lambda: tuple(self.jobs_there))

    def close(self) -> None:
        """Nothing is open."""

    def warehouse(self) -> Mapping[str, Any]:
        return {"state": self.warehouse_state, "auto_stop_mins": 10}

    def feed(self) -> FeedState:
        return FeedState("delta", self.versions, self.at(self.versions), self.table_id, 0, self.feed_since)

    def at(self, version: int) -> datetime:
        return START + timedelta(seconds=version)

    def history(self, limit: int) -> list[Commit]:
        rows = Counter(key.version for _, key in self.source)
        numbers = range(self.versions, max(-1, self.versions - limit), -1)
        return [Commit(number, self.at(number), "WRITE", rows[number]) for number in numbers]

    def progress(self) -> StreamProgress | None:
        return StreamProgress(self.read_as_far_as, self.table_id) if self.read_as_far_as >= 0 else None

    def company_records(self, key: str, company_ids: Sequence[str], key_type: str = "string") -> dict[str, int]:
        return {each: 1 for each in company_ids if any(company == each for company, _ in self.source)}

    def counts(self, routing: Routing, versions: Versions) -> dict[str, Tally]:
        self.asked.append(versions)
        if versions.first < self.gone_before:
            raise UnreadableChangesError(
                str(versions), "VACUUM has removed the files of their changes", error_class="DELTA_CHANGE_DATA_FILE_NOT_FOUND",
                remains="What remains is a load.", divisible=False,
            )  # fmt: skip
        if versions.first < self.shapes_change_at <= versions.last:
            raise UnreadableChangesError(
                str(versions), "the table's columns changed", error_class="DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE",
                remains="Shorter ranges.", divisible=True,
            )  # fmt: skip
        return tallies(change for change in self.source if change[1].version in versions)

    def keys(self, routing: Routing, versions: Versions, company_ids: Sequence[str]) -> Iterator[Change]:
        self.asked_keys.append(tuple(company_ids))
        return (each for each in self.source if each[0] in company_ids and each[1].version in versions)

    def quarantined(self, versions: Versions, company_ids: Sequence[str]) -> set[Change]:
        return {each for each in self.put_aside if each[0] in company_ids and each[1].version in versions}

    def rows(self, database: str, query_name: str, parameters: Sequence[Any] = ()) -> list[Mapping[str, Any]]:
        if database in self.dead:
            raise DatabaseUnavailableError(f"{database} does not answer.", service="azuresql")
        if query_name == "route_list":
            return list(self.routes.values())
        if query_name in ("company_databases", "unrouted_since", "pauses"):
            return []
        if query_name == "heartbeat":
            beat = self.now if self.beat is None else self.beat
            return [
                {
                    "server_time": self.now,
                    "hub_partition": "0",
                    "hub_sequence": 1,
                    "sent_at": beat,
                    "enqueued_at": beat,
                    "landed_at": beat,
                }
            ]
        raise AssertionError(query_name)

    def search(self, database: str, query_name: str, parameters: Sequence[Any] = ()) -> list[Mapping[str, Any]]:
        if database in self.dead:
            raise DatabaseUnavailableError(f"{database} does not answer.", service="azuresql")
        if query_name in self.refuses:
            raise self.refuses[query_name]
        if query_name == "landed_by_company":
            versions = Versions(*parameters)
            found = tallies(each for each in self.landed[database] if each[1].version in versions)
            return [{"company_id": company, **tally._asdict()} for company, tally in found.items()]
        if query_name == "unrouted_keys_of_companies":
            return self._unrouted_keys(database, *parameters)
        assert query_name == "landed_keys_of_company"
        company, first, last, record, _, version, _, kind = parameters
        versions, after = Versions(first, last), Key(record, version, kind)
        held = Counter(key for each, key in self.landed[database] if each == company and key.version in versions)
        # Two a page, so that every reader has to turn pages.
        page = sorted(key for key in held if key > after)[:2]
        return [
            {"record_id": key.record_id, "commit_version": key.version, "change_type": key.kind, "changes": held[key]} for key in page
        ]  # fmt: skip

    def _unrouted_keys(
        self,
        database: str,
        listed: str,
        first: int,
        last: int,
        since: datetime | None,
        partition: int,
        _: int,
        after: int,
    ) -> list[Mapping[str, Any]]:
        assert (database, partition <= 0) == ("lpm-control", True)
        wished = {each["company_id"] for each in json.loads(listed)}
        found: list[Mapping[str, Any]] = [
            {
                "company_id": company, "record_id": key.record_id, "commit_version": key.version, "change_type": key.kind,
                "landed_at": at, "hub_partition": 0, "hub_sequence": number,
            }
            for number, (company, key, at) in enumerate(self.unrouted)
            if company in wished and key.version in Versions(first, last) and (since is None or at >= since) and (number > after or partition < 0)
        ]  # fmt: skip
        return found[:2]

    # The question

    def look(self, store: Store, asked: Asked | None = None, **more: Any) -> Reconciliation:
        self.asked.clear()
        services = cast(EnvironmentServices, self)
        return reconcile(CONFIG, HERE, services, store, asked or Asked(), now=lambda: self.now, **more)

    def of(self, company: str, store: Store, asked: Asked | None = None) -> CompanyResult:
        return next(each for each in self.look(store, asked).companies if each.company_id == company)

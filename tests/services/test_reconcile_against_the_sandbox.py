"""A reconciliation over the sandbox's own warehouse and SQL server: one digest for the same changes on both sides, and what is gone is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lpmops.config import Config, Environment, Routing, Sql
from lpmops.control.reconcile import reconcile
from lpmops.control.reconciled import HAD_LANDED, UNROUTED, Asked, Reconciliation
from lpmops.model import StreamProgress
from lpmops.services.azuresql import SqlService
from lpmops.services.calls import CallCounter
from lpmops.services.changes import ChangeService, Key, Tally
from lpmops.services.secrets import SecretReader
from lpmops.services.transport import Transport
from lpmops.store import proofs
from lpmops.store.connection import Store, open_store
from lpmops.versions import Versions
from tests.services.worlds import environment

pytest.importorskip("uvicorn", reason="the sandbox's own dependencies are not installed")
pytest.importorskip("databricks.sdk", reason="the workspace is served by a fixture that also knows the official client")

from lpmops.sandbox.lake.alterations import vacuum_before
from tests.sandbox.databricks.conftest import World, rows
from tests.services import test_databricks_against_the_sandbox as workspaces
from tests.services import test_sql_against_the_sandbox as servers

LANDED = (
    "INSERT INTO lpm.tdr (company_id, record_id, commit_version, change_type, commit_timestamp, sent_at, enqueued_at, hub_partition, hub_sequence)"
    " VALUES (@company, @record, @version, @kind, @at, @at, @at, 0, 1)"
)


@dataclass
class Both:
    """The source and the landing table of one environment, behind their wires."""

    here: Environment
    world: World
    server: servers.Server
    databricks: workspaces.Client
    changes: ChangeService
    sql: SqlService
    store: Store

    def everything(self) -> Versions:
        return Versions(0, self.world.table.latest_version())

    def source(self) -> dict[str, Tally]:
        return self.changes.counts(Routing(), self.everything())

    def landed(self) -> dict[str, Tally]:
        found = self.sql.search("lpm-01", "landed_by_company", (self.everything().first, self.everything().last))
        return {row["company_id"]: Tally(int(row["changes"]), int(row["digest"])) for row in found}

    def keys(self, company: str) -> list[Key]:
        return [key for _, key in self.changes.keys(Routing(), self.everything(), [company])]

    def land(self, company: str) -> None:
        at = datetime.now(UTC).replace(tzinfo=None)
        for record, version, kind in self.keys(company):
            self.server.execute("lpm-01", LANDED, company=company, record=record, version=version, kind=kind, at=at)

    def take_away(self, company: str, version: int) -> None:
        text = "DELETE FROM lpm.tdr WHERE company_id = @company AND commit_version = @version"
        self.server.execute("lpm-01", text, company=company, version=version)

    def pass_by(self, company: str, key: Key) -> datetime:
        """No route took a change; gives when it was put aside."""
        at = datetime.now(UTC).replace(microsecond=0)
        self.server.execute(
            "lpm-control",
            "INSERT INTO lpmops.unrouted (company_id, record_id, commit_version, change_type, enqueued_at, hub_partition, hub_sequence, landed_at)"
            " VALUES (@company, @record, @version, @kind, @at, 0, 9, @at)",
            company=company, record=key.record_id, version=key.version, kind=key.kind, at=at.replace(tzinfo=None),
        )  # fmt: skip
        return at

    def look(self, **asked: Any) -> Reconciliation:
        read = StreamProgress(self.everything().last, None)
        source = SimpleNamespace(
            feed=self.databricks.feed, history=self.databricks.history, progress=lambda: read,
            company_records=self.databricks.company_records,
        )  # fmt: skip
        services = SimpleNamespace(
            databricks=source, changes=self.changes, sql=self.sql, streamanalytics=SimpleNamespace(jobs=tuple)
        )
        # An hour later: by then everything has landed that will.
        now = datetime.now(UTC) + timedelta(hours=1)
        config = Config({"dev": self.here})
        return reconcile(config, self.here, cast(Any, services), self.store, Asked(**asked), now=lambda: now)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    """A company with inserts, an update and a delete, and a second one, all of which landed."""
    world, server = World(tmp_path), servers.serve(tmp_path / "sql")
    servers.furnish(server)
    server.execute("lpm-01", "DELETE FROM lpm.tdr")
    databricks = workspaces.Client(world)
    calls = CallCounter()
    transport = Transport(calls)
    sql = Sql(
        server="127.0.0.1", port=server.port, databases=("lpm-01",), driver="python-tds", trust_server_certificate=True
    )
    here = replace(environment(world.url), sql=sql)
    credential = servers.Signed(here, transport)
    made = Both(
        here,
        world,
        server,
        databricks,
        ChangeService(here, transport, databricks.credential, 15.0),
        SqlService(here, calls, credential, SecretReader(transport, credential), 15.0),
        open_store(tmp_path / "lpmops.db"),
    )
    world.table.insert(rows("a", "b", "ü|電話", "d 'e'"))
    world.table.update({"disposition": "'answered'"}, "tdr_id = 'a'")
    world.table.delete("tdr_id = 'b'")
    world.table.insert(rows("x", "y", company="1002"))
    server.execute(
        "lpm-control",
        "INSERT INTO lpmops.route (company_id, company, database_name, changed_by, changed_at) VALUES ('1002', 'B', 'lpm-01', 'x', @at)",
        at=datetime(2026, 1, 1),
    )
    for company in ("1001", "1002"):
        made.land(company)
    yield made
    made.sql.close()
    made.store.close()
    server.stop()
    world.close()


def test_what_landed_is_complete_and_what_is_missing_is_told_from_what_was_taken_away(both: Both) -> None:
    assert {company: tally.changes for company, tally in both.source().items()} == {"1001": 6, "1002": 2}
    assert both.landed() == both.source()

    newest = both.everything().last
    both.take_away("1002", newest)
    at = both.pass_by("1002", both.keys("1002")[0])
    first = both.look()
    assert [(each.company_id, each.source, each.landed, each.missing) for each in first.companies] == [
        ("1001", 6, 6, 0),
        ("1002", 2, 0, 2),
    ]
    both.take_away("1001", newest - 2)
    assert both.look(again=True).missing == 3
    gaps = proofs.gaps(both.store, "dev", first.table_id)
    assert [(gap.company_id, str(gap.versions), gap.missing, gap.why) for gap in gaps] == [
        ("1001", f"{newest - 2}:{newest - 2}", 1, HAD_LANDED),
        ("1002", f"{newest}:{newest}", 1, ""),
        ("1002", f"{newest}:{newest}", 1, f"{UNROUTED} from {at:%Y-%m-%d %H:%M:%S}Z to {at:%Y-%m-%d %H:%M:%S}Z"),
    ]
    both.server.execute("lpm-01", "DELETE FROM lpm.tdr")
    both.land("1001")
    both.land("1002")
    assert both.look().complete
    assert proofs.gaps(both.store, "dev", first.table_id) == ()


def test_what_is_vacuumed_is_told_as_gone_and_a_table_that_is_made_anew_is_held_against_nothing_of_the_old(
    both: Both,
) -> None:
    both.take_away("1001", 1)
    both.look()
    vacuum_before(both.world.table, 3)
    found = both.look(again=True)
    assert [(str(each.versions), each.why) for each in found.unreadable] == [
        ("0:2", "VACUUM has removed the files of their changes.")
    ]
    assert "an UPDATE that sets a column to itself" in found.unreadable[0].remains
    assert [(gap.missing, gap.repairable) for gap in found.companies[0].gaps] == [(4, 0)]
    assert found.looked_at == (Versions(3, both.everything().last),)

    both.world.table.recreate()
    anew = both.look()
    assert anew.table_id != found.table_id
    assert "4 of them were missing for 1 company" in anew.warnings[0]
    assert anew.complete
    both.world.table.insert(rows("p", "q"))
    both.world.table.insert(rows("r"))
    over = both.look()
    assert [(each.source, each.missing, each.extra) for each in over.companies if each.company_id == "1001"] == [
        (3, 3, 1)
    ]
    assert "stand under the same numbers of versions, and count as extra" in over.warnings[-1]

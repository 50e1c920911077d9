"""Azure SQL through both drivers, against the sandbox's own server: sign-in, TLS, every reading query, error numbers, kept connections."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from lpmops.config import Column, Routing, Sql
from lpmops.errors import (
    DatabaseUnavailableError,
    DeadlineError,
    ForbiddenError,
    ServiceError,
    SignInError,
    StatementError,
    ThrottledError,
    UnreachableError,
    UntrustedError,
)
from lpmops.routing import landing
from lpmops.routing.routes import SETTLING_SECONDS
from lpmops.routing.schema import control_statements, landing_statements
from lpmops.services import sqldrivers, tables
from lpmops.services.azuresql import SCOPE, SqlService
from lpmops.services.calls import CallCounter
from lpmops.services.identity import CachedCredential
from lpmops.services.secrets import SecretReader
from lpmops.services.transport import Transport
from tests.services.worlds import environment

pytest.importorskip("uvicorn", reason="the sandbox's own dependencies are not installed")

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql import Login, SqlPrincipal, SqlServer
from lpmops.sandbox.sql.errors import login_failed
from lpmops.sandbox.sql.tds import TdsListener

TOKEN = "eyJhbGciOiJub25lIn0." + "operator" * 150 + ".s"
READER = "eyJhbGciOiJub25lIn0.reader.s"
PASSWORD = "Pä55;w=rd}{'x"
LANDED = datetime(2026, 11, 23, 4, 5, 6, 789012, UTC)
CENTRAL = timezone(timedelta(hours=1))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
Eventually = Callable[[Callable[[], bool]], bool]


@dataclass
class Server:
    """A logical server behind its wire, and who has signed in."""

    sql: SqlServer
    listener: TdsListener
    port: int
    loop: asyncio.AbstractEventLoop
    stop: Callable[[], None]
    logins: list[Login] = field(default_factory=list)

    def drop_connections(self) -> int:
        async def drop() -> int:
            return self.listener.drop_connections()

        return asyncio.run_coroutine_threadsafe(drop(), self.loop).result(10)

    def execute(self, database: str, statement: str, **parameters: Any) -> None:
        self.sql.database(database).execute(statement, parameters)

    def sign_in(self, login: Login) -> SqlPrincipal:
        self.logins.append(login)
        if login.token == TOKEN or (login.user, login.password) == ("operator", PASSWORD):
            return SqlPrincipal("operator", is_owner=True)
        if login.token == READER:
            return SqlPrincipal("reader")
        raise login_failed(login.user or "<token-identified principal>")


def serve(folder: Path) -> Server:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sql server of a test", daemon=True)
    thread.start()
    sql = SqlServer(folder / "data", Clock(), name="sql-lpm-tdr-dev")
    listening = socket.create_server(("127.0.0.1", 0))

    def stop() -> None:
        asyncio.run_coroutine_threadsafe(made.listener.close(), loop).result(20)
        sql.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

    listener = TdsListener(sql, lambda login: made.sign_in(login), folder / "tls")
    made = Server(sql, listener, listening.getsockname()[1], loop, stop)
    asyncio.run_coroutine_threadsafe(listener.start(listening), loop).result(10)
    return made


def furnish(server: Server) -> None:
    """The control schema with a route, and a landing table with three changes of one company and one of another."""
    for name in ("lpm-control", "lpm-01"):
        server.sql.create_database(name)
    for statement in control_statements():
        server.execute("lpm-control", statement)
    for statement in landing_statements([Column("disposition", "NVARCHAR(40)")], Routing()):
        server.execute("lpm-01", statement)
    server.execute(
        "lpm-control",
        "INSERT INTO lpmops.route (company_id, company, database_name, changed_by, changed_at) VALUES (@id, @name, @db, 'x', @at)",
        id="1001",
        name="Zoë’s Größe 電話",
        db="lpm-01",
        at=LANDED.replace(tzinfo=None),
    )
    server.execute("lpm-01", "CREATE USER reader FROM EXTERNAL PROVIDER")
    for number, (company, partition) in enumerate((("1001", 0), ("1001", 1), ("1001", 1), ("1002", 1))):
        stamps = {
            name: LANDED.replace(tzinfo=None) - timedelta(seconds=age) for name, age in (("c", 3), ("s", 2), ("e", 1))
        }
        server.execute(
            "lpm-01",
            "INSERT INTO lpm.tdr (company_id, record_id, commit_version, change_type, commit_timestamp, sent_at, enqueued_at,"
            " hub_partition, hub_sequence, landed_at) VALUES (@company, @record, @version, 'insert', @c, @s, @e, @p, @n, @landed)",
            company=company, record=f"r{number}", version=7, p=partition, n=2**40 + number,
            landed=LANDED.replace(tzinfo=None), **stamps,
        )  # fmt: skip
    server.execute(
        "lpm-control",
        "INSERT INTO lpmops.heartbeat (beat_id, commit_timestamp, sent_at, enqueued_at, hub_partition, hub_sequence, landed_at)"
        " VALUES ('b1', @at, @at, @at, 3, 77, @at)",
        at=LANDED.replace(tzinfo=None),
    )
    server.execute(
        "lpm-control",
        "INSERT INTO lpmops.unrouted (company_id, record_id, enqueued_at, hub_partition, hub_sequence, landed_at)"
        " VALUES ('9', 'r', @at, 2, 5, @at), (NULL, 'r', @at, 2, 6, @at), (NULL, 'r', @at, 2, 7, @at)",
        at=LANDED.replace(tzinfo=None),
    )


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose rows nobody changes; its tests heal what they break."""
    made = serve(tmp_path_factory.mktemp("sql"))
    furnish(made)
    yield made
    made.stop()


@pytest.fixture
def server(furnished: Server) -> Iterator[Server]:
    furnished.logins.clear()
    yield furnished
    furnished.sql.firewall_open = True
    for database in furnished.sql.databases():
        database.state, database.delay_seconds = "online", 0.0


@pytest.fixture(params=["odbc", "python-tds"])
def driver(request: pytest.FixtureRequest) -> str:
    if request.param == "odbc":
        name, reason = sqldrivers.odbc_driver()
        if name is None:
            pytest.skip(f"Microsoft's ODBC driver can't be used here: {reason}")
    return str(request.param)


class Signed(CachedCredential):
    """An identity whose token a test may change."""

    given = TOKEN

    def token(self, scope: str, **_: Any) -> AccessToken:
        assert scope == SCOPE
        return AccessToken(self.given, 4_000_000_000)


@dataclass
class Client:
    service: SqlService
    credential: Signed
    calls: CallCounter

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        landing = {"landed_since", "landed_between", "rows_by_table", "records_of_company"}
        database = "lpm-01" if query in landing else "lpm-control"
        return self.service.rows(database, query, parameters)


@pytest.fixture
def connect(server: Server, driver: str, eventually: Eventually) -> Iterator[Callable[..., Client]]:
    """A service over the driver, signed in with a token unless told otherwise."""
    opened: list[SqlService] = []

    def make(seconds: float = 5.0, port: int = 0, **changes: Any) -> Client:
        settings: dict[str, Any] = {
            "server": "127.0.0.1",
            "port": port or server.port,
            "databases": ("lpm-01",),
            "driver": driver,
            "trust_server_certificate": True,
        }
        world = environment("http://127.0.0.1:9", sql=Sql(**(settings | changes)))
        calls = CallCounter()
        transport = Transport(calls)
        credential = Signed(world, transport)
        service = SqlService(world, calls, credential, SecretReader(transport, credential), seconds)
        opened.append(service)
        return Client(service, credential, calls)

    yield make
    for service in opened:
        service.close()
    assert eventually(lambda: server.listener.connection_count == 0)


Connect = Callable[..., Client]


def test_a_table_is_held_beside_the_one_that_is_wanted(connect: Connect) -> None:
    service = connect().service
    columns = [Column("disposition", "NVARCHAR(40)"), Column("tries", "INT")]
    want = landing.wanted(columns, Routing())
    check = landing.compare(want, tables.read(service, "lpm-01", want.name, want.view))
    assert check.refusals == ()
    assert [name for name, _ in check.statements] == ["table_add_column", "landing_view"]
    assert tables.read(service, "lpm-control", "lpm.tdr", "lpm.tdr_current") == landing.FoundTable()
    assert service.run("lpm-01", "table_add_column", "SELECT ? AS one", [1]) == [{"one": 1}]


# Signing in ------------------------------------------------------------------------------------------------------------------------------------


def test_a_token_signs_in(server: Server, connect: Connect, driver: str) -> None:
    client = connect()
    client.service.ping("lpm-01")
    assert client.service.driver.startswith(driver)
    (login,) = server.logins
    assert (login.token, login.user, login.database) == (TOKEN, "", "lpm-01")
    assert login.application == "lpmops"


def test_a_password_with_every_awkward_character_signs_in(
    server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPMOPS_SQL", PASSWORD)
    connect(auth="password", user="operator", password="env:LPMOPS_SQL").service.ping("lpm-01")
    assert [(login.token, login.user) for login in server.logins] == [(None, "operator")]
    monkeypatch.setenv("LPMOPS_SQL", PASSWORD + "2")
    with pytest.raises(SignInError) as caught:
        connect(auth="password", user="operator", password="env:LPMOPS_SQL").service.ping("lpm-01")
    assert caught.value.status == 18456
    assert PASSWORD not in caught.value.message + caught.value.hint


def test_an_identity_without_a_user_is_told_how_to_get_one(connect: Connect) -> None:
    client = connect()
    client.credential.given = "eyJhbGciOiJub25lIn0.stranger.s"
    with pytest.raises(ForbiddenError, match="knows no user") as caught:
        client.service.ping("lpm-01")
    assert caught.value.status == 18456
    assert "FROM EXTERNAL PROVIDER" in caught.value.hint
    assert client.credential.given not in caught.value.message


def test_a_certificate_that_nobody_signed_is_refused_before_any_token_is_sent(server: Server, connect: Connect) -> None:
    with pytest.raises(UntrustedError) as caught:
        connect(trust_server_certificate=False).service.ping("lpm-01")
    assert "trust_server_certificate" in caught.value.hint
    assert not server.logins


def test_a_port_where_nobody_listens_is_unreachable(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnreachableError, match="nothing listens"):
        connect(port=port).service.ping("lpm-01")


# What is asked ---------------------------------------------------------------------------------------------------------------------------------


def test_routes_come_with_every_letter_and_their_time_in_utc(connect: Connect) -> None:
    (route,) = connect().rows("routes")
    assert route == {
        "company_id": "1001",
        "company": "Zoë’s Größe 電話",
        "database_name": "lpm-01",
        "state": "active",
        "changed_at": LANDED.replace(microsecond=789000),
    }
    assert connect().rows("route_reference") == [
        {
            "company_id": "1001",
            "database_name": "lpm-01",
            "also_database": None,
            "former_database": None,
            "settled_at": LANDED.replace(microsecond=789000) + timedelta(seconds=SETTLING_SECONDS),
        }
    ]


def test_rows_are_counted_whole_and_between_two_moments(connect: Connect) -> None:
    client = connect()
    assert client.rows("rows_by_table") == [{"row_count": 4}]
    until = LANDED + timedelta(seconds=1)
    found = client.rows("landed_between", LANDED - timedelta(seconds=1), until)
    at = LANDED.replace(microsecond=789000)
    assert sorted((row["company_id"], row["events"], row["landed_at"]) for row in found) == [
        ("1001", 3, at),
        ("1002", 1, at),
    ]
    assert client.rows("landed_between", until, until) == []


def test_one_pass_over_the_landing_table_tells_latency_hops_and_partitions(connect: Connect) -> None:
    rows = connect().rows("landed_since", LONG_AGO)
    total = {
        row["company_id"]: (row["events"], row["bucket"], row["settled"]) for row in rows if row["measure"] == "total"
    }
    assert total == {"1001": (3, 3000, 1), "1002": (1, 3000, 1)}
    newest = {row["hub_partition"]: row["hub_sequence"] for row in rows if row["measure"] == "partition"}
    assert newest == {0: 2**40, 1: 2**40 + 3}
    for row in rows:
        assert abs(row["server_time"] - datetime.now(UTC)) < timedelta(minutes=1)
        assert row["settled_at"].tzinfo is UTC
        assert row["enqueued_at"] == LANDED - timedelta(seconds=1)


def test_the_newest_changes_of_one_company_are_read_now_and_as_of_then(connect: Connect) -> None:
    client = connect()
    rows = client.rows("records_of_company", "1001", None)
    assert sorted(row["record_id"] for row in rows) == ["r0", "r1", "r2"]
    assert {row["landed_at"] for row in rows} == {LANDED.replace(microsecond=789000)}
    assert {
        "commit_timestamp",
        "sent_at",
        "enqueued_at",
        "hub_partition",
        "hub_sequence",
        "disposition",
        "sipreq",
    } <= set(rows[0])
    assert len(client.rows("records_of_company", "1001", LANDED)) == 3
    assert client.rows("records_of_company", "1001", LANDED - timedelta(seconds=1)) == []
    assert client.rows("records_of_company", "' OR 1=1 --" * 40, None) == []


def test_the_calls_of_one_company_are_read_for_an_hour(server: Server, connect: Connect) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    for company, back in (("kpi", 1), ("kpi", 59), ("kpi", 90), ("other", 1)):
        server.execute(
            "lpm-control",
            "INSERT INTO lpmops.kpi_minute (company_id, window_end, calls, answered, failed, mean_duration_seconds)"
            " VALUES (@company, @at, 3, 2, 1, 61.5)",
            company=company,
            at=(minute - timedelta(minutes=back)).replace(tzinfo=None),
        )
    client = connect()
    found = client.rows("calls_of_company", "kpi", 60, None, None)
    assert [row["window_end"] for row in found] == [minute - timedelta(minutes=back) for back in (59, 1)]
    assert (found[0]["calls"], found[0]["answered"], found[0]["failed"]) == (3, 2, 1)
    assert (found[0]["mean_duration_seconds"], found[0]["p95_duration_seconds"]) == (61.5, None)
    then = minute - timedelta(minutes=30)
    assert [row["window_end"] for row in client.rows("calls_of_company", "kpi", 60, then, then)] == [
        minute - timedelta(minutes=back) for back in (59,)
    ]


def test_the_calls_of_all_companies_are_added_up_where_that_is_honest(server: Server, connect: Connect) -> None:
    end = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    for company, back, answered, mean, p95 in (
        ("sum-a", 1, 4, 60.0, 100.0), ("sum-a", 2, 1, 10.0, 300.0), ("sum-b", 1, 5, None, None), ("sum-b", 90, 9, 1.0, 1.0),
    ):  # fmt: skip
        server.execute(
            "lpm-control",
            "INSERT INTO lpmops.kpi_minute (company_id, window_end, calls, answered, failed, mean_duration_seconds,"
            " p95_duration_seconds) VALUES (@company, @at, 7, @answered, 1, @mean, @p95)",
            company=company,
            at=(end - timedelta(minutes=back)).replace(tzinfo=None),
            answered=answered,
            mean=mean,
            p95=p95,
        )
    client = connect()
    companies = {row["company_id"]: row for row in client.rows("calls_by_company", 60, end, end)}
    one, other = companies["sum-a"], companies["sum-b"]
    assert (one["windows"], one["calls"], one["answered"], one["failed"]) == (2, 14, 5, 2)
    assert (one["answered_seconds"], one["answered_timed"], one["highest_p95_seconds"]) == (250.0, 5, 300.0)
    assert (other["windows"], other["answered"], other["answered_timed"], other["highest_p95_seconds"]) == (
        1,
        5,
        0,
        None,
    )
    minutes = client.rows("calls_by_minute", 60, end, end)
    assert [(row["window_end"], row["windows"], row["answered"]) for row in minutes] == [
        (end - timedelta(minutes=2), 1, 1),
        (end - timedelta(minutes=1), 2, 9),
    ]


def test_where_one_company_lands_is_one_look(connect: Connect) -> None:
    assert connect().rows("route_of_company", "1001") == [{"database_name": "lpm-01"}]
    assert connect().rows("route_of_company", "1002") == []


def test_where_nothing_landed_there_is_still_the_servers_clock(connect: Connect) -> None:
    rows = connect().rows("landed_since", datetime.now(UTC) + timedelta(days=1))
    assert {row["measure"] for row in rows} == {
        "total",
        "partition",
        "commit_to_sent",
        "sent_to_enqueued",
        "enqueued_to_landed",
    }
    assert {row["events"] for row in rows} == {0}
    assert all(row["server_time"].tzinfo is UTC and row["landed_at"] is None for row in rows)


def test_the_newest_beat_and_what_found_no_route_are_read(connect: Connect) -> None:
    client = connect()
    (beat,) = client.rows("heartbeat", LONG_AGO)
    assert (beat["hub_partition"], beat["hub_sequence"], beat["sent_at"]) == (3, 77, LANDED)
    assert beat["landed_at"] == LANDED.replace(microsecond=789000)
    (none,) = client.rows("heartbeat", datetime.now(UTC) + timedelta(days=1))
    assert (none["hub_partition"], none["server_time"].tzinfo) == (None, UTC)
    found = client.rows("unrouted_since", LONG_AGO)
    assert [(row["company_id"], row["events"], row["hub_sequence"]) for row in found] == [(None, 2, 7), ("9", 1, 5)]


@pytest.mark.parametrize("moment", [datetime(2026, 11, 23, 4, 5, 7), datetime(2026, 11, 23, 5, 5, 7, tzinfo=CENTRAL)])
def test_a_moment_is_the_same_with_a_zone_and_without_one_in_utc(connect: Connect, moment: datetime) -> None:
    assert len(connect().rows("landed_between", LONG_AGO, moment)) == 2
    assert connect().rows("landed_between", LONG_AGO, moment - timedelta(seconds=1)) == []


# What goes wrong -------------------------------------------------------------------------------------------------------------------------------


def refused(client: Client, query: str = "routes", *parameters: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        client.rows(query, *parameters)
    assert caught.value.service == "azuresql"
    assert caught.value.hint
    return caught.value


def test_a_table_that_is_missing_is_named(connect: Connect) -> None:
    with pytest.raises(StatementError, match=r"lpmops\.route") as caught:
        connect().service.rows("master", "routes")
    assert caught.value.status == 208


def test_a_table_that_may_not_be_read_is_named(server: Server, connect: Connect) -> None:
    client = connect()
    client.credential.given = READER
    error = refused(client, "landed_since", LONG_AGO)
    assert isinstance(error, ForbiddenError)
    assert error.status == 229
    assert "tdr" in error.message


def test_a_database_that_does_not_exist_is_told_from_a_refused_identity(connect: Connect) -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        connect().service.ping("lpm-77")
    assert caught.value.status == 4060
    assert "lpm-77" in caught.value.message


@pytest.mark.parametrize("state", ["unavailable", "paused"])
def test_a_database_without_a_place_is_unavailable(server: Server, connect: Connect, state: Any) -> None:
    server.sql.database("lpm-control").state = state
    error = refused(connect())
    assert isinstance(error, DatabaseUnavailableError)
    assert (error.status, error.retryable) == (40613, True)


def test_a_database_that_goes_while_a_connection_is_kept_is_unavailable_and_read_again_when_it_is_back(
    server: Server, connect: Connect
) -> None:
    client = connect()
    client.rows("routes")
    server.sql.database("lpm-control").state = "unavailable"
    for _ in range(2):
        error = refused(client)
        assert isinstance(error, DatabaseUnavailableError)
        assert error.status == 40613
    server.sql.database("lpm-control").state = "online"
    assert len(client.rows("routes")) == 1


def test_a_firewall_names_the_address_to_let_in(server: Server, connect: Connect) -> None:
    server.sql.firewall_open = False
    error = refused(connect())
    assert isinstance(error, UnreachableError)
    assert error.status == 40615
    assert "--start-ip-address 127.0.0.1" in error.hint


def test_a_database_that_is_full_of_requests_asks_to_slow_down(server: Server, connect: Connect) -> None:
    client = connect()
    client.rows("routes")
    server.sql.database("lpm-control").state = "throttled"
    kept = refused(client)
    assert isinstance(kept, ThrottledError)
    assert (kept.status, kept.retry_after) == (40501, 10.0)
    new = refused(connect())
    assert isinstance(new, ThrottledError)
    assert new.status == 10928


def test_a_slow_statement_ends_at_the_deadline_and_stops_on_the_server(
    server: Server, connect: Connect, eventually: Eventually
) -> None:
    client = connect(seconds=1.0)
    client.rows("routes")
    server.sql.database("lpm-control").delay_seconds = math.inf
    started = time.monotonic()
    assert isinstance(refused(client), DeadlineError)
    assert time.monotonic() - started < 2.0
    server.sql.database("lpm-control").delay_seconds = 0.0
    assert len(client.rows("routes")) == 1
    assert eventually(lambda: server.listener.connection_count == 1)


# Connections -----------------------------------------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_for_the_next_refresh(server: Server, connect: Connect) -> None:
    client = connect()
    for _ in range(3):
        client.rows("routes")
        client.rows("rows_by_table")
    assert len(server.logins) == 2
    assert client.calls.operations()["azuresql", "routes"] == 3


def test_a_new_token_opens_a_new_connection(server: Server, connect: Connect, eventually: Eventually) -> None:
    client = connect()
    client.service.ping("lpm-01")
    client.credential.given = READER
    client.service.ping("lpm-01")
    assert [login.token for login in server.logins] == [TOKEN, READER]
    assert eventually(lambda: server.listener.connection_count == 1)


def test_a_connection_that_died_unnoticed_is_replaced(server: Server, connect: Connect) -> None:
    client = connect()
    client.rows("routes")
    assert server.drop_connections()
    assert len(client.rows("routes")) == 1
    assert len(server.logins) == 2


def test_many_readers_at_once_each_get_their_own_answer(connect: Connect) -> None:
    client = connect(seconds=15.0)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(client.rows("routes")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [1] * 8

"""Azure SQL behind one seam: errors by number, connections kept and dropped, and no call that outlives its deadline."""

from __future__ import annotations

import dataclasses
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops import resources
from lpmops.config import Sql
from lpmops.errors import (
    ConfigError,
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
from lpmops.services import sqldrivers
from lpmops.services.azuresql import SqlService
from lpmops.services.calls import CallCounter
from lpmops.services.secrets import SecretReader
from lpmops.services.sqldrivers import OdbcDriver, Target, TdsDriver
from lpmops.services.sqlerrors import Place, explain
from lpmops.services.transport import Transport
from tests.services.worlds import SignedIn, environment

PLACE = Place("sql-lpm.database.windows.net:1433", "lpm-01", uses_token=True, sign_in="az login --tenant T")


def odbc(number: int, text: str = "words of the server", state: str = "42000") -> Exception:
    message = f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text} ({number}) (SQLExecDirectW)"
    return RuntimeError(state, message)


def tds(number: int) -> Exception:
    error = RuntimeError("words of the server")
    error.number = number  # type: ignore[attr-defined]  # python-tds puts the number there
    return error


def driver_says(state: str, text: str) -> Exception:
    return RuntimeError(state, f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server]{text}")


NUMBERS = [
    *((number, DatabaseUnavailableError) for number in (4060, 40197, 40613, 4221, 615, 926)),
    *((number, ThrottledError) for number in (40501, 49918, 49919, 49920, 10928, 10929)),
    *((number, UnreachableError) for number in (10053, 10054, 40615)),
    *((number, ForbiddenError) for number in (18456, 229, 230)),
    *((number, StatementError) for number in (207, 208, 102, 8134)),
]


@pytest.mark.parametrize("of_driver", [odbc, tds])
@pytest.mark.parametrize(("number", "kind"), NUMBERS)
def test_a_number_means_the_same_through_either_driver(
    number: int, kind: type[ServiceError], of_driver: Callable[[int], Exception]
) -> None:
    error = explain(of_driver(number), PLACE)
    assert type(error) is kind
    assert (error.status, error.service) == (number, "azuresql")
    assert error.message.endswith(": words of the server")
    assert error.hint


def test_a_password_or_an_expired_token_means_signing_in() -> None:
    with_password = dataclasses.replace(PLACE, uses_token=False)
    assert type(explain(odbc(18456), with_password)) is SignInError
    expired = explain(odbc(18456, "Login failed for user '<token-identified principal>'. Token is expired."), PLACE)
    assert type(expired) is SignInError
    assert "az login --tenant T" in expired.hint


def test_the_firewall_names_the_command_with_the_address() -> None:
    text = "Cannot open server 'sql-lpm' requested by the login. Client with IP address '198.51.100.7' is not allowed to access the server."
    error = explain(odbc(40615, text), PLACE)
    assert "az sql server firewall-rule create -s sql-lpm" in error.hint
    assert "--start-ip-address 198.51.100.7" in error.hint


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (driver_says("HYT00", "Login timeout expired (0) (SQLDriverConnect)"), UnreachableError),
        (driver_says("HYT00", "Query timeout expired (0) (SQLExecDirectW)"), DeadlineError),
        (driver_says("08S01", "Communication link failure (0) (SQLExecDirectW)"), UnreachableError),
        (
            driver_says("08001", "SSL Provider: [error:0A000086:certificate verify failed] (-1) (SQLDriverConnect)"),
            UntrustedError,
        ),
        (
            driver_says("08001", "An error was encountered during handshakes before login. (26) (SQLDriverConnect)"),
            UnreachableError,
        ),
        (TimeoutError("timed out"), DeadlineError),
        (ConnectionResetError("reset"), UnreachableError),
        (KeyError("a fault of the library"), ServiceError),
    ],
)
def test_a_trouble_without_a_number_is_told_by_its_state(error: Exception, kind: type[ServiceError]) -> None:
    assert isinstance(explain(error, PLACE), kind)


@given(st.lists(st.text(max_size=40) | st.integers(), max_size=3))
def test_no_words_of_a_driver_break_the_reading_of_its_errors(arguments: list[Any]) -> None:
    error = explain(RuntimeError(*arguments), PLACE)
    assert error.message.isprintable()


def test_a_token_is_packed_as_the_driver_takes_it() -> None:
    packed = sqldrivers.packed_token("aé")
    assert packed == struct.pack("<I", 4) + "aé".encode("utf-16-le")


@given(st.text(max_size=20))
def test_no_value_starts_another_setting_of_the_connection_string(value: str) -> None:
    target = Target("server.example", 1433, value, user=value, password=value)
    text = OdbcDriver("ODBC Driver 18 for SQL Server").connection_string(target)
    assert settings_of(text) == {
        "DRIVER": "ODBC Driver 18 for SQL Server",
        "SERVER": "tcp:server.example,1433",
        "DATABASE": value,
        "Encrypt": "yes",
        "TrustServerCertificate": "no",
        "APP": "lpmops",
        "ConnectRetryCount": "0",
        "UID": value,
        "PWD": value,
    }


def settings_of(text: str) -> dict[str, str]:
    """A connection string as ODBC reads it: `}}` inside braces is one brace."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        equals = text.index("=", at)
        name, at = text[at:equals], equals + 1
        if text.startswith("{", at):
            end = at + 1
            while text[end] != "}" or text[end : end + 2] == "}}":
                end += 2 if text[end] == "}" else 1
            found[name], at = text[at + 1 : end].replace("}}", "}"), end + 2
        else:
            end = text.find(";", at)
            end = len(text) if end < 0 else end
            found[name], at = text[at:end], end + 1
    return found


def test_a_token_never_stands_in_a_connection_string_or_a_repr() -> None:
    target = Target("server.example", 1433, "lpm-01", token="SECRET", password="HIDDEN")
    assert "SECRET" not in OdbcDriver("x").connection_string(target)
    assert "UID" not in OdbcDriver("x").connection_string(target)
    assert repr(target) == "Target('server.example', 1433, 'lpm-01')"


# Finding a driver ------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh_search() -> Iterator[None]:
    sqldrivers.odbc_driver.cache_clear()
    yield
    sqldrivers.odbc_driver.cache_clear()


@pytest.mark.usefixtures("fresh_search")
def test_an_installed_driver_is_taken_before_the_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    pyodbc = pytest.importorskip("pyodbc")
    names = ["FreeTDS", "ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server"]
    monkeypatch.setattr(pyodbc, "drivers", lambda: names)
    assert sqldrivers.find("auto").name == "odbc: ODBC Driver 18 for SQL Server"
    assert pyodbc.pooling is False
    sqldrivers.odbc_driver.cache_clear()
    names.pop()
    assert sqldrivers.find("odbc").name == "odbc: ODBC Driver 17 for SQL Server"


@pytest.mark.usefixtures("fresh_search")
def test_a_driver_that_does_not_load_is_left_for_python_tds_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pyodbc = pytest.importorskip("pyodbc")
    monkeypatch.setattr(pyodbc, "drivers", list)
    broken = tmp_path / "libmsodbcsql-18.6.so.2.1"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(sqldrivers, "wheel_libraries", lambda: [broken])
    driver = sqldrivers.find("auto")
    assert isinstance(driver, TdsDriver)
    assert (driver.name, "does not load" in driver.reason) == ("python-tds", True)
    with pytest.raises(ConfigError) as caught:
        sqldrivers.find("odbc")
    assert "apt-get install" in caught.value.hint


@pytest.mark.usefixtures("fresh_search")
def test_the_wheel_holds_a_driver_for_this_system(monkeypatch: pytest.MonkeyPatch) -> None:
    pyodbc = pytest.importorskip("pyodbc")
    pytest.importorskip("mssql_python_odbc")
    monkeypatch.setattr(pyodbc, "drivers", list)
    assert "libmsodbcsql" in sqldrivers.find("auto").name


# The service over a driver of our own ----------------------------------------------------------------------------------------------------------


class Recorder:
    """A driver whose sessions answer from a list; an Exception is raised, a callable is called."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.connected: list[Target] = []
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.given: list[tuple[str, float]] = []
        self.closed = 0
        self.cancelled = 0
        self.name = "recorder"

    def connect(self, target: Target, seconds: float) -> Recorder:
        self.connected.append(target)
        self.given.append(("connect", seconds))
        return self

    def rows(self, text: str, parameters: Sequence[Any], seconds: float) -> list[dict[str, Any]]:
        self.asked.append((text, tuple(parameters)))
        self.given.append(("rows", seconds))
        outcome = self.outcomes[min(len(self.asked), len(self.outcomes)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        found: list[dict[str, Any]] = outcome() if callable(outcome) else outcome
        return found

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    texts = {"tsql/reading.sql": "SELECT ? AS x", "tsql/writing.sql": "INSERT INTO t VALUES (?)"}
    monkeypatch.setattr(resources, "query", texts.__getitem__)
    return texts


def service(
    port: int, driver: Recorder, seconds: float = 5.0, calls: CallCounter | None = None, **changes: Any
) -> SqlService:
    sql = Sql(server="127.0.0.1", port=port, databases=("lpm-01",), **changes)
    world = environment("http://127.0.0.1:9", sql=sql)
    return SqlService(world, calls or CallCounter(), SignedIn(world, Transport()), SecretReader(), seconds, driver)


@pytest.mark.usefixtures("queries")
def test_a_named_text_is_asked_and_its_times_are_utc(listening: int) -> None:
    driver = Recorder([{"at": datetime(2026, 1, 2, 3, 4, 5), "n": 1}])
    calls = CallCounter()
    found = service(listening, driver, calls=calls).rows("lpm-01", "reading", ("a",))
    assert found == [{"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "n": 1}]
    assert driver.asked == [("SELECT ? AS x", ("a",))]
    assert driver.connected[0].token == "recorded"
    assert calls.operations() == {("azuresql", "reading"): 1}


@pytest.mark.usefixtures("queries")
def test_what_reads_much_is_given_longer_and_a_server_that_lets_nobody_in_is_not(listening: int) -> None:
    driver = Recorder([])
    sql = service(listening, driver, seconds=5.0)
    sql.search("lpm-01", "reading", ("a",))
    sql.rows("lpm-01", "reading", ("a",))
    assert [name for name, seconds in driver.given if seconds > 5.0] == ["rows"]
    assert [name for name, _ in driver.given] == ["connect", "rows", "rows"]


@pytest.mark.usefixtures("queries")
def test_a_connection_is_used_again_for_the_same_database_alone(listening: int) -> None:
    driver = Recorder([])
    sql = service(listening, driver)
    for database in ("lpm-01", "lpm-01", "lpm-02", "lpm-01"):
        sql.rows(database, "reading", ("a",))
    assert [target.database for target in driver.connected] == ["lpm-01", "lpm-02"]


@pytest.mark.usefixtures("queries")
def test_a_kept_connection_is_closed_when_it_grows_old_and_at_the_end(
    listening: int, monkeypatch: pytest.MonkeyPatch, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    driver = Recorder([])
    sql = service(listening, driver)
    sql.rows("lpm-01", "reading")
    monkeypatch.setattr("lpmops.services.azuresql._IDLE_SECONDS", -1.0)
    sql.rows("lpm-02", "reading")
    assert eventually(lambda: driver.closed == 1)
    sql.close()
    assert eventually(lambda: driver.closed == 2)


@pytest.mark.usefixtures("queries")
def test_a_read_on_a_dead_kept_connection_is_asked_once_more_on_a_fresh_one(listening: int) -> None:
    driver = Recorder([], odbc(0, "Communication link failure", "08S01"), [{"n": 1}])
    sql = service(listening, driver)
    sql.rows("lpm-01", "reading")
    assert sql.rows("lpm-01", "reading") == [{"n": 1}]
    assert len(driver.connected) == 2


@pytest.mark.usefixtures("queries")
def test_a_write_on_a_dead_kept_connection_is_not_repeated(listening: int) -> None:
    driver = Recorder([], odbc(0, "Communication link failure", "08S01"))
    sql = service(listening, driver)
    sql.rows("lpm-01", "reading")
    with pytest.raises(UnreachableError):
        sql.rows("lpm-01", "writing")
    assert len(driver.asked) == 2


@pytest.mark.usefixtures("queries")
def test_a_fresh_connection_that_fails_is_not_tried_again(listening: int) -> None:
    driver = Recorder(odbc(10054))
    with pytest.raises(UnreachableError):
        service(listening, driver).rows("lpm-01", "reading")
    assert (len(driver.connected), driver.closed) == (1, 1)


@pytest.mark.usefixtures("queries")
def test_a_statement_that_hangs_is_given_up_cancelled_and_closed(
    listening: int, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    released = threading.Event()
    driver = Recorder(lambda: released.wait(60.0) and [])
    sql = service(listening, driver, seconds=0.2)
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        sql.rows("lpm-01", "reading")
    assert time.monotonic() - started < 30
    assert eventually(lambda: driver.cancelled == 1)
    released.set()
    assert eventually(lambda: driver.closed == 1)


class Cancelled:
    """A connection and its one cursor, whose statement ends as soon as a cancel begins; the cancel goes on for a while, as a driver's may."""

    def __init__(self) -> None:
        self.description = None
        self.executing, self.cancelling, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.freed_under_a_cancel: bool | None = None

    def cursor(self) -> Cancelled:
        return self

    def execute(self, text: str, *parameters: object) -> None:
        self.executing.set()
        assert self.cancelling.wait(30)

    def nextset(self) -> bool:
        return False

    def cancel(self) -> None:
        self.cancelling.set()
        self.freed_under_a_cancel = self.closed.wait(0.2)

    def close(self) -> None:
        self.closed.set()


def test_a_statement_is_not_freed_while_its_cancel_is_under_way() -> None:
    connection = Cancelled()
    session = sqldrivers._OdbcSession(connection)
    asking = threading.Thread(target=session.rows, args=("SELECT 1", (), 5.0))
    asking.start()
    assert connection.executing.wait(30)
    session.cancel()
    asking.join(30)
    assert connection.closed.is_set()
    assert connection.freed_under_a_cancel is False


def test_a_closed_port_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(UnreachableError, match=f"nothing listens at 127.0.0.1:{port}"):
            service(port, Recorder([])).ping("lpm-01")


@pytest.mark.parametrize("driver", ["odbc", "python-tds"])
def test_a_server_that_takes_the_connection_and_says_nothing_can_not_hang_us(listening: int, driver: str) -> None:
    found = sqldrivers.find("auto")
    if driver == "odbc" and not found.name.startswith("odbc"):
        pytest.skip("no ODBC driver loads here")
    used = found if driver == "odbc" else sqldrivers.find("python-tds")
    started = time.monotonic()
    with pytest.raises((DeadlineError, UnreachableError)):
        service(listening, used, seconds=1.0, trust_server_certificate=True).ping("lpm-01")  # type: ignore[arg-type]  # a real driver
    assert time.monotonic() - started < 30


def test_a_password_is_read_where_it_is_kept(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPMOPS_SQL_PASSWORD", "s3cret")
    driver = Recorder([])
    service(listening, driver, auth="password", user="reader", password="env:LPMOPS_SQL_PASSWORD").ping("lpm-01")
    target = driver.connected[0]
    assert (target.user, target.password, target.token) == ("reader", "s3cret", "")


def test_what_python_tds_warns_of_never_reaches_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    tds_logger = logging.getLogger("pytds")
    assert any(isinstance(handler, logging.NullHandler) for handler in tds_logger.handlers)
    tds_logger.warning("unknown env type: %d, skipping", 99)
    assert capfd.readouterr().err == ""

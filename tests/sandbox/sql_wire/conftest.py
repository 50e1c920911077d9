"""A listener over the real engine, on a loop of its own, and the drivers that talk to it."""

from __future__ import annotations

import asyncio
import glob
import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.sql.errors import login_failed
from lpmops.sandbox.sql.server import SqlServer
from lpmops.sandbox.sql.session import Login, SqlPrincipal
from lpmops.sandbox.sql.tds import Limits, TdsListener

PASSWORD = "Pä55;w=rd}{'x"
TOKEN = "eyJ0eXAi.sandbox." + "t" * 2000
FREETDS = Path("/usr/lib/x86_64-linux-gnu/odbc/libtdsodbc.so")

T = TypeVar("T")


def sign_in(login: Login) -> SqlPrincipal:
    if login.token == TOKEN or (login.user, login.password) in (("operator", PASSWORD), ("plain", "sandbox-1")):
        return SqlPrincipal("operator", is_owner=True)
    raise login_failed(login.user or "<token-identified principal>")


@dataclass
class Wire:
    """A server behind a listener, and the loop that serves it."""

    server: SqlServer
    listener: TdsListener
    port: int
    loop: asyncio.AbstractEventLoop

    def on_loop(self, call: Callable[[], T]) -> T:
        async def run() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


def start_wire(folder: Path, **options: Any) -> tuple[Wire, Callable[[], None]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tds-loop", daemon=True)
    thread.start()
    server = SqlServer(folder / "data", Clock(), name="sql-lpm-tdr-dev")
    server.create_database("lpm-01")
    server.create_database("lpm-02")
    listener = TdsListener(server, sign_in, folder / "tls", **options)
    sock = socket.create_server(("127.0.0.1", 0))
    asyncio.run_coroutine_threadsafe(listener.start(sock), loop).result(10)

    def stop() -> None:
        asyncio.run_coroutine_threadsafe(listener.close(), loop).result(20)
        server.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

    return Wire(server, listener, sock.getsockname()[1], loop), stop


@pytest.fixture(scope="module")
def shared_wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One server for tests that leave it as it was."""
    wire, stop = start_wire(tmp_path_factory.mktemp("wire"))
    yield wire
    stop()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """A server of the test's own."""
    wire, stop = start_wire(tmp_path)
    yield wire
    stop()


@pytest.fixture
def hasty_wire(tmp_path: Path) -> Iterator[Wire]:
    """A server of little patience."""
    wire, stop = start_wire(
        tmp_path, limits=Limits(message_bytes=200_000, login_seconds=0.5, stall_seconds=0.5), connections=8
    )
    yield wire
    stop()


def python_tds(wire: Wire, **options: Any) -> Any:
    pytds = pytest.importorskip("pytds")
    settings: dict[str, Any] = {
        "dsn": "127.0.0.1",
        "port": wire.port,
        "database": "lpm-01",
        "user": "operator",
        "password": PASSWORD,
        "cafile": str(wire.listener.certificate),
        "validate_host": False,
        "login_timeout": 10,
        "timeout": 20,
        "autocommit": True,
        "appname": "proof",
        "disable_connect_retry": True,
        "use_tz": None,
    }
    return pytds.connect(**(settings | options))


def microsoft_driver() -> str:
    found = importlib.util.find_spec("mssql_python_odbc")
    if found is None or found.origin is None:
        pytest.skip("mssql-python-odbc, which holds Microsoft's driver, is not installed")
    paths = glob.glob(str(Path(found.origin).parent / "libs/linux/debian_ubuntu/x86_64/lib/libmsodbcsql-*"))
    if not paths:
        pytest.skip("mssql-python-odbc has no driver for this system")
    return paths[0]


def odbc_string(wire: Wire, *, driver: str | None = None, **settings: str) -> str:
    words = {
        "DRIVER": "{" + (driver or microsoft_driver()) + "}",
        "SERVER": f"tcp:127.0.0.1,{wire.port}",
        "DATABASE": "lpm-01",
        "UID": "operator",
        "PWD": "{" + PASSWORD.replace("}", "}}") + "}",
        "Encrypt": "yes",
        "TrustServerCertificate": "yes",
        "ConnectRetryCount": "0",
    } | settings
    return ";".join(f"{name}={value}" for name, value in words.items() if value)


def odbc(
    wire: Wire,
    *,
    driver: str | None = None,
    autocommit: bool = True,
    before: dict[int, Any] | None = None,
    **settings: str,
) -> Any:
    try:
        import pyodbc
    except ImportError as error:
        pytest.skip(f"pyodbc can't be loaded: {error}")
    pyodbc.pooling = False
    text = odbc_string(wire, driver=driver, **settings)
    return pyodbc.connect(text, timeout=10, attrs_before=before or {}, autocommit=autocommit)


def freetds(wire: Wire, **settings: str) -> Any:
    if not FREETDS.exists():
        pytest.skip("FreeTDS's ODBC driver is not installed")
    words: dict[str, Any] = {
        "SERVER": "127.0.0.1",
        "PORT": str(wire.port),
        "TDS_Version": "7.4",
        "Encrypt": "",
        "TrustServerCertificate": "",
        "ConnectRetryCount": "",
        # FreeTDS does not undo the doubled brace of a quoted password.
        "UID": "plain",
        "PWD": "sandbox-1",
    }
    return odbc(wire, driver=str(FREETDS), **(words | settings))


DRIVERS: dict[str, Callable[..., Any]] = {"python-tds": python_tds, "microsoft": odbc, "freetds": freetds}


@pytest.fixture(params=list(DRIVERS))
def connect(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Each driver's way in."""
    return DRIVERS[request.param]

"""The two ways into Azure SQL, behind one seam: Microsoft's ODBC driver through pyodbc, or python-tds where that can't be loaded.

A driver opens connections and runs a text with `?` marks; nothing else of it is used. The ODBC driver is looked for on the system (18, then 17), then
inside the `mssql-python-odbc` wheel. Every connection is encrypted. Both need the access token in their own form, and pyodbc pools on the connection
string alone, so its pooling is off.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import platform
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lpmops.errors import ConfigError
from lpmops.services.sqltext import to_pyformat

_ACCESS_TOKEN = 1256  # SQL_COPT_SS_ACCESS_TOKEN of msodbcsql.h
_INSTALL = "sudo apt-get install -y unixodbc libkrb5-3 libgssapi-krb5-2"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. `token` for Entra, else user and password; never shown."""

    server: str
    port: int
    database: str
    token: str = ""
    user: str = ""
    password: str = ""
    trust_server_certificate: bool = False

    def __repr__(self) -> str:
        return f"Target({self.server!r}, {self.port}, {self.database!r})"


class Session(Protocol):
    """One open connection."""

    def rows(self, text: str, parameters: Sequence[Any], seconds: float) -> list[dict[str, Any]]:
        """The rows of the first result set, by column name."""
        ...

    def cancel(self) -> None:
        """Make a statement under way in another thread end."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class Driver(Protocol):
    """A way to open sessions. `name` says which, for status and doctor."""

    @property
    def name(self) -> str:
        """ "odbc: NAME" or "python-tds"."""
        ...

    def connect(self, target: Target, seconds: float) -> Session:
        """Open a session; raises what the library raises."""
        ...


def find(wish: str) -> Driver:
    """The driver for `sql.driver`: odbc, python-tds or auto. Raises ConfigError with the command that installs what is missing."""
    if wish == "python-tds":
        return TdsDriver("")
    name, reason = odbc_driver()
    if name is not None:
        return OdbcDriver(name)
    if wish == "odbc":
        raise ConfigError(
            f"Microsoft's ODBC driver can't be used here: {reason}.", hint=f"Install what it needs: {_INSTALL}"
        )
    return TdsDriver(reason)


def described(wish: str) -> tuple[str, str]:
    """The name of the driver that `find` gives, and why it is not Microsoft's where that was looked for. Raises ConfigError as `find` does."""
    found = find(wish)
    return found.name, "" if wish == "python-tds" else odbc_driver()[1]


@functools.cache
def odbc_driver() -> tuple[str | None, str]:
    """Name or path of a driver that loads, or None and the reason."""
    try:
        import pyodbc
    except ImportError as error:
        return None, f"pyodbc can't be loaded ({error})"
    # Set before the first connection: ODBC pools on the connection string, and the token is not in it.
    pyodbc.pooling = False
    installed = set(pyodbc.drivers())
    for name in ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server"):
        if name in installed:
            return name, ""
    return _from_wheel()


def _from_wheel() -> tuple[str | None, str]:
    reason = "no driver is installed"
    for path in wheel_libraries():
        try:
            # ODBC says "file not found" for any missing dependency; the loader says which.
            ctypes.CDLL(str(path))
        except OSError as error:
            reason = f"the driver of mssql-python-odbc does not load ({error})"
        else:
            return str(path), ""
    return None, reason


def wheel_libraries() -> list[Path]:
    """The drivers of the `mssql-python-odbc` wheel for this system, best first."""
    found = importlib.util.find_spec("mssql_python_odbc")
    if found is None or not found.origin:
        return []
    libraries = Path(found.origin).parent / "libs"
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    system = platform.system()
    if system == "Linux":
        kind = _linux_family()
        paths = [*libraries.glob("linux/*/*/lib/libmsodbcsql-*.so*")]
        own = [path for path in paths if path.parts[-3] in {machine, platform.machine()}]
        return sorted(own, key=lambda path: (path.parts[-4] != kind, str(path)))
    if system == "Darwin":
        return sorted(libraries.glob(f"macos/{machine}/lib/libmsodbcsql*.dylib"))
    return []


def _linux_family() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "debian_ubuntu"
    words = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    for family, marks in (
        ("rhel", {"rhel", "fedora", "centos"}),
        ("suse", {"suse", "opensuse", "sles"}),
        ("alpine", {"alpine"}),
    ):
        if words & marks:
            return family
    return "debian_ubuntu"


def packed_token(token: str) -> bytes:
    """An access token as the ODBC driver takes it: its length in bytes, little endian, then UTF-16."""
    encoded = token.encode("utf-16-le")
    return struct.pack(f"<I{len(encoded)}s", len(encoded), encoded)


def braced(value: str) -> str:
    """A value for an ODBC connection string, so that no character of it starts another setting."""
    return "{" + value.replace("}", "}}") + "}"


class OdbcDriver:
    """Microsoft's driver through pyodbc."""

    def __init__(self, driver: str) -> None:
        self._driver = driver

    @property
    def name(self) -> str:
        """ "odbc: NAME" with the driver's name or file."""
        return f"odbc: {self._driver}"

    def connection_string(self, target: Target) -> str:
        """Everything but the token, which never stands in a string."""
        settings = {
            "DRIVER": braced(self._driver),
            "SERVER": braced(f"tcp:{target.server},{target.port}"),
            "DATABASE": braced(target.database),
            "Encrypt": "yes",
            "TrustServerCertificate": "yes" if target.trust_server_certificate else "no",
            "APP": "lpmops",
            # A silent reconnect would hide a failover and repeat a statement.
            "ConnectRetryCount": "0",
        }
        if not target.token:
            settings |= {"UID": braced(target.user), "PWD": braced(target.password)}
        return ";".join(f"{name}={value}" for name, value in settings.items())

    def connect(self, target: Target, seconds: float) -> Session:
        """Open a session. Raises pyodbc.Error."""
        import pyodbc

        attributes = {_ACCESS_TOKEN: packed_token(target.token)} if target.token else {}
        connection = pyodbc.connect(
            self.connection_string(target), timeout=max(1, int(seconds)), attrs_before=attributes, autocommit=True
        )
        return _OdbcSession(connection)


class _OdbcSession:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor: Any = None
        # Held while a cancel is under way: a statement that is freed meanwhile ends the whole process within the driver.
        self._cancelling = threading.Lock()

    def rows(self, text: str, parameters: Sequence[Any], seconds: float) -> list[dict[str, Any]]:
        self._connection.timeout = max(1, int(seconds))
        self._cursor = cursor = self._connection.cursor()
        try:
            cursor.execute(text, *parameters)
            while cursor.description is None and cursor.nextset():
                pass
            return _dictionaries(cursor)
        finally:
            with self._cancelling:
                self._cursor = None
            cursor.close()

    def cancel(self) -> None:
        with self._cancelling:
            if self._cursor is not None:
                self._cursor.cancel()

    def close(self) -> None:
        self._connection.close()


def _dictionaries(cursor: Any) -> list[dict[str, Any]]:
    if cursor.description is None:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class TdsDriver:
    """python-tds: pure Python, for machines without unixODBC. `reason` says why ODBC was not taken."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    @property
    def name(self) -> str:
        """Always "python-tds"."""
        return "python-tds"

    def connect(self, target: Target, seconds: float) -> Session:
        """Open a session. Raises pytds errors."""
        tds = _python_tds()
        credentials: dict[str, Any] = {"user": target.user, "password": target.password}
        if target.token:
            credentials = {"access_token_callable": lambda: target.token}
        connection = tds.connect(
            dsn=target.server,
            port=target.port,
            database=target.database,
            login_timeout=max(1.0, seconds),
            timeout=max(1.0, seconds),
            autocommit=True,
            appname="lpmops",
            cafile=_TRUST if target.trust_server_certificate else _SYSTEM,
            validate_host=not target.trust_server_certificate,
            disable_connect_retry=True,
            **credentials,
        )
        return _TdsSession(connection)


class _TdsSession:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(
        self,
        text: str,
        parameters: Sequence[Any],
        seconds: float,  # noqa: ARG002 - python-tds takes its time-out when it connects
    ) -> list[dict[str, Any]]:
        with self._connection.cursor() as cursor:
            if parameters:
                cursor.execute(to_pyformat(text), tuple(parameters))
            else:
                cursor.execute(text)
            while cursor.description is None and cursor.nextset():
                pass
            return _dictionaries(cursor)

    def cancel(self) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()


_tds_lock = threading.Lock()
_TRUST, _SYSTEM = "trust", "system"


def _python_tds() -> Any:
    """python-tds as it must be for us, and as it is for everybody else.

    It takes a file of certificates and knows neither the system's nor a server trusted by configuration. And a login that a server refuses is tried
    again until its time is over even where retries are disabled, so that the time would be told of instead of what the server said.
    """
    import pytds
    import pytds.tls
    import pytds.utils

    with _tds_lock:
        their_context, their_tries = pytds.tls.create_context, pytds.utils.exponential_backoff
        if their_context.__module__ == __name__:  # ours already
            return pytds

        def create_context(wish: str) -> Any:
            return _tls_context(wish) if wish in (_TRUST, _SYSTEM) else their_context(wish)

        def tries(
            *, work: Callable[[float], Any], max_time_sec: float, first_attempt_time_sec: float, **rest: Any
        ) -> Any:
            if first_attempt_time_sec == max_time_sec:
                return work(max_time_sec)
            return their_tries(
                work=work, max_time_sec=max_time_sec, first_attempt_time_sec=first_attempt_time_sec, **rest
            )

        pytds.tls.create_context = create_context
        pytds.utils.exponential_backoff = tries
    return pytds


def _tls_context(wish: str) -> Any:
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # TDS 7.4 wraps the handshake in its own packets, and no server does so for TLS 1.3.
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    if wish == _TRUST:
        context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    else:
        context.set_verify(SSL.VERIFY_PEER, lambda *arguments: bool(arguments[4]))
        context.set_default_verify_paths()
    return context

"""Azure SQL: a named text of `queries/tsql` and its parameters in, rows out.

One seam over two drivers (`sqldrivers`). Connections are kept a short while for the next refresh and no longer, as an open session keeps a
serverless database awake. A call runs in a thread that the deadline can leave behind. A read on a kept connection that turns out to be dead is sent
once more on a fresh one; nothing else is ever sent twice. Times go and come in UTC and come back aware: every column of ours holds UTC.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lpmops import resources
from lpmops.config import Environment
from lpmops.errors import BadAnswerError, UnreachableError
from lpmops.services import bounded, failures, sqldrivers
from lpmops.services.bounded import SEARCH_SECONDS, Deadline
from lpmops.services.calls import CallCounter
from lpmops.services.identity import CachedCredential
from lpmops.services.secrets import SecretReader
from lpmops.services.sqldrivers import Driver, Session, Target
from lpmops.services.sqlerrors import Place, explainer
from lpmops.services.sqltext import only_reads

SCOPE = "https://database.windows.net/.default"
_SERVICE = "azuresql"
_IDLE_SECONDS = 30.0
_IDLE_PER_DATABASE = 2
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Idle:
    session: Session
    since: float
    token: str


class SqlService:
    """The logical server of one environment."""

    def __init__(
        self,
        environment: Environment,
        calls: CallCounter,
        credential: CachedCredential,
        secrets: SecretReader,
        seconds: float,
        driver: Driver | None = None,
    ) -> None:
        self._settings = environment.sql
        self._calls = calls
        self._credential = credential
        self._secrets = secrets
        self._seconds = seconds
        self._found_driver = driver
        self._lock = threading.Lock()
        self._idle: dict[str, list[_Idle]] = {}
        self._closed = False

    @property
    def driver(self) -> str:
        """ "odbc: NAME" or "python-tds". Raises ConfigError where the configured one can't be used."""
        return self._driver().name

    def rows(self, database: str, query_name: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of `queries/tsql/QUERY_NAME.sql` in `database`, its `?` marks bound to `parameters`."""
        return self._run(database, query_name, resources.query(f"tsql/{query_name}.sql"), parameters)

    def search(self, database: str, query_name: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The same of a text that reads much: it is given longer than a look at the state of things."""
        text = resources.query(f"tsql/{query_name}.sql")
        return self._run(database, query_name, text, parameters, max(self._seconds, SEARCH_SECONDS))

    def run(self, database: str, name: str, text: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a text that was filled in from `queries/tsql/NAME.sql`, none where it only changes something."""
        return self._run(database, name, text, parameters)

    def execute(self, database: str, title: str, statement: str) -> None:
        """Run a statement that `routing` made from a text of `queries`; `title` names it where something goes wrong."""
        self._run(database, title, statement, ())

    def ping(self, database: str) -> None:
        """Connect and ask for nothing. Raises what keeps the database from answering."""
        self._run(database, "ping", "SELECT 1 AS answer", ())

    def close(self) -> None:
        """Give up kept connections, without waiting for their servers."""
        with self._lock:
            self._closed = True
            idle = [kept.session for sessions in self._idle.values() for kept in sessions]
            self._idle.clear()
        _close_aside(idle)

    def _run(
        self, database: str, name: str, text: str, parameters: Sequence[Any], seconds: float | None = None
    ) -> list[dict[str, Any]]:
        deadline = Deadline.after(self._seconds if seconds is None else seconds)
        target = self._target(database, Deadline.after(self._seconds))
        self._close_old()
        kept = self._take(target)
        if kept is not None:
            try:
                return self._execute(target, kept, name, text, parameters, deadline)
            except (UnreachableError, BadAnswerError):
                if not only_reads(text):
                    raise
        return self._execute(target, None, name, text, parameters, deadline)

    def _execute(
        self, target: Target, kept: Session | None, name: str, text: str, parameters: Sequence[Any], deadline: Deadline
    ) -> list[dict[str, Any]]:
        self._calls.count(_SERVICE, name)
        place = Place(
            where=f"{target.server}:{target.port}",
            database=target.database,
            uses_token=bool(target.token),
            sign_in=self._credential.remedy,
        )
        call = _Call(self._driver(), target, kept, self._seconds)
        work = bounded.Work(
            run=partial(call.run, text, [_in_utc(value) for value in parameters], deadline),
            service=_SERVICE,
            lane=f"{_SERVICE} {place}",
            what=f"{place} ({name})",
            explain=explainer(place),
            abandon=call.abandon,
        )
        rows = bounded.run(work, deadline)
        if call.session is not None:
            self._keep(target, call.session)
        return rows

    def _target(self, database: str, deadline: Deadline) -> Target:
        settings = self._settings
        entra = settings.auth == "entra"
        return Target(
            server=settings.server,
            port=settings.port,
            database=database,
            token=self._credential.token(SCOPE, deadline=deadline).token if entra else "",
            user="" if entra else settings.user,
            password="" if entra else self._secrets.read(settings.password, deadline),
            trust_server_certificate=settings.trust_server_certificate,
        )

    def _driver(self) -> Driver:
        with self._lock:
            if self._found_driver is None:
                self._found_driver = sqldrivers.find(self._settings.driver)
            return self._found_driver

    def _take(self, target: Target) -> Session | None:
        """A kept connection that was opened with the same token."""
        with self._lock:
            sessions = self._idle.get(target.database, [])
            while sessions:
                kept = sessions.pop()
                if kept.token == target.token:
                    return kept.session
                _close_aside([kept.session])
        return None

    def _keep(self, target: Target, session: Session) -> None:
        with self._lock:
            sessions = self._idle.setdefault(target.database, [])
            if not self._closed and len(sessions) < _IDLE_PER_DATABASE:
                sessions.append(_Idle(session, time.monotonic(), target.token))
                return
        _close_aside([session])

    def _close_old(self) -> None:
        limit = time.monotonic() - _IDLE_SECONDS
        old: list[Session] = []
        with self._lock:
            for database, sessions in self._idle.items():
                old += [kept.session for kept in sessions if kept.since < limit]
                self._idle[database] = [kept for kept in sessions if kept.since >= limit]
        _close_aside(old)


class _Call:
    """One statement on its way, in a thread of its own. `session` is set where the connection may be used again."""

    def __init__(self, driver: Driver, target: Target, kept: Session | None, patience: float) -> None:
        self._driver = driver
        self._target = target
        self._open = kept
        # However long a statement may take: a server that does not let anybody in is given up as soon as ever.
        self._patience = patience
        self._lock = threading.Lock()
        self._given_up = False
        self.session: Session | None = None

    def run(self, text: str, parameters: Sequence[Any], deadline: Deadline) -> list[dict[str, Any]]:
        session = self._open
        try:
            if session is None:
                seconds = min(_CONNECT_SECONDS, max(0.1, deadline.left()))
                knock(self._target.server, self._target.port, seconds)
                session = self._driver.connect(self._target, max(1.0, min(self._patience, deadline.left())))
                with self._lock:
                    self._open = session
                    if self._given_up:
                        raise UnreachableError("Nobody waits any more.", service=_SERVICE)
            rows = [_aware(row) for row in session.rows(text, parameters, max(1.0, deadline.left()))]
        except BaseException:
            # After an error nobody knows what is left on the connection.
            if session is not None:
                _close_quietly(session)
            raise
        with self._lock:
            if not self._given_up:
                self.session = session
                return rows
        _close_quietly(session)
        return rows

    def abandon(self) -> None:
        """Make the statement end; its thread closes the connection."""
        with self._lock:
            self._given_up = True
            session = self._open
        if session is not None:
            threading.Thread(target=_cancel_quietly, args=(session,), name="lpmops sql cancel", daemon=True).start()


def knock(server: str, port: int, seconds: float) -> None:
    """See that something listens, as ODBC waits its whole login time-out for a closed port and then does not say so. Raises UnreachableError."""
    try:
        socket.create_connection((server, port), timeout=seconds).close()
    except TimeoutError:
        raise UnreachableError(
            f"Azure SQL can't be reached: {server}:{port} does not answer a connection.",
            service=_SERVICE,
            hint="Check firewall, VPN and private endpoints on the way there.",
        ) from None
    except OSError as error:
        raise failures.from_exception(error, _SERVICE, f"{server}:{port}") from error


def _in_utc(value: Any) -> Any:
    """A moment as both drivers bind it alike: pyodbc leaves a zone out, python-tds sends an offset that a CAST to DATETIME2 leaves out."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def _aware(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row.items()
    }


def _close_aside(sessions: list[Session]) -> None:
    """Close in a thread: closing talks to the server, which may hang."""
    for session in sessions:
        threading.Thread(target=_close_quietly, args=(session,), name="lpmops sql close", daemon=True).start()


def _close_quietly(session: Session) -> None:
    # A connection is closed because it is of no use any more: how that fails interests nobody.
    with suppress(Exception):
        session.close()


def _cancel_quietly(session: Session) -> None:
    with suppress(Exception):
        session.cancel()

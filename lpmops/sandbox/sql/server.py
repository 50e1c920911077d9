"""The Azure SQL logical server: its databases, its firewall, and who may sign in.

Databases are files in one folder, listed in server.json, and are there again after a restart (their faults are not). `master` always exists.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.sql import errors, moments
from lpmops.sandbox.sql.connections import ConnectionPool
from lpmops.sandbox.sql.database import Database
from lpmops.sandbox.sql.definitions.principals import password_hash
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.session import Login, Session, SqlPrincipal
from lpmops.sandbox.sql.types import CASE_INSENSITIVE, check_kept

GIGABYTE = 1024**3


class SqlServer:
    """A logical server over a folder. `connections` bounds the open SQLite files of all its databases together (three descriptors each at most)."""

    def __init__(self, folder: Path, clock: Clock, *, name: str = "sql-lpm-sandbox", connections: int = 20) -> None:
        self.name = name
        self.clock = clock
        self.folder = folder
        self.pool = ConnectionPool(connections)
        self.request_limit = 90
        self.firewall_open = True
        """False refuses clients of the listener with 40615; callers in the process are within."""
        self._mutex = threading.RLock()
        self._databases: dict[str, Database] = {}
        self._watchers: list[Callable[[Database], None]] = []
        self._session_number = 50
        folder.mkdir(parents=True, exist_ok=True)
        self._load()

    def _load(self) -> None:
        listing = self.folder / "server.json"
        entries = json.loads(listing.read_text()) if listing.exists() else []
        for entry in entries:
            path = self.folder / entry.pop("file")
            self._databases[entry["name"].casefold()] = Database(self, path, **entry)
        if "master" not in self._databases:
            self.create_database("master")

    def _save(self) -> None:
        entries = [
            {"name": d.name, "file": d.path.name, "database_id": d.database_id, "created": d.created, "max_size_bytes": d.max_size_bytes,
             "collation": d.catalog.collation, "serverless": d.serverless}
            for d in self._databases.values()
        ]  # fmt: skip
        write_whole(self.folder / "server.json", json.dumps(entries, indent=1))

    def create_database(
        self,
        name: str,
        *,
        max_size_bytes: int = 32 * GIGABYTE,
        collation: str = CASE_INSENSITIVE,
        serverless: bool = False,
    ) -> Database:
        """A new, empty database. Raises SqlError 1801 where the name is taken, 40514 for a collation this server cannot keep."""
        check_kept(collation)
        if not name or len(name) > 128:
            raise errors.syntax(name)
        with self._mutex:
            if name.casefold() in self._databases:
                raise SqlError(1801, f"Database '{name}' already exists. Choose a different database name.", 16, 3)
            number = 1 if name == "master" else max([4, *(d.database_id for d in self._databases.values())]) + 1
            created = moments.from_datetime(self.clock.now())
            path = self.folder / f"{number:04}-{quote(name, safe=' ')[:80]}.sqlite"
            database = Database(self, path, name, number, created, max_size_bytes, collation, serverless)
            self._databases[name.casefold()] = database
            self._save()
            return database

    def drop_database(self, name: str) -> None:
        """Remove a database with its rows. Raises SqlError 3701."""
        with self._mutex:
            database = self._databases.get(name.casefold())
            if database is None or name == "master":
                raise errors.cannot_drop("database", name)
            database.state = "unavailable"
            del self._databases[name.casefold()]
            self._save()
        self.pool.forget(database.path)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{database.path}{suffix}").unlink(missing_ok=True)

    def database(self, name: str) -> Database:
        """The database of that name. Raises SqlError 4060."""
        found = self._databases.get(name.casefold())
        if found is None:
            raise errors.cannot_open_database(name)
        return found

    def databases(self) -> list[Database]:
        """All databases, master first."""
        with self._mutex:
            return sorted(self._databases.values(), key=lambda database: database.database_id)

    def next_session_number(self) -> int:
        """A session id; they start at 51, as those of users do, and come round again at 32767."""
        with self._mutex:
            self._session_number = 51 if self._session_number >= 32766 else self._session_number + 1
            return self._session_number

    def watch(self, watcher: Callable[[Database], None]) -> None:
        """Be told when a database breaks its sessions."""
        self._watchers.append(watcher)

    def broken(self, database: Database) -> None:
        """Tell the watchers."""
        for watcher in list(self._watchers):
            watcher(database)

    def contained_user(self, login: Login) -> SqlPrincipal | None:
        """The contained user that a name and password open in the login's database, for a `sign_in` to build on; None where they do not."""
        found = self._databases.get(login.database.casefold())
        user = found.catalog.user(login.user) if found is not None else None
        if user is None or user.password_hash is None:
            return None
        salt = bytes.fromhex(user.password_hash.partition(":")[0])
        return SqlPrincipal(user.name) if password_hash(login.password, salt) == user.password_hash else None

    def enter(self, login: Login, principal: SqlPrincipal) -> Session:
        """A session for a signed-in client. Raises SqlError 40615, 4060, 40613, 10928, 18456."""
        if not self.firewall_open:
            raise errors.firewall_refused(self.name, login.address)
        return self.database(login.database or "master").enter(principal, login)

    def close(self) -> None:
        """Close every file."""
        for database in self.databases():
            for session in database.sessions():
                session.cancel()
        self.pool.close()

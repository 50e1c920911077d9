"""The TDS 7.4 listener over a SqlServer.

Runs on one event loop; T-SQL runs on its own bounded threads. At most `per_database` requests of one database run at a time, so a blocked database cannot take
every thread; a session that holds a write lock goes past that queue on threads of its own, because others wait for it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lpmops.sandbox.sql.database import Database
from lpmops.sandbox.sql.server import SqlServer
from lpmops.sandbox.sql.session import Login, Session, SqlPrincipal
from lpmops.sandbox.sql.tds.certificate import server_context
from lpmops.sandbox.sql.tds.session import TdsSession
from lpmops.sandbox.sql.tds.wire import Wire

SignIn = Callable[[Login], SqlPrincipal]


class TdsListener:
    """Listens on a socket until closed.

    `sign_in` says who a login is, and raises SqlError 18456 (`login_failed`) for nobody; it is called on a thread. The certificate is kept in `folder`, the server's
    own by default. `requires_encryption` refuses clients that cannot encrypt.
    """

    def __init__(
        self,
        server: SqlServer,
        sign_in: SignIn,
        folder: Path | None = None,
        *,
        requires_encryption: bool = False,
        per_database: int = 8,
    ) -> None:
        self.server = server
        self.requires_encryption = requires_encryption
        self.authority = "https://login.windows.net/common"
        self.tls = server_context(folder or server.folder)
        self._sign_in = sign_in
        self._per_database = per_database
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._threads = ThreadPoolExecutor(64, thread_name_prefix="tds")
        self._privileged = ThreadPoolExecutor(16, thread_name_prefix="tds-holder")
        self._sessions: dict[TdsSession, asyncio.Task[None]] = {}
        self._listening: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        server.watch(self._broken)

    async def start(self, sock: socket.socket) -> None:
        """Accept connections on a bound socket."""
        self._loop = asyncio.get_running_loop()
        self._listening = await asyncio.start_server(self._accept, sock=sock, limit=2**20)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._listening is not None
        return int(self._listening.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, cut every connection, and wait for what runs."""
        if self._listening is not None:
            self._listening.close()
        for session in list(self._sessions):
            session.abort()
        if self._sessions:
            await asyncio.wait(list(self._sessions.values()), timeout=10)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._privileged.shutdown(wait=False)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = TdsSession(self, Wire(reader, writer))
        task = asyncio.current_task()
        assert task is not None
        self._sessions[session] = task
        try:
            await session.serve()
        finally:
            del self._sessions[session]

    def _broken(self, database: Database) -> None:
        """A database has gone: cut the connections that are in it. Called on any thread."""
        if self._loop is None or self._loop.is_closed():
            return

        def cut() -> None:
            for session in list(self._sessions):
                if session.database == database.name:
                    session.abort()

        self._loop.call_soon_threadsafe(cut)

    async def enter(self, login: Login) -> Session:
        """Sign a client in. Raises SqlError."""

        def work() -> Session:
            return self.server.enter(login, self._sign_in(login))

        return await asyncio.get_running_loop().run_in_executor(self._privileged, work)

    async def run(self, session: Session, work: Callable[[], None], *, privileged: bool = False) -> None:
        """Run a request on a thread, in its database's turn."""
        loop = asyncio.get_running_loop()
        if privileged or session.holds_lock:
            await loop.run_in_executor(self._privileged, work)
            return
        slot = self._slots.setdefault(session.database.name, asyncio.Semaphore(self._per_database))
        async with slot:
            await loop.run_in_executor(self._threads, work)

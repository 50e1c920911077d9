"""The listener of one logical server: accepts connections on a socket and keeps them apart.

Connections beyond `connections` are closed as they come, which clients take for an unreachable server (assumed:
Azure's gateway drops them too). Everything here runs on the loop that called `start`; statements run in threads of
its own.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from contextlib import suppress
from pathlib import Path

from lpmops.sandbox.sql.database import Database
from lpmops.sandbox.sql.server import SqlServer
from lpmops.sandbox.sql.tds.certificate import CERTIFICATE, server_context
from lpmops.sandbox.sql.tds.connection import Connection, Limits, Service, SignIn
from lpmops.sandbox.sql.tds.tls import Channel
from lpmops.sandbox.sql.tds.workers import Workers


class TdsListener:
    """Speaks TDS 7.4 for a SqlServer.

    `sign_in` gives the principal behind a login (a password, or an access token in `login.token`) or raises SqlError
    18456; it runs in a thread. `folder` holds the certificate. With `require_encryption` clients that ask for none
    are told to encrypt, as Azure SQL Database does.
    """

    def __init__(
        self,
        server: SqlServer,
        sign_in: SignIn,
        folder: Path,
        *,
        require_encryption: bool = False,
        connections: int = 200,
        limits: Limits | None = None,
    ) -> None:
        self._folder = folder
        self._limit = connections
        self._workers = Workers(connections, f"tds-{server.name}")
        self._service = Service(
            server, sign_in, server_context(folder), self._workers, require_encryption, limits or Limits()
        )
        self._listening: asyncio.Server | None = None
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def certificate(self) -> Path:
        """The certificate's file, for clients that check it."""
        return self._folder / CERTIFICATE

    @property
    def connection_count(self) -> int:
        """Open connections."""
        return len(self._tasks)

    async def start(self, sock: socket.socket) -> None:
        """Listen on a bound socket. Raises OSError. A database that becomes unavailable takes its connections with it."""
        loop = asyncio.get_running_loop()

        def broken(database: Database) -> None:
            """Called on any thread; the loop may have ended before the server."""
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self.drop_connections, database)

        self._service.server.watch(broken)
        self._listening = await asyncio.start_server(self._accept, sock=sock)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._tasks) >= self._limit:
            writer.transport.abort()
            return
        peer = writer.get_extra_info("peername")
        connection = Connection(self._service, Channel(reader, writer), str(peer[0]) if peer else "")
        self._tasks.add(task)
        self._connections.add(connection)
        try:
            await connection.serve()
        except asyncio.CancelledError:
            # Only `close` cancels; a handler that ends cancelled would be reported by asyncio as a failure.
            pass
        finally:
            self._tasks.discard(task)

    def drop_connections(self, database: Database | None = None) -> int:
        """Cut connections, of one database or all, as a failover does; how many."""
        found = [
            connection for connection in self._connections
            if database is None or (connection.session is not None and connection.session.database is database)
        ]  # fmt: skip
        for connection in found:
            connection.stop()
        return len(found)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._listening is not None:
            self._listening.close()
        for connection in list(self._connections):
            connection.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._workers.close()

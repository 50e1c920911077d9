"""An Event Hubs namespace on a socket: it listens, and wakes receivers when something was appended, from whatever thread.

Runs on the event loop that starts it; the hubs behind it are shared with other threads. Clients reach it with the
connection string of the emulator (`UseDevelopmentEmulator=true`), which switches TLS off and lets any port be named;
with `tls` it speaks AMQPS to clients that trust its certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.hub.amqp import conditions
from lpmops.sandbox.hub.amqp.conditions import ConnectionFailure, LinkFailure
from lpmops.sandbox.hub.amqp.connection import Connection
from lpmops.sandbox.hub.amqp.links import ConsumerLink
from lpmops.sandbox.hub.amqp.service import Service
from lpmops.sandbox.hub.amqp.tokens import Authorize, Gatekeeper, SharedAccessKey
from lpmops.sandbox.hub.counters import Counters
from lpmops.sandbox.hub.log import Hub

_TICK_SECONDS = 0.5


class AmqpNamespace:
    """A namespace that serves `hubs`, which may change while it runs.

    `authorize(token, audience)` judges JWTs: True for every claim, or the claims, or False, or it raises TokenRefused.
    Shared access signatures and SASL PLAIN are checked against `keys`. `idle_seconds` is what the service announces as
    its idle timeout.
    """

    def __init__(
        self,
        hubs: Mapping[str, Hub],
        authorize: Authorize,
        *,
        clock: Clock,
        name: str = "namespace",
        keys: Iterable[SharedAccessKey] = (),
        idle_seconds: float = 120,
    ) -> None:
        self.counters = Counters(clock)
        self._service = Service(
            name, hubs, Gatekeeper(keys, authorize), self.counters, clock, int(idle_seconds * 1000), self._watch
        )
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._watched: dict[Hub, Callable[[], None]] = {}
        self._due: set[tuple[str, int]] = set()
        self.port = 0

    @property
    def active_connections(self) -> int:
        """How many peers are connected now."""
        return len(self._connections)

    @property
    def active_receivers(self) -> int:
        """How many receivers are attached now, over all hubs, partitions and consumer groups."""
        return len(list(self._service.receivers))

    async def start(self, where: socket.socket | tuple[str, int], *, tls: ssl.SSLContext | None = None) -> int:
        """Listen on a bound socket, or on a host and port (0 for any free one); return the port. Raises OSError where it is taken."""
        self._loop = asyncio.get_running_loop()
        if isinstance(where, socket.socket):
            self._server = await self._loop.create_server(self._make, sock=where, ssl=tls)
        else:
            self._server = await self._loop.create_server(self._make, *where, ssl=tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._ticker = self._loop.create_task(self._tick())
        return self.port

    async def close(self) -> None:
        """Stop listening and close every connection; clients see amqp:connection:forced and may come back."""
        if self._server is not None:
            self._server.close()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        for forget in self._watched.values():
            forget()
        self._watched.clear()
        self.disconnect("The service is shutting down.")
        deadline = self._loop.time() + 3 if self._server is not None else 0.0
        while self._connections and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()
        self._server = None

    def disconnect(self, reason: str = "An operator closed the connection.") -> None:
        """Close every connection, as a failover of the service does. Call it on the event loop's thread."""
        for connection in list(self._connections):
            connection.fail(ConnectionFailure(conditions.FORCED, reason))

    def take_keys(self, keys: Iterable[SharedAccessKey]) -> None:
        """Other shared access policies from now on, as a namespace has whose keys were renewed."""
        self._service.gate.take_keys(keys)

    def connection_string(self, key_name: str, hub: str | None = None) -> str:
        """What a client needs, with the key in it. Raises KeyError for a policy that does not exist."""
        key = self._service.gate.key(key_name)
        entity = f";EntityPath={hub}" if hub else ""
        credentials = f"SharedAccessKeyName={key.name};SharedAccessKey={key.key}"
        return f"Endpoint=sb://127.0.0.1:{self.port};{credentials};UseDevelopmentEmulator=true{entity}"

    def _make(self) -> Connection:
        return Connection(self._service, self._connections)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for connection in list(self._connections):
                connection.run(connection.tick)
            self._expel_from_removed()

    def _expel_from_removed(self) -> None:
        for receiver in self._service.receivers:
            hub = self._service.hub(receiver.hub_name)
            if hub is None or not hub.has_consumer_group(receiver.group):
                # Assumed: the words with which a receiver ends whose consumer group was deleted.
                receiver.expel(LinkFailure(conditions.RESOURCE_DELETED, "The messaging entity has been deleted."))

    def _watch(self, hub: Hub) -> None:
        """Wake a hub's receivers when something is appended to it."""
        if hub in self._watched:
            return
        loop, due = self._loop, self._due

        def notice(partition: int) -> None:
            place = (hub.name, partition)
            if place not in due:
                due.add(place)
                # A hub outlives the loop of a server that was not closed.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._wake, place)

        self._watched[hub] = hub.add_listener(notice)

    def _wake(self, place: tuple[str, int]) -> None:
        self._due.discard(place)
        for receiver in self._service.receivers.of(*place):
            if isinstance(receiver, ConsumerLink):
                receiver.session.run(receiver.pump)

"""The listeners of the namespaces that somebody makes while the sandbox runs: each speaks AMQP on a port of its own, as it has an address of its own.

Its keys are those that Resource Manager lists. Where it is reached stands in a file with its connection string, beside those of the namespaces that
the sandbox began with, and in the status; a restart keeps the port where it is still free.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from lpmops.sandbox.azure.event_hubs import EventHubs
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.environment import SandboxEnvironment
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.hub import AmqpNamespace, SharedAccessKey
from lpmops.sandbox.hub.amqp.tokens import Authorize

log = logging.getLogger(__name__)

ROOT = "RootManageSharedAccessKey"
_LOOK_SECONDS = 0.2


class MadeNamespaces:
    """Follows what Resource Manager makes and deletes. `authorize` is the judge of an environment's tokens."""

    def __init__(
        self,
        environments: Iterable[SandboxEnvironment],
        event_hubs: EventHubs,
        clock: Clock,
        folder: Path,
        authorize: Callable[[str], Authorize],
    ) -> None:
        self._environments = list(environments)
        self._event_hubs, self._clock, self._folder, self._authorize = event_hubs, clock, folder, authorize
        self._open: dict[str, AmqpNamespace] = {}
        self._keys: dict[str, tuple[SharedAccessKey, ...]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen for those that are there, and follow from now on."""
        await self._look()
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Stop following, and close every listener."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for namespace in self._open.values():
            await namespace.close()
        self._open.clear()

    def places(self, environment: SandboxEnvironment) -> list[dict[str, object]]:
        """Where those of an environment are reached."""
        return [
            {"namespace": name, "port": self._open[name].port, "connection_string_file": str(self._file(name))}
            for name in environment.made_namespaces()
            if name in self._keys
        ]

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._look()
            except Exception:
                log.exception("the namespaces that were made could not be followed; it is tried again")

    async def _look(self) -> None:
        wanted = {name: each for each in self._environments for name in each.made_namespaces()}
        for name in set(self._open) - set(wanted):
            await self._open.pop(name).close()
            self._keys.pop(name, None)
            self._file(name).unlink(missing_ok=True)
        for name, environment in wanted.items():
            keys = tuple(
                SharedAccessKey(policy, rule["primary"], frozenset(rule["rights"]))
                for policy, rule in self._event_hubs.policies(name).items()
            )
            if name not in self._open:
                self._open[name] = await self._listen(name, environment, keys)
            elif keys != self._keys.get(name):
                self._open[name].take_keys(keys)
            if keys != self._keys.get(name):
                self._write(name)
                self._keys[name] = keys

    async def _listen(
        self, name: str, environment: SandboxEnvironment, keys: tuple[SharedAccessKey, ...]
    ) -> AmqpNamespace:
        made = AmqpNamespace(
            environment.hubs_of(name), self._authorize(environment.name), clock=self._clock, name=name, keys=keys
        )
        try:
            await made.start(_bound(self._former_port(name)))
        except OSError:
            await made.start(_bound(0))
        return made

    def _write(self, name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._file(name), self._open[name].connection_string(ROOT), mode=0o600)

    def _former_port(self, name: str) -> int:
        path = self._file(name)
        found = (
            re.match(r"Endpoint=sb://127\.0\.0\.1:(\d+);", path.read_text(encoding="utf-8")) if path.exists() else None
        )
        return int(found.group(1)) if found else 0

    def _file(self, name: str) -> Path:
        return self._folder / f"eventhub-{name}"


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made

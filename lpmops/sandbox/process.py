"""The one process of the sandbox: its folder, its lock, its listeners and how it ends.

A folder belongs to one process, held by a lock that the system frees when it dies, so a crash leaves nothing to clean up. `running.json` says
where the process listens and is written only once everything does. The process ends on SIGTERM, SIGINT or `POST /sandbox/stop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import secrets
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from lpmops.sandbox import deployment
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.world import World

# Objects more than were let go; some hundred events hold as many as Python's own 700.
_COLLECT_AFTER = 20_000


class FolderInUse(Exception):
    """Another process holds the folder."""


class Server(uvicorn.Server):
    """An HTTP server that leaves signals to the process, which has several of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: one handler ends all servers together."""
        yield


def listen(port: int) -> socket.socket:
    """A loopback listener. Raises OSError naming the port where it is taken.

    The protocol is named because asyncio sets TCP_NODELAY only then; without it each answer waits 40 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"port {port}: {error.strerror}") from error
    listener.listen(512)
    return listener


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Own the folder for as long as the block runs. Raises FolderInUse."""
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderInUse(f"another sandbox runs in {folder}") from error
        yield


def serve(folder: Path) -> None:
    """Run the sandbox of `folder` until it is told to stop. Raises FolderInUse, OSError (port, disk) and ValueError (deployment)."""
    with hold(folder):
        running = folder / "running.json"
        running.unlink(missing_ok=True)
        plan = deployment.read(folder / "deployment.json")
        token = secrets.token_urlsafe(24)
        try:
            asyncio.run(_serve(folder, plan, token, running))
        finally:
            running.unlink(missing_ok=True)


async def _serve(folder: Path, plan: deployment.Deployment, token: str, running: Path) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    sockets = [listen(port) for port in _ports(plan)]
    world = World(folder, plan)
    servers: list[Server] = []
    tasks: list[asyncio.Task[None]] = []

    def stop() -> None:
        loop.call_soon_threadsafe(stopping.set)

    def serve_http(app: ASGIApp, listener: socket.socket) -> None:
        server = Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False, timeout_graceful_shutdown=1)
        )
        servers.append(server)
        tasks.append(loop.create_task(server.serve(sockets=[listener])))

    by_port = {listener.getsockname()[1]: listener for listener in sockets}
    try:
        await world.open(by_port, serve_http, stop, token)
        while not all(server.started for server in servers):
            await asyncio.sleep(0.01)
        _spare_the_collector()
        _announce(running, plan, token)
        await stopping.wait()
    finally:
        for server in servers:
            server.should_exit = True
        await world.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in sockets:
            listener.close()


def _spare_the_collector() -> None:
    """Collect less often: batches of thousands of events are no garbage while they are worked on, and what the start has made stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def _ports(plan: deployment.Deployment) -> list[int]:
    ports = [plan.http_port]
    for environment in plan.environments:
        ports += [environment.databricks_port, environment.amqp_port, environment.tds_port]
    return ports


def _announce(path: Path, plan: deployment.Deployment, token: str) -> None:
    write_whole(path, json.dumps({"pid": os.getpid(), "port": plan.http_port, "token": token}), mode=0o600)


def main() -> int:
    """`python -m lpmops.sandbox FOLDER`: serve it, and end stderr with one sentence where that can't be."""
    folder = Path(sys.argv[1])
    try:
        serve(folder)
    except FolderInUse as error:
        sys.stderr.write(f"{error}\n")
        return 5
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        sys.stderr.write(f"The sandbox in {folder} can't run: {reason}\n")
        return 1
    except Exception as error:  # noqa: BLE001 - the edge of the process; the sentence comes last, where the command looks for it
        traceback.print_exc()
        sys.stderr.write(f"The sandbox in {folder} can't run: {type(error).__name__}: {error}\n")
        return 1
    return 0

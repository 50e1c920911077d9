"""A loopback HTTP server that does what broken servers do: it answers from a script, and keeps every request that reached it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over the wire; `headers` have lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(slots=True)
class Wire:
    """The connection that a reply writes to, and the word that the server is closing."""

    connection: socket.socket
    closing: threading.Event
    keep: bool = False


Reply = Callable[[Wire, Request], None]


def answer(status: int, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
    """A whole answer: JSON, or text or bytes as they are."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    if body is None:
        content = b""
    sent = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}

    def reply(wire: Wire, request: Request) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        wire.connection.sendall(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode("latin-1") + content)
        wire.keep = True

    return reply


def raw(content: bytes) -> Reply:
    """These bytes, then the end of the connection."""
    return lambda wire, _: wire.connection.sendall(content)


def half_a_body() -> Reply:
    """Headers that promise more than comes."""
    return raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"value": [')


def reset() -> Reply:
    """A connection that is reset without a word."""

    def reply(wire: Wire, request: Request) -> None:
        wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return reply


def hang() -> Reply:
    """Nothing, for as long as the server lives."""
    return lambda wire, _: _until_closed(wire)


def drip(head: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n") -> Reply:
    """The head at once, then one byte each twentieth of a second: every single read succeeds, the answer never ends."""

    def reply(wire: Wire, request: Request) -> None:
        wire.connection.sendall(head)
        while not wire.closing.wait(0.05):
            wire.connection.sendall(b"x")

    return reply


def _until_closed(wire: Wire) -> None:
    wire.connection.settimeout(0.05)
    while not wire.closing.is_set():
        try:
            if not wire.connection.recv(1024):
                return
        except TimeoutError:
            continue


@dataclass
class FaultyServer:
    """Plays `script` request by request, the last reply again and again; or asks `route` for each; or sends a greeting to anybody."""

    script: list[Reply] = field(default_factory=list)
    route: Callable[[Request], Reply] | None = None
    tls: ssl.SSLContext | None = None
    greeting: bytes = b""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        # Without IPPROTO_TCP named, small answers wait 40 ms for Nagle's algorithm.
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def serve(self, *script: Reply) -> FaultyServer:
        """Answer with these from now on."""
        self.script = list(script)
        return self

    def closed_connections(self) -> bool:
        """True once no client holds a connection."""
        with self._lock:
            return not self._open

    def close(self) -> None:
        """Stop, and cut what is open."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        used = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.greeting:
                connection.sendall(self.greeting)
                return
            if self.tls is not None:
                used = self.tls.wrap_socket(connection, server_side=True)
            reader = used.makefile("rb")
            while request := self._read(reader):
                with self._lock:
                    self.requests.append(request)
                    index = min(len(self.requests), len(self.script)) - 1
                reply = self.route(request) if self.route else self.script[index]
                wire = Wire(used, self._closing)
                reply(wire, request)
                if not wire.keep:
                    break
            reader.close()
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            used.close()

    def _read(self, reader: Any) -> Request | None:
        line = reader.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := reader.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", "0")))
        return Request(method, target, headers, body, time.monotonic())

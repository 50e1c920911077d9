"""Lets a call that nobody waits for any more be ended from outside: remembers the socket it uses, so that the socket can be shut down.

A server that sends a byte a second keeps every read alive for ever; shutting the socket down ends the thread that reads. Used by `transport` alone.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_current = threading.local()


class Cuttable:
    """The connection that the adopting thread uses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: HTTPConnection | None = None
        self._is_cut = False

    def adopt(self) -> None:
        """Follow the connections that this thread uses from now on."""
        _current.cuttable = self

    def use(self, connection: HTTPConnection) -> None:
        """Remember the connection; end it at once if the call was given up meanwhile."""
        with self._lock:
            self._connection = connection
            if self._is_cut:
                self._shut()

    def cut(self) -> None:
        """Shut the socket down: whoever reads from it or writes to it fails at once."""
        with self._lock:
            self._is_cut = True
            self._shut()

    def _shut(self) -> None:
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            # The TLS layer's own shutdown would wait for the other side.
            with contextlib.suppress(OSError, ValueError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _remember(connection: HTTPConnection) -> None:
    cuttable: Cuttable | None = getattr(_current, "cuttable", None)
    if cuttable is not None:
        cuttable.use(connection)


class _Plain(HTTPConnection):
    def connect(self) -> None:
        _remember(self)
        super().connect()
        _remember(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _remember(self)
        super().request(*args, **kwargs)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        _remember(self)
        super().connect()
        _remember(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _remember(self)
        super().request(*args, **kwargs)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class CuttableAdapter(HTTPAdapter):
    """A requests adapter whose connections can be cut."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Build the pools out of connections that say which call uses them."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The same for connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
        return manager

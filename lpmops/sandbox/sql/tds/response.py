"""The answer to one request: the engine's reports turned into tokens as they come.

A Response is the engine's Sink. Rows are sent while the statement still runs, and `send` blocks until the client has
taken most of them, so no result is held whole. The last DONE waits until the end is known, since only the others say
that more follows (MS-TDS 2.2.7.6 "DONE", 2.2.7.7, 2.2.7.8).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.results import Message
from lpmops.sandbox.sql.session import Session
from lpmops.sandbox.sql.tds import tokens, values
from lpmops.sandbox.sql.tds.packets import Outgoing
from lpmops.sandbox.sql.tds.tokens import DoneKind, Environment
from lpmops.sandbox.sql.translate import OutputColumn

_SEND_AT = 64 * 1024


class Disconnected(Exception):
    """The client is gone, or takes nothing any more."""


class Response:
    """Used by the worker's thread while the request runs, by the loop after that."""

    def __init__(
        self, session: Session, outgoing: Outgoing, send: Callable[[bytes], None], stopped: Callable[[], bool]
    ) -> None:
        self._session = session
        self._server = session.database.server_name
        self._outgoing, self._send, self._stopped = outgoing, send, stopped
        self._kind = DoneKind.BATCH
        self._waiting: tuple[DoneKind, int, str, int] | None = None
        self._encoders: list[values.Encoder] = []
        self._failed = False
        self._any_failure = False
        self._transactions = session.trancount
        self.fatal = False

    # --- the engine's reports ------------------------------------------------------------------------------------------------------------------

    def columns(self, columns: Sequence[OutputColumn]) -> None:
        """A result set begins."""
        metadata = tokens.column_metadata(columns)
        self._encoders = [values.encoder(column.type) for column in columns]
        self._add(metadata)

    def rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Rows of it. Raises Disconnected."""
        if self._stopped():
            return
        encoders, add = self._encoders, self._outgoing.add
        for cells in rows:
            add(tokens.row(encoders, cells))
            if self._outgoing.waiting > _SEND_AT:
                self._send(self._outgoing.take())

    def done(self, count: int | None, verb: str) -> None:
        """A statement has ended."""
        self._follow_transaction()
        self._flush()
        status = tokens.COUNT if count is not None else 0
        if self._failed:
            status, self._failed = tokens.ERROR, False
        kind = DoneKind.BATCH if self._kind is DoneKind.BATCH else DoneKind.IN_PROCEDURE
        self._waiting = (kind, status, verb, count or 0)

    def message(self, message: Message) -> None:
        """A note."""
        self._add(tokens.info(message, self._server))

    def error(self, error: SqlError) -> None:
        """A failure."""
        self._add(tokens.error(error, self._server))
        self._failed = self._any_failure = True
        self.fatal = self.fatal or error.fatal

    # --- procedures and the end ----------------------------------------------------------------------------------------------------------------

    def begin_call(self) -> None:
        """What follows belongs to a procedure call."""
        self._flush()
        self._kind = DoneKind.PROCEDURE
        self._failed = False

    def end_call(self, status: int, returned: Sequence[bytes]) -> None:
        """The call is over, with its status and its RETURNVALUE tokens."""
        self._follow_transaction()
        failed = self._failed
        if self._waiting is not None and self._waiting[0] is DoneKind.IN_PROCEDURE and self._waiting[1] & tokens.ERROR:
            self._waiting, failed = None, True
        self._flush()
        self._outgoing.add(tokens.return_status(status))
        for value in returned:
            self._outgoing.add(value)
        self._failed = False
        self._waiting = (DoneKind.PROCEDURE, tokens.ERROR if failed else 0, "", 0)

    def add(self, data: bytes) -> None:
        """A token that the engine knows nothing of."""
        self._add(data)

    def end(self, *, attention: bool) -> bytes:
        """The last packets: what is left and the final DONE, which acknowledges an attention."""
        self._follow_transaction()
        if attention:
            self._flush()
            self._outgoing.add(tokens.done(DoneKind.BATCH, tokens.ATTENTION | self._open()))
            return self._outgoing.end()
        if self._failed:
            self._flush()
            self._waiting = (self._kind, tokens.ERROR, "", 0)
        kind, status, verb, count = self._waiting or (self._kind, 0, "", 0)
        self._outgoing.add(tokens.done(kind, status | self._open(), verb, count))
        return self._outgoing.end()

    def _open(self) -> int:
        return tokens.IN_TRANSACTION if self._session.trancount else 0

    def _flush(self) -> None:
        if self._waiting is not None:
            kind, status, verb, count = self._waiting
            self._waiting = None
            self._outgoing.add(tokens.done(kind, status | tokens.MORE | self._open(), verb, count))

    def _add(self, data: bytes) -> None:
        self._follow_transaction()
        self._flush()
        self._outgoing.add(data)

    def _follow_transaction(self) -> None:
        """Tell the client that a transaction has begun or ended since the last look."""
        before, now = self._transactions, self._session.trancount
        self._transactions = now
        if bool(before) == bool(now):
            return
        self._flush()
        descriptor = struct.pack("<Q", self._session.number)
        if now:
            self._outgoing.add(tokens.environment_bytes(Environment.BEGIN, descriptor, b""))
        else:
            # The engine does not say how a transaction ended; drivers treat both ends alike. Assumed: an end after a failure was a rollback.
            kind = Environment.ROLLBACK if self._any_failure else Environment.COMMIT
            self._outgoing.add(tokens.environment_bytes(kind, b"", descriptor))

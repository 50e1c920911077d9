"""The token stream that a server sends: [MS-TDS] 2.2.7.

Functions give the bytes of one token. TokenSink is the Sink that turns a running batch into tokens: rows as ROW or, where a value is NULL, NBCROW; a DONE for each
counted statement, the last of them held back until it is known to be the last.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.results import Message
from lpmops.sandbox.sql.tds.values import Encoder, describe, encoder
from lpmops.sandbox.sql.translate import OutputColumn
from lpmops.sandbox.sql.types import SqlType

DONE, DONE_PROCEDURE, DONE_IN_PROCEDURE = 0xFD, 0xFE, 0xFF
MORE, ERROR, IN_TRANSACTION, COUNT, ATTENTION = 0x01, 0x02, 0x04, 0x10, 0x20
DATABASE, LANGUAGE, PACKET_SIZE, COLLATION, BEGIN, COMMIT, ROLLBACK, RESET = 1, 2, 4, 7, 8, 9, 10, 18
_VERBS = {"SELECT": 0xC1, "INSERT": 0xC3, "DELETE": 0xC4, "UPDATE": 0xC5}
_NO_METADATA = struct.pack("<BH", 0x81, 0xFFFF)


def short_text(text: str) -> bytes:
    """B_VARCHAR."""
    data = text.encode("utf-16-le", "replace")[:510]
    return bytes((len(data) // 2,)) + data


def long_text(text: str) -> bytes:
    """US_VARCHAR."""
    data = text.encode("utf-16-le", "replace")[:16000]
    return struct.pack("<H", len(data) // 2) + data


def notice(token: int, number: int, state: int, severity: int, text: str, server: str, line: int) -> bytes:
    """ERROR (0xAA) or INFO (0xAB)."""
    body = (
        struct.pack("<iBB", number, max(1, state % 256), severity)
        + long_text(text)
        + short_text(server)
        + short_text("")
        + struct.pack("<i", line)
    )
    return struct.pack("<BH", token, len(body)) + body


def error(found: SqlError, server: str) -> bytes:
    """ERROR."""
    return notice(0xAA, found.number, found.state, found.severity, found.message, server, max(found.line, 1))


def done(token: int, status: int, verb: int = 0, count: int = 0) -> bytes:
    """DONE, DONEPROC or DONEINPROC."""
    return struct.pack("<BHHQ", token, status, verb, count)


def environment(kind: int, new: bytes, old: bytes) -> bytes:
    """ENVCHANGE, its values with their own lengths."""
    body = bytes((kind,)) + new + old
    return struct.pack("<BH", 0xE3, len(body)) + body


def sized(data: bytes) -> bytes:
    """B_VARBYTE."""
    return bytes((len(data),)) + data


def login_acknowledged(version: int) -> bytes:
    """LOGINACK: TDS version in use and the server's own version, 12.0.2000.8."""
    body = b"\x01" + struct.pack(">I", version) + short_text("Microsoft SQL Server") + bytes((12, 0, 0x07, 0xD0))
    return struct.pack("<BH", 0xAD, len(body)) + body


def features_acknowledged(features: Sequence[tuple[int, bytes]]) -> bytes:
    """FEATUREEXTACK."""
    return b"\xae" + b"".join(struct.pack("<BI", number, len(data)) + data for number, data in features) + b"\xff"


def federation_info(authority: str, resource: str) -> bytes:
    """FEDAUTHINFO (2.2.7.13): where the client shall get its token, and for what."""
    values = [authority.encode("utf-16-le"), resource.encode("utf-16-le")]
    start = 4 + 9 * len(values)
    table = b""
    for number, data in enumerate(values, 1):
        table += struct.pack("<BII", number, len(data), start)
        start += len(data)
    body = struct.pack("<I", len(values)) + table + b"".join(values)
    return struct.pack("<BI", 0xEE, len(body)) + body


def return_status(value: int) -> bytes:
    """RETURNSTATUS."""
    return struct.pack("<Bi", 0x79, value)


def return_value(ordinal: int, name: str, kind: SqlType, value: Any) -> bytes:
    """RETURNVALUE of an OUTPUT parameter."""
    return (
        b"\xac"
        + struct.pack("<H", ordinal)
        + short_text(name)
        + struct.pack("<BIH", 1, 0, 1)
        + describe(kind)
        + encoder(kind)(value)
    )


def column_metadata(columns: Sequence[OutputColumn]) -> bytes:
    """COLMETADATA; flags tell nullable, and that a text compares without regard to case is told by its collation."""
    if not columns:
        return _NO_METADATA
    pieces = [struct.pack("<BH", 0x81, len(columns))]
    for column in columns:
        pieces.append(
            struct.pack("<IH", 0, 0x08 | int(column.nullable)) + describe(column.type) + short_text(column.name)
        )
    return b"".join(pieces)


class TokenSink:
    """Collects the tokens of one request. `limit` bytes is the most it holds; a result beyond it ends in error 701."""

    def __init__(self, server: str, *, procedure: bool = False, limit: int = 256 * 1024 * 1024) -> None:
        self.data = bytearray()
        self.failed = False
        self.fatal = False
        self._server = server
        self._limit = limit
        self._token = DONE_IN_PROCEDURE if procedure else DONE
        self._pending: tuple[int, int, int] | None = None
        self._encoders: list[Encoder] = []
        self._error = 0

    def columns(self, columns: Sequence[OutputColumn]) -> None:
        """COLMETADATA."""
        self._flush()
        self.data += column_metadata(columns)
        self._encoders = [encoder(column.type) for column in columns]

    def rows(self, rows: list[tuple[Any, ...]]) -> None:
        """ROW or NBCROW each."""
        encoders = self._encoders
        bitmap_size = (len(encoders) + 7) // 8
        for row in rows:
            if None in row:
                bitmap = bytearray(bitmap_size)
                for place, value in enumerate(row):
                    if value is None:
                        bitmap[place >> 3] |= 1 << (place & 7)
                self.data += b"\xd2" + bitmap
                self.data += b"".join(
                    [encode(value) for encode, value in zip(encoders, row, strict=True) if value is not None]
                )
            else:
                self.data += b"\xd1" + b"".join([encode(value) for encode, value in zip(encoders, row, strict=True)])
        if len(self.data) > self._limit:
            raise SqlError(
                701, "There is insufficient system memory in resource pool 'default' to run this query.", 17, 123
            )

    def done(self, count: int | None, verb: str) -> None:
        """A statement's DONE, held back."""
        self._flush()
        status = self._error | (COUNT if count is not None else 0)
        self._pending = (status, _VERBS.get(verb, 0), count or 0)
        self._error = 0

    def message(self, message: Message) -> None:
        """INFO."""
        self._flush()
        self.data += notice(
            0xAB, message.number, message.state, message.severity, message.text, self._server, max(message.line, 1)
        )

    def error(self, error: SqlError) -> None:
        """ERROR."""
        self._flush()
        self.failed = True
        self.fatal = self.fatal or error.fatal
        self._error = ERROR
        self.data += notice(
            0xAA, error.number, error.state, error.severity, error.message, self._server, max(error.line, 1)
        )

    def append(self, token: bytes) -> None:
        """Any other token."""
        self._flush()
        self.data += token

    def _flush(self) -> None:
        if self._pending is not None:
            status, verb, count = self._pending
            self.data += done(self._token, status | MORE, verb, count)
            self._pending = None

    def finish_batch(self, transaction: int, changes: bytes = b"") -> None:
        """The last DONE; `transaction` is IN_TRANSACTION or 0, `changes` what must come before it."""
        status, verb, count = self._pending or (self._error, 0, 0)
        self._pending = None
        if changes:
            self.data += changes
        self.data += done(DONE, status | self._error | transaction, verb, count)

    def finish_procedure(
        self, status: int | None, returned: Sequence[bytes], transaction: int, *, more: bool, changes: bytes = b""
    ) -> None:
        """The statement DONEs, RETURNSTATUS, RETURNVALUEs and DONEPROC."""
        self._flush()
        self.data += changes
        if status is not None:
            self.data += return_status(status)
        for token in returned:
            self.data += token
        self.data += done(DONE_PROCEDURE, self._error | transaction | (MORE if more else 0), 0xE0, 0)
        self._error = 0

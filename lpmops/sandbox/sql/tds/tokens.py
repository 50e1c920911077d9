"""The tokens of an answer, as bytes.

One function a token, each named after it; nothing here decides which are sent or when. Rules: MS-TDS 2.2.7 "Packet
data token stream definition".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.results import Message
from lpmops.sandbox.sql.tds import typeinfo, values
from lpmops.sandbox.sql.tds.fields import long_text, short_text
from lpmops.sandbox.sql.tds.prelogin import SERVER_VERSION
from lpmops.sandbox.sql.translate import OutputColumn
from lpmops.sandbox.sql.types import SqlType, is_case_sensitive

MORE, ERROR, IN_TRANSACTION, COUNT, ATTENTION = 0x01, 0x02, 0x04, 0x10, 0x20
"""Status bits of DONE."""

_COMMANDS = {"SELECT": 0xC1, "INSERT": 0xC3, "DELETE": 0xC4, "UPDATE": 0xC5}
_NULLABLE, _CASE_SENSITIVE, _MAYBE_UPDATEABLE = 0x01, 0x02, 0x08
_LOGIN_ACK, _ENVIRONMENT, _FEATURE_ACK, _INFO, _ERROR = 0xAD, 0xE3, 0xAE, 0xAB, 0xAA


class DoneKind(IntEnum):
    """Which of the three DONE tokens."""

    BATCH = 0xFD
    PROCEDURE = 0xFE
    IN_PROCEDURE = 0xFF


class Environment(IntEnum):
    """Types of ENVCHANGE that this server sends."""

    DATABASE = 1
    LANGUAGE = 2
    PACKET_SIZE = 4
    COLLATION = 7
    BEGIN = 8
    COMMIT = 9
    ROLLBACK = 10
    RESET = 18


def done(kind: DoneKind, status: int, verb: str = "", count: int = 0) -> bytes:
    """DONE, DONEPROC or DONEINPROC."""
    return struct.pack("<BHHQ", kind, status, _COMMANDS.get(verb, 0), count)


def login_ack(tds_version: int) -> bytes:
    """LOGINACK: T-SQL, the agreed version, and what the server calls itself."""
    body = b"\x01" + struct.pack(">I", tds_version) + short_text("Microsoft SQL Server") + SERVER_VERSION[:4]
    return struct.pack("<BH", _LOGIN_ACK, len(body)) + body


def environment_text(kind: Environment, new: str, old: str) -> bytes:
    """ENVCHANGE of a name or number."""
    body = bytes((kind,)) + short_text(new) + short_text(old)
    return struct.pack("<BH", _ENVIRONMENT, len(body)) + body


def environment_bytes(kind: Environment, new: bytes, old: bytes) -> bytes:
    """ENVCHANGE of a collation or of a transaction descriptor."""
    body = bytes((kind, len(new))) + new + bytes((len(old),)) + old
    return struct.pack("<BH", _ENVIRONMENT, len(body)) + body


def feature_ack(features: Sequence[tuple[int, bytes]]) -> bytes:
    """FEATUREEXTACK."""
    body = b"".join(struct.pack("<BI", feature, len(data)) + data for feature, data in features)
    return bytes((_FEATURE_ACK,)) + body + b"\xff"


def error(failure: SqlError, server: str, procedure: str = "") -> bytes:
    """ERROR."""
    return _told(
        _ERROR, failure.number, failure.state, failure.severity, failure.message, failure.line, server, procedure
    )


def info(message: Message, server: str) -> bytes:
    """INFO."""
    return _told(_INFO, message.number, message.state, message.severity, message.text, message.line, server, "")


def _told(
    token: int, number: int, state: int, severity: int, text: str, line: int, server: str, procedure: str
) -> bytes:
    body = (
        struct.pack("<iBB", number, state & 0xFF, severity & 0xFF)
        + long_text(text)
        + short_text(server)
        + short_text(procedure)
    )
    body += struct.pack("<I", max(line, 1))
    return struct.pack("<BH", token, len(body)) + body


def column_metadata(columns: Sequence[OutputColumn]) -> bytes:
    """COLMETADATA. Raises SqlError 40514 for a type without wire form."""
    parts = [struct.pack("<BH", 0x81, len(columns))]
    for column in columns:
        flags = _MAYBE_UPDATEABLE | (_NULLABLE if column.nullable else 0)
        if column.type.is_utf8:
            raise errors.unsupported_feature(f"a result in {column.type.collation}")
        if column.type.is_character and is_case_sensitive(column.type.collation):
            flags |= _CASE_SENSITIVE
        parts += [struct.pack("<IH", 0, flags), typeinfo.announce(column.type), short_text(column.name)]
    return b"".join(parts)


def row(encoders: Sequence[values.Encoder], cells: Sequence[Stored]) -> bytes:
    """ROW, or NBCROW where a cell is NULL."""
    if None not in cells:
        return b"\xd1" + b"".join([encode(cell) for encode, cell in zip(encoders, cells, strict=True)])
    nulls = bytearray((len(cells) + 7) // 8)
    parts = []
    for place, (encode, cell) in enumerate(zip(encoders, cells, strict=True)):
        if cell is None:
            nulls[place >> 3] |= 1 << (place & 7)
        else:
            parts.append(encode(cell))
    return b"\xd2" + bytes(nulls) + b"".join(parts)


def return_status(status: int) -> bytes:
    """RETURNSTATUS."""
    return struct.pack("<Bi", 0x79, status)


def return_value(place: int, name: str, kind: SqlType, value: Stored) -> bytes:
    """RETURNVALUE of an OUTPUT parameter."""
    head = struct.pack("<BH", 0xAC, place) + short_text(name) + struct.pack("<BIH", 0x01, 0, _NULLABLE)
    return head + typeinfo.announce(kind) + (values.null(kind) if value is None else values.encoder(kind)(value))

"""What a client asks once it is in: SQLBatch, RPC, transaction manager requests and bulk load rows ([MS-TDS] 2.2.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lpmops.sandbox.sql.results import Parameter
from lpmops.sandbox.sql.tds.packets import ProtocolError, Reader
from lpmops.sandbox.sql.tds.values import read_type
from lpmops.sandbox.sql.types import SqlType

PROCEDURES = {1: "sp_cursor", 2: "sp_cursoropen", 3: "sp_cursorprepare", 4: "sp_cursorexecute", 5: "sp_cursorprepexec", 6: "sp_cursorunprepare",
              7: "sp_cursorfetch", 8: "sp_cursoroption", 9: "sp_cursorclose", 10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute",
              13: "sp_prepexec", 14: "sp_prepexecrpc", 15: "sp_unprepare"}  # fmt: skip
BEGIN, PROMOTE, COMMIT, ROLLBACK, SAVE = 5, 6, 7, 8, 9
_ISOLATION = {0: "", 1: "READ UNCOMMITTED", 2: "READ COMMITTED", 3: "REPEATABLE READ", 4: "SERIALIZABLE", 5: "SNAPSHOT"}


@dataclass(frozen=True, slots=True)
class Call:
    """One RPC."""

    procedure: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """Begin, commit or roll back; `begins_next` asks for a new transaction after the end of this one."""

    kind: int
    isolation: str
    begins_next: bool


def _after_headers(payload: bytes) -> Reader:
    """Past ALL_HEADERS, of which nothing is needed: a session has one transaction at a time."""
    reader = Reader(payload)
    total = reader.number(4)
    if not 4 <= total <= len(payload):
        raise ProtocolError("ALL_HEADERS length")
    reader.position = total
    return reader


def read_batch(payload: bytes) -> str:
    """The text of a SQLBatch."""
    reader = _after_headers(payload)
    return reader.text(reader.left // 2)


def read_calls(payload: bytes) -> list[Call]:
    """The calls of an RPC message. Raises ProtocolError, SqlError 40514."""
    reader = _after_headers(payload)
    calls: list[Call] = []
    while reader.left:
        calls.append(_read_call(reader))
    if not calls:
        raise ProtocolError("RPC without a call")
    return calls


def _read_call(reader: Reader) -> Call:
    length = reader.number(2)
    if length == 0xFFFF:
        number = reader.number(2)
        if number not in PROCEDURES:
            raise ProtocolError(f"procedure number {number}")
        name = PROCEDURES[number]
    else:
        name = reader.text(length)
    reader.take(2)
    parameters: list[Parameter] = []
    while reader.left:
        if reader.data[reader.position] in (0x80, 0xFF, 0xFE) and _is_separator(reader):
            reader.byte()
            break
        parameters.append(_read_parameter(reader))
    return Call(name, tuple(parameters))


def _is_separator(reader: Reader) -> bool:
    """A parameter's name cannot be longer than 128 characters, so a byte of 128 that no @ follows divides two calls."""
    return reader.data[reader.position] != 0x80 or reader.data[reader.position + 1 : reader.position + 3] != b"@\0"


def _read_parameter(reader: Reader) -> Parameter:
    name = reader.short_text()
    status = reader.byte()
    kind, read = read_type(reader)
    return Parameter(name, kind, read(reader), bool(status & 1))


def read_transaction(payload: bytes) -> TransactionRequest:
    """A transaction manager request. Raises ProtocolError."""
    reader = _after_headers(payload)
    kind = reader.number(2)
    if kind == BEGIN:
        isolation = reader.byte()
        reader.short_text()
        if isolation not in _ISOLATION:
            raise ProtocolError(f"isolation level {isolation}")
        return TransactionRequest(kind, _ISOLATION[isolation], False)
    if kind in (COMMIT, ROLLBACK):
        reader.take(reader.byte())
        begins_next = bool(reader.byte() & 1) if reader.left else False
        isolation = reader.byte() if begins_next else 0
        return TransactionRequest(kind, _ISOLATION.get(isolation, ""), begins_next)
    return TransactionRequest(kind, "", False)


def read_bulk_rows(payload: bytes) -> tuple[list[str], list[SqlType], list[tuple[Any, ...]]]:
    """The columns and rows, in stored values, of a bulk load. Raises ProtocolError, SqlError 40514."""
    reader = Reader(payload)
    if reader.byte() != 0x81:
        raise ProtocolError("bulk load without column metadata")
    names: list[str] = []
    kinds: list[SqlType] = []
    readers = []
    for _ in range(reader.number(2)):
        reader.take(6)
        kind, read = read_type(reader, in_row=True)
        names.append(reader.short_text())
        kinds.append(kind)
        readers.append(read)
    rows: list[tuple[Any, ...]] = []
    while reader.left:
        token = reader.byte()
        if token == 0xD1:
            rows.append(tuple(read(reader) for read in readers))
        elif token == 0xD2:
            bitmap = reader.take((len(readers) + 7) // 8)
            rows.append(
                tuple(
                    None if bitmap[place >> 3] >> (place & 7) & 1 else read(reader)
                    for place, read in enumerate(readers)
                )
            )
        elif token == 0xFD:
            break
        else:
            raise ProtocolError(f"token 0x{token:02x} in a bulk load")
    return names, kinds, rows

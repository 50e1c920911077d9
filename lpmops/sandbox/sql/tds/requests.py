"""What a client asks for: a batch, procedure calls, or a step of a transaction.

Every request begins with headers (ALL_HEADERS) of which the transaction descriptor is read over: without MARS a
session has one transaction. Rules: MS-TDS 2.2.5.3 "All headers", 2.2.6.7 "SQLBatch", 2.2.6.6 "RPC request", 2.2.6.9
"Transaction manager request".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.results import Parameter
from lpmops.sandbox.sql.tds import parameters
from lpmops.sandbox.sql.tds.fields import Fields, ProtocolError

PROCEDURES = (
    "", "sp_cursor", "sp_cursoropen", "sp_cursorprepare", "sp_cursorexecute", "sp_cursorprepexec", "sp_cursorunprepare", "sp_cursorfetch",
    "sp_cursoroption", "sp_cursorclose", "sp_executesql", "sp_prepare", "sp_execute", "sp_prepexec", "sp_prepexecrpc", "sp_unprepare",
)  # fmt: skip
"""The procedures that have a number."""

ISOLATION = ("", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT")
_BY_NUMBER, _NO_EXECUTION = 0xFFFF, 0xFE


class Step(IntEnum):
    """Transaction manager request types."""

    DTC_ADDRESS = 0
    PROPAGATE = 1
    BEGIN = 5
    PROMOTE = 6
    COMMIT = 7
    ROLLBACK = 8
    SAVE = 9


@dataclass(frozen=True, slots=True)
class Call:
    """One procedure call."""

    procedure: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """A step; `begin_again` opens the next transaction right after COMMIT or ROLLBACK, at `isolation` ("" is the
    current level).
    """

    step: Step
    isolation: str = ""
    begin_again: bool = False


def _after_headers(payload: bytes) -> Fields:
    fields = Fields(payload)
    size = fields.u32()
    if not 4 <= size <= len(payload):
        raise ProtocolError(f"request headers of {size} bytes")
    headers = Fields(fields.take(size - 4))
    while headers.left:
        length = headers.u32()
        if length < 6:
            raise ProtocolError(f"a request header of {length} bytes")
        headers.take(length - 4)
    return fields


def batch_text(payload: bytes) -> str:
    """The text of a SQLBatch. Raises ProtocolError."""
    fields = _after_headers(payload)
    if fields.left % 2:
        raise ProtocolError("a batch of half a character")
    return fields.text(fields.left // 2)


def calls(payload: bytes) -> list[Call]:
    """The procedure calls of an RPC message, in order. Raises ProtocolError, SqlError for refused parameters."""
    fields = _after_headers(payload)
    found: list[Call] = []
    while fields.left:
        found.append(_call(fields))
        if fields.left and fields.u8() == _NO_EXECUTION:
            raise errors.unsupported_feature("RPC batch without execution")
    if not found:
        raise ProtocolError("an RPC request without a call")
    return found


def _call(fields: Fields) -> Call:
    length = fields.u16()
    if length == _BY_NUMBER:
        number = fields.u16()
        if not 1 <= number < len(PROCEDURES):
            raise ProtocolError(f"procedure number {number}")
        name = PROCEDURES[number]
    else:
        name = fields.text(length)
    fields.u16()
    return Call(name, parameters.read_all(fields))


def transaction(payload: bytes) -> TransactionRequest:
    """A step of a transaction. Raises ProtocolError, SqlError 40514 for distributed transactions."""
    fields = _after_headers(payload)
    number = fields.u16()
    try:
        step = Step(number)
    except ValueError:
        raise ProtocolError(f"transaction request {number}") from None
    match step:
        case Step.BEGIN:
            isolation = _isolation(fields)
            fields.take(fields.u8())
            return TransactionRequest(step, isolation)
        case Step.COMMIT | Step.ROLLBACK:
            fields.take(fields.u8())
            if fields.u8() & 1:
                return TransactionRequest(step, _isolation(fields), begin_again=True)
            return TransactionRequest(step)
        case Step.SAVE:
            raise errors.unsupported_statement("SAVE TRANSACTION")
    raise errors.unsupported_feature("distributed transaction")


def _isolation(fields: Fields) -> str:
    level = fields.u8()
    if level >= len(ISOLATION):
        raise ProtocolError(f"isolation level {level}")
    return ISOLATION[level]

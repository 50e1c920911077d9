"""The parameters of a remote procedure call.

Each has a name (or none, and then stands by its place), a status, a type and a value; out come the engine's
Parameters. A parameter that asks for its DEFAULT, or is encrypted by Always Encrypted, is refused by name. Rules:
MS-TDS 2.2.6.6 "RPC request", ParameterData.
"""

from __future__ import annotations

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.results import Parameter
from lpmops.sandbox.sql.tds import typeinfo, values
from lpmops.sandbox.sql.tds.fields import Fields, ProtocolError

BATCH_FLAGS = (0xFF, 0xFE)
"""What stands between the calls of one message: BatchFlag and NoExecFlag."""

MOST = 2100
"""Parameters that one call may have (SQL Server maximum capacity specifications)."""

_BY_REFERENCE, _DEFAULT, _ENCRYPTED = 0x01, 0x02, 0x08


def read_all(fields: Fields) -> tuple[Parameter, ...]:
    """The parameters up to the next call or the end. Raises ProtocolError, SqlError 40514, 40517, 8003, 8023."""
    found: list[Parameter] = []
    while fields.left and fields.peek() not in BATCH_FLAGS:
        found.append(_read(fields))
        if len(found) > MOST + 3:
            text = (
                "The incoming request has too many parameters. The server supports a maximum of 2100 parameters. "
                "Reduce the number of parameters and resend the request."
            )
            raise errors.SqlError(8003, text, 16, 1)
    return tuple(found)


def _read(fields: Fields) -> Parameter:
    name = fields.short_text()
    status = fields.u8()
    if status & _ENCRYPTED:
        raise errors.unsupported_feature("Always Encrypted")
    if status & ~(_BY_REFERENCE | _DEFAULT):
        raise ProtocolError(f"a parameter of status {status:#04x}")
    wire = typeinfo.read(fields)
    value = values.read(fields, wire)
    if status & _DEFAULT:
        raise errors.unsupported_option("DEFAULT")
    return Parameter(name, wire.type, value, bool(status & _BY_REFERENCE))

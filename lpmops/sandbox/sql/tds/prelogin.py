"""PRELOGIN: what both sides can do, and how much of the connection is encrypted.

The server follows the client's wish (full, login only, none) unless it requires encryption, as Azure SQL Database
does. MARS is always declined. Rules: MS-TDS 2.2.6.5 "PRELOGIN" and its table of encryption answers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from lpmops.sandbox.sql.tds.fields import Fields, ProtocolError

VERSION, ENCRYPTION, INSTANCE, THREAD, MARS, TRACE, FEDERATED, NONCE, TERMINATOR = 0, 1, 2, 3, 4, 5, 6, 7, 0xFF
SERVER_VERSION = struct.pack(">BBHH", 12, 0, 2000, 0)
"""Azure SQL Database calls itself 12.0.2000 (SERVERPROPERTY('ProductVersion'))."""

_OFF, _ON, _NOT_SUPPORTED, _REQUIRED = 0, 1, 2, 3
_MOST_OPTIONS = 64


class Encryption(IntEnum):
    """How much is encrypted."""

    NONE = 0
    LOGIN_ONLY = 1
    FULL = 2


@dataclass(frozen=True, slots=True)
class Prelogin:
    """What the client asked for. `federated` is None where it did not mention access tokens."""

    encryption: int
    federated: bool | None = None


def parse(payload: bytes) -> Prelogin:
    """The client's PRELOGIN. Raises ProtocolError."""
    options: dict[int, bytes] = {}
    fields = Fields(payload)
    while (option := fields.u8()) != TERMINATOR:
        offset, length = struct.unpack(">HH", fields.take(4))
        if offset + length > len(payload) or len(options) > _MOST_OPTIONS:
            raise ProtocolError("a PRELOGIN option lies outside of the message")
        options[option] = payload[offset : offset + length]
    wish = options.get(ENCRYPTION, bytes((_NOT_SUPPORTED,)))
    if len(wish) != 1 or wish[0] > _REQUIRED:
        # 0x80 and above ask for a client certificate, which Azure SQL Database does not take.
        raise ProtocolError("PRELOGIN asks for an encryption that does not exist here")
    federated = options.get(FEDERATED)
    return Prelogin(wish[0], federated[:1] == b"\x01" if federated is not None else None)


def agree(client: Prelogin, *, require_encryption: bool) -> tuple[Encryption, bytes]:
    """What will be encrypted, and the answer's payload."""
    if client.encryption in (_ON, _REQUIRED):
        chosen, flag = Encryption.FULL, _ON
    elif require_encryption:
        chosen, flag = Encryption.FULL, _REQUIRED
    elif client.encryption == _OFF:
        chosen, flag = Encryption.LOGIN_ONLY, _OFF
    else:
        chosen, flag = Encryption.NONE, _NOT_SUPPORTED
    options = {VERSION: SERVER_VERSION, ENCRYPTION: bytes((flag,)), INSTANCE: b"\0", THREAD: b"", MARS: b"\0"}
    if client.federated is not None:
        options[FEDERATED] = bytes((client.federated,))
    return chosen, build(options)


def build(options: dict[int, bytes]) -> bytes:
    """A PRELOGIN payload."""
    at = len(options) * 5 + 1
    head, body = bytearray(), bytearray()
    for option, data in options.items():
        head += struct.pack(">BHH", option, at + len(body), len(data))
        body += data
    return bytes(head) + bytes((TERMINATOR,)) + bytes(body)

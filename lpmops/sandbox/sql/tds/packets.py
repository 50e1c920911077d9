"""Packets: the eight-byte header, messages put together from packets, and a message cut into them.

A packet is at most 32,767 bytes and a message has a limit too, so that no peer can make this process hold what it
likes. A message whose last packet says "ignore" vanishes. Rules: MS-TDS 2.2.3.1 "Packet header" and 2.2.3.1.2
"Status".
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

from lpmops.sandbox.sql.tds.fields import ProtocolError

HEADER = struct.Struct(">BBHHBB")
SMALLEST, DEFAULT, LARGEST = 512, 4096, 32_767
LARGEST_ENCRYPTED = 16_383
"""A packet must fit one TLS record (MS-TDS 2.2.6.4, PacketSize)."""

END, IGNORE, RESET, RESET_KEEPING_TRANSACTION = 0x01, 0x02, 0x08, 0x10


class PacketType(IntEnum):
    """Message types that a client may send, and the one that answers."""

    SQL_BATCH = 0x01
    RPC = 0x03
    TABULAR = 0x04
    ATTENTION = 0x06
    BULK_LOAD = 0x07
    FEDERATED_TOKEN = 0x08
    TRANSACTION = 0x0E
    LOGIN7 = 0x10
    SSPI = 0x11
    PRELOGIN = 0x12


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet without its header."""

    type: PacketType
    status: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message; `reset` asks for a fresh session first, `keep_transaction` that it spares an open
    transaction.
    """

    type: PacketType
    payload: bytes
    reset: bool = False
    keep_transaction: bool = False


def parse_header(header: bytes) -> tuple[PacketType, int, int]:
    """(type, status, bytes of payload). Raises ProtocolError for an unknown type or a size out of bounds."""
    kind, status, length, _, _, _ = HEADER.unpack(header)
    if not HEADER.size <= length <= LARGEST:
        raise ProtocolError(f"a packet of {length} bytes")
    try:
        return PacketType(kind), status, length - HEADER.size
    except ValueError:
        raise ProtocolError(f"a packet of type {kind:#04x}") from None


async def read_packet(read: Callable[[int], Awaitable[bytes]]) -> Packet:
    """The next packet. Raises ProtocolError, and what `read` raises at the end of the stream."""
    kind, status, length = parse_header(await read(HEADER.size))
    return Packet(kind, status, await read(length) if length else b"")


class Assembler:
    """Packets of one direction in, messages out."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._type: PacketType | None = None
        self._reset = 0

    def add(self, packet: Packet) -> Message | None:
        """The message that this packet completes. Raises ProtocolError for mixed types or more than `limit` bytes."""
        if self._type is None:
            self._type = packet.type
            self._reset = packet.status & (RESET | RESET_KEEPING_TRANSACTION)
        elif packet.type is not self._type:
            raise ProtocolError(f"a packet of type {packet.type.name} inside a message of type {self._type.name}")
        self._size += len(packet.payload)
        if self._size > self.limit:
            raise ProtocolError(f"a message of more than {self.limit} bytes")
        self._parts.append(packet.payload)
        if not packet.status & END:
            return None
        whole = Message(
            packet.type, b"".join(self._parts), self._reset != 0, bool(self._reset & RESET_KEEPING_TRANSACTION)
        )
        self._parts, self._size, self._type = [], 0, None
        return None if packet.status & IGNORE else whole


class Outgoing:
    """A message on its way out, cut into packets of `size` bytes as it grows."""

    def __init__(self, kind: PacketType, size: int, spid: int = 0) -> None:
        self._kind, self._body, self._spid = kind, size - HEADER.size, spid & 0xFFFF
        self._buffer = bytearray()
        self._number = 1

    @property
    def waiting(self) -> int:
        """Bytes added and not yet taken."""
        return len(self._buffer)

    def add(self, data: bytes) -> None:
        """More of the body."""
        self._buffer += data

    def take(self) -> bytes:
        """The packets that are full and cannot be the last."""
        out = bytearray()
        at = 0
        while len(self._buffer) - at > self._body:
            self._packet(out, 0, self._buffer[at : at + self._body])
            at += self._body
        del self._buffer[:at]
        return bytes(out)

    def end(self) -> bytes:
        """What is left, the last packet marked."""
        out = bytearray(self.take())
        self._packet(out, END, self._buffer)
        self._buffer = bytearray()
        return bytes(out)

    def _packet(self, out: bytearray, status: int, body: bytes | bytearray) -> None:
        out += HEADER.pack(self._kind, status, len(body) + HEADER.size, self._spid, self._number & 0xFF, 0)
        out += body
        self._number += 1

"""TDS packets and the reading of bytes: [MS-TDS] 2.2.3.

A message is one or more packets with an eight-byte header: type, status, length (big endian, header included), session, packet number, window. `split` makes
packets of a message, `Assembler` a message of packets. What is not TDS raises ProtocolError, which ends the connection and nothing else.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SQL_BATCH, RPC, RESPONSE, ATTENTION, BULK_LOAD, FEDAUTH_TOKEN, TRANSACTION, LOGIN7, PRELOGIN = (
    1,
    3,
    4,
    6,
    7,
    8,
    14,
    16,
    18,
)
END_OF_MESSAGE, IGNORE, RESET, RESET_KEEPING_TRANSACTION = 1, 2, 8, 16
HEADER = struct.Struct(">BBHHBB")
LARGEST_MESSAGE = 512 * 1024 * 1024
_CLIENT_TYPES = frozenset({SQL_BATCH, RPC, ATTENTION, BULK_LOAD, FEDAUTH_TOKEN, TRANSACTION, LOGIN7, PRELOGIN})


class ProtocolError(Exception):
    """The bytes are not what TDS allows at this place."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message: packet type, status bits of its first packet, payload."""

    type: int
    status: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """A packet's header; length includes the eight bytes of the header itself."""

    type: int
    status: int
    length: int


def read_header(data: bytes) -> Header:
    """The header of a client's packet. Raises ProtocolError."""
    kind, status, length, _, _, _ = HEADER.unpack(data)
    if kind not in _CLIENT_TYPES:
        raise ProtocolError(f"packet type {kind}")
    if not HEADER.size <= length <= 32768:
        raise ProtocolError(f"packet length {length}")
    return Header(kind, status, length)


class Assembler:
    """Puts packets together until one ends the message."""

    def __init__(self) -> None:
        self._type = 0
        self._status = 0
        self._payload = bytearray()

    def add(self, header: Header, payload: bytes) -> Message | None:
        """The message, once it is whole. Raises ProtocolError for a packet of another type in between, or a message that never ends."""
        if self._type == 0:
            self._type, self._status = header.type, header.status
        elif header.type != self._type:
            raise ProtocolError(f"packet of type {header.type} within a message of type {self._type}")
        self._payload += payload
        if len(self._payload) > LARGEST_MESSAGE:
            raise ProtocolError("message too large")
        if not header.status & END_OF_MESSAGE:
            return None
        message = Message(self._type, self._status | header.status & IGNORE, bytes(self._payload))
        self._type, self._payload = 0, bytearray()
        return message


def split(kind: int, payload: bytes | bytearray, packet_size: int, session: int = 0) -> list[bytes]:
    """A message as packets of at most `packet_size` bytes each, header included."""
    room = packet_size - HEADER.size
    view = memoryview(payload)
    pieces = [view[start : start + room] for start in range(0, len(view), room)] or [view]
    last = len(pieces) - 1
    return [
        HEADER.pack(kind, END_OF_MESSAGE if number == last else 0, len(piece) + HEADER.size, session, (number + 1) % 256, 0) + piece
        for number, piece in enumerate(pieces)
    ]  # fmt: skip


class Reader:
    """Reads numbers and texts off a payload. Raises ProtocolError past its end."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.position

    def take(self, count: int) -> bytes:
        """So many bytes."""
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise ProtocolError("data ends early")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def byte(self) -> int:
        """An unsigned byte."""
        return self.take(1)[0]

    def number(self, size: int, *, signed: bool = False) -> int:
        """A little-endian number."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def text(self, characters: int) -> str:
        """UTF-16 text of so many units; a lone surrogate becomes U+FFFD, which is what can be stored."""
        return self.take(characters * 2).decode("utf-16-le", "replace")

    def short_text(self) -> str:
        """B_VARCHAR: a byte of length, then text."""
        return self.text(self.byte())

    def long_text(self) -> str:
        """US_VARCHAR: two bytes of length, then text."""
        return self.text(self.number(2))

"""Bytes read field by field, never past their end.

All numbers of TDS bodies are little endian, text is UTF-16LE counted in characters (MS-TDS 2.2.5, "Grammar definition
for token description"). What does not fit raises ProtocolError, which ends the connection that sent it and no other.
"""

from __future__ import annotations

import struct

from lpmops.sandbox.sql.errors import SqlError

_U16, _U32, _U64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")


class ProtocolError(Exception):
    """The peer sent what is not TDS."""


class Fields:
    """A cursor over one message or one token."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def peek(self) -> int:
        """The next byte, left in place. Raises ProtocolError at the end."""
        if self._at >= len(self._data):
            raise ProtocolError("a field is missing at the end of a message")
        return self._data[self._at]

    def take(self, count: int) -> bytes:
        """So many bytes. Raises ProtocolError where fewer are left."""
        end = self._at + count
        if count < 0 or end > len(self._data):
            raise ProtocolError(f"a field of {count} bytes has only {self.left}")
        found = self._data[self._at : end]
        self._at = end
        return found

    def u8(self) -> int:
        """BYTE."""
        return self.take(1)[0]

    def u16(self) -> int:
        """USHORT."""
        return int(_U16.unpack(self.take(2))[0])

    def u32(self) -> int:
        """ULONG."""
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        """ULONGLONG."""
        return int(_U64.unpack(self.take(8))[0])

    def text(self, characters: int) -> str:
        """UTF-16 text of so many code units."""
        return utf16(self.take(characters * 2))

    def short_text(self) -> str:
        """B_VARCHAR: a byte of length, then text."""
        return self.text(self.u8())

    def long_text(self) -> str:
        """US_VARCHAR: two bytes of length, then text."""
        return self.text(self.u16())


def utf16(data: bytes) -> str:
    """Text of UTF-16LE bytes; unpaired surrogates stay, as SQL Server keeps them. Raises ProtocolError for half a
    character.
    """
    try:
        return data.decode("utf-16-le", "surrogatepass")
    except UnicodeDecodeError:
        raise ProtocolError("text is not UTF-16") from None


def utf16_bytes(text: str) -> bytes:
    """UTF-16LE bytes of a text."""
    return text.encode("utf-16-le", "surrogatepass")


def short_text(text: str) -> bytes:
    """B_VARCHAR of at most 255 code units; longer text is cut."""
    data = utf16_bytes(text)[:510]
    return bytes((len(data) // 2,)) + data


def long_text(text: str, limit: int = 4000) -> bytes:
    """US_VARCHAR of at most `limit` code units; longer text is cut."""
    data = utf16_bytes(text)[: limit * 2]
    return _U16.pack(len(data) // 2) + data


def invalid(name: str) -> SqlError:
    """8023: the bytes are in order, the value is not one of the type."""
    text = (
        "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. "
        f"The supplied value is not a valid instance of data type {name}."
    )
    return SqlError(8023, text, 16, 4)

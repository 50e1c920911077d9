"""The AMQP 1.0 type system: values to bytes and back.

In come bytes from strangers, so every read is bounds-checked and every nesting and count is limited; what does not
decode raises DecodeError and nothing else. Integers, symbols and timestamps come back as small subclasses of int and
str that remember their AMQP type, so that a value read is written again as it was. Source: OASIS AMQP 1.0 part 1,
http://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-types-v1.0-os.html.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

MAX_DEPTH = 32
# An array of zero-width items says a count and carries no bytes for it, so only this bounds what a few bytes can make us allocate.
MAX_ZERO_WIDTH_ITEMS = 4096


class DecodeError(ValueError):
    """The bytes are not a valid AMQP value."""


class UByte(int):
    """AMQP ubyte."""


class UShort(int):
    """AMQP ushort."""


class UInt(int):
    """AMQP uint."""


class ULong(int):
    """AMQP ulong."""


class Byte(int):
    """AMQP byte."""


class Short(int):
    """AMQP short."""


class Int(int):
    """AMQP int; a plain Python int is written as long."""


class Timestamp(int):
    """Milliseconds since the epoch."""


class Symbol(str):
    """AMQP symbol: ASCII text of a constrained domain."""

    __slots__ = ()


class Char(str):
    """One Unicode character."""

    __slots__ = ()


class Float(float):
    """Single precision; a plain Python float is written as double."""


@dataclass(frozen=True, slots=True)
class Decimal:
    """A decimal32/64/128, kept as its bytes: nothing here computes with it."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Described:
    """A value with its descriptor (a ulong or a symbol)."""

    descriptor: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Array:
    """An AMQP array: items that share the constructor `code`; with `descriptor`, each item is described by it."""

    code: int
    items: tuple[Any, ...]
    descriptor: Any = None


def _fixed(form: str, make: Callable[[Any], Any]) -> tuple[int, Callable[[Buffer, int], Any]]:
    packer = struct.Struct(form)
    return packer.size, lambda buffer, at: make(packer.unpack_from(buffer, at)[0])


def _same(value: Any) -> Any:
    return value


def _character(value: int) -> Char:
    if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        raise DecodeError("char is no Unicode scalar value")
    return Char(chr(value))


def _raw(width: int, make: Callable[[bytes], Any]) -> tuple[int, Callable[[Buffer, int], Any]]:
    return width, lambda buffer, at: make(bytes(buffer[at : at + width]))


_EMPTY: dict[int, Callable[[], Any]] = {
    0x40: lambda: None,
    0x41: lambda: True,
    0x42: lambda: False,
    0x43: lambda: UInt(0),
    0x44: lambda: ULong(0),
    0x45: list,
}

_FIXED: dict[int, tuple[int, Callable[[Buffer, int], Any]]] = {
    0x50: _fixed(">B", UByte),
    0x51: _fixed(">b", Byte),
    0x52: _fixed(">B", UInt),
    0x53: _fixed(">B", ULong),
    0x54: _fixed(">b", Int),
    0x55: _fixed(">b", _same),
    0x56: _fixed(">B", bool),
    0x60: _fixed(">H", UShort),
    0x61: _fixed(">h", Short),
    0x70: _fixed(">I", UInt),
    0x71: _fixed(">i", Int),
    0x72: _fixed(">f", Float),
    0x73: _fixed(">I", _character),
    0x74: _raw(4, Decimal),
    0x80: _fixed(">Q", ULong),
    0x81: _fixed(">q", _same),
    0x82: _fixed(">d", _same),
    0x83: _fixed(">q", Timestamp),
    0x84: _raw(8, Decimal),
    0x94: _raw(16, Decimal),
    0x98: _raw(16, lambda raw: uuid.UUID(bytes=raw)),
}


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError("string is not UTF-8") from error


def _symbol(raw: bytes) -> Symbol:
    try:
        return Symbol(raw.decode("ascii"))
    except UnicodeDecodeError as error:
        raise DecodeError("symbol is not ASCII") from error


_VARIABLE: dict[int, tuple[int, Callable[[bytes], Any]]] = {
    0xA0: (1, _same),
    0xA1: (1, _text),
    0xA3: (1, _symbol),
    0xB0: (4, _same),
    0xB1: (4, _text),
    0xB3: (4, _symbol),
}

_LIST, _MAP, _ARRAY = (0xC0, 0xD0), (0xC1, 0xD1), (0xE0, 0xF0)


def decode(buffer: Buffer, at: int = 0, depth: int = 0) -> tuple[Any, int]:
    """Read the value at `at`; return it with the index after it. Raises DecodeError."""
    if depth > MAX_DEPTH:
        raise DecodeError("values are nested too deeply")
    if at >= len(buffer):
        raise DecodeError("a value is missing")
    code = buffer[at]
    if code:
        return _decode_as(code, buffer, at + 1, depth)
    descriptor, at = decode(buffer, at + 1, depth + 1)
    value, at = decode(buffer, at, depth + 1)
    return Described(descriptor, value), at


def _decode_as(code: int, buffer: Buffer, at: int, depth: int) -> tuple[Any, int]:
    fixed = _FIXED.get(code)
    if fixed is not None:
        width, read = fixed
        _need(buffer, at, width)
        return read(buffer, at), at + width
    variable = _VARIABLE.get(code)
    if variable is not None:
        start, end = _span(buffer, at, variable[0])
        return variable[1](bytes(buffer[start:end])), end
    empty = _EMPTY.get(code)
    if empty is not None:
        return empty(), at
    if code in _LIST:
        return _decode_list(buffer, at, 1 if code == 0xC0 else 4, depth)
    if code in _MAP:
        items, end = _decode_list(buffer, at, 1 if code == 0xC1 else 4, depth)
        return _as_map(items), end
    if code in _ARRAY:
        return _decode_array(buffer, at, 1 if code == 0xE0 else 4, depth)
    raise DecodeError(f"0x{code:02x} is no AMQP constructor")


def _need(buffer: Buffer, at: int, width: int) -> None:
    if at + width > len(buffer):
        raise DecodeError("a value runs past the end")


def _span(buffer: Buffer, at: int, width: int) -> tuple[int, int]:
    """Where the `size` bytes that follow the size field at `at` begin and end."""
    _need(buffer, at, width)
    start = at + width
    end = start + int.from_bytes(buffer[at:start], "big")
    if end > len(buffer):
        raise DecodeError("a value runs past the end")
    return start, end


def _counted(buffer: Buffer, at: int, width: int) -> tuple[int, int, int]:
    """Start of the items, end of the compound, number of items."""
    start, end = _span(buffer, at, width)
    if start + width > end:
        raise DecodeError("a compound has no room for its count")
    return start + width, end, int.from_bytes(buffer[start : start + width], "big")


def _decode_list(buffer: Buffer, at: int, width: int, depth: int) -> tuple[list[Any], int]:
    at, end, count = _counted(buffer, at, width)
    if count > end - at:
        raise DecodeError("a compound counts more items than it has bytes")
    items = []
    for _ in range(count):
        item, at = decode(buffer, at, depth + 1)
        items.append(item)
    if at != end:
        raise DecodeError("a compound is not as long as it says")
    return items, end


def _as_map(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise DecodeError("a map has a key without a value")
    try:
        return dict(zip(items[::2], items[1::2], strict=True))
    except TypeError as error:
        raise DecodeError("a map key is a compound") from error


def _decode_array(buffer: Buffer, at: int, width: int, depth: int) -> tuple[Array, int]:
    if depth > MAX_DEPTH:
        raise DecodeError("values are nested too deeply")
    at, end, count = _counted(buffer, at, width)
    if at >= end:
        if count:
            raise DecodeError("an array has no constructor")
        return Array(0x40, ()), end
    code, at, descriptor = buffer[at], at + 1, None
    if code == 0:
        descriptor, at = decode(buffer, at, depth + 1)
        _need(buffer, at, 1)
        code, at = buffer[at], at + 1
        if code == 0:
            raise DecodeError("an array item is described twice")
    if count > (MAX_ZERO_WIDTH_ITEMS if code in _EMPTY else end - at):
        raise DecodeError("an array counts more items than it has bytes")
    items = []
    for _ in range(count):
        item, at = _decode_as(code, buffer, at, depth + 1)
        items.append(item)
    if at != end:
        raise DecodeError("an array is not as long as it says")
    return Array(code, tuple(items), descriptor), end


def skip(buffer: Buffer, at: int = 0, depth: int = 0) -> int:
    """The index after the value at `at`, found from its constructor alone. Raises DecodeError."""
    while True:
        if depth > MAX_DEPTH:
            raise DecodeError("values are nested too deeply")
        if at >= len(buffer):
            raise DecodeError("a value is missing")
        code = buffer[at]
        if code:
            break
        at, depth = skip(buffer, at + 1, depth + 1), depth + 1
    at += 1
    high = code >> 4
    if high == 4:
        end = at
    elif 5 <= high <= 9:
        end = at + (1, 2, 4, 8, 16)[high - 5]
    elif high in (0xA, 0xC, 0xE):
        return _span(buffer, at, 1)[1]
    elif high in (0xB, 0xD, 0xF):
        return _span(buffer, at, 4)[1]
    else:
        raise DecodeError(f"0x{code:02x} is no AMQP constructor")
    if end > len(buffer):
        raise DecodeError("a value runs past the end")
    return end


def encode(value: Any) -> bytes:
    """The bytes of `value`; raises TypeError for what AMQP has no type for, and struct.error for a number out of range."""
    writer = _WRITERS.get(type(value))
    if writer is None:
        raise TypeError(f"{type(value).__name__} has no AMQP type here")
    return writer(value)


def encode_list(values: Sequence[Any]) -> bytes:
    """A list; never the zero-byte form, which Microsoft's Python client cannot read in a performative."""
    return _compound(0xC0, len(values), b"".join([encode(value) for value in values]))


def encode_described(descriptor: int, values: Sequence[Any]) -> bytes:
    """A composite type: a small ulong descriptor and a list of its fields."""
    return b"\x00\x53" + bytes((descriptor,)) + encode_list(values)


def encode_binary(raw: bytes) -> bytes:
    """A binary."""
    return b"\xa0" + bytes((len(raw),)) + raw if len(raw) < 256 else b"\xb0" + len(raw).to_bytes(4, "big") + raw


def symbols(names: Sequence[str]) -> Array:
    """An array of symbols."""
    return Array(0xA3, tuple(Symbol(name) for name in names))


def _compound(small: int, count: int, body: bytes) -> bytes:
    if count < 256 and len(body) < 255:
        return bytes((small, len(body) + 1, count)) + body
    return bytes((small + 0x10,)) + struct.pack(">II", len(body) + 4, count) + body


def _sized(small: int, raw: bytes) -> bytes:
    return (
        bytes((small, len(raw))) + raw if len(raw) < 256 else bytes((small + 0x10,)) + struct.pack(">I", len(raw)) + raw
    )


def _unsigned(zero: int | None, small: int, wide: int, form: str) -> Callable[[int], bytes]:
    packer = struct.Struct(form)

    def write(value: int) -> bytes:
        if value == 0 and zero is not None:
            return bytes((zero,))
        return bytes((small, value)) if 0 <= value < 256 else bytes((wide,)) + packer.pack(value)

    return write


def _signed(small: int, wide: int, form: str) -> Callable[[int], bytes]:
    packer = struct.Struct(form)
    return lambda value: (
        struct.pack(">Bb", small, value) if -128 <= value < 128 else bytes((wide,)) + packer.pack(value)
    )


def _plain(code: int, form: str) -> Callable[[Any], bytes]:
    packer = struct.Struct(form)
    return lambda value: bytes((code,)) + packer.pack(value)


def _write_map(value: dict[Any, Any]) -> bytes:
    return _compound(0xC1, len(value) * 2, b"".join([encode(key) + encode(item) for key, item in value.items()]))


def _write_array(value: Array) -> bytes:
    head = (
        bytes((value.code,)) if value.descriptor is None else b"\x00" + encode(value.descriptor) + bytes((value.code,))
    )
    body = head + b"".join([_write_item(value.code, item) for item in value.items])
    return _compound(0xE0, len(value.items), body)


def _write_item(code: int, item: Any) -> bytes:
    """An array item: its bytes without the constructor, in the width that the shared constructor asks for."""
    if code in _EMPTY:
        return b""
    if code in _VARIABLE:
        raw = item if isinstance(item, bytes) else item.encode()
        return len(raw).to_bytes(1 if code < 0xB0 else 4, "big") + bytes(raw)
    if code in _ITEM_FORMS:
        return struct.pack(_ITEM_FORMS[code], ord(item) if code == 0x73 else item)
    if code in _FIXED:
        return encode(item)[1:]
    wide = code & 0xF0 in (0xD0, 0xF0)
    if code in _ARRAY:
        whole = _write_array(item)
    else:
        whole = encode(item) if item else bytes((code & 0xEF, 1, 0))
    return _rewidth(whole, wide)


def _rewidth(whole: bytes, wide: bool) -> bytes:
    """The size, count and items of an encoded compound, with size and count in one byte each or in four."""
    width = 4 if whole[0] & 0xF0 in (0xD0, 0xF0) else 1
    count = int.from_bytes(whole[1 + width : 1 + 2 * width], "big")
    items = whole[1 + 2 * width :]
    if wide:
        return struct.pack(">II", len(items) + 4, count) + items
    return bytes((len(items) + 1, count)) + items


_ITEM_FORMS = {
    0x50: ">B",
    0x51: ">b",
    0x52: ">B",
    0x53: ">B",
    0x54: ">b",
    0x55: ">b",
    0x56: ">B",
    0x60: ">H",
    0x61: ">h",
    0x70: ">I",
    0x71: ">i",
    0x72: ">f",
    0x73: ">I",
    0x80: ">Q",
    0x81: ">q",
    0x82: ">d",
    0x83: ">q",
}

_WRITERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"\x40",
    bool: lambda value: b"\x41" if value else b"\x42",
    UByte: _plain(0x50, ">B"),
    Byte: _plain(0x51, ">b"),
    UShort: _plain(0x60, ">H"),
    Short: _plain(0x61, ">h"),
    UInt: _unsigned(0x43, 0x52, 0x70, ">I"),
    ULong: _unsigned(0x44, 0x53, 0x80, ">Q"),
    Int: _signed(0x54, 0x71, ">i"),
    int: _signed(0x55, 0x81, ">q"),
    Float: _plain(0x72, ">f"),
    float: _plain(0x82, ">d"),
    Timestamp: _plain(0x83, ">q"),
    Char: lambda value: b"\x73" + struct.pack(">I", ord(value)),
    Decimal: lambda value: {4: b"\x74", 8: b"\x84", 16: b"\x94"}[len(value.raw)] + value.raw,
    uuid.UUID: lambda value: b"\x98" + value.bytes,
    bytes: encode_binary,
    str: lambda value: _sized(0xA1, value.encode()),
    Symbol: lambda value: _sized(0xA3, value.encode("ascii")),
    list: encode_list,
    tuple: encode_list,
    dict: _write_map,
    Array: _write_array,
    Described: lambda value: b"\x00" + encode(value.descriptor) + encode(value.value),
}

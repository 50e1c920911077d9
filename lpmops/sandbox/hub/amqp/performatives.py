"""The frames of AMQP 1.0 and SASL: bytes to fields and back.

What a peer sends is read into a typed value, with the specification's defaults for what it left out; a field that is
missing or of the wrong type raises DecodeError. What we send always carries every field, trailing nulls too:
Microsoft's Python client indexes optional trailing fields unchecked. Source: AMQP 1.0 part 2 section 2.7 and part 5
section 5.3.3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_args, get_type_hints

from lpmops.sandbox.hub.amqp.codec import (
    Array,
    Buffer,
    DecodeError,
    Described,
    UByte,
    UInt,
    ULong,
    UShort,
    decode,
    encode_described,
    symbols,
)

AMQP_FRAME, SASL_FRAME = 0, 1
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_INIT, SASL_CHALLENGE, SASL_RESPONSE, SASL_OUTCOME = range(0x40, 0x45)
SOURCE, TARGET = 0x28, 0x29
ACCEPTED, REJECTED = 0x24, 0x25

HEARTBEAT = b"\0\0\0\x08\x02\0\0\0"
_HEAD = struct.Struct(">IBBH")


# The Python type, and the AMQP type that the peer must have sent.
Text = Annotated[str, str]
Number = Annotated[int, UInt]
Short = Annotated[int, UShort]
Tiny = Annotated[int, UByte]
Long = Annotated[int, ULong]
Flag = Annotated[bool, bool]
Binary = Annotated[bytes, bytes]
Fields = Annotated[dict[Any, Any], dict]
Composite = Annotated[Described, Described]


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Connection parameters of the peer."""

    container_id: Text
    hostname: Text | None = None
    max_frame_size: Number = 4294967295
    channel_max: Short = 65535
    idle_time_out: Number | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """A session of the peer."""

    remote_channel: Short | None = None
    next_outgoing_id: Number
    incoming_window: Number
    outgoing_window: Number
    handle_max: Number = 4294967295


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """A link that the peer wants; `role` is True where the peer receives."""

    name: Text
    handle: Number
    role: Flag
    snd_settle_mode: Tiny = 2
    rcv_settle_mode: Tiny = 0
    source: Composite | None = None
    target: Composite | None = None
    unsettled: Fields | None = None
    incomplete_unsettled: Flag = False
    initial_delivery_count: Number | None = None
    max_message_size: Long | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: Fields | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Windows of the session and, with a handle, credit of a link."""

    next_incoming_id: Number | None = None
    incoming_window: Number
    next_outgoing_id: Number
    outgoing_window: Number
    handle: Number | None = None
    delivery_count: Number | None = None
    link_credit: Number | None = None
    available: Number | None = None
    drain: Flag = False
    echo: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A message or a part of one; the payload follows it in the frame."""

    handle: Number
    delivery_id: Number | None = None
    delivery_tag: Binary | None = None
    message_format: Number | None = None
    settled: Flag | None = None
    more: Flag = False
    rcv_settle_mode: Tiny | None = None
    state: Any = None
    resume: Flag = False
    aborted: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """What became of deliveries `first` to `last`; `role` is True where the peer received them."""

    role: Flag
    first: Number
    last: Number | None = None
    settled: Flag = False
    state: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """The end of a link."""

    handle: Number
    closed: Flag = False
    error: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end of a session."""

    error: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """The end of a connection."""

    error: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslInit:
    """The mechanism that the peer chose, and its proof."""

    mechanism: Text
    initial_response: Binary | None = None
    hostname: Text | None = None


_CLASSES: dict[int, type[Any]] = {
    OPEN: Open,
    BEGIN: Begin,
    ATTACH: Attach,
    FLOW: Flow,
    TRANSFER: Transfer,
    DISPOSITION: Disposition,
    DETACH: Detach,
    END: End,
    CLOSE: Close,
    SASL_INIT: SaslInit,
}


def _kind(hint: Any) -> Any:
    """The AMQP type in a field's annotation; object for any."""
    for part in (hint, *get_args(hint)):
        if hasattr(part, "__metadata__"):
            return part.__metadata__[0]
    return object


def _spec(made: type[Any]) -> tuple[tuple[str, Any, Any], ...]:
    hints = get_type_hints(made, include_extras=True)
    return tuple((item.name, _kind(hints[item.name]), item.default) for item in fields(made))


_SPECS = {code: _spec(made) for code, made in _CLASSES.items()}


def read_performative(body: Buffer) -> tuple[Any, Buffer]:
    """The performative at the start of a frame's body, and the payload after it. Raises DecodeError."""
    described, end = decode(body)
    if (
        not isinstance(described, Described)
        or not isinstance(described.value, list)
        or not isinstance(described.descriptor, ULong)
    ):
        raise DecodeError("the frame holds no performative")
    code, values = int(described.descriptor), described.value
    if code not in _CLASSES:
        raise DecodeError(f"0x{code:02x} is no performative that is expected here")
    filled = {}
    for place, (name, kind, default) in enumerate(_SPECS[code]):
        value = values[place] if place < len(values) else None
        if value is None:
            if default is MISSING:
                raise DecodeError(f"{_CLASSES[code].__name__} lacks {name}")
            value = default
        elif not isinstance(value, kind):
            raise DecodeError(f"{_CLASSES[code].__name__} has a {name} of the wrong type")
        filled[name] = value
    return _CLASSES[code](**filled), body[end:]


def frame(channel: int, body: bytes, kind: int = AMQP_FRAME) -> bytes:
    """A whole frame."""
    return _HEAD.pack(len(body) + 8, 2, kind, channel) + body


def write_open(container: str, max_frame_size: int, channel_max: int, idle_milliseconds: int) -> bytes:
    """Our connection parameters."""
    values = [
        container,
        None,
        UInt(max_frame_size),
        UShort(channel_max),
        UInt(idle_milliseconds),
        None,
        None,
        None,
        None,
        None,
    ]
    return encode_described(OPEN, values)


def write_begin(
    remote_channel: int, next_outgoing_id: int, incoming_window: int, outgoing_window: int, handle_max: int
) -> bytes:
    """Our side of a session."""
    numbers = [UInt(next_outgoing_id), UInt(incoming_window), UInt(outgoing_window), UInt(handle_max)]
    return encode_described(BEGIN, [UShort(remote_channel), *numbers, None, None, None])


def write_attach(
    attach: Attach, *, refused: bool, snd_settle_mode: int, max_message_size: int, capabilities: Sequence[str] = ()
) -> bytes:
    """Our answer to an attach; a refused one has no source and no target, and a detach follows it."""
    source, target = (None, None) if refused else (attach.source, attach.target)
    count = UInt(0) if attach.role else None
    offered = symbols(capabilities) if capabilities else None
    modes = [UByte(snd_settle_mode), UByte(0)]
    tail = [None, False, count, ULong(max_message_size), offered, None, None]
    return encode_described(ATTACH, [attach.name, UInt(attach.handle), not attach.role, *modes, source, target, *tail])


def write_flow(windows: Sequence[int], link: Sequence[int] | None = None, *, drain: bool = False) -> bytes:
    """`windows`: next incoming id, incoming window, next outgoing id, outgoing window. `link`: handle, delivery count, credit, available."""
    numbers = [UInt(window) for window in windows]
    about = [None] * 4 if link is None else [UInt(item) for item in link]
    return encode_described(FLOW, [*numbers, *about, drain, False, None])


def write_transfer(handle: int, delivery_id: int, tag: bytes, *, more: bool) -> bytes:
    """The head of a settled transfer; written by hand because every event that is read passes here."""
    body = (
        b"\x70"
        + handle.to_bytes(4, "big")
        + b"\x70"
        + delivery_id.to_bytes(4, "big")
        + b"\xa0"
        + bytes((len(tag),))
        + tag
    )
    body += b"\x43\x41" + (b"\x41" if more else b"\x42") + b"\x40\x40\x42\x42\x42"
    return b"\x00\x53\x14\xc0" + bytes((len(body) + 1, 11)) + body


def write_disposition(first: int, last: int, state: Described, *, as_receiver: bool = True) -> bytes:
    """Settle deliveries, as their receiver or as their sender."""
    return encode_described(DISPOSITION, [as_receiver, UInt(first), UInt(last), True, state, False])


def accepted() -> Described:
    """The outcome of a message that was taken."""
    return Described(ULong(ACCEPTED), [])


def rejected(error: Described) -> Described:
    """The outcome of a message that was refused."""
    return Described(ULong(REJECTED), [error])


def write_detach(handle: int, error: Described | None = None, *, closed: bool = True) -> bytes:
    """End a link."""
    return encode_described(DETACH, [UInt(handle), closed, error])


def write_end(error: Described | None = None) -> bytes:
    """End a session."""
    return encode_described(END, [error])


def write_close(error: Described | None = None) -> bytes:
    """End the connection."""
    return encode_described(CLOSE, [error])


def write_sasl_mechanisms(names: Sequence[str]) -> bytes:
    """What the peer may choose from."""
    return frame(0, encode_described(SASL_MECHANISMS, [symbols(names)]), SASL_FRAME)


def write_sasl_outcome(code: int) -> bytes:
    """0 for welcome, 1 for bad credentials."""
    return frame(0, encode_described(SASL_OUTCOME, [UByte(code), None]), SASL_FRAME)


@dataclass(frozen=True, slots=True)
class Terminus:
    """What a source or target says that matters here."""

    address: str | None
    filters: dict[Any, Any]


def read_terminus(described: Described | None, code: int) -> Terminus:
    """A source (0x28) or target (0x29). Raises DecodeError; a null one, or one with a dynamic address, has no address."""
    if described is None:
        return Terminus(None, {})
    if described.descriptor != code or not isinstance(described.value, list):
        raise DecodeError("a link's source or target is of the wrong type")
    values = described.value
    address = values[0] if values else None
    filters = values[7] if code == SOURCE and len(values) > 7 else None
    if not isinstance(address, str | None) or not isinstance(filters, dict | None):
        raise DecodeError("a link's source or target is malformed")
    return Terminus(address, filters or {})


def capability_names(value: Any) -> frozenset[str]:
    """Capabilities, which may come as one symbol, an array of them or, from some clients, a list."""
    items: Sequence[Any] = value.items if isinstance(value, Array) else value if isinstance(value, list) else [value]
    return frozenset(str(item) for item in items if isinstance(item, str))

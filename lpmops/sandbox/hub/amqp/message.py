"""A message as the sections it is made of, without decoding its body.

An Event Hub keeps what the sender wrote and adds to it: at the door the header, the delivery annotations and the
service's own annotations are taken off and the rest is kept as bytes; on the way out one message-annotations section
with sequence number, offset and time is put in front. What comes in is checked section by section, so that what is
kept can be read by every consumer; anything else raises DecodeError. Source: AMQP 1.0 part 3 (sections);
azure-eventhub 5.15.1 `_constants.py` (annotation names) and `_pyamqp/message.py` (batch format).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lpmops.sandbox.hub.amqp.codec import Buffer, DecodeError, Described, Symbol, decode, encode, encode_binary, skip

# Each data section of such a message is itself an encoded message.
BATCH_FORMAT = 0x80013700

HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = 0x70, 0x71, 0x72, 0x73, 0x74
DATA, SEQUENCE, VALUE, FOOTER = 0x75, 0x76, 0x77, 0x78

_BODY = (DATA, SEQUENCE, VALUE)
_SYMBOLIC = {
    "amqp:header:list": HEADER,
    "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": ANNOTATIONS,
    "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION_PROPERTIES,
    "amqp:data:binary": DATA,
    "amqp:amqp-sequence:list": SEQUENCE,
    "amqp:amqp-value:*": VALUE,
    "amqp:footer:map": FOOTER,
}
_SHAPES: dict[int, type | tuple[type, ...]] = {
    HEADER: list,
    DELIVERY_ANNOTATIONS: dict,
    ANNOTATIONS: dict,
    PROPERTIES: list,
    APPLICATION_PROPERTIES: dict,
    DATA: bytes,
    SEQUENCE: list,
    FOOTER: dict,
}

_KEY = "x-opt-partition-key"
_SERVICE_ANNOTATIONS = frozenset(
    {_KEY, "x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time", "x-opt-publisher"}
)

_SEQUENCE_NAME = encode(Symbol("x-opt-sequence-number")) + b"\x81"
_OFFSET_NAME = encode(Symbol("x-opt-offset"))
_TIME_NAME = encode(Symbol("x-opt-enqueued-time")) + b"\x83"
_KEY_NAME = encode(Symbol(_KEY))
_LONG = struct.Struct(">q").pack
_MAP32 = struct.Struct(">II").pack


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its code, and where its value begins and ends."""

    code: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """What is kept of one message: its partition key and its sections as the sender wrote them."""

    key: str | None
    sections: bytes


def split(message: Buffer) -> Iterator[Section]:
    """The sections of a message, which must stand in the order of the specification. Raises DecodeError."""
    at, last = 0, 0
    while at < len(message):
        if message[at]:
            raise DecodeError("a message section has no descriptor")
        if message[at + 1 : at + 2] == b"\x53" and at + 2 < len(message):
            code, start = message[at + 2], at + 3
        else:
            descriptor, start = decode(message, at + 1)
            code = _SYMBOLIC.get(descriptor, -1) if isinstance(descriptor, str) else descriptor
        if not isinstance(code, int) or not HEADER <= code <= FOOTER:
            raise DecodeError("a message has an unknown section")
        if (
            code < last
            or (code == last and code not in (DATA, SEQUENCE))
            or (code in _BODY and last in _BODY and code != last)
        ):
            raise DecodeError("message sections are out of order")
        end = skip(message, start)
        yield Section(int(code), start, end)
        at, last = end, code


def section_value(message: Buffer, section: Section) -> Any:
    """The decoded value of one section. Raises DecodeError where it has not the section's type."""
    value, end = decode(message, section.start)
    shape = _SHAPES.get(section.code)
    if end != section.end or (shape is not None and not isinstance(value, shape)):
        raise DecodeError(f"section 0x{section.code:02x} has not its type")
    return value


def ingest(message: Buffer, key: str | None = None) -> Ingested:
    """Check one message and take off what the service replaces; `key` is the batch's partition key, which the message's own overrides."""
    kept: list[bytes] = []
    for section in split(message):
        if section.code in (DATA, HEADER, DELIVERY_ANNOTATIONS):
            _check_constructor(message, section)
            if section.code == DATA:
                kept += (b"\x00\x53\x75", bytes(message[section.start : section.end]))
            continue
        value = section_value(message, section)
        if section.code == ANNOTATIONS:
            key = partition_key(value, key)
            value = {name: item for name, item in value.items() if name not in _SERVICE_ANNOTATIONS}
            if value:
                kept.insert(0, b"\x00\x53\x72" + encode(value))
        else:
            kept += (bytes((0, 0x53, section.code)), bytes(message[section.start : section.end]))
    return Ingested(key, b"".join(kept))


def _check_constructor(message: Buffer, section: Section) -> None:
    """A data section must be binary; a header or delivery annotations are dropped, and must be no more than skippable."""
    if section.code == DATA and message[section.start] not in (0xA0, 0xB0):
        raise DecodeError("a data section is not binary")


def partition_key(annotations: Mapping[Any, Any], default: str | None = None) -> str | None:
    """The partition key among message annotations; text, or UTF-8 bytes as some clients send it."""
    key = annotations.get(_KEY, default)
    if isinstance(key, bytes):
        try:
            return key.decode()
        except UnicodeDecodeError as error:
            raise DecodeError("the partition key is not UTF-8") from error
    if key is not None and not isinstance(key, str):
        raise DecodeError("the partition key is not text")
    return None if key is None else str(key)


def ingest_batch(message: Buffer) -> list[Ingested]:
    """The messages of a batch, each of which is a data section of `message`. Raises DecodeError."""
    key: str | None = None
    inner: list[bytes] = []
    for section in split(message):
        if section.code == ANNOTATIONS:
            key = partition_key(section_value(message, section))
        elif section.code == DATA:
            inner.append(section_value(message, section))
        elif section.code in _BODY:
            raise DecodeError("a batch carries something other than data")
    return [ingest(one, key) for one in inner]


def make_sections(body: bytes, properties: Mapping[str, Any] | None) -> bytes:
    """The sections of an event that starts in this process: application properties, then one data section."""
    data = b"\x00\x53\x75" + encode_binary(body)
    return b"\x00\x53\x74" + encode(dict(properties)) + data if properties else data


def read_body(sections: bytes) -> bytes:
    """The body as bytes: data sections joined; an AMQP value that is text or binary as its bytes; any other AMQP body as it was encoded,

    which no reader of JSON accepts: the same fate it meets in Stream Analytics.
    """
    if sections[:3] == b"\x00\x53\x75":
        wide = sections[3] == 0xB0
        start = 8 if wide else 5
        end = start + (int.from_bytes(sections[4:8], "big") if wide else sections[4])
        if end == len(sections):
            return sections[start:end]
    found: list[bytes] = []
    for section in split(sections):
        if section.code == DATA:
            found.append(section_value(sections, section))
        elif section.code in _BODY:
            value = section_value(sections, section)
            plain = value.encode() if isinstance(value, str) else value
            found.append(plain if isinstance(plain, bytes) else sections[section.start : section.end])
    return b"".join(found)


def read_application_properties(sections: bytes) -> dict[str, Any]:
    """The application properties, empty where there are none."""
    for section in split(sections):
        if section.code == APPLICATION_PROPERTIES:
            return dict(section_value(sections, section))
    return {}


def outgoing(
    sections: bytes, sequence: int, offset: str, enqueued_ms: int, key: str | None, delivery_annotations: bytes = b""
) -> bytes:
    """The message as a consumer gets it: the service's annotations (and the sender's own others), then the kept sections."""
    raw_offset = offset.encode()
    pairs = b"".join(
        (
            _SEQUENCE_NAME,
            _LONG(sequence),
            _OFFSET_NAME,
            b"\xa1",
            bytes((len(raw_offset),)),
            raw_offset,
            _TIME_NAME,
            _LONG(enqueued_ms),
        )
    )
    count = 6
    if key is not None:
        pairs += _KEY_NAME + encode(key)
        count = 8
    if sections[:3] == b"\x00\x53\x72":
        end = skip(sections, 3)
        own, _ = decode(sections, 3)
        for name, value in own.items():
            pairs += encode(name) + encode(value)
            count += 2
        sections = sections[end:]
    return b"".join((delivery_annotations, b"\x00\x53\x72\xd1", _MAP32(len(pairs) + 4, count), pairs, sections))


def delivery_annotations(values: Mapping[str, Any]) -> bytes:
    """A delivery-annotations section."""
    return b"\x00\x53\x71" + encode({Symbol(name): value for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class Request:
    """A message sent to a node such as $cbs: what a request and response exchange needs of it."""

    message_id: Any
    reply_to: str | None
    properties: Mapping[Any, Any]
    value: Any


def read_request(message: Buffer) -> Request:
    """Decode a request whole. Raises DecodeError."""
    message_id, reply_to, properties, value = None, None, {}, None
    for section in split(message):
        content = section_value(message, section)
        if section.code == PROPERTIES:
            message_id = content[0] if content else None
            reply_to = content[4] if len(content) > 4 and isinstance(content[4], str) else None
        elif section.code == APPLICATION_PROPERTIES:
            properties = content
        elif section.code == VALUE:
            value = content.value if isinstance(content, Described) else content
        elif section.code == DATA:
            value = content
    return Request(message_id, reply_to, properties, value)


def response(correlation_id: Any, properties: Mapping[str, Any], value: Any = None) -> bytes:
    """The answer to a request."""
    fields = [None] * 5 + [correlation_id] + [None] * 7
    return (
        b"\x00\x53\x73" + encode(fields) + b"\x00\x53\x74" + encode(dict(properties)) + b"\x00\x53\x77" + encode(value)
    )

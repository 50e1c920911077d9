"""The type system and the sections of a message, over everything hypothesis can think of."""

from __future__ import annotations

import struct
import uuid
from typing import Any

import pytest
from azure.eventhub._pyamqp._decode import decode_payload
from azure.eventhub._pyamqp._encode import encode_payload
from azure.eventhub._pyamqp.message import Message, Properties
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.hub.amqp import codec
from lpmops.sandbox.hub.amqp.codec import (
    Array,
    Byte,
    Char,
    Decimal,
    DecodeError,
    Described,
    Float,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    decode,
    encode,
    skip,
)
from lpmops.sandbox.hub.amqp.message import (
    ingest,
    ingest_batch,
    make_sections,
    outgoing,
    read_application_properties,
    read_body,
)
from lpmops.sandbox.hub.amqp.performatives import read_performative

_text = st.text(max_size=300)
_symbols = st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol)
_simple = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 2**8 - 1).map(UByte),
    st.integers(0, 2**16 - 1).map(UShort),
    st.integers(0, 2**32 - 1).map(UInt),
    st.integers(0, 2**64 - 1).map(ULong),
    st.integers(-(2**7), 2**7 - 1).map(Byte),
    st.integers(-(2**15), 2**15 - 1).map(Short),
    st.integers(-(2**31), 2**31 - 1).map(Int),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False).map(Float),
    st.integers(-(2**63), 2**63 - 1).map(Timestamp),
    st.characters().map(Char),
    st.uuids(),
    st.binary(max_size=300),
    st.sampled_from([4, 8, 16]).flatmap(lambda n: st.binary(min_size=n, max_size=n)).map(Decimal),
    _text,
    _symbols,
)
_arrays = st.one_of(
    st.lists(_symbols).map(lambda items: Array(0xB3, tuple(items))),
    st.lists(st.text(max_size=20)).map(lambda items: Array(0xA1, tuple(items))),
    st.lists(st.integers(0, 2**32 - 1).map(UInt)).map(lambda items: Array(0x70, tuple(items))),
    st.lists(st.integers(-128, 127)).map(lambda items: Array(0x55, tuple(items))),
    st.lists(st.booleans()).map(lambda items: Array(0x56, tuple(items))),
    st.lists(st.uuids()).map(lambda items: Array(0x98, tuple(items))),
    st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=4).map(lambda items: Array(0xD0, tuple(items))),
    st.lists(st.dictionaries(_symbols, _text, max_size=2), max_size=4).map(lambda items: Array(0xD1, tuple(items))),
).filter(lambda array: array.items)
_values = st.recursive(
    _simple | _arrays,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.dictionaries(_text | _symbols | st.integers(-(2**63), 2**63 - 1), inner, max_size=4),
        st.builds(Described, st.integers(0, 2**64 - 1).map(ULong) | _symbols, inner),
    ),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same AMQP types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, Described):
        return same([left.descriptor, left.value], [right.descriptor, right.value])
    if isinstance(left, Array):
        return left.code == right.code and same(left.items, right.items)
    return bool(left == right)


@given(_values, st.binary(max_size=8))
def test_a_value_comes_back_as_it_was_written(value: Any, after: bytes) -> None:
    written = encode(value)
    found, end = decode(written + after)
    assert same(found, value)
    assert end == len(written)


@given(_values, st.binary(max_size=8))
def test_skipping_ends_where_decoding_ends(value: Any, after: bytes) -> None:
    assert skip(encode(value) + after) == len(encode(value))


@given(_values)
def test_a_value_cut_short_is_refused_at_every_byte(value: Any) -> None:
    written = encode(value)
    for cut in range(len(written)) if len(written) < 200 else (0, 1, len(written) // 2, len(written) - 1):
        for read in (decode, skip):
            with pytest.raises(DecodeError):
                read(written[:cut])


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    for read in (decode, skip, read_performative, ingest, ingest_batch):
        try:
            read(raw)
        except DecodeError:
            continue


@given(_values, st.data())
def test_a_value_with_a_flipped_byte_is_refused_or_can_be_written_again(value: Any, data: st.DataObject) -> None:
    written = bytearray(encode(value))
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] ^= data.draw(st.integers(1, 255))
    try:
        found, end = decode(bytes(written))
    except DecodeError:
        return
    assert skip(bytes(written)) == end
    assert len(encode(found)) <= end + 16


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xd0\x00\x00\x00\x04\xff\xff\xff\xff",
        b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40",
        b"\xc0\x01\xff",
        b"\xc0\x09\x01" * 5000,
        b"\x00" * 5000,
        b"\xe0\xff\x01\xe0" * 100,
    ],
)
def test_a_few_bytes_cannot_claim_gigabytes_or_depth_without_end(bomb: bytes) -> None:
    for read in (decode, ingest):
        with pytest.raises(DecodeError):
            read(bomb)


def test_every_number_has_its_smallest_form() -> None:
    assert encode(UInt(0)) == b"\x43"
    assert encode(ULong(255)) == b"\x53\xff"
    assert encode(-1) == b"\x55\xff"
    assert encode(Int(128)) == b"\x71\x00\x00\x00\x80"
    with pytest.raises(struct.error):
        encode(UInt(2**32))
    with pytest.raises(TypeError, match="object has no AMQP type"):
        encode(object())


_property_values = st.one_of(
    st.text(max_size=30), st.integers(-(2**31), 2**31 - 1), st.booleans(), st.binary(max_size=30)
)


@given(st.binary(max_size=600), st.dictionaries(st.text(max_size=10), _property_values, max_size=4))
def test_a_message_of_microsofts_client_keeps_its_body_and_properties(body: bytes, properties: dict[Any, Any]) -> None:
    raw = bytearray()
    message = Message(
        data=[body],
        application_properties=properties or None,
        properties=Properties(message_id="m", content_type="application/json"),
        message_annotations={b"x-opt-partition-key": "key", b"own": "mine"},
    )
    encode_payload(raw, message)
    kept = ingest(bytes(raw))
    assert kept.key == "key"
    assert read_body(kept.sections) == body
    assert read_application_properties(kept.sections) == properties
    back: Any = decode_payload(memoryview(outgoing(kept.sections, 7, "123", 1_700_000_000_000, kept.key)))
    assert b"".join(back.data) == body
    assert (back.properties.message_id, back.properties.content_type) == (b"m", b"application/json")
    assert back.message_annotations == {
        b"x-opt-sequence-number": 7,
        b"x-opt-offset": b"123",
        b"x-opt-enqueued-time": 1_700_000_000_000,
        b"x-opt-partition-key": b"key",
        b"own": b"mine",
    }


@given(st.binary(max_size=600), st.dictionaries(st.text(min_size=1, max_size=10), _property_values, max_size=4))
def test_an_event_of_this_process_reads_the_same_in_microsofts_client(body: bytes, properties: dict[str, Any]) -> None:
    back: Any = decode_payload(memoryview(outgoing(make_sections(body, properties), 0, "0", 0, None)))
    assert b"".join(back.data) == body
    read = {
        key.decode(): value.decode() if isinstance(properties[key.decode()], str) else value
        for key, value in (back.application_properties or {}).items()
    }
    assert read == properties


def section(code: int, value: Any) -> bytes:
    return bytes((0, 0x53, code)) + encode(value)


def test_text_bodies_are_their_bytes_and_others_are_left_encoded() -> None:
    assert read_body(section(0x77, "text")) == b"text"
    assert read_body(section(0x75, b"one") + section(0x75, b"two")) == b"onetwo"
    assert read_body(section(0x77, {"a": 1})) == encode({"a": 1})
    assert read_body(section(0x76, [1, 2])) == encode([1, 2])


@pytest.mark.parametrize(
    "message",
    [
        section(0x75, b"body") + section(0x73, [None]),
        section(0x72, {}) + section(0x72, {}) + section(0x75, b""),
        section(0x75, "not binary"),
        section(0x74, ["not a map"]),
        section(0x77, 1) + section(0x75, b""),
        section(0x72, {Symbol("x-opt-partition-key"): 7}) + section(0x75, b""),
        b"\x00\x53\x10\x40",
        b"junk",
    ],
)
def test_a_message_that_no_consumer_could_read_is_refused(message: bytes) -> None:
    with pytest.raises(DecodeError):
        ingest(message)


def test_sections_may_be_named_by_symbol_or_by_a_wide_number() -> None:
    for name in (Symbol("amqp:data:binary"), ULong(0x75)):
        raw = b"\x00" + (encode(name) if isinstance(name, Symbol) else b"\x80" + name.to_bytes(8, "big")) + encode(b"x")
        assert ingest(raw).sections == section(0x75, b"x")


def test_a_batch_hands_its_key_to_messages_without_one() -> None:
    own = section(0x72, {Symbol("x-opt-partition-key"): "own"}) + section(0x75, b"2")
    batch = (
        section(0x72, {Symbol("x-opt-partition-key"): "of the batch"})
        + section(0x75, section(0x75, b"1"))
        + section(0x75, own)
    )
    assert [(one.key, read_body(one.sections)) for one in ingest_batch(batch)] == [
        ("of the batch", b"1"),
        ("own", b"2"),
    ]


def test_a_uuid_keeps_its_bytes() -> None:
    value = uuid.UUID(int=7)
    assert codec.encode(value) == b"\x98" + value.bytes

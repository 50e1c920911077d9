"""Packets, types and values: what goes in comes out, and no bytes do more than raise ProtocolError."""

from __future__ import annotations

import contextlib
import datetime
import string
import struct
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.python_values import from_python
from lpmops.sandbox.sql.tds import login, packets, prelogin, requests, typeinfo, values
from lpmops.sandbox.sql.tds.fields import Fields, ProtocolError
from lpmops.sandbox.sql.tds.packets import Assembler, Outgoing, Packet, PacketType
from lpmops.sandbox.sql.types import (
    BIGINT,
    BIT,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    REAL,
    SMALLINT,
    TINYINT,
    UNIQUEIDENTIFIER,
    SqlType,
    datetime2,
    decimal,
    nvarchar,
    varbinary,
    varchar,
)

MOMENTS = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31))
MODERN = st.datetimes(datetime.datetime(1753, 1, 1), datetime.datetime(9999, 12, 30))
TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
PLAIN = st.text(string.printable + "éüß€", max_size=300)


def in_range(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


VALUES: list[tuple[SqlType, st.SearchStrategy[Any]]] = [
    (BIT, st.booleans()),
    (TINYINT, st.integers(0, 255)),
    (SMALLINT, in_range(16)),
    (INT, in_range(32)),
    (BIGINT, in_range(64)),
    (FLOAT, st.floats(allow_nan=False, allow_infinity=False)),
    (REAL, st.floats(allow_nan=False, allow_infinity=False, width=32)),
    (decimal(9, 2), st.decimals(-9999999, 9999999, places=2)),
    (decimal(38, 10), st.decimals(-(10**28) + 1, 10**28 - 1, places=10)),
    (nvarchar(300 * 2), TEXT),
    (nvarchar(), TEXT),
    (varchar(300), PLAIN),
    (varchar(), PLAIN),
    (varbinary(300), st.binary(max_size=300)),
    (varbinary(), st.binary(max_size=100_000)),
    (DATE, st.dates()),
    (SqlType("time", scale=7), st.times()),
    (SqlType("time", scale=0), st.times()),
    (datetime2(7), MOMENTS),
    (datetime2(3), MODERN),
    (DATETIME, MODERN),
    (SqlType("smalldatetime"), st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2079, 6, 6))),
    (
        SqlType("datetimeoffset", scale=7),
        MODERN.map(lambda moment: moment.replace(tzinfo=datetime.timezone(datetime.timedelta(minutes=-330)))),
    ),
    (UNIQUEIDENTIFIER, st.uuids()),
]


@pytest.mark.parametrize(("kind", "strategy"), VALUES, ids=[kind.declaration() for kind, _ in VALUES])
@given(data=st.data())
def test_a_value_survives_the_wire(kind: SqlType, strategy: st.SearchStrategy[Any], data: st.DataObject) -> None:
    stored = from_python(data.draw(strategy), kind)
    fields = Fields(typeinfo.announce(kind) + values.encoder(kind)(stored))
    wire = typeinfo.read(fields)
    assert wire.type.name == kind.name
    assert values.read(fields, wire) == stored
    assert fields.left == 0


@pytest.mark.parametrize("kind", [kind for kind, _ in VALUES], ids=[kind.declaration() for kind, _ in VALUES])
def test_null_survives_the_wire(kind: SqlType) -> None:
    fields = Fields(typeinfo.announce(kind) + values.null(kind))
    assert values.read(fields, typeinfo.read(fields)) is None


def test_values_stand_on_the_wire_as_the_specification_shows() -> None:
    assert values.encoder(decimal(5, 2))("-123.45") == bytes.fromhex("05 00 39 30 00 00")
    assert values.encoder(nvarchar(10))("ab") == bytes.fromhex("0400 6100 6200")
    assert values.encoder(DATE)("0001-01-02") == bytes.fromhex("03 01 00 00")
    assert values.encoder(datetime2(0))("1900-01-01 00:00:01.0000000") == bytes.fromhex("06 01 00 00 5b 95 0a")
    guid = uuid.UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF")
    assert values.encoder(UNIQUEIDENTIFIER)(str(guid)) == b"\x10" + guid.bytes_le
    assert Decimal(str(values.decode(struct.pack("<iI", 0, 12_345), typeinfo.MONEY))) == Decimal("1.2345")


@given(st.binary(max_size=3000), st.integers(packets.SMALLEST, 2000))
def test_a_message_survives_being_cut_into_packets(payload: bytes, size: int) -> None:
    outgoing = Outgoing(PacketType.SQL_BATCH, size)
    outgoing.add(payload)
    raw = outgoing.take() + outgoing.end()
    assembler, found = Assembler(10_000), []
    while raw:
        kind, status, length = packets.parse_header(raw[:8])
        assert length + 8 <= size
        found.append(assembler.add(Packet(kind, status, raw[8 : 8 + length])))
        raw = raw[8 + length :]
    assert found[-1] is not None
    assert found[-1].payload == payload
    assert found[:-1] == [None] * (len(found) - 1)


def test_a_message_that_says_ignore_vanishes() -> None:
    assembler = Assembler(100)
    assert assembler.add(Packet(PacketType.RPC, packets.END | packets.IGNORE, b"half")) is None
    whole = assembler.add(Packet(PacketType.SQL_BATCH, packets.END, b"whole"))
    assert whole is not None
    assert whole.payload == b"whole"


@given(TEXT)
def test_a_password_can_be_read_back(password: str) -> None:
    assert login.revealed(login.obscured(password)) == password


@given(st.binary(max_size=200))
def test_no_bytes_break_a_parser_otherwise_than_by_protocol_error(data: bytes) -> None:
    whole = struct.pack("<I", len(data) + 94) + data.ljust(90, b"\0") + data
    calls = b"\x04\0\0\0" + data
    for parse in (
        lambda: prelogin.parse(data),
        lambda: login.parse(data, ""),
        lambda: login.parse(whole, ""),
        lambda: requests.calls(data),
        lambda: requests.calls(calls),
        lambda: requests.batch_text(data),
        lambda: requests.transaction(calls),
        lambda: packets.parse_header(data[:8].ljust(8)),
    ):
        with contextlib.suppress(ProtocolError, SqlError):
            parse()


@given(st.sampled_from([kind for kind, _ in VALUES]), st.binary(max_size=60))
def test_no_bytes_break_a_value_otherwise_than_by_an_error_of_ours(kind: SqlType, data: bytes) -> None:
    fields = Fields(typeinfo.announce(kind) + data)
    wire = typeinfo.read(fields)
    with contextlib.suppress(ProtocolError, SqlError):
        values.read(fields, wire)

"""Clients that send rubbish, too much or nothing at all: they lose their own connection and nothing else."""

from __future__ import annotations

import random
import socket
import struct
from typing import Any

import pytest

from lpmops.sandbox.sql.tds.packets import END, Outgoing, PacketType
from tests.sandbox.sql_wire.conftest import Wire, freetds, python_tds
from tests.sandbox.sql_wire.test_sessions import eventually, number

PRELOGIN_IN_CLEAR = bytes.fromhex("00000b00060100110001ff") + bytes(6) + b"\x02"


def message(kind: PacketType, payload: bytes) -> bytes:
    outgoing = Outgoing(kind, 4096)
    outgoing.add(payload)
    return outgoing.end()


def dial(wire: Wire) -> socket.socket:
    return socket.create_connection(("127.0.0.1", wire.port), timeout=10)


def is_closed(client: socket.socket) -> bool:
    try:
        while client.recv(65_536):
            pass
    except ConnectionError:
        pass
    return True


HOSTILE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS at once": bytes.fromhex("16030100c8010000c40303") + bytes(190),
    "MARS": b"\x53\x01" + bytes(14),
    "zero length": struct.pack(">BBHHBB", 0x12, 1, 0, 0, 0, 0),
    "too large": struct.pack(">BBHHBB", 0x12, 1, 60_000, 0, 0, 0) + bytes(60_000),
    "login first": message(PacketType.LOGIN7, bytes(94)),
    "options outside": message(PacketType.PRELOGIN, bytes.fromhex("00ffff0006ff")),
    "options without end": message(PacketType.PRELOGIN, bytes(5 * 60)),
    "rubbish after prelogin": message(PacketType.PRELOGIN, PRELOGIN_IN_CLEAR)
    + message(PacketType.LOGIN7, b"\xff" * 200),
    "batch before login": message(PacketType.PRELOGIN, PRELOGIN_IN_CLEAR)
    + message(PacketType.SQL_BATCH, b"\x04\0\0\0S\0"),
    "TLS that is none": message(PacketType.PRELOGIN, PRELOGIN_IN_CLEAR[:-1] + b"\0")
    + message(PacketType.PRELOGIN, b"\x16\x03\x01" + b"x" * 300),
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE.keys())
def test_rubbish_closes_its_own_connection(shared_wire: Wire, sent: bytes) -> None:
    with python_tds(shared_wire) as bystander:
        with dial(shared_wire) as client:
            client.sendall(sent)
            assert is_closed(client)
        assert number(bystander, "SELECT 5") == 5


def test_random_bytes_close_their_own_connections(shared_wire: Wire) -> None:
    chance = random.Random(74)
    for _ in range(30):
        with dial(shared_wire) as client:
            client.sendall(message(PacketType.PRELOGIN, PRELOGIN_IN_CLEAR))
            client.sendall(bytes([0x10, 1]) + chance.randbytes(chance.randrange(10, 400)))
            client.shutdown(socket.SHUT_WR)
            assert is_closed(client)
    with python_tds(shared_wire) as connection:
        assert number(connection, "SELECT 5") == 5


def requests_of(connection: Any) -> Any:
    """The socket below python-tds, for a client that turns hostile once it is in."""
    return connection._tds_socket.sock


@pytest.mark.parametrize(
    "sent",
    [
        message(PacketType.SQL_BATCH, b"\xff\xff\xff\x7f"),
        message(PacketType.RPC, b"\x04\0\0\0\xff\xff\x63\0\0\0"),
        message(PacketType.RPC, b"\x04\0\0\0\xff\xff\x0a\0\0\0\0\0\xe7\x40\x1f\0\0\0\0\0\xff\xee"),
        message(PacketType.TRANSACTION, b"\x04\0\0\0\x63\0"),
        message(PacketType.PRELOGIN, b"again"),
        struct.pack(">BBHHBB", 1, END, 7, 0, 0, 0),
        message(PacketType.FEDERATED_TOKEN, b"\0" * 9),
    ],
    ids=[
        "headers",
        "procedure number",
        "value beyond its end",
        "transaction step",
        "second prelogin",
        "short packet",
        "late token",
    ],
)
def test_a_signed_in_client_that_turns_hostile_loses_its_session_alone(hasty_wire: Wire, sent: bytes) -> None:
    with python_tds(hasty_wire) as bystander:
        hostile = python_tds(hasty_wire, cafile=None)
        raw = requests_of(hostile)
        raw.sendall(sent)
        eventually(lambda: len(hasty_wire.server.database("lpm-01").sessions()) == 1)
        assert number(bystander, "SELECT 5") == 5


def test_a_request_beyond_the_limit_ends_its_connection(hasty_wire: Wire) -> None:
    connection = python_tds(hasty_wire)
    with pytest.raises(Exception, match=r"."):
        connection.cursor().execute("SELECT 1 -- " + "x" * 200_000)
    with python_tds(hasty_wire) as other:
        assert number(other, "SELECT 5") == 5


def test_a_client_that_says_nothing_is_let_go(hasty_wire: Wire) -> None:
    with dial(hasty_wire) as client:
        assert is_closed(client)


def test_a_client_that_takes_nothing_is_cut_off_and_others_go_on(hasty_wire: Wire) -> None:
    digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
    joins = " CROSS JOIN ".join(f"{digits} AS t{place}(n)" for place in range(6))
    text = f"SELECT REPLICATE(N'x', 1000) AS filler FROM {joins}".encode("utf-16-le")
    slow = python_tds(hasty_wire, cafile=None)
    requests_of(slow).sendall(message(PacketType.SQL_BATCH, b"\x04\0\0\0" + text))
    other = freetds(hasty_wire)
    for _ in range(20):
        assert number(other, "SELECT 5") == 5
    other.close()
    eventually(lambda: hasty_wire.listener.connection_count == 0)


def test_connections_beyond_the_limit_are_turned_away(hasty_wire: Wire) -> None:
    open_ones = [python_tds(hasty_wire) for _ in range(8)]
    with dial(hasty_wire) as ninth:
        assert is_closed(ninth)
    assert number(open_ones[0], "SELECT 5") == 5
    for connection in open_ones:
        connection.close()

"""Who gets in, how, and what the others are told."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.tds import login
from lpmops.sandbox.sql.tds.certificate import server_context
from tests.sandbox.sql_wire.conftest import DRIVERS, TOKEN, Wire, odbc, python_tds, start_wire

_ACCESS_TOKEN = 1256


def one(connection: Any, query: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(query)
    return cursor.fetchone()[0]


def refusal(connect: Callable[..., Any], wire: Wire, **options: Any) -> str:
    with pytest.raises(Exception) as failed:
        connect(wire, **options)
    return str(failed.value)


def packed(token: str) -> bytes:
    encoded = token.encode("utf-16-le")
    return struct.pack("<I", len(encoded)) + encoded


def test_a_password_opens_the_named_database(shared_wire: Wire, connect: Callable[..., Any]) -> None:
    with connect(shared_wire) as connection:
        assert one(connection, "SELECT DB_NAME()") == "lpm-01"


def test_an_access_token_opens_it_too(shared_wire: Wire) -> None:
    with python_tds(shared_wire, user=None, password=None, access_token_callable=lambda: TOKEN) as connection:
        assert one(connection, "SELECT DB_NAME()") == "lpm-01"
    with odbc(shared_wire, before={_ACCESS_TOKEN: packed(TOKEN)}, UID="", PWD="") as connection:
        assert one(connection, "SELECT DB_NAME()") == "lpm-01"


def test_a_wrong_token_is_18456(shared_wire: Wire) -> None:
    assert "token-identified" in refusal(
        python_tds, shared_wire, user=None, password=None, access_token_callable=lambda: "stale"
    )
    assert "18456" in refusal(odbc, shared_wire, before={_ACCESS_TOKEN: packed("stale")}, UID="", PWD="")


def test_a_wrong_password_is_18456(shared_wire: Wire) -> None:
    assert "Login failed for user 'operator'" in refusal(python_tds, shared_wire, password="guess")
    assert "18456" in refusal(odbc, shared_wire, PWD="guess")
    assert "18456" in refusal(DRIVERS["freetds"], shared_wire, PWD="guess")


def test_a_missing_database_is_4060(shared_wire: Wire) -> None:
    assert "(4060)" in refusal(odbc, shared_wire, DATABASE="nowhere")
    assert "Login failed" in refusal(python_tds, shared_wire, database="nowhere", login_timeout=1)


def test_an_unavailable_database_is_40613_and_a_closed_firewall_40615(wire: Wire) -> None:
    wire.server.database("lpm-01").state = "unavailable"
    assert "40613" in refusal(odbc, wire)
    wire.server.database("lpm-01").state = "online"
    wire.server.firewall_open = False
    text = refusal(odbc, wire)
    assert "40615" in text
    assert "127.0.0.1" in text


def test_the_certificate_is_checked_by_name_and_by_authority(shared_wire: Wire) -> None:
    with python_tds(shared_wire, dsn="localhost", validate_host=True) as connection:
        assert one(connection, "SELECT 1") == 1
    assert "certificate" in refusal(odbc, shared_wire, TrustServerCertificate="no").lower()


@pytest.mark.parametrize("encrypted", [{"enc_login_only": True}, {"cafile": None}], ids=["login only", "not at all"])
def test_a_client_may_encrypt_less(shared_wire: Wire, encrypted: dict[str, Any]) -> None:
    with python_tds(shared_wire, **encrypted) as connection:
        assert one(connection, "SELECT N'in the clear'") == "in the clear"


def test_microsofts_driver_may_encrypt_the_login_only(shared_wire: Wire) -> None:
    with odbc(shared_wire, Encrypt="no") as connection:
        assert one(connection, "SELECT 5") == 5


def test_a_server_that_requires_encryption_turns_clear_clients_away(tmp_path: Any) -> None:
    wire, stop = start_wire(tmp_path, require_encryption=True)
    try:
        assert "encryption" in refusal(python_tds, wire, cafile=None)
        with odbc(wire, Encrypt="no") as connection:
            assert one(connection, "SELECT 5") == 5
    finally:
        stop()


def login_with(*, version: int = 0x74000004, flags2: int = 0, features: bytes = b"") -> bytes:
    """A LOGIN7 of empty names, and its features at its end."""
    offsets = bytearray(94 - 36)
    flags3 = 0x10 if features else 0
    body = b""
    if features:
        struct.pack_into("<HH", offsets, 5 * 4, 94, 4)
        body = struct.pack("<I", 98) + features
    head = struct.pack("<IIIIIIBBBBiI", 94 + len(body), version, 4096, 0, 0, 0, 0, flags2, 0, flags3, 0, 0)
    return head + bytes(offsets) + body


@pytest.mark.parametrize(
    ("payload", "number", "word"),
    [
        (login_with(version=0x71000001), 40514, "TDS version 0x71000001"),
        (login_with(flags2=0x80), 18452, "Integrated authentication"),
        (login_with(features=b"\x02\x02\0\0\0\x05\x01\xff"), 40514, "ADAL"),
    ],
    ids=["old protocol", "Windows", "ADAL"],
)
def test_what_is_not_held_is_refused_by_name(payload: bytes, number: int, word: str) -> None:
    with pytest.raises(SqlError, match=word) as refused:
        login.parse(payload, "127.0.0.1")
    assert refused.value.number == number


def test_secrets_never_show(shared_wire: Wire) -> None:
    request = login.parse(
        login_with(features=b"\x02" + struct.pack("<IBI", 13, 2, 8) + "tokn".encode("utf-16-le") + b"\xff"), ""
    )
    assert request.login.token == "tokn"
    assert "tokn" not in repr(request)


def test_mars_is_declined(shared_wire: Wire) -> None:
    with python_tds(shared_wire, use_mars=True) as connection:
        assert not connection.mars_enabled
        assert one(connection, "SELECT 5") == 5


def test_the_certificate_is_kept_private_and_made_again_when_damaged(tmp_path: Any) -> None:
    server_context(tmp_path)
    key = next(path for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes())
    assert key.stat().st_mode & 0o077 == 0
    before = key.read_bytes()
    server_context(tmp_path)
    assert key.read_bytes() == before
    key.write_text("torn")
    server_context(tmp_path)
    assert key.read_bytes().startswith(b"-----BEGIN")

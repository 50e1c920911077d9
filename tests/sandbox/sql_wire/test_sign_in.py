"""Who gets in, how, and what the others are told."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from lpmops.sandbox.sql.tds.certificate import server_context
from tests.sandbox.sql_wire.conftest import DRIVERS, TOKEN, Wire, odbc, python_tds, start_wire

_ACCESS_TOKEN = 1256


def one(connection: Any, query: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(query)
    return cursor.fetchone()[0]


def refusal(connect: Callable[..., Any], wire: Wire, **options: Any) -> str:
    with pytest.raises(Exception) as failed:  # noqa: PT011, B017 - each driver has its own class
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

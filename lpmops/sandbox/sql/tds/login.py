"""Sign-in messages: PRELOGIN ([MS-TDS] 2.2.6.5), LOGIN7 (2.2.6.4) and its feature extensions (2.2.6.4.2), the federated token message (2.2.6.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lpmops.sandbox.sql.tds.packets import ProtocolError, Reader

ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_NOT_SUPPORTED, ENCRYPT_REQUIRED = 0, 1, 2, 3
_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS, _TRACE, _FEDERATED, _NONCE, _END = 0, 1, 2, 3, 4, 5, 6, 7, 0xFF
FEDERATED = 0x02
SECURITY_TOKEN, ADAL = 0x01, 0x02
TDS_73, TDS_74 = 0x730A0003, 0x74000004


@dataclass(frozen=True, slots=True)
class Prelogin:
    """What a client opens with."""

    encryption: int
    mars: bool
    federated: int | None
    nonce: bytes


def read_prelogin(payload: bytes) -> Prelogin:
    """A PRELOGIN message. Raises ProtocolError."""
    options: dict[int, bytes] = {}
    reader = Reader(payload)
    while (token := reader.byte()) != _END:
        offset, length = struct.unpack(">HH", reader.take(4))
        if offset + length > len(payload):
            raise ProtocolError("PRELOGIN option beyond its message")
        options[token] = payload[offset : offset + length]
    encryption = options.get(_ENCRYPTION, b"\x02")
    if not encryption or encryption[0] & 0x1F not in (0, 1, 2, 3):
        raise ProtocolError("PRELOGIN encryption")
    federated = options.get(_FEDERATED, b"")
    return Prelogin(
        encryption[0] & 0x1F,
        options.get(_MARS, b"\0") == b"\x01",
        federated[0] if federated else None,
        options.get(_NONCE, b""),
    )


def negotiated(asked: int, *, required: bool) -> int:
    """The server's answer on encryption, after the table of 2.2.6.5."""
    if asked == ENCRYPT_NOT_SUPPORTED:
        return ENCRYPT_REQUIRED if required else ENCRYPT_NOT_SUPPORTED
    if asked == ENCRYPT_OFF:
        return ENCRYPT_REQUIRED if required else ENCRYPT_OFF
    return ENCRYPT_ON


def prelogin_answer(encryption: int, asked: Prelogin) -> bytes:
    """The server's PRELOGIN: version 12.0.2000, no MARS; federated sign-in is echoed as asked."""
    options = [
        (_VERSION, bytes((12, 0, 0x07, 0xD0, 0, 0))),
        (_ENCRYPTION, bytes((encryption,))),
        (_INSTANCE, b"\0"),
        (_THREAD, b""),
        (_MARS, b"\0"),
    ]
    if asked.federated is not None:
        options.append((_FEDERATED, bytes((asked.federated,))))
    offset = 5 * len(options) + 1
    table = b""
    for token, data in options:
        table += struct.pack(">BHH", token, offset, len(data))
        offset += len(data)
    return table + b"\xff" + b"".join(data for _, data in options)


@dataclass(frozen=True, slots=True)
class Login7:
    """A LOGIN7 message; the library says how a token comes: SECURITY_TOKEN within, ADAL after FEDAUTHINFO, 0 not at all."""

    version: int
    packet_size: int
    host: str
    user: str
    password: str
    application: str
    server: str
    database: str
    language: str
    integrated: bool
    library: int
    token: str | None
    nonce: bytes

    def __repr__(self) -> str:
        return f"Login7({self.user!r} to {self.database!r})"


def read_login(payload: bytes) -> Login7:
    """A LOGIN7 message. Raises ProtocolError."""
    reader = Reader(payload)
    if reader.number(4) > len(payload):
        raise ProtocolError("LOGIN7 length")
    version, packet_size = reader.number(4), reader.number(4)
    reader.take(12)
    _, second, _, third = reader.take(4)
    reader.take(8)
    places = [(reader.number(2), reader.number(2)) for _ in range(9)]
    host, user, password, application, server, extension, _, language, database = places
    feature_data = b""
    if third & 0x10:
        start = Reader(_slice(payload, *extension)).number(4)
        feature_data = payload[start:]
    library, token, nonce = _federated(feature_data)
    return Login7(
        version, packet_size, _text(payload, host), _text(payload, user), _password(payload, password), _text(payload, application),
        _text(payload, server), _text(payload, database), _text(payload, language), bool(second & 0x80), library, token, nonce,
    )  # fmt: skip


def _slice(payload: bytes, offset: int, length: int) -> bytes:
    if offset + length > len(payload):
        raise ProtocolError("LOGIN7 field beyond its message")
    return payload[offset : offset + length]


def _text(payload: bytes, place: tuple[int, int]) -> str:
    return _slice(payload, place[0], place[1] * 2).decode("utf-16-le", "replace") if place[1] else ""


def _password(payload: bytes, place: tuple[int, int]) -> str:
    """Each byte has its halves swapped after an exclusive or with 0xA5."""
    hidden = _slice(payload, place[0], place[1] * 2) if place[1] else b""
    shown = bytes(((byte ^ 0xA5) >> 4 | (byte ^ 0xA5) << 4) & 0xFF for byte in hidden)
    return shown.decode("utf-16-le", "replace")


def hidden_password(password: str) -> bytes:
    """A password as LOGIN7 carries it."""
    return bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in password.encode("utf-16-le"))


def _federated(features: bytes) -> tuple[int, str | None, bytes]:
    """(library, token, nonce) of the FEDAUTH feature; others are passed over, which tells the client they are not had."""
    reader = Reader(features)
    while reader.left and (number := reader.byte()) != 0xFF:
        data = reader.take(reader.number(4))
        if number != FEDERATED:
            continue
        inner = Reader(data)
        library = inner.byte() >> 1
        if library == SECURITY_TOKEN:
            token = inner.take(inner.number(4)).decode("utf-16-le", "replace")
            return library, token, inner.take(32) if inner.left >= 32 else b""
        if library == ADAL:
            return library, None, b""
        raise ProtocolError(f"federated authentication library {library}")
    return 0, None, b""


def read_token_message(payload: bytes) -> str:
    """The token that follows FEDAUTHINFO. Raises ProtocolError."""
    reader = Reader(payload)
    reader.take(4)
    return reader.take(reader.number(4)).decode("utf-16-le", "replace")

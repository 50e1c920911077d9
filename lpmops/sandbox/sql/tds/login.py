"""LOGIN7: who wants in, with which password or access token, and to which database.

The password is only obscured on the wire (each byte XOR 0xA5, then its halves swapped). An access token comes as the
feature extension FEDAUTH with the library "security token"; the library "ADAL", in which the server sends the client
to an authority, and integrated Windows sign-in are refused by name. Rules: MS-TDS 2.2.6.4 "LOGIN7", 2.2.6.3
"Federated authentication token". Secrets never show in the repr of a Login.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.session import Login
from lpmops.sandbox.sql.tds.fields import Fields, ProtocolError, utf16, utf16_bytes
from lpmops.sandbox.sql.tds.packets import DEFAULT, LARGEST, LARGEST_ENCRYPTED, SMALLEST

TDS_7_3B, TDS_7_4 = 0x730B0003, 0x74000004
LARGEST_LOGIN = 128 * 1024 - 1

_FIXED = struct.Struct("<IIIIIIBBBBiI")
_HEAD = 94
_INTEGRATED, _CHANGE_PASSWORD, _USER_INSTANCE, _EXTENSION = 0x80, 0x01, 0x02, 0x10
FEDERATED = 0x02
"""The feature extension FEDAUTH."""

_SECURITY_TOKEN, _ADAL, _END = 0x01, 0x02, 0xFF
_NAMES = ("host", "user", "password", "application", "server", "extension", "library", "language", "database")


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """A LOGIN7: the login as the engine knows it, and what the client wants of the protocol."""

    login: Login
    library: str
    tds_version: int
    packet_size: int
    federated: bool


def obscured(password: str) -> bytes:
    """A password as it stands in LOGIN7."""
    return bytes(((byte & 0x0F) << 4 | byte >> 4) ^ 0xA5 for byte in utf16_bytes(password))


def revealed(data: bytes) -> str:
    """The password behind its obscured bytes. Raises ProtocolError."""
    swapped = (byte ^ 0xA5 for byte in data)
    return utf16(bytes((byte & 0x0F) << 4 | byte >> 4 for byte in swapped))


def packet_size(wish: int, *, encrypted: bool) -> int:
    """The packet size that the server grants: 4,096 where the client does not care, else its wish within bounds."""
    largest = LARGEST_ENCRYPTED if encrypted else LARGEST
    return max(SMALLEST, min(wish or DEFAULT, largest))


def parse(payload: bytes, address: str) -> LoginRequest:
    """The login in a LOGIN7 message; `address` is the client's IP address.

    Raises ProtocolError for bytes that are none, SqlError 40514 for what this server refuses by name, 18452 for
    Windows sign-in.
    """
    if len(payload) < _HEAD:
        raise ProtocolError("LOGIN7 is too short")
    length, version, wish, _, _, _, _, flags2, _, flags3, _, _ = _FIXED.unpack_from(payload)
    if length != len(payload):
        raise ProtocolError("LOGIN7 has another length than it says")
    parts = _parts(payload)
    texts = {name: utf16(parts[name]) for name in _NAMES if name not in ("password", "extension")}
    token = _access_token(payload, parts["extension"]) if flags3 & _EXTENSION else None
    _refuse(version, flags2, flags3)
    login = Login(
        user=texts["user"],
        password=revealed(parts["password"]) if token is None else "",
        token=token,
        database=texts["database"],
        application=texts["application"],
        host=texts["host"],
        address=address,
    )
    return LoginRequest(login, texts["library"], version, wish, token is not None)


def _parts(payload: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for index, name in enumerate(_NAMES):
        offset, count = struct.unpack_from("<HH", payload, _FIXED.size + index * 4)
        size = count if name == "extension" else count * 2
        if size and offset + size > len(payload):
            raise ProtocolError(f"the {name} of LOGIN7 lies outside of it")
        found[name] = payload[offset : offset + size] if size else b""
    return found


def _refuse(version: int, flags2: int, flags3: int) -> None:
    if version < TDS_7_3B or version >> 24 > TDS_7_4 >> 24:
        raise errors.unsupported_feature(f"TDS version {version:#010x}")
    if flags2 & _INTEGRATED:
        text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."
        raise SqlError(18452, text, 14, 1)
    if flags3 & _CHANGE_PASSWORD:
        raise errors.unsupported_feature("password change at login")
    if flags3 & _USER_INSTANCE:
        raise errors.unsupported_feature("user instance")


def _access_token(payload: bytes, extension: bytes) -> str | None:
    if len(extension) != 4:
        raise ProtocolError("LOGIN7 announces features and does not say where")
    (offset,) = struct.unpack("<I", extension)
    if offset > len(payload):
        raise ProtocolError("the features of LOGIN7 lie outside of it")
    features = Fields(payload[offset:])
    token: str | None = None
    while (feature := features.u8()) != _END:
        data = features.take(features.u32())
        if feature == FEDERATED:
            token = _security_token(data)
    return token


def _security_token(data: bytes) -> str:
    fields = Fields(data)
    library = fields.u8() >> 1
    if library == _ADAL:
        raise errors.unsupported_feature(
            "FEDAUTH library ADAL (sign-in through the driver; give the driver an access token)"
        )
    if library != _SECURITY_TOKEN:
        raise errors.unsupported_feature(f"FEDAUTH library {library}")
    return utf16(fields.take(fields.u32()))

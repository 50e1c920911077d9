"""Who may be served what: the settings of one `lpmops serve`, checked before anything listens.

Loopback needs no more than itself. Any other address needs a certificate and a token that were given, and whatever lets the browser change something
needs a token, which is made and kept in the state directory where none was given.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lpmops.errors import LpmopsError, UsageError

if TYPE_CHECKING:
    from lpmops.web.certificate import Certificate

SHORTEST_TOKEN = 20
TOKEN_NAME = "serve-token"


@dataclass(frozen=True, slots=True)
class Token:
    """What a visitor must know. `advice` says how the operator reads it, and never holds it."""

    secret: str = field(repr=False)
    advice: str


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served where, to how many at a time; `port` 0 is any free one."""

    address: str
    port: int
    read_only: bool
    visitors: int
    token: Token | None = None
    certificate: Certificate | None = None

    @property
    def scheme(self) -> str:
        """http, or https with a certificate."""
        return "https" if self.certificate else "http"


def checked_address(address: str, *, port: int, has_certificate: bool, has_token: bool) -> str:
    """The IP address to listen on. Raises UsageError for a name, and for any but loopback without both a certificate and a token."""
    if address.lower() == "localhost":
        return "127.0.0.1"
    try:
        found = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        raise UsageError(
            f"{address!r} is no IP address of this machine.",
            hint="Name one, such as --address 127.0.0.1; the names come from the certificate.",
        ) from None
    missing = [
        words
        for has, words in ((has_certificate, "a certificate"), (has_token, "a token"))
        if not has and not found.is_loopback
    ]
    if missing:
        raise UsageError(
            f"{found} can be reached from other machines, and {' and '.join(missing)} is missing: the app is not served there.",
            hint=(
                f"Give both: lpmops serve --address {found} --certificate FILE --key FILE --token-file FILE\n"
                f"Or leave it on loopback, and reach it from your machine through: ssh -L {port}:127.0.0.1:{port} HOST"
            ),
        )
    return str(found)


def given_token(file: Path | None, variable: str | None, environ: Mapping[str, str]) -> Token | None:
    """The token of a file or an environment variable, or None where neither is named. Raises UsageError, ConfigError."""
    if file is not None and variable is not None:
        raise UsageError(
            "There are two tokens, a file's and a variable's.", hint="Leave --token-file or --token-env out."
        )
    if file is not None:
        return _token_of(file)
    return _token(f"env:{variable}", f"echo ${variable}", environ) if variable is not None else None


def kept_token(folder: Path) -> Token:
    """The token that the state directory keeps, made when there is none, readable by its owner only. Raises ConfigError, LpmopsError, UsageError."""
    path = folder / TOKEN_NAME
    try:
        _make(path)
    except OSError as error:
        raise LpmopsError(
            f"The token can't be kept in {path}: {error.strerror}.",
            hint="Give one with: lpmops serve --token-file FILE",
        ) from None
    return _token_of(path)


def _token_of(file: Path) -> Token:
    return _token(f"file:{file}", f"cat {shlex.quote(str(file))}", {})


def _token(reference: str, advice: str, environ: Mapping[str, str]) -> Token:
    from lpmops.services.bounded import Deadline
    from lpmops.services.secrets import SecretReader

    secret = SecretReader().read(reference, Deadline.after(1.0), environ).strip()
    if len(secret) < SHORTEST_TOKEN:
        raise UsageError(
            f"The token of {reference} is shorter than {SHORTEST_TOKEN} characters, and could be guessed.",
            hint="Make one with: openssl rand -base64 24 | install -m 600 /dev/stdin FILE",
        )
    return Token(secret, advice)


def _make(path: Path) -> None:
    """Write a new token beside its place and move it there whole, unless one is there: two starts at a time agree on one."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()

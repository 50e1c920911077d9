"""The certificate that the app is served with: read once, and asked which names it stands for.

Those names are the ones that a browser may call the server by.
"""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lpmops.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, ready to serve. `names` are host names, wildcards and addresses, in lower case."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    expires: datetime

    @property
    def warnings(self) -> list[str]:
        """What is wrong with it and does not hinder serving."""
        if self.expires > datetime.now(UTC):
            return []
        return [f"The certificate expired on {self.expires:%Y-%m-%d}; browsers will refuse it."]


def read(certificate: Path, key: Path) -> Certificate:
    """Read a PEM chain and its key. Raises ConfigError naming the file."""
    _refuse_open_key(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a password of our own OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        raise ConfigError(
            f"{certificate} and {key} don't make a certificate with its key: {error.reason or 'the key needs a password'}.",
            hint=f"Both must be PEM, the key without a password. Look with: openssl x509 -noout -text -in {certificate}",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{certificate} or {key} can't be read: {error.strerror}.", hint="Check the paths and who may read them."
        ) from None
    names, expires = _described(certificate)
    return Certificate(context, names, expires)


def _refuse_open_key(key: Path) -> None:
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
    except OSError as error:
        raise ConfigError(f"The key {key} can't be read: {error.strerror}.", hint="Check --key.") from None
    if os.name == "posix" and mode & 0o007:
        raise ConfigError(
            f"The key {key} is open to everybody on this machine (mode {mode:04o}).", hint=f"chmod 600 {key}"
        )


def _described(path: Path) -> tuple[tuple[str, ...], datetime]:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ConfigError(
            f"The certificate {path} names no host, so no browser takes it.",
            hint="It needs a subjectAltName: openssl req -addext subjectAltName=DNS:NAME ...",
        ) from None
    except (OSError, ValueError):
        raise ConfigError(f"{path} holds no PEM certificate.", hint="Check --certificate.") from None
    names = alternatives.get_values_for_type(x509.DNSName)
    addresses = alternatives.get_values_for_type(x509.IPAddress)
    return tuple(name.lower() for name in [*names, *map(str, addresses)]), found.not_valid_after_utc

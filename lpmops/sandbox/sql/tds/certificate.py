"""The certificate of the listener: self-signed, for the loopback names, made once and kept in a folder.

The private key's file is readable by its owner alone. A certificate that is damaged or ends within a week is made
again.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lpmops.sandbox.files import write_whole

CERTIFICATE, KEY = "tds-certificate.pem", "tds-key.pem"
_DAYS = 825


def server_context(folder: Path) -> ssl.SSLContext:
    """A TLS context with the folder's certificate, made where it is missing. Raises OSError."""
    if not _usable(folder):
        _make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # TDS 7.4 carries the handshake inside its packets; TLS 1.3 sends tickets after it, where no client expects a packet.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context


def _usable(folder: Path) -> bool:
    try:
        found = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=7)
    return found.not_valid_after_utc > soon and found.public_key() == key.public_key()


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    # Certificates are checked against the machine's clock, whatever the sandbox's says.
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.DNSName("127.0.0.1"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_whole(folder / KEY, private, mode=0o600)
    write_whole(folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)

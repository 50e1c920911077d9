"""Which addresses may be called: TLS everywhere but on this machine, and never another host than the one that was named."""

from __future__ import annotations

from urllib.parse import urlsplit

from lpmops.errors import ConfigError
from lpmops.services.redact import address

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of `url`. Raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def is_loopback(url: str) -> bool:
    """True where `url` leads to this machine."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def refuse_plain_http(url: str) -> None:
    """Raises ConfigError for an address without TLS on another machine."""
    scheme = urlsplit(url).scheme
    if scheme == "https" or (scheme == "http" and is_loopback(url)):
        return
    raise ConfigError(
        f"{address(url)} would be called without TLS, and tokens travel with every call.",
        hint="Write https:// in lpmops.toml; http is for this machine alone.",
    )

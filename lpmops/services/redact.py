"""Takes secrets out of text before it is logged, shown or raised: tokens, keys, signatures, passwords.

Texts of other systems pass here once on their way into an error. What comes out is one line of printable characters, at most 400 long.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

_LONGEST = 400
_SECRETS = (
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.?[\w-]*"), "[token]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{20,}"), r"\1 [token]"),
    (
        re.compile(r"(?i)\b(sig|signature|sharedaccesssignature|sharedaccesskey|accountkey|sas)=[^\s&;\"']+"),
        r"\1=[removed]",
    ),
    (
        re.compile(
            r"(?i)\b(pwd|password|client_secret|client_assertion|refresh_token|access_token)([\"']?\s*[=:]\s*)[\"']?[^\s&;,\"'}]+"
        ),
        r"\1\2[removed]",
    ),
    (re.compile(r"(?i)://[^/\s:@]+:[^/\s@]+@"), "://[removed]@"),
)


def clean(text: object) -> str:
    """`text` as one short printable line without a secret."""
    line = str(text).encode("utf-8", "replace").decode("utf-8")
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def address(url: str) -> str:
    """Host and path of `url` with the names of its query, never their values."""
    try:
        parts = urlsplit(url)
        names = ",".join(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
        return clean(f"{parts.hostname}{parts.path}" + (f"?{names}" if names else ""))
    except ValueError:
        return "[address]"

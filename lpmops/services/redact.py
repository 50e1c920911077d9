"""Takes secrets out of text before it is logged, shown or raised: tokens, keys, signatures, passwords.

Texts of other systems pass here once on their way into an error. What `clean` gives is one line of printable characters, at
most 400 long.
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


def clean(text: object, longest: int = _LONGEST) -> str:
    """`text` as one short printable line without a secret."""
    line = str(text).encode("utf-8", "replace").decode("utf-8")
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def clean_lines(text: str, most: int, longest: int = 200) -> str:
    """A text of many lines, such as a stack trace, without a secret: its first lines and its last ones, where the cause stands."""
    lines = [_indent(line) + clean(line, longest) for line in text.splitlines() if line.strip()]
    if len(lines) <= most:
        return "\n".join(lines)
    head = most // 3
    return "\n".join((*lines[:head], f"… {len(lines) - most} lines …", *lines[head - most :]))


def _indent(line: str) -> str:
    """How far a line stands in, as a trace's frames do."""
    return " " * min(8, len(line) - len(line.lstrip()))


def address(url: str) -> str:
    """Host and path of `url` with the names of its query, never their values."""
    try:
        parts = urlsplit(url)
        names = ",".join(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
        return clean(f"{parts.hostname}{parts.path}" + (f"?{names}" if names else ""))
    except ValueError:
        return "[address]"

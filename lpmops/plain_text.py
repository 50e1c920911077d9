"""The one rule for text from outside (names, reasons, evidence) that both faces show.

What comes out can be drawn in any cell of any terminal: one line, no control characters, no escape sequences, no
characters that turn the writing direction or have no width of their own, no lone surrogates. What was there is still
hinted at (`␛` for an escape), so that hostile text is seen as such. JSON keeps every character, since scripts want the
name as it is: there `escaped` writes the same characters as their escapes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache

LONGEST = 1000
_MARKS_IN_A_ROW = 2
_REPLACEMENT = "\ufffd"
_BEYOND_ASCII = re.compile(r"[^\x20-\x7e\n]")
# Categories of Unicode: controls, formats, surrogates, private, not assigned, and the two line ends of its own.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: object) -> str:
    """`text` on one line and harmless to a terminal, however long."""
    raw = str(text)
    return raw if raw.isascii() and raw.isprintable() else _cleaned(raw)


@lru_cache(maxsize=4096)
def plain_line(text: str) -> str:
    """The same, cut at LONGEST characters; remembered, since a screen draws the same names again and again."""
    return plain(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def escaped(document: str) -> str:
    """A JSON document with every character that could steer a terminal written as its escape: outside ASCII they occur only in strings."""
    return _BEYOND_ASCII.sub(lambda match: _escape(match[0]), document)


@lru_cache(maxsize=4096)
def _escape(character: str) -> str:
    # DEL is the one control that JSON itself leaves as it is.
    if character == "\x7f":
        return "\\u007f"
    return json.dumps(character)[1:-1] if unicodedata.category(character) in _STEERING else character


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun: 1 company, 1,204 companies."""
    return f"{number:,} {one if number == 1 else many}"


def size(count: float) -> str:
    """A number of bytes: 640 KB, 1.5 GB."""
    for unit, bytes_of in (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20)):
        if count >= bytes_of:
            return f"{count / bytes_of:.1f} {unit}"
    return f"{count / 1024:.0f} KB"


def _cleaned(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        # Piled-up combining marks draw over the lines above and below.
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > _MARKS_IN_A_ROW or 0xFE00 <= ord(character) <= 0xFE0F:
            continue
        if character in "\n\r\t" or category in ("Zs", "Zl", "Zp"):
            kept.append(" ")
        elif category == "Cc":
            code = ord(character)
            kept.append(chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else _REPLACEMENT)
        elif category in ("Cs", "Co", "Cn"):
            kept.append(_REPLACEMENT)
        elif category != "Cf":
            kept.append(character)
    return "".join(kept)

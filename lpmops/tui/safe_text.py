"""The one door for text from outside: names, reasons, evidence.

What comes out can be drawn in any cell: no control characters, no escape sequences, no characters that turn the
writing direction or have no width of their own, no lone surrogates. What was there is still hinted at (`␛` for an
escape), so that hostile text is seen as such.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

LONGEST = 1000
_MARKS_IN_A_ROW = 2
_REPLACEMENT = "\ufffd"


@lru_cache(maxsize=4096)
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


def neutralise(text: str) -> str:
    """`text` on one line and harmless to a terminal; cut at LONGEST characters."""
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return cut if cut.isascii() and cut.isprintable() else _cleaned(cut)

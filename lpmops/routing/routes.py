"""A route: whose records land in which database, and which company ids there can be.

An id travels from the source's column through the query's text, the route table and the landing table's index, and must mean the same
company in each. What one of them would cut, fold or not show is refused with its reason; what a person could take for another id is told by `alike`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

ACTIVE, PAUSED = "active", "paused"
# How often Stream Analytics asks for the route table: the shortest that it can.
REFRESH_SECONDS = 60.0
# After a change of the table every job has read it: within a minute, or within another where a reading failed. `route_reference.sql` says the same.
SETTLING_SECONDS = 2 * REFRESH_SECONDS
# The width of company_id in the landing table and in the route table, in UTF-16 code units, as SQL Server counts them.
COMPANY_ID_AT_MOST = 64
COMPANY_AT_MOST = 200
DATABASE_AT_MOST = 128
_BIGINT = 2**63
_UNSEEN = {
    "Cc": "a control character",
    "Cf": "a character that is not seen",
    "Cs": "half a surrogate pair",
    "Cn": "a character that Unicode has not",
    "Co": "a character of private use",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One company's way. state: active, or paused: its records go to `unrouted` until it is active again."""

    company_id: str
    company: str
    database: str
    state: str = ACTIVE

    @property
    def active(self) -> bool:
        """Whether its records land."""
        return self.state == ACTIVE


def refusal_of_id(company_id: str, key_type: str = "string") -> str:
    """Why no route can have this company id, as a sentence without its end; empty where it can. `key_type` is `routing.key_type`."""
    if not company_id:
        return "it is empty"
    if reason := _unfit(company_id, COMPANY_ID_AT_MOST):
        return reason
    if key_type == "number" and not _is_number(company_id):
        return (
            'it is no whole number as routing.key_type = "number" asks for: digits without a plus sign or leading zeros'
        )
    return ""


def refusal_of_name(name: str, at_most: int = COMPANY_AT_MOST) -> str:
    """Why this can't be a company's or a database's name, as `refusal_of_id` does."""
    return _unfit(name, at_most) if name else "it is empty"


def _unfit(text: str, at_most: int) -> str:
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if units > at_most:
        return f"it has {units:,} characters, and {at_most} is the most"
    if text != text.strip():
        return "it begins or ends with a blank"
    for place, character in enumerate(text, 1):
        kind = unicodedata.category(character)
        if kind in _UNSEEN:
            return f"it holds {_UNSEEN[kind]} (U+{ord(character):04X}) at place {place}"
        if kind == "Zs" and character != " ":
            return f"it holds a blank that is no plain one (U+{ord(character):04X}) at place {place}"
    return ""


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdigit() and (digits == "0" or not digits.startswith("0")) and text != "-0"
    return plain and -_BIGINT <= int(text) < _BIGINT


def alike(company_id: str, others: Iterable[str]) -> tuple[str, ...]:
    """Those of the other ids that a person could take for this one: they differ in case, width, composition or look-alike letters alone."""
    looks = drawn(company_id)
    return tuple(sorted(other for other in set(others) if other != company_id and drawn(other) == looks))


# Cyrillic and Greek letters that are drawn as Latin ones (Unicode Technical Standard 39, confusables), after case is folded.
_DRAWN_ALIKE = str.maketrans("асвеѕіјкмнорԛтухԁһѡαβεικνορτυχ", "acbesijkmhopqtyxdhwabeikvoptyx")


def drawn(text: str) -> str:
    """What a person sees of an id: ids that give the same are easily taken for one another."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.translate(_DRAWN_ALIKE).replace("0", "o").replace("1", "l").replace("i", "l")

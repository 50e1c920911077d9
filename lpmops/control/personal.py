"""What counts as personal data of a caller, as rules over names and texts: phone numbers, SIP users, places, names of people.

`meaning_of` reads a key, `hide` a text; both know the words of SIP, NENA i3 and PIDF-LO. A text is cut into what is surely something else (times,
addresses of machines, GUIDs, long hexadecimal ids) and the rest, and what looks like an E.164 number in the rest goes. Every pattern is bounded, so
that no text takes long.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any

MASK = "•••"
SHORTEST_NUMBER = 7
_SEPARATOR = r"[\s\-.()/\u00ad\u200b-\u200f\u2010-\u2015\u2060\ufeff]"


class Meaning(Enum):
    """What a key says of its value."""

    NUMBER = "number"
    PLACE = "place"
    NAME = "name"
    ADDRESS = "address"
    ID = "id"
    MEASURE = "measure"
    OTHER = "other"

    @property
    def is_personal(self) -> bool:
        """Whether everything below such a key is."""
        return self in (Meaning.NUMBER, Meaning.PLACE, Meaning.NAME)


_NUMBER_WORDS = frozenset(
    "ani msisdn phone telephone mobile cellphone callback caller calling tn subscriber imsi imei imeisv iccid tel fax sms dialed".split()
)
_PLACE_WORDS = frozenset(
    "lat latitude lon lng longitude geo geolocation geodetic geometry location locations loc position pos coordinates coordinate coords coord pidf lo"
    " pidflo civic civicaddress address addr street road house hno building floor room landmark postal postcode postalcode zip zipcode city town"
    " altitude point circle polygon ellipse radius uncertainty shape hns sts rd prd pod lmk nam a1 a2 a3 a4 a5 a6 pc".split()
)
_MACHINE_WORDS = frozenset(
    "host hostname domain queue trunk service method event file table column header company database server app job hub namespace type class"
    " operation activity entity ip mac resource group category metric".split()
)
_NAME_WORDS = frozenset(
    "name firstname lastname surname forename fullname displayname callername username given family".split()
)
_ADDRESS_HEADERS = frozenset(
    "from to contact passertedidentity ppreferredidentity remotepartyid diversion historyinfo referredby replyto identity f t m".split()
)
_HEADERS = _ADDRESS_HEADERS | frozenset(
    "via callid cseq useragent geolocation geolocationrouting callinfo route recordroute maxforwards contenttype contentlength allow supported"
    " require server warning reason expires date subject priority organization authorization".split()
)
_IDS = frozenset(
    "companyid infocompanyid recordid tdrid callid callids callidsip sipcallid incidentid sessionid correlationid replayid eventid operationid"
    " runid jobid method sipmethod requestmethod status statuscode responsecode code cseq disposition queue trunk useragent".split()
)
_MEASURE_WORDS = frozenset(
    "at time timestamp date start started end ended answered duration seconds sec ms millis milliseconds micros epoch ts expires ttl size bytes"
    " length count version sequence offset port rate batch rows events".split()
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*|[0-9]+")

# What looks like a number and is something else; the order matters, the first that fits is kept.
_KEPT = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    r"|(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12][0-9]|3[01])/(?:19|20)[0-9]{2}(?: [0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)?"
    r"|(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})(?!\.?[0-9])"
    r"|(?=[0-9]{0,64}[a-fA-F])[0-9a-fA-F]{16,}"
    r"|z9hG4bK[0-9A-Za-z]{1,128}"
    r")(?![0-9A-Za-z])"
)
_NUMBER = re.compile(rf"\+?(?<!\d)\d(?:{_SEPARATOR}{{0,3}}\d){{{SHORTEST_NUMBER - 1},}}")
_URI_USER = re.compile(r"(?i)((?:sips?|im|pres|xmpp|mailto)(?::|%3A)(?://)?)[^\s@<>\"']{1,512}@")
_TEL = re.compile(r"(?i)((?:tel|callto|sms|fax)(?::|%3A))[^\s;,<>\"']{1,64}")
_GEO = re.compile(r"(?i)(geo:)-?\d[^\s;<>\"']{0,128}")
_MAIL = re.compile(r"(?<![\w.%+\-])([\w.%+\-]{1,256})@(?=[A-Za-z0-9\[])")
_HEX_ID = re.compile(r"[0-9a-fA-F]{16,}")
_DISPLAY_NAME = re.compile(r"(?i)\"[^\"\n]{1,256}\"(?=\s{0,4}<(?:sips?|tel|im|pres):)")
_HEADER_LINE = re.compile(
    r"(?im)^((?:from|to|contact|p-asserted-identity|p-preferred-identity|remote-party-id|diversion|referred-by|reply-to|[ftm])[ \t]{0,4}:)([^\r\n]*)"
)
_PLACE_PAIR = re.compile(r"-?\d{1,3}\.\d{3,12}\s{0,3}[,; ]\s{0,3}-?\d{1,3}\.\d{3,12}")
_PLACE_LABEL = re.compile(
    r"(?i)\b((?:lat|latitude|lon|lng|longitude|altitude)[\"']?\s{0,3}[:=]\s{0,3}[\"']?)-?\d{1,6}(?:\.\d{1,12})?"
)
_XML_OF_A_PLACE = re.compile(r"(?i)pidf|geopriv|civicaddress|<gml:|<ca:|<cl:|<presence")
_XML_TEXT = re.compile(r">([^<>]+)(?=<|$)")
_JSON_PART = re.compile(r'"([\w\- ]{1,64})"(\s{0,3}:\s{0,3})("(?:[^"\\]|\\.)*"?|-?\d[\d.eE+\-]{0,40})', re.DOTALL)
_BARE_NAME = re.compile(r"(^|,)[^<>,\"]{1,256}(?=<)")
_SCHEME = re.compile(r"(?i)\s*(?:urn|sips?|tel|https?|cid):")


@lru_cache(maxsize=4096)
def meaning_of(key: str) -> Meaning:
    """What a column, a JSON key or a SIP header says of its value."""
    words = [word.lower() for word in _WORD.findall(key[:200])]
    joined = "".join(words)
    if joined in _IDS:
        return Meaning.ID
    if joined in _ADDRESS_HEADERS:
        return Meaning.ADDRESS
    found = frozenset((*words, joined))
    if found & _PLACE_WORDS and not found & _MACHINE_WORDS:
        return Meaning.PLACE
    if found & _NAME_WORDS and not found & _MACHINE_WORDS:
        return Meaning.NAME
    if found & _NUMBER_WORDS and words[-1:] not in (["id"], ["count"]):
        return Meaning.NUMBER
    return Meaning.MEASURE if found & _MEASURE_WORDS else Meaning.OTHER


def is_header(name: str) -> bool:
    """Whether this is a header of SIP that the rules know by its name."""
    return "".join(character for character in name[:64].lower() if character.isalnum()) in _HEADERS


def numbers_in(key: str, value: Any) -> Iterator[str]:
    """The digits of each number that is surely a caller's: what a key calls one, and the users of SIP and tel addresses."""
    if isinstance(value, bool) or value is None:
        return
    if meaning_of(key) is Meaning.NUMBER:
        yield _digits(str(value)) if isinstance(value, str | float | Decimal) else _whole(value)
    if isinstance(value, str):
        for pattern in (_URI_USER, _TEL):
            for found in pattern.finditer(value):
                yield from (_digits(number[0]) for number in _NUMBER.finditer(found[0]))


def windows(digits: str) -> Iterator[str]:
    """Every run of seven of these digits; nothing where they are fewer."""
    for start in range(min(len(digits), 64) - SHORTEST_NUMBER + 1):
        yield digits[start : start + SHORTEST_NUMBER]


def without(text: str, known: frozenset[str]) -> str:
    """`text` with every number taken out that shares seven digits in a row with a known one, wherever it stands."""
    if not known:
        return text

    def judge(found: re.Match[str]) -> str:
        digits = _digits(found[0])
        shares = any(digits[at : at + SHORTEST_NUMBER] in known for at in range(len(digits) - SHORTEST_NUMBER + 1))
        return MASK if shares else found[0]

    return _NUMBER.sub(judge, text)


def hide_text(text: str, meaning: Meaning) -> str:
    """A whole text as its key lets it be shown."""
    if meaning is Meaning.NUMBER:
        return _short(text)
    if meaning.is_personal:
        return MASK if text.strip() else text
    if meaning is Meaning.ADDRESS:
        return hide_address(text)
    if meaning is Meaning.ID:
        return _TEL.sub(rf"\1{MASK}", _URI_USER.sub(rf"\1{MASK}@", text))
    return hide(text)


def hide_number(value: int | float | Decimal, meaning: Meaning, known: frozenset[str]) -> Any:
    """A number as its key lets it be shown: whole ones of seven digits and more look like a caller's unless they measure or identify."""
    if meaning.is_personal:
        return MASK
    try:
        looks_like_one = abs(value) >= 10 ** (SHORTEST_NUMBER - 1) and value == value // 1
        shares = looks_like_one and bool(known) and any(window in known for window in windows(_whole(value)))
    except (ArithmeticError, ValueError):
        return value
    if shares or (looks_like_one and meaning not in (Meaning.ID, Meaning.MEASURE)):
        return MASK
    return value


def hide_address(text: str) -> str:
    """The value of a header such as From: what is before `<` is somebody's name, and what is no address at all is one too."""
    if "<" not in text and not _SCHEME.match(text) and not _KEPT.fullmatch(text.strip()):
        return MASK if text.strip() else text
    return hide(_BARE_NAME.sub(rf"\1{MASK} ", text))


def hide(text: str) -> str:
    """A text without what looks like a number, an address of a person or a place."""
    if _XML_OF_A_PLACE.search(text):
        text = _XML_TEXT.sub(lambda found: f">{MASK}" if found[1].strip() else found[0], text)
    if '"' in text:
        text = _JSON_PART.sub(_hide_part, text)
        text = _DISPLAY_NAME.sub(f'"{MASK}"', text)
    if "<" in text:
        text = _HEADER_LINE.sub(lambda found: found[1] + _BARE_NAME.sub(rf"\1 {MASK} ", found[2]), text)
    text = _URI_USER.sub(rf"\1{MASK}@", text)
    text = _TEL.sub(rf"\1{MASK}", text)
    text = _GEO.sub(rf"\1{MASK}", text)
    if "@" in text:
        text = _MAIL.sub(lambda found: found[0] if _HEX_ID.fullmatch(found[1]) else f"{MASK}@", text)
    text = _PLACE_LABEL.sub(rf"\1{MASK}", text)
    text = _PLACE_PAIR.sub(MASK, text)
    return _hide_numbers(text)


def _hide_numbers(text: str) -> str:
    pieces: list[str] = []
    at = 0
    for kept in _KEPT.finditer(text):
        pieces += [_NUMBER.sub(_shortened, text[at : kept.start()]), kept[0]]
        at = kept.end()
    return "".join((*pieces, _NUMBER.sub(_shortened, text[at:])))


def _hide_part(found: re.Match[str]) -> str:
    """A key and its value out of JSON that is broken or stands in the middle of a sentence."""
    meaning = meaning_of(found[1])
    if not meaning.is_personal:
        return found[0]
    return f'"{found[1]}"{found[2]}"{MASK}"'


def _short(text: str) -> str:
    """A caller's number: enough of it to tell two callers apart, and no more."""
    digits = _digits(text)
    if not text.strip():
        return text
    return f"{MASK}{digits[-2:]}" if len(digits) >= SHORTEST_NUMBER else MASK


def _shortened(found: re.Match[str]) -> str:
    return f"{MASK}{_digits(found[0])[-2:]}"


def _digits(text: str) -> str:
    """The decimal digits of a text, of whatever script, as ASCII."""
    return "".join(str(unicodedata.decimal(character)) for character in text if character.isdecimal())


def _whole(value: Any) -> str:
    try:
        return _digits(str(int(value)))
    except (ArithmeticError, ValueError, TypeError):
        return ""

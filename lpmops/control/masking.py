"""Takes callers out of what was read, before a value leaves the control plane: numbers, SIP users, places, names.

`record` masks the landed columns of one change by their names and contents, JSON inside texts included; `text` masks a line that a service wrote.
Keys, nesting and lengths of lists stay as they are; company, record and call ids, SIP methods, status codes, times and durations stay readable. A
number that is known to be the caller's is taken out wherever it stands, ids included. Nothing here raises, whatever the value is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from lpmops.control import personal
from lpmops.control.personal import MASK, Meaning

LONGEST = 200_000
_READABLE_TYPES = (bool, datetime, date, time, timedelta, UUID)


def record(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one change without personal data. A text that holds JSON comes back as JSON text."""
    known = frozenset(window for name, value in values.items() for window in _windows(name, value))
    return {name: _column(name, value, known) for name, value in values.items()}


def text(line: str) -> str:
    """A line of a log without personal data; where it is JSON it stays JSON."""
    return str(record({"": line})[""])


def _windows(name: str, value: Any) -> list[str]:
    """The runs of seven digits of every number in a column that is known to be a caller's."""
    try:
        pairs = list(_pairs(value, name))
    except RecursionError:
        pairs = [(name, value)]
    return [
        window
        for key, item in pairs
        for digits in personal.numbers_in(key, item)
        for window in personal.windows(digits)
    ]


def _column(name: str, value: Any, known: frozenset[str]) -> Any:
    try:
        return _masked(value, name, known)
    except RecursionError:
        # Nested deeper than anything is meant to be: then it is read as the text that it came as.
        return personal.without(personal.hide(value), known) if isinstance(value, str) else MASK


def _opened(value: Any) -> Any:
    """A text that holds a JSON object or list as that; everything else as it is, and no longer than can be shown."""
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST:
        return f"{value[:LONGEST]}… ({len(value):,} characters)"
    if value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _pairs(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, with the key it stands under; JSON inside texts is opened."""
    value = _opened(value)
    if isinstance(value, Mapping):
        header = _header_of(value)
        for name, item in value.items():
            yield from _pairs(item, header if name == "value" and header else str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _pairs(item, key)
    else:
        yield key, value


def _masked(value: Any, key: str, known: frozenset[str], meaning: Meaning | None = None) -> Any:
    """`value` as it may be shown; `meaning` is what it stands below, where that is personal."""
    meaning = meaning or personal.meaning_of(key)
    if value is None or isinstance(value, _READABLE_TYPES):
        return value
    if isinstance(value, Mapping):
        return _masked_object(value, known, meaning)
    if isinstance(value, list | tuple):
        return [_masked(item, key, known, meaning) for item in value]
    if isinstance(value, int | float | Decimal):
        return personal.hide_number(value, meaning, known)
    if isinstance(value, str):
        opened = _opened(value)
        if isinstance(opened, str):
            return personal.without(personal.hide_text(opened, meaning), known)
        return json.dumps(_masked(opened, key, known, meaning), ensure_ascii=False, separators=(",", ":"))
    return MASK


def _masked_object(value: Mapping[Any, Any], known: frozenset[str], meaning: Meaning) -> dict[str, Any]:
    found: dict[str, Any] = {}
    header = _header_of(value)
    below = meaning if meaning.is_personal else None
    for key, item in value.items():
        name = personal.without(personal.hide(str(key)), known)
        while name in found:
            name += "·"
        if header and key == "name":
            found[name] = item
        else:
            found[name] = _masked(item, header if header and key == "value" else str(key), known, below)
    return found


def _header_of(value: Mapping[Any, Any]) -> str:
    """The name of a SIP header that is written as an object of `name` and `value`."""
    name = value.get("name")
    return name if isinstance(name, str) and "value" in value and personal.is_header(name) else ""

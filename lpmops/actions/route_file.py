"""Routes in a file, as `lpmops route export` writes them and people do: CSV with a heading, or JSON. What can't be read is named by its line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lpmops.errors import UsageError

_NAMES = {
    "company_id": "company_id",
    "company id": "company_id",
    "name": "company",
    "company": "company",
    "database": "database",
}
_WANTED = ("company_id", "company", "database")
_SHOWN = 20
# In characters: several times what the 5,000 routes need that are brought on at once, and no more than a small machine holds.
LARGEST = 1 << 24
# An export keeps a spreadsheet from running a cell with an apostrophe before it.
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def read(text: str) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """The routes of a text, each with its line; what was left out in words; and the lines that can't be read, each with why.

    Raises UsageError where there is no route in it at all.
    """
    text = text.removeprefix("\ufeff")
    rows = list(_json_rows(text) if text.lstrip().startswith(("[", "{")) else _csv_rows(text))
    bad, found, left_out = list[str](), list[dict[str, Any]](), list[str]()
    for line, row in rows:
        if reason := _unreadable(row):
            bad.append(f"line {line}: {reason}")
        elif str(row.get("state") or "active") != "active":
            left_out.append(f"line {line}: {row['company_id']} is {row['state']} there, and was left out.")
        else:
            found.append({**{name: str(row[name]) for name in _WANTED}, "line": line})
    if bad and not found:
        more = [f"and {len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []
        raise UsageError(f"{len(bad)} lines can't be read; nothing was done.", hint="\n".join([*bad[:_SHOWN], *more]))
    if not found:
        raise UsageError("There is no route in that file.", hint="It has a heading: company_id,name,database")
    return found, left_out, bad


def _unreadable(row: Mapping[Any, Any]) -> str:
    """Why a row is no route; empty where it is one."""
    if None in row:
        return "it has more cells than the heading"
    if missing := [name for name in _WANTED if row.get(name) in (None, "")]:
        return f"it has no {', '.join(missing)}"
    # A number with a fraction, true, or a list has no one way to be written, so its text could be another company's.
    if other := [name for name in _WANTED if isinstance(row[name], bool) or not isinstance(row[name], str | int)]:
        return f"neither a text nor a whole number: {', '.join(other)}"
    return ""


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        heading = [_NAMES.get(name.strip().casefold(), name.strip().casefold()) for name in reader.fieldnames or ()]
        if missing := [name for name in _WANTED if name not in heading]:
            raise UsageError(
                f"The heading has no {', '.join(missing)}.", hint="The first line is: company_id,name,database"
            )
        if twice := [name for name in _WANTED if heading.count(name) > 1]:
            raise UsageError(
                f"The heading has {', '.join(twice)} more than once: it can't be told which counts.",
                hint="The first line is: company_id,name,database",
            )
        reader.fieldnames = heading
        for row in reader:
            yield (
                reader.line_num,
                {name: _unguarded(value) if isinstance(value, str) else value for name, value in row.items()},
            )
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num}: that is no CSV: {error}.", hint="Nothing was done.") from None


def _unguarded(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"That is no JSON: {error}.", hint="lpmops route export -o json writes such a file.") from None
    items: Any = document.get("data") if isinstance(document, dict) else document
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UsageError("That is no list of routes.", hint="lpmops route export -o json writes such a file.")
    for number, item in enumerate(items, 1):
        yield number, {_NAMES.get(name, name): value for name, value in item.items()}

"""Rows as CSV, in the one way that both faces write it: a heading, plain text, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lpmops.plain_text import plain

# One that has such an apostrophe of its own gets another, so that whoever takes one off again has what was there.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows, which have the columns of the first one, with a heading; unknown is an empty cell, what is nested its JSON."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return out.getvalue()


def _cell(value: Any) -> Any:
    """A spreadsheet runs a cell that begins like a formula; an apostrophe keeps it text."""
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if _FORMULA.match(text) else text

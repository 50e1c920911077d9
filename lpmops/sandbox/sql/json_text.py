"""JSON as SQL Server reads it: paths, JSON_VALUE, JSON_QUERY, OPENJSON, STRING_SPLIT.

Numbers keep the spelling they have in the text. Paths are `[lax|strict] $.key."quoted key"[n]`. Lax is the default: what is missing is
NULL; strict raises 13608 and its kin. Text that is not JSON raises 13609. Evidence: Microsoft's pages "JSON path expressions", JSON_VALUE,
JSON_QUERY, OPENJSON.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from lpmops.sandbox.sql.errors import SqlError

Path = tuple[bool, tuple[str | int, ...]]
_STEP = re.compile(r'\.(?P<plain>[A-Za-z_$\u0080-\uffff][\w$]*)|\."(?P<quoted>(?:[^"\\]|\\.)*)"|\[(?P<index>\d+)\]')
_MISSING = object()


class _Number(str):
    """A number as it is spelled in the text."""

    __slots__ = ()


@lru_cache(maxsize=1024)
def path(text: str) -> Path:
    """(whether strict, steps). Raises SqlError 13607."""
    words = text.strip()
    strict = False
    for mode in ("lax", "strict"):
        if words.lower().startswith(mode) and words[len(mode) :].lstrip().startswith("$"):
            strict = mode == "strict"
            words = words[len(mode) :].lstrip()
    if not words.startswith("$"):
        raise _bad_path(words, 0)
    steps: list[str | int] = []
    position = 1
    while position < len(words):
        match = _STEP.match(words, position)
        if match is None:
            raise _bad_path(words, position)
        if match["index"] is not None:
            steps.append(int(match["index"]))
        elif match["quoted"] is not None:
            steps.append(str(json.loads(f'"{match["quoted"]}"')))
        else:
            steps.append(match["plain"])
        position = match.end()
    return strict, tuple(steps)


def _bad_path(text: str, position: int) -> SqlError:
    shown = text[position : position + 1]
    return SqlError(
        13607,
        f"JSON path is not properly formatted. Unexpected character '{shown}' is found at position {position}.",
        16,
        4,
    )


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(word)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_first_wins, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant
)


@lru_cache(maxsize=64)
def document(text: str) -> Any:
    """The text, read. Raises SqlError 13609."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as problem:
        position = getattr(problem, "pos", 0)
        shown = text[position : position + 1]
        message = (
            f"JSON text is not properly formatted. Unexpected character '{shown}' is found at position {position}."
        )
        raise SqlError(13609, message, 16, 1) from None


def _at(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return _MISSING
            value = value[step]
        else:
            if not isinstance(value, dict) or step not in value:
                return _MISSING
            value = value[step]
    return value


def _rendered(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_rendered(inner)}" for key, inner in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(_rendered(inner) for inner in value) + "]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


def _scalar_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def json_value(text: str, path_text: str) -> str | None:
    """JSON_VALUE: the scalar at a path, at most 4,000 characters of it."""
    strict, steps = path(path_text)
    found = _at(document(text), steps)
    if found is _MISSING:
        if strict:
            raise SqlError(13608, "Property cannot be found on the specified JSON path.", 16, 1)
        return None
    if isinstance(found, (dict, list)):
        if strict:
            raise SqlError(13623, "Scalar value cannot be found in the specified JSON path.", 16, 1)
        return None
    scalar = _scalar_text(found)
    if scalar is not None and len(scalar) > 4000:
        if strict:
            raise SqlError(13625, "String value in the specified JSON path would be truncated.", 16, 1)
        return None
    return scalar


def json_query(text: str, path_text: str) -> str | None:
    """JSON_QUERY: the object or array at a path, as text."""
    strict, steps = path(path_text)
    found = _at(document(text), steps)
    if isinstance(found, (dict, list)):
        return _rendered(found)
    if strict:
        number, what = (13608, "Property cannot be found on the specified JSON path.") if found is _MISSING else (
            13624, "Object or array cannot be found in the specified JSON path.")  # fmt: skip
        raise SqlError(number, what, 16, 1)
    return None


def _opened(text: str, path_text: str) -> Any:
    strict, steps = path(path_text)
    found = _at(document(text), steps)
    if isinstance(found, (dict, list)):
        return found
    if strict:
        raise SqlError(13608, "Property cannot be found on the specified JSON path.", 16, 1)
    return []


def open_json(text: str | None, path_text: str) -> str:
    """OPENJSON without WITH: a JSON array of [key, value, type]."""
    if text is None:
        return "[]"
    opened = _opened(text, path_text)
    pairs = opened.items() if isinstance(opened, dict) else enumerate(opened)
    return json.dumps(
        [
            [str(key), _rendered(value) if isinstance(value, (dict, list)) else _scalar_text(value), _kind(value)]
            for key, value in pairs
        ]
    )


def _kind(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool):
        return 3
    if isinstance(value, _Number):
        return 2
    return 4 if isinstance(value, list) else 5 if isinstance(value, dict) else 1


def open_json_columns(text: str | None, path_text: str, columns: str) -> str:
    """OPENJSON with WITH: a JSON array of rows; `columns` is a JSON array of [path, whether AS JSON]."""
    if text is None:
        return "[]"
    opened = _opened(text, path_text)
    wanted = [(path(column_path), as_json) for column_path, as_json in json.loads(columns)]
    rows = opened if isinstance(opened, list) else [opened]
    return json.dumps([[_column(row, strict, steps, as_json) for (strict, steps), as_json in wanted] for row in rows])


def _column(row: Any, strict: bool, steps: tuple[str | int, ...], as_json: bool) -> str | None:
    found = _at(row, steps)
    if found is _MISSING and strict:
        raise SqlError(13608, "Property cannot be found on the specified JSON path.", 16, 1)
    if found is _MISSING:
        return None
    if isinstance(found, (dict, list)):
        return _rendered(found) if as_json else None
    return None if as_json else _scalar_text(found)


def string_split(text: str | None, separator: str) -> str:
    """STRING_SPLIT: a JSON array of texts. Raises SqlError 214 unless the separator is one character."""
    if len(separator) != 1:
        raise SqlError(214, "Procedure expects parameter 'separator' of type 'nchar(1)/nvarchar(1)'.", 16, 11)
    return json.dumps([] if text is None else text.split(separator))

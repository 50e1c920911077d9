"""Events as they come from the hub, and as typed columns.

A body is JSON in UTF-8: one object, an array of objects, or objects line after line (the formats of the service's JSON serialization). A body that is
none of these, or holds a number that bigint can't, is a data error and not a row. Rows are put into groups within which each field has one kind.
A batch is worked in whole columns, and each body is read once, by a fast parser where that can be sure to read it as the slow one does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from lpmops.sandbox.asa.expressions import LENGTH, META, Path
from lpmops.sandbox.asa.kinds import KIND_OF_PYTHON, LARGEST_BIGINT, SMALLEST_BIGINT, Kind

INVALID_DATA = "InputDeserializerError.InvalidData"

_ARROW: dict[Kind, Any] = {
    Kind.BIGINT: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.NVARCHAR: pa.string(),
    Kind.BIT: pa.bool_(),
    Kind.RECORD: pa.string(),
    Kind.ARRAY: pa.string(),
    Kind.DATETIME: pa.timestamp("us"),
    Kind.NULL: pa.string(),
}
# Far below where either parser gives up.
_DEEP = 200
_SURROGATE = re.compile("[\ud800-\udfff]")


class InputEvent(NamedTuple):
    """An event with what the hub says of it; `enqueued_at` is aware UTC."""

    body: bytes
    enqueued_at: datetime
    partition: int
    sequence: int
    offset: str
    partition_key: str | None = None


@dataclass(frozen=True, slots=True)
class DataError:
    """An event that is no row, and why, in the words of the service's log (asa-query/create-table, data-errors)."""

    event: InputEvent
    kind: str
    message: str


@dataclass(slots=True)
class Rows:
    """Decoded rows: the JSON objects, and beside each the event that it came in."""

    objects: list[dict[str, Any]]
    events: list[InputEvent]
    errors: list[DataError]


def _whole(digits: str) -> int:
    value = int(digits)
    if not SMALLEST_BIGINT <= value <= LARGEST_BIGINT:
        raise ValueError("a number is outside the range of bigint")
    return value


def _fraction(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number is outside the range of float")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_fraction, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def decode(events: Sequence[InputEvent]) -> Rows:
    """The rows of a batch of events, in order."""
    rows = Rows([], [], [])
    for event, is_odd in zip(events, _odd(events), strict=True):
        try:
            value = _value(event.body, is_odd)
        except (ValueError, RecursionError) as error:
            value = _lines(event.body)
            if value is None:
                _reject(rows, event, str(error))
                continue
        if type(value) is dict:
            rows.objects.append(value)
            rows.events.append(event)
            continue
        objects = value if type(value) is list else [value]
        if any(type(one) is not dict for one in objects):
            _reject(rows, event, "the body is not a JSON object")
            continue
        rows.objects += objects
        rows.events += [event] * len(objects)
    return rows


def _odd(events: Sequence[InputEvent]) -> list[bool]:
    """Which bodies may hold what the fast parser reads otherwise: a number beyond bigint, which it takes for a float, or very deep nesting."""
    bodies = [event.body for event in events]
    # Arrow's expressions pass over a body in a fraction of the time that Python's need.
    long_number = pc.match_substring_regex(pa.array(bodies, pa.large_binary()), "[0-9]{19}").to_pylist()
    return [
        is_long or body.count(b"{") + body.count(b"[") > _DEEP
        for is_long, body in zip(long_number, bodies, strict=True)
    ]


def _value(body: bytes, is_odd: bool) -> Any:
    """The value of a body. Raises ValueError and RecursionError."""
    if not is_odd:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            # The slow parser has the last word, and the words for what is wrong.
            pass
    return _DECODER.decode(body.decode().removeprefix("\ufeff"))


def _lines(body: bytes) -> list[Any] | None:
    """Objects line after line, or None where that is not what a body holds."""
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) < 2:
        return None
    try:
        return [_DECODER.decode(line.decode()) for line in lines]
    except (ValueError, RecursionError):
        return None


def _reject(rows: Rows, event: InputEvent, reason: str) -> None:
    resource = f"Partition: [{event.partition}], Offset: [{event.offset}], SequenceNumber: [{event.sequence}]"
    message = (
        f"Could not deserialize the input event(s) from resource '{resource}' as Json. Some possible reasons: 1) Malformed events "
        f"2) Input source configured with incorrect serialization format ({reason.splitlines()[0] if reason else 'no JSON'})"
    )
    rows.errors.append(DataError(event, INVALID_DATA, message))


def top_level_fields(rows: Rows) -> list[Path]:
    """All fields of these rows, in the order in which they first appear."""
    return [(name,) for name in dict.fromkeys(name for one in rows.objects for name in one)]


class Extractor:
    """Takes fields out of rows as columns, those that `paths` begin with at once; `processed_at` is what EventProcessedUtcTime says."""

    def __init__(self, rows: Rows, processed_at: datetime, paths: Iterable[Path]) -> None:
        self._rows = rows
        self._processed_at = _naive(processed_at)
        names = list(dict.fromkeys(str(path[0]) for path in paths if path[0] != META))
        # Row by row, as an object is still at hand when its next field is asked for.
        values = zip(*[tuple(map(one.get, names)) for one in rows.objects], strict=True)
        self._columns: dict[Path, Sequence[Any]] = {(name,): column for name, column in zip(names, values, strict=True)}

    def column(self, path: Path) -> Sequence[Any]:
        """The values of one field, None where an event has it not."""
        known = self._columns.get(path)
        if known is None:
            known = self._columns[path] = self._metadata(str(path[1])) if path[0] == META else self._field(path)
        return known

    def _field(self, path: Path) -> list[Any]:
        last = path[-1]
        owners = self.column(path[:-1])
        if isinstance(last, int):
            return [owner[last] if type(owner) is list and last < len(owner) else None for owner in owners]
        if last == LENGTH:
            return [len(owner) if type(owner) is list else None for owner in owners]
        return [owner.get(last) if type(owner) is dict else None for owner in owners]

    def _metadata(self, name: str) -> list[Any]:
        events = self._rows.events
        match name:
            case "EventEnqueuedUtcTime":
                return [_naive(event.enqueued_at) for event in events]
            case "SequenceNumber":
                return [event.sequence for event in events]
            case "PartitionId":
                return [event.partition for event in events]
            case "Offset":
                return [event.offset for event in events]
            case "PartitionKey":
                return [event.partition_key for event in events]
            case _:
                return [self._processed_at] * len(events)


def _naive(moment: datetime) -> datetime:
    return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).replace(tzinfo=None)


def kinds_of(values: Iterable[Any]) -> set[Kind]:
    """The kinds that values have, nulls aside."""
    types = set(map(type, values))
    types.discard(type(None))
    return {KIND_OF_PYTHON.get(one, Kind.DATETIME) for one in types}


def groups(
    columns: Mapping[Path, Sequence[Any]], kinds: Mapping[Path, set[Kind]], count: int
) -> list[list[int] | None]:
    """Rows by the kinds of the fields that hold several; [None] where no field does, which means all rows."""
    mixed = [columns[path] for path, found in kinds.items() if len(found) > 1]
    if not mixed:
        return [None]
    found: dict[tuple[Any, ...], list[int]] = {}
    for row in range(count):
        found.setdefault(tuple(type(column[row]) for column in mixed), []).append(row)
    return list(found.values())


def to_arrow(values: Sequence[Any], kind: Kind) -> Any:
    """Values of one kind as an Arrow array; records and arrays become JSON text."""
    if kind in (Kind.RECORD, Kind.ARRAY):
        values = [None if value is None else _text(value) for value in values]
    try:
        return pa.array(values, type=_ARROW[kind])
    except UnicodeEncodeError:
        # Half of a surrogate pair is JSON but no text; .NET writes the replacement character.
        return pa.array(
            [None if value is None else _SURROGATE.sub("\ufffd", value) for value in values], type=_ARROW[kind]
        )


def _text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Half of a surrogate pair, or nesting deeper than that one goes.
        return _ENCODER.encode(value)


def arrow_type(kind: Kind) -> Any:
    """How Arrow holds a kind."""
    return _ARROW[kind]

"""How a snapshot becomes bytes and a snapshot again. An environment of thousands of companies changes little from look to look, so a body is small.

`pack` writes a body over a `Basis`, the same environment as it was within the hour: companies stand in columns, a column as in the basis is left out,
counts are differences, and what is left is compressed with the basis as dictionary (zlib's checksum tells a damaged body, the basis's digest a wrong
one). `unpack` also reads the bodies of before, one compressed JSON of `model.to_data`. Reading is tolerant of keys that a newer lpmops added and of
keys an older one did not write; it raises ValueError for anything that is not what was written.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from lpmops.model import (
    Confidence,
    Credential,
    Health,
    Kind,
    Latency,
    Percentiles,
    Reading,
    Route,
    Snapshot,
    Stage,
    Suspect,
    parse_time,
    to_data,
)
from lpmops.store import codec

_OVER_A_BASIS = b"B"
_WINDOW = 32_768
_MILLISECOND = timedelta(milliseconds=1)
_COLUMNS = tuple(field.name for field in fields(Route))
# What is written as the difference to the basis, and what as milliseconds before the look.
_COUNT, _TIME = "rows", "last_landed_at"
_NUMBERS = frozenset({"rows", "rows_per_minute", "latency_p95"})

Columns = Mapping[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Basis:
    """What bodies are written over: `text` is the JSON of a snapshot without companies (the dictionary), `columns` its companies."""

    text: bytes
    columns: Columns
    digest: str

    def fits(self, snapshot: Snapshot) -> bool:
        """Whether a body over this one would be small: the companies are the same, in the same order."""
        return [route.company_id for route in snapshot.routes] == self.columns["company_id"]


def pack_basis(snapshot: Snapshot) -> bytes:
    """The body of a basis made of `snapshot`."""
    return codec.pack_json([_head(snapshot), _columns(snapshot)])


def unpack_basis(body: bytes) -> Basis:
    """The basis of a body. Raises ValueError where it is damaged."""
    raw = codec.unpack_bytes(body)
    try:
        head, columns = json.loads(raw)
        return Basis(_dumps(head)[-_WINDOW:], {**columns}, hashlib.sha256(raw).hexdigest()[:16])
    except (TypeError, KeyError) as error:
        raise ValueError(f"the basis of snapshots lacks or mistypes {error}") from error


def pack(snapshot: Snapshot, basis: Basis) -> bytes:
    """A snapshot as a body over `basis`; times keep their milliseconds."""
    columns = {
        name: _difference(values, basis.columns["rows"]) if name == _COUNT else values
        for name, values in _columns(snapshot).items()
        if name == _TIME or values != basis.columns.get(name)
    }
    compressor = zlib.compressobj(6, zdict=basis.text)
    raw = _dumps({**_head(snapshot), "basis": basis.digest, "count": len(snapshot.routes), "columns": columns})
    return _OVER_A_BASIS + compressor.compress(raw) + compressor.flush()


def unpack(body: bytes, basis: Basis | None) -> Snapshot:
    """The snapshot of a body, `basis` being the one it was written over. Raises ValueError where it is damaged or over another basis."""
    try:
        if body[:1] != _OVER_A_BASIS:
            return snapshot_of(codec.unpack_json(body))
        if basis is None:
            raise ValueError("the basis of a snapshot is missing")
        return _over(basis, body[1:])
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"a snapshot lacks or mistypes {error}") from error


def _over(basis: Basis, compressed: bytes) -> Snapshot:
    try:
        inflater = zlib.decompressobj(zdict=basis.text)
        raw = inflater.decompress(compressed)
    except zlib.error as error:
        raise ValueError(f"a snapshot can't be read ({error})") from error
    if not inflater.eof:
        raise ValueError("a snapshot is cut short")
    data = json.loads(raw)
    if data["basis"] != basis.digest:
        raise ValueError("a snapshot stands over another basis")
    columns = {name: data["columns"].get(name, basis.columns.get(name)) for name in _COLUMNS}
    if _COUNT in data["columns"]:
        columns[_COUNT] = _sum(data["columns"][_COUNT], basis.columns["rows"])
    snapshot = snapshot_of(data)
    return replace(snapshot, routes=_routes(columns, data["count"], snapshot.taken_at))


# Companies in columns ----------------------------------------------------------------------------------------------------------------------------


def _head(snapshot: Snapshot) -> dict[str, Any]:
    head = to_data(replace(snapshot, routes=()))
    assert isinstance(head, dict)
    del head["routes"]
    return head


def _columns(snapshot: Snapshot) -> dict[str, list[Any]]:
    at = snapshot.taken_at
    found: dict[str, list[Any]] = {name: [getattr(route, name) for route in snapshot.routes] for name in _COLUMNS}
    found[_TIME] = [None if landed is None else _milliseconds_before(at, landed) for landed in found[_TIME]]
    for name in _NUMBERS:
        found[name] = to_data(found[name])
    return found


def _milliseconds_before(at: datetime, landed: datetime) -> int:
    return codec.milliseconds(at) - codec.milliseconds(landed)


def _difference(values: Sequence[int | None], base: Sequence[int | None]) -> list[Any]:
    """Each number less the basis's, where both are whole; else itself, in a list of one."""
    if len(values) != len(base):
        return [[value] for value in values]
    return [
        value - before if isinstance(value, int) and isinstance(before, int) else [value]
        for value, before in zip(values, base, strict=True)
    ]


def _sum(differences: Sequence[Any], base: Sequence[Any]) -> list[Any]:
    return [
        item[0] if isinstance(item, list) else base[place] + item
        for place, item in enumerate(differences)
    ]  # fmt: skip


def _routes(columns: Mapping[str, list[Any] | None], count: int, at: datetime) -> tuple[Route, ...]:
    """The companies of whole columns; one that an older lpmops did not write is as if unknown."""
    landed = columns[_TIME] or [None] * count
    known: dict[str, Sequence[Any]] = {name: values for name, values in columns.items() if values is not None}
    known[_TIME] = [None if value is None else at - value * _MILLISECOND for value in landed]
    names = tuple(known)
    found = tuple(Route(**dict(zip(names, row, strict=True))) for row in zip(*known.values(), strict=True))
    if len(found) != count:
        raise ValueError("a snapshot lacks companies")
    return found


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


# The shape of `model.to_data` --------------------------------------------------------------------------------------------------------------------


def snapshot_of(data: Mapping[str, Any]) -> Snapshot:
    """The snapshot that `model.to_data` wrote. Raises KeyError, TypeError or ValueError for another shape."""
    latency = data.get("latency") or {}
    credential = data.get("credential") or {}
    return Snapshot(
        environment=data["environment"],
        kind=Kind(data["kind"]),
        taken_at=parse_time(data["taken_at"]),
        health=Health(data["health"]),
        stages={name: _stage(stage) for name, stage in data["stages"].items()},
        latency=Latency(
            p50=latency.get("p50"),
            p95=latency.get("p95"),
            p99=latency.get("p99"),
            events=latency.get("events", 0),
            hops={
                name: Percentiles(hop.get("p50"), hop.get("p95"), hop.get("p99"))
                for name, hop in latency.get("hops", {}).items()
            },
        ),
        routes=tuple(_route(route) for route in data.get("routes", ())),
        suspects=tuple(_suspect(suspect) for suspect in data.get("suspects", ())),
        credential=Credential(
            state=credential.get("state", "unknown"),
            identity=credential.get("identity", ""),
            expires_at=_time(credential.get("expires_at")),
            remedy=credential.get("remedy", ""),
        ),
        calls=data.get("calls", 0),
        seconds=data.get("seconds", 0.0),
        heartbeat_age=data.get("heartbeat_age"),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)


def _stage(data: Mapping[str, Any]) -> Stage:
    return Stage(
        name=data["name"],
        health=Health(data["health"]),
        state=data["state"],
        reason=data.get("reason", ""),
        lag=data.get("lag"),
        lag_unit=data.get("lag_unit", "s"),
        rate=data.get("rate"),
        readings=tuple(
            Reading(item["name"], item["value"], item["unit"], _time(item["at"]), item["source"])
            for item in data.get("readings", ())
        ),
    )


def _route(data: Mapping[str, Any]) -> Route:
    return Route(
        company_id=data["company_id"],
        company=data["company"],
        database=data["database"],
        state=data["state"],
        rows=data.get("rows"),
        rows_per_minute=data.get("rows_per_minute"),
        last_landed_at=_time(data.get("last_landed_at")),
        latency_p95=data.get("latency_p95"),
    )


def _suspect(data: Mapping[str, Any]) -> Suspect:
    return Suspect(
        id=data["id"],
        stage=data["stage"],
        confidence=Confidence(data["confidence"]),
        summary=data["summary"],
        evidence=tuple(data.get("evidence", ())),
        next=tuple(data.get("next", ())),
    )

"""How values become bytes in the store and values again: snapshots as JSON, samples as packed arrays, both under zlib.

zlib's checksum is what tells a damaged body from a true one, so nothing is stored outside it that a reader would
believe. Reading is tolerant of keys that a newer lpmops added and of keys an older one did not write. Decoding raises
ValueError for anything that is not what was written.
"""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
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

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(moment: datetime) -> int:
    """The store's time: whole milliseconds since 1970 UTC, the rest cut off as in the JSON of a time."""
    return (moment - _EPOCH) // _MILLISECOND


def moment(value: int) -> datetime:
    """The aware UTC time of a store's time."""
    return _EPOCH + value * _MILLISECOND


def pack_json(value: Any, level: int = 6) -> bytes:
    """Plain JSON values as a compressed body."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode("ascii"), level)


def unpack_json(body: bytes) -> Any:
    """The values of a compressed body. Raises ValueError where it is damaged."""
    try:
        return json.loads(zlib.decompress(body))
    except zlib.error as error:
        raise ValueError(f"a compressed body can't be read ({error})") from error


# Snapshots ---------------------------------------------------------------------------------------------------------------------------------------


def pack_snapshot(snapshot: Snapshot) -> bytes:
    """A snapshot as a body; times keep their milliseconds."""
    return pack_json(to_data(snapshot))


def unpack_snapshot(body: bytes) -> Snapshot:
    """The snapshot of a body. Raises ValueError where it is damaged."""
    try:
        return snapshot_of(unpack_json(body))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a snapshot lacks or mistypes {error}") from error


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


# Samples -----------------------------------------------------------------------------------------------------------------------------------------

_COUNT = struct.Struct("<I")


def pack_tick(values: Mapping[int, float]) -> bytes:
    """One moment of many series: ids, then values, each in one array. Level 1, as it is written every few seconds and soon sealed."""
    return zlib.compress(
        _COUNT.pack(len(values)) + array("I", values.keys()).tobytes() + array("d", values.values()).tobytes(), 1
    )


def unpack_tick(body: bytes) -> dict[int, float]:
    """Series id to value. Raises ValueError where it is damaged."""
    ids, values = _two_arrays(body, "I", "d")
    return dict(zip(ids, values, strict=True))


def pack_chunk(samples: Iterable[tuple[int, float]]) -> bytes:
    """One hour of one series: milliseconds into the hour, then values."""
    pairs = list(samples)
    return zlib.compress(
        _COUNT.pack(len(pairs))
        + array("I", [at for at, _ in pairs]).tobytes()
        + array("d", [value for _, value in pairs]).tobytes()
    )


def unpack_chunk(body: bytes) -> list[tuple[int, float]]:
    """Milliseconds into the hour with the value. Raises ValueError where it is damaged."""
    offsets, values = _two_arrays(body, "I", "d")
    return list(zip(offsets, values, strict=True))


def _two_arrays(body: bytes, first: str, second: str) -> tuple[array[Any], array[Any]]:
    try:
        raw = zlib.decompress(body)
    except zlib.error as error:
        raise ValueError(f"samples can't be read ({error})") from error
    left, right = array(first), array(second)
    if len(raw) < _COUNT.size:
        raise ValueError("samples are cut short")
    (count,) = _COUNT.unpack_from(raw)
    split = _COUNT.size + count * left.itemsize
    if len(raw) != split + count * right.itemsize:
        raise ValueError("samples are cut short")
    left.frombytes(raw[_COUNT.size : split])
    right.frombytes(raw[split:])
    return left, right

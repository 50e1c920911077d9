"""How values become bytes in the store and values again: plain JSON and samples. Snapshots have a codec of their own (`snapshot_codec`).

A checksum (zlib's own, or a CRC where compressing would cost more than it saves) is what tells a damaged body from a true one, so nothing is stored
outside it that a reader would believe. What an older lpmops wrote is still read: its bodies are plain zlib, which begins with an `x`. Decoding raises
ValueError for anything that is not what was written.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

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
    return json.loads(unpack_bytes(body))


def unpack_bytes(body: bytes) -> bytes:
    """What a compressed body holds. Raises ValueError where it is damaged."""
    try:
        return zlib.decompress(body)
    except zlib.error as error:
        raise ValueError(f"a compressed body can't be read ({error})") from error


# Samples -----------------------------------------------------------------------------------------------------------------------------------------

_PLAIN_TICK = b"T"
_WHOLE_MILLIS = b"M"
_BLOCK = b"K"
_CHECK = struct.Struct("<II")
_COUNT = struct.Struct("<I")
_ID = struct.Struct("=I")
_VALUE = struct.Struct("=d")


def pack_tick(values: Mapping[int, float]) -> bytes:
    """One moment of many series: ids, then values, each in one array.

    Not compressed, as it is written every few seconds, soon sealed, and read by the hundred for a line of the last hour.
    """
    raw = array("I", values.keys()).tobytes() + array("d", values.values()).tobytes()
    return _PLAIN_TICK + _CHECK.pack(zlib.crc32(raw), len(values)) + raw


def unpack_tick(body: bytes) -> dict[int, float]:
    """Series id to value. Raises ValueError where it is damaged."""
    return dict(zip(*tick_arrays(body), strict=True))


def tick_arrays(body: bytes) -> tuple[array[Any], array[Any]]:
    """The series ids and the values of a tick. Raises ValueError where it is damaged."""
    if body[:1] != _PLAIN_TICK:
        return _two_arrays(unpack_bytes(body))
    return _arrays(*_plain_tick(body))


def tick_value(body: bytes, series: int) -> float | None:
    """The value of one series in a tick, without unpacking the others. Raises ValueError where it is damaged."""
    if body[:1] != _PLAIN_TICK:
        return unpack_tick(body).get(series)
    raw, count = _plain_tick(body)
    place = _place(raw, count, series)
    return None if place is None else float(_VALUE.unpack_from(raw, count * _ID.size + place * _VALUE.size)[0])


def _place(raw: bytes, count: int, series: int) -> int | None:
    """Where among the `count` ids that `raw` begins with a series stands: searching the bytes is a hundred times quicker than unpacking them."""
    wanted, found = _ID.pack(series), -1
    while (found := raw.find(wanted, found + 1, count * _ID.size)) >= 0:
        if found % _ID.size == 0:
            return found // _ID.size
    return None


def _plain_tick(body: bytes) -> tuple[bytes, int]:
    raw = body[1 + _CHECK.size :]
    if len(body) < 1 + _CHECK.size:
        raise ValueError("samples are cut short")
    check, count = _CHECK.unpack_from(body, 1)
    if len(raw) != count * (_ID.size + _VALUE.size) or zlib.crc32(raw) != check:
        raise ValueError("samples can't be read (their checksum differs)")
    return raw, count


def pack_chunk(samples: Iterable[tuple[int, float]]) -> bytes:
    """One hour of one series: milliseconds into the hour, then values.

    Values in whole thousandths, as lags and rates are, are written as differences: a third of the room, and the same values again.
    """
    pairs = list(samples)
    offsets, values = [at for at, _ in pairs], [value for _, value in pairs]
    whole = in_millis(values)
    if whole is not None:
        return _WHOLE_MILLIS + pack_json([_steps(offsets), _steps(whole)])
    return zlib.compress(_COUNT.pack(len(pairs)) + array("I", offsets).tobytes() + array("d", values).tobytes())


def unpack_chunk(body: bytes) -> list[tuple[int, float]]:
    """Milliseconds into the hour with the value. Raises ValueError where it is damaged."""
    if body[:1] == _WHOLE_MILLIS:
        offsets, whole = unpack_json(body[1:])
        return list(zip(accumulate(offsets), from_millis(accumulate(whole)), strict=True))
    ids, doubles = _two_arrays(unpack_bytes(body))
    return list(zip(ids, doubles, strict=True))


Minute = tuple[int, int, float, float, float, float]


def pack_minutes(minutes: Sequence[Minute]) -> bytes:
    """The minutes of one hour of one series, each its offset into the hour, samples, low, high, total and last."""
    offsets, counts, *parts = zip(*minutes, strict=True) if minutes else ([],) * 6
    low, high, total, last = (in_millis(part) for part in parts)
    if low is None or high is None or total is None or last is None:
        return pack_json(minutes)
    # Each is written as what it lies above the minute's lowest, which is little.
    above = [[value - floor for value, floor in zip(part, low, strict=True)] for part in (high, last)]
    totals = [value - floor * count for value, floor, count in zip(total, low, counts, strict=True)]
    return _WHOLE_MILLIS + pack_json([_steps(offsets), counts, _steps(low), *above, totals])


def unpack_minutes(body: bytes) -> list[Minute]:
    """The minutes of one hour of one series. Raises ValueError where it is damaged."""
    if body[:1] != _WHOLE_MILLIS:
        return [(offset, count, low, high, total, last) for offset, count, low, high, total, last in unpack_json(body)]
    offsets, counts, lows, highs, lasts, totals = unpack_json(body[1:])
    return [
        (offset, count, low / 1000, (low + high) / 1000, (total + low * count) / 1000, (low + last) / 1000)
        for offset, count, low, high, last, total in zip(
            accumulate(offsets), counts, accumulate(lows), highs, lasts, totals, strict=True
        )
    ]


def pack_block(parts: Mapping[int, bytes], hour: int) -> bytes:
    """The packed hours or minutes of several series in one body, which says of which hour it is."""
    head = array("I", parts).tobytes() + array("I", map(len, parts.values())).tobytes()
    return _BLOCK + _CHECK.pack(_check(head, hour), len(parts)) + head + b"".join(parts.values())


def unpack_block(body: bytes, hour: int) -> dict[int, bytes]:
    """The packed parts of a block by series. Raises ValueError where it is damaged or of another hour; each part has its own checksum."""
    ids, ends, begin = _block_head(body, hour)
    return {
        series: body[begin + start : begin + end]
        for series, start, end in zip(ids, [0, *ends], ends, strict=False)
    }  # fmt: skip


def block_part(body: bytes, hour: int, series: int) -> bytes | None:
    """The packed part of one series of a block, None where it has none. Raises ValueError where the block is damaged or of another hour."""
    return unpack_block(body, hour).get(series)


def _block_head(body: bytes, hour: int) -> tuple[array[Any], list[int], int]:
    start = 1 + _CHECK.size
    if body[:1] != _BLOCK or len(body) < start:
        raise ValueError("a block of samples can't be read")
    check, count = _CHECK.unpack_from(body, 1)
    begin = start + 2 * count * _ID.size
    head = body[start:begin]
    if len(head) != 2 * count * _ID.size or _check(head, hour) != check:
        raise ValueError("a block of samples is damaged, or stands under another hour")
    ids, lengths = array("I", head[: count * _ID.size]), array("I", head[count * _ID.size :])
    ends = list(accumulate(lengths))
    if len(body) != begin + (ends[-1] if ends else 0):
        raise ValueError("a block of samples is cut short")
    return ids, ends, begin


def _check(head: bytes, hour: int) -> int:
    return zlib.crc32(head, zlib.crc32(str(hour).encode("ascii")))


def in_millis(values: Sequence[float]) -> list[int] | None:
    """The values as whole thousandths, or None where that would change one."""
    try:
        whole = [round(value * 1000) for value in values]
    except (ValueError, OverflowError):
        return None
    return whole if from_millis(whole) == list(values) and all(map(_is_plain, values)) else None


def from_millis(whole: Iterable[int]) -> list[float]:
    """The values of whole thousandths."""
    return [value / 1000 for value in whole]


def _is_plain(value: float) -> bool:
    """Not minus zero, which no whole number is, and not so large that thousandths mean nothing."""
    return abs(value) < 1e12 and (value != 0.0 or math.copysign(1.0, value) > 0)


def _steps(values: Sequence[int]) -> list[int]:
    return [value - before for value, before in zip(values, [0, *values], strict=False)]


def _two_arrays(raw: bytes) -> tuple[array[Any], array[Any]]:
    if len(raw) < _COUNT.size:
        raise ValueError("samples are cut short")
    return _arrays(raw[_COUNT.size :], _COUNT.unpack_from(raw)[0])


def _arrays(raw: bytes, count: int) -> tuple[array[Any], array[Any]]:
    left, right = array("I"), array("d")
    split = count * left.itemsize
    if len(raw) != split + count * right.itemsize:
        raise ValueError("samples are cut short")
    left.frombytes(raw[:split])
    right.frombytes(raw[split:])
    return left, right

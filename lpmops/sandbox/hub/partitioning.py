"""Which partition a key belongs to: Bob Jenkins' lookup3, as Event Hubs uses it.

The same key always goes to the same partition, and to the one the service itself would choose. Source:
`generate_hash_code` in azure-eventhub 5.15.1 (`_buffered_producer/_partition_resolver.py`), which mirrors the
service's choice; http://burtleburtle.net/bob/c/lookup3.c for the hash.
"""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF


def partition_of(key: str, partitions: int) -> int:
    """The partition of `key` among `partitions`."""
    if not key:
        return 0
    first, second = lookup3(key.encode())
    folded = (first ^ second) & 0xFFFF
    return (folded - 0x10000 if folded & 0x8000 else folded) % partitions


def lookup3(data: bytes) -> tuple[int, int]:
    """Two 32-bit hashes of `data` (hashlittle2 with both seeds zero)."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    at, left = 0, len(data)
    while left > 12:
        x, y, z = struct.unpack_from("<III", data, at)
        a, b, c = _mix((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
        at, left = at + 12, left - 12
    if left == 0:
        return c, b
    x, y, z = struct.unpack("<III", data[at:].ljust(12, b"\0"))
    a, b, c = _final((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
    return c, b


def _rotate(x: int, k: int) -> int:
    return (x << k | x >> (32 - k)) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a, c = ((a - c) & _MASK) ^ _rotate(c, 4), (c + b) & _MASK
    b, a = ((b - a) & _MASK) ^ _rotate(a, 6), (a + c) & _MASK
    c, b = ((c - b) & _MASK) ^ _rotate(b, 8), (b + a) & _MASK
    a, c = ((a - c) & _MASK) ^ _rotate(c, 16), (c + b) & _MASK
    b, a = ((b - a) & _MASK) ^ _rotate(a, 19), (a + c) & _MASK
    c, b = ((c - b) & _MASK) ^ _rotate(b, 4), (b + a) & _MASK
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int, int]:
    c = ((c ^ b) - _rotate(b, 14)) & _MASK
    a = ((a ^ c) - _rotate(c, 11)) & _MASK
    b = ((b ^ a) - _rotate(a, 25)) & _MASK
    c = ((c ^ b) - _rotate(b, 16)) & _MASK
    a = ((a ^ c) - _rotate(c, 4)) & _MASK
    b = ((b ^ a) - _rotate(a, 14)) & _MASK
    c = ((c ^ b) - _rotate(b, 24)) & _MASK
    return a, b, c

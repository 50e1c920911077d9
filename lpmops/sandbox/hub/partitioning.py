"""Which partition a key belongs to: Bob Jenkins' lookup3, as Event Hubs uses it.

The same key always goes to the same partition, and to the one the service itself would choose. Source:
`generate_hash_code` in azure-eventhub 5.15.1 (`_buffered_producer/_partition_resolver.py`), which mirrors the
service's choice; http://burtleburtle.net/bob/c/lookup3.c for the hash.
"""

from __future__ import annotations

import struct
from functools import lru_cache

_MASK = 0xFFFFFFFF
_THREE = struct.Struct("<III")


# The changes of a record come close to each other, and replays bring them all again.
@lru_cache(maxsize=1 << 16)
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
    # Each event with a key comes through here: calls within the loop would take most of the time.
    while left > 12:
        x, y, z = _THREE.unpack_from(data, at)
        a, b, c = a + x, b + y, c + z & _MASK
        a = a - c & _MASK ^ (c << 4 | c >> 28) & _MASK
        c = c + b & _MASK
        b = b - a & _MASK ^ (a << 6 | a >> 26) & _MASK
        a = a + c & _MASK
        c = c - b & _MASK ^ (b << 8 | b >> 24) & _MASK
        b = b + a & _MASK
        a = a - c & _MASK ^ (c << 16 | c >> 16) & _MASK
        c = c + b & _MASK
        b = b - a & _MASK ^ (a << 19 | a >> 13) & _MASK
        a = a + c & _MASK
        c = c - b & _MASK ^ (b << 4 | b >> 28) & _MASK
        b = b + a & _MASK
        at, left = at + 12, left - 12
    if left == 0:
        return c, b
    x, y, z = _THREE.unpack(data[at:].ljust(12, b"\0"))
    a, b, c = a + x & _MASK, b + y & _MASK, c + z & _MASK
    c = (c ^ b) - (b << 14 | b >> 18) & _MASK
    a = (a ^ c) - (c << 11 | c >> 21) & _MASK
    b = (b ^ a) - (a << 25 | a >> 7) & _MASK
    c = (c ^ b) - (b << 16 | b >> 16) & _MASK
    a = (a ^ c) - (c << 4 | c >> 28) & _MASK
    b = (b ^ a) - (a << 14 | a >> 18) & _MASK
    c = (c ^ b) - (b << 24 | b >> 8) & _MASK
    return c, b

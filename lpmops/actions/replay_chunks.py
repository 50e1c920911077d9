"""Cuts ranges of versions into chunks of bounded rows, so that each is one bounded run that can fail and be repeated alone.

Pure. Each version that was asked for is in exactly one chunk, in order; a chunk has one version at least, however many rows that has, and never spans
a version at which the table's columns changed in a way that one read of the feed can't span.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lpmops.model import Commit
from lpmops.versions import Versions, merged

# Operations of a table's history that change no row of it.
_NO_CHANGES = (
    "OPTIMIZE",
    "VACUUM",
    "SET TBLPROPERTIES",
    "UNSET TBLPROPERTIES",
    "ADD COLUMNS",
    "ADD CONSTRAINT",
    "DROP CONSTRAINT",
    "CREATE TABLE",
    "UPGRADE PROTOCOL",
    "CLUSTER BY",
    "FSCK",
)
# Operations after which rows of before and after can't be read together; whether one of them was harmless the history does not say.
_OTHER_SHAPE = ("RENAME COLUMN", "DROP COLUMNS", "CHANGE COLUMN", "REPLACE COLUMNS", "UPDATE SCHEMA", "REPLACE TABLE")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Versions that one run sends; `rows` is how many changes of all companies they hold, as far as the history says."""

    n: int
    versions: Versions
    rows: int


def rows_of(commit: Commit, unknown: int) -> int:
    """How many changes a commit brought; `unknown` where its history does not say."""
    if commit.operation.upper().startswith((*_NO_CHANGES, *_OTHER_SHAPE)) and not commit.rows:
        return 0
    if commit.operation.upper().startswith(("OPTIMIZE", "VACUUM")):
        return 0
    return unknown if commit.rows is None else commit.rows


def changes_shape(commit: Commit) -> bool:
    """Whether a chunk must not reach over this commit."""
    return any(words in commit.operation.upper() for words in _OTHER_SHAPE)


def cut(ranges: Iterable[Versions], rows: Mapping[int, int], splits: Collection[int], most: int) -> tuple[Chunk, ...]:
    """The chunks of these versions. `rows` are by version, `splits` are versions with which a new chunk begins, `most` the rows of a chunk."""
    found: list[Chunk] = []
    # A version that nothing is known of ends a chunk only behind one that is too large alone, so a range costs what is known of it, not its length.
    known = sorted({*rows, *splits, *(version + 1 for version, held in rows.items() if held > most)})
    for one in merged(ranges):
        first, held = one.first, rows.get(one.first, 0)
        for version in known[bisect_right(known, one.first) : bisect_right(known, one.last)]:
            more = rows.get(version, 0)
            if version in splits or held + more > most:
                found.append(Chunk(len(found) + 1, Versions(first, version - 1), held))
                first, held = version, 0
            held += more
        found.append(Chunk(len(found) + 1, Versions(first, one.last), held))
    return tuple(found)

"""What is looked at before a table's change feed is switched on: what the table is, who may alter it, and what the feed does to its protocol.

A thing that Delta would refuse is refused here, in words and before the lock is taken. What can't be told is a warning: then the service decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from lpmops.actions.action import Bench
from lpmops.control import access, rights
from lpmops.control.access_rows import Right
from lpmops.control.plan import Change
from lpmops.errors import RefusedError
from lpmops.model import FeedState, TableDefinition

FEATURE = "changeDataFeed"
# From this writer version on a table lists what its writers must know, one by one.
_LISTED_SINCE = 7
# Writers older than this can't record changes, and are shut out of a table that does.
_FEED_WRITER = 4
# The columns that the feed adds to each change (DELTA_TABLE_ALREADY_CONTAINS_CDC_COLUMNS).
_RESERVED = ("_change_type", "_commit_version", "_commit_timestamp")
_ALTERED = ("", "MANAGED", "EXTERNAL")


def definition(bench: Bench) -> TableDefinition:
    """The table, where it is one that can record its changes. Raises RefusedError and what the service raises."""
    found: TableDefinition = bench.services.databricks.definition()
    table, kind = bench.environment.databricks.table, found.type.upper()
    if kind not in _ALTERED:
        raise RefusedError(
            f"{table} is a {kind.replace('_', ' ').lower()}, and only a Delta table can record its changes.",
            hint="Name the table behind it in databricks.table of lpmops.toml.",
        )
    if found.format.upper() not in ("", "DELTA"):
        raise RefusedError(
            f"{table} is of the format {found.format}, and only a Delta table can record its changes.",
            hint=f"In a notebook: CONVERT TO DELTA {table}",
        )
    return found


def right_to_alter(bench: Bench) -> Right | None:
    """Whether the operator may alter the table: MODIFY on it, or its ownership; None where that is not asked for."""
    needs = [need for need in rights.NEEDS if need.id == "operator.unity.modify"]
    return next(iter(access.look(bench.services, bench.now, needs=needs)), None)


def refusals(table: str, found: TableDefinition, right: Right | None) -> Iterator[str]:
    """What speaks against it: columns that the feed needs for itself, and a right that lacks."""
    taken = [name for name in found.columns if name.lower() in _RESERVED]
    if taken:
        yield f"{table} has columns that the change feed needs for itself ({', '.join(taken)}): rename or drop them first."
    if right is not None and right.state == "lacks":
        yield f"{right.who} may not alter {table}: {right.why}. Hand this to {right.giver}: {right.grant}"


def warnings(feed: FeedState, right: Right | None) -> Iterator[str]:
    """What it means for the table's other readers and writers, and what could not be looked at."""
    yield "What changed before this is not in the feed."
    if feed.kind == "automatic":
        yield "Its changes can be read from row tracking already, by Databricks Runtime 19 and later alone; this records them for every reader."
    writer = feed.writer_version
    if writer is not None and writer < _FEED_WRITER:
        yield f"The table's writer version rises from {writer} to {_FEED_WRITER}: writers that are older than that are shut out."
    if writer is not None and writer >= _LISTED_SINCE and FEATURE not in feed.features:
        yield f"Writers that do not know the table feature {FEATURE} are shut out."
    mapping = column_mapping(feed)
    if mapping != "none":
        yield f"The table maps its columns by {mapping}: after a column is renamed or dropped a replay across that version fails."
    if right is not None and right.state == "unknown":
        yield f"It can't be told whether {right.who} may alter the table: {right.why}"


def changes(feed: FeedState) -> Iterator[Change]:
    """What the switch changes of the table."""
    yield Change("table.change_feed", feed.kind, "delta")
    if feed.writer_version is None:
        return
    if feed.writer_version < _FEED_WRITER:
        yield Change("table.writer_version", feed.writer_version, _FEED_WRITER)
    elif feed.writer_version >= _LISTED_SINCE and FEATURE not in feed.features:
        yield Change("table.features", sorted(feed.features), sorted({*feed.features, FEATURE}))


def column_mapping(feed: FeedState) -> str:
    """How the table maps its columns to files: none, name or id."""
    return feed.properties.get("delta.columnMapping.mode", "none")

"""What a reconciliation of source and landing tables asks and finds, as values that faces, status, the replay and its proof share.

A change is one row of the change feed that is sent: an insert, the image after an update, or a delete, known by company, record, version and kind.
`missing` are those of the source that did not land, `doubled` landed more than once, `extra` landed and are not in the source for that company.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lpmops.store.proofs import OpenGap, Unreadable
from lpmops.versions import Versions

# The cause of a gap in versions that were complete when they were looked at before.
HAD_LANDED = "they had landed before, and are gone"
# How the cause begins of those that stand in `lpmops.unrouted`.
UNROUTED = "no route took them"
# The suspects that come from open gaps: what never landed, what no route took, what had landed and is gone.
LOSSES = ("hub.loss", "route.unrouted", "sql.rows_lost")


@dataclass(frozen=True, slots=True)
class Asked:
    """What to hold against each other: all that is not proven yet, unless narrowed.

    `versions` or `since` bound the range, `companies` are ids (none: every company), `again` looks also where all was proven before. With `spans`
    no more than so many are read, the newest first, and the rest is left for a later run.
    """

    versions: Versions | None = None
    since: datetime | None = None
    companies: tuple[str, ...] = ()
    again: bool = False
    spans: int | None = None


@dataclass(frozen=True, slots=True)
class CompanyResult:
    """One company over the whole range that was looked at. `gaps` are the ranges with a difference, none where it is complete.

    `quarantined` changes were too large to be sent and `before` are older than the route; both are in the source and no fault of the stream.
    `kept_once` of the missing have the key of another that landed: a landing table keeps one, so no replay brings them.
    `unread` says why its landing table could not be asked; then nothing is known of what landed.
    """

    company_id: str
    company: str
    database: str
    source: int
    landed: int
    missing: int = 0
    doubled: int = 0
    extra: int = 0
    repairable: int = 0
    quarantined: int = 0
    before: int = 0
    gaps: tuple[OpenGap, ...] = ()
    note: str = ""
    unread: str = ""
    kept_once: int = 0

    @property
    def complete(self) -> bool:
        """Whether each change of the source is known to have landed once, and nothing else did."""
        return not (self.unread or self.missing or self.doubled or self.extra)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was found. `versions` is the range asked for, as far as it is settled; None where nothing of it is settled yet.

    `looked_at` are the versions that were read now, the rest had been proven before; `waiting_from` is the first version too young to judge.
    `statements` were run on the warehouse and took `warehouse_seconds`.
    """

    environment: str
    table_id: str
    at: datetime
    versions: Versions | None
    looked_at: tuple[Versions, ...]
    companies: tuple[CompanyResult, ...]
    unreadable: tuple[Unreadable, ...] = ()
    waiting_from: int | None = None
    warnings: tuple[str, ...] = ()
    statements: int = 0
    warehouse_seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was looked at, now or before, and is complete."""
        return not self.unreadable and all(each.complete for each in self.companies)

    @property
    def missing(self) -> int:
        """How many changes did not land, over all companies."""
        return sum(each.missing for each in self.companies)

"""How far an environment is proven by the reconciliations that run by themselves: what the last turn found, when the next one is due.

Kept in the store as one small value, so that every process of this machine, the next start and the status read the same. Losing it costs a turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lpmops.model import parse_time, to_data
from lpmops.plain_text import counted
from lpmops.store import marks
from lpmops.store.connection import Store
from lpmops.versions import Versions

_NAME = "reconcile"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known after a turn.

    `proven` is the newest range of versions that was looked at without a hole, `left` how many versions of the change feed wait for later turns,
    `gone` how many can't be read any more and were never proven.
    `missing`, `doubled` and `extra` are open, of `companies`, over all that was ever looked at. `again` is the range that was looked at once more,
    at `again_at`. The turn ran `statements` on the warehouse, for `seconds`. `trouble` says why nothing could be looked at lately.
    """

    at: datetime
    next_at: datetime | None = None
    table_id: str = ""
    proven: Versions | None = None
    left: int = 0
    gone: int = 0
    missing: int = 0
    doubled: int = 0
    extra: int = 0
    companies: int = 0
    again: Versions | None = None
    again_at: datetime | None = None
    statements: int = 0
    seconds: float = 0.0
    trouble: str = ""
    failures: int = 0

    @property
    def words(self) -> str:
        """The whole in one line, times in UTC."""
        if self.proven is None:
            said = "nothing is proven yet"
        else:
            said = f"proven to version {self.proven.last:,} at {self.at:%H:%M}Z"
        said += f", next at {self.next_at:%H:%M}Z" if self.next_at is not None else ""
        counts = [(self.missing, "missing"), (self.doubled, "doubled"), (self.extra, "extra")]
        open_ones = ", ".join(f"{number:,} {word}" for number, word in counts if number)
        if open_ones:
            said += f"; {open_ones} for {counted(self.companies, 'company', 'companies')}"
        if self.left:
            said += f"; {counted(self.left, 'older version waits', 'older versions wait')}"
        if self.gone:
            said += f"; {counted(self.gone, 'version', 'versions')} can't be read any more"
        return f"{said}; {self.trouble}" if self.trouble else said


def keep(store: Store, environment: str, standing: Standing) -> None:
    """Remember it. Raises StoreError."""
    marks.remember(store, environment, _NAME, standing.at, to_data(standing))


def recall(store: Store, environment: str) -> Standing | None:
    """What the last turn of any process left; None where there was none, or what is there was written by another lpmops. Raises StoreError."""
    found = marks.recall(store, environment, _NAME)
    if found is None:
        return None
    try:
        return _standing(found[1])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _standing(data: Mapping[str, Any]) -> Standing:
    given = {name: data[name] for name in Standing.__slots__ if name in data}
    given["at"] = parse_time(data["at"])
    for name in ("next_at", "again_at"):
        given[name] = None if given.get(name) is None else parse_time(given[name])
    for name in ("proven", "again"):
        given[name] = None if given.get(name) is None else Versions(given[name]["first"], given[name]["last"])
    return Standing(**given)

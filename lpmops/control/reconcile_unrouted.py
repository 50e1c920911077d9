"""What no route took of companies, by its keys in `lpmops.unrouted`: it did not land, and the hub has lost nothing of it.

A key there says when it came and not why. That a route is paused now stands in the route table, that it was paused before in the journal of the
machine that paused it. Where neither knows of it no pause is claimed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lpmops.config import Environment
from lpmops.control.reconciled import UNROUTED
from lpmops.control.routes import PAUSED, RouteEntry
from lpmops.errors import ServiceError, SignInError, StoreError
from lpmops.routing.routes import SETTLING_SECONDS
from lpmops.store import codec, journal
from lpmops.store.connection import Store
from lpmops.versions import Versions

if TYPE_CHECKING:
    from lpmops.services.azuresql import SqlService
    from lpmops.services.changes import Key

# The clocks of the warehouse and of the server may differ by so much.
_CLOCKS = timedelta(minutes=5)
_SETTLING = timedelta(seconds=SETTLING_SECONDS)
_ACTIONS = ("route.pause", "route.resume", "route.remove")


@dataclass(slots=True)
class UnroutedKeys:
    """Reads them from the control database. `trouble` says why it could not; then nothing is known of any, and it is not asked again."""

    sql: SqlService
    environment: Environment
    store: Store
    renew: Callable[[], None]
    trouble: str = ""
    _pauses: Mapping[str, Sequence[Pause]] | None = None

    def of(
        self, company_ids: Iterable[str], versions: Versions, committed: datetime | None
    ) -> dict[str, dict[Key, datetime]]:
        """When each key that no route took was put aside first, by company; `committed` is when the first version was, None where nobody knows.

        Raises SignInError; another ServiceError is the `trouble`.
        """
        if self.trouble:
            return {}
        try:
            return self._read(company_ids, versions, None if committed is None else committed - _CLOCKS)
        except SignInError:
            raise
        except ServiceError as error:
            self.trouble = f"What no route took can't be told from what was lost: {error.message}"
            return {}

    def why(
        self, company_id: str, times: Mapping[Key, datetime], missing: Iterable[Key], route: RouteEntry | None
    ) -> str:
        """The cause of what is missing of a company and no route took, as far as it is known; empty where nothing of it is there."""
        if times and self._pauses is None:
            self._pauses = known_pauses(self.store, self.environment.name)
        return why_unrouted(times, missing, route, (self._pauses or {}).get(company_id, ()))

    def _read(
        self, company_ids: Iterable[str], versions: Versions, since: datetime | None
    ) -> dict[str, dict[Key, datetime]]:
        from lpmops.services.changes import Key

        listed = json.dumps([{"company_id": company_id} for company_id in company_ids])
        found: dict[str, dict[Key, datetime]] = {}
        partition, sequence = -1, -1
        while True:
            self.renew()
            after = (partition, partition, sequence)
            rows = self.sql.search(
                self.environment.sql.control_database,
                "unrouted_keys_of_companies",
                (listed, versions.first, versions.last, since, *after),
            )
            for row in rows:
                key = Key(str(row["record_id"]), int(row["commit_version"]), str(row["change_type"]))
                times = found.setdefault(str(row["company_id"]), {})
                # A replay may have brought it again before a route took it.
                times[key] = min(times.get(key, row["landed_at"]), row["landed_at"])
                partition, sequence = int(row["hub_partition"]), int(row["hub_sequence"])
            if not rows:
                return found


@dataclass(frozen=True, slots=True)
class Pause:
    """A route that was paused from `begun` to `ended`, None where this machine knows of no end; the operation that paused it began at `asked`."""

    asked: datetime
    begun: datetime
    ended: datetime | None = None

    def explains(self, first: datetime, last: datetime) -> bool:
        """Whether what no route took from the one moment to the other is what came during the pause: a job may read the route table a bit later."""
        return self.asked <= first and (self.ended is None or last <= self.ended + _SETTLING)


def known_pauses(store: Store, environment: str) -> dict[str, list[Pause]]:
    """The pauses of each company's route that operations of this machine made, oldest first; none where the journal can't be read."""
    try:
        turns = sorted(
            (codec.moment(step.ended_at), planned["target"], planned["arguments"]["after"], operation.created_at)
            for operation, steps in journal.operations(store, environment)
            if operation.action in _ACTIONS
            for step, planned in zip(steps, json.loads(operation.plan)["plan"]["steps"], strict=True)
            if planned["kind"] == "route.state" and step.state == "done" and step.ended_at is not None
        )
    except (StoreError, KeyError, TypeError, ValueError):
        return {}
    found: dict[str, list[Pause]] = {}
    for at, company_id, state, asked in turns:
        pauses = found.setdefault(company_id, [])
        if pauses and pauses[-1].ended is None:
            pauses[-1] = replace(pauses[-1], ended=at)
        if state == PAUSED:
            pauses.append(Pause(codec.moment(asked), at))
    return found


def why_unrouted(
    times: Mapping[Key, datetime], missing: Iterable[Key], route: RouteEntry | None, pauses: Sequence[Pause] = ()
) -> str:
    """The cause of what is missing and stands there, as far as it is known; empty where nothing of it does."""
    found = [times[key] for key in missing if key in times]
    if not found:
        return ""
    first, last = min(found), max(found)
    said = f"{UNROUTED} from {_moment(first)} to {_moment(last)}"
    if route is not None and route.state == PAUSED and route.since <= last:
        return f"{said}: its route is paused since {_moment(route.since)}"
    known = next((each for each in pauses if each.ended is not None and each.explains(first, last)), None)
    if known is None or known.ended is None:
        return said
    return f"{said}: its route was paused from {_moment(known.begun)} to {_moment(known.ended)}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"

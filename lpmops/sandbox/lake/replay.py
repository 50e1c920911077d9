"""The bounded replay, as the stream job's own code does it on a cluster: some versions, of some companies, sent again, no faster than a rate.

Takes the arguments of `lpmops/streamjob` (`replay --table ... --from-version A --to-version B`), writes the same progress file, and ends in the same
error classes, its arguments checked by `replay_arguments`. It reads the table and sends to the hub of its environment, and leaves the stream's
checkpoint alone. All rates are in the sandbox's clock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.events import PREIMAGE, STAMPS, EventWriter, OutgoingEvent, Oversized
from lpmops.sandbox.lake.job_words import explained
from lpmops.sandbox.lake.replay_arguments import ReplayError, parsed
from lpmops.sandbox.lake.table import ChangeTable

_LOOK = 0.02
_NO_ANSWER = (
    "[HUB_UNREACHABLE] The hub did not take the events in time. Check its name, its throughput and the network; "
    "the batch is sent again by the next run."
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Versions [from_version, to_version] and what became of them."""

    n: int
    from_version: int
    to_version: int
    rows: int = 0
    quarantined: int = 0
    state: str = "waiting"


class Replay:
    """One replay of `table`, as its arguments ask. `send` raises an exception with `retry_after` (seconds) when the hub is throttled.

    Each run ends midway while `breaks` says so: after its second slice, or before it is done where it has but one.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        table: ChangeTable,
        send: Callable[[Sequence[OutgoingEvent]], object],
        put_aside: Callable[[Sequence[Oversized]], None],
        place: Callable[[str], Path],
        clock: Clock,
        breaks: Callable[[], bool] = lambda: False,
    ) -> None:
        self._breaks, self._slices = breaks, 0
        self._given = parsed(arguments)
        if self._given.table != table.full_name:
            raise ReplayError(f"[TABLE_OR_VIEW_NOT_FOUND] There is no table {self._given.table}.")
        self._table, self._send, self._put_aside, self._clock = table, send, put_aside, clock
        self._file = place(f"{self._given.folder}/{self._given.replay_id}.json")
        self._writer = EventWriter(self._given.record, self._given.company)

    def run(self, cancelled: threading.Event) -> str:
        """Send what is asked for and not done yet; ends between two slices once `cancelled` is set. Raises ReplayError and what `send` does."""
        given = self._given
        known = self._resumed()
        self._check_columns()
        newest = self._table.latest_version()
        if given.last > newest:
            raise ReplayError(
                f"[REPLAY_RANGE_NOT_THERE] The table's newest version is {newest}; {given.last} is yet to come."
            )
        plan = known or [
            Chunk(n, first, min(first + given.chunk - 1, given.last))
            for n, first in enumerate(range(given.first, given.last + 1, given.chunk))
        ]
        self._write(plan, "running")
        for place, chunk in enumerate(plan):
            if chunk.state == "done":
                continue
            try:
                done = self._chunk(chunk, cancelled)
                if place + 1 == len(plan):
                    self._break_after(1)
            except DeltaFeedError as error:
                said = explained(error)
                self._write(plan, "failed", said)
                raise ReplayError(said) from error
            except Exception as error:
                self._write(plan, "failed", str(error))
                raise
            if done is None:
                self._write(plan, "stopped")
                return "stopped"
            plan[place] = done
            self._write(plan, "running" if place + 1 < len(plan) else "done")
        return f"{sum(chunk.rows for chunk in plan)} events sent"

    def _break_after(self, slices: int) -> None:
        """End the run where it is to break and has sent so many slices: the hub has the last one, and its answer never came."""
        if self._slices >= slices and self._breaks():
            raise ReplayError(_NO_ANSWER)

    def _check_columns(self) -> None:
        have = self._table.arrow_schema().names
        for wanted in (self._given.record, self._given.company):
            if wanted not in have:
                raise ReplayError(f"the table has no column {wanted!r}; it has {', '.join(have)}")
        if taken := [name for name in have if name.casefold() in STAMPS]:
            raise ReplayError(
                f"the table has a column {taken[0]!r}, which is the name of a stamp that every event carries"
            )

    def _chunk(self, chunk: Chunk, cancelled: threading.Event) -> Chunk | None:
        changes = self._wanted(self._table.changes(chunk.from_version, chunk.to_version))
        places = self._in_order(changes)
        rows = quarantined = 0
        for first in range(0, changes.num_rows, self._given.rate):
            part = changes.take(places.slice(first, self._given.rate))
            events, oversized = self._writer.write(part, self._clock.now(), self._given.replay_id)
            if cancelled.is_set() or not self._sent(events, cancelled):
                return None
            self._slices += 1
            self._break_after(2)
            if oversized:
                self._put_aside(oversized)
            rows, quarantined = rows + len(events), quarantined + len(oversized)
            if self._wait(1.0, cancelled):
                return None
        return replace(chunk, rows=rows, quarantined=quarantined, state="done")

    def _wanted(self, changes: pa.Table) -> pa.Table:
        """What is to be sent of the changes."""
        given = self._given
        wanted = pc.not_equal(changes["_change_type"], PREIMAGE)
        if given.companies:
            companies = pa.array(given.companies, pa.string())
            wanted = pc.and_(wanted, pc.is_in(changes[given.company].cast("string"), value_set=companies))
        return changes.filter(wanted)

    def _in_order(self, changes: pa.Table) -> pa.Array:
        """The places of the changes as they are sent: by version, in each what is deleted first, then by record."""
        keys = changes.select(["_commit_version", self._given.record])
        keys = keys.append_column("_kept", pc.not_equal(changes["_change_type"], "delete").cast("int8"))
        # As in Spark, a record without a name comes first.
        order = [(name, "ascending", "at_start") for name in ("_commit_version", "_kept", self._given.record)]
        return pc.sort_indices(keys, order)

    def _sent(self, events: Sequence[OutgoingEvent], cancelled: threading.Event) -> bool:
        """Whether the events were taken; a throttled hub is waited for, until the run is cancelled."""
        while True:
            try:
                self._send(events)
                return True
            except Exception as error:
                retry_after = getattr(error, "retry_after", None)
                if retry_after is None:
                    raise
                if self._wait(float(retry_after), cancelled):
                    return False

    def _wait(self, seconds: float, cancelled: threading.Event) -> bool:
        """Wait in the sandbox's time; whether the run was cancelled meanwhile."""
        until = self._clock.time() + seconds
        while self._clock.time() < until:
            if cancelled.wait(_LOOK):
                return True
        return cancelled.is_set()

    def _asked(self) -> dict[str, Any]:
        given = self._given
        return {
            "table": given.table,
            "from_version": given.first,
            "to_version": given.last,
            "companies": list(given.companies),
        }

    def _resumed(self) -> list[Chunk] | None:
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
            asked = {name: document[name] for name in self._asked()}
            known = [Chunk(**one) for one in document["chunks"]]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ReplayError(
                f"[REPLAY_FILE_DAMAGED] {self._file.name} is not a replay's: {error}. Take another --replay-id."
            ) from None
        if asked != self._asked():
            raise ReplayError(
                f"[REPLAY_ID_TAKEN] The replay {self._given.replay_id} was asked for other versions, companies or another table. "
                "Take another --replay-id."
            )
        return known

    def _write(self, plan: Sequence[Chunk], state: str, error: str = "") -> None:
        document = {
            "id": self._given.replay_id,
            "state": state,
            **self._asked(),
            "chunks": [asdict(chunk) for chunk in plan],
            "error": error,
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, json.dumps(document))

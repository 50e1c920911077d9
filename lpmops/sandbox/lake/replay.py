"""The bounded replay, as the stream job's own code does it on a cluster: some versions, of some companies, sent again, no faster than a rate.

Takes the arguments of `lpmops/streamjob` (`replay --table ... --from-version A --to-version B`), writes the same progress file, and ends in the same
error classes. It reads the table and sends to the hub of its environment, and leaves the stream's checkpoint alone. What concerns how the job signs
in is checked to be there and no further: the environment sends as the job's own application. All rates are in the sandbox's clock.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from lpmops.sandbox.clock import Clock
from lpmops.sandbox.files import write_whole
from lpmops.sandbox.lake.events import PREIMAGE, EventWriter, OutgoingEvent, Oversized
from lpmops.sandbox.lake.table import ChangeTable

_LOOK = 0.02


class ReplayError(Exception):
    """Why a replay can't be done; begins with the class in brackets, as the job's own errors do."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Versions [from_version, to_version] and what became of them."""

    n: int
    from_version: int
    to_version: int
    rows: int = 0
    quarantined: int = 0
    state: str = "waiting"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ReplayError(message)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="lpmops-stream-job", allow_abbrev=False, add_help=False)
    parser.add_argument("command", choices=["replay"])
    for name in ("table", "namespace", "hub", "sign-in", "replay-id", "folder"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("record-column", "company-column", "quarantine", "secret", "tenant", "client", "credential"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--authority")
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--from-version", required=True, type=int)
    parser.add_argument("--to-version", required=True, type=int)
    parser.add_argument("--company", action="append", default=[])
    parser.add_argument("--rate", default=500, type=int)
    parser.add_argument("--chunk-versions", default=20, type=int)
    given = parser.parse_args(list(arguments))
    if given.to_version < given.from_version:
        raise ReplayError(f"--to-version {given.to_version} is before --from-version {given.from_version}")
    if given.rate < 1 or given.chunk_versions < 1:
        raise ReplayError("--rate and --chunk-versions are whole numbers from 1 on")
    return given


class Replay:
    """One replay of `table`, as its arguments ask. `send` raises an exception with `retry_after` (seconds) when the hub is throttled."""

    def __init__(
        self,
        arguments: Sequence[str],
        table: ChangeTable,
        send: Callable[[Sequence[OutgoingEvent]], object],
        put_aside: Callable[[Sequence[Oversized]], None],
        place: Callable[[str], Path],
        clock: Clock,
    ) -> None:
        self._given = _parsed(arguments)
        if self._given.table != table.full_name:
            raise ReplayError(f"[TABLE_OR_VIEW_NOT_FOUND] There is no table {self._given.table}.")
        self._table, self._send, self._put_aside, self._clock = table, send, put_aside, clock
        self._file = place(f"{self._given.folder.rstrip('/')}/{self._given.replay_id}.json")
        self._writer = EventWriter()

    def run(self, cancelled: threading.Event) -> str:
        """Send what is asked for and not done yet; ends between two slices once `cancelled` is set. Raises ReplayError, DeltaFeedError."""
        given = self._given
        plan = self._resumed() or [
            Chunk(n, first, min(first + given.chunk_versions - 1, given.to_version))
            for n, first in enumerate(range(given.from_version, given.to_version + 1, given.chunk_versions))
        ]
        if given.to_version > self._table.latest_version():
            raise ReplayError(
                f"[REPLAY_RANGE_NOT_THERE] The table's newest version is {self._table.latest_version()}; {given.to_version} is yet to come."
            )
        self._write(plan, "running")
        for place, chunk in enumerate(plan):
            if chunk.state == "done":
                continue
            try:
                done = self._chunk(chunk, cancelled)
            except Exception as error:
                self._write(plan, "failed", str(error))
                raise
            if done is None:
                self._write(plan, "stopped")
                return "stopped"
            plan[place] = done
            self._write(plan, "running" if place + 1 < len(plan) else "done")
        return f"{sum(chunk.rows for chunk in plan)} events sent"

    def _chunk(self, chunk: Chunk, cancelled: threading.Event) -> Chunk | None:
        changes = self._table.changes(chunk.from_version, chunk.to_version)
        if self._given.company:
            wanted = changes["info_companyid"].cast("string")
            changes = changes.filter(pc.is_in(wanted, value_set=pa.array(self._given.company, pa.string())))
        changes = changes.filter(pc.not_equal(changes["_change_type"], PREIMAGE))
        rows = quarantined = 0
        for first in range(0, changes.num_rows, self._given.rate):
            part = changes.slice(first, self._given.rate)
            events, oversized = self._writer.write(part, self._clock.now(), self._given.replay_id)
            if cancelled.is_set() or not self._sent(events, cancelled):
                return None
            if oversized:
                self._put_aside(oversized)
            rows, quarantined = rows + len(events), quarantined + len(oversized)
            if self._wait(1.0, cancelled):
                return None
        return replace(chunk, rows=rows, quarantined=quarantined, state="done")

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
        companies = list(dict.fromkeys(given.company))
        return {
            "table": given.table,
            "from_version": given.from_version,
            "to_version": given.to_version,
            "companies": companies,
        }

    def _resumed(self) -> list[Chunk] | None:
        if not self._file.exists():
            return None
        document = json.loads(self._file.read_text(encoding="utf-8"))
        if {name: document.get(name) for name in self._asked()} != self._asked():
            raise ReplayError(
                f"[REPLAY_ID_TAKEN] The replay {self._given.replay_id} was asked for other versions, companies or another table. "
                "Take another --replay-id."
            )
        return [Chunk(**one) for one in document["chunks"]]

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

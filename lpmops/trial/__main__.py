"""`python -m lpmops.trial`: run each job of a request over the request's events, and say what lands where, what stops it and what is no row.

Request: `{"events": [{partition, sequence, offset, enqueued_at, key, body (base64)}], "jobs": {NAME: {query, inputs: {name: "stream"|"reference"},
outputs: [name], references: {name: [row]}}}}`. Answer: `{"jobs": {NAME: {complaints: [{line, column, message}], stops: [{partition, sequence,
message}], unread: [the same], outputs: {name: {columns, rows}}}}}`. Times are RFC 3339 text. Exit 3 where the engine's packages are missing, 2 for a
request that is none, 4 where the engine itself failed, with one sentence on stderr.
"""

from __future__ import annotations

import base64
import json
import math
import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpmops.sandbox.asa import CompiledQuery, Executor, InputEvent, OutputBatch

BAD_REQUEST, PACKAGES_MISSING, FAILED = 2, 3, 4
_NEEDED = ("duckdb", "sqlglot", "pyarrow")
# A few events that stop a job say what is wrong with it; that all of them do is not looked at one by one.
_STOPS_SHOWN = 20


def main() -> int:
    """One request in, one answer out; the exit code."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        sys.stderr.write(
            f"The engine that tries a query on this machine needs packages that are not installed: {', '.join(missing)}. "
            "Install them: pip install 'lpmops[sandbox]'\n"
        )
        return PACKAGES_MISSING
    try:
        request = json.load(sys.stdin)
        events = _events(request["events"])
        jobs = {str(name): dict(job) for name, job in request["jobs"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stderr.write(f"That is no request for a trial ({type(error).__name__}).\n")
        return BAD_REQUEST
    try:
        answer = {name: run(events, job) for name, job in jobs.items()}
    except Exception as error:  # noqa: BLE001 - whatever it is, its words may hold values of events and its place may be told
        place = traceback.extract_tb(error.__traceback__)[-1]
        sys.stderr.write(f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}")
        return FAILED
    json.dump({"jobs": answer}, sys.stdout, default=_plain, allow_nan=False)
    return 0


def run(events: Sequence[InputEvent], job: Mapping[str, Any]) -> dict[str, Any]:
    """What becomes of the events in one job."""
    from lpmops.sandbox.asa import CompileError, compile_query

    try:
        query = compile_query(job["query"], job["inputs"], job["outputs"])
    except CompileError as error:
        complaints = [
            {"line": found.line, "column": found.column, "message": found.message} for found in error.diagnostics
        ]
        return {"complaints": complaints, "stops": [], "unread": [], "outputs": {}}
    made = _at_once(query, job, events) or _one_by_one(query, job, events)
    outputs = {
        name: {"columns": list(batch.columns), "rows": [[_finite(value) for value in row] for row in batch.rows]}
        for name, batch in made[0].items()
    }
    return {"complaints": [], "stops": made[1], "unread": made[2], "outputs": outputs}


_Made = tuple[dict[str, "OutputBatch"], list[dict[str, Any]], list[dict[str, Any]]]


def _at_once(query: CompiledQuery, job: Mapping[str, Any], events: Sequence[InputEvent]) -> _Made | None:
    """All events as one batch; None where one of them stops the job."""
    from lpmops.sandbox.asa import QueryRuntimeError

    executor = _executor(query, job)
    outputs: dict[str, OutputBatch] = {}
    try:
        for name in query.paths:
            _merge(outputs, executor.process(events, name))
        _merge(outputs, _closed(executor, query, events))
        return outputs, [], _unread(executor)
    except QueryRuntimeError:
        return None
    finally:
        executor.close()


def _one_by_one(query: CompiledQuery, job: Mapping[str, Any], events: Sequence[InputEvent]) -> _Made:
    """Each event alone, so that those which stop the job are known by name; the first few of them, then it is over."""
    from lpmops.sandbox.asa import QueryRuntimeError

    executor = _executor(query, job)
    outputs: dict[str, OutputBatch] = {}
    stops: list[dict[str, Any]] = []
    good: list[InputEvent] = []
    for event in events:
        try:
            for name in query.paths:
                _merge(outputs, executor.process([event], name))
            good.append(event)
        except QueryRuntimeError as error:
            stops.append(_place(event, str(error)))
            if len(stops) == _STOPS_SHOWN:
                break
    try:
        _merge(outputs, _closed(executor, query, good))
    except QueryRuntimeError as error:
        stops.append({"partition": None, "sequence": None, "message": str(error)})
    unread = _unread(executor)
    executor.close()
    return outputs, stops, unread


def _executor(query: CompiledQuery, job: Mapping[str, Any]) -> Executor:
    from lpmops.sandbox.asa import Executor

    executor = Executor(query)
    for name in query.references:
        executor.set_reference(name, job["references"][name])
    return executor


def _closed(executor: Executor, query: CompiledQuery, events: Sequence[InputEvent]) -> dict[str, OutputBatch]:
    """What windows give once time has gone on far enough for all of them to end."""
    if not events:
        return {}
    last = max(event.enqueued_at for event in events)
    return executor.advance(last + 2 * timedelta(microseconds=query.longest_window))


def _unread(executor: Executor) -> list[dict[str, Any]]:
    seen = {(found.event.partition, found.event.sequence): found for found in executor.take_data_errors()}
    return [_place(found.event, found.message) for found in seen.values()]


def _place(event: InputEvent, message: str) -> dict[str, Any]:
    return {"partition": event.partition, "sequence": event.sequence, "message": message}


def _merge(into: dict[str, OutputBatch], batches: Mapping[str, OutputBatch]) -> None:
    from lpmops.sandbox.asa.produced import joined

    for name, batch in batches.items():
        into[name] = joined(into[name], batch) if name in into else batch


def _events(items: Sequence[Mapping[str, Any]]) -> list[InputEvent]:
    from lpmops.sandbox.asa import InputEvent

    made = [
        InputEvent(
            base64.b64decode(item["body"], validate=True),
            datetime.fromisoformat(item["enqueued_at"]).astimezone(UTC),
            int(item["partition"]),
            int(item["sequence"]),
            str(item["offset"]),
            item["key"],
        )
        for item in items
    ]
    return sorted(made, key=lambda event: (event.enqueued_at, event.partition, event.sequence))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> str:
    # Times of rows are naive UTC.
    return f"{value.isoformat()}Z" if isinstance(value, datetime) and value.tzinfo is None else str(value)


if __name__ == "__main__":
    sys.exit(main())

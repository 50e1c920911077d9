"""A candidate query tried on this machine over real events: the question to the engine, run in a process of its own.

`rehearse` gives candidate and deployed text the same events and the same routes; what the answer means is `verdict`'s. Events and rows stay in
memory: nothing is written anywhere, and what comes back is masked.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lpmops.config import Config
from lpmops.control.verdict import CANDIDATE, DEPLOYED, Trial, judge
from lpmops.errors import ConfigError, DeadlineError, InternalError
from lpmops.model import RawEvent
from lpmops.routing.job import Definition

ENGINE_SECONDS = 60.0
EVENTS_AT_MOST = 2_000
_PACKAGES_MISSING, _FAILED = 3, 4
_REPORT = "That is a fault of lpmops, and the same query fails again: report it with this and what lpmops --version says. Nothing was changed."
Engine = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class EngineMissingError(ConfigError):
    """The packages that run a query on this machine are not installed."""

    code = "trial.engine_missing"


def ask_engine(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The engine's answer to a request (shapes: `python -m lpmops.trial`). Raises EngineMissingError, DeadlineError, InternalError."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lpmops.trial"],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=ENGINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DeadlineError(
            f"The query was not through after {ENGINE_SECONDS:.0f} s on this machine, and was ended.",
            service="trial",
            hint="Try it over fewer events.",
        ) from None
    if done.returncode == _PACKAGES_MISSING:
        said, _, hint = done.stderr.decode("utf-8", "replace").strip().partition(" Install them: ")
        raise EngineMissingError(said, hint=hint or "Install the packages that it names.")
    if done.returncode == _FAILED:
        # A kind and a place, without a value of an event.
        said = done.stderr.decode("utf-8", "replace").strip()
        raise InternalError(f"The engine that tries queries failed on this query: {said}.", hint=_REPORT)
    try:
        if done.returncode != 0:
            raise ValueError(f"it ended with {done.returncode}")
        return dict(json.loads(done.stdout)["jobs"])
    except (ValueError, KeyError, TypeError) as error:
        # Its own words may hold values of events.
        raise InternalError(
            f"The engine that tries queries failed ({type(error).__name__}, exit {done.returncode}).",
            hint=_REPORT,
        ) from None


def rehearse(
    config: Config,
    name: str,
    candidate: Definition,
    deployed: Definition | None,
    events: Sequence[RawEvent],
    routes: Sequence[Mapping[str, Any]],
    engine: Engine = ask_engine,
) -> Trial:
    """Run a job's candidate, and what is deployed where that is given, over events with these routes. Raises what the engine raises."""
    jobs = {CANDIDATE: _job(candidate, routes)}
    if deployed is not None and deployed.query:
        jobs[DEPLOYED] = _job(deployed, routes)
    request = {"events": [_event(event) for event in events], "jobs": jobs}
    return judge(config, name, candidate, deployed, events, routes, engine(request))


def _job(definition: Definition, routes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kinds = {
        name: "reference" if str(part.get("type")).lower() == "reference" else "stream"
        for name, part in definition.inputs.items()
    }
    return {
        "query": definition.query,
        "inputs": kinds,
        "outputs": list(definition.outputs),
        "references": {name: [_row(route) for route in routes] for name, kind in kinds.items() if kind == "reference"},
    }


def _row(route: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in route.items()}


def _event(event: RawEvent) -> dict[str, Any]:
    return {
        "partition": event.partition,
        "sequence": event.sequence,
        "offset": event.offset,
        "enqueued_at": "1970-01-01T00:00:00+00:00" if event.enqueued_at is None else event.enqueued_at.isoformat(),
        "key": event.key,
        "body": base64.b64encode(event.body).decode("ascii"),
    }

"""Faults on demand: what breaks operators, by name, in one environment and for a while.

Each fault is a pair of verbs on an environment; what it does is what the real trouble does (a job stops, a quota shrinks, a login is refused), so
that the diagnosis is proven against causes, never against a flag.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lpmops.sandbox.files import write_whole

log = logging.getLogger(__name__)


class FaultError(ValueError):
    """A fault that does not exist or does not fit; `hint` says what does."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Breakable(Protocol):
    """What an environment lets a fault do. A company is named by its id; none means all of them."""

    name: str

    def database_of(self, company: str) -> str | None:
        """The database of a company, or None where there is no such company."""

    def stop_analytics(self) -> None:
        """Stop the Stream Analytics jobs, as a person would."""

    def start_analytics(self) -> None:
        """Start them from their last output."""

    def fail_analytics(self) -> None:
        """Put the Stream Analytics jobs into Failed."""

    def throttle_hub(self, on: bool) -> None:
        """Take most of the hub's throughput away, or give it back."""

    def close_databases(self, names: Iterable[str], on: bool) -> None:
        """Make company databases unavailable, or available again; no names means all."""

    def lose_events(self, companies: frozenset[str], on: bool) -> None:
        """Number the events of companies and give them to no reader, or let them be read; no companies means all."""

    def double_events(self, on: bool) -> None:
        """Let each event come twice, or once."""

    def expire_events(self, on: bool) -> None:
        """Let what no job has read within seconds expire from the hub, or keep it for the hub's retention again."""

    def break_replays(self, on: bool) -> None:
        """Make each bounded run end midway, or run through again."""

    def lose_rows(self, companies: frozenset[str]) -> None:
        """Take the rows that landed last out of the landing tables; no companies means all."""

    def fail_stream_job(self, on: bool) -> None:
        """Make each run of the streaming job fail, or let it run again."""

    def expire_sign_in(self, on: bool) -> None:
        """Refuse every token of this environment as expired, or accept them again."""

    def take_right(self, kind: str, databases: Iterable[str], on: bool) -> None:
        """Take a right of one kind away, or give it back; no databases means all."""

    def throttle_management(self, on: bool) -> None:
        """Answer 429 to every management call, or answer again."""

    def hang_management(self, on: bool) -> None:
        """Let every management call hang, or answer again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its stable name, what it does in a sentence, and its verbs.

    `by_company` says it may be aimed at one, `once` that it acts when it is switched on and healing brings nothing back.
    """

    name: str
    summary: str
    switch: Callable[[Breakable, frozenset[str], bool], None]
    by_company: bool = False
    once: bool = False


def _analytics(environment: Breakable, _: frozenset[str], on: bool) -> None:
    environment.stop_analytics() if on else environment.start_analytics()


def _engine(environment: Breakable, _: frozenset[str], on: bool) -> None:
    environment.fail_analytics() if on else environment.start_analytics()


def _databases(environment: Breakable, companies: frozenset[str], on: bool) -> None:
    environment.close_databases({environment.database_of(company) or "" for company in companies}, on)


def _right(kind: str) -> Callable[[Breakable, frozenset[str], bool], None]:
    def switch(environment: Breakable, companies: frozenset[str], on: bool) -> None:
        databases = {environment.database_of(company) or "" for company in companies}
        environment.take_right(kind, databases, on)

    return switch


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("asa.stopped", "the Stream Analytics job is stopped; events wait in the hub", _analytics),
        Fault("asa.failed", "the Stream Analytics job has failed; nothing is read until somebody starts it", _engine),
        Fault(
            "hub.throttled",
            "the hub's throughput units are used up; the streaming job is told to wait",
            lambda e, _, on: e.throttle_hub(on),
        ),
        Fault(
            "hub.loss",
            "the hub takes and numbers a company's events and no reader gets them, ever",
            lambda e, companies, on: e.lose_events(companies, on),
            by_company=True,
        ),
        Fault(
            "hub.doubled",
            "each event comes to the hub twice, as from a sender that never heard its answer",
            lambda e, _, on: e.double_events(on),
        ),
        Fault(
            "hub.expired",
            "events wait 15 seconds in the hub and then expire, as after its retention; with asa.stopped nobody reads them in time",
            lambda e, _, on: e.expire_events(on),
        ),
        Fault(
            "sql.rows_lost",
            "a company's rows of the last five minutes are gone from its landing table; healing brings none back",
            lambda e, companies, on: e.lose_rows(companies) if on else None,
            by_company=True,
            once=True,
        ),
        Fault("sql.unreachable", "a company database refuses every login (error 40613)", _databases, by_company=True),
        Fault(
            "cdf.job_failed", "each run of the Databricks streaming job fails", lambda e, _, on: e.fail_stream_job(on)
        ),
        Fault(
            "replay.run_fails",
            "each bounded run fails midway: what it sent is in the hub, and the hub's answer never came",
            lambda e, _, on: e.break_replays(on),
        ),
        Fault("auth.expired", "the sign-in has expired: every token is refused", lambda e, _, on: e.expire_sign_in(on)),
        Fault("auth.forbidden", "the operator's roles in Azure are taken away: reads are refused", _right("operator")),
        Fault("right.unity", "nobody may SELECT from the catalog any more", _right("unity")),
        Fault("right.jobs", "the operators' group may not run the streaming job any more", _right("jobs")),
        Fault("right.eventhub", "the Stream Analytics jobs' role at the hub is taken away", _right("eventhub")),
        Fault("right.send", "the streaming job's role at the hub is taken away", _right("send")),
        Fault("right.asa", "the operator is not Contributor any more", _right("asa")),
        Fault("right.sql", "company databases have no user of the jobs any more", _right("sql"), by_company=True),
        Fault(
            "right.monitor", "the operator may not read metrics of the whole subscription any more", _right("monitor")
        ),
        Fault(
            "arm.throttled",
            "the management API answers 429 with Retry-After",
            lambda e, _, on: e.throttle_management(on),
        ),
        Fault("arm.slow", "the management API takes calls and does not answer", lambda e, _, on: e.hang_management(on)),
    )
}


@dataclass(frozen=True, slots=True)
class Active:
    """A fault that is on: where, for which companies, and until when on the machine's monotonic clock (None: until healed)."""

    name: str
    environment: str
    companies: frozenset[str]


class FaultBoard:
    """Which faults are on. Verbs are safe from any thread; a fault with a time heals by itself.

    `file` remembers them, so that what a process left broken can be healed by the next one.
    """

    def __init__(self, environments: Iterable[Breakable], file: Path | None = None) -> None:
        self._environments = {environment.name: environment for environment in environments}
        self._file = file
        self._active: dict[Active, threading.Timer | None] = {}
        self._lock = threading.RLock()

    def active(self) -> list[Active]:
        """The faults that are on, in the order they were switched."""
        with self._lock:
            return list(self._active)

    def switch_on(
        self, name: str, environments: Iterable[str], companies: Iterable[str], seconds: float | None
    ) -> list[Active]:
        """Switch a fault on in the named environments (all where none is named), healing after `seconds`. Raises FaultError."""
        fault = self._fault(name)
        aimed = frozenset(companies)
        if aimed and not fault.by_company:
            raise FaultError(f"{name} can't be aimed at a company; it concerns a whole environment.")
        chosen = [self._environment(environment) for environment in environments] or list(self._environments.values())
        for environment in chosen:
            if unknown := sorted(company for company in aimed if environment.database_of(company) is None):
                raise FaultError(
                    f"There is no company {unknown[0]} in {environment.name}.",
                    "Companies stand in: lpmops status -e ENV",
                )
        with self._lock:
            return [self._on(fault, environment, aimed, seconds) for environment in chosen]

    def _on(self, fault: Fault, environment: Breakable, companies: frozenset[str], seconds: float | None) -> Active:
        active = Active(fault.name, environment.name, companies)
        if (timer := self._active.pop(active, None)) is not None:
            timer.cancel()
        fault.switch(environment, companies, True)
        timer = None
        if seconds is not None:
            timer = threading.Timer(seconds, self._off, [active])
            timer.daemon = True
            timer.start()
        self._active[active] = timer
        self._remember()
        return active

    def heal(self, name: str | None, environments: Iterable[str]) -> list[Active]:
        """Switch faults off: all of them, or those of a name, or those of some environments. Raises FaultError."""
        if name is not None:
            self._fault(name)
        wanted = {self._environment(environment).name for environment in environments} or set(self._environments)
        healed = [active for active in self.active() if name in (None, active.name) and active.environment in wanted]
        for active in healed:
            self._off(active)
        return healed

    def _off(self, active: Active) -> None:
        with self._lock:
            if active not in self._active:
                return
            environment, fault = self._environments[active.environment], FAULTS[active.name]
            fault.switch(environment, active.companies, False)
            timer = self._active.pop(active)
            if timer is not None:
                timer.cancel()
            self._remember()
            for other in self._active:
                # Companies share databases: what another fault still breaks stays broken.
                if not fault.once and (other.name, other.environment) == (active.name, active.environment):
                    fault.switch(environment, other.companies, True)

    def heal_what_was_left(self) -> list[Active]:
        """Switch off what was on when an earlier process ended: a start is a good day."""
        left = self._left()
        for active in left:
            FAULTS[active.name].switch(self._environments[active.environment], active.companies, False)
        self._remember()
        return left

    def _left(self) -> list[Active]:
        if self._file is None or not self._file.exists():
            return []
        try:
            entries = json.loads(self._file.read_text(encoding="utf-8"))
            found = [Active(entry["name"], entry["environment"], frozenset(entry["companies"])) for entry in entries]
        except (ValueError, KeyError, TypeError):
            log.warning("%s does not say which faults were on; what they broke stays broken", self._file)
            return []
        return [active for active in found if active.name in FAULTS and active.environment in self._environments]

    def _remember(self) -> None:
        if self._file is None:
            return
        entries = [
            {"name": active.name, "environment": active.environment, "companies": sorted(active.companies)}
            for active in self._active
        ]
        try:
            write_whole(self._file, json.dumps(entries))
        except OSError as error:
            # Breaking and healing work without it; only the next start would not know.
            log.warning("which faults are on could not be kept: %s", error)

    def close(self) -> None:
        """Forget all timers; nothing heals after this."""
        with self._lock:
            for timer in self._active.values():
                if timer is not None:
                    timer.cancel()

    def _fault(self, name: str) -> Fault:
        if name not in FAULTS:
            raise FaultError(f"There is no fault {name!r}.", f"There are: {', '.join(FAULTS)}.")
        return FAULTS[name]

    def _environment(self, name: str) -> Breakable:
        if name not in self._environments:
            raise FaultError(f"There is no environment {name!r}.", f"There are: {', '.join(self._environments)}.")
        return self._environments[name]

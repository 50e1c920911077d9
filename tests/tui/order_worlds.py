"""Orders that answer from memory: plans, runs and a journal that the test sets, each call held or refused as it wishes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from textual.pilot import Pilot

from lpmops.actions.inputs import Choice, Remark
from lpmops.control import guard
from lpmops.control.guard import Arming
from lpmops.control.hands import Event, Outcome, StopRequest
from lpmops.control.operations import Operation, OperationStep
from lpmops.control.plan import Change, Danger, Impact, Plan, Step
from lpmops.errors import InterruptError
from lpmops.model import Kind
from lpmops.store.audit import Entry
from lpmops.tui.app import LpmopsApp
from tests.tui.driving import until
from tests.tui.worlds import NOW, MemoryFeed, ago

RUNNING = "20261123-140312-cd34"
HOSTILE = "[/] [@click=app.quit]x[/] \x1b[2J漢字"
STEPS = ("note the pause of lpm-tdr-prod-01", "stop lpm-tdr-prod-01")


def pause_plan(environment: str = "prod", danger: Danger = Danger.PRODUCTION, **changes: Any) -> Plan:
    """A plan to pause Stream Analytics."""
    job = f"lpm-tdr-{environment}-01"
    plan = Plan(
        action="asa.pause",
        environment=environment,
        kind=Kind(environment),
        pins={},
        target=environment,
        summary=f"Pause {job} in {environment}: nothing reaches any company until it is started again.",
        danger=danger,
        steps=(
            Step(f"note the pause of {job}", "pause.record", job, {}, (Change(f"{job}.pause", None, {"reason": "SQL maintenance"}),)),
            Step(f"stop {job}", "asa.stop", job, {}, (Change(f"{job}.state", "running", "stopped"),)),
        ),
        seen={},
        wish={},
        made_at=NOW,
        who="ops@lpm.example",
        command=f"lpmops asa pause -e {environment} --reason 'SQL maintenance' --until 2026-11-23T16:03:12Z",
        undo=f"lpmops asa start -e {environment} --mode last-output",
        reason="SQL maintenance",
        impact=Impact(812, None, 7_200.0, 0.0463),
        warnings=("Events wait in the hub and are lost from 2026-11-30T14:03:12Z on.",),
    )  # fmt: skip
    return replace(plan, **changes)


def operation(identifier: str = "20261123-140112-ab12", state: str = "interrupted", **changes: Any) -> Operation:
    """An operation of the journal: its first step is done, its second was begun."""
    steps = (
        OperationStep(STEPS[0], "done", ago(120), ago(119), "the pause is noted"),
        OperationStep(STEPS[1], {"in_doubt": "in_doubt", "succeeded": "done"}.get(state, "begun"), ago(119), None, "lpm-tdr-prod-01 is Running"),
    )  # fmt: skip
    made = Operation(
        identifier, "asa.pause", "prod", state, steps, ago(121), "ops@lpm.example", Danger.PRODUCTION,
        "Pause lpm-tdr-prod-01 in prod: nothing reaches any company until it is started again.",
        "lpmops asa pause -e prod --reason 'SQL maintenance'", "lpmops asa start -e prod --mode last-output", "SQL maintenance",
    )  # fmt: skip
    return replace(made, **changes)


def entry(seq: int, what: str, body: Mapping[str, Any], seconds: float) -> Entry:
    """An entry of the audit."""
    return Entry(
        seq, ago(seconds), "prod", "ops@lpm.example", what, "20261123-140112-ab12", body, f"{seq - 1:064}", f"{seq:064}"
    )


class MemoryOrders:
    """Orders whose answers are set by the test. `held` keeps a call of that name until the test lets go; `refusing` makes it fail."""

    def __init__(self, feed: MemoryFeed, *, read_only: bool = False) -> None:
        self.feed, self.read_only = feed, read_only
        self.plans: dict[tuple[str, str], Plan] = {}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.said: list[tuple[str, ...]] = []
        self.journal: list[Operation] = []
        self.entries: list[Entry] = []
        self.replays: dict[str, Mapping[str, Any]] = {}
        self.modes: list[Choice] = [
            Choice("last-output", "skips 0, repeats 1,200"),
            Choice("now", "skips 41,204, repeats 0"),
            Choice("custom", "begins with what came in at the time of “from”"),
        ]
        self.looked: list[tuple[str, str]] = []
        self.remarks: dict[tuple[str, str], list[Remark]] = {}
        self.offered: dict[str, list[Choice]] = {}
        self.refusing: dict[str, Exception] = {}
        self.held: dict[str, threading.Event] = {}
        self.events: list[tuple[str | None, str, str]] = []
        self.step_gate: threading.Semaphore | None = None
        self.arming: dict[str, Arming] = {}

    def arm(self, environment: str) -> None:
        guard.refuse_read_only(self.read_only)
        self.arming[environment] = guard.arm(environment, self.feed.now())

    def disarm(self, environment: str) -> None:
        self.arming.pop(environment, None)

    def armed(self) -> Mapping[str, float]:
        return {name: left for name, each in self.arming.items() if (left := each.left(self.feed.now()))}

    def choices(self, environment: str, action: str, field: str) -> Sequence[Choice]:
        self._answer("choices")
        return self.offered.get(field, self.modes)

    def look(self, environment: str, action: str, field: str, text: str) -> Sequence[Remark]:
        self.looked.append((field, text))
        self._answer("look")
        return self.remarks.get((field, text), [Remark("nothing speaks against it")])

    def plan(self, environment: str, action: str, values: Mapping[str, Any]) -> Plan:
        self.asked.append((environment, action, dict(values)))
        self._answer("plan")
        danger = guard.danger_of(Kind(environment))
        return self.plans.get((environment, action)) or pause_plan(environment, danger, action=action)

    def apply(self, plan: Plan, typed: str, tell: Callable[[Event], None], stop: StopRequest) -> Outcome:
        guard.refuse_read_only(self.read_only)
        guard.refuse_unarmed(plan.danger, plan.environment, self.arming.get(plan.environment), self.feed.now())
        guard.approve(plan, guard.answers_of(guard.request_of(plan), typed), "ops@lpm.example", self.feed.now())
        self.said.append(("apply", plan.environment, plan.action, typed))
        return self._run("apply", tell, stop)

    def resume(self, identifier: str, tell: Callable[[Event], None], stop: StopRequest) -> Outcome:
        self.said.append(("resume", identifier))
        return self._run("resume", tell, stop)

    def resolve(self, identifier: str, how: str, reason: str) -> None:
        self._answer("resolve")
        self.said.append(("resolve", identifier, how, reason))

    def abort(self, identifier: str, reason: str) -> None:
        self._answer("abort")
        self.said.append(("abort", identifier, reason))

    def pause(self, identifier: str) -> None:
        self._answer("pause")
        self.said.append(("pause", identifier))

    def operations(self) -> Sequence[Operation]:
        self._answer("operations")
        return tuple(self.journal)

    def replay(self, identifier: str) -> Mapping[str, Any]:
        self._answer("replay")
        return self.replays[identifier]

    def audit(self) -> Sequence[Entry]:
        self._answer("audit")
        return tuple(self.entries)

    def _run(self, name: str, tell: Callable[[Event], None], stop: StopRequest) -> Outcome:
        for number, (step, state, said) in enumerate(self.events, 1):
            if self.step_gate is not None:
                self.step_gate.acquire()
            if stop.requested and state == "begun":
                tell(Event(number, self.feed.now(), RUNNING, None, "interrupted", ""))
                raise InterruptError("It was stopped between two steps, as asked.", operation=RUNNING)
            tell(Event(number, self.feed.now(), RUNNING, step, state, said))
        self._answer(name)
        return Outcome(RUNNING, "succeeded", (), {"changed": True, "state": "Stopped"})

    def _answer(self, name: str) -> None:
        if name in self.held:
            self.held[name].wait(10)
        if name in self.refusing:
            raise self.refusing[name]


def pause_events(environment: str = "prod") -> list[tuple[str | None, str, str]]:
    """A pause that goes well."""
    first, second = (step.replace("prod", environment) for step in STEPS)
    return [
        (None, "running", ""),
        (first, "begun", ""), (first, "accepted", ""), (first, "done", "the pause is noted"),
        (second, "begun", ""), (second, "accepted", ""), (second, "done", "lpm-tdr-prod-01 is Stopped"),
        (None, "verifying", ""), (None, "succeeded", ""),
    ]  # fmt: skip


@asynccontextmanager
async def at_work(
    feed: MemoryFeed,
    orders: MemoryOrders,
    size: tuple[int, int] = (120, 40),
    *,
    dark: bool = True,
    faultless: bool = True,
) -> AsyncIterator[Pilot[None]]:
    """The app with orders; faults that it met fail the test."""
    app = LpmopsApp(feed, orders=orders, read_only=orders.read_only, dark=dark)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.settled and bool(feed.callbacks))
        await pilot.pause()
        try:
            yield pilot
        finally:
            for each in orders.held.values():
                each.set()
            if orders.step_gate is not None:
                orders.step_gate.release(100)
        if faultless:
            assert app.faults.sentences == []


def pass_time(feed: MemoryFeed, seconds: float) -> None:
    """Lets the feed's clock go on."""
    feed.time += timedelta(seconds=seconds)

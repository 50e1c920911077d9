"""Orders of somebody who brings a company on: what the source suggests, what the services say, a plan, its steps, its first row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lpmops.actions.inputs import Choice, Remark
from lpmops.control import guard
from lpmops.control.hands import Event, Outcome, StopRequest
from lpmops.control.plan import Change, Impact, Plan, Step
from lpmops.model import Kind
from tests.tui.order_worlds import MemoryOrders, pause_plan
from tests.tui.worlds import MemoryFeed

ADD, WAIT, NOTE = "bring 4711 on", "wait for the first row of 4711", "note how long the first row of 4711 took"
FIRST_ROW = "Harbour 911 (4711) lands in lpm-02; 41 s from the request to the first row"


def onboarding_plan(environment: str = "dev") -> Plan:
    """A company comes to a database that a job writes already."""
    steps = (
        Step(ADD, "route.add", "4711", {}, (Change("route.4711", None, "lpm-02"),)),
        Step(WAIT, "wait.first-row", "4711", {}),
        Step(NOTE, "wait.note-first-row", "4711", {}),
    )
    return replace(
        pause_plan(environment, guard.danger_of(Kind(environment))),
        action="route.onboard",
        steps=steps,
        summary=f"Bring Harbour 911 (4711) on in lpm-02 of {environment}. No job stops.",
        command=f"lpmops route onboard -e {environment} --company-id 4711 --name 'Harbour 911' --database lpm-02",
        undo=f"lpmops route remove -e {environment} --company-id 4711",
        impact=Impact(1, None, 0.0, 0.0),
        reason="",
        warnings=("4711: 9,211 records in the source, about 1,204 new ones a day.",),
    )


def onboarding_events() -> list[tuple[str | None, str, str]]:
    """It goes well."""
    return [
        (None, "running", ""),
        (ADD, "begun", ""), (ADD, "accepted", ""), (ADD, "done", "1 of 1 have their route"),
        (WAIT, "begun", ""), (WAIT, "accepted", ""), (WAIT, "accepted", "0 of 1 have their first row"),
        (WAIT, "done", "its first row has landed"),
        (NOTE, "begun", ""), (NOTE, "done", "1 of 1 are noted"),
        (None, "verifying", ""), (None, "succeeded", ""),
    ]  # fmt: skip


class OnboardingOrders(MemoryOrders):
    """Everything speaks for 4711 in lpm-02."""

    def __init__(self, feed: MemoryFeed) -> None:
        super().__init__(feed)
        self.offered = {
            "company_id": [
                Choice("4711", "1,204 records a day, 37 without a route"),
                Choice("4712", "310 records a day, 0 without a route"),
            ],
            "database": [Choice("lpm-02", "4 companies"), Choice("lpm-03", "0 companies; no job writes it yet")],
            "columns": [Choice("call_id", "NVARCHAR(128)"), Choice("trunk", "NVARCHAR(64)")],
        }
        self.remarks = {
            ("company_id", "4711"): [Remark("9,211 records in the source, and no route yet")],
            ("database", "lpm-02"): [Remark("4 companies; nothing stops for one more")],
        }

    def plan(self, environment: str, action: str, values: Mapping[str, Any]) -> Plan:
        made = super().plan(environment, action, values)
        return onboarding_plan(environment) if action == "route.onboard" else made

    def choices(self, environment: str, action: str, field: str) -> Sequence[Choice]:
        self._answer("choices")
        return self.offered.get(field, [])

    def _run(self, name: str, tell: Callable[[Event], None], stop: StopRequest) -> Outcome:
        done = super()._run(name, tell, stop)
        route = {
            "company_id": "4711", "company": "Harbour 911", "database": "lpm-02", "first_row_at": None, "seconds_to_first_row": 41.0,
            "unrouted": {"events": 0, "from_version": None, "to_version": None, "since": None},
        }  # fmt: skip
        return replace(done, result={"changed": True, "routes": [route], "stopped_jobs": []})

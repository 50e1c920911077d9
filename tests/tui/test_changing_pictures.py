"""What changing things looks like, at the sizes and in the colours that people use. Look at a picture before it is made the expected one."""

from __future__ import annotations

import threading

import pytest
from textual.pilot import Pilot

from lpmops.control.plan import Danger
from lpmops.tui.screens.plan import PlanScreen
from lpmops.tui.widgets.field import FieldInput
from lpmops.tui.widgets.plan_parts import TypedInput
from tests.tui.driving import Snapshot, app_of, text, until
from tests.tui.order_worlds import MemoryOrders, at_work, entry, operation, pause_events, pause_plan
from tests.tui.worlds import bad_day

PICTURES = [("dark", 80, 24), ("dark", 120, 40), ("light", 120, 40)]


@pytest.fixture(autouse=True)
def _keys_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 0.0)


async def planned(pilot: Pilot[None]) -> None:
    await pilot.press("3")
    await until(pilot, lambda: app_of(pilot).environment == "prod")
    app_of(pilot).action_act("asa.pause")
    await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and isinstance(pilot.app.focused, FieldInput))
    await pilot.press("enter", "enter", "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and pilot.app.screen.plan is not None)


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_the_menu(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    feed = bad_day()
    async with at_work(feed, MemoryOrders(feed), (width, height), dark=theme == "dark") as pilot:
        await pilot.press("3", "x")
        await until(pilot, lambda: "change something in PROD" in text(pilot))
        await pilot.pause()
        snapshot(app_of(pilot), f"act_{theme}_{width}x{height}")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_a_plan_that_waits_for_yes(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    feed = bad_day()
    async with at_work(feed, MemoryOrders(feed), (width, height), dark=theme == "dark") as pilot:
        await planned(pilot)
        await pilot.press("A")
        await until(pilot, lambda: "type yes, enter" in text(pilot) and isinstance(pilot.app.focused, TypedInput))
        await pilot.pause()
        snapshot(app_of(pilot), f"plan_{theme}_{width}x{height}")


async def test_a_plan_without_colour(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    feed = bad_day()
    async with at_work(feed, MemoryOrders(feed), (80, 24)) as pilot:
        await planned(pilot)
        await pilot.press("A")
        await until(pilot, lambda: "type yes, enter" in text(pilot))
        await until(pilot, lambda: isinstance(pilot.app.focused, TypedInput))
        await pilot.press("y")
        await pilot.pause()
        snapshot(app_of(pilot), "plan_no_color_80x24")


async def test_a_plan_that_is_refused_and_hard_to_undo(snapshot: Snapshot) -> None:
    feed = bad_day()
    orders = MemoryOrders(feed)
    orders.plans["prod", "asa.pause"] = pause_plan(
        danger=Danger.HARD, refusals=("lpm-tdr-prod-01 is Failed: that is no state to pause it in.",)
    )
    async with at_work(feed, orders, (80, 24)) as pilot:
        await planned(pilot)
        await pilot.pause()
        snapshot(app_of(pilot), "plan_refused_80x24")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_the_fields_of_a_start(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    feed = bad_day()
    async with at_work(feed, MemoryOrders(feed), (width, height), dark=theme == "dark") as pilot:
        await pilot.press("3")
        app_of(pilot).action_act("asa.start")
        await until(pilot, lambda: "skips 41,204" in text(pilot))
        await pilot.press("down")
        await pilot.pause()
        snapshot(app_of(pilot), f"fields_{theme}_{width}x{height}")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_a_run_under_way(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    feed = bad_day()
    orders = MemoryOrders(feed)
    orders.events, orders.step_gate = pause_events(), threading.Semaphore(6)
    async with at_work(feed, orders, (width, height), dark=theme == "dark") as pilot:
        await planned(pilot)
        orders.arm("prod")
        await until(pilot, lambda: "type yes, enter" in text(pilot))
        await pilot.press("tab", *"yes", "enter")
        await until(
            pilot, lambda: "accepted" in text(pilot) and app_of(pilot).scene.activity.going == ("asa pause prod 2/2",)
        )
        await pilot.pause()
        snapshot(app_of(pilot), f"run_{theme}_{width}x{height}")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_an_operation_in_doubt(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    feed = bad_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation(state="in_doubt")]
    async with at_work(feed, orders, (width, height), dark=theme == "dark") as pilot:
        await pilot.press("o", "enter")
        await until(pilot, lambda: "Nobody knows yet" in text(pilot))
        app_of(pilot).clear_notifications()
        await pilot.pause()
        snapshot(app_of(pilot), f"doubt_{theme}_{width}x{height}")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_operations_and_audit(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    feed = bad_day()
    orders = MemoryOrders(feed)
    orders.journal = [
        operation("20261123-140200-aa01", "succeeded", action="asa.start", environment="dev"), operation(),
        operation("20261122-090000-bb02", "cancelled", environment="test", reason="not needed"),
        operation("20261121-090000-cc03", "failed", action="stream.restart"),
    ]  # fmt: skip
    orders.entries = [
        entry(3, "operation.ended", {"state": "succeeded"}, 10), entry(2, "step.done", {"step": "stop lpm-tdr-prod-01"}, 20),
        entry(1, "operation.begun", {"summary": "Pause lpm-tdr-prod-01 in prod"}, 30),
    ]  # fmt: skip
    async with at_work(feed, orders, (width, height), dark=theme == "dark") as pilot:
        await pilot.press("o")
        await until(pilot, lambda: "given up" in text(pilot))
        app_of(pilot).clear_notifications()
        await pilot.pause()
        snapshot(app_of(pilot), f"operations_{theme}_{width}x{height}")
        await pilot.press("at")
        await until(pilot, lambda: "operation.begun" in text(pilot))
        await pilot.pause()
        snapshot(app_of(pilot), f"audit_{theme}_{width}x{height}")

"""What bringing a company on looks like, at the sizes and in the colours that people use. Look at a picture before it is made the expected one."""

from __future__ import annotations

import threading

import pytest
from textual.pilot import Pilot

from lpmops.actions.inputs import Remark
from lpmops.tui.screens.operation import OperationScreen
from lpmops.tui.screens.plan import PlanScreen
from lpmops.tui.widgets.field import FieldInput
from lpmops.tui.widgets.pager import Pager
from tests.tui.driving import Snapshot, app_of, text, until
from tests.tui.onboarding_worlds import OnboardingOrders, onboarding_events
from tests.tui.order_worlds import at_work
from tests.tui.worlds import bad_day

PICTURES = [("dark", 80, 24), ("dark", 120, 40), ("light", 120, 40), ("dark", 200, 60)]


@pytest.fixture(autouse=True)
def _keys_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 0.0)


async def opened(pilot: Pilot[None]) -> PlanScreen:
    await pilot.press("3")
    await until(pilot, lambda: app_of(pilot).environment == "prod")
    app_of(pilot).action_act("route.onboard")
    await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
    screen = pilot.app.screen
    assert isinstance(screen, PlanScreen)
    await until(
        pilot, lambda: all(each.choices is not None or each.field.choices is None for each in screen.fields.all)
    )
    return screen


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_the_fields_with_what_the_services_say(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    orders = OnboardingOrders(bad_day())
    orders.remarks["company_id", "4712"] = [
        Remark("310 records in the source, and no route yet"),
        Remark("37 changes of 4712 found no route; a replay brings them."),
    ]
    orders.remarks["database", "lpm-42"] = [
        Remark("There is no database lpm-42 on sql.example, or this identity has no user in it.", against=True)
    ]
    async with at_work(orders.feed, orders, (width, height), dark=theme == "dark") as pilot:
        screen = await opened(pilot)
        await pilot.press("down", "down", "enter", *"Twin Rivers", "enter", *"lpm-42", "enter")
        await until(
            pilot, lambda: screen.fields.all[2].remarks is not None and screen.fields.all[0].remarks is not None
        )
        await pilot.press("shift+tab")
        await until(pilot, lambda: "✖ database:" in text(pilot) and "310 records" in text(pilot))
        await pilot.pause()
        snapshot(app_of(pilot), f"onboard_fields_{theme}_{width}x{height}")


@pytest.mark.parametrize(("theme", "width", "height"), PICTURES)
async def test_the_plan_then_the_wait_for_the_first_row_then_the_end(
    snapshot: Snapshot, theme: str, width: int, height: int
) -> None:
    orders = OnboardingOrders(bad_day())
    orders.events, orders.step_gate = onboarding_events(), threading.Semaphore(7)
    async with at_work(orders.feed, orders, (width, height), dark=theme == "dark") as pilot:
        screen = await opened(pilot)
        await pilot.press("down", "enter", *"Harbour 911", "enter", *"lpm-02", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: screen.plan is not None)
        orders.arm("prod")
        await until(pilot, lambda: "type yes, enter" in text(pilot))
        await pilot.pause()
        snapshot(app_of(pilot), f"onboard_plan_{theme}_{width}x{height}")
        await pilot.press("tab", *"yes", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen))
        await until(pilot, lambda: "0 of 1 have their first row" in text(pilot))
        await until(pilot, lambda: app_of(pilot).scene.activity.going == ("route onboard prod 2/3",))
        await pilot.pause()
        snapshot(app_of(pilot), f"onboard_wait_{theme}_{width}x{height}")
        orders.step_gate.release(100)
        await until(pilot, lambda: "first row" in text(pilot) and "● done" in text(pilot) and not app_of(pilot).going)
        pager = pilot.app.screen.query_one(Pager)
        await until(pilot, lambda: pager.scroll_y == pager.max_scroll_y)
        app_of(pilot).clear_notifications()
        await until(pilot, lambda: not app_of(pilot).scene.activity.going)
        await pilot.pause()
        snapshot(app_of(pilot), f"onboard_done_{theme}_{width}x{height}")

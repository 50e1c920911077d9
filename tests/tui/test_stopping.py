"""A run that is asked to stop ends after the step that is under way and can be resumed; where nothing can be stopped the key says why."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from lpmops.control.plan import Danger
from lpmops.tui.screens.help import HelpScreen
from lpmops.tui.screens.operation import OperationScreen
from lpmops.tui.screens.plan import PlanScreen
from lpmops.tui.widgets.field import FieldInput
from tests.tui.driving import app_of, text, until
from tests.tui.order_worlds import RUNNING, MemoryOrders, at_work, operation, pause_events, pause_plan
from tests.tui.worlds import good_day


@pytest.fixture(autouse=True)
def _keys_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 0.0)


def notices(pilot: Pilot[None]) -> list[str]:
    return [notification.message for notification in pilot.app._notifications]


@asynccontextmanager
async def under_way(orders: MemoryOrders) -> AsyncIterator[Pilot[None]]:
    """The panel of a pause of dev whose first step is begun and held."""
    orders.events, orders.step_gate = pause_events("dev"), threading.Semaphore(0)
    async with at_work(orders.feed, orders) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: app_of(pilot).environment == "dev")
        app_of(pilot).action_act("asa.pause")
        await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
        screen = pilot.app.screen
        assert isinstance(screen, PlanScreen)
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: screen.plan is not None)
        screen._begin("")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen))
        orders.step_gate.release(2)
        await until(pilot, lambda: "begun" in text(pilot))
        yield pilot


async def test_a_run_stops_after_its_step_and_is_resumed() -> None:
    orders = MemoryOrders(good_day())
    async with under_way(orders) as pilot:
        assert "s stop after step" in text(pilot)
        await pilot.press("s")
        await until(pilot, lambda: "It stops after this step, and can be resumed." in text(pilot))
        assert "s stop after step" not in text(pilot)
        await pilot.press("s")
        await until(pilot, lambda: notices(pilot) == ["it stops after this step already"])
        orders.journal = [operation(RUNNING, "interrupted", environment="dev")]
        assert orders.step_gate is not None
        orders.step_gate.release(100)
        await until(pilot, lambda: "It is not finished." in text(pilot))
        # The first step was seen through, the second was not begun.
        assert "the pause is noted" in text(pilot)
        assert "stopped between two steps" in text(pilot)
        orders.events = [(None, "running", ""), (None, "succeeded", "")]
        await pilot.press("A", "r")
        await until(pilot, lambda: orders.said[-1] == ("resume", RUNNING))
        await until(pilot, lambda: not app_of(pilot).going)


async def test_a_run_that_has_ended_says_so() -> None:
    orders = MemoryOrders(good_day())
    async with under_way(orders) as pilot:
        assert orders.step_gate is not None
        orders.step_gate.release(100)
        await until(pilot, lambda: not app_of(pilot).going)
        await until(pilot, lambda: "s stop after step" not in text(pilot))
        await pilot.press("s")
        await until(pilot, lambda: notices(pilot) == ["it is not under way"])


async def test_what_another_process_does_is_stopped_there_and_the_help_says_why() -> None:
    orders = MemoryOrders(good_day())
    orders.journal = [operation(state="running")]
    async with at_work(orders.feed, orders) as pilot:
        await pilot.press("o", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen) and "running" in text(pilot))
        await pilot.press("s")
        await until(pilot, lambda: notices(pilot) == ["another process is at it; ctrl+c there stops it after its step"])
        app_of(pilot).action_help()
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await until(pilot, lambda: "another process is at it" in " ".join(text(pilot).split()))


async def test_the_step_under_way_is_seen_however_many_there_are_and_who_scrolls_stays_there() -> None:
    orders = MemoryOrders(good_day())
    names = [f"step of number {number}" for number in range(1, 31)]
    steps = tuple(replace(pause_plan("dev").steps[0], name=name) for name in names)
    orders.plans["dev", "asa.pause"] = pause_plan("dev", Danger.REVERSIBLE, steps=steps)
    orders.events = [(None, "running", ""), *((name, state, "so") for name in names for state in ("begun", "done"))]
    orders.step_gate = threading.Semaphore(0)
    async with at_work(orders.feed, orders, (80, 24)) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: app_of(pilot).environment == "dev")
        app_of(pilot).action_act("asa.pause")
        await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
        screen = pilot.app.screen
        assert isinstance(screen, PlanScreen)
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: screen.plan is not None)
        screen._begin("")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen))
        orders.step_gate.release(40)
        await until(pilot, lambda: "step of number 20" in text(pilot))
        await pilot.press("g")
        await until(pilot, lambda: "step of number 1 " in text(pilot))
        orders.step_gate.release(2)
        await until(pilot, lambda: "step of number 21" in text(pilot))

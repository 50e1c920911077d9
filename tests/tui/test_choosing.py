"""Fields whose values are chosen: where several jobs share a prefix one or more of them, and what the services say there is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from textual.pilot import Pilot

from lpmops.actions.inputs import Choice
from lpmops.control.plan import Change, Step
from lpmops.model import Reading
from lpmops.tui.screens.plan import PlanScreen
from lpmops.tui.widgets.field import FieldInput
from tests.tui.driving import app_of, text, until
from tests.tui.order_worlds import MemoryOrders, at_work, pause_plan
from tests.tui.worlds import NOW, MemoryFeed, good_day

JOBS = ["lpm-tdr-dev-01", "lpm-tdr-dev-02"]


@pytest.fixture(autouse=True)
def _keys_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 0.0)


def two_jobs() -> MemoryFeed:
    """A good day on which two jobs of dev were seen."""
    feed = good_day()
    seen = feed.snapshots["dev"]
    readings = tuple(Reading(f"{job}.state", "Running", "", NOW, "resource manager") for job in JOBS)
    stage = replace(seen.stages["asa"], readings=(*seen.stages["asa"].readings, *readings))
    feed.snapshots["dev"] = replace(seen, stages={**seen.stages, "asa": stage})
    return feed


def orders_of(feed: MemoryFeed) -> MemoryOrders:
    orders = MemoryOrders(feed)
    orders.offered = {
        "jobs": [Choice(job, "running, 3 outputs, 1 streaming unit") for job in JOBS],
        "units": [Choice("1/3", "lpm-tdr-dev-01 now"), Choice("2/3", "")],
        "back_to": [Choice("", "what lpmops.toml asks for"), Choice("20261123-140112-ab12", "what stood before it")],
        "from_version": [Choice("", "the stream's checkpoint says where it goes on")],
    }
    return orders


async def opened(pilot: Pilot[None], action: str) -> PlanScreen:
    """The fields of an action in dev."""
    await pilot.press("1")
    await until(pilot, lambda: app_of(pilot).environment == "dev")
    app_of(pilot).action_act(action)
    await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
    screen = pilot.app.screen
    assert isinstance(screen, PlanScreen)
    return screen


async def test_one_of_several_jobs_is_chosen_or_more_with_a_comma() -> None:
    orders = orders_of(two_jobs())
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot, "asa.scale")
        await until(pilot, lambda: "lpm-tdr-dev-02  running, 3 outputs" in text(pilot))
        await pilot.press("down", "down")
        assert pilot.app.focused is screen.fields.all[0]
        assert screen.fields.all[0].value == JOBS[1]
        await pilot.press("comma", "down", "enter", "down", "down", "enter", "enter", "enter")
        await until(pilot, lambda: len(orders.asked) == 1)
        assert orders.asked[0][2] == {"jobs": [JOBS[1], JOBS[0]], "units": "2/3", "reason": "", "ticket": ""}


async def test_a_job_that_is_not_there_is_said_as_the_field_is_left() -> None:
    orders = orders_of(two_jobs())
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot, "asa.pause")
        await until(pilot, lambda: screen.fields.all[0].choices is not None)
        await pilot.press(*"lpm-tdr-dev-01, lpm-x", "enter")
        await until(pilot, lambda: "there is no 'lpm-x'" in text(pilot))
        assert pilot.app.focused is screen.fields.all[0]


async def test_where_there_is_one_job_nothing_is_asked_about_it() -> None:
    orders = orders_of(good_day())
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot, "asa.deploy")
        assert [each.field.name for each in screen.fields.all] == ["mode", "begin", "back_to", "reason", "ticket"]


@pytest.mark.parametrize("action", ["asa.deploy", "asa.scale", "stream.deploy"])
async def test_what_is_deployed_and_scaled_is_planned_shown_copied_and_done_from_the_app(
    action: str, own_folders: object
) -> None:
    orders = orders_of(two_jobs())
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot, action)
        for field in screen.fields.all:
            await until(pilot, partial(lambda one: one.field.choices is None or one.choices is not None, field))
            if field.field.name == "units":
                await pilot.press("down")
            await pilot.press("enter")
        await until(pilot, lambda: screen.plan is not None)
        assert (orders.asked[0][0], orders.asked[0][1]) == ("dev", action)
        await pilot.press("c")
        await until(pilot, lambda: pilot.app.clipboard == screen.command)
        await pilot.press("y")
        await until(pilot, lambda: orders.said == [("apply", "dev", action, "")])


async def test_the_difference_of_a_text_is_shown_line_by_line() -> None:
    orders = orders_of(good_day())
    plan = pause_plan("dev")
    step = Step(
        "put the query of lpm-tdr-dev-01", "asa.part", "lpm-tdr-dev-01",
        {"former": {"query": "WITH a AS (\n  SELECT 1\n)\nSELECT x"}, "after": {"query": "WITH a AS (\n  SELECT 2\n)\nSELECT x"}},
        (Change("lpm-tdr-dev-01.query", "ab12 (4 lines)", "cd34 (4 lines)"),),
    )  # fmt: skip
    orders.plans["dev", "asa.deploy"] = replace(plan, steps=(step,))
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot, "asa.deploy")
        await pilot.press(*["enter"] * len(screen.fields.all))
        await until(pilot, lambda: screen.plan is not None and "-  SELECT 1" in text(pilot))
        assert "+  SELECT 2" in text(pilot)

"""Bringing a company on in the app: led through its fields, its plan, its steps, to its first row; it can be left and gone on with."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot

from lpmops import paths
from lpmops.actions.inputs import Choice, Remark
from lpmops.control.plan import Danger
from lpmops.errors import RefusedError
from lpmops.tui.screens.company import CompanyScreen
from lpmops.tui.screens.operation import OperationScreen
from lpmops.tui.screens.plan import PlanScreen
from lpmops.tui.widgets.field import FieldInput
from tests.tui.driving import app_of, text, until
from tests.tui.onboarding_worlds import FIRST_ROW, WAIT, OnboardingOrders, onboarding_events
from tests.tui.order_worlds import HOSTILE, at_work, pass_time
from tests.tui.worlds import good_day

LOOK_ALIKE = "4711\u0430"


@pytest.fixture(autouse=True)
def _keys_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def folder(own_folders: Path) -> Path:
    return own_folders


def orders_of() -> OnboardingOrders:
    return OnboardingOrders(good_day())


async def opened(pilot: Pilot[None]) -> PlanScreen:
    """The fields of bringing a company on in dev."""
    await pilot.press("1")
    await until(pilot, lambda: app_of(pilot).environment == "dev")
    app_of(pilot).action_act("route.onboard")
    await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
    screen = pilot.app.screen
    assert isinstance(screen, PlanScreen)
    return screen


async def filled(pilot: Pilot[None]) -> PlanScreen:
    """The same with the first company that is suggested, up to the last field."""
    screen = await opened(pilot)
    await until(pilot, lambda: screen.fields.all[0].choices is not None)
    await pilot.press("down", "enter", *"Harbour 911", "enter", *"lpm-02", "enter", "enter", "enter")
    return screen


async def test_one_is_led_from_a_suggestion_of_the_source_to_the_first_row_and_the_company() -> None:
    orders = orders_of()
    orders.events, orders.step_gate = onboarding_events(), threading.Semaphore(0)
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: "1,204 records a day, 37 without a route" in text(pilot))
        assert "▶ company ── ○ plan ── ○ under way ── ○ first row" in text(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "● 9,211 records in the source" in text(pilot))
        await pilot.press(*"Harbour 911", "enter", *"lpm-02", "enter")
        await until(pilot, lambda: "● 4 companies; nothing stops" in text(pilot))
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: screen.plan is not None)
        assert orders.asked[0][2] == {
            "company_id": "4711", "company": "Harbour 911", "database": "lpm-02", "columns": [], "reason": "", "ticket": "",
        }  # fmt: skip
        assert "● company ── ▶ plan ── ○ under way ── ○ first row" in text(pilot)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen))
        orders.step_gate.release(3)
        await until(pilot, lambda: "● company ── ● plan ── ▶ under way ── ○ first row" in text(pilot))
        orders.step_gate.release(4)
        await until(pilot, lambda: "▶ first row" in text(pilot) and f"{WAIT}" in text(pilot))
        await until(pilot, lambda: "0 of 1 have their first row" in text(pilot))
        orders.step_gate.release(100)
        await until(pilot, lambda: "● under way ── ● first row" in text(pilot))
        assert FIRST_ROW in " ".join(text(pilot).split())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))
        assert app_of(pilot).navigator.here.company == "4711"


async def test_what_the_services_say_against_a_field_is_said_as_it_is_left_and_no_plan_is_made_of_it() -> None:
    orders = orders_of()
    orders.remarks["company_id", "9999"] = [Remark("the source has no record of it", against=True)]
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot)
        await pilot.press(*"9999", "enter")
        await until(pilot, lambda: "✖ the source has no record of it" in text(pilot))
        await pilot.press(*"Harbour 911", "enter", *"lpm-02", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: pilot.app.focused is screen.fields.all[0])
        assert orders.asked == []
        await pilot.press(*["backspace"] * 4, *"4711", "enter")
        await until(pilot, lambda: "● 9,211 records in the source" in text(pilot))
        for _ in range(5):
            await pilot.press("enter")
        await until(pilot, lambda: screen.plan is not None)


async def test_a_service_that_hangs_keeps_nobody_from_going_on() -> None:
    orders = orders_of()
    orders.held["look"] = threading.Event()
    async with at_work(orders.feed, orders) as pilot:
        screen = await filled(pilot)
        await until(pilot, lambda: "looking …" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: screen.plan is not None)


async def test_what_was_typed_is_there_when_the_panel_is_opened_again_and_gone_once_it_has_begun(folder: Path) -> None:
    orders = orders_of()
    async with at_work(orders.feed, orders) as pilot:
        await filled(pilot)
        await pilot.press(*"Dana asked on the phone", "escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, PlanScreen))
    (kept,) = folder.rglob("drafts.json")
    assert "Dana" not in kept.read_text(encoding="utf-8")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot)
        assert [each.value for each in screen.fields.all] == ["4711", "Harbour 911", "lpm-02", "", "", ""]
        await until(pilot, lambda: "as you left it" in text(pilot))
        await until(pilot, lambda: "● 9,211 records in the source" in text(pilot))
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: screen.plan is not None)
        await pilot.press("y")
        await until(pilot, lambda: bool(orders.said))
    assert json.loads(kept.read_text(encoding="utf-8")) == {}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        '{"route.onboard dev": 3}',
        '{"route.onboard dev": {"texts": {"company_id": 7}, "at": "x"}}',
        "[" * 5_000,
    ],
)
async def test_a_draft_that_can_not_be_read_is_no_draft(folder: Path, content: str) -> None:
    orders = orders_of()
    async with at_work(orders.feed, orders) as pilot:
        (paths.state_directory() / "drafts.json").write_text(content, encoding="utf-8")
        screen = await opened(pilot)
        assert [each.value for each in screen.fields.all] == [""] * 6


@pytest.mark.parametrize(
    ("company_id", "said"),
    [
        ("47'11\"; DROP TABLE x --", ""),
        ("[/] [@click=app.quit]x[/]", ""),
        ("x" * 4_000, "characters, and 64 is the most"),
        ("   ", "it is empty"),
        (LOOK_ALIKE, ""),
    ],
    ids=["quotes", "markup", "4,000 characters", "blanks", "look-alike"],
)
async def test_an_id_is_text_and_nothing_else_whatever_it_is(company_id: str, said: str) -> None:
    orders = orders_of()
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot)
        field = screen.fields.all[0]
        field.value = company_id
        await pilot.press("enter")
        if said:
            await until(pilot, lambda: said in " ".join(text(pilot).split()))
            assert pilot.app.focused is field
        else:
            await until(pilot, lambda: ("company_id", company_id) in orders.looked)
        assert "\x1b" not in text(pilot)


async def test_a_company_that_is_seen_only_after_the_fields_have_opened_is_suggested_too() -> None:
    orders = orders_of()
    suggestions, orders.offered["company_id"] = orders.offered["company_id"], []
    async with at_work(orders.feed, orders) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "there is none yet" in text(pilot))
        orders.offered["company_id"] = suggestions
        pass_time(orders.feed, 11)
        await until(pilot, lambda: "1,204 records a day, 37 without a route" in text(pilot))
        assert "there is none yet" not in text(pilot)


async def test_a_service_that_answers_again_is_no_longer_said_to_have_failed() -> None:
    orders = orders_of()
    orders.refusing["choices"] = RefusedError("the warehouse is starting")
    async with at_work(orders.feed, orders) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "the warehouse is starting" in text(pilot))
        orders.refusing.clear()
        pass_time(orders.feed, 11)
        await until(pilot, lambda: "1,204 records a day, 37 without a route" in text(pilot))
        await until(pilot, lambda: "the warehouse is starting" not in text(pilot))


@pytest.mark.parametrize(
    "company_id", ["47\x0011", " 4711 ", "47\u200b11", HOSTILE], ids=["null", "blanks", "unseen", "escape"]
)
async def test_an_id_of_the_source_that_can_not_be_drawn_as_it_is_is_never_taken_for_another(company_id: str) -> None:
    orders = orders_of()
    orders.offered["company_id"] = [Choice(company_id, "12 records a day")]
    async with at_work(orders.feed, orders) as pilot:
        screen = await opened(pilot)
        field = screen.fields.all[0]
        await until(pilot, lambda: field.choices is not None)
        await pilot.press("down")
        await until(pilot, lambda: bool(field.value))
        assert field.text == company_id
        assert "\x1b" not in text(pilot)
        await pilot.press("enter")
        # No route can have such an id, and the field says so; one that only ends in a blank is read without it and looked for.
        await until(
            pilot,
            lambda: "That can't be a company id" in text(pilot) or ("company_id", company_id) in orders.looked,
        )


async def test_in_production_it_wants_arming_and_yes_like_everything_else() -> None:
    orders = orders_of()
    async with at_work(orders.feed, orders) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: app_of(pilot).environment == "prod")
        app_of(pilot).action_act("route.onboard")
        await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
        screen = pilot.app.screen
        assert isinstance(screen, PlanScreen)
        await until(pilot, lambda: screen.fields.all[0].choices is not None)
        await pilot.press("down", "enter", *"Harbour 911", "enter", *"lpm-02", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: screen.plan is not None)
        assert screen.plan is not None
        assert screen.plan.danger is Danger.PRODUCTION
        await pilot.press("y")
        await until(pilot, lambda: "not armed: A arms it" in text(pilot))
        assert orders.said == []


async def test_on_a_company_s_screen_its_own_actions_come_first_and_it_is_not_asked_for() -> None:
    orders = orders_of()
    async with at_work(orders.feed, orders) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: app_of(pilot).environment == "dev")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))
        company = app_of(pilot).navigator.here.company
        await pilot.press("x")
        await until(pilot, lambda: f"change something in dev · {company}" in text(pilot))
        shown = text(pilot)
        assert shown.index("route pause") < shown.index("cdf enable")
        assert "not now: It is not paused." in shown
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen))
        screen = pilot.app.screen
        assert isinstance(screen, PlanScreen)
        assert [each.field.name for each in screen.fields.all] == ["reason", "ticket"]
        await pilot.press("enter", "enter")
        await until(pilot, lambda: len(orders.asked) == 1)
        assert orders.asked[0] == ("dev", "route.pause", {"companies": [company], "reason": "", "ticket": ""})

"""Changing things from the app: the menu and its reasons, the ladder of yes, the moment in which no key counts, and what runs."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot

from lpmops.actions import registry
from lpmops.actions.inputs import Choice
from lpmops.control.plan import Danger
from lpmops.errors import LockedError, RefusedError
from lpmops.model import Kind
from lpmops.tui import commands
from lpmops.tui.app import LpmopsApp
from lpmops.tui.screens.act import ActScreen
from lpmops.tui.screens.leaving import LeavingScreen
from lpmops.tui.screens.line import CommandInput, LineScreen
from lpmops.tui.screens.operation import OperationScreen
from lpmops.tui.screens.plan import DEAF_SECONDS, PlanScreen
from lpmops.tui.widgets.field import FieldInput
from lpmops.tui.widgets.key_bar import KeyBar
from lpmops.tui.widgets.plan_parts import Cancel, TypedInput
from tests.tui.driving import app_of, text, until
from tests.tui.order_worlds import HOSTILE, MemoryOrders, at_work, pass_time, pause_events, pause_plan
from tests.tui.worlds import NOW, MemoryFeed, bad_day, good_day, paused, taken


@pytest.fixture(autouse=True)
def _keys_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 0.0)


def notices(pilot: Pilot[None]) -> list[str]:
    return [notification.message for notification in pilot.app._notifications]


async def planned(pilot: Pilot[None], number: str = "3", action: str = "asa.pause") -> PlanScreen:
    """Opens the plan of an action in the environment of that number, its fields left empty."""
    await pilot.press(number)
    await until(pilot, lambda: app_of(pilot).environment is not None)
    app_of(pilot).action_act(action)
    await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and bool(pilot.app.screen.query(FieldInput)))
    screen = pilot.app.screen
    assert isinstance(screen, PlanScreen)
    for _ in screen.query(FieldInput):
        await pilot.press("enter")
    await until(pilot, lambda: screen.plan is not None)
    await pilot.pause()
    return screen


# The menu ----------------------------------------------------------------------------------------------------------------------------------------


async def test_the_menu_lists_every_action_of_the_registry_with_why_some_make_no_sense_now() -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        await pilot.press("3", "x")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, ActScreen) and "change something in PROD" in text(pilot)
        )
        for entry in registry.ACTIONS.values():
            assert entry.name.replace(".", " ") in text(pilot)
        assert "not now: The stream is running." in text(pilot)
        assert "not now: Stream Analytics is running." in text(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ActScreen)
        screen.table.place("stream.start")
        await pilot.press("enter")
        await pilot.pause()
        assert pilot.app.screen is screen
        assert notices(pilot) == ["The stream is running."]
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ActScreen))


async def test_enter_in_the_menu_leads_to_the_plan_and_changes_nothing() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders) as pilot:
        await pilot.press("3", "x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ActScreen) and "asa pause" in text(pilot))
        screen = pilot.app.screen
        assert isinstance(screen, ActScreen)
        screen.table.place("asa.pause")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen))
        assert orders.said == []


def test_every_action_is_a_command_of_the_line_with_the_words_of_the_command_line() -> None:
    words = {command.word for command in commands.actions()}
    assert words == {name.replace(".", " ") for name in registry.ACTIONS}
    assert all(not command.sentence.endswith(".") for command in commands.actions())


async def test_the_line_completes_an_action_and_opens_its_plan() -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        await pilot.press("3", "colon")
        await until(pilot, lambda: isinstance(pilot.app.screen, LineScreen))
        await pilot.press(*"asa p", "tab")
        await until(pilot, lambda: pilot.app.screen.query_one(CommandInput).value == "asa pause")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen))


async def test_the_line_says_why_an_action_does_not_work_now() -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        await pilot.press("3", "colon")
        await until(pilot, lambda: isinstance(pilot.app.screen, LineScreen))
        pilot.app.screen.query_one(CommandInput).value = "asa start"
        await until(pilot, lambda: "not now: Stream Analytics is running." in text(pilot))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, LineScreen)


async def test_the_palette_finds_an_action() -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        await pilot.press("3", "f")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"asa pau")
        await until(pilot, lambda: "Stop the routing jobs on purpose" in text(pilot))


@pytest.mark.parametrize("keys", [("x",), ("A",)])
async def test_an_app_that_is_read_only_says_so_and_arms_nothing(keys: tuple[str, ...]) -> None:
    feed = good_day()
    orders = MemoryOrders(feed, read_only=True)
    async with at_work(feed, orders) as pilot:
        await pilot.press("3", *keys)
        await until(pilot, lambda: notices(pilot) == ["This app was opened read-only: it changes nothing."])
        assert not orders.armed()
        assert not isinstance(pilot.app.screen, ActScreen)
        assert "x act" not in text(pilot)


async def test_the_past_is_not_changed() -> None:
    feed = good_day()
    for each in feed.snapshots.values():
        feed.keep(taken(each, NOW.replace(minute=0)))
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        await pilot.press("3", "t", "left", "left", "left", "left", "left")
        await until(pilot, lambda: app_of(pilot).scene.past is not None)
        await pilot.press("x")
        await until(pilot, lambda: "the past can't be changed; n leads back to now" in notices(pilot))
        assert not isinstance(pilot.app.screen, ActScreen)


# Arming ------------------------------------------------------------------------------------------------------------------------------------------


async def test_arming_counts_down_in_the_header_and_ends_by_itself() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "read-only" in text(pilot))
        await pilot.press("A")
        await until(pilot, lambda: "PROD  armed 120 s" in text(pilot))
        pass_time(feed, 93)
        await until(pilot, lambda: "PROD  armed 27 s" in text(pilot))
        await pilot.press("0")
        await until(pilot, lambda: "PROD armed 27 s" in text(pilot))
        pass_time(feed, 28)
        await until(pilot, lambda: "armed" not in text(pilot))
        assert not orders.armed()


async def test_once_more_disarms_and_what_is_not_production_needs_no_arming() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders) as pilot:
        await pilot.press("3", "A")
        await until(pilot, lambda: "prod" in orders.armed())
        await pilot.press("A")
        await until(pilot, lambda: not orders.armed())
        await pilot.press("1", "A")
        await until(pilot, lambda: notices(pilot) == ["dev needs no arming; only production does"])


# The ladder --------------------------------------------------------------------------------------------------------------------------------------


async def test_outside_production_one_key_says_yes_and_enter_never_does() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.events = pause_events("dev")
    async with at_work(feed, orders) as pilot:
        screen = await planned(pilot, "1")
        assert isinstance(pilot.app.focused, Cancel)
        assert "y does it" in text(pilot)
        assert screen.query_one(TypedInput).has_class("-hidden")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, PlanScreen))
        assert orders.said == []
        screen = await planned(pilot, "1")
        await pilot.press("y")
        await until(pilot, lambda: orders.said == [("apply", "dev", "asa.pause", "")])
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen))


async def test_production_wants_arming_and_yes_in_letters() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders) as pilot:
        screen = await planned(pilot)
        assert "not armed: A arms it" in text(pilot)
        assert screen.query_one(TypedInput).has_class("-hidden")
        await pilot.press("y")
        await pilot.pause()
        assert orders.said == []
        await pilot.press("A")
        await until(pilot, lambda: "armed 120 s" in text(pilot) and "type yes, enter" in text(pilot))
        await until(pilot, lambda: isinstance(pilot.app.focused, TypedInput))
        await pilot.press("y", "e", "enter")
        await until(pilot, lambda: "that is not 'yes'; nothing was done" in text(pilot))
        assert orders.said == []
        await pilot.press("s", "enter")
        await until(pilot, lambda: orders.said == [("apply", "prod", "asa.pause", "yes")])


async def test_what_is_hard_to_undo_wants_the_name_of_its_target() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.plans["prod", "asa.pause"] = pause_plan(danger=Danger.HARD)
    async with at_work(feed, orders) as pilot:
        await planned(pilot)
        await pilot.press("A")
        await until(pilot, lambda: "type prod, enter" in text(pilot))
        assert "hard to undo" in text(pilot)
        assert "--confirm prod" in text(pilot)
        await until(pilot, lambda: isinstance(pilot.app.focused, TypedInput))
        await pilot.press(*"yes", "enter")
        await until(pilot, lambda: "'yes' is not what this changes: that is 'prod'" in text(pilot))
        assert orders.said == []
        await pilot.press("backspace", "backspace", "backspace", *"prod", "enter")
        await until(pilot, lambda: orders.said == [("apply", "prod", "asa.pause", "prod")])


async def test_arming_that_runs_out_between_plan_and_yes_takes_the_word_away() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders) as pilot:
        screen = await planned(pilot)
        await pilot.press("A")
        await until(pilot, lambda: "type yes, enter" in text(pilot))
        await until(pilot, lambda: isinstance(pilot.app.focused, TypedInput))
        await pilot.press(*"yes")
        pass_time(feed, 121)
        await until(pilot, lambda: "not armed: A arms it" in text(pilot))
        assert isinstance(pilot.app.focused, Cancel)
        assert screen.query_one(TypedInput).value == ""
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, PlanScreen))
        assert orders.said == []


async def test_enter_on_yes_in_the_very_moment_the_arming_is_over_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders) as pilot:
        screen = await planned(pilot)
        orders.arm("prod")
        await until(pilot, lambda: "type yes, enter" in text(pilot))
        feed.time = feed.time.replace(hour=15)
        screen._begin("yes")
        await until(pilot, lambda: "not armed any more" in text(pilot))
        assert orders.said == []


async def test_no_key_counts_for_a_moment_after_the_plan_stands_there(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 1e9)
        await pilot.press("y", "enter", "escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PlanScreen)
        assert orders.said == []
        monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 0.0)
        await pilot.press("y")
        await until(pilot, lambda: len(orders.said) == 1)


def test_the_panel_is_deaf_for_about_as_long_as_a_key_takes_to_repeat() -> None:
    assert 0.25 <= DEAF_SECONDS <= 0.5


# Plans -------------------------------------------------------------------------------------------------------------------------------------------


async def test_a_plan_shows_steps_with_before_and_after_who_waits_how_it_is_taken_back_and_the_equal_command() -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        await planned(pilot)
        shown = " ".join(text(pilot).split())
        for part in ("running → stopped", "812 companies, 2 h without delivery, 4.6 % of the error budget", "lost from 2026-11-30",
                     "lpmops asa start -e prod --mode last-output", "--until 2026-11-23T16:03:12Z --yes"):  # fmt: skip
            assert part in shown, part


async def test_the_equal_command_is_copied(own_folders: object) -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        screen = await planned(pilot)
        await pilot.press("y")
        await until(pilot, lambda: any("copied the command" in each for each in notices(pilot)))
        assert pilot.app.clipboard == screen.command


async def test_a_plan_that_something_speaks_against_can_only_be_left() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.plans["dev", "asa.pause"] = pause_plan(
        "dev", Danger.REVERSIBLE, refusals=("lpm-tdr-dev-01 is Failed: that is no state to pause it in.",)
    )
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        assert "that is no state to pause it in" in text(pilot)
        assert "this can't be done now" in text(pilot)
        await pilot.press("y")
        await pilot.pause()
        assert orders.said == []


async def test_a_plan_without_steps_says_that_it_is_so_already() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.plans["dev", "asa.pause"] = pause_plan("dev", Danger.REVERSIBLE, steps=())
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        assert "nothing to do: it is so already" in text(pilot)
        await pilot.press("y")
        await pilot.pause()
        assert orders.said == []


async def test_fields_are_checked_as_they_are_left_and_given_to_the_plan_as_values() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders) as pilot:
        await pilot.press("1")
        app_of(pilot).action_act("asa.pause")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and isinstance(pilot.app.focused, FieldInput)
        )
        await until(pilot, lambda: "why, for whoever is called at night" in text(pilot))
        await pilot.press(*"why not", "tab", *"soon", "tab")
        await until(pilot, lambda: "until: 'soon' is no time." in text(pilot))
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(pilot.app.focused, FieldInput) and pilot.app.focused.field.name == "until"
        )
        assert orders.asked == []
        await pilot.press(*["backspace"] * 4, *"2h", "enter", "enter")
        await until(pilot, lambda: len(orders.asked) == 1)
        assert orders.asked == [
            ("dev", "asa.pause", {"reason": "why not", "until": "2026-11-23T16:03:12.000Z", "ticket": ""})
        ]


async def test_a_start_says_of_each_mode_what_it_skips_and_repeats() -> None:
    feed = MemoryFeed(paused("test", Kind.TEST))
    orders = MemoryOrders(feed)
    orders.modes[1] = Choice("now", "", "somebody said so")
    async with at_work(feed, orders) as pilot:
        await pilot.press("1")
        app_of(pilot).action_act("asa.start")
        await until(pilot, lambda: "last-output  skips 0, repeats 1,200" in text(pilot))
        await pilot.press("down", "down", "tab")
        await until(pilot, lambda: "mode: not now: somebody said so" in text(pilot))
        await pilot.press("shift+tab", "up", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: len(orders.asked) == 1)
        assert orders.asked[0][2]["mode"] == "last-output"


async def test_a_plan_that_can_not_be_made_says_why_and_the_fields_stay() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.refusing["plan"] = LockedError(f"locked {HOSTILE}", hint="Wait for it.\nOr see it: lpmops lock show -e dev")
    async with at_work(feed, orders) as pilot:
        await pilot.press("1")
        app_of(pilot).action_act("asa.pause")
        await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: "locked [/]" in text(pilot) and "Or see it: lpmops lock show -e dev" in text(pilot))
        assert isinstance(pilot.app.focused, FieldInput)
        del orders.refusing["plan"]
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and pilot.app.screen.plan is not None)


async def test_modes_that_can_not_be_counted_say_why_and_the_plan_is_made_all_the_same() -> None:
    feed = MemoryFeed(paused("test", Kind.TEST))
    orders = MemoryOrders(feed)
    orders.refusing["choices"] = RefusedError("the hub can't be read")
    async with at_work(feed, orders) as pilot:
        await pilot.press("1")
        app_of(pilot).action_act("asa.start")
        await until(pilot, lambda: "the hub can't be read" in text(pilot))
        await pilot.press(*"last-output", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and pilot.app.screen.plan is not None)
        await until(pilot, lambda: "Go on?" in text(pilot) and "the hub can't be read" not in text(pilot))


async def test_a_plan_whose_services_hang_can_be_left_and_the_app_goes_on() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.held["plan"] = threading.Event()
    async with at_work(feed, orders) as pilot:
        await pilot.press("1")
        app_of(pilot).action_act("asa.pause")
        await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: "making the plan" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, PlanScreen))
        await pilot.press("2")
        await until(pilot, lambda: app_of(pilot).environment == "test")


async def test_hostile_text_in_every_part_of_a_plan_is_only_text() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    plan = pause_plan(
        "dev", Danger.REVERSIBLE, summary=HOSTILE, command=HOSTILE, undo=HOSTILE, warnings=(HOSTILE,), reason=HOSTILE
    )
    change = replace(plan.steps[0].changes[0], field=HOSTILE, before=HOSTILE, after={"x": HOSTILE})
    steps = tuple(replace(step, name=HOSTILE, changes=(change,)) for step in plan.steps)
    orders.plans["dev", "asa.pause"] = replace(plan, steps=steps)
    orders.events = [(None, "running", ""), (HOSTILE, "begun", HOSTILE), (HOSTILE, "failed", HOSTILE)]
    orders.refusing["apply"] = RefusedError(HOSTILE, hint=HOSTILE)
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        assert text(pilot).count("[@click=app.quit]x[/] ␛[2J漢字") >= 8
        assert "\x1b" not in text(pilot)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen) and "✖ [/] [@click" in text(pilot))
        assert "\x1b" not in text(pilot)


async def test_what_is_pasted_into_a_field_is_only_text() -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        await pilot.press("1")
        app_of(pilot).action_act("asa.pause")
        await until(pilot, lambda: isinstance(pilot.app.focused, FieldInput))
        field = pilot.app.focused
        assert isinstance(field, FieldInput)
        field.insert_text_at_cursor(HOSTILE)
        await pilot.pause()
        assert "\x1b" not in field.value
        assert "\x1b" not in text(pilot)


# Runs --------------------------------------------------------------------------------------------------------------------------------------------


async def test_steps_are_drawn_as_they_go_and_leaving_the_panel_leaves_them_running() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.events, orders.step_gate = pause_events("dev"), threading.Semaphore(0)
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen) and "to do" in text(pilot))
        for expected in ("running", "begun", "accepted", "the pause is noted"):
            orders.step_gate.release()
            await until(pilot, partial(lambda words: words in text(pilot), expected))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, OperationScreen))
        await until(pilot, lambda: "▶ asa pause dev 2/2" in text(pilot))
        await pilot.press("x")
        await until(pilot, lambda: "something is being changed in dev; o shows it" in notices(pilot))
        orders.step_gate.release(100)
        await until(pilot, lambda: "▶ asa pause dev" not in text(pilot))


async def test_how_it_ended_is_told_with_what_comes_next() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.events = pause_events("dev")
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        await pilot.press("y")
        await until(
            pilot, lambda: "● done" in text(pilot) and "lpmops asa start -e dev --mode last-output" in text(pilot)
        )
        assert "state        Stopped" in text(pilot)


async def test_a_refusal_before_anything_began_says_so() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.refusing["apply"] = RefusedError("Things have changed since the plan was made.", hint="Make the plan again.")
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        await pilot.press("y")
        await until(pilot, lambda: "✖ not begun" in text(pilot) and "Make the plan again." in text(pilot))


async def test_an_unexpected_fault_of_a_run_is_told_and_outlived() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.refusing["apply"] = RuntimeError("a bug")
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        await pilot.press("y")
        await until(pilot, lambda: "a bug" in text(pilot))
        await pilot.press("escape", "0")
        await until(pilot, lambda: app_of(pilot).environment is None)


async def test_quitting_while_something_runs_asks_once_and_says_that_it_can_be_resumed() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.events, orders.step_gate = pause_events("dev"), threading.Semaphore(3)
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        await pilot.press("y")
        await until(pilot, lambda: bool(app_of(pilot).going))
        await pilot.press("escape", "q")
        await until(pilot, lambda: isinstance(pilot.app.screen, LeavingScreen))
        await until(pilot, lambda: "the next start shows it, and o then r goes on" in text(pilot))
        panel = pilot.app.screen.query_one(".panel").region
        assert panel.y > 0, "a panel over what is seen, not instead of it"
        assert panel.height < 10
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, LeavingScreen))
        assert not pilot.app._exit
        await pilot.press("q")
        await until(pilot, lambda: isinstance(pilot.app.screen, LeavingScreen))
        await pilot.press("y")
        await until(pilot, lambda: pilot.app._exit)


@pytest.mark.parametrize("size", [(60, 16), (70, 18), (80, 20), (80, 24)])
async def test_the_keys_of_a_panel_are_seen_however_low_the_terminal_is(size: tuple[int, int]) -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.held["apply"] = threading.Event()

    def seen(pilot: Pilot[None]) -> None:
        panel, keys = pilot.app.screen.query_one(".panel").region, pilot.app.screen.query_one(KeyBar).region
        assert keys.height == 1
        assert panel.y < keys.y < panel.bottom - 1, (panel, keys)

    async with at_work(feed, orders, size) as pilot:
        await planned(pilot, "3")
        await pilot.pause()
        seen(pilot)
        await pilot.press("A", *"yes", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen))
        await pilot.pause()
        seen(pilot)
        assert "esc" in text(pilot)


async def test_interrupting_twice_leaves_whatever_runs() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.held["apply"] = threading.Event()
    async with at_work(feed, orders) as pilot:
        await planned(pilot, "1")
        await pilot.press("y")
        await until(pilot, lambda: bool(app_of(pilot).going))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: isinstance(pilot.app.screen, LeavingScreen))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: pilot.app._exit)


async def test_quitting_while_nothing_runs_asks_nothing() -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        await pilot.press("q")
        await until(pilot, lambda: pilot.app._exit)


async def test_an_app_without_orders_offers_no_change() -> None:
    app = LpmopsApp(bad_day())
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.settled)
        await pilot.press("x")
        await pilot.press("o")
        await until(pilot, lambda: notices(pilot) == ["this app only looks", "this app only looks"])

"""What is unfinished is seen, opened, and finished from the app; what was done is read in the audit."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot

from lpmops.errors import InDoubtError, StoreError
from lpmops.tui.place import Place
from lpmops.tui.screens.entry import EntryScreen
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.screens.operation import OperationScreen, ReasonInput
from lpmops.tui.screens.operations import OperationsScreen
from lpmops.tui.widgets.filter_line import FilterLine
from tests.tui.driving import app_of, text, until
from tests.tui.order_worlds import HOSTILE, STEPS, MemoryOrders, at_work, entry, operation, pass_time
from tests.tui.worlds import ago, good_day


def notices(pilot: Pilot[None]) -> list[str]:
    return [notification.message for notification in pilot.app._notifications]


async def opened(pilot: Pilot[None]) -> OperationScreen:
    """Opens the first operation of the list."""
    await pilot.press("o")
    await until(pilot, lambda: isinstance(pilot.app.screen, OperationsScreen) and pilot.app.screen.table.row_count > 0)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen) and "same as" in text(pilot))
    screen = pilot.app.screen
    assert isinstance(screen, OperationScreen)
    return screen


async def test_the_start_says_what_is_unfinished_and_so_does_the_header() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation(), operation("20261123-130000-ee55", "succeeded")]
    async with at_work(feed, orders) as pilot:
        await until(pilot, lambda: "▲ 1 unfinished operation: o shows it" in text(pilot))
        assert notices(pilot) == ["1 unfinished operation: o shows it"]
        await pilot.press("3")
        await until(pilot, lambda: app_of(pilot).environment == "prod" and "o shows it" in text(pilot))


async def test_what_is_unfinished_stands_first_whatever_its_age() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [
        operation("new", "succeeded", started_at=ago(5)),
        operation("old", "interrupted", started_at=ago(90_000)),
    ]
    async with at_work(feed, orders) as pilot:
        await pilot.press("o")
        await until(
            pilot,
            lambda: isinstance(pilot.app.screen, OperationsScreen) and pilot.app.screen.table.keys == ["old", "new"],
        )
        assert "1/2 stop lpm-tdr-prod-01" in text(pilot)
        await pilot.press("slash", *"nothing of it", "enter")
        await until(pilot, lambda: "no operation matches" in text(pilot))


@pytest.mark.parametrize("kind", ["operations", "audit"])
async def test_a_filter_is_drawn_once_for_what_is_typed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = good_day()
    async with at_work(feed, MemoryOrders(feed)) as pilot:
        app_of(pilot).go(Place(kind))
        await until(pilot, lambda: bool(pilot.app.screen.query(FilterLine)))
        screen = pilot.app.screen
        assert isinstance(screen, LiveScreen)
        assert screen.table is not None
        filtered: list[str] = []
        monkeypatch.setattr(screen.table, "filter", filtered.append)
        screen.open_filter("asa")
        await until(pilot, lambda: bool(filtered))
        await pilot.pause()
        assert filtered == ["asa"]


async def test_resuming_in_production_wants_arming_first() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation()]
    orders.events = [(None, "running", ""), (STEPS[1], "done", "lpm-tdr-prod-01 is Stopped"), (None, "succeeded", "")]
    async with at_work(feed, orders) as pilot:
        await opened(pilot)
        await pilot.press("r")
        await until(pilot, lambda: "prod is not armed; A arms it, then r goes on" in notices(pilot))
        assert orders.said == []
        await pilot.press("A")
        await until(pilot, lambda: "armed 120 s" in text(pilot))
        orders.journal = [operation(state="succeeded")]
        await pilot.press("r")
        await until(pilot, lambda: orders.said == [("resume", "20261123-140112-ab12")])
        await until(pilot, lambda: "● done" in text(pilot) and "▲ 1 unfinished" not in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationsScreen))


async def test_in_doubt_it_says_what_was_seen_and_a_person_says_how_it_is_with_a_reason() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation(state="in_doubt")]
    async with at_work(feed, orders) as pilot:
        screen = await opened(pilot)
        assert "seen: lpm-tdr-prod-01 is Running" in text(pilot)
        assert "Nobody knows yet whether that step took effect" in text(pilot)
        await pilot.press("d", "enter")
        await until(pilot, lambda: "it needs a reason, for whoever reads the audit" in notices(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not screen.query_one(ReasonInput).has_class("-open"))
        await pilot.press("n", *"the portal says it runs", "enter")
        await until(
            pilot, lambda: orders.said == [("resolve", "20261123-140112-ab12", "not-done", "the portal says it runs")]
        )


async def test_what_another_process_does_is_followed_in_the_panel() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation(state="running")]
    async with at_work(feed, orders) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "▶ running" in text(pilot))
        assert "r resume" not in text(pilot)
        orders.journal = [operation(state="succeeded")]
        pass_time(feed, 6)
        await until(pilot, lambda: "● done" in text(pilot))


async def test_operations_are_copied_and_saved_as_they_are_seen(own_folders: Path) -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation(reason=HOSTILE)]
    async with at_work(feed, orders) as pilot:
        await pilot.press("o")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, OperationsScreen) and pilot.app.screen.table.row_count > 0
        )
        await pilot.press("y", "x")
        await until(pilot, lambda: pilot.app.clipboard == "lpmops op resume 20261123-140112-ab12")
        for form in ("c", "j"):
            await pilot.press("w", form)
        await until(pilot, lambda: len(list((own_folders / "state" / "saved").glob("operations-*"))) == 2)
        for path in (own_folders / "state" / "saved").glob("operations-*"):
            assert "\x1b" not in path.read_text()


async def test_giving_up_wants_a_reason() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation()]
    async with at_work(feed, orders) as pilot:
        await opened(pilot)
        assert "it is done" not in text(pilot)
        orders.journal = [operation(state="cancelled")]
        await pilot.press("X", *"not needed", "enter")
        await until(pilot, lambda: orders.said == [("abort", "20261123-140112-ab12", "not needed")])
        await until(pilot, lambda: "○ given up" in text(pilot))


async def test_a_resumption_that_ends_in_doubt_again_says_why() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation()]
    orders.events = [(None, "running", ""), (STEPS[1], "in_doubt", HOSTILE), (None, "in_doubt", "")]
    orders.refusing["resume"] = InDoubtError(
        "It is in doubt whether “stop” took effect.", hint="Look again and go on: lpmops op resume X"
    )
    async with at_work(feed, orders) as pilot:
        await opened(pilot)
        await pilot.press("A")
        orders.journal = [operation(state="in_doubt")]
        await pilot.press("r")
        await until(pilot, lambda: "It is in doubt whether" in text(pilot) and "Look again and go on" in text(pilot))
        assert "▲ in doubt" in text(pilot)


async def test_an_operation_that_is_over_offers_nothing_to_finish() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.journal = [operation(state="succeeded")]
    async with at_work(feed, orders) as pilot:
        await opened(pilot)
        await pilot.press("r", "X", "d", "n")
        await pilot.pause()
        assert orders.said == []
        assert "r resume" not in text(pilot)


async def test_read_only_shows_operations_and_finishes_none() -> None:
    feed = good_day()
    orders = MemoryOrders(feed, read_only=True)
    orders.journal = [operation()]
    async with at_work(feed, orders) as pilot:
        await opened(pilot)
        await pilot.press("r", "A")
        await pilot.press("X", *"why", "enter")
        await until(pilot, lambda: len(notices(pilot)) >= 3)
        assert orders.said == []
        assert set(notices(pilot)) == {
            "1 unfinished operation: o shows it",
            "This app was opened read-only: it changes nothing.",
        }


async def test_a_journal_that_can_not_be_read_says_so_and_the_app_goes_on() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.refusing["operations"] = orders.refusing["audit"] = StoreError(f"damaged {HOSTILE}", hint="Move it aside.")
    async with at_work(feed, orders) as pilot:
        for key in ("o", "at"):
            await pilot.press(key)
            await until(pilot, lambda: "damaged [/]" in text(pilot) and "Move it aside." in text(pilot))
        await pilot.press("0")
        await until(pilot, lambda: app_of(pilot).environment is None)


async def test_a_journal_that_hangs_keeps_nobody() -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.held["operations"] = orders.held["audit"] = threading.Event()
    async with at_work(feed, orders) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: "reading …" in text(pilot))
        await pilot.press("at")
        await until(pilot, lambda: app_of(pilot).navigator.here == Place("audit"))
        await pilot.press("1")
        await until(pilot, lambda: app_of(pilot).environment == "dev")


async def test_the_audit_is_read_newest_first_filtered_opened_and_saved(own_folders: Path) -> None:
    feed = good_day()
    orders = MemoryOrders(feed)
    orders.entries = [
        entry(3, "operation.ended", {"state": "succeeded"}, 10),
        entry(2, "step.done", {"step": HOSTILE}, 20),
        entry(1, "operation.begun", {"summary": "Pause it", "command": "lpmops asa pause -e prod"}, 30),
    ]
    async with at_work(feed, orders) as pilot:
        await pilot.press("at")
        await until(pilot, lambda: "operation.begun" in text(pilot) and "[@click=app.quit]x[/] ␛[2J漢字" in text(pilot))
        shown = text(pilot)
        assert shown.index("operation.ended") < shown.index("operation.begun")
        await pilot.press("slash", *"begun", "enter")
        await until(pilot, lambda: "operation.ended" not in text(pilot))
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, EntryScreen) and "lpmops asa pause -e prod" in text(pilot)
        )
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, EntryScreen))
        await pilot.press("w", "c")
        await until(pilot, lambda: bool(list((own_folders / "state" / "saved").glob("audit-*.csv"))))

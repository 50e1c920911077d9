"""The past through the app: opened, walked through and left, always one whole moment, whatever the store does."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from textual.pilot import Pilot

from lpmops.errors import StoreError
from lpmops.model import Health, Kind, Turn
from lpmops.tui import line
from lpmops.tui.aside import Latest
from lpmops.tui.screens.turns import TurnsScreen
from lpmops.tui.widgets.time_bar import TimeBar
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.test_endurance import Terminal
from tests.tui.worlds import NOW, MemoryFeed, a_bad_night, good, night, taken

AT_NIGHT = night(3, 12)
SIZES = ((60, 16), (80, 24), (120, 40), (200, 60))


def shown(pilot: Pilot[None]) -> datetime | None:
    return app_of(pilot).scene.past


async def arrived(pilot: Pilot[None], moment: datetime | None) -> None:
    """Waits until that moment is drawn."""
    await until(pilot, lambda: shown(pilot) == moment)
    await pilot.pause()


@asynccontextmanager
async def at_night(
    size: tuple[int, int] = (120, 40), feed: MemoryFeed | None = None, moment: datetime = AT_NIGHT
) -> AsyncIterator[tuple[Pilot[None], MemoryFeed]]:
    """The app at a moment of the bad night."""
    feed = feed or a_bad_night()
    async with opened(feed, size) as pilot:
        app_of(pilot).go_to_moment(moment)
        await arrived(pilot, moment)
        await until(pilot, lambda: not [name for name in readers() if name.split()[-1] not in feed.past_hanging])
        yield pilot, feed


@pytest.fixture
def feed() -> Iterator[MemoryFeed]:
    """The bad night; what hangs in it hangs no longer than the test."""
    feed = a_bad_night()
    yield feed
    for event in (*feed.past_hanging.values(), feed.let_go):
        event.set()


def readers() -> list[str]:
    """What reads the past just now."""
    names = (thread.name.removeprefix("lpmops-tui ") for thread in threading.enumerate())
    return [name for name in names if name.startswith(("reading the past of", "reading the time line of"))]


# Moving ------------------------------------------------------------------------------------------------------------------------------------------


async def test_the_line_opens_at_now_and_closes_where_it_was() -> None:
    async with opened(a_bad_night(), (80, 24)) as pilot:
        before = text(pilot)
        await pilot.press("t")
        await until(pilot, lambda: " NOW " in rows(pilot)[-3] and "▲" in rows(pilot)[-2])
        assert rows(pilot)[-2].rstrip().endswith("now")
        assert "earlier" in rows(pilot)[-1]
        assert shown(pilot) is None
        await pilot.press("t")
        await pilot.pause()
        assert text(pilot) == before


async def test_a_step_goes_to_whole_steps_of_the_clock_and_back_to_now() -> None:
    async with opened(a_bad_night()) as pilot:
        await pilot.press("t", "left")
        await arrived(pilot, NOW.replace(second=0))
        await pilot.press("left")
        await arrived(pilot, NOW.replace(second=0) - timedelta(minutes=1))
        await pilot.press("less_than_sign")
        await arrived(pilot, NOW.replace(second=0) - timedelta(minutes=11))
        await pilot.press("greater_than_sign", "right", "right")
        await arrived(pilot, None)
        assert "PAST" not in text(pilot)
        assert " NOW " in rows(pilot)[-3], "the line stays"
        await pilot.press("right")
        await pilot.pause()
        assert shown(pilot) is None


async def test_nothing_lies_before_the_first_moment_that_was_kept() -> None:
    first = night(1, 59, 57)
    async with at_night(moment=night(2, 1)) as (pilot, _):
        await pilot.press("left", "left", "left", "left")
        await arrived(pilot, first)
        assert "the first moment that was kept" in text(pilot)
        await pilot.press("less_than_sign")
        await pilot.pause()
        assert shown(pilot) == first


async def test_a_moment_typed_before_anything_was_kept_is_the_first_that_was() -> None:
    async with opened(a_bad_night()) as pilot:
        await line.run("time 00:30", app_of(pilot))
        await arrived(pilot, night(1, 59, 57))


async def test_a_moment_is_typed_and_escape_leads_back_to_now() -> None:
    async with opened(a_bad_night()) as pilot:
        await line.run("time 03:12", app_of(pilot))
        await arrived(pilot, night(3, 12))
        assert "PAST Nov 23 03:12:00Z" in text(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert "PAST" not in text(pilot)
        assert "earlier" not in rows(pilot)[-1], "the keys of the line go with it"
        assert app_of(pilot).scene is app_of(pilot).live


async def test_from_turn_to_turn_of_events() -> None:
    async with at_night() as (pilot, _):
        await pilot.press("right_curly_bracket")
        await arrived(pilot, night(3, 18, 57))
        assert "✖ prod sql.throttled began" in text(pilot)
        await pilot.press("left_curly_bracket")
        await arrived(pilot, night(3, 9, 57))
        for moment in (night(3, 3, 57), night(2, 53, 57), night(2, 50, 57)):
            await pilot.press("left_curly_bracket")
            await arrived(pilot, moment)
        await pilot.press("left_curly_bracket")
        await pilot.pause()
        assert shown(pilot) == night(2, 50, 57)
        await until(pilot, lambda: any("_ makes it longer" in note.message for note in app_of(pilot)._notifications))


async def test_zooming_keeps_the_moment_and_changes_the_step() -> None:
    async with at_night() as (pilot, _):
        await pilot.press("plus")
        await until(pilot, lambda: "15 min in steps of 15 s" in text(pilot))
        await pilot.press("right")
        await arrived(pilot, night(3, 12, 15))
        await pilot.press("underscore", "underscore")
        await until(pilot, lambda: "6 h in steps of 5 min" in text(pilot))
        assert shown(pilot) == night(3, 12, 15)
        await pilot.press("n")
        await arrived(pilot, None)


async def test_the_mouse_goes_to_a_moment_and_the_wheel_steps() -> None:
    async with at_night((80, 24)) as (pilot, _):
        bar = pilot.app.screen.query_one(TimeBar)
        await pilot.click(TimeBar, offset=(rows(pilot)[-2].index("✖"), 1))
        await arrived(pilot, night(3, 18, 57))
        await pilot.click(TimeBar, offset=(rows(pilot)[-2].rindex("─"), 1))
        await until(pilot, lambda: (shown(pilot) or NOW) > night(3, 40))
        before = shown(pilot)
        assert before is not None
        assert (before.second, before.microsecond) in ((0, 0), (30, 0)), "a moment that is easily said"
        bar.post_message(TimeBar.Stepped(-1))
        await until(pilot, lambda: (shown(pilot) or before) < before)


async def test_the_list_of_turns_leads_to_a_moment() -> None:
    async with at_night() as (pilot, _):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, TurnsScreen))
        await pilot.pause()
        listed = text(pilot)
        assert "what turned 14" in listed
        assert listed.index("03:38:57Z") < listed.index("03:18:57Z") < listed.index("02:50:57Z"), "newest first"
        assert "✖ sql.throttled began" in listed
        await pilot.press("up", "enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, TurnsScreen))
        await arrived(pilot, night(3, 18, 57))


async def test_the_keys_of_the_line_work_where_a_table_has_the_keys() -> None:
    async with at_night((80, 24)) as (pilot, _):
        await pilot.press("3")
        await pilot.pause()
        await pilot.press("left")
        await arrived(pilot, night(3, 11))
        await pilot.press("right", "right")
        await arrived(pilot, night(3, 13))


# What is shown -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_says_past_in_its_frame_and_in_both_bars(size: tuple[int, int]) -> None:
    async with at_night(size) as (pilot, _):
        for keys in ((), ("3",)):
            await pilot.press(*keys)
            await pilot.pause()
            drawn = rows(pilot)
            assert drawn[0].startswith(" PAST ")
            assert "03:12:00Z" in drawn[0]
            assert any(row[0] in "╔┌" and " PAST " in row for row in drawn[1:])
            assert any(row.startswith((" PAST Nov 23", " PAST 2026-11-23")) for row in drawn[-4:])
            assert {len(row) for row in drawn} == {size[0]}


async def test_every_screen_shows_that_moment_and_nothing_of_now() -> None:
    async with at_night((160, 50)) as (pilot, feed):
        drawn = text(pilot)
        assert "calls/min" not in drawn
        assert "token" not in drawn
        assert "paused by dana" not in drawn, "what is true now is not what was true then"
        assert "as of 3 s" in drawn
        feed.push(good("prod", Kind.PROD, rate=7_777.0))
        await until(pilot, lambda: app_of(pilot).live.views[2].live)
        await pilot.press("3")
        await pilot.pause()
        drawn = text(pilot)
        assert "7,777" not in drawn
        assert "asa.saturated" in drawn
        assert "38 min ago, 02:34:00" in drawn, "the card beside the table counts to that moment"
        await pilot.press("n")
        await until(pilot, lambda: "7,777/s" in text(pilot))


async def test_values_are_stale_by_that_moment_and_not_by_now() -> None:
    async with at_night(moment=night(3, 12, 40)) as (pilot, _):
        assert "as of 43 s" in text(pilot)


async def test_a_refresh_and_a_hold_say_why_not() -> None:
    async with at_night() as (pilot, feed):
        await pilot.press("r", "p")
        await pilot.pause()
        said = {note.message for note in app_of(pilot)._notifications}
        assert said == {
            "the past stays as it was; n leads back to now",
            "the past stands still already; n leads back to now",
        }
        assert feed.refreshed == []


async def test_a_held_display_is_held_again_after_the_past() -> None:
    async with opened(a_bad_night()) as pilot:
        await pilot.press("p", "t", "left")
        await arrived(pilot, NOW.replace(second=0))
        assert "display held" not in text(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert "display held" in text(pilot)


async def test_an_environment_of_which_nothing_was_kept_says_so_alone(feed: MemoryFeed) -> None:
    feed.kept = {key: snapshot for key, snapshot in feed.kept.items() if key[0] != "dev"}
    async with at_night(feed=feed) as (pilot, _):
        drawn = text(pilot)
        assert drawn.count("nothing was kept of this moment") == 1
        assert "PROD  ▲ degraded" in drawn
        await pilot.press("1")
        await pilot.pause()
        assert text(pilot).count("nothing was kept of this moment") == 2, (
            "in the strip and where the companies would stand"
        )


# What the store does -----------------------------------------------------------------------------------------------------------------------------


async def test_a_store_that_fails_for_one_environment_leaves_the_others_their_past(feed: MemoryFeed) -> None:
    feed.past_broken["test"] = StoreError("The store is locked by another process.")
    async with at_night(feed=feed) as (pilot, _):
        drawn = text(pilot)
        assert drawn.count("The store is locked by another process.") >= 1
        assert "PROD  ▲ degraded" in drawn
        assert "▸ dev  ● fine" in drawn


async def test_a_store_that_surprises_is_shown_and_outlived(feed: MemoryFeed) -> None:
    feed.past_broken["test"] = ValueError("no [/such thing")
    async with at_night(feed=feed) as (pilot, _):
        assert "reading the past: no [/such thing" in text(pilot)
        await pilot.press("left")
        await arrived(pilot, night(3, 11))


async def test_a_store_that_hangs_for_one_environment_holds_up_no_moment_for_long(
    monkeypatch: pytest.MonkeyPatch, feed: MemoryFeed
) -> None:
    monkeypatch.setattr("lpmops.tui.rewind.PATIENCE", 0.05)
    feed.past_hanging["test"] = threading.Event()
    async with at_night(feed=feed) as (pilot, _):
        assert "has not answered for this moment yet" in text(pilot)
        assert "PROD  ▲ degraded" in text(pilot)
        await pilot.press("left")
        await arrived(pilot, night(3, 11))
        feed.past_hanging["test"].set()
        await until(pilot, lambda: "has not answered" not in text(pilot))
        assert shown(pilot) == night(3, 11), "what comes late belongs to the moment that is shown"
        assert "sign-in expired" in text(pilot)


async def test_while_nothing_answers_now_stays_and_the_line_says_so(
    monkeypatch: pytest.MonkeyPatch, feed: MemoryFeed
) -> None:
    monkeypatch.setattr("lpmops.tui.rewind.PATIENCE", 0.05)
    async with opened(feed) as pilot:
        feed.let_go.clear()
        await pilot.press("t", "left", "left")
        await until(pilot, lambda: "the local store does not answer" in text(pilot))
        assert shown(pilot) is None
        feed.let_go.set()
        await arrived(pilot, NOW.replace(minute=2, second=0))


async def test_no_screen_mixes_two_moments(feed: MemoryFeed) -> None:
    feed.past_hanging["prod"] = threading.Event()
    async with opened(feed) as pilot:
        app_of(pilot).go_to_moment(night(3, 12))
        await until(pilot, lambda: ("test", night(3, 12)) in feed.past_asked)
        await until(pilot, lambda: "reading the past of test" not in " ".join(readers()))
        await until(pilot, lambda: "reading 03:12:00Z" in text(pilot))
        assert shown(pilot) is None
        assert "⏸" in text(pilot), "until all is known what was shown stays whole"
        feed.past_hanging["prod"].set()
        await arrived(pilot, night(3, 12))
        scene = app_of(pilot).scene
        assert {view.snapshot.taken_at for view in scene.views if view.snapshot} == {night(3, 11, 57)}


@pytest.mark.parametrize("key", ["escape", "n", "t"])
async def test_a_late_answer_does_not_bring_the_past_back(key: str, feed: MemoryFeed) -> None:
    async with opened(feed) as pilot:
        feed.past_hanging["prod"] = threading.Event()
        await pilot.press("t", "left")
        await until(pilot, lambda: "reading 14:03:00Z" in text(pilot))
        await pilot.press(key)
        feed.past_hanging["prod"].set()
        await until(pilot, lambda: not readers())
        await pilot.pause(0.05)
        assert shown(pilot) is None
        assert "PAST" not in text(pilot)


async def test_scrubbing_quickly_reads_the_first_and_the_last_moment_only(feed: MemoryFeed) -> None:
    async with opened(feed) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: not readers())
        feed.past_hanging["prod"] = threading.Event()
        feed.past_asked.clear()
        await pilot.press(*["left"] * 12)
        feed.past_hanging["prod"].set()
        last = NOW.replace(second=0) - timedelta(minutes=11)
        await arrived(pilot, last)
        assert sorted({at for name, at in feed.past_asked if name == "prod" and at > NOW - timedelta(minutes=30)}) == [
            last,
            NOW.replace(second=0),
        ]


async def test_the_open_line_follows_now_and_shows_what_turns(feed: MemoryFeed) -> None:
    async with opened(feed) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: "▲" in rows(pilot)[-2])
        feed.happened.append(Turn(NOW + timedelta(seconds=20), "dev", "suspect", "cdf.disabled", Health.DOWN))
        feed.time = NOW + timedelta(seconds=30)
        await until(pilot, lambda: "✖ dev cdf.disabled began" in text(pilot))


async def test_a_clock_set_back_moves_the_line_and_says_what_lies_ahead(feed: MemoryFeed) -> None:
    async with at_night(feed=feed) as (pilot, _):
        feed.time = night(3, 0)
        await until(pilot, lambda: "ahead of this machine's clock" in text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: " NOW " in text(pilot))
        shown_line = app_of(pilot).scene.line
        assert shown_line is not None
        assert shown_line.end == night(3, 0)


async def test_what_is_kept_grows_while_the_line_is_open() -> None:
    feed = MemoryFeed(good("dev", Kind.DEV))
    async with opened(feed) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: "····" in text(pilot))
        feed.keep(taken(good("dev", Kind.DEV), NOW - timedelta(minutes=40)))
        feed.time = NOW + timedelta(seconds=15)
        await until(pilot, lambda: "────" in rows(pilot)[-2])


def test_quitting_waits_for_no_past_that_is_read() -> None:
    terminal = Terminal(hanging=True)
    terminal.read_until(b"PROD")
    terminal.press(b"t")
    terminal.read_until(b"NOW")
    terminal.press(b"\x1b[D\x1b[D")
    terminal.read_until(b"reading 1")
    terminal.press(b"q")
    assert terminal.ended() == 0
    assert b"\x1b[?1049l" in terminal.output, "the terminal is given back"


def test_the_newest_wish_is_never_lost() -> None:
    done: list[int] = []
    seen = threading.Event()
    number = 3_000

    def work(wish: int) -> None:
        done.append(wish)
        if wish == number - 1:
            seen.set()

    latest = Latest[int]("counting", work)
    for wish in range(number):
        latest.ask(wish)
    assert seen.wait(10)
    assert done == sorted(set(done)), "in order, and none twice"


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30))])
async def test_the_list_of_turns_is_whole_in_the_smallest_room(zone: tzinfo) -> None:
    async with at_night((66, 16)) as (pilot, _):
        app_of(pilot).live = replace(app_of(pilot).live, zone=zone)
        app_of(pilot).show_now()
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, TurnsScreen))
        await pilot.pause()
        assert "sql.throttled began" in text(pilot)
        assert ("03:18:57Z" if zone is UTC else "08:48:57+05:30") in text(pilot)

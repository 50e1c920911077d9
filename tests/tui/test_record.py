"""One change: its stamps, where its time went, what it holds, and its neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from textual.pilot import Pilot

from lpmops.tui import changes, ruler
from lpmops.tui.feed import Limits
from lpmops.tui.place import Place
from lpmops.tui.screens.company import CompanyScreen
from lpmops.tui.screens.record import RecordScreen
from lpmops.tui.sheet import json_text
from lpmops.tui.widgets.pager import Pager
from lpmops.tui.widgets.record import payload
from tests.tui.closer_worlds import closer_day, record
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.worlds import MemoryFeed, ago


@asynccontextmanager
async def opened_record(
    feed: MemoryFeed, number: int = 0, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Pilot[None]]:
    """The screen of the `number`th newest record of PROD's first company."""
    async with opened(feed, size) as pilot:
        app_of(pilot).go(Place("record", "prod", "1001", feed.landed[number]))
        await until(pilot, lambda: isinstance(pilot.app.screen, RecordScreen) and f"{number + 1} of 40" in text(pilot))
        yield pilot


def written(values: Mapping[str, Any]) -> list[str]:
    """The payload as it is written."""
    return ["".join(part.text for part in line) for line in payload(replace(record(), values=values), UTC)]


async def test_every_stamp_has_date_milliseconds_and_zone_and_every_hop_its_time() -> None:
    async with opened_record(closer_day(), 1) as pilot:
        shown = rows(pilot)
        assert "PROD  + insert 0193e2c47a4e217c0001  of company 1001" in shown[1]
        assert "committed   2026-11-23 14:02:57.740Z" in shown[2]
        assert "2026-11-23 14:02:58.750Z   1.010 s" in shown[3]
        assert "2026-11-23 14:02:58.870Z   0.120 s" in shown[4]
        assert "2026-11-23 14:02:59.900Z   1.030 s" in shown[5]
        assert "commit→landed" in shown[6]
        assert "2.160 s" in shown[6]
        assert "┤15 s├" in shown[6]
        assert "version 48,111   partition 1   sequence 48,112,328   change insert" in shown[7]


async def test_each_hop_begins_where_the_one_before_it_ended() -> None:
    feed = closer_day()
    feed.landed[0] = record(0, hub=30.0)
    async with opened_record(feed, 0, (120, 40)) as pilot:
        bars = [row[50:] for row in rows(pilot)[3:6]]
        begins = [min(bar.find(block) for block in "█▏▎▍▌▋▊▉" if block in bar) for bar in bars]
        assert begins[0] <= begins[1] < begins[2]
        assert bars[1].count("█") > 15, "the hop that took the time is the long one"
        assert "┃60 s" in rows(pilot)[6]


async def test_clocks_that_differ_are_said_and_not_hidden() -> None:
    feed = closer_day()
    early = feed.landed[0].enqueued_at
    assert early is not None
    feed.landed[0] = replace(feed.landed[0], sent_at=early + timedelta(seconds=0.25))
    async with opened_record(feed) as pilot:
        assert "-0.250 s" in text(pilot)
        assert "two clocks differ" in text(pilot)


async def test_missing_stamps_are_dashes() -> None:
    feed = closer_day()
    feed.landed[0] = replace(feed.landed[0], sent_at=None, partition=None, sequence=None)
    async with opened_record(feed) as pilot:
        assert "sent        –" in text(pilot)
        assert "partition –" in text(pilot)
        assert "0.000 s" not in text(pilot)


async def test_a_replayed_record_names_its_replay() -> None:
    async with opened_record(closer_day(), 5) as pilot:
        assert "↻ replay replay-7f3a" in text(pilot)


async def test_the_payload_is_read_by_scrolling() -> None:
    async with opened_record(closer_day()) as pilot:
        assert "caller_number     •••" in text(pilot)
        assert "user_agent" not in text(pilot)
        await pilot.press("G")
        await until(pilot, lambda: '"user_agent": "edge/4.2",' in text(pilot))
        await pilot.press("g")
        await until(pilot, lambda: "call_id " in text(pilot))
        await pilot.press("pagedown")
        await until(pilot, lambda: '"method": "INVITE"' in text(pilot))


async def test_long_lines_are_folded_or_cut_by_b() -> None:
    feed = closer_day()
    feed.landed[0] = replace(feed.landed[0], values={"note": "word " * 60, "after": "it"})
    async with opened_record(feed) as pilot:
        pager = pilot.app.screen.query_one(Pager)
        await until(pilot, lambda: len(pager.laid) == 6)
        await pilot.press("b")
        assert len(pager.laid) == 2
        assert "word…" in text(pilot)
        await pilot.press("b")
        assert len(pager.laid) == 6


async def test_neighbours_are_those_of_the_table_as_it_is_filtered_and_sorted() -> None:
    async with opened(closer_day()) as pilot:
        app_of(pilot).go(Place("company", "prod", "1001"))
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen) and "newest records 40" in text(pilot))
        await pilot.press("slash", *"delete", "enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecordScreen) and "1 of 8" in text(pilot))
        await pilot.press("J", "J")
        await until(pilot, lambda: record(14).record_id in text(pilot))
        assert "3 of 8" in text(pilot)
        await pilot.press("K")
        await until(pilot, lambda: "2 of 8" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))
        screen = pilot.app.screen
        assert isinstance(screen, CompanyScreen)
        assert screen.table.cursor_key == changes.key(record(9)), "one comes back to the record one has read"
        assert len(app_of(pilot).navigator.visits.places) == 4, "going through the records is no journey to go back on"


async def test_the_last_neighbour_says_so() -> None:
    async with opened_record(closer_day()) as pilot:
        await pilot.press("K")
        await until(pilot, lambda: "there is no record before this one" in text(pilot))
        assert "1 of 40" in text(pilot)


async def test_a_record_that_is_no_longer_among_the_newest_is_still_shown() -> None:
    feed = closer_day()
    async with opened_record(feed, 3) as pilot:
        feed.landed = feed.landed[:3]
        await pilot.press("r")
        await until(pilot, lambda: "no longer among the newest" in text(pilot))
        assert record(3).record_id in text(pilot)


def test_json_in_a_text_is_set_out_and_what_is_broken_stays_as_it_is() -> None:
    assert written({"sipreq": '{"a":{"b":[1,null]},"c":"x"}'}) == [
        "sipreq", "  {", '    "a": {', '      "b": [', "        1,", "        null", "      ]", "    },", '    "c": "x"', "  }",
    ]  # fmt: skip
    assert written({"sipreq": '{"a":'}) == ['sipreq  {"a":']
    assert written({"sipreq": "[" * 100_000}) == ["sipreq  " + "[" * 100_000]
    assert written({"empty": "", "none": None, "list": [], "yes": True}) == [
        "empty  an empty text", "none   null", "list   []", "yes    true",
    ]  # fmt: skip


def test_values_of_every_type_are_shown_and_can_be_saved() -> None:
    values = {
        "when": datetime(2026, 3, 2, 3, 10, tzinfo=UTC),
        "naive": datetime(2026, 3, 2, 3, 10),
        "money": Decimal("12.50"),
        "bytes": b"\x00\x1b[31m",
        "nan": float("nan"),
        "lines": "one\r\ntwo",
    }
    assert written(values) == [
        "when   2026-03-02 03:10:00.000Z",
        "naive  2026-03-02 03:10:00.000",
        "money  12.50",
        "bytes  b'\\x00\\x1b[31m'",
        "nan    nan",
        "lines", "  one", "  two",
    ]  # fmt: skip
    assert '"money": "12.50"' in json_text(changes.data(replace(record(), values=values)))


@pytest.mark.parametrize(("worst", "end"), [(None, 18.75), (3.0, 18.75), (15.5, 75.0), (60.0, 75.0), (200.0, 220.0)])
def test_a_scale_ends_a_little_over_what_it_has_to_hold(worst: float | None, end: float) -> None:
    assert ruler.end_of(worst, Limits()) == pytest.approx(end)


def test_what_takes_time_is_seen_however_short_it_is() -> None:
    assert ruler.span(0.0, 0.001, 75.0, 40) == (0, "▏")
    assert ruler.span(70.0, 500.0, 75.0, 40)[1] == "███"
    assert ruler.span(1.0, 1.0, 75.0, 40) == (0, "")


async def test_a_record_is_copied_whole() -> None:
    async with opened_record(closer_day()) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, RecordScreen)
        found, sheet = screen.copyable(), screen.sheet()
        assert found is not None
        assert sheet is not None
        assert '"user_agent": "edge/4.2"' in found.row
        assert {"column": "trunk", "value": "trunk-03"} in sheet.plain_rows
        assert found.data["landed_at"] == "2026-11-23T14:03:09.600Z"
        assert ago(2.4) == screen.record.landed_at

"""Names, reasons and identities written by somebody who wishes the app ill: nothing crashes, nothing moves, nothing acts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lpmops.errors import LpmopsError
from lpmops.model import Confidence, Credential, Health, Kind, LogLine, Reading, Route, Snapshot, Stage, Suspect
from lpmops.plain_text import plain
from lpmops.tui.folding import folded, folded_text
from lpmops.tui.paint import Piece
from lpmops.tui.place import Place
from lpmops.tui.screens.entry import EntryScreen
from lpmops.tui.sheet import json_text
from tests.tui.closer_worlds import minutes, records
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.worlds import MemoryFeed, ago, good, reading

NASTY = {
    "markup": "[/] [bold]x[/red] [@click=app.quit]quit[/]",
    "escape": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "right_to_left": "\u202eabc\u2066 \u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627",
    "wide": "漢字かな交じり文 👩‍👩‍👧‍👦 ｗｉｄｅ " * 4,
    "null": "a\x00b\x01c\u200b\ufeff\ud800",
    "lines": "one\r\ntwo\ttab\u2028three",
    "long": "x" * 5000,
    "combining": "z" + "\u0335\u0336\u0337" * 50,
    "empty": "",
}


def nasty_world(word: str, kind: Kind) -> Snapshot:
    base = good("prod", kind)
    stages = {
        name: Stage(
            name,
            Health.DOWN,
            word,
            word,
            lag=3.0,
            lag_unit=word or "s",
            rate=1.0,
            readings=(Reading(word, word, word, None, word), reading("ok", 1)),
        )
        for name in base.stages
    }
    route = Route(word, word, word, word, 1, 1.0, None, None)
    suspect = Suspect(word, word, Confidence.SURE, word, (word, word), (word,))
    credential = Credential("expired", word, None, word)
    return replace(base, stages=stages, routes=(route,), suspects=(suspect,) * 3, credential=credential)


@pytest.mark.parametrize("name", NASTY)
async def test_hostile_text_changes_nothing_but_its_own_cells(name: str) -> None:
    async with opened(MemoryFeed(nasty_world(NASTY[name], Kind.PROD))) as pilot:
        edges = {row[-1] for row in rows(pilot) if row.startswith(("╔", "║", "╚"))}
        assert edges == set("╗║╝")
        for keys in ((), ("1",), ("enter",), ("escape", "slash", "x", "enter")):
            await pilot.press(*keys)
            await pilot.pause()
            assert {cell_len(row) for row in rows(pilot)} == {80}, keys
            assert not {"\x1b", "\x00", "\x9b", "\u202e", "\ud800"} & set(text(pilot))
            assert not any("\n" in row for row in rows(pilot))
        assert pilot.app.is_running


async def test_an_environment_with_a_hostile_name_is_drawn_and_opened() -> None:
    feed = MemoryFeed(replace(good("x", Kind.DEV), environment="[/]\x1b[31m漢字"))
    async with opened(feed) as pilot:
        await pilot.press("1")
        await pilot.pause()
        assert "[/]␛[31m漢字" in rows(pilot)[0]
        await pilot.press("r")
        await pilot.pause()
        assert pilot.app.is_running


async def test_a_fault_told_in_a_notice_is_no_markup() -> None:
    async with opened(MemoryFeed(good("dev", Kind.DEV))) as pilot:
        app_of(pilot).tell("refused [/subscriptions/1] \x1b[31m")
        await pilot.pause()
        assert pilot.app.is_running


def closer_world(word: str) -> MemoryFeed:
    """A feed whose every closer look answers with `word` wherever text comes from outside."""
    base = good("prod", Kind.PROD)
    feed = MemoryFeed(replace(base, routes=(replace(base.routes[0], company=word, database=word, state=word),)))
    values = {
        word: word,
        "nested": {word: [word, {word: word}]},
        "json": json.dumps({word: [word, None]}),
        "text": word,
    }
    feed.landed = [
        replace(each, record_id=word, change_type=word, replay_id=word, values=values) for each in records(3)
    ]
    feed.minutes = minutes(5)
    feed.written = [LogLine(ago(number), "asa", word, word, f"{word}{number}", number) for number in range(4)]
    return feed


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_hostile_text_in_every_closer_look_changes_nothing_but_its_own_cells(
    name: str, size: tuple[int, int]
) -> None:
    feed = closer_world(NASTY[name])
    async with opened(feed, size) as pilot:
        app_of(pilot).go(Place("company", "prod", "1001"))
        await until(pilot, lambda: "newest records 3" in text(pilot))
        for keys in (
            (),
            ("s",),
            ("enter",),
            ("J",),
            ("b",),
            ("G",),
            ("escape", "slash", "x", "enter"),
            ("escape", "l"),
            ("b",),
            ("v",),
            ("enter",),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            await until(pilot, lambda: "reading …" not in text(pilot))
            assert {cell_len(row) for row in rows(pilot)} == {size[0]}, keys
            assert not {"\x1b", "\x00", "\x9b", "\u202e", "\ud800"} & set(text(pilot)), keys
            assert not any("\n" in row for row in rows(pilot)), keys
        assert isinstance(pilot.app.screen, EntryScreen)
        found = app_of(pilot).seen
        assert found is not None
        sheet, copied = found.sheet(), found.copyable()
        assert sheet is not None
        assert copied is not None
        json_text([*sheet.plain_rows, copied.data]).encode()


@pytest.mark.parametrize("name", NASTY)
async def test_hostile_faults_places_and_warnings_are_only_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    word = NASTY[name]
    feed = closer_world("x")
    feed.refusing = dict.fromkeys(("records", "calls", "logs"), LpmopsError(word, hint=word))
    monkeypatch.setattr(feed, "places", lambda: [(word, word)])
    monkeypatch.setattr(feed, "warnings", lambda: [word])
    monkeypatch.setattr(feed, "log_sources", lambda _environment: ("asa", word))
    async with opened(feed) as pilot:
        for place in (Place("company", "prod", "1001"), Place("logs", "prod"), Place("settings")):
            app_of(pilot).go(place)
            await pilot.pause()
            await until(pilot, lambda: "reading …" not in text(pilot))
            await pilot.press("G")
            assert {cell_len(row) for row in rows(pilot)} == {80}, place
            assert not {"\x1b", "\x00", "\x9b", "\u202e", "\ud800"} & set(text(pilot)), place
        assert pilot.app.is_running


@given(st.text(max_size=300), st.integers(1, 40), st.integers(0, 6))
def test_folding_loses_no_word_and_no_line_is_too_wide(word: str, width: int, indent: int) -> None:
    clean = plain(word)
    parts = folded_text(clean, width, min(indent, width - 1))
    assert "".join(parts).replace(" ", "") == clean.replace(" ", "")
    # A character may be wider than the room there is.
    assert all(cell_len(part) <= max(2, width) for part in parts)
    half = len(clean) // 2
    lines = folded((Piece(clean[:half]), Piece(clean[half:], "muted")), width, min(indent, width - 1))
    drawn = "".join(part.text for line in lines for part in line)
    assert drawn.replace(" ", "") == clean.replace(" ", "")

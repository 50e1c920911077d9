"""Names, reasons and identities written by somebody who wishes the app ill: nothing crashes, nothing moves, nothing acts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from lpmops.model import Confidence, Credential, Health, Kind, Reading, Route, Snapshot, Stage, Suspect
from tests.tui.driving import app_of, opened, rows, text
from tests.tui.worlds import MemoryFeed, good, reading

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

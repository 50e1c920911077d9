"""Settings: what lpmops goes by, what the sign-ins are, where the files are, and what enter and y do to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from lpmops import __version__
from lpmops.model import Kind
from lpmops.tui.app import LpmopsApp
from lpmops.tui.preferences import Preferences
from lpmops.tui.screens.overview import OverviewScreen
from lpmops.tui.screens.settings import SettingsScreen
from lpmops.tui.widgets.settings import Setting
from tests.tui.closer_worlds import sign_ins
from tests.tui.driving import rows, text, until
from tests.tui.worlds import MemoryFeed, good


@asynccontextmanager
async def settings(
    feed: MemoryFeed, size: tuple[int, int] = (120, 40), preferences: Preferences | None = None
) -> AsyncIterator[Pilot[None]]:
    app = LpmopsApp(feed, preferences=preferences)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.settled)
        await pilot.press("comma")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen) and "version" in text(pilot))
        yield pilot
        assert app.faults.sentences == [] or preferences is not None


def row_of(pilot: Pilot[None], section: str, name: str) -> Setting:
    screen = pilot.app.screen
    assert isinstance(screen, SettingsScreen)
    return next(row for row in screen.table.rows if (row.section, row.name) == (section, name))


def choose(pilot: Pilot[None], section: str, name: str) -> None:
    screen = pilot.app.screen
    assert isinstance(screen, SettingsScreen)
    screen.table._go([(row.section, row.name) for row in screen.table.rows].index((section, name)))


async def test_it_says_where_the_files_are_and_y_copies_a_path() -> None:
    async with settings(sign_ins()) as pilot:
        assert "/home/ops/.config/lpmops/lpmops.toml" in text(pilot)
        choose(pilot, "files", "store")
        screen = pilot.app.screen
        assert isinstance(screen, SettingsScreen)
        found = screen.copyable()
        assert found is not None
        assert found.cell == "/home/ops/.local/state/lpmops/lpmops.db"
        assert row_of(pilot, "lpmops", "version").value == __version__


async def test_a_sign_in_that_ended_shows_the_exact_command() -> None:
    async with settings(sign_ins()) as pilot:
        assert "✖ expired · ended 10 min ago, at 13:53:12 · ops@lpm.example" in text(pilot)
        assert "● ok · 41 min left, until 14:44:12" in text(pilot)
        command = "az login --tenant 11111111-2222-4333-8444-555555555555"
        choose(pilot, "sign-in", "PROD")
        await until(pilot, lambda: f"→ {command}" in rows(pilot)[-3])
        screen = pilot.app.screen
        assert isinstance(screen, SettingsScreen)
        found = screen.copyable()
        assert found is not None
        assert found.command == command


async def test_calls_are_unknown_until_something_was_read_live() -> None:
    feed = sign_ins()
    async with settings(feed) as pilot:
        assert row_of(pilot, "calls", "dev").value == "–"
        feed.push(good("dev", Kind.DEV))
        await until(pilot, lambda: row_of(pilot, "calls", "dev").value == "7 a minute")


async def test_limits_are_told() -> None:
    async with settings(sign_ins()) as pilot:
        assert [row_of(pilot, "limits", name).value for name in ("refresh", "promised", "wished for")] == [
            "5 s",
            "60 s",
            "15 s",
        ]


async def test_enter_changes_theme_and_zone_and_keeps_them(tmp_path: Path) -> None:
    kept = tmp_path / "app.toml"
    async with settings(sign_ins(), preferences=Preferences(path=kept)) as pilot:
        choose(pilot, "looks", "theme")
        await pilot.press("enter")
        await until(pilot, lambda: row_of(pilot, "looks", "theme").value == "light")
        choose(pilot, "looks", "times")
        await pilot.press("enter")
        await until(pilot, lambda: row_of(pilot, "looks", "times").value.startswith("local, UTC"))
        assert 'theme = "light"' in kept.read_text()
        assert 'zone = "local"' in kept.read_text()


async def test_enter_on_what_cannot_be_changed_here_says_so() -> None:
    async with settings(sign_ins()) as pilot:
        choose(pilot, "limits", "refresh")
        await pilot.press("enter")
        await until(pilot, lambda: "refresh can't be changed here" in text(pilot))


async def test_keys_of_ones_own_and_their_problems_are_listed(tmp_path: Path) -> None:
    preferences = Preferences(
        keys={"app.quit": "Q"}, path=tmp_path / "app.toml", problems=("app.toml: there is no command 'app.qit' [/]",)
    )
    async with settings(sign_ins(), preferences=preferences) as pilot:
        assert row_of(pilot, "looks", "keys").value == "1 of your own"
        assert row_of(pilot, "looks", "app.quit").value == "Q"
        assert "▲ app.toml: there is no command 'app.qit' [/]" in text(pilot)


async def test_what_is_wrong_with_the_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = sign_ins()
    monkeypatch.setattr(feed, "warnings", lambda: ["The store is on a full disk; nothing is recorded."])
    async with settings(feed) as pilot:
        assert "▲ The store is on a full disk; nothing is recorded." in text(pilot)


async def test_an_environment_that_was_not_read_yet_is_unknown() -> None:
    feed = MemoryFeed(good("dev", Kind.DEV), extra=[("prod", Kind.PROD)])
    async with settings(feed) as pilot:
        assert row_of(pilot, "sign-in", "PROD").value == "–"
        assert row_of(pilot, "sign-in", "PROD").note == "nothing was read yet"


async def test_settings_are_filtered_and_esc_leads_out() -> None:
    async with settings(sign_ins(), (80, 24)) as pilot:
        await pilot.press("slash", *"sign-in", "enter")
        screen = pilot.app.screen
        assert isinstance(screen, SettingsScreen)
        assert [row.name for row in screen.table.rows] == ["dev", "test", "PROD"]
        await pilot.press("escape")
        assert screen.table.row_count == len(screen._rows)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, OverviewScreen))


async def test_an_old_sign_in_says_how_old_it_is() -> None:
    feed = sign_ins()
    feed.snapshots["dev"] = replace(good("dev", Kind.DEV, age=600))
    async with settings(feed) as pilot:
        assert row_of(pilot, "sign-in", "dev").note == "as of 10 min"
        assert row_of(pilot, "sign-in", "dev").role == "stale"

"""The assessment and the rights of an environment in the app: asked when they are opened, again by r, and never waited for."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from lpmops.control.access_rows import Right
from lpmops.control.findings import Finding, Level
from lpmops.errors import UnreachableError
from lpmops.tui.screens.assessment import AssessmentScreen
from lpmops.tui.screens.entry import EntryScreen
from tests.tui.closer_worlds import closer_day
from tests.tui.driving import Snapshot, app_of, opened, rows, text, until
from tests.tui.worlds import MemoryFeed

GRANT = "in lpm-01: GRANT INSERT ON OBJECT::[lpm].[tdr] TO [asa-lpm-tdr-prod-01]"


def assessed() -> MemoryFeed:
    """A day on which one right lacks and one setting threatens a promise."""
    feed = closer_day()
    feed.found = [
        Finding("reach.databricks", "reach", Level.OK, "Databricks answers."),
        Finding(
            "latency.auto_pause",
            "latency",
            Level.WARN,
            "lpm-01 may pause by itself when quiet; resuming takes about a minute.",
            ("lpm-01: GP_S_Gen5_2, pauses after 60 min",),
            ("az sql db update --name lpm-01 --server sql-lpm-prod -g rg-lpm --auto-pause-delay -1",),
            "60 s",
        ),
        Finding("reach.logs", "reach", Level.UNKNOWN, "Log Analytics could not be reached.", ("nobody answers there",)),
        Finding(
            "rights.asa.sql.insert",
            "rights",
            Level.BAD,
            "asa-lpm-tdr-prod-01 lacks INSERT on lpm-01: lpm.tdr.",
            ("needed for: the job: no record lands, and all behind it wait",),
            ("lpmops access grant -e prod --identity asa --only sql", GRANT),
        ),
    ]
    about = ("sql", "INSERT", "lpm-01: lpm.tdr", "the job: no record lands, and all behind it wait")
    feed.held = [
        Right(
            "asa.sql.insert",
            "asa",
            "asa-lpm-tdr-prod-01",
            *about,
            "lacks",
            "there is no such user",
            GRANT,
            "a db_owner",
            True,
        ),
        Right(
            "asa.sql.select",
            "asa",
            "asa-lpm-tdr-prod-01",
            *about,
            "has",
            "granted on lpm.tdr",
            GRANT,
            "a db_owner",
            True,
        ),
    ]
    return feed


async def open_it(pilot: Pilot[None]) -> None:
    """From the environment, by its key."""
    app_of(pilot).open_environment("prod")
    await pilot.pause()
    await pilot.press("D")
    await until(pilot, lambda: isinstance(pilot.app.screen, AssessmentScreen) and "lacks INSERT" in text(pilot))
    await pilot.pause()


async def test_the_worst_stands_first_with_what_it_threatens_and_what_to_do() -> None:
    async with opened(assessed(), (120, 40)) as pilot:
        await open_it(pilot)
        found = [
            line
            for line in rows(pilot)
            if any(word in line for word in ("lacks INSERT", "may pause", "could not be", "answers."))
        ]
        order = [
            found.index(next(line for line in found if word in line))
            for word in ("lacks INSERT", "may pause", "could not be", "answers.")
        ]
        assert order == sorted(order)
        assert "60 s" in next(line for line in found if "may pause" in line)
        assert "lpmops access grant -e prod --identity asa --only sql" in text(pilot)
        await pilot.press("j")
        await until(pilot, lambda: "--auto-pause-delay -1" in text(pilot))


async def test_tab_shows_the_rights_and_enter_all_of_one() -> None:
    async with opened(assessed(), (120, 40)) as pilot:
        await open_it(pilot)
        await pilot.press("tab")
        await until(pilot, lambda: "asa-lpm-tdr-prod-01: INSERT on lpm-01: lpm.tdr" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EntryScreen) and GRANT in text(pilot))


async def test_it_is_asked_once_and_again_only_by_r() -> None:
    feed = assessed()
    async with opened(feed, (120, 40)) as pilot:
        await open_it(pilot)
        assert feed.asked.count(("assessment", "prod")) == 1
        feed.found = feed.found[:1]
        await pilot.press("r")
        await until(pilot, lambda: "lacks INSERT" not in text(pilot))
        assert feed.asked.count(("assessment", "prod")) == 2


async def test_the_line_opens_the_rights_of_the_chosen_environment() -> None:
    async with opened(assessed(), (120, 40)) as pilot:
        app_of(pilot).open_environment("prod")
        await pilot.press("colon", *"access", "enter")
        await until(pilot, lambda: "there is no such user" in text(pilot))


async def test_what_goes_wrong_is_told_and_what_was_known_stays() -> None:
    feed = assessed()
    async with opened(feed, (120, 40)) as pilot:
        await open_it(pilot)
        feed.refusing["assessment"] = UnreachableError("The network is away.", service="x", hint="Look at the VPN.")
        await pilot.press("r")
        await until(pilot, lambda: "The network is away." in text(pilot))
        assert "lacks INSERT" in text(pilot)


@pytest.mark.parametrize(("theme", "width", "height"), [("dark", 80, 24), ("dark", 120, 40), ("light", 120, 40)])
async def test_how_it_looks(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    async with opened(assessed(), (width, height), dark=theme == "dark") as pilot:
        await open_it(pilot)
        snapshot(app_of(pilot), f"assessment_{theme}_{width}x{height}")

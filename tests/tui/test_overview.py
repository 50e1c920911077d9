"""The overview: what an operator reads off it, and how it goes on when something does not."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import timedelta

import pytest

from lpmops.model import Confidence, Health, Kind, Stage, Suspect
from lpmops.tui.screens.environment import EnvironmentScreen
from lpmops.tui.screens.overview import OverviewScreen
from lpmops.tui.view import Scene
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.worlds import MemoryFeed, bad_day, good, good_day, paused, saturated, unreadable


async def test_the_first_picture_comes_from_the_store() -> None:
    async with opened(good_day()) as pilot:
        assert "calls/min" not in text(pilot), "nothing was read from a service yet"
        assert text(pilot).count("94/s") == 4
        assert "812 companies" in text(pilot)


async def test_a_new_snapshot_shows_and_counts_its_calls() -> None:
    feed = good_day()
    async with opened(feed) as pilot:
        feed.push(saturated("prod", Kind.PROD))
        await until(pilot, lambda: "asa.saturated" in text(pilot))
        assert "7 calls/min" in rows(pilot)[0]
        assert "lpmops asa scale -e prod" in text(pilot)


async def test_a_burst_of_snapshots_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    feed = good_day()
    async with opened(feed, (120, 40)) as pilot:
        original = OverviewScreen.show

        def counted(self: OverviewScreen, scene: Scene) -> None:
            shown.append(1)
            original(self, scene)

        monkeypatch.setattr(OverviewScreen, "show", counted)
        for number in range(100):
            feed.push(good("dev", Kind.DEV, rate=1000.0 + number))
        await until(pilot, lambda: "1,099/s" in text(pilot))
    # A tick of the clock may fall between, and on a slow machine a second one.
    assert 1 <= len(shown) <= 3


async def test_the_worst_comes_first_and_production_before_the_rest() -> None:
    sure = Suspect("hub.throttled", "eventhub", Confidence.SURE, "throttled")
    feed = MemoryFeed(replace(good("dev", Kind.DEV), suspects=(sure,)), saturated("prod", Kind.PROD))
    async with opened(feed, (120, 40)) as pilot:
        order = [
            row.split()[2]
            for row in rows(pilot)
            if row.startswith(" ")
            and any(word in row for word in (" asa.saturated", " hub.throttled", " upstream.quiet"))
        ]
        assert order == ["asa.saturated", "hub.throttled", "upstream.quiet"]


async def test_unknown_is_grey_and_never_zero() -> None:
    async with opened(MemoryFeed(unreadable("test", Kind.TEST))) as pilot:
        strip = rows(pilot)[1:6]
        assert "○ CDF unknown" in strip[1]
        assert "0/s" not in "".join(strip)
        assert "companies unknown" in strip[0]
        assert "✖ sign-in expired: az login --tenant lpm.example" in text(pilot)


async def test_an_environment_without_a_snapshot_waits_and_says_so() -> None:
    async with opened(MemoryFeed(good("dev", Kind.DEV), extra=[("prod", Kind.PROD)])) as pilot:
        assert "no snapshot recorded yet" in text(pilot)
        assert "○ nothing is suspected; nothing is known yet of PROD" in text(pilot)
        assert "PROD  ○ unknown" in text(pilot)


async def test_what_is_two_refreshes_old_is_dimmed_and_says_how_old() -> None:
    feed = MemoryFeed(good("dev", Kind.DEV))
    async with opened(feed) as pilot:
        assert "as of 3 s" in text(pilot)
        feed.time += timedelta(seconds=45)
        await until(pilot, lambda: "as of 48 s" in text(pilot))
        strip = pilot.app.screen.query_one("#strip-0")
        segments = [segment for y in range(strip.size.height) for segment in strip.render_line(y)]
        rate = next(segment for segment in segments if "94/s" in segment.text)
        assert rate.style is not None
        assert rate.style.italic


async def test_a_value_older_than_the_others_shows_its_own_age() -> None:
    async with opened(MemoryFeed(good("dev", Kind.DEV)), (120, 40)) as pilot:
        assert "throttled 0 64s" in text(pilot)
        assert "partitions 8 " in text(pilot)
        assert "partitions 8 3s" not in text(pilot)


async def test_a_paused_stage_has_its_own_sign() -> None:
    async with opened(MemoryFeed(paused("test", Kind.TEST))) as pilot:
        assert "⏸ ASA paused" in text(pilot)


async def test_production_is_framed_like_nothing_else_whatever_it_is_called() -> None:
    async with opened(MemoryFeed(good("dev", Kind.DEV), good("live-eu", Kind.PROD)), (120, 40)) as pilot:
        assert "╔═ PROD · live-eu" in text(pilot)
        assert text(pilot).count("╔") == 1


async def test_a_stage_that_is_down_says_why_over_the_whole_width() -> None:
    base = good("dev", Kind.DEV)
    reason = "no connection to lpm-sql.example: name not known"
    snapshot = replace(
        base, health=Health.DOWN, stages={**base.stages, "sql": Stage("sql", Health.DOWN, "unreachable", reason)}
    )
    async with opened(MemoryFeed(snapshot)) as pilot:
        assert f"✖ SQL {reason}" in text(pilot)


async def test_keys_choose_and_open_an_environment() -> None:
    async with opened(bad_day()) as pilot:
        assert "▸ dev" in text(pilot)
        await pilot.press("j", "down", "down")
        assert "▸ PROD" in text(pilot)
        await pilot.press("g")
        assert "▸ dev" in text(pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))
        assert app_of(pilot).environment == "test"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, OverviewScreen))
        assert "▸ test" in text(pilot)


async def test_digits_jump_from_anywhere() -> None:
    async with opened(bad_day()) as pilot:
        await pilot.press("3", "2")
        await pilot.pause()
        assert app_of(pilot).environment == "test"
        await pilot.press("enter", "1")
        await pilot.pause()
        assert app_of(pilot).environment == "dev"
        await pilot.press("9")
        assert app_of(pilot).environment == "dev", "there is no ninth environment"
        await pilot.press("0")
        await pilot.pause()
        assert isinstance(pilot.app.screen, OverviewScreen)


async def test_more_environments_than_fit_are_scrolled_to() -> None:
    feed = MemoryFeed(*(good(f"dev{number}", Kind.DEV) for number in range(9)))
    async with opened(feed) as pilot:
        assert "dev8" not in text(pilot)
        await pilot.press("G")
        await until(pilot, lambda: "▸ dev · dev8" in text(pilot))
        assert "nothing is suspected" in text(pilot)


async def test_the_mouse_chooses_and_opens() -> None:
    async with opened(bad_day()) as pilot:
        await pilot.click("#strip-1")
        assert "▸ test" in text(pilot)
        await pilot.click("#strip-2", times=2)
        await until(pilot, lambda: app_of(pilot).environment == "prod")


async def test_a_click_on_a_key_presses_it() -> None:
    async with opened(bad_day()) as pilot:
        x = rows(pilot)[-1].index("? help")
        await pilot.click("KeyBar", offset=(x, 0))
        await until(pilot, lambda: "everywhere" in text(pilot))


async def test_the_theme_turns_light_then_the_terminals_own_and_back() -> None:
    async with opened(good_day()) as pilot:
        await pilot.press("T")
        assert pilot.app.theme == "lpmops-light"
        await pilot.press("T")
        assert pilot.app.theme == "lpmops-terminal"
        assert "94/s" in text(pilot)
        await pilot.press("T")
        assert pilot.app.theme == "lpmops-dark"


async def test_no_environment_at_all_is_no_crash() -> None:
    async with opened(MemoryFeed(), settle=False) as pilot:
        await pilot.press("enter", "j", "1", "r", "question_mark", "escape")
        assert "nothing is suspected" in text(pilot)


async def test_an_expired_sign_in_is_said_in_the_header_even_where_its_remedy_has_no_room() -> None:
    base = unreadable("test", Kind.TEST)
    long = replace(base.credential, remedy="az login --tenant " + "0" * 90)
    async with opened(MemoryFeed(replace(base, credential=long))) as pilot:
        assert "✖ sign-in expired" in rows(pilot)[0]


async def test_the_first_command_can_be_copied_whole() -> None:
    command = "az sql db show --name lpm-02 --server sql-lpm-prod -g rg-lpm-tdr-prod --query '{status:status, paused:x -y}' -o table"
    suspect = Suspect("sql.unreachable", "sql", Confidence.SURE, "a database is gone", next=(command,))
    async with opened(MemoryFeed(replace(good("prod", Kind.PROD), suspects=(suspect,)))) as pilot:
        shown = [row.strip().removeprefix("→ ") for row in rows(pilot)]
        first = next(number for number, row in enumerate(shown) if row.startswith("az sql"))
        last = next(number for number in range(first, len(shown)) if not shown[number].endswith("\\"))
        assert last > first
        assert shlex.split("\n".join(shown[first : last + 1]).replace("\\\n", " ")) == shlex.split(command)


async def test_the_strip_names_the_cause_and_not_the_stage_that_suffers() -> None:
    base = saturated("prod", Kind.PROD)
    cause = Suspect("sql.unreachable", "sql", Confidence.SURE, "The database lpm-02 can't be reached. It concerns 4.")
    async with opened(MemoryFeed(replace(base, suspects=(cause,))), (120, 40)) as pilot:
        assert "▲ sql.unreachable  The database lpm-02 can't be reached  " in text(pilot)
        assert "streaming units at 97 %" not in text(pilot)


async def test_a_command_without_room_says_that_it_goes_on() -> None:
    options = "--name lpm-02 --server sql-lpm-prod -g rg-lpm-prod --subscription 0000-0000-0000-0000-0000"
    command = f"az sql db show {options} --query status --output table"
    suspect = Suspect("sql.unreachable", "sql", Confidence.SURE, "a database is gone", next=(command,))
    names = (("dev", Kind.DEV), ("test", Kind.TEST), ("prod", Kind.PROD))
    async with opened(MemoryFeed(*(replace(good(*name), suspects=(suspect,)) for name in names))) as pilot:
        shown = [row.rstrip() for row in rows(pilot)]
        assert all(shown[number + 1].strip().startswith("-") for number, row in enumerate(shown) if row.endswith("\\"))
        assert any(row.endswith(" …") for row in shown)


async def test_a_stage_in_trouble_is_called_by_its_own_state() -> None:
    base = good("prod", Kind.PROD)
    hub = replace(base.stages["eventhub"], health=Health.DEGRADED, state="throttled")
    sql = replace(base.stages["sql"], health=Health.DEGRADED, state="2 of 3")
    snapshot = replace(base, health=Health.DEGRADED, stages={**base.stages, "eventhub": hub, "sql": sql})
    async with opened(MemoryFeed(snapshot), (120, 40)) as pilot:
        assert "▲ Hub throttled" in text(pilot)
        assert "▲ SQL 2 of 3" in text(pilot)
        assert "● Delta CDF fine" in text(pilot)


async def test_a_summary_without_room_says_that_it_goes_on() -> None:
    summary = (
        "The database lpm-02 can't be reached. It concerns 4 companies, and the others of its job may fall behind too."
    )
    suspect = Suspect("sql.unreachable", "sql", Confidence.SURE, summary, next=("lpmops status -e prod --watch",))
    names = (("dev", Kind.DEV), ("test", Kind.TEST), ("prod", Kind.PROD))
    async with opened(MemoryFeed(*(replace(good(*name), suspects=(suspect,)) for name in names))) as pilot:
        heads = [row for row in rows(pilot) if "sql.unreachable" in row and row.startswith(" ")]
        assert len(heads) == 3
        assert all("…  sure" in row for row in heads[1:])
        assert "lpmops status -e prod --watch" in text(pilot)

"""The versions of the source table: what is proven and missing, choosing a range, looking again, and the way to a replay."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from lpmops.control.operations import planned
from lpmops.control.reconciled import Asked
from lpmops.control.versionline import VersionLine
from lpmops.errors import ServiceError
from lpmops.model import Confidence, Health, Kind, Suspect, Turn
from lpmops.store.proofs import Unreadable
from lpmops.tui import version_rows
from lpmops.tui.paint import width_of
from lpmops.tui.place import Place
from lpmops.tui.screens.company import CompanyScreen
from lpmops.tui.screens.environment import EnvironmentScreen
from lpmops.tui.screens.plan import PlanScreen
from lpmops.tui.screens.versions import VersionsScreen
from lpmops.tui.version_rows import MISSING, PROVEN, CompanyRow, laid
from lpmops.tui.widgets import range_companies
from lpmops.tui.widgets.chosen_versions import next_line
from lpmops.tui.widgets.fields import Fields
from lpmops.tui.widgets.version_axis import Axis, axis_lines
from lpmops.versions import PRESENT_ROWS, Versions
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.order_worlds import HOSTILE, MemoryOrders, at_work, pause_events, pause_plan
from tests.tui.version_worlds import answer, commit, commits, committed, gap, line, lossy_day
from tests.tui.worlds import NOW, MemoryFeed, good


async def show(pilot: Pilot[None], versions: str = "", company: str = "") -> VersionsScreen:
    """The versions of PROD, once they were read."""
    app_of(pilot).go(Place("versions", "prod", company, source=versions))
    await until(pilot, lambda: isinstance(pilot.app.screen, VersionsScreen) and bool(pilot.app.screen.versions_shown))
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, VersionsScreen)
    return screen


def notices(pilot: Pilot[None]) -> str:
    return "\n".join(notification.message for notification in pilot.app._notifications)


# What is seen -------------------------------------------------------------------------------------------------------------------------------------


async def test_from_a_suspected_loss_one_key_leads_to_the_versions_that_lack_something() -> None:
    feed = lossy_day()
    suspect = Suspect("hub.loss", "eventhub", Confidence.SURE, "412 changes of 1 company did not land.", ("412 changes",),
                      ("lpmops replay plan -e prod --missing",))  # fmt: skip
    feed.snapshots["prod"] = replace(feed.snapshots["prod"], suspects=(suspect,))
    async with opened(feed, (120, 40)) as pilot:
        assert "→ 3 opens PROD, then V shows what is missing" in text(pilot)
        await pilot.press("3")
        await until(pilot, lambda: "→ V shows what is missing" in text(pilot))
        await pilot.press("V")
        await until(pilot, lambda: "v 910 – 930 · 21 versions" in text(pilot))
        assert "✖ 412 changes of 1 company missing  → P plans the replay" in text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))


async def test_the_axis_says_since_when_there_is_a_feed_what_vacuum_took_and_how_far_all_is_proven() -> None:
    retention = 3_600.0
    async with opened(lossy_day(line(retention=retention)), (160, 50)) as pilot:
        await show(pilot)
        shown = text(pilot)
        assert "change feed since v 3, 11:59:28" in shown
        assert "vacuumed 13:39:10, may be gone before v 401" in shown
        assert "1,098 of 1,241 versions looked at" in shown
        assert "✖ 412 changes missing in 1 gap" in shown
        assert "◆ ADD COLUMNS" in shown
        assert "▽ VACUUM END" in shown


async def test_whose_rows_are_in_the_range_is_shown_with_what_they_lack() -> None:
    async with opened(lossy_day(), (120, 40)) as pilot:
        screen = await show(pilot)
        await until(pilot, lambda: screen.companies.row_count == 4)
        first = screen.companies.rows[0]
        assert (first.company_id, first.changes, first.missing, first.where) == (
            "1001",
            2_000,
            412,
            (Versions(910, 930),),
        )
        assert "[ ] 1001 Harbour 911" in text(pilot)
        assert "(no company)" in text(pilot)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (line(kind="off", gaps=(), proven=()), "without a change feed there is nothing to compare or to replay"),
        (line(gaps=(), proven=()), "not all looked at  → R holds source against what landed"),
        (line(gaps=(), proven=(Versions(0, 1_240),)), "each change landed once."),
        (line(gaps=(gap(repairable=0, why="its changes can't be read any more"),)), "no replay brings them back. its changes can't be read any more"),
        (line(gaps=(gap(missing=0, doubled=3),)), "nothing is missing; some landed doubled"),
    ],
)  # fmt: skip
async def test_each_state_is_said_in_words(found: VersionLine, words: str) -> None:
    async with opened(lossy_day(found), (120, 40)) as pilot:
        screen = await show(pilot)
        if "no replay" not in words and "doubled" not in words:
            await pilot.press("c")
        await until(pilot, lambda: words in text(pilot))
        assert screen.is_running


async def test_a_table_without_history_and_one_that_cannot_be_read_are_told_apart() -> None:
    async with opened(lossy_day(line(history=(), gaps=(), proven=())), (80, 24)) as pilot:
        app_of(pilot).go(Place("versions", "prod"))
        await until(pilot, lambda: "the table has no history" in text(pilot))
        await pilot.press("m", "J", "K", "N", "B", "i", "tab", "space", "enter", "c", "y", "escape")
        assert pilot.app.is_running
    feed = lossy_day()
    feed.refusing = {
        "versions": ServiceError("The warehouse does not answer.", service="databricks", hint="Try again.")
    }
    async with opened(feed, (80, 24)) as pilot:
        app_of(pilot).go(Place("versions", "prod"))
        await until(pilot, lambda: "✖ The warehouse does not answer." in text(pilot))
        await pilot.press("m", "J", "N", "i", "R", "c", "escape")
        assert pilot.app.is_running


async def test_a_warehouse_that_hangs_leaves_the_keys_alone() -> None:
    feed = lossy_day()
    async with opened(feed) as pilot:
        feed.let_go.clear()
        await pilot.press("3", "V")
        await until(pilot, lambda: "reading the table's history" in text(pilot))
        await pilot.press("j", "m", "N", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))
        feed.let_go.set()


async def test_in_the_past_the_versions_say_that_they_are_of_now() -> None:
    feed = lossy_day()
    feed.keep(replace(feed.snapshots["prod"], taken_at=NOW - timedelta(hours=1)))
    async with opened(feed, (120, 40)) as pilot:
        await show(pilot)
        app_of(pilot).go_to_moment(NOW - timedelta(hours=1))
        await until(pilot, lambda: "the table's versions are of now; n leads back to now" in text(pilot))
        await pilot.press("R", "P", "N")
        assert feed.compared == []


def test_ten_thousand_commits_are_laid_out_with_the_state_of_each() -> None:
    found = laid(line(history=commits(10_000), gaps=(gap(first=9_000, last=9_001),), latest_version=9_999), NOW)
    by_version = {row.version: row for row in found.rows}
    assert len(found.rows) == 10_000
    assert by_version[9_000].mark is MISSING
    assert by_version[9_002].mark is not MISSING
    assert by_version[500].mark is PROVEN
    assert by_version[2].mark.word == "not recorded"
    assert by_version[9_999].mark.word == "too young"


async def test_text_from_outside_stays_text() -> None:
    found = line(
        gaps=(gap(company=HOSTILE), gap(company="漢字漢字漢字", first=940, last=941)),
        history=(commit(1_240), commit(1_239, HOSTILE), *(commit(version) for version in range(1_238, 900, -1))),
    )
    feed = lossy_day(found)
    feed.counts = {HOSTILE: 12, "漢字漢字漢字": 4}
    async with opened(feed, (80, 24)) as pilot:
        await show(pilot, "905:1240")
        await until(pilot, lambda: "[ ] [/] [@click=app" in text(pilot))
        await pilot.press("tab", "space", "space")
        await pilot.pause()
        assert "\x1b" not in text(pilot)
        assert {len(strip) for strip in (row.rstrip("\n") for row in rows(pilot))} <= set(range(60, 81))
        assert pilot.app.is_running


# Choosing -----------------------------------------------------------------------------------------------------------------------------------------


async def test_a_range_is_marked_from_one_version_to_another_and_stays() -> None:
    async with opened(lossy_day(line(gaps=())), (120, 40)) as pilot:
        screen = await show(pilot)
        await pilot.press("m", "j", "j", "j")
        await until(pilot, lambda: "v 1,237 – 1,240 … m ends it" in text(pilot))
        await pilot.press("m", "j", "j")
        assert screen.chosen == Versions(1_237, 1_240)
        await pilot.press("m", "j", "escape")
        assert screen.choice.anchor is None
        assert isinstance(pilot.app.screen, VersionsScreen)


async def test_shift_and_an_arrow_take_the_next_version_into_the_range() -> None:
    async with opened(lossy_day(line(gaps=())), (120, 40)) as pilot:
        screen = await show(pilot)
        await pilot.press("shift+down", "shift+down", "J", "K")
        assert screen.chosen == Versions(1_238, 1_240)


async def test_n_and_b_go_from_gap_to_gap_and_round_the_end() -> None:
    found = line(
        gaps=(gap(first=100, last=120), gap("1002", 119, 130), gap(first=910, last=930), gap(first=1_000, last=1_000))
    )
    async with opened(lossy_day(found), (120, 40)) as pilot:
        screen = await show(pilot)
        assert screen.chosen == Versions(1_000, 1_000)
        await pilot.press("B")
        assert screen.chosen == Versions(910, 930)
        await pilot.press("B")
        assert screen.chosen == Versions(100, 130)
        await pilot.press("B")
        assert screen.chosen == Versions(1_000, 1_000)
        await pilot.press("N")
        assert screen.chosen == Versions(100, 130)


async def test_i_chooses_what_was_committed_in_the_last_incident() -> None:
    feed = lossy_day(line(gaps=()))
    feed.happened = [
        Turn(committed(700), "prod", "suspect", "asa.saturated", Health.DEGRADED),
        Turn(committed(720), "prod", "suspect", "asa.saturated", Health.HEALTHY, began=False),
        Turn(committed(800), "prod", "suspect", "hub.loss", Health.DEGRADED),
    ]
    async with opened(feed, (120, 40)) as pilot:
        screen = await show(pilot)
        await pilot.press("i")
        await until(pilot, lambda: app_of(pilot).is_quiet)
        await pilot.press("i")
        assert screen.chosen == Versions(700, 720)


async def test_the_line_opens_the_versions_of_a_range_and_refuses_what_is_none() -> None:
    async with opened(lossy_day(), (120, 40)) as pilot:
        await pilot.press("3", "colon", *"versions 240:118", "enter")
        await until(pilot, lambda: "Did you mean 118:240?" in text(pilot))
        await pilot.press(*["backspace"] * 7, *"118:240", "enter")
        await until(pilot, lambda: "v 118 – 240 · 123 versions" in text(pilot))


# Looking again ------------------------------------------------------------------------------------------------------------------------------------


async def test_r_looks_at_the_chosen_versions_and_says_what_it_found() -> None:
    feed = lossy_day(line(gaps=(), proven=()))
    async with opened(feed, (120, 40)) as pilot:
        await show(pilot)
        feed.line = line()
        await pilot.press("R")
        await until(pilot, lambda: "412 changes of 1 company did not land, in versions 3:1240" in notices(pilot))
        assert feed.compared == [Asked()]
        await until(pilot, lambda: "✖ 412 changes of 1 company missing" in text(pilot))
        await pilot.press("N", "R")
        await until(pilot, lambda: len(feed.compared) == 2)
        assert feed.compared[1] == Asked(Versions(910, 930), again=True)
        assert "prod" in feed.refreshed


async def test_a_look_under_way_says_how_far_it_is_and_r_stops_it() -> None:
    feed = lossy_day()
    feed.comparing.clear()
    async with opened(feed, (120, 40)) as pilot:
        await show(pilot)
        await pilot.press("R")
        await until(pilot, lambda: "reconciling span 1 of 2: versions 0:2000   R stops it" in text(pilot))
        await pilot.press("R")
        await until(pilot, lambda: "stopping after this span" in text(pilot))
        feed.comparing.set()
        await until(pilot, lambda: "✖ It was stopped." in text(pilot))


async def test_while_a_replay_is_proven_r_does_not_take_its_place() -> None:
    feed = lossy_day()
    orders = MemoryOrders(feed)
    orders.events, orders.step_gate = pause_events("prod"), threading.Semaphore(8)
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot)
        runs, plan = app_of(pilot).runs, pause_plan("prod")
        assert runs is not None
        assert runs.apply(planned(plan, NOW), plan, "yes")
        await until(pilot, lambda: any(run.operation.state == "verifying" for run in app_of(pilot).going))
        await pilot.press("R")
        await until(pilot, lambda: "is held against what landed just now" in notices(pilot))
        assert feed.compared == []
        orders.step_gate.release(9)
        await until(pilot, lambda: not app_of(pilot).going)
        await pilot.press("R")
        await until(pilot, lambda: len(feed.compared) == 1)


async def test_the_ticked_companies_alone_are_looked_at() -> None:
    feed = lossy_day()
    async with opened(feed, (120, 40)) as pilot:
        screen = await show(pilot)
        await until(pilot, lambda: screen.companies.row_count == 4)
        await pilot.press("tab", "space")
        await until(pilot, lambda: "[x] 1001" in text(pilot) and "for 1 ticked" in text(pilot))
        await pilot.press("R")
        await until(pilot, lambda: feed.compared == [Asked(Versions(910, 930), None, ("1001",), again=True)])


async def test_what_could_not_be_read_is_said_with_what_remains() -> None:
    feed = lossy_day(line(gaps=()))
    gone = Unreadable(
        Versions(3, 40),
        "VACUUM has removed the files of their changes.",
        "What remains is to load the table's current rows.",
    )
    feed.answering = lambda asked: replace(answer(asked, 0), unreadable=(gone,))
    async with opened(feed, (120, 40)) as pilot:
        await show(pilot)
        await pilot.press("R")
        await until(pilot, lambda: "versions 3:40: VACUUM has removed the files of their changes." in text(pilot))
        # A range that has nothing to do with them is not told of them.
        await pilot.press("m", "m")
        await until(pilot, lambda: "VACUUM" not in text(pilot).partition("what is known")[0].partition("╝")[2])


# To the replay ------------------------------------------------------------------------------------------------------------------------------------


async def test_p_opens_the_replay_of_the_chosen_versions_with_its_fields_filled_in() -> None:
    feed = lossy_day()
    orders = MemoryOrders(feed)
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot)
        await pilot.press("P")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen))
        values = pilot.app.screen.query_one(Fields).values(feed.now())
        assert (values["from_version"], values["to_version"], values["companies"]) == (910, 930, ["1001"])


async def test_with_nothing_chosen_the_replay_takes_what_is_missing() -> None:
    feed = lossy_day()
    async with at_work(feed, MemoryOrders(feed), (120, 40)) as pilot:
        await show(pilot)
        await pilot.press("c", "P")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen))
        values = pilot.app.screen.query_one(Fields).values(feed.now())
        assert (values["from_version"], values["to_version"], values["companies"]) == (None, None, [])


async def test_an_app_that_only_looks_says_so_and_copies_the_command_all_the_same() -> None:
    feed: MemoryFeed = lossy_day()
    async with opened(feed, (120, 40)) as pilot:
        screen = await show(pilot)
        await pilot.press("P")
        await until(pilot, lambda: "this app only looks" in notices(pilot))
        found = screen.copyable()
        assert found is not None
        assert found.command == "lpmops replay plan -e prod --from-version 910 --to-version 930 --company 1001"


async def test_from_a_company_it_is_ticked() -> None:
    feed = lossy_day()
    feed.snapshots["prod"] = good("prod", Kind.PROD)
    async with opened(feed, (120, 40)) as pilot:
        app_of(pilot).go(Place("company", "prod", "1002"))
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))
        await pilot.press("V")
        await until(pilot, lambda: "for 1 ticked" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompanyScreen))


async def test_what_can_not_be_read_any_more_is_known_again_after_a_restart() -> None:
    gone = Unreadable(
        Versions(3, 40), "VACUUM has removed the files of their changes.", "Load the table's current rows."
    )
    found = line(gaps=(), proven=(Versions(41, 1_240),))
    assert found.proofs is not None
    feed = lossy_day(replace(found, proofs=replace(found.proofs, unreadable=(gone,))))
    async with opened(feed, (120, 40)) as pilot:
        screen = await show(pilot)
        assert "versions 3:40: VACUUM has removed the files of their changes. Load the table's current rows." in text(
            pilot
        )
        assert {row.mark.word for row in screen.versions_shown if row.version in gone.versions} == {
            "can't be read any more"
        }
        assert "╳" in text(pilot)


@pytest.mark.parametrize("number", [1, 2, 7, 60, 1_241])
@pytest.mark.parametrize("room", [1, 16, 74, 154])
def test_the_axis_fills_its_room_however_many_commits_there_are(number: int, room: int) -> None:
    found = laid(line(history=commits(number), gaps=(gap(first=0, last=0),), proven=(), latest_version=number - 1), NOW)
    axis = Axis(found, room)
    for version in {0, number // 2, number - 1}:
        first, last = axis.span(Versions(version, version))
        assert 0 <= first <= last < room
        assert axis.cells[first].worst.version <= number
    assert axis.cells[0].worst.mark is MISSING
    for rows_of_axis in (2, 4, 8):
        drawn = axis_lines(axis, Versions(0, number - 1), number - 1, NOW, rows_of_axis)
        assert len(drawn) <= rows_of_axis + 1
        assert {width_of(each) for each in drawn[:3]} == {room}


def test_the_signs_that_are_seen_are_explained_before_the_others() -> None:
    found = laid(line(history=commits(4), gaps=(), proven=(), latest_version=3), NOW)
    young = "".join(part.text for part in Axis(found, 74).legend)
    assert young.startswith("━ proven   ─ not looked at")
    assert young.endswith("╌ too young")
    assert width_of(Axis(found, 74).legend) <= 74


async def test_an_id_that_no_field_can_hold_is_told_and_left_to_the_command_line() -> None:
    feed = lossy_day(line(gaps=(gap(company="10,01"),)))
    async with at_work(feed, MemoryOrders(feed), (120, 40)) as pilot:
        screen = await show(pilot)
        await pilot.press("P")
        await until(pilot, lambda: "the id '10,01' can't be typed into a field" in notices(pilot))
        found = screen.copyable()
        assert found is not None
        assert "--company 10,01" in found.command


async def test_changes_that_name_no_company_are_not_taken_for_those_of_every_company() -> None:
    feed = lossy_day(line(gaps=(gap(company=""),)))
    async with at_work(feed, MemoryOrders(feed), (120, 40)) as pilot:
        screen = await show(pilot)
        await pilot.press("P")
        await until(pilot, lambda: "changes that name no company can't be sent" in notices(pilot))
        assert pilot.app.screen is screen, "an empty field would have meant every company"


@pytest.mark.parametrize(
    ("seconds", "said"), [(240, "; by itself 14:07:12"), (-5, "what landed"), (None, "what landed")]
)
def test_when_it_is_looked_at_by_itself_is_told_in_eighty_columns_and_never_of_the_past(
    seconds: int | None, said: str
) -> None:
    found = laid(
        replace(line(gaps=(), proven=()), next_look=None if seconds is None else NOW + timedelta(seconds=seconds)), NOW
    )
    drawn = next_line(found, (), None, None, NOW)
    assert "".join(part.text for part in drawn).endswith(said)
    assert width_of(drawn) <= 80


# What a key costs ---------------------------------------------------------------------------------------------------------------------------------


async def test_a_key_looks_at_what_is_seen_however_many_versions_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    class Watched(version_rows.VersionRow):
        def __getattribute__(self, name: str) -> Any:
            nonlocal looks
            looks += 1
            return super().__getattribute__(name)

    monkeypatch.setattr(version_rows, "VersionRow", Watched)
    found = line(
        history=commits(10_000), gaps=(gap(first=100, last=101), gap(first=9_000, last=9_001)), latest_version=9_999
    )
    async with opened(lossy_day(found), (120, 40)) as pilot:
        screen = await show(pilot, "0:9999")
        await pilot.press("j")
        for keys in (("j",) * 5, ("m", "G", "k", "k", "k", "K", "m"), ("N", "B", "enter", "c")):
            before = looks
            await pilot.press(*keys)
            # A row that is drawn takes some ten looks, and a key may draw the screen more than once.
            assert looks - before < 5_000 * len(keys), f"{keys} looked at {looks - before:,} values of rows"
        assert screen.is_running


async def test_the_companies_of_a_range_that_moves_are_laid_out_once_it_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laid_out: list[Versions | None] = []

    def watched(found: Any, chosen: Versions | None, *rest: Any) -> list[CompanyRow]:
        laid_out.append(chosen)
        return version_rows.companies_in(found, chosen, *rest)

    monkeypatch.setattr(range_companies, "companies_in", watched)
    monkeypatch.setattr(range_companies, "_STILL", 3_600.0)
    async with opened(lossy_day(line(gaps=(gap(first=1_238, last=1_240),))), (120, 40)) as pilot:
        screen = await show(pilot)
        laid_out.clear()
        await pilot.press(*"mjjj")
        await until(pilot, lambda: "m ends the range here" in text(pilot))
        assert laid_out == []
        found = screen.copyable()
        assert found is not None
        assert "--from-version 1237 --to-version 1240 --company 1001" in found.command, (
            "what is asked of it now is of it"
        )


async def test_a_range_that_stands_still_while_it_goes_on_shows_its_companies() -> None:
    async with opened(lossy_day(line(gaps=())), (120, 40)) as pilot:
        screen = await show(pilot)
        await pilot.press(*"mjj")
        await until(pilot, lambda: screen.companies.row_count == 4)
        assert "v 1,238 – 1,240 … m ends it" in text(pilot)


async def test_what_remains_of_lost_versions_is_told_whole_and_once() -> None:
    gone = Unreadable(Versions(910, 930), "VACUUM has removed the files of their changes.", PRESENT_ROWS)
    found = line(gaps=(gap(repairable=0),))
    assert found.proofs is not None
    feed = lossy_day(replace(found, proofs=replace(found.proofs, unreadable=(gone,))))
    feed.refusing = {"changes in": ServiceError("The changes of versions 910:930 can't be read.", service="databricks")}
    async with opened(feed, (120, 40)) as pilot:
        screen = await show(pilot)
        await until(pilot, lambda: "no replay brings them back" in text(pilot))
        await until(pilot, lambda: screen.companies.stands(screen.chosen))
        await until(pilot, lambda: app_of(pilot).is_quiet)
        await pilot.pause()
        drawn = " ".join(text(pilot).split())
        assert "the changes between are gone." in drawn
        assert "can't be read." not in drawn, "nobody asks for what is known to be gone"

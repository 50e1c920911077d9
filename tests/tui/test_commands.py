"""One registry: what keys, help, palette and `:` line offer, and what they say where a command does not work now."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot

from lpmops.errors import SignInError
from lpmops.model import Kind
from lpmops.tui import commands, line, preferences
from lpmops.tui.app import LpmopsApp
from lpmops.tui.place import OVERVIEW, Place
from lpmops.tui.preferences import Preferences
from lpmops.tui.screens.environment import EnvironmentScreen
from lpmops.tui.screens.help import HelpScreen
from lpmops.tui.screens.line import CommandInput, LineScreen
from lpmops.tui.screens.overview import OverviewScreen
from lpmops.tui.widgets.line_hint import LineHint
from tests.tui.driving import app_of, opened, rows, text, until
from tests.tui.worlds import MemoryFeed, bad_day, good, good_day, unreadable

PLACES = {
    "everywhere": commands.EVERYWHERE, "time": commands.TIME, "overview": commands.OVERVIEW, "table": commands.TABLE, "scroll": commands.SCROLL,
    "logs": (*commands.TABLE, *commands.LOGS, *commands.TEXT), "record": (*commands.SCROLL, *commands.RECORD, *commands.TEXT),
    "operation": (*commands.OPERATION, *commands.SCROLL), "menu": (*commands.MENU, *commands.TABLE),
}  # fmt: skip


def notices(pilot: Pilot[None]) -> list[str]:
    return [notification.message for notification in pilot.app._notifications]


async def typed(pilot: Pilot[None], words: str) -> None:
    """Opens the line and types."""
    await pilot.press("colon")
    await until(pilot, lambda: isinstance(pilot.app.screen, LineScreen))
    pilot.app.screen.query_one(CommandInput).value = words
    await pilot.pause()


def hint_of(pilot: Pilot[None]) -> str:
    return pilot.app.screen.query_one(LineHint)._sentence


# The registry ------------------------------------------------------------------------------------------------------------------------------------


def test_every_command_has_a_name_of_its_own_and_a_sentence() -> None:
    ids = [command.id for command in commands.ALL]
    assert len(set(ids)) == len(ids)
    assert all(command.sentence and not command.sentence.endswith(".") for command in commands.ALL)
    words = [command.word for command in commands.ALL if command.word]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("place", PLACES)
def test_no_key_means_two_things_in_one_place(place: str) -> None:
    keys = [key for command in PLACES[place] for key in command.keys.split(",") if key]
    assert len(set(keys)) == len(keys)


def test_no_key_is_one_that_tmux_zellij_or_a_terminal_takes() -> None:
    keys = [key for command in commands.ALL for key in command.keys.split(",")]
    assert not [key for key in keys if key.startswith(("ctrl+", "alt+", "f")) and key != "f"]
    assert commands.INTERRUPT.key == "ctrl+c"


@pytest.mark.parametrize("place", ["table", "overview", "scroll", "logs", "record"])
def test_keys_of_a_screen_leave_those_of_the_app_alone(place: str) -> None:
    everywhere = {key for command in (*commands.EVERYWHERE, *commands.TIME) for key in command.keys.split(",") if key}
    here = {key for command in PLACES[place] for key in command.keys.split(",")}
    assert not here & everywhere


async def test_help_lists_every_command_of_the_screen_and_why_some_do_not_work_now() -> None:
    async with opened(good_day(), (120, 90)) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await pilot.pause()
        shown = " ".join(text(pilot).split())
        unbound = {"app.environment", "app.company"}
        not_now = {"app.forward": "there is no place to go on to", "app.sign_in": "no sign-in is needed"}
        not_now |= dict.fromkeys(("app.act", "app.arm", "app.operations", "app.audit"), "this app only looks")
        for command in (*commands.TABLE, *commands.EVERYWHERE):
            if command.id not in unbound and not command.id.startswith("app.environment."):
                assert not_now.get(command.id, command.sentence[:45]) in shown, command.id
        assert "on the time line" not in shown
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))


async def test_a_key_that_does_not_work_now_says_why_and_does_nothing() -> None:
    async with opened(good_day()) as pilot:
        await pilot.press("left_square_bracket")
        await pilot.pause()
        assert notices(pilot) == ["there is no place to go back to"]
        assert app_of(pilot).navigator.here == OVERVIEW


async def test_the_key_bar_names_only_keys_that_work_now() -> None:
    async with opened(good_day(), (120, 40)) as pilot:
        assert "esc back" not in rows(pilot)[-1]
        assert "/ filter" not in rows(pilot)[-1]
        await pilot.press("1")
        await until(pilot, lambda: "/ filter" in rows(pilot)[-1])
        assert "esc back" in rows(pilot)[-1]


# Places ------------------------------------------------------------------------------------------------------------------------------------------


async def test_one_goes_back_and_forward_and_there_and_back() -> None:
    async with opened(good_day()) as pilot:
        navigator = app_of(pilot).navigator
        await pilot.press("1")
        await until(pilot, lambda: navigator.here == Place("environment", "dev"))
        await pilot.press("3")
        await until(pilot, lambda: navigator.here == Place("environment", "prod"))
        await pilot.press("left_square_bracket")
        assert navigator.here == Place("environment", "dev")
        await pilot.press("left_square_bracket")
        assert navigator.here == OVERVIEW
        await until(pilot, lambda: isinstance(pilot.app.screen, OverviewScreen))
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert navigator.here == Place("environment", "prod")
        await pilot.press("minus")
        assert navigator.here == Place("environment", "dev")
        await pilot.press("minus")
        assert navigator.here == Place("environment", "prod")
        await until(pilot, lambda: "PROD" in rows(pilot)[0])


async def test_a_place_one_comes_back_to_is_as_it_was_left() -> None:
    async with opened(good_day()) as pilot:
        await pilot.press("3", "j", "j", "enter")
        await until(pilot, lambda: app_of(pilot).navigator.here == Place("company", "prod", "1003"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))
        screen = pilot.app.screen
        assert isinstance(screen, EnvironmentScreen)
        assert screen.table.cursor_key == "1003"


# The line ----------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("so_far", "whole"),
    [
        ("e", "env"),
        ("pro", "prod"),
        ("env t", "env test"),
        ("company 10", "company 1001"),
        ("theme l", "theme light"),
        ("logs d", "logs databricks"),
        ("save s", "save svg"),
        ("xyzzy", None),
        ("quit ", None),
        ("", None),
    ],
)
async def test_the_ghost_completes_words_and_what_follows_them(so_far: str, whole: str | None) -> None:
    async with opened(good_day()) as pilot:
        assert line.completed(so_far, app_of(pilot)) == whole


async def test_tab_takes_the_ghost_and_enter_runs_the_line() -> None:
    async with opened(good_day()) as pilot:
        await pilot.press("colon", *"env pr")
        field = pilot.app.screen.query_one(CommandInput)
        await until(pilot, lambda: field._suggestion == "env prod")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: app_of(pilot).navigator.here == Place("environment", "prod"))


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("prod", Place("environment", "prod")),
        ("env test", Place("environment", "test")),
        ("company 1004", Place("company", "dev", "1004")),
        ("all", OVERVIEW),
    ],
)
async def test_a_line_leads_to_a_place(words: str, place: Place) -> None:
    async with opened(good_day()) as pilot:
        await pilot.press("1")
        await typed(pilot, words)
        await pilot.press("enter")
        await until(pilot, lambda: app_of(pilot).navigator.here == place)
        await until(pilot, lambda: not isinstance(pilot.app.screen, LineScreen))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("xyzzy", "there is no command 'xyzzy'"),
        ("env nowhere", "'nowhere' is none of dev, test, prod"),
        ("company", "company wants the id of a company"),
        ("company nobody", "no environment routes a company 'nobody'"),
        ("time 25:99", "25:99"),
        ("filter acme", "there are no rows to filter"),
        ("quit now", "quit takes nothing more"),
        ("back", "there is no place to go back to"),
        ("theme [/pink]", "'[/pink]' is none of dark, light, terminal"),
    ],
)
async def test_a_line_that_cannot_be_run_says_why_and_keeps_what_was_typed(words: str, said: str) -> None:
    async with opened(good_day()) as pilot:
        await typed(pilot, words)
        await pilot.press("enter")
        await until(pilot, lambda: said in hint_of(pilot))
        assert pilot.app.screen.query_one(CommandInput).value == words
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, OverviewScreen))


async def test_lines_typed_before_come_back_with_the_arrows() -> None:
    async with opened(good_day()) as pilot:
        for words in ("prod", "dev"):
            await typed(pilot, words)
            await pilot.press("enter")
            await until(pilot, lambda: not isinstance(pilot.app.screen, LineScreen))
        await pilot.press("colon", "up")
        field = pilot.app.screen.query_one(CommandInput)
        assert field.value == "dev"
        await pilot.press("up", "up")
        assert field.value == "prod"
        await pilot.press("down", "down")
        assert field.value == ""


async def test_a_filter_and_a_sort_can_be_typed_as_lines() -> None:
    async with opened(good_day()) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))
        screen = pilot.app.screen
        assert isinstance(screen, EnvironmentScreen)
        await typed(pilot, "filter port")
        await pilot.press("enter")
        await until(pilot, lambda: screen.table.keys == ["1011"])
        await typed(pilot, "filter")
        await pilot.press("enter")
        await until(pilot, lambda: screen.table.row_count == 12)
        await typed(pilot, "sort rows")
        await pilot.press("enter")
        await until(pilot, lambda: screen.table.keys[0] == "1012")


# The palette -------------------------------------------------------------------------------------------------------------------------------------


async def test_the_palette_finds_a_company_by_part_of_its_name() -> None:
    async with opened(good_day(), (120, 40)) as pilot:
        await pilot.press("f")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"mesa")
        await until(pilot, lambda: "1012 Mesa Verde" in text(pilot))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app_of(pilot).navigator.here.kind == "company")
        assert app_of(pilot).navigator.here.company == "1012"


async def test_the_palette_says_why_a_command_does_not_work_now() -> None:
    async with opened(good_day(), (120, 40)) as pilot:
        await pilot.press("f")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"forward")
        await until(pilot, lambda: "not now: there is no place to go on to" in text(pilot))


async def test_a_hostile_company_name_in_the_palette_is_only_text() -> None:
    from dataclasses import replace

    base = good("dev", Kind.DEV, companies=2)
    hostile = replace(base.routes[0], company="[/] [@click=app.quit]x[/] \x1b[2J漢字", database="[red]db[/")
    async with opened(MemoryFeed(replace(base, routes=(hostile, base.routes[1]))), (120, 40)) as pilot:
        await pilot.press("f")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"click")
        await until(pilot, lambda: "[@click=app.quit]x[/] ␛[2J漢字" in text(pilot))
        assert "[red]db[/" in text(pilot)


# Keys of one's own ---------------------------------------------------------------------------------------------------------------------------------


async def test_a_keymap_moves_a_command_in_bar_and_help_alike() -> None:
    app = LpmopsApp(good_day(), preferences=Preferences(keys={"app.refresh": "R,z"}))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.settled)
        await pilot.pause()
        assert "R refresh" in rows(pilot)[-1]
        feed = app.feed
        assert isinstance(feed, MemoryFeed)
        await pilot.press("r")
        await pilot.press("z")
        await until(pilot, lambda: sorted(feed.refreshed) == ["dev", "prod", "test"])


async def test_a_keymap_with_mistakes_opens_the_app_and_says_each(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    path.write_text('theme = "pink"\nvolume = 3\n[keys]\n"app.refresh" = "q"\n"app.refrsh" = "z"\n"app.hold" = 7\n')
    loaded = preferences.load(path)
    assert loaded.theme == "dark"
    assert dict(loaded.keys) == {"app.refresh": "q"}
    app = LpmopsApp(good_day(), preferences=loaded)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.settled)
        said = " ".join(notices(pilot))
        assert "theme is one of dark, light, terminal, not 'pink'" in said
        assert "there is no setting 'volume'" in said
        assert "there is no command 'app.refrsh'; did you mean 'app.refresh'?" in said
        assert "the keys of app.hold are names parted by commas" in said
        assert "app.refresh takes the key q from app.quit" in said
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)


def test_preferences_that_cannot_be_read_are_left_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    path.write_text("theme = [")
    loaded = preferences.load(path)
    assert "can't be read" in loaded.problems[0]
    preferences.save(loaded)
    assert path.read_text() == "theme = ["


async def test_a_theme_chosen_once_is_there_the_next_time_with_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "config" / "app.toml"
    path.parent.mkdir()
    path.write_text('[keys]\n"app.refresh" = "U"\n')
    app = LpmopsApp(good_day(), preferences=preferences.load(path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.settled)
        await typed(pilot, "theme light")
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == "lpmops-light")
    again = preferences.load(path)
    assert (again.theme, dict(again.keys), again.problems) == ("light", {"app.refresh": "U"}, ())


# Hands -------------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(own_folders: Path) -> Path:
    return own_folders / "state" / "saved"


async def in_dev(pilot: Pilot[None]) -> None:
    await pilot.press("1")
    await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))


@pytest.mark.parametrize(
    ("key", "held"), [("c", "1001"), ("r", "1001 Harbour 911\tlpm-01"), ("j", '"company_id": "1001"')]
)
async def test_what_is_copied_goes_to_the_terminal_and_to_a_file(saved: Path, key: str, held: str) -> None:
    async with opened(good_day()) as pilot:
        await in_dev(pilot)
        await pilot.press("y", key)
        await until(pilot, lambda: (saved / "copied.txt").exists())
        copied = (saved / "copied.txt").read_text(encoding="utf-8")
        assert held in copied
        assert pilot.app.clipboard == copied
        assert (saved / "copied.txt").stat().st_mode & 0o077 == 0
        assert any("copied" in notice for notice in notices(pilot))


async def test_the_command_that_mends_it_is_copied_with_one_more_key(saved: Path) -> None:
    async with opened(bad_day()) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))
        await pilot.press("y", "x")
        await until(pilot, lambda: pilot.app.clipboard == "lpmops asa scale -e prod --units 2/3")


async def test_what_is_too_long_for_a_terminal_is_in_the_file_alone(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lpmops.tui.hands._MOST_FOR_A_TERMINAL", 3)
    async with opened(good_day()) as pilot:
        await in_dev(pilot)
        await pilot.press("y", "c")
        await until(pilot, lambda: (saved / "copied.txt").exists())
        assert pilot.app.clipboard == ""
        assert any("too long for a terminal's clipboard" in notice for notice in notices(pilot))


@pytest.mark.parametrize(("key", "ending", "held"), [
    ("c", ".csv", "company_id,company,database"), ("j", ".json", '"company": "Port Authority"'), ("s", ".svg", "<svg"),
])  # fmt: skip
async def test_a_table_is_saved_as_it_is_filtered_and_a_screen_as_a_picture(
    saved: Path, key: str, ending: str, held: str
) -> None:
    async with opened(good_day()) as pilot:
        await in_dev(pilot)
        await pilot.press("slash", *"port", "enter", "w", key)
        await until(pilot, lambda: bool(list(saved.glob(f"dev-companies-*{ending}"))))
        (path,) = saved.glob(f"dev-companies-*{ending}")
        content = path.read_text(encoding="utf-8")
        assert held in content
        if ending != ".svg":
            assert "Acme County" not in content


async def test_a_folder_that_cannot_be_written_is_said_and_the_app_goes_on(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_configured: str = "") -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lpmops.paths.saved_directory", refuse)
    async with opened(good_day()) as pilot:
        await in_dev(pilot)
        await pilot.press("y", "c")
        await until(pilot, lambda: any("No space left on device" in notice for notice in notices(pilot)))
        assert pilot.app.clipboard == "1001"
        await pilot.press("w", "c")
        await until(pilot, lambda: any("can't save dev-companies" in notice for notice in notices(pilot)))


async def test_any_other_key_closes_the_panel_and_does_nothing(saved: Path) -> None:
    async with opened(good_day()) as pilot:
        await in_dev(pilot)
        await pilot.press("y", "q")
        await until(pilot, lambda: isinstance(pilot.app.screen, EnvironmentScreen))
        assert not saved.exists()
        assert not pilot.app._exit


async def test_signing_in_gives_the_terminal_away_and_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext
    from types import SimpleNamespace

    ran: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> SimpleNamespace:
        ran.append(command)
        return SimpleNamespace(returncode=0)

    feed = MemoryFeed(unreadable("dev", Kind.DEV))
    async with opened(feed) as pilot:
        monkeypatch.setattr("lpmops.tui.hands.subprocess.run", run)
        monkeypatch.setattr(pilot.app, "suspend", nullcontext)
        await pilot.press("L")
        await until(pilot, lambda: feed.refreshed == ["dev"])
        assert ran == [["az", "login", "--tenant", "lpm.example"]]


async def test_no_sign_in_is_offered_where_none_is_needed() -> None:
    async with opened(good_day()) as pilot:
        await pilot.press("L")
        await until(pilot, lambda: notices(pilot) == ["no sign-in is needed that a command could do"])


async def test_a_question_that_is_refused_has_its_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    from lpmops.tui.answers import Question

    feed = good_day()
    feed.refusing["records"] = SignInError("the token is over", service="identity", hint="az login")
    async with opened(feed) as pilot:
        app = app_of(pilot)
        question = Question(("records", "dev"), lambda asked: asked.records("dev", "1001"))
        assert app.answers.get(question, feed.now()).pending
        await until(pilot, lambda: bool(app.answers.get(question, feed.now()).fault))
        answer = app.answers.get(question, feed.now())
        assert (answer.fault, answer.hint, answer.value) == ("the token is over", "az login", None)

"""The app on a real terminal: what signals, a lost terminal, a broken store and a full disk do to it, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lpmops import paths
from tests.benchmarks.samples import write_config, write_store
from tests.tui.terminal import Terminal, on_terminal, terminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo terminals are POSIX's")


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """A machine with a configuration whose services nobody answers for, and a store that remembers a good day."""
    config, state = tmp_path / "lpmops.toml", tmp_path / "state"
    write_config(config)
    write_store(state, config)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LPMOPS_")}
    own = {"LPMOPS_CONFIG": config, "LPMOPS_STATE_DIR": state, "XDG_CONFIG_HOME": tmp_path / "config"}
    return {**kept, **{name: str(value) for name, value in own.items()}}


def store_of(environ: Mapping[str, str]) -> Path:
    return Path(environ["LPMOPS_STATE_DIR"]) / paths.STORE_NAME


def is_whole(store: Path) -> bool:
    with sqlite3.connect(store) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchone()
    return bool(found == ("ok",))


def is_up(app: Terminal) -> bool:
    return "12 companies" in app.text and "quit" in app.text


def test_it_paints_what_the_store_knows_and_gives_the_terminal_back(environ: Mapping[str, str]) -> None:
    with terminal(environ) as app:
        app.until(lambda: is_up(app))
        assert all(name in app.text for name in ("dev", "test", "PROD"))
        app.press("q")
        assert app.ended() == 0
        assert app.is_restored


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_the_terminal_is_given_back(
    environ: Mapping[str, str], number: signal.Signals, code: int
) -> None:
    with terminal(environ) as app:
        app.until(lambda: is_up(app))
        app.send(number)
        assert app.ended() == code
        assert app.is_restored
        assert "Traceback" not in app.text
    assert is_whole(store_of(environ))


def test_stopped_and_continued_it_gives_the_terminal_back_and_takes_it_again(environ: Mapping[str, str]) -> None:
    with terminal(environ) as app:
        app.until(lambda: is_up(app))
        app.send(signal.SIGTSTP)
        stopped: list[int] = []

        def is_stopped() -> bool:
            pid, status = os.waitpid(app.process.pid, os.WUNTRACED | os.WNOHANG)
            stopped.extend([status] if pid else [])
            return bool(stopped)

        app.until(is_stopped)
        assert os.WIFSTOPPED(stopped[0])
        app.until(lambda: app.is_restored)
        place = len(app.drawn)
        app.send(signal.SIGCONT)
        # By then it may have asked, and know that nobody answers.
        app.until(lambda: "PROD" in app.since(place) and "quit" in app.since(place))
        app.press("q")
        assert app.ended() == 0
        assert app.is_restored


def test_a_terminal_that_goes_away_ends_it_and_leaves_the_store_whole(environ: Mapping[str, str]) -> None:
    with terminal(environ) as app:
        app.until(lambda: is_up(app))
        os.close(app.master)
        assert app.process.wait(timeout=40) in (129, 1, 0)
    assert is_whole(store_of(environ))


def test_a_storm_of_sizes_and_keys_ends_in_an_app_that_still_answers(environ: Mapping[str, str]) -> None:
    with terminal(environ) as app:
        app.until(lambda: is_up(app))
        for number in range(40):
            app.resize(20 + 7 * number % 230, 5 + 3 * number % 66)
            app.press("3jG\x1b[" if number % 4 else "t:xx\x1b")
            app.read(0.01)
        app.resize(100, 30)
        place = len(app.drawn)
        for _ in range(4):
            # An escape is one only where nothing follows it for a moment.
            app.press("\x1b")
            app.read_for(0.3)
        app.press("0")
        app.until(lambda: "quit" in app.since(place) and "PROD" in app.screen)
        app.press("q")
        assert app.ended() == 0
        assert app.is_restored


def test_what_is_typed_or_pasted_at_once_behind_a_colon_or_a_slash_is_text(environ: Mapping[str, str]) -> None:
    """Each letter of these is a key of its own elsewhere: q leaves, p holds, T changes the theme."""
    with terminal(environ) as app:
        app.until(lambda: is_up(app))
        app.press(":env prod\r")
        app.until(lambda: app.screen.startswith(" PROD"))
        app.press("/Tpq\r")
        app.until(lambda: "match Tpq" in app.screen or "no company matches" in app.screen)
        assert "display held" not in app.text
        app.press("q")
        assert app.ended() == 0


_SIGNED_OUT = """
from lpmops.model import Kind
from lpmops.tui.app import LpmopsApp
from tests.tui.worlds import MemoryFeed, unreadable
LpmopsApp(MemoryFeed(unreadable("dev", Kind.DEV))).run_to_the_end()
"""


def test_the_terminal_is_given_to_the_sign_in_and_taken_back(environ: Mapping[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "az").write_text(
        '#!/bin/sh\necho "the sign-in was given: $*"\nread answer\necho "and answered: $answer"\n'
    )
    (folder / "az").chmod(0o755)
    command = [sys.executable, "-c", _SIGNED_OUT]
    with on_terminal(command, {**environ, "PATH": f"{folder}:{environ['PATH']}"}) as app:
        app.until(lambda: "sign-in expired" in app.screen)
        app.press("L")
        app.until(lambda: "the sign-in was given: login --tenant lpm.example" in app.text)
        assert app.is_restored, "the sign-in has a terminal of its own"
        place = len(app.drawn)
        app.press("yes\r")
        app.until(lambda: "and answered: yes" in app.since(place))
        app.until(lambda: "signed in; looking again" in app.screen)
        app.press("q")
        assert app.ended() == 0
        assert app.is_restored


def test_a_locked_store_is_said_and_the_app_opens_all_the_same(environ: Mapping[str, str]) -> None:
    with sqlite3.connect(store_of(environ), isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with terminal(environ) as app:
            app.until(lambda: "lpmops" in app.text and "quit" in app.text)
            app.until(lambda: "store" in app.text)
            app.press("q")
            assert app.ended() == 0
            assert app.is_restored
        holder.execute("ROLLBACK")
    assert is_whole(store_of(environ))


def test_a_damaged_store_is_said_and_left_as_it_is(environ: Mapping[str, str]) -> None:
    store = store_of(environ)
    broken = b"SQLite format 3\x00" + bytes(range(256)) * 64
    store.write_bytes(broken)
    with terminal(environ) as app:
        app.until(lambda: "quit" in app.text)
        app.press("q")
        assert app.ended() == 0
        assert app.is_restored
        assert str(store.name) in app.text
        assert "Traceback" not in app.text
    assert store.read_bytes() == broken


def test_a_full_disk_keeps_it_open_and_the_store_whole(environ: Mapping[str, str]) -> None:
    """No file may grow beyond what the store has now, as on a disk without room."""
    blocks = store_of(environ).stat().st_size // 1024
    with terminal(environ, limit=f"ulimit -f {blocks}") as app:
        app.until(lambda: is_up(app))
        place = len(app.drawn)
        app.press("3")
        app.until(lambda: "Company 11" in app.since(place))
        app.press("q")
        assert app.ended() == 0
        assert app.is_restored
        assert "Traceback" not in app.text
    assert is_whole(store_of(environ))


def test_a_configuration_that_is_wrong_ends_in_one_sentence(environ: Mapping[str, str]) -> None:
    Path(environ["LPMOPS_CONFIG"]).write_text("[environments.prod]\nkind = 'prod'\ncolour = 'red'\n", encoding="utf-8")
    with terminal(environ) as app:
        assert app.ended() == 2
        assert "error:" in app.text
        assert "colour" in app.text
        assert "Traceback" not in app.text

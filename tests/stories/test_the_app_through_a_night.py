"""One night on call, in the app on a real terminal: what breaks leads the eye, what is mended goes, the time line says when it began."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lpmops import paths
from tests.stories.conftest import QUICK_LOOKS
from tests.stories.machine import Machine
from tests.tui.terminal import Terminal, terminal

WAIT = 90.0


@pytest.fixture
def night(machine: Machine, port: int, tmp_path: Path) -> Machine:
    """A sandbox of one's own, looked at often."""
    machine.done("sandbox", "start", "--port", port, "--companies", 6, "--rate", 20)
    config = tmp_path / "lpmops.toml"
    text = (machine.sandbox / "lpmops.toml").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("state_directory"))
    config.write_text(kept + QUICK_LOOKS, encoding="utf-8")
    return machine.using(LPMOPS_CONFIG=str(config))


def test_a_night_on_call(night: Machine, port: int) -> None:
    with terminal(night.environ, size=(120, 40)) as app:
        _see(app, lambda screen: screen.count("● fine") >= 3 and "nothing is suspected" in screen)

        night.done("sandbox", "fault", "asa.stopped", "-e", "prod")
        _see(app, lambda screen: "asa.stopped" in screen and "→ " in screen)
        assert app.screen.count("● fine") == 2, "the others are as they were"
        app.press("3")
        _see(app, lambda screen: screen.startswith(" PROD") and "asa.stopped" in screen and "companies 6" in screen)
        app.press("0")

        night.done("sandbox", "heal")
        _see(app, lambda screen: screen.count("● fine") >= 3 and "nothing is suspected" in screen)

        app.press("t")
        _see(app, lambda screen: "NOW" in screen)
        for _ in range(20):
            before = _heading(app)
            app.press("{")
            _see(app, lambda screen: " PAST " in screen and "reading" not in screen and _heading(app) != before)  # noqa: B023 used at once
            if "asa.stopped began" in app.screen:
                break
        assert "asa.stopped began" in app.screen
        assert "PROD" in app.screen
        app.press("n")
        _see(app, lambda screen: " PAST " not in screen)
        night.kill()
        _see(app, lambda screen: "● fine" not in screen)
        assert app.process.poll() is None, "it stays open over a world that is gone"
        night.done("sandbox", "start", "--port", port, "--companies", 6, "--rate", 20)
        _see(app, lambda screen: screen.count("● fine") >= 3)

        app.press("q")
        assert app.ended() == 0
        assert app.is_restored
        assert "Traceback" not in app.text
    with sqlite3.connect(Path(night.environ["LPMOPS_STATE_DIR"]) / paths.STORE_NAME) as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _see(app: Terminal, holds: object) -> None:
    """Reads until the screen is so."""
    assert callable(holds)
    app.until(lambda: bool(holds(app.screen)), WAIT)


def _heading(app: Terminal) -> str:
    """The line that says which moment is shown, without how long ago it is."""
    line = next((row for row in app.screen.splitlines() if row.startswith((" PAST 20", " NOW"))), "")
    return line[:30]

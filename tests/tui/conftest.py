"""What every test of the app leans on: a quiet environment, a way to wait, and pictures that are compared as text.

`pytest --update-snapshots` writes the pictures anew; otherwise a picture that differs fails and leaves what was drawn beside the expected one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

from lpmops.tui.app import LpmopsApp
from tests.tui.driving import Snapshot

SNAPSHOTS = Path(__file__).parent / "snapshots"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write the app's expected pictures anew")


def normalised(svg: str) -> str:
    """The picture without the ids that Rich makes up for it."""
    return re.sub(r"terminal-\d+", "terminal", svg)


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    """Compares what an app shows with `snapshots/NAME.svg`."""

    def compare(app: LpmopsApp, name: str) -> None:
        drawn = normalised(app.export_screenshot(title=name, simplify=True))
        expected, actual = SNAPSHOTS / f"{name}.svg", SNAPSHOTS / f"{name}.actual.svg"
        if request.config.getoption("--update-snapshots", default=False):
            expected.write_text(drawn, encoding="utf-8")
        elif not expected.exists():
            pytest.fail(f"{expected.name} is missing; make it with --update-snapshots and look at it")
        elif expected.read_text(encoding="utf-8") != drawn:
            actual.write_text(drawn, encoding="utf-8")
            pytest.fail(f"{name} is drawn differently; compare {actual} with {expected.name}")
        actual.unlink(missing_ok=True)

    return compare


@pytest.fixture(autouse=True)
def _own_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL", "TEXTUAL_ANIMATIONS", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    # Ages are drawn anew with every tick of the app's clock: no test should wait a second for one, nor draw more of them than it needs.
    monkeypatch.setattr("lpmops.tui.app._TICK", 0.5)


@pytest.fixture(scope="session", autouse=True)
def _styles_parsed_once() -> Iterator[None]:
    """The same text of styles with the same variables is parsed for the first app alone: the others take what it found, as they only read it."""
    parse, parsed = Stylesheet._parse_rules, dict[object, list[RuleSet]]()

    def parsed_once(sheet: Stylesheet, css: str, *where: Any, **how: Any) -> list[RuleSet]:
        key = (css, where, *sorted(how.items()), *sorted(sheet._variables.items()))
        if key not in parsed:
            parsed[key] = parse(sheet, css, *where, **how)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parsed_once)
        yield

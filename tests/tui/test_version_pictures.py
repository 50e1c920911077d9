"""What the versions, a replay and its proof look like. Look at a picture before it is made the expected one."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from lpmops.store.proofs import OpenGap
from lpmops.tui.place import Place
from lpmops.tui.screens.versions import VersionsScreen
from lpmops.versions import Versions
from tests.tui.driving import Snapshot, app_of, opened, text, until
from tests.tui.order_worlds import at_work
from tests.tui.test_replaying import chunk, company, proof, replaying, show, shown, world
from tests.tui.version_worlds import gap, line, lossy_day
from tests.tui.worlds import MemoryFeed, ago


def eventful() -> MemoryFeed:
    """Two gaps of several companies, versions that nobody looked at, and old ones that VACUUM may have taken."""
    gaps: list[OpenGap] = [
        gap(), gap("1002", 915, 930, 61), gap("1004", 918, 922, 7, repairable=0, why="its changes can't be read any more"),
        gap("1003", 400, 402, 0, doubled=12), gap("1001", 700, 700, 3),
    ]  # fmt: skip
    feed = lossy_day(line(gaps, (Versions(260, 520), Versions(640, 1_100)), retention=5_400.0))
    feed.counts |= {"1002": 411, "1004": 208}
    return feed


async def versions(pilot: Pilot[None]) -> None:
    """The versions of PROD, once whose rows are in the range was counted."""
    app_of(pilot).go(Place("versions", "prod"))
    await until(pilot, lambda: isinstance(pilot.app.screen, VersionsScreen))
    screen = pilot.app.screen
    assert isinstance(screen, VersionsScreen)
    await until(pilot, lambda: screen.companies.row_count == 5 and app_of(pilot).is_quiet)
    await pilot.pause()


@pytest.mark.parametrize(("theme", "width", "height"), [("dark", 80, 24), ("dark", 160, 50), ("light", 120, 40)])
async def test_the_versions(snapshot: Snapshot, theme: str, width: int, height: int) -> None:
    async with opened(eventful(), (width, height), dark=theme == "dark") as pilot:
        await versions(pilot)
        snapshot(app_of(pilot), f"versions_{theme}_{width}x{height}")


async def test_the_versions_without_colour(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(eventful(), (80, 24)) as pilot:
        await versions(pilot)
        await pilot.press("tab", "space")
        await pilot.pause()
        snapshot(app_of(pilot), "versions_plain_80x24")


async def test_a_replay_under_way(snapshot: Snapshot) -> None:
    operation = replaying(
        chunk(1, "done", 400, 300), chunk(2, "accepted", 100), *(chunk(n, "planned") for n in range(3, 9))
    )
    feed, orders = world(operation, shown(400, 250))
    feed.numbers["latency.p99"] = [(ago(900 - 30 * n), 2.0) for n in range(12)] + [
        (ago(390 - 30 * n), 4.0 + n % 5) for n in range(13)
    ]
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "promised, 2 s before it" in text(pilot) and app_of(pilot).is_quiet)
        await pilot.pause()
        snapshot(app_of(pilot), "replay_dark_120x40")


async def test_a_proof(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    # The words of the written form are on trial elsewhere.
    monkeypatch.setattr("lpmops.tui.screens.operation.digest", lambda _: "1a" * 32)
    operation = replaying(chunk(1, "done", 400, 300), state="succeeded", ended_at=ago(30))
    found = proof(
        company(), company("1002", landed=409, missing=3), company("1003", doubled=1, landed=413), complete=False
    )
    feed, orders = world(operation, shown(1_237, proof=found, ended_at="2026-11-23T14:02:42Z"))
    async with at_work(feed, orders, (80, 24)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "✖ Not complete" in text(pilot) and app_of(pilot).is_quiet)
        await pilot.pause()
        snapshot(app_of(pilot), "proof_dark_80x24")

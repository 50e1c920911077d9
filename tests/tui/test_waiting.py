"""What waits while nothing lands: told in a sentence, since no percentile shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lpmops.model import Health, Kind, Latency, Snapshot, Stage
from lpmops.tui.feed import Limits
from lpmops.tui.waiting import held_up
from tests.tui.driving import opened, rows, text
from tests.tui.worlds import MemoryFeed, ago, good, saturated


def lagging(asa: float, sql: float) -> Snapshot:
    base = good("prod", Kind.PROD)
    stages = {
        **base.stages,
        "asa": Stage("asa", Health.DEGRADED, "behind", lag=asa),
        "sql": replace(base.stages["sql"], lag=sql),
    }
    return replace(base, health=Health.DEGRADED, stages=stages, latency=Latency(0.1, 0.2, 0.3, 285))


@pytest.mark.parametrize(
    ("snapshot", "sentence", "role"),
    [
        (lagging(72.0, 72.4), "nothing landed for 72 s", "bad"),
        (lagging(20.0, 21.0), "nothing landed for 21 s", "warn"),
        (lagging(540.0, 0.5), "the oldest waits for 9 min", "bad"),
        (replace(lagging(0.1, 40.0), heartbeat_age=45.0), "nothing landed for 40 s", "warn"),
    ],
)
def test_a_stall_is_told_by_what_is_missing(snapshot: Snapshot, sentence: str, role: str) -> None:
    held = held_up(snapshot, Limits())
    assert held is not None
    assert (held.sentence, held.role) == (sentence, role)


def test_companies_behind_a_dead_database_are_cut_off_while_the_others_land() -> None:
    base = good("prod", Kind.PROD)
    cut = [replace(route, state="unreachable", last_landed_at=ago(90 + n)) for n, route in enumerate(base.routes[:2])]
    held = held_up(replace(base, routes=(*cut, *base.routes[2:])), Limits())
    assert held is not None
    assert held.sentence == "2 companies cut off for 87 s"


def test_what_the_percentiles_tell_already_is_not_told_twice() -> None:
    assert held_up(good("prod", Kind.PROD), Limits()) is None
    assert held_up(saturated("prod", Kind.PROD), Limits()) is None


def test_a_quiet_night_is_no_stall() -> None:
    base = good("prod", Kind.PROD)
    quiet = {**base.stages, "sql": replace(base.stages["sql"], lag=2_400.0)}
    assert held_up(replace(base, stages=quiet, latency=Latency()), Limits()) is None


@pytest.mark.parametrize(
    ("size", "landed"),
    [((60, 16), " ══"), ((80, 24), "   what landed:  p99 0.3 s"), ((120, 40), "   what landed:  p50 0.1 s")],
)
async def test_a_stall_is_seen_on_both_screens(size: tuple[int, int], landed: str) -> None:
    async with opened(MemoryFeed(lagging(72.0, 72.4)), size) as pilot:
        assert f"▲ nothing landed for 72 s{landed}" in text(pilot)
        assert "as of 3 s" in text(pilot)
        await pilot.press("1")
        await pilot.pause()
        assert any("▲ nothing landed for 72 s" in row and ("░" in row or size[0] < 80) for row in rows(pilot))

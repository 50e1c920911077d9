"""A replay in its panel: chunks as they are sent, the live latency beside them, and the proof that is written down."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from lpmops.control.operations import Operation, OperationStep
from lpmops.control.plan import Danger
from lpmops.errors import ServiceError
from lpmops.model import Kind
from lpmops.tui.screens.operation import OperationScreen
from lpmops.tui.screens.plan import PlanScreen
from lpmops.tui.widgets.field import FieldInput
from lpmops.tui.widgets.operation import Notes, operation_lines
from tests.tui.driving import app_of, text, until
from tests.tui.order_worlds import HOSTILE, MemoryOrders, at_work, pause_plan
from tests.tui.worlds import NOW, MemoryFeed, ago, good

ID = "261123-135512-920e"


def chunk(
    n: int, state: str, begun: float | None = None, ended: float | None = None, rows: int = 1_000
) -> OperationStep:
    """The step that sends twenty versions."""
    first, last = 900 + 20 * n, 919 + 20 * n
    moments = (None if begun is None else ago(begun), None if ended is None else ago(ended))
    given = {"n": n, "first": first, "last": last, "rows": rows}
    return OperationStep(f"send versions {first} to {last}", state, *moments, "", "replay.chunk", given)


def replaying(*steps: OperationStep, state: str = "running", **changes: Any) -> Operation:
    """A replay of some chunks that waits at the end until all has landed."""
    made = Operation(
        ID, "replay.run", "prod", state, (*steps, OperationStep("wait until it has landed", kind="wait.landed")), ago(480),
        "ops@lpm.example", Danger.HARD, "Send versions 920 to 979 again for 1 company.", "lpmops replay run -e prod --missing", "", "hub outage",
    )  # fmt: skip
    return replace(made, **changes)


def shown(*rows: int | None, proof: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """What `lpmops replay show` gives."""
    chunks = [
        {
            "n": n, "from_version": 900 + 20 * n, "to_version": 919 + 20 * n, "rows": sent, "rows_planned": 1_000, "state": "done",
            "run_id": f"90{n}", "rate": None, "quarantined": None,
        }
        for n, sent in enumerate(rows, 1)
    ]  # fmt: skip
    return {
        "id": ID, "environment": "prod", "state": "succeeded", "from_version": 920, "to_version": 979, "companies": ["1001"], "rate": 500,
        "chunks": chunks, "proof": proof, "by": "ops@lpm.example", "reason": "hub outage", "ticket": "", "error": "",
        "ranges": ["920:979"], "counted": {"1001": 1_237}, "rows": sum(each or 0 for each in rows) or None, "rows_planned": 1_000 * len(rows),
        "latency": None, "at": "2026-11-23T13:55:12Z", "ended_at": None, **changes,
    }  # fmt: skip


def company(name: str = "1001", **counts: Any) -> dict[str, Any]:
    """A company of a proof."""
    found = {
        "source": 412,
        "landed": 412,
        "missing": 0,
        "doubled": 0,
        "extra": 0,
        "repairable": 0,
        "note": "",
        "missing_before": 61,
        **counts,
    }
    return {"company_id": name, "company": "Harbour 911", "database": "lpm-01", **found}


def proof(
    *companies: dict[str, Any], complete: bool = True, unreadable: tuple[dict[str, str], ...] = ()
) -> dict[str, Any]:
    """A proof."""
    return {"complete": complete, "companies": list(companies or (company(),)), "unreadable": list(unreadable)}


def world(operation: Operation, found: dict[str, Any] | None = None) -> tuple[MemoryFeed, MemoryOrders]:
    """PROD with that operation in the journal."""
    feed = MemoryFeed(good("prod", Kind.PROD))
    orders = MemoryOrders(feed)
    orders.journal = [operation]
    if found is not None:
        orders.replays[ID] = found
    return feed, orders


async def show(pilot: Pilot[None], operation: Operation) -> OperationScreen:
    """The operation's panel."""
    screen = OperationScreen(operation=operation)
    pilot.app.push_screen(screen)
    await until(pilot, lambda: pilot.app.screen is screen and "replay run" in text(pilot))
    return screen


async def test_each_chunk_says_what_was_sent_how_fast_and_how_long_the_rest_takes() -> None:
    operation = replaying(chunk(1, "done", 400, 300), chunk(2, "accepted", 100), chunk(3, "planned"))
    feed, orders = world(operation, shown(400, 250, None))
    feed.numbers["latency.p99"] = [(ago(900 - 30 * n), 2.0) for n in range(12)] + [
        (ago(120 - 30 * n), 7.5) for n in range(4)
    ]
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "400 sent  4/s  done  run 901" in text(pilot))
        drawn = text(pilot)
        assert "v 940:959" in drawn
        assert "250 of about 412  2.5/s  under way  run 902" in drawn
        assert "total 650 of 1,237 rows" in drawn
        assert "1 of 3 chunks" in drawn
        assert "about 6 min left" in drawn
        assert "live latency p99 6.2 s of 60 s promised, 2 s before it" in drawn


async def test_the_page_of_the_run_under_way_stands_there_as_plain_text() -> None:
    operation = replaying(chunk(1, "done", 400, 300), chunk(2, "accepted", 100), chunk(3, "planned"))
    found = shown(400, 250, None)
    for each in found["chunks"]:
        each["url"] = f"https://adb-1.example/jobs/runs/90{each['n']}?o={HOSTILE}"
    feed, orders = world(operation, found)
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "https://adb-1.example/jobs/runs/902" in text(pilot))
        assert "runs/901" not in text(pilot), "only the one that somebody wants to look at"


async def test_what_was_not_read_yet_is_no_zero() -> None:
    operation = replaying(chunk(1, "accepted", 10), chunk(2, "planned"))
    feed, orders = world(operation, shown(None, None))
    async with at_work(feed, orders, (80, 24)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "total – of 1,237 rows" in text(pilot))
        assert "time left –" in text(pilot)
        assert "promised, – before it" in text(pilot)


async def test_what_stands_has_no_rate_and_no_chunk_under_way() -> None:
    operation = replaying(chunk(1, "done", 400, 300), chunk(2, "accepted", 100), state="interrupted")
    feed, orders = world(operation, shown(400, 250))
    async with at_work(feed, orders, (80, 24)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "250 of about 618  left under way" in text(pilot))
        assert "400 sent  4/s  done" in text(pilot)
        assert "1 of 2 chunks" in text(pilot)
        assert text(pilot).count("/s") == 1


def test_of_hundreds_of_chunks_those_around_the_one_under_way_are_shown() -> None:
    steps = [chunk(n, "done" if n < 200 else "accepted" if n == 200 else "planned") for n in range(1, 501)]
    feed, _ = world(replaying(*steps))
    lines = operation_lines(replaying(*steps), None, _scene(feed), Notes(shown(*[1_000] * 199, 10)))
    drawn = ["".join(part.text for part in line) for line in lines]
    assert "    … 196 chunks done, versions 920:4839, 196,000 rows" in drawn
    assert sum(" v " in line for line in drawn) == 7
    assert any(line.startswith("    … 297 chunks to do, versions 4980:") for line in drawn)


def _scene(feed: MemoryFeed) -> Any:
    from lpmops.tui.view import EnvironmentView, Scene

    return Scene((EnvironmentView("prod", Kind.PROD, feed.snapshots["prod"]),), NOW)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (proof(), "● Complete: each change of the source landed once"),
        (proof(company(landed=410, missing=2), complete=False), "✖ Not complete"),
        (
            proof(complete=False, unreadable=({"versions": "930:940", "why": "VACUUM took them.", "remains": "Load the current rows."},)),
            "○ Not proven: some versions could not be judged",
        ),
    ],
)  # fmt: skip
async def test_the_proof_is_drawn_with_its_verdict_and_each_company(found: dict[str, Any], words: str) -> None:
    operation = replaying(chunk(1, "done", 400, 300), state="succeeded", ended_at=ago(30))
    feed, orders = world(operation, shown(412, proof=found, ended_at="2026-11-23T14:02:42Z"))
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: words in text(pilot))
        assert "versions 920 to 979 · 1 company · by ops@lpm.example, 2026-11-23 14:02:42Z" in text(pilot)
        assert "1001 Harbour 911" in text(pilot)
        assert "source  landed  lacked missing doubled   extra" in text(pilot)
        assert "complete true" not in text(pilot)
        for each in found["unreadable"]:
            assert each["why"] in text(pilot)


@pytest.mark.parametrize(
    ("size", "name"), [((80, 24), "1001 Twin River…"), ((120, 40), "1001 Twin Rivers Emergency Dispatch  ")]
)
async def test_a_company_of_the_proof_has_the_room_that_there_is(size: tuple[int, int], name: str) -> None:
    operation = replaying(chunk(1, "done", 400, 300), state="succeeded", ended_at=ago(30))
    feed, orders = world(operation, shown(412, proof=proof({**company(), "company": "Twin Rivers Emergency Dispatch"})))
    async with at_work(feed, orders, size) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: name in text(pilot))
        assert "source  landed  lacked missing doubled   extra" in text(pilot)


async def test_w_writes_the_proof_down_and_copies_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPMOPS_STATE_DIR", str(tmp_path))
    operation = replaying(chunk(1, "done", 400, 300), state="succeeded", ended_at=ago(30))
    feed, orders = world(operation, shown(412, proof=proof(company(HOSTILE))))
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "w writes it down for a ticket" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: any("copied the proof" in each.message for each in app_of(pilot)._notifications))
        (written,) = tmp_path.rglob(f"replay-{ID}.md")
        assert "**Complete: each change of the source landed once.**" in written.read_text()
        assert "\x1b" not in written.read_text()
        assert pilot.app.clipboard == written.read_text()
        assert hashlib.sha256(written.read_bytes()).hexdigest() in text(pilot).replace("║", "").replace(
            " ", ""
        ).replace("\n", "")


async def test_before_there_is_a_proof_there_is_nothing_to_write() -> None:
    operation = replaying(chunk(1, "accepted", 10))
    feed, orders = world(operation, shown(None))
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "total – of 1,237 rows" in text(pilot))
        assert "write proof" not in text(pilot)


async def test_p_pauses_a_replay_that_is_at_work_wherever_it_runs_and_says_why_it_cannot() -> None:
    operation = replaying(chunk(1, "accepted", 10))
    feed, orders = world(operation, shown(None))
    orders.refusing["pause"] = ServiceError("The workspace does not answer.", service="databricks")
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "p pause" in text(pilot))
        await pilot.press("p")
        await until(pilot, lambda: "The workspace does not answer." in text(pilot))
        assert orders.said == []
        del orders.refusing["pause"]
        await until(pilot, lambda: not app_of(pilot).going)
        await pilot.press("p")
        await until(pilot, lambda: orders.said == [("pause", ID)])
        assert "is being paused" in text(pilot)


async def test_a_replay_that_is_over_is_not_paused() -> None:
    operation = replaying(chunk(1, "done", 400, 300), state="succeeded", ended_at=ago(30))
    feed, orders = world(operation, shown(412, proof=proof()))
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "write proof" in text(pilot))
        assert "p pause" not in text(pilot)


async def test_a_replay_whose_progress_cannot_be_read_shows_its_journal() -> None:
    operation = replaying(chunk(1, "accepted", 10), chunk(2, "planned"))
    feed, orders = world(operation)
    orders.refusing["replay"] = ServiceError("The workspace does not answer.", service="databricks")
    feed.time += timedelta(seconds=1)
    async with at_work(feed, orders, (80, 24)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "v 920:939" in text(pilot) and "total – of – rows" in text(pilot))
        assert pilot.app.is_running


async def test_of_many_companies_those_that_lack_something_come_first_and_the_rest_is_counted() -> None:
    operation = replaying(chunk(1, "done", 400, 300), state="succeeded", ended_at=ago(30))
    many = [company(f"{number}") for number in range(1_000, 1_800)]
    found = shown(412, proof=proof(*many, company("1999", missing=7), complete=False))
    feed, orders = world(operation, found)
    async with at_work(feed, orders, (120, 40)) as pilot:
        await show(pilot, operation)
        await until(pilot, lambda: "and 789 companies more, 789 of them complete" in text(pilot))
        drawn = text(pilot)
        assert drawn.index("1999 Harbour 911") < drawn.index("1000 Harbour 911")


async def test_what_a_refused_plan_names_as_coming_first_opens_with_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmops.tui.screens.plan.DEAF_SECONDS", 0.0)
    feed = MemoryFeed(good("prod", Kind.PROD))
    orders = MemoryOrders(feed)
    refusal = (
        "The job lpm-tdr-stream-prod does not run the code of lpmops. Deploy it first: lpmops stream deploy -e prod"
    )
    orders.plans["prod", "replay.run"] = pause_plan(action="replay.run", refusals=(refusal,))
    async with at_work(feed, orders, (120, 40)) as pilot:
        pilot.app.push_screen(PlanScreen("prod", "replay.run", given={"from_version": "910", "to_version": "930"}))
        await until(
            pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and bool(pilot.app.screen.query(FieldInput))
        )
        for _ in [each for each in pilot.app.screen.query(FieldInput) if not each.value]:
            await pilot.press("enter")
        await until(pilot, lambda: "not now: x opens stream deploy, which comes first" in text(pilot))
        await pilot.press("x")
        await until(pilot, lambda: "stream deploy · PROD" in text(pilot))

"""Every record lands exactly once in its company's database and nowhere else, whatever is done to routes while records flow.

The short form has 60 companies in 5 databases of two jobs; LPMOPS_TEST_ROUTES=1000 makes it 1,000 in 25 of three. Both ends are compared key by key,
with events that come twice, jobs that crash and go on from their checkpoint, and companies that come, pause, resume and move meanwhile. Each job
reads the route table at its own moment of the minute.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from lpmops.actions import registry
from lpmops.actions.desk import Desk
from lpmops.control import guard
from lpmops.control.collect import utc_now
from lpmops.control.hands import Outcome, Ticking, Timing
from lpmops.errors import RolledBackError
from lpmops.store.connection import open_store
from tests.actions.cloud import by_strategy, config
from tests.actions.stream import Key, Stream, world

COMPANIES = int(os.environ.get("LPMOPS_TEST_ROUTES", "60"))
DATABASES, JOBS = (25, 3) if COMPANIES >= 1_000 else (5, 2)
STRANGERS = ("9001", "9002", "9003", "9004", "9'; DROP TABLE lpm.tdr --")


class Operations:
    """An operator at a stream whose time passes while they wait."""

    def __init__(self, folder: Path, strategy: str) -> None:
        place = by_strategy(world(DATABASES), strategy)
        self.by_text = strategy == "query"
        self.stream = Stream(folder, place, COMPANIES, JOBS, STRANGERS, seed=7)
        self.waited = 0.0
        self._store = open_store(folder / "laptop" / "lpmops.db")
        self._desk = Desk(
            config(place), place, self._store, cast(Any, self.stream), timing=Timing(poll=10.0, visible=600.0),
            ticking=Ticking(lambda: self.waited, self._wait),
        )  # fmt: skip

    def _wait(self, seconds: float) -> None:
        self.waited += seconds
        self.stream.pass_time(seconds)

    def do(self, action: str, **wish: Any) -> Outcome:
        """Plan and carry out."""
        entry = registry.action(action)
        filled = {**entry.fill(self._desk.bench()), "reason": "", "ticket": "", **wish}
        plan = self._desk.plan(entry, filled)
        assert not plan.refusals, plan.refusals
        return self._desk.apply(plan, guard.approve(plan, guard.Answers(confirm="prod"), "ops", utc_now()))

    def close(self) -> None:
        self._store.close()
        for runtime in self.stream.runtimes.values():
            runtime.close()
        self.stream.close()


@pytest.fixture(params=("reference", "query"))
def operations(folder: Path, request: pytest.FixtureRequest) -> Iterator[Operations]:
    found = Operations(folder, request.param)
    yield found
    found.close()


def fingerprint(keys: Counter[Key]) -> str:
    """One hash for a set of changes."""
    return hashlib.sha256(repr(sorted(keys.elements())).encode()).hexdigest()


def assert_each_once(stream: Stream, loose: Collection[str] = (), moved: Collection[str] = ()) -> None:
    """Each change of a company that was routed all the time landed once, in its database, and one of a `loose` company there or in `unrouted`.

    Those of a `moved` company all landed; while its route changed some stood in `unrouted` too.
    """
    stream.pass_time(30)
    places, landed, unrouted = stream.places(), stream.everywhere(), stream.unrouted()
    together: Counter[Key] = Counter()
    for database, keys in landed.items():
        assert {places.get(company) for company, _, _ in keys} <= {database}, f"{database} has rows of another's"
        together += keys
    assert max(together.values()) == 1, "a change is there twice"
    assert not set(together) - set(stream.sent), "a change is from nowhere"
    for company in stream.callers:
        sent, mine, lost = (
            Counter(key for key in keys if key[0] == company) for keys in (stream.sent, together, unrouted)
        )
        if company not in places:
            assert (sent, mine) == (lost, Counter()), company
        elif company in loose:
            assert sent == mine | lost, f"a change of {company} is nowhere"
        else:
            lost = lost - mine if company in moved else lost
            assert (sent.total(), fingerprint(sent), lost) == (mine.total(), fingerprint(mine), Counter()), company


def test_every_record_lands_once_in_its_own_database_through_all_that_is_done_to_routes(operations: Operations) -> None:
    stream, routed = operations.stream, operations.stream.routed
    first, *_, last = stream.environment.sql.databases
    paused, removed = [routed[1], routed[DATABASES - 1]], routed[2]
    stream.busy = ["9001", STRANGERS[-1], routed[0], removed, *paused]
    stream.pass_time(90)
    # On a database that a job writes: nothing stops, where the jobs read the route table.
    runtimes = dict(stream.runtimes)
    brought = operations.do("route.onboard", company_id="9001", company="New", database=last)
    assert brought.result["routes"][0]["seconds_to_first_row"] is not None
    assert operations.by_text or stream.runtimes == runtimes
    stream.crash()
    # One whose id is hostile, on a database that is new: its job stops once.
    stream.make_database("lpm-99")
    operations.do("route.onboard", company_id=STRANGERS[-1], company="Bobby", database="lpm-99")
    # From one job's database to another job's, while calls come in and a job crashes.
    moved = operations.do("route.move", companies=[routed[0]], database=last)
    assert (moved.result["rows_left_behind"], moved.result["to"]) == (0, last)
    stream.crash()
    operations.do("route.move", companies=[STRANGERS[-1]], database=first)
    # Two of two jobs at once, and one for good.
    operations.do("route.pause", companies=paused)
    operations.do("route.remove", companies=[removed])
    stream.pass_time(150)
    gone = {company: landed_of(stream, company) for company in (*paused, removed)}
    stream.pass_time(90)
    assert {company: landed_of(stream, company) for company in gone} == gone
    operations.do("route.resume", companies=paused)
    stream.pass_time(90)
    stream.crash()
    assert_each_once(stream, {"9001", STRANGERS[-1], removed, *paused}, () if operations.by_text else {routed[0]})
    assert landed_of(stream, removed) == gone[removed]
    for company in paused:
        assert landed_of(stream, company) > gone[company]
        assert any(key[0] == company for key in stream.unrouted())


def landed_of(stream: Stream, company: str) -> int:
    """How many changes of a company have landed."""
    return sum(key[0] == company for keys in stream.everywhere().values() for key in keys.elements())


def test_a_job_that_does_not_start_with_a_new_output_is_brought_back_and_runs(operations: Operations) -> None:
    stream = operations.stream
    job = next(iter(sorted(stream.runtimes)))
    before = {name: stream.get(name)["query"] for name in stream.runtimes}
    stream.make_database("lpm-99")
    for name in stream.runtimes:
        stream.put(name, broken=True)
    with pytest.raises(RolledBackError, match="brought back to what it was and runs again"):
        operations.do("route.onboard", company_id="9001", company="New", database="lpm-99")
    assert {name: stream.get(name)["query"] for name in before} == before
    assert "lpm-99" not in stream.get(job)["outputs"]
    assert {stream.get(name)["state"] for name in before} == {"Running"}
    assert "9001" not in stream.places()
    assert stream.query("SELECT target FROM lpmops.pause") == []
    for name in stream.runtimes:
        stream.put(name, broken=False)
    assert_each_once(stream)

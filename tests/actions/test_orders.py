"""The orders of an app that stays open: what it may have done is held against the guard, whatever its screens believe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from lpmops.actions.action import Bench
from lpmops.actions.orders import ActionOrders
from lpmops.config import Environment
from lpmops.control import guard
from lpmops.control.collect import utc_now
from lpmops.control.hands import Event
from lpmops.control.operations import Operation, after, planned
from lpmops.control.plan import Danger
from lpmops.errors import DeclinedError, PartlyAppliedError, RefusedError, ServiceError
from lpmops.model import Kind
from lpmops.store import audit
from lpmops.store.connection import open_store
from lpmops.store.proofs import OpenGap
from lpmops.versions import Versions
from tests.actions.cases import CASES
from tests.actions.cloud import JOB, Cloud, config, quiet
from tests.actions.operator import QUICK, Proven, operator

WISH = {"reason": "database move", "until": None, "ticket": "OPS-1"}


class Clock:
    """The machine's clock, which a test may set forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture
def cloud(folder: Path, simulated_time: None) -> Iterator[Cloud]:
    made = Cloud(folder, trouble=quiet)
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def orders_of(cloud: Cloud, folder: Path, clock: Clock, *, read_only: bool = False) -> ActionOrders:
    path = folder / "laptop" / "lpmops.db"
    return ActionOrders(
        config(cloud.environment),
        lambda _: open_store(path),
        read_only=read_only,
        opener=lambda *_: cast(Any, Cloud(folder, trouble=quiet)),
        now=clock,
        timing=QUICK,
    )


class Lacking(Proven):
    """Some of a company was known to be missing before; the rest lies elsewhere, or is another's."""

    def gaps(self, bench: Bench, table_id: str) -> Sequence[OpenGap]:
        return (
            OpenGap("1001", Versions(2, 3), 20, 14, missing=6, repairable=6),
            OpenGap("1001", Versions(90, 91), 20, 11, missing=9, repairable=9),
            OpenGap("1002", Versions(2, 3), 20, 13, missing=7, repairable=7),
        )


def told(events: list[Event]) -> list[tuple[str | None, str]]:
    return [(event.step, event.state) for event in events]


def test_an_armed_environment_is_changed_by_the_word_and_every_step_is_told(
    cloud: Cloud, folder: Path, clock: Clock
) -> None:
    orders, events = orders_of(cloud, folder, clock), list[Event]()
    plan = orders.plan("prod", "asa.pause", WISH)
    assert (plan.wish["jobs"], plan.reason, guard.word_to_type(guard.request_of(plan))) == ([], "database move", "yes")
    orders.arm("prod")
    outcome = orders.apply(plan, "yes", events.append)
    assert outcome.state == "succeeded"
    assert cloud.get(JOB)["state"] == "Stopped"
    found = orders.operations()
    assert [(each.state, each.finished_steps, each.waits) for each in found] == [("succeeded", 2, False)]
    assert [entry.what for entry in orders.audit()][:1] == ["operation.ended"]
    drawn: Operation = planned(plan, clock())
    for event in events:
        drawn = after(drawn, event)
    assert [(step.name, step.state) for step in drawn.steps] == [(step.name, step.state) for step in found[0].steps]


@pytest.mark.parametrize("typed", ["", "y", "prod", "no"])
def test_any_other_word_than_yes_changes_nothing(cloud: Cloud, folder: Path, clock: Clock, typed: str) -> None:
    orders = orders_of(cloud, folder, clock)
    plan = orders.plan("prod", "asa.pause", WISH)
    orders.arm("prod")
    with pytest.raises(DeclinedError):
        orders.apply(plan, typed)
    assert cloud.get(JOB)["state"] == "Running"
    assert orders.operations() == ()


def test_production_that_is_not_armed_any_more_is_not_changed(cloud: Cloud, folder: Path, clock: Clock) -> None:
    orders = orders_of(cloud, folder, clock)
    plan = orders.plan("prod", "asa.pause", WISH)
    with pytest.raises(DeclinedError, match="prod is not armed"):
        orders.apply(plan, "yes")
    orders.arm("prod")
    clock.ahead = guard.ARMED_FOR + timedelta(seconds=1)
    assert orders.armed() == {}
    with pytest.raises(DeclinedError, match="prod is not armed"):
        orders.apply(plan, "yes")
    assert cloud.get(JOB)["state"] == "Running"


def test_read_only_plans_and_changes_nothing_whatever_is_asked(cloud: Cloud, folder: Path, clock: Clock) -> None:
    orders = orders_of(cloud, folder, clock, read_only=True)
    plan = orders.plan("prod", "asa.pause", WISH)
    attempts = (
        lambda: orders.arm("prod"),
        lambda: orders.apply(plan, "yes"),
        lambda: orders.resume("x"),
        lambda: orders.resolve("x", "done", "why"),
        lambda: orders.abort("x", "why"),
    )
    for attempt in attempts:
        with pytest.raises(DeclinedError, match="read-only"):
            attempt()
    assert cloud.get(JOB)["state"] == "Running"


def test_what_was_left_under_way_is_interrupted_goes_first_and_is_resumed_only_armed(
    cloud: Cloud, folder: Path, clock: Clock
) -> None:
    class Gone(BaseException):
        """The process is killed."""

    def die(event: Event) -> None:
        if event.state == "accepted" and event.step == f"stop {JOB}":
            raise Gone

    orders = orders_of(cloud, folder, clock)
    orders.arm("prod")
    plan = orders.plan("prod", "asa.pause", WISH)
    with pytest.raises(Gone):
        orders.apply(plan, "yes", die)
    (left,) = orders.operations()
    assert (left.waits, left.danger) == (True, Danger.PRODUCTION)
    with pytest.raises(RefusedError, match="unfinished"):
        orders.plan("prod", "asa.pause", WISH)
    orders.disarm("prod")
    with pytest.raises(DeclinedError, match="not armed"):
        orders.resume(left.id)
    orders.arm("prod")
    assert orders.resume(left.id).state == "succeeded"
    assert not orders.operations()[0].waits


def test_an_operation_can_be_given_up_with_its_reason_in_the_audit(cloud: Cloud, folder: Path, clock: Clock) -> None:
    class Gone(BaseException):
        """The process is killed."""

    def die(event: Event) -> None:
        raise Gone

    orders = orders_of(cloud, folder, clock)
    orders.arm("prod")
    with pytest.raises(Gone):
        orders.apply(orders.plan("prod", "asa.pause", WISH), "yes", die)
    orders.abort(orders.operations()[0].id, "not needed")
    assert orders.operations()[0].state == "cancelled"
    store = open_store(folder / "laptop" / "lpmops.db")
    assert any("not needed" in str(entry.body) for entry in audit.entries(store))
    store.close()


def test_a_start_is_asked_for_with_what_each_mode_would_skip(cloud: Cloud, folder: Path, clock: Clock) -> None:
    with operator(folder, cloud=cloud):
        cloud.put(JOB, state="Stopped")
    found = {each.value: each for each in orders_of(cloud, folder, clock).choices("prod", "asa.start", "mode")}
    assert set(found) == {"last-output", "now", "custom"}
    assert found["last-output"].said.startswith("skips 0, repeats ")


def test_outside_production_one_key_is_enough_and_hard_things_want_their_name() -> None:
    dev = guard.Request(guard.danger_of(Kind.DEV), "dev", "Pause it.")
    hard = guard.Request(Danger.HARD, "prod", "Replay it.")
    assert (guard.word_to_type(dev), guard.word_to_type(hard)) == ("", "prod")
    assert guard.needed(dev, guard.answers_of(dev, "")) is None
    assert guard.needed(hard, guard.answers_of(hard, " prod ")) is None
    with pytest.raises(DeclinedError):
        guard.needed(hard, guard.answers_of(hard, "yes"))


def test_a_replay_is_followed_chunk_by_chunk_to_its_proof(cloud: Cloud, folder: Path, clock: Clock) -> None:
    case = CASES["replay"]
    with operator(folder, prover=Lacking()) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("feed", shapes=[4])
        outcome = worker.run(case)
    found = orders_of(cloud, folder, clock).replay(str(outcome.operation))
    assert [chunk["state"] for chunk in found["chunks"]] == ["done", "done"]
    assert [chunk["url"] for chunk in found["chunks"]] == [
        f"https://adb-1.example/jobs/runs/{chunk['run_id']}" for chunk in found["chunks"]
    ]
    assert found["proof"]["complete"]
    assert [(each["company_id"], each["missing_before"]) for each in found["proof"]["companies"]] == [("1001", 6)]


def test_the_page_of_a_run_is_asked_for_once_however_often_one_looks(cloud: Cloud, folder: Path, clock: Clock) -> None:
    case, asked = CASES["replay"], list[str]()
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("feed", shapes=[4])
        worker.cloud.put("stream", replays_fail=1)
        ended = worker.attempt(worker.plan(case))

    def looked(_: str, verb: str) -> None:
        if verb == "replay_runs":
            asked.append(verb)

    path = folder / "laptop" / "lpmops.db"
    orders = ActionOrders(
        config(cloud.environment),
        lambda _: open_store(path),
        opener=lambda *_: cast(Any, Cloud(folder, trouble=looked)),
        now=clock,
    )
    for _ in range(3):
        first, second = orders.replay(str(ended.operation))["chunks"]
        assert (first["state"], first["url"]) == ("failed", "https://adb-1.example/jobs/runs/900")
        assert (second["state"], second["url"], second["run_id"]) == ("planned", None, None)
    assert len(asked) == 1


def test_of_a_replay_whose_workspace_is_silent_the_journal_is_shown_and_it_is_asked_once(
    cloud: Cloud, folder: Path
) -> None:
    case, asked = CASES["replay"], list[str]()

    def silent(environment: Environment, deadline: float) -> Any:
        asked.append(environment.name)
        raise ServiceError("The workspace does not answer.", service="databricks")

    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("feed", shapes=[4])
        worker.cloud.put("stream", replays_fail=1)
        ended = worker.attempt(worker.plan(case))
        assert isinstance(ended, PartlyAppliedError)
    path = folder / "laptop" / "lpmops.db"
    orders = ActionOrders(config(cloud.environment), lambda _: open_store(path), opener=silent)
    found = orders.replay(str(ended.operation))
    assert [(chunk["n"], chunk["rows"]) for chunk in found["chunks"]] == [(1, None), (2, None)]
    assert found["proof"] is None
    assert asked == ["prod"]

"""Companies in the jobs' own texts: a deployment puts the routes there, in all jobs at one moment, and none is nowhere in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from lpmops.actions.orders import ActionOrders
from lpmops.config import Column, Environment, Routing
from lpmops.control.collect import utc_now
from lpmops.control.plan import Plan
from lpmops.errors import RolledBackError, StalePlanError, UnreachableError
from lpmops.model import Receipt, to_data
from lpmops.routing import deployed
from lpmops.routing import job as definitions
from lpmops.routing.deployed import Deployed
from lpmops.routing.query import REFERENCE
from lpmops.routing.schema import landing_statements
from lpmops.store.connection import open_store
from tests.actions.cloud import CONTROL, JOB, START, Trouble, by_strategy, config, quiet
from tests.actions.operator import QUICK
from tests.actions.two_jobs import SECOND, TwoJobs, shared

pytestmark = pytest.mark.usefixtures("simulated_time")

DEPLOY: dict[str, Any] = {
    "reason": "new companies",
    "ticket": "",
    "mode": "last-output",
    "begin": None,
    "back_to": "",
    "jobs": [],
}


def by_query() -> Environment:
    return by_strategy(shared(), "query")


@pytest.fixture
def cloud(folder: Path) -> Iterator[TwoJobs]:
    made = TwoJobs(folder, by_query())
    route(made, "1002", "lpm-02")
    yield made
    made.close()


@pytest.fixture
def orders(cloud: TwoJobs, folder: Path) -> ActionOrders:
    return orders_of(folder, TwoJobs)


def orders_of(folder: Path, world: type[TwoJobs]) -> ActionOrders:
    path = folder / "laptop" / "lpmops.db"
    made = ActionOrders(
        config(by_query()),
        lambda _: open_store(path),
        opener=lambda *_: cast(Any, world(folder, by_query())),
        now=utc_now,
        timing=QUICK,
    )
    made.arm("prod")
    return made


def route(cloud: TwoJobs, company: str, database: str) -> None:
    cloud._sql.database(CONTROL).execute(
        "INSERT INTO lpmops.route (company_id, company, database_name, changed_by) VALUES (@id, 'x', @database, 'x')",
        {"id": company, "database": database},
    )


def plan(orders: ActionOrders, **changes: Any) -> Plan:
    return orders.plan("prod", "asa.deploy", {**DEPLOY, **changes})


def read(cloud: TwoJobs, job: str) -> Deployed:
    return deployed.read(definitions.deployed(cloud.job(job)), config(cloud.environment).routing)


def test_a_deployment_writes_the_routes_into_the_texts_and_needs_no_reference_data(
    cloud: TwoJobs, orders: ActionOrders
) -> None:
    assert orders.apply(plan(orders), "yes").state == "succeeded"
    assert read(cloud, JOB) == Deployed("query", ("lpm-01",), control=True, routes={"1001": "lpm-01", "1002": "lpm-02"})
    assert read(cloud, SECOND) == Deployed("query", ("lpm-02",), control=False, routes={"1002": "lpm-02"})
    assert REFERENCE not in cloud.get(JOB)["inputs"]
    assert not plan(orders).steps


def test_all_jobs_stop_before_any_changes_and_begin_again_where_the_first_ended(
    cloud: TwoJobs, orders: ActionOrders
) -> None:
    cloud.put(SECOND, last_output_at=to_data(START - timedelta(seconds=30)))
    made = plan(orders)
    kinds = [step.kind for step in made.steps]
    parts = [place for place, kind in enumerate(kinds) if kind == "asa.part"]
    assert [kinds[place] for place in range(parts[0])] == ["pause.record", "asa.stop", "pause.record", "asa.stop"]
    assert [kinds[place] for place in range(parts[-1] + 1, len(kinds))] == [
        "asa.start",
        "pause.clear",
        "asa.start",
        "pause.clear",
    ]
    starts = [step.arguments for step in made.steps if step.kind == "asa.start"]
    assert {(start["mode"], start["begin"]) for start in starts} == {
        ("CustomTime", to_data(START - timedelta(seconds=30)))
    }
    assert made.impact.events == 0


def test_one_job_alone_is_not_changed_where_another_must_change_with_it(orders: ActionOrders) -> None:
    assert f"{JOB} must change with it" in plan(orders, jobs=[SECOND]).refusals[0]


def test_a_company_that_comes_between_plan_and_approval_makes_the_plan_stale(
    cloud: TwoJobs, orders: ActionOrders
) -> None:
    made = plan(orders)
    route(cloud, "1003", "lpm-02")
    with pytest.raises(StalePlanError, match="routes was 2"):
        orders.apply(made, "yes")


def test_a_deployment_by_query_is_taken_back_to_reference_data(cloud: TwoJobs, orders: ActionOrders) -> None:
    before = (cloud.get(JOB)["query"], cloud.get(JOB)["inputs"])
    done = orders.apply(plan(orders), "yes")
    back = plan(orders, back_to=done.operation)
    assert orders.apply(back, "yes").state == "succeeded"
    assert (cloud.get(JOB)["query"], cloud.get(JOB)["inputs"]) == before


def test_a_plan_says_which_companies_land_elsewhere_and_the_text_says_it_too(
    cloud: TwoJobs, orders: ActionOrders
) -> None:
    orders.apply(plan(orders), "yes")
    route(cloud, "1003", "lpm-02")
    assert "company 1003: nowhere now, lpm-02 as planned." in plan(orders).warnings


def test_a_column_that_the_source_has_not_is_not_deployed(cloud: TwoJobs, folder: Path) -> None:
    path = folder / "laptop" / "lpmops.db"
    config_of = replace(config(cloud.environment), columns=(Column("caller", "BIT"),))
    trouble: list[Trouble] = [quiet]
    asked = ActionOrders(
        config_of,
        lambda _: open_store(path),
        opener=lambda *_: cast(Any, TwoJobs(folder, by_query(), trouble=trouble[-1])),
        now=utc_now,
        timing=QUICK,
    )
    assert "The source has no column caller, which lands as caller." in plan(asked).refusals
    trouble.append(_warehouse_away)
    made = plan(asked)
    assert not any("caller" in refusal for refusal in made.refusals)
    assert any("were not held beside the source's: The warehouse is away." in warning for warning in made.warnings)


class Stubborn(TwoJobs):
    """The first job starts with one text alone."""

    of = ""

    def start(self, name: str, mode: str, at: datetime | None = None) -> Receipt:
        if name != JOB or self.get(JOB)["query"] == self.of:
            return super().start(name, mode, at)
        self.did("start", name, state="Failed", started_at=to_data(START + timedelta(hours=1)))
        return Receipt("request-2", "https://arm.example/operations/2")


# Pausing and resuming ----------------------------------------------------------------------------------------------------------------------------

STATE: dict[str, Any] = {"companies": ["1002"], "reason": "", "ticket": ""}


def test_a_company_is_paused_in_the_texts_and_the_job_that_takes_it_to_unrouted_changes_first(
    cloud: TwoJobs, orders: ActionOrders
) -> None:
    assert orders.apply(plan(orders), "yes").state == "succeeded"
    cloud.put(SECOND, last_output_at=to_data(START - timedelta(seconds=30)))
    made = orders.plan("prod", "route.pause", STATE)
    assert [step.target for step in made.steps if step.kind == "asa.try"] == [JOB, SECOND]
    assert [step.arguments["begin"] for step in made.steps if step.kind == "asa.try"] == [
        to_data(START - timedelta(seconds=30)),
        None,
    ]
    assert made.steps[-1].kind == "route.state"
    assert made.impact.companies == 2
    assert "stops once and starts again" in made.summary
    done = orders.apply(made, "yes")
    assert (done.result["live_within_seconds"], done.result["stopped_jobs"]) == (0.0, [JOB, SECOND])
    assert [read(cloud, job).routes for job in (JOB, SECOND)] == [{"1001": "lpm-01"}, {}]
    assert not orders.plan("prod", "route.pause", STATE).steps


def test_where_the_output_of_a_job_ended_is_not_known_the_commands_that_start_it_anew_are_named(
    cloud: TwoJobs, orders: ActionOrders
) -> None:
    assert orders.apply(plan(orders), "yes").state == "succeeded"
    cloud.put(SECOND, last_output_at=None, started_at=None)
    said, *_ = orders.plan("prod", "route.pause", STATE).refusals
    assert said == (
        f"Where the output of {SECOND} ended is not known. Start it anew first, from a time before the first event it may have missed: "
        f"lpmops asa pause -e prod --job {SECOND} --reason WHY   then   lpmops asa start -e prod --job {SECOND} --mode custom --from TIME"
    )


def test_a_company_lands_again_by_the_texts_and_the_job_that_writes_it_changes_first(
    cloud: TwoJobs, orders: ActionOrders
) -> None:
    assert orders.apply(plan(orders), "yes").state == "succeeded"
    orders.apply(orders.plan("prod", "route.pause", STATE), "yes")
    made = orders.plan("prod", "route.resume", STATE)
    assert [step.target for step in made.steps if step.kind == "asa.try"] == [SECOND, JOB]
    orders.apply(made, "yes")
    both = {"1001": "lpm-01", "1002": "lpm-02"}
    assert [read(cloud, job).routes for job in (JOB, SECOND)] == [both, {"1002": "lpm-02"}]


def test_a_pause_whose_job_does_not_start_is_no_pause(cloud: TwoJobs, orders: ActionOrders, folder: Path) -> None:
    assert orders.apply(plan(orders), "yes").state == "succeeded"
    made = orders.plan("prod", "route.pause", {**STATE, "companies": ["1001"]})
    before = Stubborn.of = cloud.get(JOB)["query"]
    with pytest.raises(RolledBackError):
        orders_of(folder, Stubborn).apply(made, "yes")
    assert cloud.get(JOB)["query"] == before
    assert cloud.query("SELECT state FROM lpmops.route WHERE company_id = '1001'") == [("active",)]


# Moving --------------------------------------------------------------------------------------------------------------------------------------------

MOVE: dict[str, Any] = {
    "companies": ["1001"],
    "database": "lpm-02",
    "old": "",
    "keep": False,
    "reason": "",
    "ticket": "",
}


def ready_to_move(cloud: TwoJobs, orders: ActionOrders) -> None:
    """Two jobs whose texts hold the companies, with rows of the one that moves."""
    assert orders.apply(plan(orders), "yes").state == "succeeded"
    cloud.make_database("lpm-02")
    for statement in landing_statements((), Routing()):
        cloud.statement("lpm-02", statement)
    cloud.land_rows("lpm-01", ("1001", "a"), ("1001", "b"), ("1007", "a"))
    cloud.land_rows("lpm-02", ("1001", "a"))
    cloud.put(SECOND, last_output_at=to_data(START + timedelta(seconds=90)))
    cloud.put(JOB, last_output_at=to_data(START + timedelta(seconds=60)))
    cloud.forget()


def moved(cloud: TwoJobs) -> bool:
    rows = cloud.query("SELECT database_name, also_database, state FROM lpmops.route WHERE company_id = '1001'")
    return (
        rows == [("lpm-02", None, "active")]
        and read(cloud, JOB).routes == {"1001": "lpm-02", "1002": "lpm-02"}
        and read(cloud, SECOND).routes == {"1001": "lpm-02", "1002": "lpm-02"}
        and cloud.landed("lpm-01") == [("1007", "a", 3)]
        and cloud.landed("lpm-02") == [("1001", "a", 1), ("1001", "b", 2)]
        and {cloud.get(job)["state"] for job in (JOB, SECOND)} == {"Running"}
    )


def test_a_company_moves_with_the_texts_and_the_job_that_it_comes_to_changes_first(
    cloud: TwoJobs, orders: ActionOrders
) -> None:
    ready_to_move(cloud, orders)
    made = orders.plan("prod", "route.move", MOVE)
    assert not made.refusals
    changed = [(step.kind, step.target) for step in made.steps if step.kind in ("asa.stop", "asa.part", "asa.try")]
    assert changed == [(kind, job) for job in (SECOND, JOB) for kind in ("asa.stop", "asa.part", "asa.try")]
    starts = {step.target: step.arguments for step in made.steps if step.kind == "asa.try"}
    # From where the other's output ended, which is before its own: what the other has not written by then, this one writes.
    assert (starts[SECOND]["mode"], starts[SECOND]["begin"]) == ("CustomTime", to_data(START + timedelta(seconds=60)))
    assert starts[JOB]["mode"] == "LastOutputEventTime"
    done = orders.apply(made, "yes")
    assert (done.state, done.result["rows_left_behind"]) == ("succeeded", 0)
    assert moved(cloud)
    assert not orders.plan("prod", "route.move", MOVE).steps


def test_a_job_that_does_not_start_without_the_company_is_brought_back_and_the_move_is_finished_or_taken_back(
    cloud: TwoJobs, orders: ActionOrders, folder: Path
) -> None:
    ready_to_move(cloud, orders)
    first = orders.plan("prod", "route.move", MOVE)
    before = cloud.get(JOB)["query"]
    Stubborn.of = before
    with pytest.raises(RolledBackError):
        orders_of(folder, Stubborn).apply(first, "yes")
    # Both write it, and everybody sees that it is on its way.
    assert cloud.get(JOB)["query"] == before
    assert (read(cloud, JOB).routes["1001"], read(cloud, SECOND).routes["1001"]) == ("lpm-01", "lpm-02")
    back = orders.plan("prod", "route.move", {**MOVE, "database": "lpm-01"})
    assert {step.target for step in back.steps if step.kind == "asa.stop"} == {SECOND}
    on = orders.plan("prod", "route.move", MOVE)
    assert not on.refusals
    assert {step.target for step in on.steps if step.kind == "asa.stop"} == {JOB}
    assert orders.apply(on, "yes").state == "succeeded"
    assert moved(cloud)


def _warehouse_away(place: str, verb: str) -> None:
    if verb == "columns":
        raise UnreachableError("The warehouse is away.", service="databricks")

"""Where several jobs share a prefix somebody chooses which of them is changed, in the app as on the command line; the others are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from lpmops.actions import registry
from lpmops.actions.orders import ActionOrders
from lpmops.control.collect import utc_now
from lpmops.model import Health, Kind, Reading, Snapshot, Stage
from lpmops.store.connection import open_store
from tests.actions.cloud import JOB, Act, config
from tests.actions.line import Line
from tests.actions.operator import QUICK
from tests.actions.two_jobs import SECOND, TwoJobs

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WHY = {"reason": "database move", "ticket": ""}
VALUES: dict[str, dict[str, Any]] = {
    "asa.pause": {**WHY, "until": None},
    "asa.start": {**WHY, "mode": "last-output", "begin": None},
    "asa.deploy": {**WHY, "mode": "last-output", "begin": None, "back_to": ""},
    "asa.scale": {**WHY, "units": "2"},
}


@pytest.fixture
def cloud(folder: Path, simulated_time: None) -> Iterator[TwoJobs]:
    made = TwoJobs(folder)
    yield made
    made.close()


@pytest.fixture
def orders(cloud: TwoJobs, folder: Path) -> ActionOrders:
    path = folder / "laptop" / "lpmops.db"
    made = ActionOrders(
        config(cloud.environment),
        lambda _: open_store(path),
        opener=lambda *_: cast(Any, TwoJobs(folder)),
        now=utc_now,
        timing=QUICK,
    )
    made.arm("prod")
    return made


@pytest.fixture
def line(cloud: TwoJobs, folder: Path) -> Line:
    return Line(folder, cloud)


def _made_ready(cloud: TwoJobs, action: str) -> None:
    """Gives the action something to do in both jobs."""
    for job in (JOB, SECOND):
        if action == "asa.start":
            cloud.put(job, state="Stopped")
        if action == "asa.deploy":
            cloud.put(job, query="SELECT 1\n  AS one")


def _targets(cloud: TwoJobs) -> set[str]:
    return {act.target for act in cloud.acts()}


@pytest.mark.parametrize("action", VALUES)
def test_the_app_asks_which_and_changes_no_other(action: str, cloud: TwoJobs, orders: ActionOrders) -> None:
    _made_ready(cloud, action)
    found = orders.choices("prod", action, "jobs")
    assert [each.value for each in found] == [JOB, SECOND]
    plan = orders.plan("prod", action, {**VALUES[action], "jobs": [SECOND]})
    assert {step.target for step in plan.steps} == {SECOND}
    assert f"--job {SECOND}" in plan.command
    assert orders.apply(plan, "yes").state == "succeeded"
    assert _targets(cloud) == {SECOND}


@pytest.mark.parametrize("action", VALUES)
def test_with_none_named_all_are_changed(action: str, cloud: TwoJobs, orders: ActionOrders) -> None:
    _made_ready(cloud, action)
    plan = orders.plan("prod", action, VALUES[action])
    assert {step.target for step in plan.steps} == {JOB, SECOND}
    assert "--job" not in plan.command


@pytest.mark.parametrize("action", VALUES)
def test_the_command_that_the_app_shows_does_the_same(
    action: str, cloud: TwoJobs, orders: ActionOrders, line: Line
) -> None:
    _made_ready(cloud, action)
    plan = orders.plan("prod", action, {**VALUES[action], "jobs": [SECOND]})
    words = [word.strip("'") for word in plan.command.replace("'database move'", "database_move").split()[1:]]
    said = line.run(*words, "--confirm", "prod", "-o", "json")
    assert (said.code, said.data["state"]) == (0, "succeeded"), said.err
    assert [step["name"] for step in said.data["steps"]] == [step.name for step in plan.steps]
    assert _targets(cloud) == {SECOND}


def test_what_a_start_would_skip_is_told_job_by_job(cloud: TwoJobs, orders: ActionOrders) -> None:
    cloud.put(SECOND, state="Stopped", last_output_at=None)
    one = {each.value: each for each in orders.choices("prod", "asa.start", "mode")}
    assert one["last-output"].refusal
    cloud.put(JOB, state="Stopped")
    both = {each.value: each for each in orders.choices("prod", "asa.start", "mode")}
    assert both["last-output"].said.startswith(f"{JOB} skips 0, repeats ")
    assert f"; {SECOND} skips an unknown number" in both["last-output"].said
    assert not both["last-output"].refusal


def test_streaming_units_are_offered_with_whose_they_are_now(cloud: TwoJobs, orders: ActionOrders) -> None:
    cloud.put(SECOND, streaming_units=120.0)
    found = {each.value: each.said for each in orders.choices("prod", "asa.scale", "units")}
    assert found["12"] == f"{SECOND} now"
    assert found["1/3"] == f"{JOB} now, what lpmops.toml asks for"


def test_a_deployment_is_offered_to_be_taken_back_and_is(cloud: TwoJobs, orders: ActionOrders) -> None:
    _made_ready(cloud, "asa.deploy")
    before = cloud.get(SECOND)["query"]
    done = orders.apply(orders.plan("prod", "asa.deploy", {**VALUES["asa.deploy"], "jobs": [SECOND]}), "yes")
    found = orders.choices("prod", "asa.deploy", "back_to")
    assert [each.value for each in found] == ["", done.operation]
    values = {**VALUES["asa.deploy"], "jobs": [SECOND], "back_to": done.operation}
    assert orders.apply(orders.plan("prod", "asa.deploy", values), "yes").state == "succeeded"
    assert cloud.get(SECOND)["query"] == before
    assert Act("put_transformations", JOB) not in cloud.acts()


@pytest.mark.parametrize(("count", "asked"), [(0, False), (1, False), (2, True), (None, True)])
def test_which_job_is_asked_only_where_there_are_several(count: int | None, asked: bool) -> None:
    field = next(each for each in registry.action("asa.pause").inputs or () if each.name == "jobs")
    readings = tuple(Reading(f"asa-{number}.state", "Running", "", NOW, "x") for number in range(count or 0))
    seen = Snapshot("prod", Kind.PROD, NOW, Health.HEALTHY, {"asa": Stage("asa", Health.HEALTHY, "running", readings=readings)})  # fmt: skip
    assert field.needed(None if count is None else seen) is asked

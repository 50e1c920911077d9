"""A deployment of Stream Analytics changes what differs and nothing else, stops a job once, says that it did, and can be taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lpmops.actions import asa_definition
from lpmops.control.hands import Outcome
from lpmops.control.plan import Danger, Plan
from lpmops.errors import (
    ForbiddenError,
    LpmopsError,
    NotFoundError,
    PartlyAppliedError,
    RefusedError,
    StalePlanError,
    UsageError,
)
from lpmops.model import Kind
from lpmops.routing.job import UNITS
from tests.actions.cases import CASES, DEPLOY, SCALE, Case, drift
from tests.actions.cloud import JOB, Act, Cloud, as_kind
from tests.actions.operator import Operator, operator

CASE = CASES["deploy"]


def _fields(plan: Plan) -> set[str]:
    return {change.field.removeprefix(f"{JOB}.") for step in plan.steps for change in step.changes}


def test_a_job_that_is_as_asked_for_is_left_alone(folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASE)
        assert (plan.steps, plan.applyable) == ((), True)
        assert worker.run(CASE).operation is None
        assert not worker.cloud.acts()


def test_every_difference_names_its_field_and_the_job_is_stopped_once(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        plan = worker.plan(CASE)
        kinds = [step.kind for step in plan.steps]
        assert (kinds.count("asa.stop"), kinds.count("asa.start"), kinds[0], kinds[-1]) == (
            *(1, 1),
            *("pause.record", "pause.clear"),
        )
        assert {"outputErrorPolicy", "query", "outputs.lpm-01", "outputs.old"} <= _fields(plan)
        assert (plan.danger, plan.impact.pause_seconds, plan.impact.companies) == (Danger.PRODUCTION, 180.0, 1)
        result = worker.desk.apply(plan, worker.approve(plan)).result
        assert set(result["fields"]) == {f"{JOB}.{name}" for name in ("outputErrorPolicy", "query", *_outputs())}
        assert not worker.plan(CASE).steps


def _outputs() -> tuple[str, str]:
    return "outputs.lpm-01", "outputs.old"


def test_new_outputs_come_before_the_text_that_names_them_and_old_ones_go_after_it(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        parts = [step.arguments.get("name") for step in worker.plan(CASE).steps if step.kind == "asa.part"]
        assert parts == ["lpm-01", "Transformation", "old"]


def test_a_field_that_the_service_fills_in_or_writes_its_own_way_is_no_difference(folder: Path) -> None:
    with operator(folder) as worker:
        held = worker.cloud.get(JOB)
        output = held["outputs"]["lpm-01"]["datasource"]["properties"]
        del output["maxBatchCount"]
        output["server"] = output["server"].upper()
        held["inputs"]["tdr-hub"]["schemaRegistry"] = None
        worker.cloud.put(JOB, **{**held, "query": held["query"].replace("\n", "\r\n") + "\n"})
        assert not worker.plan(CASE).steps


def test_what_a_landing_table_lacks_is_added_before_a_job_stops(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        worker.cloud.statement("lpm-01", "DROP INDEX ix_tdr_landed_at ON lpm.tdr")
        plan = worker.plan(CASE)
        assert (plan.steps[0].kind, plan.steps[0].target) == ("route.landing", "lpm-01")
        assert [name for name, _ in plan.steps[0].arguments["statements"]] == ["landing_recent_index"]
        assert plan.seen["lpm-01.landing"] == ["landing_recent_index"]


def test_a_landing_table_that_would_refuse_rows_refuses_the_deployment(folder: Path) -> None:
    with operator(folder) as worker:
        worker.cloud.put(JOB, query="SELECT 1")
        worker.cloud.statement("lpm-01", "ALTER TABLE lpm.tdr ALTER COLUMN sipreq NVARCHAR(10) NULL")
        assert "lpm-01: The column sipreq of lpm.tdr is NVARCHAR(10)" in worker.plan(CASE).refusals[0]


def test_what_a_table_with_rows_may_drop_is_told_and_hinders_only_a_new_output(folder: Path) -> None:
    with operator(folder) as worker:
        worker.cloud.put(JOB, query="SELECT 1")
        worker.cloud.statement(
            "lpm-01", "CREATE UNIQUE INDEX ux_record ON lpm.tdr (record_id) WITH (IGNORE_DUP_KEY = ON)"
        )
        plan = worker.plan(CASE)
        assert plan.refusals == ()
        assert any("other changes would be dropped" in warning for warning in plan.warnings)
        drift(worker.cloud)
        assert "other changes would be dropped" in worker.plan(CASE).refusals[0]


def test_a_job_that_stands_still_is_changed_and_stays_so(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        worker.cloud.put(JOB, state="Stopped")
        plan = worker.plan(CASE)
        assert {step.kind for step in plan.steps} == {"asa.settings", "asa.part"}
        assert "asa start" in " ".join(plan.warnings)
        worker.desk.apply(plan, worker.approve(plan))
        assert worker.cloud.get(JOB)["state"] == "Stopped"
        assert not worker.plan(CASE).steps


def test_other_streaming_units_alone_stop_nothing(folder: Path) -> None:
    with operator(folder) as worker:
        worker.cloud.put(JOB, streaming_units=10.0)
        assert [step.kind for step in worker.plan(CASE).steps] == ["asa.scale"]
        worker.run(CASE)
        assert worker.cloud.acts() == {Act("scale", JOB): 1}
        assert worker.cloud.get(JOB)["streaming_units"] == 3.0


def test_a_start_that_skips_is_hard_and_one_that_can_not_be_is_refused(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        now = worker.plan(replace(CASE, wish={**DEPLOY, "mode": "now"}))
        assert (now.danger, now.impact.events) == (Danger.HARD, None)
        worker.cloud.put(JOB, last_output_at=None)
        refused = worker.plan(CASE)
        assert "--mode custom --from" in refused.refusals[0]
        with pytest.raises(RefusedError):
            worker.desk.apply(refused, worker.approve(replace(refused, refusals=())))
    with pytest.raises(UsageError), operator(folder) as worker:
        worker.plan(replace(CASE, wish={**DEPLOY, "mode": "custom"}))


def test_it_is_reversible_outside_prod(folder: Path) -> None:
    with operator(folder, cloud=Cloud(folder, as_kind(Kind.TEST))) as worker:
        drift(worker.cloud)
        assert worker.plan(CASE).danger is Danger.REVERSIBLE
        worker.cloud.close()


def test_a_company_whose_database_no_job_would_write_to_refuses_the_deployment(folder: Path) -> None:
    with operator(folder) as worker:
        worker.cloud.query("UPDATE lpmops.route SET database_name = 'lpm-09'; SELECT 1 AS one")
        drift(worker.cloud)
        assert "1 company is routed to lpm-09" in worker.plan(CASE).refusals[0]


def _interrupt(worker: Operator, verb: str) -> str:
    """Deploy, and lose the right to write just before `verb`; the operation."""

    def forbidden(place: str, what: str) -> None:
        if (place, what) == ("before", verb):
            raise ForbiddenError("No right to write.", service="streamanalytics", status=403)

    plan = worker.plan(CASE)
    worker.cloud.trouble = forbidden
    with pytest.raises(PartlyAppliedError) as caught:
        worker.desk.apply(plan, worker.approve(plan))
    worker.cloud.trouble = lambda *_: None
    assert f"{JOB} stands still until this is finished or taken back" in caught.value.message
    assert f"lpmops op resume {caught.value.operation}" in caught.value.hint
    assert f"lpmops asa deploy -e prod --back-to {caught.value.operation}" in caught.value.hint
    return str(caught.value.operation)


def test_a_change_that_fails_leaves_the_job_stopped_and_says_whose_stop_it_is(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        operation = _interrupt(worker, "put_transformations")
        assert worker.cloud.get(JOB)["state"] == "Stopped"
        pause = worker.desk.control.pauses()[JOB]
        assert (pause.action, pause.operation, pause.on_the_way) == ("asa.deploy", operation, True)
        assert worker.desk.resume(operation).state == "succeeded"
        assert CASE.holds(worker.cloud)


def test_what_stood_before_is_brought_back(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        before = worker.cloud.get(JOB)
        operation = str(worker.run(CASE).operation)
        assert _back(worker, operation).state == "succeeded"
        after = worker.cloud.get(JOB)
        assert all(after[name] == before[name] for name in ("query", "inputs", "outputs", "settings", "state"))


def test_a_half_done_deployment_is_given_up_and_taken_back(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        before = worker.cloud.get(JOB)
        operation = _interrupt(worker, "delete_outputs")
        worker.desk.abort(operation, "the new text is wrong")
        assert _back(worker, operation).state == "succeeded"
        after = worker.cloud.get(JOB)
        assert all(after[name] == before[name] for name in ("query", "outputs", "settings"))
        # It stands still, and whose stop that is stays known until it is started.
        assert (after["state"], worker.desk.control.pauses()[JOB].operation) == ("Stopped", operation)


def _back(worker: Operator, operation: str) -> Outcome:
    before = asa_definition.former(worker.desk.plan_of(operation))
    return worker.run(replace(CASE, wish={**DEPLOY, "back_to": operation, "definitions": before}))


def test_only_a_deployment_of_this_environment_can_be_taken_back(folder: Path) -> None:
    with operator(folder) as worker:
        operation = str(worker.run(CASES["pause"]).operation)
        with pytest.raises(UsageError, match=r"asa\.pause, which changed no"):
            asa_definition.former(worker.desk.plan_of(operation))
        with pytest.raises(NotFoundError):
            worker.desk.plan_of("no-such-operation")


@pytest.mark.parametrize("verb", ["put_outputs", "put_transformations", "delete_outputs", "change"])
def test_what_somebody_changes_on_the_way_is_not_written_over(verb: str, folder: Path) -> None:
    """The other writes between our last look and our write: the ETag, or the look, refuses."""

    def meddle(place: str, what: str) -> None:
        if (place, what) == ("before", verb):
            worker.cloud.trouble = lambda *_: None
            _meddle(worker.cloud, verb)

    with operator(folder) as worker:
        drift(worker.cloud)
        plan = worker.plan(CASE)
        worker.cloud.trouble = meddle
        if verb == "delete_outputs":
            # A delete takes no ETag: what is deleted was not wanted in any form.
            assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"
            return
        with pytest.raises(PartlyAppliedError, match="somebody else changed"):
            worker.desk.apply(plan, worker.approve(plan))
        assert worker.cloud.acts()[Act(verb, JOB)] == 0


def _meddle(cloud: Cloud, verb: str) -> None:
    held = cloud.get(JOB)
    if verb == "put_transformations":
        cloud.put(JOB, query="SELECT 3")
    elif verb == "change":
        cloud.put(JOB, settings={**held["settings"], "outputErrorPolicy": "Odd"})
    else:
        name = "lpm-01" if verb == "put_outputs" else "old"
        source = {"type": "x", "properties": {"table": "elsewhere", "server": "s", "database": "d"}}
        cloud.put(JOB, outputs={**held["outputs"], name: {"datasource": source}})


def test_a_portal_edit_before_a_resume_is_named(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        operation = _interrupt(worker, "put_outputs")
        worker.cloud.put(JOB, query="SELECT 4")
        with pytest.raises(StalePlanError, match=r"query was .* and is"):
            worker.desk.resume(operation)


def test_a_reason_that_does_not_fit_its_place_is_refused_before_anything_is_done(folder: Path) -> None:
    with operator(folder) as worker:
        drift(worker.cloud)
        with pytest.raises(UsageError, match="at most 1000 characters"):
            worker.plan(replace(CASE, wish={**DEPLOY, "reason": "x" * 1_001}))


@pytest.mark.parametrize("units", ["1/2", "0", "67", "", "1.5", "three", "-1"])
def test_streaming_units_that_do_not_exist_are_named(units: str, folder: Path) -> None:
    with pytest.raises(UsageError, match="no number of streaming units"), operator(folder) as worker:
        worker.plan(Case("asa.scale", {**SCALE, "units": units}, drift, (), bool))


def test_a_scaling_says_that_the_configuration_says_otherwise_and_how_to_go_back(folder: Path) -> None:
    with operator(folder) as worker:
        plan = worker.plan(CASES["scale"])
        assert "lpmops.toml says 1/3" in plan.warnings[0]
        assert plan.undo == "lpmops asa scale -e prod --units 1/3"
        worker.cloud.put(JOB, state="Failed")
        assert "no state to scale it in" in worker.plan(CASES["scale"]).refusals[0]
    assert (UNITS["2/3"], UNITS["1"], UNITS["66"]) == (7, 10, 660)


def test_a_scaling_that_somebody_else_does_otherwise_is_told(folder: Path) -> None:
    def meddle(place: str, verb: str) -> None:
        if (place, verb) == ("after", "scale"):
            worker.cloud.put(JOB, streaming_units=7.0)

    with operator(folder) as worker:
        plan = worker.plan(CASES["scale"])
        worker.cloud.trouble = meddle
        with pytest.raises(LpmopsError, match="somebody else scaled it"):
            worker.desk.apply(plan, worker.approve(plan))

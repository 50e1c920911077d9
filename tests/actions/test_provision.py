"""An environment is made once and adopted ever after: each difference by its field, what can't be changed in place refused, nothing ever deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from lpmops.actions import provision, provision_show, provision_world
from lpmops.actions.desk import Desk
from lpmops.actions.roles import given_name
from lpmops.config import Environment, Monitor
from lpmops.control import plan as plans
from lpmops.control.plan import Danger, Plan
from lpmops.errors import (
    DatabaseUnavailableError,
    DeadlineError,
    PartlyAppliedError,
    RefusedError,
    ServiceNotFoundError,
    SignInError,
    StalePlanError,
)
from lpmops.model import Kind
from lpmops.routing import landscape
from lpmops.routing.landscape import Kind as Kinds
from lpmops.services.resources import path_of
from tests.actions import kills
from tests.actions.arm import PRINCIPAL
from tests.actions.cases import CASES, FEED, HUB, NAMESPACE, Case
from tests.actions.cloud import CONTROL, JOB, SENDER, Act, Cloud, config, environment, quiet
from tests.actions.operator import Operator, operator


def _bare(cloud: Cloud) -> None:
    """A subscription with a resource group, and a SQL server whose databases are of an older version."""
    cloud.remove(JOB)
    cloud.statement(CONTROL, "DROP INDEX ix_kpi_minute_company ON lpmops.kpi_minute")
    cloud.statement("lpm-01", "DROP INDEX ix_tdr_company_landed_at ON lpm.tdr")


SPACE = "evhns-lpm-tdr-prod"
PLACE = (SPACE, "tdr")
ROLES = f"{HUB}/providers/Microsoft.Authorization/roleAssignments"
SETTING = "providers/Microsoft.Insights/diagnosticSettings/lpmops"
CASE = Case(
    "provision.apply",
    FEED,
    _bare,
    (
        Act("execute", "index ix_kpi_minute_company on lpmops.kpi_minute"),
        Act("put_namespace", NAMESPACE),
        Act("put_hub", HUB),
        Act("put_group", f"{HUB}/consumergroups/asa-01"),
        Act("put_group", f"{HUB}/consumergroups/people"),
        Act("put_job", JOB),
        Act("put_role", f"{ROLES}/{given_name(HUB, PRINCIPAL, landscape.RECEIVER[0])}"),
        Act("put_role", f"{ROLES}/{given_name(HUB, SENDER, landscape.SENDER[0])}"),
        Act("put_setting", f"{NAMESPACE}/{SETTING}"),
        Act("put_setting", f"{path_of(environment(), Kinds.JOB, JOB)}/{SETTING}"),
        Act("execute", "index ix_tdr_company_landed_at on lpm.tdr"),
    ),
    lambda cloud: cloud.get(JOB)["state"] == "Created" and len(cloud.resources.assignments()) == 2,
)


@contextmanager
def provisioned(folder: Path) -> Any:
    """An operator in an environment that was made as configured; what that took does not count."""
    with operator(folder) as worker:
        CASE.prepare(worker.cloud)
        worker.run(CASE)
        yield worker


def _as(worker: Operator, place: Environment) -> Operator:
    """The same operator with another configuration of the environment."""
    desk = Desk(
        config(place),
        place,
        worker.store,
        cast(Any, worker.cloud),
        timing=worker.desk._timing,
        ticking=worker.desk.ticking,
    )
    return replace(worker, _desk=desk)


def _fields(plan: Plan) -> dict[str, tuple[Any, Any]]:
    return {change.field: (change.before, change.after) for step in plan.steps for change in step.changes}


def _change(cloud: Cloud, kind: Kinds, names: tuple[str, ...], **properties: Any) -> None:
    """As somebody with the portal open would, the outer fields by name and the rest as properties."""
    path = cloud.resources.path(kind, *names)
    held = cloud.get(path)
    outer = {name: properties.pop(name) for name in ("location", "sku") if name in properties}
    cloud.put(path, **outer, properties={**held["properties"], **properties})


def _hub_wish(**wish: Any) -> Environment:
    place = environment()
    return replace(place, eventhub=replace(place.eventhub, **wish))


@pytest.mark.parametrize("place", ["before", "after"])
def test_what_is_made_from_nothing_is_made_once_whichever_answer_is_lost(place: str, folder: Path) -> None:
    for number in kills.spread(range(1, len(CASE.effects) + 1), 4):
        lost, seen = folder / f"{place}{number}", iter(range(1, 1_000))
        verbs = {act.verb for act in CASE.effects}

        def lose(when: str, verb: str, verbs: set[str] = verbs, seen: Any = seen, number: int = number) -> None:
            if when == place and verb in verbs and next(seen) == number:
                raise DeadlineError("The answer did not come.", service="test")

        with operator(lost) as worker:
            CASE.prepare(worker.cloud)
            plan = worker.plan(CASE)
            worker.cloud.trouble = lose
            worker.attempt(plan)
        kills.finish(CASE, lost)
        kills.assert_done_once(CASE, lost)


def test_an_environment_that_is_as_configured_is_left_alone(folder: Path) -> None:
    with provisioned(folder) as worker:
        acts = worker.cloud.acts()
        plan = worker.plan(CASE)
        assert (plan.steps, plan.refusals, plan.warnings) == ((), (), ())
        assert worker.run(CASE).operation is None
        assert worker.cloud.acts() == acts


def test_a_role_is_given_to_the_identity_of_the_job_that_the_same_operation_made(folder: Path) -> None:
    with provisioned(folder) as worker:
        given = {item["properties"]["principalId"]: item for item in worker.cloud.resources.assignments()}
        assert set(given) == {PRINCIPAL, SENDER}
        assert given[PRINCIPAL]["properties"]["principalType"] == "ServicePrincipal"
        assert given[SENDER]["properties"]["roleDefinitionId"].endswith("2b629674-e913-4c01-ae53-ef4638d8f975")


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        ({"throughput_units": 5}, {"namespace.sku.capacity": (2, 5)}),
        (
            {"maximum_throughput_units": 10},
            {"namespace.isAutoInflateEnabled": (False, True), "namespace.maximumThroughputUnits": (0, 10)},
        ),
        ({"retention_days": 3}, {"hub.retentionDescription.retentionTimeInHours": (168, 72)}),
        ({"consumer_group": "on-call"}, {"consumer_groups.on-call": (None, "new")}),
    ],
)
def test_what_can_be_changed_in_place_is_and_is_named_with_before_and_after(
    wish: dict[str, Any], fields: dict[str, tuple[Any, Any]], folder: Path
) -> None:
    with provisioned(folder) as made:
        worker = _as(made, _hub_wish(**wish))
        plan = worker.plan(CASE)
        assert _fields(plan) == fields
        assert plan.danger == (Danger.HARD if "retention_days" in wish else Danger.PRODUCTION)
        worker.desk.apply(plan, worker.approve(plan))
        assert not worker.plan(CASE).steps


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"tier": "Premium"}, r"namespace\.sku\.name is Standard, and Premium is asked for"),
        ({"partitions": 8}, r"hub\.partitionCount is 4, and 8 is asked for"),
        ({"partitions": 2}, r"hub\.partitionCount is 4, and 2 is asked for"),
        ({"region": "northeurope"}, r"namespace\.location is westeurope, and northeurope is asked for"),
        ({"retention_days": 8}, "the tier Standard takes 7 at most"),
        ({"throughput_units": 41}, "the tier Standard takes 40 at most"),
        ({"consumer_group": "-people"}, "is no name that Azure takes"),
    ],
)
def test_what_can_not_be_is_refused_with_its_reason_and_nothing_is_done(
    wish: dict[str, Any], why: str, folder: Path
) -> None:
    with provisioned(folder) as made:
        worker, acts = _as(made, _hub_wish(**wish)), made.cloud.acts()
        with pytest.raises(RefusedError, match=why) as caught:
            worker.run(CASE)
        assert caught.value.exit_code == 6
        assert worker.cloud.acts() == acts


def test_more_consumer_groups_than_the_tier_takes_are_refused(folder: Path) -> None:
    with provisioned(folder) as made:
        for number in range(17):
            made.cloud.resources.put(Kinds.GROUP, (*PLACE, f"tool-{number}"), {})
        assert not made.plan(CASE).steps
        worker = _as(made, _hub_wish(consumer_group="one-more"))
        assert "would have 21 consumer groups; the tier Standard takes 20" in " ".join(worker.plan(CASE).refusals)


def test_a_namespace_that_grew_by_itself_is_as_wished_and_is_not_made_smaller(folder: Path) -> None:
    with provisioned(folder) as made:
        worker = _as(made, _hub_wish(maximum_throughput_units=10))
        worker.run(CASE)
        _change(worker.cloud, Kinds.NAMESPACE, (SPACE,), sku={"name": "Standard", "tier": "Standard", "capacity": 7})
        assert not worker.plan(CASE).steps
        assert _fields(made.plan(CASE))["namespace.sku.capacity"] == (7, 2)


def test_what_others_asked_for_beside_it_stays(folder: Path) -> None:
    capture = {"enabled": True, "encoding": "Avro"}
    metrics = [{"category": "AllMetrics", "enabled": True}]
    with provisioned(folder) as made:
        cloud, scope = made.cloud, made.cloud.resources.path(Kinds.NAMESPACE, SPACE)
        _change(cloud, Kinds.HUB, PLACE, captureDescription=capture)
        logs = [{"category": "OperationalLogs", "enabled": True}, {"category": "DiagnosticErrorLogs", "enabled": False}]
        _change(cloud, Kinds.SETTING, (scope, "lpmops"), logs=logs, metrics=metrics)
        worker = _as(made, _hub_wish(retention_days=5))
        worker.run(CASE)
        assert cloud.get(cloud.resources.path(Kinds.HUB, *PLACE))["properties"]["captureDescription"] == capture
        setting = cloud.get(cloud.resources.path(Kinds.SETTING, scope, "lpmops"))["properties"]
        assert {log["category"]: log["enabled"] for log in setting["logs"]} == {
            "OperationalLogs": True,
            "DiagnosticErrorLogs": True,
        }
        assert setting["metrics"] == metrics


def test_a_setting_of_another_name_and_a_role_given_higher_up_are_adopted(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.prepare(worker.cloud)
        arm = worker.cloud.resources
        arm.put(
            Kinds.NAMESPACE,
            (SPACE,),
            {"location": "West Europe", "sku": {"name": "Standard", "tier": "Standard", "capacity": 2}},
        )
        scope = arm.path(Kinds.NAMESPACE, SPACE)
        workspace = worker.cloud.get("workspace").popitem()[1].upper()
        wished = {"workspaceId": workspace, "logs": [{"categoryGroup": "allLogs", "enabled": True}]}
        arm.put(
            Kinds.SETTING,
            (scope, "made-by-policy"),
            {"properties": {**wished, "logAnalyticsDestinationType": "Dedicated"}},
        )
        role = {"roleDefinitionId": "/x/2B629674-e913-4c01-ae53-ef4638d8f975", "principalId": SENDER.upper()}
        arm.put(Kinds.ROLE, (scope, "00000000-0000-4000-8000-0000000000ff"), {"properties": role})
        names = {step.target for step in worker.plan(CASE).steps}
        assert "hub" in names
        assert not {"namespace", "diagnostics.namespace", f"roles.service:{SENDER}.sender"} & names


def test_a_setting_that_sends_some_logs_there_is_asked_for_the_rest_and_no_second_one_is_made(folder: Path) -> None:
    with operator(folder) as worker:
        CASES["provision"].prepare(worker.cloud)
        arm = worker.cloud.resources
        scope = arm.path(Kinds.JOB, JOB)
        _change(worker.cloud, Kinds.SETTING, (scope, "by-hand"), logs=[{"category": "Execution", "enabled": True}])
        plan = worker.plan(CASES["provision"])
        assert _fields(plan)[f"diagnostics.{JOB}.logs"] == (["Execution"], ["Authoring", "Execution"])
        worker.desk.apply(plan, worker.approve(plan))
        (setting,) = arm.every(Kinds.SETTING, scope)
        assert setting["name"] == "by-hand"
        assert not worker.plan(CASES["provision"]).steps


def test_a_namespace_that_is_on_its_way_is_waited_for_by_the_operator(folder: Path) -> None:
    with provisioned(folder) as worker:
        _change(worker.cloud, Kinds.NAMESPACE, (SPACE,), provisioningState="Failed")
        assert f"namespace {SPACE} is failed: wait" in " ".join(worker.plan(CASE).refusals)


def test_an_operation_that_gave_a_job_its_identity_is_resumed_although_that_is_new(folder: Path) -> None:
    def lose(place: str, verb: str) -> None:
        if (place, verb) == ("before", "put_role"):
            raise SignInError("The token has expired.", service="test")

    with provisioned(folder) as worker:
        worker.cloud.put(JOB, principal=None, state="Stopped")
        _role_gone(PRINCIPAL)(worker.cloud)
        plan = worker.plan(CASE)
        assert [step.target for step in plan.steps] == [f"jobs.{JOB}", f"roles.{JOB}.receiver"]
        worker.cloud.trouble = lose
        with pytest.raises(SignInError):
            worker.desk.apply(plan, worker.approve(plan))
        worker.cloud.trouble = quiet
        assert worker.desk.resume(worker.unfinished()[0]).state == "succeeded"
        assert not worker.plan(CASE).steps


def test_an_identity_is_given_to_a_job_only_while_it_stands_still(folder: Path) -> None:
    with provisioned(folder) as worker:
        worker.cloud.put(JOB, principal=None, state="Running")
        plan = worker.plan(CASE)
        assert f"lpmops asa pause -e prod --job {JOB}" in " ".join(plan.refusals)
        assert _fields(plan)[f"jobs.{JOB}.identity.type"] == (None, "SystemAssigned")


def test_a_right_that_was_taken_away_is_named_before_anything_is_done(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.prepare(worker.cloud)
        worker.cloud.put("rights", denied=["Microsoft.Authorization/*/Write"])
        with pytest.raises(
            RefusedError, match=r"no right to Microsoft\.Authorization/roleAssignments/write on rg-lpm-tdr-prod"
        ):
            worker.run(CASE)
        assert not worker.cloud.acts()


@pytest.mark.parametrize(
    ("permissions", "lacking"),
    [
        ([{"actions": ["*"], "notActions": []}], []),
        ([{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}], ["Microsoft.Authorization/roleAssignments/write"]),
        ([{"actions": ["*/read"], "notActions": []}], ["Microsoft.EventHub/namespaces/write", "Microsoft.Authorization/roleAssignments/write"]),
        (
            [
                {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]},
                {"actions": ["Microsoft.Authorization/roleAssignments/*"], "notActions": None},
            ],
            [],
        ),
        ([], ["Microsoft.EventHub/namespaces/write", "Microsoft.Authorization/roleAssignments/write"]),
    ],
)  # fmt: skip
def test_what_one_permission_takes_away_another_one_gives(
    permissions: list[dict[str, Any]], lacking: list[str]
) -> None:
    needed = ["Microsoft.EventHub/namespaces/write", "Microsoft.Authorization/roleAssignments/write"]
    assert provision.lacking_rights(needed, permissions) == lacking


def test_a_name_that_somebody_else_has_is_refused(folder: Path) -> None:
    with operator(folder) as worker:
        CASE.prepare(worker.cloud)
        worker.cloud.put("taken", **{SPACE: "it is in use"})
        with pytest.raises(RefusedError, match=f"under the name {SPACE}: it is in use"):
            worker.run(CASE)
        assert not worker.cloud.acts()


def test_without_a_workspace_the_rest_is_made_and_said(folder: Path) -> None:
    with operator(folder) as made:
        CASE.prepare(made.cloud)
        worker = _as(made, replace(environment(), monitor=Monitor()))
        plan = worker.plan(CASE)
        assert "no logs are kept" in " ".join(plan.warnings)
        assert not [step for step in plan.steps if step.target.startswith("diagnostics")]
        assert worker.run(CASE).state == "succeeded"


def test_a_company_database_that_is_away_is_named_and_does_not_stop_the_rest(folder: Path) -> None:
    def away(place: str, verb: str) -> None:
        if (place, verb) == ("before", "schema_objects") and next(count) > 0:
            raise DatabaseUnavailableError("lpm-01 can't be reached.", service="azuresql", status=40613)

    with operator(folder) as worker:
        CASE.prepare(worker.cloud)
        count = iter(range(1_000))
        worker.cloud.trouble = away
        plan = worker.plan(CASE)
        assert "lpm-01 could not be looked at: lpm-01 can't be reached." in plan.warnings
        assert not [step for step in plan.steps if step.target == "lpm-01"]


def test_an_index_that_does_not_ignore_duplicates_is_refused(folder: Path) -> None:
    with provisioned(folder) as worker:
        worker.cloud.statement("lpm-01", "DROP INDEX ux_tdr_change ON lpm.tdr")
        worker.cloud.statement(
            "lpm-01",
            "CREATE UNIQUE INDEX ux_tdr_change ON lpm.tdr (company_id, record_id, commit_version, change_type)",
        )
        assert "does not ignore duplicates: drop it" in " ".join(worker.plan(CASE).refusals)


# A key that nobody is shown -------------------------------------------------------------------------------------------------------------------------

FIRST_KEY, SECOND_KEY = "canary-key-one", "canary-key-two"


def _keyed() -> Environment:
    place = environment()
    jobs = replace(place.streamanalytics, storage_account="stlpmprod", storage_account_key="env:STORAGE_KEY")
    return replace(place, streamanalytics=jobs)


def _put_key(cloud: Cloud, key: str) -> None:
    cloud.put("secrets", **{"env:STORAGE_KEY": key})


def test_a_key_is_written_once_and_again_only_when_it_is_another_one(folder: Path) -> None:
    with operator(folder) as made:
        CASE.prepare(made.cloud)
        _put_key(made.cloud, FIRST_KEY)
        worker = _as(made, _keyed())
        plan = worker.plan(CASE)
        worker.desk.apply(plan, worker.approve(plan))
        assert made.cloud.get("keys") == {JOB: FIRST_KEY}
        assert not worker.plan(CASE).steps
        made.cloud.put(JOB, tags={**made.cloud.get(JOB)["tags"], "owner": "ops"})
        _put_key(made.cloud, SECOND_KEY)
        rotated = worker.plan(CASE)
        ((field, (before, after)),) = _fields(rotated).items()
        assert field == f"jobs.{JOB}.jobStorageAccount.accountKey"
        assert before != after
        worker.desk.apply(rotated, worker.approve(rotated))
        assert made.cloud.get("keys") == {JOB: SECOND_KEY}
        assert made.cloud.get(JOB)["tags"]["owner"] == "ops"
        assert made.cloud.acts()[Act("patch_job", JOB)] == 1
        assert not worker.plan(CASE).steps


def test_the_key_is_in_no_plan_journal_or_audit(folder: Path) -> None:
    with operator(folder) as made:
        CASE.prepare(made.cloud)
        _put_key(made.cloud, FIRST_KEY)
        worker = _as(made, _keyed())
        plan = worker.plan(CASE)
        worker.desk.apply(plan, worker.approve(plan))
        assert FIRST_KEY not in json.dumps(plans.plan_data(plan))
        files = [path for path in (folder / "laptop").rglob("*") if path.is_file()]
        assert files
        assert not [path for path in files if FIRST_KEY.encode() in path.read_bytes()]


def test_a_key_that_changes_after_the_yes_is_not_written(folder: Path) -> None:
    def meanwhile(place: str, verb: str) -> None:
        if (place, verb) == ("after", "put_group"):
            _put_key(made.cloud, SECOND_KEY)

    with operator(folder) as made:
        CASE.prepare(made.cloud)
        _put_key(made.cloud, FIRST_KEY)
        worker = _as(made, _keyed())
        plan = worker.plan(CASE)
        made.cloud.trouble = meanwhile
        with pytest.raises(PartlyAppliedError, match="is another one than when"):
            worker.desk.apply(plan, worker.approve(plan))
        assert made.cloud.get("keys") == {}


def test_a_job_that_runs_keeps_its_storage_account_until_it_is_paused(folder: Path) -> None:
    with provisioned(folder) as made:
        _put_key(made.cloud, FIRST_KEY)
        made.cloud.put(JOB, state="Running")
        assert f"lpmops asa pause -e prod --job {JOB}" in " ".join(_as(made, _keyed()).plan(CASE).refusals)


# Moved meanwhile -----------------------------------------------------------------------------------------------------------------------------------


def _gone(kind: Kinds, *names: str) -> Callable[[Cloud], None]:
    return lambda cloud: cloud.remove(cloud.resources.path(kind, *names))


def _role_gone(who: str) -> Callable[[Cloud], None]:
    def move(cloud: Cloud) -> None:
        for name in cloud.names("/subscriptions"):
            if cloud.get(name)["properties"].get("principalId") == who:
                cloud.remove(name)

    return move


def _setting(name: str, **properties: Any) -> Callable[[Cloud], None]:
    def move(cloud: Cloud) -> None:
        kind = Kinds.JOB if name == JOB else Kinds.NAMESPACE
        _change(cloud, Kinds.SETTING, (cloud.resources.path(kind, name), "lpmops"), **properties)

    return move


def _namespace(**values: Any) -> Callable[[Cloud], None]:
    return lambda cloud: _change(cloud, Kinds.NAMESPACE, (SPACE,), **values)


def _sku(**values: Any) -> Callable[[Cloud], None]:
    return _namespace(sku={"name": "Standard", "tier": "Standard", "capacity": 2, **values})


def _kept(policy: str, hours: int) -> Callable[[Cloud], None]:
    described = {"cleanupPolicy": policy, "retentionTimeInHours": hours}
    return lambda cloud: _change(cloud, Kinds.HUB, PLACE, retentionDescription=described)


def _setting_gone(kind: Kinds, name: str) -> Callable[[Cloud], None]:
    return lambda cloud: cloud.remove(cloud.resources.path(Kinds.SETTING, cloud.resources.path(kind, name), "lpmops"))


MOVES: dict[str, Callable[[Cloud], object]] = {
    "namespace": _gone(Kinds.NAMESPACE, SPACE),
    "namespace.location": _namespace(location="northeurope"),
    "namespace.sku.name": _sku(name="Premium"),
    "namespace.sku.tier": _sku(tier="Premium"),
    "namespace.sku.capacity": _sku(capacity=9),
    "namespace.minimumTlsVersion": _namespace(minimumTlsVersion="1.0"),
    "namespace.isAutoInflateEnabled": _namespace(isAutoInflateEnabled=True),
    "namespace.maximumThroughputUnits": _namespace(maximumThroughputUnits=3),
    "hub": _gone(Kinds.HUB, *PLACE),
    "hub.partitionCount": lambda cloud: _change(cloud, Kinds.HUB, PLACE, partitionCount=9),
    "hub.retentionDescription.cleanupPolicy": _kept("Compact", 168),
    "hub.retentionDescription.retentionTimeInHours": _kept("Delete", 1),
    "consumer_groups.asa-01": _gone(Kinds.GROUP, *PLACE, "asa-01"),
    "consumer_groups.people": lambda cloud: cloud.resources.put(Kinds.GROUP, (*PLACE, "people"), {}),
    f"jobs.{JOB}": lambda cloud: cloud.remove(JOB),
    f"jobs.{JOB}.principal": lambda cloud: cloud.put(JOB, principal="00000000-0000-4000-8000-0000000000e9"),
    f"roles.{JOB}.receiver": _role_gone(PRINCIPAL),
    f"roles.service:{SENDER}.sender": _role_gone(SENDER),
    "diagnostics.namespace.workspaceId": _setting(SPACE, workspaceId="/another"),
    "diagnostics.namespace.logs": _setting(SPACE, logs=[]),
    "diagnostics.namespace.logAnalyticsDestinationType": _setting(SPACE, logAnalyticsDestinationType="Other"),
    "diagnostics.namespace": _setting_gone(Kinds.NAMESPACE, SPACE),
    f"diagnostics.{JOB}.workspaceId": _setting(JOB, workspaceId="/another"),
    f"diagnostics.{JOB}.logs": _setting(JOB, logs=[]),
    f"diagnostics.{JOB}": _setting_gone(Kinds.JOB, JOB),
}


def test_every_managed_field_that_moves_refuses_the_plan_and_is_named(folder: Path) -> None:
    with provisioned(folder) as made:
        # One thing lacks and one is to change, so that something is left to do whatever becomes of the other.
        worker = _as(made, _hub_wish(retention_days=5))
        worker.cloud.remove(worker.cloud.resources.path(Kinds.GROUP, *PLACE, "people"))
        seen, things = worker.plan(CASE).seen, worker.cloud.things()
        assert set(seen) <= {*MOVES, f"jobs.{JOB}.location"}
        for field, move in MOVES.items():
            plan = worker.plan(CASE)
            move(worker.cloud)
            with pytest.raises(StalePlanError, match=re.escape(field) if field in seen else "have changed") as caught:
                worker.desk.apply(plan, worker.approve(plan))
            assert caught.value.exit_code == 6
            worker.cloud.restore(things)


def test_what_somebody_else_changes_while_a_step_waits_is_not_written_over(folder: Path) -> None:
    def meanwhile(place: str, verb: str) -> None:
        if (place, verb) == ("after", "patch_namespace"):
            _kept("Delete", 99)(made.cloud)

    with provisioned(folder) as made:
        worker = _as(made, _hub_wish(throughput_units=5, retention_days=5))
        plan = worker.plan(CASE)
        assert [step.target for step in plan.steps] == ["namespace", "hub"]
        made.cloud.trouble = meanwhile
        with pytest.raises(PartlyAppliedError, match="somebody else changed hub tdr meanwhile") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.exit_code == 9
        assert worker.cloud.acts()[Act("put_hub", HUB)] == 1


def test_a_resource_group_that_is_not_there_says_so(folder: Path) -> None:
    def absent(place: str, verb: str) -> None:
        if (place, verb) == ("before", "group"):
            raise ServiceNotFoundError("There is no such resource group.", service="resourcemanager", status=404)

    with operator(folder) as worker:
        worker.cloud.trouble = absent
        with pytest.raises(ServiceNotFoundError) as caught:
            worker.plan(CASE)
        assert caught.value.exit_code == 3


# Two environments ----------------------------------------------------------------------------------------------------------------------------------


def test_two_environments_of_one_making_are_alike_whatever_they_are_called(folder: Path) -> None:
    with (
        provisioned(folder / "prod") as prod,
        operator(folder / "test", cloud=Cloud(folder / "t", environment("test", Kind.TEST))) as test,
    ):
        test.cloud.remove(JOB)
        plan = test.plan(CASE)
        test.desk.apply(plan, test.approve(plan))
        assert provision_show.compared(test.desk.bench(), prod.desk.bench()) == []
        cloud = prod.cloud
        _change(cloud, Kinds.NAMESPACE, (SPACE,), sku={"name": "Standard", "tier": "Standard", "capacity": 8})
        _change(cloud, Kinds.NAMESPACE, (SPACE,), minimumTlsVersion="1.0")
        cloud.remove(cloud.resources.path(Kinds.GROUP, *PLACE, "people"))
        rows = provision_show.compared(test.desk.bench(), prod.desk.bench())
        assert [(row["class"], row["field"], row["one"], row["other"]) for row in rows] == [
            ("difference", "consumer_groups.(people)", "there", "lacking"),
            ("difference", "namespace.minimumTlsVersion", "1.2", "1.0"),
            ("size", "namespace.sku.capacity", 2, 8),
        ]
        test.cloud.close()


def test_what_is_shown_names_each_thing_with_its_state(folder: Path) -> None:
    with provisioned(folder) as worker:
        _change(worker.cloud, Kinds.NAMESPACE, (SPACE,), minimumTlsVersion="1.0")
        worker.cloud.remove(worker.cloud.resources.path(Kinds.GROUP, *PLACE, "people"))
        bench = worker.desk.bench()
        world = provision_world.look(bench)
        shown = provision_show.shown("prod", world, provision.plan_of(bench, FEED, world))
        states = {item["key"]: item["state"] for item in shown["resources"]}
        assert (states["namespace"], states["hub"], states["consumer_groups.people"]) == ("drifted", "there", "lacking")
        (drifted,) = [item for item in shown["resources"] if item["state"] == "drifted"]
        assert drifted["differences"] == [{"field": "namespace.minimumTlsVersion", "before": "1.0", "after": "1.2"}]
        assert len(shown["steps"]) == 2

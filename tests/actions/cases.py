"""One entry for every action: what is wished, how the world is before it, and what must have been done exactly once after it.

**A new action joins all suites by one entry in `CASES`**, and one that has none fails `test_registry`. The suites do the rest by themselves: kill -9
at every boundary and again in the resume (`test_kills`), every call failing in every way (`test_faults`), operators that race (`test_races`), a world
that moved between plan and apply (`test_stale_plans`), plans, names, locks, identities and rights that are wrong (`test_refusals`). What an entry
needs:

- `before` brings the pretend cloud from how `Cloud._furnish` leaves it to where the action has something to do; what it does there does not count.
- `effects` are the acts (verb and target, as the cloud notes them with `did`) that are counted in the end: each exactly once, whatever happened.
- `holds` says of the cloud that all is as wished.
- `anew` is for what has no "so already": asked for a second time it is done a second time.

Where an action calls something that the pretend cloud does not have yet, add the method there: `self.trouble("before", verb)` first, in a write
`self.did(verb, target, **values)` for the effect and `self.trouble("after", verb)` last; what it reads lies in a thing that `_furnish` puts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lpmops.actions.roles import given_name
from lpmops.config import Routing
from lpmops.routing import deployed, landscape
from lpmops.routing import job as definitions
from lpmops.routing.landscape import RECEIVER, Kind
from lpmops.services.resources import path_of
from tests.actions import cloud_access
from tests.actions.arm import PRINCIPAL
from tests.actions.cloud import CONTROL, JOB, SENDER, WORKSPACE, Act, Cloud, environment

PAUSE: dict[str, Any] = {
    "jobs": [],
    "reason": "database move",
    "ticket": "OPS-1",
    "until": None,
    "by": "ops@lpm.example",
}
START: dict[str, Any] = {"jobs": [], "mode": "last-output", "begin": None, "reason": "", "ticket": ""}
DEPLOY: dict[str, Any] = {**START, "back_to": "", "definitions": {}, "by": "ops@lpm.example"}
SCALE = {"jobs": [], "units": "1", "reason": "", "ticket": ""}
FEED = {"reason": "", "ticket": ""}
REPLAY = {
    **FEED,
    "from_version": 2,
    "to_version": 5,
    "missing": False,
    "companies": ["1001"],
    "rate": 100,
    "chunk": None,
}
ROUTE = {**FEED, "companies": ["1001"], "by": "ops@lpm.example"}
COMPANY = {"company_id": "1007", "company": "Lake", "database": "lpm-01"}
ONBOARD = {
    **FEED,
    "routes": [COMPANY],
    "columns": [],
    "wait": 30.0,
    "unknown": False,
    "file": "",
    "asked_at": "2026-11-23T12:00:00.000Z",
    "by": "ops@lpm.example",
}
BOTH = [COMPANY, {"company_id": "1008", "company": "Pine", "database": "lpm-02"}]
NAMESPACE = path_of(environment(), Kind.NAMESPACE, "evhns-lpm-tdr-prod")
HUB = path_of(environment(), Kind.HUB, "evhns-lpm-tdr-prod", "tdr")


@dataclass(frozen=True, slots=True)
class Case:
    """An action, how the world is before it, and what must have been done exactly once after it; see the room's docstring."""

    action: str
    wish: dict[str, Any]
    before: Callable[[Cloud], None]
    effects: tuple[Act, ...]
    holds: Callable[[Cloud], bool]
    anew: bool = False

    def prepare(self, cloud: Cloud) -> None:
        """Bring the world to where the action has something to do; nothing of that is counted."""
        self.before(cloud)
        cloud.forget()


# Worlds --------------------------------------------------------------------------------------------------------------------------------------------


def _as_it_is(cloud: Cloud) -> None:
    """Nothing has to be prepared."""


def _paused(cloud: Cloud) -> None:
    cloud.put(JOB, state="Stopped")
    values = ("old reason", None, "ops@lpm.example", None, "op-0", "asa.pause", JOB)
    cloud.rows("lpm-control", "pause_put", values + values)


def _streaming(cloud: Cloud) -> None:
    cloud.put("feed", kind="delta", first=0)


def _deployed(cloud: Cloud) -> None:
    """The stream's own code is deployed, and has sent all there is."""
    _streaming(cloud)
    words = ["stream", "--table", cloud.environment.databricks.table, "--checkpoint", "/Volumes/l/o/t", "--hub", "tdr"]
    python = {"python_file": "/Volumes/l/o/code/1/main.py", "source": "WORKSPACE", "parameters": words}
    cloud.put("stream", tasks=[{"task_key": "tdr_stream", "job_cluster_key": "s", "spark_python_task": python}])


def _stream_stopped(cloud: Cloud) -> None:
    _streaming(cloud)
    cloud.put("stream", paused=True, state="stopped")


def _no_stream(cloud: Cloud) -> None:
    _streaming(cloud)
    cloud.put("stream", gone=True, paused=True, state="stopped", version=None, tasks=[])


def _route_paused(cloud: Cloud) -> None:
    cloud.put("lpmops.route", **{"1001": {**cloud.get("lpmops.route")["1001"], "state": "paused"}})


def drift(cloud: Cloud) -> None:
    """Somebody with the portal open: another text, another policy, an output that nobody asked for and one that is not there."""
    held = cloud.get(JOB)
    outputs = {name: values for name, values in held["outputs"].items() if name != "lpm-01"}
    cloud.put(
        JOB,
        query="SELECT 1",
        outputs={**outputs, "old": held["outputs"]["unrouted"]},
        settings={**held["settings"], "outputErrorPolicy": "Drop"},
    )


def _half_made(cloud: Cloud) -> None:
    """An environment that was made by hand: something lacks, and somebody with the portal open shortened what the hub keeps."""
    arm, wish = cloud.resources, cloud.environment.eventhub
    hub = (wish.namespace, wish.hub)
    sku = {"name": "Standard", "tier": "Standard", "capacity": 2}
    usual = {"minimumTlsVersion": "1.2", "isAutoInflateEnabled": False, "maximumThroughputUnits": 0}
    arm.put(Kind.NAMESPACE, hub[:1], {"location": "West Europe", "sku": sku, "properties": usual})
    # It stands from the second look on.
    arm.get(Kind.NAMESPACE, hub[0])
    kept = {"cleanupPolicy": "Delete", "retentionTimeInHours": 24}
    arm.put(Kind.HUB, hub, {"properties": {"partitionCount": 4, "retentionDescription": kept}})
    arm.put(Kind.GROUP, (*hub, "asa-01"), {"properties": {}})
    role = {"roleDefinitionId": f"/providers/{RECEIVER[0]}", "principalId": PRINCIPAL}
    arm.put(Kind.ROLE, (arm.path(Kind.HUB, *hub), "00000000-0000-4000-8000-0000000000f1"), {"properties": role})
    logs = [{"category": name, "enabled": True} for name in ("Authoring", "Execution")]
    arm.put(
        Kind.SETTING, (arm.path(Kind.JOB, JOB), "by-hand"), {"properties": {"workspaceId": WORKSPACE, "logs": logs}}
    )
    cloud.statement(CONTROL, "DROP INDEX ix_kpi_minute_company ON lpmops.kpi_minute")
    cloud.statement("lpm-01", "DROP INDEX ix_tdr_company_landed_at ON lpm.tdr")


def _with_its_first_row(cloud: Cloud) -> None:
    cloud.land_rows("lpm-01", ("1007", "a"))


def _with_an_empty_database(cloud: Cloud) -> None:
    cloud.land_rows("lpm-01", ("1001", "a"))
    cloud.make_database("lpm-02")


def _with_two_databases(cloud: Cloud) -> None:
    """Both are written by the job, which has written so lately that it has read every route there will be."""
    cloud.add_output("lpm-02")
    cloud.land_rows("lpm-01", ("1001", "a"), ("1001", "b"), ("1007", "a"))
    cloud.land_rows("lpm-02", ("1001", "a"))
    cloud.put(JOB, last_output_at="2030-01-01T00:00:00Z")


def _with_companies_in_the_text(cloud: Cloud) -> None:
    _with_two_databases(cloud)
    cloud.route_by("query")


# What holds in the end -----------------------------------------------------------------------------------------------------------------------------


def _noted(cloud: Cloud) -> int:
    """How many pauses are noted."""
    return len(cloud.query("SELECT target FROM lpmops.pause"))


def _is_deployed(cloud: Cloud) -> bool:
    job = cloud.get(JOB)
    return (
        job["state"] == "Running"
        and not _noted(cloud)
        and {"lpm-01", "old"} & set(job["outputs"]) == {"lpm-01"}
        and job["query"].startswith("WITH")
        and job["settings"]["outputErrorPolicy"] == "Stop"
    )


def _is_made(cloud: Cloud) -> bool:
    arm, wish = cloud.resources, cloud.environment.eventhub
    hub = arm.get(Kind.HUB, wish.namespace, wish.hub) or {}
    groups = arm.every(Kind.GROUP, wish.namespace, wish.hub)
    return (
        hub["properties"]["retentionDescription"]["retentionTimeInHours"] == 168
        and [group["name"] for group in groups] == ["asa-01", "people"]
        and {role["properties"]["principalId"] for role in arm.assignments()} == {PRINCIPAL, SENDER}
        and len(cloud.query("SELECT name FROM sys.indexes WHERE name = 'ix_kpi_minute_company'")) == 1
    )


def _runs_anew(cloud: Cloud) -> bool:
    stream = cloud.get("stream")
    return bool(stream["state"] == "running" and stream["run_id"] == 42)


def _is_shipped(cloud: Cloud) -> bool:
    stream = cloud.get("stream")
    (task,) = stream["tasks"]
    return (
        _runs_anew(cloud)
        and stream["permissions"] == {"lpm-operators": "CAN_MANAGE_RUN"}
        and task["existing_cluster_id"] == "c-1"
        and task["spark_python_task"]["python_file"] in cloud.get("volume")["files"]
    )


def _routes(cloud: Cloud) -> list[tuple[Any, ...]]:
    return cloud.query("SELECT company_id, database_name, state FROM lpmops.route ORDER BY company_id")


def _is_route(state: str) -> Callable[[Cloud], bool]:
    return lambda cloud: _routes(cloud) == [("1001", "lpm-01", state)]


def _is_paused_in_the_text(cloud: Cloud) -> bool:
    job = cloud.get(JOB)
    sent = deployed.read(definitions.deployed(cloud.job(JOB)), Routing()).routes
    return _is_route("paused")(cloud) and not sent and job["state"] == "Running" and not _noted(cloud)


def _has_moved(cloud: Cloud) -> bool:
    return (
        _routes(cloud) == [("1001", "lpm-02", "active")]
        and cloud.query("SELECT also_database FROM lpmops.route") == [(None,)]
        and cloud.landed("lpm-01") == [("1007", "a", 3)]
        and cloud.landed("lpm-02") == [("1001", "a", 1), ("1001", "b", 2)]
    )


def _has_moved_in_the_text(cloud: Cloud) -> bool:
    job = cloud.get(JOB)
    sent = deployed.read(definitions.deployed(cloud.job(JOB)), Routing()).routes
    return _has_moved(cloud) and sent == {"1001": "lpm-02"} and job["state"] == "Running" and not _noted(cloud)


def _is_brought_on(cloud: Cloud) -> bool:
    noted = cloud.query("SELECT company_id FROM lpmops.route WHERE first_row_at IS NOT NULL")
    return _routes(cloud)[1:] == [("1007", "lpm-01", "active")] and noted == [("1007",)]


def _is_brought_on_anew(cloud: Cloud) -> bool:
    job = cloud.get(JOB)
    return (
        _routes(cloud)[1:] == [("1007", "lpm-01", "active"), ("1008", "lpm-02", "active")]
        and job["state"] == "Running"
        and "lpm-02" in job["outputs"]
        and "[lpm-02]" in job["query"]
        and not _noted(cloud)
        and cloud.landed("lpm-02") == []
        and cloud.query("SELECT database_name FROM lpmops.company_database") == [("lpm-02",)]
    )


# The cases -----------------------------------------------------------------------------------------------------------------------------------------


def _job(*verbs: str) -> tuple[Act, ...]:
    return tuple(Act(verb, JOB) for verb in verbs)


def _stream(*verbs: str) -> tuple[Act, ...]:
    return tuple(Act(verb, "stream") for verb in verbs)


CASES: dict[str, Case] = {
    "pause": Case(
        "asa.pause",
        PAUSE,
        _as_it_is,
        _job("pause_put", "stop"),
        lambda cloud: cloud.get(JOB)["state"] == "Stopped" and _noted(cloud) == 1,
    ),
    "start": Case(
        "asa.start",
        START,
        _paused,
        _job("start", "pause_delete"),
        lambda cloud: cloud.get(JOB)["state"] == "Running" and not _noted(cloud),
    ),
    "deploy": Case(
        "asa.deploy",
        DEPLOY,
        drift,
        _job(
            "pause_put",
            "stop",
            "change",
            "put_outputs",
            "put_transformations",
            "delete_outputs",
            "start",
            "pause_delete",
        ),
        _is_deployed,
    ),
    "scale": Case(
        "asa.scale",
        SCALE,
        _as_it_is,
        _job("scale"),
        lambda cloud: cloud.get(JOB)["streaming_units"] == 10.0 and cloud.get(JOB)["state"] == "Running",
    ),
    "stream deploy": Case(
        "stream.deploy",
        {**FEED, "from_version": None},
        _streaming,
        _stream("update_job", "permit", "run_job"),
        _is_shipped,
    ),
    # The service makes a job each time it is asked, so a lost answer can end in doubt, which a person decides.
    "stream create": Case(
        "stream.deploy",
        {**FEED, "from_version": 3},
        _no_stream,
        _stream("create_job", "permit", "continue_job"),
        lambda cloud: cloud.get("stream")["state"] == "running" and not cloud.get("stream")["gone"],
    ),
    "stream stop": Case(
        "stream.stop",
        FEED,
        _streaming,
        _stream("pause_job", "cancel_run"),
        lambda cloud: cloud.get("stream")["paused"] and cloud.get("stream")["state"] == "stopped",
    ),
    "stream start": Case("stream.start", FEED, _stream_stopped, _stream("continue_job"), _runs_anew),
    "stream restart": Case("stream.restart", FEED, _streaming, _stream("run_job"), _runs_anew, anew=True),
    "provision": Case(
        "provision.apply",
        FEED,
        _half_made,
        (
            Act("execute", "index ix_kpi_minute_company on lpmops.kpi_minute"),
            Act("put_hub", HUB),
            Act("put_group", f"{HUB}/consumergroups/people"),
            Act(
                "put_role",
                f"{HUB}/providers/Microsoft.Authorization/roleAssignments/{given_name(HUB, SENDER, landscape.SENDER[0])}",
            ),
            Act("put_setting", f"{NAMESPACE}/providers/Microsoft.Insights/diagnosticSettings/lpmops"),
            Act("execute", "index ix_tdr_company_landed_at on lpm.tdr"),
        ),
        _is_made,
    ),
    "route pause": Case("route.pause", ROUTE, _as_it_is, (Act("route_state_put", "1001"),), _is_route("paused")),
    "route pause in the text": Case(
        "route.pause",
        ROUTE,
        _with_companies_in_the_text,
        (*_job("pause_put", "stop", "put_transformations", "start", "pause_delete"), Act("route_state_put", "1001")),
        _is_paused_in_the_text,
    ),
    "route resume": Case("route.resume", ROUTE, _route_paused, (Act("route_state_put", "1001"),), _is_route("active")),
    "route remove": Case("route.remove", ROUTE, _as_it_is, (Act("route_state_put", "1001"),), _is_route("removed")),
    "replay": Case(
        "replay.run",
        REPLAY,
        _deployed,
        _stream("submit_run"),
        lambda cloud: {run["state"] for run in cloud.get("stream")["submitted"].values()} == {"done"},
        anew=True,
    ),
    "grant": Case(
        "access.grant",
        {"identities": ["stream", "operators"], "only": ["unity", "jobs"], **FEED},
        cloud_access.without_rights,
        (Act("grant", "access"), Act("permit", "stream")),
        lambda cloud: (
            cloud.get("access")["privileges"][cloud_access.RUN_AS] == ["SELECT"]
            and cloud.get("stream")["permissions"] == {"lpm-operators": "CAN_MANAGE_RUN"}
        ),
    ),
    "grant users": Case(
        "access.grant",
        {"identities": ["asa"], "only": ["sql"], **FEED},
        cloud_access.without_users,
        _job("grant_user", "grant_permission"),
        cloud_access.job_may_write,
    ),
    "feed": Case(
        "cdf.enable",
        FEED,
        _as_it_is,
        (Act("enable", "feed"),),
        lambda cloud: cloud.get("feed")["kind"] == "delta",
    ),
    "route move": Case(
        "route.move",
        {**ROUTE, "database": "lpm-02", "old": "", "keep": False},
        _with_two_databases,
        (Act("route_also_put", "1001"), Act("route_switch", "1001")),
        _has_moved,
    ),
    "route move in the text": Case(
        "route.move",
        {**ROUTE, "database": "lpm-02", "old": "", "keep": False},
        _with_companies_in_the_text,
        (
            Act("route_also_put", "1001"),
            *_job("pause_put", "stop", "put_transformations", "start", "pause_delete"),
            Act("route_switch", "1001"),
        ),
        _has_moved_in_the_text,
    ),
    "route onboard": Case(
        "route.onboard",
        ONBOARD,
        _with_its_first_row,
        (Act("routes_add", json.dumps([COMPANY])),),
        _is_brought_on,
    ),
    "route onboard anew": Case(
        "route.onboard",
        {**ONBOARD, "routes": BOTH, "wait": 0.0},
        _with_an_empty_database,
        (
            Act("landing_table", "lpm-02"),
            *_job("pause_put", "stop", "put_outputs", "put_transformations", "start", "pause_delete"),
            Act("company_database_put", "lpm-02"),
            Act("routes_add", json.dumps(BOTH)),
        ),
        _is_brought_on_anew,
    ),
}

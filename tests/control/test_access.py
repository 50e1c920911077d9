"""Who has what in an environment: every right with how it stands, while any of the systems may be away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lpmops.control import access
from lpmops.control.access_rows import Right
from lpmops.control.collect import utc_now
from lpmops.errors import ForbiddenError, ServiceNotFoundError, UnreachableError
from lpmops.model import JobPart, StreamingJob, StreamJob, StreamRun
from lpmops.principals import Assignment, Principal, Role, Securable
from tests.actions.cloud import environment

PLACE = environment()
GROUP = f"/subscriptions/{PLACE.subscription_id}/resourceGroups/{PLACE.resource_group}"
EVERYTHING = Role("o", "Owner", ("*",), (), ("*",))


def row(what: str, principal: str, **given: str) -> dict[str, str | None]:
    """A row of access_held."""
    names = ("role", "permission", "state", "scope", "schema_name", "object_name")
    return {"what": what, "principal": principal, **dict.fromkeys(names), **given}


JOB = "asa-lpm-tdr-prod-01"
HELD = [
    row("user", JOB),
    row("member", JOB, role="writers"),
    row("member", "writers", role="db_datawriter"),
    row("permission", JOB, permission="SELECT", state="GRANT", scope="SCHEMA", schema_name="lpm"),
]
OWN = dict.fromkeys(
    ("object_select", "object_insert", "object_update", "object_delete", "view_state", "alter_any_user", "create_table", "control"), 1
)  # fmt: skip


class World:
    """Services that answer as everything were well, but for what is set otherwise."""

    def __init__(self) -> None:
        self.environment = PLACE
        self.broken: dict[str, Callable[[], Any]] = {}
        self.held = list(HELD)
        self.roles: dict[str, tuple[Assignment, ...]] = {
            "me": (Assignment("1", GROUP, EVERYTHING, "me"), Assignment("2", GROUP.partition("/resourceGroups")[0], EVERYTHING, "me")),
            "sender": (Assignment("3", GROUP, EVERYTHING, "sender"),),
            "job": (Assignment("4", GROUP, EVERYTHING, "job"),),
        }  # fmt: skip
        self.levels = {"ops@lpm.example": "CAN_MANAGE", "users": "CAN_USE", "lpm-operators": "CAN_MANAGE_RUN"}
        self.owner = "engineers"
        self.privileges = {"account users": frozenset({"ALL_PRIVILEGES"})}
        job = StreamingJob(
            "asa-lpm-tdr-prod-01", f"{GROUP}/x", "Running", "westeurope", principal_id="job",
            outputs=(JobPart("lpm-01", "Microsoft.Sql/Server/Database", {"database": "lpm-01", "table": "lpm.tdr"}),),
        )  # fmt: skip
        run = StreamRun("7", "job", "running")
        self.authorization = self._room(
            "azure",
            me=lambda: Principal("ops@lpm.example", "me", "User"),
            assignments=lambda who, _beside="": self.roles[who],
            connector_principal=lambda _connector, _identity: "sender",
        )
        self.resources = self._room(
            "azure", workspace=lambda _: f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
        )
        self.unity = self._room(
            "unity",
            me=lambda: Principal("ops@lpm.example", "me", "", ("users",)),
            principal=lambda name: Principal(name, "", "ServicePrincipal", ("users",)),
            securable=lambda kind, name: Securable(kind, name, self.owner, self.privileges),
            service_credential=lambda _: SimpleNamespace(connector="c", identity=""),
            levels=lambda _kind, _identifier: self.levels,
            run_as=lambda _: "00000000-0000-4000-8000-00000000000a",
        )
        self.databricks = self._room("databricks", stream_job=lambda: StreamJob("7", "job", True, False, run))
        self.streamanalytics = self._room("asa", jobs=lambda: (job,))
        self.sql = self._room("sql", rows=lambda _db, name, _p: [OWN] if name == "access_own" else self.held)

    def _room(self, name: str, **answers: Callable[..., Any]) -> Any:
        def guarded(answer: Callable[..., Any]) -> Callable[..., Any]:
            def ask(*arguments: Any) -> Any:
                if name in self.broken:
                    self.broken[name]()
                return answer(*arguments)

            return ask

        return SimpleNamespace(**{key: guarded(answer) for key, answer in answers.items()})

    def look(self, patience: float = 30.0) -> tuple[Right, ...]:
        return access.look(cast(Any, self), utc_now, patience)


def states(rights: tuple[Right, ...], system: str) -> set[str]:
    return {right.state for right in rights if right.system == system}


def one(rights: tuple[Right, ...], need: str) -> Right:
    (found,) = (right for right in rights if right.need == need)
    return found


def refused() -> None:
    raise ForbiddenError("no right to ask", service="x")


def away() -> None:
    raise UnreachableError("nobody answers there", service="x")


def test_where_everything_was_given_nothing_lacks_and_nothing_is_unknown() -> None:
    rights = World().look()
    assert {right.state for right in rights} == {"has"}
    assert {right.identity for right in rights} == {"operator", "stream", "asa", "operators"}
    assert one(rights, "asa.sql.insert").why == "through db_datawriter"


@pytest.mark.parametrize(
    ("broken", "systems", "fine"),
    [
        ("sql", {"sql"}, {"unity", "jobs", "eventhub", "asa", "monitor"}),
        ("unity", {"unity", "jobs"}, {"asa", "sql", "monitor", "logs"}),
        ("azure", {"eventhub", "asa", "monitor", "logs"}, {"unity", "jobs", "sql"}),
    ],
)
@pytest.mark.parametrize("how", [refused, away])
def test_a_system_that_cannot_be_asked_is_unknown_with_why_and_the_others_are_known(
    broken: str, systems: set[str], fine: set[str], how: Callable[[], None]
) -> None:
    world = World()
    world.broken[broken] = how
    rights = world.look()
    for system in systems:
        assert "lacks" not in states(rights, system)
        assert "unknown" in states(rights, system)
    for system in fine:
        assert states(rights, system) == {"has"}
    assert all(right.why for right in rights if right.state == "unknown")


@contextmanager
def hanging() -> Iterator[Callable[[], None]]:
    let_go = threading.Event()
    try:
        yield lambda: cast(None, let_go.wait())
    finally:
        let_go.set()


def test_a_system_that_hangs_holds_nobody_up() -> None:
    world = World()
    with hanging() as hang:
        world.broken["unity"] = hang
        rights = world.look(patience=2.0)
    assert states(rights, "sql") == {"has"}
    assert one(rights, "asa.eventhub.receive").state == "has"
    assert "has not answered" in one(rights, "operator.unity.select").why


def test_a_job_without_its_user_lacks_with_the_words_that_make_it() -> None:
    world = World()
    world.held = []
    right = one(world.look(), "asa.sql.insert")
    assert (right.state, right.who, right.on) == ("lacks", "asa-lpm-tdr-prod-01", "lpm-01: lpm.tdr")
    assert right.grant == (
        "in lpm-01: IF DATABASE_PRINCIPAL_ID(N'asa-lpm-tdr-prod-01') IS NULL CREATE USER [asa-lpm-tdr-prod-01] FROM EXTERNAL PROVIDER; "
        "GRANT INSERT ON OBJECT::[lpm].[tdr] TO [asa-lpm-tdr-prod-01]"
    )
    assert right.may_grant is True


def test_a_job_that_may_not_read_the_hub_lacks_with_the_command_of_the_azure_cli() -> None:
    world = World()
    world.roles["job"] = ()
    right = one(world.look(), "asa.eventhub.receive")
    assert right.state == "lacks"
    hub = f"{GROUP}/providers/Microsoft.EventHub/namespaces/{PLACE.eventhub.namespace}/eventhubs/tdr"
    assert right.grant == (
        "az role assignment create --assignee-object-id job --assignee-principal-type ServicePrincipal "
        f"--role 'Azure Event Hubs Data Receiver' --scope {hub}"
    )


def test_what_the_operator_may_not_give_says_to_whom_to_hand_it() -> None:
    world = World()
    world.privileges = {}
    right = one(world.look(), "stream.unity.select")
    assert (right.state, right.may_grant) == ("lacks", False)
    assert right.grant == "GRANT SELECT ON TABLE `lpm`.`gold`.`tdr_streaming` TO `00000000-0000-4000-8000-00000000000a`"
    assert "MANAGE" in right.giver


def test_a_stream_that_signs_in_by_a_key_needs_no_role_at_the_hub() -> None:
    from dataclasses import replace

    world = World()
    world.environment = replace(PLACE, databricks=replace(PLACE.databricks, sign_in="sas:scope/key"))
    rights = world.look()
    assert not [right for right in rights if right.need in ("stream.eventhub.send", "stream.unity.credential")]


def test_a_job_that_is_not_there_is_told_and_everything_else_is_known() -> None:
    world = World()

    def gone() -> None:
        raise ServiceNotFoundError("There is no job 'job'.", service="databricks")

    world.broken["databricks"] = gone
    rights = world.look()
    assert one(rights, "operator.jobs.manage").state == "unknown"
    assert states(rights, "sql") == {"has"}

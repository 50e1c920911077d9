"""Who has what in an environment: every right with how it stands, while any of the systems may be away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from lpmops.config import Monitor
from lpmops.control import access
from lpmops.control.access_rows import Right
from lpmops.control.collect import utc_now
from lpmops.errors import ServiceNotFoundError
from tests.control.rights_world import GROUP, PLACE, World, away, hanging, refused


def look(world: World, patience: float = 30.0) -> tuple[Right, ...]:
    return access.look(cast(Any, world), utc_now, patience)


def states(rights: tuple[Right, ...], system: str) -> set[str]:
    return {right.state for right in rights if right.system == system}


def one(rights: tuple[Right, ...], need: str) -> Right:
    (found,) = (right for right in rights if right.need == need)
    return found


def test_where_everything_was_given_nothing_lacks_and_nothing_is_unknown() -> None:
    rights = look(World())
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
    rights = look(world)
    for system in systems:
        assert "lacks" not in states(rights, system)
        assert "unknown" in states(rights, system)
    for system in fine:
        assert states(rights, system) == {"has"}
    assert all(right.why for right in rights if right.state == "unknown")


def test_a_system_that_hangs_holds_nobody_up() -> None:
    world = World()
    with hanging() as hang:
        world.broken["unity"] = hang
        rights = look(world, patience=2.0)
    assert states(rights, "sql") == {"has"}
    assert one(rights, "asa.eventhub.receive").state == "has"
    assert "has not answered" in one(rights, "operator.unity.select").why


def test_a_job_without_its_user_lacks_with_the_words_that_make_it() -> None:
    world = World()
    world.held = []
    right = one(look(world), "asa.sql.insert")
    assert (right.state, right.who, right.on) == ("lacks", "asa-lpm-tdr-prod-01", "lpm-01: lpm.tdr")
    assert right.grant == (
        "in lpm-01: IF DATABASE_PRINCIPAL_ID(N'asa-lpm-tdr-prod-01') IS NULL CREATE USER [asa-lpm-tdr-prod-01] FROM EXTERNAL PROVIDER; "
        "GRANT INSERT ON OBJECT::[lpm].[tdr] TO [asa-lpm-tdr-prod-01]"
    )
    assert right.may_grant is True


def test_a_job_that_may_not_read_the_hub_lacks_with_the_command_of_the_azure_cli() -> None:
    world = World()
    world.roles["job"] = ()
    right = one(look(world), "asa.eventhub.receive")
    assert right.state == "lacks"
    hub = f"{GROUP}/providers/Microsoft.EventHub/namespaces/{PLACE.eventhub.namespace}/eventhubs/tdr"
    assert right.grant == (
        "az role assignment create --assignee-object-id job --assignee-principal-type ServicePrincipal "
        f"--role 'Azure Event Hubs Data Receiver' --scope {hub}"
    )


def test_what_the_operator_may_not_give_says_to_whom_to_hand_it() -> None:
    world = World()
    world.privileges = {}
    right = one(look(world), "stream.unity.select")
    assert (right.state, right.may_grant) == ("lacks", False)
    assert right.grant == "GRANT SELECT ON TABLE `lpm`.`gold`.`tdr_streaming` TO `00000000-0000-4000-8000-00000000000a`"
    assert "MANAGE" in right.giver


def test_a_stream_that_signs_in_by_a_key_needs_no_role_at_the_hub() -> None:
    world = World()
    world.environment = replace(PLACE, databricks=replace(PLACE.databricks, sign_in="sas:scope/key"))
    rights = look(world)
    assert not [right for right in rights if right.need in ("stream.eventhub.send", "stream.unity.credential")]


def test_without_a_workspace_no_right_to_its_logs_is_needed() -> None:
    world = World()
    world.environment = replace(PLACE, monitor=Monitor())
    assert not [right for right in look(world) if right.system == "logs"]


def test_a_job_that_is_not_there_is_told_and_everything_else_is_known() -> None:
    world = World()

    def gone() -> None:
        raise ServiceNotFoundError("There is no job 'job'.", service="databricks")

    world.broken["databricks"] = gone
    rights = look(world)
    assert one(rights, "operator.jobs.manage").state == "unknown"
    assert states(rights, "sql") == {"has"}

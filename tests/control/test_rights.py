"""How a right is told from what a service says: Azure roles, privileges of Unity Catalog, levels, and permissions of a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.control import rights
from lpmops.control.rights import NEEDS, AzureRole
from lpmops.principals import Assignment, DatabasePermission, DatabaseRights, Principal, Role, Securable

SUBSCRIPTION = "/subscriptions/00000000-0000-4000-8000-000000000001"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-lpm"
HUB = f"{GROUP}/providers/Microsoft.EventHub/namespaces/ns/eventhubs/tdr"
RECEIVER = Role("r", "Azure Event Hubs Data Receiver", data_actions=("Microsoft.EventHub/*/receive/action",))
OWNER = Role("o", "Azure Event Hubs Data Owner", ("Microsoft.EventHub/*",), (), ("Microsoft.EventHub/*",))
CONTRIBUTOR = Role("c", "Contributor", ("*",), ("Microsoft.Authorization/*/Write",))
RECEIVE = next(need.how for need in NEEDS if need.id == "asa.eventhub.receive")
CONTRIBUTE = next(need.how for need in NEEDS if need.id == "operator.asa.contribute")


def held(role: Role, scope: str) -> Assignment:
    return Assignment(f"{scope}/{role.id}", scope, role, "p")


@pytest.mark.parametrize("scope", [HUB, HUB.rpartition("/eventhubs")[0], GROUP, SUBSCRIPTION, "/", HUB.upper()])
def test_a_role_holds_at_its_scope_and_below_it_whatever_the_case(scope: str) -> None:
    assert isinstance(RECEIVE, AzureRole)
    assert rights.azure(RECEIVE, HUB, [held(RECEIVER, scope)]).state == "has"


@pytest.mark.parametrize("scope", [f"{HUB}2", f"{GROUP}-other", f"{HUB}/consumergroups/asa-01"])
def test_a_role_beside_or_below_the_thing_is_none_on_it(scope: str) -> None:
    assert isinstance(RECEIVE, AzureRole)
    assert rights.azure(RECEIVE, HUB, [held(OWNER, scope)]).state == "lacks"


def test_whoever_may_do_everything_with_a_hub_may_not_read_events_without_a_data_role() -> None:
    assert isinstance(RECEIVE, AzureRole)
    verdict = rights.azure(RECEIVE, HUB, [held(CONTRIBUTOR, SUBSCRIPTION)])
    assert verdict.state == "lacks"
    assert "receive" in verdict.why


def test_a_role_of_a_team_s_own_counts_for_what_it_allows() -> None:
    assert isinstance(CONTRIBUTE, AzureRole)
    own = Role("own", "Stream operators", ("microsoft.streamanalytics/streamingjobs/*",))
    assert rights.azure(CONTRIBUTE, GROUP, [held(own, GROUP)]).why == "Stream operators on rg-lpm"
    less = Role("less", "Half", ("Microsoft.StreamAnalytics/streamingjobs/*",), ("*/stop/action",))
    assert rights.azure(CONTRIBUTE, GROUP, [held(less, GROUP)]).state == "lacks"


def test_a_contributor_gives_no_roles_away() -> None:
    administrator = Role("a", "User Access Administrator", ("*/read", "Microsoft.Authorization/*"))
    assert not rights.may_assign(HUB, [held(CONTRIBUTOR, SUBSCRIPTION)])
    assert rights.may_assign(HUB, [held(CONTRIBUTOR, SUBSCRIPTION), held(administrator, GROUP)])
    assert not rights.may_assign(GROUP, [held(administrator, HUB)])


@given(st.text(max_size=20))
def test_a_pattern_has_no_wildcard_but_the_star(text: str) -> None:
    plain = text.replace("*", "")
    assert rights.allows([plain], [], plain)
    assert rights.allows(["*"], [], plain)
    if "?" in plain or "[" in plain:
        assert not rights.allows([plain], [], plain + "x")


# Unity Catalog -------------------------------------------------------------------------------------------------------------------------------------

TABLE = Securable(
    "table", "c.s.t", "engineers", {"readers": frozenset({"SELECT"}), "boss": frozenset({"ALL_PRIVILEGES"})}
)
CATALOG = Securable("catalog", "c", "platform")


@pytest.mark.parametrize(
    ("who", "state"),
    [
        (Principal("a", groups=("Readers",)), "has"),
        (Principal("BOSS", groups=()), "has"),
        (Principal("a", groups=("engineers",)), "has"),
        (Principal("a", groups=("platform",)), "has"),
        (Principal("a", groups=("others",)), "lacks"),
        (Principal("a", groups=None), "unknown"),
        (Principal("readers", groups=None), "has"),
    ],
)
def test_a_privilege_comes_itself_through_a_group_or_by_ownership(who: Principal, state: str) -> None:
    assert rights.unity("SELECT", TABLE, (CATALOG,), who).state == state


def test_what_everybody_has_somebody_has() -> None:
    open_to_all = Securable("table", "c.s.t", "engineers", {"account users": frozenset({"SELECT"})})
    assert rights.unity("SELECT", open_to_all, (), Principal("a", groups=None)).state == "has"


def test_all_privileges_is_enough_to_read_but_who_gives_must_be_known() -> None:
    assert not rights.may_grant(TABLE, (), Principal("x", groups=()))
    assert rights.may_grant(TABLE, (CATALOG,), Principal("x", groups=("platform",)))


def test_a_higher_level_on_a_job_includes_a_lower_one() -> None:
    levels = {"ops": "CAN_MANAGE", "a@lpm.example": "CAN_VIEW"}
    assert rights.level("CAN_MANAGE_RUN", levels, Principal("a@lpm.example", groups=("ops",))).state == "has"
    assert rights.level("CAN_MANAGE_RUN", levels, Principal("a@lpm.example", groups=())).state == "lacks"
    assert rights.level("CAN_MANAGE_RUN", levels, Principal("a@lpm.example", groups=None)).state == "unknown"
    assert (
        rights.level("CAN_MANAGE", {"ops": "SOMETHING_NEW"}, Principal("ops", kind="Group", groups=())).state == "lacks"
    )


# Databases -----------------------------------------------------------------------------------------------------------------------------------------


def grant(
    permission: str, scope: str = "object", securable: str = "lpm.tdr", state: str = "GRANT"
) -> DatabasePermission:
    return DatabasePermission(permission, state, scope, securable)


def of(*permissions: DatabasePermission, roles: tuple[str, ...] = ()) -> DatabaseRights:
    return DatabaseRights(frozenset({"asa"}), {"asa": frozenset(roles)}, {"asa": permissions})


@pytest.mark.parametrize(
    ("held", "state"),
    [
        (of(grant("INSERT")), "has"),
        (of(grant("INSERT", "schema", "lpm")), "has"),
        (of(grant("INSERT", "database", "")), "has"),
        (of(grant("CONTROL", "schema", "lpm")), "has"),
        (of(roles=("db_datawriter",)), "has"),
        (of(roles=("db_owner",)), "has"),
        (of(roles=("db_datareader",)), "lacks"),
        (of(grant("SELECT")), "lacks"),
        (of(grant("INSERT", "object", "lpm.other")), "lacks"),
        (of(grant("INSERT", "schema", "lpmops")), "lacks"),
        (of(grant("INSERT"), grant("INSERT", "schema", "lpm", "DENY")), "lacks"),
        (of(grant("INSERT"), roles=("db_denydatawriter",)), "lacks"),
        (of(), "lacks"),
        (DatabaseRights(frozenset({"other"}), {}, {}), "lacks"),
    ],
)
def test_a_permission_is_granted_on_the_object_or_above_it_and_a_denial_wins(held: DatabaseRights, state: str) -> None:
    assert rights.database("INSERT", "lpm.TDR", "ASA", held).state == state


def test_what_everybody_in_a_database_may_its_users_may() -> None:
    held = DatabaseRights(frozenset({"asa"}), {}, {"public": (grant("INSERT"),)})
    assert rights.database("INSERT", "lpm.tdr", "asa", held).state == "has"


# The table -----------------------------------------------------------------------------------------------------------------------------------------


def test_each_need_has_an_id_of_its_own_and_says_what_breaks_without_it() -> None:
    assert len({need.id for need in NEEDS}) == len(NEEDS)
    for need in NEEDS:
        assert need.identity in rights.IDENTITIES
        assert need.system in rights.SYSTEMS
        assert need.id.startswith(f"{need.identity}.{need.system}.")
        assert need.needed_for

"""Who may do what in a workspace, read and given through lpmops' service, and seen alike by the official client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lpmops.errors import ForbiddenError, ServiceNotFoundError
from lpmops.principals import Principal
from lpmops.services.transport import Transport
from lpmops.services.unity import UnityService
from tests.services.worlds import environment

pytest.importorskip("databricks.sdk", reason="the workspace is served by a fixture that also knows the official client")

from databricks.sdk.service.catalog import PermissionsChange, Privilege

from tests.sandbox.databricks.conftest import APPLICATION, CONNECTOR, TABLE, WAREHOUSE, World
from tests.services.test_databricks_against_the_sandbox import Signed


class Client(UnityService):
    """lpmops' service at a workspace."""

    def __init__(self, world: World) -> None:
        described, transport = environment(world.url), Transport()
        super().__init__(described, transport, Signed(world, described, transport), 15.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("rights"))
    yield made
    made.close()


def test_people_and_applications_are_known_with_their_groups(world: World) -> None:
    client, sdk = Client(world), world.sdk()
    assert client.me().name == sdk.current_user.me().user_name
    assert client.principal("dana@lpm.example").groups == ("lpm-operators", "users")
    found = client.principal(APPLICATION)
    assert (found.kind, found.groups) == ("ServicePrincipal", ("users",))
    (official,) = sdk.service_principals.list(filter=f'applicationId eq "{APPLICATION}"')
    assert official.application_id == APPLICATION
    # Somebody of whom the workspace knows nothing may be in groups all the same.
    assert client.principal("nobody@lpm.example").groups is None


def test_a_privilege_is_inherited_given_and_taken_as_the_official_client_sees_it(world: World) -> None:
    client, sdk = Client(world), world.sdk()
    table = client.securable("table", TABLE)
    assert table.owner == "lpm-engineers"
    assert {"SELECT", "MODIFY"} <= table.privileges["account users"]
    client.grant("table", TABLE, APPLICATION, "SELECT")
    client.grant("table", TABLE, APPLICATION, "SELECT")
    assert client.securable("table", TABLE).privileges[APPLICATION] == {"SELECT"}
    held = sdk.grants.get("table", TABLE).privilege_assignments or []
    assert [each.principal for each in held] == [APPLICATION]
    change = PermissionsChange(principal=APPLICATION, remove=[Privilege.SELECT])
    sdk.grants.update("table", TABLE, changes=[change])
    assert APPLICATION not in client.securable("table", TABLE).privileges


def test_each_kind_of_thing_can_be_asked_about(world: World) -> None:
    client = Client(world)
    catalog, schema, _ = TABLE.split(".")
    for kind, name in (("catalog", catalog), ("schema", f"{catalog}.{schema}"), ("volume", "lpm_dev.ops.checkpoints")):
        assert client.securable(kind, name).owner == "lpm-engineers"
    assert client.securable("credential", "lpm-eventhub").privileges["account users"] == {"ACCESS"}
    assert client.service_credential("lpm-eventhub").connector == CONNECTOR
    with pytest.raises(ServiceNotFoundError):
        client.securable("volume", "lpm_dev.ops.none")


def test_only_one_who_manages_a_thing_gives_rights_on_it(world: World) -> None:
    client, catalog = Client(world), TABLE.partition(".")[0]
    world.workspace.catalog.allow(catalog, "account users", "MANAGE", False)
    try:
        with pytest.raises(ForbiddenError, match="MANAGE"):
            client.grant("table", TABLE, APPLICATION, "MODIFY")
        assert APPLICATION not in client.securable("table", TABLE).privileges
    finally:
        world.workspace.catalog.allow(catalog, "account users", "MANAGE", True)


def test_levels_on_a_job_and_a_warehouse_are_read_and_given(world: World) -> None:
    client = Client(world)
    (job,) = world.sdk().jobs.list()
    assert client.run_as(str(job.job_id)) == APPLICATION
    assert client.levels("jobs", str(job.job_id))["lpm-operators"] == "CAN_MANAGE_RUN"
    client.permit("jobs", str(job.job_id), Principal("lpm-readers", kind="Group"), "CAN_VIEW")
    levels: dict[str, Any] = dict(client.levels("jobs", str(job.job_id)))
    assert (levels.pop("lpm-operators"), levels.pop("lpm-readers")) == ("CAN_MANAGE_RUN", "CAN_VIEW")
    assert list(levels.values()) == ["IS_OWNER"]
    assert client.levels("warehouses", WAREHOUSE) == {"users": "CAN_USE"}

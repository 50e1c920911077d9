"""What an environment is made of, read and written over real sockets: what is not there is None, a write goes out once, a refusal says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lpmops.config import Endpoints, Identity
from lpmops.errors import ForbiddenError, PreconditionError, ServiceFaultError, ServiceNotFoundError
from lpmops.routing.landscape import RECEIVER, Kind
from lpmops.services.cloud import open_environment
from lpmops.services.resources import ResourceService
from tests.services.worlds import TENANT, environment
from tests.waiting import until

pytest.importorskip("uvicorn", reason="the sandbox's own dependencies are not installed")

from starlette.applications import Starlette

from lpmops.sandbox.azure import AzureGateway, HttpFault, Principal, TokenAuthority, azure_routes
from lpmops.sandbox.clock import Clock
from tests.sandbox.azure.conftest import (
    GROUP,
    JOB,
    NAMESPACE,
    SECRET,
    SUBSCRIPTION,
    WORKSPACE,
    Azure,
    Served,
    StandInHubs,
    StandInRuntime,
    build_account,
)

HUB = (NAMESPACE, "tdr")
SKU = {"name": "Standard", "tier": "Standard", "capacity": 2}


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Azure]:
    """A subscription with an empty resource group and a workspace; its clock is so fast that what takes a while is over at the next look but one."""
    clock = Clock(speed=100.0)
    authority = TokenAuthority(clock, TENANT, lifetime=1e7)
    principal = authority.register(Principal("00000000-0000-4000-8000-0000000000cc", "operator", "User", "lpmops"))
    hubs, runtimes = StandInHubs(clock), dict[str, StandInRuntime]()
    account = build_account(tmp_path / "azure", clock, hubs, runtimes, authority)
    account.start()
    served = Served(AzureGateway(Starlette(routes=azure_routes(account)), account))
    yield Azure(served.address, account, clock, hubs, runtimes, principal, tmp_path, None)
    served.close()
    account.close()


@pytest.fixture
def service(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResourceService]:
    """As the control plane opens it."""
    monkeypatch.setenv("LPMOPS_TEST_HEADER", SECRET)
    here = azure.address
    place = environment(
        here,
        endpoints=Endpoints(resource_manager=here, metrics=here, logs=here),
        identity=Identity(credential="token-endpoint", endpoint=f"{here}/msi/token", header="env:LPMOPS_TEST_HEADER"),
    )
    services = open_environment(place, deadline=20.0)
    yield services.resources
    services.close()


def _namespace(service: ResourceService) -> None:
    service.put(Kind.NAMESPACE, (NAMESPACE,), {"location": "westeurope", "sku": SKU})
    until(lambda: _state(service) == "Succeeded")


def _state(service: ResourceService) -> str:
    found = service.get(Kind.NAMESPACE, NAMESPACE)
    return str((found or {"properties": {"provisioningState": "absent"}})["properties"]["provisioningState"])


def test_what_is_not_there_is_none_and_what_is_below_it_is_nothing(service: ResourceService) -> None:
    assert service.group() == "westeurope"
    assert service.get(Kind.NAMESPACE, NAMESPACE) is None
    assert service.get(Kind.HUB, *HUB) is None
    assert service.get(Kind.JOB, JOB) is None
    assert service.every(Kind.GROUP, *HUB) == ()
    assert service.every(Kind.SETTING, service.path(Kind.NAMESPACE, NAMESPACE)) == ()


def test_everything_is_made_read_back_and_changed_by_its_own_address(service: ResourceService) -> None:
    assert service.name_refusal(NAMESPACE) == ""
    _namespace(service)
    assert "in use" in service.name_refusal(NAMESPACE)
    assert service.put(Kind.HUB, HUB, {"properties": {"partitionCount": 3}}).request_id
    service.put(Kind.GROUP, (*HUB, "asa-01"), {"properties": {}})
    service.put(Kind.JOB, (JOB,), {"location": "westeurope", "identity": {"type": "SystemAssigned"}}, new=True)
    service.patch(Kind.NAMESPACE, (NAMESPACE,), {"sku": {**SKU, "capacity": 5}})
    hub, job = service.get(Kind.HUB, *HUB), service.get(Kind.JOB, JOB)
    assert hub is not None
    assert job is not None
    assert hub["properties"]["partitionCount"] == 3
    assert job["identity"]["principalId"]
    assert [each["name"] for each in service.every(Kind.GROUP, *HUB)] == ["$Default", "asa-01"]
    namespace = service.get(Kind.NAMESPACE, NAMESPACE)
    assert namespace is not None
    assert namespace["sku"]["capacity"] == 5


def test_a_job_that_is_there_is_never_made_again(service: ResourceService) -> None:
    service.put(Kind.JOB, (JOB,), {"location": "westeurope"}, new=True)
    with pytest.raises(PreconditionError):
        service.put(Kind.JOB, (JOB,), {"location": "westeurope"}, new=True)


def test_a_role_and_a_setting_hang_on_what_they_are_of(service: ResourceService) -> None:
    _namespace(service)
    scope = service.path(Kind.NAMESPACE, NAMESPACE)
    workspace = service.workspace(WORKSPACE.upper())
    assert workspace.endswith("/workspaces/log-lpm-tdr-dev")
    assert service.workspace("another") == ""
    logs = [{"category": "DiagnosticErrorLogs", "enabled": True}]
    service.put(Kind.SETTING, (scope, "lpmops"), {"properties": {"workspaceId": workspace, "logs": logs}})
    given = {"roleDefinitionId": f"/x/{RECEIVER[0]}", "principalId": "p-1", "principalType": "ServicePrincipal"}
    service.put(Kind.ROLE, (scope, "00000000-0000-4000-8000-0000000000f1"), {"properties": given})
    (setting,) = service.every(Kind.SETTING, scope)
    assert setting["properties"]["workspaceId"] == workspace
    assert "p-1" in [each["properties"]["principalId"] for each in service.assignments()]


def test_a_right_that_was_taken_away_shows_before_and_refuses(service: ResourceService, azure: Azure) -> None:
    def denied() -> list[str]:
        return [action for each in service.permissions() for action in each["notActions"]]

    before = denied()
    azure.account.authority.deny("Microsoft.EventHub/namespaces/write")
    assert denied() != before
    with pytest.raises(ForbiddenError) as caught:
        service.put(Kind.NAMESPACE, (NAMESPACE,), {"location": "westeurope", "sku": SKU})
    assert "Contributor on the resource group" in caught.value.hint


def test_a_group_that_is_not_there_is_not_found(azure: Azure, service: ResourceService) -> None:
    azure.account._groups.clear()
    with pytest.raises(ServiceNotFoundError):
        service.group()


def test_a_write_whose_answer_is_lost_goes_out_once_and_took_effect(service: ResourceService, azure: Azure) -> None:
    lost = HttpFault("server_error", status=504, methods=frozenset({"PUT"}), times=1, after_effect=True)
    azure.account.faults.add(SUBSCRIPTION, lost)
    with pytest.raises(ServiceFaultError) as caught:
        service.put(Kind.NAMESPACE, (NAMESPACE,), {"location": "westeurope", "sku": SKU})
    assert not caught.value.settled
    assert [each["name"] for each in azure.account.event_hubs.namespaces(SUBSCRIPTION, GROUP)] == [NAMESPACE]


def test_an_operation_is_followed_to_its_end_whichever_way_its_service_tells_it(
    service: ResourceService, azure: Azure
) -> None:
    _namespace(service)
    path = f"{service.path(Kind.NAMESPACE, NAMESPACE)}?api-version=2024-01-01"
    for header in ("Azure-AsyncOperation", "Location"):
        if service.get(Kind.NAMESPACE, NAMESPACE) is None:
            _namespace(service)
        location = azure.call("DELETE", path).headers[header]
        assert service.failure(location) is None
        azure.clock.advance(600)
        assert service.failure(location) is None
    # Nobody knows it any more, which says nothing about how it went.
    assert service.failure(location.replace("OperationResults/", "OperationResults/0")) is None
    # And nobody is asked at another host.
    assert service.failure("https://elsewhere.example/operations/1") is None

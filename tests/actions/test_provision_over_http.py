"""An environment made over real sockets, with faults at the wire: whatever becomes of an answer, all of it is there once and nothing is left open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmops.actions import registry
from lpmops.config import Endpoints, Environment, Identity, Monitor
from lpmops.errors import LpmopsError
from lpmops.services.cloud import EnvironmentServices, open_environment
from tests.actions import cloud as pretend
from tests.actions.cases import FEED
from tests.actions.operator import Operator, operator
from tests.actions.test_over_http import FAULTS, QUICK, READS, TRIED, quick_sign_in
from tests.services.worlds import TENANT, environment

pytest.importorskip("uvicorn", reason="the sandbox's own dependencies are not installed")

from starlette.applications import Starlette

from lpmops.sandbox.azure import AzureGateway, Principal, TokenAuthority, azure_routes
from lpmops.sandbox.clock import Clock
from tests.sandbox.azure.conftest import (
    GROUP,
    JOB,
    NAMESPACE,
    SUBSCRIPTION,
    WORKSPACE,
    Azure,
    Served,
    StandInHubs,
    StandInRuntime,
    build_account,
)

WRITES = frozenset({"PUT", "PATCH"})
__all__ = ["quick_sign_in"]


class Mixed(pretend.Cloud):
    """The pretend cloud, whose Resource Manager is real."""

    def __init__(self, folder: Path, place: Environment, services: EnvironmentServices) -> None:
        super().__init__(folder, place)
        self._services = services

    @property
    def streamanalytics(self) -> Any:
        return self._services.streamanalytics

    @property
    def resources(self) -> Any:
        return self._services.resources


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Azure]:
    """An empty resource group with a workspace, whose clock is 500 times as fast."""
    clock = Clock(speed=500.0)
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
def worker(azure: Azure, folder: Path) -> Iterator[Operator]:
    """An operator at it."""
    here = azure.address
    place = environment(
        here,
        monitor=Monitor(WORKSPACE),
        endpoints=Endpoints(resource_manager=here, metrics=here, logs=here),
        identity=Identity(credential="token-endpoint", endpoint=f"{here}/msi/token", header="env:LPMOPS_TEST_HEADER"),
    )
    place = replace(place, sql=replace(place.sql, databases=("lpm-01",), server_name="sql-lpm-dev"))
    services = open_environment(place, deadline=2.0)
    mixed = Mixed(folder, place, services)
    mixed.remove(pretend.JOB)
    with operator(folder, cloud=mixed, timing=QUICK) as made:
        yield made
    mixed.close()
    services.close()


@pytest.mark.parametrize("name", TRIED)
def test_all_of_it_is_there_once_whatever_becomes_of_an_answer(name: str, worker: Operator, azure: Azure) -> None:
    action = registry.action("provision.apply")
    plan = worker.desk.plan(action, FEED)
    assert len(plan.steps) > 6
    for _ in range(2):
        # The first write of a run, and then the first of what is left of it.
        fault = READS[name] if name in READS else replace(FAULTS[name], methods=WRITES)
        azure.account.faults.add(SUBSCRIPTION, fault)
        with suppress(LpmopsError):
            if left := worker.unfinished():
                worker.desk.resume(left[0])
            elif (again := worker.desk.plan(action, FEED)).steps:
                worker.desk.apply(again, worker.approve(again))
        azure.account.faults.clear()
    for operation in worker.unfinished():
        worker.desk.resume(operation)
    again = worker.desk.plan(action, FEED)
    if again.steps:
        worker.desk.apply(again, worker.approve(again))
    assert not worker.desk.plan(action, FEED).steps
    assert worker.unfinished() == []
    (document,) = azure.account.event_hubs.namespaces(SUBSCRIPTION, GROUP)
    (job,) = azure.account.stream_analytics.jobs(SUBSCRIPTION)
    assert (document["name"], job.key.name, list(azure.hubs.held[NAMESPACE])) == (NAMESPACE, JOB, ["tdr"])
    assert azure.hubs.held[NAMESPACE]["tdr"].consumer_groups == ["$Default", "asa-01", "people"]
    principal = str((job.identity or {})["principalId"])
    scope = f"{document['id']}/eventhubs/tdr"
    assert [each.principal_id for each in azure.account.access.at(scope)].count(principal) == 1
    worker.check_books()

"""The real services over real sockets, with faults at the wire before and after the effect: one order reaches the job, one commit the table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmops.actions import registry
from lpmops.config import Endpoints, Environment, Identity
from lpmops.control.hands import Ticking, Timing
from lpmops.errors import ConflictError, LpmopsError, PreconditionError, ServiceError
from lpmops.model import Receipt
from lpmops.services import identity
from lpmops.services.cloud import open_environment
from lpmops.services.databricks import DatabricksService
from lpmops.services.streamanalytics import StreamAnalyticsService
from tests.actions import cloud as pretend
from tests.actions.cases import DEPLOY, FEED, PAUSE, START
from tests.actions.operator import Operator, operator
from tests.services.worlds import SUBSCRIPTION, TENANT, environment

pytest.importorskip("uvicorn", reason="the sandbox's own dependencies are not installed")
pytest.importorskip("databricks.sdk", reason="the workspace is served by a fixture that also knows the official client")

from starlette.applications import Starlette

from lpmops.sandbox.azure import AzureGateway, HttpFault, Principal, TokenAuthority, azure_routes
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.databricks.workspace import FAULT_KINDS
from tests.sandbox.azure.conftest import (
    SECRET,
    Azure,
    Served,
    StandInHubs,
    StandInRuntime,
    build_account,
    wait_until,
)
from tests.sandbox.databricks.conftest import World
from tests.services.test_against_the_sandbox import furnish
from tests.services.test_databricks_against_the_sandbox import Client

JOB = "asa-lpm-tdr-dev-01"
QUICK = Timing(poll=0.01, settle=0.6, visible=8.0, patience=1.0)
POST = frozenset({"POST"})
# What facts of operators' life a write meets: where it strikes, and how the client hears of it.
FAULTS = {
    "429": HttpFault("throttle", seconds=0.1, methods=POST, times=1),
    "500 before": HttpFault("server_error", methods=POST, times=1),
    "503 before": HttpFault("server_error", status=503, methods=POST, times=1),
    "500 after": HttpFault("server_error", methods=POST, times=1, after_effect=True),
    "504 after": HttpFault("server_error", status=504, methods=POST, times=1, after_effect=True),
    "reset before": HttpFault("reset", methods=POST, times=1),
    "reset after": HttpFault("reset", methods=POST, times=1, after_effect=True),
    "half a body": HttpFault("half_body", methods=POST, times=1, after_effect=True),
    "a web page": HttpFault("html", methods=POST, times=1),
    "slow before": HttpFault("slow", seconds=30, methods=POST, times=1),
    "slow after": HttpFault("slow", seconds=30, methods=POST, times=1, after_effect=True),
}
READS = {
    "reads reset": HttpFault("reset", methods=frozenset({"GET"}), times=6),
    "reads 500": HttpFault("server_error", methods=frozenset({"GET"}), times=6),
    "reads 429": HttpFault("throttle", seconds=0.05, methods=frozenset({"GET"}), times=6),
}


# Every one of them in the long form; the short one takes those that lose an answer.
LONG = bool(os.environ.get("LPMOPS_TEST_WIRE"))
TRIED = [*FAULTS, *READS] if LONG else ["429", "504 after", "reset after", "slow before", "reads reset"]


class Mixed(pretend.Cloud):
    """The pretend cloud, with one service that is real."""

    def __init__(self, folder: Path, place: Environment, service: Any) -> None:
        super().__init__(folder, place)
        self._service = service

    @property
    def streamanalytics(self) -> Any:
        return self._service if isinstance(self._service, StreamAnalyticsService) else self

    @property
    def databricks(self) -> Any:
        return self._service if isinstance(self._service, DatabricksService) else self

    def workspace_id(self) -> str | None:
        return "7405600000000001"


@pytest.fixture(autouse=True)
def quick_sign_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LPMOPS_TEST_HEADER", SECRET)
    monkeypatch.setattr("lpmops.services.policies._FIRST_PAUSE", 0.01)
    identity.forget()
    yield
    identity.forget()


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    """An account whose clock is 500 times as fast, with one job."""
    folder = tmp_path_factory.mktemp("azure")
    clock = Clock(speed=500.0)
    authority = TokenAuthority(clock, TENANT, lifetime=1e7)
    principal = authority.register(Principal("00000000-0000-4000-8000-0000000000cc", "operator", "User", "lpmops"))
    hubs, runtimes = StandInHubs(clock), dict[str, StandInRuntime]()
    account = build_account(folder, clock, hubs, runtimes, authority)
    account.start()
    served = Served(AzureGateway(Starlette(routes=azure_routes(account)), account))
    made = Azure(served.address, account, clock, hubs, runtimes, principal, folder, None)
    furnish(made)
    yield made
    served.close()
    account.close()


@pytest.fixture
def worker(azure: Azure, folder: Path) -> Iterator[Operator]:
    """An operator whose Stream Analytics is real, with the job running; what it did before does not count."""
    place = environment(
        azure.address,
        endpoints=Endpoints(resource_manager=azure.address, metrics=azure.address, logs=azure.address),
        identity=Identity(
            credential="token-endpoint", endpoint=f"{azure.address}/msi/token", header="env:LPMOPS_TEST_HEADER"
        ),
    )
    place = replace(place, sql=replace(place.sql, server_name="sql-lpm-dev"))
    services = open_environment(place, deadline=0.5)
    mixed = Mixed(folder, place, services.streamanalytics)
    _stand(azure, "Running", services)
    azure.runtime.starts.clear()
    azure.runtime.stops = 0
    azure.runtime.last_output_event_time = pretend.START
    with operator(folder, cloud=mixed, timing=QUICK, ticking=Ticking()) as made:
        yield made
    azure.account.faults.clear()
    mixed.close()
    services.close()


def _stand(azure: Azure, state: str, services: Any) -> None:
    """Bring the job into a state, by its own orders."""
    job = services.streamanalytics
    if job.job(JOB).state != state:
        job.start(JOB, "JobStartTime") if state == "Running" else job.stop(JOB)
    wait_until(lambda: job.job(JOB).state == state)


def _through(worker: Operator, action: str, wish: dict[str, Any], fault: HttpFault, azure: Azure) -> None:
    """Run an action under a fault; where it was left unfinished, finish it once the fault is gone."""
    plan = worker.desk.plan(registry.action(action), wish)
    azure.account.faults.add(SUBSCRIPTION, fault)
    try:
        worker.desk.apply(plan, worker.approve(plan))
        return
    except LpmopsError:
        azure.account.faults.clear()
    left = worker.unfinished()
    if left:
        worker.desk.resume(left[0])
    else:
        again = worker.desk.plan(registry.action(action), wish)
        worker.desk.apply(again, worker.approve(again))


@pytest.mark.parametrize("name", TRIED)
def test_one_stop_and_one_start_reach_the_job_whatever_becomes_of_their_answers(
    name: str, worker: Operator, azure: Azure
) -> None:
    fault = {**FAULTS, **READS}[name]
    _through(worker, "asa.pause", PAUSE, fault, azure)
    assert (azure.runtime.stops, len(azure.runtime.starts)) == (1, 0)
    _through(worker, "asa.start", START, fault, azure)
    assert (azure.runtime.stops, len(azure.runtime.starts)) == (1, 1)
    assert azure.runtime.starts[0][1] == "LastOutputEventTime"
    assert worker.unfinished() == []
    worker.check_books()


@pytest.mark.parametrize("name", [name for name in TRIED if name in FAULTS and (LONG or name != "slow before")])
def test_a_deployment_writes_each_part_once_whatever_becomes_of_its_answers(
    name: str, worker: Operator, azure: Azure
) -> None:
    service = worker.cloud.streamanalytics
    etag = service.part_etag(JOB, "transformations", service.job(JOB).transformation)
    _through(worker, "asa.deploy", DEPLOY, replace(FAULTS[name], methods=frozenset({"PUT", "PATCH"})), azure)
    assert (azure.runtime.stops, len(azure.runtime.starts)) == (1, 1)
    assert not worker.desk.plan(registry.action("asa.deploy"), DEPLOY).steps
    assert worker.unfinished() == []
    worker.check_books()
    # The next deployment brings a job of before back, and with it the work for the next fault.
    job = service.job(JOB)
    assert service.part_etag(JOB, "transformations", job.transformation) != etag
    with pytest.raises(ConflictError):
        service.put_part(JOB, "outputs", "another", job.outputs[0].properties, None)
    service.stop(JOB)
    wait_until(lambda: service.job(JOB).state == "Stopped")
    with pytest.raises(PreconditionError):
        service.put_part(JOB, "outputs", job.outputs[0].name, job.outputs[0].properties, None)
    with pytest.raises(PreconditionError):
        service.put_part(JOB, "transformations", job.transformation, {"query": "x", "streamingUnits": 3}, etag)
    service.change(JOB, {"outputErrorPolicy": "Drop"}, service.job(JOB).etag)
    now = service.part_etag(JOB, "transformations", job.transformation)
    text = {"query": job.query.replace("bigint", "float"), "streamingUnits": 3}
    service.put_part(JOB, "transformations", job.transformation, text, now)


def test_a_start_that_the_service_ends_badly_says_why_in_its_words(worker: Operator, azure: Azure) -> None:
    _through(worker, "asa.pause", PAUSE, HttpFault("slow", path="nowhere"), azure)
    azure.runtime.refuses = RuntimeError("the job exceeds the receivers of the hub")
    try:
        plan = worker.desk.plan(registry.action("asa.start"), START)
        with pytest.raises(LpmopsError, match="exceeds the receivers of the hub") as caught:
            worker.desk.apply(plan, worker.approve(plan))
        assert caught.value.exit_code == 9
    finally:
        azure.runtime.refuses = None
    assert worker.desk.resume(str(caught.value.operation)).state == "succeeded"


def test_a_write_goes_out_once_and_says_whether_it_may_have_taken_effect(worker: Operator, azure: Azure) -> None:
    settled = {"429"}
    service = worker.cloud.streamanalytics
    for name, fault in FAULTS.items():
        azure.account.faults.add(SUBSCRIPTION, fault)
        with pytest.raises(ServiceError) as caught:
            service.stop("asa-lpm-tdr-dev-99" if "before" in name or name in ("429", "a web page") else JOB)
        assert caught.value.settled is (name in settled), name
        azure.account.faults.clear()
        wait_until(lambda: service.job(JOB).state in ("Running", "Stopped"))
        if service.job(JOB).state == "Stopped":
            _stand(azure, "Running", type("Services", (), {"streamanalytics": service}))


# The change feed


class Breaking(Client):
    """The real service, whose order to the table meets a fault; the questions before it do not."""

    def __init__(self, world: World, fault: HttpFault) -> None:
        super().__init__(world, 10.0 if fault.kind != "slow" else 1.0)
        self._workspace, self._faults = world.workspace, [fault]

    def enable_feed(self) -> Receipt:
        if self._faults:
            self._workspace.break_http(self._faults.pop())
        return super().enable_feed()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


@pytest.mark.parametrize(
    "name",
    [name for name in TRIED if name in FAULTS and FAULTS[name].kind in FAULT_KINDS and (LONG or name != "slow before")],
)
def test_the_feed_is_switched_on_once_whatever_becomes_of_the_answer(name: str, workspace: World, folder: Path) -> None:
    workspace.table.set_properties({"delta.enableChangeDataFeed": "false"})
    place, service = environment(workspace.url), Breaking(workspace, FAULTS[name])
    mixed = Mixed(folder, replace(place, sql=replace(place.sql, server_name="sql-lpm-dev")), service)
    with operator(folder, cloud=mixed, timing=QUICK, ticking=Ticking()) as worker:
        plan = worker.desk.plan(registry.action("cdf.enable"), FEED)
        before = workspace.table.latest_version()
        with suppress(LpmopsError):
            worker.desk.apply(plan, worker.approve(plan))
        workspace.workspace.faults.clear()
        for left in worker.unfinished():
            worker.desk.resume(left)
        again = worker.desk.plan(registry.action("cdf.enable"), FEED)
        if again.steps:
            worker.desk.apply(again, worker.approve(again))
        feed = service.feed()
        assert (feed.kind, feed.first_version, feed.latest_version) == ("delta", before + 1, before + 1)
        assert worker.unfinished() == []
    mixed.close()
    workspace.workspace.faults.clear()

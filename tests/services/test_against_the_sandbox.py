"""The services against the sandbox, over real sockets and with every policy in place: it must look like Azure to them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from string import Template
from typing import Any

import pytest

from lpmops import resources
from lpmops.config import Endpoints, Identity, Monitor
from lpmops.errors import DeadlineError, ServiceNotFoundError, SignInError, ThrottledError
from lpmops.routing.quoting import kusto_literal
from lpmops.services.cloud import EnvironmentServices, open_environment
from lpmops.services.databricks import DatabricksService
from lpmops.services.transport import Transport
from tests.services.faulty_server import FaultyServer, answer
from tests.services.worlds import TENANT, SignedIn, environment

pytest.importorskip("uvicorn", reason="the sandbox's own dependencies are not installed")

from lpmops.sandbox.azure import AzureGateway, HttpFault, Principal, TokenAuthority, azure_routes
from lpmops.sandbox.clock import Clock
from tests.sandbox.azure.conftest import (
    JOB_ID,
    NAMESPACE_ID,
    SECRET,
    SUBSCRIPTION,
    WORKSPACE,
    Azure,
    Served,
    StandInHubs,
    StandInRuntime,
    build_account,
    wait_until,
)

QUERY = "SELECT tdr_id INTO [lpm-01] FROM [tdr-hub]"


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Azure]:
    """An account on the machine's own time, with a namespace, a hub and one job."""
    from starlette.applications import Starlette

    clock = Clock()
    authority = TokenAuthority(clock, TENANT, lifetime=3600)
    principal = authority.register(Principal("00000000-0000-4000-8000-0000000000cc", "operator", "User", "lpmops"))
    hubs, runtimes = StandInHubs(clock), dict[str, StandInRuntime]()
    account = build_account(tmp_path / "azure", clock, hubs, runtimes, authority)
    account.start()
    served = Served(AzureGateway(Starlette(routes=azure_routes(account)), account))
    made = Azure(served.address, account, clock, hubs, runtimes, principal, tmp_path, None)
    furnish(made)
    yield made
    served.close()
    account.close()


def furnish(azure: Azure) -> None:
    def put(path: str, version: str, body: Any) -> None:
        answer = azure.call("PUT", f"{path}?api-version={version}", body)
        assert answer.status_code in {200, 201}, answer.text

    put(
        NAMESPACE_ID,
        "2024-01-01",
        {"location": "westeurope", "sku": {"name": "Standard", "tier": "Standard", "capacity": 2}},
    )
    azure.clock.advance(60)
    wait_until(lambda: "Succeeded" in azure.call("GET", f"{NAMESPACE_ID}?api-version=2024-01-01").text)
    put(
        f"{NAMESPACE_ID}/eventhubs/tdr",
        "2024-01-01",
        {"properties": {"partitionCount": 4, "messageRetentionInDays": 7}},
    )
    put(
        JOB_ID,
        "2020-03-01",
        {"location": "westeurope", "properties": {"sku": {"name": "Standard"}, "compatibilityLevel": "1.2"}},
    )
    source = {"serviceBusNamespace": "evhns-lpm-tdr-dev", "eventHubName": "tdr", "consumerGroupName": "asa-01"}
    policy = {"sharedAccessPolicyName": "asa", "sharedAccessPolicyKey": "a-secret-that-never-comes-back"}
    stream = {"type": "Microsoft.ServiceBus/EventHub", "properties": source | policy}
    json_text = {"type": "Json", "properties": {"encoding": "UTF8"}}
    put(
        f"{JOB_ID}/inputs/tdr-hub",
        "2020-03-01",
        {"properties": {"type": "Stream", "datasource": stream, "serialization": json_text}},
    )
    database = {
        "server": "sql-lpm-dev",
        "database": "lpm-01",
        "table": "lpm.tdr",
        "user": "sa",
        "password": "another-secret",
    }
    sink = {"type": "Microsoft.Sql/Server/Database", "properties": database}
    put(f"{JOB_ID}/outputs/lpm-01", "2020-03-01", {"properties": {"datasource": sink}})
    put(f"{JOB_ID}/transformations/route", "2020-03-01", {"properties": {"streamingUnits": 3, "query": QUERY}})


@pytest.fixture
def cloud(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnvironmentServices]:
    """The bundle as the control plane opens it."""
    monkeypatch.setenv("LPMOPS_TEST_HEADER", SECRET)
    world = environment(
        azure.address,
        monitor=Monitor(log_analytics_workspace=WORKSPACE),
        endpoints=Endpoints(resource_manager=azure.address, metrics=azure.address, logs=azure.address),
        identity=Identity(
            credential="token-endpoint", endpoint=f"{azure.address}/msi/token", header="env:LPMOPS_TEST_HEADER"
        ),
    )
    opened = open_environment(world, deadline=5.0)
    yield opened
    opened.close()


def test_jobs_are_read_whole_and_their_etag_from_the_header(cloud: EnvironmentServices) -> None:
    (job,) = cloud.streamanalytics.jobs()
    assert (job.name, job.query, job.streaming_units) == ("asa-lpm-tdr-dev-01", QUERY, 3.0)
    assert [(part.name, part.kind) for part in job.outputs] == [("lpm-01", "Microsoft.Sql/Server/Database")]
    assert "secret" not in str(job)
    assert cloud.streamanalytics.job(job.name).etag
    with pytest.raises(ServiceNotFoundError):
        cloud.streamanalytics.job("asa-lpm-tdr-dev-99")
    assert cloud.calls.totals()["identity"] == 1


def test_namespace_hub_and_groups_are_read(cloud: EnvironmentServices) -> None:
    namespace, hub = cloud.eventhubs.namespace(), cloud.eventhubs.hub()
    assert (namespace.tier, namespace.throughput_units, namespace.status) == ("Standard", 2, "Active")
    assert namespace.resource_id.lower() == NAMESPACE_ID.lower()
    assert (hub.partitions, hub.retention) == (4, 7 * 86_400.0)
    assert cloud.eventhubs.consumer_groups() == ["$Default"]


def test_metrics_of_the_last_minutes_come_by_batch_split_by_output(azure: Azure, cloud: EnvironmentServices) -> None:
    now = int(azure.clock.time()) // 60 * 60
    for back in range(10):
        azure.account.metrics.record(JOB_ID, "OutputEvents", 30, {"LogicalName": "lpm-01"}, now - back * 60)
    kind = "Microsoft.StreamAnalytics/streamingjobs"
    series = cloud.monitor.metrics(kind, [JOB_ID], ["OutputEvents"], 8, "Total", split_by="LogicalName")
    assert [found.dimensions for found in series] == [{"logicalname": "lpm-01"}]
    newest = series[0].newest()
    assert newest is not None
    assert newest.value == 30.0
    assert cloud.calls.operations()["monitor", "metrics:getBatch"] == 1


def send_to_workspace(azure: Azure, resource: str, category: str) -> None:
    workspace = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-lpm-tdr-dev/providers/Microsoft.OperationalInsights/workspaces/log-lpm-tdr-dev"
    setting = {"properties": {"workspaceId": workspace, "logs": [{"category": category, "enabled": True}]}}
    path = f"{resource}/providers/Microsoft.Insights/diagnosticSettings/to-workspace?api-version=2021-05-01-preview"
    assert azure.call("PUT", path, setting).status_code == 200


def test_the_errors_of_the_jobs_are_found_by_our_own_query(azure: Azure, cloud: EnvironmentServices) -> None:
    send_to_workspace(azure, JOB_ID, "Execution")
    properties = {
        "Message": "Cannot convert.",
        "DataErrorType": "OutputDataConversionError.TypeConversionError",
        "EventCount": 3,
        "ExampleEvents": "a caller",
    }
    fields = {"OperationName": "Send Events", "Level": "Error", "properties_s": properties}
    assert azure.account.write_log(JOB_ID, "Execution", "AzureDiagnostics", fields)
    azure.clock.advance(timedelta(minutes=15).total_seconds())
    query = Template(resources.query("kql/asa_log.kql"))
    ours = query.substitute(jobs=kusto_literal(JOB_ID.removesuffix("01")))
    (row,) = cloud.monitor.logs(ours, 60)
    assert (row["Level"], row["Message"], row["EventCount"]) == ("Error", "Cannot convert.", 3)
    assert row["DataErrorType"] == "OutputDataConversionError.TypeConversionError"
    assert "ExampleEvents" not in str(row)
    assert cloud.monitor.logs(ours, 60, until=azure.clock.now() - timedelta(minutes=20)) == []
    assert cloud.monitor.logs(query.substitute(jobs=kusto_literal('/other" or "1" == "1')), 60) == []


def test_what_a_namespace_refused_is_found_in_its_own_table(azure: Azure, cloud: EnvironmentServices) -> None:
    query = Template(resources.query("kql/eventhub_errors.kql")).substitute(namespace=kusto_literal(NAMESPACE_ID))
    assert cloud.monitor.logs(query, 60) == []
    send_to_workspace(azure, NAMESPACE_ID, "DiagnosticErrorLogs")
    fields = {"EntityName": "tdr", "ActivityName": "SendMessage", "OperationResult": "ServerBusy", "ErrorCount": 12}
    assert azure.account.write_log(NAMESPACE_ID, "DiagnosticErrorLogs", "AZMSDiagnosticErrorLogs", fields)
    azure.clock.advance(timedelta(minutes=15).total_seconds())
    (row,) = cloud.monitor.logs(query, 60)
    assert (row["Entity"], row["Activity"], row["Result"], row["Errors"]) == ("tdr", "SendMessage", "ServerBusy", 12)


def test_the_activity_log_says_who_did_what_and_how_it_went(azure: Azure, cloud: EnvironmentServices) -> None:
    assert azure.call("POST", f"{JOB_ID}/start?api-version=2020-03-01").status_code == 202
    assert azure.call("POST", f"{JOB_ID}/start?api-version=2020-03-01").status_code == 409
    azure.clock.advance(90)
    until = azure.clock.now()
    refused, started = cloud.monitor.activity(60, until)[:2]
    assert (started.operation, started.status, started.level) == (
        "Start Stream Analytics Job",
        "Accepted",
        "Informational",
    )
    assert (refused.operation, refused.status, refused.level) == ("Start Stream Analytics Job", "Failed", "Error")
    assert "not in a valid state" in refused.message
    assert {started.resource_id.lower(), refused.resource_id.lower()} == {JOB_ID.lower()}
    assert cloud.monitor.activity(60, until - timedelta(hours=3)) == ()


def test_metrics_of_then_are_of_the_minutes_before_it(azure: Azure, cloud: EnvironmentServices) -> None:
    now = int(azure.clock.time()) // 60 * 60
    for back in range(60):
        azure.account.metrics.record(NAMESPACE_ID, "ThrottledRequests", back, {"EntityName": "tdr"}, now - back * 60)
    then = azure.clock.now() - timedelta(minutes=30)
    (series,) = cloud.monitor.metrics(
        "Microsoft.EventHub/namespaces", [NAMESPACE_ID], ["ThrottledRequests"], 5, "Total", until=then
    )
    assert series.points[-1].at + timedelta(minutes=1) <= then
    assert series.points[-1].value == 31


def test_an_expired_sign_in_is_told_from_everything_else(azure: Azure, cloud: EnvironmentServices) -> None:
    cloud.streamanalytics.jobs()
    assert cloud.credential.state().state == "ok"
    azure.account.authority.expire_sign_in()
    with pytest.raises(SignInError) as caught:
        cloud.eventhubs.hub()
    assert f"az login --tenant {TENANT}" in caught.value.hint
    assert cloud.credential.state().state == "expired"
    azure.account.authority.renew_sign_in()
    cloud.eventhubs.hub()
    assert cloud.credential.state().state == "ok"


def test_throttling_is_waited_out_and_a_hang_ends_in_time(azure: Azure, cloud: EnvironmentServices) -> None:
    cloud.streamanalytics.jobs()
    azure.account.faults.add(SUBSCRIPTION, HttpFault("throttle", seconds=0.2, times=1))
    assert len(cloud.streamanalytics.jobs()) == 1
    azure.account.faults.add(SUBSCRIPTION, HttpFault("throttle", seconds=60.0))
    with pytest.raises(ThrottledError) as caught:
        cloud.streamanalytics.jobs()
    assert caught.value.retry_after == 60.0


def test_an_arm_that_is_slow_ends_at_the_deadline(azure: Azure, cloud: EnvironmentServices) -> None:
    cloud.streamanalytics.jobs()
    azure.account.faults.add(SUBSCRIPTION, HttpFault("slow", seconds=3.0))
    quick = open_environment(cloud.environment, deadline=0.4)
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        quick.streamanalytics.jobs()
    assert time.monotonic() - started < 1.5
    quick.close()


# The stream job's traces -----------------------------------------------------------------------------------------------------------------------


def test_the_traces_of_the_stream_job_are_read_as_the_last_version_it_has_planned() -> None:
    from lpmops.sandbox.lake.checkpoint import SourceOffset
    from lpmops.sandbox.lake.streamjob import PROGRESS_FILE

    offset = SourceOffset("table-1", next_version=42).document()
    checkpoint = "/Volumes/lpm_dev/ops/checkpoints/tdr-stream"
    written = {"batchId": 7, "sources": [{"endOffset": offset}], "timestamp": "2026-11-23T04:05:06.789Z"}
    files = {
        f"/api/2.0/fs/files/Volumes/lpm_dev/ops/checkpoints/{PROGRESS_FILE}": json.dumps(written),
        f"/api/2.0/fs/files{checkpoint}/offsets/7": f"v1\n{{}}\n{json.dumps(offset)}\n",
        f"/api/2.0/fs/directories{checkpoint}/offsets": json.dumps(
            {"contents": [{"path": f"{checkpoint}/offsets/7", "name": "7", "is_directory": False}]}
        ),
    }
    server = FaultyServer(
        route=lambda request: answer(200, files[request.path]) if request.path in files else answer(404)
    )
    world = environment(server.url)
    transport = Transport()
    service = DatabricksService(world, transport, SignedIn(world, transport), 5.0)
    beside = service.progress()
    files.pop(next(iter(files)))
    inside = service.progress()
    server.close()
    assert beside is not None
    assert inside is not None
    assert (beside.version, beside.batch, beside.table_id) == (41, 7, "table-1")
    assert (inside.version, inside.batch, inside.table_id) == (41, 7, "table-1")


def test_a_text_is_compiled_by_the_service_without_a_job(cloud: EnvironmentServices) -> None:
    jobs = cloud.streamanalytics
    assert jobs.compile(QUERY, {"tdr-hub": "Stream"}) == ()
    (error,) = jobs.compile("SELEC tdr_id INTO [x] FROM [tdr-hub]", {"tdr-hub": "Stream"})
    assert (error.message, error.line, error.column) == ("Syntax error near 'SELEC'.", 1, 1)


def test_a_cloud_without_the_preview_says_so(azure: Azure, cloud: EnvironmentServices) -> None:
    azure.account.faults.add(SUBSCRIPTION, HttpFault("server_error", status=404, path="compileQuery"))
    with pytest.raises(ServiceNotFoundError):
        cloud.streamanalytics.compile(QUERY, {"tdr-hub": "Stream"})


# Rights ----------------------------------------------------------------------------------------------------------------------------------------


def test_what_somebody_holds_is_read_with_what_its_roles_allow(azure: Azure, cloud: EnvironmentServices) -> None:
    from lpmops.sandbox.azure.access import role_id

    group = NAMESPACE_ID.partition("/providers")[0]
    access = azure.account.access
    for scope, role in (
        (f"/subscriptions/{SUBSCRIPTION}", "Monitoring Reader"),
        (NAMESPACE_ID, "Azure Event Hubs Data Sender"),
    ):
        access.assign(scope, role_id(role), "p-1", "ServicePrincipal", "2026-11-02T12:00:00Z")
    access.assign(group, role_id("Contributor"), "p-2", "ServicePrincipal", "2026-11-02T12:00:00Z")
    found = {item.role.name: item for item in cloud.authorization.assignments("p-1")}
    assert set(found) == {"Monitoring Reader", "Azure Event Hubs Data Sender"}
    assert found["Azure Event Hubs Data Sender"].role.data_actions == ("Microsoft.EventHub/*/send/action",)
    (contributor,) = cloud.authorization.assignments("p-2")
    assert "Microsoft.Authorization/*/Write" in contributor.role.not_actions
    assert cloud.authorization.me().id == azure.principal.id


def test_one_whose_rights_are_its_roles_is_refused_what_no_role_of_it_allows(
    azure: Azure, cloud: EnvironmentServices
) -> None:
    from lpmops.errors import ForbiddenError
    from lpmops.sandbox.azure.access import role_id

    access, subscription = azure.account.access, f"/subscriptions/{SUBSCRIPTION}"
    access.govern(azure.principal.id)
    with pytest.raises(ForbiddenError):
        cloud.streamanalytics.jobs()
    held = access.assign(subscription, role_id("Reader"), azure.principal.id, "User", "2026-11-02T12:00:00Z")
    assert cloud.streamanalytics.jobs()
    assert cloud.tenant_id() == TENANT
    with pytest.raises(ForbiddenError):
        cloud.streamanalytics.stop(JOB_ID.rpartition("/")[2])
    access.remove(held.name)
    with pytest.raises(ForbiddenError):
        cloud.authorization.assignments("p-1")


def test_a_database_s_settings_are_read_without_connecting_and_the_clock_from_any_answer(
    azure: Azure, cloud: EnvironmentServices
) -> None:
    group = NAMESPACE_ID.partition("/resourceGroups/")[2].partition("/")[0]
    azure.account.add_sql_server(SUBSCRIPTION, group, "127", "westeurope")
    azure.account.add_sql_database(SUBSCRIPTION, group, "127", "lpm-01", "westeurope", lambda: "Paused")
    found = cloud.sqlservers.databases()["lpm-01"]
    assert (found.status, found.auto_pause, found.objective, found.tier) == (
        "Paused",
        60,
        "GP_S_Gen5_2",
        "GeneralPurpose",
    )
    ahead = cloud.clock_ahead()
    assert ahead is not None
    assert abs(ahead) < 60

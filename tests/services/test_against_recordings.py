"""The services read what Azure really said: recorded exchanges and official examples, both sides held against the specifications."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from lpmops.config import Endpoints, Environment, EventHub, Monitor, StreamAnalytics
from lpmops.errors import ForbiddenError
from lpmops.model import NamespaceState
from lpmops.services import lro
from lpmops.services.bounded import Deadline
from lpmops.services.calls import CallCounter
from lpmops.services.eventhubs import EventHubService
from lpmops.services.identity import CachedCredential
from lpmops.services.monitor import MonitorService
from lpmops.services.secrets import SecretReader
from lpmops.services.streamanalytics import StreamAnalyticsService
from lpmops.services.transport import Transport
from tests.azure_specs import CheckedTraffic, checked_traffic
from tests.services.faulty_server import FaultyServer, Reply, Request, answer
from tests.services.recorded import example, judged, player, session_of
from tests.services.worlds import GROUP, SUBSCRIPTION, Forbidden, SignedIn, environment

__all__ = ["checked_traffic"]

ZERO = "00000000-0000-0000-0000-000000000000"
ARM = "https://management.azure.com"


def azure(group: str, **changes: Any) -> Environment:
    return dataclasses.replace(
        environment("http://127.0.0.1:1"), subscription_id=ZERO, resource_group=group, endpoints=Endpoints(), **changes
    )


def test_a_recorded_job_is_read_with_its_etag_from_the_header(checked_traffic: CheckedTraffic) -> None:
    adapter = player("streamanalytics/test_job_crud", r"GET .*streamingjobs/job\?")
    world = azure("cli_test_stream_analytics_000001")
    transport = judged(checked_traffic, Transport(session=session_of({ARM: adapter})))
    job = StreamAnalyticsService(world, transport, SignedIn(world, transport), 5.0).job("job")
    assert job.etag == "85348ea5-9991-411b-afe9-0cfff0ee530b"
    assert (job.name, job.state, job.location) == ("job", "Created", "West US")
    assert (job.compatibility_level, job.output_error_policy) == ("1.0", "Drop")
    assert (job.query, job.streaming_units, job.inputs, job.last_output_at) == ("", None, (), None)
    assert checked_traffic.operations == {"StreamingJobs_Get"}


def test_a_recorded_list_keeps_jobs_of_other_names_out(checked_traffic: CheckedTraffic) -> None:
    adapter = player("streamanalytics/test_job_crud", r"GET .*streamingjobs\?")
    world = azure(
        "cli_test_stream_analytics_000001", streamanalytics=StreamAnalytics(job_prefix="jo", region="West US")
    )
    transport = judged(checked_traffic, Transport(session=session_of({ARM: adapter})))
    assert StreamAnalyticsService(world, transport, SignedIn(world, transport), 5.0).jobs() == ()
    assert adapter.position == 1


def test_a_recorded_start_is_followed_to_its_end_and_only_read() -> None:
    poll = r"GET .*OperationResults/c364b744"
    adapter = player("streamanalytics/test_job_scale", r"POST .*/start\?", poll)
    first, one_poll = adapter.pairs
    ended = {**one_poll, "response": {**one_poll["response"], "status": {"code": 200, "message": "OK"}, "headers": {}}}
    adapter.pairs = [first, one_poll, one_poll, ended]
    transport = Transport(session=session_of({ARM: adapter}))
    client = transport.client("streamanalytics", ARM)
    path = first["request"]["uri"].removeprefix(ARM)
    started = client.post(path, {"outputStartMode": "JobStartTime"}, operation="start", deadline=Deadline.after(5.0))
    last = lro.wait(client, started, operation="start", deadline=Deadline.after(5.0), interval=0.0)
    assert (started.status_code, last.status_code, adapter.position) == (202, 200, 4)


def test_recorded_event_hubs_are_read_though_their_times_lack_a_zone(checked_traffic: CheckedTraffic) -> None:
    group, base = "cli_test_eh_namespace000001", "namespaces/eventhubs-nscli000002"
    adapter = player(
        "eventhub/test_eh_create_update", rf"GET .*{base}\?", rf"GET .*{base}/eventhubs/eventhubs-eventhubcli000006\?"
    )
    world = azure(group, eventhub=EventHub(namespace="eventhubs-nscli000002", hub="eventhubs-eventhubcli000006"))
    transport = judged(checked_traffic, Transport(session=session_of({ARM: adapter})))
    service = EventHubService(world, transport, SignedIn(world, transport), SecretReader(), 5.0)
    namespace, hub = service.namespace(), service.hub()
    assert isinstance(namespace, NamespaceState)
    assert (namespace.name, namespace.tier, namespace.throughput_units) == ("eventhubs-nscli000002", "Standard", 1)
    assert (hub.partitions, hub.retention, hub.status) == (15, 7 * 86_400.0, "Active")
    assert adapter.position == 2


def test_recorded_consumer_groups_are_listed(checked_traffic: CheckedTraffic) -> None:
    adapter = player("eventhub/test_eh_consumergroup", r"GET .*consumergroups\?")
    hub = EventHub(namespace="eventhubs-nscli000002", hub="eventhubs-eventhubcli000003")
    world = azure("cli_test_eh_consumergroup000001", eventhub=hub)
    transport = judged(checked_traffic, Transport(session=session_of({ARM: adapter})))
    service = EventHubService(world, transport, SignedIn(world, transport), SecretReader(), 5.0)
    assert service.consumer_groups() == ["$Default", "clicg000004"]


def test_metrics_fall_back_to_one_resource_where_the_batch_is_forbidden_and_remember_it() -> None:
    forbidden = Forbidden()
    adapter = player("monitor/test_monitor_metrics_scenario", r"GET .*insights/metrics\?", r"GET .*insights/metrics\?")
    transport = Transport(session=session_of({ARM: adapter, "https://westeurope.metrics.monitor.azure.com": forbidden}))
    world = azure("clitest.rg000001")
    account = f"/subscriptions/{ZERO}/resourceGroups/clitest.rg000001/providers/Microsoft.Storage/storageAccounts/clitest000002"
    service = MonitorService(world, transport, SignedIn(world, transport), 5.0)
    for _ in range(2):
        # The recorded account had no traffic: no data is no series, and never a zero.
        assert service.metrics("Microsoft.Storage/storageAccounts", [account], ["Ingress", "Egress"], 5, "Total") == ()
    assert (forbidden.asked, adapter.position) == (1, 2)


def test_a_recorded_log_query_gives_typed_rows(checked_traffic: CheckedTraffic) -> None:
    workspace = "062c153f-f7b2-4a8b-b57d-05b9f5cadfdc"
    adapter = player("loganalytics/cli_test_query", r"POST .*/query")
    world = azure("x", monitor=Monitor(log_analytics_workspace=workspace))
    world = dataclasses.replace(world, endpoints=Endpoints(logs="https://api.loganalytics.io"))
    transport = judged(checked_traffic, Transport(session=session_of({"https://api.loganalytics.io": adapter})))
    rows = MonitorService(world, transport, SignedIn(world, transport), 5.0).logs("Heartbeat | getschema", 60)
    assert rows[2] == {
        "ColumnName": "TimeGenerated",
        "ColumnOrdinal": 2,
        "DataType": "System.DateTime",
        "ColumnType": "datetime",
    }
    assert len(rows) == 31


# Official examples over a socket --------------------------------------------------------------------------------------------------------------


def at_home(server: FaultyServer, traffic: CheckedTraffic) -> tuple[Environment, Transport, CachedCredential]:
    world = environment(server.url)
    transport = judged(traffic, Transport(CallCounter()))
    return world, transport, SignedIn(world, transport)


def test_the_official_list_of_jobs_is_read_whole(server: FaultyServer, checked_traffic: CheckedTraffic) -> None:
    body = example(
        "streamanalytics/resource-manager/Microsoft.StreamAnalytics/stable/2020-03-01/examples/StreamingJob_List_ByResourceGroup_Expand.json"
    )
    for number, job in enumerate(body["value"]):
        job["name"] = f"asa-lpm-tdr-dev-0{2 - number}"
    server.serve(answer(200, body))
    world, transport, credential = at_home(server, checked_traffic)
    first, second = StreamAnalyticsService(world, transport, credential, 5.0).jobs()
    assert (first.name, second.name) == ("asa-lpm-tdr-dev-01", "asa-lpm-tdr-dev-02")
    assert first.query == "Select Id, Name from inputtest"
    assert (first.inputs[0].name, first.inputs[0].kind) == ("inputtest", "Microsoft.Storage/Blob")
    assert (first.outputs[0].kind, first.outputs[0].details["database"]) == (
        "Microsoft.Sql/Server/Database",
        "databaseName",
    )
    assert second.etag == "8081b2a3-dfe6-457f-8740-1a22d209bf8a"
    assert len(server.requests) == 1
    assert "$expand=inputs%2Coutputs%2Ctransformation" in server.requests[0].target
    assert server.requests[0].path.lower().startswith(GROUP.lower())


def test_what_a_job_says_of_its_own_inputs_is_read(server: FaultyServer, checked_traffic: CheckedTraffic) -> None:
    examples = "streamanalytics/resource-manager/Microsoft.StreamAnalytics/stable/2020-03-01/examples"
    body = example(f"{examples}/StreamingJob_List_ByResourceGroup_Expand.json")
    job = {**body["value"][0], "name": "asa-lpm-tdr-dev-01"}
    job["properties"]["inputs"] = example(f"{examples}/Input_ListByStreamingJob_Diagnostics.json")["value"]
    server.serve(answer(200, {"value": [job]}))
    world, transport, credential = at_home(server, checked_traffic)
    (found,) = StreamAnalyticsService(world, transport, credential, 5.0).jobs()
    (condition,) = found.inputs[0].conditions
    assert (condition.code, condition.since) == ("INP-3", datetime(2017, 5, 11, 4, 38, 42, 493868, UTC))
    assert condition.message.startswith("Could not deserialize the input event as Json.")
    assert found.outputs[0].conditions == ()


def test_the_official_metrics_batch_is_read_and_asked_in_fifties(
    server: FaultyServer, checked_traffic: CheckedTraffic
) -> None:
    folder = "monitor/data-plane/Microsoft.Insights/stable/2024-02-01/examples"
    server.serve(answer(200, example(f"{folder}/MetricBatchExample.json")))
    world, transport, credential = at_home(server, checked_traffic)
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/one"
    series = MonitorService(world, transport, credential, 5.0).metrics(
        "Microsoft.Storage/storageAccounts", [account] * 51, ["Ingress", "Egress"], 30, "Average", split_by="ApiName"
    )
    assert len(server.requests) == 2
    assert all(request.path == f"/subscriptions/{SUBSCRIPTION}/metrics:getBatch" for request in server.requests)
    assert series[0].resource_id.endswith("/storageAccounts/TestStorage1")
    assert (series[0].metric, series[0].aggregation) == ("Ingress", "average")
    assert series[0].dimensions == {"apiname": "GetBlob", "authentication": "SAS"}
    assert series[0].points[1].value == pytest.approx(438.0735294117647)
    assert checked_traffic.operations == {"MetricsBatch_Batch"}


def test_the_official_single_metric_is_read(server: FaultyServer, checked_traffic: CheckedTraffic) -> None:
    body = example("monitor/resource-manager/Microsoft.Insights/stable/2024-02-01/examples/GetMetric.json")

    def route(request: Request) -> Reply:
        forbidden = {"error": {"code": "AuthorizationFailed", "message": "no"}}
        return answer(403, forbidden) if "getBatch" in request.path else answer(200, body)

    server.route = route
    world, transport, credential = at_home(server, checked_traffic)
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/one"
    series = MonitorService(world, transport, credential, 5.0).metrics("x", [account], ["y"], 5, "average")
    assert series
    assert series[0].points


def test_the_official_hub_is_read(server: FaultyServer, checked_traffic: CheckedTraffic) -> None:
    folder = "eventhub/resource-manager/Microsoft.EventHub/stable/2024-01-01/examples"
    hub, namespace = (
        example(f"{folder}/EventHubs/EHEventHubGet.json"),
        example(f"{folder}/NameSpaces/EHNameSpaceGet.json"),
    )
    server.route = lambda request: answer(200, hub if "/eventhubs/" in request.path else namespace)
    world, transport, credential = at_home(server, checked_traffic)
    service = EventHubService(world, transport, credential, SecretReader(), 5.0)
    assert service.hub().partitions == hub["properties"]["partitionCount"]
    assert service.namespace().tier == namespace["sku"]["tier"]


def test_forbidden_everywhere_is_forbidden(server: FaultyServer, checked_traffic: CheckedTraffic) -> None:
    server.serve(answer(403, {"error": {"code": "AuthorizationFailed", "message": "no"}}))
    world, transport, credential = at_home(server, checked_traffic)
    with pytest.raises(ForbiddenError) as caught:
        MonitorService(world, transport, credential, 5.0).metrics("x", [f"{GROUP}/providers/a/b/c"], ["y"], 5, "total")
    assert "Monitoring Reader" in caught.value.hint


def test_a_partial_log_answer_is_an_error_and_never_half_the_rows(server: FaultyServer) -> None:
    body = {
        "tables": [{"name": "t", "columns": [{"name": "a"}], "rows": [[1]]}],
        "error": {"code": "PartialError", "message": "half"},
    }
    server.serve(answer(200, body))
    world = environment(server.url)
    transport = Transport()
    with pytest.raises(Exception, match="only in part"):
        MonitorService(world, transport, SignedIn(world, transport), 5.0).logs("T", 5)

"""Streaming jobs, through the official SDK as it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.streamanalytics import models as m

from lpmops.sandbox.azure import JobKey

from .conftest import GROUP, GROUP_ID, JOB, JOB_ID, SUBSCRIPTION, Azure, StandInRuntime, build_account, wait_until

QUERY = "SELECT tdr_id INTO [lpm-01] FROM [tdr-hub]"


def make_job(azure: Azure, query: str = QUERY) -> Any:
    """A whole job: hub input, one SQL output, a text."""
    client = azure.stream_analytics()
    client.streaming_jobs.begin_create_or_replace(
        GROUP, JOB, m.StreamingJob(location="westeurope", compatibility_level="1.2")
    ).result()
    source = m.EventHubStreamInputDataSource(
        service_bus_namespace="evhns-lpm-tdr-dev",
        event_hub_name="tdr",
        consumer_group_name="asa-01",
        shared_access_policy_name="asa",
        shared_access_policy_key="a-secret-that-never-comes-back",
    )
    properties = m.StreamInputProperties(datasource=source, serialization=m.JsonSerialization(encoding="UTF8"))
    client.inputs.create_or_replace(GROUP, JOB, "tdr-hub", m.Input(properties=properties))
    client.outputs.create_or_replace(GROUP, JOB, "lpm-01", sql_output())
    client.transformations.create_or_replace(GROUP, JOB, "route", m.Transformation(streaming_units=3, query=query))
    return client


def sql_output(server: str = "sql-lpm-dev") -> Any:
    source = m.AzureSqlDatabaseOutputDataSource(
        server=server,
        database="lpm-01",
        table="lpm.tdr",
        user="sa",
        password="another-secret",
        authentication_mode="ConnectionString",
    )
    return m.Output(datasource=source)


def etag_of(client: Any) -> str:
    _, etag = client.streaming_jobs.get(GROUP, JOB, cls=lambda _, job, headers: (job, headers.get("ETag")))
    return str(etag)


def test_a_job_is_made_piece_by_piece_and_read_back_whole(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    job = client.streaming_jobs.get(GROUP, JOB, expand="inputs,outputs,transformation,functions")
    assert (job.job_state, job.provisioning_state, job.location) == ("Created", "Succeeded", "West Europe")
    assert job.transformation.query == QUERY
    assert [each.name for each in job.outputs] == ["lpm-01"]
    assert job.outputs[0].datasource.max_batch_count == 10_000
    assert [each.name for each in client.streaming_jobs.list()] == [JOB]
    assert client.streaming_jobs.get(GROUP, JOB.upper()).inputs is None


def test_secrets_are_neither_answered_nor_kept(checked_azure: Azure) -> None:
    make_job(checked_azure)
    answer = checked_azure.call("GET", f"{JOB_ID}?api-version=2020-03-01&$expand=inputs,outputs").text
    stored = "".join(path.read_text() for path in checked_azure.folder.rglob("*.json"))
    assert "secret" not in answer + stored
    assert "sharedAccessPolicyName" in answer


def test_the_preview_version_can_be_read_too(checked_azure: Azure) -> None:
    make_job(checked_azure)
    assert (
        checked_azure.call("GET", f"{JOB_ID}?api-version=2021-10-01-preview").json()["properties"]["jobState"]
        == "Created"
    )


def test_etags_are_bare_guids_and_guard_writes(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    before = etag_of(client)
    assert '"' not in before
    client.transformations.update(GROUP, JOB, "route", m.Transformation(query="SELECT * INTO [lpm-01] FROM [tdr-hub]"))
    with pytest.raises(HttpResponseError) as stale:
        client.streaming_jobs.update(GROUP, JOB, m.StreamingJob(output_error_policy="Drop"), if_match=before)
    assert stale.value.status_code == 412
    client.streaming_jobs.update(GROUP, JOB, m.StreamingJob(output_error_policy="Drop"), if_match=etag_of(client))
    with pytest.raises(HttpResponseError) as there:
        client.outputs.create_or_replace(GROUP, JOB, "lpm-01", sql_output(), if_none_match="*")
    assert there.value.status_code == 412


def test_start_and_stop_are_polled_by_location(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    states = []
    poller = client.streaming_jobs.begin_start(
        GROUP, JOB, m.StartStreamingJobParameters(output_start_mode="JobStartTime")
    )
    states.append(client.streaming_jobs.get(GROUP, JOB).job_state)
    poller.result()
    states.append(client.streaming_jobs.get(GROUP, JOB).job_state)
    definition, mode, _ = checked_azure.runtime.starts[0]
    assert (mode, definition.query, definition.streaming_units) == ("JobStartTime", QUERY, 3)
    assert definition.inputs["tdr-hub"]["datasource"]["properties"]["consumerGroupName"] == "asa-01"
    client.streaming_jobs.begin_stop(GROUP, JOB).result()
    states.append(client.streaming_jobs.get(GROUP, JOB).job_state)
    assert states == ["Starting", "Running", "Stopped"]
    assert checked_azure.runtime.stops == 1


def test_nothing_is_written_while_a_job_runs(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    client.streaming_jobs.begin_start(GROUP, JOB).result()
    with pytest.raises(ResourceExistsError) as refused:
        client.outputs.create_or_replace(GROUP, JOB, "lpm-02", sql_output())
    assert refused.value.status_code == 409
    assert refused.value.response is not None
    body = json.loads(refused.value.response.text())
    assert body["code"] == "Conflict"
    assert "not in a valid state" in body["message"]
    assert body["details"]["code"] == "409"
    with pytest.raises(ResourceExistsError):
        client.streaming_jobs.begin_start(GROUP, JOB)


def test_an_incomplete_job_does_not_start(checked_azure: Azure) -> None:
    client = checked_azure.stream_analytics()
    client.streaming_jobs.begin_create_or_replace(GROUP, JOB, m.StreamingJob(location="westeurope")).result()
    with pytest.raises(HttpResponseError) as refused:
        client.streaming_jobs.begin_start(GROUP, JOB)
    assert refused.value.status_code == 422
    assert "at least one input" in str(refused.value)


def test_last_output_time_needs_an_output_before(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    resume = m.StartStreamingJobParameters(output_start_mode="LastOutputEventTime")
    with pytest.raises(HttpResponseError) as refused:
        client.streaming_jobs.begin_start(GROUP, JOB, resume)
    assert refused.value.status_code == 422
    client.streaming_jobs.begin_start(GROUP, JOB).result()
    last = datetime(2026, 11, 2, 12, 30, tzinfo=UTC)
    checked_azure.runtime.last_output_event_time = last
    client.streaming_jobs.begin_stop(GROUP, JOB).result()
    client.streaming_jobs.begin_start(GROUP, JOB, resume).result()
    assert checked_azure.runtime.starts[-1][1:] == ("LastOutputEventTime", last)
    assert client.streaming_jobs.get(GROUP, JOB).last_output_event_time == last


def test_a_custom_time_is_handed_to_the_engine(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    with pytest.raises(HttpResponseError) as refused:
        client.streaming_jobs.begin_start(GROUP, JOB, m.StartStreamingJobParameters(output_start_mode="CustomTime"))
    assert refused.value.status_code == 422
    when = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
    parameters = m.StartStreamingJobParameters(output_start_mode="CustomTime", output_start_time=when)
    client.streaming_jobs.begin_start(GROUP, JOB, parameters).result()
    assert checked_azure.runtime.starts[0][1:] == ("CustomTime", when)


def test_a_text_that_does_not_compile_is_refused_with_its_place(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    with pytest.raises(HttpResponseError) as refused:
        client.transformations.create_or_replace(GROUP, JOB, "route", m.Transformation(query="WITH x AS (\n  SELEC 1)"))
    assert refused.value.status_code == 400
    assert "Line 2, column 3" in str(refused.value)
    assert client.transformations.get(GROUP, JOB, "route").query == QUERY


def test_a_start_that_fails_is_told_to_the_poller_and_leaves_the_job_failed(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    runtime = checked_azure.runtimes[JobKey(SUBSCRIPTION, GROUP, JOB).text] = StandInRuntime()
    runtime.refuses = RuntimeError("too many receivers")
    with pytest.raises(HttpResponseError, match="too many receivers"):
        client.streaming_jobs.begin_start(GROUP, JOB).result()
    assert client.streaming_jobs.get(GROUP, JOB).job_state == "Failed"
    runtime.refuses = None
    client.streaming_jobs.begin_start(GROUP, JOB).result()
    assert client.streaming_jobs.get(GROUP, JOB).job_state == "Running"


def test_scaling_shows_its_own_state_and_ends_where_it_began(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    client.streaming_jobs.begin_start(GROUP, JOB).result()
    poller = client.streaming_jobs.begin_scale(GROUP, JOB, m.ScaleStreamingJobParameters(streaming_units=6))
    assert client.streaming_jobs.get(GROUP, JOB).job_state == "Scaling"
    poller.result()
    assert client.streaming_jobs.get(GROUP, JOB).job_state == "Running"
    assert client.transformations.get(GROUP, JOB, "route").streaming_units == 6
    quotas = {quota.name: quota.current_count for quota in client.subscriptions.list_quotas("westeurope").value}
    assert quotas["StreamingUnits"] == 6
    with pytest.raises(HttpResponseError):
        client.streaming_jobs.begin_scale(GROUP, JOB, m.ScaleStreamingJobParameters(streaming_units=5))


def test_data_sources_are_tested_as_a_long_operation(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    assert client.outputs.begin_test(GROUP, JOB, "lpm-01").result().status == "TestSucceeded"
    client.outputs.create_or_replace(GROUP, JOB, "lpm-02", sql_output("sql-away"))
    failed = client.outputs.begin_test(GROUP, JOB, "lpm-02").result()
    assert failed.status == "TestFailed"
    assert "away" in failed.error.message


def test_the_sdks_floating_window_is_refused_as_the_service_does(checked_azure: Azure) -> None:
    output = sql_output()
    output.size_window = 100
    make_job(checked_azure)
    with pytest.raises(HttpResponseError, match=r"not convertible to type 'System\.Int32'"):
        checked_azure.stream_analytics().outputs.create_or_replace(GROUP, JOB, "lpm-03", output)


def test_an_engine_that_degrades_or_fails_shows_in_the_job(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    client.streaming_jobs.begin_start(GROUP, JOB).result()
    checked_azure.runtime.state = "Degraded"
    assert client.streaming_jobs.get(GROUP, JOB).job_state == "Degraded"
    checked_azure.runtime.state = "Failed"
    assert client.streaming_jobs.get(GROUP, JOB).job_state == "Failed"


def test_what_is_not_there_is_not_found(checked_azure: Azure) -> None:
    client = checked_azure.stream_analytics()
    with pytest.raises(ResourceNotFoundError, match="ResourceNotFound"):
        client.streaming_jobs.get(GROUP, JOB)
    make_job(checked_azure)
    with pytest.raises(ResourceNotFoundError):
        client.outputs.get(GROUP, JOB, "lpm-99")
    client.streaming_jobs.begin_delete(GROUP, JOB).result()
    assert list(client.streaming_jobs.list_by_resource_group(GROUP)) == []


def test_the_sixty_first_output_is_refused(azure: Azure) -> None:
    make_job(azure)
    put = f"{JOB_ID}/outputs/{{}}?api-version=2020-03-01"
    source = {"type": "Microsoft.Sql/Server/Database", "properties": {"server": "s", "database": "d", "table": "t"}}
    statuses = [
        azure.call("PUT", put.format(f"extra-{n}"), {"properties": {"datasource": source}}).status_code
        for n in range(60)
    ]
    assert statuses == [200] * 59 + [400]


def test_a_restart_keeps_jobs_and_takes_up_what_ran(azure: Azure) -> None:
    client = make_job(azure)
    client.streaming_jobs.begin_start(GROUP, JOB).result()
    last = azure.clock.now() - timedelta(minutes=1)
    azure.runtime.last_output_event_time = last
    before = etag_of(client)
    azure.account.close()

    runtimes: dict[str, StandInRuntime] = {}
    again = build_account(azure.folder, azure.clock, azure.hubs, runtimes, azure.account.authority)
    again.start()
    job = again.stream_analytics.job(SUBSCRIPTION, GROUP, JOB)
    again.close()
    assert (job.state, job.etag, job.query) == ("Running", before, QUERY)
    ((_, mode, moment),) = next(iter(runtimes.values())).starts
    assert mode == "LastOutputEventTime"
    assert abs(moment - last) < timedelta(milliseconds=1)


def test_a_drill_stops_a_job_at_once(azure: Azure) -> None:
    client = make_job(azure)
    client.streaming_jobs.begin_start(GROUP, JOB).result()
    azure.account.stream_analytics.halt(JobKey(SUBSCRIPTION, GROUP, JOB))
    assert client.streaming_jobs.get(GROUP, JOB).job_state == "Stopped"


def test_operations_end_though_nobody_polls(azure: Azure) -> None:
    client = make_job(azure)
    client.streaming_jobs.begin_start(GROUP, JOB, polling=False)
    wait_until(lambda: client.streaming_jobs.get(GROUP, JOB).job_state == "Running")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"properties": {}}, 422, "'datasource' is missing"),
        (
            {"properties": {"datasource": {"type": "Microsoft.Sql/Server/Database", "properties": {"server": "s"}}}},
            422,
            "'database' is missing",
        ),
        ({"properties": {"datasource": {"type": "Fax", "properties": {}}}}, 400, "'Fax' is not supported"),
        ([], 400, "must be a JSON object"),
    ],
)
def test_half_an_output_is_refused_by_what_it_lacks(azure: Azure, body: Any, status: int, said: str) -> None:
    make_job(azure)
    answer = azure.call("PUT", f"{JOB_ID}/outputs/half?api-version=2020-03-01", body)
    assert answer.status_code == status
    assert said in answer.text


def test_a_job_made_in_one_request_has_all_its_parts(checked_azure: Azure) -> None:
    output, text = (
        sql_output().serialize(),
        {"name": "route", "properties": {"streamingUnits": 1, "query": "SELECT 1 INTO o FROM i"}},
    )
    source = {"type": "Microsoft.EventHub/EventHub", "properties": {"serviceBusNamespace": "n", "eventHubName": "tdr"}}
    stream = {
        "type": "Stream",
        "datasource": source,
        "serialization": {"type": "Json", "properties": {"encoding": "UTF8"}},
    }
    body = {
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "inputs": [{"name": "i", "properties": stream}],
            "outputs": [{"name": "o", **json.loads(json.dumps(output))}],
            "transformation": text,
        },
    }
    answer = checked_azure.call(
        "PUT", f"{GROUP_ID}/providers/Microsoft.StreamAnalytics/streamingjobs/{JOB}?api-version=2020-03-01", body
    ).json()
    assert [each["name"] for each in answer["properties"]["outputs"]] == ["o"]
    assert answer["identity"]["principalId"]
    client = checked_azure.stream_analytics()
    client.streaming_jobs.begin_start(GROUP, JOB).result()
    assert client.streaming_jobs.get(GROUP, JOB).job_state == "Running"


COMPILE = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.StreamAnalytics/locations/westeurope/compileQuery?api-version=2021-10-01-preview"


def test_a_text_is_compiled_for_its_own_sake(checked_azure: Azure) -> None:
    body = {"query": QUERY, "inputs": [{"name": "tdr-hub", "type": "Stream"}], "jobType": "Cloud"}
    answer = checked_azure.call("POST", COMPILE, body)
    assert (answer.status_code, answer.json()["errors"], answer.json()["inputs"]) == (200, [], ["tdr-hub"])
    wrong = checked_azure.call("POST", COMPILE, {**body, "query": "SELEC 1 INTO o FROM i"}).json()
    assert wrong["errors"][0] == {
        "message": "Syntax error near 'SELEC'.", "startLine": 1, "startColumn": 1, "isGlobal": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"query": QUERY}, 422),
        ({"query": QUERY, "jobType": "Cloud", "inputs": [{"name": "i"}]}, 400),
        ({"query": QUERY, "jobType": "Cloud", "functions": [{"name": "f"}]}, 400),
    ],
)
def test_a_compilation_that_lacks_something_is_refused(azure: Azure, body: dict[str, Any], status: int) -> None:
    assert azure.call("POST", COMPILE, body).status_code == status
    assert azure.call("POST", COMPILE.replace("2021-10-01-preview", "2020-03-01"), body).status_code == 400

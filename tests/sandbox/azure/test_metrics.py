"""Platform metrics: late, in whole minutes, one resource or fifty at a time, through the official SDKs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.monitor import models as m
from azure.monitor.querymetrics import MetricAggregationType
from hypothesis import given
from hypothesis import strategies as st

from lpmops.sandbox.azure.errors import ApiError
from lpmops.sandbox.azure.metric_query import parse_filter
from lpmops.sandbox.azure.metrics import Metrics
from lpmops.sandbox.clock import Clock

from .conftest import GROUP, JOB, JOB_ID, NAMESPACE, NAMESPACE_ID, SUBSCRIPTION, Azure
from .test_event_hubs import make_namespace
from .test_stream_analytics import make_job

STREAMING_JOBS = "Microsoft.StreamAnalytics/streamingjobs"


def points(metric: m.Metric) -> list[m.MetricValue]:
    """What its one series holds."""
    held = metric.timeseries[0].data
    assert held is not None
    return held


@pytest.fixture
def measured(checked_azure: Azure) -> Azure:
    """A job and a namespace with ten minutes of measurements, the last of them too young to be shown."""
    make_job(checked_azure)
    make_namespace(checked_azure)
    now = int(checked_azure.clock.time()) // 60 * 60
    for back in range(10):
        at = now - back * 60
        for output, rows in (("lpm-01", 30), ("lpm-02", 5)):
            checked_azure.account.metrics.record(JOB_ID, "OutputEvents", rows, {"LogicalName": output}, at)
        checked_azure.account.metrics.record(JOB_ID, "OutputWatermarkDelaySeconds", 2 + back, at=at)
        checked_azure.account.metrics.record(NAMESPACE_ID, "IncomingMessages", 100, {"EntityName": "tdr"}, at)
    return checked_azure


def test_only_whole_minutes_that_are_old_enough_are_shown() -> None:
    clock = Clock(start=6000.0, speed=0.001)
    metrics = Metrics(clock)
    metrics.record(JOB_ID, "InputEvents", 7, at=6000.0)
    shown = []
    for _ in range(5):
        clock.advance(31)
        shown.append(bool(metrics.read(JOB_ID, "InputEvents", 0, 10_000, [], {}).get((), {})))
    assert shown == [False, False, False, False, True]


def test_one_resource_is_read_by_minute(measured: Azure) -> None:
    answer = measured.monitor().metrics.list(
        JOB_ID,
        metricnames="OutputEvents,OutputWatermarkDelaySeconds",
        timespan="PT1H",
        interval="PT1M",
        aggregation="Total,Maximum",
    )
    events, delay = answer.value
    values = [point.total for point in points(events)]
    assert len(values) in (60, 61)
    assert {value for value in values if value is not None} == {35.0}
    assert values[-1] is None
    assert (answer.namespace, answer.resourceregion, delay.unit) == (STREAMING_JOBS, "westeurope", "Seconds")


def test_a_filter_splits_by_dimension_and_orders(measured: Azure) -> None:
    answer = measured.monitor().metrics.list(
        JOB_ID,
        metricnames="OutputEvents",
        timespan="PT1H",
        interval="PT1H",
        aggregation="Total",
        filter="LogicalName eq '*'",
        orderby="total asc",
    )
    names = [each.value for series in answer.value[0].timeseries for each in series.metadatavalues or ()]
    assert names == ["lpm-02", "lpm-01"]
    one = measured.monitor().metrics.list(
        JOB_ID, metricnames="OutputEvents", aggregation="Total", filter="LogicalName eq 'lpm-02'"
    )
    assert {point.total for point in points(one.value[0])} <= {5.0, None}


def test_a_batch_reads_many_at_once(measured: Azure) -> None:
    other = JOB.replace("-01", "-02")
    body = {"location": "westeurope"}
    path = JOB_ID.replace(JOB, other)
    assert measured.call("PUT", f"{path}?api-version=2020-03-01", body).status_code == 200
    found = measured.metrics().query_resources(
        resource_ids=[JOB_ID, path],
        metric_namespace=STREAMING_JOBS,
        metric_names=["OutputEvents"],
        timespan=(measured.clock.now() - timedelta(hours=1), measured.clock.now()),
        granularity=timedelta(minutes=5),
        aggregations=[MetricAggregationType.TOTAL],
        filter="LogicalName eq '*'",
    )
    first, second = found
    assert {series.metadata_values["logicalname"] for series in first.metrics[0].timeseries} == {"lpm-01", "lpm-02"}
    assert second.metrics[0].timeseries == []


def test_a_stopped_job_has_empty_points_and_no_zeros(measured: Azure) -> None:
    # The measurements end; twenty minutes later the minutes since then are there, and empty.
    measured.clock.advance(1200)
    answer = measured.monitor().metrics.list(JOB_ID, metricnames="OutputEvents", timespan="PT10M", aggregation="Total")
    found = points(answer.value[0])
    assert len(found) >= 10
    assert {point.total for point in found} == {None}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("metricnames=Nothing", "Failed to find metric configuration for provider: microsoft.streamanalytics"),
        ("metricnames=OutputEvents&aggregation=Median", "Invalid aggregation"),
        ("metricnames=OutputEvents&interval=PT2M", "Invalid time grain"),
        ("metricnames=OutputEvents&timespan=yesterday", "Invalid timespan"),
        ("metricnames=OutputEvents&$filter=Colour eq '*'", "does not support requested dimension combination"),
        (
            "metricnames=OutputEvents&$filter=LogicalName eq 'a' or PartitionId eq '1'",
            "cannot separate two different metadata",
        ),
        ("metricnames=OutputEvents&$filter=LogicalName", "Invalid filter"),
        ("metricnames=OutputEvents&top=none", "Invalid top"),
    ],
)
def test_what_azure_refuses_is_refused(measured: Azure, query: str, said: str) -> None:
    answer = measured.call("GET", f"{JOB_ID}/providers/Microsoft.Insights/metrics?api-version=2024-02-01&{query}")
    assert answer.status_code == 400
    assert answer.json()["code"] == "BadRequest"
    assert said in answer.json()["message"]


def test_a_batch_takes_fifty_resources_of_one_type_and_its_own_token(measured: Azure) -> None:
    path = f"/subscriptions/{SUBSCRIPTION}/metrics:getBatch?api-version=2024-02-01&metricnamespace={STREAMING_JOBS}&metricnames=InputEvents"
    headers = {"Authorization": f"Bearer {measured.token('https://metrics.monitor.azure.com')}"}
    for resources, status in (([JOB_ID] * 50, 200), ([JOB_ID] * 51, 400), ([NAMESPACE_ID], 400), ([], 400)):
        assert measured.call("POST", path, {"resourceids": resources}, headers=headers).status_code == status
    assert measured.call("POST", path, {"resourceids": [JOB_ID]}).status_code == 401


def test_what_can_be_measured_is_listed(measured: Azure) -> None:
    client = measured.monitor()
    names = {each.name.value for each in client.metric_definitions.list(NAMESPACE_ID) if each.name}
    assert {"IncomingMessages", "ThrottledRequests", "Size"} <= names
    with pytest.raises(HttpResponseError) as gone:
        client.metrics.list(NAMESPACE_ID.replace(NAMESPACE, "nobody"), metricnames="Size")
    assert gone.value.status_code == 404
    assert GROUP in str(gone.value)


def test_a_measurement_of_something_unknown_is_a_mistake_of_the_world() -> None:
    metrics = Metrics(Clock())
    with pytest.raises(KeyError):
        metrics.record(JOB_ID, "Happiness", 1)
    with pytest.raises(KeyError):
        metrics.record(JOB_ID, "InputEvents", 1, {"EntityName": "tdr"})


@given(
    st.dictionaries(
        st.sampled_from(["LogicalName", "PartitionId", "NodeName"]),
        st.lists(st.text(max_size=8), min_size=1),
        min_size=1,
    )
)
def test_any_filter_that_is_written_can_be_read(wanted: dict[str, list[str]]) -> None:
    text = " and ".join(
        " or ".join(f"{name} eq '{v.replace(chr(39), chr(39) * 2)}'" for v in values) for name, values in wanted.items()
    )
    accept, split = parse_filter(text)
    assert split == tuple(name.lower() for name in wanted)
    assert accept == {n.lower(): frozenset(v.lower() for v in vs) for n, vs in wanted.items() if "*" not in vs}


@given(st.text(max_size=40))
def test_no_filter_does_worse_than_be_refused(text: str) -> None:
    with contextlib.suppress(ApiError):
        parse_filter(text)


def test_times_are_those_of_the_sandbox(measured: Azure) -> None:
    answer: Any = measured.monitor().metrics.list(JOB_ID, metricnames="OutputEvents", aggregation="Total")
    end = datetime.fromisoformat(answer.timespan.partition("/")[2])
    assert abs(end - measured.clock.now()) < timedelta(minutes=20)
    assert end.tzinfo == UTC

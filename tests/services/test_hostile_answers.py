"""Whatever a server sends, a service gives a value or one of lpmops' own errors; nothing else ever comes out."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from lpmops.actions import provision, provision_steps
from lpmops.errors import BadAnswerError, LpmopsError
from lpmops.model import to_data
from lpmops.routing import landscape
from lpmops.routing.landscape import Kind
from lpmops.services import identity, policies
from lpmops.services.authorization import AuthorizationService
from lpmops.services.databricks import DatabricksService
from lpmops.services.eventhubs import EventHubService
from lpmops.services.identity import CachedCredential
from lpmops.services.monitor import MonitorService
from lpmops.services.resources import ResourceService
from lpmops.services.secrets import SecretReader
from lpmops.services.sqlservers import SqlServerService
from lpmops.services.streamanalytics import StreamAnalyticsService
from lpmops.services.transport import Transport
from lpmops.services.unity import UnityService
from tests.services.recorded import session_of
from tests.services.worlds import SignedIn, environment

# Keys that the services read, so that generated answers reach deep into them.
_KEYS = st.sampled_from(
    """
    value name id properties transformation query streamingUnits inputs outputs datasource type etag sku tier capacity
    status lastOutputEventTime provisioningState partitionCount retentionDescription retentionTimeInHours
    messageRetentionInDays values timeseries data timeStamp average metadatavalues resourceid tables columns rows state
    error message error_code statement_id manifest schema type_name result data_array next_chunk_internal_link jobs
    job_id settings runs run_id start_time end_time sources endOffset reservoirVersion index batchId timestamp contents
    path next_page_token nextLink table_id access_token expires_on scope roleDefinitionId principalId permissions actions
    notActions logs category enabled tags jobStorageAccount customerId nameAvailable userName Resources groups owner
    privilege_assignments principal privileges access_control_list all_permissions run_as autoPauseDelay
    """.split()
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "SUCCEEDED",
            "FAILED",
            "2026-01-01T00:00:00Z",
            "0001-01-01T00:00:00+23:59",
            "1e999",
            "-9223372036854775809",
            "\ud800",
            "LONG",
            "MAP",
        ]
    )
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6), max_leaves=25
)
_BODIES = _VALUES.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")) | st.binary(max_size=60)
_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "etag",
            "retry-after",
            "location",
            "content-type",
            "www-authenticate",
            "x-ms-request-id",
            "azure-asyncoperation",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
    | st.sampled_from(["0", "-1", "nan", "1e99", "/again", "text/html"]),
    max_size=4,
)
_STATUSES = st.sampled_from([200, 200, 200, 201, 202, 204, 301, 400, 401, 403, 404, 409, 412, 422, 429, 500, 503, 599])


class Anything(requests.adapters.BaseAdapter):
    """Answers every request with the same generated answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__()
        self._given = (status, headers, body)

    def send(self, request: Any, **_: Any) -> requests.Response:  # type: ignore[override]  # an adapter needs no more of the signature
        status, headers, body = self._given
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, request.url
        response.headers = requests.structures.CaseInsensitiveDict(headers)
        response.raw = HTTPResponse(io.BytesIO(body), headers=headers, status=status, preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is open."""


def compared(kind: Kind, documents: Iterable[Mapping[str, Any]]) -> list[Any]:
    """What provisioning makes of resources as they are."""
    return [(provision_steps.state_of(each), landscape.fields(kind, each)) for each in documents]


def every_read(transport: Transport, seconds: float = 0.05) -> dict[str, Callable[[], Any]]:
    world = environment("http://127.0.0.1:9")
    credential = SignedIn(world, transport)
    databricks = DatabricksService(world, transport, credential, seconds)
    hubs = EventHubService(world, transport, credential, SecretReader(), seconds)
    jobs = StreamAnalyticsService(world, transport, credential, seconds)
    monitor = MonitorService(world, transport, credential, seconds)
    resources = ResourceService(world, transport, credential, seconds)
    authorization = AuthorizationService(world, transport, credential, seconds)
    unity = UnityService(world, transport, credential, seconds)
    return {
        "job_resource": lambda: compared(Kind.JOB, [resources.get(Kind.JOB, "asa-lpm-tdr-dev-01") or {}]),
        "namespace_resource": lambda: compared(Kind.NAMESPACE, [resources.get(Kind.NAMESPACE, "space") or {}]),
        "hub_resource": lambda: compared(Kind.HUB, [resources.get(Kind.HUB, "space", "tdr") or {}]),
        "settings": lambda: compared(Kind.SETTING, resources.every(Kind.SETTING, "/subscriptions/a")),
        "groups": lambda: [each["name"] for each in resources.every(Kind.GROUP, "space", "tdr")],
        "permissions": lambda: provision.lacking_rights(["a/b/write"], resources.permissions()),
        "workspace": lambda: resources.workspace("a"),
        "name_refusal": lambda: resources.name_refusal("a"),
        "assignments": lambda: authorization.assignments("a"),
        "connector": lambda: authorization.connector_principal("/subscriptions/a"),
        "me": unity.me,
        "principal": lambda: unity.principal("dana@lpm.example"),
        "securable": lambda: to_data(unity.securable("table", "a.b.c").owner),
        "levels": lambda: unity.levels("jobs", "7"),
        "run_as": lambda: unity.run_as("7"),
        "databases": SqlServerService(world, transport, credential, seconds).databases,
        "table": databricks.table,
        "properties": databricks.properties,
        "history": lambda: databricks.history(3),
        "query": lambda: databricks.query("SELECT 1"),
        "stream_run": databricks.stream_run,
        "progress": databricks.progress,
        "namespace": hubs.namespace,
        "hub": hubs.hub,
        "consumer_groups": hubs.consumer_groups,
        "jobs": jobs.jobs,
        "job": lambda: jobs.job("asa-lpm-tdr-dev-01"),
        "metrics": lambda: monitor.metrics("x", ["/subscriptions/a/b"], ["y"], 5, "average"),
        "logs": lambda: monitor.logs("T", 5),
        "token": lambda: CachedCredential(world, transport).token("https://management.azure.com/.default"),
    }


READS = tuple(every_read(Transport()))


@pytest.mark.parametrize("read", READS)
@settings(max_examples=40)
@given(status=_STATUSES, headers=_HEADERS, body=_BODIES)
def test_no_answer_breaks_out(read: str, status: int, headers: dict[str, str], body: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policies, "_FIRST_PAUSE", 0.0001)
        identity.forget()
        transport = Transport(session=session_of({"http://": Anything(status, headers, body)}))
        with contextlib.suppress(LpmopsError):
            json.dumps(to_data(every_read(transport)[read]()), ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    ("read", "body"),
    [
        ("job_resource", {"properties": "none"}),
        ("job_resource", {"properties": {"jobStorageAccount": "account"}}),
        ("job_resource", {"tags": ["a"]}),
        # A size that is no number could not be held against what is wished: less would look like any other change.
        ("namespace_resource", {"sku": {"capacity": "9"}}),
        ("hub_resource", {"properties": {"retentionDescription": {"retentionTimeInHours": "168"}}}),
        ("settings", {"value": [{"name": "logs", "properties": [1]}]}),
        ("settings", {"value": [{"name": "logs", "properties": {"logs": ["all"]}}]}),
        ("settings", {"value": [{"name": "logs", "properties": {"logs": [{"category": {}}]}}]}),
        ("settings", {"value": [{"properties": {}}]}),
        ("groups", {"value": [{"id": "/somewhere"}]}),
        ("permissions", {"value": [{"actions": 5}]}),
        ("permissions", {"value": [{"actions": ["*"], "notActions": "none"}]}),
        ("workspace", {"value": [{"properties": {"customerId": "a"}}]}),
        # A list that never ends: what was not read yet can't be told to lack.
        ("securable", {"owner": "a", "next_page_token": "again"}),
    ],
)
def test_a_resource_of_another_shape_is_a_bad_answer(read: str, body: Any) -> None:
    transport = Transport(session=session_of({"http://": Anything(200, {}, json.dumps(body).encode())}))
    with pytest.raises(BadAnswerError, match="has no"):
        every_read(transport, seconds=60.0)[read]()

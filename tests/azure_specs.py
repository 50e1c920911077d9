"""The official Azure specifications and recordings as judges of HTTP traffic.

`checked_traffic` is a fixture: hand its `policy` to an azure-core client (or call `check`), and at the end of the test every exchange must agree with
the specifications or be among `KNOWN_DEVIATIONS`, each with its reason. The files lie beside the repository, in `../shared/azure`; where they are
absent the tests that need them skip and say so.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy

AZURE = Path(__file__).resolve().parents[2] / "shared" / "azure"
_SPECIFICATIONS = (
    "streamanalytics/resource-manager/Microsoft.StreamAnalytics/stable/2020-03-01",
    "streamanalytics/resource-manager/Microsoft.StreamAnalytics/preview/2021-10-01-preview",
    "eventhub/resource-manager/Microsoft.EventHub/stable/2024-01-01",
    "monitor/resource-manager/Microsoft.Insights/stable/2024-02-01",
    "monitor/data-plane/Microsoft.Insights/stable/2024-02-01",
    "operationalinsights/data-plane/Microsoft.OperationalInsights/stable/v1",
    "operationalinsights/data-plane/Microsoft.OperationalInsights/stable/2022-10-27",
)


@dataclass(frozen=True, slots=True)
class Deviation:
    """Where the real service differs from its specification: a pattern for `METHOD path api-version: issue`, and why it is right all the same."""

    pattern: str
    reason: str


KNOWN_DEVIATIONS = (
    Deviation(r"schemaRegistry", "recorded: inputs answer schemaRegistry null, which no specification has"),
    Deviation(r"blobWriteMode", "recorded: blob outputs answer blobWriteMode null, which 2020-03-01 does not have"),
    Deviation(
        r"eventhubs.*(createdAt|updatedAt): bad date-time",
        "recorded: a hub's dates have no Z on a GET, and year 1 on a PUT that changes",
    ),
    Deviation(
        r"(OperationResults|namespaceOperationResults).*NO-OPERATION", "polling addresses are in no specification"
    ),
    Deviation(
        r"Microsoft\.Authorization.*NO-OPERATION", "Microsoft.Authorization's specification is not among the files"
    ),
    Deviation(
        r"(diagnosticSettings|metricNamespaces).*NO-OPERATION",
        "diagnostic settings and metric namespaces are not among the files",
    ),
    Deviation(r"eventtypes/management/values.*NO-OPERATION", "the activity log is not among the files"),
    Deviation(
        r"(2018-01-01|2026-01-01|2024-05-01-preview|2023-01-01-preview): NO-OPERATION",
        "the files have one version of each service",
    ),
    Deviation(r"/msi/token \S+: NO-OPERATION", "the token endpoint is App Service's, and in no specification"),
    Deviation(r"Microsoft\.(Sql|OperationalInsights).*NO-OPERATION", "SQL and workspaces are not among the files"),
    Deviation(
        r"GET (/tenants|/subscriptions(/[^/]+)?(/resourceGroups(/[^/]+(/resources)?)?)?) \S+: NO-OPERATION",
        "not among the files",
    ),
    Deviation(
        r"StreamAnalytics.*rsp: undocumented property (code|message|details)",
        "seen in issues: Stream Analytics' own errors have no wrapper",
    ),
    Deviation(
        r"EventHub.*geoDataReplication",
        "recorded with 2023-01-01-preview too: the service answers newer properties to older versions",
    ),
    Deviation(
        r"eventhubs.*messageTimestampDescription",
        "recorded with 2024-05-01-preview; assumed to be answered to older versions as well",
    ),
    Deviation(
        r"Insights.*rsp: undocumented property error",
        "a resource that is not there is refused by Resource Manager, in its own shape",
    ),
    Deviation(
        r"metrics:getBatch.*rsp: (undocumented property (code|message)|missing required error)",
        "seen in issues: bare errors",
    ),
    Deviation(r"/v1/.*rsp.*rows.*expected string", "recorded: rows are typed, the specification says text"),
    Deviation(r"/v1/.*req.*(workspaces|timespan): null in request", "the SDK sends it"),
    Deviation(
        r"/v1/.*rsp.*undocumented property (correlationId|innererror|line|pos|token)",
        "seen in issues: what errors really carry",
    ),
    Deviation(
        r"/v1/\$batch", "the specification leaves the bodies of a batch open in some versions and closed in others"
    ),
)


def _module(name: str) -> ModuleType:
    path = AZURE / f"{name}.py"
    if not path.exists():
        pytest.skip(f"the specifications and recordings are not beside the repository ({path} is absent)")
    spec = importlib.util.spec_from_file_location(f"azure_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_checkers: list[Any] = []


def specifications_are_here() -> bool:
    """Whether traffic can be judged at all."""
    return (AZURE / "swagcheck.py").exists()


def checker() -> Any:
    """The one checker over all specifications; skips the test where they are absent."""
    if not _checkers:
        _checkers.append(_module("swagcheck").Checker([AZURE / "specs" / folder for folder in _SPECIFICATIONS]))
    return _checkers[0]


def recorded(name: str) -> list[dict[str, Any]]:
    """The exchanges of one recording (`streamanalytics/test_job_crud`); skips the test where it is absent."""
    path = AZURE / "recordings" / f"{name}.yaml"
    found: list[dict[str, Any]] = _module("recordings").interactions(path)
    return found


class CheckedTraffic:
    """Every exchange so far, and what in it disagrees with the specifications beyond the known deviations."""

    def __init__(self) -> None:
        self._checker = checker()
        self.issues: list[str] = []
        self.exchanges = 0
        self.operations: set[str] = set()
        self.policy = _CheckingPolicy(self)

    def check(self, method: str, url: str, request: Any, status: int, answer: Any, headers: dict[str, str]) -> None:
        """Judge one exchange; bodies are parsed JSON or None."""
        self.exchanges += 1
        operation, issues = self._checker.check(method, url, request, status, answer, headers)
        if operation:
            self.operations.add(operation)
        path = re.sub(r"^https?://[^/]+", "", url).partition("?")[0]
        version = re.search(r"api-version=([^&]+)", url)
        for issue in issues:
            # A request that is refused need not have been a good one.
            if status >= 400 and not issue.startswith(("rsp", "undocumented status")):
                continue
            said = f"{method} {path} {version.group(1) if version else '-'}: {issue}"
            if not any(re.search(deviation.pattern, said, re.IGNORECASE) for deviation in KNOWN_DEVIATIONS):
                self.issues.append(f"{said} ({status})")


class _CheckingPolicy(SansIOHTTPPolicy[Any, Any]):
    """The client's side of the judge: sees what is sent and what comes back, and changes neither."""

    def __init__(self, traffic: CheckedTraffic) -> None:
        super().__init__()
        self._traffic = traffic

    def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:
        """Judge one exchange."""
        asked, answered = request.http_request, response.http_response
        if hasattr(answered, "read"):
            answered.read()
        text = answered.text()
        headers = dict(answered.headers)
        self._traffic.check(
            asked.method, asked.url, _parsed(_content(asked)), answered.status_code, _parsed(text), headers
        )


def _content(request: Any) -> Any:
    for name in ("content", "data", "body"):
        held = getattr(request, name, None)
        if held is not None:
            return held
    return None


def _parsed(text: Any) -> Any:
    if isinstance(text, dict | list):
        return text
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


@pytest.fixture
def checked_traffic() -> Iterator[CheckedTraffic]:
    """A judge for one test; what it finds fails the test at its end."""
    traffic = CheckedTraffic()
    yield traffic
    assert not traffic.issues, "\n".join(traffic.issues)

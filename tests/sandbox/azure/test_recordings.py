"""What was recorded against the real Azure, asked again here: the answers must have the same status, the same headers and the same shape.

Requests that leave our providers (storage, networks, workspaces' creation) and answers of preview fields are left out by the lists below, each with
its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from lpmops.sandbox.azure import ResourceGroup, Subscription
from tests.azure_specs import recorded

from .conftest import NAMESPACE_ID, WORKSPACE, Azure, wait_until
from .test_event_hubs import make_namespace

RECORDED_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
OURS = re.compile(r"providers/Microsoft\.(StreamAnalytics|EventHub)(?!.*roleAssign)", re.IGNORECASE)
# Only what every answer of a kind has: ids, versions and traces differ by nature.
HEADERS = ("etag", "location", "azure-asyncoperation", "content-type")
# Left out, with the reason.
NOT_HELD = {
    "premium": "the sandbox holds Standard namespaces",
    "capturedescription": "the sandbox's hubs don't capture",
    "eventhubcli000005": "a hub that the recordings make with capture",
    "nscli000003": "the recordings' Premium namespace",
    "nscli000004": "the recordings' Premium namespace with an identity",
}


def shape(value: Any) -> Any:
    """Names and types, without the values."""
    if isinstance(value, dict):
        return {name: shape(held) for name, held in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return (
        type(value).__name__
        if not isinstance(value, bool | int | float)
        else "number"
        if not isinstance(value, bool)
        else "bool"
    )


def differences(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """What of the recorded shape is missing or of another type here; null goes with anything."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = [f"{at}.{name}: missing" for name in theirs.keys() - ours.keys() if not at.endswith(".tags")]
        found += [f"{at}.{name}: not recorded" for name in ours.keys() - theirs.keys() if not at.endswith(".tags")]
        for name in theirs.keys() & ours.keys():
            found += differences(ours[name], theirs[name], f"{at}.{name}")
        return found
    if isinstance(theirs, list) and isinstance(ours, list):
        # What differs among the recorded items (an optional part) may differ here too.
        return min((differences(ours[0], each, f"{at}[]") for each in theirs), key=len) if ours and theirs else []
    return [] if "NoneType" in (ours, theirs) or ours == theirs else [f"{at}: {ours}, recorded {theirs}"]


@pytest.fixture
def replayed(azure: Azure) -> Azure:
    """An account with the subscription and the groups of the recordings."""
    azure.account.add_subscription(Subscription(RECORDED_SUBSCRIPTION, "recorded", "recorded"))
    for group in ("cli_test_stream_analytics_000001", "cli_test_eh_namespace000001", "cli_test_eh_consumergroup000001"):
        azure.account.add_group(RECORDED_SUBSCRIPTION, ResourceGroup(group, "westus"))
    return azure


def ask_until(
    azure: Azure, pair: dict[str, Any], addresses: dict[str, str], done: Callable[[requests.Response], bool]
) -> requests.Response:
    """Ask again until an answer is what is waited for."""
    answers: list[requests.Response] = []

    def asked() -> bool:
        answers.append(ask(azure, pair, addresses))
        return done(answers[-1])

    wait_until(asked)
    return answers[-1]


def ask(azure: Azure, pair: dict[str, Any], addresses: dict[str, str]) -> Any:
    """A recorded request sent here; polling addresses are those we were given."""
    request = pair["request"]
    path = re.sub(r"^https://[^/]+", "", request["uri"])
    operation = re.search(r"OperationResults/([0-9a-f-]{36})", path)
    if operation:
        path = addresses[operation.group(1)]
    headers = {"Authorization": f"Bearer {azure.token()}", "Content-Type": "application/json"}
    return requests.request(
        request["method"], azure.address + path, data=request["body"] or b"", headers=headers, timeout=10
    )


def learn_address(pair: dict[str, Any], answer: Any, addresses: dict[str, str]) -> None:
    theirs = {name.lower(): value for name, value in pair["response"]["headers"].items()}
    for name in ("azure-asyncoperation", "location"):
        if name in theirs and name in answer.headers:
            operation = re.search(r"OperationResults/([0-9a-f-]{36})", theirs[name][0])
            if operation:
                addresses.setdefault(operation.group(1), re.sub(r"^https?://[^/]+", "", answer.headers[name]))


def compare(pair: dict[str, Any], answer: Any, waiting: bool) -> list[str]:
    response = pair["response"]
    status = response["status"]["code"]
    if waiting:
        return [] if answer.status_code in (200, 202) else [f"a poll answered {answer.status_code}"]
    found = (
        [] if answer.status_code == status else [f"status {answer.status_code}, recorded {status}: {answer.text[:200]}"]
    )
    theirs = {name.lower() for name in response["headers"]}
    found += [
        f"header {name} is missing"
        for name in HEADERS
        if name in theirs and name not in answer.headers and response["body"]["string"]
    ]
    text = response["body"]["string"]
    if text and answer.text:
        found += differences(shape(answer.json()), shape(json.loads(text)))
    elif bool(text) != bool(answer.text):
        found.append(f"body {answer.text[:80]!r}, recorded {text[:80]!r}")
    return found


@pytest.mark.parametrize(
    "name",
    [
        "streamanalytics/test_job_crud",
        "streamanalytics/test_job_scale",
        "streamanalytics/test_input_crud",
        "streamanalytics/test_output_crud",
        "streamanalytics/test_transformation_crud",
        "streamanalytics/test_function_crud",
        "streamanalytics/test_subscription_inspect",
        "eventhub/test_eh_authorization_rule",
        "eventhub/test_eh_consumergroup",
        "eventhub/test_eh_namespace",
        "eventhub/test_eh_create_update",
    ],
)
def test_the_recorded_requests_get_answers_of_the_recorded_shape(replayed: Azure, name: str) -> None:
    addresses: dict[str, str] = {}
    problems, asked = [], 0
    for number, pair in enumerate(recorded(name)):
        request = pair["request"]
        sent = f"{request['body'] or ''}{request['uri']}".lower()
        if not OURS.search(request["uri"]) or any(each in sent for each in NOT_HELD):
            continue
        polling = "OperationResults" in request["uri"]
        ended = (
            polling
            and pair["response"]["status"]["code"] == 200
            and "Running" not in pair["response"]["body"]["string"]
        )
        if ended:
            answer = ask_until(
                replayed, pair, addresses, lambda each: each.status_code == 200 and "Running" not in each.text
            )
        else:
            answer = ask_until(replayed, pair, addresses, lambda each: each.status_code != 429)
        waiting = polling and not ended
        asked += 1
        learn_address(pair, answer, addresses)
        problems += [
            f"{number} {request['method']} {request['uri'][-90:]}: {each}" for each in compare(pair, answer, waiting)
        ]
    assert asked > 0
    assert not problems, "\n".join(problems)


def test_metrics_of_no_time_at_all_are_answered_as_recorded(replayed: Azure) -> None:
    make_namespace(replayed)
    for pair in recorded("monitor/test_monitor_metrics_scenario"):
        query = (
            pair["request"]["uri"]
            .partition("?")[2]
            .replace("Ingress", "IncomingBytes")
            .replace("Egress", "OutgoingBytes")
        )
        query = query.replace("microsoft.storage%2Fstorageaccounts", "Microsoft.EventHub%2Fnamespaces")
        kind = re.search(r"insights/(\w+)\?", pair["request"]["uri"], re.IGNORECASE)
        assert kind is not None
        answer = replayed.call("GET", f"{NAMESPACE_ID}/providers/microsoft.insights/{kind.group(1)}?{query}").json()
        theirs = json.loads(pair["response"]["body"]["string"])
        assert differences(shape(answer), shape(theirs)) == []
        for exact in ("cost", "timespan", "interval"):
            assert answer.get(exact) == theirs.get(exact)


def test_diagnostic_settings_are_answered_as_recorded(replayed: Azure) -> None:
    make_namespace(replayed)
    for pair in recorded("monitor/test_monitor_diagnostic_settings_scenario"):
        request = pair["request"]
        found = re.search(r"providers/(Microsoft\.Insights/diagnosticSettings.*)$", request["uri"])
        if not found:
            continue
        path = found.group(1).replace("NetworkSecurityGroupEvent", "OperationalLogs")
        body = re.sub("NetworkSecurityGroup(Event|RuleCounter)", "OperationalLogs", request["body"] or "null")
        answer = replayed.call(request["method"], f"{NAMESPACE_ID}/providers/{path}", json.loads(body))
        theirs = pair["response"]
        assert answer.status_code == theirs["status"]["code"]
        if theirs["body"]["string"]:
            assert differences(shape(answer.json()), shape(json.loads(theirs["body"]["string"]))) == []


def test_a_schema_is_answered_as_recorded(azure: Azure) -> None:
    (pair,) = [
        each for each in recorded("loganalytics/cli_test_query") if "api.loganalytics.io" in each["request"]["uri"]
    ]
    body = json.loads(pair["request"]["body"].replace("Heartbeat", "AzureDiagnostics"))
    headers = {"Authorization": f"Bearer {azure.token('https://api.loganalytics.io')}"}
    answer = azure.call("POST", f"/v1/workspaces/{WORKSPACE}/query", body, headers=headers).json()
    theirs = json.loads(pair["response"]["body"]["string"])
    assert answer["tables"][0]["columns"] == theirs["tables"][0]["columns"]
    ours, recorded_rows = ({row[0]: row[2:] for row in each["tables"][0]["rows"]} for each in (answer, theirs))
    for column in ours.keys() & recorded_rows.keys():
        assert ours[column] == recorded_rows[column]

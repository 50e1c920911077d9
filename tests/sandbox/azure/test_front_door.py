"""Tokens, rights, throttling, faults at the wire, and Resource Manager's ways of saying no."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ManagedIdentityCredential

from lpmops.sandbox.azure import ExpiredToken, HttpFault, InvalidToken, Principal, TokenAuthority
from lpmops.sandbox.azure.identity import ARM, LOGS, SQL
from lpmops.sandbox.clock import Clock

from .conftest import GROUP, GROUP_ID, JOB, JOB_ID, OTHER_SUBSCRIPTION, SECRET, SUBSCRIPTION, TENANT, Azure
from .test_stream_analytics import make_job

JOBS = f"{GROUP_ID}/providers/Microsoft.StreamAnalytics/streamingjobs?api-version=2020-03-01"
OTHER_JOBS = (
    f"/subscriptions/{OTHER_SUBSCRIPTION}/providers/Microsoft.StreamAnalytics/streamingjobs?api-version=2020-03-01"
)


def test_azure_identity_signs_in_unmodified(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{azure.address}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", SECRET)
    token = ManagedIdentityCredential().get_token("https://database.windows.net/.default")
    assert azure.account.authority.check(token.token, SQL) == azure.principal
    assert token.expires_on > azure.clock.time()
    azure.account.authority.expire_sign_in()
    with pytest.raises(ClientAuthenticationError, match="AADSTS700082"):
        ManagedIdentityCredential().get_token("https://management.azure.com/.default")


@pytest.mark.parametrize(
    ("query", "secret", "status", "error"),
    [
        ("resource=https://management.azure.com&api-version=2019-08-01", "wrong", 401, "unauthorized"),
        ("resource=https://management.azure.com&api-version=2017-09-01", SECRET, 400, "invalid_request"),
        ("resource=https://elsewhere.example&api-version=2019-08-01", SECRET, 400, "invalid_resource"),
        ("resource=https://vault.azure.net&api-version=2019-08-01&client_id=nobody", SECRET, 400, "invalid_client"),
    ],
)
def test_a_token_is_given_only_for_a_proper_question(
    azure: Azure, query: str, secret: str, status: int, error: str
) -> None:
    answer = azure.call("GET", f"/msi/token?{query}", headers={"X-IDENTITY-HEADER": secret})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_token_opens_one_service_until_it_expires_or_is_revoked() -> None:
    clock = Clock()
    authority = TokenAuthority(clock, TENANT, lifetime=100)
    someone = authority.register(Principal("1", "someone"))
    token = authority.issue("1", "https://management.core.windows.net/.default").token
    assert authority.check(token, ARM) == someone
    with pytest.raises(InvalidToken):
        authority.check(token, LOGS)
    for broken in ("", "a.b.c", token[:-2] + "xx", token.replace(".", ""), "é.é.é"):
        with pytest.raises(InvalidToken):
            authority.check(broken, ARM)
    with pytest.raises(InvalidToken):
        TokenAuthority(clock, TENANT).check(token, ARM)
    clock.advance(101)
    with pytest.raises(ExpiredToken):
        authority.check(token, ARM)
    fresh = authority.issue("1", ARM).token
    authority.revoke("1")
    with pytest.raises(InvalidToken):
        authority.check(fresh, ARM)
    assert authority.check(authority.issue("1", ARM).token, ARM) == someone


def test_a_sign_in_that_expires_in_one_environment_leaves_the_others(azure: Azure) -> None:
    azure.account.authority.expire_sign_in(environment="dev")
    refused = azure.call("GET", JOBS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "ExpiredAuthenticationToken")
    assert "WWW-Authenticate" in refused.headers
    assert azure.call("GET", OTHER_JOBS).status_code == 200
    azure.account.authority.renew_sign_in(environment="dev")
    assert azure.call("GET", JOBS).status_code == 200


def test_no_token_no_answer(azure: Azure) -> None:
    answer = azure.call("GET", JOBS, headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AuthenticationFailed")
    other = azure.call("GET", JOBS, headers={"Authorization": f"Bearer {azure.token(LOGS)}"})
    assert other.json()["error"]["code"] == "InvalidAuthenticationTokenAudience"


def test_a_right_taken_away_is_a_403_until_it_is_given_back(checked_azure: Azure) -> None:
    client = make_job(checked_azure)
    denial = checked_azure.account.authority.deny(
        "Microsoft.StreamAnalytics/streamingjobs/Start/action", scope=GROUP_ID
    )
    with pytest.raises(HttpResponseError, match="AuthorizationFailed") as refused:
        client.streaming_jobs.begin_start(GROUP, JOB)
    assert refused.value.status_code == 403
    path = f"{GROUP_ID}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
    assert checked_azure.call("GET", path).json()["value"][0]["notActions"] == [
        "Microsoft.StreamAnalytics/streamingjobs/Start/action"
    ]
    checked_azure.account.authority.allow(denial)
    client.streaming_jobs.begin_start(GROUP, JOB).result()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", JOBS.partition("?")[0], 400, "MissingApiVersionParameter"),
        ("GET", JOBS.replace("2020-03-01", "1999-01-01"), 400, "NoRegisteredProviderFound"),
        ("GET", f"{GROUP_ID}?api-version=1999-01-01", 400, "InvalidApiVersionParameter"),
        ("GET", f"{GROUP_ID}/providers/Microsoft.Fax/machines?api-version=2020-03-01", 404, "InvalidResourceNamespace"),
        ("GET", f"{GROUP_ID}/providers/Microsoft.EventHub/clusters?api-version=2024-01-01", 404, "InvalidResourceType"),
        ("GET", f"/subscriptions/{TENANT}/resourceGroups?api-version=2022-09-01", 404, "SubscriptionNotFound"),
        ("GET", JOBS.replace(GROUP, "rg-nowhere"), 404, "ResourceGroupNotFound"),
        ("DELETE", JOBS, 405, "MethodNotAllowed"),
        ("GET", f"/subscriptions/{SUBSCRIPTION}/nonsense?api-version=2020-03-01", 404, "InvalidResourcePath"),
    ],
)
def test_resource_manager_says_no_in_its_own_words(
    azure: Azure, method: str, path: str, status: int, code: str
) -> None:
    answer = azure.call(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[1,", b'{"a": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(azure: Azure, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {azure.token()}"}
    answer = requests.put(f"{azure.address}{JOB_ID}?api-version=2020-03-01", data=body, headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequestContent")


def test_a_body_past_four_megabytes_is_refused(azure: Azure) -> None:
    answer = azure.call("PUT", f"{JOB_ID}?api-version=2020-03-01", {"location": "x" * 5_000_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestContentTooLarge")


def test_every_answer_can_be_traced(azure: Azure) -> None:
    for path in (JOBS, JOB_ID, GROUP_ID):
        answer = azure.call("GET", path, headers={"x-ms-correlation-request-id": "my-own"})
        assert answer.headers["x-ms-correlation-request-id"] == "my-own"
        assert answer.headers["x-ms-request-id"]
        assert int(answer.headers["x-ms-ratelimit-remaining-subscription-reads"]) < 250


def test_a_caller_that_asks_too_often_is_throttled_and_let_in_again(azure: Azure) -> None:
    buckets = azure.account.buckets
    left = 1
    while left:
        left, wait = buckets.take(SUBSCRIPTION, azure.principal.id, "reads")
    left, wait = buckets.take(SUBSCRIPTION, azure.principal.id, "reads")
    assert wait >= 1 or left < 25
    azure.clock.advance(20)
    assert azure.call("GET", JOBS).status_code == 200


def test_a_throttled_subscription_answers_429_with_a_time(azure: Azure) -> None:
    number = azure.account.faults.add(SUBSCRIPTION, HttpFault("throttle", seconds=7))
    answer = azure.call("GET", JOBS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json()["error"]["code"] == "SubscriptionRequestsThrottled"
    assert azure.call("GET", OTHER_JOBS).status_code == 200
    azure.account.faults.remove(number)
    assert azure.call("GET", JOBS).status_code == 200


def test_the_sdk_waits_out_a_throttle(azure: Azure) -> None:
    azure.account.faults.add(SUBSCRIPTION, HttpFault("throttle", seconds=1, times=1))
    started = time.monotonic()
    assert list(azure.stream_analytics(retry_total=2).streaming_jobs.list()) == []
    assert time.monotonic() - started >= 1


def test_a_slow_service_hangs_as_long_as_it_was_told(azure: Azure) -> None:
    azure.account.faults.add(SUBSCRIPTION, HttpFault("slow", seconds=30))
    with pytest.raises(requests.ReadTimeout):
        requests.get(azure.address + JOBS, timeout=0.3)
    azure.account.faults.clear(SUBSCRIPTION)
    azure.account.faults.add(SUBSCRIPTION, HttpFault("slow", seconds=0.3))
    started = time.monotonic()
    assert azure.call("GET", JOBS).status_code == 200
    assert time.monotonic() - started >= 0.3


def test_broken_answers_break_as_they_do_in_life(azure: Azure) -> None:
    board = azure.account.faults
    board.add(SUBSCRIPTION, HttpFault("html", times=1))
    page = azure.call("GET", JOBS)
    assert page.headers["content-type"].startswith("text/html")
    board.add(SUBSCRIPTION, HttpFault("server_error", status=503, times=1))
    assert azure.call("GET", JOBS).status_code == 503
    board.add(SUBSCRIPTION, HttpFault("half_body", times=1))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        azure.call("GET", JOBS)
    board.add(SUBSCRIPTION, HttpFault("reset", times=1))
    with pytest.raises(requests.ConnectionError, match=r"reset|aborted"):
        azure.call("GET", JOBS)
    assert azure.call("GET", JOBS).status_code == 200


def test_an_answer_can_be_lost_after_the_deed(azure: Azure) -> None:
    azure.account.faults.add(
        SUBSCRIPTION, HttpFault("reset", methods=frozenset({"PUT"}), path="streamingjobs", times=1, after_effect=True)
    )
    with pytest.raises(requests.ConnectionError):
        azure.call("PUT", f"{JOB_ID}?api-version=2020-03-01", {"location": "westeurope"})
    assert azure.call("GET", f"{JOB_ID}?api-version=2020-03-01").status_code == 200


def test_half_a_request_hurts_nobody(azure: Azure) -> None:
    host, port = azure.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as raw:
        raw.sendall(f"PUT {JOB_ID} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    assert azure.call("GET", JOBS).status_code == 200


def test_what_is_in_an_account_is_listed(azure: Azure) -> None:
    make_job(azure)
    states = {"lpm-01": "Online", "lpm-02": "Paused"}
    azure.account.add_sql_server(SUBSCRIPTION, GROUP, "sql-lpm-dev", "westeurope")
    for name in states:
        azure.account.add_sql_database(
            SUBSCRIPTION, GROUP, "sql-lpm-dev", name, "westeurope", partial(states.__getitem__, name)
        )

    def names(path: str, version: str) -> Any:
        return azure.call("GET", f"{path}?api-version={version}").json()["value"]

    server = f"{GROUP_ID}/providers/Microsoft.Sql/servers/sql-lpm-dev"
    assert {each["name"]: each["properties"]["status"] for each in names(f"{server}/databases", "2021-11-01")} == states
    states["lpm-02"] = "Online"
    assert (
        azure.call("GET", f"{server}/databases/lpm-02?api-version=2023-08-01").json()["properties"]["status"]
        == "Online"
    )
    assert [each["tenantId"] for each in names("/tenants", "2022-12-01")] == [TENANT]
    assert [each["displayName"] for each in names("/subscriptions", "2022-12-01")] == ["lpm dev", "lpm prod"]
    kinds = {each["type"] for each in names(f"{GROUP_ID}/resources", "2021-04-01")}
    assert kinds == {
        "Microsoft.StreamAnalytics/streamingjobs",
        "Microsoft.Sql/servers",
        "Microsoft.Sql/servers/databases",
        "Microsoft.OperationalInsights/workspaces",
    }


def test_roles_are_assigned_once_and_listed_by_principal(azure: Azure) -> None:
    role = "/providers/Microsoft.Authorization/roleDefinitions/a638d3c7-ab3a-418d-83e6-5f17a39d4fde"
    base = f"{GROUP_ID}/providers/Microsoft.Authorization/roleAssignments"
    body = {"properties": {"roleDefinitionId": role, "principalId": "p-1", "principalType": "ServicePrincipal"}}
    first = f"{base}/00000000-0000-4000-8000-00000000d001?api-version=2022-04-01"
    second = f"{base}/00000000-0000-4000-8000-00000000d002?api-version=2022-04-01"
    assert [azure.call("PUT", path, body).status_code for path in (first, second)] == [201, 409]
    found = azure.call("GET", f"{base}?api-version=2022-04-01&$filter=principalId eq 'p-1'").json()["value"]
    assert [each["properties"]["roleDefinitionId"] for each in found] == [role]
    assert azure.call("GET", f"{base}?api-version=2022-04-01&$filter=principalId eq 'p-2'").json()["value"] == []
    assert azure.call("GET", f"{base}?api-version=2022-04-01&$filter=name eq 'x'").status_code == 400

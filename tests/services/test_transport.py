"""What the pipeline does with every kind of broken server: the right error, the right number of requests, always in time."""

from __future__ import annotations

import base64
import logging
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from lpmops.errors import (
    BadAnswerError,
    ConfigError,
    ConflictError,
    DeadlineError,
    ForbiddenError,
    IncompleteError,
    PreconditionError,
    ServiceError,
    ServiceFaultError,
    ServiceNotFoundError,
    SignInError,
    ThrottledError,
    UnreachableError,
    UntrustedError,
)
from lpmops.services import policies
from lpmops.services.bounded import Deadline
from lpmops.services.calls import CallCounter
from lpmops.services.failures import Advice
from lpmops.services.transport import Client, Transport
from tests.services.faulty_server import FaultyServer, answer, drip, half_a_body, hang, raw, reset
from tests.services.worlds import TENANT, FixedToken

ADVICE = Advice(f"az login --tenant {TENANT}", "Reader on the resource group", TENANT)
SCOPE = "https://management.azure.com/.default"


def client_of(url: str, credential: FixedToken | None = None, **options: Any) -> Client:
    transport = Transport(CallCounter(), **options)
    return transport.client("streamanalytics", url, credential=credential or FixedToken(), scope=SCOPE, advice=ADVICE)


def get(client: Client, seconds: float = 5.0) -> Any:
    return client.get("/jobs?api-version=1", operation="jobs", deadline=Deadline.after(seconds)).fields().values


WRAPPED = {"error": {"code": "SomeCode", "message": "The service's own words."}}
# As seen in the field: Stream Analytics wraps nothing and gives details as an object.
BARE = {
    "code": "Conflict",
    "message": "The Stream Analytics job is not in a valid state to perform this operation.",
    "details": {"code": "409", "message": "not valid", "correlationId": "c", "requestId": "r"},
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words", "hint"),
    [
        (400, WRAPPED, ServiceError, "own words", "refused"),
        (401, WRAPPED, SignInError, "does not accept the sign-in", f"az login --tenant {TENANT}"),
        (403, WRAPPED, ForbiddenError, "own words", "Reader on the resource group"),
        (404, WRAPPED, ServiceNotFoundError, "SomeCode", "lpmops config show"),
        (409, BARE, ConflictError, "not in a valid state", "lpmops status"),
        (412, WRAPPED, PreconditionError, "changed by somebody else", "lpmops status"),
        (422, WRAPPED, IncompleteError, "lacks a part", "missing part"),
    ],
)
def test_a_refusal_is_its_own_type_and_is_asked_once(
    server: FaultyServer, status: int, body: Any, kind: type[ServiceError], words: str, hint: str
) -> None:
    server.serve(answer(status, body, {"x-ms-request-id": "request-17"}))
    with pytest.raises(ServiceError) as caught:
        get(client_of(server.url))
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert (caught.value.status, caught.value.request_id) == (status, "request-17")
    assert len(server.requests) == 1


def test_a_read_is_asked_again_after_a_server_error_until_it_succeeds(server: FaultyServer) -> None:
    server.serve(answer(500), answer(503), reset(), answer(200, {"done": True}))
    assert get(client_of(server.url)) == {"done": True}
    assert len(server.requests) == 4


def test_a_server_that_keeps_failing_is_asked_four_times(server: FaultyServer) -> None:
    server.serve(answer(500, WRAPPED))
    with pytest.raises(ServiceFaultError) as caught:
        get(client_of(server.url))
    assert caught.value.retryable
    assert len(server.requests) == 4


@pytest.mark.parametrize("form", ["retry-after", "retry-after-ms", "x-ms-retry-after-ms"])
def test_retry_after_is_waited_for(server: FaultyServer, form: str) -> None:
    value = "0.3" if form == "retry-after" else "300"
    server.serve(answer(429, headers={form: value}), answer(200, {}))
    get(client_of(server.url))
    gap = server.requests[1].at - server.requests[0].at
    assert 0.3 <= gap < 1.0


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(server: FaultyServer) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    server.serve(answer(429, WRAPPED, {"Retry-After": when}))
    started = time.monotonic()
    with pytest.raises(ThrottledError) as caught:
        get(client_of(server.url), seconds=2.0)
    assert time.monotonic() - started < 1.0
    assert caught.value.retry_after is not None
    assert 100 < caught.value.retry_after <= 120
    assert len(server.requests) == 1


def test_throttling_without_a_time_backs_off_and_then_says_so(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float, _: object) -> bool:
        pauses.append(seconds)
        return True

    monkeypatch.setattr(policies, "_sleep", sleep)
    server.serve(answer(429, WRAPPED))
    with pytest.raises(ThrottledError) as caught:
        get(client_of(server.url))
    assert caught.value.retry_after is None
    assert len(server.requests) == 4
    assert pauses[0] < pauses[1] < pauses[2]


@pytest.mark.parametrize("reply", [answer(500), answer(429), answer(503), reset(), half_a_body()])
def test_a_write_is_sent_once_whatever_comes_back(server: FaultyServer, reply: Any) -> None:
    server.serve(reply)
    with pytest.raises(ServiceError):
        client_of(server.url).post("/start", {}, operation="start", deadline=Deadline.after(3.0))
    assert len(server.requests) == 1


def test_a_write_that_is_not_answered_is_sent_once(server: FaultyServer) -> None:
    server.serve(hang())
    with pytest.raises(DeadlineError):
        client_of(server.url).post("/start", {}, operation="start", deadline=Deadline.after(0.4))
    assert len(server.requests) == 1


def test_a_question_by_post_may_be_asked_again(server: FaultyServer) -> None:
    server.serve(answer(503), answer(200, {"values": []}))
    found = client_of(server.url).read("/batch", {"ids": [1]}, operation="batch", deadline=Deadline.after(3.0))
    assert found.fields().values == {"values": []}
    assert [request.body for request in server.requests] == [b'{"ids": [1]}'] * 2


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(200, "<html>sign in</html>", {"Content-Type": "text/html"}), "web page"),
        (answer(200, "<!doctype html>"), "web page"),
        (answer(200, "{}}"), "no JSON"),
        (answer(200, ""), "empty"),
        (answer(200, "[1]"), "not a JSON object"),
        (answer(200, '{"a": NaN}'), "no JSON"),
        (answer(200, b"\xff\xfe{}"), "no JSON"),
        (answer(200, "[" * 100_000), "no JSON"),
        (half_a_body(), "ends before it is whole"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "no readable HTTP"),
        (answer(200, b"junk", {"Content-Encoding": "gzip"}), "no readable HTTP"),
    ],
)
def test_an_answer_that_is_not_the_services_is_named_so(server: FaultyServer, reply: Any, words: str) -> None:
    server.serve(reply)
    with pytest.raises(BadAnswerError) as caught:
        get(client_of(server.url))
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "reply",
    [
        hang(),
        drip(),
        drip(b""),
        drip(b"HTTP/1.1 200 OK\r\nX: "),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1"),
    ],
)
def test_a_server_that_never_ends_its_answer_can_not_hang_us(
    server: FaultyServer, reply: Any, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    server.serve(reply)
    started = time.monotonic()
    with pytest.raises((DeadlineError, BadAnswerError)):
        get(client_of(server.url), seconds=0.2)
    assert time.monotonic() - started < 0.8
    assert eventually(server.closed_connections), "the connection was left open"


def test_a_closed_port_is_named_with_host_and_port() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = client_of(f"http://127.0.0.1:{port}")
        with pytest.raises(UnreachableError, match=f"nothing listens at 127.0.0.1:{port}"):
            get(client, seconds=3.0)
    assert client._transport.calls.total == 4


def test_a_reset_connection_is_unreachable_after_four_tries(server: FaultyServer) -> None:
    server.serve(reset())
    with pytest.raises(UnreachableError, match="closed the connection without an answer"):
        get(client_of(server.url))
    assert len(server.requests) == 4


def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(UnreachableError) as caught:
        get(client_of("https://no-such-host.invalid"), seconds=2.0)
    assert "does not resolve" in caught.value.message
    assert "DNS" in caught.value.hint


def test_a_resolver_that_hangs_can_not_hang_us(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(*_: Any, **__: Any) -> Any:
        time.sleep(1.5)
        raise socket.gaierror("too late")

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        get(client_of("https://slow-resolver.example"), seconds=0.3)
    assert time.monotonic() - started < 1.0


def test_a_certificate_that_proves_nothing_is_refused_once_and_trusted_by_name(
    own_certificate: tuple[Path, ssl.SSLContext],
) -> None:
    file, context = own_certificate
    server = FaultyServer(tls=context).serve(answer(200, {"safe": True}))
    try:
        with pytest.raises(UntrustedError) as caught:
            get(client_of(server.url))
        assert "can't prove who it is" in caught.value.message
        assert not caught.value.retryable
        assert server.requests == []
        assert server.connections == 1
        assert get(client_of(server.url, verify=str(file))) == {"safe": True}
    finally:
        server.close()


def test_tls_to_a_server_without_it_is_named(server: FaultyServer) -> None:
    server.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with pytest.raises(UntrustedError):
        get(client_of(server.url.replace("http:", "https:")))


def test_a_redirect_to_another_host_is_refused_and_takes_no_token_there(server: FaultyServer) -> None:
    other = FaultyServer().serve(answer(200, {}))
    try:
        server.serve(answer(302, headers={"Location": f"{other.url}/login?sig=secret"}))
        with pytest.raises(BadAnswerError) as caught:
            get(client_of(server.url))
        assert "refused" in caught.value.message
        assert "secret" not in str(caught.value)
        assert other.requests == []
    finally:
        other.close()


def test_a_redirect_on_the_same_host_is_followed_but_not_for_ever(server: FaultyServer) -> None:
    server.serve(answer(307, headers={"Location": "/moved"}), answer(200, {"here": 1}))
    assert get(client_of(server.url)) == {"here": 1}
    assert [request.path for request in server.requests] == ["/jobs", "/moved"]
    server.serve(answer(302, headers={"Location": "/round"}))
    with pytest.raises(BadAnswerError):
        get(client_of(server.url))


def test_a_next_page_on_another_host_is_refused(server: FaultyServer) -> None:
    server.serve(answer(200, {"value": [{"n": 1}], "nextLink": "https://elsewhere.example/page2"}))
    pages = client_of(server.url).pages("/list", operation="list", deadline=Deadline.after(3.0))
    with pytest.raises(BadAnswerError, match="another host"):
        list(pages)


def test_pages_are_followed_to_the_end(server: FaultyServer) -> None:
    server.serve(
        answer(200, {"value": [{"n": 1}], "nextLink": f"{server.url}/list?page=2"}), answer(200, {"value": [{"n": 2}]})
    )
    pages = client_of(server.url).pages("/list", operation="list", deadline=Deadline.after(3.0))
    assert [page.integer("n") for page in pages] == [1, 2]


def test_plain_http_leaves_this_machine_never() -> None:
    with pytest.raises(ConfigError, match="without TLS"):
        Transport().client("databricks", "http://workspace.example")


def test_a_proxy_is_ignored_for_this_machine(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.serve(answer(200, {"direct": True}))
    assert get(client_of(server.url)) == {"direct": True}


def test_netrc_does_not_replace_the_token(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.serve(answer(200, {}))
    get(client_of(server.url))
    assert server.requests[0].headers["authorization"] == "Bearer first"


def claims_challenge(claims: str) -> dict[str, str]:
    encoded = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")
    return {"WWW-Authenticate": f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'}


def test_a_claims_challenge_is_met_once_with_a_new_token(server: FaultyServer) -> None:
    server.serve(answer(401, WRAPPED, claims_challenge('{"access_token":{}}')), answer(200, {"ok": 1}))
    credential = FixedToken(with_claims="second")
    assert get(client_of(server.url, credential)) == {"ok": 1}
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]
    assert credential.claims == ['{"access_token":{}}']


def test_a_claims_challenge_that_nobody_can_meet_names_the_whole_command(server: FaultyServer) -> None:
    headers = claims_challenge('{"access_token":{"nbf":1}}')
    server.serve(answer(401, WRAPPED, headers))
    credential = FixedToken()
    with pytest.raises(SignInError) as caught:
        get(client_of(server.url, credential))
    encoded = headers["WWW-Authenticate"].split('claims="')[1].rstrip('"')
    assert f'az login --tenant {TENANT} --claims-challenge "{encoded}"' in caught.value.hint
    assert credential.rejected == [SCOPE]
    assert len(server.requests) == 1


def test_a_claims_challenge_can_not_smuggle_a_command(server: FaultyServer) -> None:
    server.serve(answer(401, WRAPPED, {"WWW-Authenticate": 'Bearer claims="$(rm -rf ~)"'}))
    with pytest.raises(SignInError) as caught:
        get(client_of(server.url))
    assert "rm" not in caught.value.hint


def test_a_refused_token_is_handed_back_and_an_accepted_one_noted(server: FaultyServer) -> None:
    credential = FixedToken()
    server.serve(answer(401, WRAPPED), answer(200, {}))
    client = client_of(server.url, credential)
    with pytest.raises(SignInError):
        get(client)
    get(client)
    assert (credential.rejected, credential.accepted) == ([SCOPE], [SCOPE])


def test_no_secret_reaches_the_log_or_the_error(server: FaultyServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    leaked = {
        "error": {
            "code": "Bad",
            "message": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.abc sig=SECRETSIG password=hunter2\x1b[31m",
        }
    }
    server.serve(answer(400, leaked))
    client = client_of(server.url, FixedToken("TOKENTOKEN"))
    with pytest.raises(ServiceError) as caught:
        client.get("/x?sig=QUERYSECRET&api-version=1", operation="x", deadline=Deadline.after(2.0))
    told = caplog.text + str(caught.value) + caught.value.hint
    assert "GET 127.0.0.1/x?sig,api-version -> 400" in caplog.text
    for secret in ("TOKENTOKEN", "QUERYSECRET", "SECRETSIG", "hunter2", "eyJhbGci", "\x1b"):
        assert secret not in told


def test_connections_are_kept_between_calls_and_every_request_counts(server: FaultyServer) -> None:
    server.serve(answer(200, {}), answer(503), answer(200, {}))
    calls = CallCounter()
    client = Transport(calls).client("monitor", server.url)
    for _ in range(2):
        client.get("/x", operation="metrics", deadline=Deadline.after(3.0))
    assert server.connections == 1
    assert calls.totals() == {"monitor": 3}
    assert calls.operations() == {("monitor", "metrics"): 3}
    assert calls.last_minute() == {"monitor": 3}


def test_an_answer_without_end_is_cut_at_its_largest_size(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lpmops.services.transport._LARGEST_BODY", 100_000)
    server.serve(answer(200, "x" * 200_000))
    with pytest.raises(BadAnswerError, match="larger than"):
        client_of(server.url).post("/x", {}, operation="x", deadline=Deadline.after(3.0))


def test_calls_that_hang_where_nothing_can_end_them_do_not_pile_up() -> None:
    import threading

    from lpmops.services import bounded

    release = threading.Event()
    work = bounded.Work(
        run=lambda: release.wait(10.0),
        service="azuresql",
        lane="a lane of its own",
        what="It",
        explain=lambda error: ServiceError(str(error), service="azuresql"),
    )
    for _ in range(4):
        with pytest.raises(DeadlineError):
            bounded.run(work, Deadline.after(0.01))
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="4 earlier calls still hang"):
        bounded.run(work, Deadline.after(5.0))
    assert time.monotonic() - started < 0.2
    release.set()
    end = time.monotonic() + 3.0
    while bounded._stuck["a lane of its own"] and time.monotonic() < end:
        time.sleep(0.01)
    assert bounded.run(work, Deadline.after(1.0)) is True

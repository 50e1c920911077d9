"""lpmops against servers that answer HTML, half a body, errors, nothing or without end: it ends in time, says so, and calls nothing healthy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.services.faulty_server import FaultyServer, Reply, Request, answer, drip, half_a_body, hang, reset
from tests.stories.machine import Machine, shown, suspects

DEADLINE = 4
HTML = answer(200, "<html><body>Sign in to the guest network</body></html>", {"Content-Type": "text/html"})
REPLIES: dict[str, Reply] = {
    "html": HTML,
    "half": half_a_body(),
    "errors": answer(500, {"error": {"code": "InternalServerError", "message": "try again"}}),
    "closing": reset(),
    "silent": hang(),
    "endless": drip(),
}
GREETINGS = {
    "html": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html></html>",
    "half": b"\x04\x01\x00\x2b",
    "errors": b"500 internal error\r\n" * 100,
    "closing": b"\x00",
    "endless": b"\xff" * 4096,
}
SIGNED_IN = answer(
    200, {"access_token": "not-a-token", "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
)


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Ends every server that a story opens."""
    with ExitStack() as stack:
        yield stack


def hostile_machine(folder: Path, servers: ExitStack, *, signs_in: bool) -> Machine:
    """A machine whose configuration has an environment for each kind of hostile server, behind every one of its addresses."""
    _secret(folder / "header", "hunter2")
    parts = [f"[refresh]\ndeadline = {DEADLINE}\n"]
    for number, (name, reply) in enumerate(REPLIES.items(), 1):
        web = FaultyServer(route=_route(reply, signs_in))
        other = FaultyServer([reply], greeting=GREETINGS.get(name, b""))
        for server in (web, other):
            servers.callback(server.close)
        key = "SharedAccessKeyName=people;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true;EntityPath=tdr"
        _secret(folder / f"hub-{name}", f"Endpoint=sb://127.0.0.1:{other.port};{key}")
        parts.append(_environment(name, number, web.url, other.port, folder))
    config = folder / "lpmops.toml"
    config.write_text("\n".join(parts), encoding="utf-8")
    return Machine.at(folder, config)


def _secret(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text, encoding="utf-8")


def _route(reply: Reply, signs_in: bool) -> Callable[[Request], Reply]:
    def route(request: Request) -> Reply:
        return SIGNED_IN if signs_in and request.path == "/msi/token" else reply

    return route


def _environment(name: str, number: int, url: str, port: int, folder: Path) -> str:
    return f"""\
[environments.{name}]
kind = "test"
tenant_id = "00000000-0000-4000-8000-0000000000aa"
subscription_id = "00000000-0000-4000-8000-{number:012}"
resource_group = "rg"
databricks = {{ host = "{url}", warehouse = "w", table = "a.b.tdr_streaming", job = "stream", checkpoint = "/Volumes/a/b/c" }}
eventhub = {{ namespace = "evhns", hub = "tdr", auth = "connection-string", connection_string = "file:{folder}/hub-{name}" }}
streamanalytics = {{ job_prefix = "asa-", region = "westeurope" }}
sql = {{ server = "127.0.0.1", port = {port}, databases = ["lpm-01"], trust_server_certificate = true }}
endpoints = {{ resource_manager = "{url}", metrics = "{url}", logs = "{url}" }}
identity = {{ credential = "token-endpoint", endpoint = "{url}/msi/token", header = "file:{folder}/header" }}
"""


# Why the first stage is unknown; whether the call or the look gives up first is a matter of milliseconds.
IN_TIME = ("has not answered for", "did not answer in time", "did not answer within", "did not end in time")
REASONS = {
    "html": ("a web page instead of JSON",),
    "half": ("ends before it is whole",),
    "errors": ("fails (500",),
    "closing": ("closed the connection without an answer", *IN_TIME),
    "silent": IN_TIME,
    "endless": ("ends before it is whole", *IN_TIME),
}


@pytest.mark.parametrize("signs_in", [True, False], ids=["signed in", "not even a token"])
def test_status_ends_in_time_and_says_of_each_environment_that_nothing_is_known_and_why(
    signs_in: bool, tmp_path: Path, servers: ExitStack
) -> None:
    machine = hostile_machine(tmp_path, servers, signs_in=signs_in)
    done = machine.run("status", "--check", "-o", "json")
    assert done.code == 11, done
    assert not {"hunter2", "not-a-token"} & set(done.out.split('"'))
    document = done.document
    for name, seen in zip(REASONS, document["data"], strict=True):
        assert (seen["environment"], seen["health"]) == (name, "unknown")
        assert {stage["health"] for stage in seen["stages"].values()} == {"unknown"}
        assert all(stage["reason"] for stage in seen["stages"].values())
        # A question that is asked again after a bad answer may run out of time instead.
        assert any(words in seen["stages"]["cdf"]["reason"] for words in (*REASONS[name], *IN_TIME)), shown(seen)
        assert any(f"{name}: nothing answered" in warning for warning in document["warnings"])
        # Who was refused a sign-in has learned nothing about a database; who waits for one can't know what for.
        waits = any(words in stage["reason"] for stage in seen["stages"].values() for words in IN_TIME)
        assert signs_in or waits or "sql.unreachable" not in suspects(seen)


def test_the_table_of_a_hostile_world_is_sentences_and_looking_never_fails_a_script_that_did_not_ask(
    tmp_path: Path, servers: ExitStack
) -> None:
    done = hostile_machine(tmp_path, servers, signs_in=True).run("status", "-e", "html", "-e", "half")
    assert done.code == 0
    assert "web page instead of JSON" in done.out
    assert "how it is now is unknown" in done.err
    assert "<html>" not in done.out + done.err


def test_waiting_for_a_world_that_does_not_answer_ends_with_the_time(tmp_path: Path, servers: ExitStack) -> None:
    machine = hostile_machine(tmp_path, servers, signs_in=True)
    done = machine.run("wait", "-e", "silent", "--timeout", "2s")
    assert done.code == 8
    assert "lpmops status -e silent" in done.err

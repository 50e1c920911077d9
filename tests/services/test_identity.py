"""Who lpmops is: one question for many callers, the exact command when it fails, and never a prompt."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError

from lpmops.config import Environment, Identity
from lpmops.errors import BadAnswerError, ConfigError, DeadlineError, SignInError, UnreachableError
from lpmops.services import identity
from lpmops.services.bounded import Deadline
from lpmops.services.identity import CachedCredential
from lpmops.services.transport import Transport
from tests.services.faulty_server import FaultyServer, answer, hang
from tests.services.worlds import TENANT, environment

LOGIN = f"az login --tenant {TENANT}"
ARM = "https://management.azure.com/.default"


def jwt(**claims: Any) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims)
    ]
    return ".".join([*parts, "signature"])


def token_answer(seconds: float = 3600, **claims: Any) -> Any:
    return answer(
        200, {"access_token": jwt(**claims), "expires_on": str(int(time.time() + seconds)), "token_type": "Bearer"}
    )


def credential_of(world: Environment) -> CachedCredential:
    return CachedCredential(world, Transport())


class Library:
    """Stands where a credential of azure-identity stands."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[dict[str, Any]] = []

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.asked.append({"scopes": scopes, **options})
        outcome = self.outcomes[min(len(self.asked), len(self.outcomes)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        if callable(outcome):
            outcome = outcome()
        return AccessToken(jwt(upn="operator@example.org"), int(time.time() + outcome))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library(3600)
    monkeypatch.setattr(identity, "build", lambda *_: made)
    return made


def cli_world() -> Environment:
    return environment("http://127.0.0.1:1", identity=Identity(credential="azure-cli"))


def test_the_managed_identity_protocol_is_spoken_to_the_letter(server: FaultyServer) -> None:
    server.serve(token_answer(appid="the-application"))
    credential = credential_of(environment(server.url))
    token = credential.token(ARM)
    assert token.token.startswith("eyJ")
    (request,) = server.requests
    assert request.target == "/msi/token?resource=https%3A%2F%2Fmanagement.azure.com&api-version=2019-08-01"
    assert request.headers["x-identity-header"] == "header-of-the-test"
    assert "authorization" not in request.headers
    assert credential.state().identity == "the-application"


def test_a_token_is_asked_for_once_for_all_threads_and_environments(library: Library) -> None:
    library.outcomes = [lambda: threading.Event().wait(0.1) or 3600]
    first, second = credential_of(cli_world()), credential_of(cli_world())
    threads = [threading.Thread(target=credential.token, args=(ARM,)) for credential in (first, second) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3.0)
    assert len(library.asked) == 1
    assert library.asked[0] == {"scopes": (ARM,), "tenant_id": TENANT}


def test_each_scope_has_its_token(library: Library) -> None:
    credential = credential_of(cli_world())
    credential.token(ARM)
    credential.token("https://database.windows.net/.default")
    credential.token(ARM)
    assert [asked["scopes"][0] for asked in library.asked] == [ARM, "https://database.windows.net/.default"]


def test_a_token_near_its_end_is_renewed_and_used_where_that_fails(library: Library) -> None:
    library.outcomes = [300, CredentialUnavailableError(message="Please run 'az login' to set up an account"), 3600]
    credential = credential_of(cli_world())
    old = credential.token(ARM)
    assert credential.state().state == "expiring"
    credential._tokens._slots[ARM].tried_at -= 61.0
    assert credential.token(ARM) is old
    credential._tokens._slots[ARM].tried_at -= 61.0
    assert credential.token(ARM) is not old
    assert credential.state().state == "ok"


def test_the_state_asks_nobody_and_names_the_command(library: Library) -> None:
    credential = credential_of(cli_world())
    assert credential.state().state == "unknown"
    assert library.asked == []
    credential.token(ARM)
    known = credential.state()
    assert (known.state, known.identity, known.remedy) == ("ok", "operator@example.org", "")
    assert known.expires_at is not None
    credential.reject(ARM)
    assert (credential.state().state, credential.state().remedy) == ("expired", f"az login --tenant {TENANT}")
    credential.token(ARM)
    credential.accept(ARM)
    assert credential.state().state == "ok"
    assert len(library.asked) == 2


@pytest.mark.parametrize(
    ("error", "words", "hint"),
    [
        (
            CredentialUnavailableError(message="Please run 'az login' to set up an account"),
            "Nobody is signed in",
            LOGIN,
        ),
        (
            CredentialUnavailableError(message="Azure CLI not found on path"),
            "not installed",
            "https://aka.ms/azure-cli",
        ),
        (
            ClientAuthenticationError(message="ERROR: AADSTS50076: Due to a configuration change"),
            "second factor",
            LOGIN,
        ),
        (
            ClientAuthenticationError(message="AADSTS700082: The refresh token has expired"),
            "has expired. (AADSTS700082)",
            LOGIN,
        ),
        (ClientAuthenticationError(message="AADSTS50173: revoked"), "revoked", LOGIN),
        (ClientAuthenticationError(message="AADSTS50020: User account"), "does not belong to tenant", LOGIN),
        (
            ClientAuthenticationError(message="AADSTS7000222: keys are expired"),
            "secret has expired",
            "az ad app credential reset",
        ),
        (
            ClientAuthenticationError(message="DefaultAzureCredential failed to retrieve\n\tx: y"),
            "No sign-in works",
            LOGIN,
        ),
        (
            ClientAuthenticationError(message="something new AADSTS99999 eyJhbGciOiJ9.eyJzdWIiOiJ4In0.abc"),
            "AADSTS99999",
            LOGIN,
        ),
        (ValueError("a library's own trouble"), "No sign-in works here", LOGIN),
    ],
)
def test_what_azure_identity_says_becomes_the_command_that_helps(
    library: Library, error: Exception, words: str, hint: str
) -> None:
    library.outcomes = [error]
    credential = credential_of(cli_world())
    with pytest.raises(SignInError) as caught:
        credential.token(ARM)
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert "eyJ" not in caught.value.message
    assert credential.state().state == ("expired" if "expired" in words else "missing")


def test_no_network_is_not_mistaken_for_no_sign_in(library: Library) -> None:
    inner = ConnectionError("Failed to establish a new connection")
    outer = ClientAuthenticationError(message="Authentication failed")
    outer.__cause__ = inner
    library.outcomes = [outer]
    with pytest.raises(UnreachableError):
        credential_of(cli_world()).token(ARM)


def test_a_sign_in_that_hangs_ends_at_the_deadline(library: Library) -> None:
    library.outcomes = [lambda: threading.Event().wait(1.0) or 3600]
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        credential_of(cli_world()).token(ARM, deadline=Deadline.after(0.1))
    assert time.monotonic() - started < 0.8


def test_a_token_endpoint_that_hangs_ends_at_the_deadline(server: FaultyServer) -> None:
    server.serve(hang())
    with pytest.raises(DeadlineError):
        credential_of(environment(server.url)).token(ARM, deadline=Deadline.after(0.2))


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_token_endpoint_that_refuses_means_signing_in(server: FaultyServer, status: int) -> None:
    server.serve(answer(status, {"error": "invalid_request", "error_description": "The identity is gone."}))
    with pytest.raises(SignInError) as caught:
        credential_of(environment(server.url)).token(ARM)
    assert "The identity is gone" in caught.value.message
    assert f"az login --tenant {TENANT}" in caught.value.hint


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"access_token": 5, "expires_on": "1700000000"},
        {"access_token": "x", "expires_on": "tomorrow"},
        {"access_token": "x", "expires_on": -1},
        {"access_token": "x", "expires_on": True},
        {"access_token": "x"},
        [],
    ],
)
def test_a_token_endpoint_that_answers_something_else_is_named(server: FaultyServer, body: Any) -> None:
    server.serve(answer(200, body))
    with pytest.raises(BadAnswerError):
        credential_of(environment(server.url)).token(ARM)


def test_a_missing_identity_header_names_the_variable(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LPMOPS_TEST_HEADER")
    with pytest.raises(ConfigError, match="LPMOPS_TEST_HEADER"):
        credential_of(environment(server.url)).token(ARM)


@pytest.mark.parametrize("kind", ["default", "azure-cli", "environment", "managed-identity"])
def test_every_kind_of_credential_can_be_built_without_asking(kind: str) -> None:
    built = identity.build(Identity(credential=kind), TENANT)
    assert hasattr(built, "get_token")


def test_the_chain_of_the_default_credential_follows_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    chain = identity.build(Identity(), TENANT).credentials
    assert [type(credential).__name__ for credential in chain] == ["AzureCliCredential"]


FOREIGN = "00000000-0000-4000-8000-00000000beef"


def test_a_token_of_another_tenant_is_never_sent_anywhere(server: FaultyServer) -> None:
    server.serve(token_answer(tid=FOREIGN))
    credential = credential_of(environment(server.url))
    with pytest.raises(SignInError, match=f"another tenant .{FOREIGN}.*{TENANT}") as caught:
        credential.token(ARM)
    assert (caught.value.exit_code, LOGIN in caught.value.hint) == (4, True)
    assert credential.state().state == "missing"


def test_a_renewal_that_gives_another_tenants_token_ends_what_the_first_one_could_do(server: FaultyServer) -> None:
    server.serve(token_answer(tid=TENANT.upper()), token_answer(tid=FOREIGN))
    credential = credential_of(environment(server.url))
    assert credential.token(ARM).token
    # A service refused the token: what is given in its place is another tenant's.
    credential.reject(ARM)
    with pytest.raises(SignInError, match="another tenant"):
        credential.token(ARM)
    assert credential.state().state == "expired"

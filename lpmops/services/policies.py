"""The policies of the pipeline, outermost first: Redirect, Retry, Bearer. Each sees one request and its answer, and holds one rule.

A redirect is followed for a GET on the same host alone. A safe request is sent again while that can help and its deadline allows; any other goes out
once. A token goes with every request of a client that has a credential; one that is refused is handed back.
"""

from __future__ import annotations

import base64
import binascii
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol
from urllib.parse import urljoin

from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy
from azure.core.rest import HttpRequest

from lpmops.errors import BadAnswerError, SignInError, UnreachableError, UntrustedError
from lpmops.services import failures
from lpmops.services.addresses import origin, refuse_plain_http
from lpmops.services.answers import Answer
from lpmops.services.bounded import Deadline
from lpmops.services.calls import CallCounter
from lpmops.services.redact import address

_ATTEMPTS = 4
_FIRST_PAUSE = 0.2
_RETRIED = frozenset({429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECT_LIMIT = 3


class TokenSource(Protocol):
    """What the pipeline asks for tokens; `identity.CachedCredential` is one."""

    def token(self, scope: str, *, claims: str | None = None, deadline: Deadline | None = None) -> AccessToken:
        """A token for `scope`. Raises SignInError."""

    def reject(self, scope: str) -> None:
        """A service refused the token: never hand it out again."""

    def accept(self, scope: str) -> None:
        """A service took the token."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one logical call carries through the pipeline."""

    service: str
    operation: str
    deadline: Deadline
    safe: bool
    calls: CallCounter


class Retry(HTTPPolicy[HttpRequest, Any]):
    """Sends a safe request again while that can help and the deadline allows it."""

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, Any]:
        """One request through this policy."""
        call: Call = request.context.options["call"]
        attempts = _ATTEMPTS if call.safe else 1
        for attempt in range(1, attempts + 1):
            last = attempt == attempts
            try:
                response = self.next.send(request)
            except (UnreachableError, BadAnswerError) as error:
                if last or isinstance(error, UntrustedError) or not _sleep(_backoff(attempt), call.deadline):
                    raise
                continue
            if last or response.http_response.status_code not in _RETRIED:
                return response
            asked = failures.retry_after(response.http_response.headers)
            if not _sleep(
                _backoff(attempt) if asked is None else asked + random.uniform(0, min(1.0, asked / 10)), call.deadline
            ):
                return response
        raise AssertionError("the last attempt returns or raises")


def _backoff(attempt: int) -> float:
    """About 0.2, 0.4, 0.8 s; spread, so that many panes do not come back at once."""
    return float(_FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))


def _sleep(seconds: float, deadline: Deadline) -> bool:
    """Wait, unless the wait would use up the deadline; False then."""
    if seconds >= deadline.left():
        return False
    time.sleep(seconds)
    return True


class Bearer(HTTPPolicy[HttpRequest, Any]):
    """Adds the token; answers a claims challenge once, for reads, and forgets a token that was refused."""

    def __init__(self, credential: TokenSource, scope: str) -> None:
        self._credential = credential
        self._scope = scope

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, Any]:
        """One request through this policy."""
        call: Call = request.context.options["call"]
        self._authorize(request, call, None)
        response = self.next.send(request)
        claims = claims_of(response.http_response.headers) if response.http_response.status_code == 401 else None
        if claims is not None and call.safe:
            try:
                self._authorize(request, call, claims)
            except SignInError:
                # The answer itself says which claims: its error carries the whole command.
                self._credential.reject(self._scope)
                return response
            response = self.next.send(request)
        if response.http_response.status_code == 401:
            self._credential.reject(self._scope)
        else:
            self._credential.accept(self._scope)
        return response

    def _authorize(self, request: PipelineRequest[HttpRequest], call: Call, claims: str | None) -> None:
        refuse_plain_http(request.http_request.url)
        token = self._credential.token(self._scope, claims=claims, deadline=call.deadline)
        if not token.token.isascii() or not token.token.isprintable():
            raise BadAnswerError(
                "The token can't be sent in a header.", service="identity", hint="Check identity.endpoint."
            )
        request.http_request.headers["Authorization"] = f"Bearer {token.token}"


def claims_of(headers: Mapping[str, str]) -> str | None:
    """The claims that a 401 asks for, as JSON text; None where it asks for none."""
    challenge = failures.challenge_of(headers)
    if challenge is None:
        return None
    try:
        return base64.urlsafe_b64decode(challenge + "=" * (-len(challenge) % 4)).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


class Redirect(HTTPPolicy[HttpRequest, Any]):
    """Follows a redirect of a read on the same host, a few times; refuses every other."""

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, Any]:
        """One request through this policy."""
        call: Call = request.context.options["call"]
        for _ in range(_REDIRECT_LIMIT):
            response = self.next.send(request)
            answer: Answer = response.http_response
            if answer.status_code not in _REDIRECTS:
                return response
            target = _target(request.http_request.url, answer.headers.get("location", ""))
            if not call.safe or request.http_request.method != "GET" or target is None:
                _refuse_redirect(answer)
            request.http_request.url = target
        return _refuse_redirect(answer)


def _target(url: str, location: str) -> str | None:
    try:
        target = urljoin(url, location)
        return target if location and origin(target) == origin(url) else None
    except ValueError:
        return None


def _refuse_redirect(answer: Answer) -> NoReturn:
    raise BadAnswerError(
        f"{answer.place} sends on to {address(answer.headers.get('location', ''))}, which is refused.",
        service=answer.service,
        hint="A sign-in page or a moved service: check the host in lpmops.toml.",
        status=answer.status_code,
        request_id=answer.request_id,
    )

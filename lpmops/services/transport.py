"""The one HTTP pipeline under every service: sign-in, deadlines, retries, redirects and redaction, owned here and nowhere else.

A GET, or a POST marked as a read, is tried again on 429, 5xx and broken connections, honouring Retry-After, inside the deadline of its call;
anything else goes out once. The deadline bounds name resolution, connection, headers and body together. Plain http is for this machine alone, a
redirect to another host is refused, and no header, query value or body is ever logged. Built on azure-core's Pipeline, with policies of our own.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline import Pipeline, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from azure.core.rest import HttpRequest
from urllib3.util import Retry

from lpmops import __version__
from lpmops.errors import BadAnswerError, ConfigError, SignInError, UnreachableError, UntrustedError
from lpmops.services import bounded, failures
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import Deadline
from lpmops.services.calls import CallCounter
from lpmops.services.failures import Advice
from lpmops.services.redact import address
from lpmops.services.sockets import Cuttable, CuttableAdapter

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 5.0
_ATTEMPTS = 4
_RETRIED = frozenset({429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECT_LIMIT = 3
_LARGEST_BODY = 64 * 1024 * 1024
_PAGE_LIMIT = 200

# A library without a handler prints its warnings over the screen, and urllib3 logs query values at debug level.
for _name in ("azure", "urllib3", "msal"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
logging.getLogger("urllib3").setLevel(logging.WARNING)


class TokenSource(Protocol):
    """What the pipeline asks for tokens; `identity.CachedCredential` is one."""

    def token(self, scope: str, *, claims: str | None = None, deadline: Deadline | None = None) -> AccessToken:
        """A token for `scope`. Raises SignInError."""

    def reject(self, scope: str) -> None:
        """A service refused the token: never hand it out again."""

    def accept(self, scope: str) -> None:
        """A service took the token."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What one logical call carries through the pipeline."""

    service: str
    operation: str
    deadline: Deadline
    safe: bool
    calls: CallCounter


class Client:
    """One service at one address. `base` is its root; paths are joined to it and may not leave it."""

    def __init__(
        self,
        transport: Transport,
        service: str,
        base: str,
        *,
        credential: TokenSource | None,
        scope: str,
        advice: Advice,
    ) -> None:
        self._transport = transport
        self.service = service
        self.base = base.rstrip("/")
        self.advice = advice
        policies: list[Any] = [_Retry()]
        if credential is not None:
            policies.append(_Bearer(credential, scope))
        self._pipeline: Pipeline[HttpRequest, Any] = Pipeline(transport.bounded, [*policies, _Redirect()])

    def get(
        self,
        path: str,
        *,
        operation: str,
        deadline: Deadline,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET `path`. Raises ServiceError types; never gives an answer of 300 and up."""
        request = HttpRequest(
            "GET", self.url(path), params=dict(params or {}), headers={"Accept": "application/json", **(headers or {})}
        )
        return self._send(request, operation, deadline, safe=True)

    def read(
        self, path: str, body: Any, *, operation: str, deadline: Deadline, params: Mapping[str, str] | None = None
    ) -> Answer:
        """POST a question that changes nothing, and so may be asked again: a metrics batch, a log query, a SELECT."""
        return self._send(self._post(path, body, params), operation, deadline, safe=True)

    def post(
        self, path: str, body: Any, *, operation: str, deadline: Deadline, params: Mapping[str, str] | None = None
    ) -> Answer:
        """POST once: a lost answer is never followed by a second request."""
        return self._send(self._post(path, body, params), operation, deadline, safe=False)

    def pages(
        self, path: str, *, operation: str, deadline: Deadline, params: Mapping[str, str] | None = None
    ) -> Iterator[Fields]:
        """The objects of an Azure list, page after page (`value`, `nextLink`)."""
        answer = self.get(path, operation=operation, deadline=deadline, params=params)
        for _ in range(_PAGE_LIMIT):
            page = answer.fields()
            yield from page.objects("value")
            following = page.maybe_text("nextLink")
            if not following:
                return
            answer = self.get(following, operation=operation, deadline=deadline)
        answer.refuse(f"goes on after {_PAGE_LIMIT} pages")

    def url(self, path: str) -> str:
        """The absolute address of `path`, which may be absolute itself where a service gives links. Raises BadAnswerError off this host."""
        try:
            absolute = path if "://" in path else self.base + "/" + path.lstrip("/")
            if _origin(absolute) == _origin(self.base):
                return absolute
        except ValueError:
            pass
        raise BadAnswerError(
            f"{failures.name_of(self.service)} sends on to another host ({address(path)}), which is refused.",
            service=self.service,
            hint="Check the address in lpmops.toml; a token is never sent to a host that is not named there.",
        )

    def _post(self, path: str, body: Any, params: Mapping[str, str] | None) -> HttpRequest:
        return HttpRequest(
            "POST", self.url(path), params=dict(params or {}), json=body, headers={"Accept": "application/json"}
        )

    def _send(self, request: HttpRequest, operation: str, deadline: Deadline, *, safe: bool) -> Answer:
        request.headers["User-Agent"] = f"lpmops/{__version__}"
        request.headers["x-ms-client-request-id"] = f"{random.getrandbits(128):032x}"
        call = _Call(self.service, operation, deadline, safe, self._transport.calls)
        answer: Answer = self._pipeline.run(request, call=call).http_response
        if answer.status_code >= 400:
            raise failures.from_answer(answer, self.advice)
        return answer


class Transport:
    """The connections of one environment, shared by its clients.

    `session` replaces the sockets, which is how recorded exchanges are played; `verify` is True or a file of certificates.
    """

    def __init__(
        self,
        calls: CallCounter | None = None,
        *,
        session: requests.Session | None = None,
        verify: bool | str | None = None,
    ) -> None:
        self.calls = calls or CallCounter()
        self.bounded = _BoundedTransport(session or _session(), _trust() if verify is None else verify)

    def client(
        self,
        service: str,
        base: str,
        *,
        credential: TokenSource | None = None,
        scope: str = "",
        advice: Advice | None = None,
    ) -> Client:
        """A client for `service` at `base`. Raises ConfigError for http to another machine."""
        _refuse_plain_http(base)
        return Client(self, service, base, credential=credential, scope=scope, advice=advice or Advice())

    def close(self) -> None:
        """Close every connection; calls under way end with UnreachableError."""
        self.bounded.close()


def _session() -> requests.Session:
    session = requests.Session()
    # .netrc would replace our Authorization header, and proxies are chosen per address below.
    session.trust_env = False
    adapter = CuttableAdapter(max_retries=Retry(total=False, redirect=False, raise_on_status=False))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _trust() -> bool | str:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def is_loopback(url: str) -> bool:
    """True where `url` leads to this machine."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def _refuse_plain_http(url: str) -> None:
    scheme = urlsplit(url).scheme
    if scheme == "https" or (scheme == "http" and is_loopback(url)):
        return
    raise ConfigError(
        f"{address(url)} would be called without TLS, and tokens travel with every call.",
        hint="Write https:// in lpmops.toml; http is for this machine alone.",
    )


class _BoundedTransport(HttpTransport[HttpRequest, Any]):
    """Sends one request and reads the whole answer in a thread that the deadline can leave behind."""

    def __init__(self, session: requests.Session, verify: bool | str) -> None:
        self._session = session
        self._verify = verify
        self._requests = RequestsTransport(session=session, session_owner=False)

    def send(self, request: HttpRequest, **options: Any) -> Any:
        call: _Call = options["call"]
        _refuse_plain_http(request.url)
        parts = urlsplit(request.url)
        where = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        socket = Cuttable()
        call.calls.count(call.service, call.operation)
        started = time.monotonic()
        work = bounded.Work(
            run=partial(self._exchange, request, call, socket),
            service=call.service,
            lane=f"{call.service} {where}",
            what=f"{failures.name_of(call.service)} at {where} ({call.operation})",
            explain=partial(failures.from_exception, service=call.service, where=where),
            abandon=socket.cut,
        )
        outcome = "no answer"
        try:
            answer = bounded.run(work, call.deadline)
            outcome = str(answer.status_code)
        finally:
            _log.debug(
                "%s %s -> %s, %.0f ms",
                request.method,
                address(request.url),
                outcome,
                (time.monotonic() - started) * 1000,
            )
        return answer

    def _exchange(self, request: HttpRequest, call: _Call, socket: Cuttable) -> Answer:
        socket.adopt()
        left = max(0.05, call.deadline.left())
        proxies = {} if is_loopback(request.url) else requests.utils.get_environ_proxies(request.url)
        response: HttpResponse = self._requests.send(
            request,
            stream=True,
            proxies=proxies,
            connection_timeout=min(_CONNECT_SECONDS, left),
            read_timeout=left,
            connection_verify=self._verify,
        )
        try:
            body = b"".join(self._chunks(response, call))
        finally:
            response.close()
        return Answer(
            service=call.service,
            operation=call.operation,
            place=address(request.url).partition("?")[0],
            status_code=response.status_code,
            headers={str(name).lower(): str(value) for name, value in response.headers.items()},
            body=body,
            url=request.url,
        )

    def _chunks(self, response: HttpResponse, call: _Call) -> Iterator[bytes]:
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > _LARGEST_BODY:
                raise BadAnswerError(
                    f"The answer of {address(response.request.url)} is larger than {_LARGEST_BODY >> 20} MiB.",
                    service=call.service,
                    hint="Ask for less at once.",
                )
            yield chunk

    def open(self) -> None:
        """Connections are opened by the first call."""

    def close(self) -> None:
        self._session.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class _Retry(HTTPPolicy[HttpRequest, Any]):
    """Sends a safe request again while that can help and the deadline allows it."""

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, Any]:
        call: _Call = request.context.options["call"]
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
    return float(0.1 * 2**attempt * random.uniform(0.75, 1.25))


def _sleep(seconds: float, deadline: Deadline) -> bool:
    """Wait, unless the wait would use up the deadline; False then."""
    if seconds >= deadline.left():
        return False
    time.sleep(seconds)
    return True


class _Bearer(HTTPPolicy[HttpRequest, Any]):
    """Adds the token; answers a claims challenge once, for reads, and forgets a token that was refused."""

    def __init__(self, credential: TokenSource, scope: str) -> None:
        self._credential = credential
        self._scope = scope

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, Any]:
        call: _Call = request.context.options["call"]
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

    def _authorize(self, request: PipelineRequest[HttpRequest], call: _Call, claims: str | None) -> None:
        _refuse_plain_http(request.http_request.url)
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


class _Redirect(HTTPPolicy[HttpRequest, Any]):
    """Follows a redirect of a read on the same host, a few times; refuses every other."""

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, Any]:
        call: _Call = request.context.options["call"]
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
        return target if location and _origin(target) == _origin(url) else None
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

"""The one HTTP pipeline under every service: sign-in, deadlines, retries, redirects and redaction, owned here and nowhere else.

A GET, or a POST marked as a read, is tried again on 429, 5xx and broken connections, honouring Retry-After, inside the deadline of its call;
anything else goes out once. The deadline bounds name resolution, connection, headers and body together. Plain http is for this machine alone, a
redirect to another host is refused, and no header, query value or body is ever logged. Built on azure-core's Pipeline, with policies of our own.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from azure.core.rest import HttpRequest
from urllib3.util import Retry as NoRetry

from lpmops import __version__
from lpmops.errors import BadAnswerError
from lpmops.services import bounded, failures
from lpmops.services.addresses import is_loopback, origin, refuse_plain_http
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import Deadline
from lpmops.services.calls import CallCounter
from lpmops.services.failures import Advice
from lpmops.services.policies import Bearer, Call, Redirect, Retry, TokenSource
from lpmops.services.redact import address
from lpmops.services.sockets import Cuttable, CuttableAdapter

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse

_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 5.0
_LARGEST_BODY = 64 * 1024 * 1024
_PAGE_LIMIT = 200

# A library without a handler prints its warnings over the screen, and urllib3 logs query values at debug level.
for _name in ("azure", "urllib3", "msal", "pytds"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
logging.getLogger("urllib3").setLevel(logging.WARNING)


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
        policies: list[Any] = [Redirect(), Retry()]
        if credential is not None:
            policies.append(Bearer(credential, scope))
        self._pipeline: Pipeline[HttpRequest, Any] = Pipeline(transport.bounded, policies)

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
            "GET", self.url(path), params=_quoted(params), headers={"Accept": "application/json", **(headers or {})}
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

    def write(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        operation: str,
        deadline: Deadline,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """PUT, PATCH or DELETE once, with JSON or, where `body` is bytes, with those."""
        content: dict[str, Any] = (
            {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        )
        given = {"Accept": "application/json", **(headers or {})}
        request = HttpRequest(method, self.url(path), params=_quoted(params), headers=given, **content)
        return self._send(request, operation, deadline, safe=False)

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
            if origin(absolute) == origin(self.base):
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
            "POST", self.url(path), params=_quoted(params), json=body, headers={"Accept": "application/json"}
        )

    def _send(self, request: HttpRequest, operation: str, deadline: Deadline, *, safe: bool) -> Answer:
        request.headers["User-Agent"] = f"lpmops/{__version__}"
        request.headers["x-ms-client-request-id"] = f"{random.getrandbits(128):032x}"
        call = Call(self.service, operation, deadline, safe, self._transport.calls)
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
        self.bounded = _BoundedTransport(session or _session(), trust() if verify is None else verify)

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
        refuse_plain_http(base)
        return Client(self, service, base, credential=credential, scope=scope, advice=advice or Advice())

    def close(self) -> None:
        """Close every connection; calls under way end with UnreachableError."""
        self.bounded.close()


def _quoted(params: Mapping[str, str] | None) -> dict[str, str]:
    """azure-core puts parameters into the address as they are."""
    return {quote(name, safe="$"): quote(value, safe="") for name, value in (params or {}).items()}


def _session() -> requests.Session:
    session = requests.Session()
    # .netrc would replace our Authorization header, and proxies are chosen per address below.
    session.trust_env = False
    adapter = CuttableAdapter(max_retries=NoRetry(total=False, redirect=False, raise_on_status=False))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def trust() -> bool | str:
    """Whom TLS trusts: a file of certificates where the machine's owner names one, else True for the usual ones."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


class _BoundedTransport(HttpTransport[HttpRequest, Any]):
    """Sends one request and reads the whole answer in a thread that the deadline can leave behind."""

    def __init__(self, session: requests.Session, verify: bool | str) -> None:
        self._session = session
        self._verify = verify
        self._requests = RequestsTransport(session=session, session_owner=False)

    def send(self, request: HttpRequest, **options: Any) -> Any:
        call: Call = options["call"]
        refuse_plain_http(request.url)
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

    def _exchange(self, request: HttpRequest, call: Call, socket: Cuttable) -> Answer:
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

    def _chunks(self, response: HttpResponse, call: Call) -> Iterator[bytes]:
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

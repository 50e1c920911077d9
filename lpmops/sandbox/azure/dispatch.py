"""The front door: every HTTP request to Resource Manager, metrics or logs passes here, and only here are answers written.

Checks run in Resource Manager's order (see `calls`); every answer, refusals too, carries the request and correlation ids and what is left of the
caller's budget. Handlers run on worker threads, so a slow one never stops the other servers of the process.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.calls import Answer, Call, OperationTable, parse_body
from lpmops.sandbox.azure.errors import (
    ApiError,
    arm_error,
    forbidden,
    group_not_found,
    throttled,
    unauthenticated,
)
from lpmops.sandbox.azure.identity import Principal, TokenError
from lpmops.sandbox.azure.stamps import new_guid
from lpmops.sandbox.azure.throttle import kind_of

log = logging.getLogger(__name__)


def common_headers(asked: Mapping[str, str]) -> dict[str, str]:
    """The headers that every Resource Manager answer has."""
    request_id = new_guid()
    correlation = asked.get("x-ms-correlation-request-id", request_id)
    headers = {
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "x-ms-request-id": request_id,
        "x-ms-correlation-request-id": correlation,
        "x-ms-routing-request-id": f"WESTEUROPE:{request_id}",
    }
    if "x-ms-client-request-id" in asked and asked.get("x-ms-return-client-request-id", "").lower() == "true":
        headers["x-ms-client-request-id"] = asked["x-ms-client-request-id"]
    return headers


def respond(answer: Answer, headers: Mapping[str, str]) -> Response:
    """An answer on the wire; no body means no content type either."""
    merged = {**headers, **answer.headers}
    if answer.body is None:
        return Response(status_code=answer.status, headers=merged)
    content = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, answer.status, merged, "application/json; charset=utf-8")


class Dispatcher:
    """Starlette endpoints over one table of operations; `audience` is whose tokens it takes, `metered` whether it costs budget,
    `reshape` gives refusals the service's own body."""

    def __init__(
        self,
        account: Account,
        table: OperationTable,
        audience: str,
        metered: bool = True,
        reshape: Callable[[ApiError], ApiError] = lambda error: error,
    ) -> None:
        self._account = account
        self._table = table
        self._audience = audience
        self._metered = metered
        self._reshape = reshape

    async def endpoint(self, request: Request) -> Response:
        """Check, act, answer. What goes wrong inside is a 500 that is logged, never a traceback to the client."""
        headers = common_headers(request.headers)
        raw = await request.body()
        try:
            answer = await run_in_threadpool(self._answer, request, raw, headers)
        except ApiError as error:
            refusal = self._reshape(error)
            answer = Answer(refusal.body, refusal.status, refusal.headers)
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            body = arm_error(
                500, "InternalServerError", "The server encountered an internal error. Please retry the request."
            ).body
            answer = Answer(body, 500)
        return respond(answer, headers)

    def _answer(self, request: Request, raw: bytes, headers: dict[str, str]) -> Answer:
        path, query = request.url.path, {k.lower(): v for k, v in request.query_params.items()}
        subscription = self._account.subscription_of(path)
        principal = self._authenticate(request, self._account.environment_of(subscription))
        if self._metered:
            self._spend(request.method, subscription, principal, headers)
        if subscription and subscription not in self._account.subscriptions:
            raise arm_error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        found = self._table.find(request.method, path, query.get("api-version", ""))
        action = found.operation.action
        allowed = self._account.access.may(principal.id, action, self._account.scope_of(path))
        if not allowed or not self._account.authority.may(principal, action, path):
            raise forbidden(principal.client_id or principal.name, principal.id, action, path)
        self._require_group(found.names)
        origin = f"{request.url.scheme}://{request.url.netloc}"
        asked = {k.lower(): v for k, v in request.headers.items()}
        call = Call(request.method, path, found.names, query, asked, parse_body(raw), principal, origin)
        try:
            answer = found.operation.handler(call)
        except ApiError as error:
            self._note(call, action, error.status, str(error.body))
            raise
        self._note(call, action, answer.status)
        return answer

    def _note(self, call: Call, action: str, status: int, message: str = "") -> None:
        if call.subscription:
            self._account.activity.write_call(call, action, status, message)

    def _authenticate(self, request: Request, environment: str) -> Principal:
        authority = self._account.authority
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            message = "Authentication failed. The 'Authorization' header is missing."
            raise unauthenticated("AuthenticationFailed", message, authority.sign_in_address)
        try:
            return authority.check(token.strip(), self._audience, environment)
        except TokenError as error:
            raise unauthenticated(error.code, str(error), authority.sign_in_address) from error

    def _spend(self, method: str, subscription: str, principal: Principal, headers: dict[str, str]) -> None:
        kind = kind_of(method)
        left, wait = self._account.buckets.take(subscription, principal.id, kind)
        scope = "subscription" if subscription else "tenant"
        headers[f"x-ms-ratelimit-remaining-{scope}-{kind}"] = str(left)
        if wait:
            raise throttled(kind.removesuffix("s"), subscription, principal.id, wait)

    def _require_group(self, names: Mapping[str, str]) -> None:
        group = names.get("group")
        if group and self._account.group(names.get("subscription", ""), group) is None:
            raise group_not_found(group)

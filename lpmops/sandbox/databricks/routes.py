"""A workspace on the wire: one address of its own, every request through one door.

The order is Databricks': the fault that strikes, the token, the operation. Handlers run on the workspace's own threads, so a statement that waits
never stops the other servers of the process. Every answer carries the workspace's and the request's id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lpmops.sandbox.azure.faults import HttpFault
from lpmops.sandbox.azure.identity import TokenError
from lpmops.sandbox.azure.stamps import new_guid
from lpmops.sandbox.databricks.calls import Call
from lpmops.sandbox.databricks.errors import ApiError, internal, no_credential, refused_token, throttled
from lpmops.sandbox.databricks.workspace import Workspace
from lpmops.sandbox.http_parts import until_gone

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024 * 1024
METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]
# A waiting statement holds a thread for up to 50 s.
_THREADS = 32
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def workspace_routes(workspace: Workspace) -> list[Route]:
    """Everything that a workspace answers; it needs a host and port of its own."""
    door = _Door(workspace)
    return [
        Route("/.well-known/databricks-config", door.configuration, methods=["GET"]),
        Route("/{path:path}", door.endpoint, methods=METHODS),
    ]


class _Door:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._threads = ThreadPoolExecutor(_THREADS, f"databricks {workspace.id}")

    async def configuration(self, _: Request) -> Response:
        """What a client asks before it signs in."""
        document = {
            "oidc_endpoint": f"{self._workspace.base_url}/oidc",
            "workspace_id": self._workspace.id,
            "cloud": "AZURE",
        }
        return JSONResponse(document)

    async def endpoint(self, request: Request) -> Response:
        """One request. What goes wrong inside is a 500 that is logged, never a traceback to the client."""
        request_id = new_guid()
        try:
            raw = await _whole_body(request)
            response = await self._answer(request, raw)
        except ClientDisconnect:
            return Response(status_code=499)
        except ApiError as error:
            response = _json(error.body(request_id), error.status, error.headers)
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            response = _json(internal().body(request_id), 500, {})
        response.headers["x-databricks-org-id"] = self._workspace.id
        response.headers["x-request-id"] = request_id
        if request.method == "HEAD" and response.status_code >= 400:
            response.body = b""
        return response

    async def _answer(self, request: Request, raw: bytes) -> Response:
        path: str = request.scope["path"]
        fault = self._workspace.faults.next_for("*", request.method, path)
        if fault is not None and not fault.after_effect:
            struck = await _strike(fault, request)
            if struck is not None:
                return struck
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._threads, self._perform, request, path, raw)
        if fault is not None and fault.after_effect:
            return await _strike(fault, request) or response
        return response

    def _perform(self, request: Request, path: str, raw: bytes) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise no_credential()
        try:
            principal = self._workspace.authorize(token.strip())
        except TokenError as error:
            raise refused_token(error) from error
        handler, names = self._workspace.operations.find(request.method, path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.method, path, names, dict(request.query_params), headers, raw, principal)
        answer = handler(call)
        return answer if isinstance(answer, Response) else _json(answer.body, answer.status, dict(answer.headers))


def _json(body: Any, status: int, headers: dict[str, str]) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Response(content, status, headers, "application/json")


async def _whole_body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise ApiError(413, "REQUEST_LIMIT_EXCEEDED", f"The sandbox takes at most {MAX_BODY} bytes in a request.")
        parts.append(part)
    return b"".join(parts)


async def _strike(fault: HttpFault, request: Request) -> Response | None:
    """What a fault answers; None once a slow one has waited."""
    if fault.kind == "slow":
        try:
            await asyncio.wait_for(until_gone(request.receive), fault.seconds)
        except TimeoutError:
            return None
        raise ClientDisconnect
    if fault.kind == "html":
        return Response(_HTML, 502, media_type="text/html")
    if fault.kind == "throttle":
        raise throttled(max(1, math.ceil(fault.seconds)))
    raise internal(fault.status)

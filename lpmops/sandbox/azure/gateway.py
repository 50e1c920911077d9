"""The wire in front of the Azure services: bodies are read whole, and faults strike here.

Wrap the whole application in it, outermost: half a body and a reset connection need the server's own transport. What it cannot do with the server
it runs under (uvicorn is the one known) it refuses by name.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.dispatch import common_headers
from lpmops.sandbox.azure.errors import arm_error, throttled
from lpmops.sandbox.azure.faults import HttpFault
from lpmops.sandbox.azure.throttle import kind_of
from lpmops.sandbox.http_parts import until_gone

# Resource Manager's own limit on a request body.
MAX_BODY = 4 * 1024 * 1024

_HTML = (
    b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
)
_HALF = json.dumps({"value": [{"id": "/subscriptions", "name": "cut in the middle", "properties": {}}]}).encode()


class AzureGateway:
    """ASGI middleware for everything Azure; other paths pass untouched."""

    def __init__(self, app: ASGIApp, account: Account) -> None:
        self._app = app
        self._account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: body, fault, answer."""
        if scope["type"] != "http" or not scope["path"].lower().startswith(("/subscriptions", "/v1/")):
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        subscription = self._account.subscription_of(scope["path"], body or b"")
        if body is None:
            message = f"The request content size exceeds the maximum size of '{MAX_BODY}' bytes."
            await _answer(scope, send, 413, arm_error(413, "RequestContentTooLarge", message).body, {})
            return
        fault = self._account.faults.next_for(subscription, scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, _replay(body), send)
            return
        if fault.kind == "slow" and not fault.after_effect and not await _patient(receive, fault.seconds):
            return
        if fault.after_effect or fault.kind == "slow":
            held = await _perform(self._app, scope, body)
            if fault.kind == "slow":
                if fault.after_effect and not await _patient(receive, fault.seconds):
                    return
                for message_sent in held:
                    await send(message_sent)
                return
        await self._strike(fault, subscription, scope, receive, send)

    async def _strike(self, fault: HttpFault, subscription: str, scope: Scope, receive: Receive, send: Send) -> None:
        kind = kind_of(scope["method"])
        if fault.kind == "throttle":
            error = throttled(kind.removesuffix("s"), subscription, "sandbox", max(1, math.ceil(fault.seconds)))
            extra = {**error.headers, f"x-ms-ratelimit-remaining-subscription-{kind}": "0"}
            await _answer(scope, send, error.status, error.body, extra)
        elif fault.kind == "html":
            await _start(scope, send, 502, {"content-type": "text/html"}, len(_HTML))
            await send({"type": "http.response.body", "body": _HTML})
        elif fault.kind == "server_error":
            error = arm_error(
                fault.status,
                "InternalServerError",
                "The server encountered an internal error. Please retry the request.",
            )
            await _answer(scope, send, fault.status, error.body, {})
        elif fault.kind == "half_body":
            await _start(scope, send, 200, {"content-type": "application/json; charset=utf-8"}, len(_HALF))
            await send({"type": "http.response.body", "body": _HALF[: len(_HALF) // 2], "more_body": True})
            _transport(send).close()
            await until_gone(receive)
        else:
            transport = _transport(send)
            raw = transport.get_extra_info("socket")
            # Lingering for zero seconds makes the close a TCP reset, as a dying load balancer does.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
            await until_gone(receive)


async def _whole_body(receive: Receive) -> bytes | None:
    """The request's body, or None when it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        size += len(message.get("body", b""))
        if size <= MAX_BODY:
            parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return None if size > MAX_BODY else b"".join(parts)


def _replay(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _perform(app: ASGIApp, scope: Scope, body: bytes) -> list[Message]:
    """Let the request act, and keep its answer back."""
    held: list[Message] = []

    async def keep(message: Message) -> None:
        held.append(message)

    await app(scope, _replay(body), keep)
    return held


async def _patient(receive: Receive, seconds: float) -> bool:
    """Wait; False when the client gave up first, so that a hang never outlives its connection."""
    try:
        await asyncio.wait_for(until_gone(receive), seconds)
    except TimeoutError:
        return True
    return False


def _transport(send: Send) -> Any:
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError(
            "this fault needs uvicorn and AzureGateway as the outermost application: the server's transport is not in reach"
        )
    return transport


async def _start(scope: Scope, send: Send, status: int, headers: Mapping[str, str], length: int) -> None:
    asked = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
    merged = {**common_headers(asked), **headers, "content-length": str(length)}
    raw = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in merged.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _answer(scope: Scope, send: Send, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    content = json.dumps(body).encode()
    await _start(scope, send, status, {"content-type": "application/json; charset=utf-8", **headers}, len(content))
    await send({"type": "http.response.body", "body": content})

"""The sandbox's own address: what it is doing, its faults, and how it is told to end. Asked for with the token of `running.json`."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lpmops.sandbox.faults import FAULTS, Active, FaultBoard, FaultError

Handler = Callable[[Request], Awaitable[Response]]


def control_routes(
    board: FaultBoard, status: Callable[[], dict[str, Any]], stop: Callable[[], None], token: str
) -> list[Route]:
    """The routes under `/sandbox`: status, faults (list and switch on), heal, stop."""

    def guarded(handler: Handler) -> Handler:
        async def check(request: Request) -> Response:
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                return JSONResponse({"message": "This address takes the token of running.json."}, 401)
            try:
                return await handler(request)
            except FaultError as error:
                return JSONResponse({"message": str(error), "hint": error.hint}, 400)

        return check

    async def read_status(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(status))

    async def read_faults(_: Request) -> Response:
        known = [
            {"name": fault.name, "summary": fault.summary, "by_company": fault.by_company} for fault in FAULTS.values()
        ]
        return JSONResponse({"known": known, "active": [_data(active) for active in board.active()]})

    async def switch_on(request: Request) -> Response:
        wish = await request.json()
        active = await run_in_threadpool(
            board.switch_on,
            str(wish["name"]),
            wish.get("environments", []),
            wish.get("companies", []),
            wish.get("seconds"),
        )
        return JSONResponse({"active": [_data(item) for item in active]})

    async def heal(request: Request) -> Response:
        wish = await request.json()
        healed = await run_in_threadpool(board.heal, wish.get("name"), wish.get("environments", []))
        return JSONResponse({"healed": [_data(item) for item in healed]})

    async def end(_: Request) -> Response:
        stop()
        return JSONResponse({})

    return [
        Route("/sandbox/status", guarded(read_status)),
        Route("/sandbox/faults", guarded(read_faults)),
        Route("/sandbox/faults", guarded(switch_on), methods=["POST"]),
        Route("/sandbox/heal", guarded(heal), methods=["POST"]),
        Route("/sandbox/stop", guarded(end), methods=["POST"]),
    ]


def _data(active: Active) -> dict[str, Any]:
    return {"name": active.name, "environment": active.environment, "companies": sorted(active.companies)}

"""The sandbox's own address: what it is doing, its faults, and how it is told to end. Asked for with the token of `running.json`."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lpmops.sandbox.faults import FAULTS, Active, FaultBoard, FaultError
from lpmops.sandbox.lake.records import Company
from lpmops.sandbox.lake.table import ChangeTable
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.server import GIGABYTE
from lpmops.sandbox.sql.types import CASE_INSENSITIVE
from lpmops.sandbox.table_control import TableControl

Handler = Callable[[Request], Awaitable[Response]]


class Growing(Protocol):
    """An environment to which customers and databases can come, and whose source table can be altered."""

    table: ChangeTable

    def welcome(self, count: int) -> Sequence[Company]:
        """Let so many customers call; who they are."""
        ...

    def make_database(self, name: str, collation: str, max_size_bytes: int) -> None:
        """An empty database."""
        ...


def control_routes(
    board: FaultBoard,
    environments: Mapping[str, Growing],
    status: Callable[[], dict[str, Any]],
    stop: Callable[[], None],
    token: str,
) -> list[Route]:
    """The routes under `/sandbox`: status, faults (list and switch on), heal, companies, databases, the source table, stop."""

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

    def chosen(names: Sequence[str]) -> dict[str, Growing]:
        if unknown := sorted(set(names) - set(environments)):
            raise FaultError(f"There is no environment {unknown[0]!r}.", hint=f"There are: {', '.join(environments)}.")
        return {name: environments[name] for name in names or environments}

    async def welcome(request: Request) -> Response:
        wish = await request.json()
        found = []
        for name, environment in chosen(wish.get("environments", [])).items():
            came = await run_in_threadpool(environment.welcome, int(wish["count"]))
            found += [{"environment": name, "company_id": one.id, "company": one.name} for one in came]
        return JSONResponse({"companies": found})

    async def make_database(request: Request) -> Response:
        wish = await request.json()
        collation, size = str(wish.get("collation") or CASE_INSENSITIVE), int(wish.get("bytes") or 32 * GIGABYTE)
        found = []
        for name, environment in chosen(wish.get("environments", [])).items():
            try:
                await run_in_threadpool(environment.make_database, str(wish["name"]), collation, size)
            except SqlError as error:
                raise FaultError(str(error), hint="Name another one.") from error
            found.append({"environment": name, "database": str(wish["name"])})
        return JSONResponse({"databases": found})

    altered = TableControl(lambda names: {name: one.table for name, one in chosen(names).items()})

    async def end(_: Request) -> Response:
        stop()
        return JSONResponse({})

    return [
        Route("/sandbox/status", guarded(read_status)),
        Route("/sandbox/faults", guarded(read_faults)),
        Route("/sandbox/faults", guarded(switch_on), methods=["POST"]),
        Route("/sandbox/heal", guarded(heal), methods=["POST"]),
        Route("/sandbox/companies", guarded(welcome), methods=["POST"]),
        Route("/sandbox/databases", guarded(make_database), methods=["POST"]),
        Route("/sandbox/table/vacuum", guarded(altered.vacuum), methods=["POST"]),
        Route("/sandbox/table/columns", guarded(altered.change_columns), methods=["POST"]),
        Route("/sandbox/table/recreate", guarded(altered.recreate), methods=["POST"]),
        Route("/sandbox/stop", guarded(end), methods=["POST"]),
    ]


def _data(active: Active) -> dict[str, Any]:
    return {"name": active.name, "environment": active.environment, "companies": sorted(active.companies)}

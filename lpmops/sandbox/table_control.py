"""What the sandbox's own address does to the source tables: vacuum one, clean its log, change its columns, make it anew.

Handlers for `control`, which checks the token and turns a refusal into an answer; each acts on the environments that are named, or on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lpmops.sandbox.faults import FaultError
from lpmops.sandbox.lake import alterations
from lpmops.sandbox.lake.table import ChangeTable

Tables = Callable[[Sequence[str]], Mapping[str, ChangeTable]]
_VERSIONS = "Versions stand in: lpmops sandbox status"
_COLUMNS = "Name another column."


class TableControl:
    """The handlers. `tables` gives those of the named environments (all where none is named), or raises FaultError."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def vacuum(self, request: Request) -> Response:
        """Remove the files that only versions before one need (the newest where none is given), and with `log` those versions' log."""
        wish = await request.json()
        before = wish.get("before")
        with_log = bool(wish.get("log"))
        if before is not None and not isinstance(before, int):
            raise FaultError(f"{before!r} is no version.", _VERSIONS)

        def act(table: ChangeTable) -> dict[str, Any]:
            version = table.latest_version() if before is None else before
            files = alterations.vacuum_before(table, version)
            versions = alterations.clean_log_before(table, version) if with_log else 0
            return {"before": version, "files": files, "versions": versions}

        return await self._each(wish, act, _VERSIONS)

    async def change_columns(self, request: Request) -> Response:
        """Add the column `add`, or drop the column `drop`."""
        wish = await request.json()
        verb = "add" if wish.get("add") else "drop"
        name = str(wish.get(verb) or "")

        def act(table: ChangeTable) -> dict[str, Any]:
            change = alterations.add_column if verb == "add" else alterations.drop_column
            return {"change": verb, "column": name, "version": change(table, name)}

        return await self._each(wish, act, _COLUMNS)

    async def recreate(self, request: Request) -> Response:
        """Drop the table and make it anew, empty and with another id."""

        def act(table: ChangeTable) -> dict[str, Any]:
            before = table.table_id
            table.recreate()
            return {"before": before, "id": table.table_id}

        return await self._each(await request.json(), act, "")

    async def _each(self, wish: Mapping[str, Any], act: Callable[[ChangeTable], dict[str, Any]], hint: str) -> Response:
        done = []
        for environment, table in self._tables(wish.get("environments", [])).items():
            try:
                done.append({"environment": environment, **await run_in_threadpool(act, table)})
            except alterations.Refused as error:
                raise FaultError(f"{environment}: {error}", hint) from error
        return JSONResponse({"tables": done})

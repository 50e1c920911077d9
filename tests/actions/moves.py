"""Everything that somebody else may change in the pretend world meanwhile: every value of every thing in it, and what is not there yet.

Found by looking, not listed: a thing that `Cloud._furnish` puts is changed value by value. `BESIDES` holds what looking does not find, because there
is nothing to change before somebody makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from lpmops.actions import stream_deploy
from lpmops.control import plan as plans
from lpmops.control.plan import Plan
from lpmops.errors import LpmopsError
from lpmops.model import parse_time, to_data
from lpmops.routing.landscape import SENDER as RIGHT
from lpmops.routing.landscape import Kind
from lpmops.sandbox.sql.errors import SqlError
from tests.actions.cases import Case
from tests.actions.cloud import CONTROL, JOB, SENDER, TABLES, WORKSPACE, Cloud
from tests.actions.operator import Operator

Move = Callable[[Cloud], None]


def within(things: Mapping[str, Mapping[str, Any]]) -> dict[str, Move]:
    """Each change of one value of the things as they are, by a name."""
    found: dict[str, Move] = {}
    for thing, body in things.items():
        for field, value in body.items():
            if thing in TABLES:
                found[f"{thing}.{field} gone"] = _putting(thing, field, None)
            for where, changed in _changes(value, thing in TABLES):
                found[".".join((thing, field, *where))] = _putting(thing, field, changed)
    return found


def _putting(thing: str, field: str, value: Any) -> Move:
    def move(cloud: Cloud) -> None:
        # What a database refuses can't have happened.
        with suppress(SqlError):
            cloud.put(thing, **{field: value})

    return move


def _changes(value: Any, is_row: bool = False) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A value with one of its parts changed, for each of its parts; the columns of a row are there as long as the row is."""
    if isinstance(value, dict):
        for key, part in value.items():
            if not is_row:
                yield (key, "gone"), {name: each for name, each in value.items() if name != key}
            for where, changed in _changes(part):
                yield (key, *where), {**value, key: changed}
    elif isinstance(value, list) and value:
        for place, part in enumerate(value):
            for where, changed in _changes(part):
                yield (str(place), *where), [*value[:place], changed, *value[place + 1 :]]
    else:
        yield (), _another(value)


def _another(value: Any) -> Any:
    """A value of the same kind that is not the same."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        try:
            moment = parse_time(value)
        except ValueError:
            return f"{value}x"
        return to_data(moment + timedelta(seconds=1))
    return ["another"] if isinstance(value, list) else 1


def _another_job(cloud: Cloud) -> None:
    cloud.put(f"{JOB[:-2]}02", **cloud.get(JOB))


def _another_pause(cloud: Cloud) -> None:
    values = ("somebody else's reason", None, "eve@lpm.example", None, "op-9", "asa.pause", JOB)
    cloud.rows(CONTROL, "pause_put", values + values)


def _a_right(cloud: Cloud) -> None:
    cloud.put("stream", gone=False, permissions={"lpm-operators": "CAN_VIEW"})


def _other_files(cloud: Cloud) -> None:
    """One of the shipped files where it goes, as somebody else's deployment that is under way leaves it."""
    name, content = next(iter(stream_deploy.files().items()))
    folder = stream_deploy.folder_of(cloud.environment, stream_deploy.files())
    cloud.put("volume", files={f"{folder}/{name}": hashlib.sha256(content).hexdigest()})


def _a_namespace(cloud: Cloud) -> None:
    cloud.resources.put(Kind.NAMESPACE, (cloud.environment.eventhub.namespace,), {"location": "westeurope"})


def _task(**python: Any) -> Move:
    def move(cloud: Cloud) -> None:
        for task in cloud.get("stream")["tasks"][:1]:
            cloud.put("stream", tasks=[{**task, "spark_python_task": python}])

    return move


def _what_lacks(cloud: Cloud) -> None:
    """Of a half made environment what lacks, all but what is to be changed."""
    arm, wish = cloud.resources, cloud.environment.eventhub
    hub = (wish.namespace, wish.hub)
    arm.put(Kind.GROUP, (*hub, wish.consumer_group), {"properties": {}})
    role = {"roleDefinitionId": f"/providers/{RIGHT[0]}", "principalId": SENDER}
    arm.put(Kind.ROLE, (arm.path(Kind.HUB, *hub), "00000000-0000-4000-8000-0000000000f2"), {"properties": role})
    logs = [{"category": "DiagnosticErrorLogs", "enabled": True}]
    properties = {"workspaceId": WORKSPACE, "logs": logs, "logAnalyticsDestinationType": "Dedicated"}
    arm.put(Kind.SETTING, (arm.path(Kind.NAMESPACE, hub[0]), "lpmops"), {"properties": properties})


def _told(database: str, text: str) -> Move:
    """A statement of somebody with an editor, where there is such a database."""

    def move(cloud: Cloud) -> None:
        with suppress(SqlError):
            cloud.statement(database, text)

    return move


_ROUTE = (
    "INSERT INTO lpmops.route (company_id, company, database_name, changed_by) VALUES ('{}', 'Else', 'lpm-07', 'eve')"
)
BESIDES: dict[str, Move] = {
    "a route that moves": _told(CONTROL, "UPDATE lpmops.route SET also_database = 'lpm-08'"),
    "a route of 1007": _told(CONTROL, _ROUTE.format("1007")),
    "a route of 1008": _told(CONTROL, _ROUTE.format("1008")),
    "a column less": _told("lpm-01", "ALTER TABLE lpm.tdr DROP COLUMN sipreq"),
    "a column less there": _told("lpm-02", "ALTER TABLE lpm.tdr DROP COLUMN sipreq"),
    "a row less": _told("lpm-01", "DELETE FROM lpm.tdr"),
    "another table": _told("lpm-02", "EXEC ('CREATE SCHEMA lpm') CREATE TABLE lpm.tdr (company_id INT NULL)"),
    "a user": _told("lpm-02", f"CREATE USER [{JOB}] FROM EXTERNAL PROVIDER"),
    "a database known": _told(
        CONTROL, "INSERT INTO lpmops.company_database (database_name, added_by) VALUES ('lpm-02', 'eve')"
    ),
    "what lacks": _what_lacks,
    "another job": _another_job,
    "another pause": _another_pause,
    "a namespace": _a_namespace,
    "a right": _a_right,
    "other files": _other_files,
    "another file to run": _task(python_file="/elsewhere.py"),
    "other arguments": _task(parameters=["stream", "--table", "another"]),
}


def first_that_tells(worker: Operator, case: Case, plan: Plan) -> None:
    """Leave the world with a change of one value of what the case acts on, or beside it, on which such a plan rests."""
    things = worker.cloud.things()
    near = {act.target for act in case.effects} | set(TABLES)
    tried = [*within({thing: things[thing] for thing in near & set(things)}).values(), *BESIDES.values()]
    for make in tried:
        make(worker.cloud)
        if moved(worker, case, plan):
            worker.cloud.restore(things)
            make(worker.cloud)
            return
        worker.cloud.restore(things)
    raise AssertionError("nothing near what the case acts on moves what its plan rests on")


def moved(worker: Operator, case: Case, plan: Plan) -> set[str] | None:
    """What a plan that is made now rests on otherwise; None where none can be made."""
    try:
        return {change.field for change in plans.differences(plan.seen, worker.plan(case).seen)}
    except LpmopsError:
        return None

"""A company database as bringing a company on sees it: whether it answers, has room, has the landing tables and lets the job's identity write.

What is missing and can be added is planned as steps; what can't is a refusal in a sentence that says what to do. lpmops makes no database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lpmops.actions.action import Bench, Handler
from lpmops.config import Environment
from lpmops.control import access, rights
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Step
from lpmops.control.remedies import command
from lpmops.errors import RefusedError, ServiceError, SignInError, ThrottledError
from lpmops.model import Receipt
from lpmops.plain_text import size
from lpmops.routing import landing, privileges
from lpmops.routing.landing import LandingCheck
from lpmops.store.journal import StepRow

LANDING, GRANTS, TEST = "route.landing", "route.grants", "route.test"
_MISSING = 4060
_FULL, _NEARLY_FULL = 0.97, 0.85


@dataclass(slots=True)
class DatabaseSight:
    """One database as it is: what is to be done in it, what it rests on, what speaks against it. `rows` are those that landed, None unknown."""

    name: str
    steps: list[Step] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rows: int | None = None


def look(bench: Bench, database: str, job: str, output: Mapping[str, Any] | None) -> DatabaseSight:
    """How a database is for the job that writes it. `output` is what the job will have for it, None where it has it already."""
    sight = DatabaseSight(database)
    try:
        _look_at_room(bench, sight)
        check = landing_check(bench, database)
        rows = list(bench.services.sql.rows(database, "rows_by_table", ()))
        missing, denied = _grants(bench, database, job)
        sight.refusals += denied
    except SignInError:
        raise
    except ServiceError as error:
        sight.refusals.append(_unreachable(bench.environment, database, error))
        sight.seen[f"{database}.landing"] = sight.seen[f"{database}.grants"] = "not seen"
        return sight
    sight.rows = int(rows[0]["row_count"] or 0) if rows and rows[0]["row_count"] is not None else None
    sight.refusals += [f"{database}: {reason}" for reason in check.refusals]
    sight.warnings += [f"{database}: {warning}" for warning in check.warnings]
    sight.seen[f"{database}.landing"] = [name for name, _ in check.statements] or "ready"
    if check.statements:
        sight.steps.append(landing_step(database, check))
    # Where rows land already the identity may write, however it came by that right.
    needs = [name for name, _ in missing] if output is not None or not sight.rows else []
    sight.seen[f"{database}.grants"] = needs or "held"
    if needs:
        sight.steps.append(_grants_step(database, job, needs))
    if output is not None:
        given = {"job": job, "properties": dict(output)}
        sight.steps.append(Step(f"try the output {database} of {job}", TEST, database, given))
    return sight


def _look_at_room(bench: Bench, sight: DatabaseSight) -> None:
    row = bench.services.sql.rows(sight.name, "database_state", ())[0]
    if str(row["updateability"] or "READ_WRITE") != "READ_WRITE":
        sight.refusals.append(f"{sight.name} takes no writes: it is {row['updateability']}.")
    most, used = int(row["bytes_at_most"] or 0), int(row["bytes_used"] or 0)
    if most > 0 and used >= _FULL * most:
        sight.refusals.append(
            f"{sight.name} is full ({size(used)} of {size(most)}): a row that finds no room stops every company of its job. Give it more first: "
            + command("az", "sql", "db", "update", *_named(bench.environment, sight.name), "--max-size", "SIZE")
        )
    elif most > 0 and used >= _NEARLY_FULL * most:
        sight.warnings.append(f"{sight.name} is nearly full: {size(used)} of {size(most)}.")
    control = bench.control.rows("database_state")[0]["collation_name"]
    if str(row["collation_name"]) != str(control):
        sight.warnings.append(
            f"{sight.name} compares texts as {row['collation_name']}, the control database as {control}: ids are compared by their very letters in "
            "both, other columns as each database does."
        )


def _named(environment: Environment, database: str) -> tuple[str, ...]:
    sql = environment.sql
    server = sql.server_name or sql.server.partition(".")[0]
    return ("-g", sql.resource_group or environment.resource_group, "-s", server, "-n", database)


def _unreachable(environment: Environment, database: str, error: ServiceError) -> str:
    """Why a database can't be looked at, and what to do. One that is not there is made by whoever pays for it."""
    if error.status == _MISSING:
        make = command("az", "sql", "db", "create", *_named(environment, database), "--service-objective", "S0")
        return (
            f"There is no database {database} on {environment.sql.server}, or this identity has no user in it. lpmops makes no database: "
            f"have it made, such as with: {make}"
        )
    return f"{database} can't be used: {error.message} {error.hint}".strip()


# Tables and rights ----------------------------------------------------------------------------------------------------------------------------------


def landing_check(bench: Bench, database: str) -> LandingCheck:
    """What the landing tables of a database lack, all of them in one. Raises ServiceError types."""
    # The app loads the actions at its start and the services when they are needed.
    from lpmops.services import tables

    config = bench.config
    statements, refusals, warnings, risks = list[tuple[str, str]](), list[str](), list[str](), list[str]()
    for wanted in landing.wanted_tables(config.columns, config.routing, config.kpi):
        check = landing.compare(wanted, tables.read(bench.services.sql, database, wanted.name, wanted.view))
        statements += [item for item in check.statements if item not in statements]
        refusals += check.refusals
        warnings += check.warnings
        risks += check.risks
    return LandingCheck(tuple(statements), tuple(refusals), tuple(warnings), tuple(risks))


def _table_names(bench: Bench) -> list[str]:
    config = bench.config
    return [wanted.name for wanted in landing.wanted_tables(config.columns, config.routing, config.kpi)]


def _grants(bench: Bench, database: str, job: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The statements that let a job's identity write the landing tables, and what no grant gives. Raises ServiceError types."""
    held = access.held_of(bench.services.sql.rows(database, "access_held", ()))
    missing = [] if job.lower() in held.users else [("user_create", privileges.user(job))]
    denied = []
    for table in _table_names(bench):
        verdicts = {wanted: rights.database(wanted, table, job, held) for wanted in rights.OF_AN_OUTPUT}
        lacking = [wanted for wanted, verdict in verdicts.items() if verdict.state == "lacks" and not verdict.denied]
        if lacking:
            missing.append(("grant_object", privileges.on_object(job, table, lacking)))
        denied += [f"{database}: {verdict.why}." for verdict in verdicts.values() if verdict.denied]
    return missing, denied


def landing_step(database: str, check: LandingCheck) -> Step:
    """Make what the landing tables of a database lack."""
    names = [name for name, _ in check.statements]
    change = Change(f"{database}.landing", "lacks " + ", ".join(names), "ready")
    arguments = {"statements": [list(item) for item in check.statements]}
    title = (
        f"make the landing table in {database}"
        if "landing_table" in names
        else f"add to the landing table in {database}"
    )
    return Step(title, LANDING, database, arguments, (change,), (f"{database}.landing",))


def _grants_step(database: str, job: str, names: list[str]) -> Step:
    change = Change(f"{database}.grants", "lacks " + ", ".join(names), "held")
    return Step(f"let {job} write to {database}", GRANTS, database, {"job": job}, (change,), (f"{database}.grants",))


def _observe_landing(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    check = landing_check(bench, step.target)
    if check.refusals:
        return Observation(Sight.OTHERWISE, check.refusals[0])
    if check.ready:
        return Observation(Sight.SO, "the landing table is ready")
    return Observation(Sight.ABSENT, f"the landing table lacks {', '.join(name for name, _ in check.statements)}")


def _act_landing(bench: Bench, step: Step, operation: str) -> Receipt:
    """Run what is still missing of what was planned: each statement looks first whether it is needed."""
    del operation
    planned = {tuple(item) for item in step.arguments["statements"]}
    for name, text in landing_check(bench, step.target).statements:
        if (name, text) in planned:
            bench.services.sql.run(step.target, name, text, ())
    return Receipt()


def _observe_grants(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    job = step.arguments["job"]
    missing, _ = _grants(bench, step.target, job)
    said = f"{job} lacks {', '.join(name for name, _ in missing)}" if missing else f"{job} may write"
    return Observation(Sight.ABSENT if missing else Sight.SO, said)


def _act_grants(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    missing, _ = _grants(bench, step.target, step.arguments["job"])
    for name, text in missing:
        bench.services.sql.run(step.target, name, text, ())
    return Receipt()


def _observe_test(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del bench, step
    passed = row.state == "accepted" or receipt is not None
    return Observation(Sight.SO if passed else Sight.ABSENT, "it is reached" if passed else "it was not tried yet")


def _act_test(bench: Bench, step: Step, operation: str) -> Receipt:
    """Let the service itself try the output, while its job still runs. Raises RefusedError with what it says."""
    del operation
    given = step.arguments
    try:
        why = bench.services.streamanalytics.test_output(given["job"], step.target, given["properties"])
    except ServiceError as error:
        if not error.settled or isinstance(error, SignInError | ThrottledError):
            raise
        why = error.message
    if why:
        raise RefusedError(
            f"Stream Analytics does not reach {step.target}: {why}",
            hint="Nothing was stopped. Rights that were just given take up to 8 minutes to hold; then go on.",
        )
    return Receipt()


HANDLERS = {
    LANDING: Handler(_observe_landing, _act_landing),
    GRANTS: Handler(_observe_grants, _act_grants),
    TEST: Handler(_observe_test, _act_test),
}

"""`lpmops route`: which company's records land in which database: see, bring on, pause, resume, move and remove companies, one or many at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, durations, output
from lpmops.cli.changing import Change, Env, Look, NoInput
from lpmops.cli.context import world
from lpmops.cli.options import spread
from lpmops.cli.output import Answer, Output
from lpmops.errors import NotFoundError, UsageError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from datetime import datetime

SCHEMA = "route"
Companies = Annotated[
    list[str] | None,
    typer.Option("--company-id", metavar="ID", help="The company's id in the source; may be repeated."),
]
Company = Annotated[str, typer.Option("--company-id", metavar="ID", help="The company's id in the source.")]
group = typer.Typer(
    help="Which company lands in which database: see, bring on, pause, resume, move, remove.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="route")


@group.command("list")
@spread
def list_routes(
    environment: Env,
    look: Look,
    every: Annotated[bool, typer.Option("--all", help="Removed routes too.")] = False,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only those: active, paused, moving or removed.")
    ] = None,
) -> None:
    """Show every company with its database, the job that writes it, its state and since when.

    Example: lpmops route list -e prod -o json
    """
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        from lpmops.actions import route_sight

        items, warnings = route_sight.listed(desk.bench(), removed=every or state == "removed")
        items = [item for item in items if state is None or item["state"] == state]
        output.emit(Answer(SCHEMA, items, _list_lines(items), items, warnings), look.form)


def _list_lines(items: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            plain(item["company_id"]),
            plain(item["company"]),
            plain(item["database"]),
            plain(item["job"] or "-"),
            item["state"],
            changing.since(_moment(item["since"]), world().now()),
        ]
        for item in items
    ]
    if not rows:
        return ["There is no route."]
    return output.table(("company id", "company", "database", "job", "state", "since"), rows)


def _moment(text: str | None) -> datetime | None:
    from lpmops.model import parse_time

    return None if text is None else parse_time(text)


@group.command()
@spread
def show(environment: Env, company_id: Company, look: Look) -> None:
    """Show one company's route: its database and job, how long its first row took, its last row, and what no route took."""
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        from lpmops.actions import route_sight

        data, warnings = route_sight.shown(desk.bench(), company_id)
        flat = {name: value for name, value in data.items() if name != "unrouted"}
        output.emit(Answer(SCHEMA, data, _show_lines(data), [flat], warnings), look.form)


def _show_lines(data: dict[str, Any]) -> list[str]:
    job = f"written by {plain(data['job'])}" if data["job"] else "written by no job that is seen"
    lines = [
        f"{plain(data['company'])} ({plain(data['company_id'])})  {data['state']} in {plain(data['database'])}, {job}",
        f"  since {data['since']}, by {plain(data['changed_by'])}",
    ]
    if data["moving_to"]:
        lines.append(f"  on its way to {plain(data['moving_to'])}: both are written")
    if data["seconds_to_first_row"] is not None:
        lines.append(f"  first row {data['first_row_at']}, {data['seconds_to_first_row']:.0f} s after it was asked for")
    elif data["asked_at"]:
        lines.append(f"  asked for {data['asked_at']}, and no first row is noted")
    lines.append(f"  last row {data['last_landed_at'] or 'none yet'}")
    left = data["unrouted"]
    if left["events"]:
        versions = "" if left["from_version"] is None else f", versions {left['from_version']} to {left['to_version']}"
        lines.append(f"  {left['events']:,} changes found no route{versions}, since {left['since']}")
    return lines


@group.command()
def export(
    environment: Env,
    form: Annotated[Output, typer.Option("-o", "--output", help="The form: csv is what import takes.")] = Output.CSV,
    no_input: NoInput = False,
) -> None:
    """Write every company's route as CSV or JSON; what comes out can be given to: lpmops route import

    Example: lpmops route export -e prod > routes.csv
    """
    del no_input
    with output.guarded(SCHEMA, form), changing.desk(environment) as desk:
        from lpmops.control import routes

        items = [
            {"company_id": one.company_id, "name": one.company, "database": one.database, "state": one.state}
            for one in routes.entries(desk.control).values()
            if one.state != routes.REMOVED
        ]
        lines = output.table(
            ("company id", "name", "database", "state"), [[plain(cell) for cell in item.values()] for item in items]
        )
        output.emit(Answer(SCHEMA, items, lines, items), form)


Wait = Annotated[
    str | None,
    typer.Option("--wait", metavar="TIME", help="How long to wait for the first row: 10m unless said, 0 not at all."),
]
Asked = Annotated[
    str | None,
    typer.Option(
        "--asked-at", metavar="TIME", help="When it was asked for, from which the time to the first row counts: now."
    ),
]
Unknown = Annotated[
    bool,
    typer.Option("--unknown-ok", help="Also an id that the source has no record of: it may be that none has come yet."),
]


@group.command()
@spread
def candidates(
    environment: Env,
    look: Look,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="How many at most.")] = 50,
) -> None:
    """Show the companies that the source has and no route takes, the busiest first.

    Example: lpmops route candidates -e prod
    """
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        from lpmops.actions import route_fields

        items = route_fields.candidates(desk.bench(), limit)
        rows = [
            [plain(item["company_id"]), f"{item['records_per_day']:,.0f}", f"{item['unrouted']:,}"] for item in items
        ]
        lines = output.table(("company id", "records a day", "unrouted so far"), rows, right=frozenset({1, 2}))
        output.emit(
            Answer(SCHEMA, items, lines if rows else ["Every company of the source has a route."], items), look.form
        )


@group.command()
@spread
def onboard(
    environment: Env,
    change: Change,
    company_id: Annotated[
        list[str],
        typer.Option("--company-id", metavar="ID", help="The company's id in the source; more than one may come."),
    ],
    name: Annotated[
        list[str], typer.Option("--name", metavar="NAME", help="How people call the company; one for each id.")
    ],
    database: Annotated[
        list[str],
        typer.Option("--database", metavar="DB", help="The database in which its records land; one for each id."),
    ],
    columns: Annotated[
        str, typer.Option("--columns", metavar="A,B", help="Columns that must land; refused where one does not.")
    ] = "",
    wait: Wait = None,
    asked_at: Asked = None,
    unknown: Unknown = False,
) -> None:
    """Bring a company on and wait for its first row. A database that a job writes already stops nothing; a new one stops its job once.

    Example: lpmops route onboard -e prod --company-id 1013 --name "Lake County 911" --database lpm-02 --yes
    """
    with output.guarded(changing.SCHEMA, change.form):
        if not len(company_id) == len(name) == len(database):
            raise UsageError(
                f"These are {len(company_id)} ids, {len(name)} names and {len(database)} databases.",
                hint="Give --company-id, --name and --database as often as each other; many come from a file: lpmops route import",
            )
        items = [
            {"company_id": one, "company": called, "database": where}
            for one, called, where in zip(company_id, name, database, strict=True)
        ]
        further = {"columns": [one.strip() for one in columns.split(",") if one.strip()], "unknown": unknown}
        _bring_on(environment, {"routes": items, **further}, wait, asked_at, change)


@group.command("import")
@spread
def import_routes(
    environment: Env,
    change: Change,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with company_id,name,database, or JSON; - is stdin.")
    ],
    wait: Wait = None,
    asked_at: Asked = None,
    unknown: Unknown = False,
) -> None:
    """Bring on all companies of a file: every line is checked first, and all of them come or none.

    Example: lpmops route import new-customers.csv -e prod --yes
    """
    with output.guarded(changing.SCHEMA, change.form):
        from lpmops.actions import route_file

        items, left_out, unread = route_file.read(_text_of(file))
        for line in left_out:
            output.narrate(f"note: {line}")
        wished = {"routes": items, "unread": unread, "unknown": unknown, "file": str(file)}
        _bring_on(environment, wished, wait, asked_at, change)


def _text_of(file: Path) -> str:
    from lpmops.actions import route_file

    try:
        if str(file) == "-":
            text = world().stdin.read(route_file.LARGEST + 1)
        else:
            with file.open(encoding="utf-8-sig") as opened:
                text = opened.read(route_file.LARGEST + 1)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {file}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}.", hint="Save it as UTF-8 text.") from None
    if len(text) > route_file.LARGEST:
        raise UsageError(
            f"{file} has more than {route_file.LARGEST:,} characters, and so many routes are not brought on at once.",
            hint="Nothing was done. Give it in parts, each with the heading.",
        )
    return text


def _bring_on(environment: str, wished: dict[str, Any], wait: str | None, asked_at: str | None, change: Change) -> None:
    seconds = None if wait is None else 0.0 if wait.strip() == "0" else durations.seconds(wait)
    asked = changing.past_moment(asked_at, "--asked-at")
    with changing.desk(environment) as desk:
        from lpmops.actions import route_onboard

        wish = {**route_onboard.fill(desk.bench()), **wished, **change.why}
        wish |= {} if seconds is None else {"wait": seconds}
        wish |= {} if asked is None else {"asked_at": asked}
        changing.plan_and_carry_on(desk, "route.onboard", wish, change.agreed, change.form)


def _wish(desk: Any, companies: list[str] | None, change: Change) -> dict[str, Any]:
    return {"companies": changing.listed(companies), **change.why, "by": desk.who()}


@group.command()
@spread
def pause(environment: Env, change: Change, company_id: Companies = None) -> None:
    """Let nothing of a company land until it is resumed. Its records can be replayed from the source table afterwards.

    Example: lpmops route pause -e prod --company-id 1001 --reason "their database is moved" --yes
    """
    _act("pause", environment, company_id, change)


@group.command()
@spread
def resume(environment: Env, change: Change, company_id: Companies = None) -> None:
    """Let the records of a paused company land again, and say what came meanwhile.

    Example: lpmops route resume -e prod --company-id 1001 --yes
    """
    _act("resume", environment, company_id, change)


@group.command()
@spread
def move(
    environment: Env,
    change: Change,
    company_id: Company,
    database: Annotated[str, typer.Option("--database", metavar="DB", help="Where its records land from now on.")],
    old: Annotated[
        str,
        typer.Option(
            "--from", metavar="DB", help="Where a move that was given up left rows of it: they are brought too."
        ),
    ] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Leave what has landed in the old database too.")] = False,
) -> None:
    """Move a company to another database with all that has landed of it. Nothing is lost, and nothing is in two places in the end.

    Example: lpmops route move -e prod --company-id 1001 --database lpm-04 --yes
    """
    with output.guarded(changing.SCHEMA, change.form), changing.desk(environment) as desk:
        wish = {**_wish(desk, [company_id], change), "database": database, "old": old, "keep": keep}
        changing.plan_and_carry_on(desk, "route.move", wish, change.agreed, change.form)


@group.command()
@spread
def remove(environment: Env, change: Change, company_id: Companies = None) -> None:
    """End a company's route for good. What has landed stays in its database; what comes lands nowhere.

    Example: lpmops route remove -e prod --company-id 1001 --reason "contract ended" --confirm prod
    """
    _act("remove", environment, company_id, change)


def _act(verb: str, environment: str, companies: list[str] | None, change: Change) -> None:
    with output.guarded(changing.SCHEMA, change.form), changing.desk(environment) as desk:
        changing.plan_and_carry_on(desk, f"route.{verb}", _wish(desk, companies, change), change.agreed, change.form)

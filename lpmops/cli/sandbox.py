"""`lpmops sandbox`: an Azure and a Databricks on this machine, to try everything on and to drill with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import durations, output, sandbox_table
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from lpmops.cli.sandbox_client import Running

SCHEMA = "sandbox"
DEFAULT_PORT = 27400
Form = Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")]
Port = Annotated[int, typer.Option("--port", min=1024, max=65_000, help="The first of ten ports in a row.")]
Seed = Annotated[int, typer.Option("--seed", help="Another seed makes other companies and calls.")]
Companies = Annotated[
    int, typer.Option("--companies", min=1, max=10_000, help="How many companies each environment has.")
]
Databases = Annotated[
    int | None,
    typer.Option(
        "--databases", min=1, max=40, help="Over how many databases; default: four companies each, 25 at most."
    ),
]
Rate = Annotated[
    float, typer.Option("--rate", min=0.1, max=5_000, help="Prod's changes a second; test has 0.4 of it, dev 0.2.")
]
Speed = Annotated[float, typer.Option("--speed", min=1, max=1_000, help="How much faster than real its clock runs.")]

group = typer.Typer(
    help="An Azure and a Databricks on this machine, to try everything on and to drill with.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="sandbox")


@group.command()
def start(
    port: Port = DEFAULT_PORT,
    seed: Seed = 1,
    companies: Companies = 12,
    databases: Databases = None,
    rate: Rate = 20.0,
    speed: Speed = 1.0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away what an earlier sandbox left, and begin anew.")
    ] = False,
    form: Form = Output.TABLE,
) -> None:
    """Start the sandbox and wait until it answers; one that runs already is left as it is."""
    from lpmops.cli import sandbox_client
    from lpmops.cli.sandbox_setup import Wish

    with output.guarded(SCHEMA, form):
        output.narrate("Starting the sandbox: three environments on this machine ...")
        running, started = sandbox_client.start(Wish(port, seed, companies, databases, rate, speed), fresh=fresh)
        data = _where(running, started)
        lines = [
            "The sandbox runs." if started else "A sandbox runs already; it was left as it is.",
            f"  open the app   lpmops --config {data['config']}",
            f"  in a browser   lpmops --config {data['config']} serve",
            "  break it       lpmops sandbox fault sql.unreachable --env prod",
            "  end it         lpmops sandbox stop",
        ]
        output.emit(Answer(SCHEMA, data, lines, [data]), form)


@group.command()
def stop(form: Form = Output.TABLE) -> None:
    """End the sandbox; what it holds stays for the next start."""
    from lpmops.cli import sandbox_client

    with output.guarded(SCHEMA, form):
        found = sandbox_client.running()
        if found is not None:
            sandbox_client.stop(found)
        said = "The sandbox has ended." if found else "No sandbox was running."
        output.emit(Answer(SCHEMA, {"stopped": found is not None}, [said]), form)


@group.command()
def status(form: Form = Output.TABLE) -> None:
    """Say whether it runs, since when, what flows and which faults are on."""
    from lpmops.cli import sandbox_client

    with output.guarded(SCHEMA, form):
        running = sandbox_client.must_run()
        data = {**_where(running, False), **sandbox_client.call(running, "GET", "/sandbox/status")}
        lines = [f"The sandbox runs on port {running.port}, process {running.pid}, folder {running.folder}."]
        lines += output.table(
            ["environment", "version", "sent", "landed", "jobs", "faults"],
            [_row(item) for item in data["environments"]],
            right=frozenset({1, 2, 3}),
        )
        lines += [
            f"{item['environment']} has the namespace {made['namespace']} too, on port {made['port']}: {made['connection_string_file']}"
            for item in data["environments"]
            for made in item["namespaces"]
        ]
        warnings = [
            f"{item['environment']}: {part} fails and is tried again: {said}"
            for item in data["environments"]
            for part, said in item["troubles"].items()
        ]
        output.emit(Answer(SCHEMA, data, lines, data["environments"], warnings), form)


def _row(item: dict[str, Any]) -> list[str]:
    numbers = [f"{item[name]:,}" for name in ("version", "sent", "landed")]
    return [item["environment"], *numbers, ", ".join(item["jobs"]), ", ".join(item["faults"]) or "none"]


@group.command()
def picture(
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")],
    lasting: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long to look first, so that there is something to draw.")
    ] = "60s",
    form: Form = Output.TABLE,
) -> None:
    """Save what the app shows of the sandbox as SVG: the overview, and the screens of prod."""
    from lpmops.cli import sandbox_client
    from lpmops.control.feed import open_feed

    with output.guarded(SCHEMA, form):
        use_config_of(sandbox_client.must_run())
        here = world()
        feed = open_feed(here.config(), here.open_store)
        feed.subscribe(lambda _: None)
        output.narrate(f"Looking for {lasting} ...")
        durations.let_pass(durations.seconds(lasting))
        feed.close()
        saved = [str(path) for path in here.save_pictures(here.config(), folder)]
        output.emit(Answer(SCHEMA, {"pictures": saved}, saved), form)


@group.command("config")
def show_config() -> None:
    """Print the lpmops.toml that points at the sandbox."""
    from lpmops import paths

    path = paths.sandbox_directory() / "lpmops.toml"
    with output.guarded(SCHEMA, Output.TABLE):
        try:
            output.say(path.read_text(encoding="utf-8"))
        except OSError:
            raise NotFoundError("There is no sandbox yet.", hint="Make one with: lpmops sandbox start") from None


@group.command()
def fault(
    name: Annotated[str | None, typer.Argument(help="Which fault; without one, all are listed.")] = None,
    environments: Annotated[
        list[str] | None, typer.Option("-e", "--env", help="Where; may be repeated. Default: everywhere.")
    ] = None,
    companies: Annotated[
        list[str] | None, typer.Option("--company", help="For which company id; may be repeated.")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Heal by itself after 90s, 10m, 1h.")
    ] = None,
    form: Form = Output.TABLE,
) -> None:
    """Break something on purpose, or list what can be broken."""
    from lpmops.cli import sandbox_client

    with output.guarded(SCHEMA, form):
        running = sandbox_client.must_run()
        if name is None:
            _list_faults(sandbox_client.call(running, "GET", "/sandbox/faults"), form)
            return
        wish = {
            "name": name,
            "environments": environments or [],
            "companies": companies or [],
            "seconds": durations.seconds(lasting) if lasting else None,
        }
        data = sandbox_client.call(running, "POST", "/sandbox/faults", wish)
        lines = [f"on: {_words(item)}" for item in data["active"]]
        output.emit(Answer(SCHEMA, data, [*lines, f"heal it with: lpmops sandbox heal {name}"], data["active"]), form)


@group.command()
def heal(
    name: Annotated[str | None, typer.Argument(help="Which fault; without one, all of them.")] = None,
    environments: Annotated[
        list[str] | None, typer.Option("-e", "--env", help="Where; may be repeated. Default: everywhere.")
    ] = None,
    form: Form = Output.TABLE,
) -> None:
    """Mend what was broken on purpose."""
    from lpmops.cli import sandbox_client

    with output.guarded(SCHEMA, form):
        data = sandbox_client.call(
            sandbox_client.must_run(), "POST", "/sandbox/heal", {"name": name, "environments": environments or []}
        )
        lines = [f"healed: {_words(item)}" for item in data["healed"]] or ["Nothing was broken there."]
        output.emit(Answer(SCHEMA, data, lines, data["healed"]), form)


@group.command("new-company")
def new_company(
    environments: Annotated[
        list[str] | None, typer.Option("-e", "--env", help="Where; may be repeated. Default: everywhere.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=5_000, help="How many.")] = 1,
    form: Form = Output.TABLE,
) -> None:
    """Let a new customer's calls begin to come: its records find no route until somebody brings it on."""
    from lpmops.cli import sandbox_client

    with output.guarded(SCHEMA, form):
        wish = {"environments": environments or [], "count": count}
        data = sandbox_client.call(sandbox_client.must_run(), "POST", "/sandbox/companies", wish)
        rows = [[item["environment"], item["company_id"], item["company"]] for item in data["companies"]]
        lines = [
            *output.table(["environment", "company id", "company"], rows),
            "bring it on with: lpmops route onboard",
        ]
        output.emit(Answer(SCHEMA, data, lines, data["companies"]), form)


@group.command("new-database")
def new_database(
    name: Annotated[str, typer.Argument(help="Its name.")],
    environments: Annotated[
        list[str] | None, typer.Option("-e", "--env", help="Where; may be repeated. Default: everywhere.")
    ] = None,
    collation: Annotated[str | None, typer.Option("--collation", help="Another collation than the usual one.")] = None,
    size: Annotated[
        int | None, typer.Option("--bytes", min=65_536, help="How much it holds at most; the usual is 32 GB.")
    ] = None,
    form: Form = Output.TABLE,
) -> None:
    """Make an empty database on the SQL server, as somebody with the portal open would."""
    from lpmops.cli import sandbox_client

    with output.guarded(SCHEMA, form):
        wish = {"environments": environments or [], "name": name, "collation": collation, "bytes": size}
        data = sandbox_client.call(sandbox_client.must_run(), "POST", "/sandbox/databases", wish)
        lines = [f"made {item['database']} in {item['environment']}" for item in data["databases"]]
        output.emit(Answer(SCHEMA, data, lines, data["databases"]), form)


# Here, so that the help lists them after the others.
group.command()(sandbox_table.vacuum)
group.command("change-schema")(sandbox_table.change_schema)
group.command("recreate-table")(sandbox_table.recreate_table)


def _list_faults(data: dict[str, Any], form: Output) -> None:
    lines = output.table(["fault", "what it does"], [[item["name"], item["summary"]] for item in data["known"]])
    lines += [f"on: {_words(item)}" for item in data["active"]]
    output.emit(Answer(SCHEMA, data, lines, data["known"]), form)


def _words(item: dict[str, Any]) -> str:
    companies = f" for {', '.join(item['companies'])}" if item["companies"] else ""
    return f"{item['name']} in {item['environment']}{companies}"


def _where(running: Running, started: bool) -> dict[str, Any]:
    return {
        "running": True,
        "started": started,
        "pid": running.pid,
        "port": running.port,
        "folder": str(running.folder),
        "config": str(running.folder / "lpmops.toml"),
    }


def use_config_of(running: Running) -> None:
    """Let this process read the sandbox's configuration. Raises ConfigError where another was asked for."""
    here = world()
    if here.config_path is not None:
        raise ConfigError(
            "The demo shows the sandbox; it takes no --config.",
            hint="Leave --config out, or open the app with: lpmops --config FILE",
        )
    here.config_path = str(running.folder / "lpmops.toml")

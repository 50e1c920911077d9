"""`lpmops asa`: the Stream Analytics jobs that carry events from the hub to each company's database: see, pause, start, deploy and scale them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import asa_trial, changing, output
from lpmops.cli.changing import Change, Env, Look
from lpmops.cli.context import world
from lpmops.cli.options import spread
from lpmops.cli.output import Answer
from lpmops.errors import LpmopsError, UsageError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.actions.action import Wish
    from lpmops.actions.desk import Desk

SCHEMA = "asa"
Job = Annotated[
    list[str] | None, typer.Option("--job", metavar="NAME", help="Only this job; may be repeated. Default: all.")
]
group = typer.Typer(help="The Stream Analytics jobs: see, pause, start, deploy and scale them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="asa")


group.command("test")(spread(asa_trial.trial))


@group.command()
@spread
def show(environment: Env, look: Look, job: Job = None) -> None:
    """Show the jobs: state, pause, what waits in the hub, and what each way to start would skip or repeat."""
    with output.guarded(SCHEMA, look.form), changing.desk(environment) as desk:
        items, warnings = _shown(desk, changing.listed(job))
        lines = [line for item in items for line in _lines(item)]
        flat = [{key: value for key, value in item.items() if key not in ("paused", "modes")} for item in items]
        output.emit(Answer(SCHEMA, items, lines, flat, warnings), look.form)


@group.command()
@spread
def pause(
    environment: Env,
    change: Change,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="When it should be over: 2h, 90m, 2026-11-23T04:00:00Z."),
    ] = None,
    job: Job = None,
) -> None:
    """Stop the jobs on purpose. Events wait in the hub until it is started again, as long as the hub keeps them.

    Example: lpmops asa pause -e prod --reason "database move" --until 2h --confirm prod
    """
    with output.guarded(changing.SCHEMA, change.form):
        end = changing.moment(until, "--until")
        with changing.desk(environment) as desk:
            wish = {
                "jobs": changing.listed(job),
                **change.why,
                "until": end,
                "by": desk.who(),
            }
            changing.plan_and_carry_on(desk, "asa.pause", wish, change.agreed, change.form)


@group.command()
@spread
def start(
    environment: Env,
    change: Change,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="Where to begin: last-output, now or custom.")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="For custom: begin with what came in at this time.")
    ] = None,
    job: Job = None,
) -> None:
    """Start the jobs. last-output skips nothing and repeats a little; now skips whatever waits; custom begins at --from.

    Example: lpmops asa start -e prod --mode last-output --yes
    """
    with output.guarded(changing.SCHEMA, change.form):
        at = changing.past_moment(begin, "--from")
        with changing.desk(environment) as desk:
            if mode is None:
                raise _no_mode(desk, changing.listed(job))
            wish = {"jobs": changing.listed(job), "mode": mode, "begin": at, **change.why}
            changing.plan_and_carry_on(desk, "asa.start", wish, change.agreed, change.form)


@group.command()
@spread
def query(
    environment: Env,
    look: Look,
    deployed: Annotated[
        bool, typer.Option("--deployed", help="The text that runs now, not the one of lpmops.toml.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="How the text that runs would change.")] = False,
    job: Job = None,
) -> None:
    """Print the Stream Analytics text that lpmops would deploy, the one that runs, or how they differ. Changes nothing.

    Example: lpmops asa query -e prod --diff
    """
    with output.guarded(SCHEMA, look.form):
        if deployed and diff:
            raise UsageError("--deployed and --diff are two questions.", hint="Give one of them.")
        with changing.desk(environment) as desk:
            from lpmops.actions import asa_definition

            items = asa_definition.texts(desk.bench(), changing.listed(job))
        lines: list[str] = []
        for item in items:
            item["diff"] = _text_diff(item)
            shown = item["diff"] if diff else (item["deployed"] if deployed else item["query"]).splitlines()
            if len(items) > 1:
                lines.append(f"-- {plain(item['job'])}")
            lines += [plain(line) for line in shown]
            if diff and not shown:
                lines.append(f"{plain(item['job'])}: the text that runs is the one that would be deployed.")
            if diff:
                lines += [
                    plain(
                        f"{each['what']} {each['name']}: {each['before'] or 'nowhere'} now, {each['after'] or 'nowhere'} as planned"
                    )
                    for each in item["drift"]
                ]
            if diff and item["differences"]:
                lines.append(
                    f"{plain(item['job'])} differs in: {', '.join(plain(name) for name in item['differences'])}"
                )
        flat = [
            {"job": item["job"], "same": not item["diff"], "differences": len(item["differences"])} for item in items
        ]
        output.emit(Answer(SCHEMA, items, lines, flat), look.form)


def _text_diff(item: dict[str, Any]) -> list[str]:
    """What a deployment of the text would change, as a unified diff; empty where nothing."""
    import difflib

    before, after = ([line.rstrip() for line in item[name].strip().splitlines()] for name in ("deployed", "query"))
    return list(difflib.unified_diff(before, after, "deployed", "lpmops.toml", lineterm="", n=2))


@group.command()
@spread
def deploy(
    environment: Env,
    change: Change,
    mode: Annotated[
        str, typer.Option("--mode", metavar="MODE", help="Where to begin again: last-output, now or custom.")
    ] = "last-output",
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="For custom: begin with what came in at this time.")
    ] = None,
    back_to: Annotated[
        str, typer.Option("--back-to", metavar="OPERATION", help="Bring back what stood before that deployment.")
    ] = "",
    job: Job = None,
) -> None:
    """Make the jobs what lpmops.toml asks for: stop once, change what differs, start where the output ended, verify.

    Example: lpmops asa deploy -e prod --dry-run
    """
    with output.guarded(changing.SCHEMA, change.form):
        at = changing.past_moment(begin, "--from")
        with changing.desk(environment) as desk:
            wish: Wish = {
                "jobs": changing.listed(job),
                "mode": mode,
                "begin": at,
                "back_to": back_to,
                "definitions": {},
                "by": desk.who(),
                **change.why,
            }
            changing.plan_and_carry_on(desk, "asa.deploy", wish, change.agreed, change.form)


@group.command()
@spread
def scale(
    environment: Env,
    change: Change,
    units: Annotated[
        str, typer.Option("--units", metavar="UNITS", help="Streaming units each: 1/3, 2/3, 1, 2, 3 and so on.")
    ],
    job: Job = None,
) -> None:
    """Give the jobs other streaming units. They go on meanwhile.

    Example: lpmops asa scale -e prod --units 1 --yes
    """
    wish = {"jobs": changing.listed(job), "units": units, **change.why}
    changing.act("asa.scale", environment, wish, change.agreed, change.form)


def _no_mode(desk: Desk, names: list[str]) -> LpmopsError:
    """The error for a start without a mode: each mode with what it would skip and repeat now."""
    items, _ = _shown(desk, names)
    lines = []
    for item in items:
        lines += [f"{item['name']}: {_mode_words(mode)}" for mode in item["modes"]]
    more = "--mode custom --from TIME begins at a time of your choice."
    return UsageError(
        "A start says where it begins, so that nobody skips events unknowingly.", hint="\n".join([*lines, more])
    )


def _shown(desk: Desk, names: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Each job as plain values; what could not be read is None and a warning."""
    from lpmops.actions import jobs
    from lpmops.model import to_data

    bench, now, warnings = desk.bench(), world().now(), []
    found, pauses, hub = jobs.chosen(bench, names), desk.control.pauses(), desk.services.eventhubs.hub()
    items: list[dict[str, Any]] = []
    for job in found:
        stands = jobs.standing(job) in ("stopped", "failed")
        modes: dict[str, jobs.StartMode] = {}
        if stands:
            try:
                modes = jobs.start_modes(bench, job)
            except LpmopsError as error:
                warnings.append(f"What waits for {job.name} can't be counted: {error.message}")
        ends = jobs.keeps_until(job, hub) if stands else None
        items.append(
            {
                "name": job.name,
                "state": job.state,
                "paused": jobs.pause_data(pauses.get(job.name)) if stands else None,
                "start_mode": job.start_mode,
                "started_at": to_data(job.started_at),
                "last_output_at": to_data(job.last_output_at),
                "streaming_units": job.streaming_units,
                "outputs": len(job.outputs),
                "waiting_events": jobs.waiting(modes) if modes else None,
                "events_kept_until": to_data(ends),
                "events_kept_seconds": None if ends is None else round((ends - now) / timedelta(seconds=1), 1),
                "modes": [
                    {"mode": item.name, "skips": item.skips, "repeats": item.repeats, "refusal": item.refusal}
                    for item in modes.values()
                ],
            }
        )
    return items, warnings


def _lines(item: dict[str, Any]) -> list[str]:
    state = "paused" if item["paused"] and item["paused"]["action"] == "asa.pause" else item["state"]
    units = item["streaming_units"]
    lines = [
        f"{plain(item['name'])}  {plain(state)}, {item['outputs']} outputs"
        + ("" if units is None else f", {units:g} streaming units")
    ]
    paused = item["paused"]
    if paused and paused["action"] != "asa.pause":
        lines.append(
            f"  stopped by {plain(paused['by'])} at {paused['at']} in operation {plain(paused['operation'])} ({plain(paused['action'])}), "
            f"which has not started it again: lpmops op resume {plain(paused['operation'])}"
        )
    elif paused:
        until = f"until {paused['until']}" if paused["until"] else "without an end"
        lines.append(
            f"  paused by {plain(paused['by'])} at {paused['at']} {until}: {plain(paused['reason'] or 'no reason given')}"
        )
    if item["waiting_events"] is not None:
        kept = f"; the hub keeps them until {item['events_kept_until']}" if item["events_kept_until"] else ""
        lines.append(f"  {item['waiting_events']:,} events wait{kept}")
    lines += [f"  {_mode_words(mode)}" for mode in item["modes"]]
    if not item["modes"] and item["last_output_at"]:
        lines.append(f"  last output {item['last_output_at']}, started with {item['start_mode']}")
    return lines


def _mode_words(mode: dict[str, Any]) -> str:
    if mode["refusal"]:
        return f"--mode {mode['mode']} can't be used: {mode['refusal']}"
    numbers = ", ".join(
        f"{word} {'an unknown number of' if mode[word] is None else format(mode[word], ',')} events"
        for word in ("skips", "repeats")
    )
    return f"--mode {mode['mode']} {numbers}"

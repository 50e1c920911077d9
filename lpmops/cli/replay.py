"""`lpmops replay`: send versions of the source table again, for companies that miss some, and prove that all has landed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops import versions
from lpmops.cli import changing, output
from lpmops.cli.changing import Change, Env, Form, NoInput, Reason
from lpmops.cli.context import world
from lpmops.cli.options import spread
from lpmops.cli.output import Answer, Output
from lpmops.errors import NotFoundError, RefusedError, UsageError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.actions.desk import Desk
    from lpmops.store.journal import OperationRow, StepRow

SCHEMA = "replay"
Id = Annotated[str, typer.Argument(metavar="ID", help="The replay's id, or the beginning of it.")]
group = typer.Typer(
    help="Send versions of the source table again: plan, run, see, pause, resume, cancel.", no_args_is_help=True
)


class Shown(StrEnum):
    """The form in which a replay is shown; md is Markdown for a ticket."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


@dataclass(frozen=True, slots=True)
class What:
    """What is sent again."""

    from_version: Annotated[
        int | None, typer.Option("--from-version", metavar="N", min=0, max=versions.LARGEST, help="The first version.")
    ] = None
    to_version: Annotated[
        int | None,
        typer.Option(
            "--to-version", metavar="N", min=0, max=versions.LARGEST, help="The last version; else the newest."
        ),
    ] = None
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help='What was committed from then on: "2026-03-02 03:10".')
    ] = None
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="What was committed up to then.")] = None
    versions: Annotated[
        list[str] | None,
        typer.Option("--versions", metavar="A:B", help="The versions from A to B; may be repeated for several ranges."),
    ] = None
    missing: Annotated[
        bool, typer.Option("--missing", help="What reconciliations found missing and is not repaired yet.")
    ] = False
    company: Annotated[
        list[str] | None, typer.Option("--company", metavar="ID", help="Only this company; may be repeated.")
    ] = None
    rate: Annotated[
        int | None,
        typer.Option("--rate", metavar="N", min=1, max=100_000, help="Events a second; else half of what is free."),
    ] = None
    chunk: Annotated[
        int | None,
        typer.Option("--chunk", metavar="ROWS", min=1, max=versions.LARGEST, help="The most rows of one run."),
    ] = None

    @property
    def wish(self) -> dict[str, Any]:
        """The same as an action's wish. Raises UsageError."""
        bounds = [self.from_version, self.to_version, self.since, self.until]
        ways = [any(each is not None for each in bounds), bool(self.versions), self.missing]
        if not any(ways):
            raise UsageError("It is not said what to send.", hint="Give --from-version N, --from TIME or --missing.")
        if sum(ways) > 1:
            raise UsageError(
                "The range is said in two ways.",
                hint="Give --versions A:B, or --missing, or the ends of one range: --from-version or --from, --to-version or --to.",
            )
        ranges = [versions.parse(text) for text in self.versions or ()]
        return {
            "from_version": _end("begins", self.from_version, self.since, "--from"),
            "to_version": _end("ends", self.to_version, self.until, "--to"),
            "ranges": [[one.first, one.last] for one in ranges],
            "missing": self.missing,
            "companies": changing.listed(self.company),
            "rate": self.rate,
            "chunk": self.chunk,
        }


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="replay")


@group.command()
@spread
def plan(environment: Env, what: What, change: Change) -> None:
    """Show what would be sent, in which runs, how long it takes, and what speaks against it.

    Example: lpmops replay plan -e prod --from "2026-03-02 03:10" --company 1001
    """
    with output.guarded(changing.PLAN_SCHEMA, change.form):
        wish = what.wish
    agreed = replace(change.agreed, dry_run=True)
    changing.act("replay.run", environment, {**wish, **change.why}, agreed, change.form)


@group.command()
@spread
def run(environment: Env, what: What, change: Change) -> None:
    """Send versions again in bounded runs beside the stream, and prove that all of it has landed: exit 0 where it has, 11 where it has not.

    Example: lpmops replay run -e prod --missing --reason "hub outage" --confirm prod
    """
    with output.guarded(changing.SCHEMA, change.form):
        wish = what.wish
    changing.act("replay.run", environment, {**wish, **change.why}, change.agreed, change.form)


@group.command("list")
def list_replays(
    environment: Annotated[
        str | None, typer.Option("-e", "--env", metavar="ENV", help="Only of this environment.")
    ] = None,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """List the replays that were run from this machine, newest first."""
    del no_input
    with output.guarded(SCHEMA, form):
        from lpmops.actions import replay_show
        from lpmops.control.engine import state_of
        from lpmops.store import journal

        store = world().stored()
        try:
            found = [item for item in journal.operations(store, environment) if item[0].action == "replay.run"]
            items = [
                replay_show.data(row, steps, state_of(store, row, world().now()), _not_asked, _not_asked)
                for row, steps in found
            ]
        finally:
            store.close()
        head = ("id", "when", "by", "environment", "state", "versions", "companies", "chunks", "rows", "complete")
        rows = [
            [
                plain(each["id"]),
                each["at"][:16],
                plain(each["by"]),
                plain(each["environment"]),
                each["state"],
                replay_show.span(each),
                _few(each["companies"]),
                f"{sum(chunk['state'] == 'done' for chunk in each['chunks'])} of {len(each['chunks'])}",
                f"{each['rows_planned']:,} at most" if each["rows"] is None else f"{each['rows']:,}",
                "-" if each["proof"] is None else "yes" if each["proof"]["complete"] else "no",
            ]
            for each in items
        ]
        lines = output.table(head, rows) if rows else ["There is no replay yet."]
        output.emit(Answer(SCHEMA, items, lines, items), form)


@group.command()
def show(
    identifier: Id,
    form: Annotated[Shown, typer.Option("-o", "--output", help="md is Markdown for a ticket.")] = Shown.TABLE,
    no_input: NoInput = False,
) -> None:
    """Show a replay: its runs with what was sent of each, and the proof."""
    del no_input
    emitted = Output.JSON if form is Shown.JSON else Output.TABLE
    with output.guarded(SCHEMA, emitted), _replay(identifier) as (desk, operation, steps):
        from lpmops.actions import replay_show
        from lpmops.actions.replay_sight import Workspace
        from lpmops.control.engine import state_of

        workspace = Workspace(operation.id, lambda: desk.services.replays)
        state = state_of(desk.store, operation, world().now())
        data = replay_show.data(operation, steps, state, workspace.progress, workspace.run)
        warnings = [f"How far its runs are can't be read: {workspace.trouble}"] if workspace.trouble else []
        lines = replay_show.markdown(data) if form is Shown.MD else _lines(data)
        output.emit(Answer(SCHEMA, data, lines, data["chunks"], warnings), emitted)


@group.command()
def resume(identifier: Id, form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Go on with a replay: what is done stays done, a run that failed is sent again alone."""
    del no_input
    with output.guarded(changing.SCHEMA, form), _replay(identifier) as (desk, operation, _):
        changing.run(desk.store, lambda tell, stop: desk.resume(operation.id, tell=tell, stop=stop), form)


@group.command()
def pause(identifier: Id, reason: Reason = "", form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Pause a replay: its run is ended at Databricks, and what it had not sent yet is left for `resume`.

    Example: lpmops replay pause 261129-0638 --reason "the night shift needs the hub"
    """
    del no_input
    with output.guarded(changing.SCHEMA, form), _replay(identifier) as (desk, operation, _):
        from lpmops.actions import replay_halt

        _emit_halted(replay_halt.pause(desk, operation.id, reason), form)


@group.command()
def cancel(identifier: Id, reason: Reason = "", form: Form = Output.TABLE, no_input: NoInput = False) -> None:
    """Cancel a replay: its run is ended at Databricks, and no further one begins. What has landed stays.

    Example: lpmops replay cancel 261129-0638 --reason "the window is over"
    """
    del no_input
    with output.guarded(changing.SCHEMA, form):
        if not reason.strip():
            raise UsageError("It needs a reason, for whoever reads the audit.", hint="Add: --reason WHY")
        with _replay(identifier) as (desk, operation, _):
            from lpmops.actions import replay_halt

            _emit_halted(replay_halt.cancel(desk, operation.id, reason), form)


def _emit_halted(data: dict[str, Any], form: Output) -> None:
    lines = [f"{data['state']}: {plain(data['result']['said'])}"]
    lines += [f"  {step['state']:9} {plain(step['name'])}" for step in data["steps"]]
    output.emit(Answer(changing.SCHEMA, data, lines, data["steps"]), form)


@contextmanager
def _replay(identifier: str) -> Iterator[tuple[Desk, OperationRow, tuple[StepRow, ...]]]:
    """A replay of this machine's journal, at a desk of its environment. Raises NotFoundError, RefusedError."""
    from lpmops.store import journal

    store = world().stored()
    try:
        operation, steps = journal.read(store, identifier)
    finally:
        store.close()
    if operation.action != "replay.run":
        raise RefusedError(
            f"Operation {operation.id} is no replay, but {operation.action}.",
            hint=f"See it: lpmops op show {operation.id}",
        )
    with changing.desk(operation.environment) as desk:
        yield desk, operation, steps


def _end(verb: str, version: int | None, text: str | None, flag: str) -> int | str | None:
    """An end of the range: a version, or a moment as RFC 3339. Raises UsageError."""
    if version is not None and text is not None:
        raise UsageError(f"The range {verb} twice.", hint=f"Give {flag}-version or {flag}, not both.")
    return _moment(text, flag) if version is None else version


def _not_asked(_: int) -> None:
    """What a list does not ask the workspace for."""


def _few(companies: list[str]) -> str:
    """The companies, or how many they are where those are many."""
    if len(companies) > 3:
        return f"{len(companies)} companies"
    return plain(", ".join(companies)) or "all"


def _moment(text: str | None, flag: str) -> str | None:
    """A time of the past as RFC 3339. Raises UsageError."""
    from lpmops import moments
    from lpmops.model import to_data

    if text is None:
        return None
    try:
        return str(to_data(moments.moment(text, world().now())))
    except (UsageError, NotFoundError) as error:
        raise UsageError(f"{flag}: {error.message}", hint=error.hint) from None


def _before(each: dict[str, Any]) -> str:
    """What was known to be missing of a company before the replay, where anything was."""
    return "" if each["missing_before"] is None else f"{each['missing_before']:,} before, now "


def _lines(data: dict[str, Any]) -> list[str]:
    whom = ", ".join(plain(each) for each in data["companies"]) or "every company"
    from lpmops.actions import replay_latency, replay_show

    lines = [
        f"{data['id']}  {data['state']}: versions {replay_show.span(data)} in {plain(data['environment'])}, {whom}",
        f"  by {plain(data['by'])}, {data['at']}" + (f" to {data['ended_at']}" if data["ended_at"] else ""),
    ]
    for each in data["chunks"]:
        lines.append(
            f"  {each['state']:9} {each['n']}. versions {each['from_version']} to {each['to_version']}, "
            + (f"at most {each['rows_planned']:,} rows" if each["rows"] is None else f"{each['rows']:,} rows sent")
            + (f", {each['rate']:,} a second" if each["rate"] is not None else "")
            + (f", {each['quarantined']:,} too large and put aside" if each["quarantined"] else "")
        )
        if each["url"]:
            lines.append(f"            run {plain(each['run_id'])}: {plain(each['url'])}")
    if data["latency"] is not None:
        lines.append(f"  live latency: {plain(replay_latency.words(data['latency']))}")
    lines += [f"  {name}: {plain(data[name])}" for name in ("reason", "ticket", "error") if data[name]]
    proof = data["proof"]
    if proof is None:
        return [*lines, f"  {plain(replay_show.without_proof(data))}"]
    lines.append(f"  proof: {replay_show.verdict(proof)}")
    lines += [
        f"    versions {each['versions']}: {plain(each['why'])} {plain(each['remains'])}"
        for each in proof["unreadable"]
    ]
    for each in proof["companies"]:
        lines.append(
            f"    {plain(each['company_id'])}: source {each['source']:,}, landed {each['landed']:,}, missing {_before(each)}{each['missing']:,}, "
            f"doubled {each['doubled']:,}, extra {each['extra']:,}"
        )
        lines += [f"      {plain(why)}" for why in replay_show.notes(each)]
    return [*lines, f"    {plain(replay_show.method(proof))}"]

"""What databases and jobs need before a company's records can land there: tables, rights, outputs, and that every operator knows of them.

Whoever brings a company on or moves one adds it to a draft. A database that a job writes already needs no stop; one that is new to its job is a new
output, for which the job is stopped once, however many databases come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lpmops.actions import asa_definition, asa_deploy, asa_stop, hub_flow, jobs, route_databases, route_sight
from lpmops.actions.action import Bench, Handler, Wish
from lpmops.control import routes
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Impact, Step
from lpmops.control.remedies import command
from lpmops.model import Receipt, StreamingJob
from lpmops.routing import job as definitions
from lpmops.routing.routes import Route
from lpmops.routing.shards import ShardPlan
from lpmops.store.journal import StepRow

_DATABASE = "route.database"


@dataclass(slots=True)
class Draft:
    """What is being gathered for one plan. `stopped` are the jobs that stop once, `skipped` the events that are lost by it, None unknown.

    `where` is what comes before each refusal of a database, by its case-folded name: the lines of a file that ask for it.
    """

    steps: list[Step] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    skipped: int | None = 0
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moving:
    """A company that leaves a database. `mark` are the steps by which everybody sees that it is on its way, before any job stops for it."""

    old: str
    mark: tuple[Step, ...] = ()


def prepare(
    bench: Bench,
    wish: Wish,
    action: str,
    databases: Sequence[str],
    added: Sequence[Route],
    draft: Draft,
    *,
    wanted: bool,
    moving: Moving | None = None,
) -> list[str]:
    """Add to a draft what is to be done in databases, and in the jobs for those that are new to them.

    `added` are the routes to come, `wanted` says whether anything is to be done at all, `moving` what a company leaves
    where the texts of the jobs say where each lands. `wish`: reason, ticket, by.
    Gives what the jobs have otherwise than lpmops.toml asks, in words.
    """
    environment = bench.environment
    every, pauses = jobs.chosen(bench, []), bench.control.pauses()
    live = {job.name: definitions.deployed(job) for job in every}
    written = route_sight.writers(bench)
    known = routes.read_databases(bench.services.sql, environment.sql.control_database, environment.sql.databases)
    fresh = [name for name in databases if name.casefold() not in written]
    if environment.sql.control_database.casefold() in {name.casefold() for name in databases}:
        draft.refusals.append(f"{environment.sql.control_database} is the control database: no company lands there.")
        return []
    base, _ = asa_definition.targets(bench, every)
    by_text = environment.streamanalytics.strategy == "query"
    flow = hub_flow.measure(bench) if wanted and (fresh or by_text) else None
    target, shards = asa_definition.targets(bench, every, databases, added, flow)
    draft.warnings += flow.notes if flow is not None else ()
    # What is as it is to become already is half of an attempt that did not come to its end.
    drifted = _drift(base, {name: one for name, one in live.items() if _unlike(target.get(name), one)})
    if by_text:
        draft.seen["routes"] = asa_definition.routes_words(shards)
    for name in databases:
        shard = shards.shard_of(name)
        writer = shard.job if shard is not None else ""
        output = target[writer].outputs.get(name) if name in fresh and writer in target else None
        if not writer:
            draft.refusals += shards.refusals or (f"No job would write to {name}.",)
            continue
        sight = route_databases.look(bench, name, writer, output)
        draft.steps += sight.steps
        draft.seen |= sight.seen
        draft.refusals += [f"{draft.where.get(name.casefold(), '')}{reason}" for reason in sight.refusals]
        draft.warnings += sight.warnings
        if name.casefold() not in {each.casefold() for each in known}:
            draft.seen[f"{name}.known"] = False
    draft.refusals += [reason for reason in shards.refusals if fresh or by_text]
    draft.warnings += [f"{what}: {used}." for what, used in shards.head_room().items() if fresh]
    stops = [job for job in every if job.name in target and (fresh or by_text)]
    if drifted and stops and wanted:
        draft.refusals.append(
            f"{'; '.join(drifted)} differ from lpmops.toml: bring that in order first, so that nothing else changes on the way: "
            + command("lpmops", "asa", "deploy", "-e", environment.name)
        )
    elif drifted:
        draft.warnings.append(
            f"{'; '.join(drifted)} differ from lpmops.toml: lpmops asa query -e {environment.name} --diff"
        )
    first, since = _first(every, databases, shards, moving, draft)
    draft.steps += moving.mark if moving is not None else ()
    for job in sorted(every, key=lambda job: job.name != first):
        begin = since if job.name == first else None
        made = target.get(job.name) if job in stops and wanted else None
        _stop(bench, wish, job, pauses.get(job.name), made, draft, action, begin)
    draft.steps += [_database_step(name, wish["by"]) for name in databases if wanted and f"{name}.known" in draft.seen]
    return drifted


def _unlike(target: definitions.Definition | None, live: definitions.Definition) -> bool:
    return target is None or bool(definitions.differences(target, live))


def _first(
    every: Sequence[StreamingJob],
    databases: Sequence[str],
    shards: ShardPlan,
    moving: Moving | None,
    draft: Draft,
) -> tuple[str, datetime | None]:
    """Which job changes first, and where it begins again: the one that a company comes to, where the output of the one that it leaves has ended.

    What the one gives up the other has then written, or writes: a record that both write is in both databases until it is taken out of the old one.
    """
    if moving is None:
        return "", None
    comes, leaves = shards.shard_of(databases[0]), shards.shard_of(moving.old)
    if comes is None or leaves is None or comes.job == leaves.job:
        return "", None
    since = next((asa_stop.end_of(job) for job in every if job.name == leaves.job), None)
    if since is None:
        draft.refusals.append(f"Where the output of {leaves.job} ended is not known: start it anew first, from a time.")
    return comes.job, since


def impact(bench: Bench, draft: Draft, companies: int) -> Impact:
    """What a plan does to others: whose records wait for a job that stops, beside the companies that it is about, and for how long."""
    if not draft.stopped:
        return Impact(companies=companies, pause_seconds=0.0, budget_share=0.0)
    written = {database for database, job in route_sight.writers(bench).items() if job in draft.stopped}
    there = routes.entries(bench.control).values()
    waiting = sum(entry.state == routes.ACTIVE and entry.database.casefold() in written for entry in there)
    pause = asa_deploy.CYCLE_SECONDS
    share = jobs.impact(bench, pause_seconds=pause).budget_share
    return Impact(companies=companies + waiting, events=draft.skipped, pause_seconds=pause, budget_share=share)


def _drift(target: Mapping[str, definitions.Definition], live: Mapping[str, definitions.Definition]) -> list[str]:
    """The fields, beside the streaming units, in which the jobs are not what they were asked to be."""
    found = {
        name: [
            item.title for item in definitions.differences(target[name], live[name]) if item.title != "streaming_units"
        ]
        for name in live
        if name in target
    }
    return [f"{', '.join(fields[:3])} of {name}" for name, fields in found.items() if fields]


def _stop(
    bench: Bench,
    wish: Wish,
    job: StreamingJob,
    pause: Any,
    target: definitions.Definition | None,
    draft: Draft,
    action: str,
    since: datetime | None,
) -> None:
    """What a job rests on; and where something of it must change, None where nothing may, its one stop."""
    draft.seen |= asa_deploy.seen_of(job, pause)
    if target is None:
        if jobs.standing(job) != "running":
            draft.warnings.append(f"{job.name} is {job.state}: nothing lands before it runs.")
        return
    made = asa_stop.steps(bench, wish, action, job, pause, target, since)
    draft.steps += made.steps
    draft.refusals += made.refusals
    draft.warnings += made.warnings
    draft.stopped += made.stopped
    draft.skipped = None if draft.skipped is None or made.skipped is None else draft.skipped + made.skipped


def _database_step(database: str, by: str) -> Step:
    change = Change(f"{database}.known", False, True)
    return Step(
        f"let every operator know of {database}", _DATABASE, database, {"by": by}, (change,), (f"{database}.known",)
    )


def _observe_database(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    sql = bench.environment.sql
    known = routes.read_databases(bench.services.sql, sql.control_database, sql.databases)
    there = step.target.casefold() in {name.casefold() for name in known}
    return Observation(Sight.SO if there else Sight.ABSENT, "it is known" if there else "it is not known")


def _act_database(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    routes.add_database(bench.control, step.target, step.arguments["by"])
    return Receipt()


HANDLERS = {
    **asa_stop.HANDLERS,
    **route_databases.HANDLERS,
    _DATABASE: Handler(_observe_database, _act_database),
}

"""What databases and jobs need before a company's records can land there: tables, rights, outputs, and that every operator knows of them.

Whoever brings a company on or moves one adds it to a draft. A database that a job writes already needs no stop; one that is new to its job is a new
output, for which the job is stopped once, however many databases come.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lpmops.actions import asa_definition, asa_deploy, asa_stop, hub_flow, jobs, route_databases, route_sight
from lpmops.actions.action import Bench, Handler, Wish
from lpmops.control import remedies, routes
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Impact, Step
from lpmops.control.remedies import command
from lpmops.model import Receipt, StreamingJob
from lpmops.routing import deployed
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


@dataclass(frozen=True, slots=True)
class _Jobs:
    """The jobs that there are, what they are to become, and which may stop for it. `drifted` is what they have otherwise than lpmops.toml asks."""

    every: Sequence[StreamingJob]
    target: Mapping[str, definitions.Definition]
    shards: ShardPlan
    stops: Sequence[StreamingJob]
    drifted: list[str]


def by_text(bench: Bench) -> bool:
    """Whether the texts of the jobs say where each company lands, and no route table is read."""
    return bench.environment.streamanalytics.strategy == "query"


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
    written = route_sight.writers(bench)
    known = routes.read_databases(bench.services.sql, environment.sql.control_database, environment.sql.databases)
    fresh = [name for name in databases if name.casefold() not in written]
    if environment.sql.control_database.casefold() in {name.casefold() for name in databases}:
        draft.refusals.append(f"{environment.sql.control_database} is the control database: no company lands there.")
        return []
    changes = bool(fresh) or by_text(bench)
    flow = hub_flow.measure(bench) if wanted and changes else None
    draft.warnings += flow.notes if flow is not None else ()
    found = _look_at_jobs(bench, databases, added, flow, changes=changes)
    if by_text(bench):
        draft.seen["routes"] = asa_definition.routes_words(found.shards)
    for name in databases:
        shard = found.shards.shard_of(name)
        writer = shard.job if shard is not None else ""
        output = found.target[writer].outputs.get(name) if name in fresh and writer in found.target else None
        if not writer:
            draft.refusals += found.shards.refusals or (f"No job would write to {name}.",)
            continue
        sight = route_databases.look(bench, name, writer, output)
        draft.steps += sight.steps
        draft.seen |= sight.seen
        draft.refusals += [f"{draft.where.get(name.casefold(), '')}{reason}" for reason in sight.refusals]
        draft.warnings += sight.warnings
        if name.casefold() not in {each.casefold() for each in known}:
            draft.seen[f"{name}.known"] = False
    draft.refusals += [reason for reason in found.shards.refusals if changes]
    draft.warnings += [f"{what}: {used}." for what, used in found.shards.head_room().items() if fresh]
    _change_jobs(bench, wish, action, found, _handover(bench, found, databases, added, moving), draft, wanted, moving)
    draft.steps += [_database_step(name, wish["by"]) for name in databases if wanted and f"{name}.known" in draft.seen]
    return found.drifted


def retext(bench: Bench, wish: Wish, action: str, changed: Sequence[Route], draft: Draft) -> None:
    """Add to a draft what lets the texts of the jobs say that companies begin or cease to land where they are routed to.

    Nothing where the jobs read the route table. `changed` are the routes as they are to become, all active or none; where there is none left, the
    jobs are looked at all the same, so that one who goes on sees whether they are as they were. `wish`: reason, ticket, by.
    """
    if not by_text(bench):
        return
    databases = list(dict.fromkeys(one.database for one in changed))
    found = _look_at_jobs(bench, (), changed, None, changes=True)
    draft.seen["routes"] = asa_definition.routes_words(found.shards)
    draft.refusals += found.shards.refusals
    handover = _handover(bench, found, databases, changed, None)
    _change_jobs(bench, wish, action, found, handover, draft, wanted=bool(changed), moving=None)


def _look_at_jobs(
    bench: Bench, databases: Sequence[str], added: Sequence[Route], flow: hub_flow.Flow | None, *, changes: bool
) -> _Jobs:
    every = jobs.chosen(bench, [])
    live = {job.name: definitions.deployed(job) for job in every}
    base, _ = asa_definition.targets(bench, every)
    target, shards = asa_definition.targets(bench, every, databases, added, flow)
    # What is as it is to become already is half of an attempt that did not come to its end.
    drifted = _drift(base, {name: one for name, one in live.items() if _unlike(target.get(name), one)})
    return _Jobs(every, target, shards, [job for job in every if job.name in target and changes], drifted)


def _change_jobs(
    bench: Bench,
    wish: Wish,
    action: str,
    found: _Jobs,
    handover: _Handover,
    draft: Draft,
    wanted: bool,
    moving: Moving | None,
) -> None:
    """What the jobs rest on, and the one stop of each that must change, where anything is to be done at all."""
    pauses, environment = bench.control.pauses(), bench.environment.name
    if found.drifted and found.stops and wanted:
        draft.refusals.append(
            f"{'; '.join(found.drifted)} differ from lpmops.toml: bring that in order first, so that nothing else changes on the way: "
            + command("lpmops", "asa", "deploy", "-e", environment)
        )
    elif found.drifted:
        draft.warnings.append(
            f"{'; '.join(found.drifted)} differ from lpmops.toml: lpmops asa query -e {environment} --diff"
        )
    if wanted:
        draft.refusals += handover.refusals
    draft.steps += moving.mark if moving is not None else ()
    for job in sorted(found.every, key=lambda job: job.name not in handover.first):
        begin = handover.since if job.name in handover.first else None
        made = found.target.get(job.name) if job in found.stops and wanted else None
        _stop(bench, wish, job, pauses.get(job.name), made, draft, action, begin)


def _unlike(target: definitions.Definition | None, live: definitions.Definition) -> bool:
    return target is None or bool(definitions.differences(target, live))


@dataclass(frozen=True, slots=True)
class _Handover:
    """Which jobs change first, and since when they write again at the latest, None for where the output of each ended."""

    first: frozenset[str] = frozenset()
    since: datetime | None = None
    refusals: tuple[str, ...] = ()


def _handover(
    bench: Bench, found: _Jobs, databases: Sequence[str], changed: Sequence[Route], moving: Moving | None
) -> _Handover:
    """Where texts hold companies, the jobs that these come to change first, and begin again where the output of those that they leave has ended.

    One that comes or goes leaves or joins what no route takes, which the job with the control database's outputs writes. What one gives up the other
    has then written, or writes: in between both have it, and none of it is nowhere.
    """
    if not by_text(bench) or not (changed or moving):
        return _Handover()
    homes = _jobs_of(found.shards, databases)
    control = frozenset(shard.job for shard in found.shards.shards if shard.share.control)
    if moving is not None:
        comes, leaves = homes, _jobs_of(found.shards, [moving.old]) - homes
    elif any(route.active for route in changed):
        comes, leaves = homes - control, control
    else:
        comes, leaves = control, homes - control
    if not comes or not leaves:
        return _Handover()
    ends = {job.name: asa_stop.end_of(job) for job in found.every if job.name in leaves}
    known = [end for end in ends.values() if end is not None]
    return _Handover(
        comes,
        min(known, default=None),
        tuple(
            f"Where the output of {name} ended is not known. Start it anew first, from a time before the first event it may have missed: "
            f"{remedies.start_anew(bench.environment, name)}"
            for name, end in ends.items()
            if end is None
        ),
    )


def _jobs_of(shards: ShardPlan, databases: Sequence[str]) -> frozenset[str]:
    """The jobs that write these databases."""
    return frozenset(shard.job for name in databases if (shard := shards.shard_of(name)) is not None)


def sent_by_texts(bench: Bench, company: str) -> dict[str, str]:
    """Where the texts of the jobs send a company, by the job whose text holds it."""
    read = {job.name: deployed.read(definitions.deployed(job), bench.config.routing) for job in jobs.chosen(bench, [])}
    return {name: item.routes[company] for name, item in read.items() if company in (item.routes or {})}


def stop_words(bench: Bench, draft: Draft) -> str:
    """Which jobs stop and why, for how long, and who waits; empty where none does."""
    if not draft.stopped:
        return ""
    if by_text(bench):
        return (
            f"Where a company lands is in the texts of the jobs: {' and then '.join(draft.stopped)} stops once, which takes 2 to 3 minutes, "
            "sometimes more than 5, and every company of that job waits meanwhile."
        )
    return (
        f"For a new output {', '.join(draft.stopped)} stops once, which takes 2 to 3 minutes, sometimes more than 5: events wait in the hub "
        "meanwhile, and with them every company of that job."
    )


def impact(bench: Bench, draft: Draft, companies: Collection[str]) -> Impact:
    """What a plan does to others: whose records wait for a job that stops, beside the companies that it is about, and for how long."""
    if not draft.stopped:
        return Impact(companies=len(companies), pause_seconds=0.0, budget_share=0.0)
    written = {database for database, job in route_sight.writers(bench).items() if job in draft.stopped}
    there = routes.entries(bench.control).values()
    waiting = {one.company_id for one in there if one.state == routes.ACTIVE and one.database.casefold() in written}
    pause = asa_deploy.CYCLE_SECONDS
    share = jobs.impact(bench, pause_seconds=pause).budget_share
    return Impact(
        companies=len(waiting.union(companies)), events=draft.skipped, pause_seconds=pause, budget_share=share
    )


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

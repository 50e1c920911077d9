"""What speaks against sending versions again, in sentences: the feed, the jobs, the landing tables, other replays, the hub's room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from lpmops.actions import jobs, route_databases
from lpmops.actions.action import Bench
from lpmops.actions.replay_wish import MOST_VERSIONS, Exact, HeadRoom
from lpmops.control import access, remedies, rights, routes
from lpmops.control.routes import REMOVED
from lpmops.errors import BadAnswerError, LpmopsError, SignInError
from lpmops.model import Commit, FeedState, to_data
from lpmops.plain_text import counted

RUN_PREFIX = "lpmops replay "
_UNIQUE = "landing_unique_index"


def refusals(
    bench: Bench, wished: Exact, feed: FeedState, room: HeadRoom, job: Mapping[str, Any] | None
) -> Iterator[str]:
    """Each reason why it can't be done, in words; `job` are the settings of the deployed stream job."""
    yield from _of_the_feed(bench, wished, feed)
    name = bench.environment.databricks.job
    if job is None:
        yield f"There is no stream job {name}, whose code a replay runs. Deploy it first: lpmops stream deploy -e {bench.environment.name}"
    elif not entry_of(job):
        yield f"The job {name} does not run the code of lpmops. Deploy it first: lpmops stream deploy -e {bench.environment.name}"
    yield from _of_the_stream(bench, feed)
    yield from _of_the_companies(bench, wished)
    yield from _of_the_jobs(bench)
    yield from _of_other_replays(bench, wished)
    if wished.rate > room.free:
        flow = f"{room.flow:,.0f} flow now" if room.flow is not None else "and what flows now is not known"
        more = f"give it more: {remedies.add_throughput(bench.environment, room.namespace)}"
        way = f"Take a lower --rate, or {more}" if room.free else f"Wait until less flows, or {more}"
        yield f"{wished.rate:,} events a second are more than is free: the namespace takes {room.capacity:,.0f}, {flow}. {way}"


def entry_of(job: Mapping[str, Any]) -> str:
    """The file that a deployed stream job runs; empty where it is another job."""
    task = (job.get("tasks") or [{}])[0]
    python = task.get("spark_python_task") or {}
    return str(python.get("python_file") or "") if list(python.get("parameters") or ())[:1] == ["stream"] else ""


def rights_that_lack(bench: Bench) -> Iterator[str]:
    """What the job's identity, as which a run goes, may not do in Unity Catalog: who gives it, by which words. What can't be told is left out."""
    for right in access.look(bench.services, bench.now, needs=access.chosen((rights.STREAM,), ("unity", "eventhub"))):
        if right.state == "lacks":
            yield f"{right.who} lacks {right.right} on {right.on}: {right.why}. Hand this to {right.giver}: {right.grant}"


def _of_the_feed(bench: Bench, wished: Exact, feed: FeedState) -> Iterator[str]:
    if feed.kind == "off":
        yield f"The table's change feed is off, so there is nothing to send again. Enable it: {remedies.enable_feed(bench.environment)}"
        return
    first, last = wished.ranges[0].first, wished.ranges[-1].last
    if last > feed.latest_version:
        yield f"Version {last} is yet to come: the newest is {feed.latest_version}."
    if feed.kind == "delta" and feed.first_version is not None and first < feed.first_version:
        yield (
            f"Changes are recorded since version {feed.first_version}; those of {first} to {min(last, feed.first_version - 1)} never were. "
            "What remains for them is to load the table's current rows."
        )
    elif feed.oldest_version is not None and first < feed.oldest_version:
        yield f"The table's log begins with version {feed.oldest_version}: older ones were cleaned up and can't be sent again."
    if feed.latest_version - first >= MOST_VERSIONS:
        yield f"Version {first} is more than {MOST_VERSIONS:,} versions ago, which no plan reaches. Begin later."


def _of_the_stream(bench: Bench, feed: FeedState) -> Iterator[str]:
    """A proof leans on how far the stream is, which its checkpoint of another table does not say of this one."""
    try:
        progress = bench.services.databricks.progress()
    except BadAnswerError:
        return
    if progress is not None and feed.table_id and progress.table_id and feed.table_id != progress.table_id:
        yield (
            "The table was made anew since the stream's checkpoint was written: the versions are those of another table now, and the stream sends "
            f"none of them. Let it follow this table first: {remedies.new_checkpoint(bench.environment)}, then: "
            f"{remedies.deploy_stream(bench.environment, feed.first_version or feed.oldest_version or 0)}"
        )


def _of_the_companies(bench: Bench, wished: Exact) -> Iterator[str]:
    there = {key: each for key, each in routes.entries(bench.control).items() if each.state != REMOVED}
    for company in wished.companies:
        if company not in there:
            see = remedies.list_routes(bench.environment)
            yield f"There is no route of company {company}: what is sent would land nowhere. See those that there are: {see}"
    concerned = [each for key, each in there.items() if not wished.companies or key in wished.companies]
    for database in sorted({each.database for each in concerned}):
        try:
            check = route_databases.landing_check(bench, database)
        except SignInError:
            raise
        except LpmopsError as error:
            yield f"The landing table of {database} can't be looked at: {error.message}"
            continue
        see = f"See what lacks, and how it is made: {remedies.provision(bench.environment)}"
        yield from (f"{database}: {risk} {see}" for risk in check.risks)
        if any(name == _UNIQUE for name, _ in check.statements):
            yield (
                f"{database} has no index that drops what is delivered twice (IGNORE_DUP_KEY), so that what has landed would land again. "
                f"Add it: lpmops provision apply -e {bench.environment.name}"
            )


def _of_the_jobs(bench: Bench) -> Iterator[str]:
    for job in jobs.chosen(bench, []):
        if jobs.standing(job) != "running":
            start = remedies.start_job(bench.environment, job.name)
            yield f"{job.name} is {job.state.lower()}: what is sent would wait in the hub. Start it first: {start}"


def _of_other_replays(bench: Bench, wished: Exact) -> Iterator[str]:
    for run in bench.services.replays.active(RUN_PREFIX):
        if run.first is None or run.last is None:
            overlaps, span = True, "versions that it does not tell"
        else:
            span = f"versions {run.first} to {run.last}"
            overlaps = any(one.first <= run.last and run.first <= one.last for one in wished.ranges)
        others = set(run.companies)
        if overlaps and (not others or not wished.companies or others & set(wished.companies)):
            operation = run.name.removeprefix(RUN_PREFIX).partition(" ")[0]
            yield (
                f"Replay {operation} of {run.by or 'somebody'} sends {span} just now (run {run.run_id}{f', {run.url}' if run.url else ''}). "
                f"Wait for it; who began it ends it with: lpmops replay cancel {operation} --reason WHY"
            )


def warnings(bench: Bench, wished: Exact, feed: FeedState, room: HeadRoom, commits: Sequence[Commit]) -> Iterator[str]:
    """What is worth knowing before one says yes; `commits` are those of the versions, newest first, as far as the history has them."""
    if commits:
        # An end that was given as a time without a zone meant UTC: here it is seen.
        yield f"These versions were committed from {to_data(commits[-1].at)} to {to_data(commits[0].at)} (UTC)."
    share = 100 * (wished.rate + (room.flow or 0.0)) / room.capacity
    yield (
        f"At most {counted(wished.rate, 'event', 'events')} a second beside the stream ({_flow(room)}): {share:.0f} % of what the namespace takes. "
        "Live records share the hub and the jobs with them and may land some seconds later."
    )
    if commits and feed.retention is not None:
        lasts = commits[-1].at + timedelta(seconds=feed.retention)
        if lasts <= bench.now():
            yield "The oldest of these versions are older than the table keeps files it does not need: VACUUM may have removed their changes."
    if len(wished.ranges) > 1:
        yield f"{len(wished.ranges)} ranges: {', '.join(str(one) for one in wished.ranges)}."


def _flow(room: HeadRoom) -> str:
    if room.flow is None:
        return "what flows live is not known"
    return f"{max(0.1, room.flow):,.1f} flow live" if room.flow < 10 else f"{room.flow:,.0f} flow live"

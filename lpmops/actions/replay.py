"""Sending versions of the source table again: bounded runs beside the stream, one after the other, and the proof that all of it has landed.

Each chunk is one run of the deployed stream job's code with a token of the operation, known by its name; the stream and its checkpoint are left
alone. What lands twice is dropped by the landing tables' unique key. A chunk that failed is sent again once somebody resumes, and no other with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lpmops.actions import (
    jobs,
    replay_chunks,
    replay_counts,
    replay_halt,
    replay_inputs,
    replay_latency,
    replay_preflight,
    replay_show,
    replay_wish,
    stream,
)
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.replay_chunks import Chunk
from lpmops.actions.replay_counts import Counts
from lpmops.actions.replay_preflight import RUN_PREFIX
from lpmops.actions.replay_wish import Exact
from lpmops.control import guard, remedies
from lpmops.control.book import made_at
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import WAITS, Change, Impact, Plan, Step, pins_of
from lpmops.control.reconciled import Asked
from lpmops.control.remedies import command
from lpmops.errors import BadAnswerError
from lpmops.model import Commit, FeedState, Receipt, ReplayProgress, ReplayRun, StreamingJob
from lpmops.plain_text import counted
from lpmops.store import codec
from lpmops.store.journal import OUT_STEPS, StepRow
from lpmops.versions import Versions, within

if TYPE_CHECKING:
    from lpmops.services.replayruns import ReplayRunService

NAME = "replay.run"
CHUNK, LANDED = "replay.chunk", f"{WAITS}landed"
_MOST_CHUNKS = 500
# A cluster of its own takes minutes to come; so long a chunk is given beyond what it needs for its rows.
_START_SECONDS, _PATIENCE, _LEEWAY = 240.0, 3, 1_800.0
# What a second's worth of events takes: they are sent, and then a whole second is waited.
_SECONDS_OF_A_SECOND = 1.5
# How long what was sent is given to land before the proof is made.
_LANDING_SECONDS = 600.0
# A job reads the hub's partitions side by side, and one may be some seconds behind another.
_ABREAST = timedelta(seconds=5)
# A run writes down how far it is after each step: about so many of them, each with some seconds of sending at the rate. It reads the table for each
# and waits a second behind it, so that shorter ones would spend more time on that than on sending.
_INNER_STEPS, _INNER_LEAST_SECONDS, _INNER_MOST_SECONDS, _INNER_VERSIONS = 10, 2, 10, 10_000
# Arguments of the stream that a replay does not know.
_OF_THE_STREAM = ("--checkpoint", "--starting-version", "--accept-schema-version", "--trigger-seconds")


def plan_run(bench: Bench, wish: Wish) -> Plan:
    """Send versions again. `wish`: from_version and to_version (each a version, or a moment as RFC 3339), or `ranges` of them, or missing; companies,
    rate, chunk, reason, ticket. Raises UsageError for a range that means nothing, and what the services raise.
    """
    services = bench.services
    feed: FeedState = services.databricks.feed()
    room = replay_wish.head_room(bench)
    wished = replay_wish.exact(bench, wish, feed, room)
    job = services.databricks.stream_job()
    settings = services.databricks.job_settings(job.job_id) if job is not None else None
    seen = {
        "table.id": feed.table_id,
        "job.id": job.job_id if job is not None else None,
        "job.code": replay_preflight.entry_of(settings or {}),
    }
    lost = tuple(replay_wish.lost(bench, wish, feed)) if replay_wish.is_of_gaps(wish) else ()
    if not wished.ranges:
        said = "Nothing is known to be missing that could be sent again." if lost else "Nothing is known to be missing."
        return _plan(bench, wish, wished, (), seen, said, Impact(), refusals=lost)
    commits = replay_wish.commits(bench, feed, wished.ranges)
    chunks = _chunks(wished, commits)
    refusals = list(replay_preflight.refusals(bench, wished, feed, room, settings))
    # A plan that is made again rests on what it was made of: the warehouse does not read all of the changes once more.
    again = replay_wish.is_exact(wish)
    counts = Counts(wish.get("counted")) if again else replay_counts.count(bench, wished, commits, room)
    refusals += counts.refusals
    if not again:
        refusals += replay_preflight.rights_that_lack(bench)
    if len(chunks) > _MOST_CHUNKS:
        way = "Take one range" if len(wished.ranges) > _MOST_CHUNKS else "Take a larger --chunk"
        refusals.append(f"That would be {len(chunks):,} runs; at most {_MOST_CHUNKS} are made. {way}.")
    warnings = (*counts.words, *lost, *replay_preflight.warnings(bench, wished, feed, room, commits))
    steps = (*(_step(chunk, wished) for chunk in chunks), _landing_step(bench, len(chunks)))
    # Nothing is skipped by it, so it says no events, which are those that are.
    impact = Impact(len(counts.rows or ()) or len(wished.companies) or None)
    known = wish.get("known") if again else _known(bench, wished, feed)
    summary = _summary(bench, wished, chunks, counts)
    return _plan(
        bench,
        {**wish, "counted": counts.rows, "known": known},
        wished,
        steps,
        seen,
        summary,
        impact,
        warnings,
        tuple(refusals),
    )


def _known(bench: Bench, wished: Exact, feed: FeedState) -> dict[str, int]:
    """How many changes reconciliations know to be missing in the versions, by company, so that the proof says what it was before."""
    found: Counter[str] = Counter()
    for gap in bench.prover.gaps(bench, feed.table_id):
        if gap.missing and any(within([one], gap.versions) for one in wished.ranges):
            found[gap.company_id] += gap.missing
    return {company: found[company] for company in sorted(found) if not wished.companies or company in wished.companies}


def _summary(bench: Bench, wished: Exact, chunks: Sequence[Chunk], counts: Counts) -> str:
    """What is sent for whom, in how many runs, how fast and for how long."""
    at_most = sum(chunk.rows for chunk in chunks)
    rows = at_most if counts.rows is None else sum(counts.rows.values())
    many = counted(rows, "change", "changes")
    seconds = len(chunks) * _START_SECONDS + _SECONDS_OF_A_SECOND * rows / wished.rate
    whom = counted(len(wished.companies), "company", "companies") if wished.companies else "every company"
    return (
        f"Send versions {_span(wished)} of {bench.environment.databricks.table} again for {whom}: "
        f"{f'at most {many}' if counts.rows is None else many} in {counted(len(chunks), 'run', 'runs')} "
        f"at {wished.rate:,} a second, about {max(1.0, seconds / 60):,.0f} min."
    )


def _chunks(wished: Exact, commits: Sequence[Commit]) -> tuple[Chunk, ...]:
    rows = {each.version: replay_chunks.rows_of(each, wished.chunk) for each in commits}
    splits = {each.version for each in commits if replay_chunks.changes_shape(each)}
    return replay_chunks.cut(wished.ranges, rows, splits, wished.chunk)


def _span(wished: Exact) -> str:
    return f"{wished.ranges[0].first} to {wished.ranges[-1].last}"


def _expected(chunk: Chunk, rate: int) -> float:
    """Seconds that a chunk takes: its cluster, and a second or little more for as many rows as the rate."""
    return _START_SECONDS + _SECONDS_OF_A_SECOND * chunk.rows / rate


def _step(chunk: Chunk, wished: Exact) -> Step:
    first, last = chunk.versions.first, chunk.versions.last
    arguments = {
        "n": chunk.n,
        "first": first,
        "last": last,
        "rows": chunk.rows,
        "companies": list(wished.companies),
        "rate": wished.rate,
        "seconds": _expected(chunk, wished.rate) * _PATIENCE + _LEEWAY,
    }
    whose = f"those of {counted(len(wished.companies), 'company', 'companies')}" if wished.companies else "all"
    change = Change("changes", f"{chunk.rows:,} at most", f"{whose} sent again")
    return Step(f"send versions {first} to {last}", CHUNK, f"chunk {chunk.n}", arguments, (change,))


def _landing_step(bench: Bench, last: int) -> Step:
    arguments = {"after": last, "seconds": _LANDING_SECONDS}
    return Step("wait until it has landed", LANDED, bench.environment.name, arguments)


def _plan(
    bench: Bench,
    wish: Wish,
    wished: Exact,
    steps: tuple[Step, ...],
    seen: Mapping[str, Any],
    summary: str,
    impact: Impact,
    warnings: tuple[str, ...] = (),
    refusals: tuple[str, ...] = (),
) -> Plan:
    environment = bench.environment
    return Plan(
        action=NAME,
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=summary,
        danger=guard.danger_of(environment.kind, hard=True),
        steps=steps,
        seen=dict(seen),
        wish={**wish, **wished.wish},
        made_at=bench.now(),
        who=bench.who,
        command=command("lpmops", "replay", "run", "-e", environment.name, *wished.words, *why_words(wish)),
        reason=wish["reason"],
        ticket=wish["ticket"],
        impact=impact,
        warnings=warnings,
        refusals=refusals,
    )


# Steps ---------------------------------------------------------------------------------------------------------------------------------------------


def run_name(operation: str, chunk: int) -> str:
    """What the run of a chunk is called, by which it is found again."""
    return f"{RUN_PREFIX}{operation} chunk {chunk}"


def replay_id(operation: str, chunk: int) -> str:
    """The id under which a chunk's events are marked and its progress is kept."""
    return f"{operation}-{chunk}"


def _runs(bench: Bench, operation: str, chunk: int) -> Iterator[ReplayRun]:
    """The runs of a chunk, newest first."""
    name = run_name(operation, chunk)
    return (run for run in _all_runs(bench, operation) if run.name == name)


def _all_runs(bench: Bench, operation: str) -> Iterator[ReplayRun]:
    found: Iterator[ReplayRun] = bench.services.replays.submitted(f"{RUN_PREFIX}{operation} ", made_at(operation))
    return found


def newest_runs(replays: ReplayRunService, operation: str) -> dict[int, ReplayRun]:
    """The newest run of each chunk that was sent, by its number. Raises ServiceError types."""
    found: dict[int, ReplayRun] = {}
    begin = run_name(operation, 0)[:-1]
    for run in replays.submitted(begin, made_at(operation)):
        number = run.name.removeprefix(begin)
        if number.isdecimal():
            found.setdefault(int(number), run)
    return found


def _observe_chunk(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    n = step.arguments["n"]
    newest = next(_runs(bench, row.operation, n), None)
    is_out = row.state in OUT_STEPS
    answered = receipt.location if receipt is not None and is_out else None
    if answered and (newest is None or newest.run_id != answered):
        return Observation(Sight.MOVING, f"run {answered} is not listed yet")
    if newest is None:
        return Observation(Sight.ABSENT, "it was not sent yet")
    if newest.state == "running":
        return Observation(Sight.MOVING, f"run {newest.run_id} is at work{_rows_so_far(bench, row.operation, n)}")
    if newest.state == "done":
        return Observation(Sight.SO, f"run {newest.run_id} is done{_rows_so_far(bench, row.operation, n)}")
    said = f"run {newest.run_id} ended: {_why_ended(newest)}"
    # What was seen before an act names the run that had failed by then; another one is of this attempt.
    is_new = is_out and f"run {newest.run_id} " not in row.observed
    return Observation(Sight.OTHERWISE if is_new else Sight.ABSENT, said)


def _why_ended(run: ReplayRun) -> str:
    """What its run says of its end, and for changes that can't be read what that means: each further run would end so."""
    # The app loads the actions at its start and the services when they are needed.
    from lpmops.services import changes

    said = run.message.rstrip(".") or "it does not say why"
    meaning = changes.why_unreadable(run.message)
    return f"{said}: {meaning} Another run of them would end the same way" if meaning else said


def _rows_so_far(bench: Bench, operation: str, chunk: int) -> str:
    try:
        found = bench.services.replays.progress(replay_id(operation, chunk))
    except BadAnswerError:
        # It is being written just now, or is none: the run itself says how it ended.
        return ""
    return "" if found is None else f", {found.rows:,} rows sent"


def _act_chunk(bench: Bench, step: Step, operation: str) -> Receipt:
    # The app loads the actions at its start and the services when they are needed.
    from lpmops.services import replayruns

    job = stream.job_of(bench)
    settings = bench.services.databricks.job_settings(job.job_id)
    n, name = step.arguments["n"], run_name(operation, step.arguments["n"])
    # Asked again after a lost answer the service gives the run it made; after a run that failed it makes another.
    failed = sum(run.state == "failed" for run in _runs(bench, operation, n))
    token = f"lpmops-{operation}-{n}-{failed}"
    given = parameters(settings, step, replay_id(operation, n), replayruns.folder_of(bench.environment))
    operators = bench.environment.databricks.operators
    return bench.services.replays.submit(replayruns.submission(name, token, settings, given, operators))


def parameters(job: Mapping[str, Any], step: Step, identifier: str, folder: str) -> list[str]:
    """What a chunk's run is told: how the deployed stream reaches table and hub, and what to send again."""
    from lpmops.services import replayruns

    task = (job.get("tasks") or [{}])[0]
    present = [str(word) for word in (task.get("spark_python_task") or {}).get("parameters") or ()][1:]
    kept = [pair for pair in replayruns.options(present) if pair[0] not in _OF_THE_STREAM]
    given = step.arguments
    own = {
        "--replay-id": identifier,
        "--from-version": given["first"],
        "--to-version": given["last"],
        "--rate": given["rate"],
        "--chunk-versions": _inner_versions(**given),
        "--folder": folder,
    }
    companies = [("--company", company) for company in given["companies"]]
    # One word each: a value that begins with a dash would be taken for an option of its own.
    return ["replay", *(f"{flag}={value}" for flag, value in [*kept, *own.items(), *companies])]


def _inner_versions(first: int, last: int, rows: int, rate: int, **_: Any) -> int:
    """How many versions a run sends between two times that it writes down how far it is."""
    versions = last - first + 1
    a_second = rate * versions / max(rows, 1)
    wanted = max(versions / _INNER_STEPS, a_second * _INNER_LEAST_SECONDS)
    return max(1, int(min(wanted, a_second * _INNER_MOST_SECONDS, versions, _INNER_VERSIONS)))


def _observe_landed(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    """Whether the jobs have written what came after the last run's end; once its time is over the proof says what has not landed."""
    del receipt
    runs = _runs(bench, row.operation, step.arguments["after"])
    ended = next((run.ended_at for run in runs if run.ended_at is not None), None)
    behind = [
        job
        for job in bench.services.streamanalytics.jobs()
        if ended is not None and (job.last_output_at is None or job.last_output_at < ended + _ABREAST)
    ]
    if not behind:
        return Observation(Sight.SO, "the jobs have written what came after it")
    if (
        row.begun_at is not None
        and codec.moment(row.begun_at) + timedelta(seconds=step.arguments["seconds"]) < bench.now()
    ):
        late = ", ".join(job.name for job in behind)
        return Observation(Sight.SO, f"{late} has not written for long: the proof says what has landed")
    said = ", ".join(_why_behind(bench, job) for job in behind)
    return Observation(Sight.ABSENT if row.begun_at is None else Sight.MOVING, said)


def _why_behind(bench: Bench, job: StreamingJob) -> str:
    """What keeps a job from writing what came, as far as it shows: one that stands is waited for in vain."""
    if jobs.standing(job) in ("stopped", "failed"):
        return f"{job.name} is {job.state.lower()}; start it: {remedies.start_job(bench.environment, job.name)}"
    return f"{job.name} has not written so far"


def _act_nothing(bench: Bench, step: Step, operation: str) -> Receipt:
    del bench, step, operation
    return Receipt()


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    ranges = [Versions(int(first), int(last)) for first, last in plan.wish["ranges"]]
    companies = tuple(plan.wish["companies"])
    asked = [Asked(versions=one, companies=companies, again=True) for one in ranges]
    proof = replay_show.proof_data([bench.prover.hold(bench, each) for each in asked], ranges)
    sent = [step for step in plan.steps if step.kind == CHUNK]
    runs = list(_all_runs(bench, operation))
    return {
        "changed": True,
        "summary": f"{replay_show.verdict(proof)}. The proof: lpmops replay show {operation}",
        "from_version": ranges[0].first,
        "to_version": ranges[-1].last,
        "companies": list(companies),
        "chunks": [_chunk_data(bench, step, operation, runs) for step in sent],
        "latency": replay_latency.measured(bench, runs),
        "proof": proof,
    }


def _chunk_data(bench: Bench, step: Step, operation: str, runs: Sequence[ReplayRun]) -> dict[str, Any]:
    """What became of a chunk, of the runs of all. `rate` is in events a second over the run that did it, its cluster's start counted in."""
    n = step.arguments["n"]
    runs = [run for run in runs if run.name == run_name(operation, n)]
    progress: ReplayProgress | None = bench.services.replays.progress(replay_id(operation, n))
    rows = None if progress is None else progress.rows
    done = next((run for run in runs if run.state == "done"), None)
    seconds = None
    if done is not None and done.started_at is not None and done.ended_at is not None:
        seconds = (done.ended_at - done.started_at).total_seconds()
    return {
        "n": n,
        "from_version": step.arguments["first"],
        "to_version": step.arguments["last"],
        "rows": rows,
        "quarantined": None if progress is None else progress.quarantined,
        "state": "done",
        "run_id": None if done is None else done.run_id,
        "url": None if done is None else done.url or None,
        "runs": len(runs),
        "seconds": seconds,
        "rate": round(rows / seconds, 1) if rows is not None and seconds else None,
    }


RUN = Action(
    name=NAME,
    title="Send versions again",
    help="Send versions of the source table again, for every company or some, in bounded runs beside the stream, and prove that all has landed.",
    plan=plan_run,
    handlers={
        CHUNK: Handler(_observe_chunk, _act_chunk, limit=lambda step: float(step.arguments["seconds"])),
        LANDED: Handler(_observe_landed, _act_nothing, limit=lambda step: 2 * float(step.arguments["seconds"])),
    },
    verify=_verify,
    pins=("tenant", "server", "workspace"),
    hard=True,
    inputs=replay_inputs.FIELDS,
    fill=lambda _: {"missing": False, "chunk": None},
    halt=replay_halt.end_runs,
)

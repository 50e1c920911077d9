"""Which job writes to which database, how much room is left, and what is refused past a cap.

Pure: databases, routes and what each job has today in, a plan out; the same world gives the same plan. A database stays with the job that has
it, whatever comes beside it, and so does the part that only one job has (`unrouted`, heartbeats, counts), because each move stops a job. Caps:
outputs a job (Stream Analytics' limits, and what it says of many tenants in one job), consumer groups a hub, characters a query, throughput units a
namespace.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lpmops.config import Column, Config, Environment, Kpi, Routing
from lpmops.routing.query import CONTROL_OUTPUTS, INPUT, KPI, QUERY_LIMIT, Share, job_query, kpi_output
from lpmops.routing.routes import DATABASE_AT_MOST, Route, drawn, refusal_of_id, refusal_of_name

OUTPUTS_PLANNED, OUTPUTS_AT_MOST = 40, 60
# Standard: 20 a hub, less $Default and the people's. Premium 100, Dedicated 1,000 (Event Hubs quotas).
GROUPS = {"basic": 0, "standard": 18, "premium": 98, "dedicated": 998}
# What a throughput unit lets out, in bytes a second.
EGRESS_OF_A_UNIT = 2_000_000
_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the plan follows. `ingress` is bytes a second into the hub and `throughput_units` what the namespace has, None where unknown.

    `jobs_may_come` says whether jobs that do not exist may be planned; without it what exists is filled up to the hard cap.
    """

    job_prefix: str
    strategy: str = "reference"
    columns: tuple[Column, ...] = ()
    routing: Routing = field(default_factory=Routing)
    kpi: Kpi = field(default_factory=Kpi)
    groups: int = GROUPS["standard"]
    ingress: float | None = None
    throughput_units: float | None = None
    jobs_may_come: bool = True

    @classmethod
    def of(
        cls,
        config: Config,
        environment: Environment,
        *,
        groups: int = GROUPS["standard"],
        ingress: float | None = None,
        throughput_units: float | None = None,
        jobs_may_come: bool = True,
    ) -> Settings:
        """What the configuration says for an environment, with what was measured of its hub."""
        streams = environment.streamanalytics
        return cls(
            streams.job_prefix,
            streams.strategy,
            config.columns,
            config.routing,
            config.kpi,
            groups,
            ingress,
            throughput_units,
            jobs_may_come,
        )


@dataclass(frozen=True, slots=True)
class Present:
    """A job as it is: the databases it writes, whether it has the `unrouted` output, and its consumer group ("" where unknown or shared)."""

    databases: tuple[str, ...] = ()
    control: bool = False
    consumer_group: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """One job of the plan. `outputs` are all it writes, in order; `query` its whole text, empty where none can be made."""

    job: str
    consumer_group: str
    share: Share
    outputs: tuple[str, ...]
    query: str
    exists: bool

    @property
    def room(self) -> int:
        """Outputs that can still be planned on it; below zero where it has more than that."""
        return OUTPUTS_PLANNED - len(self.outputs)


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """All jobs by name. A plan with refusals must not be deployed; each is a sentence that says which cap or rule, and what to do.

    `lost` counts the active companies by the database they are routed to where no job writes it: their records would go to `unrouted`.
    """

    shards: tuple[Shard, ...]
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    groups: int = GROUPS["standard"]
    egress: float | None = None
    egress_limit: float | None = None
    lost: Mapping[str, int] = field(default_factory=dict)

    def shard_of(self, database: str) -> Shard | None:
        """The job that writes to a database; None where none would."""
        wanted = database.casefold()
        return next((one for one in self.shards if wanted in (name.casefold() for name in one.share.databases)), None)

    @property
    def room(self) -> int:
        """Company databases that can still come before a job has more than planned, new jobs included."""
        of_each = max(1, self._outputs_of_a_database())
        there = sum(max(0, shard.room) // of_each for shard in self.shards)
        return there + max(0, self.groups - len(self.shards)) * (OUTPUTS_PLANNED // of_each)

    def _outputs_of_a_database(self) -> int:
        return 2 if any(name.startswith(kpi_output("")) for shard in self.shards for name in shard.outputs) else 1

    def head_room(self) -> dict[str, str]:
        """What is used of each cap, in words, by what it is a cap of."""
        used = {shard.job: f"{len(shard.outputs)} of {OUTPUTS_PLANNED} outputs planned" for shard in self.shards}
        used["consumer groups"] = f"{len(self.shards)} of {self.groups}"
        longest = max((len(shard.query) for shard in self.shards), default=0)
        used["longest query"] = f"{longest:,} of {QUERY_LIMIT:,} characters"
        if self.egress is not None and self.egress_limit is not None:
            used["egress"] = f"{self.egress / 1e6:.1f} of {self.egress_limit / 1e6:.1f} MB/s"
        return used


def plan(
    databases: Iterable[str],
    settings: Settings,
    *,
    routes: Iterable[Route] = (),
    present: Mapping[str, Present] | None = None,
) -> ShardPlan:
    """Pack databases into jobs. `routes` are all of the environment (their ids are text of the `query` strategy), `present` the jobs there are."""
    there = dict(present or {})
    wanted, given = sorted(set(databases)), tuple(routes)
    refusals = [*_names_refused(wanted), *_routes_refused(given, settings)]
    shares = _pack(wanted, there, settings, refusals)
    control = _control_job(shares, there)
    companies = _companies(given) if settings.strategy == "query" else None
    shards = []
    for job in sorted(shares):
        elsewhere = tuple(sorted(name for other, names in shares.items() if other != job for name in names))
        share = Share(shares[job], job == control, elsewhere, companies)
        shards.append(_shard(job, share, settings, there.get(job), refusals))
    _check_outputs(shards, refusals)
    # A job without outputs is not deployed, and reads nothing.
    reading = sum(bool(shard.outputs) for shard in shards)
    if reading > settings.groups:
        refusals.append(
            f"{reading} jobs read the hub, each with a consumer group of its own, and the hub has room for {settings.groups}: "
            "more company databases need a second hub, or a namespace of a higher tier."
        )
    egress, limit = _egress(reading, settings, refusals)
    warnings = (*_crowded(shards), *_confusable(given))
    lost = Counter(route.database for route in given if route.active and route.database not in wanted)
    return ShardPlan(
        tuple(shards), tuple(refusals), warnings, settings.groups, egress, limit, dict(sorted(lost.items()))
    )


# Packing --------------------------------------------------------------------------------------------------------------------------------------------


def _pack(
    databases: Sequence[str], present: Mapping[str, Present], settings: Settings, refusals: list[str]
) -> dict[str, tuple[str, ...]]:
    of_each = 2 if settings.kpi.output == "company" else 1
    own = len(CONTROL_OUTPUTS) - (0 if settings.kpi.output == "control" else 1)
    left = {name.casefold(): name for name in databases}
    shares: dict[str, list[str]] = {job: [] for job in sorted(present)}
    for job in shares:
        shares[job] = [left.pop(key) for name in present[job].databases if (key := name.casefold()) in left]
    if not shares and settings.jobs_may_come:
        shares[f"{settings.job_prefix}01"] = []
    if not shares:
        refusals.append(f"There is no job {settings.job_prefix}01 that could write anywhere: make it first.")
        return {}
    control = _control_job(shares, present)

    def used(job: str) -> int:
        return len(shares[job]) * of_each + (own if job == control else 0)

    for name in sorted(left.values()):
        job = min(shares, key=lambda job: (used(job), job))
        if used(job) + of_each > OUTPUTS_PLANNED and settings.jobs_may_come and len(shares) < settings.groups:
            job = _next_job(shares, settings.job_prefix)
            shares[job] = []
        shares[job].append(name)
    return {job: tuple(sorted(names)) for job, names in shares.items()}


def _control_job(jobs: Iterable[str], present: Mapping[str, Present]) -> str:
    """The one job with `unrouted`, heartbeats and counts: the one that has them, else the first."""
    chosen = sorted(jobs)
    having = [job for job in chosen if job in present and present[job].control]
    return next(iter([*having, *chosen]), "")


def _next_job(jobs: Iterable[str], prefix: str) -> str:
    taken = {int(found[1]) for job in jobs if (found := _NUMBER.search(job.removeprefix(prefix)))}
    return f"{prefix}{next(number for number in range(1, len(taken) + 2) if number not in taken):02}"


def _shard(job: str, share: Share, settings: Settings, present: Present | None, refusals: list[str]) -> Shard:
    outputs = [*share.databases]
    if settings.kpi.output == "company":
        outputs += [kpi_output(name) for name in share.databases]
    if share.control:
        outputs += [name for name in CONTROL_OUTPUTS if name != KPI or settings.kpi.output == "control"]
    text = ""
    try:
        text = job_query(share, settings.columns, settings.routing, settings.kpi) if outputs else ""
    except ValueError as error:
        refusals.append(f"No query can be made for {job}: {error}.")
    group = (present.consumer_group if present else "") or group_of(job)
    return Shard(job, group, share, tuple(outputs), text, present is not None)


def group_of(job: str) -> str:
    """The consumer group that a job gets where it has none of its own."""
    found = _NUMBER.search(job)
    return f"asa-{found[1] if found else job}"


def _companies(routes: Iterable[Route]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for route in routes:
        if route.active:
            found.setdefault(route.database, []).append(route.company_id)
    return found


# What is refused, and what is told ------------------------------------------------------------------------------------------------------------------


def _names_refused(databases: Sequence[str]) -> list[str]:
    reserved = {name.casefold() for name in (*CONTROL_OUTPUTS, INPUT)}
    found = []
    for name in databases:
        if reason := refusal_of_name(name, DATABASE_AT_MOST):
            found.append(f"The database {name[:80]!r} can't be written to: {reason}.")
        elif name.casefold() in reserved:
            found.append(f"The database {name!r} can't be written to: each job has an input or output of that name.")
    return found


def _routes_refused(routes: Sequence[Route], settings: Settings) -> list[str]:
    found = []
    for route in routes:
        if reason := refusal_of_id(route.company_id, settings.routing.key_type):
            found.append(f"The company id {route.company_id[:80]!r} can't be routed: {reason}.")
    twice = [name for name, count in Counter(route.company_id for route in routes).items() if count > 1]
    return [
        *found,
        *(f"The company id {name!r} is routed twice: a company has one database." for name in sorted(twice)),
    ]


def _check_outputs(shards: Sequence[Shard], refusals: list[str]) -> None:
    for shard in shards:
        if len(shard.outputs) > OUTPUTS_AT_MOST:
            refusals.append(
                f"{shard.job} would have {len(shard.outputs)} outputs; Stream Analytics takes {OUTPUTS_AT_MOST}: "
                "another job of the prefix takes some of the databases."
            )
        twice = [name for name, count in Counter(name.casefold() for name in shard.outputs).items() if count > 1]
        refusals += [f"{shard.job} would have two outputs named {name!r}: rename that database." for name in twice]


def _crowded(shards: Sequence[Shard]) -> list[str]:
    crowded = [
        f"{shard.job} will have {len(shard.outputs)} outputs; from {OUTPUTS_PLANNED} on a small job may not start."
        for shard in shards
        if OUTPUTS_PLANNED < len(shard.outputs) <= OUTPUTS_AT_MOST
    ]
    idle = [f"{shard.job} has nothing to write to: nothing is deployed to it." for shard in shards if not shard.outputs]
    return [*crowded, *idle]


def _egress(shards: int, settings: Settings, refusals: list[str]) -> tuple[float | None, float | None]:
    egress = None if settings.ingress is None else settings.ingress * shards
    limit = None if settings.throughput_units is None else settings.throughput_units * EGRESS_OF_A_UNIT
    if egress is not None and limit is not None and egress > limit:
        refusals.append(
            f"{shards} jobs read {egress / 1e6:.1f} MB/s between them, and {settings.throughput_units:g} throughput units let out "
            f"{limit / 1e6:.1f} MB/s: give the namespace more of them first."
        )
    return egress, limit


def _confusable(routes: Sequence[Route]) -> list[str]:
    ids = [route.company_id for route in routes]
    seen: dict[str, list[str]] = {}
    for company_id in ids:
        seen.setdefault(drawn(company_id), []).append(company_id)
    return [
        f"The company ids {', '.join(map(ascii, sorted(names)))} look alike and are different companies."
        for names in seen.values()
        if len(set(names)) > 1
    ]

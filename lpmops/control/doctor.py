"""The assessment of one environment: sign-in, what answers, rights, features, limits, and whether it can keep its promises.

All questions go out at once and come back within one patience; what could not be asked is unknown, with why, and keeps nothing else from being
judged. Needs no right to write, and writes nothing. A paused database is told by its server and is not connected to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from lpmops import resources
from lpmops.config import Config, Environment
from lpmops.control import access, access_rows, fitness, questions, remedies
from lpmops.control.doctor_features import features
from lpmops.control.doctor_limits import limits
from lpmops.control.findings import Finding, Level, by_area
from lpmops.control.questions import Answers, Asked, Once, Unasked, unanswered
from lpmops.control.remedies import command
from lpmops.errors import DatabasePausedError
from lpmops.plain_text import plain
from lpmops.routing.landscape import Kind

if TYPE_CHECKING:
    from lpmops.services.cloud import EnvironmentServices

PATIENCE = 13.0
_CLOCK_SECONDS = 30.0
# How long a question to a database waits for what its server says of it.
_SERVER_SECONDS = 3.0
_METRICS = ("IncomingBytes", "OutgoingBytes", "ThrottledRequests")
# What each service is asked that shows that it answers, and how it is called.
_REACH: Mapping[str, tuple[str, str]] = {
    "feed": ("databricks", "Databricks"),
    "namespace": ("eventhub", "Event Hubs"),
    "partitions": ("hub", "the hub"),
    "asa": ("asa", "Stream Analytics"),
    "metrics": ("monitor", "Azure Monitor"),
    "logs": ("logs", "Log Analytics"),
}


def examine(
    services: EnvironmentServices, config: Config, now: Callable[[], datetime], patience: float = PATIENCE
) -> list[Finding]:
    """Everything that there is to say of an environment, by area, the worst first. Comes back within `patience` seconds, and never raises."""
    environment = services.environment
    asked = _without_waking(services, {**access.asked(services), **_asked(services, environment)})
    answers = questions.ask(f"{environment.name}-doctor", asked, patience, now)
    rules: Mapping[str, Callable[[], Iterable[Finding]]] = {
        "configuration": lambda: _pins(environment, answers),
        "sign-in": lambda: _sign_in(services, answers, now()),
        "reach": lambda: _reach(environment, answers),
        "rights": lambda: _rights(environment, answers),
        "features": lambda: features(environment, answers),
        "limits": lambda: limits(environment, answers),
        "latency": lambda: _latency(environment, config, answers),
    }
    return by_area([finding for area, rule in rules.items() for finding in _judged(area, rule)])


def _judged(area: str, rule: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a rule finds; where it fails, what it found until then, and that the rest of its area is unknown; the other areas are judged."""
    found = list[Finding]()
    try:
        found.extend(rule())
    except Exception as error:  # noqa: BLE001 - a fault in one rule must not hide what the others find
        said = f"lpmops failed on what was answered ({type(error).__name__}): the rest of this was not judged."
        todo = ("That is a fault of lpmops: report it with this and what lpmops --version says.",)
        found.append(Finding(f"{area}.judged", area, Level.UNKNOWN, said, (), todo))
    return found


def _asked(services: EnvironmentServices, environment: Environment) -> dict[str, Asked]:
    namespace = environment.namespace_id
    kind = "Microsoft.EventHub/namespaces"

    def settings() -> Mapping[str, Any]:
        job = services.databricks.stream_job()
        return {} if job is None else services.databricks.job_settings(job.job_id)

    def logs() -> object:
        if not environment.monitor.log_analytics_workspace:
            return None
        return services.monitor.logs(resources.query("kql/reach.kql"), 5)

    def diagnostics() -> dict[str, tuple[Mapping[str, Any], ...]]:
        jobs = services.streamanalytics.jobs()
        return {job.name: services.resources.every(Kind.SETTING, job.resource_id) for job in jobs}

    return {
        "clock": ("azure", lambda: services.clock_ahead()),
        "tenant": ("azure", lambda: services.tenant_id()),
        "workspace_id": ("databricks", lambda: services.databricks.workspace_id()),
        "server": ("sql", lambda: services.sql.rows(environment.sql.control_database, "server_name")),
        "feed": ("databricks", lambda: services.databricks.feed()),
        "settings": ("databricks", settings),
        "warehouse": ("databricks", lambda: services.databricks.warehouse()),
        "progress": ("databricks", lambda: services.databricks.progress()),
        "namespace": ("hub", lambda: services.eventhubs.namespace()),
        "hub": ("hub", lambda: services.eventhubs.hub()),
        "groups": ("hub", lambda: services.eventhubs.consumer_groups()),
        "partitions": ("amqp", lambda: services.eventhubs.partitions()),
        "diagnostics": ("jobs", diagnostics),
        "metrics": ("monitor", lambda: services.monitor.metrics(kind, (namespace,), _METRICS, 10, "Total")),
        "logs": ("monitor", logs),
    }


def _without_waking(services: EnvironmentServices, asked: Mapping[str, Asked]) -> dict[str, Asked]:
    """The same, but that a database which its server says is paused is not connected to: that would wake it, and cost money."""
    databases = Once(lambda: services.sqlservers.databases())

    def careful(name: str, how: Callable[[], Any]) -> Any:
        known = databases.within(_SERVER_SECONDS) or {}
        if name in known and known[name].status.lower() in ("paused", "pausing"):
            raise DatabasePausedError(
                f"{name} is paused.",
                service="azuresql",
                hint="A record that comes wakes it; until then it costs nothing.",
            )
        return how()

    found = {
        key: (system, partial(careful, key.partition(".")[2], how) if key.startswith(("own.", "held.")) else how)
        for key, (system, how) in asked.items()
    }
    return {**found, "databases": ("azure", databases)}


def _pins(environment: Environment, answers: Answers) -> Iterator[Finding]:
    """The ids that the clouds themselves say, against those of the configuration."""
    pinned = {
        "tenant": (environment.tenant_id, "tenant"),
        "workspace": (environment.databricks.workspace_id, "workspace_id"),
        "server": (environment.sql.server_name, "server"),
    }
    for name, (wanted, question) in pinned.items():
        identifier = f"configuration.{name}"
        if not wanted:
            yield Finding(
                identifier,
                "configuration",
                Level.WARN,
                f"No {name} is pinned: a change could go to another one.",
                (),
                ("Pin it in lpmops.toml.",),
            )
            continue
        try:
            answer = answers[question]
        except Unasked as error:
            yield unanswered(identifier, "configuration", error, f"The {name}'s id")
            continue
        live = answer[0]["server_name"] if name == "server" and answer else answer
        same = str(live or "").lower() == wanted.lower()
        said = (
            f"The {name} is the pinned one."
            if same
            else f"The {name} is another than the pinned one: nothing can be changed."
        )
        todo = () if same else (f"lpmops config show --origin -e {environment.name}",)
        yield Finding(
            identifier,
            "configuration",
            Level.OK if same else Level.BAD,
            said,
            (f"pinned {wanted}", f"live {plain(live)}"),
            todo,
        )


def _sign_in(services: EnvironmentServices, answers: Answers, now: datetime) -> Iterator[Finding]:
    found = services.credential.state()
    evidence = [f"identity {plain(found.identity)}"] if found.identity else []
    if found.expires_at is not None:
        evidence.append(f"token for {(found.expires_at - now).total_seconds() / 60:.0f} min")
    level = {"ok": Level.OK, "expiring": Level.OK, "unknown": Level.UNKNOWN}.get(found.state, Level.BAD)
    said = {Level.OK: "Signed in.", Level.UNKNOWN: "Nobody has signed in yet."}.get(
        level, f"The sign-in is {found.state}."
    )
    yield Finding(
        "sign-in.identity",
        "sign-in",
        level,
        said,
        tuple(evidence),
        (found.remedy,) if level is Level.BAD and found.remedy else (),
    )
    try:
        ahead = answers["clock"]
    except Unasked as error:
        yield unanswered("sign-in.clock", "sign-in", error, "The services' clock")
        return
    if ahead is None:
        yield Finding("sign-in.clock", "sign-in", Level.UNKNOWN, "The service does not say its time.")
        return
    off = abs(ahead) > _CLOCK_SECONDS
    said = (
        f"This machine's clock is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}: ages are wrong, and sign-ins may be refused."
        if off
        else "This machine's clock agrees with the services'."
    )
    yield Finding(
        "sign-in.clock",
        "sign-in",
        Level.WARN if off else Level.OK,
        said,
        (f"{ahead:+.0f} s",),
        ("timedatectl set-ntp true",) if off else (),
    )


def _reach(environment: Environment, answers: Answers) -> Iterator[Finding]:
    for question, (name, title) in _REACH.items():
        identifier = f"reach.{name}"
        try:
            answer = answers[question]
        except Unasked as error:
            # A service that refuses has answered: rights say the rest.
            refused = error.problem.code == "auth.forbidden"
            level = Level.WARN if refused else Level.UNKNOWN if error.problem.code == "auth.expired" else Level.BAD
            said = f"{title[0].upper()}{title[1:]} {'refuses this identity' if refused else 'could not be reached'}."
            yield Finding(
                identifier,
                "reach",
                level,
                said,
                (error.problem.message,),
                (error.problem.hint,) if error.problem.hint else (),
            )
            continue
        if answer is None and question == "logs":
            yield Finding(
                identifier,
                "reach",
                Level.WARN,
                "No Log Analytics workspace is configured: logs can't be read.",
                (),
                ("Set monitor.log_analytics_workspace in lpmops.toml.",),
            )
            continue
        yield Finding(identifier, "reach", Level.OK, f"{title[0].upper()}{title[1:]} answers.")
    yield from _reach_databases(environment, answers)


def _reach_databases(environment: Environment, answers: Answers) -> Iterator[Finding]:
    names = (environment.sql.control_database, *environment.sql.databases)
    problems = {name: answers.problems[f"own.{name}"] for name in names if f"own.{name}" in answers.problems}
    if not problems:
        yield Finding(
            "reach.sql",
            "reach",
            Level.OK,
            f"All {len(names)} databases answer.",
            (f"at {environment.sql.server}:{environment.sql.port}",),
        )
        return
    for name, problem in problems.items():
        level = Level.UNKNOWN if problem.code == "auth.expired" else Level.BAD
        todo = (problem.hint, remedies.show_database(environment, name))
        yield Finding(
            f"reach.sql.{name}",
            "reach",
            level,
            f"Database {plain(name)} could not be reached.",
            (problem.message,),
            tuple(filter(None, todo)),
        )


def _rights(environment: Environment, answers: Answers) -> Iterator[Finding]:
    found = access_rows.rows(environment, answers)
    for right in access_rows.merged([each for each in found if each.state == "lacks"]):
        grant = command(
            "lpmops", "access", "grant", "-e", environment.name, "--identity", right.identity, "--only", right.system
        )
        hand = () if right.may_grant is not False else (f"not for you to give: hand it to {right.giver}",)
        said = f"{plain(right.who)} lacks {right.right} on {plain(right.on.rpartition('/')[2])}."
        yield Finding(
            f"rights.{right.need}",
            "rights",
            Level.BAD,
            said,
            (f"needed for: {right.needed_for}", right.why),
            (*hand, right.grant) if hand else (grant, right.grant),
        )
    unknown = [each for each in found if each.state == "unknown"]
    if unknown:
        reasons = tuple(dict.fromkeys(each.why for each in unknown))
        yield Finding(
            "rights.unknown",
            "rights",
            Level.UNKNOWN,
            f"{len(unknown)} rights could not be asked about.",
            reasons[:5],
            (f"lpmops access show -e {environment.name}",),
        )
    there = sum(each.state == "has" for each in found)
    if there:
        yield Finding("rights.there", "rights", Level.OK, f"{there} of {len(found)} rights that are needed are there.")


def _latency(environment: Environment, config: Config, answers: Answers) -> Iterator[Finding]:
    thresholds = config.thresholds
    rules: tuple[tuple[str, str, Callable[[], Iterable[Finding]]], ...] = (
        (
            "latency.job",
            "The streaming job",
            lambda: fitness.job(environment, thresholds, answers["job"], answers["settings"]),
        ),
        ("latency.batch", "The stream's progress", lambda: fitness.batches(thresholds, answers["progress"])),
        (
            "latency.partitions",
            "The hub's partitions",
            lambda: fitness.hub(thresholds, answers["hub"], answers["asa"]),
        ),
        (
            "latency.windows",
            "The jobs' windows",
            lambda: [each for job in answers["asa"] for each in fitness.analytics(environment, thresholds, job)],
        ),
        (
            "latency.databases",
            "The databases' settings",
            lambda: fitness.databases(environment, thresholds, answers["databases"]),
        ),
    )
    for identifier, what, rule in rules:
        try:
            yield from list(rule())
        except Unasked as error:
            yield unanswered(identifier, "latency", error, what)

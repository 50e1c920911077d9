"""The part of the assessment that looks at what is switched on: the change feed, the namespace's tier, the jobs' settings and their logs.

Judges what was answered and asks nothing. What has no answer is unknown, and keeps nothing else from being judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lpmops.config import Environment
from lpmops.control import remedies
from lpmops.control.findings import Finding, Level
from lpmops.control.questions import Answers, Unasked, unanswered
from lpmops.control.remedies import command
from lpmops.model import FeedState, NamespaceState, StreamingJob


def features(environment: Environment, answers: Answers) -> Iterator[Finding]:
    """What of each hop is switched on, and how the jobs are set up."""
    try:
        feed: FeedState = answers["feed"]
        on = feed.kind != "off"
        evidence = (
            f"change feed {feed.kind}",
            f"writer version {feed.writer_version}",
            f"features: {', '.join(feed.features) or 'none'}",
        )
        said = (
            "The table records its changes."
            if on
            else "The table does not record its changes: nothing can be streamed."
        )
        yield Finding(
            "features.change_feed",
            "features",
            Level.OK if on else Level.BAD,
            said,
            evidence,
            () if on else (remedies.enable_feed(environment),),
            "" if on else "60 s",
        )
    except Unasked as error:
        yield unanswered("features.change_feed", "features", error, "The table's change feed")
    try:
        namespace: NamespaceState = answers["namespace"]
        basic = namespace.tier.lower() == "basic"
        said = (
            "Tier Basic has no Kafka endpoint and one consumer group: the stream can't send to it."
            if basic
            else f"Tier {namespace.tier} has what the stream needs."
        )
        yield Finding(
            "features.tier",
            "features",
            Level.BAD if basic else Level.OK,
            said,
            (f"{namespace.tier}, {namespace.throughput_units} throughput units",),
        )
    except Unasked as error:
        yield unanswered("features.tier", "features", error, "The namespace's tier")
    yield from _job_features(environment, answers)


def _job_features(environment: Environment, answers: Answers) -> Iterator[Finding]:
    try:
        jobs: Sequence[StreamingJob] = answers["asa"]
    except Unasked as error:
        yield unanswered("features.jobs", "features", error, "The Stream Analytics jobs")
        return
    deploy = command("lpmops", "asa", "deploy", "-e", environment.name, "--dry-run")
    if not jobs:
        yield Finding(
            "features.jobs",
            "features",
            Level.BAD,
            "There is no Stream Analytics job: nothing lands.",
            (),
            (deploy,),
            "60 s",
        )
    for job in jobs:
        wrong = [
            *(["drops rows that do not fit, silently"] if job.output_error_policy == "Drop" else []),
            *(
                [f"has compatibility level {job.compatibility_level}"]
                if job.compatibility_level not in ("1.2", None)
                else []
            ),
        ]
        said = f"{job.name} {' and '.join(wrong)}." if wrong else f"{job.name} is set up as lpmops sets it up."
        evidence = (f"output error policy {job.output_error_policy}", f"compatibility level {job.compatibility_level}")
        yield Finding(
            f"features.job.{job.name}",
            "features",
            Level.WARN if wrong else Level.OK,
            said,
            evidence,
            (deploy,) if wrong else (),
        )
    yield from _diagnostics(environment, answers)


def _diagnostics(environment: Environment, answers: Answers) -> Iterator[Finding]:
    try:
        found: Mapping[str, Sequence[Mapping[str, Any]]] = answers["diagnostics"]
    except Unasked as error:
        yield unanswered("features.diagnostics", "features", error, "The jobs' diagnostic settings")
        return
    for job, settings in found.items():
        logged = {
            str(log.get("category") or log.get("categoryGroup"))
            for setting in settings
            for log in (setting.get("properties") or {}).get("logs") or ()
            if log.get("enabled")
        }
        whole = bool(logged & {"allLogs"}) or {"Execution", "Authoring"} <= logged
        said = (
            f"{job} writes its logs."
            if whole
            else f"{job} writes no log of its execution: why it drops or fails can't be told."
        )
        todo = () if whole else (command("lpmops", "provision", "apply", "-e", environment.name, "--dry-run"),)
        yield Finding(
            f"features.diagnostics.{job}",
            "features",
            Level.OK if whole else Level.WARN,
            said,
            (f"categories: {', '.join(sorted(logged)) or 'none'}",),
            todo,
        )

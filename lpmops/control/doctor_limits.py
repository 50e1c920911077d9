"""The part of the assessment that looks at limits: consumer groups, what is kept for how long, outputs of a job, bytes out of the namespace.

Judges what was answered and asks nothing. What has no answer is unknown, and keeps nothing else from being judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lpmops.config import Environment
from lpmops.control import remedies
from lpmops.control.findings import Finding, Level
from lpmops.control.questions import Answers, Unasked, unanswered
from lpmops.model import FeedState, HubState, StreamingJob
from lpmops.plain_text import counted, plain

_GROUPS: Mapping[str, int] = {"basic": 1, "standard": 20, "premium": 100, "dedicated": 1_000}
_OUTPUTS_PLANNED, _OUTPUTS_MOST, _QUERY_MOST = 40, 60, 512_000
_WEEK = 7 * 86_400.0
# What a throughput unit gives, in bytes a second.
_UNIT_OUT = 2_000_000.0


def limits(environment: Environment, answers: Answers) -> Iterator[Finding]:
    """How much of each limit is used, and how long the hub and the change feed keep what was not read."""
    yield from _groups(answers)
    yield from _retention(environment.databricks.table, answers)
    try:
        for job in answers["asa"]:
            yield _outputs(job)
        yield from _egress(environment, answers)
    except Unasked as error:
        yield unanswered("limits.outputs", "limits", error, "The jobs' outputs")


def _groups(answers: Answers) -> Iterator[Finding]:
    try:
        used, namespace = len(answers["groups"]), answers["namespace"]
    except Unasked as error:
        yield unanswered("limits.consumer_groups", "limits", error, "The hub's consumer groups")
        return
    most = _GROUPS.get(namespace.tier.lower(), 20)
    level = Level.BAD if used >= most else Level.WARN if used >= most - 2 else Level.OK
    said = f"{used} of {most} consumer groups are used" + ("; no further job can be added." if used >= most else ".")
    yield Finding(
        "limits.consumer_groups", "limits", level, said, tuple(plain(name) for name in answers["groups"][:20])
    )


def _span(seconds: float) -> str:
    return f"{seconds / 86_400:g} d" if seconds >= 86_400 else f"{seconds / 3_600:.3g} h"


def _retention(table: str, answers: Answers) -> Iterator[Finding]:
    try:
        hub: HubState = answers["hub"]
        short = hub.retention < _WEEK
        said = f"The hub keeps events {_span(hub.retention)}" + (
            ": a job that stands longer loses records." if short else "."
        )
        yield Finding(
            "limits.hub_retention",
            "limits",
            Level.WARN if short else Level.OK,
            said,
            (f"{hub.partitions} partitions",),
            ("Let the hub keep 7 days: eventhub.retention_days in lpmops.toml, then lpmops provision apply.",)
            if short
            else (),
        )
    except Unasked as error:
        yield unanswered("limits.hub_retention", "limits", error, "The hub's retention")
    try:
        feed: FeedState = answers["feed"]
    except Unasked as error:
        yield unanswered("limits.feed_retention", "limits", error, "How long the change feed lasts")
        return
    if feed.retention is None:
        yield Finding(
            "limits.feed_retention",
            "limits",
            Level.UNKNOWN,
            "How long the change feed lasts can't be told from the table.",
        )
        return
    short = feed.retention < _WEEK
    said = f"Changes last {_span(feed.retention)}" + (": a replay reaches no further back." if short else ".")
    todo = (
        (f"ALTER TABLE {table} SET TBLPROPERTIES (delta.deletedFileRetentionDuration = 'interval 7 days')",)
        if short
        else ()
    )
    yield Finding("limits.feed_retention", "limits", Level.WARN if short else Level.OK, said, (), todo)


def _outputs(job: StreamingJob) -> Finding:
    outputs, length = len(job.outputs), len(job.query)
    level = Level.BAD if outputs >= _OUTPUTS_MOST else Level.WARN if outputs > _OUTPUTS_PLANNED else Level.OK
    said = f"{job.name} has {outputs} of {_OUTPUTS_MOST} outputs" + (
        "; a further database needs another job." if level is not Level.OK else "."
    )
    evidence = (f"query {length:,} of {_QUERY_MOST:,} characters", f"{job.streaming_units or 0:g} streaming units")
    return Finding(f"limits.outputs.{job.name}", "limits", level, said, evidence)


def _egress(environment: Environment, answers: Answers) -> Iterator[Finding]:
    """What all jobs read together against what the namespace gives: each reads the whole stream."""
    try:
        series, namespace = answers["metrics"], answers["namespace"]
    except Unasked as error:
        yield unanswered("limits.throughput", "limits", error, "The namespace's load")
        return
    peaks = {
        each.metric: max((point.value for point in each.points if point.value is not None), default=None)
        for each in series
    }
    incoming = peaks.get("IncomingBytes")
    if incoming is None:
        yield Finding(
            "limits.throughput", "limits", Level.UNKNOWN, "Azure Monitor has no bytes of the last minutes yet."
        )
        return
    jobs = len(answers["asa"])
    needed, given = incoming / 60 * max(1, jobs), _UNIT_OUT * max(1, namespace.throughput_units)
    share = needed / given
    level = Level.BAD if share > 1 else Level.WARN if share > 0.7 else Level.OK
    reading = counted(jobs, "job reads", "jobs read")
    said = f"{reading} {needed / 1e6:.2f} MB/s of the {given / 1e6:g} MB/s that {namespace.throughput_units} throughput units give."
    todo = (remedies.add_throughput(environment, namespace),) if level is not Level.OK else ()
    yield Finding(
        "limits.throughput",
        "limits",
        level,
        said,
        (f"incoming {incoming / 60 / 1e6:.2f} MB/s at most in the last minutes",),
        todo,
        "60 s" if level is Level.BAD else "",
    )

"""Whether an environment can keep its promises: each setting on the record's way that costs seconds, held against 60 s and the stretch of 15 s.

Pure rules over what the services said. Figures: an unset trigger makes a batch in 3 to 5 s; a trigger should be a third of the promise at most; an
empty partition holds an output back for up to the late arrival tolerance; a paused database takes about a minute to resume, a new cluster minutes to
start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lpmops.config import Environment, Thresholds
from lpmops.control import remedies
from lpmops.control.findings import Finding, Level
from lpmops.control.remedies import command
from lpmops.model import HubState, StreamingJob, StreamJob, StreamProgress
from lpmops.plain_text import plain

_SHARE = 3.0
# Few partitions at little volume: an empty one holds the output back.
_PARTITIONS = 4
_CLASSIC_SMALL = frozenset({"Basic", "S0", "S1", "S2"})


def job(
    environment: Environment, limits: Thresholds, found: StreamJob | None, settings: Mapping[str, Any]
) -> Iterator[Finding]:
    """The streaming job: kept running by the service, its trigger, and what it computes on."""
    deploy = command("lpmops", "stream", "deploy", "-e", environment.name, "--dry-run")
    if found is None:
        yield _finding(
            "latency.job", Level.BAD, f"There is no job {environment.databricks.job}.", (), (deploy,), limits.latency
        )
        return
    yield _continuity(environment, limits, found)
    tasks = settings.get("tasks") or [{}]
    yield _trigger(limits, tasks[0], deploy)
    yield _compute(limits, tasks[0], settings, found)


def _continuity(environment: Environment, limits: Thresholds, found: StreamJob) -> Finding:
    evidence = (f"continuous: {found.continuous}", f"paused: {found.paused}", f"run: {found.run.state}")
    if not found.continuous:
        todo = (command("lpmops", "stream", "deploy", "-e", environment.name, "--dry-run"),)
        said = "The streaming job is not continuous: a run that ends is not started again by itself."
        return _finding("latency.continuous", Level.BAD, said, evidence, todo, limits.latency)
    if found.paused:
        todo = (remedies.start_stream(environment),)
        return _finding(
            "latency.continuous",
            Level.BAD,
            "The streaming job is paused: nothing is sent.",
            evidence,
            todo,
            limits.latency,
        )
    return _finding("latency.continuous", Level.OK, "The service keeps the streaming job running.", evidence)


def _trigger(limits: Thresholds, task: Mapping[str, Any], deploy: str) -> Finding:
    words = [str(word) for word in (task.get("spark_python_task") or {}).get("parameters") or ()]
    if words[:1] != ["stream"]:
        said = "The job is not one that lpmops deployed, so its trigger is not known from its arguments."
        return _finding("latency.trigger", Level.UNKNOWN, said, (f"arguments: {' '.join(words) or 'none'}",), (deploy,))
    pairs = dict(zip(words[1::2], words[2::2], strict=False))
    text = pairs.get("--trigger-seconds", "0")
    seconds = int(text) if text.isdecimal() else 0
    evidence = (
        ("default trigger: the next batch as soon as the last is done, 3 to 5 s",)
        if not seconds
        else (f"--trigger-seconds {seconds}",)
    )
    for promise, level in ((limits.latency, Level.BAD), (limits.latency_stretch, Level.WARN)):
        if seconds > promise / _SHARE:
            said = (
                f"A batch begins only every {seconds} s; for {promise:g} s it should be {promise / _SHARE:g} s at most."
            )
            return _finding("latency.trigger", level, said, evidence, (deploy,), promise)
    return _finding("latency.trigger", Level.OK, "The trigger is quick enough.", evidence)


def _compute(limits: Thresholds, task: Mapping[str, Any], settings: Mapping[str, Any], found: StreamJob) -> Finding:
    """What the job runs on: serverless knows no continuous trigger, a new cluster takes minutes to start, a spot one can be taken away."""
    where = command("databricks", "jobs", "get", found.job_id)
    if existing := task.get("existing_cluster_id"):
        said = "The job runs on a cluster that is there: a restart takes seconds, unless the cluster ends by itself."
        return _finding("latency.compute", Level.OK, said, (f"existing_cluster_id {plain(existing)}",), (where,))
    clusters = {
        each.get("job_cluster_key"): each.get("new_cluster") or {} for each in settings.get("job_clusters") or ()
    }
    cluster = task.get("new_cluster") or clusters.get(task.get("job_cluster_key"))
    if not cluster:
        said = "The job runs on serverless compute, which knows no continuous stream and takes time to start."
        return _finding("latency.compute", Level.BAD, said, ("the task names no cluster",), (where,), limits.latency)
    evidence = (
        f"{plain(cluster.get('node_type_id') or 'cluster')}, {plain(cluster.get('num_workers', 'autoscaling'))} workers",
    )
    kind = str((cluster.get("azure_attributes") or {}).get("availability") or "")
    if kind.startswith("SPOT"):
        said = "The job's cluster is of spot machines: Azure takes them back, and a new one takes minutes."
        return _finding(
            "latency.compute", Level.WARN, said, (*evidence, f"availability {plain(kind)}"), (where,), limits.latency
        )
    if cluster.get("autoscale"):
        said = "The job's cluster scales by itself, and each change of its size interrupts a batch."
        return _finding("latency.compute", Level.WARN, said, evidence, (where,), limits.latency_stretch)
    return _finding(
        "latency.compute",
        Level.OK,
        "The job has always-on compute of its own; only a restart waits for a cluster.",
        evidence,
    )


def batches(limits: Thresholds, progress: StreamProgress | None) -> Iterator[Finding]:
    """How long the newest batch of the stream took."""
    if progress is None or progress.batch_seconds is None:
        yield _finding("latency.batch", Level.UNKNOWN, "The stream does not say how long its batches take.")
        return
    seconds = progress.batch_seconds
    evidence = (f"newest batch {seconds:.1f} s",)
    for promise, level in ((limits.latency, Level.BAD), (limits.latency_stretch, Level.WARN)):
        if seconds > promise / _SHARE:
            said = f"A batch takes {seconds:.0f} s, more than a third of {promise:g} s."
            yield _finding("latency.batch", level, said, evidence, (), promise)
            return
    yield _finding("latency.batch", Level.OK, "Batches are quick enough.", evidence)


def hub(limits: Thresholds, found: HubState, jobs: Sequence[StreamingJob]) -> Iterator[Finding]:
    """Partitions against what the jobs can read with their streaming units."""
    evidence = (
        f"{found.partitions} partitions",
        *(f"{job.name}: {job.streaming_units or 0:g} streaming units" for job in jobs),
    )
    if found.partitions > _PARTITIONS:
        said = f"The hub has {found.partitions} partitions; at little volume an empty one holds every output back by the late arrival tolerance."
        yield _finding("latency.partitions", Level.WARN, said, evidence, (), limits.latency_stretch)
        return
    yield _finding("latency.partitions", Level.OK, "The hub has few partitions, so none is empty for long.", evidence)


def analytics(environment: Environment, limits: Thresholds, found: StreamingJob) -> Iterator[Finding]:
    """A Stream Analytics job's windows, whether it is sure to run, and how often it learns of new routes."""
    yield _windows(environment, limits, found)
    refresh = next((part.details.get("refreshRate") for part in found.inputs if part.details.get("refreshRate")), None)
    if refresh is not None:
        seconds = _clock_seconds(str(refresh))
        late = seconds is not None and seconds > 60
        said = (
            f"{found.name} learns of new routes only every {plain(refresh)}."
            if late
            else f"{found.name} learns of new routes each minute."
        )
        yield _finding(
            f"latency.reference.{found.name}",
            Level.WARN if late else Level.OK,
            said,
            (f"refreshRate {plain(refresh)}",),
        )


def _windows(environment: Environment, limits: Thresholds, found: StreamingJob) -> Finding:
    late, order = (
        found.settings.get(name) for name in ("eventsLateArrivalMaxDelayInSeconds", "eventsOutOfOrderMaxDelayInSeconds")
    )
    own_time = re.search(r"\btimestamp\s+by\b", found.query, re.IGNORECASE) is not None
    evidence = (f"late arrival {late} s", f"out of order {order} s", "TIMESTAMP BY" if own_time else "arrival time")
    todo = (command("lpmops", "asa", "deploy", "-e", environment.name, "--job", found.name, "--dry-run"),)
    identifier = f"latency.windows.{found.name}"
    if not isinstance(late, int | float) or not isinstance(order, int | float):
        return _finding(identifier, Level.UNKNOWN, f"{found.name} does not say its tolerances.", evidence)
    # Events of any age (-1) never end a window.
    cost = (float("inf") if late < 0 else float(late)) + (float(order) if own_time else 0.0)
    if cost > limits.latency / 2:
        said = f"{found.name} may hold its output back for {cost:g} s."
        return _finding(identifier, Level.BAD, said, evidence, todo, limits.latency)
    if cost > limits.latency_stretch / _SHARE:
        said = f"{found.name} may hold its output back for {cost:g} s."
        return _finding(identifier, Level.WARN, said, evidence, todo, limits.latency_stretch)
    return _finding(identifier, Level.OK, f"{found.name} waits for nothing that is late.", evidence)


def databases(environment: Environment, limits: Thresholds, found: Mapping[str, Any]) -> Iterator[Finding]:
    """Databases that are paused, that pause by themselves, or that are small."""
    names = (environment.sql.control_database, *environment.sql.databases)
    known = [found[name] for name in names if name in found]
    missing = [name for name in names if name not in found]
    paused = [each for each in known if each.status.lower() in ("paused", "pausing")]
    pausing = [each for each in known if each.auto_pause is not None]
    small = [each for each in known if each.tier == "Basic" or each.objective in _CLASSIC_SMALL]
    if missing:
        yield _finding("latency.databases", Level.UNKNOWN, f"The server shows no {_list(missing)}.", ())
    if paused:
        todo = tuple(remedies.keep_awake(environment, each.name) for each in paused[:3])
        said = f"{_list([each.name for each in paused])} paused: the next record waits about a minute."
        yield _finding(
            "latency.paused",
            Level.BAD,
            said,
            tuple(f"{each.name}: {each.status}" for each in paused),
            todo,
            limits.latency,
        )
    if pausing:
        todo = tuple(remedies.keep_awake(environment, each.name) for each in pausing[:3])
        said = (
            f"{_list([each.name for each in pausing])} may pause by itself when quiet; resuming takes about a minute."
        )
        evidence = tuple(f"{each.name}: {each.objective}, pauses after {each.auto_pause} min" for each in pausing)
        yield _finding("latency.auto_pause", Level.WARN, said, evidence, todo, limits.latency)
    elif known and not paused:
        yield _finding(
            "latency.auto_pause",
            Level.OK,
            "No database pauses by itself.",
            tuple(f"{each.name}: {each.objective}" for each in known),
        )
    if small:
        said = f"{_list([each.name for each in small])} is small: a burst of records waits for its log writes."
        evidence = tuple(f"{each.name}: {each.tier} {each.objective}" for each in small)
        yield _finding("latency.tier", Level.WARN, said, evidence, (), limits.latency_stretch)
    elif known:
        yield _finding(
            "latency.tier",
            Level.OK,
            "The databases are large enough for their streams.",
            tuple(f"{each.name}: {each.objective}" for each in known),
        )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(plain(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _clock_seconds(text: str) -> float | None:
    """Seconds of `hh:mm:ss`, with days before a dot; None for what is not understood."""
    found = re.fullmatch(r"(?:([0-9]+)\.)?([0-9]{1,2}):([0-9]{2}):([0-9]{2})", text)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _finding(
    identifier: str,
    level: Level,
    summary: str,
    evidence: tuple[str, ...] = (),
    todo: tuple[str, ...] = (),
    promise: float | None = None,
) -> Finding:
    threatens = f"{promise:g} s" if promise is not None and level is not Level.OK else ""
    return Finding(identifier, "latency", level, summary, evidence, todo if level is not Level.OK else (), threatens)

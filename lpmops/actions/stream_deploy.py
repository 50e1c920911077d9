"""Deploying the stream job: its files beside the checkpoint, the continuous job that runs them, and who may work it.

Files go into a folder that is named by their content, so that what runs never changes under it and a second deployment finds them there. A job is
known by its name; the service makes two where it is asked twice, so a creation whose answer is lost is looked for, never sent again. A new job is
made paused and begins only once everything else is in place. What an existing job has beside what is managed here (cluster, libraries) is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from posixpath import dirname
from typing import Any

from lpmops import resources
from lpmops.actions import inputs, stream
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.inputs import Choice, Input
from lpmops.config import Environment, Routing
from lpmops.control import guard
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Change, Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.errors import RefusedError, StalePlanError, UsageError
from lpmops.model import FeedState, Receipt, StreamJob
from lpmops.principals import Principal
from lpmops.store.journal import StepRow

_FILES, _CREATE, _UPDATE, _PERMIT, _BEGIN = (
    "stream.files",
    "stream.create",
    "stream.update",
    "stream.permit",
    "stream.begin",
)
_LEVEL = "CAN_MANAGE_RUN"
_TASK = "tdr_stream"
_AT_WORK = ("running", "starting")
# A classic cluster in dedicated access mode, as the job needs; an existing job keeps its own.
_CLUSTER = {
    "job_cluster_key": "stream",
    "new_cluster": {
        "spark_version": "17.3.x-scala2.13",
        "node_type_id": "Standard_D4ds_v5",
        "num_workers": 1,
        "data_security_mode": "SINGLE_USER",
    },
}


# What should be -----------------------------------------------------------------------------------------------------------------------------------


def files() -> dict[str, bytes]:
    """The job's files by where they go, below one folder."""
    return {name: path.read_bytes() for name, path in resources.stream_job_files().items()}


def _hashes(content: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}


def folder_of(environment: Environment, content: Mapping[str, bytes]) -> str:
    """Where these files go: beside the checkpoint, in a folder named by what is in them."""
    hashes = _hashes(content)
    whole = hashlib.sha256("\n".join(f"{name} {value}" for name, value in sorted(hashes.items())).encode())
    return f"{dirname(environment.databricks.checkpoint.rstrip('/'))}/code/{whole.hexdigest()[:16]}"


def parameters(
    environment: Environment, routing: Routing, present: Sequence[str], from_version: int | None
) -> list[str]:
    """The job's arguments: what the configuration says, and what else stands in `present`. Raises UsageError where the configuration lacks one."""
    namespace = environment.eventhub.namespace
    managed = {
        "--table": environment.databricks.table,
        "--record-column": routing.record,
        "--company-column": routing.key,
        "--namespace": namespace if "." in namespace else f"{namespace}.servicebus.windows.net",
        "--hub": environment.eventhub.hub,
        **_sign_in(environment),
        "--checkpoint": environment.databricks.checkpoint,
    }
    if from_version is not None:
        managed["--starting-version"] = str(from_version)
    # The app loads the actions at its start and the services when they are needed.
    from lpmops.services import replayruns

    given = list(present[1:] if present[:1] == ["stream"] else ())
    secrets = {"--secret", "--credential", "--client", "--tenant"}
    kept = {
        flag: value
        for flag, value in replayruns.options([str(word) for word in given])
        if flag not in managed and flag not in secrets
    }
    return ["stream", *(word for pair in {**managed, **kept}.items() for word in pair)]


def _sign_in(environment: Environment) -> dict[str, str]:
    """How the job signs in to the hub, as its arguments."""
    how, _, rest = environment.databricks.sign_in.partition(":")
    if how == "service-credential":
        return {"--sign-in": how, "--credential": rest}
    if how == "sas":
        return {"--sign-in": how, "--secret": f"databricks:{rest}"}
    if how == "entra":
        client, _, secret = rest.partition(":")
        return {
            "--sign-in": how,
            "--secret": f"databricks:{secret}",
            "--tenant": environment.tenant_id,
            "--client": client,
        }
    raise UsageError(
        f"It is not said how the stream job of {environment.name} signs in to the hub.",
        hint=f'In [environments.{environment.name}.databricks]: sign_in = "service-credential:NAME", "sas:SCOPE/KEY" or "entra:CLIENT_ID:SCOPE/KEY"',
    )


def settings_of(
    environment: Environment,
    routing: Routing,
    *,
    live: Mapping[str, Any] | None = None,
    from_version: int | None = None,
) -> dict[str, Any]:
    """The settings that are set: the whole of a new job, the managed part of one that is there. Raises UsageError as `parameters` does."""
    file = f"{folder_of(environment, files())}/{resources.STREAM_JOB_ENTRY}"
    tasks = list(live.get("tasks") or ()) if live is not None else []
    task: dict[str, Any] = dict(tasks[0]) if tasks else {"task_key": _TASK, "job_cluster_key": "stream"}
    present = list((task.get("spark_python_task") or {}).get("parameters") or ())
    python = {
        "python_file": file,
        "source": "WORKSPACE",
        "parameters": parameters(environment, routing, present, from_version),
    }
    settings: dict[str, Any] = {"tasks": [{**task, "spark_python_task": python}], "max_concurrent_runs": 1}
    if live is None:
        settings |= {"name": environment.databricks.job, "job_clusters": [_CLUSTER]}
    if live is None or not live.get("continuous"):
        settings["continuous"] = {"pause_status": "PAUSED"}
    return settings


def _fields(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """The managed fields of a job's settings, by dotted name."""
    if settings is None:
        return {"job": None}
    tasks = settings.get("tasks") or [{}]
    python = tasks[0].get("spark_python_task") or {}
    given = list(python.get("parameters") or ())
    flags = given[1:] if given[:1] == ["stream"] else given
    return {
        "job": "there",
        "job.tasks": [task.get("task_key") for task in tasks],
        "job.python_file": python.get("python_file"),
        "job.is_continuous": bool(settings.get("continuous")),
        "job.max_concurrent_runs": settings.get("max_concurrent_runs", 1),
        "job.parameters": sorted(f"{flag} {value}" for flag, value in zip(flags[::2], flags[1::2], strict=False)),
    }


def _unlike(wished: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[Change, ...]:
    before = _fields(live)
    after = _fields({**live, **wished})
    return tuple(Change(name, before[name], after[name]) for name in before if before[name] != after[name])


# The plan -----------------------------------------------------------------------------------------------------------------------------------------


def plan_deploy(bench: Bench, wish: Wish) -> Plan:
    """Ship the files, make or change the job. `wish`: from_version (for a stream without a checkpoint), reason, ticket."""
    service, environment = bench.services.databricks, bench.environment
    content = files()
    hashes, folder = _hashes(content), folder_of(environment, content)
    there = {name: service.file_hash(f"{folder}/{name}") for name in hashes}
    job: StreamJob | None = service.stream_job()
    live = service.job_settings(job.job_id) if job is not None else None
    wished = settings_of(environment, bench.config.routing, live=live, from_version=wish["from_version"])
    steps, refusals = list[Step](), list[str]()
    missing = sorted(name for name, value in hashes.items() if there[name] != value)
    if missing:
        changes = (Change("files", f"{len(hashes) - len(missing)} of {len(hashes)}", folder),)
        arguments = {"folder": folder, "files": hashes}
        steps.append(Step(f"ship {len(missing)} files", _FILES, folder, arguments, changes, ("files",)))
    changed = _job_steps(bench, job, live, wished, steps)
    if live is not None and len(live.get("tasks") or ()) > 1:
        refusals.append(f"The job has {len(live['tasks'])} tasks; the stream's is one of its own.")
    granted = bench.services.unity.levels("jobs", job.job_id) if job is not None else {}
    group = environment.databricks.operators
    if group and granted.get(group) != _LEVEL:
        change = Change(f"job.permissions.{group}", granted.get(group), _LEVEL)
        steps.append(
            Step(
                f"let {group} work the job",
                _PERMIT,
                environment.databricks.job,
                {"group": group},
                (change,),
                (change.field,),
            )
        )
    if changed:
        refusals += _against(bench, wish, job)
        steps += _renewal(job, environment)
    refusals += [
        f"Job {other} reads {environment.databricks.table} too: two streams send every event twice. Stop and delete one of them first."
        for other in service.other_jobs(job.job_id if job is not None else "")
    ]
    return _plan_of(
        bench, wish, tuple(steps), refusals, job, {**_seen(job, live), "files": missing, **_granted(group, granted)}
    )


def _granted(group: str, granted: Mapping[str, str]) -> dict[str, Any]:
    return {f"job.permissions.{group}": granted.get(group)} if group else {}


def _seen(job: StreamJob | None, live: Mapping[str, Any] | None) -> dict[str, Any]:
    found = _fields(live)
    if job is not None:
        state, run_id = "running" if job.run.state in _AT_WORK else job.run.state, job.run.run_id
        if stream.fails(job):
            # Runs come and go meanwhile, and none of them is replaced here.
            state, run_id = "failing", None
        found |= {"job.id": job.job_id, "job.paused": job.paused, "job.state": state, "job.run_id": run_id}
    return found


_ALL_FIELDS = tuple(
    f"job{part}"
    for part in (
        *("", ".id", ".tasks", ".python_file", ".is_continuous", ".max_concurrent_runs", ".parameters"),
        *(".paused", ".state", ".run_id"),
    )
)


def _job_steps(
    bench: Bench,
    job: StreamJob | None,
    live: Mapping[str, Any] | None,
    wished: Mapping[str, Any],
    steps: list[Step],
) -> bool:
    """Add the creation or the change of the job; whether there is one."""
    name = bench.environment.databricks.job
    if job is None or live is None:
        if name.isascii() and name.isdigit():
            raise UsageError(
                f"There is no job {name}, and a new one can't be given a number.",
                hint="Put the name that the job is to have into databricks.job.",
            )
        after = _fields(wished)
        changes = tuple(Change(field, None, value) for field, value in after.items() if value is not None)
        steps.append(Step(f"create the job {name}", _CREATE, name, {"settings": dict(wished)}, changes, _ALL_FIELDS))
        return True
    changes = _unlike(wished, live)
    if changes:
        arguments = {"job_id": job.job_id, "settings": dict(wished), "former": _fields(live)}
        touches = tuple(change.field for change in changes)
        steps.append(Step(f"change the job {job.name}", _UPDATE, job.name, arguments, changes, touches))
    return bool(changes)


def _renewal(job: StreamJob | None, environment: Environment) -> list[Step]:
    """What lets the new settings be used: a new job begins, a run that works is replaced, a stopped job stays so.

    Of a job that fails again and again the service itself starts the next run, with the new settings.
    """
    if job is None:
        change = Change("job.paused", True, False)
        return [
            Step(
                f"let {environment.databricks.job} begin",
                _BEGIN,
                environment.databricks.job,
                {},
                (change,),
                _ALL_FIELDS,
            )
        ]
    return stream.renewal(job) if job.run.state in _AT_WORK and not stream.fails(job) else []


def _against(bench: Bench, wish: Wish, job: StreamJob | None) -> list[str]:
    """What speaks against a run with these settings: a checkpoint that can't go on, or none and no version to begin with."""
    feed: FeedState = bench.services.databricks.feed()
    progress = bench.services.databricks.progress()
    if progress is not None:
        return [f"The stream can't go on: {text}." for text in stream.doubts(feed, progress)]
    version: int | None = wish["from_version"]
    found = [] if feed.kind != "off" else ["The table's change feed is off: lpmops cdf enable first."]
    first = feed.first_version if feed.first_version is not None else feed.oldest_version
    if version is None and job is None:
        found.append(
            f"The stream has no checkpoint, so it must be said which version it begins with: --from-version N. "
            f"Changes are recorded since {'long ago' if first is None else first}, the newest is {feed.latest_version}."
        )
    elif version is not None:
        found += [f"The stream can't begin there: {text}." for text in stream.outside(feed, version)]
    return found


def _plan_of(
    bench: Bench,
    wish: Wish,
    steps: tuple[Step, ...],
    refusals: Sequence[str],
    job: StreamJob | None,
    seen: Mapping[str, Any],
) -> Plan:
    environment = bench.environment
    runs = any(step.kind == stream.RUN for step in steps)
    version = ["--from-version", str(wish["from_version"])] if wish["from_version"] is not None else []
    warnings = []
    if steps and job is not None and stream.fails(job):
        warnings.append(
            f"{job.name} fails again and again: its next run, which the service starts, takes the change. lpmops stream restart starts it at once."
        )
    elif steps and job is not None and not runs and job.run.state not in _AT_WORK:
        warnings.append(f"{job.name} is {job.run.state} and stays so: lpmops stream start starts it.")
    return Plan(
        action="stream.deploy",
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"Deploy the stream {environment.databricks.job} in {environment.name}."
        + (" Its run is replaced: changes wait for some minutes." if runs else ""),
        danger=guard.danger_of(environment.kind),
        steps=steps,
        seen=dict(seen),
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command("lpmops", "stream", "deploy", "-e", environment.name, *version, *why_words(wish)),
        undo="",
        reason=wish["reason"],
        ticket=wish["ticket"],
        warnings=tuple(warnings),
        refusals=tuple(refusals),
    )


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    del operation
    again = plan_deploy(bench, plan.wish)
    if again.steps:
        names = ", ".join(change.field for step in again.steps for change in step.changes)
        raise RefusedError(f"It is not as planned after all: {names}. Somebody else is changing it.")
    job = stream.job_of(bench)
    return {
        "changed": True,
        "job": job.name,
        "job_id": job.job_id,
        "state": job.run.state,
        "run_id": job.run.run_id,
        "fields": [change.field for step in plan.steps for change in step.changes],
    }


# Steps --------------------------------------------------------------------------------------------------------------------------------------------


def _left(bench: Bench, step: Step) -> list[str]:
    service, given = bench.services.databricks, step.arguments
    return [name for name, value in given["files"].items() if service.file_hash(f"{given['folder']}/{name}") != value]


def _observe_files(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    left = _left(bench, step)
    said = f"{len(step.arguments['files']) - len(left)} of {len(step.arguments['files'])} files are there"
    return Observation(Sight.ABSENT if left else Sight.SO, said)


def _act_files(bench: Bench, step: Step, operation: str) -> Receipt:
    """One write a file. Their folder is named by their content, so neither order nor repetition makes a difference."""
    del operation
    content, given = files(), step.arguments
    if _hashes(content) != given["files"]:
        raise StalePlanError("The stream job's files are others than those of the plan.", hint="Make the plan again.")
    receipt = Receipt()
    for name in _left(bench, step):
        receipt = bench.services.databricks.put_file(f"{given['folder']}/{name}", content[name])
    return receipt


def _observe_create(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    job = bench.services.databricks.stream_job()
    if job is None:
        return Observation(Sight.ABSENT, f"there is no job {step.target}")
    if changes := _unlike(step.arguments["settings"], bench.services.databricks.job_settings(job.job_id)):
        return Observation(
            Sight.OTHERWISE, f"somebody else made a job {step.target}: {', '.join(change.field for change in changes)}"
        )
    return Observation(Sight.SO, f"{step.target} is job {job.job_id}")


def _act_create(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    return bench.services.databricks.create_job(step.arguments["settings"])


def _observe_update(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    live = bench.services.databricks.job_settings(step.arguments["job_id"])
    if not _unlike(step.arguments["settings"], live):
        return Observation(Sight.SO, "the job is as wished")
    if _fields(live) == step.arguments["former"]:
        return Observation(Sight.ABSENT, "the job is as before")
    return Observation(Sight.OTHERWISE, "somebody else changed the job meanwhile")


def _act_update(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    return bench.services.databricks.update_job(step.arguments["job_id"], step.arguments["settings"])


def _observe_permit(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    level = bench.services.unity.levels("jobs", stream.job_of(bench).job_id).get(step.arguments["group"])
    said = f"{step.arguments['group']} has {level or 'no right'}"
    return Observation(Sight.SO if level == _LEVEL else Sight.ABSENT, said)


def _act_permit(bench: Bench, step: Step, operation: str) -> Receipt:
    del operation
    group = Principal(step.arguments["group"], kind="Group")
    return bench.services.unity.permit("jobs", stream.job_of(bench).job_id, group, _LEVEL)


def _observe_begin(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del step, row, receipt
    job = stream.job_of(bench)
    if job.paused:
        return Observation(Sight.ABSENT, "it is paused")
    return stream.working(job, Sight.MOVING)


def _act_begin(bench: Bench, step: Step, operation: str) -> Receipt:
    del step, operation
    job = stream.job_of(bench)
    return bench.services.databricks.set_paused(job.job_id, job.continuity, False)


def _first_versions(bench: Bench) -> list[Choice]:
    """Where a stream without a checkpoint can begin; one that has one goes on from there."""
    if bench.services.databricks.progress() is not None:
        return [Choice("", "the stream's checkpoint says where it goes on")]
    feed: FeedState = bench.services.databricks.feed()
    first = feed.first_version if feed.first_version is not None else feed.oldest_version
    known = [] if first is None else [Choice(str(first), "all changes that are recorded")]
    return [*known, Choice(str(feed.latest_version + 1), "only what changes from now on")]


_FROM = Input(
    "from_version",
    "version",
    "for a stream without a checkpoint: the first version it sends; ↑ ↓ choose",
    inputs.version,
    _first_versions,
)

DEPLOY = Action(
    name="stream.deploy",
    title="Deploy the stream",
    help="Ship the stream job's files, make or change its continuous job and who may work it, and replace its run.",
    plan=plan_deploy,
    handlers={
        **stream.HANDLERS,
        _FILES: Handler(_observe_files, _act_files),
        # The service makes a second job where it is asked twice.
        _CREATE: Handler(_observe_create, _act_create, lambda _: False),
        _UPDATE: Handler(_observe_update, _act_update),
        _PERMIT: Handler(_observe_permit, _act_permit),
        _BEGIN: Handler(_observe_begin, _act_begin),
    },
    verify=_verify,
    pins=("tenant", "server", "workspace"),
    inputs=(_FROM, *inputs.COMMON),
)

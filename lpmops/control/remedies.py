"""The next steps that the diagnosis offers: commands that exist, with the names of this environment filled in and quoted for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime

from lpmops.config import Environment
from lpmops.model import Credential, NamespaceState, StreamingJob, to_data
from lpmops.routing.job import UNITS


def command(*words: str | int) -> str:
    """Words as one shell line."""
    return shlex.join(str(word) for word in words)


def look(environment: Environment) -> str:
    """See everything again."""
    return command("lpmops", "status", "-e", environment.name, "-o", "json")


def watch(environment: Environment) -> str:
    """See it change."""
    return command("lpmops", "status", "-e", environment.name, "--watch")


def reconcile(environment: Environment) -> str:
    """Hold what is open against the landing tables again."""
    return command("lpmops", "reconcile", "-e", environment.name)


def plan_replay(environment: Environment, companies: Sequence[str] = ()) -> str:
    """Plan to send again what did not land, of some companies where they are named."""
    named = (word for company_id in companies for word in ("--company", company_id))
    return command("lpmops", "replay", "plan", "-e", environment.name, "--missing", *named)


def resume_routes(environment: Environment, companies: Sequence[str]) -> str:
    """Let paused companies' records land again."""
    named = (word for company_id in companies for word in ("--company-id", company_id))
    return command("lpmops", "route", "resume", "-e", environment.name, *named)


def sign_in(environment: Environment, credential: Credential) -> str:
    """Sign in again."""
    return credential.remedy or command("az", "login", "--tenant", environment.tenant_id)


def start_job(environment: Environment, job: str) -> str:
    """Start a Stream Analytics job where its output ended: any other mode skips or repeats."""
    return command("lpmops", "asa", "start", "-e", environment.name, "--job", job, "--mode", "last-output")


def start_from(environment: Environment, moment: datetime) -> str:
    """Start the paused jobs at a time whose events the hub still has: what landed already is dropped as delivered twice."""
    words = ("lpmops", "asa", "start", "-e", environment.name, "--mode", "custom", "--from", to_data(moment))
    return command(*words)


def start_anew(environment: Environment, job: str) -> str:
    """Stop a running job, and start it at a time that is still to be chosen."""
    names = ("-e", environment.name, "--job", job)
    stop = command("lpmops", "asa", "pause", *names, "--reason", "WHY")
    return f"{stop}   then   {command('lpmops', 'asa', 'start', *names, '--mode', 'custom', '--from', 'TIME')}"


def finish(environment: Environment, operation: str) -> tuple[str, ...]:
    """Finish an operation that stopped a job on its way; or give it up, and bring back what was before it."""
    return (
        command("lpmops", "op", "resume", operation),
        command("lpmops", "op", "abort", operation, "--reason", "WHY"),
        command("lpmops", "asa", "deploy", "-e", environment.name, "--back-to", operation),
    )


def enable_feed(environment: Environment) -> str:
    """Let the source table record its changes."""
    return command("lpmops", "cdf", "enable", "-e", environment.name)


def provision(environment: Environment) -> str:
    """See what of the environment lacks in Azure, and how it is made."""
    return command("lpmops", "provision", "plan", "-e", environment.name)


def show_job(environment: Environment, job: str) -> str:
    """What Stream Analytics says of a job."""
    return command("az", "stream-analytics", "job", "show", *_job(environment, job), "--expand", "inputs,outputs")


def list_jobs(environment: Environment) -> str:
    """The jobs of the resource group with their states."""
    where = ("-g", environment.resource_group, "--subscription", environment.subscription_id)
    return command(
        "az", "stream-analytics", "job", "list", *where, "--query", "[].{name:name,state:jobState}", "-o", "table"
    )


def activity(environment: Environment, job: str) -> str:
    """Who did what to a job in the last hours."""
    resource = f"{environment.group_id}/providers/Microsoft.StreamAnalytics/streamingjobs/{job}"
    return command("az", "monitor", "activity-log", "list", "--resource-id", resource, "--offset", "6h", "-o", "table")


def scale_job(environment: Environment, job: StreamingJob) -> str:
    """Give a job the next size up."""
    now = job.streaming_units or 0
    larger = next((name for name, units in UNITS.items() if units > now), list(UNITS)[-1])
    return command("lpmops", "asa", "scale", "-e", environment.name, "--job", job.name, "--units", larger)


def add_throughput(environment: Environment, namespace: NamespaceState | None) -> str:
    """Give the namespace one throughput unit more."""
    units = (namespace.throughput_units if namespace is not None else 1) + 1
    where = ("-g", environment.resource_group, "--subscription", environment.subscription_id)
    return command(
        "az",
        "eventhubs",
        "namespace",
        "update",
        "--name",
        environment.eventhub.namespace_name,
        *where,
        "--capacity",
        units,
    )


def show_database(environment: Environment, database: str) -> str:
    """The state that Resource Manager knows of a database, without connecting."""
    return command(
        "az", "sql", "db", "show", *_database(environment, database), "--query", "{status:status,paused:pausedDate}"
    )


def show_firewall(environment: Environment) -> str:
    """Who may connect to the server."""
    return command("az", "sql", "server", "firewall-rule", "list", *_server(environment), "-o", "table")


def keep_awake(environment: Environment, database: str) -> str:
    """Stop a serverless database from pausing."""
    return command("az", "sql", "db", "update", *_database(environment, database), "--auto-pause-delay", "-1")


def database_load(environment: Environment, database: str) -> str:
    """How busy a database is."""
    resource = (
        f"{environment.group_id}/providers/Microsoft.Sql/servers/{_server_name(environment)}/databases/{database}"
    )
    return command(
        "az",
        "monitor",
        "metrics",
        "list",
        "--resource",
        resource,
        "--metric",
        "cpu_percent,log_write_percent",
        "-o",
        "table",
    )


def list_runs(job_id: str | None) -> str:
    """The newest runs of the streaming job, with what they said."""
    return command("databricks", "jobs", "list-runs", "--job-id", job_id or "JOB_ID", "--limit", 5)


def start_stream(environment: Environment) -> str:
    """Start the streaming job where its checkpoint is."""
    return command("lpmops", "stream", "start", "-e", environment.name)


def restart_stream(environment: Environment) -> str:
    """Replace the streaming job's run; for a continuous job this also ends the service's back-off."""
    return command("lpmops", "stream", "restart", "-e", environment.name)


def list_versions(environment: Environment) -> str:
    """Which versions of the table can still be read."""
    return command("lpmops", "cdf", "versions", "-e", environment.name)


def list_routes(environment: Environment) -> str:
    """Which companies land, and where."""
    return command("lpmops", "route", "list", "-e", environment.name)


def new_checkpoint(environment: Environment) -> str:
    """Name a checkpoint beside the old one, which stays as it is."""
    now = environment.databricks.checkpoint.rstrip("/")
    name, _, number = now.rpartition("-")
    following = f"{name}-{int(number) + 1}" if number.isdecimal() else f"{now}-2"
    return f"in lpmops.toml, name a new databricks.checkpoint for {environment.name}: {shlex.quote(following)}"


def deploy_stream(environment: Environment, version: int | None = None) -> str:
    """Deploy the stream with a new checkpoint, from a version on; VERSION stands for one that is still to be chosen."""
    first = "VERSION" if version is None else version
    return command("lpmops", "stream", "deploy", "-e", environment.name, "--from-version", first)


def rights(environment: Environment) -> str:
    """Who has which right, what lacks, and the words that give it."""
    return command("lpmops", "access", "show", "-e", environment.name)


def _job(environment: Environment, job: str) -> tuple[str, ...]:
    return ("--job-name", job, "-g", environment.resource_group, "--subscription", environment.subscription_id)


def _server_name(environment: Environment) -> str:
    return environment.sql.server_name or environment.sql.server.split(".")[0]


def _server(environment: Environment) -> tuple[str, ...]:
    group = environment.sql.resource_group or environment.resource_group
    return ("--server", _server_name(environment), "-g", group, "--subscription", environment.subscription_id)


def _database(environment: Environment, database: str) -> tuple[str, ...]:
    return ("--name", database, *_server(environment))

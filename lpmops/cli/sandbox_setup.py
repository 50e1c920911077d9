"""Describes the sandbox twice from one source: as the `lpmops.toml` that points at it, and as the deployment it is started with.

The configuration is rendered first and read back by the ordinary reader; the deployment is derived from what was read, so the two can't disagree. The
texts that are deployed are those that `routing` renders for any environment, and the stream is the one that `stream deploy` ships.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from lpmops import config_reader
from lpmops.actions import stream_deploy
from lpmops.config import Config, Environment
from lpmops.resources import query
from lpmops.routing.query import job_query
from lpmops.routing.schema import control_statements, landing_statements
from lpmops.sandbox import deployment

TENANT = "00000000-0000-4000-8000-0000000000aa"
KINDS = ("dev", "test", "prod")
PORTS = 1 + 3 * len(KINDS)
# Prod is the busiest, as it is in life.
SHARES = {"dev": 0.2, "test": 0.4, "prod": 1.0}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for. `rate` is prod's changes a second; ports follow `port` in a row."""

    port: int
    seed: int = 1
    companies: int = 12
    databases: int | None = None
    rate: float = 20.0
    speed: float = 1.0

    def database_names(self) -> tuple[str, ...]:
        """Company databases, about four companies each and no more than 25."""
        count = self.databases or max(1, min(25, (self.companies + 3) // 4))
        return tuple(f"lpm-{number:02}" for number in range(1, count + 1))


def prepare(folder: Path, wish: Wish) -> Config:
    """Write secrets, `lpmops.toml` and `deployment.json` of a sandbox into `folder`, and give back the configuration. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_secrets(folder, wish)
    path = folder / "lpmops.toml"
    path.write_text(render_config(folder, wish), encoding="utf-8")
    config = config_reader.read(path)
    deployment.write(_deployment(config, wish, folder), folder / "deployment.json")
    return config


def _make_secrets(folder: Path, wish: Wish) -> None:
    keep = folder / "secrets"
    keep.mkdir(exist_ok=True, mode=0o700)
    _keep_secret(keep / "identity-header", "", secrets.token_urlsafe(24))
    for number, name in enumerate(KINDS):
        endpoint = f"Endpoint=sb://127.0.0.1:{wish.port + 2 + 3 * number};"
        key = f"SharedAccessKeyName=people;SharedAccessKey={secrets.token_urlsafe(24)};"
        _keep_secret(keep / f"eventhub-{name}", endpoint, f"{endpoint}{key}UseDevelopmentEmulator=true;EntityPath=tdr")


def _keep_secret(path: Path, start: str, content: str) -> None:
    """Write a secret unless one that begins with `start` is there: an app that is open goes on after a restart."""
    if path.exists() and (written := path.read_text(encoding="utf-8")) and written.startswith(start):
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)


def render_config(folder: Path, wish: Wish) -> str:
    """The text of the `lpmops.toml` that points at the sandbox."""
    environments = "\n".join(_environment_toml(folder, wish, number, name) for number, name in enumerate(KINDS))
    top = f"# Written by: lpmops sandbox start. Points at the sandbox on this machine.\nstate_directory = {json.dumps(str(folder / 'state'))}\n"
    return f"{top}\n{environments}\n{COMMON_TOML}"


COMMON_TOML = """\
[routing]
key = "info_companyid"      # whose a record is
record = "tdr_id"           # which record it is
sip_request = "sipreq"

[columns]                   # what lands beside the keys and stamps, and as which type
call_id = "NVARCHAR(128)"
call_started_at = "DATETIME2(6)"
call_answered_at = "DATETIME2(6)"
call_ended_at = "DATETIME2(6)"
disposition = "NVARCHAR(20)"
duration_seconds = "FLOAT"
trunk = "NVARCHAR(64)"
queue = "NVARCHAR(64)"
caller_number = "NVARCHAR(32)"
caller_latitude = "FLOAT"
caller_longitude = "FLOAT"
sip_method = { type = "NVARCHAR(20)", source = "sipreq.method" }
sipreq = "NVARCHAR(MAX)"
"""


def _environment_toml(folder: Path, wish: Wish, number: int, name: str) -> str:
    port = wish.port + 1 + 3 * number
    here = f"http://127.0.0.1:{wish.port}"
    databases = ", ".join(f'"{database}"' for database in wish.database_names())
    return f"""\
[environments.{name}]
kind = "{name}"
tenant_id = "{TENANT}"
subscription_id = "00000000-0000-4000-8000-{number + 1:012}"
resource_group = "rg-lpm-tdr-{name}"

[environments.{name}.databricks]
host = "http://127.0.0.1:{port}"
workspace_id = "{1001 + number}"
warehouse = "0123456789abcdef"
table = "lpm_{name}.gold.tdr_streaming"
job = "lpm-tdr-stream-{name}"
checkpoint = "/Volumes/lpm_{name}/ops/checkpoints/tdr-stream"
sign_in = "service-credential:lpm-eventhub"
operators = "lpm-operators"

[environments.{name}.eventhub]
namespace = "evhns-lpm-tdr-{name}"
hub = "tdr"
consumer_group = "people"
auth = "connection-string"
connection_string = "file:{folder / "secrets" / f"eventhub-{name}"}"

[environments.{name}.streamanalytics]
job_prefix = "asa-lpm-tdr-{name}-"
region = "westeurope"

[environments.{name}.sql]
server = "127.0.0.1"
server_name = "sql-lpm-{name}"
port = {port + 2}
control_database = "lpm-control"
databases = [{databases}]
trust_server_certificate = true

[environments.{name}.monitor]
log_analytics_workspace = "00000000-0000-4000-8000-{number + 101:012}"

[environments.{name}.endpoints]
resource_manager = "{here}"
metrics = "{here}"
logs = "{here}"

[environments.{name}.identity]
credential = "token-endpoint"
endpoint = "{here}/msi/token"
header = "file:{folder / "secrets" / "identity-header"}"
"""


def _deployment(config: Config, wish: Wish, folder: Path) -> deployment.Deployment:
    environments = [_environment(config, environment, wish) for environment in config.environments.values()]
    return deployment.Deployment(
        tenant_id=TENANT,
        http_port=wish.port,
        seed=wish.seed,
        companies=wish.companies,
        speed=wish.speed,
        identity_header_file=str(folder / "secrets" / "identity-header"),
        environments=tuple(environments),
    )


def _environment(config: Config, environment: Environment, wish: Wish) -> deployment.Environment:
    port = int(environment.databricks.host.rpartition(":")[2])
    files = stream_deploy.files()
    code = stream_deploy.folder_of(environment, files)
    return deployment.Environment(
        name=environment.name,
        subscription_id=environment.subscription_id,
        resource_group=environment.resource_group,
        region=environment.streamanalytics.region,
        databricks_port=port,
        workspace_id=environment.databricks.workspace_id,
        warehouse=environment.databricks.warehouse,
        table=environment.databricks.table,
        stream_job=environment.databricks.job,
        stream_settings=stream_deploy.settings_of(environment, config.routing, from_version=0),
        stream_files={f"{code}/{name}": content.decode() for name, content in files.items()},
        checkpoint=environment.databricks.checkpoint,
        amqp_port=port + 1,
        namespace=environment.eventhub.namespace,
        hub=environment.eventhub.hub,
        consumer_groups=("$Default", "asa-01", environment.eventhub.consumer_group),
        tds_port=environment.sql.port,
        connection_string_file=environment.eventhub.connection_string.removeprefix("file:"),
        control_database=environment.sql.control_database,
        databases=environment.sql.databases,
        jobs=_jobs(config, environment),
        control_statements=control_statements(),
        landing_statements=landing_statements(config.columns, config.routing, config.kpi),
        reference_query=query("tsql/route_reference.sql"),
        log_analytics_workspace=environment.monitor.log_analytics_workspace,
        rate=wish.rate * SHARES[environment.name],
    )


def _jobs(config: Config, environment: Environment) -> tuple[deployment.Job, ...]:
    text = job_query(environment.sql.databases, config.columns, config.routing, config.kpi)
    return (
        deployment.Job(
            name=f"{environment.streamanalytics.job_prefix}01",
            consumer_group="asa-01",
            query=text,
            databases=environment.sql.databases,
        ),
    )

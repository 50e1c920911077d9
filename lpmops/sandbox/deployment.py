"""What the sandbox is asked to be: the names, ports and deployed texts of its environments.

The document `deployment.json` in the sandbox's folder comes from whoever starts it; the sandbox takes every name, query and statement from
there, as a cloud would, and knows none by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lpmops.sandbox.files import write_whole

VERSION = 1


@dataclass(frozen=True, slots=True)
class Job:
    """A Stream Analytics job as deployed: its text and the company databases that are its outputs."""

    name: str
    consumer_group: str
    query: str
    databases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment: its ids, ports and what is deployed in it. `rate` is changes a second, `stream_files` the stream job's code by path."""

    name: str
    subscription_id: str
    resource_group: str
    region: str
    databricks_port: int
    workspace_id: str
    warehouse: str
    table: str
    stream_job: str
    stream_settings: Mapping[str, Any]
    stream_files: Mapping[str, str]
    checkpoint: str
    amqp_port: int
    namespace: str
    hub: str
    consumer_groups: tuple[str, ...]
    tds_port: int
    connection_string_file: str
    control_database: str
    databases: tuple[str, ...]
    jobs: tuple[Job, ...]
    control_statements: tuple[str, ...]
    landing_statements: tuple[str, ...]
    reference_query: str
    log_analytics_workspace: str
    rate: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """The whole sandbox. `companies` is their number in each environment; files hold the secrets that clients present."""

    tenant_id: str
    http_port: int
    seed: int
    companies: int
    speed: float
    identity_header_file: str
    environments: tuple[Environment, ...]
    version: int = VERSION


def write(deployment: Deployment, path: Path) -> None:
    """Keep the document, whole or not at all."""
    write_whole(path, json.dumps(asdict(deployment), indent=1))


def read(path: Path) -> Deployment:
    """The document of a folder. Raises ValueError for one that this version did not write, OSError where there is none."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("version") != VERSION:
        raise ValueError(f"{path} is of version {document.get('version')}, this is version {VERSION}")
    environments = []
    for entry in document.pop("environments"):
        jobs = tuple(Job(**{**job, "databases": tuple(job["databases"])}) for job in entry.pop("jobs"))
        lists = {name: tuple(value) for name, value in entry.items() if isinstance(value, list)}
        environments.append(Environment(**{**entry, **lists, "jobs": jobs}))
    return Deployment(**document, environments=tuple(environments))

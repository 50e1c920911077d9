"""A job as a JSON document and back: what lies in the state folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lpmops.sandbox.azure.jobs import Child, Job, JobKey
from lpmops.sandbox.azure.stamps import parse_time, ticks


def to_document(job: Job) -> dict[str, Any]:
    """Everything a restart needs."""
    return {
        "key": [job.key.subscription, job.key.group, job.key.name],
        "location": job.location,
        "tags": dict(job.tags),
        "identity": job.identity,
        "job_id": job.job_id,
        "created_at": ticks(job.created_at),
        "etag": job.etag,
        "properties": job.properties,
        "state": job.state,
        "inputs": [_child(each) for each in job.inputs.values()],
        "outputs": [_child(each) for each in job.outputs.values()],
        "functions": [_child(each) for each in job.functions.values()],
        "transformation": _child(job.transformation) if job.transformation else None,
        "start_mode": job.start_mode,
        "start_time": _time(job.start_time),
        "last_output_event_time": _time(job.last_output_event_time),
    }


def from_document(document: Mapping[str, Any]) -> Job:
    """The job `to_document` was given."""
    return Job(
        key=JobKey(*document["key"]),
        location=document["location"],
        tags=document["tags"],
        identity=document["identity"],
        job_id=document["job_id"],
        created_at=parse_time(document["created_at"]),
        etag=document["etag"],
        properties=document["properties"],
        state=document["state"],
        inputs=_children(document["inputs"]),
        outputs=_children(document["outputs"]),
        functions=_children(document["functions"]),
        transformation=Child(**document["transformation"]) if document["transformation"] else None,
        start_mode=document["start_mode"],
        start_time=parse_time(document["start_time"]) if document["start_time"] else None,
        last_output_event_time=parse_time(document["last_output_event_time"])
        if document["last_output_event_time"]
        else None,
    )


def _child(child: Child) -> dict[str, Any]:
    return {"name": child.name, "properties": child.properties, "etag": child.etag}


def _children(listed: list[dict[str, Any]]) -> dict[str, Child]:
    return {each["name"].lower(): Child(**each) for each in listed}


def _time(moment: datetime | None) -> str | None:
    return ticks(moment) if moment else None

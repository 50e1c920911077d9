"""What a job is: its settings, checked as the Jobs API checks them, and merged as `update` merges them.

Settings are plain JSON and are kept as they were sent; what the sandbox does not act on (clusters, libraries, notifications) is kept and
shown. Rules: the docstrings of databricks-sdk 0.156 `JobsAPI.create`, `update` and `reset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lpmops.sandbox.databricks.calls import text
from lpmops.sandbox.databricks.errors import invalid, malformed

_PAUSES = ("PAUSED", "UNPAUSED")
_MERGED_BY = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "parameters": "name",
    "environments": "environment_key",
}
_TASKS_AT_MOST = 1000


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the service's defaults. Raises ApiError for what no job can be."""
    name = text(settings, "name", "Untitled")
    if not name or len(name.encode()) > 4096:
        raise invalid("The job name must be between 1 and 4096 bytes.")
    triggers = [kind for kind in ("continuous", "schedule", "trigger") if settings.get(kind) is not None]
    if len(triggers) > 1:
        raise invalid(f"Only one of {', '.join(triggers)} can be set.")
    for kind in triggers:
        if not isinstance(settings[kind], dict):
            raise malformed(f"Could not parse request object: Expected '{kind}' to be a map")
        pause = settings[kind].get("pause_status", "UNPAUSED")
        if pause not in _PAUSES:
            raise invalid(f"Invalid pause_status '{pause}'. It must be one of {', '.join(_PAUSES)}.")
    concurrent = settings.get("max_concurrent_runs", 1)
    if isinstance(concurrent, bool) or not isinstance(concurrent, int) or not 0 <= concurrent <= 1000:
        raise invalid("max_concurrent_runs must be an integer from 0 to 1000.")
    checked_tasks(settings.get("tasks", []))
    given = {kind: {"pause_status": "UNPAUSED", **settings[kind]} for kind in triggers}
    defaults = {"max_concurrent_runs": 1, "timeout_seconds": 0, "email_notifications": {}, "webhook_notifications": {}}
    return {**defaults, **settings, **given, "name": name, "format": "MULTI_TASK"}


def checked_tasks(tasks: Any) -> Sequence[Mapping[str, Any]]:
    """Tasks with keys that differ. Raises ApiError."""
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise malformed("Could not parse request object: Expected 'tasks' to be an array of maps")
    keys = [text(task, "task_key") for task in tasks]
    if len(keys) > _TASKS_AT_MOST:
        raise invalid(f"A job can have at most {_TASKS_AT_MOST} tasks.")
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise invalid(f"Duplicate task_key: {twice}")
    return tasks


def updated(settings: Mapping[str, Any], changes: Mapping[str, Any], removed: Sequence[str]) -> dict[str, Any]:
    """Settings after jobs/update: lists with keys are merged by key, everything else is replaced; `removed` names fields or `tasks/KEY`."""
    merged = {name: value for name, value in settings.items() if name != "format"}
    for path in removed:
        field, _, key = path.partition("/")
        if key and field in _MERGED_BY:
            merged[field] = [one for one in merged.get(field, []) if one.get(_MERGED_BY[field]) != key]
        elif key:
            raise invalid(f"Removing nested fields is not supported: {path}")
        else:
            merged.pop(field, None)
    for name, value in changes.items():
        if name in _MERGED_BY and isinstance(value, list) and isinstance(merged.get(name), list):
            by = _MERGED_BY[name]
            changed = {one.get(by): one for one in value if isinstance(one, dict)}
            kept = [changed.pop(one.get(by), one) for one in merged[name]]
            merged[name] = [*kept, *changed.values()]
        else:
            merged[name] = value
    # Changing how a job is triggered replaces the old trigger instead of clashing with it.
    for kind in ("continuous", "schedule", "trigger"):
        if kind in changes:
            for other in {"continuous", "schedule", "trigger"} - set(changes):
                merged.pop(other, None)
    return checked(merged)


def is_continuous(settings: Mapping[str, Any]) -> bool:
    """Whether the service keeps one run of it going."""
    return bool(settings.get("continuous")) and settings["continuous"]["pause_status"] == "UNPAUSED"


def waits_in_queue(settings: Mapping[str, Any]) -> bool:
    """Whether a run too many waits instead of being skipped; a paused continuous job queues too (databricks/cli#1849)."""
    queue = settings.get("queue")
    return settings.get("continuous") is not None or bool(isinstance(queue, dict) and queue.get("enabled"))

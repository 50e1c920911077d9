"""Switching the source table's change feed on: from the version that makes it on, every change is recorded and can be streamed and replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lpmops.actions import cdf_preflight
from lpmops.actions.action import Action, Bench, Handler, Wish, why_words
from lpmops.actions.inputs import COMMON
from lpmops.control import guard
from lpmops.control.hands import Observation, Sight
from lpmops.control.plan import Plan, Step, pins_of
from lpmops.control.remedies import command
from lpmops.errors import RefusedError
from lpmops.model import Commit, FeedState, Receipt, to_data
from lpmops.store.journal import StepRow

_ENABLE = "cdf.enable"


def show(feed: FeedState, table: str, now: datetime) -> dict[str, Any]:
    """The feed as plain values: from which version it can be replayed, and until when that version's changes certainly last."""
    lasts = None
    if feed.first_commit_at is not None and feed.retention is not None:
        lasts = feed.first_commit_at + timedelta(seconds=feed.retention)
    return {
        "table": table,
        "change_feed": feed.kind,
        "latest_version": feed.latest_version,
        "latest_commit_at": to_data(feed.latest_commit_at),
        "first_version": feed.first_version,
        "first_commit_at": to_data(feed.first_commit_at),
        "retention_seconds": feed.retention,
        "first_version_lasts_until": to_data(lasts),
        "first_version_may_be_gone": None if lasts is None else lasts <= now,
        "reader_version": feed.reader_version,
        "writer_version": feed.writer_version,
        "features": list(feed.features),
        "column_mapping": cdf_preflight.column_mapping(feed),
    }


def replayable(feed: FeedState, version: int, at: datetime, now: datetime) -> str:
    """How sure it is that a version's changes can be read, in a word or two.

    `certain` while they are younger than the retention of deleted files, then `may be gone` to the next VACUUM, `unknown` where no retention is said;
    what was committed before the feed was on is `not recorded`.
    """
    if feed.kind == "off" or (feed.first_version is not None and version < feed.first_version):
        return "not recorded"
    if feed.retention is None:
        return "unknown"
    return "certain" if at > now - timedelta(seconds=feed.retention) else "may be gone"


def versions(feed: FeedState, commits: Sequence[Commit], table: str, now: datetime) -> dict[str, Any]:
    """What can be replayed, from when to when, and each of `commits` (newest first) with how sure that is.

    `from_version` is None where it is older than what was looked at, or where there is none.
    """
    kept_since = None if feed.retention is None else now - timedelta(seconds=feed.retention)

    listed = [
        {
            "version": commit.version,
            "at": to_data(commit.at),
            "operation": commit.operation,
            "rows": commit.rows,
            "replay": replayable(feed, commit.version, commit.at, now),
            "lasts_until": None if feed.retention is None else to_data(commit.at + timedelta(seconds=feed.retention)),
        }
        for commit in commits
    ]
    certain = [item for item in listed if item["replay"] == "certain"]
    first: Any = None
    began = (
        None if feed.first_commit_at is None else replayable(feed, feed.first_version or 0, feed.first_commit_at, now)
    )
    if began == "certain":
        first = feed.first_version
    elif certain and len(certain) < len(listed):
        first = certain[-1]["version"]
    since = [moment for moment in (feed.first_commit_at, kept_since) if moment is not None and feed.kind != "off"]
    return {
        "table": table,
        "change_feed": feed.kind,
        "from_version": first,
        "from_at": to_data(max(since)) if since else None,
        "to_version": feed.latest_version if feed.kind != "off" else None,
        "to_at": to_data(feed.latest_commit_at) if feed.kind != "off" else None,
        "retention_seconds": feed.retention,
        "versions": listed,
    }


def plan_enable(bench: Bench, wish: Wish) -> Plan:
    """Record changes from now on. `wish`: reason, ticket."""
    found = cdf_preflight.definition(bench)
    feed: FeedState = bench.services.databricks.feed()
    environment, table = bench.environment, bench.environment.databricks.table
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    if feed.kind != "delta":
        touches = ("table.change_feed", "table.writer_version", "table.features")
        changes = tuple(cdf_preflight.changes(feed))
        steps = (Step(f"record the changes of {table}", _ENABLE, table, {}, changes, touches),)
        right = cdf_preflight.right_to_alter(bench)
        warnings = tuple(cdf_preflight.warnings(feed, right))
        refusals = tuple(cdf_preflight.refusals(table, found, right))
    return Plan(
        action="cdf.enable",
        environment=environment.name,
        kind=environment.kind,
        pins=pins_of(environment),
        target=environment.name,
        summary=f"Record every change of {table} from now on.",
        danger=guard.danger_of(environment.kind),
        steps=steps,
        seen={
            "table.change_feed": feed.kind,
            "table.writer_version": feed.writer_version,
            "table.features": sorted(feed.features),
            "table.column_mapping": cdf_preflight.column_mapping(feed),
            "table.columns": sorted(found.columns),
        },
        wish=dict(wish),
        made_at=bench.now(),
        who=bench.who,
        command=command("lpmops", "cdf", "enable", "-e", environment.name, *why_words(wish)),
        undo=f"in a SQL warehouse: ALTER TABLE {table} SET TBLPROPERTIES (delta.enableChangeDataFeed = false)",
        reason=wish["reason"],
        ticket=wish["ticket"],
        warnings=warnings,
        refusals=refusals,
    )


def _observe(bench: Bench, step: Step, row: StepRow, receipt: Receipt | None) -> Observation:
    del row, receipt
    kind = bench.services.databricks.feed().kind
    return Observation(Sight.SO if kind == "delta" else Sight.ABSENT, f"the change feed of {step.target} is {kind}")


def _act(bench: Bench, step: Step, operation: str) -> Receipt:
    del step, operation
    return bench.services.databricks.enable_feed()


def _verify(bench: Bench, plan: Plan, operation: str) -> Mapping[str, Any]:
    feed = bench.services.databricks.feed()
    if feed.kind != "delta":
        raise RefusedError("The change feed is off after all: somebody else is changing the table.")
    return {
        "changed": True,
        **show(feed, bench.environment.databricks.table, bench.now()),
        "undo": plan.undo_of(operation),
    }


ENABLE = Action(
    name="cdf.enable",
    title="Enable the change feed",
    help="Let the source table record every change from now on.",
    plan=plan_enable,
    handlers={_ENABLE: Handler(_observe, _act)},
    verify=_verify,
    pins=("tenant", "server", "workspace"),
    key="E",
    inputs=COMMON,
)

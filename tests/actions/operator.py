"""An operator at work on the pretend cloud: a desk, a store, and the three actions with what each must have done in the end."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lpmops.actions import registry
from lpmops.actions.desk import Desk
from lpmops.config import Routing
from lpmops.control import guard
from lpmops.control.collect import utc_now
from lpmops.control.hands import Outcome, Timing
from lpmops.control.plan import Plan
from lpmops.routing.schema import landing_statements
from lpmops.store import audit, journal
from lpmops.store.connection import Store, open_store
from tests.actions.cloud import CONTROL, JOB, Act, Cloud, config, quiet

QUICK = Timing(poll=0.001, settle=0.01, visible=2.0, patience=0.05)
PAUSE = {"jobs": [], "reason": "database move", "ticket": "OPS-1", "until": None, "by": "ops@lpm.example"}
START = {"jobs": [], "mode": "last-output", "begin": None, "reason": "", "ticket": ""}
DEPLOY = {**START, "back_to": "", "definitions": {}, "by": "ops@lpm.example"}
SCALE = {"jobs": [], "units": "1", "reason": "", "ticket": ""}
FEED = {"reason": "", "ticket": ""}


@dataclass(frozen=True, slots=True)
class Case:
    """An action, how the world is before it, and what must have been done exactly once after it."""

    action: str
    wish: dict[str, Any]
    before: Callable[[Cloud], None]
    effects: tuple[Act, ...]
    holds: Callable[[Cloud], bool]


def _paused(cloud: Cloud) -> None:
    cloud.put(JOB, state="Stopped")
    cloud.rows("lpm-control", "pause_put", _pause_values())


def _pause_values() -> tuple[object, ...]:
    values = ("old reason", None, "ops@lpm.example", None, "op-0", "asa.pause", JOB)
    return values + values


def _streaming(cloud: Cloud) -> None:
    cloud.put("feed", kind="delta", first=0)


def _stream_stopped(cloud: Cloud) -> None:
    _streaming(cloud)
    cloud.put("stream", paused=True, state="stopped")


def drift(cloud: Cloud) -> None:
    """Somebody with the portal open: another text, another policy, an output that nobody asked for and one that is not there."""
    held = cloud.get(JOB)
    outputs = {name: values for name, values in held["outputs"].items() if name != "lpm-01"}
    cloud.put(
        JOB,
        query="SELECT 1",
        outputs={**outputs, "old": held["outputs"]["unrouted"]},
        settings={**held["settings"], "outputErrorPolicy": "Drop"},
    )


def _no_stream(cloud: Cloud) -> None:
    _streaming(cloud)
    cloud.put("stream", gone=True, paused=True, state="stopped", version=None, tasks=[])


def _nothing_yet(cloud: Cloud) -> None:
    """A subscription with a resource group and a SQL server whose databases are of an older version."""
    cloud.remove(JOB)
    cloud.statement(CONTROL, "DROP INDEX ix_kpi_minute_company ON lpmops.kpi_minute")
    cloud.add_database("lpm-01")
    for statement in landing_statements((), Routing()):
        if "ix_tdr_company_landed_at" not in statement:
            cloud.statement("lpm-01", statement)


# The service makes a job each time it is asked, so a lost answer can end in doubt, which a person decides.
CREATE = Case(
    "stream.deploy",
    {**FEED, "from_version": 3},
    _no_stream,
    (Act("create_job", "stream"), Act("permit", "stream"), Act("continue_job", "stream")),
    lambda cloud: cloud.get("stream")["state"] == "running" and not cloud.get("stream")["gone"],
)
# Runs the stream anew each time it is applied, so it has no "so already".
RESTART = Case(
    "stream.restart",
    FEED,
    _streaming,
    (Act("run_job", "stream"),),
    lambda cloud: cloud.get("stream")["state"] == "running" and cloud.get("stream")["run_id"] == 42,
)
CASES = {
    "pause": Case(
        "asa.pause",
        PAUSE,
        lambda _: None,
        (Act("pause_put", JOB), Act("stop", JOB)),
        lambda cloud: cloud.get(JOB)["state"] == "Stopped" and len(cloud.query("SELECT target FROM lpmops.pause")) == 1,
    ),
    "start": Case(
        "asa.start",
        START,
        _paused,
        (Act("start", JOB), Act("pause_delete", JOB)),
        lambda cloud: cloud.get(JOB)["state"] == "Running" and not cloud.query("SELECT target FROM lpmops.pause"),
    ),
    "deploy": Case(
        "asa.deploy",
        DEPLOY,
        drift,
        tuple(
            Act(verb, JOB)
            for verb in (
                *("pause_put", "stop", "change", "put_outputs", "put_transformations", "delete_outputs"),
                *("start", "pause_delete"),
            )
        ),
        lambda cloud: (
            cloud.get(JOB)["state"] == "Running"
            and not cloud.query("SELECT target FROM lpmops.pause")
            and {"lpm-01", "old"} & set(cloud.get(JOB)["outputs"]) == {"lpm-01"}
            and cloud.get(JOB)["query"].startswith("WITH")
            and cloud.get(JOB)["settings"]["outputErrorPolicy"] == "Stop"
        ),
    ),
    "scale": Case(
        "asa.scale",
        SCALE,
        lambda _: None,
        (Act("scale", JOB),),
        lambda cloud: cloud.get(JOB)["streaming_units"] == 10.0 and cloud.get(JOB)["state"] == "Running",
    ),
    "stream deploy": Case(
        "stream.deploy",
        {**FEED, "from_version": None},
        _streaming,
        (Act("update_job", "stream"), Act("permit", "stream"), Act("run_job", "stream")),
        lambda cloud: (
            cloud.get("stream")["run_id"] == 42
            and cloud.get("stream")["state"] == "running"
            and cloud.get("stream")["permissions"] == {"lpm-operators": "CAN_MANAGE_RUN"}
            and cloud.get("stream")["tasks"][0]["existing_cluster_id"] == "c-1"
            and cloud.get("stream")["tasks"][0]["spark_python_task"]["python_file"] in cloud.get("volume")["files"]
        ),
    ),
    "stream stop": Case(
        "stream.stop",
        FEED,
        _streaming,
        (Act("pause_job", "stream"), Act("cancel_run", "stream")),
        lambda cloud: cloud.get("stream")["paused"] and cloud.get("stream")["state"] == "stopped",
    ),
    "stream start": Case(
        "stream.start",
        FEED,
        _stream_stopped,
        (Act("continue_job", "stream"),),
        lambda cloud: cloud.get("stream")["state"] == "running" and cloud.get("stream")["run_id"] == 42,
    ),
    "provision": Case(
        "provision.apply",
        FEED,
        _nothing_yet,
        (
            Act("execute", "index ix_kpi_minute_company on lpmops.kpi_minute"),
            Act("put_namespace", "evhns-lpm-tdr-prod"),
            Act("put_hub", "tdr"),
            Act("put_group", "asa-01"),
            Act("put_group", "people"),
            Act("put_job", JOB),
            Act("put_setting", "evhns-lpm-tdr-prod"),
            Act("put_setting", JOB),
            Act("execute", "index ix_tdr_company_landed_at on lpm.tdr"),
        ),
        lambda cloud: (
            cloud.acts()[Act("put_role", "tdr")] == 2
            and len(cloud.resources.assignments()) == 2
            and len(cloud.query("SELECT name FROM sys.indexes WHERE name = 'ix_kpi_minute_company'")) == 1
            and cloud.get(JOB)["state"] == "Created"
        ),
    ),
    "feed": Case(
        "cdf.enable",
        FEED,
        lambda _: None,
        (Act("enable", "feed"),),
        lambda cloud: cloud.get("feed")["kind"] == "delta",
    ),
}


@dataclass(frozen=True, slots=True)
class Operator:
    """A machine (its store's folder) and the cloud it works on."""

    desk: Desk
    cloud: Cloud
    store: Store

    def plan(self, case: Case) -> Plan:
        return self.desk.plan(registry.action(case.action), case.wish)

    def approve(self, plan: Plan) -> guard.Approval:
        return guard.approve(plan, guard.Answers(confirm=plan.target), "ops@lpm.example", utc_now())

    def run(self, case: Case) -> Outcome:
        """Plan, approve and apply."""
        plan = self.plan(case)
        return self.desk.apply(plan, self.approve(plan))

    def unfinished(self) -> list[str]:
        return [operation.id for operation, _ in journal.operations(self.store, unfinished=True)]

    def check_books(self) -> None:
        """The chain holds, and every step that was done has an intent before it."""
        begun: Counter[tuple[str | None, str]] = Counter()
        for entry in audit.entries(self.store):
            key = (entry.operation, str(entry.body.get("step")))
            if entry.what == "step.begun":
                begun[key] += 1
            assert entry.what != "step.accepted" or begun[key]
        raw = sqlite3.connect(self.store.path)
        assert raw.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        raw.close()


@contextmanager
def operator(
    folder: Path,
    *,
    machine: str = "laptop",
    trouble: Callable[[str, str], None] = quiet,
    ahead: float = 0.0,
    store: Callable[[Path], Store] = open_store,
    timing: Timing = QUICK,
    cloud: Cloud | None = None,
) -> Iterator[Operator]:
    """Somebody at a machine; the cloud is the one in `folder`."""
    made = cloud or Cloud(folder, trouble=trouble, ahead=ahead)
    opened = store(folder / machine / "lpmops.db")
    desk = Desk(config(made.environment), made.environment, opened, cast(Any, made), timing=timing)
    try:
        yield Operator(desk, made, opened)
    finally:
        opened.close()
        if cloud is None:
            made.close()


class KillSwitch:
    """Kills this process with SIGKILL at its n-th boundary; counts them."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def __call__(self, *_: str) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingStore(Store):
    """A store whose every commit has a boundary before and after it."""

    def __init__(self, path: Path, switch: KillSwitch) -> None:
        super().__init__(path, writable=True)
        self._switch = switch

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        outer = self.connection().in_transaction
        with super().writing() as connection:
            yield connection
            if not outer:
                self._switch("before", "commit")
        if not outer:
            self._switch("after", "commit")

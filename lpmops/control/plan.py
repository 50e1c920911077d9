"""A plan as a value: what will be done in which order, what it rests on, whom it concerns, and the fingerprint that an approval is bound to.

Built by an action from what it saw, shown by a face, saved to a file, applied by the engine, each by different code. `seen` holds the managed fields
of the world, by dotted name: a world in which one of them differs refuses the plan. A file is read strictly: unknown keys, another version, an edited
value or an old age refuse it, each in its own words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

from lpmops import __version__
from lpmops.config import Environment
from lpmops.errors import LpmopsError, NotFoundError, StalePlanError, UsageError
from lpmops.model import Kind, parse_time, to_data
from lpmops.plain_text import plain

FORMAT = 1
# How the kind of a step begins that only waits, or notes what was waited for.
WAITS = "wait."
LONGEST_AGE = timedelta(minutes=15)
_AHEAD = timedelta(minutes=2)
_LARGEST_FILE = 16 * 1024 * 1024


class Danger(IntEnum):
    """How much it takes to say yes: reading, reversible, reversible in production, hard to undo."""

    READ = 0
    REVERSIBLE = 1
    PRODUCTION = 2
    HARD = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One field that a step changes; plain JSON values, None where there is none."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `kind` is what the action knows how to do, `arguments` are plain JSON, `touches` the names in `seen` that it changes."""

    name: str
    kind: str
    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    touches: tuple[str, ...] = ()

    @property
    def only_waits(self) -> bool:
        """Whether it changes nothing that anybody rests on: it waits for what others do, or notes that it came."""
        return self.kind.startswith(WAITS)


@dataclass(frozen=True, slots=True)
class Impact:
    """Whom it concerns: companies, events, seconds without delivery, the share of the error budget that takes; None is unknown."""

    companies: int | None = None
    events: int | None = None
    pause_seconds: float | None = None
    budget_share: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to happen. `target` is the name that is typed to confirm, `command` the equal command line.

    `undo` is the command that takes it back; the word OPERATION in it stands for the id of the run.
    """

    action: str
    environment: str
    kind: Kind
    pins: Mapping[str, str]
    target: str
    summary: str
    danger: Danger
    steps: tuple[Step, ...]
    seen: Mapping[str, Any]
    wish: Mapping[str, Any]
    made_at: datetime
    who: str
    command: str
    undo: str = ""
    reason: str = ""
    ticket: str = ""
    impact: Impact = field(default_factory=Impact)
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    version: str = __version__

    @property
    def applyable(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.refusals

    def undo_of(self, operation: str) -> str:
        """The command that takes back what that run did; empty where there is none."""
        return self.undo.replace("OPERATION", operation)

    @property
    def fingerprint(self) -> str:
        """The hash of all of it: what an approval is for."""
        return hashlib.sha256(_canonical(_document(self)).encode("utf-8")).hexdigest()


def pins_of(environment: Environment) -> dict[str, str]:
    """The ids that say which environment this is."""
    return {
        "tenant_id": environment.tenant_id.lower(),
        "subscription_id": environment.subscription_id.lower(),
        "resource_group": environment.resource_group.lower(),
        "databricks.host": environment.databricks.host,
        "databricks.table": environment.databricks.table,
        "eventhub.namespace": environment.eventhub.namespace.lower(),
        "streamanalytics.job_prefix": environment.streamanalytics.job_prefix.lower(),
        "sql.server": f"{environment.sql.server}:{environment.sql.port}".lower(),
        "sql.control_database": environment.sql.control_database,
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every field that is not the same, by name."""
    names = sorted({*before, *now})
    return tuple(Change(name, before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name))


def moved(plan: Plan, changes: tuple[Change, ...]) -> StalePlanError:
    """The error for a world that is not the one the plan was made for; names each field with before and now."""
    shown = "; ".join(f"{item.field} was {_shown(item.before)} and is {_shown(item.after)}" for item in changes[:5])
    more = f"; and {len(changes) - 5} more" if len(changes) > 5 else ""
    return StalePlanError(
        f"Things have changed since the plan was made, so nothing was done: {shown}{more}.",
        hint=f"Look at the new state and make the plan again: {plain(plan.command)}",
    )


def check_fits(plan: Plan, environment: Environment, now: datetime) -> None:
    """Refuse a plan of another environment, version or time. Raises StalePlanError, RefusedError for one that may not be applied."""
    if plan.version != __version__:
        raise StalePlanError(
            f"The plan was made by lpmops {plan.version}, this is {__version__}.",
            hint=f"Make it again with this version: {plain(plan.command)}",
        )
    if (plan.environment, plan.kind) != (environment.name, environment.kind):
        raise StalePlanError(
            f"The plan is for {plan.environment} ({plan.kind.value}), not for {environment.name} ({environment.kind.value}).",
            hint="Make it again for the environment that you mean: repeat its action with -e ENV.",
        )
    if other := differences(plan.pins, pins_of(environment)):
        names = ", ".join(change.field for change in other)
        raise StalePlanError(
            f"The plan is for another {plan.environment} than the configuration's: {names} differ.",
            hint="Compare lpmops.toml with the one the plan was made with: lpmops config show --origin",
        )
    age = now - plan.made_at
    if age > LONGEST_AGE or age < -_AHEAD:
        when = f"{age / timedelta(minutes=1):.0f} min old" if age > LONGEST_AGE else "from the future"
        raise StalePlanError(
            f"The plan is {when}; one may be at most {LONGEST_AGE / timedelta(minutes=1):.0f} min old.",
            hint=f"Make it again, as the world may have moved: {plain(plan.command)}",
        )


# Files ---------------------------------------------------------------------------------------------------------------------------------------------


def plan_data(plan: Plan) -> dict[str, Any]:
    """The whole plan as plain JSON values, its fingerprint beside it."""
    return {"schema": "lpmops/plan/v1", "format": FORMAT, "fingerprint": plan.fingerprint, "plan": _document(plan)}


def plan_of(data: Any) -> Plan:
    """The plan that `plan_data` gave. Raises UsageError for what is none, StalePlanError for one that was edited or is of a newer format."""
    try:
        if not isinstance(data, dict) or data["schema"] != "lpmops/plan/v1":
            raise ValueError("it is no plan")
        if data["format"] != FORMAT:
            raise StalePlanError(
                f"The plan is of format {data['format']!r}, this lpmops knows {FORMAT}.",
                hint="Apply it with the lpmops that made it, or make it again: repeat its action with --out FILE.",
            )
        document = data["plan"]
        # Half a surrogate pair is JSON, yet no store, terminal or service takes it.
        json.dumps(document, ensure_ascii=False).encode()
        plan = _plan(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise UsageError(
            f"That is no plan of lpmops: {plain(error)}.", hint="A plan is written by an action with --out FILE."
        ) from error
    if data["fingerprint"] != plan.fingerprint or set(data) != {"schema", "format", "fingerprint", "plan"}:
        raise StalePlanError(
            "The plan was changed after it was made: its fingerprint does not fit.",
            hint="Make it again instead of editing it: repeat its action with --out FILE.",
        )
    return plan


def save(plan: Plan, path: Path) -> None:
    """Write the plan into a file that only its owner reads, whole or not at all. Raises LpmopsError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(plan_data(plan), file, indent=1)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise LpmopsError(
            f"{path} can't be written: {error.strerror}.", hint="Name another place with --out."
        ) from error


def load(path: Path) -> Plan:
    """The plan of a file. Raises NotFoundError, UsageError, StalePlanError."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{path} is far too large for a plan.", hint="Name the file that --out wrote.")
        return plan_of(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no plan {path}.", hint="A plan is written by an action with --out FILE."
        ) from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.", hint="Check its rights.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is no plan: it is not JSON.", hint="A plan is written by an action with --out FILE."
        ) from error


def _document(plan: Plan) -> dict[str, Any]:
    found = to_data(plan)
    assert isinstance(found, dict)
    # Whole JSON values only: a tuple and a list, a whole float and an integer must not differ once they were read back.
    return dict(json.loads(json.dumps(found)))


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _plan(data: Mapping[str, Any]) -> Plan:
    _only_fields(Plan, data)
    plan = Plan(
        **{
            **data,
            "kind": Kind(data["kind"]),
            "danger": Danger(data["danger"]),
            "steps": tuple(_step(step) for step in data["steps"]),
            "made_at": parse_time(data["made_at"]),
            "impact": Impact(**_only_fields(Impact, data["impact"])),
            "warnings": tuple(data["warnings"]),
            "refusals": tuple(data["refusals"]),
        }
    )
    if not isinstance(plan.seen, dict) or not isinstance(plan.wish, dict) or not isinstance(plan.pins, dict):
        raise ValueError("seen, wish and pins are objects")
    return plan


def _step(data: Mapping[str, Any]) -> Step:
    _only_fields(Step, data)
    changes = tuple(Change(**_only_fields(Change, change)) for change in data["changes"])
    return Step(**{**data, "changes": changes, "touches": tuple(data["touches"])})


def _only_fields(kind: type, data: Mapping[str, Any]) -> Mapping[str, Any]:
    names = {item.name for item in dataclasses.fields(kind)}
    if set(data) != names:
        raise ValueError(f"{kind.__name__.lower()} has {', '.join(sorted(set(data) ^ names))} too many or too few")
    return data


def _shown(value: Any) -> str:
    text = "nothing" if value is None else plain(value if isinstance(value, str) else json.dumps(value))
    return text if len(text) <= 120 else text[:119] + "…"

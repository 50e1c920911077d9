"""What is wrong with a plan, a yes, a lock, an identity or the world refuses every action alike: exit code, sentence, next command, no write."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from lpmops.actions import registry
from lpmops.control import plan as plans
from lpmops.control.lock import ControlDatabase
from lpmops.control.plan import Plan
from lpmops.errors import ForbiddenError, SignInError
from lpmops.model import Kind
from tests.actions import kills, moves
from tests.actions.cases import CASES, Case
from tests.actions.cloud import CONTROL, Cloud, quiet
from tests.actions.line import Line
from tests.actions.operator import operator

FOREIGN = "00000000-0000-4000-8000-00000000beef"


@dataclass(frozen=True, slots=True)
class Trial:
    """A case at the command line, with a plan of it that could be applied and the world it was made for."""

    case: Case
    line: Line
    plan: Plan
    writes: frozenset[str]

    def apply(self, plan: Plan, *words: str) -> Any:
        """Save the plan and run it from its file, with these words or with the yes that it takes."""
        file = self.line.folder / "plan.json"
        plans.save(plan, file)
        return self.line.run("apply", file, *(words or ("--confirm", plan.target)), "-o", "json")


Undo = Callable[[], object]
Row = Callable[[Trial], Iterator[Any]]
ROWS: dict[str, tuple[Row, int, str]] = {}


def row(code: int, error: str) -> Callable[[Row], Row]:
    """One thing that is wrong: the exit code and the error's id that it must have in every action."""

    def add(make: Row) -> Row:
        ROWS[make.__name__.strip("_").replace("_", " ")] = (make, code, error)
        return make

    return add


# Plans


@row(6, "plan.stale")
def a_plan_of_another_environment(trial: Trial) -> Iterator[Any]:
    yield trial.apply(replace(trial.plan, pins={**trial.plan.pins, "subscription_id": FOREIGN}))
    yield trial.apply(replace(trial.plan, kind=Kind.DEV))


@row(6, "plan.stale")
def a_plan_that_was_edited(trial: Trial) -> Iterator[Any]:
    file = trial.line.folder / "edited.json"
    document = plans.plan_data(trial.plan)
    document["plan"]["wish"] = {**document["plan"]["wish"], "reason": "another"}
    file.write_text(json.dumps(document), encoding="utf-8")
    yield trial.line.run("apply", file, "--confirm", "prod", "-o", "json")
    # With a fingerprint of its own it still does not follow from the world.
    yield trial.apply(replace(trial.plan, steps=trial.plan.steps[:-1] + trial.plan.steps[-1:] * 2))


@row(6, "plan.stale")
def a_plan_that_is_too_old_or_from_the_future(trial: Trial) -> Iterator[Any]:
    for minutes in (-16, 5):
        yield trial.apply(replace(trial.plan, made_at=trial.plan.made_at + timedelta(minutes=minutes)))


@row(6, "plan.stale")
def a_plan_of_a_newer_version(trial: Trial) -> Iterator[Any]:
    yield trial.apply(replace(trial.plan, version="99.0.0"))
    file = trial.line.folder / "newer.json"
    file.write_text(json.dumps({**plans.plan_data(trial.plan), "format": 99}), encoding="utf-8")
    yield trial.line.run("apply", file, "--confirm", "prod", "-o", "json")


@row(6, "plan.stale")
def a_world_that_somebody_changed_in_the_portal(trial: Trial) -> Iterator[Any]:
    things = trial.line.cloud.things()
    with operator(trial.line.folder, machine="planner", cloud=trial.line.cloud) as worker:
        moves.first_that_tells(worker, trial.case, trial.plan)
        worker.cloud.forget()
    yield trial.apply(trial.plan)
    trial.line.cloud.restore(things)


# Yes


@row(7, "declined")
def a_name_that_is_not_the_target(trial: Trial) -> Iterator[Any]:
    yield trial.apply(trial.plan, "--confirm", "test")
    yield trial.apply(trial.plan, "--yes", "--confirm", "PROD")


@row(7, "declined")
def nobody_at_a_terminal(trial: Trial) -> Iterator[Any]:
    yield trial.apply(trial.plan, "--no-input")
    yield trial.line.run(*shlex.split(trial.plan.command)[1:], "-o", "json")


# Lock and freeze


@row(5, "locked")
def a_lock_that_another_holds(trial: Trial) -> Iterator[Any]:
    control = ControlDatabase(trial.line.cloud, CONTROL, "prod")
    control.take("another", "eve@lpm.example on host-7", "op-7")
    said = trial.apply(trial.plan)
    assert "eve@lpm.example on host-7" in said.document["error"]["message"]
    yield said
    control.release_operation("op-7")


@row(5, "frozen")
def an_environment_that_is_frozen(trial: Trial) -> Iterator[Any]:
    control = ControlDatabase(trial.line.cloud, CONTROL, "prod")
    control.freeze("election night", "eve@lpm.example", None)
    said = trial.apply(trial.plan)
    assert "election night" in said.document["error"]["message"]
    yield said
    control.unfreeze()


# Who one is, and where


@row(6, "refused")
def a_tenant_workspace_or_server_that_is_another(trial: Trial) -> Iterator[Any]:
    cloud = trial.line.cloud
    for pin in registry.action(trial.case.action).pins:
        with _foreign(cloud, pin):
            yield trial.apply(trial.plan)


@contextmanager
def _foreign(cloud: Cloud, pin: str) -> Iterator[None]:
    owner, name = (cloud._sql, "name") if pin == "server" else (cloud, pin)
    before = getattr(owner, name)
    setattr(owner, name, FOREIGN)
    yield
    setattr(owner, name, before)


@row(4, "auth.expired")
def a_sign_in_that_has_expired(trial: Trial) -> Iterator[Any]:
    def expired(place: str, verb: str) -> None:
        raise SignInError("The token has expired.", service="test", hint="Sign in again: az login")

    with _trouble(trial.line.cloud, expired):
        yield trial.apply(trial.plan)


@row(1, "auth.forbidden")
def a_role_that_is_missing(trial: Trial) -> Iterator[Any]:
    def forbidden(place: str, verb: str) -> None:
        if verb in trial.writes:
            raise ForbiddenError(
                "No right to do this.", service="test", hint="Give it the role: az role assignment create"
            )

    with _trouble(trial.line.cloud, forbidden):
        yield trial.apply(trial.plan)


@contextmanager
def _trouble(cloud: Cloud, trouble: Callable[[str, str], None]) -> Iterator[None]:
    cloud.trouble = trouble
    yield
    cloud.trouble = quiet


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_refuses_every_action_in_words_and_writes_nothing(name: str, line: Line) -> None:
    case = CASES[name]
    case.prepare(line.cloud)
    trial = Trial(case, line, _plan(line, case), frozenset(kills.verbs(case, line.folder / "dry")))
    for title, (make, code, error) in ROWS.items():
        for said in make(trial):
            told = said.document["error"]
            assert (said.code, told["code"]) == (code, error), (title, told)
            assert told["message"].endswith((".", "election night")), title
            assert re.search(r"lpmops \w+|--[a-z]+|az [a-z]+|-e ENV", told["hint"]), (title, told["hint"])
            assert not line.cloud.acts(), title
            assert "Traceback" not in said.err, title
    # After all of it the plan is still what it was, and nothing is left behind that keeps it from being done.
    again = trial.apply(_plan(line, case))
    assert again.code == 0, again.err
    assert case.holds(line.cloud)


def _plan(line: Line, case: Case) -> Plan:
    with operator(line.folder, machine="planner", cloud=line.cloud) as worker:
        return worker.plan(case)


@pytest.mark.parametrize("name", CASES)
def test_the_command_that_a_plan_says_is_equal_makes_the_same_plan(name: str, line: Line) -> None:
    case = CASES[name]
    case.prepare(line.cloud)
    plan = plans.plan_data(_plan(line, case))["plan"]
    said = line.run(*shlex.split(plan["command"])[1:], "--dry-run", "-o", "json")
    assert said.code == 0, said.err
    assert {name: said.data[name] for name in ("action", "steps", "seen", "wish", "target", "danger")} == {
        name: plan[name] for name in ("action", "steps", "seen", "wish", "target", "danger")
    }

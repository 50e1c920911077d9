"""The one place that says what it takes to change something: how dangerous it is, which yes is enough, and that it is the environment that is meant.

A face asks `needed` what to ask for, and gives what it was told to `approve` (a plan) or `agree` (anything else). Only an `Approval` lets the engine
begin; it is bound to the plan's fingerprint and spent by one run. `check_pins` holds what the clouds say they are against what the configuration says
they must be.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lpmops.control.plan import Danger, Plan
from lpmops.errors import DeclinedError, RefusedError
from lpmops.model import Kind

APPROVAL_LASTS = timedelta(minutes=5)
ARMED_FOR = timedelta(minutes=2)
READ_ONLY = "This app was opened read-only: it changes nothing."


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody said yes to one plan. `how` is in their words or flags; `id` is spent by the run it starts."""

    id: str
    fingerprint: str
    who: str
    how: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Answers:
    """What the person or script said: `yes`, and the name that was given to confirm."""

    yes: bool = False
    confirm: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to do: how dangerous it is, the name that is typed to confirm, and what it is in a sentence."""

    danger: Danger
    target: str
    summary: str


@dataclass(frozen=True, slots=True)
class Needed:
    """What is still missing for a yes: `question` for one who can be asked, `typed` the name to type, `flag` for a script."""

    question: str
    typed: str | None
    flag: str


@dataclass(frozen=True, slots=True)
class Arming:
    """An environment in which an app may change things until a moment; a script is armed by naming it."""

    environment: str
    until: datetime

    def left(self, now: datetime) -> float:
        """Seconds until it is over, never below zero."""
        return max(0.0, (self.until - now) / timedelta(seconds=1))


def arm(environment: str, now: datetime) -> Arming:
    """Arm an environment for a while."""
    return Arming(environment, now + ARMED_FOR)


def needs_arming(danger: Danger) -> bool:
    """Whether an app asks to be armed first."""
    return danger >= Danger.PRODUCTION


def danger_of(kind: Kind, *, hard: bool = False) -> Danger:
    """How dangerous it is to change something in an environment of that kind."""
    if hard:
        return Danger.HARD
    return Danger.PRODUCTION if kind is Kind.PROD else Danger.REVERSIBLE


def request_of(plan: Plan) -> Request:
    """What a plan asks to be allowed."""
    return Request(plan.danger, plan.target, plan.summary)


def word_to_type(request: Request) -> str:
    """What somebody at an app types to say yes; empty where one key is enough."""
    if request.danger is Danger.HARD:
        return request.target
    return "yes" if request.danger is Danger.PRODUCTION else ""


def answers_of(request: Request, typed: str) -> Answers:
    """What somebody at an app has said by typing that, or by the one key where nothing is typed."""
    said = typed.strip()
    if request.danger is Danger.HARD:
        return Answers(confirm=said)
    return Answers(yes=said.casefold() == word_to_type(request))


def refuse_read_only(read_only: bool) -> None:
    """Raises DeclinedError where an app was opened only to look."""
    if read_only:
        raise DeclinedError(READ_ONLY, hint="Open it without --read-only, on the machine that is yours: lpmops")


def refuse_unarmed(danger: Danger, environment: str, arming: Arming | None, now: datetime) -> None:
    """Raises DeclinedError where an app must be armed first and is not, or not any more."""
    if needs_arming(danger) and (arming is None or arming.environment != environment or not arming.left(now)):
        raise DeclinedError(
            f"{environment} is not armed, so nothing was done.",
            hint=f"A arms it for {ARMED_FOR / timedelta(seconds=1):.0f} s.",
        )


def needed(request: Request, answers: Answers) -> Needed | None:
    """What is missing before it may be done; None where it is all there. Raises DeclinedError for a name that is not the target's."""
    if answers.confirm is not None and answers.confirm != request.target:
        raise DeclinedError(
            f"{answers.confirm!r} is not what this changes: that is {request.target!r}. Nothing was done.",
            hint=f"To confirm: --confirm {request.target}",
        )
    if request.danger is Danger.READ or answers.confirm is not None:
        return None
    if request.danger is Danger.HARD:
        return Needed(f"Type {request.target} to go on: ", request.target, f"--confirm {request.target}")
    return None if answers.yes else Needed(f"{request.summary} Go on? [y/N] ", None, "--yes")


def agree(request: Request, answers: Answers) -> None:
    """Raises DeclinedError, naming the flag that is missing, unless the answers allow it."""
    missing = needed(request, answers)
    if missing is not None:
        raise DeclinedError(
            f"{request.summary} Nobody said yes to it, and nothing was done.",
            hint=f"To go on without a question: {missing.flag}",
        )


def approve(plan: Plan, answers: Answers, who: str, now: datetime) -> Approval:
    """The approval of a plan. Raises DeclinedError naming the flag that is missing, RefusedError for a plan that may not be applied."""
    refuse_unapplyable(plan)
    agree(request_of(plan), answers)
    how = f"--confirm {answers.confirm}" if answers.confirm is not None else "--yes" if answers.yes else "not asked"
    return Approval(secrets.token_hex(8), plan.fingerprint, who, how, now)


def refuse_unapplyable(plan: Plan) -> None:
    """Raises RefusedError with everything that speaks against a plan."""
    if plan.refusals:
        first, *rest = plan.refusals
        raise RefusedError(first, hint="\n".join(rest))


def check_approval(plan: Plan, approval: Approval, now: datetime) -> None:
    """Refuse an approval of another plan, or one that is over. Raises DeclinedError."""
    if approval.fingerprint != plan.fingerprint:
        raise DeclinedError("The approval is for another plan.", hint="Look at this plan and approve it.")
    if not timedelta(0) <= now - approval.at <= APPROVAL_LASTS:
        raise DeclinedError("The approval is too old.", hint="Look at the plan again and approve it.")


def check_pins(pinned: Mapping[str, str], live: Mapping[str, str | None]) -> None:
    """Refuse every write where a live id is not the pinned one; what could not be told is refused too. Raises RefusedError."""
    for name, wanted in pinned.items():
        found = live.get(name)
        if found is None or found.lower() != wanted.lower():
            raise RefusedError(
                f"This is not the environment of the configuration: {name} is {found or 'unknown'}, pinned is {wanted}. Nothing was changed.",
                hint="Check lpmops.toml and who is signed in: lpmops config show --origin",
            )

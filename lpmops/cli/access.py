"""`lpmops access`: who has which right in an environment, what lacks with the exact words that give it, and giving it.

Looking needs no right but to ask, and writes nothing; a right that can't be asked about is unknown, with why. The table leaves the rights
that are there to a count, unless all are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import changing, output
from lpmops.cli.changing import Agreement, Confirm, Detailed, DryRun, Env, Form, NoInput, Out, Reason, Ticket, Yes
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output, paint
from lpmops.errors import ExitCode
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.control.access_rows import Right

SCHEMA = "access"
_SIGNS = {"has": ("●", "green"), "lacks": ("✖", "red"), "unknown": ("○", "grey")}
_WHY = 160
group = typer.Typer(help="Who has which right, what lacks, and giving it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="access")


@group.command()
def show(
    environment: Env,
    every: Annotated[bool, typer.Option("--all", help="Each right that is there too, not only how many.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 11 where a right lacks.")] = False,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Show for you and each service identity which rights are there, which lack, and what gives them.

    Example: lpmops access show -e prod --all
    """
    del no_input
    with output.guarded(SCHEMA, form), changing.desk(environment) as desk:
        from lpmops.control import access
        from lpmops.model import to_data

        found = access.look(desk.services, world().now)
        items: list[dict[str, Any]] = [{**to_data(right), "gift": None} for right in found]
        for item in items:
            del item["gift"]
        output.emit(Answer(SCHEMA, items, list(_lines(environment, found, every=every)), items), form)
        if check and any(right.state == "lacks" for right in found):
            output.leave(ExitCode.UNHEALTHY)


def _lines(environment: str, found: Sequence[Right], *, every: bool) -> Iterator[str]:
    from lpmops.control.access_rows import merged
    from lpmops.control.rights import TITLES

    counts = {state: sum(right.state == state for right in found) for state in _SIGNS}
    yield f"{plain(environment)}: {counts['has']} rights are there, {counts['lacks']} lack, {counts['unknown']} are unknown"
    for key in dict.fromkeys((right.identity, right.who, right.system) for right in found):
        identity, who, system = key
        rights = [right for right in found if (right.identity, right.who, right.system) == key]
        there = [right for right in rights if right.state == "has"]
        others = merged([right for right in rights if right.state != "has"])
        sign, colour = _SIGNS[min((right.state for right in rights), key=("lacks", "unknown", "has").index)]
        title = f"{plain(who)} ({identity})" if identity != plain(who) else identity
        yield f"{paint(sign, colour)} {title}: {TITLES[system]}, {len(there)} of {len(rights)}"
        yield from (
            f"    {_sign(right)} {plain(right.right)} on {_place(right)}  {plain(right.why)}"
            for right in there
            if every
        )
        for right in others:
            yield f"    {_sign(right)} {plain(right.right)} on {_place(right)}: {right.state}, {_why(right)}"
            yield f"        needed for: {plain(right.needed_for)}"
            if right.state == "lacks":
                yield f"        {plain(right.grant)}"
                if right.may_grant is False:
                    yield f"        not for you to give: hand it to {plain(right.giver)}"


def _place(right: Right) -> str:
    """What it is on; a resource by its last name, as its whole id stands in the command."""
    return plain(right.on.rpartition("/")[2] if right.on.startswith("/subscriptions/") else right.on)


def _why(right: Right) -> str:
    """Why, in one line; JSON has all of it."""
    text = plain(right.why)
    return text if len(text) <= _WHY else f"{text[: _WHY - 1]}…"


def _sign(right: Right) -> str:
    sign, colour = _SIGNS[right.state]
    return paint(sign, colour)


@group.command()
def grant(
    environment: Env,
    identity: Annotated[
        list[str] | None,
        typer.Option("--identity", metavar="WHOSE", help="operator, stream, asa or operators; may be repeated."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="SYSTEM", help="unity, jobs, eventhub, asa, sql, monitor or logs; may be repeated."
        ),
    ] = None,
    reason: Reason = "",
    ticket: Ticket = "",
    dry_run: DryRun = False,
    out: Out = None,
    yes: Yes = False,
    confirm: Confirm = None,
    detailed: Detailed = False,
    form: Form = Output.TABLE,
    no_input: NoInput = False,
) -> None:
    """Give what lacks, with your own rights; what you may not give is named with the words to hand on.

    Example: lpmops access grant -e prod --identity asa --only sql --dry-run
    """
    agreed = Agreement(dry_run, out, yes, confirm, no_input, detailed)
    wish = {
        "identities": changing.listed(identity),
        "only": changing.listed(only),
        "reason": reason.strip(),
        "ticket": ticket,
    }
    changing.act("access.grant", environment, wish, agreed, form)

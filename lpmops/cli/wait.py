"""`lpmops wait`: look until an environment is as wished, or the time is up (exit 8). Nothing is changed by waiting."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from lpmops.cli import durations, output
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output
from lpmops.errors import TimedOutError
from lpmops.model import Health, Snapshot, to_data
from lpmops.plain_text import plain

SCHEMA = "wait"


def wait(
    environment: Annotated[str, typer.Option("-e", "--env", metavar="ENV", help="Which environment.")],
    wish: Annotated[Health, typer.Option("--for", help="The health to wait for.")] = Health.HEALTHY,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long at most: 90s, 2m, 1h30m.")] = "2m",
    form: Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")] = Output.TABLE,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; wait never does.")] = False,
) -> None:
    """Wait until an environment has the wished health."""
    del no_input
    with output.guarded(SCHEMA, form):
        seconds = durations.seconds(timeout)
        snapshot, waited = _wait(environment, wish, seconds)
        data = {
            "environment": environment,
            "health": snapshot.health.value,
            "waited_seconds": round(waited, 1),
            "taken_at": to_data(snapshot.taken_at),
        }
        line = f"{environment} is {snapshot.health.value} after {waited:.0f} s"
        output.emit(Answer(SCHEMA, data, [plain(line)], [data]), form)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("wait")(wait)


def _wait(name: str, wish: Health, seconds: float) -> tuple[Snapshot, float]:
    from lpmops.cli.status import store_or_warning
    from lpmops.control.poller import Poller

    here = world()
    config = here.config()
    environment = config.environment(name)
    store, warnings = store_or_warning(here, config)
    for warning in warnings:
        output.narrate(f"warning: {warning}")
    began = here.monotonic()
    newest: list[Snapshot] = []
    changed = threading.Condition()

    def take(snapshot: Snapshot) -> None:
        with changed:
            newest.append(snapshot)
            changed.notify_all()

    poller = Poller(environment, config, store, opener=here.open_services, now=here.now)
    poller.subscribe(take)
    poller.start()
    told = ""
    try:
        while True:
            with changed:
                left = seconds - (here.monotonic() - began)
                if not newest and left > 0:
                    changed.wait(min(left, config.refresh.interval))
                snapshot = newest.pop() if newest else None
                newest.clear()
            if snapshot is not None and snapshot.health is wish:
                return snapshot, here.monotonic() - began
            if snapshot is not None and (now := _words(snapshot)) != told:
                told = now
                output.narrate(now)
            if here.monotonic() - began >= seconds:
                raise TimedOutError(
                    f"{name} was not {wish.value} within {seconds:g} s"
                    + (f"; last seen: {told}." if told else "; nothing was seen."),
                    hint=f"See why: lpmops status -e {name}",
                )
    finally:
        poller.close()
        if store is not None:
            store.close()


def _words(snapshot: Snapshot) -> str:
    suspect = f", {snapshot.suspects[0].id}: {snapshot.suspects[0].summary}" if snapshot.suspects else ""
    return f"{snapshot.environment} is {snapshot.health.value}{suspect}"

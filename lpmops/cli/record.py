"""`lpmops record`: keep what is seen in the local store without a terminal, as a plain process for a service manager.

It shares the one poller of each environment with the apps of this machine: while another reads the clouds it follows, and takes over when that one
goes. On stderr stands one line a turn of events: who leads, a health that changed, trouble with the store and its end. SIGTERM ends it with exit 0,
as does `--for`; an interrupt with 130.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import durations, output
from lpmops.cli.context import World, world
from lpmops.cli.output import Answer, Output
from lpmops.errors import ExitCode, StoreError
from lpmops.model import Snapshot, to_data

if TYPE_CHECKING:
    from lpmops.control.poller import Poller
    from lpmops.control.reconcile_turns import ReconcileTurns
    from lpmops.store.connection import Store

SCHEMA = "record"
# How soon a signal that reached another thread is acted on.
_NAP = 0.2


@dataclass(slots=True)
class Recorded:
    """What was recorded of one environment, and what was last said of it."""

    poller: Poller
    turns: ReconcileTurns
    looks: int = 0
    since: datetime | None = None
    until: datetime | None = None
    health: str = ""
    trouble: str = ""
    leading: bool | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, snapshot: Snapshot) -> None:
        """Count a look and say where it turned; in the poller's thread."""
        with self.lock:
            self.looks += 1
            self.since, self.until = self.since or snapshot.taken_at, snapshot.taken_at
            if snapshot.health.value != self.health:
                self.health = snapshot.health.value
                first = snapshot.suspects[0] if snapshot.suspects else None
                why = f": {first.id}, {first.summary}" if first is not None else ""
                _say(snapshot.taken_at, f"{snapshot.environment} is {self.health}{why}")

    def tell(self, now: datetime) -> None:
        """Say who leads and what is wrong, where that has changed."""
        name, leading = self.poller.environment.name, self.poller.leading
        warning = self.poller.warning or self.turns.warning
        with self.lock:
            if leading is not None and leading is not self.leading:
                if not leading:
                    _say(
                        now,
                        f"{name} is read by another lpmops of this machine; this one follows and takes over when it goes",
                    )
                elif self.leading is False:
                    _say(now, f"{name} is read from here now")
                self.leading = leading
            if warning != self.trouble:
                _say(now, f"{name}: {warning}" if warning else f"{name} is recorded again")
                self.trouble = warning


def record(
    environments: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", metavar="ENV", help="Which environment; may be repeated. Default: all."),
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long: 90s, 2h. Default: until it is ended.")
    ] = None,
    form: Annotated[Output, typer.Option("-o", "--output", help="The form of the count at the end.")] = Output.TABLE,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; record never does.")] = False,
) -> None:
    """Keep what is seen of each environment in the local store, for the app's time line and for history."""
    del no_input
    with output.guarded(SCHEMA, form):
        seconds = None if lasting is None else durations.seconds(lasting)
        code, found = _record(list(dict.fromkeys(environments or [])), seconds)
        rows = [_row(item) for item in found]
        output.emit(Answer(SCHEMA, rows, (), rows), form)
        output.leave(code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("record")(record)


def _record(names: list[str], seconds: float | None) -> tuple[ExitCode, list[Recorded]]:
    from lpmops.control.poller import Poller
    from lpmops.control.reconcile_turns import ReconcileTurns
    from lpmops.control.shared import SharedServices

    here = world()
    config = here.config()
    chosen = [config.environment(name) for name in names or config.environments]
    store = _writable(here, config.state_directory)
    shared = SharedServices(here.open_services)
    pollers = [Poller(environment, config, store, opener=shared.open, now=here.now) for environment in chosen]
    found = [
        Recorded(poller, ReconcileTurns(poller, config, store, opener=shared.open, now=here.now)) for poller in pollers
    ]
    with _ending() as ended:
        try:
            _say(
                here.now(),
                f"recording {', '.join(item.name for item in chosen)} into {store.path} every {config.refresh.interval:g} s",
            )
            for item in found:
                item.poller.subscribe(item.take)
                item.poller.start()
                item.turns.start()
            code = _watch(here, found, seconds, ended)
        finally:
            for item in found:
                item.turns.close()
                item.poller.close()
            store.close()
    _say(here.now(), f"ended after {sum(item.looks for item in found):,} looks")
    return code, found


def _watch(
    here: World, found: list[Recorded], seconds: float | None, ended: Callable[[float], ExitCode | None]
) -> ExitCode:
    """Tell what turns until the time is up or a signal came; the exit code."""
    began = here.monotonic()
    while seconds is None or here.monotonic() - began < seconds:
        code = ended(_NAP if seconds is None else min(_NAP, max(0.0, seconds - (here.monotonic() - began))))
        if code is not None:
            return code
        for item in found:
            item.tell(here.now())
    return ExitCode.OK


def _writable(here: World, configured: str) -> Store:
    """The store, since recording is all there is to do here. Raises StoreError where it can't be written."""
    store = here.open_store(configured)
    if store.writable:
        return store
    warnings = " ".join(store.warnings)
    store.close()
    raise StoreError(f"Nothing can be recorded: {warnings}", hint=f"Check the rights of {store.path}.")


@contextmanager
def _ending() -> Iterator[Callable[[float], ExitCode | None]]:
    """What waits for some seconds and gives the exit code of a signal that came; a service manager's SIGTERM is an ordinary end."""
    came: list[ExitCode] = []
    woken = threading.Event()

    def heed(number: int, frame: FrameType | None) -> None:
        del frame
        came.append(ExitCode.OK if number == signal.SIGTERM else ExitCode.INTERRUPTED)
        woken.set()

    def wait(seconds: float) -> ExitCode | None:
        woken.wait(seconds)
        return came[0] if came else None

    before = {number: signal.signal(number, heed) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(at: datetime, text: str) -> None:
    output.narrate(f"{to_data(at)} {text}")


def _row(item: Recorded) -> dict[str, Any]:
    return {
        "environment": item.poller.environment.name,
        "looks": item.looks,
        "from": to_data(item.since),
        "to": to_data(item.until),
        "health": item.health or None,
    }

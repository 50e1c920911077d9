"""`lpmops demo`: everything without an account. Starts the sandbox, opens the app on it, and ends the sandbox with the app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from lpmops.cli import durations, output, sandbox
from lpmops.cli.context import world
from lpmops.cli.output import Output
from lpmops.errors import ExitCode, UsageError
from lpmops.model import Snapshot

if TYPE_CHECKING:
    from lpmops.cli.sandbox_setup import Wish

SCHEMA = "status"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="No app: look for a while, then print the status.")
    ] = False,
    lasting: Annotated[str, typer.Option("--for", metavar="TIME", help="How long to look with --headless.")] = "30s",
    port: sandbox.Port = sandbox.DEFAULT_PORT,
    seed: sandbox.Seed = 1,
    companies: sandbox.Companies = 12,
    rate: sandbox.Rate = 20.0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the sandbox running afterwards.")] = False,
    form: Annotated[
        Output, typer.Option("-o", "--output", help="The form of the status with --headless.")
    ] = Output.JSON,
) -> None:
    """See the whole stream on this machine, with no account: three environments and the app."""
    from lpmops.cli.sandbox_setup import Wish

    here = world()
    with output.guarded(SCHEMA, form if headless else Output.TABLE):
        seconds = durations.seconds(lasting)
        if not headless and not (here.is_terminal(here.stdin) and here.is_terminal(here.stdout)):
            raise UsageError("The app needs a terminal.", hint="Without one: lpmops demo --headless --for 30s")
        with _sandbox(Wish(port, seed, companies, None, rate), keep):
            if headless:
                _look(seconds, form)
            else:
                here.open_app(here.config())


@contextmanager
def _sandbox(wish: Wish, keep: bool) -> Iterator[None]:
    """A sandbox for as long as the block runs; one that ran before is used and left alone."""
    from lpmops.cli import sandbox_client

    ran_before = sandbox_client.running() is not None
    output.narrate("Starting the sandbox: three environments on this machine ...")
    try:
        running, _ = sandbox_client.start(wish)
        sandbox.use_config_of(running)
        yield
    finally:
        # Asked anew: a signal may have come between its start and the first line that knew of it.
        if not ran_before and not keep and (started := sandbox_client.running()) is not None:
            output.narrate("Ending the sandbox ...")
            sandbox_client.stop(started)


def _look(seconds: float, form: Output) -> None:
    """Look for `seconds` and print the last status; exit 0 where everything is healthy."""
    from lpmops.cli import status
    from lpmops.control.feed import open_feed

    here = world()
    config = here.config()
    newest: dict[str, Snapshot] = {}
    feed = open_feed(config, here.open_store)
    unsubscribe = feed.subscribe(lambda snapshot: newest.__setitem__(snapshot.environment, snapshot))
    try:
        durations.let_pass(seconds)
    finally:
        unsubscribe()
        feed.close()
    shown = [newest[name] for name in config.environments if name in newest]
    unseen = [f"{name} was not seen within {seconds:g} s." for name in config.environments if name not in newest]
    code = status.show(status.Seen(shown, feed.warnings() + unseen), (), form, check=True)
    output.leave(ExitCode.UNHEALTHY if unseen and code is ExitCode.OK else code)

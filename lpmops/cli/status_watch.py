"""`lpmops status --watch`: the same answer again with each new look, in place on a terminal, one after another elsewhere.

With json each look is one document on one line. It ends with an interrupt.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from lpmops.cli import output
from lpmops.cli.context import world
from lpmops.cli.output import Output
from lpmops.cli.status import Seen, look_cached, show, store_or_warning
from lpmops.errors import ExitCode, UsageError
from lpmops.model import Snapshot

CACHED_SECONDS = 2.0
_HOME_AND_CLEAR = "\x1b[H\x1b[2J"


def watch(names: Sequence[str], *, live: bool, check: bool, form: Output, rounds: int | None = None) -> ExitCode:
    """Show each new look until interrupted, or `rounds` times. Raises ConfigError, NotFoundError, StoreError, UsageError."""
    if form is Output.CSV:
        raise UsageError("--watch does not go with csv, whose header stands once.", hint="Use -o jsonl.")
    return _watch_live(names, check, form, rounds) if live else _watch_cached(names, check, form, rounds)


def _watch_cached(names: Sequence[str], check: bool, form: Output, rounds: int | None) -> ExitCode:
    shown, code = 0, ExitCode.OK
    while rounds is None or shown < rounds:
        if shown:
            world().sleep(CACHED_SECONDS)
        code = _paint(look_cached(names), names, check, form)
        shown += 1
    return code


def _watch_live(names: Sequence[str], check: bool, form: Output, rounds: int | None) -> ExitCode:
    from lpmops.control.poller import Poller
    from lpmops.control.reconcile_turns import ReconcileTurns
    from lpmops.control.shared import SharedServices

    here = world()
    config = here.config()
    chosen = [config.environment(name) for name in names or config.environments]
    store, warnings = store_or_warning(here, config)
    newest: dict[str, Snapshot] = {}
    changed = threading.Condition()

    def take(snapshot: Snapshot) -> None:
        with changed:
            newest[snapshot.environment] = snapshot
            changed.notify_all()

    shared = SharedServices(here.open_services)
    pollers = [Poller(environment, config, store, opener=shared.open, now=here.now) for environment in chosen]
    turns = [ReconcileTurns(poller, config, store, opener=shared.open, now=here.now) for poller in pollers]
    shown, code = 0, ExitCode.OK
    try:
        for poller in pollers:
            poller.subscribe(take)
            poller.start()
        for each in turns:
            each.start()
        while rounds is None or shown < rounds:
            with changed:
                changed.wait(config.refresh.interval)
                snapshots = [newest[environment.name] for environment in chosen if environment.name in newest]
                newest_only = (
                    snapshots if form is not Output.JSONL else [newest.pop(item.environment) for item in snapshots]
                )
            if not newest_only:
                continue
            troubles = [*(poller.warning for poller in pollers), *(each.warning for each in turns)]
            said = [*warnings, *dict.fromkeys(trouble for trouble in troubles if trouble)]
            code = _paint(Seen(list(newest_only), said), names, check, form)
            shown += 1
    finally:
        for each in turns:
            each.close()
        for poller in pollers:
            poller.close()
        if store is not None:
            store.close()
    return code


def _paint(seen: Seen, names: Sequence[str], check: bool, form: Output) -> ExitCode:
    here = world()
    if form is Output.TABLE and here.is_terminal(here.stdout) and here.environ.get("TERM") != "dumb":
        here.stdout.write(_HOME_AND_CLEAR)
    code = show(seen, names, form, check=check, compact=True)
    if form is Output.TABLE and not here.is_terminal(here.stdout):
        output.emit(output.Answer("status", lines=[""]), form)
    return code

"""`lpmops status`: how each environment is, read live or from the local store.

Live, all environments are read at once and each fails alone; one that nothing answers for is shown as it was last seen, with health unknown, and why.
`--cached` asks the store only and loads neither SDK nor configuration. Exit codes: 0, 11 with --check where something is not healthy, 4 where the
sign-in is over, 3 for an environment that is not there.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from lpmops.cli import output
from lpmops.cli.context import World, world
from lpmops.cli.output import Answer, Output
from lpmops.errors import ExitCode, LpmopsError, NotFoundError, SignInError, StoreError, UsageError
from lpmops.model import Health, Snapshot, to_data

if TYPE_CHECKING:
    from lpmops.config import Config
    from lpmops.store.connection import Store

SCHEMA = "status"


@dataclass(slots=True)
class Seen:
    """What a look at some environments gave."""

    snapshots: list[Snapshot] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def status(
    environments: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", metavar="ENV", help="Which environment; may be repeated. Default: all."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All environments of the configuration.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again until interrupted.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 11 unless everything is healthy.")] = False,
    live: Annotated[
        bool, typer.Option("--live/--cached", help="Read the clouds, or only what the local store holds.")
    ] = True,
    form: Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")] = Output.TABLE,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; status never does.")] = False,
) -> None:
    """Show how each environment is, how far behind it is, and what is probably wrong."""
    del no_input
    with output.guarded(SCHEMA, form):
        names = list(dict.fromkeys(environments or []))
        if names and every:
            raise UsageError(
                "--all and --env exclude each other.", hint="Name environments, or leave both out to see all."
            )
        if watch:
            from lpmops.cli import status_watch

            output.leave(status_watch.watch(names, live=live, check=check, form=form))
            return
        seen = look_live(names) if live else look_cached(names)
        output.leave(show(seen, names, form, check=check))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def show(seen: Seen, names: Sequence[str], form: Output, *, check: bool, compact: bool = False) -> ExitCode:
    """Write what was seen; the exit code it stands for."""
    lines: list[str] = []
    rows: Sequence[dict[str, object]] = []
    if form is Output.TABLE:
        from lpmops.cli import status_view

        lines = status_view.lines(seen.snapshots, world().now(), routes=bool(names))
    elif form is Output.CSV:
        from lpmops.cli import status_view

        rows = [dict(status_view.flat(snapshot)) for snapshot in seen.snapshots]
    error = _sign_in_error(seen.snapshots)
    output.emit(
        Answer(SCHEMA, [data_of(item) for item in seen.snapshots], lines, rows, seen.warnings, error),
        form,
        compact=compact,
    )
    if error is not None:
        return ExitCode.SIGN_IN
    healthy = bool(seen.snapshots) and all(item.health is Health.HEALTHY for item in seen.snapshots)
    return ExitCode.UNHEALTHY if check and not healthy else ExitCode.OK


def data_of(snapshot: Snapshot) -> dict[str, object]:
    """A snapshot as the document shows it."""
    found = to_data(snapshot)
    assert isinstance(found, dict)
    return found


def look_cached(names: Sequence[str]) -> Seen:
    """What the store holds. Raises NotFoundError for an environment it never saw, StoreError."""
    from lpmops.control import freshness
    from lpmops.store import snapshots

    store = world().stored()
    try:
        found = {item.environment: item for item in snapshots.latest(store, names or None)}
    finally:
        store.close()
    unseen = [name for name in names if name not in found]
    if unseen or not found:
        what = (
            f"The local store has never seen {', '.join(unseen)}."
            if unseen
            else "The local store has seen no environment yet."
        )
        raise NotFoundError(what, hint=f"Read it live: lpmops status{''.join(f' -e {name}' for name in unseen)}")
    seen = Seen(warnings=list(store.warnings))
    for name in names or sorted(found):
        snapshot = freshness.as_of(found[name], world().now())
        if snapshot is not found[name]:
            seen.warnings.append(f"{name} was last seen at {to_data(snapshot.taken_at)}: how it is now is unknown.")
        seen.snapshots.append(snapshot)
    return seen


def look_live(names: Sequence[str]) -> Seen:
    """Read the named environments (all without a name) at the same time. Raises ConfigError, NotFoundError."""
    from lpmops.config import Environment

    here = world()
    config = here.config()
    chosen: list[Environment] = [config.environment(name) for name in names or config.environments]
    store, warnings = store_or_warning(here, config)
    results: dict[str, tuple[Snapshot | None, list[str]]] = {}

    def read(environment: Environment) -> None:
        results[environment.name] = _read_one(environment, config, store, here)

    threads = [threading.Thread(target=read, args=(environment,), daemon=True) for environment in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = Seen(warnings=warnings)
    for environment in chosen:
        snapshot, said = results[environment.name]
        seen.warnings += [text for text in said if text not in seen.warnings]
        if snapshot is not None:
            seen.snapshots.append(snapshot)
    if store is not None:
        store.close()
    return seen


def store_or_warning(here: World, config: Config) -> tuple[Store | None, list[str]]:
    """The store, or without one what is wrong with it: looking works without."""
    try:
        store = here.open_store(config.state_directory)
    except StoreError as error:
        return None, [f"{error.message} {error.hint}".strip()]
    return store, list(store.warnings)


def _read_one(
    environment: object, config: Config, store: Store | None, here: World
) -> tuple[Snapshot | None, list[str]]:
    from lpmops.config import Environment
    from lpmops.control import freshness
    from lpmops.control.poller import look_once
    from lpmops.store import snapshots

    assert isinstance(environment, Environment)
    stored: Snapshot | None = None
    warnings: list[str] = []
    try:
        if store is not None:
            found = snapshots.latest(store, [environment.name])
            stored = found[0] if found else None
        look = look_once(environment, config, store, opener=here.open_services, now=here.now)
    except LpmopsError as error:
        return stored and freshness.unknown(stored), [f"{environment.name}: {error.message} {error.hint}".strip()]
    except Exception as error:  # noqa: BLE001 - the edge of the thread; one environment must not end the others
        return stored and freshness.unknown(stored), [
            f"{environment.name}: lpmops failed: {type(error).__name__}: {error}"
        ]
    if look.warning:
        warnings.append(look.warning)
    if look.answered:
        return look.snapshot, warnings
    when = f"as seen at {to_data(stored.taken_at)}" if stored is not None else "with nothing seen before"
    warnings.append(f"{environment.name}: nothing answered; shown {when}, and how it is now is unknown.")
    return freshness.fall_back(look.snapshot, stored), warnings


def _sign_in_error(snapshots: Sequence[Snapshot]) -> SignInError | None:
    """The error where an environment can't be seen because nobody is signed in."""
    for snapshot in snapshots:
        first = snapshot.suspects[0] if snapshot.suspects else None
        if first is not None and first.id == "auth.expired":
            return SignInError(
                f"{snapshot.environment}: {first.summary}",
                service="identity",
                hint=first.next[0] if first.next else snapshot.credential.remedy,
            )
    return None

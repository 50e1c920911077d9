"""`lpmops doctor`: the assessment of this machine, the configuration and each environment.

Every check fails alone, and the whole is over within about 15 s: without a configuration the machine is judged, without a network the configuration.
It needs no right to write and writes nothing. Exit codes: 0, 11 with --check where something is bad, 3 for an environment that is not there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpmops.cli import output
from lpmops.cli.context import world
from lpmops.cli.output import Answer, Output, paint
from lpmops.errors import ExitCode, LpmopsError, NotFoundError
from lpmops.plain_text import plain

if TYPE_CHECKING:
    from lpmops.config import Config, Environment
    from lpmops.control.findings import Finding

SCHEMA = "doctor"
_SIGNS = {"ok": ("●", "green"), "warn": ("▲", "yellow"), "bad": ("✖", "red"), "unknown": ("○", "grey")}
_HERE = "this machine"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    environments: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", metavar="ENV", help="Which environment; may be repeated. Default: all."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="What is well too, not only how much.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 11 where something is bad.")] = False,
    form: Annotated[Output, typer.Option("-o", "--output", help="The form of the output.")] = Output.TABLE,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; doctor never does.")] = False,
) -> None:
    """Assess this machine and each environment: what is wrong, and what to do.

    Example: lpmops doctor -e prod --check
    """
    del no_input
    with output.guarded(SCHEMA, form):
        found = look(list(dict.fromkeys(environments or [])))
        items = [data_of(place, finding) for place, findings in found.items() for finding in findings]
        flat = [{**item, "evidence": "; ".join(item["evidence"]), "todo": "; ".join(item["todo"])} for item in items]
        output.emit(Answer(SCHEMA, items, list(_lines(found, every=every)), flat), form)
        if check and any(item["level"] == "bad" for item in items):
            output.leave(ExitCode.UNHEALTHY)


def data_of(place: str, finding: Finding) -> dict[str, Any]:
    """A finding as the document shows it; `environment` is null for this machine."""
    from lpmops.model import to_data

    return {"environment": None if place == _HERE else place, **to_data(finding)}


def look(names: Sequence[str]) -> dict[str, list[Finding]]:
    """The findings of this machine, then of the named environments (all without a name), read at the same time. Raises NotFoundError."""
    here = world()
    config: Config | None = None
    trouble: LpmopsError | None = None
    try:
        config = here.config()
    except LpmopsError as error:
        trouble = error
    chosen = _chosen(config, names)
    found: dict[str, list[Finding]] = {_HERE: _machine(config, trouble)}
    results: dict[str, list[Finding]] = {}

    def examine(environment: Environment) -> None:
        results[environment.name] = _examine(environment, config)

    threads = [threading.Thread(target=examine, args=(environment,), daemon=True) for environment in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**found, **{environment.name: results[environment.name] for environment in chosen}}


def _chosen(config: Config | None, names: Sequence[str]) -> list[Environment]:
    if config is None:
        return []
    return [config.environment(name) for name in names or config.environments]


def _machine(config: Config | None, trouble: LpmopsError | None) -> list[Finding]:
    """This machine, and whether the configuration can be read."""
    from lpmops import paths
    from lpmops.control import machine
    from lpmops.control.findings import Finding, Level, by_area

    here = world()
    wishes = (
        {environment.sql.driver for environment in config.environments.values()} if config is not None else {"auto"}
    )

    def driver() -> tuple[str, str]:
        from lpmops.services import sqldrivers

        return sqldrivers.described("auto" if "auto" in wishes or not wishes else sorted(wishes)[0])

    store = paths.store_place(config.state_directory if config is not None else "")
    found = machine.look(store, driver, here.environ, terminal=here.is_terminal(here.stdout))
    if trouble is not None:
        missing = isinstance(trouble, NotFoundError)
        todo = (trouble.hint,) if trouble.hint else ()
        said = "There is no configuration." if missing else "The configuration can't be used."
        found.append(Finding("configuration.file", "configuration", Level.BAD, said, (trouble.message,), todo))
    elif config is not None:
        names = ", ".join(config.environments)
        found.append(
            Finding(
                "configuration.file",
                "configuration",
                Level.OK,
                "The configuration is sound.",
                (str(config.path), names),
            )
        )
    return by_area(found)


def _examine(environment: Environment, config: Config | None) -> list[Finding]:
    """One environment; whatever happens to it happens to no other."""
    from typing import cast

    from lpmops.control import doctor as assessment
    from lpmops.control.findings import Finding, Level

    assert config is not None
    here = world()
    services = here.open_services(environment, min(config.refresh.deadline, assessment.PATIENCE))
    try:
        return assessment.examine(cast(Any, services), config, here.now)
    except Exception as error:  # noqa: BLE001 - the edge of the thread; one environment must not end the others
        said = f"lpmops failed to assess it: {type(error).__name__}"
        return [Finding("doctor.failed", "reach", Level.UNKNOWN, said, (plain(error),))]
    finally:
        services.close()


def _lines(found: dict[str, list[Finding]], *, every: bool) -> Iterator[str]:
    for place, findings in found.items():
        counts = {level: sum(finding.level.value == level for finding in findings) for level in _SIGNS}
        yield f"{paint(plain(place), 'bold')}: {counts['bad']} bad, {counts['warn']} to look at, {counts['unknown']} unknown, {counts['ok']} well"
        for finding in findings:
            if finding.level.value == "ok" and not every:
                continue
            sign, colour = _SIGNS[finding.level.value]
            threat = f"   threatens {finding.threatens}" if finding.threatens else ""
            yield f"  {paint(sign, colour)} {finding.area}: {plain(finding.summary)}{threat}"
            yield from (f"      {_short(text)}" for text in finding.evidence)
            yield from (f"      → {plain(text)}" for text in finding.todo)


def _short(text: str) -> str:
    """Evidence on one line; JSON has all of it."""
    shown = plain(text)
    return shown if len(shown) <= 200 else f"{shown[:199]}…"

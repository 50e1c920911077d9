"""What can be said on the `:` line, how it is completed, and what it does.

A line is a word of the registry and what follows it. What may follow is named by the command's `takes`; each kind has
its suggestions from the newest scene and its deed here. Everything but `run` is free of effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING

from lpmops import moments, versions
from lpmops.errors import LpmopsError, UsageError
from lpmops.tui import commands, hands
from lpmops.tui.commands import Command
from lpmops.tui.place import Place
from lpmops.tui.preferences import THEMES, ZONES
from lpmops.tui.widgets.table import LiveTable

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp

_WANTED = {
    "environment": "the name of an environment",
    "company": "the id of a company; of the open environment, or of any",
    "moment": "03:10, 2026-03-02 03:10, 20 min ago, or now",
    "source": "a source of logs",
    "range": "some versions, as in 118:240; nothing shows all of them",
    "pattern": "part of a row; ! shows the others, ~ letters in order; nothing clears it",
    "column": "a column of the table",
    "copied": "cell, row, json or command",
    "saved": "csv, json or svg",
    "theme": "dark, light or terminal",
    "zone": "utc or local",
}
_NEEDED = frozenset({"environment", "company"})


def split(text: str) -> tuple[str, str]:
    """The word of a line and what follows it."""
    word, _, rest = text.strip().removeprefix(":").strip().partition(" ")
    return word.casefold(), rest.strip()


def command_of(text: str, app: LpmopsApp) -> tuple[Command | None, str]:
    """The command of a line and what follows; the name of an environment alone opens it."""
    word, rest = split(text)
    verb, _, further = rest.partition(" ")
    action = commands.by_word(f"{word} {verb.casefold()}") if verb else None
    if action is not None:
        return action, further.strip()
    command = commands.by_word(word)
    if command is None and not rest and any(view.name.casefold() == word for view in app.live.views):
        return commands.by_word("env"), word
    return command, rest


def completed(text: str, app: LpmopsApp) -> str | None:
    """The whole line that `text` may become, None where nothing begins so."""
    lead = text[: len(text) - len(text.lstrip())]
    word, space, rest = text.lstrip().partition(" ")
    # The words of an action are two; one word that begins so, an environment's name too, is more often meant.
    typed = text.lstrip().casefold()
    words = sorted((command.word for command in commands.spoken()), key=lambda word: " " in word)
    short = sum(" " not in word for word in words)
    names = (*words[:short], *(() if space else (view.name for view in app.live.views)), *words[short:])
    found = next((name for name in names if typed and name.startswith(typed) and name != typed), None)
    if found is not None or not space:
        return text + found[len(typed) :] if found else None
    command = commands.by_word(word.casefold())
    if command is None or not command.takes:
        return None
    wanted = rest.casefold()
    choice = next(
        (each for each in _choices(command.takes, app) if each.casefold().startswith(wanted) and each != rest), None
    )
    # The ghost is drawn behind what is typed, so that has to stay as it is.
    return (
        f"{lead}{word} {rest}{choice[len(rest) :]}" if choice and rest else f"{lead}{word} {choice}" if choice else None
    )


def hint(text: str, app: LpmopsApp) -> str:
    """What the line will do so far, and what may follow."""
    if not text.strip():
        return ""
    command, rest = command_of(text, app)
    if command is None:
        word, _ = split(text)
        found = [each.word for each in commands.spoken() if each.word.startswith(word)]
        return "  ".join(found) if found else f"there is no command {word!r}"
    why = app.why_not(command.action) if not (command.takes and rest) else None
    if why:
        return f"not now: {why}"
    if command.takes and not rest:
        some = ", ".join(islice(_choices(command.takes, app), 6))
        return f"{command.sentence} · {_WANTED[command.takes]}" + (f": {some}" if some else "")
    return command.sentence


def problem(text: str, app: LpmopsApp) -> str:
    """Why the line can't be run, empty where it can."""
    if not text.strip():
        return ""
    command, rest = command_of(text, app)
    if command is None:
        word, _ = split(text)
        return f"there is no command {word!r}; ? lists them all"
    if not rest and command.takes in _NEEDED:
        return f"{command.word} wants {_WANTED[command.takes]}"
    if rest and not command.takes:
        return f"{command.word} takes nothing more"
    if rest and command.takes in _CHECKS:
        return _CHECKS[command.takes](rest, app)
    return app.why_not(command.action) or ""


async def run(text: str, app: LpmopsApp) -> None:
    """Does what the line says; `problem` has found nothing against it."""
    command, rest = command_of(text, app)
    if command is None:
        return
    if (command.takes and rest) or command.takes == "pattern":
        _DEEDS[command.takes](rest, app)
    else:
        await app.run_action(command.action, app.focused or app.screen)


# What may follow ---------------------------------------------------------------------------------------------------------------------------------


def _choices(takes: str, app: LpmopsApp) -> Iterable[str]:
    environment = app.environment_meant
    if takes == "environment":
        return [view.name for view in app.live.views]
    if takes == "company":
        views = [view for view in app.scene.views if environment in (None, view.name)]
        return (route.company_id for view in views if view.snapshot for route in view.snapshot.routes)
    if takes == "source":
        return app.feed.log_sources(environment) if environment else ()
    if takes == "column":
        table = _table(app)
        return [column.key for column in table.columns] if table else ()
    fixed = {
        "moment": ("now", "10 min ago", "1 h ago"), "copied": hands.COPIES, "saved": hands.FORMS, "theme": THEMES, "zone": ZONES,
    }  # fmt: skip
    return fixed.get(takes, ())


def _table(app: LpmopsApp) -> LiveTable[object] | None:
    seen = app.seen
    return next(iter(seen.query(LiveTable)), None) if seen else None


def _environment_named(name: str, app: LpmopsApp) -> str | None:
    return next((view.name for view in app.live.views if view.name.casefold() == name.casefold()), None)


def _company_named(name: str, app: LpmopsApp) -> Place | None:
    """The company of that id: of the open environment first, then where production comes first."""
    here = app.environment_meant
    views = sorted(app.scene.views, key=lambda view: (view.name != here, view.order))
    for view in views:
        for route in view.snapshot.routes if view.snapshot else ():
            if route.company_id.casefold() == name.casefold():
                return Place("company", view.name, route.company_id)
    return None


def _one_of(takes: str) -> Callable[[str, LpmopsApp], str]:
    def check(text: str, app: LpmopsApp) -> str:
        choices = [each.casefold() for each in _choices(takes, app)]
        return "" if text.casefold() in choices else f"{text!r} is none of {', '.join(choices) or 'nothing'}"

    return check


def _moment_problem(text: str, app: LpmopsApp) -> str:
    try:
        moments.moment(text, app.feed.now())
    except LpmopsError as error:
        return f"{error.message} {error.hint}".strip()
    return ""


def _range_problem(text: str, _app: LpmopsApp) -> str:
    try:
        versions.parse(text)
    except UsageError as error:
        return f"{error.message} {error.hint}".strip()
    return ""


def _filter_problem(_text: str, app: LpmopsApp) -> str:
    return "" if app.seen and app.seen.can_filter else "there are no rows to filter on this screen"


_CHECKS: dict[str, Callable[[str, LpmopsApp], str]] = {
    "environment": _one_of("environment"),
    "company": lambda text, app: "" if _company_named(text, app) else f"no environment routes a company {text!r}",
    "source": _one_of("source"),
    "column": _one_of("column"),
    "moment": _moment_problem,
    "range": _range_problem,
    "copied": _one_of("copied"),
    "saved": _one_of("saved"),
    "theme": _one_of("theme"),
    "zone": _one_of("zone"),
    "pattern": _filter_problem,
}


def _go_company(text: str, app: LpmopsApp) -> None:
    place = _company_named(text, app)
    if place is not None:
        app.go(place)


def _go_logs(text: str, app: LpmopsApp) -> None:
    name = app.environment_meant
    if name is not None:
        app.go(Place("logs", name, source=text.casefold()))


def _filter(text: str, app: LpmopsApp) -> None:
    if app.seen is not None:
        app.seen.open_filter(text)


def _sort(text: str, app: LpmopsApp) -> None:
    table = _table(app)
    if table is not None:
        keys = [column.key.casefold() for column in table.columns]
        table.sort_by(keys.index(text.casefold()))


_DEEDS: dict[str, Callable[[str, LpmopsApp], None]] = {
    "environment": lambda text, app: app.open_environment(_environment_named(text, app) or text),
    "company": _go_company,
    "source": _go_logs,
    "range": lambda text, app: app.action_versions(text),
    "moment": lambda text, app: app.go_to_moment(moments.moment(text, app.feed.now())),
    "pattern": _filter,
    "column": _sort,
    "copied": lambda text, app: hands.copy(app, text.casefold()),
    "saved": lambda text, app: hands.save(app, text.casefold()),
    "theme": lambda text, app: app.set_theme(text.casefold()),
    "zone": lambda text, app: app.set_zone_kept(text.casefold()),
}

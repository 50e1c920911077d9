"""The palette: any command, environment or company by part of its name, letters in order. The list is the registry and the newest scene.

The searching and the drawing are Textual's own palette. Names from outside go in as plain content, never as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

from lpmops.plain_text import plain_line
from lpmops.tui import commands, marks
from lpmops.tui.place import Place

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp

_MOST_COMPANIES = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that can be found: its name, what it does or why it does not now, and the deed."""

    name: str
    help: str
    do: Callable[[], object]


def entries(app: LpmopsApp) -> Iterable[Entry]:
    """The commands that a key or word stands for, and the environments."""
    for view in app.live.views:
        mark = marks.of_health(view.snapshot.health) if view.snapshot else marks.UNKNOWN
        yield Entry(f"environment: {view.title}", f"{mark.glyph} {mark.word}", partial(app.open_environment, view.name))
    for place in (commands.EVERYWHERE, commands.TABLE):
        for command in place:
            if command.in_palette and _is_here(app, command):
                why = app.why_not(command.action)
                sentence = f"not now: {why}" if why else command.sentence
                yield Entry(
                    f"{command.title}: {command.word or command.id}"
                    if command.word != command.title
                    else command.title,
                    sentence,
                    partial(_run, app, command),
                )


def companies(app: LpmopsApp) -> Iterable[Entry]:
    """Every company of every environment, those of the open one first."""
    here = app.environment_meant
    for view in sorted(app.live.views, key=lambda view: (view.name != here, view.order)):
        for route in view.snapshot.routes if view.snapshot else ():
            name = f"{route.company_id} {route.company}"
            place = Place("company", view.name, route.company_id)
            yield Entry(name, f"{view.title} · {route.database} · {route.state}", partial(app.go, place))


def open_palette(app: LpmopsApp) -> None:
    """Shows the palette over what is seen."""
    app.push_screen(CommandPalette(providers=[_Found], placeholder="a command, an environment, a company"))


def _is_here(app: LpmopsApp, command: commands.Command) -> bool:
    """Whether a command of a table can be meant: only where one has the keys."""
    seen = app.seen
    return command in commands.EVERYWHERE or (seen is not None and seen.can_filter)


async def _run(app: LpmopsApp, command: commands.Command) -> None:
    await app.run_action(command.action, app.focused or app.screen)


class _Found(Provider):
    """What the palette shows."""

    @property
    def _owner(self) -> LpmopsApp:
        return cast("LpmopsApp", self.app)

    async def discover(self) -> Hits:
        """What there is before anything is typed."""
        for entry in entries(self._owner):
            yield DiscoveryHit(
                Content(plain_line(entry.name)), entry.do, plain_line(entry.name), escape(plain_line(entry.help))
            )

    async def search(self, query: str) -> Hits:
        """What matches, the best companies only."""
        matcher = self.matcher(query)
        for entry in entries(self._owner):
            name = plain_line(entry.name)
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), entry.do, name, escape(plain_line(entry.help)))
        shown = 0
        needle = query.casefold()
        for entry in companies(self._owner):
            name = plain_line(entry.name)
            # Part of a name is what is meant by a company, and ten thousand of them have to be looked through between two keys.
            if needle in name.casefold():
                yield Hit(
                    matcher.match(name) or 0.1, matcher.highlight(name), entry.do, name, escape(plain_line(entry.help))
                )
                shown += 1
                if shown >= _MOST_COMPANIES:
                    return

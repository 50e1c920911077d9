"""The palette: any command, environment or company by part of its name, letters in order. The list is the registry and the newest scene.

The searching and the drawing are Textual's own palette. Names from outside go in as plain content, never as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.style import Style

from lpmops.plain_text import plain_line
from lpmops.tui import commands, marks
from lpmops.tui.keys import key_sign
from lpmops.tui.place import Place

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp

_MOST_COMPANIES = 50


class Palette(CommandPalette):
    """Textual's palette in the looks of the house."""

    CSS_PATH = "palette.tcss"


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
    here = _here(app) | {command.id for command in commands.actions()}
    for command in (*commands.ALL, *commands.actions()):
        if command.in_palette and command.id in here:
            why = app.why_not(command.action)
            keys = " or ".join(key_sign(key) for key in command.keys.split(",") if key)
            name = command.word or command.title or command.sentence
            yield Entry(
                f"{name}  {keys}".rstrip(), f"not now: {why}" if why else command.sentence, partial(_run, app, command)
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
    app.push_screen(Palette(providers=[_Found], placeholder="a command, an environment, a company"))


def _here(app: LpmopsApp) -> set[str | None]:
    """The ids of the commands that have keys on the screen below."""
    return {active.binding.id for active in app.seen.active_bindings.values()} if app.seen else set()


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
            name = plain_line(entry.name)
            yield DiscoveryHit(_drawn(name, entry.help, (), self.matcher("").match_style), entry.do, name)

    async def search(self, query: str) -> Hits:
        """What matches, the best companies only."""
        matcher = self.matcher(query)
        for entry in entries(self._owner):
            if (hit := _hit(entry, matcher)) is not None:
                yield hit
        shown, needle = 0, query.casefold()
        for entry in companies(self._owner):
            # Part of a name is what is meant by a company, and ten thousand of them have to be looked through between two keys.
            if needle in entry.name.casefold() and (hit := _hit(entry, matcher)) is not None:
                yield hit
                shown += 1
                if shown >= _MOST_COMPANIES:
                    return


def _hit(entry: Entry, matcher: Matcher) -> Hit | None:
    name = plain_line(entry.name)
    score, offsets = matcher.fuzzy_search.match(matcher.query, name)
    return Hit(score, _drawn(name, entry.help, offsets, matcher.match_style), entry.do, name) if score > 0 else None


def _drawn(name: str, sentence: str, offsets: Sequence[int], style: Style) -> Content:
    """The name with what matches, and the sentence under it. Textual's own way reads both as markup."""
    drawn = Content(name)
    for offset in offsets:
        drawn = drawn.stylize(style, offset, offset + 1)
    return Content("\n").join([drawn, Content(plain_line(sentence)).stylize("dim")])

"""The app: it keeps the newest view of each environment, moves between screens, and ends within a second whatever hangs.

Changes come through the inbox from other threads and are drawn at most some thirty times a second. A fault is told
and outlived; the app ends when the operator or a signal says so, never by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import ClassVar

from rich.segment import Segment, Segments
from textual.actions import ActionParseResult
from textual.app import App
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.events import Mount, Resize, Unmount
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen

from lpmops.tui import theme
from lpmops.tui.faults import Faults, report, sentence_of
from lpmops.tui.feed import Limits, SnapshotFeed
from lpmops.tui.keymap import EVERYWHERE, INTERRUPT
from lpmops.tui.keys import key_groups
from lpmops.tui.reader import Change, Reader
from lpmops.tui.screens.environment import EnvironmentScreen
from lpmops.tui.screens.live import LiveModal, LiveScreen
from lpmops.tui.screens.overview import OverviewScreen
from lpmops.tui.screens.too_small import TooSmallScreen, is_too_small
from lpmops.tui.signals import leave_on_signal
from lpmops.tui.view import EnvironmentView, Scene

_COALESCE = 1 / 30
_TICK = 1.0


class Arrived(Message):
    """Something waits in the inbox."""


class LpmopsApp(App[None]):
    """The terminal app over a feed of snapshots. `dark` chooses the theme; with NO_COLOR set there is none. `read_only` takes every action away."""

    TITLE = "lpmops"
    # Textual loads no styles for the default screen, so the overview's are loaded here.
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "screens/overview.tcss"]
    ENABLE_COMMAND_PALETTE = False
    NOTIFICATION_TIMEOUT = 6
    BINDINGS: ClassVar[list[BindingType]] = [*EVERYWHERE, INTERRUPT]

    def __init__(
        self, feed: SnapshotFeed, *, limits: Limits | None = None, dark: bool = True, read_only: bool = False
    ) -> None:
        # By convention an empty NO_COLOR asks for nothing; Textual would take it as a yes.
        if os.environ.get("NO_COLOR") == "":
            del os.environ["NO_COLOR"]
        plain = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if plain else None)
        self.animation_level = "none"
        for each in theme.THEMES:
            self.register_theme(each)
        self.theme = theme.PLAIN.name if plain else theme.DARK.name if dark else theme.LIGHT.name
        self.faults = Faults()
        self.feed = feed
        self.read_only = read_only
        environments = list(feed.environments())
        self.scene = Scene(
            tuple(EnvironmentView(name, kind) for name, kind in environments), feed.now(), limits or Limits()
        )
        self._kept_back: dict[str, Change] = {}
        self._drawing_soon = False
        self._forget_signals: Callable[[], None] = lambda: None
        self._reader = Reader(feed, self._wake, self._failed)
        # The store is read while Textual starts, so that its answer is there for the first paint.
        for name, _ in environments:
            self._reader.read_store(name)

    # The edges ---------------------------------------------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        """The overview."""
        return OverviewScreen([view.name for view in self.scene.views])

    def on_mount(self, _event: Mount) -> None:
        """Goes live."""
        if not self.is_headless:
            self._forget_signals = leave_on_signal(lambda code: self.exit(return_code=code))
        self._apply(self._reader.inbox.take())
        self.set_interval(_TICK, self._tick, name="clock")
        self._cover_or_uncover(self.size)

    def on_unmount(self, _event: Unmount) -> None:
        """Lets go of the feed, without waiting for it."""
        self._forget_signals()
        self._reader.close()

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Runs the action of a key; a fault in it is told, and the app goes on."""
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except Exception as error:  # noqa: BLE001 the edge of a key press
            report(self, f"the key for {action}", error)
            return True

    def _failed(self, doing: str, error: Exception) -> None:
        report(self, doing, error)

    def tell(self, sentence: str) -> None:
        """Shows `sentence` as a warning; callable from any thread."""
        if self.is_running:
            self.notify(sentence, severity="warning", markup=False)

    def _fatal_error(self) -> None:
        """Says what ended the app without the local variables that Textual would print, which may hold what must not be shown."""
        error = self._exception
        text = sentence_of("lpmops had to stop", error) if error else "lpmops had to stop"
        self._exit_renderables.append(Segments([Segment(text), Segment.line()]))
        if error is not None:
            report(None, "a part of the app failed", error)
        self._close_messages_no_wait()

    # Values ------------------------------------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self.is_running:
            self.post_message(Arrived())

    def on_arrived(self, _message: Arrived) -> None:
        """Draws a moment later, so that what arrives together is drawn together."""
        if not self._drawing_soon:
            self._drawing_soon = True
            self.set_timer(_COALESCE, self._draw_arrived)

    def _draw_arrived(self) -> None:
        self._drawing_soon = False
        self._apply(self._reader.inbox.take())

    def _apply(self, changes: list[Change]) -> None:
        """Draws the changes; live ones wait while the display is held."""
        views = {view.name: view for view in self.scene.views}
        for change in changes:
            if change.environment not in views:
                continue
            if change.live and self.scene.held:
                self._kept_back[change.environment] = change
            else:
                views[change.environment] = change.apply(views[change.environment])
        self.scene = replace(self.scene, views=tuple(views.values()))
        self._tick()

    def _tick(self) -> None:
        """Draws the scene at this moment on the screens that can be seen."""
        try:
            self._reader.subscribe()
            self.scene = replace(self.scene, now=self.feed.now())
            for screen in self._seen():
                screen.show(self.scene)
        except Exception as error:  # noqa: BLE001 the edge of a timer: one bad scene must not end the drawing of the next
            report(self, "drawing", error)

    def _seen(self) -> list[LiveScreen | LiveModal]:
        seen: list[LiveScreen | LiveModal] = []
        for screen in reversed(self.screen_stack):
            if isinstance(screen, LiveScreen | LiveModal) and screen.is_mounted:
                seen.append(screen)
            if not isinstance(screen, LiveModal):
                break
        return seen

    @property
    def settled(self) -> bool:
        """Whether the local store has answered for every environment, and what it said is drawn."""
        return all(view.settled for view in self.scene.views)

    # Screens -----------------------------------------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> str | None:
        """The environment that is open."""
        return next((screen.environment for screen in self.screen_stack if isinstance(screen, EnvironmentScreen)), None)

    def _base(self) -> None:
        """Closes everything over the overview."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def open_environment(self, name: str) -> None:
        """Shows the environment of that name, instead of another where one is open."""
        if self.environment == name and isinstance(self.screen, EnvironmentScreen):
            return
        self._base()
        overview = self.screen
        if isinstance(overview, OverviewScreen):
            overview.chosen = overview.environments.index(name)
        self.push_screen(EnvironmentScreen(name, self.scene))

    def on_overview_screen_opened(self, message: OverviewScreen.Opened) -> None:
        """Opens an environment."""
        self.open_environment(message.environment)

    def on_environment_screen_left(self, _message: EnvironmentScreen.Left) -> None:
        """Back to the overview."""
        self._base()

    def on_environment_screen_company_opened(self, message: EnvironmentScreen.CompanyOpened) -> None:
        """Shows the card of a company."""
        from lpmops.tui.screens.company import CompanyScreen

        self.push_screen(CompanyScreen(message.environment, message.company_id))

    def on_resize(self, event: Resize) -> None:
        """Covers the app where it has no room."""
        self._cover_or_uncover(event.size)

    def _cover_or_uncover(self, size: Size) -> None:
        covered = isinstance(self.screen, TooSmallScreen)
        if is_too_small(size) and not covered:
            self.push_screen(TooSmallScreen())
        elif covered and not is_too_small(size):
            self.pop_screen()

    # Keys --------------------------------------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now: on a covered app only quitting does, and a number needs its environment."""
        if self.screen_stack and isinstance(self.screen, TooSmallScreen):
            return action == "quit"
        if action == "jump":
            return isinstance(parameters[0], int) and parameters[0] <= len(self.scene.views)
        if action == "help":
            from lpmops.tui.screens.help import HelpScreen

            return not (self.screen_stack and isinstance(self.screen, HelpScreen))
        return True

    def action_refresh_now(self) -> None:
        """Asks for new snapshots."""
        names = [self.environment] if self.environment else [view.name for view in self.scene.views]
        for name in names:
            if not self._reader.refresh(name):
                self.tell(f"{name} is still being read")

    def action_hold(self) -> None:
        """Holds the display, or lets it catch up."""
        held = not self.scene.held
        self.scene = replace(self.scene, held=held)
        kept = [] if held else list(self._kept_back.values())
        self._kept_back = self._kept_back if held else {}
        self._apply(kept)

    def action_overview(self) -> None:
        """All environments."""
        self._base()

    def action_jump(self, number: int) -> None:
        """Opens the environment of that number."""
        self.open_environment(self.scene.views[number - 1].name)

    def action_theme(self) -> None:
        """Light or dark; without colours there is only one."""
        if self.theme != theme.PLAIN.name:
            self.theme = theme.LIGHT.name if self.theme == theme.DARK.name else theme.DARK.name

    def action_help(self) -> None:
        """Shows the keys of the screen below."""
        from lpmops.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(key_groups(self, self.screen)))

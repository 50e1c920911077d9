"""The app: it keeps the newest view of each environment, draws it or a moment of the past, and ends within a second whatever hangs.

Changes come through the inbox from other threads and are drawn at most some thirty times a second. A fault is told
and outlived; the app ends when the operator or a signal says so, never by itself. What a command does stands in
`deeds.py`, which this class inherits; where it leads in `navigator.py`.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment, Segments
from textual.actions import ActionParseResult
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.events import Mount, Resize, Unmount
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen

from lpmops.errors import LpmopsError
from lpmops.plain_text import plain_line
from lpmops.tui import commands, questions, theme
from lpmops.tui.answers import Answer, Answers
from lpmops.tui.comparisons import Comparison, Comparisons
from lpmops.tui.deeds import Deeds
from lpmops.tui.faults import Faults, report, sentence_of
from lpmops.tui.feed import Feed, Limits
from lpmops.tui.navigator import Navigator
from lpmops.tui.orders import Orders
from lpmops.tui.past import TimeMachine
from lpmops.tui.place import OVERVIEW
from lpmops.tui.preferences import Preferences
from lpmops.tui.reader import Change, Reader
from lpmops.tui.runs import Run, Runs
from lpmops.tui.screens.live import LiveModal, LiveScreen
from lpmops.tui.screens.overview import OverviewScreen
from lpmops.tui.screens.too_small import TooSmallScreen, is_too_small
from lpmops.tui.signals import LastResort, leave_on_signal
from lpmops.tui.view import Activity, EnvironmentView, Scene

if TYPE_CHECKING:
    from lpmops.control.operations import Operation

_COALESCE = 1 / 30
_TICK = 1.0
# Far longer than leaving takes on a busy machine, as the terminal is not given back then.
_LEAVING = 10.0
_COLLECT = (50_000, 20, 100)
_GIVE_WAY = 0.0002


class Arrived(Message):
    """Something waits in the inbox."""


class LpmopsApp(Deeds):
    """The terminal app over a feed. `read_only` keeps it from changing anything; with NO_COLOR set there is no colour."""

    TITLE = "lpmops"
    # Textual loads no styles for the default screen, so the overview's are loaded here.
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "screens/overview.tcss"]
    ENABLE_COMMAND_PALETTE = False
    NOTIFICATION_TIMEOUT = 6
    BINDINGS: ClassVar[list[BindingType]] = [
        *commands.bindings(commands.TIME),
        *commands.bindings(commands.EVERYWHERE),
        commands.INTERRUPT,
    ]

    def __init__(
        self,
        feed: Feed,
        *,
        limits: Limits | None = None,
        dark: bool = True,
        preferences: Preferences | None = None,
        read_only: bool = False,
        orders: Orders | None = None,
        state_directory: str = "",
    ) -> None:
        # By convention an empty NO_COLOR asks for nothing; Textual would take it as a yes.
        if os.environ.get("NO_COLOR") == "":
            del os.environ["NO_COLOR"]
        plain = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if plain else None)
        self.animation_level = "none"
        for each in theme.THEMES:
            self.register_theme(each)
        self.preferences = preferences or Preferences(theme="dark" if dark else "light")
        self.theme = theme.PLAIN.name if plain else theme.BY_NAME[self.preferences.theme].name
        self.read_only, self.state_directory = read_only, state_directory
        self.typed: list[str] = []
        self.faults = Faults()
        self.feed: Feed = feed
        self.orders = orders
        self.runs = Runs(orders, self._wake) if orders is not None else None
        self._ended: frozenset[str] = frozenset()
        self._waiting = 0
        environments = list(feed.environments())
        self.live: Scene = Scene(
            tuple(EnvironmentView(name, kind) for name, kind in environments),
            feed.now(),
            limits or Limits(),
            zone=zone_of(self.preferences.zone),
        )
        self.scene: Scene = self.live
        self.navigator = Navigator(self)
        self.answers = Answers(feed, self._wake)
        self.comparisons = Comparisons(feed, self._wake)
        self._heard: frozenset[int] = frozenset()
        self.machine = TimeMachine(feed, environments, self._wake)
        self._kept_back: dict[str, Change] = {}
        self._drawing_soon = False
        self._forget_signals: Callable[[], None] = lambda: None
        self._last_resort = LastResort(_LEAVING)
        self.reader = Reader(feed, self._wake, self._failed)
        # The store is read while Textual starts, so that its answer is there for the first paint.
        for name, _ in environments:
            self.reader.read_store(name)

    # The edges ---------------------------------------------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        """The overview."""
        return OverviewScreen(OVERVIEW, [view.name for view in self.live.views])

    def on_mount(self, _event: Mount) -> None:
        """Goes live."""
        if not self.is_headless:
            self._forget_signals = leave_on_signal(self.leave)
        if self.preferences.keys:
            self.set_keymap(dict(self.preferences.keys))
        for problem in self.preferences.problems:
            self.tell(problem)
        self._apply(self.reader.inbox.take())
        self.set_interval(_TICK, self._tick, name="clock")
        self._cover_or_uncover(self.size)

    def leave(self, code: int = 0) -> None:
        """Ends the app with that exit code, whatever hangs."""
        if not self.is_headless:
            self._last_resort.arm(code)
        self.exit(return_code=code)

    async def action_quit(self) -> None:
        """Ends the app; while something is being changed it asks once."""
        from lpmops.tui.screens.leaving import LeavingScreen

        if self.going and not isinstance(self.screen, LeavingScreen):
            self.push_screen(LeavingScreen(self))
        else:
            self.leave()

    def run_to_the_end(self, *, mouse: bool = True) -> int:
        """Runs the app on this terminal until it is left; the exit code."""
        # Snapshots are values without cycles: looking through tens of thousands of them for some would hold up a key.
        gc.set_threshold(*_COLLECT)
        # A thread that reads gives way to a key within a fifth of a millisecond, not five.
        sys.setswitchinterval(_GIVE_WAY)
        try:
            self.run(mouse=mouse)
        finally:
            self._last_resort.disarm()
        return self.return_code or 0

    def on_unmount(self, _event: Unmount) -> None:
        """Lets go of the feed, without waiting for it."""
        self._forget_signals()
        self.reader.close()

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Runs the action of a key; where it does not work now the reason is told, and a fault in it is told and outlived."""
        if not self.is_typing and (why := self.why_not(action)) is not None:
            self.tell(why)
            return True
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
            self.notify(plain_line(sentence), severity="warning", markup=False)

    def tell_once(self, sentence: str) -> None:
        """Shows `sentence` unless it was shown within the last minute."""
        if self.faults.is_new(sentence):
            self.tell(sentence)

    def say(self, sentence: str) -> None:
        """Shows `sentence` as something that went well."""
        if self.is_running:
            self.notify(plain_line(sentence), markup=False)

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
        """Draws soon, together with what comes until then."""
        if not self._drawing_soon:
            self._drawing_soon = True
            self.set_timer(_COALESCE, self._draw_arrived, name="arrived")

    def _draw_arrived(self) -> None:
        self._drawing_soon = False
        self._apply(self.reader.inbox.take())

    def _apply(self, changes: list[Change]) -> None:
        """Draws the changes; live ones wait while the display is held."""
        views = {view.name: view for view in self.live.views}
        for change in changes:
            if change.environment not in views:
                continue
            if change.live and self.live.held:
                self._kept_back[change.environment] = change
            else:
                views[change.environment] = change.apply(views[change.environment])
        self.live = replace(self.live, views=tuple(views.values()))
        self._tick()

    def hold(self, held: bool) -> None:
        """Holds the display, or lets it catch up."""
        self.live = replace(self.live, held=held)
        kept = [] if held else list(self._kept_back.values())
        self._kept_back = self._kept_back if held else {}
        self._apply(kept)

    def set_zone(self, name: str) -> None:
        """Times in UTC or in local time, everywhere."""
        self.live = replace(self.live, zone=zone_of(name))
        self.show_now()

    def _tick(self) -> None:
        """Draws the scene at this moment on the screens that can be seen."""
        try:
            self.reader.subscribe()
            self.show_now()
        except Exception as error:  # noqa: BLE001 the edge of a timer: one bad scene must not end the drawing of the next
            report(self, "drawing", error)

    def show_now(self) -> None:
        """Draws what is true at this moment, or what was at the moment of the past that is shown."""
        self.live = replace(self.live, now=self.feed.now(), warnings=self._warned(), activity=self._activity())
        self.scene = self.machine.scene(self.live)
        for screen in self._seen():
            screen.show(self.scene)

    def _warned(self) -> tuple[str, ...]:
        """What is wrong on this machine now; what has become wrong since the last look is told."""
        found = tuple(self.feed.warnings())
        for sentence in found:
            if sentence not in self.live.warnings:
                self.tell(sentence)
        return found

    # Changing ----------------------------------------------------------------------------------------------------------------------------------

    @property
    def going(self) -> tuple[Run, ...]:
        """What is being changed from here now."""
        return self.runs.going if self.runs is not None else ()

    def arm(self, environment: str) -> None:
        """Lets an environment be changed for a while, or ends that."""
        if self.orders is None:
            return
        try:
            if environment in self.orders.armed():
                self.orders.disarm(environment)
            else:
                self.orders.arm(environment)
        except LpmopsError as error:
            self.tell(error.message)
        self.show_now()

    def operations(self, *, anew: bool = False) -> Answer[Sequence[Operation]]:
        """The operations of this machine, as far as they are known."""
        if self.orders is None:
            return Answer(())
        return self.answers.get(questions.operations(self.orders), self.feed.now(), anew=anew)

    def _hear(self, ended: Comparison) -> None:
        """Says what a reconciliation found, and has everything read again that may show it."""
        self._heard |= {ended.number}
        (self.tell if ended.fault or ended.result is None or not ended.result.complete else self.say)(ended.verdict)
        self.answers.outdate(questions.versions(ended.environment))
        self.reader.refresh(ended.environment)

    def _activity(self) -> Activity:
        """What is armed, what runs and what waits; that something waits is told when it is first seen."""
        for each in self.comparisons.all:
            if not each.going and each.number not in self._heard:
                self._hear(each)
        compared = tuple(f"reconcile {each.environment}" for each in self.comparisons.all if each.going)
        if self.orders is None or self.runs is None:
            return Activity(going=compared)
        ended = frozenset(run.key for run in self.runs.all if not run.going)
        known = self.operations()
        if ended != self._ended and not known.asking:
            for run in self.runs.all:
                if run.key in ended - self._ended:
                    self.answers.outdate(questions.versions(run.operation.environment))
            # What is being read already may be of before the end, so it is read once more after that.
            known, self._ended = self.operations(anew=True), ended
        going = {run.operation.id for run in self.runs.going}
        waiting = sum(each.waits and each.id not in going for each in known.value or ())
        if waiting > self._waiting:
            self.tell(f"{waiting} unfinished operation{'' if waiting == 1 else 's'}: o shows it")
        self._waiting = waiting
        return Activity(self.orders.armed(), (*(run.line for run in self.runs.going), *compared), waiting)

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
        return all(view.settled for view in self.live.views)

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was asked for has come, and is drawn or about to be."""
        return self.settled and not self.answers.asking and not self.machine.is_reading

    # Room --------------------------------------------------------------------------------------------------------------------------------------

    def on_resize(self, event: Resize) -> None:
        """Covers the app where it has no room."""
        self._cover_or_uncover(event.size)

    def _cover_or_uncover(self, size: Size) -> None:
        covered = isinstance(self.screen, TooSmallScreen)
        if is_too_small(size) and not covered:
            self.push_screen(TooSmallScreen())
        elif covered and not is_too_small(size):
            self.pop_screen()


def zone_of(name: str) -> tzinfo:
    """The time zone of a preference: utc, or local."""
    local = datetime.now().astimezone().tzinfo
    return local if name == "local" and local is not None else UTC

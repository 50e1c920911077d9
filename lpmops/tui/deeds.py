"""What the commands do: one method an action of the registry, each a line or two that hands on to the part that knows how.

The app inherits them, because Textual looks for actions on the app. Nothing here decides whether a command may run:
`why_not` asks `reasons.py`, for keys, palette and line alike.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, cast

from textual.actions import ActionParseResult, parse
from textual.app import App
from textual.screen import ModalScreen
from textual.widgets import Input

from lpmops.tui import reasons, theme
from lpmops.tui.keys import key_groups
from lpmops.tui.place import OVERVIEW, Place
from lpmops.tui.screens.live import LiveModal, LiveScreen
from lpmops.tui.screens.overview import OverviewScreen
from lpmops.tui.screens.too_small import TooSmallScreen

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp

# Commands that take what is typed behind them; inside a line or a panel their keys are that one's.
_TYPED = frozenset({"command", "filter"})


class Deeds(App[None]):
    """The actions of the app."""

    @property
    def _me(self) -> LpmopsApp:
        return cast("LpmopsApp", self)

    @property
    def seen(self) -> LiveScreen | None:
        """The whole screen that is seen, below any panel."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, LiveScreen)), None)

    @property
    def environment(self) -> str | None:
        """The environment that is open."""
        return self._me.navigator.here.environment or None

    @property
    def environment_meant(self) -> str | None:
        """The environment that a command is about: the open one, else the chosen one of the overview."""
        seen = self.seen
        return seen.chosen_environment if isinstance(seen, OverviewScreen) else self.environment

    @property
    def company_meant(self) -> str:
        """The company that is looked at, empty for none."""
        return self._me.navigator.here.company

    # Whether a command works now ---------------------------------------------------------------------------------------------------------------

    def why_not(self, action: str | ActionParseResult) -> str | None:
        """Why `action` does not work now, in a sentence."""
        namespace, name, parameters = parse(action) if isinstance(action, str) else action
        seen = self.seen
        if namespace not in ("app", "screen", "") or seen is None or isinstance(seen, TooSmallScreen):
            return None
        return reasons.reason(name, parameters, self._circumstances(seen, self.environment_meant, asked=name))

    def why_no_change(self, environment: str) -> str | None:
        """Why nothing can be changed in `environment` now, whichever is meant by the screen."""
        seen = self.seen
        return reasons.why_no_change(self._circumstances(seen, environment)) if seen is not None else None

    def _circumstances(self, seen: LiveScreen, meant: str | None, *, asked: str = "") -> reasons.Circumstances:
        """What `asked` depends on; what takes a look at the screen is looked at only for who asks for it."""
        visits = self._me.navigator.visits
        return reasons.Circumstances(
            place=self._me.navigator.here,
            scene=self._me.scene,
            panel=isinstance(self.screen, LiveModal),
            can_filter=asked == "filter" and seen.can_filter,
            can_copy=asked == "copy" and seen.can_copy,
            visits_before=visits.index > 0,
            visits_after=visits.index < len(visits.places) - 1,
            in_browser=self.is_web,
            plain=self.theme == theme.PLAIN.name,
            meant=self._me.live.view(meant or ""),
            orders=self._me.orders is not None,
            read_only=self._me.read_only,
            running=any(run.operation.environment == meant for run in self._me.going),
            shown=self._shown() if asked == "stop_run" else None,
        )

    def _shown(self) -> reasons.Shown | None:
        """The operation whose panel lies over the screen."""
        from lpmops.tui.screens.operation import OperationScreen

        return self.screen.shown if isinstance(self.screen, OperationScreen) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key is there now: on a covered app only quitting is, a number needs its environment, the keys of the time line need it open."""
        if self.screen_stack and isinstance(self.screen, TooSmallScreen):
            return action == "quit"
        if action in _TYPED and self.is_typing:
            return False
        if action == "jump":
            return isinstance(parameters[0], int) and parameters[0] <= len(self._me.live.views)
        if action.startswith("time_"):
            return self._me.machine.is_open
        return True

    @property
    def is_typing(self) -> bool:
        """Whether a key is text, or meant for the panel over the screen."""
        return isinstance(self.focused, Input) or isinstance(self.screen, ModalScreen)

    # Places ------------------------------------------------------------------------------------------------------------------------------------

    def go(self, place: Place) -> None:
        """Shows `place`, closing what is over the screen."""
        self._me.navigator.go(place)

    def open_environment(self, name: str) -> None:
        """Shows the environment of that name."""
        overview = self.screen_stack[0]
        if isinstance(overview, OverviewScreen):
            overview.choose(name)
        self.go(Place("environment", name))

    def action_out(self) -> None:
        """One step out: the panel, what is inside the screen, the past, then the screen itself."""
        if isinstance(self.screen, LiveModal):
            self.screen.dismiss()
            return
        seen = self.seen
        if seen is not None and seen.step_out():
            return
        if self._me.machine.is_open:
            self._me.machine.close()
            self._moved()
            return
        here = self._me.navigator.here
        if here.outside != here:
            self.go(here.outside)

    def action_overview(self) -> None:
        """All environments."""
        self.go(OVERVIEW)

    def action_jump(self, number: int) -> None:
        """Opens the environment of that number."""
        self.open_environment(self._me.live.views[number - 1].name)

    def action_visit(self, by: int) -> None:
        """Back or forward through the places that were seen."""
        self._me.navigator.move(by)

    def action_visit_last(self) -> None:
        """There and back."""
        self._me.navigator.last()

    def action_logs(self) -> None:
        """The logs of the environment that is open or chosen."""
        name = self.environment_meant
        if name is not None:
            self.go(Place("logs", name))

    def action_hub(self) -> None:
        """The hub's events: of the company whose screen is open, else of the environment that is open or chosen."""
        name, here = self.environment_meant, self._me.navigator.here
        if name is not None:
            self.go(Place("hub", name, here.company if here.kind in ("company", "record") else ""))

    def action_versions(self, versions: str = "") -> None:
        """The source table's versions, those where one is named; of the company that is looked at."""
        name = self.environment_meant
        if name is not None:
            self.go(Place("versions", name, self.company_meant, source=versions))

    def action_doctor(self) -> None:
        """The assessment of the environment that is open or chosen."""
        self._assess("assessment")

    def action_access(self) -> None:
        """Who has which right there."""
        self._assess("rights")

    def _assess(self, tab: str) -> None:
        name = self.environment_meant
        if name is not None:
            self.go(Place("assessment", name, source=tab))

    def action_settings(self) -> None:
        """Settings, limits and files."""
        self.go(Place("settings"))

    def action_help(self) -> None:
        """Shows the keys of the screen below; a second time closes it."""
        from lpmops.tui.screens.help import HelpScreen

        if isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        else:
            self.push_screen(HelpScreen(key_groups(self, self.screen)))

    # Changing ----------------------------------------------------------------------------------------------------------------------------------

    def action_act(self, action: str = "") -> None:
        """What can be changed in the environment that is meant; with an action, its plan."""
        name = self.environment_meant
        if name is None:
            return
        if action:
            from lpmops.tui.screens.plan import PlanScreen

            self.push_screen(PlanScreen(name, action, self.company_meant))
        else:
            from lpmops.tui.screens.act import ActScreen

            self.push_screen(ActScreen(name, self.company_meant))

    def action_arm(self) -> None:
        """Lets the environment that is meant be changed for a while; once more ends it."""
        if self.environment_meant is not None:
            self._me.arm(self.environment_meant)

    def action_operations(self) -> None:
        """What was changed from here."""
        self.go(Place("operations"))

    def action_audit(self) -> None:
        """Who did what."""
        self.go(Place("audit"))

    # Finding -----------------------------------------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Opens the line to type a filter on."""
        if self.seen is not None:
            self.seen.open_filter()

    def action_command(self) -> None:
        """Opens the line to type a command on."""
        from lpmops.tui.screens.line import LineScreen

        self.push_screen(LineScreen())

    def action_find(self) -> None:
        """Opens the palette."""
        from lpmops.tui.palette import open_palette

        open_palette(self._me)

    # Values ------------------------------------------------------------------------------------------------------------------------------------

    def action_refresh_now(self) -> None:
        """Asks for new snapshots, and anew for what the screen has asked for."""
        if self.seen is not None:
            self.seen.look_again()
        names = [self.environment] if self.environment else [view.name for view in self._me.live.views]
        for name in names:
            if not self._me.reader.refresh(name):
                self._me.tell(f"{name} is still being read")

    def action_hold(self) -> None:
        """Holds the display, or lets it catch up."""
        self._me.hold(not self._me.live.held)

    # Time --------------------------------------------------------------------------------------------------------------------------------------

    def action_time(self) -> None:
        """Opens the time line; once more closes it."""
        machine = self._me.machine
        if not machine.is_open:
            machine.open(self._me.feed.now())
        else:
            machine.close()
        self._moved()

    def action_time_step(self, by: int) -> None:
        """Moves by so many steps."""
        self._me.machine.step(by, self._me.feed.now())
        self._moved()

    def action_time_turn(self, by: int) -> None:
        """Moves to the turn of events before or after."""
        if not self._me.machine.turn(by, self._me.feed.now()):
            self._me.tell(
                f"nothing turned {'before' if by < 0 else 'after'} that within this time line; _ makes it longer"
            )
        self._moved()

    def action_time_zoom(self, by: int) -> None:
        """A shorter or a longer line."""
        if not self._me.machine.zoom(by, self._me.feed.now()):
            self._me.tell(f"there is no {'shorter' if by < 0 else 'longer'} time line")
        self._moved()

    def action_time_now(self) -> None:
        """Back to what is true now."""
        self._me.machine.now(self._me.feed.now())
        self._moved()

    def go_to_moment(self, moment: datetime) -> None:
        """Shows that moment; one that is not over yet is now."""
        self._me.machine.go(moment, self._me.feed.now())
        self._moved()

    def action_time_turns(self) -> None:
        """Lists what turned."""
        from lpmops.tui.screens.turns import TurnsScreen

        self.push_screen(TurnsScreen(self._me.scene))

    def _moved(self) -> None:
        self._me.show_now()
        # The keys of the time line come and go with it.
        self.refresh_bindings()

    # Hands -------------------------------------------------------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Asks what to copy."""
        from lpmops.tui.screens.choice import copy_choice

        self.push_screen(copy_choice(self._me))

    def action_save(self) -> None:
        """Asks how to save."""
        from lpmops.tui.screens.choice import save_choice

        self.push_screen(save_choice(self._me))

    def action_sign_in(self) -> None:
        """Leaves the screen for the sign-in, and comes back."""
        from lpmops.tui import hands

        hands.sign_in(self._me)

    # Looks -------------------------------------------------------------------------------------------------------------------------------------

    def action_theme(self) -> None:
        """The next theme."""
        names = list(theme.BY_NAME)
        before = next((name for name, each in theme.BY_NAME.items() if each.name == self.theme), names[0])
        self.set_theme(names[(names.index(before) + 1) % len(names)])

    def set_theme(self, name: str) -> None:
        """The theme of that name: dark, light or terminal; kept for the next time."""
        self.theme = theme.BY_NAME[name].name
        self._keep(theme=name)

    def action_zone(self) -> None:
        """Times in UTC, or in local time."""
        self.set_zone_kept("utc" if self._me.preferences.zone == "local" else "local")

    def set_zone_kept(self, name: str) -> None:
        """Times in that zone, utc or local; kept for the next time."""
        self._keep(zone=name)
        self._me.set_zone(name)

    def _keep(self, *, theme: str | None = None, zone: str | None = None) -> None:
        from lpmops.tui import preferences

        before = self._me.preferences
        self._me.preferences = replace(before, theme=theme or before.theme, zone=zone or before.zone)
        if self.is_web:
            # The file is that of whoever serves, not of whoever looks.
            return
        try:
            preferences.save(self._me.preferences)
        except OSError as error:
            self._me.tell_once(f"that holds until you leave; it can't be kept in {before.path}: {error.strerror}")

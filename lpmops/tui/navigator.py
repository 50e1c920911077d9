"""Moves between screens: from a place to another, back and forward, and out.

The stack of screens always holds the whole way from the overview to the place that is seen, so that a screen one comes
back to is as it was left. Panels over a screen and the notice of too small a terminal are no places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lpmops.tui.place import OVERVIEW, Place, Visits
from lpmops.tui.screens.live import LiveScreen

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp


def screen_of(place: Place, app: LpmopsApp) -> LiveScreen:
    """A new screen for `place`; a room is loaded when it is first entered."""
    if place.kind == "environment":
        from lpmops.tui.screens.environment import EnvironmentScreen

        return EnvironmentScreen(place, app.scene)
    if place.kind == "company":
        from lpmops.tui.screens.company import CompanyScreen

        return CompanyScreen(place, app.scene)
    if place.kind == "record":
        from lpmops.tui.screens.record import RecordScreen

        return RecordScreen(place)
    if place.kind == "logs":
        from lpmops.tui.screens.logs import LogsScreen

        return LogsScreen(place, app.scene)
    if place.kind == "hub":
        from lpmops.tui.screens.hub import HubScreen

        return HubScreen(place, app.scene)
    if place.kind == "versions":
        from lpmops.tui.screens.versions import VersionsScreen

        return VersionsScreen(place, app.scene)
    if place.kind == "assessment":
        from lpmops.tui.screens.assessment import AssessmentScreen

        return AssessmentScreen(place, app.scene)
    if place.kind == "settings":
        from lpmops.tui.screens.settings import SettingsScreen

        return SettingsScreen(place, app.scene)
    if place.kind == "operations":
        from lpmops.tui.screens.operations import OperationsScreen

        return OperationsScreen(place, app.scene)
    if place.kind == "audit":
        from lpmops.tui.screens.audit import AuditScreen

        return AuditScreen(place, app.scene)
    from lpmops.tui.screens.overview import OverviewScreen

    return OverviewScreen(place, [view.name for view in app.scene.views])


class Navigator:
    """The places of one app."""

    def __init__(self, app: LpmopsApp) -> None:
        self._app = app
        self.visits = Visits()

    @property
    def here(self) -> Place:
        """The place that is seen."""
        return self.visits.here

    def go(self, place: Place) -> None:
        """Shows `place`; it can be come back from."""
        self.visits.visit(place)
        self._show(place)

    def exchange(self, place: Place) -> None:
        """The screen that is seen shows its like at `place` from now on; that is no step that could be gone back."""
        self.visits.exchange(place)

    def move(self, by: int) -> bool:
        """Back or forward; False where there is nothing."""
        place = self.visits.move(by)
        if place is not None:
            self._show(place)
        return place is not None

    def last(self) -> bool:
        """To the place seen last; False where there is none."""
        place = self.visits.last()
        if place is not None:
            self._show(place)
        return place is not None

    def _show(self, place: Place) -> None:
        wanted, screens = place.way(), self._screens()
        same = 0
        while same < min(len(wanted), len(screens)) and screens[same].place == wanted[same]:
            same += 1
        # The overview is the ground that nothing is below.
        while len(self._app.screen_stack) > 1 and self._app.screen_stack[-1] is not screens[max(same, 1) - 1]:
            self._app.pop_screen()
        for missing in wanted[max(same, 1) :]:
            self._app.push_screen(screen_of(missing, self._app))
        if place == OVERVIEW or same == len(wanted):
            self._app.show_now()

    def _screens(self) -> list[LiveScreen]:
        return [screen for screen in self._app.screen_stack if isinstance(screen, LiveScreen) and screen.place]

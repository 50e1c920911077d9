"""What every screen of the app has in common: it resolves the roles, and it is shown a scene whenever something changed.

A screen never asks for data. The app calls `show` with an immutable `Scene`; a screen that comes back to the top is
shown the newest one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.events import Resize, ScreenResume
from textual.screen import ModalScreen, Screen

from lpmops.tui.keymap import EVERYWHERE
from lpmops.tui.view import Scene
from lpmops.tui.widgets.drawn import ROLE_CLASSES

if TYPE_CHECKING:
    from lpmops.tui.app import LpmopsApp


class _Live:
    """The part that screens and modal screens share."""

    def show(self, scene: Scene) -> None:
        """Takes new values."""

    def latest(self) -> Scene:
        """The newest scene, straight from the app."""
        return cast("LpmopsApp", cast("Screen[None]", self).app).scene

    def on_screen_resume(self, _event: ScreenResume) -> None:
        """Catches up with what came while another screen was on top."""
        self.show(self.latest())

    def on_resize(self, _event: Resize) -> None:
        """Lays out again for the new size."""
        cast("Screen[None]", self).call_after_refresh(lambda: self.show(self.latest()))


class LiveScreen(_Live, Screen[None]):
    """A whole screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    AUTO_FOCUS: ClassVar[str | None] = ""


class LiveModal(_Live, ModalScreen[None]):
    """A panel over the screen below, which goes on living. It takes the keys of the app too, since Textual keeps them from it."""

    BINDINGS: ClassVar[list[BindingType]] = [*EVERYWHERE]
    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    AUTO_FOCUS: ClassVar[str | None] = ""

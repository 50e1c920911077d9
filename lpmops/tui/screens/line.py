"""The `:` line at the foot of any screen: a command is typed with a ghost of what it may become; tab or right takes the ghost.

The words are those of the registry, what follows them is suggested from the newest scene. A command that does not exist
or does not work now says so and keeps what was typed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.suggester import Suggester
from textual.widgets import Input

from lpmops.tui import line
from lpmops.tui.screens.live import LiveModal
from lpmops.tui.view import Scene
from lpmops.tui.widgets.line_hint import LineHint
from lpmops.tui.widgets.plain_input import PlainInput

_EARLY = {
    "enter": "run", "escape": "leave", "backspace": "delete_left", "tab": "cursor_right", "up": "remember(-1)", "down": "remember(1)",
}  # fmt: skip


class _Ghost(Suggester):
    """Completes by the newest scene."""

    def __init__(self, complete: Callable[[str], str | None]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        """What `value` may become."""
        return self._complete(value)


class CommandInput(PlainInput):
    """The line itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "run", "run", id="line.run", tooltip="Run what is typed"),
        Binding("tab", "cursor_right", "complete", id="line.complete", tooltip="Take the suggestion"),
        Binding("escape", "leave", "leave", id="line.leave", tooltip="Leave the line"),
        Binding("up", "remember(-1)", "earlier", show=False, id="line.earlier", tooltip="The line typed before"),
        Binding("down", "remember(1)", "later", show=False, id="line.later", tooltip="The line typed after"),
    ]

    def action_run(self) -> None:
        """Runs the line."""
        screen = self.screen
        assert isinstance(screen, LineScreen)
        screen.run(self.value)

    def action_leave(self) -> None:
        """Leaves the line."""
        self.screen.dismiss()

    def action_remember(self, by: int) -> None:
        """Shows another line of those typed before."""
        screen = self.screen
        assert isinstance(screen, LineScreen)
        screen.remember(by)


class LineScreen(LiveModal):
    """The line over the screen below, which goes on living."""

    CSS_PATH = "line.tcss"
    AUTO_FOCUS = "CommandInput"

    def __init__(self) -> None:
        super().__init__()
        self._at = 0

    def compose(self) -> ComposeResult:
        """The hint over the line."""
        yield LineHint()
        yield CommandInput(placeholder="a command; ? in the help lists them all", suggester=_Ghost(self._complete))

    def show(self, scene: Scene) -> None:
        """Nothing here changes with the values until something is typed."""

    def on_mount(self) -> None:
        """The newest of what was typed comes first."""
        self._at = len(self.owner.typed)

    async def on_key(self, event: Key) -> None:
        """What was typed before the line had the keys belongs to the line all the same."""
        event.stop()
        event.prevent_default()
        field = self.query_one(CommandInput)
        if event.is_printable and event.character is not None:
            field.insert_text_at_cursor(event.character)
        elif (action := _EARLY.get(event.key)) is not None:
            await field.run_action(action)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Says what the command does, and what it wants."""
        self.query_one(LineHint).tell(line.hint(message.value, self.owner))

    def _complete(self, value: str) -> str | None:
        return line.completed(value, self.owner)

    def run(self, text: str) -> None:
        """Runs what was typed; where that can't be, the line stays with the reason over it."""
        problem = line.problem(text, self.owner)
        if problem:
            self.query_one(LineHint).tell(problem, bad=True)
            return
        if text.strip():
            self.owner.typed.append(text.strip())
        self.dismiss()
        # The command may lead to another screen, so this one has to be gone first.
        self.owner.call_later(line.run, text, self.owner)

    def remember(self, by: int) -> None:
        """Another line of those typed before; past the newest one it is empty again."""
        typed = self.owner.typed
        self._at = max(0, min(len(typed), self._at + by))
        field = self.query_one(CommandInput)
        field.value = typed[self._at] if self._at < len(typed) else ""
        field.cursor_position = len(field.value)

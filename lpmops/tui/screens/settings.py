"""Settings, limits, sign-ins, and where the files are. Enter changes what can be changed here, y copies a path or a command."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from lpmops import __version__
from lpmops.model import to_data
from lpmops.tui import theme
from lpmops.tui.place import Place
from lpmops.tui.screens.live import LiveScreen
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.view import Scene
from lpmops.tui.widgets import settings
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.settings import Foot, Setting
from lpmops.tui.widgets.table import LiveTable


class SettingsScreen(LiveScreen):
    """What lpmops goes by, and where it keeps it."""

    CSS_PATH = "settings.tcss"

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.table: LiveTable[Setting] = LiveTable(
            settings.COLUMNS, key=settings.key, haystack=settings.haystack, now=scene.now
        )
        self._rows: tuple[Setting, ...] = ()

    def body(self) -> Iterable[Widget]:
        """The rows, and the one under the cursor whole."""
        yield self.table
        yield Foot()
        yield FilterLine("part of a setting or its value; ! shows the others, ~ letters in order")

    def on_mount(self) -> None:
        """The rows take the keys."""
        self.table.focus()

    def draw(self, scene: Scene) -> None:
        """Draws the settings."""
        owner = self.owner
        name = next((name for name, each in theme.BY_NAME.items() if each.name == owner.theme), "plain")
        facts = settings.Facts(__version__, name, owner.preferences, owner.feed.places(), owner.feed.warnings())
        rows = settings.settings(scene, facts)
        # The same rows again are left as they are, so that nothing is sorted for a tick of the clock.
        self._rows = self._rows if rows == self._rows else rows
        self.table.empty_text = "no setting matches"
        self.table.show(self._rows, scene.now.astimezone(scene.zone))
        self.query_one(Foot).show(self.table.cursor_row)

    # What the commands need ----------------------------------------------------------------------------------------------------------------------

    def copyable(self) -> Copyable | None:
        """The value under the cursor, and the command that mends it."""
        row = self.table.cursor_row
        return Copyable(row.value, self.table.cursor_text, _data(row), row.command) if row is not None else None

    def sheet(self) -> Sheet | None:
        """The settings as they are filtered and sorted."""
        return Sheet("settings", [_data(row) for row in self.table.rows])

    def on_live_table_moved(self, _message: LiveTable.Moved) -> None:
        """Shows the row under the cursor whole."""
        self.query_one(Foot).show(self.table.cursor_row)

    async def on_live_table_opened(self, _message: LiveTable.Opened) -> None:
        """Takes the next of what the setting can be, or says how it is changed."""
        row = self.table.cursor_row
        if row is None:
            return
        if row.changes:
            await self.owner.run_action(f"app.{row.changes}")
            self.show(self.latest())
        elif row.command:
            self.owner.say(f"y copies the command: {row.command}")
        else:
            self.owner.say(f"{row.name} can't be changed here" + (f"; {row.note}" if row.note else ""))


def _data(row: Setting) -> dict[str, str]:
    data = to_data(row)
    return {name: data[name] for name in ("section", "name", "value", "note", "command")}

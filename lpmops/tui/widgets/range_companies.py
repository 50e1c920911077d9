"""The companies of a chosen range of versions as a table. A range that moves with the cursor must stand still before they are laid out.

So a key costs what is seen of the range, however many companies have rows in it. While it moves the rows of the last range stay, drawn as stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from textual.message import Message
from textual.timer import Timer

from lpmops.model import Route
from lpmops.tui.version_rows import CompanyRow, Laid, companies_in
from lpmops.tui.widgets import versions as drawn
from lpmops.tui.widgets.table import LiveTable
from lpmops.versions import Versions

# How long a range stands still before it is asked whose rows are in it.
_STILL = 0.4

_Known = tuple[Laid, Versions | None, Mapping[str, int] | None, Sequence[Route]]


class RangeCompanies(LiveTable[CompanyRow]):
    """The table, what was laid out last, and whether the range stands still."""

    class Stood(Message):
        """The range has stood still."""

    def __init__(self, ticked: Callable[[], frozenset[str]], now: datetime) -> None:
        super().__init__(
            drawn.company_columns(ticked),
            key=drawn.company_key,
            haystack=drawn.company_haystack,
            now=now,
            id="companies",
        )
        self.sort_by(drawn.BY_TROUBLE, descending=True)
        self.laid: Sequence[CompanyRow] = ()
        self._known: _Known | None = None
        self._stood: Versions | None = None
        self._moving: Versions | None = None
        self._timer: Timer | None = None

    def stands(self, chosen: Versions | None) -> bool:
        """Whether a range has stood still; where it has not, `Stood` comes once it has."""
        if chosen != self._moving:
            if self._timer is not None:
                self._timer.stop()
            self._moving, self._timer = chosen, None
            if chosen != self._stood:
                self._timer = self.set_timer(_STILL, self._stand, name="a range stands still")
        return chosen == self._stood

    def _stand(self) -> None:
        self._timer, self._stood = None, self._moving
        self.post_message(self.Stood())

    def lay(
        self, found: Laid, chosen: Versions | None, counts: Mapping[str, int] | None, routes: Sequence[Route]
    ) -> Sequence[CompanyRow]:
        """The rows of a range, made anew only of other values."""
        before = self._known
        same = before is not None and before[1] == chosen
        if not (same and before and before[0] is found and before[2] is counts and before[3] is routes):
            self.laid, self._known = companies_in(found, chosen, counts, routes), (found, chosen, counts, routes)
        return self.laid

    def clear(self) -> None:
        """Forgets what was laid out."""
        self.laid, self._known = (), None

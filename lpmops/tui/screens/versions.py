"""The versions of an environment's source table: what is proven of them, what is missing for whom, and from a chosen range to a look or to a replay.

Reading happens only while the screen is there, on other threads. A range is chosen by keys or by the mouse; whose rows are in it is asked once it
stands still. What is opened with nothing chosen begins with the newest range in which something is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.containers import Container
from textual.events import DescendantFocus
from textual.widget import Widget

from lpmops import versions as ranges
from lpmops.control.reconciled import Asked
from lpmops.errors import UsageError
from lpmops.model import Route, to_data
from lpmops.plain_text import plain_line
from lpmops.tui import commands, questions, replay_order, version_rows
from lpmops.tui.answers import Answer
from lpmops.tui.paint import Line
from lpmops.tui.place import Place
from lpmops.tui.screens.closer import CloserScreen, FaultLines
from lpmops.tui.sheet import Copyable, Sheet
from lpmops.tui.version_rows import CompanyRow, Laid, VersionRow
from lpmops.tui.view import Scene
from lpmops.tui.widgets import chosen_versions
from lpmops.tui.widgets import versions as drawn
from lpmops.tui.widgets.chosen_versions import Choice, ChosenLines
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.range_companies import RangeCompanies
from lpmops.tui.widgets.table import LiveTable
from lpmops.tui.widgets.versions import VersionFrame
from lpmops.versions import Versions

# Of a range with more rows than these it is not counted whose they are.
_COUNTED = 2_000_000
_OVER = 2
# How many lines the notes take together, and on a low terminal.
_HIGH, _NOTED, _NOTED_LOW = 30, 5, 2
_RECENT = 120.0


class VersionsScreen(CloserScreen):
    """The versions, and the companies of the chosen ones."""

    CSS_PATH = "versions.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (150, "-wide")]  # noqa: RUF012 as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [*commands.bindings(commands.VERSIONS)]

    def __init__(self, place: Place, scene: Scene) -> None:
        super().__init__(place)
        self.choice = Choice(ticked=frozenset({place.company} if place.company else ()))
        self.versions: LiveTable[VersionRow] = LiveTable(
            drawn.columns(lambda: self.chosen),
            key=drawn.key,
            haystack=drawn.haystack,
            now=scene.now,
            follows=True,
            id="versions",
        )
        self.versions.sort_by(0, descending=True)
        self.companies = RangeCompanies(lambda: self.choice.ticked, scene.now)
        self.table: LiveTable[Any] = self.versions
        self._answer: Answer[Laid] = Answer()
        self._begun: Laid | None = None

    def body(self) -> Iterable[Widget]:
        """The axis, what is chosen, what went wrong, the versions and the companies."""
        yield VersionFrame(self.environment)
        yield ChosenLines()
        yield FaultLines()
        yield Container(self.versions, self.companies, id="tables")
        yield FilterLine("part of a version, operation, company or state; ! shows the others, ~ letters in order")

    def on_mount(self) -> None:
        """The versions take the keys."""
        self.versions.focus()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The filter is that of the table that has the keys."""
        if event.widget in (self.versions, self.companies):
            self.table = self.versions if event.widget is self.versions else self.companies

    # What is shown ---------------------------------------------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> Versions | None:
        """The chosen versions."""
        return self.choice.at(self._cursor)

    @property
    def _cursor(self) -> int | None:
        row = self.versions.cursor_row
        return row.version if row is not None else None

    def draw(self, scene: Scene) -> None:
        """Draws axis, words and tables; the past has no versions of its own."""
        self._answer = Answer(at=scene.now) if scene.past else self.look(scene, questions.versions(self.environment))
        found = self._answer.value
        self.versions.empty_text = self._nothing(scene)
        self.versions.show(found.rows if found is not None else (), scene.now.astimezone(scene.zone))
        if found is not None:
            self._begin_with(found)
        self._draw_choice(scene)

    def _nothing(self, scene: Scene) -> str:
        if scene.past:
            return "the table's versions are of now; n leads back to now"
        if self._answer.value is None:
            return "" if self._answer.fault else "reading the history …"
        return "no version matches" if self._answer.value.rows else "the table has no history"

    def _draw_choice(self, scene: Scene) -> None:
        """Everything that depends on what is chosen."""
        found, chosen = self._answer.value, self.chosen
        self.query_one(VersionFrame).show(scene, self._answer, chosen, self._cursor, _axis_rows(self.room(scene)))
        counts = self._draw_companies(scene, found, chosen)
        # What is drawn of a version says whether it is chosen.
        self.versions.show(self.versions_shown, scene.now.astimezone(scene.zone))
        self.query_one(ChosenLines).tell(
            self._words(scene, found), self._notes(scene, found), _NOTED if self.room(scene) >= _HIGH else _NOTED_LOW
        )
        work = self.owner.comparisons.of(self.environment)
        failed: Answer[Any] = (
            Answer(fault=work.fault, hint=work.hint) if work is not None and not scene.past else Answer()
        )
        self.query_one(FaultLines).show(self._answer, counts, failed)

    @property
    def versions_shown(self) -> Sequence[VersionRow]:
        """The rows of the last reading."""
        return self._answer.value.rows if self._answer.value is not None else ()

    def _draw_companies(self, scene: Scene, found: Laid | None, chosen: Versions | None) -> Answer[Mapping[str, int]]:
        """The companies of what is chosen; gives how far it is counted whose rows are in it."""
        counts: Answer[Mapping[str, int]] = Answer()
        stands = self.companies.stands(chosen)
        if found is None:
            self.companies.clear()
        elif stands or self.choice.anchor is None:
            counts = self._counts(scene, found, chosen) if stands else counts
            self.companies.lay(found, chosen, counts.value, self._routes(scene))
        self.companies.empty_text = (
            "no company matches" if self.companies.pattern else "no company has rows in these versions" if found else ""
        )
        self.companies.show(
            self.companies.laid, scene.now.astimezone(scene.zone), stale=self.choice.anchor is not None and not stands
        )
        return counts

    def _words(self, scene: Scene, found: Laid | None) -> list[Line]:
        if found is None:
            return []
        now, work = scene.now.astimezone(scene.zone), self.owner.comparisons.of(self.environment)
        return [
            chosen_versions.chosen_line(found, self.choice, self._cursor, now),
            chosen_versions.next_line(
                found, None if self.companies.stale else self.companies.laid, self.chosen, work, now
            ),
        ]

    def _notes(self, scene: Scene, found: Laid | None) -> list[Line]:
        """What can't be looked at any more, or not yet, and why."""
        if found is None:
            return []
        work = self.owner.comparisons.of(self.environment)
        result = work.result if work is not None and not work.going else None
        if result is not None and (scene.now - result.at).total_seconds() > _RECENT:
            # What could not be judged then has settled since, or is remembered.
            result = None
        return chosen_versions.note_lines(found, self.chosen, result)

    def _counts(self, scene: Scene, found: Laid, chosen: Versions | None) -> Answer[Mapping[str, int]]:
        """Whose rows are in the chosen versions; asked where they are not too many."""
        if chosen is None or found.line.feed.kind == "off" or version_rows.extent(found, chosen).rows > _COUNTED:
            return Answer()
        if chosen_versions.lost(found, chosen):
            # Their changes can't be read: the notes say so already.
            return Answer()
        return self.look(scene, questions.changes_in(self.environment, chosen))

    def _routes(self, scene: Scene) -> Sequence[Route]:
        view = scene.view(self.environment)
        return view.snapshot.routes if view is not None and view.snapshot is not None else ()

    def on_range_companies_stood(self, _message: RangeCompanies.Stood) -> None:
        """Draws the companies of a range that has stood still."""
        self._draw_choice(self.latest())

    # What is chosen --------------------------------------------------------------------------------------------------------------------------------

    def _begin_with(self, found: Laid) -> None:
        """Chooses what the place names, else the newest range in which something is missing, as soon as one is known."""
        before, self._begun = self._begun, found
        if before is found or (before is not None and (before.missing or self.chosen is not None)):
            return
        wanted: Versions | None = None
        if before is None and self.place is not None and self.place.source:
            try:
                wanted = ranges.parse(self.place.source)
            except UsageError as error:
                self.owner.tell(f"{error.message} {error.hint}".strip())
        if wanted or found.missing:
            self.choose(wanted or found.missing[-1])

    def choose(self, versions: Versions | None) -> None:
        """Chooses these versions and puts the cursor on the last of them."""
        self.choice.versions, self.choice.anchor = versions, None
        if versions is not None and self._answer.value is not None:
            newest = version_rows.extent(self._answer.value, versions).newest
            if newest is not None:
                self.versions.place(drawn.key(newest), over=_OVER)
        self._draw_choice(self.latest())

    def on_live_table_moved(self, _message: LiveTable.Moved) -> None:
        """Draws the choice that goes with the cursor."""
        self._draw_choice(self.latest())

    def on_live_table_opened(self, _message: LiveTable.Opened) -> None:
        """Chooses the gap that a version lies in, else the version alone; opens a company."""
        row = self.table.cursor_row
        if isinstance(row, CompanyRow) and row.company_id:
            self.owner.go(Place("company", self.environment, row.company_id))
        elif isinstance(row, VersionRow) and self._answer.value is not None:
            gap = version_rows.gap_at(self._answer.value, row.version)
            self.choose(gap or Versions(row.version, row.version))

    def on_version_frame_chosen(self, message: VersionFrame.Chosen) -> None:
        """Goes to the version that was clicked on."""
        self.versions.place(str(message.version))

    def action_mark(self) -> None:
        """Begins a range at the cursor, or ends it there."""
        if self.choice.anchor is None:
            self.choice.anchor = self._cursor
        else:
            self.choice.versions, self.choice.anchor = self.chosen, None
        self._draw_choice(self.latest())

    def action_extend(self, by: int) -> None:
        """Moves the cursor and takes what it passes into the range."""
        if self.choice.anchor is None:
            self.choice.anchor = self._cursor
        self.versions.action_move(by)

    def action_gap(self, by: int) -> None:
        """Chooses the next range in which something is missing; `by` 1 is the newer one."""
        found, cursor = self._answer.value, self._cursor
        gap = version_rows.gap_beside(found, cursor or 0, by) if found is not None else None
        if gap is None:
            self.owner.tell("nothing is known to be missing; R looks" if found else "the history is still being read")
        else:
            self.choose(gap)

    def action_incident(self) -> None:
        """Chooses what was committed during the last incident."""
        found, scene = self._answer.value, self.latest()
        turns = self.ask(questions.turns(scene, self.environment))
        if turns.value is None or found is None:
            self.owner.tell(turns.fault or "what turned is still being read")
            return
        last = version_rows.last_incident(turns.value)
        versions = version_rows.committed_between(found, last[0].at, last[1]) if last is not None else None
        if last is None:
            self.owner.tell("nothing was suspected within a day")
        elif versions is None:
            self.owner.tell(f"no version that is known was committed during {plain_line(last[0].what)}")
        else:
            self.choose(versions)

    def action_clear(self) -> None:
        """Chooses nothing: all that is known."""
        self.choice.ticked = frozenset()
        self.choose(None)

    def action_tick(self) -> None:
        """Ticks the company under the cursor, or no longer."""
        row = self.companies.cursor_row
        if self.table is not self.companies or row is None:
            self.owner.tell("tab leads to the companies, where space ticks one")
            return
        self.choice.ticked ^= {row.company_id}
        self.companies.action_move(1)
        self._draw_choice(self.latest())

    def action_other(self) -> None:
        """The keys go to the other table."""
        (self.companies if self.table is self.versions else self.versions).focus()

    # What is done ----------------------------------------------------------------------------------------------------------------------------------

    def action_reconcile(self) -> None:
        """Holds the chosen versions against what landed, whatever was proven before; with nothing chosen what is not proven."""
        comparisons, work = self.owner.comparisons, self.owner.comparisons.of(self.environment)
        if work is not None and work.going:
            comparisons.stop(self.environment)
        elif self.latest().past is not None:
            self.owner.tell("the past stays as it was; n leads back to now")
        elif any(
            run.operation.environment == self.environment and run.operation.state == "verifying"
            for run in self.owner.going
        ):
            # Of two looks at once the later one takes the place of the other, and the proof would begin anew.
            self.owner.tell(
                "what was sent is held against what landed just now; o shows it, and R looks when it is done"
            )
        else:
            chosen = self.chosen
            comparisons.start(
                self.environment, Asked(chosen, None, tuple(sorted(self.choice.ticked)), again=chosen is not None)
            )
        self._draw_choice(self.latest())

    def action_replay(self) -> None:
        """Opens the replay of the chosen versions: for the ticked companies, else for those that lack some of them."""
        why = self.owner.why_not("app.act('replay.run')")
        if why is not None:
            self.owner.tell(why)
            return
        companies = self._meant()
        if why := replay_order.why_not(companies):
            self.owner.tell(why)
            return
        from lpmops.tui.screens.plan import PlanScreen

        self.owner.push_screen(
            PlanScreen(self.environment, "replay.run", given=replay_order.texts(self.chosen, companies))
        )

    def _meant(self) -> list[str]:
        """The companies that a replay of what is chosen is for; of a range that still moves they are laid out now."""
        found, chosen = self._answer.value, self.chosen
        if found is not None and self.companies.stale:
            self.companies.lay(found, chosen, None, self._routes(self.latest()))
        return replay_order.meant(self.choice.ticked, chosen, self.companies.laid)

    # What the commands need ------------------------------------------------------------------------------------------------------------------------

    def step_out(self) -> bool:
        """The filter first, then a range that goes on."""
        if super().step_out():
            return True
        if self.choice.anchor is None:
            return False
        self.choice.anchor = None
        self._draw_choice(self.latest())
        return True

    @property
    def can_copy(self) -> bool:
        """Whether there is a row under the cursor."""
        return self.table.cursor_row is not None

    def copyable(self) -> Copyable | None:
        """The row under the cursor, and the command that replays what is chosen."""
        row = self.table.cursor_row
        if row is None:
            return None
        cell = str(row.version) if isinstance(row, VersionRow) else row.company_id
        return Copyable(cell, self.table.cursor_text, _data(row), self._command())

    def _command(self) -> str:
        return replay_order.as_command(self.environment, self.chosen, self._meant())

    def sheet(self) -> Sheet | None:
        """The rows of the table that has the keys."""
        name = "versions" if self.table is self.versions else "companies"
        return Sheet(f"{self.environment}-{name}", [_data(row) for row in self.table.rows])


def _data(row: VersionRow | CompanyRow) -> dict[str, Any]:
    """A row as plain values."""
    if isinstance(row, VersionRow):
        return {**to_data(row.commit), "state": row.mark.word, "known": row.said}
    return {
        **{
            name: getattr(row, name)
            for name in ("company_id", "company", "database", "changes", "missing", "doubled", "extra", "repairable")
        },
        "versions": [str(one) for one in row.where],
        "looked": row.looked.word,
    }


def _axis_rows(height: int) -> int:
    return 2 if height < 20 else 3 if height < 30 else 6 if height < 46 else 8

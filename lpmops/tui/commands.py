"""Everything the app can be told to do, in one table: keys, key bar, help, palette and `:` line are all read from it.

A `Command` has a stable id that a user's keymap names, the action it runs, its keys, a word for the `:` line where it
has one, and one sentence for help and palette. Why one does not work just now is said by `reasons.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do. `takes` names what may follow its `word` on the line; `title` is its word in the key bar, `shown` whether it stands there."""

    id: str
    action: str
    keys: str
    title: str
    sentence: str
    word: str = ""
    takes: str = ""
    shown: bool = False
    in_palette: bool = True
    # Taken before any other key is, so that what is typed right behind it is text already.
    at_once: bool = False

    @property
    def binding(self) -> Binding:
        """The command as Textual binds it."""
        return Binding(
            self.keys,
            self.action,
            self.title,
            show=self.shown,
            id=self.id,
            tooltip=self.sentence,
            priority=self.at_once,
        )


EVERYWHERE: tuple[Command, ...] = (
    Command("app.out", "app.out", "escape", "back", "One step out: the filter, the panel, the past, then the screen", shown=True, in_palette=False),
    Command("app.command", "app.command", "colon", "command", "Type a command, with suggestions", shown=True, in_palette=False, at_once=True),
    Command("app.filter", "app.filter", "slash", "filter", "The rows that match; ! the others", "filter", "pattern", shown=True, at_once=True),
    Command("app.find", "app.find", "f", "find", "Find any command, environment or company by part of its name", in_palette=False),
    Command("app.time", "app.time", "t", "time", "The time line: see any moment of the past on every screen", "time", "moment", shown=True),
    Command("app.logs", "app.logs", "l", "logs", "What Stream Analytics, Databricks and the hub wrote down", "logs", "source", shown=True),
    Command("app.hub", "app.hub", "h", "hub", "The hub's last events and those that come, callers masked", "hub"),
    Command("app.versions", "app.versions", "V", "versions", "The table's versions: what is proven or missing, and its replay", "versions", "range"),
    Command("app.doctor", "app.doctor", "D", "doctor", "What is wrong with the environment, what it threatens, and what to do", "doctor"),
    Command("app.access", "app.access", "W", "access", "Who has which right in the environment, and what gives what lacks", "access"),
    Command("app.copy", "app.copy", "y", "copy", "Copy the cell, the row, its JSON, or the command that mends it", "copy", "copied", shown=True),
    Command("app.save", "app.save", "w", "save", "Save the table as CSV or JSON, or the screen as a picture", "save", "saved"),
    Command("app.refresh", "app.refresh_now", "r", "refresh", "Look again now: this environment, or all of them", "refresh", shown=True),
    Command("app.hold", "app.hold", "p", "hold", "Hold the display or let it go on; reading goes on", "hold", shown=True),
    Command("app.overview", "app.overview", "0", "all", "All environments", "all", shown=True),
    *(
        Command(f"app.environment.{n}", f"app.jump({n})", f"{n}", "environment", "That environment", shown=n < 2, in_palette=False)
        for n in range(1, 10)
    ),
    Command("app.environment", "app.find", "", "environment", "Open an environment by its name", "env", "environment", in_palette=False),
    Command("app.company", "app.find", "", "company", "Open a company by its id", "company", "company", in_palette=False),
    Command("app.back", "app.visit(-1)", "left_square_bracket", "back", "The place seen before this one", "back"),
    Command("app.forward", "app.visit(1)", "right_square_bracket", "forward", "The place seen after this one", "forward"),
    Command("app.last", "app.visit_last", "minus", "last", "There and back: the place seen last", "last"),
    Command("app.act", "app.act", "x", "act", "Change something here: what can be done, and why some can't now", "act", shown=True),
    Command("app.arm", "app.arm", "A", "arm", "Let production be changed for two minutes; once more ends it", "arm"),
    Command("app.operations", "app.operations", "o", "operations", "What was changed from here, what is unfinished first", "operations"),
    Command("app.audit", "app.audit", "at", "audit", "Who did what from this machine, and why", "audit"),
    Command("app.sign_in", "app.sign_in", "L", "sign in", "Leave the screen for a moment to sign in, and come back", "login"),
    Command("app.settings", "app.settings", "comma", "settings", "Settings, limits, sign-ins, and where the files are", "settings"),
    Command("app.theme", "app.theme", "T", "theme", "The next theme: dark, light, the terminal's own colours", "theme", "theme"),
    Command("app.zone", "app.zone", "Z", "zone", "Times in UTC or in local time", "zone", "zone"),
    Command("app.help", "app.help", "question_mark", "help", "The keys of this screen, and what the signs mean", "help", shown=True),
    Command("app.quit", "app.quit", "q", "quit", "Leave", "quit", shown=True),
)  # fmt: skip

TIME: tuple[Command, ...] = (
    Command("time.earlier", "app.time_step(-1)", "left", "earlier", "One step back in time", shown=True),
    Command("time.later", "app.time_step(1)", "right", "later", "One step on in time", shown=True),
    Command("time.much_earlier", "app.time_step(-10)", "shift+left,less_than_sign", "", "Ten steps back in time"),
    Command("time.much_later", "app.time_step(10)", "shift+right,greater_than_sign", "", "Ten steps on in time"),
    Command("time.turn_before", "app.time_turn(-1)", "left_curly_bracket", "turn", "To the turn of events before", shown=True),
    Command("time.turn_after", "app.time_turn(1)", "right_curly_bracket", "turn", "To the next turn of events"),
    Command("time.turns", "app.time_turns", "e", "events", "What turned within the time line; enter goes there", "events", shown=True),
    Command("time.closer", "app.time_zoom(-1)", "plus", "zoom", "A shorter time line, in smaller steps", shown=True),
    Command("time.wider", "app.time_zoom(1)", "underscore", "zoom out", "A longer time line, in bigger steps"),
    Command("time.now", "app.time_now", "n", "now", "Back to what is true now", "now", shown=True),
)  # fmt: skip

OVERVIEW: tuple[Command, ...] = (
    Command("overview.open", "open", "enter", "open", "Show the chosen environment with its companies", shown=True),
    Command("overview.down", "move(1)", "j,down", "down", "Choose the next environment", in_palette=False),
    Command("overview.up", "move(-1)", "k,up", "up", "Choose the environment before", in_palette=False),
    Command("overview.first", "move(-99)", "g,home", "first", "Choose the first environment", in_palette=False),
    Command("overview.last", "move(99)", "G,end", "last", "Choose the last environment", in_palette=False),
)

TABLE: tuple[Command, ...] = (
    Command("table.open", "open", "enter", "open", "Show everything known about this row", shown=True),
    Command("table.sort", "sort", "s", "sort", "Sort by the next column", "sort", "column", shown=True),
    Command("table.reverse", "reverse", "S", "reverse", "Turn the order round", "reverse"),
    Command("table.down", "move(1)", "j,down", "down", "One row down", in_palette=False),
    Command("table.up", "move(-1)", "k,up", "up", "One row up", in_palette=False),
    Command("table.page_down", "page(1)", "pagedown", "page down", "One page down", in_palette=False),
    Command("table.page_up", "page(-1)", "pageup", "page up", "One page up", in_palette=False),
    Command("table.first", "edge(-1)", "g,home", "first", "To the first row", in_palette=False),
    Command("table.last", "edge(1)", "G,end", "last", "To the last row", in_palette=False),
)

SCROLL: tuple[Command, ...] = (
    Command("scroll.down", "scroll(1)", "j,down", "down", "One line down", in_palette=False),
    Command("scroll.up", "scroll(-1)", "k,up", "up", "One line up", in_palette=False),
    Command("scroll.page_down", "scroll_page(1)", "pagedown,space", "page down", "One page down", in_palette=False),
    Command("scroll.page_up", "scroll_page(-1)", "pageup", "page up", "One page up", in_palette=False),
    Command("scroll.first", "scroll_edge(-1)", "g,home", "first", "To the beginning", in_palette=False),
    Command("scroll.last", "scroll_edge(1)", "G,end", "last", "To the end", in_palette=False),
)

RECORD: tuple[Command, ...] = (
    Command("record.next", "screen.neighbour(1)", "J", "next", "The next record of the table", shown=True, in_palette=False),
    Command("record.before", "screen.neighbour(-1)", "K", "before", "The record before it in the table", shown=True, in_palette=False),
)  # fmt: skip

TEXT: tuple[Command, ...] = (
    Command("text.wrap", "screen.wrap", "b", "wrap", "Break long lines, or cut them at the edge", "wrap", shown=True),
)

LOGS: tuple[Command, ...] = (
    Command("logs.next", "screen.source(1)", "tab", "source", "The logs of the next source", shown=True, in_palette=False),
    Command("logs.before", "screen.source(-1)", "shift+tab", "source", "The logs of the source before", in_palette=False),
    Command("logs.level", "screen.level", "v", "level", "All levels, warnings and errors, or errors alone", "level", shown=True),
)  # fmt: skip

ASSESSMENT: tuple[Command, ...] = (
    Command("assessment.tab", "screen.tab", "tab", "rights", "What was found, or who has which right", shown=True, in_palette=False),
)  # fmt: skip

VERSIONS: tuple[Command, ...] = (
    Command("versions.replay", "screen.replay", "P", "replay", "Plan to send the chosen versions again", shown=True, in_palette=False),
    Command("versions.reconcile", "screen.reconcile", "R", "reconcile", "Hold source against what landed; again stops", shown=True, in_palette=False),
    Command("versions.gap_newer", "screen.gap(1)", "N", "next gap", "The next newer versions that lack something", shown=True, in_palette=False),
    Command("versions.gap_older", "screen.gap(-1)", "B", "gap before", "The next older versions that lack something", in_palette=False),
    Command("versions.mark", "screen.mark", "m", "mark", "Begin a range at this version; once more ends it", shown=True, in_palette=False),
    Command("versions.extend_down", "screen.extend(1)", "J,shift+down", "extend", "Take the next row into the range", in_palette=False),
    Command("versions.extend_up", "screen.extend(-1)", "K,shift+up", "extend up", "Take the row before into the range", in_palette=False),
    Command("versions.other", "screen.other", "tab", "companies", "To the companies, and back to the versions", shown=True, in_palette=False),
    Command("versions.tick", "screen.tick", "space", "tick", "Tick a company: look and replay are for the ticked", shown=True, in_palette=False),
    Command("versions.incident", "screen.incident", "i", "incident", "Choose what was committed in the last incident", shown=True, in_palette=False),
    Command("versions.clear", "screen.clear", "c", "clear", "Choose nothing: all versions, every company", in_palette=False),
)  # fmt: skip

MENU: tuple[Command, ...] = (
    Command("menu.close", "app.out", "escape", "leave", "Leave it all as it is", shown=True, in_palette=False),
)

PLAN: tuple[Command, ...] = (
    Command("plan.cancel", "screen.cancel", "escape", "cancel", "Leave everything as it is", shown=True, in_palette=False),
    Command("plan.yes", "screen.yes", "y", "yes, do it", "Do what the plan says", shown=True, in_palette=False),
    Command("plan.copy", "screen.take_command", "y,c", "copy command", "Copy the command line that does the same", shown=True, in_palette=False),
    Command("plan.arm", "screen.arm_here", "A", "arm", "Let it be changed for two minutes; once more ends it", shown=True, in_palette=False),
    Command("plan.first", "screen.do_first", "x", "that first", "Open the action that has to be done first", shown=True, in_palette=False),
    Command("plan.next", "app.focus_next", "tab", "next", "To the next field", shown=True, in_palette=False),
    Command("plan.before", "app.focus_previous", "shift+tab", "before", "To the field before", in_palette=False),
)  # fmt: skip

OPERATION: tuple[Command, ...] = (
    Command("operation.leave", "screen.leave", "escape", "leave", "Leave the panel; what runs goes on", shown=True, in_palette=False),
    Command("operation.stop", "screen.stop_run", "s", "stop after step", "Begin no further step; it can be resumed", shown=True, in_palette=False),
    Command("operation.pause", "screen.pause_run", "p", "pause", "End what it has at work now; it can be resumed", shown=True, in_palette=False),
    Command("operation.resume", "screen.resume", "r", "resume", "Look at what is there, and go on", shown=True, in_palette=False),
    Command("operation.arm", "screen.arm_here", "A", "arm", "Let it be changed for two minutes; once more ends it", shown=True, in_palette=False),
    Command("operation.done", "screen.say_done", "d", "it is done", "Say of the step in doubt that it did", shown=True, in_palette=False),
    Command("operation.not_done", "screen.say_not_done", "n", "it is not", "Say of the step in doubt that it did not", shown=True, in_palette=False),
    Command("operation.abort", "screen.give_up", "X", "give up", "Give it up: no further step, what was done stays", shown=True, in_palette=False),
    Command("operation.company", "screen.open_company", "enter", "open company", "Show the company that it was about", shown=True, in_palette=False),
    Command("operation.proof", "screen.write_proof", "w", "write proof", "Write the proof down, and copy it", shown=True, in_palette=False),
    Command("operation.copy", "screen.take_command", "y,c", "copy command", "Copy the command line that does the same", shown=True, in_palette=False),
)  # fmt: skip

# ctrl+c ends the app on every screen and in every line; a keymap can't take it away.
INTERRUPT = Binding(
    "ctrl+c", "app.quit", "quit", show=False, id="app.interrupt", priority=True, system=True, tooltip="Leave"
)
ALL: tuple[Command, ...] = (
    *EVERYWHERE, *TIME, *OVERVIEW, *TABLE, *SCROLL, *RECORD, *TEXT, *LOGS, *ASSESSMENT, *VERSIONS, *MENU, *PLAN, *OPERATION,
)  # fmt: skip


@cache
def actions() -> tuple[Command, ...]:
    """The actions of the registry as commands: the same names, titles and sentences as on the command line."""
    # Read when somebody first types or looks for a command, as the app is on the screen before that.
    from lpmops.actions import registry

    return tuple(
        Command(f"action.{entry.name}", f"app.act('{entry.name}')", "", entry.title, entry.help.removesuffix("."), entry.name.replace(".", " "))
        for entry in registry.ACTIONS.values()
    )  # fmt: skip


def spoken() -> tuple[Command, ...]:
    """Everything that has a word."""
    return tuple(command for command in (*ALL, *actions()) if command.word)


def bindings(commands: tuple[Command, ...]) -> list[Binding]:
    """The bindings of those commands that have keys."""
    return [command.binding for command in commands if command.keys]


def by_word(word: str) -> Command | None:
    """The command of a word of the `:` line, which may be cut short where only one begins so."""
    exact = next((command for command in spoken() if command.word == word), None)
    if exact is not None or not word:
        return exact
    found = [command for command in spoken() if command.word.startswith(word)]
    return found[0] if len(found) == 1 else None


def taken(keymap: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The keys that a keymap takes from commands it leaves alone, as (command, key, from which)."""
    found: list[tuple[str, str, str]] = []
    for place in (
        (*EVERYWHERE, *TIME),
        OVERVIEW,
        (*TABLE, *TEXT, *LOGS, *ASSESSMENT),
        (*TABLE, *VERSIONS),
        (*SCROLL, *RECORD, *TEXT),
    ):
        for command in place:
            for key in keymap.get(command.id, "").split(","):
                found += [
                    (command.id, key, other.id)
                    for other in place
                    if key
                    and other.id not in keymap
                    and key in {_named(each) for each in other.keys.split(",")} | set(other.keys.split(","))
                ]
    return found


def _named(key: str) -> str:
    """A key as it is typed, for one that a binding names."""
    return {"colon": ":", "slash": "/", "comma": ",", "minus": "-", "plus": "+", "question_mark": "?", "at": "@"}.get(
        key, key
    )

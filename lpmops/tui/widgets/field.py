"""One field of an action: typed, chosen with ↑ ↓ where there are only a few values, checked when it is left.

What is pasted or chosen is drawn as plain text; where a value of the services can't be drawn as it is, `text` still is that value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.events import Key

from lpmops.plain_text import plain_line
from lpmops.tui.widgets.plain_input import PlainInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lpmops.actions.inputs import Choice, Remark
    from lpmops.actions.inputs import Input as Field


class FieldInput(PlainInput):
    """`choices` and `remarks` are None until they are known; `looked_at` is the text that the remarks are about, None where none was asked about."""

    def __init__(self, field: Field, left: Callable[[FieldInput], None], value: str = "") -> None:
        super().__init__(value)
        self.field, self._left = field, left
        self.choices: tuple[Choice, ...] | None = None
        self.problem = ""
        self.looked_at: str | None = None
        self.remarks: tuple[Remark, ...] | None = None

    # What is meant -------------------------------------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What is meant: what is typed, or the values that it is drawn for."""
        exact = {plain_line(each.value): each.value for each in self.choices or ()}
        if not self.field.many:
            return exact.get(self.value, self.value)
        return ", ".join(exact.get(part, part) for part in self._parts)

    @property
    def _parts(self) -> list[str]:
        """What is typed, by value."""
        return [part.strip() for part in self.value.split(",")] if self.field.many else [self.value.strip()]

    @property
    def chosen(self) -> frozenset[str]:
        """The values that are chosen."""
        exact = {plain_line(each.value): each.value for each in self.choices or ()}
        return frozenset(exact.get(part, part) for part in (*self._parts, self.value))

    @property
    def matching(self) -> tuple[Choice, ...]:
        """The choices that what is typed last is part of; all of them where nothing is, or where it is one."""
        wanted, choices = self._parts[-1].casefold(), self.choices or ()
        if not wanted or any(plain_line(each.value).casefold() == wanted for each in choices):
            return choices
        return tuple(each for each in choices if wanted in plain_line(f"{each.value} {each.said}").casefold())

    # Whether it can be used ----------------------------------------------------------------------------------------------------------------------

    def check(self, now: datetime) -> bool:
        """Whether what is meant can be read and nothing is known against it; `problem` says why not."""
        from lpmops.errors import UsageError

        self.problem = ""
        try:
            self.field.read(self.text, now)
        except UsageError as error:
            self.problem = f"{error.message} {error.hint}".strip()
        self.problem = self._refused() or self.problem
        if not self.problem and self.looked_at == self.text:
            self.problem = next((each.text for each in self.remarks or () if each.against), "")
        return not self.problem

    def _refused(self) -> str:
        """Why a value that is chosen can't be used now, or is none of those that there are."""
        if not self.choices:
            return ""
        found = {plain_line(each.value).casefold(): each for each in self.choices}
        for part in self._parts:
            choice = found.get(part.casefold())
            if choice is not None and choice.refusal:
                return f"not now: {choice.refusal}"
            if choice is None and part and self.field.many:
                return f"there is no {part!r}; ↑ ↓ show what there is"
        return ""

    def forget(self) -> None:
        """What was found about another text is of no use for this one."""
        self.problem = ""
        if self.looked_at != self.text:
            self.looked_at, self.remarks = None, None

    # Keys ----------------------------------------------------------------------------------------------------------------------------------------

    async def action_submit(self) -> None:
        """Leaves the field forwards, at once: what is typed right behind enter is meant for the next one."""
        self._left(self)

    def on_key(self, event: Key) -> None:
        """Chooses the next value, behind the last comma where there may be several."""
        if event.key not in ("up", "down") or not self.choices:
            return
        event.stop()
        event.prevent_default()
        *before, last = self._parts
        values = [name for each in self.matching if (name := plain_line(each.value)) not in before]
        if not values:
            return
        at = values.index(last) if last in values else -1 if event.key == "down" else 0
        self.value = ", ".join((*before, values[(at + (1 if event.key == "down" else -1)) % len(values)]))
        self.cursor_position = len(self.value)

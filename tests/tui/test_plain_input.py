"""Whatever is pasted into any line of the app is text: no escape sequence of it reaches the terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.app import App
from textual.events import Paste
from textual.widgets import Input

from lpmops.tui.screens.line import CommandInput
from lpmops.tui.screens.operation import ReasonInput
from lpmops.tui.widgets.filter_line import FilterLine
from lpmops.tui.widgets.plan_parts import TypedInput
from tests.tui.driving import until

PASTED = "ab\x1b[31mX\x07\u202ecd"


@pytest.mark.parametrize("make", [CommandInput, ReasonInput, TypedInput, lambda: FilterLine("part of a name")])
async def test_what_is_pasted_into_a_line_is_only_text(make: Callable[[], Input]) -> None:
    line = make()
    app: App[None] = App()
    async with app.run_test() as pilot:
        await app.mount(line)
        line.post_message(Paste(PASTED))
        await until(pilot, lambda: "cd" in line.value)
        await pilot.pause()
        drawn = "".join(segment.text for segment in line.render_line(0))
        assert not set("\x1b\x07\u202e") & set(line.value + drawn)

"""The companies as marks: how far trouble reaches, with room or without."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.model import Kind, Route, Snapshot
from lpmops.tui import paint
from lpmops.tui.view import EnvironmentView, Scene
from lpmops.tui.widgets.wall import wall_lines
from tests.tui.worlds import NOW, good, routes, saturated


def scene(*snapshots: Snapshot) -> Scene:
    return Scene(tuple(EnvironmentView(item.environment, item.kind, item, settled=True) for item in snapshots), NOW)


def drawn(found: Scene, width: int, rows: int) -> list[str]:
    return ["".join(part.text for part in line) for line in wall_lines(found, width, rows)]


def broken(count: int, *places: int) -> Snapshot:
    base = good("prod", Kind.PROD)
    found = tuple(
        replace(route, state="unreachable") if number in places else route for number, route in enumerate(routes(count))
    )
    return replace(base, routes=found)


def test_a_company_in_trouble_has_its_own_shape_in_its_own_place() -> None:
    heading, prod, names = drawn(scene(broken(12, 3)), 100, 6)
    assert heading == " companies"
    assert prod.startswith(" PROD  ■■■✖■■■■■■■■ ")
    assert prod.rstrip().endswith("✖ 1 unreachable  ■ 11 flowing")
    assert names.strip().startswith("1004 Lakeside Regional Dispatch")


def test_where_there_are_more_companies_than_cells_a_mark_shows_the_worst_of_several() -> None:
    lines = drawn(scene(good("dev", Kind.DEV), broken(812, 811)), 100, 7)
    assert len(lines) <= 7
    assert lines[1].startswith(" dev   ■■■■■■■■■■■■ "), "one that is small keeps a mark for each company"
    assert "✖ 1 unreachable  ■ 811 flowing  5 a mark" in lines[2]
    assert "".join(line[7:55] for line in lines[2:-1]).count("✖") == 1


def test_without_a_line_for_each_environment_there_is_nothing() -> None:
    assert wall_lines(scene(good("dev", Kind.DEV), saturated("prod", Kind.PROD)), 100, 2) == []
    assert wall_lines(scene(), 100, 9) == []


@pytest.mark.parametrize("state", ["", "unheard of", "\x1b[31m"])
def test_a_state_that_is_not_known_is_unknown(state: str) -> None:
    base = good("dev", Kind.DEV, companies=3)
    odd = replace(base, routes=tuple(replace(route, state=state) for route in base.routes))
    assert "○○○" in drawn(scene(odd), 80, 5)[1]


@given(
    st.lists(
        st.builds(
            Route, st.text(max_size=40), st.text(max_size=40), st.text(max_size=9), st.sampled_from(("late", "x"))
        ),
        max_size=200,
    ),
    st.integers(1, 200),
    st.integers(0, 20),
)
def test_it_stays_in_its_room(found: list[Route], width: int, rows: int) -> None:
    lines = wall_lines(scene(replace(good("prod", Kind.PROD), routes=tuple(found))), width, rows)
    assert len(lines) <= rows
    if width >= 60:
        assert all(paint.width_of(line) <= width for line in lines)

"""The time line as text: where moments, ticks and words stand, at any width and whatever turned."""

from __future__ import annotations

from datetime import timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lpmops.model import Health, Turn
from lpmops.tui import paint
from lpmops.tui.axis import Axis, Wish, place
from lpmops.tui.view import Scene, TimeLine
from lpmops.tui.widgets.time_bar import TimeChart, lasting, long_ago, time_lines
from tests.tui.worlds import NOW, ago, night

HOUR = timedelta(hours=1)


def text(line: paint.Line) -> str:
    return "".join(part.text for part in line)


def line(*turns: Turn, moment: float | None = None, span: timedelta = HOUR) -> TimeLine:
    at = None if moment is None else ago(moment)
    return TimeLine(NOW - span, NOW, at, at, turns, kept=(NOW - 2 * span, NOW))


def turn(
    seconds: float, what: str, health: Health = Health.DEGRADED, *, name: str = "prod", began: bool = True
) -> Turn:
    return Turn(ago(seconds), name, "suspect" if "." in what else "health", what, health, began)


def drawn(shown: TimeLine, width: int = 100, rows: int = 2) -> list[str]:
    return [
        text(each) for each in time_lines(Scene((), shown.moment or NOW, line=shown, today=NOW), shown, width, rows)
    ]


@given(
    st.lists(st.tuples(st.integers(0, 99), st.lists(st.integers(1, 30), min_size=1, max_size=4)), max_size=25),
    st.sets(st.integers(0, 99), max_size=3),
    st.integers(1, 100),
)
def test_words_never_overlap_never_stick_out_and_never_hide_a_mark(
    wanted: list[tuple[int, list[int]]], taken: set[int], room: int
) -> None:
    wishes = [
        Wish(cell % room, tuple(sorted(widths)), before=index % 2 == 0) for index, (cell, widths) in enumerate(wanted)
    ]
    marks = {wish.cell for wish in wishes} | taken
    covered: set[int] = set()
    placed = place(wishes, taken, room)
    for each in placed:
        cells = set(range(each.start, each.start + each.width))
        assert cells <= set(range(room))
        assert not cells & marks
        assert not cells & covered
        covered |= cells | {each.start + each.width}
        wish = wishes[each.number]
        assert each.width == wish.widths[each.form]
        assert each.start == wish.cell + 2 or (wish.before and each.start + each.width + 1 == wish.cell)
    assert len({each.number for each in placed}) == len(placed)


@given(st.integers(1, 300), st.integers(60, 8 * 86_400), st.integers(-14, 14))
def test_moments_and_cells_agree(room: int, seconds: int, hours: int) -> None:
    axis = Axis(NOW - timedelta(seconds=seconds), NOW, room)
    assert [axis.cell(axis.moment(cell)) for cell in range(room)] == list(range(room))
    assert (axis.cell(axis.start), axis.cell(axis.end)) == (0, room - 1)
    assert axis.cell(axis.start - timedelta(seconds=1)) is None
    assert axis.cell(axis.end + timedelta(seconds=1)) is None
    assert all(axis.start <= axis.round_moment(cell) <= axis.end for cell in range(room))
    ticks = axis.ticks(timezone(timedelta(hours=hours)), 12)
    assert all(later - earlier >= 11 for (earlier, _), (later, _) in pairwise(ticks))
    assert all(at.second % 15 == 0 for _, at in ticks)


@given(
    st.lists(
        st.builds(
            Turn,
            st.integers(0, 3_600).map(ago),
            st.sampled_from(("dev", "prod", "a [/ name", "名前")),
            st.sampled_from(("health", "suspect")),
            st.one_of(
                st.sampled_from(("asa.saturated", "", "sql.", "\x1b[31m", "‮evil", "表.遅い", "x" * 90_000)),
                st.text(max_size=30),
            ),
            st.sampled_from(Health),
            st.booleans(),
        ),
        max_size=30,
    ),
    st.integers(1, 220),
    st.sampled_from((2, 3)),
    st.one_of(st.none(), st.integers(0, 5_000)),
)
def test_the_lines_are_as_wide_as_the_screen_whatever_turned(
    turns: list[Turn], width: int, rows: int, moment: int | None
) -> None:
    shown = line(*turns, moment=moment)
    scene = Scene((), shown.moment or NOW, line=shown, today=NOW)
    for each in time_lines(scene, shown, width, rows):
        assert cell_len(text(each)) <= width
        assert text(each).isprintable()
    chart = TimeChart(scene, shown, width, rows)
    for x in range(-1, width + 1):
        at = chart.moment_at(x)
        assert at is None or shown.start <= at <= shown.end


def test_trouble_is_named_worst_first_and_drawn_as_long_as_it_lasts() -> None:
    turns = (
        turn(2_400, "degraded"),
        turn(2_400, "asa.saturated"),
        turn(1_200, "down", Health.DOWN),
        turn(1_200, "sql.throttled", Health.DOWN),
        turn(600, "healthy", Health.HEALTHY),
    )
    axis = drawn(line(*turns), 120)[1]
    assert "─▲ prod asa.saturated ━" in axis
    assert "━✖ sql.throttled ━━● prod fine " in axis
    assert axis.rstrip().endswith("now")


def test_where_words_have_no_room_the_worst_keeps_its_name() -> None:
    crowd = [turn(1_000 + 40 * number, f"cdf.thing{number}") for number in range(12)]
    found = drawn(line(*crowd, turn(900, "sql.throttled", Health.DOWN)))
    assert "✖ prod sql.throttled" in found[1]


def test_what_ended_has_a_shape_of_its_own() -> None:
    found = drawn(line(turn(1_000, "asa.saturated", Health.HEALTHY, began=False), moment=1_000.0), 120)
    assert "◇" in found[1]
    assert "◇ prod asa.saturated ended" in found[0]


def test_a_suspicion_that_begins_is_never_drawn_as_fine() -> None:
    found = drawn(line(turn(1_000, "upstream.quiet", Health.HEALTHY)))
    assert "▲ prod upstream.quiet" in found[1]
    assert "●" not in found[1]


def test_times_of_which_nothing_was_kept_are_dots() -> None:
    shown = TimeLine(NOW - HOUR, NOW, kept=(ago(1_800), NOW))
    axis = drawn(shown)[1]
    assert axis.index("····") < axis.index("────")
    assert "─" not in drawn(TimeLine(NOW - HOUR, NOW))[1]


def test_the_health_before_the_line_begins_is_drawn_from_its_start() -> None:
    shown = TimeLine(
        NOW - HOUR,
        NOW,
        before=((NOW - HOUR, "prod", Health.DEGRADED), (NOW - HOUR, "dev", Health.HEALTHY)),
        kept=(NOW - HOUR, NOW),
    )
    assert "─" not in drawn(shown)[1]
    assert "━━━━" in drawn(shown)[1]


def test_a_tall_screen_has_the_times_on_a_line_of_their_own() -> None:
    found = drawn(line(moment=1_000.0), 100, 3)
    assert "13:46:32" in found[2], "the cursor says its moment"
    assert "13:30" in found[2]
    assert "13:45" not in found[2], "what stands under the cursor gives way"


def test_ticks_follow_the_clock_of_the_zone() -> None:
    half_hour_zone = timezone(timedelta(hours=5, minutes=30))
    ticks = Axis(night(0, 0), night(12, 0), 100).ticks(half_hour_zone, 12)
    assert [at.astimezone(half_hour_zone).minute for _, at in ticks] == [0] * len(ticks)


def test_lengths_of_time_in_two_units() -> None:
    assert [lasting(seconds) for seconds in (0, 59, 60, 95, 3_600, 39_040, 86_400, 273_600)] == [
        "0 s", "59 s", "1 min", "1 min 35 s", "1 h", "10 h 50 min", "1 d", "3 d 4 h",
    ]  # fmt: skip
    assert long_ago(NOW, NOW - HOUR) == "ahead of this machine's clock"

"""Text from outside, numbers, and the arithmetic of cells: the parts that every line on every screen goes through."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lpmops.model import Health, Reading, Stage
from lpmops.plain_text import LONGEST, plain_line
from lpmops.tui import paint, words
from lpmops.tui.details import details
from lpmops.tui.paint import Piece
from lpmops.tui.view import Scene
from lpmops.tui.widgets.stages import detail_line
from lpmops.tui.widgets.table import natural
from tests.tui.worlds import NOW

ANY_TEXT = st.text(alphabet=st.characters(), max_size=200)
HOSTILE = (
    "[/",
    "[bold]x[/bold]",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "a\x00b",
    "one\ntwo",
    "\u202eevil",
    "x\u200by",
    "\ud800",
    "e" + "\u0301" * 40,
)


@given(ANY_TEXT)
def test_no_text_reaches_a_terminal_with_a_character_it_would_act_on(text: str) -> None:
    clean = plain_line(text)
    assert all(character.isprintable() or character == "\ufffd" for character in clean)
    clean.encode("utf-8")
    assert plain_line(clean) == clean


@pytest.mark.parametrize("text", HOSTILE)
def test_what_was_hostile_is_harmless(text: str) -> None:
    clean = plain_line(text)
    assert not {"\x1b", "\x00", "\n", "\u202e", "\u200b", "\ud800"} & set(clean)
    assert len(clean) < 30


def test_an_escape_is_still_seen_as_one() -> None:
    assert plain_line("\x1b[31m") == "␛[31m"


def test_endless_text_is_cut() -> None:
    assert len(plain_line("x" * 100_000)) == LONGEST


@given(ANY_TEXT, st.integers(min_value=0, max_value=60), st.booleans())
def test_a_fitted_text_takes_exactly_its_cells(text: str, width: int, right: bool) -> None:
    assert cell_len(paint.fit_text(plain_line(text), width, right=right)) == width


@given(st.lists(ANY_TEXT, max_size=5), st.integers(min_value=0, max_value=60))
def test_a_fitted_line_takes_exactly_its_cells(texts: list[str], width: int) -> None:
    line = [paint.piece(text) for text in texts]
    assert paint.width_of(paint.fit(line, width)) == width
    assert paint.width_of(paint.spread(line, line, width)) == width


def test_a_cut_line_says_so() -> None:
    assert "".join(part.text for part in paint.crop((Piece("abc"), Piece("def")), 3)) == "ab…"


@pytest.mark.parametrize(
    ("seconds", "long", "tight"),
    [
        (None, "–", ""),
        (math.nan, "–", ""),
        (-5.0, "0 s", "0.0s"),
        (0.4, "0.4 s", "0.4s"),
        (54.6, "54.6 s", "55s"),
        (99.99, "2 min", "2m"),
        (720.0, "12 min", "12m"),
        (12_600.0, "3.5 h", "4h"),
        (604_800.0, "7 d", "7d"),
    ],
)
def test_durations(seconds: float | None, long: str, tight: str) -> None:
    assert (words.duration(seconds), words.tight_duration(seconds)) == (long, tight)


@given(st.one_of(st.none(), st.floats()))
def test_every_duration_fits_its_arrow(seconds: float | None) -> None:
    assert len(words.tight_duration(seconds)) <= 4


@pytest.mark.parametrize(
    ("number", "short"),
    [
        (None, "–"),
        (0, "0"),
        (0.44, "0.4"),
        (9_204, "9,204"),
        (41_204, "41 k"),
        (999_600, "1.0 M"),
        (1_204_551, "1.2 M"),
        (18_442_120, "18 M"),
        (math.inf, "–"),
    ],
)
def test_short_counts(number: float | None, short: str) -> None:
    assert words.short_count(number) == short


def test_a_steady_rate_stands_low_and_a_peak_shows() -> None:
    assert words.sparkline((5.0,) * 4, 6) == ("  ▄▄▄▄",)
    assert "".join(words.sparkline((1.0, 1.0, 4.0), 3)) == "▂▂█"


def test_a_tall_peak_goes_on_in_the_line_above() -> None:
    assert words.sparkline((1.0, 1.0, 4.0), 3, rows=2) == ("  █", "▄▄█")


def test_an_unknown_rate_is_no_zero() -> None:
    assert "".join(words.sparkline((None, 0.0, math.nan), 3)) == "·▁·"
    assert words.rate(None) == "–"


def test_ids_sort_as_people_do() -> None:
    endless = "9" * 5000
    assert sorted(["10", "9", "a10", "a9", "009", endless, ""], key=natural) == [
        "",
        "9",
        "009",
        "10",
        endless,
        "a9",
        "a10",
    ]


@given(st.lists(ANY_TEXT))
def test_any_ids_can_be_sorted(texts: list[str]) -> None:
    assert len(sorted(texts, key=natural)) == len(texts)


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        (Reading("partitions", 8, "partitions", NOW, "test"), "partitions 8"),
        (Reading("lpm-tdr-prod-01.units_percent", 97.0, "%", NOW, "test"), "units used 97 %"),
        (Reading("quota_errors", 3.0, "per minute", NOW, "test"), "quota errors 3 /min"),
        (Reading("retention", 604_800.0, "s", NOW, "test"), "retention 7 d"),
        (Reading("rows", 18_442_120, "rows", NOW, "test"), "rows 18 M"),
        (Reading("backlog", None, "bytes", NOW, "test"), "backlog –"),
    ],
)
def test_a_reading_is_short_and_says_nothing_twice(reading: Reading, line: str) -> None:
    stage = Stage("asa", Health.HEALTHY, "running", readings=(reading,))
    assert "".join(part.text for part in detail_line(details(stage)[0], Scene((), NOW), 30)) == line


@given(ANY_TEXT, st.text(max_size=9), st.integers(min_value=1, max_value=40))
def test_a_label_is_never_cut_in_the_middle_where_its_short_form_fits(name: str, unit: str, width: int) -> None:
    stage = Stage("sql", Health.HEALTHY, "3 of 3", readings=(Reading(f"a-01.{name}", 5, unit, NOW, "test"),))
    for detail in details(stage):
        shown = "".join(part.text for part in detail_line(detail, Scene((), NOW), width))
        assert cell_len(shown) <= width
        assert "…" not in shown or "…" in detail.labels[-1] or cell_len(detail.labels[-1]) + 2 > width


def test_several_jobs_are_told_as_one() -> None:
    readings = (
        Reading("a-01.streaming_units", 3.0, "units", NOW, "test"),
        Reading("a-02.streaming_units", 7.0, "units", NOW, "test"),
        Reading("a-01.watermark_delay", 2.0, "s", NOW, "test"),
        Reading("a-02.watermark_delay", 90.0, "s", NOW, "test"),
    )
    found = details(Stage("asa", Health.HEALTHY, "running", readings=readings))
    assert [(detail.labels[0], detail.reading.value) for detail in found] == [
        ("streaming units", 10.0),
        ("watermark delay", 90.0),
    ]


@given(st.lists(st.text(alphabet="abc'", min_size=1, max_size=30), max_size=12), st.integers(1, 60), st.integers(1, 5))
def test_wrapped_text_loses_no_word_unless_it_says_so(said: list[str], width: int, most: int) -> None:
    lines = paint.wrapped(said, width, most)
    assert len(lines) <= most
    assert all(cell_len(line) <= width for line in lines)
    if not any("…" in line for line in lines):
        assert " ".join(lines) == " ".join(said)

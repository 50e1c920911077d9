"""Moments and spans as people write them: every form, and what is said for those that mean nothing."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops import moments
from lpmops.errors import NotFoundError, UsageError
from lpmops.model import to_data

NOW = datetime(2026, 3, 2, 3, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-03-02T03:10:00Z", "2026-03-02T03:10:00.000Z"),
        ("2026-03-02t03:10:00.25z", "2026-03-02T03:10:00.250Z"),
        ("2026-03-02T03:10:00.123456789Z", "2026-03-02T03:10:00.123Z"),
        ("2026-03-02T04:10:00+01:00", "2026-03-02T03:10:00.000Z"),
        ("2026-03-02 03:10", "2026-03-02T03:10:00.000Z"),
        ("  2026-03-02 03:10:07 ", "2026-03-02T03:10:07.000Z"),
        ("2026-03-01 22:10 -05:00", "2026-03-02T03:10:00.000Z"),
        ("2026-03-02", "2026-03-02T00:00:00.000Z"),
        ("03:10", "2026-03-02T03:10:00.000Z"),
        ("03:20:30", "2026-03-02T03:20:30.000Z"),
        ("03:21", "2026-03-01T03:21:00.000Z"),
        ("23:59", "2026-03-01T23:59:00.000Z"),
        ("20 min ago", "2026-03-02T03:00:30.000Z"),
        ("2 hours ago", "2026-03-02T01:20:30.000Z"),
        ("1h 30m ago", "2026-03-02T01:50:30.000Z"),
        ("90 ago", "2026-03-02T03:19:00.000Z"),
        ("-20m", "2026-03-02T03:00:30.000Z"),
        ("-1 day", "2026-03-01T03:20:30.000Z"),
        ("now", "2026-03-02T03:20:30.000Z"),
        ("Now", "2026-03-02T03:20:30.000Z"),
    ],
)
def test_each_way_to_write_a_moment(text: str, found: str) -> None:
    assert to_data(moments.moment(text, NOW)) == found


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
def test_a_time_of_day_is_in_utc_whatever_zone_now_is_in(zone: timezone) -> None:
    assert moments.moment("03:10", NOW.astimezone(zone)) == datetime(2026, 3, 2, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "25:00",
        "3:10",
        "2026-02-30",
        "2026-13-01 00:00",
        "2026-03-02 24:00",
        "20260302",
        "2026-W10-1",
        "2026-03-02T03:10:00+99:00",
        "ago",
        "- ago",
        "20 moons ago",
        "--20m",
        "２０ min ago",
        "-999999999d",
        "0001-01-01T00:00:00+14:00",
        "03:10; DROP TABLE snapshot",
    ],
)
def test_what_is_no_moment_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        moments.moment(text, NOW)
    assert "20 min ago" in caught.value.hint


def test_the_future_is_refused_with_what_time_it_is() -> None:
    with pytest.raises(UsageError, match=r"lies in the future: it is 2026-03-02T03:20:30.000Z now"):
        moments.moment("2026-03-02 03:21", NOW)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2026, 3, 2, 3, 20, 30)), st.integers(-14 * 60, 14 * 60))
def test_a_moment_that_lpmops_wrote_is_read_as_the_same_in_every_zone(at: datetime, offset: int) -> None:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
    assert moments.moment(to_data(at), NOW) == at
    assert moments.moment(at.astimezone(timezone(timedelta(minutes=offset))).isoformat(), NOW) == at


@given(st.times(), st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1)))
def test_a_time_of_day_is_the_last_such_time(clock: object, now: datetime) -> None:
    now = now.replace(tzinfo=UTC)
    found = moments.moment(str(clock)[:5], now)
    assert found.strftime("%H:%M:%S") == f"{str(clock)[:5]}:00"
    assert timedelta(0) <= now - found < timedelta(days=1)


@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59))
def test_spans_add_up_in_every_writing(days: int, hours: int, minutes: int) -> None:
    seconds = days * 86_400 + hours * 3_600 + minutes * 60
    for text in (f"{days}d{hours}h{minutes}m", f"{days} days {hours} hours {minutes} min", str(seconds)):
        assert moments.span(text) == seconds
        assert NOW - moments.moment(f"-{text}", NOW) == timedelta(seconds=seconds)
        assert moments.moment(f"{text} ago", NOW) == moments.moment(f"-{text}", NOW)


@given(st.text(max_size=30))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert moments.span(text) >= 0
    with contextlib.suppress(UsageError):
        assert moments.moment(text, NOW) <= NOW


def test_a_moment_before_the_first_look_says_what_is_kept() -> None:
    extent = (NOW - timedelta(hours=1), NOW)
    assert moments.within(NOW, extent, "prod") == NOW
    assert moments.within(extent[0], extent, "prod") == extent[0]
    with pytest.raises(NotFoundError, match="before the first look at 2026-03-02T02:20:30") as caught:
        moments.within(NOW - timedelta(hours=2), extent, "prod")
    assert "from 2026-03-02T02:20:30.000Z to 2026-03-02T03:20:30.000Z" in caught.value.hint
    with pytest.raises(NotFoundError, match="Nothing of prod was kept yet") as caught:
        moments.within(NOW, None, "prod")
    assert "lpmops record -e prod" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2h", NOW + timedelta(hours=2)),
        (" 90 min ", NOW + timedelta(minutes=90)),
        ("2026-03-02T05:20:30Z", NOW + timedelta(hours=2)),
        ("2026-03-02T06:20:30+01:00", NOW + timedelta(hours=2)),
    ],
)
def test_a_moment_to_come_is_a_span_from_now_or_a_whole_time(text: str, found: datetime) -> None:
    assert moments.ahead(text, NOW) == found


@given(st.text(max_size=40))
def test_no_text_for_a_moment_to_come_does_worse_than_a_sentence(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert moments.ahead(text, NOW).tzinfo is not None


@pytest.mark.parametrize("text", ["soon", "999999999d", "0001-01-01T00:00:00+23:59", "", "[/]"])
def test_what_is_no_moment_to_come_says_how_one_is_written(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        moments.ahead(text, NOW)
    assert "90m, 2h" in caught.value.hint

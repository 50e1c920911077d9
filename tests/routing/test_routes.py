"""Which company ids there can be, why others can't, and which are taken for one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.routing.routes import COMPANY_ID_AT_MOST, Route, alike, refusal_of_id, refusal_of_name
from tests.routing.hostile import ids

IMPOSSIBLE = {
    "": "it is empty",
    " 1001": "begins or ends with a blank",
    "1001\t": "begins or ends with a blank",
    "10\x0001": "a control character (U+0000) at place 3",
    "10\n01": "a control character (U+000A)",
    "x" * 65: "it has 65 characters, and 64 is the most",
    "x" * 4_000: "it has 4,000 characters",
    "🚑" * 33: "it has 66 characters",
    "10\u200b01": "a character that is not seen (U+200B)",
    "\u202e1001": "a character that is not seen (U+202E)",
    "\ufeff1001": "a character that is not seen (U+FEFF)",
    "10\u00a001": "a blank that is no plain one (U+00A0)",
    "10\ud80001": "half a surrogate pair (U+D800)",
    "10\u202801": "a line separator",
    "10\u037801": "a character that Unicode has not",
    "10\ue00001": "a character of private use",
}


@pytest.mark.parametrize(("company_id", "reason"), IMPOSSIBLE.items(), ids=map(ascii, IMPOSSIBLE))
def test_an_id_that_some_place_would_cut_fold_or_hide_is_refused_with_the_reason(company_id: str, reason: str) -> None:
    assert reason in refusal_of_id(company_id)


@pytest.mark.parametrize(
    "company_id", ["1001", "o'hara", "a]b", "--", "/*x*/", "Zoë", "電話", "🚑" * 32, "a b", "%", "x" * 64, "-7"]
)
def test_an_id_is_data_whatever_it_looks_like(company_id: str) -> None:
    assert refusal_of_id(company_id) == ""


@pytest.mark.parametrize("company_id", ["0", "7", "-7", "9223372036854775807", "-9223372036854775808"])
def test_a_number_is_an_id_where_ids_are_numbers(company_id: str) -> None:
    assert refusal_of_id(company_id, "number") == ""


@pytest.mark.parametrize("company_id", ["007", "+7", "7.0", "1e3", "-0", "9223372036854775808", "x7", "٧", "７"])
def test_what_is_written_otherwise_than_the_source_would_give_it_is_refused(company_id: str) -> None:
    assert "no whole number" in refusal_of_id(company_id, "number")


@given(st.text())
def test_an_id_that_can_be_fits_every_place_it_goes_to(text: str) -> None:
    if not refusal_of_id(text):
        assert text == text.strip()
        assert text.isprintable()
        assert len(text.encode("utf-16-le")) // 2 <= COMPANY_ID_AT_MOST
    assert refusal_of_name(text, COMPANY_ID_AT_MOST) == refusal_of_id(text)


@given(ids)
def test_what_the_hostile_ids_of_these_tests_are_is_possible(company_id: str) -> None:
    assert refusal_of_id(company_id) == ""


@pytest.mark.parametrize("other", ["acme", "ＡＣＭＥ", "АСМЕ", "Acme"])
def test_ids_that_look_alike_are_named(other: str) -> None:
    assert alike("ACME", [other, "ACNE", "ACME"]) == (other,)


def test_a_paused_route_is_no_active_one() -> None:
    assert Route("1", "One", "lpm-01").active
    assert not Route("1", "One", "lpm-01", "paused").active

"""What an action asks for: each field takes text from a person, and answers with a value or a sentence."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.actions import registry
from lpmops.errors import UsageError

NOW = datetime(2026, 11, 23, 14, 3, 12, tzinfo=UTC)
FIELDS = [(entry.name, each) for entry in registry.ACTIONS.values() for each in entry.inputs or ()]


@given(st.text(max_size=60))
def test_no_text_in_any_field_does_worse_than_a_sentence(text: str) -> None:
    for _, field in FIELDS:
        with contextlib.suppress(UsageError):
            field.read(text, NOW)


@pytest.mark.parametrize("text", ["9" * 5_000, "9" * 19, "0" * 5_000, "1," * 3_000 + "1"])
def test_a_number_of_any_length_is_read_or_refused_in_a_sentence(text: str) -> None:
    for _, field in FIELDS:
        with contextlib.suppress(UsageError):
            field.read(text, NOW)


def test_a_number_that_is_too_large_says_what_the_largest_is() -> None:
    fields = {(name, each.name): each for name, each in FIELDS}
    with pytest.raises(UsageError, match="no rate: the largest is 100,000"):
        fields["replay.run", "rate"].read("100001", NOW)
    with pytest.raises(UsageError, match="'fast' is no rate"):
        fields["replay.run", "rate"].read("fast", NOW)
    with pytest.raises(UsageError, match="no version: the largest is"):
        fields["stream.deploy", "from_version"].read("1" + "0" * 18, NOW)
    assert fields["stream.deploy", "from_version"].read(" 0009,204 ", NOW) == 9204


@pytest.mark.parametrize("name", registry.ACTIONS)
def test_the_fields_of_an_action_have_names_of_their_own_and_a_hint(name: str) -> None:
    fields = registry.ACTIONS[name].inputs or ()
    assert len({each.name for each in fields}) == len(fields)
    assert all(each.title and each.hint for each in fields)
    # The app gives a title nine cells and cuts the rest.
    assert [each.title for each in fields if len(each.title) > 9] == []


def test_a_pause_ends_in_time_to_come_and_a_start_begins_in_the_past() -> None:
    fields = {(name, each.name): each for name, each in FIELDS}
    assert fields["asa.pause", "until"].read("2h", NOW) == "2026-11-23T16:03:12.000Z"
    assert fields["asa.pause", "until"].read("  ", NOW) is None
    assert fields["asa.start", "begin"].read("20 min ago", NOW) == "2026-11-23T13:43:12.000Z"
    for name, text in (("asa.pause", "until"), ("asa.start", "begin")):
        wrong = "2026-11-23T13:00:00Z" if text == "until" else "2026-11-23T15:00:00Z"
        with pytest.raises(UsageError):
            fields[name, text].read(wrong, NOW)
    with pytest.raises(UsageError, match="1,001 characters"):
        fields["asa.pause", "reason"].read("x" * 1_001, NOW)
    with pytest.raises(UsageError, match="where it begins"):
        fields["asa.start", "mode"].read("", NOW)


def test_an_action_that_an_app_can_not_ask_for_names_its_command() -> None:
    from dataclasses import replace

    entry = replace(registry.action("asa.pause"), inputs=None)
    assert registry.disabled(entry, None) == "It is done on the command line: lpmops asa pause -e ENV"

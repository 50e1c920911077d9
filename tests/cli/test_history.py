"""`lpmops history`: a moment of the past in the shape of a status, and the turns of a span, from the store alone."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CommandLine

GOLDEN = Path(__file__).parent / "golden"


def document(text: str) -> dict[str, Any]:
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def drill(line: CommandLine) -> CommandLine:
    """Looks at test every half minute: well at 12:02:00, without its database from 12:02:30 to 12:03:00, well at 12:03:30; now it is 12:10."""
    del line.worlds["dev"]
    world = line.worlds["test"]
    for faults in (set(), {"sql.unreachable"}, {"sql.unreachable"}, set()):
        world.faults = faults
        line.run("status", "-e", "test")
        world.step(30)
    world.step(6 * 60)
    line.configured = False
    return line


def same_as_golden(name: str, found: dict[str, Any]) -> bool:
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("LPMOPS_WRITE_GOLDEN"):
        (GOLDEN / name).write_text(text, encoding="utf-8")
    return text == (GOLDEN / name).read_text(encoding="utf-8")


def test_the_documents_keep_every_key_they_ever_had(drill: CommandLine) -> None:
    moment = document(drill.run("history", "-e", "test", "--at", "12:02:45", "-o", "json").out)
    moment["data"]["status"]["seconds"] = 0.0
    assert same_as_golden("history_at.json", moment)
    turns = document(drill.run("history", "-e", "test", "--from", "2026-11-23 12:02", "-o", "json").out)
    assert same_as_golden("history_turns.json", turns)


def test_a_moment_has_the_shape_of_a_status(drill: CommandLine) -> None:
    status = document(drill.run("status", "--cached", "-o", "json").out)["data"][0]
    found = document(drill.run("history", "-e", "test", "--at", "-6m", "-o", "json").out)["data"]
    assert (found["asked_at"], found["taken_at"]) == ("2026-11-23T12:04:00.000Z", "2026-11-23T12:03:30.000Z")
    assert found["status"].keys() == status.keys()
    assert found["status"] == {**status, "health": found["status"]["health"], "stages": found["status"]["stages"]}


@pytest.mark.parametrize(
    ("at", "health"),
    [
        ("12:02", "healthy"),
        ("2026-11-23T12:02:29.999Z", "healthy"),
        ("2026-11-23T13:02:30+01:00", "degraded"),
        ("7 min ago", "degraded"),
        ("-6m30s", "healthy"),
    ],
)
def test_before_during_and_after_a_fault(drill: CommandLine, at: str, health: str) -> None:
    said = drill.run("history", "-e", "test", "--at", at, "-o", "json")
    assert (said.code, document(said.out)["data"]["status"]["health"]) == (0, health)


def test_a_time_at_which_nobody_looked_is_unknown_and_says_so(drill: CommandLine) -> None:
    found = document(drill.run("history", "-e", "test", "--at", "now", "-o", "json").out)
    assert found["data"]["status"]["health"] == "unknown"
    assert found["warnings"] == [
        "Nobody looked at test between 2026-11-23T12:03:30.000Z and 2026-11-23T12:10:00.000Z: how it was then is unknown."
    ]


def test_turns_are_rows_in_every_form(drill: CommandLine) -> None:
    turns = document(drill.run("history", "-e", "test", "-o", "json").out)["data"]["turns"]
    assert [(turn["at"][11:19], turn["kind"], turn["what"], turn["began"]) for turn in turns] == [
        ("12:02:30", "health", "degraded", True),
        ("12:02:30", "suspect", "sql.unreachable", True),
        ("12:03:30", "health", "healthy", True),
        ("12:03:30", "suspect", "sql.unreachable", False),
    ]
    lines = drill.run("history", "-e", "test", "-o", "jsonl").out.splitlines()
    assert [json.loads(text) for text in lines] == turns
    rows = list(csv.DictReader(io.StringIO(drill.run("history", "-e", "test", "-o", "csv").out)))
    assert [row["what"] for row in rows] == [turn["what"] for turn in turns]
    table = drill.run("history", "-e", "test").out.splitlines()
    assert table[0] == "test from 2026-11-22T12:10:00.000Z to 2026-11-23T12:10:00.000Z: unknown at first"
    assert table[2:] == [
        "▲ 2026-11-23T12:02:30.000Z  degraded  became degraded",
        "▲ 2026-11-23T12:02:30.000Z  degraded  sql.unreachable began",
        "● 2026-11-23T12:03:30.000Z  healthy   became healthy",
        "● 2026-11-23T12:03:30.000Z  healthy   sql.unreachable ended",
    ]


def test_a_moment_is_a_row_and_a_table_too(drill: CommandLine) -> None:
    (row,) = csv.DictReader(io.StringIO(drill.run("history", "-e", "test", "--at", "12:02:45", "-o", "csv").out))
    assert (row["asked_at"], row["health"]) == ("2026-11-23T12:02:45.000Z", "degraded")
    table = drill.run("history", "-e", "test", "--at", "12:02:45").out
    assert "as seen at 2026-11-23T12:02:30.000Z, asked for 2026-11-23T12:02:45.000Z" in table
    assert "▲ test  degraded, 4 companies, seen 15 s ago" in table
    assert "sql.unreachable (sure)" in table


def test_a_quiet_span_says_how_it_was_and_that_nothing_turned(drill: CommandLine) -> None:
    said = drill.run("history", "-e", "test", "--from", "12:02:40", "--to", "12:03")
    assert said.out.splitlines() == [
        "test from 2026-11-23T12:02:40.000Z to 2026-11-23T12:03:00.000Z: degraded at first",
        "nothing turned",
    ]
    assert said.err == ""


def test_what_reaches_beyond_what_is_kept_says_so(drill: CommandLine) -> None:
    err = drill.run("history", "-e", "test").err
    assert "test was first seen at 2026-11-23T12:02:00.000Z; nothing is known of before." in err
    assert "test was last seen at 2026-11-23T12:03:30.000Z; nothing is known of since." in err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (
            ("--at", "2026-11-23 11:00"),
            3,
            "What is kept reaches from 2026-11-23T12:02:00.000Z to 2026-11-23T12:03:30.000Z",
        ),
        (("--at", "2026-11-24"), 2, "lies in the future"),
        (("--at", "yesterday-ish"), 2, '"20 min ago"'),
        (("--at", "12:02", "--to", "12:03"), 2, "exclude each other"),
        (("--from", "12:03", "--to", "12:02"), 2, "is later than --to"),
        (("--from", "2 days ago", "--to", "later"), 2, "no moment"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(
    drill: CommandLine, words: tuple[str, ...], code: int, says: str
) -> None:
    said = drill.run("history", "-e", "test", *words)
    assert said.code == code
    assert says in said.err
    assert said.out == ""
    found = document(drill.run("history", "-e", "test", *words, "-o", "json").out)
    assert (found["ok"], found["schema"]) == (False, "lpmops/history/v1")


def test_an_environment_that_was_never_seen_says_how_to_begin(drill: CommandLine) -> None:
    for words in ((), ("--at", "now")):
        said = drill.run("history", "-e", "prod", *words)
        assert said.code == 3
        assert "lpmops record -e prod" in said.err


def test_a_damaged_store_is_an_error_and_no_invented_past(drill: CommandLine) -> None:
    drill.path.write_bytes(b"garbage " * 1000)
    said = drill.run("history", "-e", "test", "--at", "12:02:45")
    assert said.code == 1
    assert "is damaged" in said.err


def test_the_last_such_time_may_be_yesterday(drill: CommandLine) -> None:
    drill.worlds["test"].now += timedelta(hours=20)
    found = document(drill.run("history", "-e", "test", "--at", "12:02:45", "-o", "json").out)
    assert found["data"]["asked_at"] == "2026-11-23T12:02:45.000Z"

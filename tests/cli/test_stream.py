"""`lpmops stream show`: where the streaming job is, with what can be read of it."""

from __future__ import annotations

import json

from lpmops.errors import SignInError
from tests.cli.conftest import CommandLine


def test_the_stream_is_shown_with_how_far_behind_the_table_it_is(line: CommandLine) -> None:
    world = line.worlds["test"]
    world.faults = {"cdf.job_failed"}
    world.step(7)
    said = line.run("stream", "show", "-e", "test", "-o", "json")
    data = json.loads(said.out)["data"]
    assert said.code == 0
    assert (data["job"]["state"], data["versions_behind"]) == ("failed", 7)
    assert data["table"]["latest_version"] == data["progress"]["version"] + 7
    assert data["progress"]["input_rate"] == 2.0
    table = line.run("stream", "show", "-e", "test").out.splitlines()
    assert "job          lpm-tdr-stream: failed" in table
    assert f"stream       at version {world.sent_version}, 7 behind" in table
    assert world.version - world.sent_version == 7


def test_what_cannot_be_read_is_left_out_and_said(line: CommandLine) -> None:
    line.worlds["test"].broken["table"] = SignInError("The token is over.", service="databricks", hint="az login")
    said = line.run("stream", "show", "-e", "test", "-o", "json")
    document = json.loads(said.out)
    assert said.code == 0
    assert (document["data"]["table"], document["data"]["versions_behind"]) == (None, None)
    assert document["warnings"] == ["The table could not be read: The token is over."]
    assert document["data"]["progress"]["version"] > 0


def test_where_nothing_can_be_read_the_reason_is_the_answer(line: CommandLine) -> None:
    line.worlds["test"].faults = {"auth.expired"}
    said = line.run("stream", "show", "-e", "test", "-o", "json")
    assert said.code == 4
    assert json.loads(said.out)["error"]["hint"] == "az login"


def test_a_row_for_a_spreadsheet(line: CommandLine) -> None:
    head, row = line.run("stream", "show", "-e", "test", "-o", "csv").out.splitlines()
    found = dict(zip(head.split(","), row.split(","), strict=True))
    assert (found["environment"], found["job_state"], found["versions_behind"]) == ("test", "running", "0")

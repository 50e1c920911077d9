"""The commands that change something, as a script and as a person meet them: exit codes, documents, questions."""

from __future__ import annotations

import json

import pytest

from lpmops.errors import DeadlineError, ForbiddenError
from tests.actions.cases import CASES, drift
from tests.actions.cloud import JOB, Act, quiet
from tests.actions.line import Line

PAUSE = ("asa", "pause", "-e", "prod", "--reason", "database move")


def test_a_pause_gives_the_promised_document(line: Line) -> None:
    said = line.run(*PAUSE, "--until", "2h", "--confirm", "prod", "-o", "json")
    assert said.code == 0
    assert set(said.document) == {"schema", "ok", "data", "warnings", "error"}
    assert (said.document["schema"], said.document["ok"], said.document["error"]) == ("lpmops/operation/v1", True, None)
    assert set(said.data) == {"operation", "state", "steps", "result"}
    assert said.data["state"] == "succeeded"
    assert said.data["steps"] == [
        {"name": f"note the pause of {JOB}", "state": "done"},
        {"name": f"stop {JOB}", "state": "done"},
    ]
    again = line.run("asa", "start", "-e", "prod", "--mode", "last-output", "--yes", "-o", "json")
    assert (again.code, again.data["state"]) == (0, "succeeded")
    nothing = line.run("asa", "start", "-e", "prod", "--mode", "last-output", "--yes", "-o", "json")
    assert (nothing.code, nothing.data["operation"], nothing.data["result"]["changed"]) == (0, None, False)


def test_a_run_is_told_step_by_step_in_lines_of_json(line: Line) -> None:
    said = line.run(*PAUSE, "--yes", "-o", "jsonl")
    lines = [json.loads(text) for text in said.out.splitlines()]
    assert [item["seq"] for item in lines[:-1]] == list(range(1, len(lines)))
    assert all(set(item) >= {"seq", "ts", "op", "step", "state"} for item in lines[:-1])
    assert lines[-1]["state"] == "succeeded"


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("--no-input",), 7, "--yes"),
        ((), 7, "--yes"),
        (("--confirm", "test"), 7, "--confirm prod"),
        (("--yes", "--confirm", "test"), 7, "--confirm prod"),
        (("--yes", "--until", "yesterday"), 2, "90m"),
        (("--yes", "--job", "asa-other"), 3, JOB),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_nothing_is_done(
    words: tuple[str, ...], code: int, hint: str, line: Line
) -> None:
    said = line.run(*PAUSE, *words, "-o", "json")
    assert said.code == code
    assert hint in said.document["error"]["hint"]
    assert not line.cloud.acts()


def test_a_pause_without_a_reason_is_warned_of_and_shown_as_that(line: Line) -> None:
    said = line.run("asa", "pause", "-e", "prod", "--yes")
    assert said.code == 0
    assert "will not know why" in said.err
    assert "no reason given" in line.run("asa", "show", "-e", "prod").out


def test_a_pause_without_an_environment_is_a_usage_error(line: Line) -> None:
    assert line.run("asa", "pause", "--reason", "x", "--yes").code == 2
    assert line.run("asa", "pause", "-e", "nowhere", "--reason", "x", "--yes").code == 3


def test_a_start_without_a_mode_says_what_each_would_do(line: Line) -> None:
    CASES["start"].before(line.cloud)
    said = line.run("asa", "start", "-e", "prod", "--yes", "-o", "json")
    assert said.code == 2
    assert "--mode now skips 100 events" in said.document["error"]["hint"]
    assert "--mode last-output skips 0 events" in said.document["error"]["hint"]


def test_skipping_events_takes_the_name_and_no_mere_yes(line: Line) -> None:
    CASES["start"].before(line.cloud)
    refused = line.run("asa", "start", "-e", "prod", "--mode", "now", "--yes", "-o", "json")
    assert (refused.code, refused.document["error"]["hint"]) == (7, "To go on without a question: --confirm prod")
    assert "100 events are skipped" in refused.document["error"]["message"]
    done = line.run("asa", "start", "-e", "prod", "--mode", "now", "--confirm", "prod", "-o", "json")
    assert (done.code, done.data["result"]["skipped_events"]) == (0, 100)


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("yes\n", 0), ("n\n", 7), ("\n", 7), ("", 7)])
def test_a_person_is_shown_the_plan_and_asked_once(typed: str, code: int, line: Line) -> None:
    line.typed = typed
    said = line.run(*PAUSE)
    assert said.code == code
    assert f"{JOB}.state: running -> stopped" in said.err
    assert "Go on? [y/N]" in said.err
    assert bool(line.cloud.acts()) is (code == 0)


def test_a_person_who_would_skip_events_types_the_name(line: Line) -> None:
    CASES["start"].before(line.cloud)
    line.typed = "dev\n"
    assert line.run("asa", "start", "-e", "prod", "--mode", "now").code == 7
    line.typed = "prod\n"
    assert line.run("asa", "start", "-e", "prod", "--mode", "now").code == 0


def test_a_dry_run_shows_the_plan_and_does_nothing(line: Line) -> None:
    said = line.run(*PAUSE, "--dry-run", "-o", "json")
    assert (said.code, said.document["schema"]) == (0, "lpmops/plan/v1")
    assert [step["name"] for step in said.data["steps"]] == [f"note the pause of {JOB}", f"stop {JOB}"]
    assert said.data["impact"]["companies"] == 1
    assert line.run(*PAUSE, "--dry-run", "--detailed-exitcode").code == 10
    assert not line.cloud.acts()


def test_a_saved_plan_is_applied_by_its_file_and_a_second_time_changes_nothing(line: Line) -> None:
    file = line.folder / "plan.json"
    assert line.run(*PAUSE, "--out", file).code == 0
    assert not line.cloud.acts()
    assert line.run("apply", file, "-o", "json").code == 7
    said = line.run("apply", file, "--yes", "-o", "json")
    assert (said.code, said.data["state"]) == (0, "succeeded")
    again = line.run("apply", file, "--yes", "-o", "json")
    assert (again.code, again.data["operation"]) == (0, None)
    assert line.cloud.acts() == {Act("pause_put", JOB): 1, Act("stop", JOB): 1}


def test_a_plan_whose_world_moved_is_refused_with_the_field_that_did(line: Line) -> None:
    file = line.folder / "plan.json"
    line.run(*PAUSE, "--out", file)
    line.cloud.put(JOB, streaming_units=6.0)
    said = line.run("apply", file, "--yes", "-o", "json")
    assert (said.code, said.document["error"]["code"]) == (6, "plan.stale")
    assert f"{JOB}.streaming_units was 3.0 and is 6.0" in said.document["error"]["message"]
    assert line.run("apply", line.folder / "nothing.json", "--yes").code == 3


def test_an_operation_in_doubt_is_listed_shown_resolved_and_finished(line: Line) -> None:
    def lose(place: str, verb: str) -> None:
        if (place, verb) == ("before", "start"):
            raise DeadlineError("The answer did not come.", service="test")

    CASES["start"].before(line.cloud)
    line.cloud.trouble = lose
    said = line.run("asa", "start", "-e", "prod", "--mode", "now", "--confirm", "prod", "-o", "json")
    line.cloud.trouble = lambda *_: None
    assert (said.code, said.document["error"]["in_doubt"]) == (9, True)
    identifier = said.document["error"]["operation"]
    assert said.data["operation"] == identifier
    assert said.data["steps"][0] == {"name": f"start {JOB}", "state": "in_doubt"}
    listed = line.run("op", "list", "--unfinished", "-o", "json").data
    assert [set(item) >= {"id", "action", "environment", "state", "step", "started_at", "by"} for item in listed] == [
        True
    ]
    assert (listed[0]["id"], listed[0]["state"], listed[0]["step"]) == (identifier, "in_doubt", f"start {JOB}")
    shown = line.run("op", "show", identifier[:-1], "-o", "json").data
    assert (shown["operation"], shown["plan"]["wish"]["mode"]) == (identifier, "now")
    first = line.run("cdf", "enable", "-e", "prod", "--yes", "-o", "json")
    assert (first.code, first.document["error"]["operation"]) == (6, identifier)
    assert line.run("op", "resume", identifier, "-o", "json").code == 9
    assert line.run("op", "resolve", identifier, "--as", "not-done").code == 2
    resolved = line.run("op", "resolve", identifier, "--as", "retry", "--reason", "no trace of it", "-o", "json")
    assert (resolved.code, resolved.data["state"]) == (0, "succeeded")
    assert line.run("op", "list", "--unfinished", "-o", "json").data == []
    assert line.run("op", "show", "nothing").code == 3


def test_an_operation_that_somebody_left_at_once_is_given_up_with_a_reason(line: Line) -> None:
    def lose(place: str, verb: str) -> None:
        if (place, verb) == ("before", "stop"):
            raise KeyboardInterrupt

    line.cloud.trouble = lose
    ended = line.run(*PAUSE, "--yes", "-o", "json")
    assert (ended.code, ended.document["error"]["code"]) == (130, "interrupted")
    line.cloud.trouble = lambda *_: None
    (left,) = line.run("op", "list", "--unfinished", "-o", "json").data
    assert (left["state"], left["id"]) == ("interrupted", ended.document["error"]["operation"])
    assert line.run("op", "abort", left["id"]).code == 2
    said = line.run("op", "abort", left["id"], "--reason", "another way", "-o", "json")
    assert (said.code, said.data["state"]) == (0, "cancelled")
    assert line.run("op", "resume", left["id"]).code == 6


def test_lock_and_freeze_are_shown_set_and_lifted(line: Line) -> None:
    assert line.run("lock", "show", "-e", "prod", "-o", "json").data["held"] is False
    assert line.run("lock", "break", "-e", "prod", "--reason", "x", "--yes").code == 6
    line.run("freeze", "prod", "--until", "2h", "--reason", "election night")
    frozen = line.run("lock", "show", "-e", "prod", "-o", "json").data["frozen"]
    assert (frozen["reason"], frozen["by"]) == ("election night", "ops@lpm.example")
    said = line.run(*PAUSE, "--yes", "-o", "json")
    assert (said.code, said.document["error"]["code"]) == (5, "frozen")
    assert "election night" in said.document["error"]["message"]
    assert line.run("unfreeze", "prod", "--reason", "over").code == 0
    assert line.run("freeze", "prod").code == 2
    assert line.run("freeze", "--reason", "x").code == 2
    assert line.run(*PAUSE, "--yes").code == 0


def test_a_held_lock_is_broken_with_a_reason_and_a_yes(line: Line) -> None:
    from lpmops.control.lock import ControlDatabase

    control = ControlDatabase(line.cloud, "lpm-control", "prod")
    control.take("another", "eve@lpm.example on host-7", "op-7")
    held = line.run(*PAUSE, "--yes", "-o", "json")
    assert (held.code, held.document["error"]["code"]) == (5, "locked")
    assert "eve@lpm.example on host-7" in held.document["error"]["message"]
    assert line.run("lock", "break", "-e", "prod", "--reason", "she left").code == 7
    assert line.run("lock", "break", "-e", "prod", "--yes").code == 2
    broken = line.run("lock", "break", "-e", "prod", "--reason", "she left", "--yes", "-o", "json")
    assert (broken.code, broken.data["broken"]["holder"]) == (0, "eve@lpm.example on host-7")
    assert line.run(*PAUSE, "--yes").code == 0


def test_the_audit_is_listed_verified_and_exported(line: Line) -> None:
    line.run(*PAUSE, "--ticket", "OPS-1", "--yes")
    whats = [item["what"] for item in line.run("audit", "list", "-o", "json").data]
    assert whats[0] == "operation.begun"
    assert whats[-1] == "operation.ended"
    begun = line.run("audit", "list", "-o", "json").data[0]
    assert (begun["who"], begun["body"]["reason"], begun["body"]["ticket"]) == (
        "ops@lpm.example",
        "database move",
        "OPS-1",
    )
    assert begun["body"]["command"].startswith("lpmops asa pause -e prod")
    verified = line.run("audit", "verify", "-e", "prod", "-o", "json")
    assert (verified.code, verified.data["heads"]["prod"]["fits"]) == (0, True)
    exported = [json.loads(text) for text in line.run("audit", "export").out.splitlines()]
    assert [item["seq"] for item in exported] == list(range(1, len(exported) + 1))
    out = line.folder / "audit.jsonl"
    assert line.run("audit", "export", "--out", out).code == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == len(exported)


def test_a_shortened_audit_fails_its_verification(line: Line) -> None:
    import sqlite3

    line.run(*PAUSE, "--yes")
    raw = sqlite3.connect(line.folder / "laptop" / "lpmops.db")
    raw.execute("DROP TRIGGER audit_is_never_shortened")
    raw.execute("DELETE FROM audit WHERE seq > 4")
    raw.commit()
    raw.close()
    assert line.run("audit", "verify").code == 0
    said = line.run("audit", "verify", "-e", "prod", "-o", "json")
    assert (said.code, said.data["heads"]["prod"]["fits"]) == (1, False)


def test_the_feed_is_shown_and_enabled_with_its_first_version(line: Line) -> None:
    assert line.run("cdf", "show", "-e", "prod", "-o", "json").data["change_feed"] == "off"
    said = line.run("cdf", "enable", "-e", "prod", "--yes", "-o", "json")
    assert (said.code, said.data["result"]["first_version"]) == (0, 8)
    again = line.run("cdf", "enable", "-e", "prod", "--yes", "-o", "json")
    assert (again.code, again.data["operation"]) == (0, None)
    assert line.run("cdf", "show", "-e", "prod", "-o", "json").data["first_version"] == 8


def test_an_unreadable_part_of_the_streams_progress_is_a_warning_beside_the_rest(line: Line) -> None:
    line.cloud.put(
        "stream", unreadable=["The answer of files/tdr_stream.json has no number under 'inputRowsPerSecond'."]
    )
    shown = line.run("stream", "show", "-e", "prod", "-o", "json")
    assert (shown.code, shown.data["version"], shown.data["doubts"]) == (0, 6, ["the table's change feed is off"])
    assert [warning.partition(": ")[0] for warning in shown.document["warnings"]] == [
        "Part of the stream's progress is unreadable"
    ]
    assert "warning: Part of the stream's progress" in line.run("stream", "show", "-e", "prod").err


def test_how_far_a_stream_is_in_another_table_is_not_held_against_this_one(line: Line) -> None:
    line.cloud.put("stream", table_id="another", version=900)
    shown = line.run("stream", "show", "-e", "prod", "-o", "json")
    assert (shown.data["version"], shown.data["latest_version"], shown.data["versions_behind"]) == (900, 7, None)
    assert "version 900 of another table" in line.run("stream", "show", "-e", "prod").out


def test_progress_that_is_no_progress_hides_neither_the_job_nor_its_run(line: Line) -> None:
    line.cloud.put("stream", garbled=True)
    shown = line.run("stream", "show", "-e", "prod", "-o", "json")
    assert (shown.code, shown.data["state"], shown.data["version"]) == (0, "running", None)
    assert "is no JSON" in shown.document["warnings"][0]
    assert "can't be read" in shown.data["doubts"][0]
    assert line.run("stream", "restart", "-e", "prod", "--yes").code != 0


def test_what_waits_for_a_paused_job_is_shown(line: Line) -> None:
    running = line.run("asa", "show", "-e", "prod", "-o", "json").data
    assert (running[0]["state"], running[0]["paused"], running[0]["modes"]) == ("Running", None, [])
    line.run(*PAUSE, "--until", "2h", "--yes")
    (job,) = line.run("asa", "show", "-e", "prod", "-o", "json").data
    assert (job["state"], job["paused"]["reason"], job["waiting_events"]) == ("Stopped", "database move", 100)
    assert {item["mode"]: item["skips"] for item in job["modes"]} == {"last-output": 0, "now": 100}
    assert "paused by ops@lpm.example" in line.run("asa", "show", "-e", "prod").out


# Deploying Stream Analytics


def test_the_text_is_printed_as_asked_for_as_it_runs_and_how_they_differ(line: Line) -> None:
    drift(line.cloud)
    assert line.run("asa", "query", "-e", "prod").out.startswith("WITH tdr AS (")
    assert line.run("asa", "query", "-e", "prod", "--deployed").out == "SELECT 1\n"
    shown = line.run("asa", "query", "-e", "prod", "--diff").out.splitlines()
    assert shown[:2] == ["--- deployed", "+++ lpmops.toml"]
    assert {"-SELECT 1", "+WITH tdr AS ("} <= set(shown)
    assert shown[-1] == f"{JOB} differs in: outputErrorPolicy, outputs.lpm-01, outputs.old, query"
    (item,) = line.run("asa", "query", "-e", "prod", "-o", "json").data
    assert (item["job"], item["deployed"], item["query"][:4]) == (JOB, "SELECT 1", "WITH")
    assert line.run("asa", "query", "-e", "prod", "--diff", "--deployed").code == 2
    assert not line.cloud.acts()


def test_a_deployment_is_shown_agreed_to_done_and_then_there_is_nothing_to_do(line: Line) -> None:
    drift(line.cloud)
    shown = line.run("asa", "deploy", "-e", "prod", "--dry-run", "--detailed-exitcode")
    assert shown.code == 10
    assert f"{JOB}.outputErrorPolicy: Drop -> Stop" in shown.out
    assert "3 min without delivery" in shown.out
    assert line.run("asa", "deploy", "-e", "prod", "--no-input").code == 7
    assert not line.cloud.acts()
    done = line.run("asa", "deploy", "-e", "prod", "--yes", "-o", "json")
    assert (done.code, done.data["state"]) == (0, "succeeded")
    assert done.data["result"]["undo"] == f"lpmops asa deploy -e prod --back-to {done.data['operation']}"
    again = line.run("asa", "deploy", "-e", "prod", "--yes", "-o", "json")
    assert (again.code, again.data["operation"]) == (0, None)
    back = line.run("asa", "deploy", "-e", "prod", "--back-to", done.data["operation"], "--yes", "-o", "json")
    assert (back.code, line.cloud.get(JOB)["query"]) == (0, "SELECT 1")
    assert line.run("asa", "deploy", "-e", "prod", "--back-to", "nothing", "--yes").code == 3
    assert line.run("asa", "deploy", "-e", "prod", "--mode", "soon", "--yes").code == 2


def test_a_job_that_a_deployment_left_stopped_is_shown_with_the_way_on(line: Line) -> None:
    drift(line.cloud)

    def forbidden(place: str, verb: str) -> None:
        if (place, verb) == ("before", "put_outputs"):
            raise ForbiddenError("No right to write.", service="streamanalytics", status=403)

    line.cloud.trouble = forbidden
    failed = line.run("asa", "deploy", "-e", "prod", "--yes", "-o", "json")
    line.cloud.trouble = quiet
    operation = failed.data["operation"]
    assert failed.code == 9
    assert f"--back-to {operation}" in failed.document["error"]["hint"]
    shown = line.run("asa", "show", "-e", "prod").out
    assert (
        f"in operation {operation} (asa.deploy), which has not started it again: lpmops op resume {operation}" in shown
    )
    assert line.run("op", "resume", operation).code == 0
    assert line.cloud.get(JOB)["state"] == "Running"


def test_streaming_units_are_set_by_their_names(line: Line) -> None:
    assert line.run("asa", "scale", "-e", "prod", "--units", "1/2", "--yes").code == 2
    said = line.run("asa", "scale", "-e", "prod", "--units", "2/3", "--yes", "-o", "json")
    assert (said.code, line.cloud.get(JOB)["streaming_units"]) == (0, 7.0)
    assert line.run("asa", "scale", "-e", "prod", "--units", "2/3", "--yes", "-o", "json").data["operation"] is None


def test_the_stream_is_deployed_from_the_command_line(line: Line) -> None:
    line.cloud.put("feed", kind="delta", first=0)
    shown = line.run("stream", "deploy", "-e", "prod", "--dry-run", "-o", "json")
    assert [step["kind"] for step in shown.data["steps"]][:2] == ["stream.files", "stream.update"]
    assert not line.cloud.acts()
    done = line.run("stream", "deploy", "-e", "prod", "--yes", "-o", "json")
    assert (done.code, done.data["result"]["state"]) == (0, "running")
    again = line.run("stream", "deploy", "-e", "prod", "--yes", "-o", "json")
    assert (again.code, again.data["operation"]) == (0, None)
    assert line.run("stream", "deploy", "-e", "prod", "--from-version", "-1", "--yes").code == 2

"""Sending versions again: what speaks against it, how it is cut, what a run that fails leads to, and what a person is shown of it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.actions import registry, replay, replay_chunks, replay_halt, replay_show
from lpmops.actions.action import Bench
from lpmops.actions.desk import Desk
from lpmops.control.hands import Event, Outcome, StopRequest
from lpmops.control.plan import Step
from lpmops.control.reconciled import Asked, CompanyResult, Reconciliation
from lpmops.errors import (
    DeadlineError,
    InterruptError,
    LockedError,
    LpmopsError,
    PartlyAppliedError,
    StalePlanError,
    TimedOutError,
    UsageError,
)
from lpmops.model import Commit, FeedState, to_data
from lpmops.store import journal, lease
from lpmops.store.connection import Store
from lpmops.store.proofs import OpenGap
from lpmops.versions import Versions
from tests.actions.cases import CASES, FEED
from tests.actions.cloud import CONTROL, JOB, START, Act, Cloud, quiet
from tests.actions.cloud_access import without_rights, without_sender
from tests.actions.line import Line
from tests.actions.operator import Proven, operator

A_BEAT = """INSERT INTO lpmops.heartbeat (beat_id, commit_timestamp, sent_at, enqueued_at, hub_partition, hub_sequence, landed_at)
    VALUES ('{number}', {sent}, {sent}, {sent}, 0, {number}, {landed})"""
RUN = ("replay", "run", "-e", "prod", "--from-version", "2", "--to-version", "5", "--company", "1001")
YES = ("--reason", "lost", "--confirm", "prod", "--no-input")


@given(
    ranges=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), min_size=1, max_size=4),
    rows=st.dictionaries(st.integers(0, 80), st.integers(0, 40)),
    splits=st.sets(st.integers(0, 80)),
    most=st.integers(1, 60),
)
def test_each_version_is_in_exactly_one_chunk_which_is_bounded_and_spans_no_change_of_the_columns(
    ranges: list[tuple[int, int]], rows: dict[int, int], splits: set[int], most: int
) -> None:
    asked = [Versions(first, first + more) for first, more in ranges]
    chunks = replay_chunks.cut(asked, rows, splits, most)
    sent = [version for chunk in chunks for version in range(chunk.versions.first, chunk.versions.last + 1)]
    assert sent == sorted({version for one in asked for version in range(one.first, one.last + 1)})
    for chunk in chunks:
        inside = range(chunk.versions.first, chunk.versions.last + 1)
        assert chunk.rows == sum(rows.get(version, 0) for version in inside)
        assert len(chunk.versions) == 1 or chunk.rows <= most
        assert not splits & set(inside[1:])
    assert [chunk.n for chunk in chunks] == list(range(1, len(chunks) + 1))


def test_a_range_costs_what_is_known_of_it_however_far_it_reaches() -> None:
    (chunk,) = replay_chunks.cut([Versions(0, 10**12)], {5: 7}, set(), 10)
    assert (chunk.versions, chunk.rows) == (Versions(0, 10**12), 7)


def _off(cloud: Cloud) -> None:
    cloud.put("feed", kind="off")


def _not_unique(cloud: Cloud) -> None:
    cloud.statement("lpm-01", "DROP INDEX ux_tdr_change ON lpm.tdr")


def _refuses_duplicates(cloud: Cloud) -> None:
    _not_unique(cloud)
    cloud.statement(
        "lpm-01",
        "CREATE UNIQUE INDEX ux_tdr_change ON lpm.tdr (company_id, record_id, commit_version, change_type)",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_off, "change feed is off"),
        (lambda cloud: cloud.put("feed", first=3), "recorded since version 3"),
        (lambda cloud: cloud.put("feed", first=None, oldest=4), "log begins with version 4"),
        (lambda cloud: cloud.put("feed", table_id="t-2"), "made anew since the stream's checkpoint"),
        (lambda cloud: cloud.put("stream", gone=True), "There is no stream job"),
        (lambda cloud: cloud.put("stream", tasks=[{"task_key": "x"}]), "does not run the code of lpmops"),
        (lambda cloud: cloud.put(JOB, state="Stopped"), "would wait in the hub"),
        (lambda cloud: cloud.put("lpmops.route", **{"1001": None}), "no route of company 1001"),
        (lambda cloud: cloud.put("feed", table_id="t-2"), "databricks.checkpoint for prod: /Volumes/l/o/t-2"),
        (_not_unique, "IGNORE_DUP_KEY"),
        (_refuses_duplicates, "See what lacks, and how it is made: lpmops provision plan -e prod"),
        (without_sender, "role assignment create --assignee-object-id 00000000-0000-4000-8000-0000000000e2"),
        (without_rights, "GRANT SELECT ON TABLE `lpm`.`gold`.`tdr_streaming` TO `application-1`"),
    ],
)
def test_what_speaks_against_it_is_said_before_anything_is_sent(
    change: Callable[[Cloud], None], words: str, line: Line
) -> None:
    CASES["replay"].prepare(line.cloud)
    change(line.cloud)
    said = line.run(*RUN, *YES, "-o", "json")
    assert said.code == 6, said.err
    assert words in said.document["error"]["message"] + said.document["error"]["hint"]
    assert not line.cloud.acts()


def test_a_rate_above_what_is_free_is_refused(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run("replay", "plan", *RUN[2:], "--rate", "3000", "-o", "json")
    assert (said.code, "more than is free" in said.document["error"]["message"]) == (6, True)


@pytest.mark.parametrize(
    ("incoming", "said"),
    [
        ((), "what flows live is not known"),
        ((0.0,), "what flows live is not known"),
        ((20_000.0,), "0.3 flow live"),
        ((600_000.0,), "10 flow live"),
    ],
)
def test_what_flows_live_is_a_number_only_where_the_metrics_tell_it(
    incoming: tuple[float, ...], said: str, line: Line
) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("hub", incoming=incoming)
    warnings = line.run("replay", "plan", *RUN[2:], "-o", "json").data["warnings"]
    assert any(f"beside the stream ({said})" in each for each in warnings), warnings


def test_a_namespace_without_room_is_waited_for_or_given_more(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("hub", incoming=(72_000_000.0,))
    said = line.run("replay", "plan", *RUN[2:], "-o", "json")
    message = said.document["error"]["message"]
    assert (said.code, "the namespace takes 1,000, 1,200 flow now. Wait until less flows" in message) == (6, True), (
        message
    )
    assert "az eventhubs namespace update" in message


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "not said what to send"),
        (("--from-version", "5", "--to-version", "2"), "ends with version 2"),
        (("--from-version", "2", "--to-version", "1000000000000"), "yet to come: the newest is 7"),
        (("--from-version", "1000000000000"), "yet to come: the newest is 7"),
        (("--missing", "--from-version", "5"), "said in two ways"),
        (("--from-version", "1", "--from", "12:00"), "begins twice"),
        (("--from", "yesterday evening"), "--from"),
    ],
)
def test_a_range_that_means_nothing_is_a_usage_error(words: tuple[str, ...], what: str, line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run("replay", "plan", "-e", "prod", *words, "-o", "json")
    assert (said.code, what in said.document["error"]["message"]) == (2, True), said.out


@pytest.mark.parametrize("digits", [19, 4_000, 5_000])
@pytest.mark.parametrize("option", ["--from-version", "--to-version", "--rate", "--chunk"])
def test_a_number_beyond_all_counting_is_a_usage_error(option: str, digits: int, line: Line) -> None:
    said = line.run("replay", "plan", "-e", "prod", option, "9" * digits)
    assert (said.code, option in said.err) == (2, True)


def test_times_are_turned_into_versions_and_the_plan_keeps_them(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        times = {"from_version": "2026-11-23T11:55:30Z", "to_version": "2026-11-23T11:58:00Z"}
        plan = worker.desk.plan(registry.action("replay.run"), {**case.wish, **times})
        assert plan.wish["ranges"] == [[3, 5]]
        assert "--from-version 3 --to-version 5" in plan.command


def test_a_change_of_the_columns_splits_the_range(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("feed", shapes=[4])
        steps = worker.plan(case).steps
        assert [step.name for step in steps[:-1]] == ["send versions 2 to 3", "send versions 4 to 5"]


@pytest.mark.parametrize(
    ("operation", "splits"),
    [
        ("WRITE", False),
        ("ADD COLUMNS", False),
        ("OPTIMIZE", False),
        ("RENAME COLUMN", True),
        ("DROP COLUMNS", True),
        ("CHANGE COLUMN", True),
        ("CREATE OR REPLACE TABLE AS SELECT", True),
    ],
)
def test_only_a_change_that_one_read_can_not_span_begins_a_chunk(operation: str, splits: bool) -> None:
    assert replay_chunks.changes_shape(Commit(4, START, operation)) is splits


def test_a_table_that_was_made_anew_is_no_more_the_one_of_the_plan(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        plan = worker.plan(case)
        worker.cloud.put("feed", table_id="t-2")
        ended = worker.attempt(plan)
        assert isinstance(ended, StalePlanError)
        assert "table.id was t-1 and is t-2" in ended.message
        assert not worker.cloud.acts()


def test_a_replay_of_a_table_that_was_made_anew_is_not_gone_on_with(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("stream", replays_fail=1)
        assert isinstance(worker.attempt(worker.plan(case)), PartlyAppliedError)
        worker.cloud.put("feed", table_id="t-2")
        with pytest.raises(StalePlanError, match=r"table\.id was t-1 and is t-2"):
            worker.desk.resume(worker.unfinished()[0])
        assert len(worker.cloud.get("stream")["submitted"]) == 1


def test_a_second_operator_learns_whose_replay_has_the_environment(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as first, operator(folder, machine="desktop", cloud=first.cloud) as second:
        case.prepare(first.cloud)
        first_plan, second_plan = first.plan(case), second.plan(case)
        met: list[Outcome | LpmopsError] = []

        def between_two_runs(place: str, verb: str) -> None:
            if (place, verb) == ("before", "submit_run") and not met:
                met.append(second.attempt(second_plan))

        first.cloud.trouble = between_two_runs
        assert first.desk.apply(first_plan, first.approve(first_plan)).state == "succeeded"
        (refused,) = met
        assert isinstance(refused, LockedError)
        ((mine, _),) = journal.operations(first.store)
        assert re.search(rf"locked by ops@lpm.example on .* for operation {mine.id}", refused.message)
        assert len(first.cloud.get("stream")["submitted"]) == 1


@pytest.mark.parametrize("text", ["2026-11-23 11:57", "2026-11-23T12:57:00+01:00", "2026-11-23T11:57:00Z"])
def test_a_time_on_the_command_line_is_utc_unless_it_names_its_zone(text: str, line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run("replay", "plan", "-e", "prod", "--from", text, "--to", "2026-11-23 11:58", "-o", "json")
    assert (said.code, said.data["wish"]["ranges"]) == (0, [[4, 5]])
    times = "These versions were committed from 2026-11-23T11:57:00.000Z to 2026-11-23T11:58:00.000Z (UTC)."
    assert times in said.data["warnings"]


@pytest.mark.parametrize(
    ("text", "what"),
    [("2999-01-01 00:00", "in the future"), ("2026-13-45", "no moment"), ("2026-11-23 12:00:01", "no version since")],
)
def test_a_time_without_versions_is_a_usage_error(text: str, what: str, line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run("replay", "plan", "-e", "prod", "--from", text, "-o", "json")
    assert (said.code, what in said.document["error"]["message"]) == (2, True), said.out


def test_a_range_without_versions_leads_to_the_list_of_those_that_there_are(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("feed", oldest=4)
    plan = ("replay", "plan", "-e", "prod", "-o", "json")
    past, ahead, since = (
        line.run(*plan, "--from-version", "5", "--to", "2026-11-23 11:55").document["error"],
        line.run(*plan, "--from-version", "99").document["error"],
        line.run(*plan, "--from", "2026-11-23 12:00:01").document["error"],
    )
    assert past["message"] == (
        "The table's history begins with version 4, committed at 2026-11-23T11:57:00.000Z: it has no version up to 2026-11-23T11:55:00.000Z."
    )
    assert all("lpmops cdf versions -e prod" in error["hint"] for error in (past, ahead, since)), (past, ahead, since)


def test_a_company_that_is_not_brought_on_leads_to_those_that_are(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    plan = ("replay", "plan", "-e", "prod", "--versions", "2:5", "-o", "json")
    unknown = line.run(*plan, "--company", "9999")
    assert (unknown.code, "lpmops route list -e prod" in unknown.document["error"]["message"]) == (6, True), unknown.out
    nameless = line.run(*plan, "--company", "")
    assert (nameless.code, "has no id" in nameless.document["error"]["message"]) == (2, True), nameless.out


def test_a_time_before_the_tables_log_is_not_taken_for_the_oldest_version_that_is_left(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("feed", oldest=4)
    said = line.run("replay", "plan", "-e", "prod", "--from", "2026-11-23 11:55", "-o", "json")
    error = said.document["error"]
    assert (said.code, "log begins with version 4, committed at 2026-11-23T11:57:00.000Z" in error["message"]) == (
        2,
        True,
    )
    assert "--from-version 4" in error["hint"]


def test_a_run_that_failed_is_sent_again_alone_once_somebody_resumes(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("feed", shapes=[4])
        worker.cloud.put("stream", replays_fail=1)
        plan = worker.plan(case)
        ended = worker.attempt(plan)
        assert isinstance(ended, PartlyAppliedError)
        assert "the driver died" in ended.message
        assert worker.desk.resume(worker.unfinished()[0]).state == "succeeded"
        submitted = worker.cloud.get("stream")["submitted"]
        operation = ended.operation
        assert list(submitted) == [f"lpmops-{operation}-1-0", f"lpmops-{operation}-1-1", f"lpmops-{operation}-2-0"]
        assert [run["state"] for run in submitted.values()] == ["failed", "done", "done"]


def test_a_run_that_failed_while_nobody_looked_is_sent_again_by_the_first_resume(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("stream", held=True)
        plan = worker.plan(case)
        assert isinstance(worker.attempt(plan), TimedOutError)
        (token,) = runs = worker.cloud.get("stream")["submitted"]
        worker.cloud.put("stream", held=False, submitted={token: {**runs[token], "state": "failed"}})
        told: list[tuple[str, str]] = []
        (left,) = worker.unfinished()
        resumed = worker.desk.resume(left, tell=lambda event: told.append((event.state, event.said)))
        assert resumed.state == "succeeded"
        assert ("failed", "run 900 ended: the driver died") in told, "it is not said why it is sent again"
        assert [run["state"] for run in worker.cloud.get("stream")["submitted"].values()] == ["failed", "done"]


def test_it_is_waited_until_the_slowest_partition_of_a_job_can_have_landed(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        ended = START - timedelta(minutes=1)
        worker.cloud.put(JOB, last_output_at=to_data(ended + timedelta(seconds=1)))
        said: list[str] = []

        def land(event: Event) -> None:
            if event.step == "wait until it has landed" and event.said:
                said.append(event.said)
                worker.cloud.put(JOB, last_output_at=to_data(ended + timedelta(seconds=6)))

        plan = worker.plan(case)
        assert worker.desk.apply(plan, worker.approve(plan), tell=land).state == "succeeded"
        assert said == [f"{JOB} has not written so far", "the jobs have written what came after it"]


def test_a_job_that_stands_while_what_was_sent_has_to_land_is_named_with_what_starts_it(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        said: list[str] = []

        def stop(event: Event) -> None:
            if event.step == "wait until it has landed" and event.said:
                said.append(event.said)
                worker.cloud.put(JOB, last_output_at=to_data(START))
            elif event.state == "done":
                worker.cloud.put(JOB, state="Stopped", last_output_at=None)

        plan = worker.plan(case)
        assert worker.desk.apply(plan, worker.approve(plan), tell=stop).state == "succeeded"
        assert said[0] == f"{JOB} is stopped; start it: lpmops asa start -e prod --job {JOB} --mode last-output"


def test_a_submission_whose_answer_was_lost_is_sent_again_without_a_second_run(folder: Path) -> None:
    case, lost = CASES["replay"], ["before", "after"]

    def trouble(place: str, verb: str) -> None:
        if verb == "submit_run" and place in lost:
            lost.remove(place)
            raise DeadlineError("The answer did not come.", service="test")

    with operator(folder) as worker:
        case.prepare(worker.cloud)
        plan = worker.plan(case)
        worker.cloud.trouble = trouble
        assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"
        assert not lost
        assert len(worker.cloud.get("stream")["submitted"]) == 1


def test_a_company_whose_id_looks_like_an_option_reaches_the_run_as_it_is(folder: Path) -> None:
    case = CASES["replay"]
    odd = {"company": "Dash", "database_name": "lpm-01", "changed_by": "x"}
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put(
            "lpmops.route", **{"-7": {"company_id": "-7", **odd}, "--rate": {"company_id": "--rate", **odd}}
        )
        plan = worker.desk.plan(registry.action("replay.run"), {**case.wish, "companies": ["-7", "--rate"]})
        assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"
        (run,) = worker.cloud.get("stream")["submitted"].values()
        assert run["words"][-2:] == ["--company=-7", "--company=--rate"]


def test_another_replay_on_the_same_versions_is_waited_for(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        plan = worker.plan(case)
        words = ["replay", "--from-version=5", "--to-version=9", "--replay-id=x"]
        run = {"run_id": 7, "name": "lpmops replay x chunk 1", "state": "running", "fails": False, "words": words}
        run["by"] = "another@lpm.example"
        worker.cloud.put("stream", submitted={"t": run}, held=True)
        ended = worker.attempt(plan)
        assert isinstance(ended, LpmopsError)
        page = "https://adb-1.example/jobs/runs/7"
        assert f"Replay x of another@lpm.example sends versions 5 to 9 just now (run 7, {page})" in ended.message
        assert "lpmops replay cancel x" in ended.message
        assert not worker.cloud.acts()


def test_a_replay_is_run_shown_listed_and_written_for_a_ticket(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    done = line.run(*RUN, *YES, "-o", "json")
    assert done.code == 0, done.out
    identifier = done.data["operation"]
    shown = line.run("replay", "show", identifier, "-o", "json").data
    assert (shown["state"], shown["from_version"], shown["to_version"]) == ("succeeded", 2, 5)
    (chunk,) = shown["chunks"]
    assert (chunk["n"], chunk["rows"], chunk["state"], chunk["rate"], chunk["run_id"]) == (1, 40, "done", 0.7, "900")
    (listed,) = line.run("replay", "list", "-o", "json").data
    assert (listed["id"], listed["rows"], listed["companies"], listed["state"]) == (
        identifier,
        40,
        ["1001"],
        "succeeded",
    )
    assert (listed["by"], bool(listed["at"])) == (shown["by"], True)
    assert chunk["url"] == "https://adb-1.example/jobs/runs/900"
    assert "https://adb-1.example/jobs/runs/900" in line.run("replay", "show", identifier).out
    table = line.run("replay", "list").out
    assert all(word in table for word in (identifier, listed["by"], listed["at"][:16], "2 to 5", "1001", "40", "yes"))
    written = line.run("replay", "show", identifier, "-o", "md").out
    assert f"## Replay {identifier} in prod: succeeded" in written
    assert "| 1 | 2 to 5 | 40 | 0.7 | 900 | done |" in written
    (task,) = [run["words"] for run in line.cloud.get("stream")["submitted"].values()]
    assert task[:2] == ["replay", "--table=lpm.gold.tdr_streaming"]
    assert not [word for word in task if word.startswith("--checkpoint")]


def test_the_proof_says_what_the_replay_did_to_what_flows_live(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    # Its run is at work in the minute from two minutes before START on.
    for number, (minutes, seconds) in enumerate(((-5, 1), (-3, 1), (-1.5, 3), (-0.5, 2))):
        landed = START + timedelta(minutes=minutes)
        sent, landed_at = (f"'{each:%Y-%m-%dT%H:%M:%S}'" for each in (landed - timedelta(seconds=seconds), landed))
        line.cloud.statement(CONTROL, A_BEAT.format(number=number, sent=sent, landed=landed_at))
    identifier = line.run(*RUN, *YES, "-o", "json").data["operation"]
    latency = line.run("replay", "show", identifier, "-o", "json").data["latency"]
    assert [latency[phase]["beats"] for phase in ("before", "during", "after")] == [2, 1, 1]
    assert [round(latency[phase]["p95"]) for phase in ("before", "during", "after")] == [1, 3, 2]
    assert re.search(
        r"live latency: before 1\.\d s .*, during 3\.\d s .*, after 2", line.run("replay", "show", identifier).out
    )
    assert "Live latency: before 1." in line.run("replay", "show", identifier, "-o", "md").out


def test_a_run_whose_changes_were_vacuumed_away_meanwhile_says_what_remains(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("stream", replays_fail=1, why_failed="[DELTA_CHANGE_DATA_FILE_NOT_FOUND] File x not found.")
        ended = worker.attempt(worker.plan(case))
        assert isinstance(ended, PartlyAppliedError)
        assert "VACUUM has removed the files of their changes. They can't be sent again." in ended.message
        assert "Another run of them would end the same way" in ended.message


@pytest.mark.parametrize(
    ("last", "rows", "rate", "versions"),
    [
        (100, 20_000, 500, 10),  # about ten steps of a range that takes a while
        (100, 1_000, 500, 100),  # what is sent in two seconds is one step
        (86_400, 864_000, 500, 500),  # a day of small commits: steps of ten seconds, not four thousand of one
        (100, 5_000_000, 500, 1),  # commits that each take longer than a step
        (10_000_000, 0, 500, 10_000),  # nothing is known to be in them
        (1, 10, 500, 1),
    ],
)
def test_a_run_notes_its_progress_often_enough_and_not_so_often_that_it_only_waits(
    last: int, rows: int, rate: int, versions: int
) -> None:
    given = {"n": 1, "first": 1, "last": last, "rows": rows, "companies": [], "rate": rate, "seconds": 60.0}
    step = Step("send", "replay.chunk", "chunk 1", given)
    assert f"--chunk-versions={versions}" in replay.parameters({}, step, "r-1", "/Volumes/l/o/c/replays")


class Lacking(Proven):
    """One change is found missing after all."""

    def hold(self, bench: Bench, asked: Asked) -> Reconciliation:
        found = super().hold(bench, asked)
        company = CompanyResult("1001", "Acme", "lpm-01", 40, 39, missing=1, repairable=1)
        return replace(found, companies=(company,))


def test_a_script_hears_of_a_replay_after_which_something_is_missing(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Desk.__init__.__kwdefaults__ or {}, "prover", Lacking())
    CASES["replay"].prepare(line.cloud)
    said = line.run(*RUN, *YES, "-o", "json")
    assert (said.code, said.data["state"], said.data["result"]["proof"]["complete"]) == (11, "succeeded", False)


def test_beats_that_can_not_be_read_are_no_reason_against_the_proof(folder: Path) -> None:
    case = CASES["replay"]

    def unreadable(place: str, verb: str) -> None:
        if verb == "heartbeat_between":
            raise DeadlineError("The control database does not answer.", service="test")

    with operator(folder, trouble=unreadable) as worker:
        case.prepare(worker.cloud)
        done = worker.run(case)
        assert (done.state, done.result["proof"]["complete"]) == ("succeeded", True)
        assert "does not answer" in done.result["latency"]["note"]


def test_the_end_of_a_run_says_what_the_proof_says_and_where_it_is(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run(*RUN, *YES)
    assert "Complete: each change of the source landed once. The proof: lpmops replay show" in said.out


def test_cancelling_ends_the_run_and_gives_the_replay_up(line: Line, folder: Path) -> None:
    case = CASES["replay"]
    case.prepare(line.cloud)
    line.cloud.put("stream", held=True)
    assert line.run(*RUN, *YES, "-o", "json").code == 8
    identifier = line.run("replay", "list", "-o", "json").data[0]["id"]
    said = line.run("replay", "cancel", identifier, "--reason", "enough", "-o", "json")
    assert (said.code, said.data["state"]) == (0, "cancelled"), said.out
    assert {run["state"] for run in line.cloud.get("stream")["submitted"].values()} == {"failed"}
    assert line.cloud.acts()[Act("cancel_replay", "stream")] == 1
    again = line.run("replay", "cancel", identifier, "--reason", "enough", "-o", "json")
    assert (again.code, "is over" in again.document["error"]["message"]) == (6, True)


def _waiting_for_its_run(line: Line) -> str:
    """A replay whose run goes on at Databricks, and whose own process has stopped waiting; its id."""
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("stream", held=True)
    line.run(*RUN, *YES, "-o", "json")
    return str(line.run("replay", "list", "-o", "json").data[0]["id"])


def _run_by_another(line: Line) -> tuple[str, Store, str]:
    """The same where another process has the operation: its id, the store, the name of its lease."""
    identifier = _waiting_for_its_run(line)
    store, name = line.store(), f"operation {identifier}"
    assert lease.take(store, name, "another", datetime.now(UTC), 180.0)
    return identifier, store, name


def test_a_replay_that_another_process_runs_is_cancelled_once_that_process_has_seen_its_run_end(line: Line) -> None:
    identifier, store, name = _run_by_another(line)

    def other_process(place: str, verb: str) -> None:
        if (place, verb) == ("after", "cancel_replay"):
            assert journal.read(store, identifier)[0].state == "interrupted", "given up while another process runs it"
            lease.release(store, name, "another")

    line.cloud.trouble = other_process
    said = line.run("replay", "cancel", identifier, "--reason", "enough", "-o", "json")
    assert (said.code, said.data["state"]) == (0, "cancelled"), said.out
    assert {run["state"] for run in line.cloud.get("stream")["submitted"].values()} == {"failed"}
    store.close()


def test_a_paused_replay_ends_its_run_and_goes_on_with_that_chunk_alone(folder: Path) -> None:
    case = CASES["replay"]
    with operator(folder) as worker:
        case.prepare(worker.cloud)
        worker.cloud.put("feed", shapes=[4])
        looks = iter(range(100))
        stop = StopRequest()

        def left_in_the_second(place: str, verb: str) -> None:
            held = len(worker.cloud.get("stream").get("submitted", {})) == 2
            worker.cloud.put("stream", held=held)
            stop.requested = held and next(looks) > 20

        plan = worker.plan(case)
        worker.cloud.trouble = left_in_the_second
        with pytest.raises(InterruptError):
            worker.desk.apply(plan, worker.approve(plan), stop=stop)
        worker.cloud.trouble = quiet
        (identifier,) = worker.unfinished()
        paused = replay_halt.pause(worker.desk, identifier, "the night shift needs the hub")
        assert (paused["state"], [step["state"] for step in paused["steps"]]) == (
            "interrupted",
            ["done", "planned", "planned"],
        )
        runs = worker.cloud.get("stream")["submitted"]
        assert [run["state"] for run in runs.values()] == ["done", "failed"]
        worker.cloud.put("stream", held=False)
        assert worker.desk.resume(identifier).state == "succeeded"
        runs = worker.cloud.get("stream")["submitted"]
        assert list(runs) == [f"lpmops-{identifier}-1-0", f"lpmops-{identifier}-2-0", f"lpmops-{identifier}-2-1"]


def test_a_replay_is_paused_and_resumed_from_the_command_line(line: Line) -> None:
    identifier = _waiting_for_its_run(line)
    paused = line.run("replay", "pause", identifier)
    assert paused.code == 0
    assert f"lpmops replay resume {identifier}" in paused.out
    assert line.run("replay", "pause", identifier).code == 0, "pausing twice is as good as once"
    line.cloud.put("stream", held=False)
    assert line.run("replay", "resume", identifier, "-o", "json").data["state"] == "succeeded"
    over = line.run("replay", "pause", identifier, "-o", "json")
    assert (over.code, "is over: it is succeeded" in over.document["error"]["message"]) == (6, True)


def test_the_audit_says_who_paused_a_replay_and_why_though_another_process_saw_its_run_end(line: Line) -> None:
    identifier, store, name = _run_by_another(line)

    def other_process(place: str, verb: str) -> None:
        if (place, verb) == ("after", "cancel_replay"):
            first = journal.read(store, identifier)[1][0]
            journal.save_step(store, replace(first, state="failed"))
            lease.release(store, name, "another")

    line.cloud.trouble = other_process
    assert line.run("replay", "pause", identifier, "--reason", "the night shift").code == 0
    (entry,) = (each for each in line.run("audit", "list", "-o", "json").data if each["what"] == "replay.paused")
    assert (entry["operation"], entry["body"]) == (identifier, {"reason": "the night shift", "runs": ["900"]})
    store.close()


def test_a_replay_that_was_given_up_is_not_said_to_be_proven_later(line: Line) -> None:
    identifier = _waiting_for_its_run(line)
    assert "There is no proof yet: it is made once all runs are done." in line.run("replay", "show", identifier).out
    line.run("replay", "cancel", identifier, "--reason", "the window is over")
    for form in ("table", "md"):
        said = line.run("replay", "show", identifier, "-o", form).out
        assert "There is no proof: it is cancelled" in said
        assert "the window is over" in said
        assert "lpmops reconcile -e prod --versions 2:5" in said
    assert line.run("replay", "show", identifier, "-o", "json").data["given_up"] == "the window is over"


def test_a_replay_that_ends_while_it_is_being_paused_is_not_said_to_go_on(line: Line) -> None:
    identifier, store, name = _run_by_another(line)
    operation, _ = journal.read(store, identifier)

    def other_process(place: str, verb: str) -> None:
        if (place, verb) == ("after", "cancel_replay"):
            journal.save_operation(store, replace(operation, state="succeeded", result="{}"))
            lease.release(store, name, "another")

    line.cloud.trouble = other_process
    said = line.run("replay", "pause", identifier)
    assert (said.code, "before it could be paused" in said.out, "resume" in said.out) == (0, True, False)
    store.close()


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_where_all_runs_are_done_nothing_is_left_to_halt_and_nobody_waits(verb: str, line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put(JOB, last_output_at=to_data(START - timedelta(hours=1)))
    assert line.run(*RUN, *YES, "-o", "json").code == 8, "it waits for the job's output"
    identifier = line.run("replay", "list", "-o", "json").data[0]["id"]
    store, name = line.store(), f"operation {identifier}"
    assert lease.take(store, name, "another", datetime.now(UTC), 180.0)
    words = ("replay", verb, identifier, "--reason", "enough", "-o", "json")
    said = line.run(*words)
    error = said.document["error"]
    assert (said.code, error["message"].startswith(f"Nothing is left to {verb}: all runs of replay {identifier}")) == (
        6,
        True,
    ), error
    assert f"Process {os.getpid()}" in error["message"]
    assert "waits until it has landed" in error["message"]
    assert f"lpmops replay show {identifier}" in error["hint"]
    assert f"lpmops op abort {identifier} --reason WHY" in error["hint"]
    operation, steps = journal.read(store, identifier)
    journal.save_step(store, replace(steps[-1], state="done"))
    journal.save_operation(store, replace(operation, state="verifying"))
    said = line.run(*words)
    assert (said.code, "is making the proof" in said.document["error"]["message"]) == (6, True), said.out
    store.close()


def test_a_run_is_ordered_to_end_once_however_long_that_takes(line: Line) -> None:
    identifier, ordered = _waiting_for_its_run(line), list[str]()

    def slowly(place: str, verb: str) -> None:
        if (place, verb) == ("before", "cancel_replay"):
            ordered.append(verb)

    line.cloud.trouble = slowly
    assert line.run("replay", "pause", identifier).code == 0
    assert len(ordered) == 1


def test_giving_the_operation_up_ends_its_run_too(line: Line) -> None:
    identifier = _waiting_for_its_run(line)
    assert line.run("op", "abort", identifier, "--reason", "enough").code == 0
    assert line.cloud.acts()[Act("cancel_replay", "stream")] == 1


def test_an_operation_is_given_up_though_its_run_can_not_be_reached(line: Line) -> None:
    identifier = _waiting_for_its_run(line)

    def away(place: str, verb: str) -> None:
        if verb == "replay_runs":
            raise DeadlineError("The workspace does not answer.", service="test")

    line.cloud.trouble = away
    said = line.run("op", "abort", identifier, "--reason", "enough", "-o", "json")
    error = said.document["error"]
    assert (said.code, "given up, but what it has at work could not be ended" in error["message"]) == (9, True)
    assert "The workspace does not answer." in error["message"]
    assert line.run("op", "show", identifier, "-o", "json").data["state"] == "cancelled"


def test_a_replay_is_shown_though_the_workspace_does_not_answer_which_is_asked_once(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("feed", shapes=[4])
    line.cloud.trouble = lambda *_: line.cloud.put(
        "stream", held=len(line.cloud.get("stream").get("submitted", {})) == 2
    )
    assert line.run(*RUN, *YES, "-o", "json").code == 8
    identifier = line.run("replay", "list", "-o", "json").data[0]["id"]
    asked: list[str] = []

    def away(place: str, verb: str) -> None:
        if verb == "replay_progress":
            asked.append(verb)
            raise DeadlineError("The workspace does not answer.", service="test")

    line.cloud.trouble = away
    said = line.run("replay", "show", identifier, "-o", "json")
    assert (said.code, [each["state"] for each in said.data["chunks"]], len(asked)) == (0, ["done", "accepted"], 1)
    assert "can't be read: The workspace does not answer." in said.out


def test_the_page_of_a_run_that_goes_on_is_shown_so_that_it_can_be_opened(line: Line) -> None:
    identifier = _waiting_for_its_run(line)
    (chunk,) = line.run("replay", "show", identifier, "-o", "json").data["chunks"]
    assert (chunk["run_id"], chunk["url"]) == ("900", "https://adb-1.example/jobs/runs/900")
    assert "run 900: https://adb-1.example/jobs/runs/900" in line.run("replay", "show", identifier).out


def test_what_is_no_replay_is_not_shown_as_one(line: Line) -> None:
    line.run("asa", "pause", "-e", "prod", "--reason", "x", "--yes", "-o", "json")
    identifier = line.run("op", "list", "-o", "json").data[0]["id"]
    said = line.run("replay", "show", identifier, "-o", "json")
    assert (said.code, "is no replay" in said.document["error"]["message"]) == (6, True)


def test_a_replay_of_another_machine_is_not_known_here_and_it_is_said_where_it_is_ended(line: Line) -> None:
    for words in (("show", "261129-0638"), ("pause", "261129-0638"), ("resume", "261129-0638")):
        said = line.run("replay", *words, "-o", "json")
        error = said.document["error"]
        assert (said.code, "lpmops replay list" in error["hint"], "another machine" in error["hint"]) == (3, True, True)


def test_a_ticket_holds_no_markup_of_what_others_wrote() -> None:
    company = {"company_id": "1001", "company": "a|b<c>", "database": "lpm-01", "note": "", "missing_before": None}
    counts = dict.fromkeys(("source", "landed", "missing", "doubled", "extra", "repairable"), 1)
    proof = {"complete": False, "companies": [{**company, **counts}], "unreadable": []}
    shown = {
        "id": "1", "environment": "prod", "state": "succeeded", "from_version": 1, "to_version": 2, "companies": [], "chunks": [],
        "ranges": ["1:2"], "at": "",
        "latency": None, "proof": proof, "by": "x", "reason": "see [this](http://evil.example)", "ticket": "", "error": None,
    }  # fmt: skip
    lines = replay_show.markdown(shown)
    assert "**Not complete.**" in lines
    assert replay_show.verdict({"complete": False, "companies": []}).startswith("Not proven")
    assert "Reason: see \\[this](http://evil.example)" in lines
    (row,) = [line for line in lines if line.startswith("| a")]
    assert row.startswith("| a\\|b\\<c> (1001) | lpm-01 | 1 | 1 | - | 1 |")


def test_a_proof_says_how_and_when_it_was_judged_and_what_the_stream_rightly_did_not_bring() -> None:
    company = CompanyResult("1001", "Acme", "lpm-01", source=12, landed=9, quarantined=2, before=1)
    versions = Versions(2, 5)
    found = Reconciliation("prod", "t-1", START, versions, (versions,), (company,), waiting_from=6)
    proof = replay_show.proof_data([found], [Versions(2, 9)])
    assert replay_show.notes(proof["companies"][0]) == [
        "2 larger than the hub takes, and in the quarantine table.",
        "1 older than the company's route.",
    ]
    (young,) = proof["unreadable"]
    assert (young["versions"], proof["complete"]) == ("from 6 on", False)
    assert young["remains"] == "A minute later: lpmops reconcile -e prod --versions 6:9"
    assert replay_show.method(proof).startswith(
        "Judged at 2026-11-23T12:00:00.000Z: the change feed of the source (table id t-1)"
    )


def test_what_was_vacuumed_away_is_refused_with_what_remains(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("feed", vacuumed=4)
    said = line.run("replay", "plan", *RUN[2:], "-o", "json")
    assert said.code == 6
    assert "What remains is to load" in said.document["error"]["message"]
    assert "What can still be sent: --versions 4:5." in said.document["error"]["message"]
    line.cloud.put("feed", vacuumed=6)
    said = line.run("replay", "plan", *RUN[2:], "-o", "json")
    assert "can still be sent" not in said.document["error"]["message"]


def test_of_what_was_vacuumed_away_the_newest_part_alone_is_searched_for_what_is_left(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("feed", versions=4_000, shapes=[1_000, 2_000, 3_000], vacuumed=2_500)
    looks = list[str]()
    line.cloud.trouble = lambda _, verb: looks.append(verb) if verb == "counts" else None
    said = line.run("replay", "plan", "-e", "prod", "--versions", "10:3500", "--versions", "3600:3700", "-o", "json")
    message = said.document["error"]["message"] + said.document["error"]["hint"]
    assert (said.code, message.count("can still be sent:")) == (6, 1), message
    assert "What can still be sent: --versions 2500:3500 --versions 3600:3700." in message
    assert len(looks) < 5 + 12, "each part that can't be read was searched"


def test_the_plan_says_how_many_changes_and_bytes_of_whom_in_how_many_runs_and_how_fast(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run("replay", "plan", "-e", "prod", "--from-version", "2", "--to-version", "5", "-o", "json")
    assert (said.code, said.data["impact"]["companies"]) == (0, 2)
    assert ": 40 changes in 1 run at 495 a second, about 4 min." in said.data["summary"]
    counts, times, *_ = said.data["warnings"]
    assert counts == (
        "Changes by company: 1001 36 (35 KB), 1002 4 (4 KB), at 1,000 bytes an event, as those that flow now have."
    )
    assert times == "These versions were committed from 2026-11-23T11:55:00.000Z to 2026-11-23T11:58:00.000Z (UTC)."


def test_the_plan_of_some_companies_counts_what_is_sent_of_them_and_skips_nothing(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run("replay", "plan", *RUN[2:], "-o", "json")
    assert ": 36 changes in 1 run" in said.data["summary"]
    assert said.data["impact"] == {"companies": 1, "events": None, "pause_seconds": None, "budget_share": None}
    assert said.data["wish"]["counted"] == {"1001": 36}


def test_the_plan_names_its_ranges_where_they_are_several_and_no_other_time(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    one = line.run("replay", "plan", "-e", "prod", "--versions", "2:5", "-o", "json").data["warnings"]
    two = line.run("replay", "plan", "-e", "prod", "--versions", "2:3", "--versions", "5", "-o", "json").data[
        "warnings"
    ]
    assert [each for each in one if "ranges" in each] == []
    assert [each for each in two if "ranges" in each] == ["2 ranges: 2:3, 5:5."]


class Missing(Proven):
    """Something was found missing before."""

    def gaps(self, bench: Bench, table_id: str) -> Sequence[OpenGap]:
        return [
            OpenGap("1001", Versions(2, 3), 20, 11, 9, 0, 0, 9),
            OpenGap("1001", Versions(6, 6), 10, 1, 9, 0, 0, 9),
            OpenGap("1001", Versions(5, 5), 9, 18, 0, 9, 0, 0),
        ]


def test_what_is_known_to_be_missing_is_a_range_of_its_own_for_its_companies(folder: Path) -> None:
    with operator(folder, prover=Missing()) as worker:
        CASES["replay"].prepare(worker.cloud)
        plan = worker.desk.plan(registry.action("replay.run"), {**FEED, "missing": True})
        assert (plan.wish["ranges"], plan.wish["companies"]) == ([[2, 3], [6, 6]], ["1001"])
        done = worker.desk.apply(plan, worker.approve(plan))
        assert done.result["proof"]["complete"] is True
        assert done.result["proof"]["companies"][0]["source"] == 80


class Scattered(Proven):
    """Something is missing here and there, the most of it close together."""

    def gaps(self, bench: Bench, table_id: str) -> Sequence[OpenGap]:
        places = [*range(2, 80, 2), 200]
        return [OpenGap("1001", Versions(place, place), 1, 0, 1, 0, 0, 1) for place in places]


def test_what_is_missing_here_and_there_is_sent_in_few_runs_with_what_lies_between(folder: Path) -> None:
    with operator(folder, prover=Scattered()) as worker:
        CASES["replay"].prepare(worker.cloud)
        worker.cloud.put("feed", versions=210)
        plan = worker.desk.plan(registry.action("replay.run"), {**FEED, "missing": True})
        assert (len(plan.wish["ranges"]), plan.wish["ranges"][-1]) == (20, [200, 200])
        assert len(plan.steps) == 21


class Lost(Proven):
    """Of what was found missing before some can't be read any more."""

    def __init__(self, *, some: bool) -> None:
        self._some = some

    def gaps(self, bench: Bench, table_id: str) -> Sequence[OpenGap]:
        gone = OpenGap("1001", Versions(2, 3), 20, 11, 9, 0, 0, 0, "VACUUM has removed the files of their changes.")
        return [gone, OpenGap("1002", Versions(6, 6), 10, 1, 9, 0, 0, 9)] if self._some else [gone]


@pytest.mark.parametrize("some", [True, False])
def test_what_is_missing_and_lost_for_good_is_said_and_keeps_nothing_else_from_being_sent(
    some: bool, folder: Path
) -> None:
    said = "9 changes of 1001 in versions 2:3 can't be sent again (VACUUM has removed the files of their changes): load the table's current rows."
    with operator(folder, prover=Lost(some=some)) as worker:
        CASES["replay"].prepare(worker.cloud)
        two = {"company_id": "1002", "company": "Lake", "database_name": "lpm-01", "changed_by": "x"}
        worker.cloud.put("lpmops.route", **{"1002": two})
        plan = worker.desk.plan(registry.action("replay.run"), {**FEED, "missing": True})
        assert said in (plan.warnings if some else plan.refusals)
        assert (plan.wish["ranges"], plan.applyable) == ([[6, 6]] if some else [], some)
        if some:
            assert worker.desk.apply(plan, worker.approve(plan)).state == "succeeded"


def test_the_command_of_a_plan_of_several_ranges_makes_exactly_this_plan(folder: Path, line: Line) -> None:
    with operator(folder, prover=Missing(), cloud=line.cloud) as worker:
        CASES["replay"].prepare(worker.cloud)
        plan = worker.desk.plan(registry.action("replay.run"), {**FEED, "missing": True})
        assert "--versions 2:3 --versions 6:6 --company 1001" in plan.command
        again = line.run(*shlex.split(plan.command)[1:], "--dry-run", "-o", "json")
        kept = again.data["wish"]
        assert {name: kept[name] for name in ("ranges", "companies", "rate", "chunk")} == {
            name: plan.wish[name] for name in ("ranges", "companies", "rate", "chunk")
        }
        assert [step["name"] for step in again.data["steps"]] == [step.name for step in plan.steps]


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("3", [[3, 7]]),
        ("2026-11-23 11:57", [[4, 7]]),
        ("2026-11-23T12:57:00+01:00", [[4, 7]]),
        ("11:57", [[4, 7]]),
        ("3 min ago", [[4, 7]]),
        ("", []),
    ],
)
def test_the_apps_first_field_takes_a_version_or_a_time_with_or_without_a_zone(
    text: str, ranges: list[list[int]], folder: Path
) -> None:
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    action = registry.action("replay.run")
    fields = {each.name: each for each in action.inputs or ()}
    with operator(folder, now=lambda: now) as worker:
        CASES["replay"].prepare(worker.cloud)
        typed = {name: each.read(text if name == "from_version" else "", now) for name, each in fields.items()}
        wish = {**action.fill(worker.desk.bench()), **typed}
        assert worker.desk.plan(action, wish).wish["ranges"] == ranges


@pytest.mark.parametrize(
    ("first", "last", "what"),
    [
        ("yesterday evening", "", "no moment"),
        ("-3", "", "'-3' is no version"),
        ("2026-11-23 12:30", "", "in the future"),
        ("8", "", "yet to come: the newest is 7"),
        ("2", "999999999999", "yet to come: the newest is 7"),
        ("5", "2", "ends with version 2, before it begins with 5"),
        ("11:58", "11:55", "ends with version 2, before it begins with 5"),
        ("", "5", "not said where the range begins"),
    ],
)
def test_what_the_apps_fields_can_not_mean_is_said_in_a_sentence(
    first: str, last: str, what: str, folder: Path
) -> None:
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    action = registry.action("replay.run")
    fields = {each.name: each for each in action.inputs or ()}
    typed = {**dict.fromkeys(fields, ""), "from_version": first, "to_version": last}
    with operator(folder, now=lambda: now) as worker:
        CASES["replay"].prepare(worker.cloud)

        def go_on() -> None:
            wish = {name: each.read(typed[name], now) for name, each in fields.items()}
            worker.desk.plan(action, {**action.fill(worker.desk.bench()), **wish})

        with pytest.raises(UsageError, match=what):
            go_on()


def test_where_nothing_is_known_to_be_missing_nothing_is_to_be_done(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run("replay", "run", "-e", "prod", "--missing", *YES, "-o", "json")
    assert (said.code, said.data["operation"]) == (0, None)


def test_commits_that_come_while_a_plan_is_made_change_nothing_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["replay"]
    now = datetime.now(UTC)
    with operator(folder, now=lambda: now) as worker:
        case.prepare(worker.cloud)
        quiet = worker.plan(case).steps
        looked = worker.cloud.feed

        def busy() -> FeedState:
            found = looked()
            worker.cloud.put("feed", versions=worker.cloud.get("feed")["versions"] + 3)
            return found

        monkeypatch.setattr(worker.cloud, "feed", busy)
        assert worker.plan(case).steps == quiet

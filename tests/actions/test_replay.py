"""Sending versions again: what speaks against it, how it is cut, what a run that fails leads to, and what a person is shown of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmops.actions import registry, replay_chunks, replay_halt, replay_show
from lpmops.actions.action import Bench
from lpmops.control.hands import StopRequest
from lpmops.errors import DeadlineError, InterruptError, LpmopsError, PartlyAppliedError, UsageError
from lpmops.model import FeedState
from lpmops.store import journal, lease
from lpmops.store.proofs import OpenGap
from lpmops.versions import Versions
from tests.actions.cases import CASES, FEED
from tests.actions.cloud import JOB, Act, Cloud, quiet
from tests.actions.line import Line
from tests.actions.operator import Proven, operator

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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_off, "change feed is off"),
        (lambda cloud: cloud.put("feed", first=3), "recorded since version 3"),
        (lambda cloud: cloud.put("feed", first=None, oldest=4), "log begins with version 4"),
        (lambda cloud: cloud.put("stream", gone=True), "There is no stream job"),
        (lambda cloud: cloud.put("stream", tasks=[{"task_key": "x"}]), "does not run the code of lpmops"),
        (lambda cloud: cloud.put(JOB, state="Stopped"), "would wait in the hub"),
        (lambda cloud: cloud.put("lpmops.route", **{"1001": None}), "no route of company 1001"),
        (_not_unique, "IGNORE_DUP_KEY"),
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
        worker.cloud.put("stream", submitted={"t": run}, held=True)
        ended = worker.attempt(plan)
        assert isinstance(ended, LpmopsError)
        assert "sends versions 5 to 9 just now" in ended.message
        assert not worker.cloud.acts()


def test_a_replay_is_run_shown_listed_and_written_for_a_ticket(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    done = line.run(*RUN, *YES, "-o", "json")
    assert done.code == 0, done.out
    identifier = done.data["operation"]
    shown = line.run("replay", "show", identifier, "-o", "json").data
    assert (shown["state"], shown["from_version"], shown["to_version"]) == ("succeeded", 2, 5)
    assert [(each["n"], each["rows"], each["state"]) for each in shown["chunks"]] == [(1, 40, "done")]
    assert [each["id"] for each in line.run("replay", "list", "-o", "json").data] == [identifier]
    assert f"## Replay {identifier} in prod: succeeded" in line.run("replay", "show", identifier, "-o", "md").out
    (task,) = [run["words"] for run in line.cloud.get("stream")["submitted"].values()]
    assert task[:2] == ["replay", "--table=lpm.gold.tdr_streaming"]
    assert not [word for word in task if word.startswith("--checkpoint")]


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


def test_a_replay_that_another_process_runs_is_cancelled_once_that_process_has_seen_its_run_end(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("stream", held=True)
    line.run(*RUN, *YES, "-o", "json")
    identifier = line.run("replay", "list", "-o", "json").data[0]["id"]
    store, name = line.store(), f"operation {identifier}"
    assert lease.take(store, name, "another", datetime.now(UTC), 180.0)

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
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("stream", held=True)
    line.run(*RUN, *YES, "-o", "json")
    identifier = line.run("replay", "list", "-o", "json").data[0]["id"]
    paused = line.run("replay", "pause", identifier)
    assert paused.code == 0
    assert f"lpmops replay resume {identifier}" in paused.out
    assert line.run("replay", "pause", identifier).code == 0, "pausing twice is as good as once"
    line.cloud.put("stream", held=False)
    assert line.run("replay", "resume", identifier, "-o", "json").data["state"] == "succeeded"
    over = line.run("replay", "pause", identifier, "-o", "json")
    assert (over.code, "is over: it is succeeded" in over.document["error"]["message"]) == (6, True)


def test_giving_the_operation_up_ends_its_run_too(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("stream", held=True)
    line.run(*RUN, *YES, "-o", "json")
    identifier = line.run("replay", "list", "-o", "json").data[0]["id"]
    assert line.run("op", "abort", identifier, "--reason", "enough").code == 0
    assert line.cloud.acts()[Act("cancel_replay", "stream")] == 1


def test_an_operation_is_given_up_though_its_run_can_not_be_reached(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("stream", held=True)
    line.run(*RUN, *YES, "-o", "json")
    identifier = line.run("replay", "list", "-o", "json").data[0]["id"]

    def away(place: str, verb: str) -> None:
        if verb == "replay_runs":
            raise DeadlineError("The workspace does not answer.", service="test")

    line.cloud.trouble = away
    said = line.run("op", "abort", identifier, "--reason", "enough")
    assert (said.code, "could not be ended: The workspace does not answer." in said.err) == (0, True)


def test_what_is_no_replay_is_not_shown_as_one(line: Line) -> None:
    line.run("asa", "pause", "-e", "prod", "--reason", "x", "--yes", "-o", "json")
    identifier = line.run("op", "list", "-o", "json").data[0]["id"]
    said = line.run("replay", "show", identifier, "-o", "json")
    assert (said.code, "is no replay" in said.document["error"]["message"]) == (6, True)


def test_a_ticket_holds_no_markup_of_what_others_wrote() -> None:
    company = {"company_id": "1001", "company": "a|b<c>", "database": "lpm-01", "note": ""}
    counts = dict.fromkeys(("source", "landed", "missing", "doubled", "extra", "repairable"), 1)
    proof = {"complete": False, "companies": [{**company, **counts}], "unreadable": []}
    shown = {
        "id": "1", "environment": "prod", "state": "succeeded", "from_version": 1, "to_version": 2, "companies": [], "chunks": [],
        "proof": proof, "by": "x", "reason": "see [this](http://evil.example)", "ticket": "", "error": None,
    }  # fmt: skip
    lines = replay_show.markdown(shown)
    assert "**Not complete.**" in lines
    assert replay_show.verdict({"complete": False, "companies": []}).startswith("Not proven")
    assert "Reason: see \\[this](http://evil.example)" in lines
    assert lines[-1].startswith("| a\\|b\\<c> (1001) | lpm-01 | 1 | 1 | 1 |")


def test_what_was_vacuumed_away_is_refused_with_what_remains(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    line.cloud.put("feed", vacuumed=4)
    said = line.run("replay", "plan", *RUN[2:], "-o", "json")
    assert said.code == 6
    assert "What remains is to load" in said.document["error"]["message"]


def test_the_plan_says_how_many_changes_and_bytes_of_whom_in_how_many_runs_and_how_fast(line: Line) -> None:
    CASES["replay"].prepare(line.cloud)
    said = line.run("replay", "plan", "-e", "prod", "--from-version", "2", "--to-version", "5", "-o", "json")
    assert (said.code, said.data["impact"]["companies"]) == (0, 2)
    assert ": 40 changes in 1 run at 495 a second, about 4 min." in said.data["summary"]
    counts, times, *_ = said.data["warnings"]
    assert counts == (
        "Changes by company: 1001 36 (35 KB), 1002 4 (4 KB); an event has 1,000 bytes, as large as those that flow now."
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


def test_the_command_of_a_plan_of_several_ranges_makes_exactly_this_plan(folder: Path, line: Line) -> None:
    with operator(folder, prover=Missing(), cloud=line.cloud) as worker:
        CASES["replay"].prepare(worker.cloud)
        plan = worker.desk.plan(registry.action("replay.run"), {**FEED, "missing": True})
        assert "--versions 2:3 --versions 6:6 --company 1001" in plan.command
        again = line.run(*shlex.split(plan.command)[1:], "--dry-run", "-o", "json")
        kept = {**again.data["wish"], "asked_at": plan.wish["asked_at"]}
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

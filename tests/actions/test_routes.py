"""Bringing companies on and moving them: what is refused in which words, what a file may hold, and what is offered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lpmops.actions import registry, route_fields, route_file, route_sight
from lpmops.actions.inputs import Choice
from lpmops.control.plan import Plan
from lpmops.delimited import csv_text
from lpmops.errors import InterruptError, NotFoundError, RefusedError, TimedOutError, UnreachableError, UsageError
from lpmops.routing import job as definitions
from tests.actions.cases import COMPANY, DEPLOY, ONBOARD, ROUTE
from tests.actions.cloud import CONTROL, JOB, Cloud
from tests.actions.line import Line
from tests.actions.operator import Operator, operator

UNROUTED = """INSERT INTO lpmops.unrouted (company_id, commit_version, enqueued_at, hub_partition, hub_sequence)
    VALUES ('{}', {}, '2026-11-23', 0, 1)"""
HOSTILE = ("1007'", "]", "--", "/* x */", "1007; DROP TABLE lpm.tdr", "ünï", "=1+1", "a" * 64)


@pytest.fixture
def worker(folder: Path) -> Iterator[Operator]:
    with operator(folder) as found:
        found.cloud.land_rows("lpm-01", ("1007", "a"))
        yield found


def onboard(worker: Operator, *routes: dict[str, Any], **wish: Any) -> Plan:
    return worker.desk.plan(registry.action("route.onboard"), {**ONBOARD, "routes": list(routes), **wish})


def company(company_id: str = "1007", database: str = "lpm-01", **more: Any) -> dict[str, Any]:
    return {"company_id": company_id, "company": "Lake", "database": database, **more}


def refusals(plan: Plan) -> str:
    return "\n".join(plan.refusals)


# Ids -----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("company_id", "why"),
    [
        ("", "it is empty"),
        (" 7", "begins or ends with a blank"),
        ("7\0", "a control character"),
        ("7\u200b", "a character that is not seen"),
        ("x" * 4_000, "4,000 characters"),
    ],
)
def test_an_id_that_no_text_can_carry_is_refused_with_its_reason(worker: Operator, company_id: str, why: str) -> None:
    plan = onboard(worker, company(company_id))
    assert why in refusals(plan)
    with pytest.raises(UsageError, match="That can't be a company id"):
        route_fields.check_field("company_id", company_id)


@pytest.mark.parametrize("company_id", HOSTILE)
def test_a_hostile_id_is_brought_on_as_what_it_is(worker: Operator, company_id: str) -> None:
    plan = onboard(worker, company(company_id), unknown=True, wait=0.0)
    assert plan.refusals == ()
    worker.desk.apply(plan, worker.approve(plan))
    assert worker.cloud.query("SELECT company_id FROM lpmops.route WHERE company_id <> '1001'") == [(company_id,)]
    assert worker.cloud.query("SELECT COUNT(*) FROM lpmops.route") == [(2,)]


def test_an_id_that_the_source_does_not_have_is_refused_unless_that_is_known(worker: Operator) -> None:
    assert "no record with info_companyid = '4711'" in refusals(onboard(worker, company("4711")))
    plan = onboard(worker, company("4711"), unknown=True)
    assert plan.refusals == ()
    assert any("4711" in warning for warning in plan.warnings)


def test_an_id_of_look_alike_letters_names_the_one_that_is_meant(worker: Operator) -> None:
    # The Cyrillic letter that is drawn as a Latin o, for a zero.
    assert "1007" in refusals(onboard(worker, company("1\u043e\u043e7")))


def test_a_company_that_has_a_route_is_told_what_to_do_instead(worker: Operator) -> None:
    assert onboard(worker, company("1001")).steps == ()
    assert "route move" in refusals(onboard(worker, company("1001", "lpm-02")))
    worker.cloud.statement(CONTROL, "UPDATE lpmops.route SET state = 'paused'")
    assert "route resume" in refusals(onboard(worker, company("1001")))


def test_a_removed_company_comes_back_and_its_earlier_rows_are_told_of(worker: Operator) -> None:
    worker.cloud.statement(
        CONTROL,
        "INSERT INTO lpmops.route (company_id, company, database_name, state, changed_by) VALUES ('1007', 'Old', 'lpm-05', 'removed', 'x')",
    )
    plan = onboard(worker, company(), wait=0.0)
    assert any("lpm-05" in warning for warning in plan.warnings)
    worker.desk.apply(plan, worker.approve(plan))
    assert worker.cloud.query("SELECT company, database_name, state FROM lpmops.route WHERE company_id = '1007'") == [
        ("Lake", "lpm-01", "active")
    ]


# Databases -----------------------------------------------------------------------------------------------------------------------------------------


def test_a_database_that_is_not_there_is_not_made_and_the_command_for_it_is_said(worker: Operator) -> None:
    said = refusals(onboard(worker, company(database="lpm-77")))
    assert "There is no database lpm-77" in said
    assert "az sql db create -g rg-lpm-tdr-prod -s sql-lpm-prod -n lpm-77" in said


def test_a_paused_database_is_refused_in_its_servers_words(worker: Operator) -> None:
    worker.cloud.database("lpm-01").state = "unavailable"
    assert "lpm-01 can't be used" in refusals(onboard(worker, company()))


def test_a_full_database_is_refused_before_a_row_stops_every_company(worker: Operator) -> None:
    worker.cloud.database("lpm-01").max_size_bytes = 32_768
    said = refusals(onboard(worker, company()))
    assert "lpm-01 is full" in said
    assert "az sql db update" in said


def test_another_collation_is_told_and_hinders_nothing(worker: Operator) -> None:
    worker.cloud.make_database("lpm-02", collation="Latin1_General_100_CI_AS")
    plan = onboard(worker, company(database="lpm-02"), wait=0.0)
    assert plan.refusals == ()
    assert any("compares texts as Latin1_General_100_CI_AS" in warning for warning in plan.warnings)


def test_a_table_with_a_wrong_column_is_refused_with_the_reason(worker: Operator) -> None:
    worker.cloud.make_database("lpm-02")
    worker.cloud.statement("lpm-02", "EXEC ('CREATE SCHEMA lpm') CREATE TABLE lpm.tdr (company_id INT NOT NULL)")
    said = refusals(onboard(worker, company(database="lpm-02")))
    assert "company_id of lpm.tdr is INT" in said


def test_the_control_database_takes_no_company(worker: Operator) -> None:
    assert "control database" in refusals(onboard(worker, company(database=CONTROL)))


def test_a_job_with_sixty_outputs_takes_no_more(worker: Operator) -> None:
    held = worker.cloud.get(JOB)
    more = {f"lpm-{number:02}": held["outputs"]["lpm-01"] for number in range(2, 59)}
    for name in more:
        more[name] = {
            "datasource": {
                **held["outputs"]["lpm-01"]["datasource"],
                "properties": {**held["outputs"]["lpm-01"]["datasource"]["properties"], "database": name},
            }
        }
        worker.cloud.statement(
            CONTROL, f"INSERT INTO lpmops.company_database (database_name, added_by) VALUES ('{name}', 'x')"
        )
    worker.cloud.put(JOB, outputs={**held["outputs"], **more})
    worker.cloud.make_database("lpm-99")
    assert "Stream Analytics takes 60" in refusals(onboard(worker, company(database="lpm-99")))


def test_a_new_database_whose_job_finds_no_room_for_its_consumer_group_is_refused_before_anything_is_made(
    worker: Operator,
) -> None:
    cloud = worker.cloud
    others = [f"reporting-{number}" for number in range(17)]
    cloud.put(f"{JOB[:-2]}02", **{**cloud.get(JOB), "state": "Stopped", "inputs": {}, "outputs": {}, "query": ""})
    cloud.put("hub", groups=["$Default", "people", "asa-01", *others])
    cloud.make_database("lpm-02")
    said = refusals(onboard(worker, company(database="lpm-02")))
    assert "2 jobs read the hub, each with a consumer group of its own, and the hub has room for 1" in said
    # One group less of somebody else's, and the hub has room for it.
    cloud.put("hub", groups=["$Default", "people", "asa-01", *others[1:]])
    assert "consumer group" not in refusals(onboard(worker, company(database="lpm-02")))


def test_a_hub_that_lets_out_less_than_all_jobs_read_is_refused_and_one_that_is_unknown_is_told(
    worker: Operator,
) -> None:
    worker.cloud.make_database("lpm-02")
    wished = company(database="lpm-02")
    assert "egress: 0.0 of 2.0 MB/s." in onboard(worker, wished).warnings
    worker.cloud.put("hub", incoming=[150_000_000.0, 60.0])
    said = "1 jobs read 2.5 MB/s between them, and 1 throughput units let out 2.0 MB/s"
    assert said in refusals(onboard(worker, wished))
    worker.cloud.put(JOB, query="SELECT 1")
    deploying = worker.desk.plan(registry.action("asa.deploy"), DEPLOY)
    assert said in refusals(deploying)
    worker.cloud.put("hub", incoming=[])
    plan = onboard(worker, company())
    assert not any("flows" in warning for warning in plan.warnings)
    deploying = worker.desk.plan(registry.action("asa.deploy"), DEPLOY)
    assert not deploying.refusals
    assert any(warning.startswith("What flows into the hub is not known") for warning in deploying.warnings)


def test_an_output_that_the_service_does_not_reach_stops_nothing(worker: Operator) -> None:
    worker.cloud.make_database("lpm-02")
    worker.cloud.put(JOB, unreachable="the login failed")
    plan = onboard(worker, company(database="lpm-02"))
    with pytest.raises(Exception, match="does not reach lpm-02: the login failed"):
        worker.desk.apply(plan, worker.approve(plan))
    assert worker.cloud.get(JOB)["state"] == "Running"
    assert not [act for act in worker.cloud.acts() if act.verb == "stop"]


def test_a_column_that_does_not_land_is_named(worker: Operator) -> None:
    assert "'colour' does not land" in refusals(onboard(worker, company(), columns=["colour"]))


def test_a_route_table_from_before_companies_moved_gets_its_columns_before_a_job_asks_for_them(
    worker: Operator,
) -> None:
    for column in ("also_database", "asked_at", "first_row_at"):
        worker.cloud.statement(CONTROL, f"ALTER TABLE lpmops.route DROP COLUMN {column}")
    worker.cloud.statement(CONTROL, "DROP TABLE lpmops.company_database")
    worker.desk.plan(registry.action("asa.deploy"), DEPLOY)
    assert worker.cloud.query("SELECT also_database FROM lpmops.route") == [(None,)]


# Waiting for the first row -------------------------------------------------------------------------------------------------------------------------


def test_a_first_row_that_is_long_in_coming_ends_the_wait_and_not_the_route(worker: Operator) -> None:
    plan = onboard(worker, company("1008"))
    with pytest.raises(TimedOutError) as told:
        worker.desk.apply(plan, worker.approve(plan))
    assert (told.value.exit_code, told.value.operation) == (8, worker.unfinished()[0])
    assert "0 of 1 have their first row" in told.value.message
    assert worker.cloud.query("SELECT state FROM lpmops.route WHERE company_id = '1008'") == [("active",)]
    worker.cloud.land_rows("lpm-01", ("1008", "b"))
    outcome = worker.desk.resume(worker.unfinished()[0])
    assert outcome.result["routes"][0]["first_row_at"] is not None


def test_who_waits_for_a_first_row_keeps_nobody_from_bringing_on_the_next(worker: Operator) -> None:
    plan = onboard(worker, company("1008"))
    with pytest.raises(TimedOutError):
        worker.desk.apply(plan, worker.approve(plan))
    worker.desk.refuse_unfinished()
    following = onboard(worker, COMPANY)
    assert worker.desk.apply(following, worker.approve(following)).state == "succeeded"
    # What changed meanwhile is nothing that the wait rests on.
    worker.cloud.put(JOB, streaming_units=7.0)
    worker.cloud.land_rows("lpm-01", ("1008", "b"))
    (waiting,) = worker.unfinished()
    assert worker.desk.resume(waiting).result["routes"][0]["first_row_at"] is not None


def test_a_wait_can_be_left_at_once_and_taken_up_again(worker: Operator) -> None:
    from lpmops.control.hands import Event, StopRequest

    stop = StopRequest()

    def tell(event: Event) -> None:
        stop.requested = stop.requested or (event.step or "").startswith("wait for")

    plan = onboard(worker, company("1008"))
    with pytest.raises(InterruptError, match="while it waited"):
        worker.desk.apply(plan, worker.approve(plan), tell=tell, stop=stop)
    worker.cloud.land_rows("lpm-01", ("1008", "b"))
    assert worker.desk.resume(worker.unfinished()[0]).state == "succeeded"


# Files ---------------------------------------------------------------------------------------------------------------------------------------------


def test_every_line_that_is_wrong_is_named_and_nothing_is_done(worker: Operator) -> None:
    text = "company_id,name,database\n1007,Lake,lpm-01\n 8,Pine,lpm-01\n1007,Lake again,lpm-01\n"
    items, _, _ = route_file.read(text)
    said = refusals(onboard(worker, *items))
    assert "line 3: That can't be a company id" in said
    assert "line 4: The company '1007' is there twice." in said
    assert "line 2" not in said


def test_a_file_and_the_services_are_told_of_in_one_report_by_line(line: Line) -> None:
    file = line.folder / "new.csv"
    lines = ("company_id,name,database", "4711,Sea,lpm-01", "1007,,lpm-01", "1001,Acme,lpm-01", " 8,Pine,lpm-01")
    file.write_text("\n".join([*lines, "4711,Sea,lpm-01", "1007,Lake,lpm-09"]), encoding="utf-8")
    line.cloud.statement(CONTROL, "UPDATE lpmops.route SET state = 'paused'")
    said = line.run("route", "import", file, "-e", "prod", "--dry-run", "-o", "json")
    told = said.document["data"]["refusals"]
    wanted = (
        "line 2: The source has no record with info_companyid = '4711'",
        "line 3: it has no company",
        "line 4: 1001 has a route already: paused",
        "line 5: That can't be a company id",
        "line 6: The company '4711' is there twice",
        "line 7: There is no database lpm-09",
    )
    assert len(told) == len(wanted), told
    for refusal, beginning in zip(told, wanted, strict=True):
        assert refusal.startswith(beginning), told
    assert not line.cloud.acts()


def test_a_source_that_is_away_hides_no_line_that_is_wrong(worker: Operator) -> None:
    def away(place: str, verb: str) -> None:
        if verb == "company_arrivals":
            raise UnreachableError("The warehouse is away.", service="databricks")

    worker.cloud.trouble = away
    told = onboard(worker, company("1008", line=2), unread=["line 3: it has no company"]).refusals
    assert list(told) == [
        "line 3: it has no company",
        "What else speaks against it was not seen: The warehouse is away.",
    ]


def test_lines_that_are_no_routes_are_named_by_their_numbers() -> None:
    assert route_file.read("company_id,name,database\n1,A,x\n2,,x\n")[2] == ["line 3: it has no company"]
    with pytest.raises(UsageError) as told:
        route_file.read("company_id,name,database\n2,,x\n3,B,y,z\n")
    assert told.value.hint.splitlines() == ["line 2: it has no company", "line 3: it has more cells than the heading"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "heading has no company_id, company, database"),
        ("id,name\n1,A\n", "heading has no company_id, database"),
        ("company_id,name,database\n", "no route in that file"),
        ('company_id,name,database\n"1,A,x\n', "that is no CSV"),
        ("[1]", "no list of routes"),
        ("{", "no JSON"),
        ("company_id,name,company,database\n1,A,B,x\n", "company more than once"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        route_file.read(text)


@pytest.mark.parametrize("value", ["7.0", "NaN", "true", '["1"]', '{"id": 1}'])
def test_a_value_that_is_neither_text_nor_a_whole_number_is_no_company_id(value: str) -> None:
    with pytest.raises(UsageError) as told:
        route_file.read(f'[{{"company_id": {value}, "name": "A", "database": "x"}}]')
    assert told.value.hint == "line 1: neither a text nor a whole number: company_id"


def test_a_company_whose_id_is_the_number_zero_is_read_and_a_mark_of_byte_order_is_not() -> None:
    items, left_out, _ = route_file.read('\ufeff[{"company_id": 0, "name": "A", "database": "x"}]')
    assert (items, left_out) == ([{"company_id": "0", "company": "A", "database": "x", "line": 1}], [])


@pytest.mark.parametrize(
    "words",
    [
        ("show", "--company-id", "\udcff"),
        ("pause", "--company-id", "\udcff", "--yes"),
        ("pause", "--company-id", "1001", "--reason", "\udcff", "--yes"),
        ("pause", "--company-id", "1001", "--ticket", "\udcff", "--yes"),
    ],
)
def test_bytes_that_are_no_text_on_the_command_line_are_told_in_words(line: Line, words: tuple[str, ...]) -> None:
    said = line.run("route", *words, "-e", "prod")
    assert (said.code, said.out) == (2, "")
    assert "no UTF-8 text" in said.err


def test_a_file_whose_name_is_no_text_is_told_in_words_that_name_stdin(line: Line) -> None:
    file = os.fsdecode(os.fsencode(line.folder) + b"/\xff.csv")
    Path(file).write_text("company_id,name,database\n1007,Lake,lpm-01\n", encoding="utf-8")
    said = line.run("route", "import", file, "-e", "prod", "--unknown-ok", "--wait", "0", "--yes")
    assert (said.code, said.out) == (2, "")
    assert "no UTF-8 text" in said.err
    assert "stdin" in said.err


def test_a_file_that_is_larger_than_any_of_routes_is_not_read_through(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_file, "LARGEST", 40, raising=False)
    file = line.folder / "large"
    file.write_text("company_id,name,database\n1007,Lake,lpm-01\n", encoding="utf-8")
    said = line.run("route", "import", file, "-e", "prod", "--unknown-ok", "--dry-run")
    assert (said.code, "more than 40 characters" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("content", "code", "why"),
    [
        (b"company_id,name,database\n\x00,A,lpm-01\n", 6, "control character (U+0000)"),
        (b"company_id,name,database\n\xff,A,lpm-01\n", 2, "UTF-8"),
        (b'[{"company_id": "\\ud800", "name": "A", "database": "lpm-01"}]', 6, "half a surrogate pair"),
        (b'{"data": 7}', 2, "no list of routes"),
    ],
)
def test_a_hostile_file_is_refused_in_words(line: Line, content: bytes, code: int, why: str) -> None:
    file = line.folder / "hostile"
    file.write_bytes(content)
    said = line.run("route", "import", file, "-e", "prod", "--unknown-ok", "--yes")
    assert (said.code, why in said.err) == (code, True)


@pytest.mark.parametrize("company_id", ["=7", "'=7", "''-7", "'7", "-7"])
def test_an_id_that_begins_with_an_apostrophe_comes_back_from_an_export_as_it_was(company_id: str) -> None:
    (item,), _, _ = route_file.read(csv_text([{"company_id": company_id, "name": "A", "database": "x"}]))
    assert item["company_id"] == company_id


def test_what_is_exported_can_be_imported_and_changes_nothing(line: Line) -> None:
    line.cloud.statement(
        CONTROL,
        "INSERT INTO lpmops.route (company_id, company, database_name, changed_by) VALUES ('=7', '+Cell, \"x\"', 'lpm-01', 'x')",
    )
    for form in ("csv", "json"):
        said = line.run("route", "export", "-e", "prod", "-o", form)
        assert said.code == 0
        items, left_out, _ = route_file.read(said.out)
        assert ([(item["company_id"], item["company"]) for item in items], left_out) == (
            [("1001", "Acme"), ("=7", '+Cell, "x"')],
            [],
        )
        file = line.folder / f"routes.{form}"
        file.write_text(said.out, encoding="utf-8")
        again = line.run("route", "import", file, "-e", "prod", "--unknown-ok", "--yes", "-o", "json")
        assert (again.code, again.data["operation"], again.data["result"]["changed"]) == (0, None, False)


# What is shown -------------------------------------------------------------------------------------------------------------------------------------


def test_routes_are_listed_with_their_job_state_and_age(line: Line) -> None:
    (item,) = line.run("route", "list", "-e", "prod", "-o", "json").data
    assert {name: item[name] for name in item if name != "since"} == {
        "company_id": "1001", "company": "Acme", "database": "lpm-01", "job": JOB, "state": "active",
    }  # fmt: skip
    assert line.run("route", "list", "-e", "prod", "--state", "paused", "-o", "json").data == []


def test_a_database_that_a_job_writes_is_known_by_its_name_whatever_the_letters(
    worker: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definitions, "landing_databases", lambda _: ("Straße",))
    assert route_sight.writers(worker.desk.bench()).get("Straße".casefold()) == JOB


def test_one_route_is_shown_with_its_first_and_last_row(worker: Operator) -> None:
    plan = onboard(worker, COMPANY)
    worker.desk.apply(plan, worker.approve(plan))
    data, warnings = route_sight.shown(worker.desk.bench(), "1007")
    assert (data["job"], data["last_landed_at"], warnings) == (JOB, "2030-01-01T00:00:00.000Z", [])
    assert data["seconds_to_first_row"] > 0
    with pytest.raises(NotFoundError, match=r"Did you mean '1007'\?"):
        route_sight.shown(worker.desk.bench(), "107")


def test_what_came_before_a_company_was_on_is_offered_to_be_brought(worker: Operator) -> None:
    worker.cloud.statement(CONTROL, UNROUTED.format("1007", 5))
    plan = onboard(worker, COMPANY)
    bring = "lpmops replay plan -e prod --company 1007 --from-version 5"
    assert f"What came before is brought, once that is done, by: {bring}" in plan.warnings
    assert worker.desk.apply(plan, worker.approve(plan)).result["backfill"] == bring


def test_companies_that_the_source_has_and_nobody_routes_are_offered_the_busiest_first(worker: Operator) -> None:
    worker.cloud.statement(
        CONTROL,
        UNROUTED.format("1007", 5),
    )
    found = route_fields.candidates(worker.desk.bench())
    assert [(item["company_id"], item["records_per_day"], item["unrouted"]) for item in found] == [
        ("1007", 40.0, 1),
        ("1008", 30.0, 0),
    ]
    by_name = {each.name: each for each in registry.action("route.onboard").inputs or ()}
    offered = by_name["company_id"].choices
    assert offered is not None
    assert [choice.value for choice in offered(worker.desk.bench())] == ["1007", "1008"]
    where = by_name["database"].choices
    assert where is not None
    assert list(where(worker.desk.bench())) == [Choice("lpm-01", "1 company")]


def test_a_resumed_company_is_told_what_came_meanwhile(worker: Operator) -> None:
    worker.cloud.statement(CONTROL, "UPDATE lpmops.route SET state = 'paused'")
    worker.cloud.statement(
        CONTROL,
        UNROUTED.format("1001", 17),
    )
    plan = worker.desk.plan(registry.action("route.resume"), ROUTE)
    assert any("1 changes of 1001 found no route (versions 17 to 17" in warning for warning in plan.warnings)
    assert any("lpmops replay plan -e prod --company 1001 --from-version 17" in warning for warning in plan.warnings)
    outcome = worker.desk.apply(plan, worker.approve(plan))
    assert outcome.result["routes"][0]["state"] == "active"


def test_what_landed_too_as_a_route_was_changing_is_not_told_as_missing(worker: Operator) -> None:
    cloud = worker.cloud
    cloud.land_rows("lpm-01", *(("1001", f"t{number}") for number in range(1, 601)))
    cloud.statement(CONTROL, "UPDATE lpmops.route SET state = 'paused'")

    def stands_in_unrouted(record: str, version: int, after: int) -> None:
        text = f"""INSERT INTO lpmops.unrouted (company_id, record_id, commit_version, change_type, enqueued_at, hub_partition, hub_sequence)
            SELECT company_id, '{record}', {version}, 'insert', DATEADD(SECOND, {after}, changed_at), 0, {version} FROM lpmops.route"""
        cloud.statement(CONTROL, text)

    for version in range(1, 601):
        stands_in_unrouted(f"t{version}", version, after=version // 6)
    plan = worker.desk.plan(registry.action("route.resume"), ROUTE)
    assert not any("found no route" in warning or "replay" in warning for warning in plan.warnings)
    assert route_sight.shown(worker.desk.bench(), "1001")[0]["unrouted"]["events"] == 0

    stands_in_unrouted("elsewhere", 700, after=110)
    stands_in_unrouted("later", 701, after=130)
    plan = worker.desk.plan(registry.action("route.resume"), ROUTE)
    assert any(warning.startswith("2 changes of 1001 found no route") for warning in plan.warnings)
    # A database that can't be asked hides nothing that may be missing.
    cloud.statement("lpm-01", "DROP TABLE lpm.tdr")
    plan = worker.desk.plan(registry.action("route.resume"), ROUTE)
    assert any(warning.startswith("602 changes of 1001 found no route") for warning in plan.warnings)


# Moving --------------------------------------------------------------------------------------------------------------------------------------------


def moving(cloud: Cloud) -> None:
    cloud.add_output("lpm-02")
    cloud.put(JOB, last_output_at="2030-01-01T00:00:00Z")


def test_a_move_that_was_given_up_on_its_way_is_taken_back(worker: Operator) -> None:
    moving(worker.cloud)
    worker.cloud.land_rows("lpm-02", ("1001", "b"))
    worker.cloud.statement(CONTROL, "UPDATE lpmops.route SET also_database = 'lpm-02'")
    plan = worker.desk.plan(registry.action("route.move"), {**ROUTE, "database": "lpm-01", "old": "", "keep": False})
    assert not plan.refusals
    worker.desk.apply(plan, worker.approve(plan))
    assert worker.cloud.query("SELECT database_name, also_database FROM lpmops.route WHERE company_id = '1001'") == [
        ("lpm-01", None)
    ]
    assert worker.cloud.landed("lpm-02") == []
    assert ("1001", "b", 1) in worker.cloud.landed("lpm-01")


def test_a_move_that_drops_a_column_is_refused(worker: Operator) -> None:
    moving(worker.cloud)
    worker.cloud.statement("lpm-01", "ALTER TABLE lpm.tdr ADD colour NVARCHAR(10) NULL")
    plan = worker.desk.plan(registry.action("route.move"), {**ROUTE, "database": "lpm-02", "old": "", "keep": False})
    assert "colour" in refusals(plan)


def test_a_company_on_its_way_is_neither_paused_nor_moved_elsewhere(worker: Operator) -> None:
    moving(worker.cloud)
    worker.cloud.statement(CONTROL, "UPDATE lpmops.route SET also_database = 'lpm-02'")
    assert "finish that move first" in refusals(worker.desk.plan(registry.action("route.pause"), ROUTE))
    worker.cloud.add_output("lpm-03")
    plan = worker.desk.plan(registry.action("route.move"), {**ROUTE, "database": "lpm-03", "old": "", "keep": False})
    assert "on its way from lpm-01 to lpm-02 already" in refusals(plan)


def test_rows_that_do_not_arrive_are_not_taken_out(worker: Operator) -> None:
    moving(worker.cloud)
    worker.cloud.land_rows("lpm-01", ("1001", "c"))
    worker.cloud.statement(
        "lpm-02", "CREATE UNIQUE INDEX ux_partition ON lpm.tdr (company_id, hub_partition) WITH (IGNORE_DUP_KEY = ON)"
    )
    worker.cloud.land_rows("lpm-02", ("1001", "z"))
    plan = worker.desk.plan(registry.action("route.move"), {**ROUTE, "database": "lpm-02", "old": "", "keep": False})
    assert plan.refusals
    assert ("1001", "c", 1) in worker.cloud.landed("lpm-01")
    assert isinstance(worker.attempt(plan), RefusedError)

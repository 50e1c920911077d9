"""What a trial means: what would stop a job, block it, lose a record or lead it astray speaks against it, and nobody's number is in what is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lpmops.config import Column, Config
from lpmops.control import verdict
from lpmops.control.verdict import Trial
from lpmops.model import RawEvent, to_data
from lpmops.routing.fitting import misfit, misfits, tables
from lpmops.routing.job import Definition
from lpmops.routing.landing import WantedColumn
from tests.control.hubs import START, body

CONFIG = Config({}, columns=(Column("duration_seconds", "FLOAT"), Column("call_id", "NVARCHAR(8)")))
ROUTES = [{"company_id": "1001", "database_name": "lpm-01"}, {"company_id": "1002", "database_name": "lpm-02"}]
STAMPS = {
    "company_id": "1001",
    "record_id": "r1",
    "commit_version": 7,
    "change_type": "insert",
    "commit_timestamp": "2026-11-23T11:59:58Z",
    "sent_at": "2026-11-23T11:59:59Z",
    "enqueued_at": "2026-11-23T12:00:00Z",
    "hub_partition": 0,
    "hub_sequence": 0,
    "replay_id": None,
}


def output(database: str, table: str) -> dict[str, Any]:
    return {"datasource": {"type": "x", "properties": {"database": database, "table": table}}}


DEFINITION = Definition(
    {},
    {},
    {
        "lpm-01": output("lpm-01", "lpm.tdr"),
        "lpm-02": output("lpm-02", "lpm.tdr"),
        "unrouted": output("lpm-control", "lpmops.unrouted"),
        "kpi": output("lpm-control", "lpmops.kpi_minute"),
    },
    "SELECT 1",
    3,
)


def row(**more: Any) -> dict[str, Any]:
    return {**STAMPS, "duration_seconds": None, "call_id": None, "sipreq": None, **more}


def gives(outputs: Mapping[str, Sequence[Mapping[str, Any]]] | None = None, **more: Any) -> dict[str, Any]:
    """What the engine says of one text."""
    made = {
        name: {"columns": list(rows[0]), "rows": [list(item.values()) for item in rows]}
        for name, rows in (outputs or {}).items()
    }
    return {"complaints": [], "stops": [], "unread": [], "outputs": made, **more}


def event(sequence: int = 0, **more: Any) -> RawEvent:
    return RawEvent("0", sequence, "0", START, "k", body(**more))


def judged(tried: Mapping[str, Any], before: Mapping[str, Any] | None = None, *events: RawEvent) -> Trial:
    answer = {"candidate": tried} | ({} if before is None else {"deployed": before})
    return verdict.judge(CONFIG, "job-01", DEFINITION, DEFINITION, events or (event(),), ROUTES, answer)


def test_a_text_that_leads_each_record_home_may_be_deployed() -> None:
    good = gives({"lpm-01": [row()]})
    found = judged(good, good)
    assert (found.faults, found.notes, found.compared) == ((), (), True)
    landings = {item.output: (item.rows, item.before, item.added, item.gone) for item in found.landings}
    assert landings == {"lpm-01": (1, 1, 0, 0), "lpm-02": (0, 0, 0, 0), "unrouted": (0, 0, 0, 0), "kpi": (0, 0, 0, 0)}


def test_a_text_that_does_not_compile_is_compared_with_nothing() -> None:
    wrong = gives(complaints=[{"line": 3, "column": 7, "message": "Syntax error near 'FORM'."}])
    found = judged(wrong, gives({"lpm-01": [row()]}))
    assert found.faults == ("The text of job-01 does not compile at 3:7: Syntax error near 'FORM'.",)
    assert not found.compared
    assert all(item.before is None for item in found.landings)


def test_an_event_that_stops_the_job_is_named_without_its_values() -> None:
    stop = {"partition": 0, "sequence": 0, "message": "Cast failed: '+1-202-555-0143' is no bigint."}
    found = judged(gives(stops=[stop]))
    assert "would stop at 1 of 1 events, first at 0/0" in found.faults[0]
    assert "0143" not in str(to_data(found))
    # What became of the rest is unknown, so nothing is said to be lost.
    assert found.nowhere == ()


def test_a_row_that_its_table_does_not_take_blocks_every_company() -> None:
    found = judged(gives({"lpm-01": [row(call_id="x" * 9)]}), gives({"lpm-01": [row()]}))
    assert "call_id: 9 characters in NVARCHAR(8)" in found.faults[0]
    assert "every company" in found.faults[0]
    assert found.landings[0].otherwise == {"call_id": 1}


def test_a_value_that_lands_as_null_is_told_and_hinders_nothing() -> None:
    found = judged(gives({"lpm-01": [row()]}), None, event(duration_seconds="long"))
    assert found.faults == ()
    assert "duration_seconds lands as NULL for 1 events" in found.notes[0]
    assert (found.softened[0].reason, found.softened[0].example) == ("a text is no FLOAT", "0/0")


def test_a_record_that_reaches_no_output_is_lost() -> None:
    found = judged(gives({"lpm-01": [row()]}), None, event(), event(1, company="nobody"))
    assert found.nowhere == ("0/1",)
    assert "reach no output at all" in found.faults[0]


def test_the_records_of_another_job_are_not_missed_in_this_one() -> None:
    shares = {name: part for name, part in DEFINITION.outputs.items() if name != "lpm-02"}
    with_unrouted = replace(DEFINITION, outputs=shares)
    alone = replace(DEFINITION, outputs={"lpm-01": shares["lpm-01"]})
    events = (event(), event(1, company="1002"), event(2, company="nobody"))
    answer = {"candidate": gives({"lpm-01": [row()]})}
    for definition, missed in ((with_unrouted, ("0/2",)), (alone, ())):
        found = verdict.judge(CONFIG, "job-01", definition, None, events, ROUTES, answer)
        assert found.nowhere == missed


def test_heartbeats_and_what_is_no_json_are_not_missed() -> None:
    unread = [{"partition": 0, "sequence": 2, "message": "no JSON"}]
    beat = RawEvent("0", 1, "0", START, None, b'{"_change_type": "heartbeat"}')
    found = judged(gives({"lpm-01": [row()]}, unread=unread), None, event(), beat, RawEvent("0", 2, "0", START, None, b"{"))  # fmt: skip
    assert (found.faults, len(found.unread)) == ((), 1)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"lpm-01": [row(), row()]}, "land more than once"),
        ({"lpm-02": [row()]}, "a database that their company's route does not name"),
    ],
)
def test_a_record_in_the_wrong_place_speaks_against_the_text(outputs: Any, says: str) -> None:
    assert says in judged(gives(outputs)).faults[0]


def test_what_the_deployed_text_does_too_is_no_fault_of_the_candidate() -> None:
    lossy = gives({"unrouted": [{**STAMPS, "hub_sequence": 5}]})
    assert judged(lossy, lossy).faults == ()


def test_what_is_unrouted_is_counted_by_company() -> None:
    found = judged(gives({"unrouted": [row(company_id="77"), row(company_id="77", hub_sequence=1)]}))
    assert found.unrouted == {"77": 2}


def test_sample_rows_hide_the_caller() -> None:
    found = judged(gives({"lpm-01": [{**row(), "caller_number": "+1-202-555-0143"}]}))
    assert found.landings[0].sample[0]["caller_number"] == "•••43"


def test_a_deployed_text_that_fails_over_the_same_events_is_said() -> None:
    before = gives(stops=[{"partition": 0, "sequence": 0, "message": "Cast failed."}])
    found = judged(gives({"lpm-01": [row()]}), before)
    assert not found.compared
    assert "stops over these events itself" in found.notes[0]


# Rows and tables -------------------------------------------------------------------------------------------------------------------------------


def test_every_table_that_jobs_write_is_known_with_all_its_columns() -> None:
    known = tables(CONFIG.columns, CONFIG.routing)
    assert set(known) == {"lpm.tdr", "lpm.kpi_minute", "lpmops.unrouted", "lpmops.heartbeat", "lpmops.kpi_minute"}
    assert misfits(row(), known["lpm.tdr"]) == {}
    assert {column.name for column in known["lpm.tdr"]} == {*row(), "landed_at"}


@pytest.mark.parametrize(
    ("declared", "value", "fits"),
    [
        ("NVARCHAR(3)", "abc", True),
        ("NVARCHAR(3)", "abcd", False),
        # Two units of UTF-16 each.
        ("NVARCHAR(3)", "☎📞", True),
        ("NVARCHAR(3)", "📞📞", False),
        ("NVARCHAR(MAX)", "x" * 10_000, True),
        ("NVARCHAR(3)", 1234, False),
        ("INT", 2**31 - 1, True),
        ("INT", 2**31, False),
        ("SMALLINT", 40_000, False),
        ("BIGINT", 2**63 - 1, True),
        ("INT", "12", True),
        ("INT", "twelve", False),
        ("FLOAT", 1.5, True),
        ("FLOAT", "soon", False),
        ("DECIMAL(5,2)", 999.99, True),
        ("DECIMAL(5,2)", 1000, False),
        ("BIT", True, True),
        ("BIT", "maybe", False),
        ("DATETIME2(6)", "2026-11-23T12:00:00Z", True),
        ("DATETIME2(6)", "yesterday", False),
        ("DATETIME2(6)", 5, False),
        ("DATE", {"year": 1}, False),
    ],
)
def test_a_value_fits_its_column_or_the_reason_is_said_without_it(declared: str, value: Any, fits: bool) -> None:
    reason = misfit(value, WantedColumn("x", declared, True))
    assert (reason == "") is fits
    assert fits or json.dumps(value) not in reason


def test_a_column_takes_null_where_it_may() -> None:
    assert misfit(None, WantedColumn("x", "INT", True)) == ""
    assert "NULL" in misfit(None, WantedColumn("x", "INT", False))
    stamp = WantedColumn("landed_at", "DATETIME2(3)", False, default="SYSUTCDATETIME()")
    assert misfits({}, [stamp]) == {}
    assert misfits({"other": 1}, [stamp]) == {"other": "the table has no such column"}

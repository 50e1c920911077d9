"""A text is tried before it is deployed: what speaks against it refuses the plan, and where nothing can be tried the plan says so and goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lpmops.actions import asa_trial, registry
from lpmops.actions.asa_trial import Material
from lpmops.config import Routing
from lpmops.control import trials
from lpmops.control.trials import EngineMissingError
from lpmops.control.verdict import Landing, Trial
from lpmops.errors import ForbiddenError, UsageError
from lpmops.model import QueryError, RawEvent
from lpmops.routing import job as definitions
from lpmops.routing.query import Share
from tests.actions.cases import CASES
from tests.actions.cloud import JOB, config
from tests.actions.operator import Operator, operator
from tests.actions.two_jobs import shared
from tests.sandbox.asa.kit import record

FINE = Trial(
    JOB, 200, None, None, True, landings=(Landing("lpm-01", "lpm-01", "lpm.tdr", 9, 9, otherwise={"queue": 9}),)
)
DEPLOY = CASES["deploy"]


def says(*faults: str, notes: tuple[str, ...] = ()) -> Any:
    return lambda *_: (list(faults), list(notes))


def test_what_speaks_against_a_text_refuses_its_deployment(tmp_path: Path) -> None:
    with operator(tmp_path, trial=says("It would stop.", notes=("It was tried.",))) as worker:
        DEPLOY.before(worker.cloud)
        plan = worker.plan(DEPLOY)
    assert "It would stop." in plan.refusals
    assert "It was tried." in plan.warnings


def test_a_way_back_is_not_barred_by_what_it_leads_back_to(tmp_path: Path) -> None:
    with operator(tmp_path) as worker:
        DEPLOY.before(worker.cloud)
        done = worker.run(DEPLOY).operation
    with operator(tmp_path, trial=says("It would stop.")) as worker:
        wish = {**DEPLOY.wish, "back_to": done}
        plan = worker.desk.plan(registry.action("asa.deploy"), wish)
    assert plan.steps
    assert "It would stop." in plan.warnings
    assert "It would stop." not in plan.refusals


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`check` of a new text at a desk, with what the engine and the service's compiler say replaced."""

    def run(found: Trial | Exception, compiler: Sequence[QueryError] | Exception = ()) -> tuple[list[str], list[str]]:
        def rehearse(*_: Any) -> Trial:
            if isinstance(found, Exception):
                raise found
            return found

        def compile_text(*_: Any) -> tuple[QueryError, ...]:
            if isinstance(compiler, Exception):
                raise compiler
            return tuple(compiler)

        monkeypatch.setattr(trials, "rehearse", rehearse)
        monkeypatch.setattr(asa_trial, "material", lambda *_: Material((), ()))
        with operator(tmp_path) as worker:
            monkeypatch.setattr(worker.cloud, "compile", compile_text, raising=False)
            return asa_trial.check(worker.desk.bench(), _job(worker), replace(_live(worker), query="SELECT 2"))

    return run


def _job(worker: Operator) -> Any:
    return worker.cloud.streamanalytics.job(JOB)


def _live(worker: Operator) -> Any:
    return definitions.deployed(_job(worker))


def test_a_text_that_is_fine_says_where_rows_change(checked: Any) -> None:
    faults, notes = checked(FINE)
    assert faults == []
    assert "tried over 200 events" in notes[0]
    assert "other rows than now in: lpm-01" in notes[0]


def test_without_the_engine_a_plan_says_how_to_get_it(checked: Any) -> None:
    faults, (note,) = checked(EngineMissingError("It needs duckdb.", hint="pip install it"))
    assert faults == []
    assert "not tried beforehand: It needs duckdb. pip install it" in note


def test_what_speaks_against_it_names_the_command_that_shows_it(checked: Any) -> None:
    (fault,), _ = checked(replace(FINE, faults=("It would stop.",)))
    assert f"lpmops asa test -e prod --job {JOB}" in fault


def test_what_the_service_says_of_the_text_counts_and_is_said_once(checked: Any) -> None:
    faults, _ = checked(FINE, [QueryError("Syntax error.", 3, 4), QueryError("Too long.")])
    assert [fault.partition(" See it")[0] for fault in faults] == [
        f"Stream Analytics does not compile the text of {JOB} at 3:4: Syntax error.",
        f"Stream Analytics does not compile the text of {JOB}: Too long.",
    ]


def test_a_compiler_that_may_not_be_asked_is_a_note(checked: Any) -> None:
    faults, notes = checked(FINE, ForbiddenError("No right.", service="streamanalytics", hint="It needs Query Tester."))
    assert faults == []
    assert "can't be asked: It needs Query Tester." in notes[-1]


def test_a_text_that_stays_is_not_tried(tmp_path: Path) -> None:
    with operator(tmp_path) as worker:
        # This cloud has no events to sample: asking for them would fail.
        assert asa_trial.check(worker.desk.bench(), _job(worker), _live(worker)) == ([], [])


# Given on the command line ---------------------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_events_of_a_file_come_as_if_from_the_hub() -> None:
    text = '{"tdr_id": "r1", "_sent_at": "2026-11-23T11:00:00Z"}\n\n{"tdr_id": 7}\n'
    first, second = asa_trial.events_of(text, Routing(), NOW)
    assert (first.key, first.sequence, first.enqueued_at) == ("r1", 1, datetime(2026, 11, 23, 11, tzinfo=UTC))
    assert (second.key, second.sequence, second.enqueued_at) == ("7", 3, NOW)


@pytest.mark.parametrize("text", ["{", "[1]", "7", "{} {}", "[" * 5_000])
def test_a_line_that_is_no_event_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="Line 2"):
        asa_trial.events_of("{}\n" + text, Routing(), NOW)


def test_a_separator_of_lines_inside_a_text_does_not_end_the_event() -> None:
    texts = ["a\u2028b", "a\x85b", "a\u2029b"]
    found = asa_trial.events_of("\r\n".join(f'{{"tdr_id": "{text}"}}' for text in texts), Routing(), NOW)
    assert [event.key for event in found] == texts


@pytest.mark.parametrize("cell", ["x" * 200_000, '"1001', '"1001" 2'], ids=["endless", "unclosed", "beyond a quote"])
def test_routes_that_are_no_csv_are_refused_in_words(cell: str) -> None:
    with pytest.raises(UsageError, match="The routes are no CSV"):
        asa_trial.routes_of(f"company_id,database_name\n{cell},lpm-01\n")


def engine(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The engine, asked as another process would be."""
    process = pytest.importorskip("lpmops.trial.__main__")
    sent = json.loads(json.dumps(request))
    made = {name: process.run(process._events(sent["events"]), job) for name, job in sent["jobs"].items()}
    return dict(json.loads(json.dumps(made, default=process._plain)))


SETTLED = {"also_database": None, "former_database": None, "settled_at": datetime(2026, 11, 1, tzinfo=UTC)}
CHANGING = {**SETTLED, "settled_at": datetime(2026, 11, 23, 12, 1, tzinfo=UTC)}
READ = (
    {"company_id": "1001", "database_name": "lpm-01", **SETTLED},
    {"company_id": "1002", "database_name": "lpm-02", **CHANGING},
    {"company_id": "1003", "database_name": None, **CHANGING, "former_database": "lpm-02"},
    {"company_id": "1004", "database_name": None, **SETTLED, "former_database": "lpm-02"},
)
GIVEN = tuple(asa_trial.routes_of("company_id,database_name\n1001,lpm-01\n1002,lpm-02\n"))


@pytest.mark.parametrize(
    ("routes", "unrouted", "landed"), [(READ, {"1002", "1003", "1004"}, 2), (GIVEN, {"1003", "1004"}, 1)]
)
def test_what_lands_and_is_unrouted_while_a_route_changes_speaks_against_no_text(
    routes: Sequence[Mapping[str, Any]], unrouted: set[str], landed: int
) -> None:
    place = shared()
    events = [
        RawEvent("0", number, "0", datetime(2026, 11, 23, 12, tzinfo=UTC), None, json.dumps(body).encode())
        for number, company in enumerate(("1001", "1002", "1003", "1004"))
        for body in [record(number, company)]
    ]
    shares = (Share(("lpm-01",), True, ("lpm-02",)), Share(("lpm-02",), False, ("lpm-01",)))
    first, second = (
        trials.rehearse(config(place), JOB, definitions.wished(config(place), place, share, "asa-01"), None, events, routes, engine)
        for share in shares
    )  # fmt: skip
    assert (first.faults, second.faults) == ((), ())
    assert set(first.unrouted) == unrouted
    assert {item.output: item.rows for item in (*first.landings, *second.landings) if item.table == "lpm.tdr"} == {
        "lpm-01": 1,
        "lpm-02": landed,
    }


def test_routes_come_from_a_table_with_their_columns() -> None:
    assert asa_trial.routes_of("company_id,database_name\n1001,lpm-01\n") == [
        {"company_id": "1001", "database_name": "lpm-01"}
    ]
    with pytest.raises(UsageError, match="company_id and database_name"):
        asa_trial.routes_of("company,database\n1,2\n")

"""A trial as a process: what it says of a text that is fine, of one that stops, of one that does not compile, and of a request that is none."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from lpmops.control import trials
from lpmops.control.trials import EngineMissingError
from lpmops.errors import InternalError
from lpmops.trial import __main__ as process

QUERY = (
    "WITH tdr AS (SELECT TRY_CAST(s.company AS nvarchar(max)) AS company_id, s.n AS n,"
    " GetMetadataPropertyValue(s, '[EventHub].[SequenceNumber]') AS hub_sequence FROM hub AS s)\n"
    "SELECT tdr.company_id, route.database_name, tdr.n, tdr.hub_sequence INTO out FROM tdr LEFT JOIN route ON tdr.company_id = route.company_id\n"
    "SELECT company_id, System.Timestamp() AS window_end, COUNT(*) AS calls INTO kpi FROM tdr GROUP BY company_id, TumblingWindow(minute, 1)"
)


def event(sequence: int, body: bytes) -> dict[str, Any]:
    moment = f"2026-11-23T12:00:{sequence:02d}+00:00"
    held = base64.b64encode(body).decode()
    return {"partition": "1", "sequence": sequence, "offset": "0", "enqueued_at": moment, "key": None, "body": held}


EVENTS = [event(0, b'{"company": 1001, "n": "4"}'), event(1, b'{"company": "x", "n": 5}'), event(2, b"no json")]


def job(query: str = QUERY) -> dict[str, Any]:
    routes = [{"company_id": "1001", "database_name": "lpm-01"}]
    inputs = {"hub": "stream", "route": "reference"}
    return {"query": query, "inputs": inputs, "outputs": ["out", "kpi"], "references": {"route": routes}}


def ran(query: str = QUERY) -> Mapping[str, Any]:
    return process.run(process._events(EVENTS), job(query))


def test_rows_come_by_output_with_windows_closed_and_what_is_no_row_named() -> None:
    found = ran()
    assert found["outputs"]["out"] == {
        "columns": ["company_id", "database_name", "n", "hub_sequence"],
        "rows": [["1001", "lpm-01", "4", 0], ["x", None, 5, 1]],
    }
    assert sorted(row[0] for row in found["outputs"]["kpi"]["rows"]) == ["1001", "x"]
    assert [(item["partition"], item["sequence"]) for item in found["unread"]] == [(1, 2)]
    assert (found["complaints"], found["stops"]) == ([], [])


def test_the_event_that_stops_a_job_is_named_and_the_others_still_land() -> None:
    found = ran(QUERY.replace("s.n AS n", "CAST(s.company AS bigint) AS n"))
    assert [item["sequence"] for item in found["stops"]] == [1]
    assert [row[3] for row in found["outputs"]["out"]["rows"]] == [0]
    assert [item["sequence"] for item in found["unread"]] == [2]


def test_a_text_that_does_not_compile_is_complained_of_with_its_place() -> None:
    found = ran("SELECT company INTO [nowhere] FROM hub")
    assert found["complaints"][0]["line"] == 1
    assert "nowhere" in found["complaints"][0]["message"]
    assert found["outputs"] == {}


def test_the_process_answers_a_request_and_is_asked_as_lpmops_asks_it() -> None:
    answer = trials.ask_engine({"events": EVENTS, "jobs": {"candidate": job()}})
    assert answer == {"candidate": json.loads(json.dumps(ran(), default=process._plain))}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"events": [{}], "jobs": {}}', '{"events": [], "jobs": {"a": 1}}'])
def test_a_request_that_is_none_is_refused_in_a_sentence(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    monkeypatch.setattr(sys, "stderr", said := io.StringIO())
    assert process.main() == process.BAD_REQUEST
    assert said.getvalue().startswith("That is no request")


def test_without_its_packages_the_engine_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "stderr", said := io.StringIO())
    assert process.main() == process.PACKAGES_MISSING
    assert "pip install" in said.getvalue()

    class Done:
        returncode, stdout, stderr = process.PACKAGES_MISSING, b"", said.getvalue().encode()

    monkeypatch.setattr("lpmops.control.trials.subprocess.run", lambda *_, **__: Done())
    with pytest.raises(EngineMissingError, match="duckdb") as caught:
        trials.ask_engine({})
    assert caught.value.hint.startswith("pip install")


def test_a_fault_inside_the_engine_is_told_as_one_to_report_with_its_place_and_no_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("202-555-0107")

    monkeypatch.setattr(process, "run", fails)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"events": EVENTS, "jobs": {"candidate": job()}})))
    monkeypatch.setattr(sys, "stderr", said := io.StringIO())
    code = process.main()

    class Done:
        returncode, stdout, stderr = code, b"", said.getvalue().encode()

    monkeypatch.setattr("lpmops.control.trials.subprocess.run", lambda *_, **__: Done())
    with pytest.raises(InternalError, match=r"failed on this query: KeyError in test_trial\.py, line \d+") as caught:
        trials.ask_engine({})
    assert "report it" in caught.value.hint
    assert "try again" not in caught.value.hint
    assert "0107" not in f"{caught.value} {caught.value.hint}"


def test_an_engine_that_fails_is_reported_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        returncode, stdout, stderr = 1, b"", b"Traceback: caller +1-202-555-0143"

    monkeypatch.setattr("lpmops.control.trials.subprocess.run", lambda *_, **__: Done())
    with pytest.raises(InternalError) as caught:
        trials.ask_engine({})
    assert "0143" not in caught.value.message

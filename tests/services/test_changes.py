"""The change feed's counts and keys, read from answers in the shape that Databricks documents: texts, pages, and what can't be read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lpmops.config import Routing
from lpmops.errors import BadAnswerError, StatementError, UnreadableChangesError
from lpmops.services import changes
from lpmops.services.changes import ChangeService, Key, Tally
from lpmops.services.transport import Transport
from lpmops.versions import Versions
from tests.services.faulty_server import FaultyServer, Reply, Request, answer
from tests.services.worlds import SignedIn, environment

ROUTING = Routing()
COUNTS = [("company_id", "STRING"), ("changes", "LONG"), ("digest", "DECIMAL")]
KEYS = [("company_id", "STRING"), ("record_id", "STRING"), ("commit_version", "LONG"), ("change_type", "STRING")]


def service_of(server: FaultyServer) -> ChangeService:
    world = environment(server.url)
    transport = Transport()
    return ChangeService(world, transport, SignedIn(world, transport), 5.0)


def rows(columns: list[tuple[str, str]], found: list[list[Any]]) -> Reply:
    body = {
        "statement_id": "s-1",
        "status": {"state": "SUCCEEDED"},
        "manifest": {"schema": {"columns": [{"name": name, "type_name": kind} for name, kind in columns]}},
        "result": {"data_array": found},
    }
    return answer(200, body)


def refused(error_class: str) -> Reply:
    error = {"error_code": "BAD_REQUEST", "message": f"[{error_class}] no. SQLSTATE: KD002"}
    return answer(200, {"statement_id": "s-1", "status": {"state": "FAILED", "error": error}})


def sent(server: FaultyServer) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in server.requests]


def test_counts_are_one_statement_and_digests_keep_every_digit(server: FaultyServer) -> None:
    server.route = lambda _: rows(COUNTS, [["1001", "3", "123456789012345678901234567"], [None, "1", "5"]])
    found = service_of(server).counts(ROUTING, Versions(3, 9))
    assert found == {"1001": Tally(3, 123456789012345678901234567), "": Tally(1, 5)}
    (only,) = sent(server)
    assert "table_changes('lpm_dev.gold.tdr_streaming', 3, 9)" in only["statement"]
    assert "GROUP BY CAST(`info_companyid` AS STRING)" in only["statement"]


def test_ids_that_are_numbers_are_counted_as_the_routes_compare_them(server: FaultyServer) -> None:
    server.route = lambda _: rows(COUNTS, [])
    service_of(server).counts(Routing(key_type="number"), Versions(3, 9))
    assert "CAST(CAST(`info_companyid` AS BIGINT) AS STRING) AS company_id" in sent(server)[0]["statement"]


class Table:
    """Answers the statement for keys from a list of changes, as the warehouse would."""

    def __init__(self, *found: tuple[str, int, str]) -> None:
        self.found = sorted(found, key=lambda each: (each[1], each[0]))

    def __call__(self, request: Request) -> Reply:
        body = json.loads(request.body)
        span = re.search(r"streaming', (\d+), (\d+)\)", body["statement"])
        limit = re.search(r"LIMIT (\d+)", body["statement"])
        assert span is not None
        assert limit is not None
        values = {each["name"]: each.get("value") for each in body["parameters"]}
        chosen = [each for each in self.found if int(span[1]) <= each[1] <= int(span[2]) and each[0] >= values["after"]]
        return rows(
            KEYS, [[values["id0"], record, str(version), kind] for record, version, kind in chosen[: int(limit[1])]]
        )


@pytest.mark.parametrize("page", [2, 3, 4, 100])
def test_keys_come_page_by_page_each_once(server: FaultyServer, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(changes, "_PAGE", page)
    made = [
        ("a", 1, "insert"),
        *((record, 2, "insert") for record in "abcdefg"),
        ("b", 3, "delete"),
        ("c", 5, "insert"),
    ]
    server.route = Table(*made)
    found = list(service_of(server).keys(ROUTING, Versions(0, 9), ["1001"]))
    assert sorted(found) == sorted(("1001", Key(*each)) for each in made)


def test_a_record_id_that_is_none_does_not_turn_pages_for_ever(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_PAGE", 2)
    server.route = Table(*[("same", 1, "insert")] * 5)
    with pytest.raises(BadAnswerError, match="name one record"):
        list(service_of(server).keys(ROUTING, Versions(0, 9), ["1001"]))


def test_company_ids_are_bound_and_never_part_of_the_text(server: FaultyServer) -> None:
    server.route = lambda _: rows(KEYS, [])
    list(service_of(server).keys(ROUTING, Versions(0, 9), ["1'; DROP TABLE x --"]))
    assert "DROP" not in sent(server)[0]["statement"]


def test_a_table_without_quarantine_has_nothing_in_it(server: FaultyServer) -> None:
    server.route = lambda _: refused("TABLE_OR_VIEW_NOT_FOUND")
    assert service_of(server).quarantined(Versions(0, 9), ["1001"]) == set()
    server.route = lambda _: rows(KEYS, [["1001", "a", "3", "insert"]])
    assert service_of(server).quarantined(Versions(0, 9), ["1001"]) == {("1001", Key("a", 3, "insert"))}


@pytest.mark.parametrize(
    ("error_class", "why", "divisible"),
    [
        ("DELTA_MISSING_CHANGE_DATA", "was not on", False),
        ("DELTA_CHANGE_DATA_FILE_NOT_FOUND", "VACUUM", False),
        ("DELTA_VERSION_NOT_FOUND", "log does not reach", False),
        ("FAILED_READ_FILE.DBR_FILE_NOT_EXIST", "VACUUM", False),
        ("DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE", "columns changed", True),
        ("DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA", "columns changed", True),
    ],
)
def test_what_can_not_be_read_says_why_and_what_remains(
    server: FaultyServer, error_class: str, why: str, divisible: bool
) -> None:
    server.route = lambda _: refused(error_class)
    with pytest.raises(UnreadableChangesError) as caught:
        service_of(server).counts(ROUTING, Versions(3, 9))
    assert why in caught.value.why
    assert caught.value.divisible is divisible
    assert caught.value.remains


def test_of_a_single_version_no_shorter_range_is_promised(server: FaultyServer) -> None:
    server.route = lambda _: refused("DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA")
    told = []
    for versions in (Versions(3, 9), Versions(3, 3)):
        with pytest.raises(UnreadableChangesError) as caught:
            service_of(server).counts(ROUTING, versions)
        told.append(caught.value.remains)
    assert "shorter ranges can be read" in told[0]
    assert "no range is shorter" in told[1]
    assert "`endVersion`" in told[1]


def test_any_other_refusal_is_told_as_it_is(server: FaultyServer) -> None:
    server.route = lambda _: refused("UNRESOLVED_COLUMN.WITH_SUGGESTION")
    with pytest.raises(StatementError, match="UNRESOLVED_COLUMN") as caught:
        service_of(server).counts(ROUTING, Versions(3, 9))
    assert not isinstance(caught.value, UnreadableChangesError)

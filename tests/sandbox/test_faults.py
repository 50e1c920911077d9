"""Faults are switched by name and place, heal by hand or by time, and refuse what does not exist."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from lpmops.sandbox.faults import FAULTS, FaultBoard, FaultError


class Environment:
    """Remembers what was done to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.done: list[tuple[str, object]] = []
        self.changed = threading.Event()

    def _note(self, what: str, value: object) -> None:
        self.done.append((what, value))
        if value is False or what == "start_analytics":
            self.changed.set()

    def database_of(self, company: str) -> str | None:
        return {"1001": "lpm-01", "1002": "lpm-02"}.get(company)

    def stop_analytics(self) -> None:
        self._note("stop_analytics", None)

    def start_analytics(self) -> None:
        self._note("start_analytics", None)

    def fail_analytics(self) -> None:
        self._note("fail_analytics", None)

    def throttle_hub(self, on: bool) -> None:
        self._note("throttle_hub", on)

    def close_databases(self, names: Iterable[str], on: bool) -> None:
        self._note(f"close_databases {sorted(names)}", on)

    def lose_events(self, companies: frozenset[str], on: bool) -> None:
        self._note(f"lose_events {sorted(companies)}", on)

    def double_events(self, on: bool) -> None:
        self._note("double_events", on)

    def expire_events(self, on: bool) -> None:
        self._note("expire_events", on)

    def break_replays(self, on: bool) -> None:
        self._note("break_replays", on)

    def lose_rows(self, companies: frozenset[str]) -> None:
        self._note(f"lose_rows {sorted(companies)}", None)

    def fail_stream_job(self, on: bool) -> None:
        self._note("fail_stream_job", on)

    def expire_sign_in(self, on: bool) -> None:
        self._note("expire_sign_in", on)

    def take_right(self, kind: str, databases: Iterable[str], on: bool) -> None:
        self._note(f"take_right {kind} {sorted(databases)}", on)

    def throttle_management(self, on: bool) -> None:
        self._note("throttle_management", on)

    def hang_management(self, on: bool) -> None:
        self._note("hang_management", on)


@pytest.fixture
def environments() -> dict[str, Environment]:
    return {name: Environment(name) for name in ("dev", "prod")}


@pytest.fixture
def board(environments: dict[str, Environment]) -> FaultBoard:
    return FaultBoard(environments.values())


def test_a_fault_concerns_only_the_named_environment_and_company(
    board: FaultBoard, environments: dict[str, Environment]
) -> None:
    board.switch_on("sql.unreachable", ["prod"], ["1002"], None)
    assert environments["prod"].done == [("close_databases ['lpm-02']", True)]
    assert environments["dev"].done == []
    board.heal("sql.unreachable", [])
    assert environments["prod"].done[-1] == ("close_databases ['lpm-02']", False)
    assert board.active() == []


@pytest.mark.parametrize("name", list(FAULTS))
def test_every_fault_undoes_what_it_did(name: str, board: FaultBoard, environments: dict[str, Environment]) -> None:
    board.switch_on(name, [], [], None)
    board.heal(None, [])
    for environment in environments.values():
        assert len(environment.done) == (1 if FAULTS[name].once else 2)
        assert board.heal(None, []) == []


def test_rows_that_were_lost_are_lost_once(board: FaultBoard, environments: dict[str, Environment]) -> None:
    board.switch_on("sql.rows_lost", ["dev"], ["1001"], None)
    board.switch_on("sql.rows_lost", ["dev"], ["1002"], None)
    board.heal(None, [])
    assert environments["dev"].done == [("lose_rows ['1001']", None), ("lose_rows ['1002']", None)]


def test_a_fault_with_a_time_heals_by_itself(board: FaultBoard, environments: dict[str, Environment]) -> None:
    board.switch_on("hub.throttled", ["dev"], [], 0.01)
    assert environments["dev"].changed.wait(5)
    assert environments["dev"].done == [("throttle_hub", True), ("throttle_hub", False)]


def test_a_database_that_two_faults_broke_stays_broken_until_both_are_healed(
    board: FaultBoard, environments: dict[str, Environment]
) -> None:
    board.switch_on("sql.unreachable", ["dev"], ["1001"], None)
    board.switch_on("sql.unreachable", ["dev"], [], 0.01)
    assert environments["dev"].changed.wait(5)
    # `active` waits for the board, which is still about its healing.
    assert [active.companies for active in board.active()] == [frozenset({"1001"})]
    assert environments["dev"].done[-1] == ("close_databases ['lpm-01']", True)


def test_what_was_left_broken_is_healed_by_the_next_board(environments: dict[str, Environment], tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    FaultBoard(environments.values(), file).switch_on("cdf.job_failed", ["prod"], [], None)
    FaultBoard(environments.values(), file).heal_what_was_left()
    assert environments["prod"].done == [("fail_stream_job", True), ("fail_stream_job", False)]
    assert FaultBoard(environments.values(), file).heal_what_was_left() == []


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[1]", '[{"name": "asa.melted"}]', '[{"name": "asa.melted", "environment": "dev", "companies": []}]'],
)
def test_a_damaged_memory_of_faults_never_keeps_a_sandbox_from_starting(
    content: str, environments: dict[str, Environment], tmp_path: Path
) -> None:
    (tmp_path / "faults.json").write_text(content, encoding="utf-8")
    assert FaultBoard(environments.values(), tmp_path / "faults.json").heal_what_was_left() == []


@pytest.mark.parametrize(
    ("name", "places", "companies", "says"),
    [
        ("asa.melted", [], [], "no fault"),
        ("asa.stopped", ["qa"], [], "no environment"),
        ("asa.stopped", [], ["1001"], "can't be aimed"),
        ("sql.unreachable", ["dev"], ["9999"], "no company 9999"),
    ],
)
def test_what_does_not_exist_is_refused_and_nothing_breaks(
    name: str,
    places: list[str],
    companies: list[str],
    says: str,
    board: FaultBoard,
    environments: dict[str, Environment],
) -> None:
    with pytest.raises(FaultError, match=says):
        board.switch_on(name, places, companies, None)
    assert environments["dev"].done == environments["prod"].done == []

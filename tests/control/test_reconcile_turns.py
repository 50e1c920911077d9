"""Reconciling by itself: what a turn looks at, when it is due, who takes it, and what it gives way to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lpmops.actions.action import Bench
from lpmops.actions.replay_proofs import StoredProofs
from lpmops.config import Config, Environment, Reconcile, Routing
from lpmops.control import reconcile_range, reconcile_standing, reconcile_turns
from lpmops.control.facts import Facts
from lpmops.control.health import stages
from lpmops.control.reconcile_standing import Standing
from lpmops.control.reconcile_turns import ReconcileTurns
from lpmops.control.reconciled import HAD_LANDED, Asked, Reconciliation
from lpmops.errors import LockedError
from lpmops.model import STAGES, Confidence, Health, Kind, Reading, Snapshot, Stage, Suspect
from lpmops.services.changes import Tally
from lpmops.store import lease, marks, proofs
from lpmops.store.connection import Store
from lpmops.versions import Versions
from tests.control.lakes import CONFIG, HERE, Lake
from tests.waiting import until

MINUTE = timedelta(minutes=1)


@pytest.fixture
def lake() -> Lake:
    """One company with a record in every version, and everything landed."""
    made = Lake()
    made.route("1001")
    for version in range(1, 21):
        made.commit("1001", version, f"a{version}")
    return made


@dataclass
class Watching:
    """Looks at a lake, and sees what is to be seen of it."""

    lake: Lake
    environment: Environment = HERE
    suspects: tuple[Suspect, ...] = ()
    health: dict[str, Health] = field(default_factory=dict)
    looked_ago: timedelta = timedelta()
    opened: list[str] = field(default_factory=list)

    @property
    def latest(self) -> Snapshot:
        readings = (Reading("latest_version", self.lake.versions, "version", None, "databricks"),)
        found = {
            name: Stage(name, self.health.get(name, Health.HEALTHY), "", readings=readings if name == "cdf" else ())
            for name in STAGES
        }
        return Snapshot(
            "test", Kind.TEST, self.lake.now - self.looked_ago, Health.HEALTHY, found, suspects=self.suspects
        )

    def open(self, environment: Environment, _: float) -> Any:
        self.opened.append(environment.name)
        return self.lake

    def turns(self, store: Store, **more: float) -> ReconcileTurns:
        config: Config = replace(CONFIG, reconcile=Reconcile(**{"interval": 300.0, "again_interval": 1_800.0, **more}))
        return ReconcileTurns(self, config, store, opener=self.open, now=lambda: self.lake.now)


def take(turns: ReconcileTurns) -> Standing:
    found = turns.take_turn()
    assert found is not None
    return found


def later(lake: Lake, minutes: float, commits: int = 0) -> None:
    """Time passes, and of a company commits come that land."""
    for version in range(lake.versions + 1, lake.versions + 1 + commits):
        lake.commit("1001", version, f"a{version}")
    lake.versions = lake.read_as_far_as = lake.versions + commits
    lake.now += minutes * MINUTE


def test_a_turn_proves_what_has_settled_and_says_when_the_next_one_comes(lake: Lake, store: Store) -> None:
    standing = take(Watching(lake).turns(store))
    assert (standing.proven, standing.left, standing.missing) == (Versions(0, 20), 0, 0)
    assert standing.words == "proven to version 20 at 12:10Z, next at 12:15Z"
    assert (standing.statements, reconcile_standing.recall(store, "test")) == (4, standing)


def test_what_is_too_young_for_the_first_turn_is_looked_at_as_soon_as_it_has_settled(lake: Lake, store: Store) -> None:
    lake.now = lake.at(1) + timedelta(seconds=30)
    turns = Watching(lake).turns(store)
    standing = take(turns)
    assert (standing.proven, standing.next_at) == (None, lake.now + MINUTE)
    assert "nothing is proven yet, next at 12:01Z; Versions from 0 on are not judged yet" in standing.words
    later(lake, 1)
    assert take(turns).proven == Versions(0, 20)


def test_a_look_of_long_ago_is_no_ground_for_a_turn(lake: Lake, store: Store) -> None:
    watching = Watching(lake, looked_ago=3 * MINUTE)
    assert take(watching.turns(store)).trouble == "it waits for a look"
    assert watching.opened == []


def test_a_turn_that_is_not_due_is_not_taken_and_costs_nothing(lake: Lake, store: Store) -> None:
    watching = Watching(lake)
    turns = watching.turns(store)
    take(turns)
    later(lake, 4, commits=3)
    assert turns.take_turn() is None
    assert len(watching.opened) == 1
    later(lake, 1)
    assert take(turns).proven == Versions(0, 23)


def test_a_loss_is_found_by_itself_and_until_it_is_filled(lake: Lake, store: Store) -> None:
    turns = Watching(lake).turns(store)
    take(turns)
    later(lake, 5, commits=2)
    lake.landed["lpm-01"] = [each for each in lake.landed["lpm-01"] if each[1].version != 21]
    standing = take(turns)
    assert standing.words == "proven to version 22 at 12:15Z, next at 12:20Z; 1 missing for 1 company"
    assert [(str(gap.versions), gap.why) for gap in proofs.gaps(store, "test", "table-1")] == [("21:21", "")]
    later(lake, 5)
    lake.land("1001", 21, "a21")
    assert take(turns).missing == 0


def test_rows_that_are_taken_away_after_they_were_proven_are_found_by_looking_once_more(
    lake: Lake, store: Store
) -> None:
    turns = Watching(lake).turns(store)
    take(turns)
    lake.landed["lpm-01"] = [each for each in lake.landed["lpm-01"] if each[1].version != 7]
    later(lake, 30)
    standing = take(turns)
    assert (standing.missing, standing.again, standing.statements) == (1, Versions(0, 20), 6)
    assert standing.again_at == lake.now
    assert [(str(gap.versions), gap.why) for gap in proofs.gaps(store, "test", "table-1")] == [("7:7", HAD_LANDED)]


def test_looking_once_more_goes_from_the_newest_to_the_oldest_and_begins_anew(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_turns, "SPANS_A_TURN", 9)
    monkeypatch.setattr(reconcile_range, "VERSIONS_A_SPAN", 8)
    turns = Watching(lake).turns(store, again_interval=60)
    take(turns)
    seen = []
    for _ in range(4):
        later(lake, 5)
        seen.append(str(take(turns).again))
    assert seen == ["16:20", "8:15", "0:7", "16:20"]


def test_looking_once_more_begins_anew_where_vacuum_took_what_was_proven_and_all_stays_complete(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_turns, "_SPAN_OF_VERSIONS", 8)
    turns = Watching(lake).turns(store, again_interval=60)
    take(turns)
    lake.gone_before = 9
    seen = []
    for _ in range(5):
        later(lake, 5)
        standing = take(turns)
        seen.append(None if standing.again is None else str(standing.again))
        assert (standing.gone, standing.left) == (0, 0)
    assert seen == ["13:20", "9:12", None, "13:20", "9:12"]
    assert proofs.unreadable(store, "test", "table-1") == ()
    found = lake.look(store)
    assert (found.complete, found.unreadable, lake.asked) == (True, (), [])


def test_what_was_never_proven_or_is_open_is_what_counts_as_gone(lake: Lake, store: Store) -> None:
    lake.landed["lpm-01"] = [each for each in lake.landed["lpm-01"] if each[1].version != 3]
    turns = Watching(lake).turns(store)
    take(turns)
    lake.gone_before = 9
    later(lake, 5)
    # One gap is open and can't be filled any more; what was complete when it was looked at stays proven.
    standing = take(turns)
    assert (standing.missing, standing.gone) == (1, 0)
    assert [str(each.versions) for each in lake.look(store).unreadable] == ["3:3"]


def test_what_was_proven_is_looked_at_again_at_its_own_pace(lake: Lake, store: Store) -> None:
    watching = Watching(lake)
    turns = watching.turns(store)
    for minutes, looked in ((0, False), (5, False), (25, True), (5, False), (25, True)):
        later(lake, minutes)
        assert (take(turns).statements > 4, len(lake.asked)) == (False, looked or minutes == 0)
        lake.asked.clear()
    # Nothing was committed: the turns between ask nobody.
    assert len(watching.opened) == 3


def test_looking_again_can_be_switched_off_and_all_of_it_too(lake: Lake, store: Store) -> None:
    watching = Watching(lake)
    assert watching.turns(store, interval=0).take_turn() is None
    turns = watching.turns(store, again_interval=0)
    take(turns)
    later(lake, 600)
    assert take(turns).again is None
    assert len(watching.opened) == 1


def test_a_turn_reads_no_more_than_its_share_the_newest_first_and_the_next_goes_on(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_turns, "SPANS_A_TURN", 2)
    monkeypatch.setattr(reconcile_range, "VERSIONS_A_SPAN", 4)
    turns = Watching(lake).turns(store, again_interval=0)
    assert take(turns).proven == Versions(16, 20)
    later(lake, 5, commits=12)
    standing = take(turns)
    assert (standing.proven, standing.left) == (Versions(25, 32), 4)
    assert "4 older versions wait" in standing.words
    later(lake, 5)
    # What is older than the first turn reached is for whoever asks for it.
    assert (take(turns).proven, lake.asked[-1].first >= 16) == (Versions(16, 32), True)


def test_what_waits_is_not_forgotten_while_nothing_can_be_judged(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_turns, "SPANS_A_TURN", 2)
    monkeypatch.setattr(reconcile_range, "VERSIONS_A_SPAN", 4)
    turns = Watching(lake).turns(store, again_interval=0)
    take(turns)
    later(lake, 5, commits=12)
    assert take(turns).left == 4
    later(lake, 5)
    lake.read_as_far_as = -1
    standing = take(turns)
    assert (standing.left, "left no trace" in standing.trouble) == (4, True)
    lake.read_as_far_as = lake.versions
    later(lake, 5)
    assert (take(turns).left, lake.asked[-1].first >= 16) == (0, True)


def test_gaps_that_lie_far_apart_take_turns_so_that_none_waits_for_ever(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.landed["lpm-01"] = [each for each in lake.landed["lpm-01"] if each[1].version not in {3, 7, 11, 15, 19}]
    turns = Watching(lake).turns(store, again_interval=0)
    assert take(turns).missing == 5
    monkeypatch.setattr(reconcile_turns, "SPANS_A_TURN", 2)
    monkeypatch.setattr(reconcile_range, "ROWS_BETWEEN", 0)
    lake.land("1001", 3, "a3")
    looked = []
    for _ in range(4):
        later(lake, 5)
        lake.asked.clear()
        missing = take(turns).missing
        looked.append(([each.first for each in lake.asked], missing))
    assert looked == [([19, 15], 5), ([11, 7], 5), ([3, 19], 4), ([15, 11], 4)]


def test_a_table_that_was_made_anew_is_looked_at_from_its_start(lake: Lake, store: Store) -> None:
    turns = Watching(lake).turns(store)
    take(turns)
    lake.table_id = "table-2"
    lake.versions = lake.read_as_far_as = 7
    later(lake, 60)
    standing = take(turns)
    assert (standing.table_id, standing.proven, standing.trouble) == ("table-2", Versions(0, 7), "")


def test_a_turn_is_given_up_when_a_person_looks(lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_range, "VERSIONS_A_SPAN", 4)
    turns, counts = Watching(lake).turns(store), lake.counts
    by_hand = list[Reconciliation]()

    def meanwhile(routing: Routing, versions: Versions) -> dict[str, Tally]:
        monkeypatch.setattr(lake, "counts", counts)
        by_hand.append(lake.look(store))
        lake.asked.clear()
        return counts(routing, versions)

    monkeypatch.setattr(lake, "counts", meanwhile)
    standing = take(turns)
    assert by_hand[0].complete
    # Of the turn's four spans the one that was under way.
    assert (len(lake.asked), standing.trouble) == (1, "somebody looks at this moment")
    assert lease.holder(store, "reconcile test", lake.now) is None
    later(lake, 1)
    assert take(turns).proven == Versions(0, 20)


def test_what_a_turn_has_read_when_a_person_looks_is_not_written_over_what_that_one_found(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(lake, store, monkeypatch)
    assert take(Watching(lake).turns(store)).trouble == "somebody looks at this moment"
    assert proofs.read(store, "test", "table-1").of("") == (Versions(17, 20),)


def test_a_person_who_is_overtaken_by_another_is_told_so_and_writes_no_more(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(lake, store, monkeypatch)
    with pytest.raises(LockedError, match="Another reconciliation of test began on this machine") as raised:
        lake.look(store)
    assert raised.value.hint == "Go on where this one was: lpmops reconcile -e test"
    assert proofs.read(store, "test", "table-1").of("") == (Versions(17, 20),)
    assert lease.holder(store, "reconcile test", lake.now) is None
    assert lake.look(store).complete


def test_the_proof_of_a_replay_is_held_again_where_a_person_looks_meanwhile(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = cast(Bench, SimpleNamespace(config=CONFIG, environment=HERE, services=lake, now=lambda: lake.now))
    meanwhile(lake, store, monkeypatch)
    found = StoredProofs(store).hold(bench, Asked(versions=Versions(3, 9), again=True))
    assert (found.complete, found.versions) == (True, Versions(3, 9))
    assert proofs.read(store, "test", "table-1").of("") == (Versions(3, 9), Versions(17, 20))


def test_a_proof_that_is_overtaken_again_and_again_says_so(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = lake.counts

    def answer(routing: Routing, versions: Versions) -> dict[str, Tally]:
        if versions != Versions(17, 20):
            lake.look(store, Asked(versions=Versions(17, 20), again=True))
        return counts(routing, versions)

    monkeypatch.setattr(lake, "counts", answer)
    bench = cast(Bench, SimpleNamespace(config=CONFIG, environment=HERE, services=lake, now=lambda: lake.now))
    with pytest.raises(LockedError, match="Another reconciliation of test began"):
        StoredProofs(store).hold(bench, Asked(versions=Versions(3, 9), again=True))


def meanwhile(lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the next count of the source is under way, a person looks at four versions."""
    counts = lake.counts

    def answer(routing: Routing, versions: Versions) -> dict[str, Tally]:
        monkeypatch.setattr(lake, "counts", counts)
        assert lake.look(store, Asked(versions=Versions(17, 20))).complete
        return counts(routing, versions)

    monkeypatch.setattr(lake, "counts", answer)


def test_a_lease_that_lapsed_in_a_slow_statement_and_that_nobody_took_ends_no_turn(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_range, "VERSIONS_A_SPAN", 8)
    counts = lake.counts

    def slowly(routing: Routing, versions: Versions) -> dict[str, Tally]:
        lake.now += 11 * MINUTE
        return counts(routing, versions)

    monkeypatch.setattr(lake, "counts", slowly)
    standing = take(Watching(lake).turns(store))
    assert (standing.proven, standing.trouble) == (Versions(0, 20), "")


def test_the_lease_is_kept_while_the_keys_of_one_span_are_compared(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.landed["lpm-01"] = [each for each in lake.landed["lpm-01"] if each[1].version != 7]
    search, held = lake.search, list[bool]()

    def slowly(database: str, query_name: str, parameters: Sequence[Any] = ()) -> list[Mapping[str, Any]]:
        if query_name == "landed_keys_of_company":
            held.append(lease.holder(store, "reconcile test", lake.now) is not None)
            lake.now += 4 * MINUTE
        return search(database, query_name, parameters)

    monkeypatch.setattr(lake, "search", slowly)
    assert take(Watching(lake).turns(store)).missing == 1
    assert (len(held) > 5, set(held)) == (True, {True})


def test_one_process_takes_the_turns_and_another_goes_on_when_it_is_gone(lake: Lake, store: Store) -> None:
    watching = Watching(lake)
    assert lease.take(store, "reconcile test", "another", lake.now, 600)
    turns = watching.turns(store)
    assert turns.take_turn() is None
    lease.release(store, "reconcile test", "another")
    take(turns)
    assert lease.holder(store, "reconcile test", lake.now) is None
    assert watching.turns(store).take_turn() is None


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"suspects": (Suspect("sql.throttled", "sql", Confidence.SURE, "x"),)}, "it waits while sql.throttled lasts"),
        ({"health": {"cdf": Health.UNKNOWN}}, "it waits while cdf is unknown"),
        ({"health": {"asa": Health.DEGRADED}}, "it waits while asa is degraded"),
        ({"health": {"sql": Health.DEGRADED}}, "it waits while sql is degraded"),
    ],
)
def test_a_turn_gives_way_while_something_fails_and_is_taken_afterwards(
    lake: Lake, store: Store, seen: dict[str, Any], words: str
) -> None:
    watching = Watching(lake, **seen)
    turns = watching.turns(store)
    assert (take(turns).trouble, watching.opened) == (words, [])
    watching.suspects, watching.health = (), {}
    standing = take(turns)
    assert (standing.trouble, standing.proven) == ("", Versions(0, 20))


def test_a_stream_that_does_not_run_keeps_nobody_from_looking_at_what_it_sent(lake: Lake, store: Store) -> None:
    assert take(Watching(lake, health={"cdf": Health.DOWN}).turns(store)).proven == Versions(0, 20)


def test_a_warehouse_that_stands_is_not_started(lake: Lake, store: Store) -> None:
    lake.warehouse_state = "STOPPED"
    turns = Watching(lake).turns(store)
    assert take(turns).trouble == "the warehouse is stopped, and is not started for this"
    assert lake.asked == []
    later(lake, 5)
    lake.warehouse_state = "RUNNING"
    assert take(turns).proven == Versions(0, 20)


def test_a_source_that_fails_is_asked_less_and_less_often(lake: Lake, store: Store) -> None:
    lake.dead = {"lpm-control"}
    turns = Watching(lake).turns(store)
    waits = []
    for _ in range(5):
        standing = take(turns)
        assert standing.next_at is not None
        waits.append((standing.next_at - lake.now) / MINUTE)
        lake.now = standing.next_at
    assert waits == [10, 20, 40, 60, 60]
    assert "lpm-control does not answer" in standing.trouble
    lake.dead = set()
    assert take(turns).failures == 0


def test_a_clock_that_was_ahead_keeps_no_turn_from_being_taken(lake: Lake, store: Store) -> None:
    turns = Watching(lake).turns(store)
    lake.now += 1_000 * MINUTE
    take(turns)
    lake.now -= 990 * MINUTE
    assert turns.take_turn() is not None


def test_the_thread_takes_turns_and_says_what_goes_wrong(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_turns, "_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(reconcile_turns, "_GLANCE_SECONDS", 0.01)
    turns = Watching(lake).turns(store)
    cast(Any, lake).feed = lambda: 1 / 0
    turns.start()
    until(lambda: "failed to reconcile test: ZeroDivisionError" in turns.warning)
    del lake.feed
    until(lambda: turns.warning == "")
    turns.close()
    assert reconcile_standing.recall(store, "test") is not None


def test_status_shows_how_far_all_is_proven(lake: Lake, store: Store) -> None:
    standing = take(Watching(lake).turns(store))
    found = stages(Facts("test", Kind.TEST, lake.now, standing=standing), CONFIG.thresholds)["sql"].readings
    shown = {each.name: (each.value, each.at) for each in found if each.source == "reconcile"}
    assert shown["proven_to"] == (20, lake.now)
    assert shown["reconcile"] == ("proven to version 20 at 12:10Z, next at 12:15Z", lake.now)
    assert shown["next_reconcile_at"][0] == "2026-11-23T12:15:00.000Z"


def test_a_standing_of_another_lpmops_is_no_standing(store: Store, lake: Lake) -> None:
    for strange in (["x"], {"at": 3}, {"at": "2026-11-23T12:00:00Z", "proven": {"first": 9, "last": 3}}):
        marks.remember(store, "test", "reconcile", lake.now, strange)
        assert reconcile_standing.recall(store, "test") is None

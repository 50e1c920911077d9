"""Source against landing tables: what is missing, doubled, extra, and what can't be told; and what a proof saves the next time."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmops.config import Thresholds
from lpmops.control import reconcile_range
from lpmops.control.diagnose import diagnose
from lpmops.control.facts import Facts, RouteRow
from lpmops.control.hands import StopRequest
from lpmops.control.health import overall
from lpmops.control.plan import Danger, Plan, Step, plan_data
from lpmops.control.reconcile_next import next_steps
from lpmops.control.reconciled import HAD_LANDED, Asked
from lpmops.errors import ForbiddenError, NotFoundError, SignInError, UsageError
from lpmops.model import STAGES, Health, Kind, Stage, StreamingJob, Suspect
from lpmops.services.changes import Key
from lpmops.store import codec, journal, proofs
from lpmops.store.connection import Store, open_store
from lpmops.store.journal import OperationRow, StepRow
from lpmops.versions import Versions
from tests.control.lakes import HERE, START, Lake


@pytest.fixture
def lake() -> Lake:
    """Two companies, each with a record in every version, and everything landed."""
    made = Lake()
    made.route("1001")
    made.route("1002", "lpm-02")
    for version in range(1, 21):
        made.commit("1001", version, f"a{version}")
        made.commit("1002", version, f"b{version}", landed="lpm-02")
    return made


def unland(lake: Lake, company: str, *versions: int) -> None:
    for database, rows in lake.landed.items():
        lake.landed[database] = [each for each in rows if not (each[0] == company and each[1].version in versions)]


def test_what_landed_once_is_complete(lake: Lake, store: Store) -> None:
    found = lake.look(store)
    assert found.complete
    assert (found.versions, found.looked_at, found.waiting_from) == (Versions(0, 20), (Versions(0, 20),), None)
    assert [(each.company_id, each.source, each.landed) for each in found.companies] == [
        ("1001", 20, 20),
        ("1002", 20, 20),
    ]
    assert lake.asked_keys == []


def test_what_did_not_land_is_told_with_its_versions(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 5, 6, 7, 12)
    found = lake.look(store)
    company = found.companies[0]
    assert not found.complete
    assert (company.missing, company.repairable, found.missing) == (4, 4, 4)
    assert [(str(gap.versions), gap.missing) for gap in company.gaps] == [("5:7", 3), ("12:12", 1)]
    assert found.companies[1].complete


def test_what_landed_twice_is_doubled_where_no_index_keeps_it_once(lake: Lake, store: Store) -> None:
    lake.land("1001", 3, "a3")
    company = lake.of("1001", store)
    assert (company.doubled, company.missing, company.extra, company.landed) == (1, 0, 0, 21)


def test_what_the_source_has_not_is_extra(lake: Lake, store: Store) -> None:
    lake.land("1001", 3, "never")
    lake.land("9", 4, "stranger")
    assert lake.of("1001", store).extra == 1
    stranger = lake.of("9", store)
    assert (stranger.extra, stranger.database) == (1, "")
    assert "stand in lpm-01" in stranger.gaps[0].why


def test_one_missing_and_one_extra_do_not_cancel_out(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 5)
    lake.land("1001", 5, "other")
    company = lake.of("1001", store)
    assert (company.source, company.landed, company.missing, company.extra) == (20, 20, 1, 1)


def test_rows_in_another_companys_database_are_extra_there_and_missing_here(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 8)
    lake.land("1001", 8, "a8", database="lpm-02")
    company = lake.of("1001", store)
    assert (company.missing, company.extra) == (1, 1)
    assert any("they stand in lpm-02, and the route leads to lpm-01" in gap.why for gap in company.gaps)


def test_while_a_company_moves_both_databases_are_its_own(lake: Lake, store: Store) -> None:
    lake.routes["1001"]["also_database"] = "LPM-02"
    lake.land("1001", 8, "a8", database="lpm-02")
    assert lake.look(store).complete


def test_changes_that_no_route_takes_are_told_and_not_missing(lake: Lake, store: Store) -> None:
    lake.commit("1003", 4, "c4", landed=None)
    company = lake.of("1003", store)
    assert (company.source, company.missing) == (1, 0)
    assert "no route takes it" in company.note


def test_a_paused_route_is_missing_what_passed_it(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 9)
    lake.routes["1001"]["state"] = "paused"
    company = lake.of("1001", store)
    assert company.missing == 1
    assert "paused" in company.note


def test_a_removed_route_misses_nothing_and_what_landed_stays_right(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 9)
    lake.routes["1001"]["state"] = "removed"
    lake.land("1001", 10, "never")
    company = lake.of("1001", store)
    assert (company.missing, company.extra) == (0, 1)


def test_changes_from_before_the_route_are_counted_apart(lake: Lake, store: Store) -> None:
    lake.route("1001", asked_at=START + timedelta(seconds=6))
    unland(lake, "1001", 3, 5, 6)
    company = lake.of("1001", store)
    assert (company.before, company.missing) == (2, 1)
    assert [str(gap.versions) for gap in company.gaps] == ["6:6"]


def test_changes_that_came_before_a_job_had_read_the_new_route_are_none_that_the_hub_lost(
    lake: Lake, store: Store
) -> None:
    lake.route("1001", asked_at=START + timedelta(seconds=3))
    unland(lake, "1001", 3, 5, 6)
    assert lake.of("1001", store).missing == 3
    lake.routes["1001"]["first_row_at"] = START + timedelta(seconds=6)
    company = lake.of("1001", store)
    assert (company.before, company.missing) == (2, 1)


def test_what_was_too_large_to_be_sent_is_in_quarantine_and_not_missing(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 3, 4)
    lake.put_aside = {("1001", Key("a3", 3, "insert"))}
    company = lake.of("1001", store)
    assert (company.quarantined, company.missing) == (1, 1)


def test_a_key_that_the_source_has_twice_can_not_be_sent_into_completeness(lake: Lake, store: Store) -> None:
    lake.commit("1001", 3, "a3", landed=None)
    company = lake.of("1001", store)
    assert (company.missing, company.repairable) == (1, 0)
    assert "more than once" in company.note


def pass_by(lake: Lake, company: str, *versions: int) -> None:
    """What a company's records did in these versions: no route took them."""
    unland(lake, company, *versions)
    lake.unrouted += [(company, Key(f"a{each}", each, "insert"), lake.at(each)) for each in versions]


def test_what_passed_by_while_a_route_was_paused_is_told_from_what_the_hub_lost(lake: Lake, store: Store) -> None:
    pass_by(lake, "1001", 5, 6, 7)
    # A replay that came before the route was resumed.
    lake.unrouted.append(("1001", Key("a5", 5, "insert"), lake.at(500)))
    unland(lake, "1001", 7, 8)
    lake.commit("1001", 7, "lost", landed=None)
    lake.commit("1001", 9, "doubled")
    lake.land("1001", 9, "doubled")
    for _ in range(2):
        company = lake.of("1001", store)
        assert (company.missing, company.repairable, company.doubled) == (5, 5, 1)
        passed = "no route took them from 2026-11-23 12:00:05Z to 2026-11-23 12:00:07Z"
        assert [(str(gap.versions), gap.missing, gap.why) for gap in company.gaps] == [
            ("5:7", 3, passed),
            ("7:9", 2, ""),
        ]
        assert f"3 of the missing: {passed}" in company.note
    for version in (5, 6, 7):
        lake.land("1001", version, f"a{version}")
    company = lake.of("1001", store)
    assert [(str(gap.versions), gap.why) for gap in company.gaps] == [("7:9", "")]


def test_what_passed_by_a_paused_route_says_since_when_it_is_paused(lake: Lake, store: Store) -> None:
    pass_by(lake, "1001", 5, 6)
    lake.routes["1001"] |= {"state": "paused", "changed_at": lake.at(4)}
    (gap,) = lake.of("1001", store).gaps
    passed = "no route took them from 2026-11-23 12:00:05Z to 2026-11-23 12:00:06Z"
    assert gap.why == f"{passed}: its route is paused since 2026-11-23 12:00:04Z"
    lake.routes["1001"]["changed_at"] = lake.at(100)
    (gap,) = lake.of("1001", store).gaps
    assert gap.why == passed


def change_state(store: Store, action: str, company: str, after: str, at: datetime) -> None:
    """An operation of this machine that paused or resumed a route at a moment."""
    step = Step(action, "route.state", company, {"before": "x", "after": after, "database": "lpm-01", "by": "x"})
    plan = Plan(
        action, "test", Kind.TEST, {}, "test", "", Danger.REVERSIBLE, (step,), {}, {}, at, "x", "lpmops"
    )  # fmt: skip
    row = OperationRow(
        f"op-{action}", action, "test", plan.fingerprint, json.dumps(plan_data(plan)), "{}", f"approval of {action}", "lpmops", "x", "", "", 1,
        "succeeded", codec.milliseconds(at - timedelta(seconds=1)),
    )  # fmt: skip
    journal.create(
        store, row, [StepRow(row.id, 0, step.name, "done", 1, codec.milliseconds(at), codec.milliseconds(at))]
    )


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ((5, 6), "05Z to 2026-11-23 12:00:06Z: its route was paused from 2026-11-23 12:00:04Z to 2026-11-23 12:00:08Z"),
        # What came before the pause was asked for is not explained by it.
        ((2, 5), "02Z to 2026-11-23 12:00:05Z"),
    ],
)
def test_what_passed_by_while_this_machine_had_paused_the_route_says_from_when_to_when(
    lake: Lake, store: Store, versions: tuple[int, ...], words: str
) -> None:
    pass_by(lake, "1001", *versions)
    change_state(store, "route.pause", "1001", "paused", lake.at(4))
    change_state(store, "route.resume", "1001", "active", lake.at(8))
    whys = {gap.why for gap in lake.of("1001", store).gaps}
    assert whys == {f"no route took them from 2026-11-23 12:00:{words}"}


def test_where_what_no_route_took_can_not_be_read_nothing_is_said_of_it(lake: Lake, store: Store) -> None:
    pass_by(lake, "1001", 5)
    lake.refuses = {"unrouted_keys_of_companies": ForbiddenError("lpm-control refuses it.", service="azuresql")}
    found = lake.look(store)
    assert [gap.why for gap in found.companies[0].gaps] == [""]
    assert "What no route took can't be told from what was lost: lpm-control refuses" in found.warnings[0]


def test_whose_sign_in_ends_while_they_look_is_asked_to_sign_in_and_told_of_no_loss(lake: Lake, store: Store) -> None:
    pass_by(lake, "1001", 5)
    lake.refuses = {"unrouted_keys_of_companies": SignInError("The sign-in has ended.", service="entra")}
    with pytest.raises(SignInError):
        lake.look(store)
    assert proofs.read(store, "test", "table-1").gaps == ()


# What can't be told -------------------------------------------------------------------------------------------------------------------------------


def test_a_dead_database_leaves_its_companies_unknown_and_the_others_known(lake: Lake, store: Store) -> None:
    lake.dead = {"lpm-02"}
    found = lake.look(store)
    first, second = found.companies
    assert first.complete
    assert not second.complete
    assert "lpm-02 does not answer" in second.unread
    assert not found.complete
    lake.dead = set()
    after = lake.look(store)
    assert after.complete
    assert after.looked_at == (Versions(0, 20),)


def test_a_company_of_a_dead_database_is_unknown_even_where_nothing_of_it_changed(lake: Lake, store: Store) -> None:
    lake.route("1004", "lpm-02")
    lake.dead = {"lpm-02"}
    assert not lake.of("1004", store).complete


def test_vacuumed_versions_are_named_and_the_rest_is_judged(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 15)
    lake.gone_before = 7
    found = lake.look(store)
    (gone,) = found.unreadable
    assert (str(gone.versions), gone.why) == ("0:6", "VACUUM has removed the files of their changes.")
    assert gone.remains.startswith("What remains is a load. What reached the hub is kept there for 7 days")
    assert found.looked_at == (Versions(7, 20),)
    assert found.missing == 1


def test_a_gap_whose_changes_are_vacuumed_is_beyond_repair(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 3)
    assert lake.of("1001", store).repairable == 1
    lake.gone_before = 21
    company = lake.of("1001", store)
    assert (company.missing, company.repairable) == (1, 0)
    lake.now += timedelta(days=9)
    (gone,) = lake.look(store, Asked(again=True)).unreadable
    assert (str(gone.versions), gone.remains) == ("0:20", "What remains is a load.")


def test_what_can_not_be_read_any_more_is_told_again_and_not_asked_for_again(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 3, 15)
    lake.look(store)
    lake.gone_before = 7
    lake.look(store, Asked(again=True))
    found = lake.look(store)
    assert ([str(each.versions) for each in found.unreadable], lake.asked) == (["3:3"], [Versions(15, 15)])
    assert [(str(gap.versions), gap.repairable) for gap in found.companies[0].gaps] == [("3:3", 0), ("15:15", 1)]


def test_what_was_proven_stays_so_when_its_changes_are_vacuumed(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 3)
    lake.look(store)
    lake.gone_before = 7
    again = lake.look(store, Asked(again=True))
    assert ([str(each.versions) for each in again.unreadable], again.complete) == (["0:6"], False)
    assert lake.look(store, Asked(versions=Versions(4, 5))).complete
    whole = lake.look(store, Asked(companies=("1002",)))
    assert (whole.complete, whole.unreadable) == (True, ())


def test_what_nobody_looked_at_before_its_changes_were_vacuumed_is_never_complete(lake: Lake, store: Store) -> None:
    lake.look(store, Asked(versions=Versions(2, 4)))
    lake.gone_before = 7
    for _ in range(2):
        found = lake.look(store)
        assert [str(each.versions) for each in found.unreadable] == ["0:1", "5:6"]


def test_of_a_gap_that_is_vacuumed_in_part_only_the_rest_can_be_sent_again(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 5, 6, 7, 8)
    lake.look(store)
    lake.gone_before = 7
    for _ in range(2):
        company = lake.of("1001", store)
        assert (company.missing, company.repairable) == (4, 2)
        assert [(str(gap.versions), gap.missing, gap.repairable) for gap in company.gaps] == [
            ("5:6", 2, 0),
            ("7:8", 2, 2),
        ]


def test_what_a_former_table_lost_is_told_apart_and_not_taken_for_the_new_ones(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 5, 6)
    lake.look(store)
    for version in (5, 6):
        lake.land("1001", version, f"a{version}")
    lake.table_id = "table-2"
    for _ in range(2):
        found = lake.look(store)
        assert found.complete
        assert (
            "its former self (table-1) went with it. 2 of them were missing for 1 company. What remains"
            in found.warnings[0]
        )
    (gap,) = proofs.gaps(store, "test", "table-1")
    assert (gap.missing, gap.repairable) == (2, 0)


def test_a_change_of_columns_is_read_on_both_sides_of_it(lake: Lake, store: Store) -> None:
    lake.shapes_change_at = 9
    found = lake.look(store)
    assert found.complete
    assert found.looked_at == (Versions(0, 20),)


def test_versions_from_before_the_feed_were_never_recorded(lake: Lake, store: Store) -> None:
    lake.feed_since = 5
    assert lake.look(store).versions == Versions(5, 20)
    found = lake.look(store, Asked(versions=Versions(2, 8), again=True))
    assert [str(each.versions) for each in found.unreadable] == ["2:4"]
    assert found.versions == Versions(5, 8)


def test_what_is_young_is_not_judged_yet(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 18, 19, 20)
    lake.now = START + timedelta(seconds=77)
    found = lake.look(store)
    assert (found.versions, found.waiting_from, found.missing) == (Versions(0, 17), 18, 0)
    assert "younger than 60 s" in found.warnings[0]


def test_what_the_stream_has_not_read_is_not_judged(lake: Lake, store: Store) -> None:
    lake.read_as_far_as = 11
    assert lake.look(store).waiting_from == 12
    lake.read_as_far_as = -1
    nothing = lake.look(store)
    assert (nothing.versions, nothing.waiting_from) == (None, 0)


def test_what_waits_in_the_hub_for_a_job_that_stands_is_not_missing(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 15)
    lake.jobs_there = [
        StreamingJob("asa-01", "/x", "Stopped", "westeurope", last_output_at=START + timedelta(seconds=70))
    ]
    found = lake.look(store)
    assert (found.waiting_from, found.missing) == (11, 0)
    assert "asa-01 stands since" in found.warnings[0]


def test_what_came_after_the_newest_heartbeat_that_is_through_may_be_on_its_way(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
    lake.beat = START + timedelta(seconds=70)
    found = lake.look(store)
    assert (found.waiting_from, found.missing) == (11, 0)
    assert "may be on its way" in found.warnings[0]


# What is asked for --------------------------------------------------------------------------------------------------------------------------------


def test_a_range_and_a_moment_narrow_what_is_looked_at(lake: Lake, store: Store) -> None:
    assert lake.look(store, Asked(versions=Versions(3, 5))).looked_at == (Versions(3, 5),)
    assert lake.look(store, Asked(since=START + timedelta(seconds=18))).looked_at == (Versions(18, 20),)
    assert lake.look(store, Asked(since=lake.now)).versions is None


def test_versions_that_are_yet_to_come_are_refused(lake: Lake, store: Store) -> None:
    with pytest.raises(UsageError, match="newest version is 20"):
        lake.look(store, Asked(versions=Versions(3, 21)))


def test_a_company_that_nobody_knows_is_not_found(lake: Lake, store: Store) -> None:
    with pytest.raises(NotFoundError, match="no company 77"):
        lake.look(store, Asked(companies=("77",)))


def test_of_one_company_only_that_one_is_told_and_proven(lake: Lake, store: Store) -> None:
    unland(lake, "1002", 4)
    found = lake.look(store, Asked(companies=("1001",)))
    assert [each.company_id for each in found.companies] == ["1001"]
    assert found.complete
    assert lake.look(store, Asked(companies=("1001",))).looked_at == ()
    assert lake.look(store).missing == 1


# What is remembered -------------------------------------------------------------------------------------------------------------------------------


def test_what_was_proven_is_not_read_again(lake: Lake, store: Store) -> None:
    lake.look(store)
    lake.versions = lake.read_as_far_as = 22
    lake.commit("1001", 21, "a21")
    found = lake.look(store)
    assert found.complete
    assert lake.asked == [Versions(21, 22)]


def test_again_looks_at_everything(lake: Lake, store: Store) -> None:
    lake.look(store)
    unland(lake, "1001", 5)
    assert lake.look(store).complete
    assert lake.look(store, Asked(again=True)).missing == 1


def test_open_gaps_that_lie_close_together_are_read_together_and_only_those_far_apart_each_alone(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_range, "ROWS_BETWEEN", 30)
    lake.commit("1001", 12, *(f"many{number}" for number in range(31)))
    unland(lake, "1001", 3, 5, 8, 16)
    found = lake.look(store)
    again = lake.look(store)
    assert lake.asked == [Versions(3, 8), Versions(16, 16)]
    assert again.companies[0].gaps == found.companies[0].gaps


def test_a_gap_that_was_filled_is_closed_also_where_it_meets_another_at_the_border_of_a_span(
    lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_range, "VERSIONS_A_SPAN", 4)
    unland(lake, "1001", 1, 2, 3, 4, 5, 6)
    assert lake.look(store).missing == 6
    for version in range(1, 7):
        lake.land("1001", version, f"a{version}")
    assert lake.look(store).complete
    assert (lake.asked, proofs.gaps(store, "test", "table-1")) == ([Versions(1, 3), Versions(4, 6)], ())


def test_versions_that_the_history_does_not_hold_join_no_gaps() -> None:
    timeline = reconcile_range.Timeline(())
    assert timeline.gathered([Versions(1_000, 1_000), Versions(900_000, 900_000)]) == (
        Versions(1_000, 1_000),
        Versions(900_000, 900_000),
    )
    assert timeline.gathered([Versions(1, 1), Versions(3, 3)]) == (Versions(1, 1), Versions(3, 3))


def test_an_open_gap_is_looked_at_again_until_it_is_filled(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 5, 6)
    lake.look(store)
    assert lake.look(store).missing == 2
    assert lake.asked == [Versions(5, 6)]
    lake.land("1001", 5, "a5")
    lake.land("1001", 6, "a6")
    assert lake.look(store).complete
    assert lake.look(store).looked_at == ()


def test_a_gap_that_reaches_out_of_what_was_asked_stays_open(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 5, 6)
    lake.look(store)
    lake.look(store, Asked(versions=Versions(6, 8), again=True))
    assert lake.look(store).missing == 2


def test_a_table_that_was_made_anew_starts_afresh(lake: Lake, store: Store) -> None:
    lake.look(store)
    lake.table_id = "table-2"
    assert lake.look(store).looked_at == (Versions(0, 20),)


def test_a_run_that_is_stopped_goes_on_where_it_was(lake: Lake, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_range, "VERSIONS_A_SPAN", 7)
    stop = StopRequest()
    heard = list[str]()

    def tell(text: str) -> None:
        heard.append(text)
        stop.requested = len(heard) == 2

    found = lake.look(store, tell=tell, stop=stop)
    assert heard[0] == "span 1 of 3: versions 0:6"
    assert found.looked_at == (Versions(0, 13),)
    assert [str(each.versions) for each in found.unreadable] == ["14:20"]
    assert lake.look(store).looked_at == (Versions(14, 20),)


# Every multiset -----------------------------------------------------------------------------------------------------------------------------------

KEYS = st.tuples(
    st.sampled_from(["1001", "1002"]),
    st.builds(Key, st.sampled_from("xyz"), st.integers(1, 12), st.sampled_from(["insert", "delete"])),
)
CHANGES = st.lists(KEYS, max_size=30)


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for many examples, each with a table of its own."""
    store = open_store(tmp_path_factory.mktemp("store") / "lpmops.db")
    # What is written here need not outlive the machine.
    store.connection().execute("PRAGMA synchronous=OFF")
    yield store
    store.close()


@settings(max_examples=60, deadline=None)
@given(source=CHANGES, landed=CHANGES, rows=st.integers(1, 9), versions=st.integers(1, 13))
def test_whatever_the_spans_the_difference_is_that_of_the_multisets_until_it_is_filled(
    shared_store: Store,
    source: list[tuple[str, Key]],
    landed: list[tuple[str, Key]],
    rows: int,
    versions: int,
) -> None:
    lake = Lake(source=source, landed={"lpm-01": landed, "lpm-02": []}, versions=12, read_as_far_as=12)
    lake.table_id = str(uuid.uuid4())
    lake.route("1001")
    lake.route("1002")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reconcile_range, "ROWS_A_SPAN", rows)
        patched.setattr(reconcile_range, "VERSIONS_A_SPAN", versions)
        found = lake.look(shared_store)
        lake.landed = {"lpm-01": source, "lpm-02": []}
        filled = lake.look(shared_store)
    left = proofs.gaps(shared_store, "test", lake.table_id)
    assert (filled.complete, left) == (True, ())
    wanted, have = Counter(source), Counter(landed)
    for each in found.companies:
        lacking = (wanted - have).items()
        more = (have - wanted).items()
        mine = each.company_id
        assert each.missing == sum(count for (company, _), count in lacking if company == mine)
        assert each.extra == sum(count for key, count in more if key[0] == mine and not wanted[key])
        assert each.doubled == sum(count for key, count in more if key[0] == mine and wanted[key])
        assert sum(gap.missing for gap in each.gaps) == each.missing


# What status says of it ---------------------------------------------------------------------------------------------------------------------------


def test_rows_that_had_landed_and_are_gone_are_told_from_those_that_never_came(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 5)
    lake.look(store)
    unland(lake, "1001", 9)
    for _ in range(2):
        gaps = lake.of("1001", store, Asked(again=True)).gaps
        assert [(str(gap.versions), gap.why) for gap in gaps] == [("5:5", ""), ("9:9", HAD_LANDED)]


def test_what_a_paused_company_misses_is_sent_again_once_its_route_is_resumed(lake: Lake, store: Store) -> None:
    pass_by(lake, "1001", 5)
    replay = "lpmops replay plan -e test --missing"
    assert [step.command for step in next_steps(lake.look(store))] == [replay]
    lake.routes["1001"]["state"] = "paused"
    resume = "lpmops route resume -e test --company-id 1001"
    assert [step.command for step in next_steps(lake.look(store))] == [resume, replay]
    lake.land("1001", 5, "a5")
    assert next_steps(lake.look(store)) == ()


def test_a_row_that_is_extra_beside_rows_that_are_gone_did_not_land_elsewhere(lake: Lake, store: Store) -> None:
    lake.look(store)
    unland(lake, "1001", 9)
    lake.land("1001", 9, "other")
    told = [step.why for step in next_steps(lake.look(store, Asked(again=True)))]
    assert any(each.startswith("1 landed row is not in the source") for each in told), told
    assert not any("elsewhere" in each for each in told)


def test_an_environment_that_lacks_what_can_be_sent_again_is_not_healthy(lake: Lake, store: Store) -> None:
    def health() -> Health:
        facts = Facts("test", Kind.TEST, lake.now, gaps=proofs.gaps(store, "test", "table-1"))
        well = {name: Stage(name, Health.HEALTHY, "") for name in STAGES}
        return overall(facts, well, Thresholds())

    lake.look(store)
    assert health() is Health.HEALTHY
    unland(lake, "1001", 5)
    lake.look(store, Asked(again=True))
    assert health() is Health.DEGRADED
    lake.gone_before = 21
    lake.look(store)
    assert health() is Health.HEALTHY


def test_what_no_route_took_has_its_own_name_and_goes_on_with_that_company(lake: Lake, store: Store) -> None:
    pass_by(lake, "1001", 5, 6)
    lake.look(store)

    def suspects(state: str) -> dict[str, Suspect]:
        routes = (RouteRow("1001", "Company 1001", "lpm-01", state),)
        facts = Facts("test", Kind.TEST, lake.now, routes=routes, gaps=proofs.gaps(store, "test", "table-1"))
        return {each.id: each for each in diagnose(facts, HERE, Thresholds())}

    found = suspects("active")
    assert list(found) == ["route.unrouted"]
    assert found["route.unrouted"].summary == (
        "2 changes of 1 company came when no route took them, and did not land. They can be sent again from the table."
    )
    assert found["route.unrouted"].evidence == (
        "2 changes of company 1001 in versions 5:6: no route took them from 2026-11-23 12:00:05Z to 2026-11-23 12:00:06Z",
    )
    replay = "lpmops replay plan -e test --missing --company 1001"
    assert found["route.unrouted"].next == (replay, "lpmops reconcile -e test")
    resume = "lpmops route resume -e test --company-id 1001"
    assert suspects("paused")["route.unrouted"].next[:2] == (resume, replay)


def causes(lake: Lake, store: Store, company: str, asked: Asked) -> list[tuple[str, str]]:
    return [(str(gap.versions), gap.why) for gap in lake.of(company, store, asked).gaps]


def test_a_loss_over_the_border_of_what_was_proven_is_two_with_their_causes(lake: Lake, store: Store) -> None:
    lake.look(store, Asked(versions=Versions(0, 9)))
    unland(lake, "1001", 8, 9, 10, 11)
    assert causes(lake, store, "1001", Asked(again=True)) == [("8:9", HAD_LANDED), ("10:11", "")]


def test_rows_lost_beside_what_never_landed_keep_their_own_cause(lake: Lake, store: Store) -> None:
    unland(lake, "1001", 5, 6)
    lake.look(store)
    unland(lake, "1001", 7, 8)
    for _ in range(2):
        assert causes(lake, store, "1001", Asked(again=True)) == [("5:6", ""), ("7:8", HAD_LANDED)]


def test_what_was_proven_for_one_company_tells_nothing_of_another(lake: Lake, store: Store) -> None:
    lake.look(store, Asked(companies=("1001",)))
    unland(lake, "1001", 7)
    unland(lake, "1002", 7)
    assert causes(lake, store, "1001", Asked(again=True)) == [("7:7", HAD_LANDED)]
    lake.look(store)
    assert [(each.company_id, each.why) for each in proofs.gaps(store, "test", "table-1")] == [
        ("1001", HAD_LANDED),
        ("1002", ""),
    ]


def test_open_gaps_are_suspects_with_the_next_step_until_they_are_filled(lake: Lake, store: Store) -> None:
    def suspects() -> dict[str, Suspect]:
        remembered = proofs.read(store, "test", "table-1")
        facts = Facts("test", Kind.TEST, lake.now, gaps=remembered.gaps, unreadable=remembered.unreadable)
        return {each.id: each for each in diagnose(facts, HERE, Thresholds())}

    unland(lake, "1001", 5, 6)
    lake.look(store)
    loss = suspects()["hub.loss"]
    assert loss.evidence == ("2 changes of company 1001 in versions 5:6 did not land",)
    assert loss.next[0] == "lpmops replay plan -e test --missing"
    unland(lake, "1002", 9)
    lake.look(store, Asked(again=True))
    assert suspects()["sql.rows_lost"].evidence == ("1 change of company 1002 in versions 9:9 had landed and are gone",)
    lake.gone_before = 21
    lake.look(store)
    assert "No replay brings them back" in suspects()["hub.loss"].summary
    evidence = suspects()["sql.rows_lost"].evidence
    assert evidence[1:3] == (
        "1 of them can't be sent again",
        "versions 5:9: VACUUM has removed the files of their changes. What remains is a load. What reached the hub is kept there for 7 days: "
        "pause the jobs, and begin again at that time with lpmops asa start -e test --mode custom --from 2026-11-23T12:00:05.000Z",
    )
    assert "in the backups of their database" in evidence[-1]
    lake.gone_before = 0
    for version in (5, 6):
        lake.land("1001", version, f"a{version}")
    lake.land("1002", 9, "b9", database="lpm-02")
    lake.look(store, Asked(again=True))
    assert suspects() == {}

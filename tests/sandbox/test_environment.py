"""A process may die at any moment of an environment's deployment; the next one deploys it whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmops.cli.sandbox_setup import Wish, prepare
from lpmops.sandbox import deployment
from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.identity import TokenAuthority
from lpmops.sandbox.breaking import Breaking
from lpmops.sandbox.clock import Clock
from lpmops.sandbox.environment import SandboxEnvironment
from lpmops.sandbox.hub_provider import Namespaces
from lpmops.sandbox.lake.events import OutgoingEvent as Sent
from lpmops.sandbox.lake.records import companies_of

COMPANIES = 5


class Life:
    """What one process of the sandbox holds of its `dev` environment."""

    def __init__(self, folder: Path, plan: deployment.Deployment) -> None:
        clock = Clock()
        authority = TokenAuthority(clock, plan.tenant_id, b"0" * 32)
        self.namespaces = Namespaces(folder / "namespaces", clock)
        self.environment = SandboxEnvironment(
            plan.environments[0],
            folder / "dev",
            clock,
            companies_of(COMPANIES, 1),
            1,
            self.namespaces,
            authority,
            lambda count: companies_of(count, 1),
        )
        self.account = Account(
            clock=clock,
            authority=authority,
            folder=folder / "account",
            hubs=self.namespaces,
            runtimes=lambda key: self.environment.runtime(key, lambda _, __: None),
        )
        self.environment.join(self.account)
        self.breaking = Breaking(self.environment)

    def deploy(self) -> None:
        self.environment.deploy_data()
        self.environment.deploy_services(self.account)

    def end(self) -> None:
        self.account.close()
        self.environment.close()
        self.namespaces.close()


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Callable[[], Life]]:
    """Begins a life in the folder of the lives before it, which end with that."""
    prepare(tmp_path, Wish(port=20_000, companies=COMPANIES))
    plan = deployment.read(tmp_path / "deployment.json")
    begun: list[Life] = []

    def begin() -> Life:
        if begun:
            begun[-1].end()
        begun.append(Life(tmp_path, plan))
        return begun[-1]

    yield begin
    begun[-1].end()


def cut_short_in_the_first_database(life: Life) -> None:
    life.environment.sql.create_database(life.environment.plan.control_database)


def cut_short_after_the_data(life: Life) -> None:
    life.environment.deploy_data()


def cut_short_before_the_mark(life: Life) -> None:
    life.deploy()
    life.account.start()
    (life.environment.folder / "deployed").unlink()


@pytest.mark.parametrize(
    "cut_short", [cut_short_in_the_first_database, cut_short_after_the_data, cut_short_before_the_mark]
)
def test_a_deployment_that_was_cut_short_is_made_whole_by_the_next_process(
    cut_short: Callable[[Life], None], lives: Callable[[], Life]
) -> None:
    cut_short(lives())
    life = lives()
    assert life.environment.is_new
    life.deploy()
    plan = life.environment.plan
    assert life.environment.sql.database(plan.control_database).row_count("lpmops.route") == COMPANIES
    jobs = life.account.stream_analytics.jobs(plan.subscription_id)
    assert [(job.key.name, job.state) for job in jobs] == [(plan.jobs[0].name, "Starting")]


def test_what_was_deployed_is_kept_by_the_next_process(lives: Callable[[], Life]) -> None:
    first = lives()
    first.deploy()
    deployed = {path: path.stat().st_ino for path in (first.environment.folder / "sql").glob("*.sqlite")}
    second = lives()
    assert not second.environment.is_new
    assert {path: path.stat().st_ino for path in (second.environment.folder / "sql").glob("*.sqlite")} == deployed


def test_a_job_reads_any_hub_of_its_own_subscription_and_none_of_another(lives: Callable[[], Life]) -> None:
    life = lives()
    life.deploy()
    plan, hubs = life.environment.plan, life.account.event_hubs
    hubs.put(plan.subscription_id, plan.resource_group, "evhns-lpm-made", {"location": plan.region})
    hubs.put_hub(plan.subscription_id, plan.resource_group, "evhns-lpm-made", "tdr", {})
    hubs.put("another", "rg", "evhns-lpm-foreign", {"location": plan.region})
    hubs.put_hub("another", "rg", "evhns-lpm-foreign", "tdr", {})
    assert life.environment.find_hub(plan.namespace, plan.hub) is life.environment.hub
    assert life.environment.find_hub("evhns-lpm-made", "tdr") is not life.environment.hub
    for place in (("evhns-lpm-foreign", "tdr"), ("evhns-lpm-made", "nothing"), ("evhns-lpm-none", "tdr")):
        with pytest.raises(LookupError):
            life.environment.find_hub(*place)


def test_customers_and_databases_that_came_are_there_again_after_a_restart(lives: Callable[[], Life]) -> None:
    first = lives()
    first.deploy()
    came = first.environment.welcome(2)
    first.environment.make_database("lpm-new", "Latin1_General_100_CI_AS", 1 << 20)
    known = {company.id for company in companies_of(COMPANIES, 1)}
    assert [company.id in known for company in came] == [False, False]
    second = lives()
    assert {company.id for company in came} <= set(second.environment.callers)
    assert second.environment.sql.database("lpm-new").catalog.collation == "Latin1_General_100_CI_AS"
    assert second.environment.welcome(1)[0].id not in known | {company.id for company in came}
    plan = second.environment.plan
    group = f"/subscriptions/{plan.subscription_id}/resourceGroups/{plan.resource_group}"
    assert f"{second.environment.sql.name}/lpm-new" in {resource.name for resource in second.account.resources(group)}


def test_the_hub_keeps_the_units_that_its_namespace_was_given_over_a_restart(lives: Callable[[], Life]) -> None:
    first = lives()
    first.deploy()
    plan = first.environment.plan
    first.account.event_hubs.patch(plan.subscription_id, plan.resource_group, plan.namespace, {"sku": {"capacity": 17}})
    assert first.environment.hub.throughput_units == 17
    assert lives().environment.hub.throughput_units == 17


def test_a_company_without_a_route_has_no_database(lives: Callable[[], Life]) -> None:
    life = lives()
    life.deploy()
    (came,) = life.environment.welcome(1)
    assert life.environment.database_of(came.id) is None
    assert life.environment.database_of("1001") == life.environment.plan.databases[0]


def bodies_in(life: Life) -> list[tuple[int, dict[str, Any]]]:
    """The sequence number and the content of all events that a reader gets."""
    hub = life.environment.hub
    held = [event for number in range(hub.partition_count) for event in hub.read(number, -1, 1_000)]
    return [(event.sequence_number, json.loads(event.body)) for event in held]


def send(life: Life, *companies: str) -> None:
    """What the streaming job sends of one call each."""
    for company in companies:
        body = json.dumps({"info_companyid": company}).encode()
        life.environment.sender.send([Sent(body, "one-key")])


def test_lost_events_leave_a_gap_that_healing_does_not_fill(lives: Callable[[], Life]) -> None:
    life = lives()
    life.breaking.lose_events(frozenset({"1001"}), True)
    send(life, "1001", "1002")
    life.breaking.lose_events(frozenset({"1001"}), False)
    send(life, "1001")
    assert bodies_in(life) == [(1, {"info_companyid": "1002"}), (2, {"info_companyid": "1001"})]


def test_doubled_events_come_twice_until_it_is_healed(lives: Callable[[], Life]) -> None:
    life = lives()
    life.breaking.double_events(True)
    send(life, "1001")
    life.breaking.double_events(False)
    send(life, "1002")
    assert [body["info_companyid"] for _, body in bodies_in(life)] == ["1001", "1001", "1002"]


def test_expired_events_are_gone_for_good_and_what_comes_after_the_healing_waits(lives: Callable[[], Life]) -> None:
    life = lives()
    send(life, "1001")
    life.breaking.expire_events(True)
    life.environment.hub.clock.advance(16)
    send(life, "1002")
    life.breaking.expire_events(False)
    life.environment.hub.clock.advance(86_400)
    assert bodies_in(life) == [(1, {"info_companyid": "1002"})]


def test_rows_are_lost_of_one_company_and_of_the_last_minutes_only(lives: Callable[[], Life]) -> None:
    life = lives()
    life.deploy()
    environment = life.environment
    database = environment.sql.database(life.environment.database_of("1001") or "")
    now = datetime.now(UTC).replace(tzinfo=None)
    columns = ("company_id", "record_id", "commit_version", "change_type", "commit_timestamp", "sent_at", "enqueued_at")
    landed = [("1001", "old", now - timedelta(hours=1)), ("1001", "new", now), ("1002", "new", now)]
    database.bulk_insert(
        "lpm.tdr",
        (*columns, "hub_partition", "hub_sequence", "landed_at"),
        [(company, record, 1, "insert", now, now, now, 0, 0, at) for company, record, at in landed],
    )
    life.breaking.lose_rows(frozenset({"1001"}))
    left = database.execute("SELECT company_id, record_id FROM lpm.tdr ORDER BY company_id")[-1].rows
    assert left == [("1001", "old"), ("1002", "new")]

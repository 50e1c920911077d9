"""What is asked before a company is brought on: suggestions of the source, and what the services say as a field is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from lpmops.actions import registry
from lpmops.actions.inputs import Remark
from lpmops.actions.orders import ActionOrders
from lpmops.control.collect import utc_now
from lpmops.store.connection import open_store
from tests.actions.cloud import Cloud, config
from tests.actions.operator import QUICK

FIELDS = {each.name: each for each in registry.action("route.onboard").inputs or ()}


@pytest.fixture
def cloud(folder: Path) -> Iterator[Cloud]:
    made = Cloud(folder)
    yield made
    made.close()


@pytest.fixture
def orders(cloud: Cloud, folder: Path) -> ActionOrders:
    path = folder / "laptop" / "lpmops.db"
    return ActionOrders(
        config(cloud.environment),
        lambda _: open_store(path),
        opener=lambda *_: cast(Any, Cloud(folder)),
        now=utc_now,
        timing=QUICK,
    )


def against(remarks: Any) -> list[str]:
    return [each.text for each in cast("list[Remark]", remarks) if each.against]


def test_companies_of_the_source_without_a_route_are_suggested_the_busiest_first(orders: ActionOrders) -> None:
    found = orders.choices("prod", "route.onboard", "company_id")
    assert [(each.value, each.said) for each in found] == [
        ("1007", "40 records a day, 0 without a route"),
        ("1008", "30 records a day, 0 without a route"),
    ]


def test_a_company_that_is_free_is_told_with_its_records_a_day(orders: ActionOrders) -> None:
    (remark,) = orders.look("prod", "route.onboard", "company_id", "1007")
    assert remark == Remark("40 records a day, and no route yet")


@pytest.mark.parametrize(
    ("company_id", "said"),
    [
        ("1001", "it has a route already: active in lpm-01"),
        ("4711", "the source has no record of it"),
        ("1OO7", "the source has no record of it; it has '1007', which looks like it"),
        ("10\u200b07", "That can't be a company id: "),
        ("1" * 4_000, "That can't be a company id: "),
    ],
)
def test_what_speaks_against_a_company_is_said(company_id: str, said: str, orders: ActionOrders) -> None:
    found = against(orders.look("prod", "route.onboard", "company_id", company_id))
    assert len(found) == 1
    assert found[0].startswith(said)


def test_a_company_of_which_nothing_came_lately_is_found_in_the_whole_table(orders: ActionOrders) -> None:
    (remark,) = orders.look("prod", "route.onboard", "company_id", "1009")
    assert remark == Remark("5 records in the source, none of them lately, and no route yet")


def test_a_database_says_what_one_more_company_means_for_the_others(cloud: Cloud, orders: ActionOrders) -> None:
    cloud.add_output("lpm-02")
    cloud.make_database("lpm-03")
    written = orders.look("prod", "route.onboard", "database", "lpm-02")
    assert written[0] == Remark("0 companies; nothing stops for one more")
    new = orders.look("prod", "route.onboard", "database", "lpm-03")
    assert not against(new)
    assert new[0].text.startswith("new: asa-lpm-tdr-prod-01 stops once")
    assert "make the landing table in lpm-03" in new[1].text


@pytest.mark.parametrize(("name", "said"), [("lpm-control", "it is the control database"), ("lpm-99", "lpm-99")])
def test_a_database_that_can_not_be_used_is_said(name: str, said: str, orders: ActionOrders) -> None:
    found = against(orders.look("prod", "route.onboard", "database", name))
    assert said in found[0]


def test_only_what_says_nothing_about_a_person_is_kept() -> None:
    assert {name for name, each in FIELDS.items() if each.kept} == {"company_id", "company", "database", "columns"}


def test_the_columns_that_can_land_are_those_of_the_configuration(orders: ActionOrders) -> None:
    assert [each.value for each in orders.choices("prod", "route.onboard", "columns")] == []
    assert orders.look("prod", "route.onboard", "columns", "anything") == ()

"""Two descriptions of one thing differ in the fields that count, each by its class, and every difference has a name."""

from __future__ import annotations

from typing import Any

import pytest

from lpmops.routing import fields
from lpmops.routing.fields import Rules

RULES = Rules(
    defaults={"writers": 1, "compression.type": "None"},
    names=frozenset({"server"}),
    regions=frozenset({"location"}),
    at_least=frozenset({"sku.capacity"}),
    contains=frozenset({"logs"}),
    write_only=frozenset({"password"}),
)
SECRET = fields.fingerprint("hunter2", "job/output")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"query": "SELECT 1\n"}, {"query": "SELECT 1 \r\n\r\n"}),
        ({"writers": 1}, {}),
        ({"writers": None}, {"writers": 7}),
        ({"compression": {"type": "None"}}, {"compression": None}),
        ({"names": ["b", "a"]}, {"names": ["a", "b"]}),
        ({"logs": ["a"]}, {"logs": ["b", "a"]}),
        ({"server": "SQL-1"}, {"server": "sql-1.database.windows.net"}),
        ({"location": "westeurope"}, {"location": "West Europe"}),
        ({"sku": {"capacity": 2}}, {"sku": {"capacity": 9}}),
        ({"password": SECRET}, {"password": SECRET}),
        ({"a": {"properties": {"b": 1}}}, {"a": {"properties": {"b": 1, "c": 2}}, "d": 3}),
    ],
)
def test_what_means_the_same_is_no_difference(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    assert fields.unlike(wanted, found, RULES) == []


@pytest.mark.parametrize(
    ("wanted", "found", "name"),
    [
        ({"query": "SELECT 1"}, {"query": "SELECT 2"}, "query"),
        ({"writers": 2}, {}, "writers"),
        ({"names": ["a"]}, {"names": ["a", "b"]}, "names"),
        ({"logs": ["a", "c"]}, {"logs": ["a", "b"]}, "logs"),
        ({"server": "sql-1"}, {"server": "sql-2"}, "server"),
        ({"location": "westeurope"}, {"location": "North Europe"}, "location"),
        ({"sku": {"capacity": 2}}, {"sku": {"capacity": 1}}, "sku.capacity"),
        ({"a": {"properties": {"b": 1}}}, {"a": {"properties": {"b": 2}}}, "a.b"),
    ],
)
def test_what_does_not_is_one_with_its_name_and_both_values(
    wanted: dict[str, Any], found: dict[str, Any], name: str
) -> None:
    ((field, before, after),) = fields.unlike(wanted, found, RULES)
    assert (field, before, after) == (name, fields.flat(found).get(name), fields.flat(wanted)[name])


@pytest.mark.parametrize("shown", [None, "", "*****", "hunter2", fields.fingerprint("hunter3", "job/output")])
def test_a_secret_is_only_known_by_the_fingerprint_of_what_was_written_last(shown: str | None) -> None:
    ((name, _, after),) = fields.unlike({"password": SECRET}, {"password": shown}, RULES)
    assert (name, after) == ("password", SECRET)


def test_a_fingerprint_says_nothing_of_its_secret_and_is_bound_to_its_place() -> None:
    assert "hunter2" not in SECRET
    assert fields.fingerprint("hunter2", "job/output") == SECRET != fields.fingerprint("hunter2", "job/another")

"""A job's definition as values: what is asked for, how it is spread over jobs, and which differences count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lpmops.config import Config
from lpmops.routing import job as definitions
from lpmops.routing.fields import flat
from lpmops.routing.job import Definition
from tests.services.worlds import environment

PLACE = environment("http://127.0.0.1:1")
CONFIG = Config({PLACE.name: PLACE})


def _made(*databases: str) -> Definition:
    return definitions.wished(CONFIG, PLACE, databases or ("lpm-01",), "asa-01")


def test_the_same_databases_give_the_same_job_in_any_order() -> None:
    assert _made("lpm-02", "lpm-01", "lpm-02") == _made("lpm-01", "lpm-02")
    assert definitions.landing_databases(_made("lpm-02", "lpm-01")) == ("lpm-01", "lpm-02")
    assert set(_made().outputs) == {"lpm-01", "unrouted", "heartbeat", "kpi"}


def test_a_job_differs_from_itself_in_nothing_and_every_other_difference_has_a_name() -> None:
    made = _made("lpm-01", "lpm-02")
    assert definitions.differences(made, made) == ()
    other = replace(
        _made("lpm-01", "lpm-03"),
        settings={**made.settings, "compatibilityLevel": "1.0"},
        streaming_units=10,
    )
    names = {item.title for item in definitions.differences(made, other)}
    assert names == {"compatibilityLevel", "outputs.lpm-02", "outputs.lpm-03", "query", "streaming_units"}


@pytest.mark.parametrize(
    ("collection", "part", "path"),
    [
        (collection, name, path)
        for collection, parts in (("inputs", _made().inputs), ("outputs", _made().outputs))
        for name, properties in parts.items()
        for path in flat(properties)
    ],
)
def test_every_managed_field_that_is_otherwise_is_a_difference_with_its_name(
    collection: str, part: str, path: str
) -> None:
    made = _made()
    changed = _with(dict(made.part(collection, part) or {}), path.split("."))
    parts = {**(made.inputs if collection == "inputs" else made.outputs), part: changed}
    live = replace(made, inputs=parts) if collection == "inputs" else replace(made, outputs=parts)
    assert [item.title for item in definitions.differences(made, live)] == [f"{collection}.{part}.{path}"]


def _with(values: dict[str, object], words: list[str]) -> dict[str, object]:
    """The same, with another value at a path that leaves out `properties`."""
    if words[0] not in values:
        inner = values["properties"]
        assert isinstance(inner, dict)
        return {**values, "properties": _with(inner, words)}
    inner = values[words[0]]
    if len(words) == 1:
        return {**values, words[0]: f"another {inner}"}
    assert isinstance(inner, dict)
    return {**values, words[0]: _with(inner, words[1:])}


def test_names_are_compared_without_case_and_domain_and_texts_without_line_endings() -> None:
    made = _made()
    hub = dict(made.inputs["tdr-hub"])
    source = {**hub["datasource"]["properties"]}
    source["serviceBusNamespace"] = source["serviceBusNamespace"].upper() + ".servicebus.windows.net"
    hub["datasource"] = {**hub["datasource"], "properties": source}
    live = replace(made, inputs={**made.inputs, "tdr-hub": hub}, query=made.query.replace("\n", " \r\n"))
    assert definitions.differences(made, live) == ()


@pytest.mark.parametrize(
    ("group", "kept"), [("asa-7", "asa-7"), ("$Default", "asa-03"), ("People", "asa-03"), ("", "asa-03")]
)
def test_a_job_reads_with_a_group_of_its_own(group: str, kept: str) -> None:
    live = definitions.wished(CONFIG, PLACE, ["lpm-01"], group)
    assert definitions.consumer_group(live, "03", "people") == kept


def test_the_storage_account_of_reference_data_is_part_of_the_job_where_there_is_one() -> None:
    place = replace(PLACE, streamanalytics=replace(PLACE.streamanalytics, storage_account="stlpm"))
    made = definitions.wished(CONFIG, place, ["lpm-01"], "asa-01")
    assert made.settings["jobStorageAccount"] == {"accountName": "stlpm", "authenticationMode": "Msi"}
    assert {item.title for item in definitions.differences(made, _made())} == {
        "jobStorageAccount.accountName",
        "jobStorageAccount.authenticationMode",
    }


def test_the_storage_account_is_reached_by_identity_and_left_to_whoever_has_its_key() -> None:
    def settings(**wish: str) -> object:
        place = replace(PLACE, streamanalytics=replace(PLACE.streamanalytics, **wish))
        return definitions.wished(CONFIG, place, ("lpm-01",), "asa-01").settings.get("jobStorageAccount")

    assert settings(storage_account="stlpm") == {"accountName": "stlpm", "authenticationMode": "Msi"}
    assert settings(storage_account="stlpm", storage_account_key="env:KEY") is None


def test_a_job_more_is_needed_where_its_outputs_would_be_too_many() -> None:
    assert [definitions.jobs_needed(count) for count in (0, 1, 37, 38, 77, 78)] == [1, 1, 1, 2, 2, 3]

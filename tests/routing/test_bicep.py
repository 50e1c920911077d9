"""An environment as Bicep: one text for one configuration, under the property names of the API's own specification, with nothing secret in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lpmops.config import Environment, Monitor
from lpmops.routing import bicep
from tests.azure_specs import AZURE, specifications_are_here
from tests.services.worlds import environment

SOMEBODY = "00000000-0000-4000-8000-0000000000E7"
_HEAD = re.compile(r"^resource (\w+) '([\w./]+)@([\w-]+)' = \{$", re.MULTILINE)


def _place(**wish: Any) -> Environment:
    place = environment("http://127.0.0.1:1")
    monitor = Monitor("00000000-0000-4000-8000-000000000101")
    return replace(place, monitor=monitor, eventhub=replace(place.eventhub, **wish))


def test_the_same_configuration_gives_the_same_text_and_another_one_another() -> None:
    assert bicep.render(_place()) == bicep.render(_place())
    assert bicep.render(_place(throughput_units=9)) != bicep.render(_place())


def test_every_resource_is_declared_once_before_it_is_named() -> None:
    text = bicep.render(_place(senders=(f"service:{SOMEBODY}",), receivers=(f"group:{SOMEBODY}",)))
    symbols = [found.group(1) for found in _HEAD.finditer(text)]
    assert len(symbols) == len(set(symbols)) == 10
    for name in re.findall(r"(?:parent|scope): (\w+)", text):
        assert text.index(f"resource {name} ") < text.index(f": {name}\n")
    assert text.count("{") == text.count("}")


def test_ids_are_parameters_and_no_secret_is_in_it() -> None:
    place = _place(senders=(f"service:{SOMEBODY}",), auth="connection-string", connection_string="env:HUB")
    text = bicep.render(place)
    assert f"param principal1 string = '{SOMEBODY.lower()}'" in text
    assert "param workspaceId string\n" in text
    for word in (place.subscription_id, place.tenant_id, "env:HUB", "SharedAccessKey"):
        assert word not in text


def test_a_key_is_a_parameter_that_nobody_is_shown() -> None:
    place = _place()
    jobs = replace(place.streamanalytics, storage_account="stlpm", storage_account_key="env:STORAGE_KEY")
    text = bicep.render(replace(place, streamanalytics=jobs))
    assert "@secure()\nparam storageAccountKey string\n" in text
    assert "accountKey: storageAccountKey\n" in text
    assert "env:STORAGE_KEY" not in text
    assert "@secure()" not in bicep.render(place)


def test_without_a_workspace_no_logs_are_asked_for() -> None:
    text = bicep.render(replace(_place(), monitor=Monitor()))
    assert "diagnosticSettings" not in text
    assert "workspaceId" not in text


@pytest.mark.parametrize("name", ["o'hara", "a\\b", "${subscription().id}", "line\nbreak", "tab\there"])
def test_no_name_breaks_out_of_its_quotes(name: str) -> None:
    text = bicep.render(_place(hub=name))
    (written,) = re.findall(r"name: '((?:[^'\\\n]|\\.)*)'\n  properties: \{\n    partitionCount", text)
    assert "${" not in written.replace("\\${", "")
    for escaped, letter in (("\\n", "\n"), ("\\t", "\t"), ("\\'", "'"), ("\\$", "$"), ("\\\\", "\\")):
        written = written.replace(escaped, letter)
    assert written == name


# The property names -----------------------------------------------------------------------------------------------------------------------------

_FILES = {
    "Microsoft.EventHub/namespaces": ("eventhub/resource-manager/Microsoft.EventHub/stable/2024-01-01/namespaces.json", "EHNamespace"),
    "Microsoft.EventHub/namespaces/eventhubs": ("eventhub/resource-manager/Microsoft.EventHub/stable/2024-01-01/eventhubs.json", "Eventhub"),
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups": (
        "eventhub/resource-manager/Microsoft.EventHub/stable/2024-01-01/consumergroups.json", "ConsumerGroup",
    ),
    "Microsoft.StreamAnalytics/streamingjobs": (
        "streamanalytics/resource-manager/Microsoft.StreamAnalytics/stable/2020-03-01/streamingjobs.json", "StreamingJob",
    ),
}  # fmt: skip


def _written(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Each resource's type, version and the paths of its properties, read back from the indentation."""
    for found in _HEAD.finditer(text):
        path, paths = list[str](), list[str]()
        for line in text[found.end() :].partition("\n}")[0].splitlines():
            depth, (key, colon, _) = (len(line) - len(line.lstrip())) // 2, line.strip().partition(":")
            if colon and re.fullmatch(r"\w+", key):
                path = [*path[: depth - 1], key]
                paths.append(".".join(path))
        yield found.group(2), found.group(3), paths


def _known(definitions: dict[str, Any], schema: dict[str, Any], path: list[str]) -> bool:
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = definitions.get(name, {})
        if not schema:
            # Of another file: the common types, whose names are checked by the services themselves.
            return True
    if not path:
        return True
    properties = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        base = definitions.get(part.get("$ref", "").rpartition("/")[2], {"properties": {"location": {}, "tags": {}}})
        properties |= base.get("properties", {})
    return path[0] in properties and _known(definitions, properties[path[0]], path[1:])


@pytest.mark.skipif(not specifications_are_here(), reason="the specifications are not beside the repository")
def test_every_property_is_one_of_the_specification() -> None:
    judged = 0
    for kind, version, paths in _written(bicep.render(_place(maximum_throughput_units=8))):
        if kind not in _FILES:
            continue
        file, definition = _FILES[kind]
        assert f"/{version}/" in file
        definitions = json.loads((AZURE / "specs" / file).read_text(encoding="utf-8"))["definitions"]
        for path in paths:
            if path.partition(".")[0] not in ("name", "parent", "scope", "dependsOn"):
                assert _known(definitions, definitions[definition], path.split(".")), (kind, path)
                judged += 1
    assert judged > 15

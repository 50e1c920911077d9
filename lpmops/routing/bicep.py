"""An environment's resources as Bicep: the same text for the same configuration, with parameters for what differs from place to place.

Only what `landscape` wants is described, under the names of the API's own properties, so that a deployment of this text and `provision apply` make
the same. No secret is in it, as none is in what it is made from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lpmops.config import Environment
from lpmops.routing import landscape
from lpmops.routing.landscape import Kind, Wanted

_TYPES = {
    Kind.NAMESPACE: "Microsoft.EventHub/namespaces@2024-01-01",
    Kind.HUB: "Microsoft.EventHub/namespaces/eventhubs@2024-01-01",
    Kind.GROUP: "Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01",
    Kind.JOB: "Microsoft.StreamAnalytics/streamingjobs@2020-03-01",
    Kind.ROLE: "Microsoft.Authorization/roleAssignments@2022-04-01",
    Kind.SETTING: "Microsoft.Insights/diagnosticSettings@2021-05-01-preview",
}
_WORKSPACE, _KEY = "workspaceId", "storageAccountKey"
_SYMBOLS = {"namespace": "event_hub_namespace", "hub": "event_hub"}


class Raw(str):
    """A Bicep expression, which is written as it is."""

    __slots__ = ()


def render(environment: Environment) -> str:
    """The Bicep file of an environment's resource group."""
    jobs = landscape.job_groups(environment, {})
    logs = bool(environment.monitor.workspace_resource_id or environment.monitor.log_analytics_workspace)
    key = _KEY if environment.streamanalytics.storage_account_key else ""
    items = landscape.wanted(environment, jobs, _WORKSPACE if logs else "", key)
    principals = list(
        dict.fromkeys(item.key.split(".")[1] for item in items if item.kind is Kind.ROLE and not item.holder)
    )
    parts, symbols, before = [_head(environment, logs, principals)], _symbols(items), ""
    for item in items:
        parts.append(_resource(item, symbols, principals, before))
        before = symbols[item.key] if item.kind is Kind.GROUP else ""
    return "\n\n".join(parts) + "\n"


def _head(environment: Environment, logs: bool, principals: Sequence[str]) -> str:
    lines = [
        f"// What lpmops asks for in {environment.name}, by: lpmops provision export -e {environment.name}",
        "targetScope = 'resourceGroup'",
        "",
        "@description('The region of the namespace.')",
        f"param location string = {_text(landscape.region(environment))}",
        "@description('The region of the Stream Analytics jobs.')",
        f"param jobLocation string = {_text(environment.streamanalytics.region)}",
    ]
    if logs:
        known = environment.monitor.workspace_resource_id
        lines += [
            "@description('The resource id of the Log Analytics workspace that logs go to.')",
            f"param {_WORKSPACE} string{f' = {_text(known)}' if known else ''}",
        ]
    if environment.streamanalytics.storage_account_key:
        lines += [
            "@description('The key of the storage account of the Stream Analytics jobs.')",
            "@secure()",
            f"param {_KEY} string",
        ]
    for number, who in enumerate(principals, 1):
        lines += [
            f"@description('The object id of principal {number}, a {who.partition(':')[0]}.')",
            f"param principal{number} string = {_text(who.partition(':')[2].lower())}",
        ]
    return "\n".join(lines)


def _symbols(items: Sequence[Wanted]) -> dict[str, str]:
    """A name within the file for each key: its letters and digits, with a number where two would be the same."""
    found: dict[str, str] = {}
    for item in items:
        symbol = _SYMBOLS.get(item.key) or "_".join(re.findall(r"[A-Za-z0-9]+", item.key)).lower()
        same = sum(symbol == other.partition("__")[0] for other in found.values())
        found[item.key] = f"{symbol}__{same + 1}" if same else symbol
    return found


def _resource(item: Wanted, symbols: Mapping[str, str], principals: Sequence[str], before: str) -> str:
    """One resource; `before` is the consumer group before this one: they are made one after the other, as `provision apply` makes them."""
    name: Any = item.names[-1] if item.names else ""
    body = dict(item.body)
    head: dict[str, Any] = {}
    if item.kind is Kind.NAMESPACE:
        body["location"] = Raw("location")
    elif item.kind is Kind.JOB:
        body["location"] = Raw("jobLocation")
        if body.pop("tags", None):
            account = {**body["properties"]["jobStorageAccount"], "accountKey": Raw(_KEY)}
            body["properties"] = {**body["properties"], "jobStorageAccount": account}
    elif item.kind is Kind.HUB:
        head["parent"] = Raw(symbols["namespace"])
    elif item.kind is Kind.GROUP:
        head["parent"] = Raw(symbols["hub"])
        body |= {"dependsOn": [Raw(before)]} if before else {}
    elif item.kind is Kind.ROLE:
        head["scope"] = Raw(symbols[item.scope])
        name, body = _role(item, symbols, principals)
    else:
        head["scope"] = Raw(symbols[item.scope])
        body = {"properties": {**body["properties"], "workspaceId": Raw(_WORKSPACE)}}
    return f"resource {symbols[item.key]} '{_TYPES[item.kind]}' = {_value({**head, 'name': name, **body})}"


def _role(item: Wanted, symbols: Mapping[str, str], principals: Sequence[str]) -> tuple[Raw, dict[str, Any]]:
    identifier = _text(item.body["roleDefinitionId"])
    role = Raw(f"subscriptionResourceId('Microsoft.Authorization/roleDefinitions', {identifier})")
    if item.holder:
        # A resource's name must be known before anything is made: the job's id stands for its identity.
        who, seed = Raw(f"{symbols[item.holder]}.identity.principalId"), f"{symbols[item.holder]}.id"
    else:
        seed = f"principal{principals.index(item.key.split('.')[1]) + 1}"
        who = Raw(seed)
    name = Raw(f"guid({symbols[item.scope]}.id, {seed}, {identifier})")
    properties = {"roleDefinitionId": role, "principalId": who, "principalType": item.body["principalType"]}
    return name, {"properties": properties}


def _value(value: Any, depth: int = 0) -> str:
    """Plain values as Bicep."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    indent = "  " * (depth + 1)
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        inside = "".join(f"{indent}{_key(name)}: {_value(each, depth + 1)}\n" for name, each in value.items())
        return "{\n" + inside + "  " * depth + "}"
    if not value:
        return "[]"
    return "[\n" + "".join(f"{indent}{_value(each, depth + 1)}\n" for each in value) + "  " * depth + "]"


def _key(name: str) -> str:
    return str(name) if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else _text(name)


def _text(value: str) -> str:
    """A Bicep string: quotes, backslashes and what would begin an expression are escaped, as are line ends."""
    escapes = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    text = "".join(escapes.get(letter, letter) for letter in value)
    return "'" + text.replace("${", "\\${") + "'"

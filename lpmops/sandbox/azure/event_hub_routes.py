"""The operations of Microsoft.EventHub, answered as recorded.

Two habits of the real service are kept: a hub's dates lose their Z on a GET, and a PUT on a hub that exists answers year 1 and no partitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmops.sandbox.azure.account import Account
from lpmops.sandbox.azure.calls import Answer, Call, Operation
from lpmops.sandbox.azure.errors import ApiError, event_hubs_error
from lpmops.sandbox.azure.event_hubs import HubHandle, check_name
from lpmops.sandbox.azure.stamps import milliseconds, parse_time

# 2024-01-01 is the stable version the SDK is pinned to, 2026-01-01 its default; the others are those of the recordings.
VERSIONS = frozenset(
    {"2024-01-01", "2026-01-01", "2024-05-01-preview", "2023-01-01-preview", "2022-10-01-preview", "2021-11-01"}
)
_SUBSCRIPTION = "/subscriptions/{subscription}"
_NAMESPACES = f"{_SUBSCRIPTION}/resourceGroups/{{group}}/providers/Microsoft.EventHub/namespaces"
_NAMESPACE = f"{_NAMESPACES}/{{namespace}}"
_HUBS = f"{_NAMESPACE}/eventhubs"
_HUB = f"{_HUBS}/{{hub}}"
_GROUPS = f"{_HUB}/consumergroups"
_DELETIONS = (
    f"{_SUBSCRIPTION}/providers/Microsoft.EventHub/locations/{{location}}/namespaceOperationResults/{{operation}}"
)
_RIGHT = "Microsoft.EventHub/namespaces"


def event_hub_operations(account: Account) -> list[Operation]:
    """Everything under Microsoft.EventHub that the sandbox answers."""
    routes = EventHubRoutes(account)

    def at(method: str, template: str, action: str, handler: Any) -> Operation:
        return Operation(method, template, f"{_RIGHT}{action}", VERSIONS, handler)

    operations = [
        at("POST", f"{_SUBSCRIPTION}/providers/Microsoft.EventHub/checkNameAvailability", "/read", routes.check_name),
        at("GET", f"{_SUBSCRIPTION}/providers/Microsoft.EventHub/namespaces", "/read", routes.list_namespaces),
        at("GET", _DELETIONS, "/read", routes.deletion),
        at("GET", _NAMESPACES, "/read", routes.list_namespaces),
        at("GET", _NAMESPACE, "/read", routes.get_namespace),
        at("PUT", _NAMESPACE, "/write", routes.put_namespace),
        at("PATCH", _NAMESPACE, "/write", routes.patch_namespace),
        at("DELETE", _NAMESPACE, "/delete", routes.delete_namespace),
        at("GET", _HUBS, "/eventhubs/read", routes.list_hubs),
        at("GET", _HUB, "/eventhubs/read", routes.get_hub),
        at("PUT", _HUB, "/eventhubs/write", routes.put_hub),
        at("DELETE", _HUB, "/eventhubs/delete", routes.delete_hub),
        at("GET", _GROUPS, "/eventhubs/consumergroups/read", routes.list_groups),
        at("GET", f"{_GROUPS}/{{consumer}}", "/eventhubs/consumergroups/read", routes.get_group),
        at("PUT", f"{_GROUPS}/{{consumer}}", "/eventhubs/consumergroups/write", routes.put_group),
        at("DELETE", f"{_GROUPS}/{{consumer}}", "/eventhubs/consumergroups/delete", routes.delete_group),
    ]
    for parent, right in ((_NAMESPACE, "/authorizationRules"), (_HUB, "/eventhubs/authorizationRules")):
        operations += [
            at("GET", f"{parent}/authorizationRules", f"{right}/read", routes.list_rules),
            at("GET", f"{parent}/authorizationRules/{{rule}}", f"{right}/read", routes.get_rule),
            at("PUT", f"{parent}/authorizationRules/{{rule}}", f"{right}/write", routes.put_rule),
            at("DELETE", f"{parent}/authorizationRules/{{rule}}", f"{right}/delete", routes.delete_rule),
            at("POST", f"{parent}/authorizationRules/{{rule}}/listKeys", f"{right}/listkeys/action", routes.list_keys),
            at(
                "POST",
                f"{parent}/authorizationRules/{{rule}}/regenerateKeys",
                f"{right}/regenerateKeys/action",
                routes.renew_key,
            ),
        ]
    return operations


class EventHubRoutes:
    """Handlers over one account's `EventHubs`."""

    def __init__(self, account: Account) -> None:
        self._state = account.event_hubs
        self._durations = account.durations
        self._clock = account.clock

    def check_name(self, call: Call) -> Answer:
        """Whether a namespace name is free in the whole cloud. The words of both refusals are assumed."""
        name = str(call.object_body().get("name", ""))
        reason, message = "None", None
        try:
            check_name("namespace", name)
        except ApiError:
            reason, message = "InvalidName", f"The specified namespace name '{name}' is not valid."
        if reason == "None" and self._state.is_taken(name):
            reason, message = "NameInUse", f"The specified namespace name '{name}' is in use."
        return Answer({"nameAvailable": reason == "None", "reason": reason, "message": message})

    def list_namespaces(self, call: Call) -> Answer:
        """Of a group, or of the subscription when the path names no group."""
        found = self._state.namespaces(call.subscription, call.names.get("group"))
        return Answer({"value": [self._state.shown(document) for document in found]})

    def get_namespace(self, call: Call) -> Answer:
        """One namespace."""
        return Answer(self._state.shown(self._namespace(call)))

    def put_namespace(self, call: Call) -> Answer:
        """201 when it is new, 200 when it was there; both still in transition, as recorded."""
        names = call.names
        document, new = self._state.put(call.subscription, names["group"], names["namespace"], call.object_body())
        return Answer(document, 201 if new else 200)

    def patch_namespace(self, call: Call) -> Answer:
        """Scale or tag."""
        return Answer(
            self._state.patch(call.subscription, call.names["group"], call.names["namespace"], call.object_body())
        )

    def delete_namespace(self, call: Call) -> Answer:
        """202 with both kinds of polling address."""
        document = self._namespace(call)
        operation = self._state.delete(call.subscription, call.names["group"], call.names["namespace"])
        address = (
            f"{call.origin}/subscriptions/{call.subscription}/providers/Microsoft.EventHub/locations/{document['location']}"
            f"/namespaceOperationResults/{operation}?isAsyncHeader={{}}&resourceName={document['name']}&resourceType=namespace"
            f"&api-version={call.api_version}&operationType=Deleted"
        )
        headers = {
            "Location": address.format("false"),
            "Azure-AsyncOperation": address.format("true"),
            "Retry-After": str(self._durations.retry_after),
        }
        return Answer(None, 202, headers)

    def deletion(self, call: Call) -> Answer:
        """How a deletion goes: a status document for the one address, 202 and then 200 for the other."""
        operation = call.names["operation"]
        done = self._state.deletion_done(operation)
        if done is None:
            raise event_hubs_error(404, "NotFound", "The operation is not known.")  # assumed: the wording
        retry = {} if done else {"Retry-After": str(self._durations.retry_after)}
        if call.query.get("isasyncheader", "").lower() == "true":
            return Answer({"name": operation, "status": "Succeeded" if done else "Running"}, 200, retry)
        # assumed: the recordings only follow Azure-AsyncOperation
        return Answer(None, 200 if done else 202, retry if done else {**retry, "Location": f"{call.origin}{call.path}"})

    def list_hubs(self, call: Call) -> Answer:
        """All hubs of a namespace."""
        document = self._namespace(call)
        found = self._state.hubs(call.subscription, call.names["group"], call.names["namespace"])
        return Answer({"value": [_hub(document, name, handle) for name, handle in found]})

    def get_hub(self, call: Call) -> Answer:
        """One hub."""
        return Answer(_hub(*self._hub(call)))

    def put_hub(self, call: Call) -> Answer:
        """Create or change a hub."""
        names = call.names
        body = call.object_body()
        handle, new = self._state.put_hub(call.subscription, names["group"], names["namespace"], names["hub"], body)
        shown = _hub(self._namespace(call), names["hub"], handle)
        now = milliseconds(self._clock.now())
        if new:
            shown["properties"].update({"createdAt": milliseconds(handle.created_at), "updatedAt": now})
        else:
            shown["properties"].update({"createdAt": "0001-01-01T00:00:00", "updatedAt": now, "partitionIds": []})
        return Answer(shown)

    def delete_hub(self, call: Call) -> Answer:
        """Remove a hub and what it holds."""
        names = call.names
        self._state.delete_hub(call.subscription, names["group"], names["namespace"], names["hub"])
        return Answer()

    def list_groups(self, call: Call) -> Answer:
        """Consumer groups of a hub."""
        document, hub, _ = self._hub(call)
        return Answer({"value": [_group(document, hub, record) for record in self._groups(call)]})

    def get_group(self, call: Call) -> Answer:
        """One consumer group."""
        document, hub, _ = self._hub(call)
        wanted = call.names["consumer"].lower()
        for record in self._groups(call):
            if record["name"].lower() == wanted:
                return Answer(_group(document, hub, record))
        raise event_hubs_error(
            404, "NotFound", f"The requested resource {hub}/{call.names['consumer']} does not exist."
        )  # assumed

    def put_group(self, call: Call) -> Answer:
        """Create or change a consumer group."""
        document, hub, _ = self._hub(call)
        body = call.body if isinstance(call.body, dict) else {}
        metadata = (body.get("properties") or {}).get("userMetadata")
        names = call.names
        record = self._state.put_group(
            call.subscription, names["group"], names["namespace"], hub, names["consumer"], metadata
        )
        return Answer(_group(document, hub, record))

    def delete_group(self, call: Call) -> Answer:
        """Remove a consumer group."""
        names = call.names
        self._state.delete_group(call.subscription, names["group"], names["namespace"], names["hub"], names["consumer"])
        return Answer()

    def list_rules(self, call: Call) -> Answer:
        """Access rules of a namespace or hub."""
        document, hub = self._rule_parent(call)
        return Answer(
            {"value": [_rule(document, hub, name, rule) for name, rule in self._state.rules(document, hub).items()]}
        )

    def get_rule(self, call: Call) -> Answer:
        """One access rule, without its keys."""
        document, hub = self._rule_parent(call)
        return Answer(_rule(document, hub, *self._rule(call)))

    def put_rule(self, call: Call) -> Answer:
        """Create or change an access rule."""
        _, hub = self._rule_parent(call)
        rights = (call.object_body().get("properties") or {}).get("rights") or []
        names = call.names
        self._state.put_rule(call.subscription, names["group"], names["namespace"], hub, names["rule"], rights)
        document, hub = self._rule_parent(call)
        shown = _rule(document, hub, *self._rule(call))
        if hub:
            # Recorded: only the answer to a GET says where a hub's rule is.
            del shown["location"]
        return Answer(shown)

    def delete_rule(self, call: Call) -> Answer:
        """Remove an access rule."""
        _, hub = self._rule_parent(call)
        self._state.delete_rule(
            call.subscription, call.names["group"], call.names["namespace"], hub, call.names["rule"]
        )
        return Answer()

    def list_keys(self, call: Call) -> Answer:
        """The keys and connection strings of a rule."""
        document, hub = self._rule_parent(call)
        return Answer(_keys(document, hub, *self._rule(call)))

    def renew_key(self, call: Call) -> Answer:
        """Replace the primary or secondary key."""
        kinds = {"PrimaryKey": "primary", "SecondaryKey": "secondary"}
        which = kinds.get(str(call.object_body().get("keyType")))
        if which is None:
            raise event_hubs_error(400, "BadRequest", "keyType is PrimaryKey or SecondaryKey.")  # assumed: the wording
        _, hub = self._rule_parent(call)
        name, _ = self._rule(call)
        self._state.renew_key(call.subscription, call.names["group"], call.names["namespace"], hub, name, which)
        document, hub = self._rule_parent(call)
        return Answer(_keys(document, hub, *self._rule(call)))

    def _namespace(self, call: Call) -> dict[str, Any]:
        return self._state.namespace(call.subscription, call.names["group"], call.names["namespace"])

    def _hub(self, call: Call) -> tuple[dict[str, Any], str, HubHandle]:
        names = call.names
        return self._state.hub(call.subscription, names["group"], names["namespace"], names["hub"])

    def _groups(self, call: Call) -> list[dict[str, Any]]:
        names = call.names
        return self._state.groups(call.subscription, names["group"], names["namespace"], names["hub"])

    def _rule_parent(self, call: Call) -> tuple[dict[str, Any], str]:
        if "hub" in call.names:
            document, hub, _ = self._hub(call)
            return document, hub
        return self._namespace(call), ""

    def _rule(self, call: Call) -> tuple[str, dict[str, Any]]:
        document, hub = self._rule_parent(call)
        wanted = call.names["rule"].lower()
        for name, rule in self._state.rules(document, hub).items():
            if name.lower() == wanted:
                return name, rule
        raise event_hubs_error(
            404, "NotFound", f"The requested resource {call.names['rule']} does not exist."
        )  # assumed: the wording


def _hub(document: Mapping[str, Any], name: str, handle: HubHandle) -> dict[str, Any]:
    made = milliseconds(handle.created_at, zulu=False)
    hours = round(handle.retention.total_seconds() / 3600)
    return {
        "id": f"{document['id']}/eventhubs/{name}",
        "name": name,
        "type": "Microsoft.EventHub/namespaces/eventhubs",
        "location": document["location"],
        "properties": {
            "messageTimestampDescription": {"timestampType": "LogAppend"},
            "retentionDescription": {"cleanupPolicy": "Delete", "retentionTimeInHours": hours},
            "messageRetentionInDays": max(1, hours // 24),
            "partitionCount": handle.partition_count,
            "status": "Active",
            "createdAt": made,
            "updatedAt": made,
            "partitionIds": [str(number) for number in range(handle.partition_count)],
        },
    }


def _group(document: Mapping[str, Any], hub: str, record: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        "createdAt": milliseconds(parse_time(record["created_at"])),
        "updatedAt": milliseconds(parse_time(record["updated_at"])),
    }
    if record["metadata"] is not None:
        properties["userMetadata"] = record["metadata"]
    return {
        "id": f"{document['id']}/eventhubs/{hub}/consumergroups/{record['name']}",
        "name": record["name"],
        "type": "Microsoft.EventHub/namespaces/eventhubs/consumergroups",
        "location": document["location"],
        "properties": properties,
    }


def _rule(document: Mapping[str, Any], hub: str, name: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    below = f"/eventhubs/{hub}" if hub else ""
    kind = (
        "Microsoft.EventHub/namespaces/eventhubs/authorizationrules"
        if hub
        else "Microsoft.EventHub/Namespaces/AuthorizationRules"
    )
    return {
        "id": f"{document['id']}{below}/authorizationrules/{name}",
        "name": name,
        "type": kind,
        "location": document["location"],
        "properties": {"rights": rule["rights"]},
    }


def _keys(document: Mapping[str, Any], hub: str, name: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    entity = f";EntityPath={hub}" if hub else ""
    start = f"Endpoint=sb://{document['name']}.servicebus.windows.net/;SharedAccessKeyName={name};SharedAccessKey="
    return {
        "primaryConnectionString": f"{start}{rule['primary']}{entity}",
        "secondaryConnectionString": f"{start}{rule['secondary']}{entity}",
        "primaryKey": rule["primary"],
        "secondaryKey": rule["secondary"],
        "keyName": name,
    }

"""Event Hubs as Resource Manager sees it: namespaces, hubs, consumer groups and access rules.

The hubs themselves live elsewhere: `HubProvider` creates, finds and deletes them, `HubHandle` is what is read and set. What only the control plane
knows (tags, units, keys, metadata) is kept here and survives a restart. Rules are the Standard tier's (azure-docs/event-hubs/event-hubs-quotas).
"""

from __future__ import annotations

import base64
import copy
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from lpmops.sandbox.azure.documents import Documents
from lpmops.sandbox.azure.errors import arm_error, event_hubs_error, not_found
from lpmops.sandbox.azure.stamps import new_guid, ticks
from lpmops.sandbox.clock import Clock

NAMESPACE_TYPE = "Microsoft.EventHub/Namespaces"
HUBS_PER_NAMESPACE = 10
GROUPS_PER_HUB = 20
PARTITIONS_MAX = 32
RETENTION_DAYS_MAX = 7
UNITS_MAX = 40
# The specification's lengths (2024-01-01); that a namespace's name may not end in a dash is documented beside them.
_NAMES = {
    "namespace": r"[a-zA-Z][a-zA-Z0-9-]{4,48}[a-zA-Z0-9]",
    "event hub": r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,254}[a-zA-Z0-9])?",
    "consumer group": r"\$Default|[a-zA-Z0-9]([a-zA-Z0-9._-]{0,48}[a-zA-Z0-9])?",
}


class HubHandle(Protocol):
    """What the control plane needs of a hub (`lpmops.sandbox.hub.Hub` is one). Retention and throughput units take effect at once."""

    retention: timedelta
    throughput_units: float

    @property
    def partition_count(self) -> int:
        """How many partitions; fixed."""

    @property
    def created_at(self) -> datetime:
        """When it was made, UTC."""

    @property
    def consumer_groups(self) -> Sequence[str]:
        """All of them, `$Default` among them."""

    def add_consumer_group(self, name: str) -> None:
        """A new consumer group."""

    def remove_consumer_group(self, name: str) -> None:
        """Take a consumer group away."""


class HubProvider(Protocol):
    """Where hubs come from; `namespace` names are unique in Azure, so they are enough."""

    def hubs(self, namespace: str) -> Mapping[str, HubHandle]:
        """All hubs of a namespace by name."""

    def create(self, namespace: str, name: str, partition_count: int, retention: timedelta) -> HubHandle:
        """A new, empty hub with the consumer group $Default."""

    def delete(self, namespace: str, name: str) -> None:
        """A hub and all it holds."""


class EventHubs:
    """Namespaces by subscription and group; thread-safe."""

    def __init__(self, clock: Clock, documents: Documents, hubs: HubProvider, duration: float) -> None:
        self._clock = clock
        self._documents = documents
        self._hubs = hubs
        self._duration = duration
        self._lock = threading.RLock()
        self._namespaces = documents.load()
        for document in self._namespaces.values():
            self._take_up(document)
        self._deletions: dict[str, tuple[str, float]] = {}

    def is_taken(self, name: str) -> bool:
        """Whether a namespace of that name exists, in whatever subscription: names are addresses."""
        with self._lock:
            return any(key.rpartition("/")[2] == name.lower() for key in self._namespaces)

    def put(self, subscription: str, group: str, name: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Create or update a namespace: (its document, whether it is new). Raises 400 and 409."""
        with self._lock:
            key = _key(subscription, group, name)
            existing = self._namespaces.get(key)
            if existing is None:
                check_name("namespace", name)
                if self.is_taken(name):
                    raise arm_error(
                        409, "Conflict", f"Namespace '{name}' already exists in another resource group or subscription."
                    )  # assumed
                document = self._new(subscription, group, name, body)
            else:
                document = self._changed(existing, body)
            self._store(key, document)
            self._set_units(document)
            return self.shown(document), existing is None

    def patch(self, subscription: str, group: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change what the body names: units, tags, auto-inflate."""
        with self._lock:
            document = self._changed(self.namespace(subscription, group, name), body)
            self._store(_key(subscription, group, name), document)
            self._set_units(document)
            return self.shown(document)

    def namespace(self, subscription: str, group: str, name: str) -> dict[str, Any]:
        """A namespace's document. Raises 404."""
        with self._lock:
            document = self._namespaces.get(_key(subscription, group, name))
            if document is None:
                raise not_found("Microsoft.EventHub/namespaces", name, group)
            return document

    def namespaces(self, subscription: str, group: str | None = None) -> list[dict[str, Any]]:
        """Namespaces of a group, or of the whole subscription."""
        start = f"{subscription}/{group}/".lower() if group else f"{subscription}/".lower()
        with self._lock:
            return [document for key, document in self._namespaces.items() if key.startswith(start)]

    def delete(self, subscription: str, group: str, name: str) -> str:
        """Begin to delete a namespace: the operation's id. Raises 404, and 429 while it is changing."""
        with self._lock:
            document = self.namespace(subscription, group, name)
            if self.in_transition(document):
                # Recorded by azure-cli's suite (facts of the recordings): 429, not 409.
                message = f"Namespace provisioning in transition. Namespace: {name}."
                raise event_hubs_error(429, "NamespaceInTransition", message)
            for hub in list(self._hubs.hubs(document["name"])):
                self._hubs.delete(document["name"], hub)
            key = _key(subscription, group, name)
            self._documents.delete(key)
            del self._namespaces[key]
            operation = new_guid()
            self._deletions[operation] = (document["name"], self._clock.time() + self._duration)
            return operation

    def deletion_done(self, operation: str) -> bool | None:
        """Whether a deletion has ended; None when there is no such operation."""
        with self._lock:
            held = self._deletions.get(operation)
            return None if held is None else self._clock.time() >= held[1]

    def in_transition(self, document: Mapping[str, Any]) -> bool:
        """Whether a create or update is still going on."""
        return bool(self._clock.time() < document["ready_at"])

    def shown(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A namespace as Azure answers it, with the state of this moment."""
        busy = self.in_transition(document)
        state = document["change"] if busy else "Succeeded"
        creating = busy and state == "Creating"
        location = document["location"]
        properties = {
            "geoDataReplication": {
                "maxReplicationLagDurationInSeconds": 0,
                "locations": [
                    {
                        "locationName": location,
                        "roleType": "Primary",
                        "replicaState": "InBuild" if creating else "Ready",
                    }
                ],
            },
            **document["properties"],
            "provisioningState": state,
            "status": state if busy else "Active",
            "createdAt": document["created_at"],
            "updatedAt": document["updated_at"],
        }
        return {
            "id": document["id"],
            "name": document["name"],
            "type": NAMESPACE_TYPE,
            "location": location,
            "tags": document["tags"],
            "properties": properties,
            "sku": document["sku"],
        }

    def summaries(self, subscription: str, group: str) -> list[dict[str, Any]]:
        """Namespaces as a resource list shows them."""
        names = ("id", "name", "location", "tags", "sku")
        return [
            {**{n: d[n] for n in names}, "type": "Microsoft.EventHub/namespaces"}
            for d in self.namespaces(subscription, group)
        ]

    def location_of(self, resource_id: str) -> str | None:
        """Where a namespace is; None when the id is none."""
        with self._lock:
            return next(
                (d["location"] for d in self._namespaces.values() if d["id"].lower() == resource_id.lower()), None
            )

    def hub(self, subscription: str, group: str, namespace: str, name: str) -> tuple[dict[str, Any], str, HubHandle]:
        """A namespace's document, the hub's own name and the hub. Raises 404."""
        document = self.namespace(subscription, group, namespace)
        for own_name, handle in self._hubs.hubs(document["name"]).items():
            if own_name.lower() == name.lower():
                return document, own_name, handle
        # assumed: the wording; the resource provider itself answers for what is inside a namespace
        raise event_hubs_error(404, "NotFound", f"The requested resource {namespace}/{name} does not exist.")

    def hubs(self, subscription: str, group: str, namespace: str) -> list[tuple[str, HubHandle]]:
        """All hubs of a namespace."""
        document = self.namespace(subscription, group, namespace)
        return sorted(self._hubs.hubs(document["name"]).items())

    def put_hub(
        self, subscription: str, group: str, namespace: str, name: str, body: Mapping[str, Any]
    ) -> tuple[HubHandle, bool]:
        """Create or change a hub: (the hub, whether it is new). Raises 400 for what the Standard tier refuses."""
        wished = body.get("properties") or {}
        with self._lock:
            document = self.namespace(subscription, group, namespace)
            held = self._hubs.hubs(document["name"])
            existing = next((h for n, h in held.items() if n.lower() == name.lower()), None)
            hours = _retention_hours(wished, existing)
            partitions = _partitions(wished, existing)
            if existing is not None:
                existing.retention = timedelta(hours=hours)
                self._note_hub(document, name, existing)
                return existing, False
            check_name("event hub", name)
            if len(held) >= HUBS_PER_NAMESPACE:
                message = f"The namespace '{namespace}' already has {HUBS_PER_NAMESPACE} event hubs, the most its tier allows."
                raise event_hubs_error(403, "Forbidden", message)  # assumed: the wording
            handle = self._hubs.create(document["name"], name, partitions, timedelta(hours=hours))
            handle.throughput_units = document["sku"]["capacity"]
            self._note_hub(document, name, handle)
            return handle, True

    def delete_hub(self, subscription: str, group: str, namespace: str, name: str) -> None:
        """A hub and what it holds. Raises 404 for the namespace only: deleting what is gone is no error."""
        with self._lock:
            document = self.namespace(subscription, group, namespace)
            for own_name in list(self._hubs.hubs(document["name"])):
                if own_name.lower() == name.lower():
                    self._hubs.delete(document["name"], own_name)
                    self._forget_groups(document, own_name)

    def put_group(
        self, subscription: str, group: str, namespace: str, hub: str, name: str, metadata: str | None
    ) -> dict[str, Any]:
        """Create or change a consumer group: its record. Raises 403 past the tier's limit."""
        with self._lock:
            document, own_hub, handle = self.hub(subscription, group, namespace, hub)
            own_name = next((g for g in handle.consumer_groups if g.lower() == name.lower()), name)
            if own_name not in handle.consumer_groups:
                check_name("consumer group", name)
                if len(handle.consumer_groups) >= GROUPS_PER_HUB:
                    message = (
                        f"The event hub '{hub}' already has {GROUPS_PER_HUB} consumer groups, the most its tier allows."
                    )
                    raise event_hubs_error(403, "Forbidden", message)  # assumed: the wording
                handle.add_consumer_group(own_name)
            changed = copy.deepcopy(document)
            records = changed["groups"].setdefault(own_hub, {})
            now = ticks(self._clock.now())
            record = {"created_at": now, **records.get(own_name, {}), "updated_at": now, "metadata": metadata}
            records[own_name] = record
            self._store(_key(subscription, group, namespace), changed)
            return {"name": own_name, **record}

    def groups(self, subscription: str, group: str, namespace: str, hub: str) -> list[dict[str, Any]]:
        """Consumer groups of a hub, `$Default` first; groups made past the control plane show the hub's own time."""
        with self._lock:
            document, own_hub, handle = self.hub(subscription, group, namespace, hub)
            records = document["groups"].get(own_hub, {})
            made = ticks(handle.created_at)
            unknown = {"created_at": made, "updated_at": made, "metadata": None}
            return [{"name": name, **records.get(name, unknown)} for name in sorted(handle.consumer_groups)]

    def delete_group(self, subscription: str, group: str, namespace: str, hub: str, name: str) -> None:
        """Remove a consumer group; `$Default` can't be removed."""
        with self._lock:
            document, own_hub, handle = self.hub(subscription, group, namespace, hub)
            own_name = next((g for g in handle.consumer_groups if g.lower() == name.lower()), None)
            if own_name == "$Default":
                raise event_hubs_error(
                    400, "BadRequest", "The default consumer group can't be deleted."
                )  # assumed: the wording
            if own_name is not None:
                handle.remove_consumer_group(own_name)
                changed = copy.deepcopy(document)
                changed["groups"].get(own_hub, {}).pop(own_name, None)
                self._store(_key(subscription, group, namespace), changed)

    def rules(self, document: Mapping[str, Any], hub: str = "") -> dict[str, dict[str, Any]]:
        """Access rules of a namespace, or of one hub."""
        with self._lock:
            return dict(document["rules"].get(hub, {}))

    def put_rule(self, subscription: str, group: str, namespace: str, hub: str, name: str, rights: list[str]) -> None:
        """Create or change an access rule; keys stay as they are. Raises 400 for unknown or incomplete rights."""
        if not rights or set(rights) - {"Listen", "Send", "Manage"}:
            raise event_hubs_error(
                400, "BadRequest", "The rights of an authorization rule are Listen, Send and Manage."
            )  # assumed
        if "Manage" in rights and {"Listen", "Send"} - set(rights):
            raise event_hubs_error(
                400, "BadRequest", "Manage permission should also include Send and Listen."
            )  # assumed
        with self._lock:
            changed = copy.deepcopy(self.namespace(subscription, group, namespace))
            held = changed["rules"].setdefault(hub, {})
            own_name = next((n for n in held if n.lower() == name.lower()), name)
            held[own_name] = {
                "primary": _new_key(),
                "secondary": _new_key(),
                **held.get(own_name, {}),
                "rights": rights,
            }
            self._store(_key(subscription, group, namespace), changed)

    def delete_rule(self, subscription: str, group: str, namespace: str, hub: str, name: str) -> None:
        """Remove an access rule; nothing happens when there is none."""
        with self._lock:
            changed = copy.deepcopy(self.namespace(subscription, group, namespace))
            held = changed["rules"].get(hub, {})
            for own_name in [n for n in held if n.lower() == name.lower()]:
                del held[own_name]
            self._store(_key(subscription, group, namespace), changed)

    def renew_key(self, subscription: str, group: str, namespace: str, hub: str, name: str, which: str) -> None:
        """A new `primary` or `secondary` key for a rule that exists."""
        with self._lock:
            changed = copy.deepcopy(self.namespace(subscription, group, namespace))
            changed["rules"][hub][name][which] = _new_key()
            self._store(_key(subscription, group, namespace), changed)

    def accepts_key(self, namespace: str, rule: str, hub: str = "") -> list[str]:
        """The keys of a rule on a namespace (or one of its hubs), for the data plane's own sign-in; empty when there is no such rule."""
        with self._lock:
            for document in self._namespaces.values():
                if document["name"].lower() == namespace.lower():
                    held = document["rules"].get(hub, {}).get(rule) or document["rules"].get("", {}).get(rule)
                    return [held["primary"], held["secondary"]] if held else []
        return []

    def policies(self, namespace: str) -> dict[str, dict[str, Any]]:
        """The access rules of a namespace in whatever subscription, with their keys, for the data plane's own sign-in."""
        with self._lock:
            found = (
                document for key, document in self._namespaces.items() if key.rpartition("/")[2] == namespace.lower()
            )
            return {name: rule for document in found for name, rule in document["rules"].get("", {}).items()}

    def _note_hub(self, document: Mapping[str, Any], name: str, handle: HubHandle) -> None:
        """Keep what a restart needs to find the hub again."""
        changed = copy.deepcopy(dict(document))
        hubs = changed.setdefault("hubs", {})
        own_name = next((held for held in hubs if held.lower() == name.lower()), name)
        hours = round(handle.retention.total_seconds() / 3600)
        hubs[own_name] = {"partitions": handle.partition_count, "retention_hours": hours}
        self._store(_key_of(changed), changed)

    def _take_up(self, document: Mapping[str, Any]) -> None:
        """The hubs and consumer groups of a namespace as they were when the process ended."""
        held = self._hubs.hubs(document["name"])
        for name, kept in document.get("hubs", {}).items():
            retention = timedelta(hours=kept["retention_hours"])
            handle = held.get(name) or self._hubs.create(document["name"], name, kept["partitions"], retention)
            handle.retention = retention
        # Those that stand in no document too: an environment opens its own hub with the units that it was first planned with.
        self._set_units(document)
        for name, handle in self._hubs.hubs(document["name"]).items():
            for group in set(document["groups"].get(name, {})) - set(handle.consumer_groups):
                handle.add_consumer_group(group)

    def _new(self, subscription: str, group: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        location = body.get("location")
        if not isinstance(location, str) or not location:
            raise arm_error(400, "LocationRequired", "The location property is required for this definition.")
        now = ticks(self._clock.now())
        document: dict[str, Any] = {
            "id": f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.EventHub/namespaces/{name}",
            "name": name,
            "location": location,
            "tags": {},
            "sku": {"name": "Standard", "tier": "Standard", "capacity": 1},
            "properties": {
                "minimumTlsVersion": "1.2",
                "publicNetworkAccess": "Enabled",
                "disableLocalAuth": False,
                "zoneRedundant": False,
                "metricId": f"{subscription}:{name}",
                "serviceBusEndpoint": f"https://{name}.servicebus.windows.net:443/",
                "isAutoInflateEnabled": False,
                "maximumThroughputUnits": 0,
                "kafkaEnabled": True,
            },
            "groups": {},
            "rules": {
                "": {
                    "RootManageSharedAccessKey": {
                        "rights": ["Listen", "Manage", "Send"],
                        "primary": _new_key(),
                        "secondary": _new_key(),
                    }
                }
            },
            "created_at": now,
            "updated_at": now,
        }
        changed = self._changed(document, body)
        return {**changed, "change": "Creating"}

    def _changed(self, document: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        changed = copy.deepcopy(dict(document))
        if isinstance(body.get("tags"), dict):
            changed["tags"] = body["tags"]
        sku = {**changed["sku"], **{k: v for k, v in (body.get("sku") or {}).items() if v is not None}}
        if sku["name"] not in ("Basic", "Standard"):
            raise event_hubs_error(
                400, "BadRequest", f"The sandbox holds Standard namespaces; '{sku['name']}' is not among them."
            )
        if (
            not isinstance(sku["capacity"], int)
            or isinstance(sku["capacity"], bool)
            or not 1 <= sku["capacity"] <= UNITS_MAX
        ):
            message = f"The throughput units of a namespace are 1 to {UNITS_MAX}."
            raise event_hubs_error(400, "BadRequest", message)  # assumed: the wording
        changed["sku"] = sku
        settable = (
            "isAutoInflateEnabled",
            "maximumThroughputUnits",
            "minimumTlsVersion",
            "publicNetworkAccess",
            "disableLocalAuth",
        )
        wished = body.get("properties") or {}
        changed["properties"].update({name: wished[name] for name in settable if wished.get(name) is not None})
        if not changed["properties"]["isAutoInflateEnabled"]:
            changed["properties"]["maximumThroughputUnits"] = 0
        changed["change"] = "Updating"
        changed["ready_at"] = self._clock.time() + self._duration
        changed["updated_at"] = ticks(self._clock.now())
        return changed

    def _set_units(self, document: Mapping[str, Any]) -> None:
        for handle in self._hubs.hubs(document["name"]).values():
            handle.throughput_units = document["sku"]["capacity"]

    def _forget_groups(self, document: Mapping[str, Any], hub: str) -> None:
        changed = copy.deepcopy(dict(document))
        changed["groups"].pop(hub, None)
        changed["rules"].pop(hub, None)
        changed.get("hubs", {}).pop(hub, None)
        self._store(_key_of(changed), changed)

    def _store(self, key: str, document: dict[str, Any]) -> None:
        self._documents.save(key, document)
        self._namespaces[key] = document


def _key(subscription: str, group: str, name: str) -> str:
    return f"{subscription}/{group}/{name}".lower()


def _key_of(document: Mapping[str, Any]) -> str:
    _, _, subscription, _, group, *_ = str(document["id"]).split("/")
    return _key(subscription, group, str(document["name"]))


def check_name(kind: str, name: str) -> None:
    """Raises 400 for what the service takes for no name of that kind; the wording is assumed."""
    if not re.fullmatch(_NAMES[kind], name):
        raise event_hubs_error(400, "BadRequest", f"The specified {kind} name '{name}' is not valid.")


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _retention_hours(wished: Mapping[str, Any], existing: HubHandle | None) -> int:
    described = (wished.get("retentionDescription") or {}).get("retentionTimeInHours")
    days = wished.get("messageRetentionInDays")
    default = round(existing.retention.total_seconds() / 3600) if existing else RETENTION_DAYS_MAX * 24
    hours = described if described is not None else days * 24 if isinstance(days, int) else default
    if not isinstance(hours, int) or isinstance(hours, bool) or not 1 <= hours <= RETENTION_DAYS_MAX * 24:
        message = f"The retention of an event hub in the Standard tier is 1 hour to {RETENTION_DAYS_MAX} days."
        raise event_hubs_error(400, "BadRequest", message)  # assumed: the wording
    return hours


def _partitions(wished: Mapping[str, Any], existing: HubHandle | None) -> int:
    count = wished.get("partitionCount")
    if count is None:
        return existing.partition_count if existing else 4
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= PARTITIONS_MAX:
        message = f"The partition count of an event hub in the Standard tier is 1 to {PARTITIONS_MAX}."
        raise event_hubs_error(400, "BadRequest", message)  # assumed: the wording
    if existing is not None and count != existing.partition_count:
        # The rule is documented (event-hubs-quotas); its wording is assumed.
        raise event_hubs_error(
            400, "BadRequest", "The partition count of an event hub can't be changed in the Standard tier."
        )
    return count

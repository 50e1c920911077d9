"""The hub: namespace, hub and consumer groups from Resource Manager (2024-01-01), the ends of each partition live over AMQP.

azure-eventhub reads the partitions over connections that stay open between refreshes (`eventhubclient`), a few partitions each; it knows no deadline
of its own, so its calls run in threads that can be left behind. Its clients are built anew after an error. With `auth = "connection-string"` the
string comes from the reference; an emulator's string (`UseDevelopmentEmulator=true`) is spoken without TLS, and only to this machine.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from lpmops.config import Environment
from lpmops.errors import (
    BadAnswerError,
    ConfigError,
    DeadlineError,
    ForbiddenError,
    LpmopsError,
    ReadersError,
    ServiceError,
    ServiceNotFoundError,
    SignInError,
    ThrottledError,
    UnreachableError,
)
from lpmops.model import HubState, NamespaceState, PartitionState, RawEvent
from lpmops.services import bounded, failures
from lpmops.services.addresses import LOOPBACK
from lpmops.services.bounded import Deadline
from lpmops.services.calls import CallCounter
from lpmops.services.failures import Advice
from lpmops.services.hubtail import HubTail
from lpmops.services.identity import CachedCredential
from lpmops.services.redact import clean
from lpmops.services.resourcemanager import resource_manager
from lpmops.services.secrets import SecretReader
from lpmops.services.transport import Transport, trust

T = TypeVar("T")

_VERSION = {"api-version": "2024-01-01"}
_IDS_SECONDS = 600.0
# Tracking ids stand in the same words, and may hold any digits.
_BUSY = re.compile(r"error code ?: ?50002\b")
# One connection asks one question at a time; a hub of 32 partitions is read in the time of eight.
_PER_CONNECTION = 8


class EventHubService:
    """One namespace, one hub."""

    def __init__(
        self,
        environment: Environment,
        transport: Transport,
        credential: CachedCredential,
        secrets: SecretReader,
        seconds: float,
    ) -> None:
        self._seconds = seconds
        self._settings = environment.eventhub
        self._namespace_path = quote(environment.namespace_id)
        self._hub_path = f"{self._namespace_path}/eventhubs/{quote(self._settings.hub, safe='')}"
        self._client = resource_manager(environment, transport, credential, "eventhub", "Reader on the namespace")
        self._partitions = _Partitions(environment, transport.calls, credential, secrets)

    def namespace(self) -> NamespaceState:
        """The namespace: its tier, throughput units and provisioning state."""
        fields = self._client.get(
            self._namespace_path, operation="namespace", deadline=Deadline.after(self._seconds), params=_VERSION
        ).fields()
        sku, properties = fields.object("sku"), fields.object("properties")
        return NamespaceState(
            name=fields.text("name"),
            resource_id=fields.text("id"),
            tier=sku.maybe_text("tier") or sku.text("name"),
            throughput_units=sku.maybe_integer("capacity") or 0,
            status=properties.maybe_text("status") or properties.maybe_text("provisioningState") or "Unknown",
            auto_inflate=properties.flag("isAutoInflateEnabled"),
        )

    def hub(self) -> HubState:
        """The hub: its partitions, and how long it keeps an event."""
        fields = self._client.get(
            self._hub_path, operation="hub", deadline=Deadline.after(self._seconds), params=_VERSION
        ).fields()
        properties = fields.object("properties")
        hours = properties.object("retentionDescription").maybe_number("retentionTimeInHours")
        days = properties.maybe_number("messageRetentionInDays")
        if hours is None and days is None:
            properties.refuse("retentionDescription", "retention")
        return HubState(
            name=fields.text("name"),
            partitions=properties.integer("partitionCount"),
            retention=hours * 3600.0 if hours is not None else (days or 0.0) * 86_400.0,
            status=properties.maybe_text("status") or "Unknown",
        )

    def consumer_groups(self) -> list[str]:
        """The names of the hub's consumer groups."""
        pages = self._client.pages(
            f"{self._hub_path}/consumergroups",
            operation="consumer groups",
            deadline=Deadline.after(self._seconds),
            params=_VERSION,
        )
        return sorted(fields.text("name") for fields in pages)

    def partitions(self) -> tuple[PartitionState, ...]:
        """Both ends of every partition, read now and all at once. Raises ServiceError types."""
        return self._partitions.read(Deadline.after(self._seconds))

    def positions(self, partitions: Sequence[PartitionState], moment: datetime) -> dict[str, int]:
        """For each partition the sequence number of the first event that was enqueued at or after `moment`; one past its end where there is none.

        Reads one event of each partition that has any. Raises ServiceError types.
        """
        return self._partitions.positions(partitions, moment, Deadline.after(self._seconds))

    def tail(self, places: Mapping[str, int]) -> HubTail:
        """Read those partitions from the events of these sequence numbers on, live, until the tail is closed. Raises ServiceError types.

        Readers of the configured consumer group, without an epoch: nobody is displaced, and no place is kept anywhere.
        """
        return self._partitions.tail(places, Deadline.after(self._seconds))

    def events(self, spans: Mapping[str, tuple[int, int]]) -> list[RawEvent]:
        """The events of each partition between two sequence numbers, both included, in the order of their sequence. Raises ServiceError types.

        What the hub has dropped meanwhile is left out.
        """
        wanted = {partition: span for partition, span in spans.items() if span[0] <= span[1]}
        if not wanted:
            return []
        deadline = Deadline.after(self._seconds)
        tail = self._partitions.tail({partition: span[0] for partition, span in wanted.items()}, deadline)
        try:
            return tail.until({partition: span[1] for partition, span in wanted.items()}, deadline)
        finally:
            tail.close()

    def close(self) -> None:
        """Give up the AMQP client."""
        self._partitions.close()


class _Partitions:
    """The AMQP side: a client that is kept, and the ids of the partitions, which change once in a hub's life if ever."""

    def __init__(
        self, environment: Environment, calls: CallCounter, credential: CachedCredential, secrets: SecretReader
    ) -> None:
        self._settings = environment.eventhub
        self._calls = calls
        self._credential = credential
        self._secrets = secrets
        self._advice = credential.advice("Azure Event Hubs Data Receiver on the hub")
        self._lock = threading.Lock()
        self._clients: list[Any] = []
        self._ids: tuple[str, ...] = ()
        self._ids_at = float("-inf")

    def read(self, deadline: Deadline) -> tuple[PartitionState, ...]:
        try:
            ids = self._known(deadline)
            runs = [ids[start : start + _PER_CONNECTION] for start in range(0, len(ids), _PER_CONNECTION)]
            works = [
                self._reading(client, run) for client, run in zip(self._opened(len(runs), deadline), runs, strict=True)
            ]
            found = bounded.run_all(works, deadline)
            return tuple(state for states in found for state in states)
        except LpmopsError:
            self.close()
            raise

    def positions(self, partitions: Sequence[PartitionState], moment: datetime, deadline: Deadline) -> dict[str, int]:
        known = {item.partition: item.last_sequence + 1 for item in partitions}
        asked = [
            item.partition
            for item in partitions
            if not item.is_empty and item.last_enqueued_at is not None and item.last_enqueued_at >= moment
        ]
        works = []
        for partition in asked:
            self._calls.count("eventhub", "position")
            client = bounded.run(self._work("connect", partial(self._connect, deadline)), deadline)
            works.append(self._finding(client, partition, moment))
        found = bounded.run_all(works, deadline)
        return known | {partition: at for partition, at in zip(asked, found, strict=True) if at is not None}

    def _finding(self, client: Any, partition: str, moment: datetime) -> bounded.Work[int | None]:
        """The sequence number of a partition's first event since a moment, over a connection of its own."""
        work = self._work("position", partial(client.first_since, partition, moment))
        return replace(work, abandon=partial(_close, client))

    def tail(self, places: Mapping[str, int], deadline: Deadline) -> HubTail:
        self._calls.count("eventhub", "tail")
        clients = {
            partition: bounded.run(self._work("connect", partial(self._connect, deadline)), deadline)
            for partition in places
        }
        where = f"Event Hubs (events of {self._settings.hub})"
        return HubTail(clients, places, explain=self._explain, what=where)

    def close(self) -> None:
        with self._lock:
            clients, self._clients, self._ids_at = self._clients, [], float("-inf")
        for client in clients:
            # Closing talks to the server, which may be the one that hangs.
            threading.Thread(target=_close, args=(client,), name="lpmops eventhub close", daemon=True).start()

    def _known(self, deadline: Deadline) -> tuple[str, ...]:
        """The ids of the partitions, asked for once in a while."""
        with self._lock:
            if time.monotonic() - self._ids_at < _IDS_SECONDS:
                return self._ids
        (client,) = self._opened(1, deadline)
        self._calls.count("eventhub", "partition ids")
        ids = tuple(bounded.run(self._work("partition ids", lambda: _texts(client.get_partition_ids())), deadline))
        with self._lock:
            self._ids, self._ids_at = ids, time.monotonic()
        return ids

    def _opened(self, number: int, deadline: Deadline) -> list[Any]:
        """That many clients; those that are missing are built, which reaches nobody but where the connection string is kept."""
        with self._lock:
            missing = number - len(self._clients)
        made = [bounded.run(self._work("connect", partial(self._connect, deadline)), deadline) for _ in range(missing)]
        with self._lock:
            self._clients += made
            return self._clients[:number]

    def _reading(self, client: Any, ids: Sequence[str]) -> bounded.Work[list[PartitionState]]:
        """The ends of some partitions, one after the other."""
        for _ in ids:
            self._calls.count("eventhub", "partition")
        return self._work(
            "partition", lambda: [_partition(client.get_partition_properties(identifier)) for identifier in ids]
        )

    def _work(self, operation: str, run: Callable[[], T]) -> bounded.Work[T]:
        return bounded.Work(
            run=run,
            service="eventhub",
            lane=f"eventhub {self._settings.namespace}/{self._settings.hub} {operation}",
            what=f"Event Hubs ({operation} of {self._settings.hub})",
            explain=self._explain,
        )

    def _explain(self, error: Exception) -> ServiceError:
        settings = self._settings
        if (full := _full(error, settings.consumer_group)) is not None:
            return full
        return _explain(error, where=settings.namespace, hub=settings.hub, advice=self._advice)

    def _connect(self, deadline: Deadline) -> Any:
        from lpmops.services.eventhubclient import KeptConsumerClient

        seconds = max(1, int(deadline.seconds))
        options: dict[str, Any] = {
            # Asked on the open connection first, then once in the SDK's own way.
            "retry_total": 0,
            "retry_backoff_factor": 0.1,
            "auth_timeout": seconds,
            "logging_enable": False,
            "seconds": deadline.seconds,
        }
        verify = trust()
        if isinstance(verify, str):
            options["connection_verify"] = verify
        if self._settings.auth == "connection-string":
            text = self._secrets.read(self._settings.connection_string, deadline)
            _check_connection_string(text)
            return KeptConsumerClient.from_connection_string(
                text, consumer_group=self._settings.consumer_group, eventhub_name=self._settings.hub, **options
            )
        namespace = self._settings.namespace
        host = namespace if "." in namespace else f"{namespace}.servicebus.windows.net"
        return KeptConsumerClient(
            fully_qualified_namespace=host,
            eventhub_name=self._settings.hub,
            consumer_group=self._settings.consumer_group,
            credential=self._credential,
            **options,
        )


def _close(client: Any) -> None:
    try:
        client.close()
    except Exception:  # noqa: BLE001 - the edge of a thread that only tidies up: there is nobody to report to and nothing to do
        return


def _check_connection_string(text: str) -> None:
    """Refuse a string without TLS to another machine. Raises ConfigError without a word of the string."""
    settings = {
        name.strip().lower(): value.strip() for name, _, value in (part.partition("=") for part in text.split(";"))
    }
    try:
        host = urlsplit(settings.get("endpoint", "")).hostname or ""
    except ValueError:
        host = ""
    if not host:
        raise ConfigError(
            "The connection string of the hub names no endpoint.",
            hint="It begins with Endpoint=sb://HOST/; copy it whole from the portal.",
        )
    if settings.get("usedevelopmentemulator", "").lower() == "true" and host not in LOOPBACK:
        raise ConfigError(
            f"The emulator's connection string leads to {clean(host)}, without TLS.",
            hint="An emulator is used on this machine alone.",
        )


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise TypeError("partition ids")
    return sorted(values, key=lambda value: (len(value), value))


def _partition(found: Any) -> PartitionState:
    is_empty = bool(found["is_empty"])
    at = found["last_enqueued_time_utc"]
    return PartitionState(
        partition=str(found["id"]),
        begin_sequence=int(found["beginning_sequence_number"]),
        last_sequence=int(found["last_enqueued_sequence_number"]),
        last_enqueued_at=None if at is None or at.year < 2000 else at,
        is_empty=is_empty,
    )


def _full(error: Exception, group: str) -> ReadersError | None:
    """The error of a consumer group that takes no further reader; None for any other."""
    lower = clean(error).lower()
    if "maximum number of allowed receivers" in lower:
        return ReadersError(
            f"Five readers read in the consumer group {group} already, and Event Hubs takes no sixth of a partition.",
            service="eventhub",
            hint=f"Close another tail or tool that reads with {group}, or name another group of the hub as eventhub.consumer_group in lpmops.toml.",
        )
    if "non-epoch receiver is not allowed" in lower or "link:stolen" in lower or "higher epoch" in lower:
        return ReadersError(
            f"Somebody reads in the consumer group {group} alone (with an owner level), so that nobody else may.",
            service="eventhub",
            hint="People read with a group of their own: name one that no program uses as eventhub.consumer_group in lpmops.toml.",
        )
    return None


def _explain(error: Exception, *, where: str, hub: str, advice: Advice) -> ServiceError:
    """The error behind what azure-eventhub raised, by its own type and the AMQP condition in its words."""
    names = {type(cause).__name__ for cause in failures.causes(error)}
    words = clean(error)
    lower = words.lower()
    # A hub that is not there is found out while signing in to it, as an AuthenticationError.
    if "not-found" in lower or "could not be found" in lower or "status code: 404" in lower:
        return ServiceNotFoundError(
            f"{where} knows no hub {hub}.",
            service="eventhub",
            hint="Compare eventhub.hub in lpmops.toml with the portal.",
        )
    if "AuthenticationError" in names or "unauthorized" in lower or "status code: 401" in lower:
        if "claim" in lower or "listen" in lower or "status code: 403" in lower:
            return ForbiddenError(
                f"Event Hubs refuses this identity at {hub}: {words}",
                service="eventhub",
                hint=f"The identity needs: {advice.rights}.",
            )
        return SignInError(
            f"Event Hubs does not accept the sign-in at {hub}: {words}",
            service="eventhub",
            hint=f"Sign in again: {advice.sign_in}",
        )
    if "server-busy" in lower or _BUSY.search(lower) or "throttl" in lower:
        return ThrottledError(
            f"Event Hubs asks to slow down: {words}", service="eventhub", hint="Try again in 10 s.", retry_after=10.0
        )
    if "OperationTimeoutError" in names or "TimeoutError" in names or "timed out" in lower:
        return DeadlineError(f"Event Hubs at {where} did not answer in time.", service="eventhub", hint="Try again.")
    network = {"gaierror", "ConnectionRefusedError", "SSLError", "SSLCertVerificationError"}
    if names & network:
        return failures.from_exception(error, "eventhub", where)
    if names & {
        "ConnectError",
        "ConnectionLostError",
        "ConnectionResetError",
        "ConnectionError",
        "OSError",
        "AMQPConnectionError",
    }:
        return UnreachableError(
            f"Event Hubs at {where} can't be reached: {words}",
            service="eventhub",
            hint="Check the namespace, the firewall and port 5671 on the way there.",
        )
    if names & {"EventHubError", "AMQPException", "ErrorResponse"}:
        return ServiceError(
            f"Event Hubs refuses the call: {words}",
            service="eventhub",
            hint="Try again; if it stays so, look at the namespace.",
        )
    return BadAnswerError(
        f"The answer of {where} is no Event Hubs answer ({type(error).__name__}).",
        service="eventhub",
        hint="Another service may listen there.",
    )

"""Who reads which partition in which consumer group, and who must give way.

Without an epoch (owner level) up to five may read together. One with an epoch reads alone: it disconnects all others
of the same or a lower epoch, and is refused where a higher one reads. Source:
learn.microsoft.com/azure/event-hubs/event-hubs-event-processor-host and the threads named in `conditions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from lpmops.sandbox.hub.amqp import conditions
from lpmops.sandbox.hub.amqp.conditions import LinkFailure

MAX_RECEIVERS = 5


class Receiver(Protocol):
    """What must be known of a receiving link."""

    hub_name: str
    group: str
    partition: int
    epoch: int | None
    label: str

    def pump(self) -> None:
        """Send what there is."""

    def expel(self, failure: LinkFailure) -> None:
        """Detach it."""


class Receivers:
    """The receivers of a namespace. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, int], dict[str, list[Receiver]]] = {}

    def join(self, receiver: Receiver) -> None:
        """Let a receiver in, and expel those that it displaces. Raises LinkFailure where it must stay out."""
        group = self._readers.setdefault((receiver.hub_name, receiver.partition), {}).setdefault(
            receiver.group.lower(), []
        )
        owner = next((one for one in group if one.epoch is not None), None)
        if receiver.epoch is None:
            self._admit_without_epoch(receiver, group, owner)
            return
        if owner is not None and owner.epoch is not None and owner.epoch > receiver.epoch:
            raise LinkFailure(
                conditions.STOLEN, conditions.epoch_too_low(owner.label, owner.epoch, receiver.label, receiver.epoch)
            )
        displaced = list(group)
        group[:] = [receiver]
        for one in displaced:
            one.expel(
                LinkFailure(
                    conditions.STOLEN, conditions.receiver_stolen(receiver.label, receiver.epoch, one.label, one.epoch)
                )
            )

    def _admit_without_epoch(self, receiver: Receiver, group: list[Receiver], owner: Receiver | None) -> None:
        if owner is not None and owner.epoch is not None:
            raise LinkFailure(conditions.STOLEN, conditions.epoch_required(owner.epoch))
        if len(group) >= MAX_RECEIVERS:
            text = conditions.too_many_receivers(MAX_RECEIVERS, [one.label for one in group])
            raise LinkFailure(conditions.RESOURCE_LIMIT, text)
        group.append(receiver)

    def leave(self, receiver: Receiver) -> None:
        """Forget a receiver; nothing happens where it is not there."""
        groups = self._readers.get((receiver.hub_name, receiver.partition), {})
        group = groups.get(receiver.group.lower(), [])
        if receiver in group:
            group.remove(receiver)
        if not group:
            groups.pop(receiver.group.lower(), None)
        if not groups:
            self._readers.pop((receiver.hub_name, receiver.partition), None)

    def of(self, hub_name: str, partition: int) -> list[Receiver]:
        """All receivers of a partition."""
        return [one for group in self._readers.get((hub_name, partition), {}).values() for one in group]

    def __iter__(self) -> Iterator[Receiver]:
        return iter([one for hub_name, partition in list(self._readers) for one in self.of(hub_name, partition)])

"""What the hub gives to those who read it: what flows in as Azure Monitor measured it, its throughput units, and its room for consumer groups.

A plan of shards holds itself to that. What can't be measured stays unknown, and is said in the plan; it never stands for enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lpmops.actions.action import Bench
from lpmops.config import Environment
from lpmops.control import readers
from lpmops.errors import LpmopsError, SignInError
from lpmops.model import NamespaceState
from lpmops.routing.shards import GROUPS

# $Default, which every hub has, and the people's, of those that a tier gives.
_NOT_OF_JOBS = 2


@dataclass(frozen=True, slots=True)
class Flow:
    """`ingress` in bytes a second at its peak of the last minutes, `throughput_units` that the namespace may have; each None where unknown.

    `groups` are the hub's consumer groups, None where unknown; `notes` say what is unknown and why.
    """

    ingress: float | None = None
    throughput_units: float | None = None
    tier: str = "Standard"
    groups: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def room(self, of_jobs: Iterable[str], of_people: str) -> int:
        """How many jobs can have a consumer group: what the tier gives less what others have."""
        most = GROUPS.get(self.tier.lower(), GROUPS["standard"])
        own = {name.casefold() for name in of_jobs}
        others = {name.casefold() for name in (*(self.groups or ()), "$Default", of_people)} - own
        return most + _NOT_OF_JOBS - len(others)


def measure(bench: Bench) -> Flow:
    """What the hub's services say now. Raises SignInError; any other failure is a note."""
    hub, notes = bench.services.eventhubs, list[str]()
    namespace: NamespaceState | None = _asked(lambda: hub.namespace(), "The namespace's throughput units", notes)
    groups = _asked(lambda: tuple(hub.consumer_groups()), "The hub's consumer groups", notes)
    ingress = _asked(lambda: _ingress(bench), "What flows into the hub", notes)
    if ingress is None and not any(note.startswith("What flows") for note in notes):
        notes.append("What flows into the hub is not known: Azure Monitor has no bytes of the last minutes yet.")
    if ingress is None or namespace is None:
        notes.append("So it was not checked whether the namespace lets out what all jobs read.")
    tier = bench.environment.eventhub.tier if namespace is None else namespace.tier
    return Flow(ingress, _units(bench.environment, namespace), tier, groups, tuple(notes))


def _asked(ask: Callable[[], Any], what: str, notes: list[str]) -> Any:
    try:
        return ask()
    except SignInError:
        raise
    except LpmopsError as error:
        notes.append(f"{what} {'is' if what.startswith('What') else 'are'} not known: {error.message}")
        return None


def _ingress(bench: Bench) -> float | None:
    """The most of a minute, as bytes a second; None without a point, as no data is not zero."""
    series = readers.of_namespace(bench.services.monitor, bench.environment, ("IncomingBytes",))
    values = [point.value for each in series for point in each.points if point.value is not None]
    return max(values) / 60 if values else None


def _units(environment: Environment, namespace: NamespaceState | None) -> float | None:
    """The throughput units that the namespace has or grows to by itself; a tier that is not sold by them has none."""
    if namespace is None or namespace.tier.lower() not in ("basic", "standard"):
        return None
    most = environment.eventhub.maximum_throughput_units if namespace.auto_inflate else 0
    return float(max(namespace.throughput_units, most, 1))

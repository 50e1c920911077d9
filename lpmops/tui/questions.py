"""The closer looks that the screens ask for, each with its name, how often it is asked anew, and the moment it is about.

In the past, and while the display is held, an answer stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lpmops.model import CallMinute, HubEvent, LandedRecord, LogLine, Turn
from lpmops.tui.answers import Question
from lpmops.tui.feed import Feed
from lpmops.tui.view import Scene

if TYPE_CHECKING:
    from lpmops.actions.inputs import Choice, Remark
    from lpmops.control.access_rows import Right
    from lpmops.control.findings import Finding
    from lpmops.control.operations import Operation
    from lpmops.control.plan import Plan
    from lpmops.store.audit import Entry
    from lpmops.tui.orders import Orders
    from lpmops.tui.version_rows import Laid
    from lpmops.versions import Versions

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RECORDS_EVERY = 10.0
CALLS_EVERY = 30.0
CHOICES_EVERY = 10.0
SERIES_EVERY = 30.0
LOGS_EVERY = 15.0
EVENTS_EVERY = 2.0
OPERATIONS_EVERY = 5.0
AUDIT_EVERY = 15.0
TURNS_EVERY = 10.0
VERSIONS_EVERY = 20.0
REPLAY_EVERY = 3.0

Points = Sequence[tuple[datetime, float]]


def records(scene: Scene, environment: str, company: str) -> Question[Sequence[LandedRecord]]:
    """The newest changes of a company."""
    until = scene.past
    return Question(
        ("records", environment, company, until),
        lambda feed: tuple(feed.records(environment, company, until)),
        _every(scene, RECORDS_EVERY),
    )


def calls(scene: Scene, environment: str, company: str) -> Question[Sequence[CallMinute]]:
    """Its calls by the minute."""
    until = scene.past
    return Question(
        ("calls", environment, company, until),
        lambda feed: tuple(feed.calls(environment, company, until)),
        _every(scene, CALLS_EVERY),
    )


def all_calls(scene: Scene, environment: str) -> Question[Sequence[CallMinute]]:
    """The calls of all companies by the minute."""
    until = scene.past
    return Question(
        ("all calls", environment, until),
        lambda feed: tuple(feed.all_calls(environment, until)),
        _every(scene, CALLS_EVERY),
    )


def series(scene: Scene, environment: str, name: str) -> Question[Points]:
    """A series of numbers over the hour before the moment that is shown."""
    until = scene.past

    def ask(feed: Feed) -> Points:
        end = until or feed.now()
        return tuple(feed.series(environment, name, end - HOUR, end))

    return Question(("series", environment, name, until), ask, _every(scene, SERIES_EVERY))


def turns(scene: Scene, environment: str) -> Question[Sequence[Turn]]:
    """What turned over the day before the moment that is shown."""
    until = scene.past

    def ask(feed: Feed) -> Sequence[Turn]:
        end = until or feed.now()
        return tuple(feed.turns(environment, end - DAY, end))

    return Question(("turns", environment, until), ask, _every(scene, TURNS_EVERY))


def logs(scene: Scene, environment: str, source: str) -> Question[Sequence[LogLine]]:
    """What a source wrote down."""
    until = scene.past
    return Question(
        ("logs", environment, source, until),
        lambda feed: tuple(feed.logs(environment, source, until)),
        _every(scene, LOGS_EVERY),
    )


def events(scene: Scene, environment: str, company: str) -> Question[Sequence[HubEvent]]:
    """What comes into the hub; of the past nothing is asked, since the hub shows what it holds now."""
    return Question(
        ("events", environment, company),
        lambda feed: tuple(feed.events(environment, company)),
        _every(scene, EVENTS_EVERY),
    )


def versions(environment: str) -> Question[Laid]:
    """The source table's versions, laid out aside; they are of now, whatever moment is shown."""
    from lpmops.tui.version_rows import laid

    return Question(
        ("versions", environment), lambda feed: laid(feed.versions(environment), feed.now()), VERSIONS_EVERY
    )


def changes_in(environment: str, versions: Versions) -> Question[Mapping[str, int]]:
    """Whose changes are in a range; what was committed stays as it is."""
    return Question(("changes in", environment, versions), lambda feed: feed.changes_in(environment, versions), None)


def assessment(environment: str) -> Question[Sequence[Finding]]:
    """What there is to say of an environment; asks every service, so only when somebody asks."""
    return Question(("assessment", environment), lambda feed: tuple(feed.assessment(environment)), None)


def rights(environment: str) -> Question[Sequence[Right]]:
    """Who has which right there; asked likewise."""
    return Question(("rights", environment), lambda feed: tuple(feed.rights(environment)), None)


def _every(scene: Scene, seconds: float) -> float | None:
    return None if scene.past or scene.held else seconds


def operations(orders: Orders) -> Question[Sequence[Operation]]:
    """The newest operations of this machine; they are of today, whatever moment is shown."""
    return Question(("operations",), lambda _: orders.operations(), OPERATIONS_EVERY)


def replay(orders: Orders, identifier: str, *, going: bool) -> Question[Mapping[str, Any]]:
    """How far a replay is, and its proof; asked again while it goes on."""
    return Question(("replay", identifier, going), lambda _: orders.replay(identifier), REPLAY_EVERY if going else None)


def audit(orders: Orders) -> Question[Sequence[Entry]]:
    """The newest entries of the audit."""
    return Question(("audit",), lambda _: orders.audit(), AUDIT_EVERY)


def choices(
    orders: Orders, environment: str, action: str, field: str, asked: str, *, again: bool = False
) -> Question[Sequence[Choice]]:
    """What an input can be; `asked` names the panel that asks, so that the next one asks anew. `again` where there was none."""
    return Question(
        ("choices", environment, action, field, asked),
        lambda _: orders.choices(environment, action, field),
        CHOICES_EVERY if again else None,
    )


def look(
    orders: Orders, environment: str, action: str, field: str, text: str, asked: str
) -> Question[Sequence[Remark]]:
    """What the services say about a text of an input."""
    return Question(
        ("look", environment, action, field, text, asked),
        lambda _: orders.look(environment, action, field, text),
        None,
    )


def plan(orders: Orders, environment: str, action: str, values: Mapping[str, Any], asked: str) -> Question[Plan]:
    """What an action would do."""
    return Question(("plan", environment, action, asked), lambda _: orders.plan(environment, action, values), None)

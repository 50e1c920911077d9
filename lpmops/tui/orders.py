"""What the app needs to change things, as a protocol beside the feed.

The app is given one `Orders`, or none where it only looks. `arm`, `disarm`, `armed` and `read_only` answer from memory;
every other method may block or hang, so the app calls them on daemon threads only, and may raise LpmopsError. `tell` is
called from the thread of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from lpmops.actions.inputs import Choice, Remark
    from lpmops.control.hands import Event, Outcome, StopRequest
    from lpmops.control.operations import Operation
    from lpmops.control.plan import Plan
    from lpmops.store.audit import Entry


class Orders(Protocol):
    """Everything that can be ordered, and what became of it."""

    @property
    def read_only(self) -> bool:
        """Whether it refuses every change."""
        ...

    def arm(self, environment: str) -> None:
        """Lets things be changed in `environment` for a while; from memory."""
        ...

    def disarm(self, environment: str) -> None:
        """Ends that before its time; from memory."""
        ...

    def armed(self) -> Mapping[str, float]:
        """The armed environments with the seconds left; from memory."""
        ...

    def choices(self, environment: str, action: str, field: str) -> Sequence[Choice]:
        """What an input of an action can be now."""
        ...

    def look(self, environment: str, action: str, field: str, text: str) -> Sequence[Remark]:
        """What the services say about a text of an input."""
        ...

    def plan(self, environment: str, action: str, values: Mapping[str, Any]) -> Plan:
        """What an action would do now."""
        ...

    def apply(self, plan: Plan, typed: str, tell: Callable[[Event], None], stop: StopRequest) -> Outcome:
        """Carries out a plan to which somebody said yes by typing that; `stop` ends it after the step that is under way."""
        ...

    def resume(self, identifier: str, tell: Callable[[Event], None], stop: StopRequest) -> Outcome:
        """Goes on with an operation, until `stop` ends it after a step."""
        ...

    def resolve(self, identifier: str, how: str, reason: str) -> None:
        """Says how the step in doubt stands: done or not-done."""
        ...

    def abort(self, identifier: str, reason: str) -> None:
        """Gives an operation up."""
        ...

    def pause(self, identifier: str) -> None:
        """Ends what an operation has at work elsewhere and waits for that; the rest can be resumed."""
        ...

    def operations(self) -> Sequence[Operation]:
        """The newest operations of this machine, newest first."""
        ...

    def replay(self, identifier: str) -> Mapping[str, Any]:
        """A replay as `lpmops replay show` gives it: its chunks with what was sent of each, and the proof."""
        ...

    def audit(self) -> Sequence[Entry]:
        """The newest entries of the audit, newest first."""
        ...

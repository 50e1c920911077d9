"""Where the operator is, as a value, and the way back.

A `Place` names one screen and what it shows; `way` is the places one went through to reach it, from the overview on, so
that esc always leads outwards. `Visits` remembers places like a browser does. Both are pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lpmops.model import LandedRecord

_MOST_VISITS = 200


@dataclass(frozen=True, slots=True)
class Place:
    """One screen. `kind` is overview, environment, company, record, logs, hub, versions, assessment, settings, operations or audit.

    The others say of what; `source` is a source of logs, a tab, or a range of versions.
    """

    kind: str = "overview"
    environment: str = ""
    company: str = ""
    record: LandedRecord | None = None
    source: str = ""

    def way(self) -> tuple[Place, ...]:
        """The places from the overview to this one, both included."""
        # The events of one company are seen from its screen, those of all from their environment's.
        parent = "company" if self.kind in ("hub", "versions") and self.company else _PARENTS.get(self.kind)
        if parent is None:
            return (self,)
        above = replace(self, kind=parent, record=None, source="")
        if parent == "environment":
            above = Place(parent, self.environment)
        elif parent == "overview":
            above = Place()
        return (*above.way(), self)

    @property
    def outside(self) -> Place:
        """The place that esc leads to; the overview leads to itself."""
        way = self.way()
        return way[-2] if len(way) > 1 else self


OVERVIEW = Place()
_PARENTS = {
    "environment": "overview",
    "company": "environment",
    "record": "company",
    "logs": "environment",
    "hub": "environment",
    "versions": "environment",
    "assessment": "environment",
    "settings": "overview",
    "operations": "overview",
    "audit": "overview",
}


@dataclass(slots=True)
class Visits:
    """The places that were seen, and which of them is seen now."""

    places: list[Place] = field(default_factory=lambda: [OVERVIEW])
    index: int = 0
    _before: int | None = None

    @property
    def here(self) -> Place:
        """The place that is seen."""
        return self.places[self.index]

    def visit(self, place: Place) -> None:
        """Another place is seen; what lay ahead is forgotten."""
        if place == self.here:
            return
        self._before = self.index
        del self.places[self.index + 1 :]
        self.places.append(place)
        del self.places[:-_MOST_VISITS]
        self.index = len(self.places) - 1
        self._before = min(self._before, self.index)

    def exchange(self, place: Place) -> None:
        """The place that is seen has become another."""
        self.places[self.index] = place

    def move(self, by: int) -> Place | None:
        """Back or forward by so many places, None where there is nothing."""
        index = self.index + by
        if not 0 <= index < len(self.places):
            return None
        self._before, self.index = self.index, index
        return self.here

    def last(self) -> Place | None:
        """The place that was seen before this one, however one came here."""
        before = self._before
        if before is None or before == self.index or before >= len(self.places):
            return None
        return self.move(before - self.index)

"""Who the sandbox's customers are: believable emergency services, the same ones for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

_PLACES = (
    "Acme,Harbour,Northfield,Cedar,Lakeside,Granite,Prairie,Summit,Riverbend,Juniper,Mesa,Pinewood,Sable,Coral,Timber,"
    "Falcon,Elm Creek,Silverton,Red Rock,Stony Point,Blue Ridge,Maple,Ironwood,Bayview,Highland,Willow,Amber,Crescent,Eagle,Fox Hollow"
).split(",")
_BODIES = (
    "County 911",
    "Emergency Communications",
    "911",
    "Dispatch Center",
    "Public Safety",
    "Fire & Rescue",
    "Regional 911",
    "Police Dispatch",
)


@dataclass(frozen=True, slots=True)
class Company:
    """A customer: its id in the records, its name, how busy it is beside the others, and its database."""

    id: str
    name: str
    weight: float
    database: str


def companies(count: int, databases: tuple[str, ...], seed: int) -> tuple[Company, ...]:
    """`count` customers over `databases`, dealt in turn; a few are busy and many are small, as it is in life."""
    chance = random.Random(f"companies-{seed}")
    found = []
    for number in range(count):
        place, body = _PLACES[number % len(_PLACES)], _BODIES[(number + number // len(_PLACES)) % len(_BODIES)]
        lap = number // (len(_PLACES) * len(_BODIES))
        name = f"{place} {body}" + (f" {lap + 1}" if lap else "")
        weight = 0.3 + chance.paretovariate(1.3)
        found.append(Company(str(1001 + number), name, min(weight, 12.0), databases[number % len(databases)]))
    return tuple(found)

"""How two descriptions of one thing are compared: field by field, by the classes of its fields, so that every difference has a name.

A description is plain values under the API's own names. A field is of one of these classes: managed, compared as it is; a server's default, equal
where it is not shown; unordered (every list), or with more in it than is asked for; a name or a region, in whatever way the service writes it; at
least, where the service itself may have given more; write-only, of which nobody is shown the value and a fingerprint of what was last written is
kept; ignored, what the wish does not name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_DOMAINS = (".database.windows.net", ".servicebus.windows.net")
_FINGERPRINT = "sha256:"


@dataclass(frozen=True, slots=True)
class Rules:
    """The classes of a thing's fields, by the last part of a field's name or its last two. `fixed` can't be changed in place: the field and why."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    at_least: frozenset[str] = frozenset()
    contains: frozenset[str] = frozenset()
    write_only: frozenset[str] = frozenset()
    fixed: Mapping[str, str] = field(default_factory=dict)


def unlike(target: Mapping[str, Any], live: Mapping[str, Any], rules: Rules) -> list[tuple[str, Any, Any]]:
    """The fields of `target` that `live` has otherwise: name, before, after. What only `live` has is left alone."""
    there = flat(live)
    return [
        (name, there.get(name), value)
        for name, value in flat(target).items()
        if not same(name, value, there.get(name), rules)
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as dotted names; `datasource.properties` is left out of them, as it says nothing."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        path = prefix if name == "properties" else f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            found |= flat(value, path)
        else:
            found[path] = value
    return found


def same(name: str, wanted: Any, found: Any, rules: Rules) -> bool:
    """Whether a field is as wanted, by its class."""
    last = name.rpartition(".")[2]
    if wanted is None:
        # Nothing is asked for: an answer that shows the field empty is what it was read from.
        return True
    if last in rules.write_only:
        # What the service shows in its place (nothing, stars) says nothing; only what was noted at the last write does.
        return isinstance(found, str) and found.startswith(_FINGERPRINT) and found == wanted
    if found is None:
        default = rules.defaults.get(last, rules.defaults.get(".".join(name.split(".")[-2:])))
        return default is not None and bool(wanted == default)
    if last in rules.names:
        return bare_name(str(wanted)) == bare_name(str(found))
    if last in rules.regions:
        return bare_region(str(wanted)) == bare_region(str(found))
    if ".".join(name.split(".")[-2:]) in rules.at_least:
        return bool(found >= wanted)
    if isinstance(wanted, str) and isinstance(found, str):
        return _text(wanted) == _text(found)
    if isinstance(wanted, list) and isinstance(found, list):
        if last in rules.contains:
            return set(map(str, wanted)) <= set(map(str, found))
        return sorted(map(str, wanted)) == sorted(map(str, found))
    return bool(wanted == found)


def fingerprint(secret: str, salt: str) -> str:
    """What is kept of a secret: a hash bound to where it is used, from which nobody gets it back."""
    return _FINGERPRINT + hashlib.sha256(f"{salt}\0{secret}".encode()).hexdigest()[:32]


def bare_name(name: str) -> str:
    """A name without case and without the public cloud's domain."""
    small = name.lower()
    return next((small.removesuffix(domain) for domain in _DOMAINS if small.endswith(domain)), small)


def bare_region(name: str) -> str:
    """A region as Resource Manager takes it: services show `West Europe` for westeurope."""
    return name.lower().replace(" ", "")


def _text(value: str) -> str:
    return "\n".join(line.rstrip() for line in value.replace("\r\n", "\n").strip().split("\n"))

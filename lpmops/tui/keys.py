"""Keys as they are shown: grouped by what they do, in the words and signs of the bindings themselves.

The key bar and the help read the same live bindings, so a key that moves or is switched off moves or goes in both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.screen import Screen

_SIGNS = {
    "up": "↑", "down": "↓", "left": "←", "right": "→", "escape": "esc", "enter": "enter",
    "pageup": "pgup", "pagedown": "pgdn", "slash": "/", "question_mark": "?", "colon": ":", "comma": ",",
    "left_square_bracket": "[", "right_square_bracket": "]", "left_curly_bracket": "{", "right_curly_bracket": "}",
    "less_than_sign": "<", "greater_than_sign": ">", "shift+left": "shift ←", "shift+right": "shift →",
    "shift+up": "shift ↑", "shift+down": "shift ↓",
    "plus": "+", "at": "@", "minus": "-", "underscore": "_",
}  # fmt: skip


_OWNERS = {"app": "everywhere", "time": "time"}


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """Keys that do the same thing. `owner` is where they work: here, time or everywhere; `why` says why they do not just now."""

    keys: tuple[str, ...]
    first_key: str
    description: str
    tooltip: str
    owner: str
    shown: bool
    last: bool
    why: str = ""
    id: str = ""

    @property
    def label(self) -> str:
        """The keys on a few cells: `j ↓`, or `1-9` for a run of digits."""
        digits = [key for key in self.keys if key.isdigit()]
        if len(digits) > 1 and len(digits) == len(self.keys):
            return f"{digits[0]}-{digits[-1]}"
        return " ".join(self.keys)


def key_sign(key: str) -> str:
    """The name of a key as it is written on the screen."""
    return _SIGNS.get(key, key)


def sign(app: App[Any], binding: Binding) -> str:
    """The key of a binding as it is written on the screen."""
    return binding.key_display or _SIGNS.get(binding.key) or app.get_key_display(binding)


def key_groups(app: App[Any], screen: Screen[Any]) -> list[KeyGroup]:
    """The keys of `screen`, nearest first, with why those that do not work now do not; Textual's own and system keys are left out."""
    groups: dict[tuple[str, str], KeyGroup] = {}
    why_not: Callable[[str], str | None] = getattr(app, "why_not", lambda _action: None)
    for active in screen.active_bindings.values():
        binding = active.binding
        # Textual's own keys for scrolling and focus have no id; they do nothing here that ours do not.
        if binding.system or not binding.id or not active.enabled:
            continue
        # The numbers of the environments are one row.
        action = binding.action.partition("(")[0] if binding.action.startswith("app.jump(") else binding.action
        name = (action, binding.description)
        before = groups.get(name)
        keys = (*before.keys, sign(app, binding)) if before else (sign(app, binding),)
        owner = _OWNERS.get(binding.id.partition(".")[0], "here")
        groups[name] = KeyGroup(
            keys=tuple(dict.fromkeys(keys)),
            first_key=before.first_key if before else binding.key,
            description=binding.description,
            tooltip=before.tooltip if before else binding.tooltip,
            owner=owner,
            shown=binding.show or bool(before and before.shown),
            last=owner == "everywhere",
            why=why_not(binding.action) or "",
            id=before.id if before else binding.id,
        )
    return list(groups.values())

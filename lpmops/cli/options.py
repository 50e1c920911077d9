"""Options that many commands take, declared once as a bundle: a frozen dataclass whose fields are annotated like a command's own parameters.

A command names a bundle as one parameter, `change: Change`, and stands under `@spread`: its options then come behind the command's own, in the order
of the bundle's fields, and the command is handed the filled bundle. The bundles are `changing.Change` for what changes something and `changing.Look`
for what only looks; a room whose commands share further options makes its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each bundle among its parameters replaced by the bundle's options. Raises TypeError for an option that is there twice."""
    own = inspect.signature(command, eval_str=True)
    bundles = {name: each.annotation for name, each in own.parameters.items() if _is_bundle(each.annotation)}
    shown = [each for name, each in own.parameters.items() if name not in bundles]
    for bundle in bundles.values():
        shown += _options(bundle)
    names = [each.name for each in shown]
    if len(set(names)) < len(names):
        raise TypeError(f"{command.__name__} has an option twice: {', '.join(sorted(names))}")

    @wraps(command)
    def filled(**given: Any) -> None:
        for name, bundle in bundles.items():
            given[name] = bundle(**{each.name: given.pop(each.name) for each in fields(bundle)})
        command(**given)

    filled.__annotations__ = {each.name: each.annotation for each in shown}
    # All by name, since those without a default may stand behind others.
    named = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in shown]
    filled.__dict__["__signature__"] = own.replace(parameters=named)  # where inspect looks first
    return filled


def _is_bundle(annotation: Any) -> bool:
    return isinstance(annotation, type) and is_dataclass(annotation)


def _options(bundle: type[Any]) -> list[Parameter]:
    hints: Mapping[str, Any] = get_type_hints(bundle, include_extras=True)
    return [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=_default(each), annotation=hints[each.name])
        for each in fields(bundle)
    ]


def _default(option: Field[Any]) -> Any:
    return Parameter.empty if option.default is MISSING else option.default

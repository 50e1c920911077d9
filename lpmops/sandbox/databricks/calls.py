"""One request as a handler sees it, and the table of everything a workspace can be asked.

`Call` holds the parts of a request and reads them with Databricks' refusals; `OperationTable` finds the handler by method and path. A
handler gives `Answer` (JSON) or a Starlette response, and raises ApiError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from lpmops.sandbox.azure.identity import Principal
from lpmops.sandbox.databricks.errors import invalid, malformed, no_such_api
from lpmops.sandbox.http_parts import path_pattern, strict_json


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer; None has no body."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in. `path` and `names` are decoded, `headers` have lower-case names."""

    method: str
    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    principal: Principal

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; nothing sent is an empty one."""
        if not self.raw.strip():
            return {}
        try:
            value = strict_json(self.raw)
        except ValueError as error:
            raise malformed(
                f"Invalid JSON given in the body of the request - failed to parse given JSON: {error}"
            ) from error
        if not isinstance(value, dict):
            raise malformed("Invalid JSON given in the body of the request - expected a map")
        return value

    def number(self, name: str, default: int, lowest: int, highest: int) -> int:
        """An integer of the query string, within its bounds."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not lowest <= int(text) <= highest:
            raise invalid(f"Invalid value for '{name}': '{text}'. It must be an integer from {lowest} to {highest}.")
        return int(text)

    def flag(self, name: str) -> bool:
        """A boolean of the query string, false when absent."""
        text = self.query.get(name, "false").lower()
        if text not in ("true", "false"):
            raise invalid(f"Invalid value for '{name}': '{text}'. It must be true or false.")
        return text == "true"


def identifier(source: Mapping[str, Any], name: str) -> int:
    """A required id of a body or a query string, a number or its text."""
    value = source.get(name)
    if value is None:
        raise invalid(f"Missing required field: {name}")
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,18}", str(value)):
        raise invalid(f"Invalid value for '{name}': '{value}'. It must be an integer.")
    return int(value)


def text(source: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text of a body, required unless there is a default."""
    value = source.get(name, default)
    if value is None:
        raise invalid(f"Missing required field: {name}")
    if not isinstance(value, str):
        raise malformed(f"Could not parse request object: Expected '{name}' to be a string")
    return value


Handler = Callable[[Call], Answer | Response]


class OperationTable:
    """Operations by method and path; `{name}` is one part of a path, `{+name}` any number."""

    def __init__(self, operations: Sequence[tuple[str, str, Handler]]) -> None:
        self._operations = [
            (method, path_pattern(template, ".*", re.DOTALL), handler) for method, template, handler in operations
        ]

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        """The handler and the parts of the path. Raises ApiError for what there is not."""
        for known, pattern, handler in self._operations:
            match = pattern.fullmatch(path) if known == method else None
            if match is not None:
                return handler, match.groupdict()
        raise no_such_api(method, path)

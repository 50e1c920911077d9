"""What the HTTP rooms of the sandbox (`azure`, `databricks`) share: strict JSON, patterns of paths, and waiting for a client to leave.

Refusals are each room's own; what is here raises ValueError at the most.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.types import Receive


def strict_json(raw: bytes) -> Any:
    """A JSON document as the standard has it. Raises ValueError, also for NaN, Infinity and what nests too deeply."""
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def path_pattern(template: str, rest: str, flags: re.RegexFlag) -> re.Pattern[str]:
    """The pattern of a path, for `fullmatch`: `{name}` is one part of it, `{+name}` what `rest` matches; a slash may follow."""
    return re.compile("".join(_piece(piece, rest) for piece in re.split(r"(\{\+?\w+\})", template)) + "/?", flags)


def _piece(piece: str, rest: str) -> str:
    if piece.startswith("{+"):
        return f"(?P<{piece[2:-1]}>{rest})"
    return f"(?P<{piece[1:-1]}>[^/]+)" if piece.startswith("{") else re.escape(piece)


async def until_gone(receive: Receive) -> None:
    """Wait until the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass

"""One HTTP answer, and the reading of what is in it: every value a server sends is checked here before it becomes one of ours.

`Answer` is status, headers and the whole body; `Fields` reads a JSON object by key and type. Whatever a server sends instead of what its API says
(HTML, half a body, another type, a number beyond a double) raises BadAnswerError that names service, place and key, never the value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from lpmops.errors import BadAnswerError
from lpmops.model import parse_time

_REQUEST_ID_HEADERS = (
    "x-ms-request-id",
    "x-ms-correlation-request-id",
    "x-request-id",
    "x-databricks-request-id",
    "x-ms-messaging-activity-id",
)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LARGEST_INTEGER = 2**63


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` have lower-case names; `place` is host and path, for messages."""

    service: str
    operation: str
    place: str
    status_code: int
    headers: Mapping[str, str]
    body: bytes = b""
    url: str = ""

    @property
    def request_id(self) -> str | None:
        """What the service's support asks for."""
        return next((self.headers[name] for name in _REQUEST_ID_HEADERS if self.headers.get(name)), None)

    def fields(self) -> Fields:
        """The body as a JSON object. Raises BadAnswerError."""
        value = self.json()
        if not isinstance(value, dict):
            self.refuse("is not a JSON object")
        return Fields(value, self)

    def json(self) -> Any:
        """The body as JSON. Raises BadAnswerError."""
        if self.looks_like_html():
            self.refuse(
                "is a web page instead of JSON",
                "A proxy, a sign-in page or a wrong address answers there: check the host in lpmops.toml.",
            )
        try:
            value = json.loads(self.body, parse_constant=_no_constant)
            return _scrub(value) if _SURROGATE.search(self.body) else value
        except (ValueError, RecursionError):
            self.refuse("is no JSON" if self.body else "is empty")

    def looks_like_html(self) -> bool:
        """True for a web page, by its type or its first character."""
        return "html" in self.headers.get("content-type", "").lower() or self.body.lstrip()[:1] == b"<"

    def refuse(self, why: str, hint: str = "") -> NoReturn:
        """Raise BadAnswerError for this answer."""
        raise BadAnswerError(
            f"The answer of {self.place} {why}.",
            service=self.service,
            hint=hint or "Try again; if it stays so, the address in lpmops.toml may lead to another service.",
            status=self.status_code,
            request_id=self.request_id,
        )


class Fields:
    """A JSON object of an answer, read by key; `maybe_` readers give None where the key is absent or null. All raise BadAnswerError."""

    __slots__ = ("_answer", "values")

    def __init__(self, values: Mapping[str, Any], answer: Answer) -> None:
        self.values = values
        self._answer = answer

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Raise BadAnswerError for `key`."""
        self._answer.refuse(f"has no {expected} under {key!r}")

    def text(self, key: str) -> str:
        """A string that is there."""
        found = self.maybe_text(key)
        return self.refuse(key, "text") if found is None else found

    def maybe_text(self, key: str) -> str | None:
        """A string, or None."""
        found = self.values.get(key)
        return found if found is None or isinstance(found, str) else self.refuse(key, "text")

    def integer(self, key: str) -> int:
        """A whole number that is there."""
        found = self.maybe_integer(key)
        return self.refuse(key, "whole number") if found is None else found

    def maybe_integer(self, key: str) -> int | None:
        """A whole number of 64 bits, or None; 4.0 counts as 4, and digits in quotes as the number."""
        found = self.values.get(key)
        if isinstance(found, str) and re.fullmatch(r"-?[0-9]{1,19}", found):
            found = int(found)
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or abs(found) >= _LARGEST_INTEGER:
            self.refuse(key, "whole number")
        return found

    def maybe_number(self, key: str) -> float | None:
        """A finite number, or None."""
        found = self.values.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float):
            self.refuse(key, "number")
        try:
            number = float(found)
        except OverflowError:
            self.refuse(key, "number")
        return number if math.isfinite(number) else self.refuse(key, "number")

    def flag(self, key: str) -> bool:
        """True or false; absent and null are false."""
        found = self.values.get(key)
        return bool(found) if found is None or isinstance(found, bool) else self.refuse(key, "true or false")

    def time(self, key: str) -> datetime:
        """A time that is there."""
        found = self.maybe_time(key)
        return self.refuse(key, "time") if found is None else found

    def maybe_time(self, key: str) -> datetime | None:
        """A time in UTC, or None; Azure writes year 1 where it has none."""
        text = self.maybe_text(key)
        if not text or text.startswith("0001-01-01"):
            return None
        try:
            return parse_time(text)
        except (ValueError, OverflowError):
            self.refuse(key, "time")

    def maybe_epoch_milliseconds(self, key: str) -> datetime | None:
        """A time written as milliseconds since 1970, or None; 0 stands for none."""
        number = self.maybe_integer(key)
        if not number:
            return None
        try:
            return datetime.fromtimestamp(number / 1000, tz=UTC)
        except (ValueError, OverflowError, OSError):
            self.refuse(key, "time")

    def object(self, key: str) -> Fields:
        """An object; absent and null read as an empty one."""
        found = self.values.get(key)
        if found is None:
            return Fields({}, self._answer)
        return Fields(found, self._answer) if isinstance(found, dict) else self.refuse(key, "object")

    def objects(self, key: str) -> list[Fields]:
        """A list of objects; absent and null read as an empty one."""
        return [
            Fields(item, self._answer) if isinstance(item, dict) else self.refuse(key, "list of objects")
            for item in self.items(key)
        ]

    def items(self, key: str) -> list[Any]:
        """A list of anything; absent and null read as an empty one."""
        found = self.values.get(key)
        if found is None:
            return []
        return found if isinstance(found, list) else self.refuse(key, "list")

    def texts(self, key: str) -> dict[str, str]:
        """An object whose values are all strings; others are left out, as services add them."""
        return {name: value for name, value in self.object(key).values.items() if isinstance(value, str)}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _scrub(value: Any) -> Any:
    """`value` without half surrogate pairs, which no terminal, file or database takes."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_scrub(key): _scrub(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_scrub(item) for item in value]
    return value

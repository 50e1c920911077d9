"""What an action wants to know before it makes its plan, as fields that any face can ask: read from text, with a sentence where it can't be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lpmops import moments
from lpmops.errors import UsageError
from lpmops.model import Snapshot, to_data
from lpmops.versions import LARGEST

if TYPE_CHECKING:
    from lpmops.actions.action import Bench


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the few values that an input can have; `said` is what it would do now, `refusal` why it can't be used."""

    value: str
    said: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the services say about a value; `against` is a reason not to use it."""

    text: str
    against: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """One field. `read` gives the wish's value of a text at a time, or raises UsageError; `choices` may ask the services.

    `many` is for several values with commas between them, each one of the choices. `needed` says by what was last seen whether it is asked at all;
    where it is not, `fill` gives its value. `look` asks the services about a text as its field is left. `of_company` gives the value for the company
    that somebody is looking at, who then is not asked. What is typed into a `kept` field outlives the panel, so it may hold nothing personal.
    """

    name: str
    title: str
    hint: str
    read: Callable[[str, datetime], Any]
    choices: Callable[[Bench], Sequence[Choice]] | None = None
    many: bool = False
    needed: Callable[[Snapshot | None], bool] = lambda _: True
    look: Callable[[Bench, str], Sequence[Remark]] | None = None
    of_company: Callable[[str], Any] | None = None
    kept: bool = False


def check_text(text: str) -> None:
    """Raises UsageError for bytes of a command line that are no text: no journal and no statement can hold them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{text[:80]!a} is no UTF-8 text, so it can't be written down.",
            hint="Write it in UTF-8; a file with such a name is renamed, or given on stdin as -",
        ) from None


def words(most: int) -> Callable[[str, datetime], str]:
    """Reads a text of at most so many characters."""

    def read(text: str, now: datetime) -> str:
        del now
        if len(text.strip()) > most:
            raise UsageError(f"These are {len(text.strip()):,} characters; at most {most:,} are kept.")
        return text.strip()

    return read


def to_come(text: str, now: datetime) -> str | None:
    """Reads a time to come as RFC 3339; nothing is None."""
    if not text.strip():
        return None
    found = moments.ahead(text, now)
    if found <= now:
        raise UsageError(f"{to_data(found)} is past.", hint="Name a time to come: 2h")
    return str(to_data(found))


def gone(text: str, now: datetime) -> str | None:
    """Reads a moment of the past as RFC 3339; nothing is None."""
    return str(to_data(moments.moment(text, now))) if text.strip() else None


def version(text: str, now: datetime) -> int | None:
    """Reads a table's version; nothing is None."""
    del now
    return whole(text, "version", 9204, LARGEST)


def whole(text: str, what: str, example: int, most: int) -> int | None:
    """Reads a whole number of at most `most`; nothing is None. Raises UsageError in words that say `what` it should be."""
    if not text.strip():
        return None
    digits = text.strip().replace(",", "")
    if not digits.isascii() or not digits.isdigit():
        raise UsageError(f"{text.strip()[:80]!r} is no {what}.", hint=f"Give its number: {example}")
    digits = digits.lstrip("0") or "0"
    # Python reads no number of more digits than some thousands.
    if len(digits) > len(str(most)) or int(digits) > most:
        raise UsageError(f"That is no {what}: the largest is {most:,}.", hint=f"Give its number: {example}")
    return int(digits)


def listed(text: str, now: datetime) -> list[str]:
    """Reads values with commas between them, each once."""
    del now
    return list(dict.fromkeys(each for part in text.split(",") if (each := part.strip())))


REASON = Input("reason", "reason", "why, for whoever is called at night and whoever reads the audit", words(1_000))
TICKET = Input("ticket", "ticket", "the ticket it belongs to, where there is one", words(200))
COMMON = (REASON, TICKET)

"""Follows a long-running operation of Azure Resource Manager to its end, by reading only.

An operation answers 202 with `Location`, some with `Azure-AsyncOperation`; the poll is a GET, paced by Retry-After, and may only lead to the same
host. What the end means is for the caller to read again from the resource: Stream Analytics ends failed starts with 200 too.
"""

from __future__ import annotations

import time

from lpmops.errors import DeadlineError, ServiceError
from lpmops.services import failures
from lpmops.services.answers import Answer, Fields
from lpmops.services.bounded import Deadline
from lpmops.services.redact import clean
from lpmops.services.transport import Client

_ENDED_BADLY = {"failed", "canceled", "cancelled"}


def wait(client: Client, first: Answer, *, operation: str, deadline: Deadline, interval: float = 5.0) -> Answer:
    """The last answer of the operation that `first` started.

    `interval` seconds between polls where the service names none. Raises ServiceError when the operation says that it failed,
    DeadlineError when it goes on past the deadline (its own outcome is then open).
    """
    answer = first
    while True:
        status = answer.headers.get("azure-asyncoperation") or first.headers.get("azure-asyncoperation")
        following = (
            status
            or answer.headers.get("location")
            or (first.headers.get("location") if answer.status_code == 202 else None)
        )
        if answer is not first and _is_over(answer, by_status=bool(status)):
            return answer
        if answer is first and (following is None or (answer.status_code != 202 and not status)):
            return answer
        if not following:
            answer.refuse("names no address to follow the operation")
        asked = failures.retry_after(answer.headers)
        pause = interval if asked is None else asked
        if pause >= deadline.left():
            raise DeadlineError(
                f"{failures.name_of(client.service)} had not finished {operation} within {deadline.seconds:g} s; it goes on.",
                service=client.service,
                hint="Look again: lpmops status",
                request_id=answer.request_id,
            )
        time.sleep(pause)
        answer = client.get(following, operation=operation, deadline=deadline)


def look(client: Client, location: str, *, operation: str, deadline: Deadline, by_status: bool = False) -> bool:
    """Whether the operation that is followed at `location` is over; raises ServiceError where it says that it failed.

    `by_status` is for services whose answer to 200 can be a document that says how far it is (`Azure-AsyncOperation`).
    """
    return _is_over(client.get(location, operation=operation, deadline=deadline), by_status=by_status)


def _is_over(answer: Answer, *, by_status: bool) -> bool:
    if answer.status_code == 202:
        return False
    fields = answer.fields() if answer.body else Fields({}, answer)
    state = (fields.maybe_text("status") or "").lower() if by_status else ""
    if state in _ENDED_BADLY or fields.values.get("error"):
        reason = failures.own_words(answer) or "it says no reason"
        raise ServiceError(
            f"{failures.name_of(answer.service)} ended the operation {clean(state or 'with an error')}: {reason}",
            service=answer.service,
            hint="Look at the resource before you try again: lpmops status",
            status=answer.status_code,
            request_id=answer.request_id,
        )
    return not by_status or state in {"", "succeeded"}

"""Where a receiver starts: the filter on its source, turned into a sequence number to read after.

Understood: `amqp.annotation.x-opt-offset|x-opt-sequence-number|x-opt-enqueued-time`, `>` or `>=`, a quoted or bare
value; offset -1 is the start and @latest the end of the partition. Anything else is refused with amqp:invalid-field
(assumed: no evidence of the service's words was found), a start beyond the end with com.microsoft:argument-error, as
the service does. Source: `event_position_selector` in azure-eventhub 5.15.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lpmops.sandbox.hub.amqp import conditions
from lpmops.sandbox.hub.amqp.codec import Described
from lpmops.sandbox.hub.amqp.conditions import LinkFailure
from lpmops.sandbox.hub.log import Hub

FILTER = "apache.org:selector-filter:string"
_EXPRESSION = re.compile(
    r"\s*amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time)\s*(>=|>)\s*(?:'([^']*)'|(\S+))\s*"
)
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_LAST_TIME_MS = 253_402_300_799_999


def starting_point(filters: Mapping[Any, Any], hub: Hub, partition: int) -> int:
    """The sequence number after which the receiver reads. Raises LinkFailure."""
    given = filters.get(FILTER)
    if given is None:
        return -1
    expression = given.value if isinstance(given, Described) else given
    if isinstance(expression, bytes):
        expression = expression.decode("utf-8", "replace")
    matched = _EXPRESSION.fullmatch(expression) if isinstance(expression, str) else None
    if matched is None:
        raise LinkFailure(conditions.INVALID_FIELD, f"The filter '{str(expression)[:200]}' is not supported.")
    kind, operator, quoted, bare = matched.groups()
    return _resolve(kind, operator == ">=", quoted if quoted is not None else bare, hub, partition)


def _resolve(kind: str, inclusive: bool, value: str, hub: Hub, partition: int) -> int:
    now = hub.partition(partition)
    if kind == "offset" and value == "@latest":
        return now.last_enqueued_sequence_number
    if not _NUMBER.fullmatch(value):
        raise LinkFailure(conditions.INVALID_FIELD, f"The {kind} '{value[:40]}' is not a number.")
    number = int(value)
    if number < 0:
        return -1
    if kind == "enqueued-time":
        moment = datetime.fromtimestamp(min(number + (0 if inclusive else 1), _LAST_TIME_MS) / 1000, UTC)
        return hub.position_at(partition, moment)
    if kind == "sequence-number":
        # One past the end is where an inclusive reader waits for the next event.
        if number > now.last_enqueued_sequence_number + 1:
            last = str(now.last_enqueued_sequence_number)
            raise LinkFailure(conditions.ARGUMENT_ERROR, conditions.position_invalid("sequence number", value, last))
        return number - 1 if inclusive else number
    if number > int(now.last_enqueued_offset):
        raise LinkFailure(
            conditions.ARGUMENT_ERROR, conditions.position_invalid("offset", value, now.last_enqueued_offset)
        )
    return hub.position_before_offset(partition, number + (0 if inclusive else 1))

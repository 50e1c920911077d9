"""azure-eventhub's consumer client with a management connection that stays open, so that a refresh asks instead of signing in again.

The SDK opens a connection for each question, signs in on it and looks 50 ms apart whether an answer has come: some 370 ms on this machine, ten round
trips on a real network. Here the first question opens a connection, and later ones are one round trip each. Where that fails, or the SDK's inside has
changed, the SDK's own way answers or says why not: nothing is asked but reads, so asking again is safe. One question at a time; `close` may come
from any thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from azure.eventhub import EventHubConsumerClient

from lpmops.errors import LpmopsError

_log = logging.getLogger(__name__)
_PAUSE = 0.001
# What a question on the open connection may take of a call's time: a connection that died unnoticed must leave enough to ask on another.
_SHARE = 1 / 3
_BROKEN = (OSError, ValueError, TypeError, LookupError, AttributeError)


class KeptConsumerClient(EventHubConsumerClient):
    """A consumer client for questions about the hub. `seconds` is what one call may take."""

    def __init__(self, *arguments: Any, seconds: float = 10.0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seconds = seconds * _SHARE
        self._asking = threading.Lock()
        self._link: Any = None
        self._is_closed = False
        self._read_alone = ""

    def get_partition_ids(self) -> list[str]:
        """The ids of the partitions; who reads one of them on asks nobody whether it is there."""
        return [self._read_alone] if self._read_alone else list(super().get_partition_ids())

    def first_since(self, partition: str, moment: datetime) -> int | None:
        """The sequence number of the first event of a partition enqueued at or after `moment`; None where none comes in time. Closes the client."""
        self._read_alone = partition
        found: list[int] = []
        troubles: list[Exception] = []

        def take(_: Any, event: Any) -> None:
            if event is not None and not found:
                found.append(int(event.sequence_number))
            self.close()

        def fail(_: Any, error: Exception) -> None:
            troubles.append(error)
            self.close()

        self.receive(
            take,
            partition_id=partition,
            starting_position=moment,
            starting_position_inclusive=True,
            prefetch=1,
            max_wait_time=self._seconds,
            on_error=fail,
        )
        if troubles and not found:
            raise troubles[0]
        return found[0] if found else None

    def read_on(self, partition: str, place: int, take: Callable[[list[Any]], None], prefetch: int) -> None:
        """Hand over the events of a partition from that sequence number on, as they come, until the client is closed.

        Raises what the SDK says of a partition that can't be read, and whatever `take` raises.
        """
        troubles: list[Exception] = []

        def hand_over(_: Any, events: list[Any]) -> None:
            if events and not self._is_closed:
                take(events)

        def fail(_: Any, error: Exception) -> None:
            # The SDK would open the partition again and again, and tell nobody.
            if not self._is_closed:
                troubles.append(error)
            self.close()

        self._read_alone = partition
        try:
            # After the event before: a place at the end of the partition is none that the hub knows yet.
            self.receive_batch(
                hand_over,
                partition_id=partition,
                starting_position=place - 1 if place > 0 else "-1",
                prefetch=prefetch,
                max_batch_size=prefetch,
                on_error=fail,
            )
        finally:
            # Closed from another thread while it was opening, it has opened after that.
            self.close()
        if troubles:
            raise troubles[0]

    def close(self) -> None:
        """End the connection; whoever reads from it fails at once."""
        self._is_closed = True
        self._drop()
        super().close()

    def _management_request(self, mgmt_msg: Any, op_type: bytes) -> Any:
        """The SDK's one way to the management node, which its public methods lead to."""
        from azure.eventhub._pyamqp.error import AMQPException

        with self._asking:
            try:
                return self._ask(mgmt_msg, op_type)
            except LpmopsError:
                raise
            except (AMQPException, *_BROKEN) as error:
                if self._is_closed:
                    raise
                _log.debug("the open connection to %s did not answer: %r", self.eventhub_name, error)
            return super()._management_request(mgmt_msg, op_type)

    def _ask(self, message: Any, kind: bytes) -> Any:
        answered = False
        try:
            link = self._ready(time.monotonic() + self._seconds)
            message.application_properties["security_token"] = self._amqp_transport.get_updated_token(link._auth)
            status, words, answer = self._amqp_transport.mgmt_client_request(
                link,
                message,
                operation=b"READ",
                operation_type=kind,
                status_code_field=b"status-code",
                description_fields=b"status-description",
                timeout=self._seconds,
            )
            if int(status) >= 400:
                raise self._amqp_transport.get_error(
                    int(status), words.decode("utf-8", "replace") if isinstance(words, bytes) else words
                )
            answered = True
            return answer
        finally:
            if not answered:
                self._drop()

    def _ready(self, end: float) -> Any:
        """The open connection, signed in, its token renewed where it grows old."""
        link = self._link
        if link is None:
            auth = self._create_auth()
            link = self._amqp_transport.create_mgmt_client(self._address, mgmt_auth=auth, config=self._config)
            self._link = link
            link.open()
        while not link.client_ready():
            if time.monotonic() > end or self._is_closed:
                raise TimeoutError("no sign-in in time")
            # Each look waits for a frame by itself; this keeps a connection that is neither open nor closed from taking a processor.
            time.sleep(_PAUSE)
        return link

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            # A connection is given up because it is of no use any more: how that fails interests nobody.
            with contextlib.suppress(Exception):
                link.close()

"""A connection: protocol headers, SASL, frames, sessions and the clockwork that keeps it alive or ends it.

Everything a stranger sends ends here at worst: a frame that does not parse, a session or handle that is not there, or
a fault of our own closes this connection with the error that names it, and never touches another. SASL is required,
as the service requires it; ANONYMOUS and MSSBCBS leave the proof to `$cbs`, PLAIN takes the name and key of a shared
access policy. Source: AMQP 1.0 part 2 (sections 2.2 to 2.4) and part 5 (5.3).
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from enum import Enum, auto

from lpmops.sandbox.hub.amqp import conditions
from lpmops.sandbox.hub.amqp.codec import Buffer, DecodeError
from lpmops.sandbox.hub.amqp.conditions import AmqpFailure, ConnectionFailure, LinkFailure
from lpmops.sandbox.hub.amqp.performatives import (
    AMQP_FRAME,
    HEARTBEAT,
    SASL_FRAME,
    Begin,
    Close,
    End,
    Open,
    SaslInit,
    frame,
    read_performative,
    write_close,
    write_end,
    write_open,
    write_sasl_mechanisms,
    write_sasl_outcome,
)
from lpmops.sandbox.hub.amqp.service import CHANNEL_MAX, MAX_FRAME_SIZE, Service
from lpmops.sandbox.hub.amqp.session import Session
from lpmops.sandbox.hub.amqp.tokens import Grant

logger = logging.getLogger(__name__)

_SASL_HEADER = b"AMQP\x03\x01\x00\x00"
_AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
_CLOSE_DESCRIPTOR = b"\x00\x53\x18"
_MECHANISMS = ("MSSBCBS", "PLAIN", "ANONYMOUS")
_MIN_FRAME_SIZE = 512
_HIGH_WATER = 1 << 20
HANDSHAKE_SECONDS = 30.0
# How long a peer may take to answer our close.
_CLOSE_SECONDS = 2.0
# How long a token that has expired goes on being good: assumed, the service looks about this often.
_RECHECK_SECONDS = 5.0


class _Stage(Enum):
    SASL_HEADER = auto()
    SASL = auto()
    AMQP_HEADER = auto()
    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()


class Connection(asyncio.Protocol):
    """One peer."""

    def __init__(self, service: Service, register: set[Connection]) -> None:
        self.service = service
        self.frame_payload = _MIN_FRAME_SIZE - 8
        self.writable = True
        self._register = register
        self._stage = _Stage.SASL_HEADER
        self._buffer = bytearray()
        self._sessions: dict[int, Session] = {}
        self._grants: dict[str, Grant] = {}
        self._peer_idle = 0.0
        self._open_sent = False
        self._out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._made = self._received = self._sent = self._rechecked = self._loop.time()
        self._register.add(self)
        self.service.counters.add({"ConnectionsOpened": 1})

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        del exc
        self._stage = _Stage.CLOSING
        self._release()
        self.service.counters.add({"ConnectionsClosed": 1})
        self._register.discard(self)

    def pause_writing(self) -> None:
        """The peer does not read: neither do we, so that it cannot fill our memory with answers."""
        self.writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self.writable = True
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self.run(self._pump)

    def _pump(self) -> None:
        for session in self.sessions():
            session.pump()

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._received = self._loop.time()
        if self._stage is _Stage.CLOSING:
            # What comes after our close is not looked at, but for the answer that ends the wait.
            if _CLOSE_DESCRIPTOR in data:
                self._transport.close()
            return
        self._buffer += data
        self.run(self._advance)
        self.flush()

    def run(self, action: Callable[[], None]) -> None:
        """Do something for this peer; whatever goes wrong ends this connection and nothing else."""
        if self._stage is _Stage.CLOSING:
            return
        try:
            action()
        except AmqpFailure as failure:
            self.fail(failure)
        except DecodeError as error:
            self.fail(ConnectionFailure(conditions.DECODE, f"A frame could not be decoded: {error}."))
        except Exception:
            logger.exception("a connection of namespace %s failed", self.service.name)
            self.service.counters.add({"ServerErrors": 1})
            self.fail(
                ConnectionFailure(
                    conditions.INTERNAL, "The service was unable to process the request; please retry the operation."
                )
            )

    def send(self, data: bytes) -> None:
        """Send bytes, together with what else is sent in this turn of the loop."""
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(data)

    def flush(self) -> None:
        """Hand everything to the socket; nothing to one that is closing, which would only warn."""
        if self._out and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
            self._sent = self._loop.time()
        self._out.clear()

    def fail(self, failure: AmqpFailure) -> None:
        """Close with an error, and wait a moment for the peer to close too."""
        if self._stage is _Stage.CLOSING:
            return
        speaking = self._stage in (_Stage.OPENING, _Stage.OPEN)
        self._stage = _Stage.CLOSING
        self._release()
        self._buffer.clear()
        if speaking:
            if not self._open_sent:
                self.send(frame(0, self._open_body()))
            tracked = ConnectionFailure(failure.condition, self.service.tracked(failure.description))
            self.send(frame(0, write_close(tracked.encoded())))
        self.flush()
        if speaking:
            self._loop.call_later(_CLOSE_SECONDS, self._transport.close)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Drop the socket without a word."""
        self._transport.abort()

    def _release(self) -> None:
        for session in self._sessions.values():
            session.release()
        self._sessions.clear()

    def sessions(self) -> list[Session]:
        """The sessions that have begun."""
        return list(self._sessions.values())

    def admit(self, grant: Grant) -> None:
        """Remember what a token gave; a newer one for the same path takes its place."""
        self._grants[grant.path.lower()] = grant

    def claims(self, path: str) -> frozenset[str]:
        """What the peer may do at a path."""
        return frozenset().union(*(grant.claims for grant in self._grants.values() if grant.covers(path)))

    def tick(self) -> None:
        """Called about twice a second: keep the peer's interest, lose ours in a dead one, take back what a token no longer gives."""
        now = self._loop.time()
        if self._stage in (_Stage.OPENING, _Stage.OPEN):
            if self._peer_idle and now - self._sent >= self._peer_idle / 2:
                self.send(HEARTBEAT)
            if now - self._received > self.service.idle_milliseconds / 500:
                # Twice what we announced, as the specification advises.
                self.fail(ConnectionFailure(conditions.FORCED, conditions.idle(self.service.idle_milliseconds * 2)))
        if self._stage not in (_Stage.OPEN, _Stage.CLOSING) and now - self._made > HANDSHAKE_SECONDS:
            self._transport.abort()
        if now - self._rechecked >= _RECHECK_SECONDS:
            self._rechecked = now
            self.recheck()

    def recheck(self) -> None:
        """Look again at every token and every consumer group that links stand on."""
        self._grants = {path: grant for path, grant in self._grants.items() if self.service.gate.still_good(grant)}
        for session in self.sessions():
            for link in list(session.links.values()):
                if not link.closing and link.claim and link.claim not in self.claims(link.path):
                    # Assumed: the words with which a link ends whose token has expired.
                    link.fail(LinkFailure(conditions.UNAUTHORIZED, "ExpiredToken: The token is expired."))

    def _advance(self) -> None:
        """Take every whole header and frame off the buffer. Raises AmqpFailure or DecodeError."""
        at = 0
        try:
            while self._stage is not _Stage.CLOSING:
                left = len(self._buffer) - at
                if left < 8:
                    return
                if self._stage in (_Stage.SASL_HEADER, _Stage.AMQP_HEADER):
                    self._on_header(bytes(self._buffer[at : at + 8]))
                    at += 8
                    continue
                size = int.from_bytes(self._buffer[at : at + 4], "big")
                if size < 8 or size > MAX_FRAME_SIZE:
                    raise ConnectionFailure(
                        conditions.FRAMING, f"A frame of {size} bytes is outside of what was agreed."
                    )
                if left < size:
                    return
                self._on_frame(bytes(self._buffer[at : at + size]))
                at += size
        finally:
            del self._buffer[:at]

    def _on_header(self, header: bytes) -> None:
        wanted = _SASL_HEADER if self._stage is _Stage.SASL_HEADER else _AMQP_HEADER
        self.send(wanted)
        if header != wanted:
            # The header we would have accepted is all the answer that the protocol has.
            self._stage = _Stage.CLOSING
            self.flush()
            self._transport.close()
        elif self._stage is _Stage.SASL_HEADER:
            self._stage = _Stage.SASL
            self.send(write_sasl_mechanisms(_MECHANISMS))
        else:
            self._stage = _Stage.OPENING

    def _on_frame(self, whole: bytes) -> None:
        offset, kind = whole[4] * 4, whole[5]
        channel = int.from_bytes(whole[6:8], "big")
        if offset < 8 or offset > len(whole) or kind != (SASL_FRAME if self._stage is _Stage.SASL else AMQP_FRAME):
            raise ConnectionFailure(conditions.FRAMING, "A frame has a header that does not fit.")
        if offset == len(whole):
            return
        performative, payload = read_performative(memoryview(whole)[offset:])
        if self._stage is _Stage.SASL:
            self._on_sasl(performative)
        elif self._stage is _Stage.OPENING:
            self._on_open(performative)
        else:
            self._on_performative(channel, performative, payload)

    def _on_sasl(self, performative: object) -> None:
        if not isinstance(performative, SaslInit):
            raise ConnectionFailure(conditions.NOT_ALLOWED, "SASL begins with sasl-init.")
        good = performative.mechanism in _MECHANISMS
        if performative.mechanism == "PLAIN":
            parts = (performative.initial_response or b"").decode("utf-8", "replace").split("\0")
            grant = self.service.gate.password(parts[1], parts[2]) if len(parts) == 3 else None
            good = grant is not None
            if grant is not None:
                self.admit(grant)
        self.send(write_sasl_outcome(0 if good else 1))
        if good:
            self._stage = _Stage.AMQP_HEADER
        else:
            self.service.counters.add({"UserErrors": 1})
            self._stage = _Stage.CLOSING
            self.flush()
            self._transport.close()

    def _open_body(self) -> bytes:
        self._open_sent = True
        container = f"{uuid.uuid4().hex}_G0"
        return write_open(container, MAX_FRAME_SIZE, CHANNEL_MAX, self.service.idle_milliseconds)

    def _on_open(self, performative: object) -> None:
        if not isinstance(performative, Open):
            raise ConnectionFailure(conditions.ILLEGAL_STATE, "A connection begins with open.")
        if performative.max_frame_size < _MIN_FRAME_SIZE:
            raise ConnectionFailure(conditions.INVALID_FIELD, f"max-frame-size is below {_MIN_FRAME_SIZE}.")
        self.frame_payload = min(performative.max_frame_size, MAX_FRAME_SIZE) - 8
        self._peer_idle = (performative.idle_time_out or 0) / 1000
        self.send(frame(0, self._open_body()))
        self._stage = _Stage.OPEN

    def _on_performative(self, channel: int, performative: object, payload: Buffer) -> None:
        session = self._sessions.get(channel)
        match performative:
            case Close():
                self._on_close()
            case Begin():
                if session is not None or channel > CHANNEL_MAX:
                    raise ConnectionFailure(conditions.NOT_ALLOWED, f"Channel {channel} cannot begin a session.")
                self._sessions[channel] = Session(self, channel, performative)
            case End():
                self._on_end(channel, session)
            case Open() | SaslInit():
                raise ConnectionFailure(conditions.ILLEGAL_STATE, "The connection is open already.")
            case _ if session is None:
                raise ConnectionFailure(conditions.NOT_ALLOWED, f"No session has begun on channel {channel}.")
            case _:
                session.handle(performative, payload)

    def _on_end(self, channel: int, session: Session | None) -> None:
        if session is None:
            raise ConnectionFailure(conditions.NOT_ALLOWED, f"No session has begun on channel {channel}.")
        del self._sessions[channel]
        if not session.ended:
            session.release()
            self.send(frame(channel, write_end()))

    def _on_close(self) -> None:
        self.send(frame(0, write_close()))
        self._stage = _Stage.CLOSING
        self._release()
        self.flush()
        self._transport.close()

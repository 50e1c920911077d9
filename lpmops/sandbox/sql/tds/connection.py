"""One client's connection, from PRELOGIN to its end.

A reader task takes packets off the wire all the time, so that an attention is seen while a statement runs in a
worker's thread; requests are carried out one after another. What breaks the protocol ends this connection alone.
Rules: MS-TDS 3.3.5 "Message processing events and sequencing rules" (server).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ssl import SSLContext

from lpmops.sandbox.sql.errors import SqlError, login_failed
from lpmops.sandbox.sql.results import Message as Note
from lpmops.sandbox.sql.server import SqlServer
from lpmops.sandbox.sql.session import Login, Session, SqlPrincipal
from lpmops.sandbox.sql.tds import login as login7
from lpmops.sandbox.sql.tds import prelogin, tokens
from lpmops.sandbox.sql.tds.execution import Executor
from lpmops.sandbox.sql.tds.fields import ProtocolError
from lpmops.sandbox.sql.tds.login import LoginRequest
from lpmops.sandbox.sql.tds.packets import DEFAULT, Assembler, Message, Outgoing, PacketType, read_packet
from lpmops.sandbox.sql.tds.prelogin import Encryption
from lpmops.sandbox.sql.tds.response import Disconnected, Response
from lpmops.sandbox.sql.tds.tls import Channel
from lpmops.sandbox.sql.tds.tokens import DoneKind, Environment
from lpmops.sandbox.sql.tds.typeinfo import DEFAULT_COLLATION
from lpmops.sandbox.sql.tds.workers import Workers

SignIn = Callable[[Login], SqlPrincipal]
"""The principal behind a password or an access token. Raises SqlError 18456. Runs in a worker's thread."""

_log = logging.getLogger(__name__)
_MOST_WAITING = 4
_CANNOT_OPEN_DATABASE = 4060
_CANCEL_AGAIN_SECONDS = 0.05
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and seconds that one connection may take; sizes assumed, as SQL Server's own depend on its memory."""

    message_bytes: int = 64 * 1024 * 1024
    login_seconds: float = 15.0
    stall_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of a listener share."""

    server: SqlServer
    sign_in: SignIn
    context: SSLContext
    workers: Workers
    require_encryption: bool = False
    limits: Limits = field(default_factory=Limits)


class Connection:
    """Lives as long as its socket."""

    def __init__(self, service: Service, channel: Channel, address: str) -> None:
        self._service, self._channel, self._address = service, channel, address
        self._loop = asyncio.get_running_loop()
        self._session: Session | None = None
        self._packet_size = DEFAULT
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._waiting = 0
        self._running = False
        self._attention = False
        self._gone = False

    @property
    def session(self) -> Session | None:
        """The engine's session, once signed in."""
        return self._session

    async def serve(self) -> None:
        """Serve until either side ends the connection. Raises nothing but cancellation."""
        reader: asyncio.Task[None] | None = None
        try:
            if await self._sign_in():
                reader = asyncio.create_task(self._receive())
                await self._serve_requests()
            await asyncio.wait_for(self._channel.finish(), _CLOSE_SECONDS)
        except (ProtocolError, EOFError, OSError, TimeoutError, Disconnected) as error:
            _log.debug("connection from %s ended: %s", self._address, error)
        finally:
            self._gone = True
            if reader is not None:
                reader.cancel()
            self._channel.close()
            await self._leave()

    def stop(self) -> None:
        """End the connection at once, from the loop."""
        self._gone = True
        self._cancel()
        self._channel.close()

    # --- login ---------------------------------------------------------------------------------------------------------------------------------

    async def _sign_in(self) -> bool:
        async with asyncio.timeout(self._service.limits.login_seconds):
            encryption, payload = await self._negotiate()
        user = ""
        try:
            request = login7.parse(payload, self._address)
            user = request.login.user or "<token-identified principal>"
            self._packet_size = login7.packet_size(request.packet_size, encrypted=encryption is Encryption.FULL)
            session = await self._service.workers.run(lambda: self._enter(request))
        except SqlError as error:
            await self._refuse(error, user)
            return False
        except Exception:  # noqa: BLE001 - the edge of a thread: it is reported, and the client told
            _log.exception("the sign-in of a client from %s failed", self._address)
            await self._refuse(_broken())
            return False
        await self._answer(self._welcome(request, session))
        return True

    async def _refuse(self, failure: SqlError, user: str = "") -> None:
        server = self._service.server.name
        told = tokens.error(failure, server)
        if failure.number == _CANNOT_OPEN_DATABASE:
            # SQL Server says both; drivers tell a missing database from a wrong password by the first.
            told += tokens.error(login_failed(user), server)
        await self._answer(told + tokens.done(DoneKind.BATCH, tokens.ERROR))

    async def _negotiate(self) -> tuple[Encryption, bytes]:
        """What is encrypted, and the LOGIN7."""
        hello = await self._message(PacketType.PRELOGIN, DEFAULT)
        encryption, answer = prelogin.agree(prelogin.parse(hello), require_encryption=self._service.require_encryption)
        await self._answer(answer)
        if encryption is not Encryption.NONE:
            await self._channel.start_tls(self._service.context)
        payload = await self._message(PacketType.LOGIN7, login7.LARGEST_LOGIN)
        if encryption is Encryption.LOGIN_ONLY:
            self._channel.clear()
        return encryption, payload

    async def _message(self, wanted: PacketType, limit: int) -> bytes:
        assembler = Assembler(limit)
        while (message := assembler.add(await read_packet(self._channel.read))) is None:
            pass
        if message.type is not wanted:
            raise ProtocolError(f"a message of type {message.type.name} where {wanted.name} is due")
        return message.payload

    def _enter(self, request: LoginRequest) -> Session:
        service = self._service
        session = service.server.enter(request.login, service.sign_in(request.login))
        self._session = session
        if self._gone:
            session.close()
        return session

    def _welcome(self, request: LoginRequest, session: Session) -> bytes:
        name, server = session.database_name, self._service.server.name
        version = min(request.tds_version, login7.TDS_7_4)
        parts = [
            tokens.environment_text(Environment.DATABASE, name, "master"),
            tokens.info(Note(5701, f"Changed database context to '{name}'.", 0, 2), server),
            tokens.environment_bytes(Environment.COLLATION, DEFAULT_COLLATION, b""),
            tokens.environment_text(Environment.LANGUAGE, "us_english", ""),
            tokens.info(Note(5703, "Changed language setting to us_english.", 0, 1), server),
            tokens.login_ack(version),
            tokens.environment_text(Environment.PACKET_SIZE, str(self._packet_size), str(DEFAULT)),
        ]
        if request.federated:
            parts.append(tokens.feature_ack([(login7.FEDERATED, b"")]))
        return b"".join(parts) + tokens.done(DoneKind.BATCH, 0)

    async def _answer(self, payload: bytes) -> None:
        # Until the client has read the login's answer, packets keep their first size.
        outgoing = Outgoing(PacketType.TABULAR, DEFAULT, self._session.number if self._session else 0)
        outgoing.add(payload)
        await self._send(outgoing.end())

    # --- requests ------------------------------------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Take packets off the wire until it ends."""
        assembler = Assembler(self._service.limits.message_bytes)
        try:
            while True:
                packet = await read_packet(self._channel.read)
                if packet.type is PacketType.ATTENTION:
                    self._heed(Message(PacketType.ATTENTION, b""))
                elif (message := assembler.add(packet)) is not None:
                    self._waiting += 1
                    if self._waiting > _MOST_WAITING:
                        raise ProtocolError("more requests than one at a time")
                    self._inbox.put_nowait(message)
        except (ProtocolError, EOFError, OSError) as error:
            _log.debug("connection from %s ended: %s", self._address, error)
        finally:
            self._gone = True
            self._cancel()
            self._inbox.put_nowait(None)

    def _heed(self, attention: Message) -> None:
        """Stop the request under way; with none, the attention is answered by itself."""
        if self._waiting:
            self._attention = True
            self._cancel()
        else:
            self._inbox.put_nowait(attention)

    def _cancel(self) -> None:
        # The engine forgets a cancellation that comes just before a request begins, so it is told again until the request has ended.
        if self._session is not None:
            self._session.cancel()
        if self._running:
            self._loop.call_later(_CANCEL_AGAIN_SECONDS, self._cancel_again)

    def _cancel_again(self) -> None:
        if self._running and self._stopped():
            self._cancel()

    def _stopped(self) -> bool:
        return self._attention or self._gone

    async def _serve_requests(self) -> None:
        assert self._session is not None
        executor = Executor(self._session)
        while (message := await self._inbox.get()) is not None:
            if message.type is PacketType.ATTENTION:
                await self._answer(tokens.done(DoneKind.BATCH, tokens.ATTENTION))
                continue
            outgoing = Outgoing(PacketType.TABULAR, self._packet_size, self._session.number)
            response = Response(self._session, outgoing, self._send_from_thread, self._stopped)
            await self._carry_out(executor, message, response)
            # No await between reading the flag and writing the end: an attention is acknowledged once, here or by itself.
            last = response.end(attention=self._attention)
            self._attention = False
            self._waiting -= 1
            await self._send(last)
            if response.fatal:
                return

    async def _carry_out(self, executor: Executor, message: Message, response: Response) -> None:
        if self._attention:
            return
        self._running = True
        work = self._service.workers.run(lambda: executor.run(message, response))
        try:
            # Shielded: the thread uses the session until it has ended, whoever stops waiting for it.
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self._gone = True
            self._cancel()
            await asyncio.wait({work}, timeout=_CLOSE_SECONDS)
            raise
        except (ProtocolError, Disconnected):
            raise
        except Exception:  # noqa: BLE001 - the edge of a thread: it is reported, and the client told
            _log.exception("a request from %s failed inside the engine", self._address)
            response.error(_broken())
        finally:
            self._running = False

    # --- bytes out -----------------------------------------------------------------------------------------------------------------------------

    async def _send(self, data: bytes) -> None:
        """Write, and wait until the client has taken most of it. Raises TimeoutError where it takes nothing."""
        self._channel.write(data)
        try:
            await asyncio.wait_for(self._channel.drain(), self._service.limits.stall_seconds)
        except TimeoutError:
            self.stop()
            raise

    def _send_from_thread(self, data: bytes) -> None:
        if self._gone:
            raise Disconnected
        sending = asyncio.run_coroutine_threadsafe(self._send(data), self._loop)
        try:
            sending.result(self._service.limits.stall_seconds + _CLOSE_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            raise Disconnected from error

    async def _leave(self) -> None:
        session = self._session
        if session is not None:
            with suppress(RuntimeError):
                await asyncio.shield(self._service.workers.run(session.close))


def _broken() -> SqlError:
    # Assumed: what SQL Server answers after a failed assertion.
    return SqlError(3624, "A system assertion check has failed. Check the SQL Server error log for details.", 20, 1)

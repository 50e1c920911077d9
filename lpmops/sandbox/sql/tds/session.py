"""One client of the listener, from its first byte to its last: sign-in, then requests one after another.

The event loop reads and writes; T-SQL runs on the listener's threads. A reader task takes messages off the wire while a request runs, so that an attention
([MS-TDS] 2.2.1.7) stops it at once. Whatever goes wrong ends this connection alone.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lpmops.sandbox.sql import errors, procedures
from lpmops.sandbox.sql.batch import run_batch
from lpmops.sandbox.sql.conversion import to_python
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.parser import parse
from lpmops.sandbox.sql.session import Login, Session
from lpmops.sandbox.sql.syntax import InsertBulk
from lpmops.sandbox.sql.tds import login as logins
from lpmops.sandbox.sql.tds import packets, requests, tokens
from lpmops.sandbox.sql.tds.packets import Message, ProtocolError
from lpmops.sandbox.sql.tds.tokens import TokenSink
from lpmops.sandbox.sql.tds.wire import Wire
from lpmops.sandbox.sql.types import INT

if TYPE_CHECKING:
    from lpmops.sandbox.sql.tds.listener import TdsListener

log = logging.getLogger(__name__)
_LOGIN_SECONDS = 15.0
_COLLATION = bytes.fromhex("0904d00034")
_CUT = (ProtocolError, ssl.SSLError, asyncio.IncompleteReadError, ConnectionError, TimeoutError)


class TdsSession:
    """A connection."""

    def __init__(self, listener: TdsListener, wire: Wire) -> None:
        self._listener = listener
        self._wire = wire
        self._session: Session | None = None
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue(4)
        self._attention = False
        self._prepared: dict[int, tuple[str, str]] = {}
        self._handles = itertools.count(1)
        self._descriptors = itertools.count(1)
        self._descriptor = b""
        self._bulk: InsertBulk | None = None

    @property
    def database(self) -> str:
        """The database it is in, empty before sign-in."""
        return self._session.database.name if self._session is not None else ""

    def abort(self) -> None:
        """Cut the connection, as a failover does."""
        if self._session is not None:
            self._session.cancel()
        self._wire.abort()

    async def serve(self) -> None:
        """Until the client leaves or is cut off."""
        reading: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                signed_in = await self._sign_in()
            if signed_in:
                reading = asyncio.create_task(self._read())
                await self._answer_all()
        except _CUT as cause:
            log.debug("TDS connection from %s ended: %r", self._wire.peer, cause)
        finally:
            if reading is not None:
                reading.cancel()
            self._wire.close()
            if self._session is not None:
                # A transaction left open is rolled back, which may have to wait for SQLite.
                await asyncio.shield(self._listener.run(self._session, self._session.close, privileged=True))

    # --- signing in ----------------------------------------------------------------------------------------------------------------------------

    async def _sign_in(self) -> bool:
        message = await self._wire.receive()
        if message.type != packets.PRELOGIN:
            raise ProtocolError("no PRELOGIN")
        opening = logins.read_prelogin(message.payload)
        encryption = logins.negotiated(opening.encryption, required=self._listener.requires_encryption)
        await self._wire.send(logins.prelogin_answer(encryption, opening))
        if encryption == logins.ENCRYPT_REQUIRED:
            if opening.encryption == logins.ENCRYPT_NOT_SUPPORTED:
                raise ProtocolError("the client cannot encrypt")
            encryption = logins.ENCRYPT_ON
        if encryption in (logins.ENCRYPT_ON, logins.ENCRYPT_OFF):
            await self._wire.shake_hands(self._listener.tls)
        message = await self._wire.receive()
        if message.type != packets.LOGIN7:
            raise ProtocolError("no LOGIN7")
        asked = logins.read_login(message.payload)
        if encryption == logins.ENCRYPT_OFF:
            self._wire.drop_encryption()
        try:
            await self._enter(asked)
        except SqlError as refused:
            await self._refuse(asked, refused)
            return False
        return True

    async def _enter(self, asked: logins.Login7) -> None:
        if asked.version < logins.TDS_73:
            raise errors.unsupported_feature("TDS before 7.3")
        if asked.integrated:
            raise SqlError(
                18452,
                "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.",
                14,
                1,
            )
        token = asked.token
        if asked.library == logins.ADAL:
            await self._wire.send(tokens.federation_info(self._listener.authority, "https://database.windows.net/"))
            message = await self._wire.receive()
            if message.type != packets.FEDAUTH_TOKEN:
                raise ProtocolError("no federated token")
            token = logins.read_token_message(message.payload)
        login = Login(asked.user, asked.password, token, asked.database, asked.application, asked.host, self._wire.peer)
        self._session = await self._listener.enter(login)
        self._wire.session = self._session.number
        await self._welcome(asked)

    async def _welcome(self, asked: logins.Login7) -> None:
        assert self._session is not None
        server, database = self._session.database.server_name, self._session.database.name
        size = min(max(asked.packet_size or 4096, 512), 32767)
        answer = tokens.environment(tokens.DATABASE, tokens.short_text(database), tokens.short_text("master"))
        answer += tokens.notice(0xAB, 5701, 2, 0, f"Changed database context to '{database}'.", server, 1)
        answer += tokens.environment(tokens.COLLATION, tokens.sized(_COLLATION), tokens.sized(b""))
        answer += tokens.environment(tokens.LANGUAGE, tokens.short_text("us_english"), tokens.short_text(""))
        answer += tokens.notice(0xAB, 5703, 1, 0, "Changed language setting to us_english.", server, 1)
        answer += tokens.login_acknowledged(min(asked.version, logins.TDS_74))
        answer += tokens.environment(tokens.PACKET_SIZE, tokens.short_text(str(size)), tokens.short_text("4096"))
        if asked.library:
            answer += tokens.features_acknowledged([(logins.FEDERATED, asked.nonce)])
        answer += tokens.done(tokens.DONE, 0)
        await self._wire.send(answer)
        self._wire.packet_size = size

    async def _refuse(self, asked: logins.Login7, refused: SqlError) -> None:
        answer = tokens.error(refused, self._listener.server.name)
        if refused.number == 4060:
            # The login that could not open its database has failed, too; SQL Server says both.
            answer += tokens.error(
                errors.login_failed(asked.user or "<token-identified principal>"), self._listener.server.name
            )
        await self._wire.send(answer + tokens.done(tokens.DONE, tokens.ERROR))

    # --- requests ------------------------------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Take messages off the wire; an attention reaches the running request before its turn."""
        try:
            while True:
                message = await self._wire.receive()
                if message.type == packets.ATTENTION and self._session is not None:
                    self._attention = True
                    self._session.cancel()
                await self._inbox.put(message)
        except _CUT as cause:
            log.debug("TDS client at %s is gone: %r", self._wire.peer, cause)
            if self._session is not None:
                self._session.cancel()
            await self._inbox.put(None)

    async def _answer_all(self) -> None:
        assert self._session is not None
        while (message := await self._inbox.get()) is not None:
            if message.type == packets.ATTENTION:
                self._attention = False
                self._session.ready()
                await self._wire.send(tokens.done(tokens.DONE, tokens.ATTENTION))
                continue
            if message.status & packets.IGNORE:
                continue
            if not await self._answer(self._session, message):
                return

    async def _answer(self, session: Session, message: Message) -> bool:
        """Answer one request; False when the connection must end."""
        if not self._attention:
            session.ready()
        sink = TokenSink(session.database.server_name, procedure=message.type == packets.RPC)
        work = self._work(session, message, sink)
        session.request_started, session.command = session.now, _COMMANDS.get(message.type, "")
        try:
            await self._hold(session)
            await self._listener.run(session, work)
        finally:
            session.request_started = None
        if session.database.generation != session.generation:
            # The database is gone from under the session: the wire just breaks, without a word.
            self._wire.abort()
            return False
        if not self._attention:
            await self._wire.send(sink.data)
        return not sink.fatal

    async def _hold(self, session: Session) -> None:
        """The delay that is set on the database, spent on the loop and not on a thread."""
        database = session.database
        start = asyncio.get_running_loop().time()
        while database.delay_seconds and not session.cancelled:
            left = database.clock.real_seconds(database.delay_seconds) - (asyncio.get_running_loop().time() - start)
            if left <= 0:
                return
            await asyncio.sleep(min(left, 0.02))

    def _work(self, session: Session, message: Message, sink: TokenSink) -> Callable[[], None]:
        """What a thread shall do for a message. Raises ProtocolError for one that has no place here."""
        kinds: dict[int, Callable[[Session, bytes, TokenSink], None]] = {
            packets.SQL_BATCH: self._batch, packets.RPC: self._calls, packets.TRANSACTION: self._transaction, packets.BULK_LOAD: self._bulk_load,
        }  # fmt: skip
        if message.type not in kinds:
            raise ProtocolError(f"message of type {message.type} after sign-in")

        def work() -> None:
            if message.status & (packets.RESET | packets.RESET_KEEPING_TRANSACTION):
                if message.status & packets.RESET:
                    session.reset()
                sink.append(tokens.environment(tokens.RESET, b"\0", b"\0"))
            kinds[message.type](session, message.payload, sink)

        return work

    def _batch(self, session: Session, payload: bytes, sink: TokenSink) -> None:
        text = requests.read_batch(payload)
        self._bulk = _announced(text)
        if self._bulk is None:
            run_batch(session, text, (), sink)
        sink.finish_batch(_flag(session), self._changes(session))

    def _changes(self, session: Session) -> bytes:
        """ENVCHANGE where a transaction has begun or ended since the last answer."""
        if session.trancount and not self._descriptor:
            self._descriptor = struct.pack("<Q", next(self._descriptors) << 32 | session.number)
            return tokens.environment(tokens.BEGIN, tokens.sized(self._descriptor), b"\0")
        if not session.trancount and self._descriptor:
            old, self._descriptor = self._descriptor, b""
            return tokens.environment(tokens.COMMIT if session.committed else tokens.ROLLBACK, b"\0", tokens.sized(old))
        return b""

    def _calls(self, session: Session, payload: bytes, sink: TokenSink) -> None:
        try:
            calls = requests.read_calls(payload)
        except SqlError as refused:
            sink.error(refused)
            sink.finish_procedure(None, (), _flag(session), more=False)
            return
        for number, call in enumerate(calls, 1):
            returned: list[bytes] = []
            status: int | None = None
            try:
                session.check()
                status, returned = self._call(session, call, sink)
            except SqlError as refused:
                session.last_error = refused.number
                if session.settings.xact_abort and session.trancount:
                    session.abandon()
                sink.error(refused)
            sink.finish_procedure(
                status, returned, _flag(session), more=number < len(calls), changes=self._changes(session)
            )

    def _call(self, session: Session, call: requests.Call, sink: TokenSink) -> tuple[int, list[bytes]]:
        """Run one procedure: status and RETURNVALUE tokens."""
        name = call.procedure.lower()
        given = call.parameters
        if name.startswith("sp_cursor") or name == "sp_prepexecrpc":
            raise errors.unsupported_feature(name)
        if name in ("sp_prepare", "sp_prepexec"):
            handle = self._prepare(given)
            token = tokens.return_value(0, given[0].name, INT, handle)
            if name == "sp_prepare":
                return 0, [token]
            status, values = self._execute(session, handle, given[3:], sink, 3)
            return status, [token, *values]
        if name == "sp_execute":
            return self._execute(session, _handle(given), given[1:], sink, 1)
        if name == "sp_unprepare":
            if self._prepared.pop(_handle(given), None) is None:
                raise _no_handle(_handle(given))
            return 0, []
        status, returned = procedures.call(session, call.procedure, given, sink)
        return status, _returned(given, returned, 0)

    def _prepare(self, given: tuple[Any, ...]) -> int:
        if len(given) < 3:
            raise SqlError(
                201, "Procedure or function 'sp_prepare' expects parameter '@stmt', which was not supplied.", 16, 10
            )
        text = str(given[2].value or "")
        parse(text)
        handle = next(self._handles)
        self._prepared[handle] = (text, str(given[1].value or ""))
        return handle

    def _execute(
        self, session: Session, handle: int, given: tuple[Any, ...], sink: TokenSink, skipped: int
    ) -> tuple[int, list[bytes]]:
        if handle not in self._prepared:
            raise _no_handle(handle)
        text, declarations = self._prepared[handle]
        status, returned = procedures.run_declared(session, text, declarations, given, sink)
        # run_declared counts places as sp_executesql does, whose values begin at 2.
        return status, _returned(given, returned, skipped, first=2)

    def _transaction(self, session: Session, payload: bytes, sink: TokenSink) -> None:
        asked = requests.read_transaction(payload)
        try:
            session.check()
            if asked.isolation == "SNAPSHOT" or asked.kind not in (requests.BEGIN, requests.COMMIT, requests.ROLLBACK):
                raise errors.unsupported_feature(
                    "SNAPSHOT" if asked.isolation else "transaction manager request of that kind"
                )
            if asked.kind == requests.BEGIN:
                session.begin()
            elif asked.kind == requests.COMMIT:
                session.commit()
            elif session.trancount:
                session.rollback()
            sink.append(self._changes(session))
            if asked.begins_next:
                session.begin()
            if asked.isolation:
                session.settings.isolation = asked.isolation
        except SqlError as refused:
            sink.error(refused)
        sink.finish_batch(_flag(session), self._changes(session))

    def _bulk_load(self, session: Session, payload: bytes, sink: TokenSink) -> None:
        announced, self._bulk = self._bulk, None
        if announced is None:
            raise ProtocolError("bulk load that nobody announced")
        try:
            session.check()
            names, kinds, rows = requests.read_bulk_rows(payload)
            values = [tuple(to_python(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows]
            session.database.load(session, announced.table, [name for name, _ in announced.columns] or names, values)
            sink.done(len(values), "INSERT")
        except SqlError as refused:
            sink.error(refused)
        sink.finish_batch(_flag(session), self._changes(session))


_COMMANDS = {
    packets.SQL_BATCH: "SELECT",
    packets.RPC: "EXECUTE",
    packets.TRANSACTION: "TRANSACTION",
    packets.BULK_LOAD: "BULK INSERT",
}


def _flag(session: Session) -> int:
    return tokens.IN_TRANSACTION if session.trancount else 0


def _announced(text: str) -> InsertBulk | None:
    if not text.lstrip()[:6].lower() == "insert":
        return None
    try:
        statements = parse(text)
    except SqlError:
        return None
    return statements[0] if len(statements) == 1 and isinstance(statements[0], InsertBulk) else None


def _handle(given: tuple[Any, ...]) -> int:
    value = given[0].value if given else None
    return value if isinstance(value, int) else -1


def _no_handle(handle: int) -> SqlError:
    return SqlError(8179, f"Could not find prepared statement with handle {handle}.", 16, 2)


def _returned(given: tuple[Any, ...], returned: procedures.Returned, skipped: int, first: int = 0) -> list[bytes]:
    """RETURNVALUE for each parameter that was sent for output."""
    found: list[bytes] = []
    for place, parameter in enumerate(given):
        key = parameter.name.casefold() if parameter.name else str(place + first)
        if parameter.output and key in returned:
            found.append(tokens.return_value(place + skipped, parameter.name, parameter.type, returned[key]))
    return found

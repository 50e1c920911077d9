"""One client's byte stream: packets in and out, with TLS inside ([MS-TDS] 3.2.5.1 and 3.3.5.1).

During the handshake TLS records travel in PRELOGIN packets; afterwards packets travel in TLS records. Encryption may be dropped after the login message. Every read
has a deadline where the caller gives one.
"""

from __future__ import annotations

import asyncio
import ssl

from lpmops.sandbox.sql.tds.packets import (
    HEADER,
    PRELOGIN,
    RESPONSE,
    Assembler,
    Message,
    ProtocolError,
    read_header,
    split,
)

_CHUNK = 65536


class Wire:
    """Messages over a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.packet_size = 4096
        self.session = 0
        self._reader = reader
        self._writer = writer
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._plain = bytearray()

    @property
    def peer(self) -> str:
        """The client's address."""
        peer = self._writer.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    async def _read_exactly(self, count: int) -> bytes:
        """So many bytes of TDS. Raises asyncio.IncompleteReadError at the stream's end."""
        if self._tls is None:
            return await self._reader.readexactly(count)
        while len(self._plain) < count:
            try:
                piece = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                data = await self._reader.read(_CHUNK)
                if not data:
                    raise asyncio.IncompleteReadError(bytes(self._plain), count) from None
                self._incoming.write(data)
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                raise asyncio.IncompleteReadError(bytes(self._plain), count) from None
            if not piece:
                raise asyncio.IncompleteReadError(bytes(self._plain), count)
            self._plain += piece
        found = bytes(self._plain[:count])
        del self._plain[:count]
        return found

    async def receive(self) -> Message:
        """The next message. Raises ProtocolError, ssl.SSLError, asyncio.IncompleteReadError."""
        assembler = Assembler()
        while True:
            header = read_header(await self._read_exactly(HEADER.size))
            message = assembler.add(header, await self._read_exactly(header.length - HEADER.size))
            if message is not None:
                return message

    async def send(self, payload: bytes | bytearray) -> None:
        """A response."""
        for packet in split(RESPONSE, payload, self.packet_size, self.session):
            if self._tls is None:
                self._writer.write(packet)
            else:
                self._tls.write(packet)
                self._writer.write(self._outgoing.read())
        await self._writer.drain()

    async def shake_hands(self, context: ssl.SSLContext) -> None:
        """The TLS handshake. Raises ProtocolError, ssl.SSLError."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            pending = self._outgoing.read()
            if pending:
                for packet in split(PRELOGIN, pending, 4096):
                    self._writer.write(packet)
                await self._writer.drain()
            if done:
                break
            message = await self.receive()
            if message.type != PRELOGIN:
                raise ProtocolError("TLS handshake outside PRELOGIN packets")
            self._incoming.write(message.payload)
        self._tls = tls

    def drop_encryption(self) -> None:
        """The login is read; the rest goes in the clear, as both have agreed."""
        self._tls = None

    def close(self) -> None:
        """Let the connection go; what was sent still arrives."""
        self._writer.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()
